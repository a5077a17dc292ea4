//! Our keyboard layouts are those of the X keyboard configuration.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

use std::collections::BTreeMap;

use tapkey_protocol::keyboard::{Key, Layout};
use tapkey_tests::parts::{command, part, root};

/// Our names, and theirs.
const LAYOUTS: [&str; 25] = [
    "us:us:",
    "uk:gb:",
    "de:de:",
    "fr:fr:",
    "it:it:",
    "bepo:fr:bepo",
    "norman:us:norman",
    "us-intl:us:intl",
    "dvorak:us:dvorak",
    "colemak:us:colemak",
    "workman:us:workman",
    "be:be:",
    "br:br:",
    "ch:ch:",
    "ch-fr:ch:fr",
    "cz:cz:",
    "dk:dk:",
    "es:es:",
    "fi:fi:",
    "hu:hu:",
    "latam:latam:",
    "no:no:",
    "pt:pt:",
    "se:se:",
    "tr:tr:",
];

/// The usages of the keys in the order of the script's rows.
const USAGES: [&[u8]; 4] = [
    &[0x35, 0x1E, 0x1F, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x2D, 0x2E],
    &[0x14, 0x1A, 0x08, 0x15, 0x17, 0x1C, 0x18, 0x0C, 0x12, 0x13, 0x2F, 0x30],
    &[0x04, 0x16, 0x07, 0x09, 0x0A, 0x0B, 0x0D, 0x0E, 0x0F, 0x33, 0x34, 0x31],
    &[0x64, 0x1D, 0x1B, 0x06, 0x19, 0x05, 0x11, 0x10, 0x36, 0x37, 0x38],
];

/// The key that keyboards of the United States do not have, whatever X says.
const BETWEEN_SHIFT_AND_Z: u8 = 0x64;

#[test]
fn every_key_types_what_the_x_keyboard_configuration_says() {
    let script = root().join("tests/third-party/xkb_layouts.py");
    let output = command(part("libxkbcommon").unwrap()).arg(script).args(LAYOUTS).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    type Rows = Vec<Vec<Option<char>>>;
    let theirs: BTreeMap<String, [Rows; 2]> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(theirs.len() + 1, Layout::all().count(), "all but modhex");
    let mut compared = 0;
    for (name, levels) in &theirs {
        let layout: Layout = name.parse().unwrap();
        for (rows, shift) in levels.iter().zip([false, true]) {
            for (usage, expected) in USAGES.iter().copied().flatten().zip(rows.iter().flatten()) {
                let key = Key { usage: *usage, shift };
                let found = layout.character(key);
                let left_out = *usage == BETWEEN_SHIFT_AND_Z && found.is_none() && is_american(layout);
                // Shift with the key left of 1 types this in X alone.
                let alone = layout == Layout::Fr && *expected == Some('~');
                assert!(
                    found == *expected || left_out || alone,
                    "{name} {key:?}: {found:?} for {expected:?}"
                );
                compared += usize::from(found.is_some());
            }
        }
    }
    assert!(compared > 2200, "{compared}");
}

const fn is_american(layout: Layout) -> bool {
    matches!(
        layout,
        Layout::Us
            | Layout::UsInternational
            | Layout::Dvorak
            | Layout::Colemak
            | Layout::Workman
            | Layout::Norman
    )
}
