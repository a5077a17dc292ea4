//! What all slot configurations have in common.

use std::fmt::Debug;

use super::{AccessCode, ConfigFlags, ExtendedFlags, SlotKind, SlotRecord, TicketFlags};
use crate::version::{Requirement, Unsupported, Version};

/// Something that can be written into a slot.
pub trait SlotConfig: Debug {
    /// The record to write.
    fn record(&self) -> SlotRecord;

    /// Whether a key with this firmware can do it.
    ///
    /// # Errors
    /// [`Unsupported`] naming the first thing that it cannot do.
    fn supported_by(&self, version: Version) -> Result<(), Unsupported>;

    /// What the slot will do.
    fn kind(&self) -> SlotKind {
        self.record().kind()
    }
}

/// Settings that every kind of slot has. Those about typing mean nothing in challenge-response slots.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// Type TAB before everything.
    pub tab_first: bool,
    /// Type TAB after the fixed part.
    pub tab_after_fixed: bool,
    /// Type TAB after the body.
    pub tab_after_body: bool,
    /// Wait half a second after the fixed part.
    pub delay_after_fixed: bool,
    /// Wait half a second after the body.
    pub delay_after_body: bool,
    /// Type Enter at the end.
    pub append_enter: bool,
    /// Wait after each key.
    pub pacing: Pacing,
    /// Type digits as keys of the numeric keypad.
    pub numeric_keypad: bool,
    /// Act on a touch at once when only slot 1 is programmed.
    pub fast_trigger: bool,
    /// Allow updates of the flags later.
    pub allow_update: bool,
    /// The slot does nothing until an update wakes it.
    pub dormant: bool,
    /// The LED is on where it would be off.
    pub led_inverted: bool,
    /// In slot 1: protect slot 2.
    pub protect_slot_2: bool,
    /// Show the serial number when the key is plugged in while it is touched.
    pub serial_at_boot: bool,
    /// Put the serial number into the USB descriptor.
    pub serial_in_usb: bool,
    /// Let the serial number be asked for.
    pub serial_by_api: bool,
}

/// How long to wait after each typed key, beyond the keyboard's own pace.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Pacing {
    /// Not at all.
    #[default]
    None,
    /// 10 ms.
    Ten,
    /// 20 ms.
    Twenty,
    /// 30 ms: both flags.
    Thirty,
}

impl Pacing {
    /// The flags.
    #[must_use]
    pub const fn flags(self) -> ConfigFlags {
        match self {
            Self::None => ConfigFlags::NONE,
            Self::Ten => ConfigFlags::PACING_10MS,
            Self::Twenty => ConfigFlags::PACING_20MS,
            Self::Thirty => ConfigFlags::UPDATABLE,
        }
    }

    /// Reads the flags of a slot that types.
    #[must_use]
    pub const fn from_flags(config: ConfigFlags) -> Self {
        match (config.contains(ConfigFlags::PACING_10MS), config.contains(ConfigFlags::PACING_20MS)) {
            (false, false) => Self::None,
            (true, false) => Self::Ten,
            (false, true) => Self::Twenty,
            (true, true) => Self::Thirty,
        }
    }

    /// The wait.
    #[must_use]
    pub const fn milliseconds(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Ten => 10,
            Self::Twenty => 20,
            Self::Thirty => 30,
        }
    }
}

impl Options {
    /// What host tools set by default for slots that type: Enter at the end, fast trigger, updates
    /// allowed, serial number readable.
    #[must_use]
    pub fn for_typing() -> Self {
        Self { append_enter: true, fast_trigger: true, ..Self::for_challenges() }
    }

    /// What host tools set by default for challenge-response slots: updates allowed, serial number
    /// readable.
    #[must_use]
    pub fn for_challenges() -> Self {
        Self { allow_update: true, serial_by_api: true, ..Self::default() }
    }

    /// The same without what the firmware does not know among the *defaults*, for old keys: fast
    /// trigger and updates before 2.3, serial visibility before 2.2.
    #[must_use]
    pub fn fitted_to(mut self, version: Version) -> Self {
        if version < V2_3 {
            self.fast_trigger = false;
            self.allow_update = false;
        }
        if version < V2_2 {
            self.serial_by_api = false;
        }
        self
    }

    /// The ticket flags that an update may set too.
    #[must_use]
    pub fn ticket_flags(&self) -> TicketFlags {
        TicketFlags::NONE
            .with(TicketFlags::TAB_FIRST, self.tab_first)
            .with(TicketFlags::APPEND_TAB1, self.tab_after_fixed)
            .with(TicketFlags::APPEND_TAB2, self.tab_after_body)
            .with(TicketFlags::APPEND_DELAY1, self.delay_after_fixed)
            .with(TicketFlags::APPEND_DELAY2, self.delay_after_body)
            .with(TicketFlags::APPEND_CR, self.append_enter)
    }

    /// The extended flags.
    #[must_use]
    pub fn extended_flags(&self) -> ExtendedFlags {
        ExtendedFlags::NONE
            .with(ExtendedFlags::SERIAL_AT_BOOT, self.serial_at_boot)
            .with(ExtendedFlags::SERIAL_IN_USB, self.serial_in_usb)
            .with(ExtendedFlags::SERIAL_BY_API, self.serial_by_api)
            .with(ExtendedFlags::NUMERIC_KEYPAD, self.numeric_keypad)
            .with(ExtendedFlags::FAST_TRIGGER, self.fast_trigger)
            .with(ExtendedFlags::ALLOW_UPDATE, self.allow_update)
            .with(ExtendedFlags::DORMANT, self.dormant)
            .with(ExtendedFlags::LED_INVERTED, self.led_inverted)
    }

    /// Whether firmware knows the chosen options.
    ///
    /// # Errors
    /// [`Unsupported`] naming the first that it does not know.
    pub fn supported_by(&self, version: Version) -> Result<(), Unsupported> {
        let led = Requirement::Outside(Version::new(3, 0, 0), Version::new(3, 1, 0));
        let checks = [
            (
                self.serial_at_boot || self.serial_in_usb || self.serial_by_api,
                "serial number visibility",
                V2_2,
            ),
            (self.numeric_keypad, "numeric keypad codes", V2_3),
            (self.fast_trigger, "fast trigger", V2_3),
            (self.allow_update, "updates of a slot", V2_3),
            (self.dormant, "dormant slots", V2_3),
            (self.led_inverted, "an inverted LED", V2_4),
            (self.protect_slot_2, "protecting slot 2", V2_0),
        ];
        for (chosen, feature, required) in checks {
            if chosen {
                Unsupported::check_at_least(feature, version, required)?;
            }
        }
        if self.led_inverted {
            Unsupported::check("an inverted LED", version, led)?;
        }
        Ok(())
    }

    /// A record of a slot that types, with pacing, and without anything of its kind.
    pub(super) fn typing_record(&self, access_code: &AccessCode) -> SlotRecord {
        SlotRecord { config: self.pacing.flags(), ..self.silent_record(access_code) }
    }

    /// A record of a slot that answers challenges: nothing about typing.
    pub(super) fn silent_record(&self, access_code: &AccessCode) -> SlotRecord {
        SlotRecord {
            access_code: access_code.clone(),
            extended: self.extended_flags(),
            ticket: self.ticket_flags().with(TicketFlags::PROTECT_SLOT_2, self.protect_slot_2),
            ..SlotRecord::default()
        }
    }
}

pub(super) const V2_0: Version = Version::new(2, 0, 0);
pub(super) const V2_1: Version = Version::new(2, 1, 0);
pub(super) const V2_2: Version = Version::new(2, 2, 0);
pub(super) const V2_3: Version = Version::new(2, 3, 0);
const V2_4: Version = Version::new(2, 4, 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_of_host_tools() {
        assert_eq!(Options::for_typing().extended_flags(), ExtendedFlags(0x34));
        assert_eq!(Options::for_typing().ticket_flags(), TicketFlags(0x20));
        assert_eq!(Options::for_challenges().extended_flags(), ExtendedFlags(0x24));
    }

    #[test]
    fn old_keys() {
        let old = Version::new(2, 1, 0);
        let error = Options::for_typing().supported_by(old).unwrap_err();
        assert_eq!(error.feature, "serial number visibility");
        assert_eq!(Options::for_typing().fitted_to(old).supported_by(old), Ok(()));
        let led = Options { led_inverted: true, ..Options::default() };
        assert!(led.supported_by(Version::new(2, 4, 0)).is_ok());
        assert!(led.supported_by(Version::new(3, 0, 1)).is_err());
        assert!(led.supported_by(Version::new(2, 3, 0)).is_err());
    }

    #[test]
    fn pacing_flags() {
        for pacing in [Pacing::None, Pacing::Ten, Pacing::Twenty, Pacing::Thirty] {
            assert_eq!(Pacing::from_flags(pacing.flags()), pacing);
        }
    }
}
