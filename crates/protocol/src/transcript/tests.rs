use proptest::prelude::*;

use super::*;
use crate::apdu::Encoding;

fn select(transcript: &mut Transcript, aid: &[u8]) {
    let _ = transcript.command(&Command::select(aid).encode(Encoding::Short).unwrap());
}

fn send(transcript: &mut Transcript, ins: u8, data: &[u8]) -> Entry {
    transcript.command(&Command::new(0, ins, 0, 0, data).encode(Encoding::Short).unwrap())
}

#[test]
fn secrets_stay_out() {
    let mut transcript = Transcript::new(Secrets::Hide);
    for (aid, instructions) in [
        (aid::OTP, &[0x01][..]),
        (aid::MANAGEMENT, &[0x1C]),
        (aid::OATH, &[0x01, 0x03, 0xA3]),
        (aid::PIV, &[0x20, 0x24, 0x2C, 0x87, 0xDB, 0xFE, 0xFF]),
        (aid::OPENPGP, &[0x20, 0xDB]),
        (aid::FIDO, &[0x10]),
        (&[1, 2, 3, 4, 5, 6], &[0x20]),
    ] {
        select(&mut transcript, aid);
        for ins in instructions {
            let entry = send(&mut transcript, *ins, &[0x5A; 30]);
            assert_eq!(entry.body, Body::Hidden { length: 30 }, "{entry}");
        }
    }
}

#[test]
fn codes_and_answers_stay_out() {
    let mut transcript = Transcript::new(Secrets::Hide);
    select(&mut transcript, aid::OATH);
    let _ = send(&mut transcript, 0xA2, &[0x71, 1, b'x']);
    assert_eq!(transcript.response(&[0x76, 5, 6, 1, 2, 3, 4, 0x61, 9]).body, Body::Hidden { length: 7 });
    let entry = send(&mut transcript, 0xA5, &[]);
    assert_eq!(entry.name, "OATH: calculate (continued)");
    assert_eq!(transcript.response(&[1, 2, 0x90, 0]).body, Body::Hidden { length: 2 });
    let _ = transcript.hid_command(0x30, &[1; 64]);
    assert_eq!(transcript.hid_answer(&[1; 20]).body, Body::Hidden { length: 20 });
}

#[test]
fn harmless_things_are_shown() {
    let mut transcript = Transcript::new(Secrets::Hide);
    assert_eq!(transcript.hid_command(0x10, &[0; 64]).to_string(), "> OTP: read serial");
    assert_eq!(transcript.hid_answer(&[0, 1, 2, 3]).to_string(), "< OTP: read serial 00010203");
    select(&mut transcript, aid::MANAGEMENT);
    let _ = send(&mut transcript, 0x1D, &[]);
    assert_eq!(
        transcript.response(&[1, 2, 0x90, 0]).to_string(),
        "< management: read device information 0102 9000 (success)"
    );
}

#[test]
fn everything_is_shown_on_demand() {
    let mut transcript = Transcript::new(Secrets::Show);
    select(&mut transcript, aid::PIV);
    let entry = send(&mut transcript, 0x20, b"123456");
    assert_eq!(entry.to_string(), "> PIV: verify PIN 313233343536");
}

#[test]
fn a_reset_forgets_the_application() {
    let mut transcript = Transcript::new(Secrets::Hide);
    select(&mut transcript, aid::MANAGEMENT);
    transcript.reset();
    assert_eq!(send(&mut transcript, 0x1D, &[]).name, "unknown application: instruction 1d");
}

proptest! {
    #[test]
    fn nothing_panics(exchanges: Vec<(Vec<u8>, Vec<u8>)>) {
        let mut transcript = Transcript::new(Secrets::Hide);
        for (command, response) in exchanges {
            let _ = transcript.command(&command).to_string();
            let _ = transcript.response(&response).to_string();
        }
    }
}
