//! Recordings of a key and plans of faults, as people write and send them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapkey_emulator::{PlannedFault, port::replay::Replay};
use tapkey_protocol::{
    hid::{Exchange, Expect, Input, Step},
    link::{CardLink, OtpLink},
    transcript::recording::{Recording, decode},
};

fuzz_target!(|text: &str| {
    if let Ok(fault) = text.parse::<PlannedFault>() {
        assert_eq!(fault.to_string().parse(), Ok(fault));
    }
    for text in [text.to_owned(), format!("{{\"tapkey-recording\":1,\"secrets\":\"hidden\"}}\n{text}\n")] {
        let Ok(recording) = Recording::parse(&text) else { continue };
        assert_eq!(Recording::parse(&recording.to_text()).ok().as_ref(), Some(&recording));
        let _ = decode(&recording);
        play(&Replay::new(recording));
    }
});

/// A host that asks whatever was recorded for its serial number.
fn play(replay: &Replay) {
    if let Ok(mut link) = replay.otp()
        && let Ok(mut exchange) = Exchange::new(0x10, &[], Expect::Data { length: 4 })
    {
        let mut input = Input::Start;
        while let Ok(step) = exchange.step(input) {
            input = match step {
                Step::Write(report) if link.write_report(&report).is_ok() => Input::Written,
                Step::Read => match link.read_report() {
                    Ok(report) => Input::Report(report),
                    Err(_) => break,
                },
                Step::Wait { .. } | Step::AwaitTouch { .. } => Input::Waited,
                Step::Write(_) | Step::Done(_) => break,
            };
        }
    }
    if let Ok(mut card) = replay.card() {
        while card.transmit(&[0, 0x1D, 0, 0]).is_ok() {}
    }
    let _ = replay.finish();
}
