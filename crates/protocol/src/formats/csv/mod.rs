//! Lists of programmed slots, one line per slot, as programming tools write them.
//!
//! | format | columns |
//! |---|---|
//! | `ykman -O` | serial, public id, private id, AES key, access code, time, nothing |
//! | "Yubico" of the YubiKey Personalization Tool | the same with the access code in zeros where there is none; for HOTP the starting counter in place of the private id, for HMAC-SHA1 challenge-response a zero |
//! | provisioning files of Yubico's key-storage module | the same, with `# ykksm 1` as the first line, a second time, flags, and comments |
//! | "traditional" of the Personalization Tool | event, time, slot, public id, private id, key, present and new access code, and ten columns of settings |
//! | "flexible" of the Personalization Tool | whatever its [`Template`] says |
//! | Tapkey's own | those of `ykman -O`; for other kinds of slots the second column names the kind and the third its settings |
//!
//! All but the flexible one are told apart line by line. Lines hold secrets in the clear, so everything
//! here wipes what it read, and errors never repeat it.

mod fields;
mod records;
mod rows;
mod template;
mod traditional;
mod write;

use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

pub use template::{Template, TemplateError};

use crate::keyboard::Layout;
use crate::otp::{AesKey, PrivateId, PublicId};
use crate::secret::Secret;
use crate::slot::{
    AccessCode, ChallengeHmac, ChallengeYubico, Digits, HmacKey, Hotp, MovingFactor, Options, ScanCodes,
    ScanCodesError, Slot, SlotConfig, StaticTicket, TokenId, YubicoOtp,
};

/// One line: what a slot of a key was, or is to be, programmed with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The line it began on, counted from one; 0 for an entry that was not read.
    pub line: usize,
    /// The key's serial number.
    pub serial: Option<u32>,
    /// The slot, where the format tells.
    pub slot: Option<Slot>,
    /// What the slot does, and its secrets.
    pub credential: Credential,
    /// The access code that was needed.
    pub current_access_code: AccessCode,
    /// The access code from then on.
    pub access_code: AccessCode,
    /// When, in whatever way the format writes times.
    pub time: Option<String>,
}

/// What a slot does, and its secrets.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Credential {
    /// Types Yubico OTPs.
    YubicoOtp {
        /// The public id.
        public_id: PublicId,
        /// The private id.
        private_id: PrivateId,
        /// The AES key.
        key: AesKey,
        /// Types the 16 modhex letters first.
        send_reference: bool,
    },
    /// Types OATH-HOTP codes.
    Hotp {
        /// The key.
        key: HmacKey,
        /// Six or eight digits.
        digits: Digits,
        /// The counter of the first code.
        moving_factor: MovingFactor,
        /// What is typed in front of the code.
        token_id: Option<TokenId>,
    },
    /// Answers HMAC-SHA1 challenges.
    ChallengeHmac {
        /// The key.
        key: HmacKey,
        /// Takes challenges of up to 63 bytes.
        variable_length: bool,
        /// Answers only after a touch.
        touch: bool,
    },
    /// Answers challenges in Yubico mode.
    ChallengeYubico {
        /// The AES key.
        key: AesKey,
        /// Answers only after a touch.
        touch: bool,
    },
    /// Types a ticket that never changes.
    StaticTicket {
        /// The fixed part.
        public_id: PublicId,
        /// The private id.
        private_id: PrivateId,
        /// The AES key.
        key: AesKey,
        /// At most 16 characters.
        short: bool,
        /// The first two letters in upper case.
        strong_1: bool,
        /// Letters become digits.
        strong_2: bool,
        /// Types the reference string first.
        send_reference: bool,
        /// A long touch changes it (firmware 2).
        manual_update: bool,
    },
    /// Types 38 scan codes.
    ScanCodes {
        /// The codes.
        codes: Secret<38>,
    },
    /// Types a password, known as text.
    Password {
        /// The text.
        text: Text,
        /// For which layout.
        layout: Layout,
    },
}

/// A secret text: wiped, and hidden from `Debug`.
#[derive(Clone, Eq, PartialEq)]
pub struct Text(Zeroizing<String>);

impl Text {
    /// Takes it over.
    #[must_use]
    pub const fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text itself; name every use of this in review.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text(…)")
    }
}

impl Credential {
    /// What is to be written into a slot.
    ///
    /// # Errors
    /// [`ScanCodesError`] for a password that does not fit a slot.
    pub fn config(
        &self,
        options: Options,
        access_code: AccessCode,
    ) -> Result<Box<dyn SlotConfig>, ScanCodesError> {
        Ok(match self.clone() {
            Self::YubicoOtp { public_id, private_id, key, send_reference } => {
                Box::new(YubicoOtp { public_id, private_id, key, send_reference, options, access_code })
            }
            Self::Hotp { key, digits, moving_factor, token_id } => {
                Box::new(Hotp { key, digits, moving_factor, token_id, options, access_code })
            }
            Self::ChallengeHmac { key, variable_length, touch } => {
                Box::new(ChallengeHmac { key, variable_length, require_touch: touch, options, access_code })
            }
            Self::ChallengeYubico { key, touch } => {
                Box::new(ChallengeYubico { key, require_touch: touch, options, access_code })
            }
            Self::StaticTicket {
                public_id,
                private_id,
                key,
                short,
                strong_1,
                strong_2,
                send_reference,
                manual_update,
            } => Box::new(StaticTicket {
                public_id,
                private_id,
                key,
                short,
                strong_1,
                strong_2,
                manual_update,
                send_reference,
                options,
                access_code,
            }),
            Self::ScanCodes { codes } => {
                let used = codes.expose().iter().rposition(|code| *code != 0).map_or(0, |last| last + 1);
                Box::new(ScanCodes::from_codes(&codes.expose()[..used], options, access_code)?)
            }
            Self::Password { text, layout } => {
                Box::new(ScanCodes::from_text(text.expose(), layout, options, access_code)?)
            }
        })
    }

    /// True when the slot answers challenges and types nothing.
    #[must_use]
    pub const fn is_challenge_response(&self) -> bool {
        matches!(self, Self::ChallengeHmac { .. } | Self::ChallengeYubico { .. })
    }

    /// The public id of a Yubico OTP credential.
    #[must_use]
    pub const fn public_id(&self) -> Option<PublicId> {
        match self {
            Self::YubicoOtp { public_id, .. } => Some(*public_id),
            _ => None,
        }
    }
}

/// What to take a line for that says too little.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// OATH-HOTP.
    Hotp,
    /// HMAC-SHA1 challenge-response.
    ChallengeHmac,
}

/// How to read a list.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// What lines with a 20-byte key and nothing else are.
    pub kind: Option<Kind>,
    /// The template of a flexible log.
    pub template: Option<Template>,
}

impl Reading {
    /// Reads a list. Empty lines, comments and events that programmed nothing are skipped.
    ///
    /// # Errors
    /// [`LineError`] of the first line that cannot be read.
    ///
    /// ```
    /// use tapkey_protocol::formats::csv::{Credential, Reading};
    ///
    /// let list = "1234567,vvccccbdefgh,010203040506,000102030405060708090a0b0c0d0e0f,,2030-01-01T00:00:00,\n";
    /// let entries = Reading::default().entries(list)?;
    /// assert_eq!(entries[0].serial, Some(1_234_567));
    /// assert!(matches!(entries[0].credential, Credential::YubicoOtp { .. }));
    /// # Ok::<(), tapkey_protocol::formats::csv::LineError>(())
    /// ```
    pub fn entries(&self, text: &str) -> Result<Vec<Entry>, LineError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match &self.template {
            Some(template) => self.flexible(template, text),
            None => self.separated(text),
        }
    }

    fn flexible(&self, template: &Template, text: &str) -> Result<Vec<Entry>, LineError> {
        let mut entries = Vec::new();
        for (line, content) in (1_usize..).zip(text.lines()) {
            if content.trim().is_empty() {
                continue;
            }
            let read = template.read(content).and_then(|fields| fields.entry(line, self.kind));
            entries.extend(read.map_err(|problem| LineError { line, problem })?);
        }
        Ok(entries)
    }

    fn separated(&self, text: &str) -> Result<Vec<Entry>, LineError> {
        let commented = text.starts_with("# ykksm");
        let mut entries = Vec::new();
        for record in records::records(text, commented) {
            let (line, columns) = record?;
            let read = match traditional::fields(&columns) {
                Some(fields) => fields.and_then(|fields| fields.entry(line, self.kind)),
                None => rows::entry(line, &columns, self.kind),
            };
            entries.extend(read.map_err(|problem| LineError { line, problem })?);
        }
        Ok(entries)
    }
}

/// How to write a line.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Style {
    /// As `ykman -O`, with Tapkey's own lines for other kinds of slots.
    #[default]
    Ykman,
    /// As the "Yubico" format of the Personalization Tool.
    Yubico,
    /// As its "traditional" format.
    Traditional,
    /// As a template says.
    Flexible(Template),
}

impl Style {
    /// One line without its end, or nothing for a credential that the format cannot express.
    #[must_use]
    pub fn line(&self, entry: &Entry) -> Option<Zeroizing<String>> {
        match self {
            Self::Ykman => Some(write::ykman(entry)),
            Self::Yubico => write::yubico(entry),
            Self::Traditional => write::traditional(entry),
            Self::Flexible(template) => write::flexible(entry, template),
        }
    }
}

/// Tapkey's own line for a slot whose access code was changed and nothing else. Reading a list skips it.
#[must_use]
pub fn access_code_line(
    serial: Option<u32>,
    slot: Slot,
    access_code: &AccessCode,
    time: &str,
) -> Zeroizing<String> {
    write::access_code(serial, slot, access_code, time)
}

/// A line that cannot be read.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("line {line}: {problem}")]
pub struct LineError {
    /// Counted from one.
    pub line: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a line. It never repeats what stands there.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Problem {
    /// Quotation marks are not closed.
    #[error("quotation marks are not closed")]
    Quotes,
    /// Too few columns.
    #[error("there are {found} columns, and at least {needed} are needed")]
    Columns {
        /// How many there are.
        found: usize,
        /// How many there must be.
        needed: usize,
    },
    /// A column holds something else than it should.
    #[error("{column} is not {expected}")]
    Column {
        /// Which one.
        column: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The kind of slot is not known.
    #[error("the event or kind of slot is not known")]
    Kind,
    /// It could be two things.
    #[error("a 20-byte key alone can be OATH-HOTP or challenge-response; say which")]
    Ambiguous,
    /// The line does not follow the template.
    #[error("it does not follow the template at {place}")]
    Template {
        /// The name or the text of the template that was not found.
        place: String,
    },
}

#[cfg(test)]
mod tests;
