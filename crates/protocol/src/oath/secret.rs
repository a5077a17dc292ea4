//! Secrets of credentials: as people type them, and as a key takes them.

use data_encoding::BASE32_NOPAD;
use thiserror::Error;
use zeroize::Zeroizing;

use super::Algorithm;
use crate::secret::SecretBytes;

/// The fewest bytes of a secret that a key takes; shorter ones are filled up with zeros, which
/// does not change their codes (RFC 2104 section 2).
pub const MIN_SECRET: usize = 14;
/// The most bytes of a secret that a key takes.
pub const MAX_SECRET: usize = 64;

/// Brings a secret into the form that a key takes, with the same codes: hashed when it is longer
/// than a block of the hash, filled up with zeros below [`MIN_SECRET`] bytes.
///
/// # Errors
/// [`SecretError::Empty`]; [`SecretError::TooLong`] for 65 to 128 bytes with SHA-512, whose block
/// is longer than what a key takes.
pub fn prepare_secret(algorithm: Algorithm, secret: &[u8]) -> Result<SecretBytes, SecretError> {
    if secret.is_empty() {
        return Err(SecretError::Empty);
    }
    // Room for everything at once: growing would leave a copy behind.
    let mut prepared = Vec::with_capacity(MAX_SECRET);
    if secret.len() > algorithm.block_size() {
        prepared.extend_from_slice(&Zeroizing::new(algorithm.digest(secret)));
    } else if secret.len() > MAX_SECRET {
        return Err(SecretError::TooLong { length: secret.len() });
    } else {
        prepared.extend_from_slice(secret);
    }
    prepared.resize(prepared.len().max(MIN_SECRET), 0);
    Ok(SecretBytes::new(prepared))
}

/// Reads a secret in base32 as services print it: in either case, with or without padding, and
/// with spaces or hyphens between groups.
///
/// # Errors
/// [`SecretError`] for anything else.
pub fn parse_base32(text: &str) -> Result<SecretBytes, SecretError> {
    let mut cleaned = Zeroizing::new(String::with_capacity(text.len()));
    cleaned.extend(
        text.trim_end_matches('=')
            .chars()
            .filter(|c| !matches!(c, ' ' | '-'))
            .map(|c| c.to_ascii_uppercase()),
    );
    if cleaned.is_empty() {
        return Err(SecretError::Empty);
    }
    // Some services cut the last character's unused bits off, others leave them set.
    let mut lenient = data_encoding::Specification::new();
    lenient.symbols.push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
    lenient.check_trailing_bits = false;
    let decoded = match lenient.encoding() {
        Ok(encoding) => encoding.decode(cleaned.as_bytes()),
        Err(_) => BASE32_NOPAD.decode(cleaned.as_bytes()),
    };
    match decoded {
        Ok(bytes) if !bytes.is_empty() => Ok(SecretBytes::new(bytes)),
        Ok(_) | Err(_) => Err(SecretError::NotBase32),
    }
}

/// Writes a secret in base32, upper case and without padding.
#[must_use]
pub fn write_base32(secret: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(BASE32_NOPAD.encode(secret))
}

/// Why a secret cannot be used.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SecretError {
    /// There is none.
    #[error("the secret is empty")]
    Empty,
    /// The text is not base32. It is not repeated here.
    #[error("the secret is not base32; it has the letters A to Z and the digits 2 to 7")]
    NotBase32,
    /// A key has no room for it, and shortening would change its codes.
    #[error("a secret of {length} bytes does not fit a key, which takes {MAX_SECRET}; ask for a shorter one")]
    TooLong {
        /// The bytes it has.
        length: usize,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Digits, totp};
    use super::*;

    const ALL: [Algorithm; 3] = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];

    #[test]
    fn base32_as_people_write_it() {
        for text in ["JBSWY3DPEHPK3PXP", "jbsw y3dp ehpk 3pxp", "JBSWY3DP-EHPK3PXP", "JBSWY3DPEHPK3PXP===="] {
            assert_eq!(parse_base32(text).unwrap().expose(), b"Hello!\xDE\xAD\xBE\xEF");
        }
        assert_eq!(parse_base32("MZ").unwrap(), parse_base32("MY").unwrap(), "bits that mean nothing");
        assert_eq!(parse_base32(" == "), Err(SecretError::NotBase32));
        assert_eq!(parse_base32("=="), Err(SecretError::Empty));
        for text in ["A", "ABC1", "ABÄ2", "AB=C"] {
            assert_eq!(parse_base32(text), Err(SecretError::NotBase32), "{text}");
        }
    }

    #[test]
    fn lengths() {
        for algorithm in ALL {
            assert_eq!(prepare_secret(algorithm, &[]), Err(SecretError::Empty));
            assert_eq!(prepare_secret(algorithm, &[1]).unwrap().expose(), [&[1][..], &[0; 13]].concat());
            assert_eq!(prepare_secret(algorithm, &[1; 64]).unwrap().expose(), [1; 64]);
            assert_eq!(prepare_secret(algorithm, &[1; 129]).unwrap().expose(), algorithm.digest(&[1; 129]));
        }
        assert_eq!(prepare_secret(Algorithm::Sha1, &[1; 65]).unwrap().len(), 20);
        assert_eq!(prepare_secret(Algorithm::Sha512, &[1; 65]), Err(SecretError::TooLong { length: 65 }));
    }

    proptest! {
        #[test]
        fn base32_round_trip(secret in proptest::collection::vec(any::<u8>(), 1..100)) {
            let text = write_base32(&secret);
            let read = parse_base32(&text).unwrap();
            prop_assert_eq!(read.expose(), &secret[..]);
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = parse_base32(&text);
        }

        #[test]
        fn preparing_changes_no_code(secret in proptest::collection::vec(any::<u8>(), 1..200), which in 0..3_usize, time: u32) {
            let algorithm = ALL[which];
            if let Ok(prepared) = prepare_secret(algorithm, &secret) {
                let code = |key: &[u8]| totp(algorithm, key, time.into(), 30, Digits::EIGHT);
                prop_assert_eq!(code(prepared.expose()), code(&secret));
            }
        }
    }
}
