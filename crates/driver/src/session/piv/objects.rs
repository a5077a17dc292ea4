//! Objects, certificates among them.

use tapkey_protocol::piv::{CertificateObject, MAX_OBJECT, ObjectId, Pin, Slot};
use zeroize::Zeroizing;

use super::PivSession;
use super::error::{PivInputError, PivRefusal};
use super::held::{Administrator, malformed};
use crate::control::Control;
use crate::error::Error;

impl PivSession {
    /// Reads an object; `None` when there is none. Some need the PIN, see
    /// [`ObjectId::needs_pin`].
    ///
    /// # Errors
    /// [`PivRefusal::PinNeeded`].
    pub fn object(
        &mut self,
        id: ObjectId,
        pin: Option<&Pin>,
        control: &Control,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let mut held = self.hold(control)?;
        if let Some(pin) = pin.filter(|_| id.needs_pin()) {
            held.verify(pin)?;
        }
        held.object(id)
    }

    /// Writes an object in place of what is there.
    ///
    /// # Errors
    /// [`PivInputError`] for objects that cannot be written or are too long, before anything is sent;
    /// [`PivRefusal::NoRoom`].
    pub fn put_object(
        &mut self,
        id: ObjectId,
        value: &[u8],
        administrator: Administrator<'_>,
        control: &Control,
    ) -> Result<(), Error> {
        if !id.is_writable() {
            return Err(PivInputError::NotWritable { id }.into());
        }
        if value.len() > MAX_OBJECT {
            return Err(PivInputError::ObjectTooLong { length: value.len(), limit: MAX_OBJECT }.into());
        }
        let mut held = self.hold(control)?;
        held.authenticate(administrator)?;
        held.put(id, value)
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// [`PivRefusal::NoObject`] when there is none, where that can be seen without the PIN.
    pub fn delete_object(
        &mut self,
        id: ObjectId,
        administrator: Administrator<'_>,
        control: &Control,
    ) -> Result<(), Error> {
        if !id.is_writable() {
            return Err(PivInputError::NotWritable { id }.into());
        }
        let mut held = self.hold(control)?;
        if !id.needs_pin() && held.object(id)?.is_none() {
            return Err(PivRefusal::NoObject { id }.into());
        }
        held.authenticate(administrator)?;
        held.put(id, &[])
    }

    /// Reads the certificate of a slot, possibly packed; `None` when there is none.
    ///
    /// # Errors
    /// [`Error`] when the object is none of a certificate.
    pub fn certificate(&mut self, slot: Slot, control: &Control) -> Result<Option<CertificateObject>, Error> {
        let value = self.hold(control)?.object(slot.certificate())?;
        value.map(|value| CertificateObject::parse(&value).map_err(malformed)).transpose()
    }

    /// Writes the certificate of a slot. Whether it belongs to the key there is not checked.
    ///
    /// # Errors
    /// As [`put_object`](Self::put_object).
    pub fn put_certificate(
        &mut self,
        slot: Slot,
        certificate: &CertificateObject,
        administrator: Administrator<'_>,
        control: &Control,
    ) -> Result<(), Error> {
        let value = if slot == Slot::ATTESTATION { certificate.encode_bare() } else { certificate.encode() };
        self.put_object(slot.certificate(), &value, administrator, control)
    }

    /// Deletes the certificate of a slot.
    ///
    /// # Errors
    /// As [`delete_object`](Self::delete_object).
    pub fn delete_certificate(
        &mut self,
        slot: Slot,
        administrator: Administrator<'_>,
        control: &Control,
    ) -> Result<(), Error> {
        self.delete_object(slot.certificate(), administrator, control)
    }
}
