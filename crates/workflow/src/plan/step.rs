//! The steps of an application, in an order that locks nobody out.

use std::fmt;

use tapkey_protocol::management::{Capabilities, DeviceConfig};
use tapkey_protocol::oath::CredentialId;
use tapkey_protocol::slot::Slot;

use super::vault::SecretText;

/// One step. Each is checked before the next begins.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Applications are switched on that later steps need.
    SwitchOn { usb: Capabilities },
    /// An account is removed, which makes room.
    DeleteAccount { id: CredentialId },
    /// An account is stored.
    Account { id: CredentialId },
    /// The password of the accounts is set or removed.
    Password { set: bool },
    /// A slot is written.
    Slot { slot: Slot, work: SlotWork },
    /// The settings of the key as a whole, last: what is switched off is not needed any more.
    Settings {
        config: Box<DeviceConfig>,
        /// The lock code from then on, `Some(None)` for none.
        lock: Option<Option<SecretText>>,
    },
}

/// What is done to a slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SlotWork {
    /// Everything is written anew.
    Program,
    /// Flags and access code change, the secret stays.
    Update,
    /// The slot is emptied.
    Delete,
}

impl Step {
    const fn rank(&self) -> u8 {
        match self {
            Self::SwitchOn { .. } => 0,
            Self::Slot { .. } => 1,
            Self::DeleteAccount { .. } => 2,
            Self::Account { .. } => 3,
            Self::Password { .. } => 4,
            Self::Settings { .. } => 9,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SwitchOn { usb } => write!(f, "switch {usb} on"),
            Self::Slot { slot, work: SlotWork::Program } => write!(f, "program slot {slot}"),
            Self::Slot { slot, work: SlotWork::Update } => write!(f, "change the settings of slot {slot}"),
            Self::Slot { slot, work: SlotWork::Delete } => write!(f, "empty slot {slot}"),
            Self::DeleteAccount { id } => write!(f, "remove the account {id}"),
            Self::Account { id } => write!(f, "store the account {id}"),
            Self::Password { set: true } => f.write_str("set the OATH password"),
            Self::Password { set: false } => f.write_str("remove the OATH password"),
            Self::Settings { lock, .. } => match lock {
                Some(Some(_)) => f.write_str("write the settings and set the lock code"),
                Some(None) => f.write_str("write the settings and remove the lock code"),
                None => f.write_str("write the settings"),
            },
        }
    }
}

/// Sorts the steps: first what is switched on for the others, last what switches off and locks. Of
/// what is switched on for the work, one step is enough.
pub(super) fn in_order(steps: Vec<Step>) -> Vec<Step> {
    let mut on = Capabilities::NONE;
    let mut rest = Vec::new();
    for step in steps {
        match step {
            Step::SwitchOn { usb } => on = on | usb,
            step => rest.push(step),
        }
    }
    if !on.is_empty() {
        rest.push(Step::SwitchOn { usb: on });
    }
    rest.sort_by_key(Step::rank);
    rest
}

/// Whether an order is safe: nothing that needs an application comes after what may switch it off.
pub(super) fn is_safe(steps: &[Step]) -> bool {
    steps.windows(2).all(|pair| match pair {
        [first, second] => first.rank() <= second.rank(),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switching_off_comes_last_and_switching_on_first() {
        let settings = Step::Settings { config: Box::default(), lock: None };
        let slot = |slot| Step::Slot { slot, work: SlotWork::Program };
        let on = |usb| Step::SwitchOn { usb };
        let steps =
            vec![settings, slot(Slot::One), on(Capabilities::OTP), slot(Slot::Two), on(Capabilities::OATH)];
        assert!(!is_safe(&steps));
        let sorted = in_order(steps);
        assert!(is_safe(&sorted));
        let texts: Vec<String> = sorted.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["switch OTP, OATH on", "program slot 1", "program slot 2", "write the settings"]);
    }
}
