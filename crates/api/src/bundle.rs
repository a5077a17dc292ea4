//! Bundles: keys that a provisioning station programmed without a server at hand.
//!
//! A bundle is a text file that only grows. Its first line names the format, the bundle and the
//! public key of the server it is for; after it stands one armored age message (see
//! <https://age-encryption.org/v1>) for each thing that happened:
//!
//! ```text
//! tapkey-bundle/1 0123456789abcdef0123456789abcdef age1…
//! -----BEGIN AGE ENCRYPTED FILE-----
//! …
//! -----END AGE ENCRYPTED FILE-----
//! -----BEGIN AGE ENCRYPTED FILE-----
//! …
//! ```
//!
//! Each message holds the JSON of an [`Envelope`]. It names the bundle, its own number and the
//! SHA-256 of what stands before it, so that a message that is missing, moved or brought from
//! another bundle is noticed; the last one closes the bundle, so that a missing end is noticed too.
//! Whoever has the server's public key can make a bundle: who made one is proven by how it travelled
//! (compare [`ImportReport::sha256`](crate::imports::ImportReport::sha256) with what the station said).
//!
//! [`Container`] takes the file apart without opening anything; nothing in it is secret until a
//! message is decrypted.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::SecretText;

/// The name of the format, in the first line and in every envelope.
pub const FORMAT: &str = "tapkey-bundle";
/// The version of the format that this crate reads and writes.
pub const VERSION: u32 = 1;
/// The first line of an armored age message.
pub const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
/// The last line of an armored age message.
pub const END: &str = "-----END AGE ENCRYPTED FILE-----";

/// The plain text of one message.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// The bundle's id, as in its first line: 32 hexadecimal digits.
    pub bundle: String,
    /// The message's number in the bundle, from 1.
    pub sequence: u64,
    /// SHA-256 of the message before, armor and final line feed included, or of the first line of the
    /// file: 64 hexadecimal digits.
    pub previous: String,
    /// What happened.
    pub content: Content,
}

/// What a message tells.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Content {
    /// A credential was drawn, and is about to be written into a key.
    Credential(Box<StationRecord>),
    /// A key typed a password of a credential.
    Proof(StationProof),
    /// A credential was never written into a key.
    Void(StationVoid),
    /// The station ended here.
    Close(StationClose),
}

/// A credential that a station drew.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StationRecord {
    /// Names the record wherever it goes, so that importing it twice is once: 32 hexadecimal digits.
    pub id: String,
    /// The records that this one replaces: they were drawn for the same key, which does not hold them
    /// any more or never got them. Not all of them need be in the bundle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<String>,
    /// What the station calls itself.
    pub station: String,
    /// Name of the account that will own the key.
    pub account: String,
    /// What people will call the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The key's slot, 1 or 2.
    pub slot: u8,
    /// The key's serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// The key's firmware version, such as `5.7.4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// Whether the key is made of software.
    pub emulated: bool,
    /// The public id, modhex.
    pub public_id: String,
    /// The private id, 12 hexadecimal digits.
    pub private_id: SecretText,
    /// The AES-128 key, 32 hexadecimal digits.
    pub aes_key: SecretText,
    /// The slot's new access code, 12 hexadecimal digits, where it gets one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_code: Option<SecretText>,
    /// When it was drawn, by the station's clock.
    pub created_at: Timestamp,
}

/// A password that a key typed at the station.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StationProof {
    /// Of which record.
    pub record: String,
    /// The password. It is spent: importing remembers its counters.
    pub otp: SecretText,
    /// The counters inside, where the station could open the password: the use counter and the
    /// session counter. After an interruption it has forgotten the secret and cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<(u16, u8)>,
    /// When it was typed, by the station's clock.
    pub at: Timestamp,
}

/// A record that went nowhere.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StationVoid {
    /// Which.
    pub record: String,
    /// Why, in a sentence.
    pub reason: String,
    /// When, by the station's clock.
    pub at: Timestamp,
}

/// The end of a bundle, or of one run of a station: more may follow, and then another end.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StationClose {
    /// When, by the station's clock.
    pub at: Timestamp,
}

/// The first line of a bundle.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header<'a> {
    /// The bundle's id, 32 hexadecimal digits.
    pub bundle: &'a str,
    /// The public key it is encrypted to, `age1…`. A claim: what counts is which key opens it.
    pub recipient: &'a str,
}

impl fmt::Display for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FORMAT}/{VERSION} {} {}", self.bundle, self.recipient)
    }
}

/// A bundle taken apart into its messages, none of them opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Container<'a> {
    /// The first line.
    pub header: Header<'a>,
    /// The first line with its line feed, as it stands in the file.
    pub head: &'a str,
    /// The messages, each from its first line to the line feed after its last.
    pub messages: Vec<&'a str>,
    /// How many bytes of the file these are. More follow where the last message was cut off.
    pub whole: usize,
}

impl<'a> Container<'a> {
    /// Takes a complete bundle apart.
    ///
    /// # Errors
    /// It is no bundle, of another version, or ends within a message.
    pub fn parse(text: &'a str) -> Result<Self, ContainerError> {
        let container = Self::scan(text)?;
        if container.whole < text.len() { Err(ContainerError::Truncated) } else { Ok(container) }
    }

    /// The same, where the last message may be cut off, as after a power cut.
    ///
    /// # Errors
    /// It is no bundle, or of another version.
    pub fn scan(text: &'a str) -> Result<Self, ContainerError> {
        let Some((line, _)) = text.split_once('\n') else { return Err(no_first_line(text)) };
        let header = header(line)?;
        let mut container =
            Self { header, head: &text[..=line.len()], messages: Vec::new(), whole: line.len() + 1 };
        let mut number = 2;
        while container.whole < text.len() {
            let rest = &text[container.whole..];
            let Some(length) = message(rest, number)? else { break };
            number += rest[..length].matches('\n').count();
            container.messages.push(&rest[..length]);
            container.whole += length;
        }
        Ok(container)
    }
}

fn no_first_line(text: &str) -> ContainerError {
    let start = format!("{FORMAT}/");
    if text.starts_with(&start) { ContainerError::Truncated } else { ContainerError::NotABundle }
}

fn header(line: &str) -> Result<Header<'_>, ContainerError> {
    let rest = line.strip_prefix(FORMAT).and_then(|rest| rest.strip_prefix('/'));
    let rest = rest.ok_or(ContainerError::NotABundle)?;
    let mut words = rest.split(' ');
    let version = words.next().and_then(|word| word.parse::<u32>().ok()).ok_or(ContainerError::NotABundle)?;
    if version != VERSION {
        return Err(ContainerError::Version(version));
    }
    match (words.next(), words.next(), words.next()) {
        (Some(bundle), Some(recipient), None) if is_id(bundle) && is_recipient(recipient) => {
            Ok(Header { bundle, recipient })
        }
        _ => Err(ContainerError::Malformed { line: 1 }),
    }
}

/// The length of the message that the text begins with; `None` where it is cut off.
fn message(text: &str, first: usize) -> Result<Option<usize>, ContainerError> {
    let mut length = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        length += line.len();
        let content = line.strip_suffix('\n');
        let wrong = Err(ContainerError::Malformed { line: first + index });
        match (index, content) {
            (0, Some(BEGIN)) => {}
            (0, None) if BEGIN.starts_with(line) => return Ok(None),
            (0, _) => return wrong,
            (_, Some(END)) => return Ok(Some(length)),
            (_, Some(content)) if is_base64(content) => {}
            (_, None) if is_base64(line) || END.starts_with(line) => return Ok(None),
            _ => return wrong,
        }
        if length > MAX_MESSAGE {
            return Err(ContainerError::MessageTooLong { line: first });
        }
    }
    Ok(None)
}

/// Whether a text is an id of a bundle or a record: 32 hexadecimal digits.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A native age public key, as far as its letters tell.
fn is_recipient(text: &str) -> bool {
    text.starts_with("age1")
        && text.len() <= 128
        && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'z'))
}

fn is_base64(line: &str) -> bool {
    !line.is_empty()
        && line.len() <= 64
        && line.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
}

/// The longest message, in bytes; a record has about 1500.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Why a text is no bundle.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ContainerError {
    /// The first line is another format's.
    #[error("this is not a bundle: its first line does not begin with {FORMAT}/")]
    NotABundle,
    /// Another version of the format.
    #[error(
        "the bundle is of version {0} of its format, and only version {VERSION} is known here; use the program it was made for"
    )]
    Version(u32),
    /// A line that does not belong there.
    #[error("line {line} of the bundle does not belong there; the file was changed or damaged")]
    Malformed {
        /// Which line, from 1.
        line: usize,
    },
    /// A message is longer than any of ours.
    #[error("the message that begins in line {line} of the bundle is too long")]
    MessageTooLong {
        /// Where it begins, from 1.
        line: usize,
    },
    /// The file ends within a message.
    #[error("the bundle is cut off; copy it again, or run the station once more to mend it")]
    Truncated,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "tapkey-bundle/1 0123456789abcdef0123456789abcdef age1abc\n";

    fn message() -> String {
        format!("{BEGIN}\n{}\nAA==\n{END}\n", "A".repeat(64))
    }

    #[test]
    fn taken_apart_and_put_together() {
        let text = format!("{HEAD}{}{}", message(), message());
        let container = Container::parse(&text).unwrap();
        assert_eq!(container.header.recipient, "age1abc");
        assert_eq!(container.header.to_string(), HEAD);
        assert_eq!(container.messages, [message(), message()]);
        assert_eq!(Container::parse(HEAD).unwrap().messages.len(), 0);
    }

    #[test]
    fn a_cut_is_noticed_wherever_it_is() {
        let text = format!("{HEAD}{}{}", message(), message());
        let ends = [HEAD.len(), HEAD.len() + message().len(), text.len()];
        for end in "tapkey-bundle/".len()..=text.len() {
            let part = Container::parse(&text[..end]);
            if ends.contains(&end) {
                assert!(part.is_ok(), "{end}");
                continue;
            }
            assert_eq!(part, Err(ContainerError::Truncated), "{end}");
            if let Ok(scanned) = Container::scan(&text[..end]) {
                assert_eq!(ends.iter().rfind(|one| **one < end), Some(&scanned.whole), "{end}");
            }
        }
    }

    #[test]
    fn what_does_not_belong_there_is_named() {
        let message = message();
        for (text, error) in [
            (String::new(), ContainerError::NotABundle),
            ("age-encryption.org/v1\n".to_owned(), ContainerError::NotABundle),
            (HEAD.replace("/1", "/2"), ContainerError::Version(2)),
            (HEAD.replace("age1", "ssh-"), ContainerError::Malformed { line: 1 }),
            (HEAD.replace("0123", "012G"), ContainerError::Malformed { line: 1 }),
            (format!("{HEAD}\n{message}"), ContainerError::Malformed { line: 2 }),
            (format!("{HEAD}{message}x\n"), ContainerError::Malformed { line: 6 }),
            (format!("{HEAD}{BEGIN}\n!\n{END}\n"), ContainerError::Malformed { line: 3 }),
            (format!("{HEAD}{BEGIN}\n{}\n", "A".repeat(65)), ContainerError::Malformed { line: 3 }),
            (
                format!("{HEAD}{BEGIN}\n{}", format!("{}\n", "A".repeat(64)).repeat(1100)),
                ContainerError::MessageTooLong { line: 2 },
            ),
        ] {
            assert_eq!(Container::parse(&text), Err(error), "{text:.80}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let record = StationRecord {
            id: "1".into(),
            replaces: Vec::new(),
            station: "s".into(),
            account: "a".into(),
            label: None,
            slot: 2,
            serial: None,
            firmware: None,
            emulated: false,
            public_id: "vvcc".into(),
            private_id: SecretText::new("p-secret".into()),
            aes_key: SecretText::new("k-secret".into()),
            access_code: Some(SecretText::new("c-secret".into())),
            created_at: Timestamp::UNIX_EPOCH,
        };
        let proof = StationProof {
            record: "1".into(),
            otp: SecretText::new("o-secret".into()),
            counters: Some((1, 0)),
            at: Timestamp::UNIX_EPOCH,
        };
        assert!(!format!("{record:?} {proof:?}").contains("secret"));
        let content = Content::Credential(Box::new(record));
        let json = serde_json::to_string(&content).unwrap();
        assert_eq!(serde_json::from_str::<Content>(&json).unwrap(), content);
        let json = json.replace("\"slot\"", "\"extra\":1,\"slot\"");
        assert!(serde_json::from_str::<Content>(&json).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String, tail in "[A-Za-z0-9+/=\n-]{0,200}") {
            let _ = Container::parse(&text);
            let text = format!("{HEAD}{}{tail}", message());
            if let Ok(container) = Container::scan(&text) {
                prop_assert!(container.whole <= text.len());
                let together = format!("{}{}", container.head, container.messages.concat());
                prop_assert_eq!(&text[..container.whole], together);
            }
        }
    }
}
