//! Using private keys: raw operations, padding and hashing are the caller's.

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::piv::{Algorithm, Authenticate, Pin, PinPolicy, PublicKey, Slot, TouchPolicy, command};
use zeroize::Zeroizing;

use super::PivSession;
use super::error::{PivInputError, PivRefusal};
use super::held::refused;
use super::keys::result_of;
use crate::control::Control;
use crate::error::{Error, Refusal};

impl PivSession {
    /// Signs. For RSA, `data` is a padded block as long as the modulus; for ECDSA a digest, and the
    /// signature is in DER; for Ed25519 the message itself.
    ///
    /// The PIN is checked in the same hold, right before. Without one, the key must not need it.
    ///
    /// # Errors
    /// [`PivRefusal::PinNeeded`], [`PivRefusal::NoKey`], [`PivRefusal::WrongOperation`],
    /// [`Refusal::TouchTimedOut`].
    pub fn sign(
        &mut self,
        slot: Slot,
        algorithm: Algorithm,
        data: &[u8],
        pin: Option<&Pin>,
        control: &Control,
    ) -> Result<Vec<u8>, Error> {
        if !algorithm.signs() {
            return Err(PivRefusal::WrongOperation { slot }.into());
        }
        let operation = Authenticate::Sign(Zeroizing::new(data.to_vec()));
        self.use_key(slot, algorithm, &operation, pin, control)
    }

    /// Decrypts a block as long as the modulus with an RSA key; the padding is still there.
    ///
    /// # Errors
    /// As [`sign`](Self::sign).
    pub fn decrypt(
        &mut self,
        slot: Slot,
        algorithm: Algorithm,
        block: &[u8],
        pin: Option<&Pin>,
        control: &Control,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        if !algorithm.is_rsa() || block.len() != algorithm.size() {
            return Err(PivRefusal::WrongOperation { slot }.into());
        }
        let operation = Authenticate::Sign(Zeroizing::new(block.to_vec()));
        self.use_key(slot, algorithm, &operation, pin, control).map(Zeroizing::new)
    }

    /// Agrees on a secret with the owner of a public key: the X coordinate on P-256 and P-384, the
    /// 32 bytes of X25519. Hash it before use.
    ///
    /// # Errors
    /// As [`sign`](Self::sign); [`PivRefusal::WrongOperation`] for a public key of RSA or Ed25519.
    pub fn agree(
        &mut self,
        slot: Slot,
        peer: &PublicKey,
        pin: Option<&Pin>,
        control: &Control,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (algorithm, point) = match peer {
            PublicKey::P256(point) => (Algorithm::P256, point.to_vec()),
            PublicKey::P384(point) => (Algorithm::P384, point.to_vec()),
            PublicKey::X25519(point) => (Algorithm::X25519, point.to_vec()),
            PublicKey::Rsa { .. } | PublicKey::Ed25519(_) => {
                return Err(PivRefusal::WrongOperation { slot }.into());
            }
        };
        self.use_key(slot, algorithm, &Authenticate::Agree(point), pin, control).map(Zeroizing::new)
    }

    fn use_key(
        &mut self,
        slot: Slot,
        algorithm: Algorithm,
        operation: &Authenticate,
        pin: Option<&Pin>,
        control: &Control,
    ) -> Result<Vec<u8>, Error> {
        if slot == Slot::ATTESTATION {
            return Err(PivInputError::Slot { slot }.into());
        }
        algorithm.check(self.version())?;
        let mut held = self.hold(control)?;
        let metadata = held.key(slot)?;
        let touch = metadata.as_ref().map_or(TouchPolicy::Never, |metadata| metadata.touch_policy);
        match (&metadata, pin) {
            // No PIN is spent on what the key would refuse anyway.
            (Some(known), _) if known.algorithm != algorithm => {
                return Err(PivRefusal::WrongOperation { slot }.into());
            }
            (Some(known), _) if known.pin_policy == PinPolicy::Never => {}
            (_, Some(pin)) => held.verify(pin)?,
            // Another program's PIN must not be what makes this succeed.
            (_, None) => held.forget()?,
        }
        let response = held.call_touched(&command::use_key(algorithm, slot, operation), touch)?;
        match response.status {
            StatusWord::SUCCESS => {
                let answer = Zeroizing::new(response.data);
                result_of(&answer)
            }
            StatusWord::SECURITY_STATUS_NOT_SATISFIED | StatusWord::CONDITIONS_NOT_SATISFIED => {
                let needs_pin = metadata.is_none_or(|known| known.pin_policy != PinPolicy::Never);
                if pin.is_none() && needs_pin {
                    return Err(PivRefusal::PinNeeded { operation: "use this key" }.into());
                }
                Err(Refusal::TouchTimedOut.into())
            }
            StatusWord::REFERENCE_NOT_FOUND => Err(PivRefusal::NoKey { slot }.into()),
            StatusWord::WRONG_DATA | StatusWord::WRONG_LENGTH | StatusWord::INCORRECT_PARAMETERS => {
                Err(PivRefusal::WrongOperation { slot }.into())
            }
            status => Err(refused("use the key", status)),
        }
    }
}
