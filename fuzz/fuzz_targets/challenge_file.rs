//! Files of `pam_yubico`, and origins of sign-ins.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapkey_protocol::challenge::{Padding, pam::ChallengeFile, sign_in::Origin};

fuzz_target!(|data: &[u8]| {
    for padding in [Padding::Exact, Padding::Zeros, Padding::Count] {
        if let Ok(frame) = padding.frame(data) {
            assert_eq!(&frame[..data.len()], data);
        }
    }
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(file) = text.parse::<ChallengeFile>() {
        assert_eq!(file.to_string().parse(), Ok(file));
    }
    if let Ok(origin) = text.parse::<Origin>() {
        assert_eq!(origin.as_str().parse(), Ok(origin));
    }
});
