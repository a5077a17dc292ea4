//! What is written down of a conversation holds no secret of the application.

use std::sync::{Arc, Mutex};

use tapkey_protocol::apdu::Encoding;
use tapkey_protocol::apdu::chaining::{Next, Transaction};
use tapkey_protocol::link::CardLink;
use tapkey_protocol::piv::{
    Import, ManagementKeyType, PrivateKey, PutData, SetManagementKey, TouchPolicy as Touch,
};
use tapkey_protocol::transcript::recording::{Recording, Tape, decode};
use tapkey_protocol::transcript::{Entry, Secrets};

use super::*;

const PIN: &[u8; 6] = b"pin4me";
const NEW_PIN: &[u8; 8] = b"pinpin22";
const PUK: &[u8; 8] = b"pukpuk77";
const MANAGEMENT: [u8; 32] = [0xC4; 32];
const SCALAR: [u8; 32] = [0x5D; 32];
const DIGEST: [u8; 32] = [0xE9; 32];
const STORED: [u8; 32] = [0x6B; 32];

/// Commands with every secret in it, as short and as extended ones.
fn commands() -> Vec<Command> {
    let pin = |text: &[u8]| Pin::new(text).unwrap();
    let puk = |text: &[u8]| Puk::new(text).unwrap();
    let key = ManagementKey::new(ManagementKeyType::Aes256, MANAGEMENT.to_vec().into()).unwrap();
    let import = Import { key: PrivateKey::P256(SCALAR.into()), pin_policy: None, touch_policy: None };
    let put = PutData { id: "5fc109".parse().unwrap(), value: STORED.to_vec().into() };
    vec![
        command::change_reference(reference::PUK, &ChangeReference::puk(&puk(b"12345678"), &puk(PUK))),
        command::change_reference(reference::PIN, &ChangeReference::pin(&pin(b"123456"), &pin(PIN))),
        command::verify(&pin(PIN)),
        command::import(Algorithm::P256, Slot::AUTHENTICATION, &import),
        command::use_key(Algorithm::P256, Slot::AUTHENTICATION, &Authenticate::Sign(DIGEST.to_vec().into())),
        command::put_data(&put),
        command::get_data("5fc109".parse().unwrap()),
        command::unblock(&ChangeReference::unblock(&puk(PUK), &pin(NEW_PIN))),
        command::set_management_key(&SetManagementKey { key, touch: Touch::Never }),
    ]
}

fn needles() -> Vec<String> {
    let all: [&[u8]; 7] = [PIN, NEW_PIN, PUK, &MANAGEMENT[..8], &SCALAR[..8], &DIGEST[..8], &STORED[..8]];
    all.iter()
        .flat_map(|secret| {
            let list = format!("{secret:?}");
            [
                data_encoding::HEXLOWER.encode(secret),
                data_encoding::HEXUPPER.encode(secret),
                list.trim_matches(['[', ']']).to_owned(),
            ]
        })
        .chain([PIN.as_slice(), NEW_PIN, PUK].map(|secret| String::from_utf8(secret.to_vec()).unwrap()))
        .collect()
}

#[test]
fn recordings_transcripts_and_snapshots_hold_none() {
    let lines = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&lines);
    let recorder = move |at, entry: &Entry| {
        sink.lock().unwrap().push_str(&format!("{at} {entry} {entry:?}\n"));
    };
    let builder = VirtualKey::builder().random(SeededRandom::new(2)).transcript(Secrets::Hide, recorder);
    let bench = Bench::with(builder.build().unwrap());
    let recorded = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&recorded);
    let tape = Tape::new(
        "test",
        Secrets::Hide,
        || 0,
        move |line| {
            let mut text = sink.lock().unwrap();
            text.push_str(line);
            text.push('\n');
        },
    );
    for encoding in [Encoding::Short, Encoding::Extended] {
        // What the tape does not see: proving the management key, which a model of a host does.
        bench.key.with(VirtualKey::card_reset);
        let mut card = tape.card(bench.key.card().unwrap());
        card.transmit(&Command::select(aid::PIV).encode(Encoding::Short).unwrap()).unwrap();
        if encoding == Encoding::Short {
            Piv { bench: &bench }.administer();
        }
        for command in commands() {
            let mut transaction = Transaction::new(&command, encoding).unwrap();
            let mut next = transaction.start();
            while let Next::Send(bytes) = next {
                next = transaction.receive(&card.transmit(&bytes).unwrap()).unwrap();
            }
        }
    }
    let snapshot = bench.key.snapshot();
    let piv = snapshot.piv.as_ref().unwrap();
    assert_eq!((piv.pin_tries, piv.management_key.as_str()), (3, "AES256"));
    let keys: Vec<_> = piv.keys.iter().map(|key| (key.slot.as_str(), key.origin.as_str())).collect();
    assert_eq!(keys, [("9a", "imported"), ("f9", "generated")]);
    assert_eq!(piv.objects, ["5fc109", "5fff01"]);

    let recorded = recorded.lock().unwrap().clone();
    let told: Vec<String> =
        decode(&Recording::parse(&recorded).unwrap()).into_iter().map(|one| one.text).collect();
    assert!(told.iter().any(|line| line.contains("PIV: import key [")), "{told:?}");
    let printed = [
        recorded,
        told.join("\n"),
        lines.lock().unwrap().clone(),
        format!("{snapshot:?} {}", serde_json::to_string(&snapshot).unwrap()),
        bench.key.with(|key| format!("{key:?}")),
        format!("{:?}", commands()),
    ];
    for needle in needles() {
        for text in &printed {
            assert!(!text.contains(&needle), "{needle} is in {text}");
        }
    }
}
