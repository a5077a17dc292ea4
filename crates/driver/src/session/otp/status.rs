//! What the OTP application tells about its slots, and how far it is to be believed.

use std::fmt;

use tapkey_protocol::hid::Status;
use tapkey_protocol::link::CardTransport;
use tapkey_protocol::slot::Slot;
use tapkey_protocol::version::Version;

use super::Transport;

/// The state of the OTP application.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OtpStatus {
    /// The firmware.
    pub version: Version,
    /// Counts accepted writes; 0 when no slot is programmed.
    pub sequence: u8,
    /// Slots 1 and 2.
    pub slots: [SlotState; 2],
    /// The LED shines the other way round.
    pub led_inverted: bool,
    /// Why the rest may not be true.
    pub caveat: Option<Caveat>,
}

/// What is told of one slot. Nothing tells *what* is programmed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SlotState {
    /// Something is programmed. `None` before firmware 2.1, which does not tell.
    pub programmed: Option<bool>,
    /// The slot acts on a touch: it types, or answers challenges only when touched. `None` before
    /// firmware 3.0.
    pub touch_triggered: Option<bool>,
}

/// A known weakness of the status on some firmware and links.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Caveat {
    /// The smart card shows the slots as they were when the key was plugged in.
    StaleUntilReplugged,
    /// The status over NFC is meaningless.
    Unreadable,
}

impl fmt::Display for Caveat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StaleUntilReplugged => {
                "over the smart-card interface this firmware shows the slots as they were when it was plugged in"
            }
            Self::Unreadable => "over NFC this firmware does not tell what is in its slots",
        })
    }
}

impl OtpStatus {
    pub(super) fn new(status: Status, transport: Transport) -> Self {
        let caveat = caveat(status.version, transport);
        let slots = if caveat == Some(Caveat::Unreadable) {
            [SlotState::default(); 2]
        } else {
            Slot::ALL.map(|slot| SlotState {
                programmed: status.version.at_least(2, 1, 0).then(|| status.touch_level.is_programmed(slot)),
                touch_triggered: status
                    .version
                    .at_least(3, 0, 0)
                    .then(|| status.touch_level.is_touch_triggered(slot)),
            })
        };
        Self {
            version: status.version,
            sequence: status.sequence,
            slots,
            led_inverted: caveat != Some(Caveat::Unreadable) && status.touch_level.is_led_inverted(),
            caveat,
        }
    }

    /// The state of one slot.
    #[must_use]
    pub const fn slot(&self, slot: Slot) -> SlotState {
        self.slots[slot.index()]
    }

    /// Whether the slot is programmed, as far as this can be relied on.
    #[must_use]
    pub const fn is_certainly(&self, slot: Slot, programmed: bool) -> bool {
        match (self.caveat, self.slot(slot).programmed) {
            (None, Some(known)) => known == programmed,
            _ => false,
        }
    }
}

/// Firmware whose OTP status over NFC is garbage.
pub(crate) fn is_garbled_over_nfc(version: Version) -> bool {
    version.is_within(Version::new(5, 0, 0), Version::new(5, 2, 5))
}

/// Whether the smart card takes OTP settings: always over NFC, over USB on firmware 3 and from 5.3 on.
pub(crate) fn card_takes_settings(version: Version, transport: CardTransport) -> bool {
    transport == CardTransport::Nfc || version.major == 3 || version.at_least(5, 3, 0)
}

fn caveat(version: Version, transport: Transport) -> Option<Caveat> {
    match transport {
        Transport::Card(CardTransport::Usb)
            if version.is_within(Version::new(4, 0, 0), Version::new(5, 5, 0)) =>
        {
            Some(Caveat::StaleUntilReplugged)
        }
        Transport::Card(CardTransport::Nfc) if is_garbled_over_nfc(version) => Some(Caveat::Unreadable),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tapkey_protocol::hid::TouchLevel;

    use super::*;

    fn status(version: Version, level: u16, transport: Transport) -> OtpStatus {
        OtpStatus::new(Status { version, sequence: 3, touch_level: TouchLevel(level) }, transport)
    }

    #[test]
    fn a_recent_key_is_believed() {
        let status = status(Version::new(5, 7, 4), 0x05, Transport::Hid);
        assert!(status.is_certainly(Slot::One, true));
        assert!(status.is_certainly(Slot::Two, false));
        assert_eq!(status.slot(Slot::One).touch_triggered, Some(true));
        assert_eq!(status.caveat, None);
    }

    #[test]
    fn a_card_before_5_5_may_be_stale() {
        let over_card = status(Version::new(5, 4, 3), 0x01, Transport::Card(CardTransport::Usb));
        assert_eq!(over_card.caveat, Some(Caveat::StaleUntilReplugged));
        assert!(!over_card.is_certainly(Slot::Two, false));
        assert_eq!(status(Version::new(5, 4, 3), 0x01, Transport::Hid).caveat, None);
    }

    #[test]
    fn early_firmware_5_tells_nothing_over_nfc() {
        let status = status(Version::new(5, 2, 4), 0xFFFF, Transport::Card(CardTransport::Nfc));
        assert_eq!(status.caveat, Some(Caveat::Unreadable));
        assert_eq!(status.slots, [SlotState::default(); 2]);
        assert!(!status.led_inverted);
    }

    #[test]
    fn old_keys_tell_less() {
        let old = status(Version::new(2, 0, 5), 0, Transport::Hid);
        assert_eq!(old.slots, [SlotState::default(); 2]);
        let newer = status(Version::new(2, 4, 1), 1, Transport::Hid);
        assert_eq!(newer.slot(Slot::One), SlotState { programmed: Some(true), touch_triggered: None });
    }

    #[test]
    fn which_cards_take_settings() {
        for (version, expected) in
            [((3, 4, 9), true), ((4, 3, 7), false), ((5, 2, 4), false), ((5, 3, 0), true), ((5, 7, 4), true)]
        {
            let version = Version::new(version.0, version.1, version.2);
            assert_eq!(card_takes_settings(version, CardTransport::Usb), expected, "{version}");
            assert!(card_takes_settings(version, CardTransport::Nfc));
        }
    }
}
