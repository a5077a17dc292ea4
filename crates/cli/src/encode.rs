//! Bytes as text in what people read and type.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use crate::exit::Failure;

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// Hexadecimal digits in either case, with or without white space and colons between them.
///
/// The error never repeats the text: it may be a secret.
pub(crate) fn from_hex(text: &str, what: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let digits: Zeroizing<String> =
        Zeroizing::new(text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect());
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).map(Zeroizing::new).map_err(|error| {
        let message = match error.kind {
            data_encoding::DecodeKind::Length => {
                format!("{what} has {} hexadecimal digits, which is an odd number", digits.chars().count())
            }
            _ => format!(
                "{what} has something at position {} that is no hexadecimal digit",
                error.position + 1
            ),
        };
        Failure::usage(message).hint("write it with the digits 0-9 and a-f, two for each byte")
    })
}

/// Exactly `N` bytes in hexadecimal digits.
pub(crate) fn from_hex_exact<const N: usize>(text: &str, what: &str) -> Result<Zeroizing<[u8; N]>, Failure> {
    let bytes = from_hex(text, what)?;
    let array: [u8; N] = bytes.as_slice().try_into().map_err(|_| {
        Failure::usage(format!("{what} has {} bytes, but must have {N}", bytes.len()))
            .hint(format!("give {} hexadecimal digits", N * 2))
    })?;
    Ok(Zeroizing::new(array))
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Failure> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice())
        .map_err(|error| Failure::failed(format!("the system gave no random bytes: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_do_not_repeat_the_secret() {
        for text in ["c0ffee0", "c0ffeezz", "c0ffee"] {
            let failure = from_hex_exact::<6>(text, "the access code").unwrap_err();
            assert!(!failure.message().contains("c0ffee"), "{failure}");
        }
    }

    #[test]
    fn separators_are_skipped() {
        assert_eq!(from_hex("87:92 EB\tfe", "x").unwrap().as_slice(), [0x87, 0x92, 0xeb, 0xfe]);
    }
}
