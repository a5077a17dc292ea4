//! Changing single settings and leaving the others as they are.

use super::builder::{Options, Pacing};
use super::{ConfigFlags, ExtendedFlags, SlotKind, SlotRecord, TicketFlags};
use crate::version::{Unsupported, Version};

macro_rules! changes {
    ($($(#[$doc:meta])* $field:ident: $type:ty, $name:literal;)*) => {
        /// Single settings to change; what is `None` stays as it is.
        ///
        /// ```
        /// use tapkey_protocol::slot::{OptionChanges, Options};
        ///
        /// let changes = OptionChanges { append_enter: Some(false), ..OptionChanges::default() };
        /// let options = changes.apply(Options::for_typing());
        /// assert!(!options.append_enter && options.fast_trigger);
        /// assert_eq!(changes.names(), ["enter"]);
        /// ```
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct OptionChanges {
            $($(#[$doc])* pub $field: Option<$type>,)*
        }

        impl OptionChanges {
            /// The settings after the changes.
            #[must_use]
            pub fn apply(&self, mut options: Options) -> Options {
                $(if let Some(value) = self.$field { options.$field = value; })*
                options
            }

            /// True when nothing is to be changed.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                *self == Self::default()
            }

            /// What is to be changed, by the names of the command line's options.
            #[must_use]
            pub fn names(&self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.$field.is_some() { names.push($name); })*
                names
            }

            /// The first of the changes that firmware does not know, with its name.
            ///
            /// # Errors
            /// [`Unsupported`].
            pub fn supported_by(&self, version: Version) -> Result<(), (&'static str, Unsupported)> {
                $(if let Some(value) = self.$field {
                    let alone = Options { $field: value, ..Options::default() };
                    alone.supported_by(version).map_err(|error| ($name, error))?;
                })*
                Ok(())
            }
        }

        impl Options {
            /// The settings that differ from `other`, by the names of the command line's options.
            #[must_use]
            pub fn differences(&self, other: &Self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.$field != other.$field { names.push($name); })*
                names
            }
        }
    };
}

changes! {
    /// Type TAB before everything.
    tab_first: bool, "tab-first";
    /// Type TAB after the fixed part.
    tab_after_fixed: bool, "tab-after-id";
    /// Type TAB after the body.
    tab_after_body: bool, "tab-last";
    /// Wait half a second after the fixed part.
    delay_after_fixed: bool, "delay-after-id";
    /// Wait half a second after the body.
    delay_after_body: bool, "delay-last";
    /// Type Enter at the end.
    append_enter: bool, "enter";
    /// Wait after each key.
    pacing: Pacing, "pacing";
    /// Type digits as keys of the numeric keypad.
    numeric_keypad: bool, "numeric-keypad";
    /// Act on a touch at once when only slot 1 is programmed.
    fast_trigger: bool, "fast-trigger";
    /// Allow updates of the flags later.
    allow_update: bool, "allow-update";
    /// The slot does nothing until an update wakes it.
    dormant: bool, "dormant";
    /// The LED is on where it would be off.
    led_inverted: bool, "led-inverted";
    /// In slot 1: protect slot 2.
    protect_slot_2: bool, "protect-slot-2";
    /// Show the serial number when the key is plugged in while it is touched.
    serial_at_boot: bool, "serial-button-visible";
    /// Put the serial number into the USB descriptor.
    serial_in_usb: bool, "serial-usb-visible";
    /// Let the serial number be asked for.
    serial_by_api: bool, "serial-api-visible";
}

impl OptionChanges {
    /// The first change that means nothing in a slot of this kind, by its name: challenge-response types
    /// nothing, so nothing about typing can be set there.
    #[must_use]
    pub fn meaningless_in(&self, kind: SlotKind) -> Option<&'static str> {
        const TYPING: [&str; 9] = [
            "tab-first",
            "tab-after-id",
            "tab-last",
            "delay-after-id",
            "delay-last",
            "enter",
            "pacing",
            "numeric-keypad",
            "fast-trigger",
        ];
        if !kind.is_challenge_response() {
            return None;
        }
        let on = self.apply(Options::default()).differences(&Options::default());
        on.into_iter().find(|name| TYPING.contains(name))
    }
}

impl Options {
    /// The settings that a slot's flags say. In a challenge-response slot two flags mean something else
    /// than pacing; they are kept as if they were, so that an update puts them back.
    #[must_use]
    pub fn of_flags(ticket: TicketFlags, config: ConfigFlags, extended: ExtendedFlags) -> Self {
        Self {
            tab_first: ticket.contains(TicketFlags::TAB_FIRST),
            tab_after_fixed: ticket.contains(TicketFlags::APPEND_TAB1),
            tab_after_body: ticket.contains(TicketFlags::APPEND_TAB2),
            delay_after_fixed: ticket.contains(TicketFlags::APPEND_DELAY1),
            delay_after_body: ticket.contains(TicketFlags::APPEND_DELAY2),
            append_enter: ticket.contains(TicketFlags::APPEND_CR),
            pacing: Pacing::from_flags(config),
            numeric_keypad: extended.contains(ExtendedFlags::NUMERIC_KEYPAD),
            fast_trigger: extended.contains(ExtendedFlags::FAST_TRIGGER),
            allow_update: extended.contains(ExtendedFlags::ALLOW_UPDATE),
            dormant: extended.contains(ExtendedFlags::DORMANT),
            led_inverted: extended.contains(ExtendedFlags::LED_INVERTED),
            protect_slot_2: ticket.contains(TicketFlags::PROTECT_SLOT_2),
            serial_at_boot: extended.contains(ExtendedFlags::SERIAL_AT_BOOT),
            serial_in_usb: extended.contains(ExtendedFlags::SERIAL_IN_USB),
            serial_by_api: extended.contains(ExtendedFlags::SERIAL_BY_API),
        }
    }

    /// The settings of a record.
    #[must_use]
    pub fn of_record(record: &SlotRecord) -> Self {
        Self::of_flags(record.ticket, record.config, record.extended)
    }

    /// The chosen settings that this firmware takes and is documented to do nothing about
    /// (`ykpersonalize(1)`), by their names: delays, keypad digits and the serial number at the button
    /// belong to firmware 2.
    #[must_use]
    pub fn idle_on(&self, version: Version) -> Vec<&'static str> {
        if version.major < 3 {
            return Vec::new();
        }
        [
            (self.delay_after_fixed, "delay-after-id"),
            (self.delay_after_body, "delay-last"),
            (self.numeric_keypad, "numeric-keypad"),
            (self.serial_at_boot, "serial-button-visible"),
        ]
        .into_iter()
        .filter_map(|(chosen, name)| chosen.then_some(name))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn flags_round_trip(ticket in 0..0x40_u8, config: u8, extended: u8) {
            let flags = (TicketFlags(ticket), ConfigFlags(config), ExtendedFlags(extended));
            let options = Options::of_flags(flags.0, flags.1, flags.2);
            prop_assert_eq!(options.ticket_flags(), flags.0);
            prop_assert_eq!(options.extended_flags(), flags.2);
            prop_assert_eq!(options.pacing.flags(), flags.1.intersection(ConfigFlags::UPDATABLE));
        }

        #[test]
        fn what_is_not_named_stays(ticket in 0..0x40_u8, config: u8, extended: u8, on: bool) {
            let before = Options::of_flags(TicketFlags(ticket), ConfigFlags(config), ExtendedFlags(extended));
            let changes = OptionChanges { dormant: Some(on), ..OptionChanges::default() };
            let after = changes.apply(before);
            prop_assert_eq!(after.dormant, on);
            prop_assert_eq!(Options { dormant: before.dormant, ..after }, before);
            prop_assert_eq!(OptionChanges::default().apply(before), before);
        }
    }

    #[test]
    fn what_firmware_does_not_know_is_named() {
        let changes = OptionChanges { led_inverted: Some(true), ..OptionChanges::default() };
        let (name, error) = changes.supported_by(Version::new(2, 3, 0)).unwrap_err();
        assert_eq!((name, error.feature), ("led-inverted", "an inverted LED"));
        assert!(changes.supported_by(Version::new(5, 7, 4)).is_ok());
    }

    #[test]
    fn challenges_type_nothing() {
        let kind = SlotKind::ChallengeYubico { touch: false };
        let typing = OptionChanges { tab_first: Some(true), ..OptionChanges::default() };
        assert_eq!(typing.meaningless_in(kind), Some("tab-first"));
        assert_eq!(typing.meaningless_in(SlotKind::YubicoOtp), None);
        let off = OptionChanges { tab_first: Some(false), dormant: Some(true), ..OptionChanges::default() };
        assert_eq!(off.meaningless_in(kind), None);
    }

    #[test]
    fn settings_of_old_firmware() {
        let options = Options { numeric_keypad: true, ..Options::default() };
        assert_eq!(options.idle_on(Version::new(5, 7, 4)), ["numeric-keypad"]);
        assert!(options.idle_on(Version::new(2, 4, 0)).is_empty());
    }
}
