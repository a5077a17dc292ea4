//! Readers, and cards that come and go.

use std::{
    io::{BufRead, BufReader, Write},
    process::Child,
};

use tapkey_emulator::{Power, port::pcscd::Reader};
use tapkey_tests::{
    parts::part,
    pcscd::{Pcscd, Served, serve_card},
};

use super::{SERIAL, key, key_5};
use tapkey_emulator::Profile;

const NAME: &str = "Yubico YubiKey OTP+FIDO+CCID 00 00";
const ATR: &str = "3b:fd:13:00:00:81:31:fe:15:80:73:c0:21:c0:57:59:75:62:69:4b:65:79:40";

#[test]
fn tools_for_cards_see_the_reader_and_the_card() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    let scan = part("pcsc_scan").unwrap();
    let readers = pcscd.run(&scan, &["-r"]).unwrap().succeeds().unwrap();
    assert!(readers.contains(NAME), "{readers}");
    let cards = pcscd.run(&scan, &["-n", "-t", "1"]).unwrap().succeeds().unwrap();
    assert!(cards.contains("Card inserted"), "{cards}");
    let atr = ATR.replace(':', " ").to_uppercase();
    assert!(cards.contains(&atr), "{cards}");
    let opensc = part("opensc-tool").unwrap();
    assert_eq!(pcscd.run(&opensc, &["-a"]).unwrap().succeeds().unwrap().trim(), ATR);
    // It tries the applications of every card it knows.
    pcscd.run(&opensc, &["-n"]).unwrap();
    let answer = pcscd.run(&opensc, &["-s", "00A4040007A0000005272001"]).unwrap().succeeds().unwrap();
    assert!(answer.contains("SW1=0x90, SW2=0x00") && answer.contains("05 07 04"), "{answer}");
}

#[test]
fn two_keys_at_once() {
    let pcscd = Pcscd::start(vec![key_5(), key(Profile::YUBIKEY_5_4_3, SERIAL + 1)]).unwrap();
    let serials = pcscd.ykman_list(&["--serials"]).unwrap();
    for serial in ["4026531841", "4026531842"] {
        assert!(serials.lines().any(|line| line == serial), "{serials}");
    }
    pcscd.ykman(1, &["otp", "static", "2", "two", "-k", "US", "-f"]).unwrap().succeeds().unwrap();
    assert_eq!(pcscd.key(0).unwrap().snapshot().slots, [None, None]);
    assert!(pcscd.key(1).unwrap().snapshot().slots[1].is_some());
    pcscd.key(0).unwrap().unplug();
    pcscd.wait_for_cards(1).unwrap();
    let info = pcscd.ykman(1, &["info"]).unwrap().succeeds().unwrap();
    assert!(info.contains("5.4.3"), "{info}");
}

/// Connects to the first card and waits for lines: a command in hexadecimal digits is sent, and what
/// came back is printed.
const TALK: &str = r#"
import sys
from smartcard.System import readers
from smartcard.Exceptions import CardConnectionException, NoCardException
card = None
for line in sys.stdin:
    try:
        if line.strip() == "connect":
            card = readers()[0].createConnection()
            card.connect()
            print("connected")
        else:
            data, sw1, sw2 = card.transmit(list(bytes.fromhex(line)))
            print((bytes(data) + bytes([sw1, sw2])).hex())
    except (CardConnectionException, NoCardException) as error:
        print("failed", type(error).__name__)
"#;

struct Talk(Child, BufReader<std::process::ChildStdout>);

impl Talk {
    fn start(pcscd: &Pcscd) -> Self {
        let mut child = pcscd.python_beside(TALK).unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self(child, answers)
    }

    fn say(&mut self, line: &str) -> String {
        writeln!(self.0.stdin.as_mut().unwrap(), "{line}").unwrap();
        let mut answer = String::new();
        self.1.read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

const SELECT: &str = "00A4040007A0000005272001";
const STATUS: &str = "00030000";
const STATUS_EMPTY: &str = "0507040000009000";

#[test]
fn a_key_taken_away_in_the_middle_comes_back_as_another_card() {
    let mut pcscd = Pcscd::start(vec![key_5()]).unwrap();
    let mut talk = Talk::start(&pcscd);
    assert_eq!(talk.say("connect"), "connected");
    assert_eq!(talk.say(SELECT), STATUS_EMPTY);
    let key = pcscd.key(0).unwrap();
    key.unplug();
    assert!(talk.say(STATUS).starts_with("failed"));
    pcscd.wait_for_cards(0).unwrap();
    assert!(talk.say("connect").starts_with("failed"));
    key.plug(Power::Usb).unwrap();
    pcscd.wait_for_cards(1).unwrap();
    assert!(talk.say(STATUS).starts_with("failed"), "the old connection stays dead");
    assert_eq!(talk.say("connect"), "connected");
    assert_eq!(talk.say(STATUS), "6d00", "nothing is selected on a new card");
    assert_eq!(talk.say(SELECT), STATUS_EMPTY);
    // Quicker than pcscd looks.
    key.replug().unwrap();
    assert!(talk.say(STATUS).starts_with("failed"));
    drop(talk);
    pcscd.wait_for_cards(1).unwrap();
    pcscd.ykman(0, &["info"]).unwrap().succeeds().unwrap();
    assert!(pcscd.is_running());
}

#[test]
fn an_emulator_that_dies_in_the_middle_takes_only_its_card_along() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("key.sock");
    // Answers two commands, and hangs up in the third.
    let mut left = 2;
    serve_card(&socket, move |_| {
        left -= 1;
        (left >= 0).then(|| vec![0x90, 0])
    })
    .unwrap();
    let mut pcscd = Pcscd::with_readers(&[Reader::new("Yubico YubiKey CCID", &socket)]).unwrap();
    pcscd.wait_for_cards(1).unwrap();
    let mut talk = Talk::start(&pcscd);
    assert_eq!(talk.say("connect"), "connected");
    assert_eq!([talk.say(STATUS), talk.say(STATUS)], ["9000", "9000"]);
    assert!(talk.say(STATUS).starts_with("failed"));
    drop(talk);
    // Another emulator takes its place.
    std::fs::remove_file(&socket).unwrap();
    let served = Served::start(&socket, key_5()).unwrap();
    let mut talk = Talk::start(&pcscd);
    let mut answer = talk.say("connect");
    for _ in 0..50 {
        if answer == "connected" && talk.say(SELECT) == STATUS_EMPTY {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        answer = talk.say("connect");
    }
    assert_eq!(talk.say(SELECT), STATUS_EMPTY);
    assert!(pcscd.is_running());
    drop(talk);
    drop(served);
}

#[test]
fn extended_commands_and_answers_pass_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("echo.sock");
    serve_card(&socket, |command| Some([command, &[0x90, 0]].concat())).unwrap();
    let pcscd = Pcscd::with_readers(&[Reader::new("Echo", &socket)]).unwrap();
    pcscd.wait_for_cards(1).unwrap();
    let mut talk = Talk::start(&pcscd);
    assert_eq!(talk.say("connect"), "connected");
    for length in [1_u16, 255, 256, 3052, 3062, 65_000] {
        let data = "5a".repeat(length.into());
        let command = format!("00010000 00{length:04x}{data}0000").replace(' ', "");
        let answer = talk.say(&command);
        assert!(answer == format!("{command}9000"), "{length} bytes: {} came back", answer.len() / 2);
    }
}
