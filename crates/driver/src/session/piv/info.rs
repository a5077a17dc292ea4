//! Everything that a key tells without PIN and management key.

use tapkey_protocol::piv::{
    AdminData, BioMetadata, Ccc, CertificateObject, Chuid, KeyMetadata, ManagementKeyMetadata, ObjectId,
    PinMetadata, Slot, reference,
};
use tapkey_protocol::version::Version;

use super::PivSession;
use super::access::Tries;
use super::held::malformed;
use crate::control::Control;
use crate::error::Error;

/// The state of the application.
#[derive(Clone, Debug)]
pub struct PivInfo {
    /// The version of the application.
    pub version: Version,
    /// The serial number, where this application tells it.
    pub serial: Option<u32>,
    /// How many wrong PINs are left.
    pub pin_tries: Tries,
    /// What is known of the PIN (firmware 5.3 and later).
    pub pin: Option<PinMetadata>,
    /// What is known of the PUK (firmware 5.3 and later).
    pub puk: Option<PinMetadata>,
    /// What is known of the management key (firmware 5.3 and later).
    pub management_key: Option<ManagementKeyMetadata>,
    /// What is known of fingerprints, on keys that read them.
    pub bio: Option<BioMetadata>,
    /// What host tools have noted.
    pub admin: AdminData,
    /// The card holder unique identifier, as it is stored.
    pub chuid: Option<Vec<u8>>,
    /// The card capability container, as it is stored.
    pub ccc: Option<Vec<u8>>,
    /// The slots that hold something.
    pub slots: Vec<SlotInfo>,
}

/// What is in a slot.
#[derive(Clone, Debug)]
pub struct SlotInfo {
    /// The slot.
    pub slot: Slot,
    /// What is known of its key (firmware 5.3 and later).
    pub key: Option<KeyMetadata>,
    /// Its certificate, unless there is none or the object is none of a certificate.
    pub certificate: Option<CertificateObject>,
}

impl PivInfo {
    /// The number that tells this card from others, when there is one.
    #[must_use]
    pub fn guid(&self) -> Option<[u8; 16]> {
        Chuid::parse(self.chuid.as_deref()?).ok().map(|chuid| chuid.guid)
    }

    /// The number in the capability container, when there is one of the usual form.
    #[must_use]
    pub fn card_id(&self) -> Option<[u8; 14]> {
        Ccc::parse(self.ccc.as_deref()?).ok().map(|ccc| ccc.card_id)
    }
}

impl PivSession {
    /// Reads everything in one hold.
    ///
    /// # Errors
    /// [`Error`] when an answer is missing or broken.
    pub fn info(&mut self, control: &Control) -> Result<PivInfo, Error> {
        let version = self.version();
        let mut held = self.hold(control)?;
        let bio = held.metadata(reference::BIO)?;
        let mut info = PivInfo {
            version,
            serial: held.serial()?,
            pin_tries: held.pin_tries()?,
            pin: held.pin_metadata(reference::PIN)?,
            puk: held.pin_metadata(reference::PUK)?,
            management_key: held.management_key()?,
            bio: bio.map(|body| BioMetadata::parse(&body)).transpose().map_err(malformed)?,
            admin: held.admin_data()?,
            chuid: held.object(ObjectId::CHUID)?.map(|value| value.to_vec()),
            ccc: held.object(ObjectId::CCC)?.map(|value| value.to_vec()),
            slots: Vec::new(),
        };
        for slot in Slot::all() {
            let key = held.key(slot)?;
            let object = held.object(slot.certificate())?;
            let certificate = object.and_then(|value| CertificateObject::parse(&value).ok());
            if key.is_some() || certificate.is_some() {
                info.slots.push(SlotInfo { slot, key, certificate });
            }
        }
        Ok(info)
    }
}
