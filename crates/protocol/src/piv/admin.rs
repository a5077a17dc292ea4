//! What host tools keep on a key about its management key. The firmware knows nothing of it.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use zeroize::{Zeroize, Zeroizing};

use super::{CodecError, Pin};
use crate::secret::SecretBytes;
use crate::tlv::{self, Reader, Writer};

/// The value of the object [`ADMIN`](super::ObjectId::ADMIN).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AdminData {
    /// A tool has blocked the PUK, because it would get around a PIN that guards the management key.
    pub puk_blocked: bool,
    /// The management key lies under the PIN, see [`ProtectedKey`].
    pub key_protected: bool,
    /// The management key is derived from the PIN and this, see [`derived_management_key`]. Tools do
    /// not set keys up so any more.
    pub salt: Option<[u8; 16]>,
    /// When a tool last changed the PIN. Tools disagree about its byte order, so it is kept as it is.
    pub pin_changed: Option<[u8; 4]>,
}

impl AdminData {
    /// Writes the value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut inner = Writer::new();
        let flag = |set, bit| if set { bit } else { 0 };
        let flags = flag(self.puk_blocked, PUK_BLOCKED) | flag(self.key_protected, KEY_PROTECTED);
        if flags != 0 {
            inner.push(FLAGS, &[flags]);
        }
        if let Some(salt) = &self.salt {
            inner.push(SALT, salt);
        }
        if let Some(changed) = &self.pin_changed {
            inner.push(PIN_CHANGED, changed);
        }
        let mut value = Writer::new();
        value.push(ADMIN, inner.as_bytes());
        value.into_bytes()
    }

    /// Reads the value. Elements and flags that are not known are left out.
    ///
    /// # Errors
    /// [`CodecError`] when it is broken.
    pub fn parse(value: &[u8]) -> Result<Self, CodecError> {
        let inner = Reader::new(value).expect(ADMIN)?;
        let flags = match tlv::find(inner, FLAGS)? {
            Some(flags) => super::fixed::<1>(FLAGS.into(), flags)?[0],
            None => 0,
        };
        let salt = tlv::find(inner, SALT)?.filter(|salt| !salt.is_empty());
        let changed = tlv::find(inner, PIN_CHANGED)?.filter(|changed| !changed.is_empty());
        Ok(Self {
            puk_blocked: flags & PUK_BLOCKED != 0,
            key_protected: flags & KEY_PROTECTED != 0,
            salt: salt.map(|salt| super::fixed(SALT.into(), salt)).transpose()?,
            pin_changed: changed.map(|changed| super::fixed(PIN_CHANGED.into(), changed)).transpose()?,
        })
    }

    /// Whether it says nothing, so that the object need not be there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A management key that lies in the object [`PRINTED`](super::ObjectId::PRINTED), which takes the
/// PIN to be read. Which cipher it belongs to is told by metadata.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProtectedKey {
    /// The key.
    pub key: SecretBytes,
    /// A key that is about to take its place, so that none is lost when a change is cut off in the
    /// middle. Other tools skip it.
    pub pending: Option<SecretBytes>,
}

impl ProtectedKey {
    /// A key alone.
    #[must_use]
    pub const fn new(key: SecretBytes) -> Self {
        Self { key, pending: None }
    }

    /// Writes the value: `88 L { 89 L key }`.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut inner = Writer::new();
        inner.push(KEY, self.key.expose());
        if let Some(pending) = &self.pending {
            inner.push(PENDING, pending.expose());
        }
        let mut value = Writer::new();
        value.push(PROTECTED, inner.as_bytes());
        Zeroizing::new(value.into_bytes())
    }

    /// Reads the value.
    ///
    /// # Errors
    /// [`CodecError`] when there is no key in it.
    pub fn parse(value: &[u8]) -> Result<Self, CodecError> {
        let inner = Reader::new(value).expect(PROTECTED)?;
        let find = |tag| -> Result<_, CodecError> {
            let key = tlv::find(inner, tag)?.filter(|key| !key.is_empty());
            Ok(key.map(|key| SecretBytes::new(key.to_vec())))
        };
        let key = find(KEY)?.ok_or(CodecError::Missing { tag: KEY.into() })?;
        Ok(Self { key, pending: find(PENDING)? })
    }
}

/// The old way to have no management key of one's own: PBKDF2 with HMAC-SHA1 of the PIN, 10 000
/// rounds, 24 bytes (RFC 8018 section 5.2).
#[must_use]
pub fn derived_management_key(pin: &Pin, salt: &[u8; 16]) -> SecretBytes {
    let mut key = Vec::with_capacity(40);
    for block in [1_u32, 2] {
        let mut input = salt.to_vec();
        input.extend_from_slice(&block.to_be_bytes());
        let mut round = hmac(pin.expose(), &input);
        let mut sum = round;
        for _ in 1..ROUNDS {
            round = hmac(pin.expose(), &round);
            for (sum, byte) in sum.iter_mut().zip(round) {
                *sum ^= byte;
            }
        }
        key.extend_from_slice(&sum);
        sum.zeroize();
        round.zeroize();
    }
    key.get_mut(24..).unwrap_or_default().zeroize();
    key.truncate(24);
    SecretBytes::new(key)
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 20] {
    // HMAC takes keys of every length, so the error cannot occur.
    Hmac::<Sha1>::new_from_slice(key)
        .map(|mac| mac.chain_update(message).finalize().into_bytes().into())
        .unwrap_or_default()
}

const ROUNDS: u32 = 10_000;
const ADMIN: u8 = 0x80;
const FLAGS: u8 = 0x81;
const SALT: u8 = 0x82;
const PIN_CHANGED: u8 = 0x83;
const PUK_BLOCKED: u8 = 0x01;
const KEY_PROTECTED: u8 = 0x02;
const PROTECTED: u8 = 0x88;
const KEY: u8 = 0x89;
const PENDING: u8 = 0x8A;
