//! Slots that type the same thing each time.

use thiserror::Error;

use super::builder::{Options, SlotConfig, V2_0};
use super::yubico_otp::fixed_part;
use super::{AccessCode, ConfigFlags, SlotRecord};
use crate::keyboard::{Key, Layout};
use crate::otp::{AesKey, PrivateId, PublicId};
use crate::secret::Secret;
use crate::version::{Unsupported, Version};

/// A slot that types a static password of up to 38 keys.
///
/// ```
/// use tapkey_protocol::slot::{AccessCode, Options, ScanCodes, SlotConfig, SlotKind};
///
/// let config = ScanCodes::from_us_text("Hello", Options::for_typing(), AccessCode::NONE)?;
/// assert_eq!(config.kind(), SlotKind::ScanCodes);
/// # Ok::<(), tapkey_protocol::slot::ScanCodesError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ScanCodes {
    codes: Secret<{ Self::MAX }>,
    /// Common settings.
    pub options: Options,
    /// The access code from now on.
    pub access_code: AccessCode,
}

impl ScanCodes {
    /// The most keys of a password.
    pub const MAX: usize = 38;

    /// Makes a password of keys.
    ///
    /// # Errors
    /// [`ScanCodesError::TooLong`] for more than 38 keys, [`ScanCodesError::Empty`] for none.
    pub fn from_keys(
        keys: &[Key],
        options: Options,
        access_code: AccessCode,
    ) -> Result<Self, ScanCodesError> {
        if keys.is_empty() {
            return Err(ScanCodesError::Empty);
        }
        let mut codes = [0; Self::MAX];
        if keys.len() > codes.len() {
            return Err(ScanCodesError::TooLong { length: keys.len() });
        }
        for (code, key) in codes.iter_mut().zip(keys) {
            *code = key.scan_code();
        }
        Ok(Self { codes: Secret::new(codes), options, access_code })
    }

    /// Makes a password of scan codes as a slot holds them: bit 7 is Shift.
    ///
    /// # Errors
    /// As [`from_keys`](Self::from_keys).
    pub fn from_codes(
        codes: &[u8],
        options: Options,
        access_code: AccessCode,
    ) -> Result<Self, ScanCodesError> {
        let keys: Vec<Key> = codes.iter().map(|code| Key::from_scan_code(*code)).collect();
        Self::from_keys(&keys, options, access_code)
    }

    /// Makes a password of a text that will come out on a machine with this keyboard layout.
    ///
    /// # Errors
    /// [`ScanCodesError`]; [`ScanCodesError::NotOnKeyboard`] names the first character that the layout
    /// lacks.
    pub fn from_text(
        text: &str,
        layout: Layout,
        options: Options,
        access_code: AccessCode,
    ) -> Result<Self, ScanCodesError> {
        let mut keys = Vec::with_capacity(text.len());
        for (index, character) in text.chars().enumerate() {
            let found = layout.keys(character).ok_or(ScanCodesError::NotOnKeyboard {
                position: index + 1,
                character,
                layout,
            })?;
            keys.extend(found);
        }
        Self::from_keys(&keys, options, access_code)
    }

    /// Makes a password of a text that will come out on a US keyboard layout.
    ///
    /// # Errors
    /// As [`from_text`](Self::from_text).
    pub fn from_us_text(
        text: &str,
        options: Options,
        access_code: AccessCode,
    ) -> Result<Self, ScanCodesError> {
        Self::from_text(text, Layout::Us, options, access_code)
    }

    /// The scan codes, in the order in which they are typed; unused ones are zero.
    #[must_use]
    pub const fn codes(&self) -> &Secret<{ Self::MAX }> {
        &self.codes
    }
}

impl SlotConfig for ScanCodes {
    fn record(&self) -> SlotRecord {
        let codes = self.codes.expose();
        let mut record = self.options.typing_record(&self.access_code);
        record.config = record.config | ConfigFlags::SHORT_TICKET;
        let mut fixed = [0; 16];
        let mut uid = [0; 6];
        let mut key = [0; 16];
        fixed.copy_from_slice(&codes[..16]);
        uid.copy_from_slice(&codes[16..22]);
        key.copy_from_slice(&codes[22..]);
        SlotRecord {
            fixed: Secret::new(fixed),
            fixed_length: SlotRecord::MAX_FIXED,
            uid: Secret::new(uid),
            key: Secret::new(key),
            ..record
        }
    }

    fn supported_by(&self, version: Version) -> Result<(), Unsupported> {
        Unsupported::check_at_least("static passwords of scan codes", version, V2_0)?;
        self.options.supported_by(version)
    }
}

/// Why there is no static password.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ScanCodesError {
    /// There is none.
    #[error("the password is empty")]
    Empty,
    /// It is too long.
    #[error("a password of {length} keys does not fit a slot, at most 38 do")]
    TooLong {
        /// How many keys it takes; a character of a dead key takes two.
        length: usize,
    },
    /// A character is not on the keyboard.
    #[error(
        "character {position} of the password, {character:?}, cannot be typed on the {} keyboard layout ({layout})",
        .layout.title()
    )]
    NotOnKeyboard {
        /// Its place, counted from one.
        position: usize,
        /// The character itself.
        character: char,
        /// The layout that lacks it.
        layout: Layout,
    },
}

/// A slot that types a ticket which never changes: modhex letters made of its key.
#[derive(Clone, Debug)]
pub struct StaticTicket {
    /// The fixed part, typed in front.
    pub public_id: PublicId,
    /// The private id.
    pub private_id: PrivateId,
    /// The AES key.
    pub key: AesKey,
    /// At most 16 characters (firmware 2.0 and later).
    pub short: bool,
    /// The first two letters in upper case (firmware 2.0 and later).
    pub strong_1: bool,
    /// Letters become digits (firmware 2.0 and later).
    pub strong_2: bool,
    /// A long touch changes the ticket (firmware 2.0 and later).
    pub manual_update: bool,
    /// Type the reference string first, or `!` with a strong password.
    pub send_reference: bool,
    /// Common settings.
    pub options: Options,
    /// The access code from now on.
    pub access_code: AccessCode,
}

impl SlotConfig for StaticTicket {
    fn record(&self) -> SlotRecord {
        let (fixed, fixed_length) = fixed_part(self.public_id.as_bytes());
        let mut record = self.options.typing_record(&self.access_code);
        record.config = (record.config | ConfigFlags::STATIC_TICKET)
            .with(ConfigFlags::SHORT_TICKET, self.short)
            .with(ConfigFlags::STRONG_PASSWORD_1, self.strong_1)
            .with(ConfigFlags::STRONG_PASSWORD_2, self.strong_2)
            .with(ConfigFlags::MANUAL_UPDATE, self.manual_update)
            .with(ConfigFlags::SEND_REFERENCE, self.send_reference);
        SlotRecord {
            fixed,
            fixed_length,
            uid: Secret::new(*self.private_id.expose()),
            key: Secret::new(*self.key.expose()),
            ..record
        }
    }

    fn supported_by(&self, version: Version) -> Result<(), Unsupported> {
        if self.short || self.strong_1 || self.strong_2 || self.manual_update {
            Unsupported::check_at_least("short, strong and changeable static tickets", version, V2_0)?;
        }
        self.options.supported_by(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::SlotKind;

    #[test]
    fn password_fills_three_fields() {
        let text: String = ('a'..='z').chain('A'..='L').collect();
        let config = ScanCodes::from_us_text(&text, Options::for_typing(), AccessCode::NONE).unwrap();
        let record = config.record();
        assert_eq!(record.fixed_length, 16);
        assert_eq!(record.kind(), SlotKind::ScanCodes);
        let codes = record.scan_codes();
        assert_eq!(codes.expose()[..3], [4, 5, 6]);
        assert_eq!(codes.expose()[26], 0x84);
    }

    #[test]
    fn passwords_that_do_not_fit() {
        let make = |text: &str| ScanCodes::from_us_text(text, Options::default(), AccessCode::NONE).err();
        assert_eq!(make(""), Some(ScanCodesError::Empty));
        assert_eq!(make(&"x".repeat(39)), Some(ScanCodesError::TooLong { length: 39 }));
        assert_eq!(
            make("aé"),
            Some(ScanCodesError::NotOnKeyboard { position: 2, character: 'é', layout: Layout::Us })
        );
        assert_eq!(make(&"x".repeat(38)), None);
    }

    #[test]
    fn layouts() {
        let codes = |text: &str, layout| {
            ScanCodes::from_text(text, layout, Options::default(), AccessCode::NONE)
                .unwrap()
                .codes()
                .expose()
                .to_vec()
        };
        assert_eq!(codes("zy", Layout::De)[..3], [0x1C, 0x1D, 0]);
        assert_eq!(codes("1", Layout::Fr)[..2], [0x9E, 0]);
        assert_eq!(codes("^", Layout::De)[..3], [0x35, 0x2C, 0], "a dead key and Space");
        let raw = ScanCodes::from_codes(&[0x8B, 8, 0xF], Options::default(), AccessCode::NONE).unwrap();
        assert_eq!(raw.record().scan_codes().expose()[..4], [0x8B, 8, 0xF, 0]);
    }

    #[test]
    fn ticket_flags() {
        let config = StaticTicket {
            public_id: PublicId::new(&[]).unwrap_or(PublicId::EMPTY),
            private_id: PrivateId::new([1; 6]),
            key: AesKey::new([2; 16]),
            short: true,
            strong_1: true,
            strong_2: true,
            manual_update: true,
            send_reference: true,
            options: Options::default(),
            access_code: AccessCode::NONE,
        };
        assert_eq!(config.record().config, ConfigFlags(0xF3));
        assert_eq!(config.kind(), SlotKind::StaticTicket { short: true });
        assert!(config.supported_by(Version::new(1, 3, 0)).is_err());
    }
}
