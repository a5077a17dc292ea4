//! The PIV application while an operation holds the card.

use subtle::ConstantTimeEq;
use tapkey_protocol::aid;
use tapkey_protocol::apdu::{Command, Encoding, Response, StatusWord};
use tapkey_protocol::piv::{
    AdminData, AuthAnswer, Authenticate, CodecError, KeyMetadata, ManagementKey, ManagementKeyMetadata,
    ManagementKeyType, ObjectId, Pin, ProtectedKey, PutData, Slot, TouchPolicy, VerifyAnswer, command,
    derived_management_key, parse_object, reference, since,
};
use tapkey_protocol::secret::SecretBytes;
use tapkey_protocol::version::Version;
use zeroize::Zeroizing;

use super::crypto;
use super::error::{PinKind, PivRefusal};
use crate::control::{Control, TouchEvent};
use crate::error::{Error, Malformed, Refusal};
use crate::transport::card::{Application, Card, Selected};

/// How whoever makes changes proves that they may.
#[derive(Clone, Copy, Debug)]
pub enum Administrator<'a> {
    /// With the management key.
    Key(&'a ManagementKey),
    /// With the PIN, on keys that keep their management key under it.
    Pin(&'a Pin),
}

/// The selected application. When it goes, whatever was proven is forgotten by the key, so that no
/// other program inherits it.
pub(super) struct Held<'a> {
    selected: Selected<'a>,
    control: &'a Control,
    pub(super) version: Version,
    verified: bool,
    authenticated: bool,
}

impl<'a> Held<'a> {
    pub(super) fn begin(card: &'a mut Card, version: Version, control: &'a Control) -> Result<Self, Error> {
        let selected = card.select(PIV, control)?;
        Ok(Self { selected, control, version, verified: false, authenticated: false })
    }

    pub(super) fn call(&mut self, command: &Command) -> Result<Response, Error> {
        self.selected.call(command)
    }

    /// Sends a command whose refusals have no better name.
    pub(super) fn ask(&mut self, command: &Command, operation: &'static str) -> Result<Vec<u8>, Error> {
        self.call(command)?.into_data().map_err(|status| refused(operation, status))
    }

    /// Sends a command during which the key may wait for a touch.
    pub(super) fn call_touched(&mut self, command: &Command, touch: TouchPolicy) -> Result<Response, Error> {
        if touch == TouchPolicy::Never {
            return self.call(command);
        }
        self.control.tell(TouchEvent::Needed { seconds_left: None });
        let response = self.call(command);
        self.control.tell(TouchEvent::Over);
        response
    }

    /// Checks the PIN.
    pub(super) fn verify(&mut self, pin: &Pin) -> Result<(), Error> {
        // Also when the answer is lost.
        self.verified = true;
        let status = self.call(&command::verify(pin))?.status;
        judge(PinKind::Pin, status, "check the PIN")
    }

    /// Sends a change of PIN or PUK, which may count as a check of the PIN.
    pub(super) fn change_pins(&mut self, command: &Command) -> Result<StatusWord, Error> {
        self.verified = true;
        Ok(self.call(command)?.status)
    }

    /// Makes sure that nothing that another program has proven stands.
    pub(super) fn forget(&mut self) -> Result<(), Error> {
        if self.version >= since::LOG_OUT {
            self.call(&command::log_out())?;
            return Ok(());
        }
        self.call(&Command::select(OTHER))?;
        self.ask(&Command::select(PIV.aid), "open its application")?;
        Ok(())
    }

    /// Proves the right to make changes.
    pub(super) fn authenticate(&mut self, who: Administrator<'_>) -> Result<(), Error> {
        match who {
            Administrator::Key(key) => self.prove(key),
            Administrator::Pin(pin) => {
                self.verify(pin)?;
                let kind = self.management_key_type()?;
                let mut keys =
                    self.stored_keys(pin)?.into_iter().filter_map(|key| ManagementKey::new(kind, key).ok());
                let first = keys.next().ok_or(PivRefusal::ManagementKeyNotStored)?;
                match (self.prove(&first), keys.next()) {
                    // A change that was cut off in the middle leaves both keys.
                    (Err(Error::Refused(Refusal::Piv(PivRefusal::ManagementKeyWrong))), Some(second)) => {
                        self.prove(&second)
                    }
                    (result, _) => result,
                }
            }
        }
    }

    /// The cipher of the management key. Firmware that does not tell has the old one.
    pub(super) fn management_key_type(&mut self) -> Result<ManagementKeyType, Error> {
        Ok(self.management_key()?.map_or(ManagementKeyType::Tdes, |metadata| metadata.kind))
    }

    /// What the key tells of its management key.
    pub(super) fn management_key(&mut self) -> Result<Option<ManagementKeyMetadata>, Error> {
        let Some(body) = self.metadata(reference::MANAGEMENT_KEY)? else { return Ok(None) };
        Ok(Some(ManagementKeyMetadata::parse(&body).map_err(malformed)?))
    }

    /// What the key tells of the key in a slot: nothing when there is none, or the firmware is too
    /// old.
    pub(super) fn key(&mut self, slot: Slot) -> Result<Option<KeyMetadata>, Error> {
        let Some(body) = self.metadata(slot.id())? else { return Ok(None) };
        Ok(Some(KeyMetadata::parse(&body).map_err(malformed)?))
    }

    /// Metadata, or nothing when there is none.
    pub(super) fn metadata(&mut self, reference: u8) -> Result<Option<Vec<u8>>, Error> {
        if self.version < since::METADATA {
            return Ok(None);
        }
        let response = self.call(&command::metadata(reference))?;
        match response.status {
            StatusWord::SUCCESS => Ok(Some(response.data)),
            StatusWord::REFERENCE_NOT_FOUND | StatusWord::INS_NOT_SUPPORTED => Ok(None),
            status => Err(refused("tell about a key", status)),
        }
    }

    /// What host tools have noted about the management key.
    pub(super) fn admin_data(&mut self) -> Result<AdminData, Error> {
        match self.object(ObjectId::ADMIN)? {
            Some(value) => Ok(AdminData::parse(&value).map_err(malformed)?),
            None => Ok(AdminData::default()),
        }
    }

    /// The keys that lie under the PIN, which was checked: the one that is most probably right first.
    pub(super) fn stored_keys(&mut self, pin: &Pin) -> Result<Vec<SecretBytes>, Error> {
        let admin = self.admin_data()?;
        if admin.key_protected {
            let value = self.object(ObjectId::PRINTED)?.ok_or(PivRefusal::ManagementKeyNotStored)?;
            let stored = ProtectedKey::parse(&value).map_err(malformed)?;
            return Ok([Some(stored.key), stored.pending].into_iter().flatten().collect());
        }
        Ok(admin.salt.iter().map(|salt| derived_management_key(pin, salt)).collect())
    }

    /// Reads an object; `None` when there is none.
    pub(super) fn object(&mut self, id: ObjectId) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let response = self.call(&command::get_data(id))?;
        let answer = Zeroizing::new(response.data);
        match response.status {
            StatusWord::SUCCESS => {
                let value = parse_object(id, &answer).map_err(malformed)?;
                Ok((!value.is_empty()).then(|| Zeroizing::new(value.to_vec())))
            }
            StatusWord::NOT_FOUND => Ok(None),
            StatusWord::SECURITY_STATUS_NOT_SATISFIED => {
                Err(PivRefusal::PinNeeded { operation: "read this object" }.into())
            }
            status => Err(refused("give the object", status)),
        }
    }

    /// Writes an object.
    pub(super) fn put(&mut self, id: ObjectId, value: &[u8]) -> Result<(), Error> {
        let put = PutData { id, value: SecretBytes::new(value.to_vec()) };
        match self.call(&command::put_data(&put))?.status {
            StatusWord::SUCCESS => Ok(()),
            StatusWord::NO_SPACE | StatusWord::WRONG_LENGTH => Err(PivRefusal::NoRoom.into()),
            status => Err(refused("store the object", status)),
        }
    }

    /// Proves the management key, and has the key prove it too.
    fn prove(&mut self, key: &ManagementKey) -> Result<(), Error> {
        let touch = self.management_key()?.map_or(TouchPolicy::Never, |metadata| metadata.touch_policy);
        let kind = key.kind().id();
        let ask = command::prove_management_key(kind, &Authenticate::AskWitness);
        let response = self.call_touched(&ask, touch)?;
        let answer = response.into_data().map_err(|status| denied(status, touch))?;
        let AuthAnswer::Witness(witness) = AuthAnswer::parse(&answer).map_err(malformed)? else {
            return Err(malformed(CodecError::Missing { tag: 0x80 }));
        };
        let wrong =
            Malformed::Length { what: "a block", expected: key.kind().block_size(), found: witness.len() };
        let witness = crypto::decrypt(key, &witness).ok_or(wrong)?;
        let mut challenge = Zeroizing::new(vec![0; key.kind().block_size()]);
        getrandom::fill(&mut challenge).map_err(|_| Error::NoRandomness)?;
        let step = Authenticate::Witness { witness, challenge: challenge.clone() };
        // Also when the answer is lost.
        self.authenticated = true;
        let response = self.call_touched(&command::prove_management_key(kind, &step), touch)?;
        let answer = response.into_data().map_err(|status| denied(status, touch))?;
        let AuthAnswer::Response(proof) = AuthAnswer::parse(&answer).map_err(malformed)? else {
            return Err(malformed(CodecError::Missing { tag: 0x82 }));
        };
        let expected = crypto::encrypt(key, &challenge).unwrap_or_default();
        if bool::from(expected.ct_eq(&proof)) {
            Ok(())
        } else {
            Err(PivRefusal::ManagementKeyNotProven.into())
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Whatever the link says now is nobody's business any more: a key that is gone has forgotten
        // everything. This is sent even when the operation was cancelled or took too long.
        let mut send = |command: Command| {
            if let Ok(bytes) = command.encode(Encoding::Short) {
                let _ = self.selected.transmit_raw(&bytes);
            }
        };
        if self.verified && self.version >= since::LOG_OUT {
            send(command::log_out());
        }
        // Only leaving the application takes a proven management key away.
        if self.authenticated || (self.verified && self.version < since::LOG_OUT) {
            send(Command::select(OTHER));
        }
    }
}

/// What a status word means for a PIN or PUK.
pub(super) fn judge(what: PinKind, status: StatusWord, operation: &'static str) -> Result<(), Error> {
    match VerifyAnswer::of(status) {
        VerifyAnswer::Verified => Ok(()),
        VerifyAnswer::TriesLeft(tries_left) => Err(PivRefusal::Wrong { what, tries_left }.into()),
        VerifyAnswer::Blocked => Err(PivRefusal::Blocked { what }.into()),
        VerifyAnswer::Other(status) => Err(refused(operation, status)),
    }
}

pub(super) fn refused(operation: &'static str, status: StatusWord) -> Error {
    Refusal::Status { operation, status }.into()
}

pub(super) fn malformed(error: CodecError) -> Error {
    Malformed::Piv(error).into()
}

/// Keys do not agree on how they say that a proof is wrong.
fn denied(status: StatusWord, touch: TouchPolicy) -> Error {
    match status {
        StatusWord::SECURITY_STATUS_NOT_SATISFIED | StatusWord::CONDITIONS_NOT_SATISFIED
            if touch != TouchPolicy::Never =>
        {
            // Without a touch it looks the same.
            Refusal::TouchTimedOut.into()
        }
        StatusWord::SECURITY_STATUS_NOT_SATISFIED
        | StatusWord::REFERENCE_DATA_INVALIDATED
        | StatusWord::CONDITIONS_NOT_SATISFIED
        | StatusWord::WRONG_DATA
        | StatusWord::INCORRECT_PARAMETERS => PivRefusal::ManagementKeyWrong.into(),
        status => refused("check the management key", status),
    }
}

pub(super) const PIV: Application = Application { aid: aid::PIV, name: "PIV" };
/// An application that every key has and that keeps nothing: selecting it ends PIV's state.
const OTHER: &[u8] = aid::MANAGEMENT;
