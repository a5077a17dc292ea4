//! What the PIV application remembers, and how it stands in the document.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use subtle::ConstantTimeEq;
use tapkey_protocol::piv::{
    Algorithm, ManagementKey, ManagementKeyType, ObjectId, Origin, PinPolicy, Slot, TouchPolicy,
};
use tapkey_protocol::secret::{Secret, SecretBytes};
use tapkey_protocol::version::Version;

use super::hex;

/// Everything of the application.
#[derive(Clone, Debug)]
pub(crate) struct PivState {
    pub(crate) pin: Tries,
    pub(crate) puk: Tries,
    pub(crate) management: Management,
    /// In the order of their numbers; the attestation key is one of them.
    pub(crate) keys: BTreeMap<Slot, PivKey>,
    /// Values without their outer tag; the attestation certificate is one of them. Some are read
    /// with the PIN only, and hosts keep a management key there.
    pub(crate) objects: BTreeMap<ObjectId, SecretBytes>,
}

/// A PIN or PUK and how often it may still be wrong.
#[derive(Clone, Debug)]
pub(crate) struct Tries {
    /// Filled up with FF.
    pub(crate) value: Secret<8>,
    pub(crate) total: u8,
    pub(crate) left: u8,
}

/// What opens the administration.
#[derive(Clone, Debug)]
pub(crate) struct Management {
    pub(crate) key: ManagementKey,
    pub(crate) touch: TouchPolicy,
}

/// A private key: where it came from and who may use it.
#[derive(Clone, Debug)]
pub(crate) struct PivKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) origin: Origin,
    pub(crate) pin_policy: PinPolicy,
    pub(crate) touch_policy: TouchPolicy,
    /// Two primes, a scalar, or a seed.
    pub(crate) secret: SecretBytes,
}

impl PivState {
    /// As it comes, but for the attestation key and its certificate.
    pub(crate) fn factory(firmware: Version) -> Self {
        Self {
            pin: Tries::new(DEFAULT_PIN, DEFAULT_TRIES),
            puk: Tries::new(DEFAULT_PUK, DEFAULT_TRIES),
            management: Management { key: ManagementKey::factory(firmware), touch: TouchPolicy::Never },
            keys: BTreeMap::new(),
            objects: BTreeMap::new(),
        }
    }

    /// Bytes that its objects occupy.
    pub(crate) fn occupied(&self) -> usize {
        self.objects.values().map(SecretBytes::len).sum()
    }
}

impl Tries {
    pub(crate) const fn new(value: [u8; 8], total: u8) -> Self {
        Self { value: Secret::new(value), total, left: total }
    }

    pub(crate) fn is(&self, value: &[u8]) -> bool {
        self.value.expose().ct_eq(value).into()
    }

    pub(crate) const fn is_blocked(&self) -> bool {
        self.left == 0
    }
}

/// `123456` and `12345678` (Yubico's documentation of the application).
pub(crate) const DEFAULT_PIN: [u8; 8] = *b"123456\xFF\xFF";
pub(crate) const DEFAULT_PUK: [u8; 8] = *b"12345678";
pub(crate) const DEFAULT_TRIES: u8 = 3;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PivDocument {
    pin: TriesDocument,
    puk: TriesDocument,
    management_key: ManagementDocument,
    keys: Vec<KeyDocument>,
    objects: Vec<ObjectDocument>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct TriesDocument {
    #[serde(with = "hex")]
    value: [u8; 8],
    total: u8,
    left: u8,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ManagementDocument {
    #[serde(serialize_with = "write_kind", deserialize_with = "read_kind")]
    algorithm: ManagementKeyType,
    #[serde(serialize_with = "hex::write_bytes", deserialize_with = "hex::read_bytes")]
    value: SecretBytes,
    touch: TouchName,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct KeyDocument {
    #[serde(serialize_with = "write_slot", deserialize_with = "read_slot")]
    slot: Slot,
    #[serde(serialize_with = "write_algorithm", deserialize_with = "read_algorithm")]
    algorithm: Algorithm,
    imported: bool,
    pin: PinName,
    touch: TouchName,
    #[serde(serialize_with = "hex::write_bytes", deserialize_with = "hex::read_bytes")]
    secret: SecretBytes,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ObjectDocument {
    #[serde(serialize_with = "write_object", deserialize_with = "read_object")]
    id: ObjectId,
    #[serde(serialize_with = "hex::write_bytes", deserialize_with = "hex::read_bytes")]
    value: SecretBytes,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum PinName {
    Never,
    Once,
    Always,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum TouchName {
    Never,
    Always,
    Cached,
}

impl PivDocument {
    fn of(piv: &PivState) -> Self {
        Self {
            pin: TriesDocument::from(&piv.pin),
            puk: TriesDocument::from(&piv.puk),
            management_key: ManagementDocument {
                algorithm: piv.management.key.kind(),
                value: SecretBytes::new(piv.management.key.expose().to_vec()),
                touch: piv.management.touch.into(),
            },
            keys: piv.keys.iter().map(|(slot, key)| KeyDocument::of(*slot, key)).collect(),
            objects: piv
                .objects
                .iter()
                .map(|(id, value)| ObjectDocument { id: *id, value: value.clone() })
                .collect(),
        }
    }
}

/// How much room the text takes, or a little less than that.
pub(super) fn document_size(piv: &PivState) -> usize {
    2048 + piv.keys.len() * 1400 + piv.occupied() * 2 + piv.objects.len() * 100
}

/// Writes the application's part of the document.
pub(super) fn write<S: serde::Serializer>(piv: &Option<PivState>, serializer: S) -> Result<S::Ok, S::Error> {
    piv.as_ref().map(PivDocument::of).serialize(serializer)
}

/// Reads it.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PivState>, D::Error> {
    let document = Option::<PivDocument>::deserialize(deserializer)?;
    document.map(|document| document.try_into().map_err(D::Error::custom)).transpose()
}

impl TryFrom<PivDocument> for PivState {
    type Error = &'static str;

    fn try_from(document: PivDocument) -> Result<Self, Self::Error> {
        let management = document.management_key;
        let key = ManagementKey::new(management.algorithm, management.value)
            .map_err(|_| "the management key has the wrong length")?;
        let mut keys = BTreeMap::new();
        for key in document.keys {
            if key.secret.len() != key.algorithm.size() {
                return Err("a private key has the wrong length");
            }
            if keys.insert(key.slot, PivKey::from(key)).is_some() {
                return Err("a slot holds two keys");
            }
        }
        let objects = document.objects.into_iter().map(|object| (object.id, object.value));
        Ok(Self {
            pin: Tries::try_from(document.pin)?,
            puk: Tries::try_from(document.puk)?,
            management: Management { key, touch: management.touch.into() },
            keys,
            objects: objects.collect(),
        })
    }
}

impl From<&Tries> for TriesDocument {
    fn from(tries: &Tries) -> Self {
        Self { value: *tries.value.expose(), total: tries.total, left: tries.left }
    }
}

impl TryFrom<TriesDocument> for Tries {
    type Error = &'static str;

    fn try_from(document: TriesDocument) -> Result<Self, Self::Error> {
        if document.left > document.total {
            return Err("more tries are left than there are");
        }
        Ok(Self { value: Secret::new(document.value), total: document.total, left: document.left })
    }
}

impl KeyDocument {
    fn of(slot: Slot, key: &PivKey) -> Self {
        Self {
            slot,
            algorithm: key.algorithm,
            imported: key.origin == Origin::Imported,
            pin: key.pin_policy.into(),
            touch: key.touch_policy.into(),
            secret: key.secret.clone(),
        }
    }
}

impl From<KeyDocument> for PivKey {
    fn from(document: KeyDocument) -> Self {
        Self {
            algorithm: document.algorithm,
            origin: if document.imported { Origin::Imported } else { Origin::Generated },
            pin_policy: document.pin.into(),
            touch_policy: document.touch.into(),
            secret: document.secret,
        }
    }
}

impl From<PinPolicy> for PinName {
    fn from(policy: PinPolicy) -> Self {
        match policy {
            PinPolicy::Never => Self::Never,
            PinPolicy::Always => Self::Always,
            // Keys without a fingerprint reader have no others.
            _ => Self::Once,
        }
    }
}

impl From<PinName> for PinPolicy {
    fn from(name: PinName) -> Self {
        match name {
            PinName::Never => Self::Never,
            PinName::Once => Self::Once,
            PinName::Always => Self::Always,
        }
    }
}

impl From<TouchPolicy> for TouchName {
    fn from(policy: TouchPolicy) -> Self {
        match policy {
            TouchPolicy::Always => Self::Always,
            TouchPolicy::Cached => Self::Cached,
            TouchPolicy::Never => Self::Never,
        }
    }
}

impl From<TouchName> for TouchPolicy {
    fn from(name: TouchName) -> Self {
        match name {
            TouchName::Never => Self::Never,
            TouchName::Always => Self::Always,
            TouchName::Cached => Self::Cached,
        }
    }
}

fn write_kind<S: serde::Serializer>(kind: &ManagementKeyType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

fn read_kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ManagementKeyType, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn write_slot<S: serde::Serializer>(slot: &Slot, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{:02x}", slot.id()))
}

fn read_slot<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Slot, D::Error> {
    let text = String::deserialize(deserializer)?;
    let code = u8::from_str_radix(&text, 16).ok().filter(|_| text.len() == 2);
    code.and_then(|code| Slot::try_from(code).ok()).ok_or_else(|| D::Error::custom("no such key slot"))
}

fn write_algorithm<S: serde::Serializer>(algorithm: &Algorithm, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&algorithm.to_string())
}

fn read_algorithm<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Algorithm, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn write_object<S: serde::Serializer>(id: &ObjectId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{:06x}", id.get()))
}

fn read_object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectId, D::Error> {
    let text = String::deserialize(deserializer)?;
    let number = u32::from_str_radix(&text, 16).ok().filter(|_| text.len() == 6);
    number.and_then(|number| ObjectId::new(number).ok()).ok_or_else(|| D::Error::custom("no such object"))
}
