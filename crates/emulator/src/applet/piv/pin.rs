//! The PIN and the PUK, and how often they may be wrong.

use tapkey_protocol::apdu::{Command, StatusWord};
use tapkey_protocol::piv::{ChangeReference, Pin, PinPolicy, Puk, VerifyAnswer, reference, since};

use super::{PivApplet, change as store, malformed, piv};
use crate::key::Device;
use crate::state::{DEFAULT_PIN, DEFAULT_PUK, PivState, Tries};

/// Whether the PIN was checked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Verification {
    /// It was not.
    #[default]
    No,
    /// It was, and no key that wants it was used since.
    Fresh,
    /// It was, before a key was used.
    Used,
}

impl Verification {
    pub(super) fn is_verified(self) -> bool {
        self != Self::No
    }

    /// Whether it lets a key of this policy be used.
    pub(super) const fn allows(self, policy: PinPolicy) -> bool {
        match policy {
            PinPolicy::Never => true,
            PinPolicy::Once | PinPolicy::MatchOnce => !matches!(self, Self::No),
            PinPolicy::Always | PinPolicy::MatchAlways => matches!(self, Self::Fresh),
        }
    }

    /// A key that wants the PIN is used.
    pub(super) fn spend(&mut self, policy: PinPolicy) {
        if *self == Self::Fresh && policy != PinPolicy::Never {
            *self = Self::Used;
        }
    }
}

#[derive(Clone, Copy)]
enum Which {
    Pin,
    Puk,
}

impl Which {
    const fn of(self, state: &PivState) -> &Tries {
        match self {
            Self::Pin => &state.pin,
            Self::Puk => &state.puk,
        }
    }

    const fn of_mut(self, state: &mut PivState) -> &mut Tries {
        match self {
            Self::Pin => &mut state.pin,
            Self::Puk => &mut state.puk,
        }
    }
}

/// VERIFY: checks the PIN, tells whether it was checked, or logs out.
pub(super) fn verify(
    applet: &mut PivApplet,
    device: &mut Device,
    command: &Command,
) -> Result<(), StatusWord> {
    if command.p2 != reference::PIN {
        return Err(StatusWord::WRONG_DATA);
    }
    match (command.p1, command.data.len()) {
        (0, 0) => query(applet.pin, device),
        (0, 8) => {
            applet.pin = Verification::No;
            judge(device, Which::Pin, &command.data)?;
            applet.pin = Verification::Fresh;
            Ok(())
        }
        (0, _) => {
            applet.pin = Verification::No;
            Err(StatusWord::WRONG_DATA)
        }
        (0xFF, 0) if device.profile().version() >= since::LOG_OUT => {
            applet.pin = Verification::No;
            Ok(())
        }
        _ => Err(StatusWord::WRONG_DATA),
    }
}

fn query(verification: Verification, device: &Device) -> Result<(), StatusWord> {
    if verification.is_verified() {
        return Ok(());
    }
    Err(VerifyAnswer::TriesLeft(piv(device)?.pin.left).status())
}

/// CHANGE REFERENCE DATA: a new PIN or PUK for one who knows the old.
pub(super) fn change(
    applet: &mut PivApplet,
    device: &mut Device,
    command: &Command,
) -> Result<(), StatusWord> {
    let which = match (command.p1, command.p2) {
        (0, reference::PIN) => Which::Pin,
        (0, reference::PUK) => Which::Puk,
        _ => return Err(StatusWord::REFERENCE_NOT_FOUND),
    };
    let body = ChangeReference::parse(&command.data).map_err(malformed)?;
    if let Err(status) = judge(device, which, body.old.expose()) {
        if matches!(which, Which::Pin) {
            applet.pin = Verification::No;
        }
        return Err(status);
    }
    replace(device, which, *body.new.expose())
}

/// RESET RETRY COUNTER: a new PIN for one who knows the PUK.
pub(super) fn unblock(device: &mut Device, command: &Command) -> Result<(), StatusWord> {
    if (command.p1, command.p2) != (0, reference::PIN) {
        return Err(StatusWord::REFERENCE_NOT_FOUND);
    }
    let body = ChangeReference::parse(&command.data).map_err(malformed)?;
    judge(device, Which::Puk, body.old.expose())?;
    replace(device, Which::Pin, *body.new.expose())
}

/// SET PIN RETRIES, for one who knows the PIN and the management key. PIN and PUK become the
/// factory's. Zero tries would block them for good, and are refused.
pub(super) fn set_retries(
    applet: &mut PivApplet,
    device: &mut Device,
    command: &Command,
) -> Result<(), StatusWord> {
    applet.need_administrator()?;
    if !applet.pin.is_verified() {
        return Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED);
    }
    let (pin, puk) = (command.p1, command.p2);
    if pin == 0 || puk == 0 {
        return Err(StatusWord::WRONG_DATA);
    }
    store(device, |state| {
        state.pin = Tries::new(DEFAULT_PIN, pin);
        state.puk = Tries::new(DEFAULT_PUK, puk);
    })?;
    applet.pin = Verification::No;
    Ok(())
}

/// Compares. The try is counted, durably, before the value is looked at: power that goes in
/// between gives none back.
fn judge(device: &mut Device, which: Which, value: &[u8]) -> Result<(), StatusWord> {
    let left = which.of(piv(device)?).left;
    let Some(less) = left.checked_sub(1) else {
        return Err(StatusWord::AUTHENTICATION_BLOCKED);
    };
    store(device, |state| which.of_mut(state).left = less)?;
    if !which.of(piv(device)?).is(value) {
        return Err(VerifyAnswer::TriesLeft(less).status());
    }
    store(device, |state| {
        let tries = which.of_mut(state);
        tries.left = tries.total;
    })
}

fn replace(device: &mut Device, which: Which, new: [u8; 8]) -> Result<(), StatusWord> {
    let profile = device.profile();
    let fits = match which {
        Which::Pin => Pin::from_padded(&new).is_ok(),
        Which::Puk => Puk::from_padded(&new).is_ok_and(|puk| puk.check(profile.version()).is_ok()),
    };
    if !fits || (device.state().settings.pin_complexity && is_guessed_first(&new)) {
        return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
    }
    store(device, |state| {
        let tries = which.of_mut(state);
        *tries = Tries::new(new, tries.total);
    })
}

/// What keys with PIN complexity refuse ("PIN complexity" of Yubico's technical manual): one
/// character throughout, and values that everybody tries first.
fn is_guessed_first(padded: &[u8; 8]) -> bool {
    let length = padded.iter().rposition(|byte| *byte != 0xFF).map_or(0, |last| last + 1);
    let value = padded.get(..length).unwrap_or_default();
    let lower = value.to_ascii_lowercase();
    value.iter().all(|byte| value.first() == Some(byte)) || GUESSED_FIRST.contains(&lower.as_slice())
}

const GUESSED_FIRST: [&[u8]; 14] = [
    b"123456",
    b"123123",
    b"654321",
    b"123321",
    b"112233",
    b"121212",
    b"520520",
    b"123654",
    b"159753",
    b"qwerty",
    b"abc123",
    b"1234567",
    b"12345678",
    b"password",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_tries_first() {
        for (value, guessed) in [
            (b"123456\xFF\xFF", true),
            (b"111111\xFF\xFF", true),
            (b"PassWord", true),
            (b"12345678", true),
            (b"111112\xFF\xFF", false),
            (b"847291\xFF\xFF", false),
        ] {
            assert_eq!(is_guessed_first(value), guessed, "{value:?}");
        }
    }

    #[test]
    fn always_is_once_per_verification() {
        let mut pin = Verification::Fresh;
        assert!(pin.allows(PinPolicy::Always));
        pin.spend(PinPolicy::Never);
        assert!(pin.allows(PinPolicy::Always), "a key without a PIN spends nothing");
        pin.spend(PinPolicy::Once);
        assert!(!pin.allows(PinPolicy::Always) && pin.allows(PinPolicy::Once) && pin.is_verified());
        assert!(Verification::No.allows(PinPolicy::Never) && !Verification::No.allows(PinPolicy::Once));
    }
}
