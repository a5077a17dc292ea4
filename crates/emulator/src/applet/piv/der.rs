//! The little of DER (ITU-T X.690) that a card writes: certificates and what is in them.

use tapkey_protocol::piv::PublicKey;
use tapkey_protocol::tlv::Writer;

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
/// `[0]` and `[3]`, explicit.
pub(super) const CONTEXT_0: u8 = 0xA0;
pub(super) const CONTEXT_3: u8 = 0xA3;
const SET: u8 = 0x31;
const BIT_STRING: u8 = 0x03;
const BOOLEAN: u8 = 0x01;
const NULL: u8 = 0x05;
const OBJECT_ID: u8 = 0x06;
const UTF8_STRING: u8 = 0x0C;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// An element with these parts one after another.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.push(tag, &parts.concat());
    writer.into_bytes()
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, parts)
}

/// A number that is not negative, from its bytes, highest first.
pub(super) fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let digits = bytes.get(start..).unwrap_or_default();
    let sign: &[u8] = if digits.first().is_none_or(|first| first & 0x80 != 0) { &[0] } else { &[] };
    element(INTEGER, &[sign, digits])
}

pub(super) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], bytes])
}

/// A name of one part: CN.
pub(super) fn common_name(name: &str) -> Vec<u8> {
    let part = sequence(&[&oid(&[0x55, 0x04, 0x03]), &element(UTF8_STRING, &[name.as_bytes()])]);
    sequence(&[&element(SET, &[&part])])
}

/// From a moment written `YYMMDDhhmmssZ` before 2050 to one written `YYYYMMDDhhmmssZ` after it.
pub(super) fn validity(from: &str, to: &str) -> Vec<u8> {
    sequence(&[&element(UTC_TIME, &[from.as_bytes()]), &element(GENERALIZED_TIME, &[to.as_bytes()])])
}

pub(super) fn extension(id: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let mark = if critical { element(BOOLEAN, &[&[0xFF]]) } else { Vec::new() };
    sequence(&[&oid(id), &mark, &element(OCTET_STRING, &[value])])
}

/// Basic constraints (RFC 5280 section 4.2.1.9) of an authority with `below` more below it.
pub(super) fn authority(below: u8) -> Vec<u8> {
    let value = sequence(&[&element(BOOLEAN, &[&[0xFF]]), &integer(&[below])]);
    extension(&[0x55, 0x1D, 0x13], true, &value)
}

/// `sha256WithRSAEncryption` (RFC 8017 appendix A.2.4).
pub(super) fn sha256_with_rsa() -> Vec<u8> {
    sequence(&[&oid(&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 11]), &element(NULL, &[])])
}

/// `ecdsa-with-SHA256` (RFC 5758 section 3.2).
pub(super) fn ecdsa_with_sha256() -> Vec<u8> {
    sequence(&[&oid(&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2])])
}

/// A `SubjectPublicKeyInfo` (RFC 3279, RFC 5480, RFC 8410).
pub(super) fn public_key(key: &PublicKey) -> Vec<u8> {
    let curve = |curve: &[u8], point: &[u8]| {
        let algorithm = sequence(&[&oid(&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1]), &oid(curve)]);
        sequence(&[&algorithm, &bit_string(point)])
    };
    let edwards =
        |id: u8, point: &[u8]| sequence(&[&sequence(&[&oid(&[0x2B, 0x65, id])]), &bit_string(point)]);
    match key {
        PublicKey::Rsa { modulus, exponent } => {
            let algorithm =
                sequence(&[&oid(&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1]), &element(NULL, &[])]);
            sequence(&[&algorithm, &bit_string(&sequence(&[&integer(modulus), &integer(exponent)]))])
        }
        PublicKey::P256(point) => curve(&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7], point),
        PublicKey::P384(point) => curve(&[0x2B, 0x81, 0x04, 0x00, 0x22], point),
        PublicKey::Ed25519(point) => edwards(0x70, point),
        PublicKey::X25519(point) => edwards(0x6E, point),
    }
}

fn oid(bytes: &[u8]) -> Vec<u8> {
    element(OBJECT_ID, &[bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_minimal_and_not_negative() {
        assert_eq!(integer(&[0, 0, 5]), [2, 1, 5]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[]), [2, 1, 0]);
        assert_eq!(integer(&[0, 0]), [2, 1, 0]);
    }
}
