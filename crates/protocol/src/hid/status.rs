//! The status of the OTP application: firmware, programming sequence, slots.

use super::{Report, join};
use crate::slot::Slot;
use crate::version::Version;

/// What an idle key shows over HID and answers to SELECT and to INS 03 over a smart card.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Status {
    /// The firmware.
    pub version: Version,
    /// Counts accepted writes; 0 when no slot is programmed.
    pub sequence: u8,
    /// What is known of the slots.
    pub touch_level: TouchLevel,
}

impl Status {
    /// Bytes of a status over a smart card.
    pub const SIZE: usize = 6;

    /// Reads the six bytes: version, sequence, touch level (little-endian).
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        let [major, minor, patch, sequence, low, high] = bytes;
        Self {
            version: Version::new(major, minor, patch),
            sequence,
            touch_level: TouchLevel(u16::from_le_bytes([low, high])),
        }
    }

    /// Reads the beginning of a smart-card answer. Firmware 4 appends four bytes about the USB mode.
    #[must_use]
    pub fn from_card(answer: &[u8]) -> Option<Self> {
        answer.first_chunk().copied().map(Self::from_bytes)
    }

    /// Writes the six bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::SIZE] {
        let [low, high] = self.touch_level.0.to_le_bytes();
        [self.version.major, self.version.minor, self.version.patch, self.sequence, low, high]
    }

    /// Reads an idle feature report, or nothing when its flag byte says that it is something else.
    #[must_use]
    pub const fn from_report(report: &Report) -> Option<Self> {
        let [_, major, minor, patch, sequence, low, high, flag] = *report;
        if flag != 0 {
            return None;
        }
        Some(Self::from_bytes([major, minor, patch, sequence, low, high]))
    }

    /// Writes an idle feature report.
    #[must_use]
    pub fn to_report(self) -> Report {
        let [major, minor, patch, sequence, low, high] = self.to_bytes();
        join(&[0, major, minor, patch, sequence, low, high], 0)
    }
}

/// The touch-level field. Its low byte says which slots hold something.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct TouchLevel(pub u16);

impl TouchLevel {
    const SLOT_1_VALID: u16 = 0x01;
    const SLOT_2_VALID: u16 = 0x02;
    const SLOT_1_TOUCH: u16 = 0x04;
    const SLOT_2_TOUCH: u16 = 0x08;
    const LED_INVERTED: u16 = 0x10;
    const ANY_SLOT: u16 = Self::SLOT_1_VALID | Self::SLOT_2_VALID;
    const SMART_CARD_STATE: u16 = 0x1F;

    /// True when the slot is programmed (firmware 2.1 and later report it).
    #[must_use]
    pub const fn is_programmed(self, slot: Slot) -> bool {
        self.has(match slot {
            Slot::One => Self::SLOT_1_VALID,
            Slot::Two => Self::SLOT_2_VALID,
        })
    }

    /// True when the slot answers to a touch (firmware 3.0 and later report it).
    #[must_use]
    pub const fn is_touch_triggered(self, slot: Slot) -> bool {
        self.has(match slot {
            Slot::One => Self::SLOT_1_TOUCH,
            Slot::Two => Self::SLOT_2_TOUCH,
        })
    }

    /// True when the LED shines the other way round.
    #[must_use]
    pub const fn is_led_inverted(self) -> bool {
        self.has(Self::LED_INVERTED)
    }

    /// True when any slot is programmed.
    #[must_use]
    pub const fn any_programmed(self) -> bool {
        self.0 & Self::ANY_SLOT != 0
    }

    /// The reading of the touch sensor, in units of the firmware's own.
    #[must_use]
    pub const fn sensor(self) -> u8 {
        let [_, high] = self.0.to_le_bytes();
        high
    }

    /// The same with a slot's bits set as given.
    #[must_use]
    pub const fn with_slot(self, slot: Slot, programmed: bool, touch_triggered: bool) -> Self {
        let (valid, touch) = match slot {
            Slot::One => (Self::SLOT_1_VALID, Self::SLOT_1_TOUCH),
            Slot::Two => (Self::SLOT_2_VALID, Self::SLOT_2_TOUCH),
        };
        self.with(valid, programmed).with(touch, touch_triggered)
    }

    /// The same with the LED bit set as given.
    #[must_use]
    pub const fn with_led_inverted(self, inverted: bool) -> Self {
        self.with(Self::LED_INVERTED, inverted)
    }

    const fn has(self, bit: u16) -> bool {
        self.0 & bit != 0
    }

    const fn with(self, bit: u16, on: bool) -> Self {
        Self(if on { self.0 | bit } else { self.0 & !bit })
    }
}

/// Whether the key accepted a write that was made over HID between the two statuses.
///
/// The programming sequence is the key's only answer: it moves by one (255 is followed by 0), or
/// falls to 0 when the last slot was emptied.
#[must_use]
pub const fn accepted_over_hid(before: Status, after: Status) -> bool {
    after.sequence == before.sequence.wrapping_add(1)
        || (after.sequence == 0 && before.sequence > 0 && !after.touch_level.any_programmed())
}

/// Whether the key accepted a write that was made over a smart card between the two statuses.
///
/// As [`accepted_over_hid`], except that an emptied key must also show neither touch nor LED bits
/// (firmware 4.0 to 5.4 shows them as they were at power-up, so they say nothing there), and that
/// firmware 5.0.0 to 5.4.2 shows 0 after a write over a smart card, so that 0 says nothing
/// there and is taken as accepted.
#[must_use]
pub fn accepted_over_card(before: Status, after: Status) -> bool {
    let silent = after.version.is_within(Version::new(5, 0, 0), Version::new(5, 4, 3));
    let stale = after.version.is_within(Version::new(4, 0, 0), Version::new(5, 5, 0));
    let shows_nothing = stale || after.touch_level.0 & TouchLevel::SMART_CARD_STATE == 0;
    after.sequence == before.sequence.wrapping_add(1)
        || (after.sequence == 0 && (silent || (before.sequence > 0 && shows_nothing)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn status(sequence: u8, touch_level: u16) -> Status {
        Status { version: Version::new(5, 7, 4), sequence, touch_level: TouchLevel(touch_level) }
    }

    #[test]
    fn published_answer_of_a_5_3_1() {
        let status = Status::from_card(&[5, 3, 1, 3, 5, 0]).unwrap();
        assert_eq!(status.version, Version::new(5, 3, 1));
        assert_eq!(status.sequence, 3);
        assert!(status.touch_level.is_programmed(Slot::One));
        assert!(status.touch_level.is_touch_triggered(Slot::One));
        assert!(!status.touch_level.is_programmed(Slot::Two));
        assert_eq!(Status::from_card(&[5, 3, 1, 3, 5]), None);
    }

    #[test]
    fn sequence_moves_by_one() {
        assert!(accepted_over_hid(status(3, 1), status(4, 1)));
        assert!(!accepted_over_hid(status(3, 1), status(3, 1)));
        assert!(!accepted_over_hid(status(3, 1), status(5, 1)));
        assert!(accepted_over_hid(status(255, 1), status(0, 1)), "the counter wraps");
    }

    #[test]
    fn emptying_the_last_slot() {
        assert!(accepted_over_hid(status(3, 1), status(0, 0)));
        assert!(accepted_over_hid(status(3, 1), status(0, 0x10)));
        assert!(!accepted_over_hid(status(3, 1), status(0, 1)));
        assert!(!accepted_over_hid(status(0, 0), status(0, 0)));
        assert!(accepted_over_card(status(3, 1), status(0, 0)));
        assert!(!accepted_over_card(status(3, 1), status(0, 0x10)));
    }

    #[test]
    fn early_firmware_5_reads_zero_over_a_card() {
        let after = Status { version: Version::new(5, 4, 2), ..status(0, 5) };
        assert!(accepted_over_card(status(3, 5), after));
        assert!(!accepted_over_card(status(3, 5), status(0, 5)));
    }

    /// Deleting the last slot of a 5.4.3 over a smart card: the slot bits stay until power-up.
    #[test]
    fn firmware_before_5_5_shows_old_slots_over_a_card() {
        let at = |sequence| Status { version: Version::new(5, 4, 3), ..status(sequence, 5) };
        assert!(accepted_over_card(at(3), at(0)));
        assert!(!accepted_over_card(at(0), at(0)), "nothing was written");
        assert!(!accepted_over_card(at(3), at(3)), "refused");
    }

    #[test]
    fn touch_level_is_built_and_read() {
        let level = TouchLevel::default().with_slot(Slot::Two, true, true).with_led_inverted(true);
        assert_eq!(level, TouchLevel(0x1A));
        assert_eq!(level.with_slot(Slot::Two, false, false).with_led_inverted(false), TouchLevel(0));
        assert_eq!(TouchLevel(0x3C00).sensor(), 0x3C);
    }

    proptest! {
        #[test]
        fn round_trips(bytes: [u8; 6]) {
            let status = Status::from_bytes(bytes);
            prop_assert_eq!(status.to_bytes(), bytes);
            prop_assert_eq!(Status::from_report(&status.to_report()), Some(status));
        }
    }
}
