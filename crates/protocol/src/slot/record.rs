//! The 52-byte slot record and the 58-byte payload that carries it.

use thiserror::Error;

use super::{AccessCode, ConfigFlags, ExtendedFlags, SlotKind, TicketFlags};
use crate::crc;
use crate::secret::Secret;

/// What is written into a slot.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 16 | fixed part |
/// | 16 | 6 | uid (private id) |
/// | 22 | 16 | key |
/// | 38 | 6 | access code from now on |
/// | 44 | 1 | length of the fixed part |
/// | 45 | 3 | extended, ticket and configuration flags |
/// | 48 | 2 | zero |
/// | 50 | 2 | complemented CRC of all before, little-endian |
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SlotRecord {
    /// The fixed part: a public id, a token id, or part of a password.
    pub fixed: Secret<16>,
    /// How many bytes of the fixed part are used.
    pub fixed_length: u8,
    /// The private id, the end of a 20-byte key, or part of a password.
    pub uid: Secret<6>,
    /// The key, or part of a password.
    pub key: Secret<16>,
    /// The access code from now on.
    pub access_code: AccessCode,
    /// Extended flags.
    pub extended: ExtendedFlags,
    /// Ticket flags.
    pub ticket: TicketFlags,
    /// Configuration flags.
    pub config: ConfigFlags,
}

impl SlotRecord {
    /// Bytes of a record.
    pub const SIZE: usize = 52;
    /// The most bytes of a fixed part.
    pub const MAX_FIXED: u8 = 16;

    /// Writes the record with its CRC.
    #[must_use]
    pub fn encode(&self) -> Secret<{ Self::SIZE }> {
        let mut bytes = [0; Self::SIZE];
        bytes[..16].copy_from_slice(self.fixed.expose());
        bytes[16..22].copy_from_slice(self.uid.expose());
        bytes[22..38].copy_from_slice(self.key.expose());
        bytes[38..44].copy_from_slice(self.access_code.expose());
        bytes[44] = self.fixed_length;
        bytes[45] = self.extended.0;
        bytes[46] = self.ticket.0;
        bytes[47] = self.config.0;
        let crc = !crc::checksum(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        Secret::new(bytes)
    }

    /// Reads a record and checks it as a key does.
    ///
    /// # Errors
    /// [`RecordError`] for a wrong CRC, reserved bytes that are not zero, or a fixed part of more
    /// than 16 bytes.
    pub fn parse(bytes: &[u8; Self::SIZE]) -> Result<Self, RecordError> {
        if crc::checksum(bytes) != crc::RESIDUAL {
            return Err(RecordError::BadCrc);
        }
        if bytes[48..CRC_AT] != [0, 0] {
            return Err(RecordError::ReservedNotZero);
        }
        if bytes[44] > Self::MAX_FIXED {
            return Err(RecordError::FixedTooLong { length: bytes[44] });
        }
        Ok(Self {
            fixed: Secret::new(field(bytes, 0)),
            fixed_length: bytes[44],
            uid: Secret::new(field(bytes, 16)),
            key: Secret::new(field(bytes, 22)),
            access_code: AccessCode::new(field(bytes, 38)),
            extended: ExtendedFlags(bytes[45]),
            ticket: TicketFlags(bytes[46]),
            config: ConfigFlags(bytes[47]),
        })
    }

    /// What a slot with this record does.
    #[must_use]
    pub const fn kind(&self) -> SlotKind {
        SlotKind::of(self.ticket, self.config)
    }

    /// The used bytes of the fixed part.
    #[must_use]
    pub fn fixed_part(&self) -> &[u8] {
        let fixed = self.fixed.expose();
        fixed.get(..usize::from(self.fixed_length)).unwrap_or(fixed)
    }

    /// The 20-byte key of an HMAC or HOTP slot: the key field, then the first four bytes of the uid.
    #[must_use]
    pub fn hmac_key(&self) -> Secret<20> {
        let mut key = [0; 20];
        key[..16].copy_from_slice(self.key.expose());
        key[16..].copy_from_slice(&self.uid.expose()[..4]);
        Secret::new(key)
    }

    /// The moving factor a HOTP slot starts from: sixteen times the last two bytes of the uid.
    #[must_use]
    pub fn moving_factor(&self) -> u32 {
        let [_, _, _, _, high, low] = *self.uid.expose();
        u32::from(u16::from_be_bytes([high, low])) * 16
    }

    /// The 38 scan codes of a scan-code slot: fixed part, uid and key, whatever the stated length.
    #[must_use]
    pub fn scan_codes(&self) -> Secret<38> {
        let mut codes = [0; 38];
        codes[..16].copy_from_slice(self.fixed.expose());
        codes[16..22].copy_from_slice(self.uid.expose());
        codes[22..].copy_from_slice(self.key.expose());
        Secret::new(codes)
    }

    /// The payload that writes this record into a slot whose present code is `current`.
    #[must_use]
    pub fn payload(&self, current: &AccessCode) -> Secret<{ WritePayload::SIZE }> {
        WritePayload { write: SlotWrite::Record(self.clone()), current: current.clone() }.encode()
    }
}

impl Default for SlotRecord {
    /// All fields zero; a Yubico OTP slot with an empty fixed part. It is not the deleted record,
    /// which has no CRC: see [`SlotWrite::Delete`].
    fn default() -> Self {
        Self {
            fixed: Secret::new([0; 16]),
            fixed_length: 0,
            uid: Secret::new([0; 6]),
            key: Secret::new([0; 16]),
            access_code: AccessCode::NONE,
            extended: ExtendedFlags::NONE,
            ticket: TicketFlags::NONE,
            config: ConfigFlags::NONE,
        }
    }
}

/// What a write does to a slot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SlotWrite {
    /// Empty the slot.
    Delete,
    /// Write or update it.
    Record(SlotRecord),
}

/// The payload of a write, an update or a deletion: a record and the current access code.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WritePayload {
    /// What to do.
    pub write: SlotWrite,
    /// The access code that the slot has now.
    pub current: AccessCode,
}

impl WritePayload {
    /// Bytes of a payload.
    pub const SIZE: usize = SlotRecord::SIZE + AccessCode::SIZE;

    /// Empties a slot whose present code is `current`.
    #[must_use]
    pub fn delete(current: AccessCode) -> Self {
        Self { write: SlotWrite::Delete, current }
    }

    /// Writes the payload.
    #[must_use]
    pub fn encode(&self) -> Secret<{ Self::SIZE }> {
        let mut bytes = [0; Self::SIZE];
        if let SlotWrite::Record(record) = &self.write {
            bytes[..SlotRecord::SIZE].copy_from_slice(record.encode().expose());
        }
        bytes[SlotRecord::SIZE..].copy_from_slice(self.current.expose());
        Secret::new(bytes)
    }

    /// Reads a payload: a HID frame's 64 bytes, or a command's data. Where it ends before the
    /// current access code, there is none.
    ///
    /// # Errors
    /// [`RecordError`] when the record cannot be read.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let record: &[u8; SlotRecord::SIZE] =
            bytes.first_chunk().ok_or(RecordError::TooShort { length: bytes.len() })?;
        let write = if record.iter().all(|byte| *byte == 0) {
            SlotWrite::Delete
        } else {
            SlotWrite::Record(SlotRecord::parse(record)?)
        };
        Ok(Self { write, current: AccessCode::read_at(bytes, SlotRecord::SIZE) })
    }
}

/// Why a record could not be read.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum RecordError {
    /// There are fewer than 52 bytes.
    #[error("a slot record has 52 bytes, {length} are there")]
    TooShort {
        /// How many there are.
        length: usize,
    },
    /// The checksum is wrong.
    #[error("the checksum of the slot record is wrong")]
    BadCrc,
    /// The reserved bytes are not zero.
    #[error("the reserved bytes of the slot record are not zero")]
    ReservedNotZero,
    /// The fixed part is too long.
    #[error("the slot record has a fixed part of {length} bytes, at most 16 are possible")]
    FixedTooLong {
        /// Its length.
        length: u8,
    },
}

const CRC_AT: usize = 50;

fn field<const N: usize>(bytes: &[u8; SlotRecord::SIZE], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::slot) fn any_record() -> impl Strategy<Value = SlotRecord> {
        (
            any::<[u8; 16]>(),
            0_u8..=16,
            any::<[u8; 6]>(),
            any::<[u8; 16]>(),
            any::<[u8; 6]>(),
            any::<[u8; 3]>(),
        )
            .prop_map(|(fixed, fixed_length, uid, key, code, [extended, ticket, config])| {
                SlotRecord {
                    fixed: Secret::new(fixed),
                    fixed_length,
                    uid: Secret::new(uid),
                    key: Secret::new(key),
                    access_code: AccessCode::new(code),
                    extended: ExtendedFlags(extended),
                    ticket: TicketFlags(ticket),
                    config: ConfigFlags(config),
                }
            })
    }

    #[test]
    fn deletion_has_no_crc() {
        let code = AccessCode::new([1; 6]);
        let payload = WritePayload::delete(code.clone());
        let bytes = payload.encode();
        assert_eq!(bytes.expose()[..52], [0; 52]);
        assert_eq!(bytes.expose()[52..], [1; 6]);
        assert_eq!(WritePayload::parse(bytes.expose()), Ok(payload));
        // A default record is no deletion: it has a CRC.
        let record = SlotRecord::default();
        let parsed = WritePayload::parse(record.payload(&code).expose()).unwrap();
        assert_eq!(parsed.write, SlotWrite::Record(record));
    }

    #[test]
    fn errors() {
        let mut bytes = *SlotRecord::default().encode().expose();
        bytes[0] ^= 1;
        assert_eq!(SlotRecord::parse(&bytes), Err(RecordError::BadCrc));
        assert_eq!(WritePayload::parse(&[0; 51]), Err(RecordError::TooShort { length: 51 }));

        let with_crc = |at: usize, value: u8| {
            let mut bytes = [0; 52];
            bytes[at] = value;
            let crc = !crc::checksum(&bytes[..50]);
            bytes[50..].copy_from_slice(&crc.to_le_bytes());
            SlotRecord::parse(&bytes)
        };
        assert_eq!(with_crc(48, 1), Err(RecordError::ReservedNotZero));
        assert_eq!(with_crc(44, 17), Err(RecordError::FixedTooLong { length: 17 }));
    }

    #[test]
    fn debug_shows_no_secret() {
        let record = SlotRecord { key: Secret::new([0xAB; 16]), ..SlotRecord::default() };
        let text = format!("{record:?}");
        assert!(!text.contains("171") && !text.to_lowercase().contains("abab"), "{text}");
    }

    proptest! {
        #[test]
        fn round_trip(record in any_record(), code: [u8; 6]) {
            prop_assert_eq!(SlotRecord::parse(record.encode().expose()), Ok(record.clone()));
            let payload = WritePayload { write: SlotWrite::Record(record), current: AccessCode::new(code) };
            prop_assert_eq!(WritePayload::parse(payload.encode().expose()), Ok(payload));
        }

        #[test]
        fn parsing_never_panics(bytes: Vec<u8>) {
            let _ = WritePayload::parse(&bytes);
        }
    }
}
