//! Which applications are on after some were switched on and others off.

use std::fmt;

use thiserror::Error;

use super::{Capabilities, DeviceInfo, Interfaces};

/// The side of a key on which applications are switched.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    /// Plugged in.
    Usb,
    /// Held against a contactless reader.
    Nfc,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usb => "USB",
            Self::Nfc => "NFC",
        })
    }
}

/// A wish to switch applications on and off on one side. What it does not name stays as it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Switch {
    /// The side.
    pub side: Side,
    /// What is to be on.
    pub enable: Capabilities,
    /// What is to be off.
    pub disable: Capabilities,
}

impl Switch {
    /// What there is on a side, or nothing for a key without it.
    #[must_use]
    pub fn supported(side: Side, info: &DeviceInfo) -> Option<Capabilities> {
        match side {
            Side::Usb => Some(info.usb_supported),
            Side::Nfc => info.nfc_supported.filter(|supported| !supported.is_empty()),
        }
    }

    /// What is on on a side. A key that does not tell has everything on.
    #[must_use]
    pub fn enabled(side: Side, info: &DeviceInfo) -> Option<Capabilities> {
        let supported = Self::supported(side, info)?;
        let told = match side {
            Side::Usb => info.usb_enabled,
            Side::Nfc => info.nfc_enabled,
        };
        Some(told.unwrap_or(supported))
    }

    /// The applications that are on afterwards.
    ///
    /// ```
    /// use tapkey_protocol::management::{Capabilities, DeviceInfo, Side, Switch, SwitchError};
    ///
    /// let info = DeviceInfo { usb_supported: Capabilities::OTP | Capabilities::PIV, ..DeviceInfo::default() };
    /// let off = |disable| Switch { side: Side::Usb, enable: Capabilities::NONE, disable };
    /// assert_eq!(off(Capabilities::OTP).apply(&info), Ok(Capabilities::PIV));
    /// // The key could never be reached again.
    /// assert_eq!(off(Capabilities::OTP | Capabilities::PIV).apply(&info), Err(SwitchError::NoInterfaceLeft));
    /// ```
    ///
    /// # Errors
    /// [`SwitchError`] when the key has no such side or application, when one is to be on and off, and
    /// when no USB interface would be left.
    pub fn apply(&self, info: &DeviceInfo) -> Result<Capabilities, SwitchError> {
        let (Some(supported), Some(enabled)) =
            (Self::supported(self.side, info), Self::enabled(self.side, info))
        else {
            return Err(SwitchError::NoSuchSide { side: self.side });
        };
        let both = self.enable & self.disable;
        if !both.is_empty() {
            return Err(SwitchError::OnAndOff { which: both });
        }
        let missing = self.enable.without(supported);
        if !missing.is_empty() {
            return Err(SwitchError::NotThere { which: missing, side: self.side, supported });
        }
        // The bare CCID bit is only where nothing says which applications stand behind it.
        let after = enabled.union(self.enable).without(self.disable);
        let shown =
            after.without(Capabilities::CCID | Capabilities::MANAGEMENT | Capabilities::FIDO_OVER_CCID);
        let after = if shown.is_empty() { Capabilities::NONE } else { after };
        if self.side == Side::Usb && Interfaces::of(after).is_empty() {
            return Err(SwitchError::NoInterfaceLeft);
        }
        Ok(after)
    }
}

/// Why applications cannot be switched so.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SwitchError {
    /// The key has no NFC.
    #[error("this key has no {side}")]
    NoSuchSide {
        /// The side.
        side: Side,
    },
    /// An application is named twice.
    #[error("{which} cannot be switched on and off at once")]
    OnAndOff {
        /// Which.
        which: Capabilities,
    },
    /// The key does not have an application there.
    #[error("this key has no {which} on {side}; it has {supported}")]
    NotThere {
        /// Which.
        which: Capabilities,
        /// Where.
        side: Side,
        /// What it has.
        supported: Capabilities,
    },
    /// The key could not be reached over USB any more.
    #[error(
        "this would switch off the last application on USB, after which nothing could reach the key to switch \
         one on again; leave one on"
    )]
    NoInterfaceLeft,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn info(supported: u16, enabled: u16) -> DeviceInfo {
        DeviceInfo {
            usb_supported: Capabilities(supported),
            usb_enabled: Some(Capabilities(enabled)),
            nfc_supported: Some(Capabilities(supported)),
            nfc_enabled: Some(Capabilities(enabled)),
            ..DeviceInfo::default()
        }
    }

    fn usb(enable: Capabilities, disable: Capabilities) -> Switch {
        Switch { side: Side::Usb, enable, disable }
    }

    #[test]
    fn on_and_off() {
        let key = info(0x033F, 0x0001);
        assert_eq!(usb(Capabilities::PIV, Capabilities::OTP).apply(&key), Ok(Capabilities::PIV));
        assert_eq!(usb(Capabilities::OTP, Capabilities::NONE).apply(&key), Ok(Capabilities::OTP));
        assert_eq!(usb(Capabilities::NONE, Capabilities::OTP).apply(&key), Err(SwitchError::NoInterfaceLeft));
        assert_eq!(
            usb(Capabilities::PIV, Capabilities::PIV).apply(&key),
            Err(SwitchError::OnAndOff { which: Capabilities::PIV })
        );
        let edge = info(0x0003, 0x0003);
        assert!(matches!(
            usb(Capabilities::PIV, Capabilities::NONE).apply(&edge),
            Err(SwitchError::NotThere { which: Capabilities::PIV, .. })
        ));
    }

    #[test]
    fn nfc_may_be_switched_off_altogether() {
        let off = Switch { side: Side::Nfc, enable: Capabilities::NONE, disable: Capabilities(0x033F) };
        assert_eq!(off.apply(&info(0x033F, 0x033F)), Ok(Capabilities::NONE));
        let without = DeviceInfo { nfc_supported: None, ..info(0x033F, 0x033F) };
        assert_eq!(off.apply(&without), Err(SwitchError::NoSuchSide { side: Side::Nfc }));
    }

    #[test]
    fn what_carries_no_application_does_not_count() {
        // A key of firmware 5.8 has management and FIDO over CCID in its set.
        let key = info(0x173F, 0x173F);
        let shown = Capabilities(0x033B);
        assert_eq!(usb(Capabilities::NONE, shown).apply(&key), Err(SwitchError::NoInterfaceLeft));
    }

    proptest! {
        #[test]
        fn something_is_always_left_on_usb(supported: u16, enabled: u16, on: u16, off: u16) {
            let key = info(supported, enabled & supported);
            if let Ok(after) = usb(Capabilities(on), Capabilities(off)).apply(&key) {
                prop_assert!(!Interfaces::of(after).is_empty());
                prop_assert!(after.without(Capabilities(supported)).is_empty());
                prop_assert!(after.contains(Capabilities(on)));
                prop_assert!(!after.intersects(Capabilities(off)));
                // Doing it again changes nothing.
                let again = DeviceInfo { usb_enabled: Some(after), ..key };
                prop_assert_eq!(usb(Capabilities(on), Capabilities(off)).apply(&again), Ok(after));
            }
        }
    }
}
