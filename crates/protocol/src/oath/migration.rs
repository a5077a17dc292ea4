//! `otpauth-migration://` URIs: several accounts in one QR code, as Google Authenticator exports them.
//!
//! The format has no published specification. What is read here is what such codes are seen to
//! hold: a protocol-buffer message in base64, with the accounts in field 1 and, in fields 3 and 4,
//! how many codes belong together and which one this is.

use data_encoding::BASE64;
use thiserror::Error;
use zeroize::Zeroizing;

use super::uri::{Factor, KeyUri, KeyUriError, strip_prefix, unescape};
use super::{Algorithm, DEFAULT_PERIOD, Digits};
use crate::secret::SecretBytes;

/// What one such code holds. `Debug` hides the secrets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Migration {
    /// The accounts.
    pub accounts: Vec<KeyUri>,
    /// Which of the codes that belong together this is, from 1.
    pub number: u32,
    /// How many codes belong together.
    pub of: u32,
}

impl Migration {
    /// Whether a text is meant to be one.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        strip_prefix(text.trim(), PREFIX).is_some()
    }

    /// Reads the URI.
    ///
    /// # Errors
    /// [`MigrationError`]. All accounts are read or none.
    pub fn parse(uri: &str) -> Result<Self, MigrationError> {
        let rest = strip_prefix(uri.trim(), PREFIX).ok_or(MigrationError::NotAMigration)?;
        let (_, query) = rest.split_once('?').ok_or(MigrationError::Damaged)?;
        let data =
            query.split('&').find_map(|pair| pair.strip_prefix("data=")).ok_or(MigrationError::Damaged)?;
        // A plus sign is a letter of base64 here.
        let data = Zeroizing::new(unescape(data, false).map_err(|_| MigrationError::Damaged)?);
        let data = Zeroizing::new(data.trim_end_matches('=').to_owned());
        let padded = Zeroizing::new(format!("{}{}", *data, "=".repeat((4 - data.len() % 4) % 4)));
        let bytes = BASE64.decode(padded.as_bytes()).map_err(|_| MigrationError::Damaged)?;
        Self::read(&Zeroizing::new(bytes))
    }

    fn read(bytes: &[u8]) -> Result<Self, MigrationError> {
        let mut found = Self { accounts: Vec::new(), number: 1, of: 1 };
        for field in Fields(bytes) {
            match field? {
                (1, Value::Bytes(message)) => {
                    let number = found.accounts.len() + 1;
                    let account = read_account(message);
                    let problem = |problem| MigrationError::Account { number, problem };
                    found.accounts.push(account?.map_err(problem)?);
                }
                (3, Value::Number(of)) => found.of = u32::try_from(of).unwrap_or(1).max(1),
                (4, Value::Number(index)) => {
                    found.number = u32::try_from(index).unwrap_or(0).saturating_add(1);
                }
                _ => {}
            }
        }
        if found.accounts.is_empty() { Err(MigrationError::Damaged) } else { Ok(found) }
    }
}

type Account = Result<KeyUri, KeyUriError>;

fn read_account(message: &[u8]) -> Result<Account, MigrationError> {
    let mut secret = SecretBytes::default();
    let (mut name, mut issuer) = (String::new(), String::new());
    let (mut algorithm, mut digits, mut kind, mut counter) = (0, 0, 0, 0);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| MigrationError::Damaged);
    for field in Fields(message) {
        match field? {
            (1, Value::Bytes(bytes)) => secret = SecretBytes::new(bytes.to_vec()),
            (2, Value::Bytes(bytes)) => name = text(bytes)?,
            (3, Value::Bytes(bytes)) => issuer = text(bytes)?,
            (4, Value::Number(number)) => algorithm = number,
            (5, Value::Number(number)) => digits = number,
            (6, Value::Number(number)) => kind = number,
            (7, Value::Number(number)) => counter = number,
            _ => {}
        }
    }
    let bad = |parameter| Err(KeyUriError::BadValue { parameter });
    let algorithm = match algorithm {
        0 | 1 => Algorithm::Sha1,
        2 => Algorithm::Sha256,
        3 => Algorithm::Sha512,
        _ => return Ok(bad("algorithm")),
    };
    let digits = match digits {
        0 | 1 => Digits::SIX,
        2 => Digits::EIGHT,
        _ => return Ok(bad("digits")),
    };
    let factor = match kind {
        1 => Factor::Counter { start: counter },
        0 | 2 => Factor::Time { period: DEFAULT_PERIOD },
        _ => return Ok(Err(KeyUriError::UnknownType)),
    };
    // The issuer often stands in front of the name once more.
    let (prefix, account) = match name.split_once(':') {
        Some((prefix, account)) => (prefix.trim(), account.trim()),
        None => ("", name.trim()),
    };
    let issuer = Some(issuer.trim()).filter(|issuer| !issuer.is_empty()).unwrap_or(prefix);
    if account.is_empty() {
        return Ok(Err(KeyUriError::NoAccount));
    }
    if secret.is_empty() {
        return Ok(Err(KeyUriError::NoSecret));
    }
    let issuer = Some(issuer.to_owned()).filter(|issuer| !issuer.is_empty());
    Ok(Ok(KeyUri { issuer, account: account.to_owned(), secret, algorithm, digits, factor }))
}

/// The fields of a protocol-buffer message.
struct Fields<'a>(&'a [u8]);

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of fixed size; nothing of interest is.
    Other,
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.number()?;
        let value = match key & 7 {
            0 => Value::Number(self.number()?),
            1 => self.take(8).map(|_| Value::Other)?,
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Other)?,
            _ => return None,
        };
        Some((key >> 3, value))
    }

    /// Seven bits a byte, the lowest first; ten bytes at most.
    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), MigrationError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field().ok_or(MigrationError::Damaged);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// Why a text is no export of accounts. No message repeats a secret.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum MigrationError {
    /// It does not begin with `otpauth-migration://`.
    #[error("not an export of accounts, which begins with otpauth-migration://")]
    NotAMigration,
    /// The message in it cannot be read.
    #[error("the export of accounts is damaged")]
    Damaged,
    /// One of the accounts cannot be used.
    #[error("account {number} of the export: {problem}")]
    Account {
        /// Which one, from 1.
        number: usize,
        /// What is wrong.
        problem: KeyUriError,
    },
}

const PREFIX: &str = "otpauth-migration://";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
        [&[field << 3 | 2, u8::try_from(value.len()).unwrap()][..], value].concat()
    }

    fn number(field: u8, value: u8) -> Vec<u8> {
        vec![field << 3, value]
    }

    fn uri(message: &[u8]) -> String {
        let data = BASE64.encode(message).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        format!("otpauth-migration://offline?data={data}")
    }

    fn account(name: &str, more: &[Vec<u8>]) -> Vec<u8> {
        let secret = bytes(1, b"Hello!\xDE\xAD\xBE\xEF");
        bytes(1, &[secret, bytes(2, name.as_bytes()), more.concat()].concat())
    }

    /// A code that is quoted in descriptions of the format: one account of the key URI format's example
    /// secret.
    #[test]
    fn a_code_of_the_program_itself() {
        let uri = "otpauth-migration://offline?data=CjEKCkhlbGxvId6tvu8SGEV4YW1wbGU6YWxpY2VAZ29vZ2xlLmNvbRoHRXhhbXBsZTAC";
        let found = Migration::parse(uri).unwrap();
        assert_eq!((found.number, found.of), (1, 1));
        let expected = "otpauth://totp/Example:alice@google.com?secret=JBSWY3DPEHPK3PXP&issuer=Example";
        assert_eq!(found.accounts, [expected.parse::<KeyUri>().unwrap()]);
        assert!(Migration::is_one(uri) && !Migration::is_one(expected));
    }

    #[test]
    fn all_fields() {
        let first = account("Shop:bob", &[number(4, 3), number(5, 2), number(6, 1), number(7, 42)]);
        let second = account("carol", &[bytes(3, b"Other"), number(9, 1), vec![10 << 3 | 5, 0, 0, 0, 0]]);
        let message = [first, second, number(2, 1), number(3, 2), number(4, 1), number(5, 9)].concat();
        let found = Migration::parse(&uri(&message)).unwrap();
        assert_eq!((found.number, found.of), (2, 2));
        let [bob, carol] = &found.accounts[..] else { panic!() };
        assert_eq!((bob.issuer.as_deref(), &*bob.account), (Some("Shop"), "bob"));
        assert_eq!((bob.algorithm, bob.digits), (Algorithm::Sha512, Digits::EIGHT));
        assert_eq!(bob.factor, Factor::Counter { start: 42 });
        assert_eq!((carol.issuer.as_deref(), &*carol.account), (Some("Other"), "carol"));
    }

    #[test]
    fn what_is_refused() {
        use MigrationError::*;
        for bad in ["otpauth://totp/x?secret=AA", "", "otpauth-migration:/"] {
            assert_eq!(Migration::parse(bad), Err(NotAMigration));
        }
        for bad in ["", "x", "?data=", "?data=!", "offline?data=AAA", "?data=CgA"] {
            assert!(Migration::parse(&format!("otpauth-migration://{bad}")).is_err(), "{bad}");
        }
        let refused = |more: &[Vec<u8>]| Migration::parse(&uri(&account("a", more))).unwrap_err();
        let problem = KeyUriError::BadValue { parameter: "algorithm" };
        assert_eq!(refused(&[number(4, 4)]), Account { number: 1, problem }, "MD5");
        let message = format!("{:?} {}", refused(&[number(4, 4)]), refused(&[number(4, 4)]));
        assert!(!message.contains("Hello"));
        // Longer than what is there, and numbers without an end.
        assert_eq!(Migration::parse(&uri(&[0x0A, 0x7F, 1])), Err(Damaged));
        assert_eq!(Migration::parse(&uri(&[0xFF; 20])), Err(Damaged));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text: String) {
            let _ = Migration::parse(&uri(&bytes));
            let _ = Migration::parse(&format!("otpauth-migration://{text}"));
        }

        #[test]
        fn a_damaged_code_is_read_or_refused(place in 0..40_usize, byte: u8) {
            let mut message = account("Shop:bob", &[number(4, 2), number(6, 2)]);
            if let Some(there) = message.get_mut(place) {
                *there = byte;
            }
            let _ = Migration::parse(&uri(&message));
        }
    }
}
