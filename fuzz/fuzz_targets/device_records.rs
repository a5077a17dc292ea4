//! Slot records, device information and everything else that a key or a host sends in one piece.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapkey_protocol::{
    management::{DeviceConfig, DeviceInfo},
    slot::{NdefPayload, ScanMapPayload, WritePayload},
};

fuzz_target!(|data: &[u8]| {
    let _ = WritePayload::parse(data);
    let _ = NdefPayload::parse(data);
    let _ = ScanMapPayload::parse(data);
    let _ = DeviceInfo::parse(data);
    let _ = DeviceConfig::parse(data);
});
