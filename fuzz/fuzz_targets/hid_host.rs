//! A key that answers anything to the host side of a frame exchange.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapkey_protocol::hid::{Exchange, Expect, Input, Step};

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let expect = match first % 3 {
        0 => Expect::Programming,
        1 => Expect::Data { length: usize::from(first >> 2) },
        _ => Expect::LengthPrefixed,
    };
    let Ok(mut exchange) = Exchange::new(0x30, &[*first; 64], expect) else { return };
    let mut reports = rest.chunks_exact(8).map(|chunk| chunk.try_into().unwrap());
    let mut input = Input::Start;
    loop {
        input = match exchange.step(input) {
            Ok(Step::Write(_)) => Input::Written,
            Ok(Step::Read) => match reports.next() {
                Some(report) => Input::Report(report),
                None => return,
            },
            Ok(Step::Wait { .. } | Step::AwaitTouch { .. }) => Input::Waited,
            Ok(Step::Done(_)) | Err(_) => return,
        };
    }
});
