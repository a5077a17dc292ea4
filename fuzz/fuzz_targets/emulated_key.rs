//! A host that sends anything to an emulated key, over every interface.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapkey_emulator::{Milliseconds, Power, SeededRandom, VirtualKey};
use tapkey_protocol::{
    apdu::Response,
    slot::Slot,
};

/// SELECT of PIV, OATH, or OTP.
fn select(application: u8) -> &'static [u8] {
    match application % 3 {
        0 => &[0, 0xA4, 4, 0, 5, 0xA0, 0, 0, 3, 8],
        1 => &[0, 0xA4, 4, 0, 7, 0xA0, 0, 0, 5, 0x27, 0x21, 1],
        _ => &[0, 0xA4, 4, 0, 7, 0xA0, 0, 0, 5, 0x27, 0x20, 1],
    }
}

fuzz_target!(|data: &[u8]| {
    let mut key = VirtualKey::builder().random(SeededRandom::new(1)).build().unwrap();
    key.power(Power::Usb).unwrap();
    let mut rest = data;
    let mut now = 0;
    while let Some((first, tail)) = rest.split_first() {
        let length = usize::from(first >> 2).min(tail.len());
        let (bytes, after) = tail.split_at(length);
        rest = after;
        match first & 3 {
            0 => {
                for report in bytes.chunks_exact(8) {
                    key.write_report(report.try_into().unwrap());
                    let _ = key.read_report();
                }
            }
            1 => {
                // A single byte stands for an application, which the fuzzer would not guess.
                let answer = match bytes {
                    [application] => key.apdu(select(*application)),
                    _ => key.apdu(bytes),
                };
                assert!(Response::parse(&answer).is_ok());
            }
            2 => {
                now += u64::from(*first) * 100;
                key.tick(Milliseconds(now));
            }
            _ => {
                let slot = if length % 2 == 0 { Slot::One } else { Slot::Two };
                let _ = key.press(slot);
            }
        }
    }
});
