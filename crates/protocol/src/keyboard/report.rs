//! Reports of a boot keyboard (USB HID 1.11 appendix B.1).

use super::Key;

/// Bytes of a report.
pub const KEYBOARD_REPORT_SIZE: usize = 8;

/// A report: modifiers, a reserved byte, six pressed keys.
pub type KeyboardReport = [u8; KEYBOARD_REPORT_SIZE];

/// The report that presses a key.
#[must_use]
pub const fn press(key: Key) -> KeyboardReport {
    let modifiers = if key.shift { LEFT_SHIFT } else { 0 };
    [modifiers, 0, key.usage, 0, 0, 0, 0, 0]
}

/// The report that releases all keys.
#[must_use]
pub const fn release() -> KeyboardReport {
    [0; KEYBOARD_REPORT_SIZE]
}

/// The key that a report presses, when it presses exactly one.
#[must_use]
pub fn pressed(report: &KeyboardReport) -> Option<Key> {
    let [modifiers, _, usage, rest @ ..] = *report;
    let single = usage != 0 && rest.iter().all(|other| *other == 0);
    single.then_some(Key { usage, shift: modifiers & (LEFT_SHIFT | RIGHT_SHIFT) != 0 })
}

const LEFT_SHIFT: u8 = 0x02;
const RIGHT_SHIFT: u8 = 0x20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn press_and_release() {
        assert_eq!(press(Key::shifted(4)), [2, 0, 4, 0, 0, 0, 0, 0]);
        assert_eq!(pressed(&press(Key::shifted(4))), Some(Key::shifted(4)));
        assert_eq!(pressed(&press(Key::plain(4))), Some(Key::plain(4)));
        assert_eq!(pressed(&release()), None);
        assert_eq!(pressed(&[0, 0, 4, 5, 0, 0, 0, 0]), None);
    }
}
