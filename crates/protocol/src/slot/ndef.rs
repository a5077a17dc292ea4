//! What a key says as an NFC Forum tag: a link or a text in front of a one-time password.

use std::fmt;

use thiserror::Error;

use super::AccessCode;

/// The data of an NDEF record: the byte that begins it, and what follows, at most 54 bytes in all.
#[derive(Clone, Eq, PartialEq)]
pub struct Ndef {
    kind: NdefType,
    data: Vec<u8>,
}

/// The two record types of the NFC Forum that a key knows.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum NdefType {
    /// A link (NFC Forum URI record).
    Uri,
    /// A text (NFC Forum text record).
    Text,
}

/// How a text is written (NFC Forum text record, bit 7 of its first byte).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum TextEncoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-16, big-endian.
    Utf16,
}

impl NdefType {
    /// The type byte, `U` or `T`.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Uri => b'U',
            Self::Text => b'T',
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            b'U' => Some(Self::Uri),
            b'T' => Some(Self::Text),
            _ => None,
        }
    }
}

impl Ndef {
    /// The most bytes of data.
    pub const MAX: usize = 54;

    /// A link. The one-time password is appended to it.
    ///
    /// # Errors
    /// [`NdefError::TooLong`] when it does not fit with its well-known beginning shortened.
    pub fn uri(uri: &str) -> Result<Self, NdefError> {
        let (code, rest) = PREFIXES
            .iter()
            .zip(1_u8..)
            .find_map(|(prefix, code)| uri.strip_prefix(prefix).map(|rest| (code, rest)))
            .unwrap_or((0, uri));
        let mut data = vec![code];
        data.extend_from_slice(rest.as_bytes());
        Self::new(NdefType::Uri, data)
    }

    /// A text in UTF-8. The one-time password is appended to it.
    ///
    /// # Errors
    /// [`NdefError`] when language and text do not fit.
    pub fn text(language: &str, text: &str) -> Result<Self, NdefError> {
        Self::text_in(TextEncoding::Utf8, language, text)
    }

    /// A text in an encoding of one's choice. What the key appends is always ASCII, so readers show it
    /// behind a text in UTF-8 only.
    ///
    /// # Errors
    /// [`NdefError`] when language and text do not fit.
    pub fn text_in(encoding: TextEncoding, language: &str, text: &str) -> Result<Self, NdefError> {
        let length = u8::try_from(language.len())
            .ok()
            .filter(|length| *length <= LANGUAGE_LENGTH && !language.is_empty() && language.is_ascii())
            .ok_or(NdefError::Language)?;
        let mut data = Vec::new();
        match encoding {
            TextEncoding::Utf8 => {
                data.push(length);
                data.extend_from_slice(language.as_bytes());
                data.extend_from_slice(text.as_bytes());
            }
            TextEncoding::Utf16 => {
                data.push(length | UTF16);
                data.extend_from_slice(language.as_bytes());
                data.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
        }
        Self::new(NdefType::Text, data)
    }

    /// What a key says that was never told anything else: Yubico's demonstration page.
    #[must_use]
    pub fn factory() -> Self {
        let mut data = vec![4];
        data.extend_from_slice(b"my.yubico.com/yk/#");
        Self { kind: NdefType::Uri, data }
    }

    /// Takes data as it is stored.
    ///
    /// # Errors
    /// [`NdefError::TooLong`] for more than 54 bytes.
    pub fn new(kind: NdefType, data: Vec<u8>) -> Result<Self, NdefError> {
        if data.len() > Self::MAX {
            return Err(NdefError::TooLong { length: data.len() });
        }
        Ok(Self { kind, data })
    }

    /// Link or text.
    #[must_use]
    pub const fn kind(&self) -> NdefType {
        self.kind
    }

    /// The data as it is stored.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The link or text as people read it, without the appended password.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        let (&first, rest) = self.data.split_first()?;
        match self.kind {
            NdefType::Uri => {
                let rest = std::str::from_utf8(rest).ok()?;
                let prefix = match first {
                    0 => "",
                    code => PREFIXES.get(usize::from(code) - 1)?,
                };
                Some(format!("{prefix}{rest}"))
            }
            NdefType::Text => {
                let text = rest.get(usize::from(first & LANGUAGE_LENGTH)..)?;
                if first & UTF16 == 0 {
                    return std::str::from_utf8(text).ok().map(str::to_owned);
                }
                let units: Vec<u16> = text
                    .chunks(2)
                    .map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))
                    .collect();
                String::from_utf16(&units).ok()
            }
        }
    }

    /// The file that a reader of the tag sees: its length (two bytes, big-endian) and one short
    /// record of the data and `appended`, the slot's characters.
    #[must_use]
    pub fn file(&self, appended: &[u8]) -> Vec<u8> {
        // A short record's length is one byte: 54 stored bytes leave room for 201 more.
        let room = usize::from(u8::MAX) - self.data.len();
        let appended = appended.get(..room).unwrap_or(appended);
        let length = u8::try_from(self.data.len() + appended.len()).unwrap_or(u8::MAX);
        let mut file = (u16::from(length) + 4).to_be_bytes().to_vec();
        file.extend_from_slice(&[SINGLE_SHORT_WELL_KNOWN, 1, length, self.kind.code()]);
        file.extend_from_slice(&self.data);
        file.extend_from_slice(appended);
        file
    }
}

impl fmt::Debug for Ndef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ndef").field("kind", &self.kind).field("text", &self.to_text()).finish()
    }
}

/// The payload that sets the NDEF data: length, type, 54 bytes, and the current access code.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NdefPayload {
    /// The data; `None` for a payload of zeros, which clears it.
    pub ndef: Option<Ndef>,
    /// The access code that the slot has now.
    pub current: AccessCode,
}

impl NdefPayload {
    /// Bytes of a payload.
    pub const SIZE: usize = 2 + Ndef::MAX + AccessCode::SIZE;

    /// Writes the payload.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        if let Some(ndef) = &self.ndef {
            bytes[0] = u8::try_from(ndef.data.len()).unwrap_or(0);
            bytes[1] = ndef.kind.code();
            bytes[2..2 + ndef.data.len()].copy_from_slice(&ndef.data);
        }
        bytes[CODE_AT..].copy_from_slice(self.current.expose());
        bytes
    }

    /// Reads a payload: a HID frame's 64 bytes, or a command's data.
    ///
    /// # Errors
    /// [`NdefError`] when it is too short, of another type or too long.
    pub fn parse(bytes: &[u8]) -> Result<Self, NdefError> {
        let current = AccessCode::read_at(bytes, CODE_AT);
        let [length, kind, rest @ ..] = bytes else {
            return Err(NdefError::TooShort);
        };
        if (*length, *kind) == (0, 0) {
            return Ok(Self { ndef: None, current });
        }
        let kind = NdefType::from_code(*kind).ok_or(NdefError::Type { code: *kind })?;
        let length = usize::from(*length);
        if length > Ndef::MAX {
            return Err(NdefError::TooLong { length });
        }
        let data = rest.get(..length).ok_or(NdefError::TooShort)?.to_vec();
        Ok(Self { ndef: Some(Ndef { kind, data }), current })
    }
}

/// Why there is no NDEF data.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum NdefError {
    /// The data does not fit.
    #[error("the link or text takes {length} bytes, at most 54 fit")]
    TooLong {
        /// What it takes.
        length: usize,
    },
    /// The payload ends too early.
    #[error("the NDEF payload ends too early")]
    TooShort,
    /// Neither a link nor a text.
    #[error("the NDEF type {code:#04x} is neither a link nor a text")]
    Type {
        /// The type byte.
        code: u8,
    },
    /// The language code is empty or longer than 63 bytes.
    #[error("the language of the text must be a code such as en")]
    Language,
}

const CODE_AT: usize = 2 + Ndef::MAX;
const UTF16: u8 = 0x80;
const LANGUAGE_LENGTH: u8 = 0x3F;
const SINGLE_SHORT_WELL_KNOWN: u8 = 0xD1;

/// URI abbreviations 1 to 35 of the NFC Forum's URI record type definition, in the order in which
/// the first match wins.
const PREFIXES: [&str; 35] = [
    "http://www.",
    "https://www.",
    "http://",
    "https://",
    "tel:",
    "mailto:",
    "ftp://anonymous:anonymous@",
    "ftp://ftp.",
    "ftps://",
    "sftp://",
    "smb://",
    "nfs://",
    "ftp://",
    "dav://",
    "news:",
    "telnet://",
    "imap:",
    "rtsp://",
    "urn:",
    "pop:",
    "sip:",
    "sips:",
    "tftp:",
    "btspp://",
    "btl2cap://",
    "btgoep://",
    "tcpobex://",
    "irdaobex://",
    "file://",
    "urn:epc:id:",
    "urn:epc:tag:",
    "urn:epc:pat:",
    "urn:epc:raw:",
    "urn:epc:",
    "urn:nfc:",
];

#[cfg(test)]
mod tests;
