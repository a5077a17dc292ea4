//! Chains, pieces, and what selecting and resetting does.

use tapkey_emulator::Power;
use tapkey_protocol::piv::{DISCOVERY, SELECT_ANSWER};

use super::*;

const SELECT: &[u8] = &[0, 0xA4, 4, 0, 5, 0xA0, 0, 0, 3, 8];

#[test]
fn selecting_it_by_every_usual_length() {
    let bench = Bench::new();
    for length in [5, 9, 11] {
        let answer = bench.select(&aid::registered::PIV[..length]).unwrap();
        assert_eq!(answer, SELECT_ANSWER);
    }
}

#[test]
fn selecting_it_again_keeps_what_was_proved_and_anything_else_does_not() {
    let bench = Bench::new();
    let verified = || bench.raw(&[0, 0x20, 0, 0x80]).status.is_success();
    let administrator = || objects::put(&Piv { bench: &bench }, "5fc102", &[1]).is_ok();
    Piv::opened(&bench);
    bench.raw(SELECT);
    assert!(verified() && administrator());
    assert_eq!(bench.select(&[0xD2, 0x76, 0, 1, 0x24, 1]), Err(NOT_FOUND));
    assert!(verified() && administrator(), "an application that is not there changes nothing");
    let ends: [(&str, &dyn Fn()); 4] = [
        ("another application", &|| drop(bench.select(common::AID_MANAGEMENT).unwrap())),
        ("a reset of the card", &|| bench.key.with(VirtualKey::card_reset)),
        ("a replug", &|| bench.key.replug().unwrap()),
        ("another power", &|| {
            bench.key.unplug();
            bench.key.plug(Power::Nfc).unwrap();
        }),
    ];
    for (what, end) in ends {
        Piv::opened(&bench);
        end();
        bench.raw(SELECT);
        assert!(!verified() && !administrator(), "{what}");
    }
}

#[test]
fn pieces_of_answers() {
    let bench = Bench::new();
    let piv = Piv::opened(&bench);
    objects::put(&piv, "5fc102", &[7; 700]).unwrap();
    let get = [0, 0xCB, 0x3F, 0xFF, 5, 0x5C, 3, 0x5F, 0xC1, 2];
    for (ask, length, status) in [
        (&get[..], 256, 0x6100),
        (&[&get[..], &[0]].concat(), 256, 0x6100),
        (&[&get[..], &[100]].concat(), 100, 0x6100),
    ] {
        let answer = bench.raw(ask);
        assert_eq!((answer.data.len(), answer.status.0), (length, status));
    }
    // The whole: tag, three bytes of length, 700 bytes.
    let rest: Vec<_> = [&[0, 0xC0, 0, 0, 0][..], &[0, 0xC0, 0, 0, 0xFE], &[0, 0xC0, 0, 0, 0]]
        .iter()
        .map(|ask| {
            let answer = bench.raw(ask);
            (answer.data.len(), answer.status.0)
        })
        .collect();
    assert_eq!(rest, [(256, 0x6100), (254, 0x615E), (94, 0x9000)]);
    assert_eq!(bench.raw(&[0, 0xC0, 0, 0, 0]).status, WRONG, "nothing is left");
    // An extended command gets everything at once, with and without an expected length.
    let extended = [0, 0xCB, 0x3F, 0xFF, 0, 0, 5, 0x5C, 3, 0x5F, 0xC1, 2];
    for ask in [&extended[..], &[&extended[..], &[0, 0]].concat()] {
        let answer = bench.raw(ask);
        assert_eq!((answer.data.len(), answer.status.0), (704, 0x9000));
    }
    // OpenSC asks for the head of an object alone.
    let answer = bench.raw(&[0, 0xCB, 0x3F, 0xFF, 3, 0x5C, 1, 0x7E, 3]);
    assert_eq!((answer.data.as_slice(), answer.status.0), (&DISCOVERY[..3], 0x6111));
}

#[test]
fn chains_up_to_3072_bytes() {
    let bench = Bench::new();
    Piv::opened(&bench);
    let send = |length: usize| {
        let mut last = StatusWord::UNKNOWN;
        let body = vec![0x55; length];
        let count = body.chunks(255).count();
        for (number, piece) in body.chunks(255).enumerate() {
            let class = if number + 1 < count { 0x10 } else { 0 };
            let head = [class, 0xDB, 0x3F, 0xFF, u8::try_from(piece.len()).unwrap()];
            last = bench.raw(&[&head, piece].concat()).status;
            if !last.is_success() {
                return last;
            }
        }
        last
    };
    assert_eq!(send(3072), WRONG, "the application has read it");
    assert_eq!(send(3073), StatusWord::WRONG_LENGTH);
}
