//! What an attestation certificate says of a key (Yubico's documentation, "PIV attestation").
//!
//! The extensions of X.509 themselves are read by whoever reads certificates; here are their names
//! and their contents.

use super::{PinPolicy, TouchPolicy};
use crate::version::Version;

/// The firmware: three bytes.
pub const OID_FIRMWARE: &str = "1.3.6.1.4.1.41482.3.3";
/// The serial number: a DER INTEGER.
pub const OID_SERIAL: &str = "1.3.6.1.4.1.41482.3.7";
/// The policies: one byte each.
pub const OID_POLICIES: &str = "1.3.6.1.4.1.41482.3.8";
/// The form factor: one byte.
pub const OID_FORM_FACTOR: &str = "1.3.6.1.4.1.41482.3.9";

/// Writes the firmware.
#[must_use]
pub const fn write_firmware(version: Version) -> [u8; 3] {
    version.to_bytes()
}

/// Reads the firmware.
#[must_use]
pub fn parse_firmware(value: &[u8]) -> Option<Version> {
    <[u8; 3]>::try_from(value).ok().map(Version::from)
}

/// Writes a serial number as a DER INTEGER (ITU-T X.690 section 8.3).
#[must_use]
pub fn write_serial(serial: u32) -> Vec<u8> {
    let mut bytes = serial.to_be_bytes().to_vec();
    bytes.insert(0, 0);
    // The shortest form whose highest bit is clear: the number is not negative.
    while let [0, next, ..] = bytes.as_slice()
        && next & 0x80 == 0
    {
        bytes.remove(0);
    }
    let length = u8::try_from(bytes.len()).unwrap_or(0);
    bytes.splice(0..0, [INTEGER, length]);
    bytes
}

/// Reads a serial number.
#[must_use]
pub fn parse_serial(value: &[u8]) -> Option<u32> {
    let (&[INTEGER, length], number) = value.split_first_chunk()? else { return None };
    if usize::from(length) != number.len() || number.is_empty() || number.len() > 5 {
        return None;
    }
    let wide = number.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    if number.first().is_some_and(|byte| byte & 0x80 != 0) { None } else { u32::try_from(wide).ok() }
}

/// Writes the policies.
#[must_use]
pub const fn write_policies(pin: PinPolicy, touch: TouchPolicy) -> [u8; 2] {
    [pin.id(), touch.id()]
}

/// Reads the policies.
#[must_use]
pub fn parse_policies(value: &[u8]) -> Option<(PinPolicy, TouchPolicy)> {
    let &[pin, touch] = value else { return None };
    Some((pin.try_into().ok()?, touch.try_into().ok()?))
}

const INTEGER: u8 = 0x02;
