//! GENERATE ASYMMETRIC KEY PAIR.

use super::{Algorithm, CodecError, PinPolicy, TouchPolicy};
use crate::tlv::{Reader, TlvError, Writer};

/// The body of GENERATE; the slot is P2. A policy that is not given is the slot's own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Generate {
    /// What to make.
    pub algorithm: Algorithm,
    /// When the key will want the PIN.
    pub pin_policy: Option<PinPolicy>,
    /// When the key will want a touch.
    pub touch_policy: Option<TouchPolicy>,
}

impl Generate {
    /// With the slot's own policies.
    #[must_use]
    pub const fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, pin_policy: None, touch_policy: None }
    }

    /// The body of the command.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut inner = Writer::new();
        inner.push(ALGORITHM, &[self.algorithm.id()]);
        push_policies(&mut inner, self.pin_policy, self.touch_policy);
        let mut body = Writer::new();
        body.push(TEMPLATE, inner.as_bytes());
        body.into_bytes()
    }

    /// Reads the body of the command.
    ///
    /// # Errors
    /// [`CodecError`]; a key answers `6A80`.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let mut outer = Reader::new(body);
        let mut inner = Reader::new(outer.expect(TEMPLATE)?);
        outer.finish()?;
        let [algorithm] = super::fixed(ALGORITHM.into(), inner.expect(ALGORITHM)?)?;
        let (pin_policy, touch_policy) = read_policies(inner)?;
        Ok(Self { algorithm: algorithm.try_into()?, pin_policy, touch_policy })
    }
}

pub(super) fn push_policies(out: &mut Writer, pin: Option<PinPolicy>, touch: Option<TouchPolicy>) {
    if let Some(pin) = pin {
        out.push(PIN_POLICY, &[pin.id()]);
    }
    if let Some(touch) = touch {
        out.push(TOUCH_POLICY, &[touch.id()]);
    }
}

/// Reads the policies that end a list.
pub(super) fn read_policies(
    mut reader: Reader<'_>,
) -> Result<(Option<PinPolicy>, Option<TouchPolicy>), CodecError> {
    let (mut pin, mut touch) = (None, None);
    while let Some(tag) = reader.peek() {
        let [policy] = match tag {
            PIN_POLICY | TOUCH_POLICY => super::fixed(tag.into(), reader.expect(tag)?)?,
            _ => return Err(TlvError::TrailingBytes.into()),
        };
        if tag == PIN_POLICY {
            pin = Some(policy.try_into()?);
        } else {
            touch = Some(policy.try_into()?);
        }
    }
    Ok((pin, touch))
}

const TEMPLATE: u8 = 0xAC;
const ALGORITHM: u8 = 0x80;
pub(super) const PIN_POLICY: u8 = 0xAA;
pub(super) const TOUCH_POLICY: u8 = 0xAB;
