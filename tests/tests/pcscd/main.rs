//! The emulated key behind a real pcscd, used by programs that nobody here wrote, and by our own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

// Linked for its shared library alone, so that the driver that pcscd loads is never an old one.
use tapkey_ifd as _;

mod command_line;
mod life;
mod oath_both;
mod ours;
mod piv;
mod piv_both_ways;
mod piv_crate;
mod piv_pkcs11;
mod piv_ssh;
mod piv_tool;
mod piv_ykman;
mod sharing;
mod tapkey_otp;
mod vpcd;
mod ykman6;
mod ykman_config;
mod ykman_oath;
mod ykman_otp;

use tapkey_emulator::{Power, Press, Profile, VirtualKey, port::in_process::PluggedKey};
use tapkey_protocol::slot::Slot;

const SERIAL: u32 = 0xF000_0001;

/// A new key, plugged in.
fn key(profile: Profile, serial: u32) -> VirtualKey {
    let mut key = VirtualKey::builder().profile(profile).serial(serial).build().unwrap();
    key.power(Power::Usb).unwrap();
    key
}

fn key_5() -> VirtualKey {
    key(Profile::YUBIKEY_5_7_4, SERIAL)
}

/// A new key on a contactless reader.
fn key_on_nfc() -> VirtualKey {
    let mut key = VirtualKey::builder().serial(SERIAL).build().unwrap();
    key.power(Power::Nfc).unwrap();
    key
}

/// What a press of the slot types.
fn typed(key: &PluggedKey, slot: Slot) -> String {
    match key.press(slot).unwrap() {
        Press::Typed(typed) => typed.text(),
        other => panic!("{other:?}"),
    }
}
