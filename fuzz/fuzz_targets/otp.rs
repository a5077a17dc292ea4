//! A typed password, in any spelling.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapkey_protocol::otp::{AesKey, typed};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok((otp, _)) = typed::parse(text) {
        let _ = otp.open(&AesKey::new([7; 16]));
        assert_eq!(otp.to_string().parse(), Ok(otp));
    }
});
