//! Command and response APDUs, and TLVs inside them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapkey_protocol::{
    apdu::{Command, Response},
    tlv,
};

fuzz_target!(|data: &[u8]| {
    let _ = Command::parse(data);
    let _ = Response::parse(data);
    for item in tlv::Reader::new(data) {
        if item.is_err() {
            break;
        }
    }
    let _ = tlv::find(data, 0x71);
});
