//! A host that sends anything to an emulated key, over every interface.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapkey_emulator::{Milliseconds, Power, SeededRandom, VirtualKey};
use tapkey_protocol::{
    apdu::Response,
    slot::Slot,
};

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
                let answer = key.apdu(bytes);
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
