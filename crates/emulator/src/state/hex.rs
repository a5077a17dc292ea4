//! Byte arrays as hexadecimal text. An error says where in the file, never what stood there.

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};
use tapkey_protocol::secret::SecretBytes;
use zeroize::Zeroizing;

pub(super) fn serialize<S: Serializer, const N: usize>(
    bytes: &[u8; N],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Zeroizing::new(HEXLOWER_PERMISSIVE.encode(bytes)))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
    deserializer: D,
) -> Result<[u8; N], D::Error> {
    deserializer.deserialize_str(HexVisitor)
}

/// Bytes of any number.
pub(super) fn write_bytes<S: Serializer>(bytes: &SecretBytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Zeroizing::new(HEXLOWER_PERMISSIVE.encode(bytes.expose())))
}

pub(super) fn read_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretBytes, D::Error> {
    deserializer.deserialize_str(BytesVisitor)
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = SecretBytes;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hexadecimal digits")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        // The decoder's own error would name a digit that stood there.
        let decoded = HEXLOWER_PERMISSIVE.decode(text.as_bytes());
        decoded.map(SecretBytes::new).map_err(|_| E::custom("hexadecimal digits were expected"))
    }
}

struct HexVisitor<const N: usize>;

impl<const N: usize> Visitor<'_> for HexVisitor<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} hexadecimal digits", N * 2)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let wrong = || E::custom(format_args!("{} hexadecimal digits were expected", N * 2));
        let mut bytes = [0; N];
        if HEXLOWER_PERMISSIVE.decode_len(text.len()) != Ok(N) {
            return Err(wrong());
        }
        match HEXLOWER_PERMISSIVE.decode_mut(text.as_bytes(), &mut bytes) {
            Ok(written) if written == N => Ok(bytes),
            _ => Err(wrong()),
        }
    }
}
