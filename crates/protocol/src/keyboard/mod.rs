//! What a key types: HID keyboard usages (USB HID Usage Tables, page 07) and the order of a typed
//! output.

mod layout;
mod report;
mod ticket;
mod us;

pub use layout::{Layout, NoSuchLayout};
pub use report::{KEYBOARD_REPORT_SIZE, KeyboardReport, press, pressed, release};
pub use ticket::{
    DELAY_MILLISECONDS, REFERENCE, Stroke, Typing, hotp, scan_codes, static_ticket, text_of, yubico_otp,
};
pub use us::{us_character, us_key};

/// A key, perhaps with Shift.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Key {
    /// The usage code on the keyboard page; 0 is no key.
    pub usage: u8,
    /// With Shift.
    pub shift: bool,
}

impl Key {
    /// Enter.
    pub const ENTER: Self = Self { usage: 0x28, shift: false };
    /// TAB.
    pub const TAB: Self = Self { usage: 0x2B, shift: false };

    /// A key without Shift.
    #[must_use]
    pub const fn plain(usage: u8) -> Self {
        Self { usage, shift: false }
    }

    /// A key with Shift.
    #[must_use]
    pub const fn shifted(usage: u8) -> Self {
        Self { usage, shift: true }
    }

    /// Reads a scan code as slots and scan maps hold it: bit 7 is Shift.
    #[must_use]
    pub const fn from_scan_code(code: u8) -> Self {
        Self { usage: code & !SHIFT_BIT, shift: code & SHIFT_BIT != 0 }
    }

    /// Writes a scan code.
    #[must_use]
    pub const fn scan_code(self) -> u8 {
        if self.shift { self.usage | SHIFT_BIT } else { self.usage & !SHIFT_BIT }
    }

    /// The same with one usage for the key that keyboards have once, in one of two places: before or above
    /// Enter (31 and 32). Operating systems treat both alike.
    #[must_use]
    pub const fn canonical(self) -> Self {
        match self.usage {
            0x32 => Self { usage: 0x31, shift: self.shift },
            _ => self,
        }
    }

    /// The same digit on the numeric keypad; other keys stay as they are.
    #[must_use]
    pub const fn on_keypad(self) -> Self {
        match self {
            // 1 to 9 are 1E to 26 in the upper row and 59 to 61 on the keypad.
            Self { usage: usage @ 0x1E..=0x26, shift: false } => Self::plain(usage + (0x59 - 0x1E)),
            Self { usage: 0x27, shift: false } => Self::plain(0x62),
            other => other,
        }
    }
}

const SHIFT_BIT: u8 = 0x80;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keypad_digits() {
        for digit in '0'..='9' {
            let key = us_key(digit).unwrap().on_keypad();
            assert_eq!(us_character(key), Some(digit));
            assert!(key.usage >= 0x59);
        }
        assert_eq!(us_key('!').unwrap().on_keypad(), us_key('!').unwrap());
    }

    proptest! {
        #[test]
        fn scan_code_round_trip(code: u8) {
            prop_assert_eq!(Key::from_scan_code(code).scan_code(), code);
        }
    }
}
