//! Keyboard layouts: which keys a static password consists of, so that it comes out right on a machine
//! with that layout.

mod dead;
mod tables;

use std::{fmt, str::FromStr};

use thiserror::Error;

use tables::{NONE, TABLES};

use super::Key;

/// A keyboard layout.
///
/// ```
/// use tapkey_protocol::keyboard::{Key, Layout};
///
/// // Y and Z change places on a German keyboard.
/// assert_eq!(Layout::De.keys('z'), Some(vec![Key::plain(0x1C)]));
/// assert_eq!("DE".parse(), Ok(Layout::De));
/// // `^` is a dead key there: it appears when Space follows.
/// assert_eq!(Layout::De.keys('^').map(|keys| keys.len()), Some(2));
/// assert_eq!(Layout::De.keys('@'), None);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Layout {
    /// The 16 letters `cbdefghijklnrtuv` alone, in either case: they stand on the same keys on most
    /// layouts with Latin letters.
    Modhex,
    /// United States.
    #[default]
    Us,
    /// United Kingdom.
    Uk,
    /// German.
    De,
    /// French (AZERTY).
    Fr,
    /// Italian.
    It,
    /// French (BÉPO).
    Bepo,
    /// Norman.
    Norman,
    /// United States, international.
    UsInternational,
    /// Dvorak (United States).
    Dvorak,
    /// Colemak (United States).
    Colemak,
    /// Workman (United States).
    Workman,
    /// Belgian (AZERTY).
    Be,
    /// Brazilian (ABNT2).
    Br,
    /// Swiss (German).
    Ch,
    /// Swiss (French).
    ChFrench,
    /// Czech (QWERTZ).
    Cz,
    /// Danish.
    Dk,
    /// Spanish.
    Es,
    /// Finnish.
    Fi,
    /// Hungarian.
    Hu,
    /// Latin American.
    LatinAmerica,
    /// Norwegian.
    No,
    /// Portuguese.
    Pt,
    /// Swedish.
    Se,
    /// Turkish (Q).
    Tr,
}

impl Layout {
    /// All layouts.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Modhex).chain(TABLES.iter().map(|table| table.layout))
    }

    /// The name on a command line, in lower case.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.table().map_or("modhex", |table| table.code)
    }

    /// The name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.table().map_or("the letters that most layouts share", |table| table.title)
    }

    /// The one key that types a character, or nothing where the layout has no such key.
    #[must_use]
    pub fn key(self, character: char) -> Option<Key> {
        match character {
            '\n' => return Some(Key::ENTER),
            '\t' => return Some(Key::TAB),
            ' ' if self != Self::Modhex => return Some(SPACE),
            _ => {}
        }
        match self.table() {
            None => is_modhex(character).then(|| super::us_key(character)).flatten(),
            Some(table) => table.keys().find(|(_, known)| *known == character).map(|(key, _)| key),
        }
    }

    /// The keys that type a character one after the other: one, or a dead key and the one that it waits
    /// for. Nothing where it cannot be typed, or where systems disagree about it.
    #[must_use]
    pub fn keys(self, character: char) -> Option<Vec<Key>> {
        if let Some(key) = self.key(character) {
            return Some(vec![key]);
        }
        let table = self.table()?;
        dead::compositions(character).find_map(|(accent, base)| {
            let dead = table.dead.iter().find(|dead| dead.accent == accent)?;
            Some(vec![Key { usage: dead.usage, shift: dead.shift }, self.key(base)?])
        })
    }

    /// Every character that one key types, in the order of the keyboard; neither Space, TAB nor Enter.
    pub fn characters(self) -> impl Iterator<Item = char> {
        let table = self.table();
        let modhex = if table.is_none() { MODHEX } else { "" };
        let of_table = table.into_iter().flat_map(|table| table.keys().map(|(_, character)| character));
        modhex.chars().chain(of_table)
    }

    /// What a key types, when it types a character of its own.
    #[must_use]
    pub fn character(self, key: Key) -> Option<char> {
        match key {
            Key::ENTER => return Some('\n'),
            Key::TAB => return Some('\t'),
            SPACE => return Some(' '),
            _ => {}
        }
        let Some(table) = self.table() else {
            return super::us_character(key).filter(|character| is_modhex(*character));
        };
        table.keys().find(|(known, _)| known.canonical() == key.canonical()).map(|(_, character)| character)
    }

    fn table(self) -> Option<&'static Table> {
        TABLES.iter().find(|table| table.layout == self)
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Layout {
    type Err = NoSuchLayout;

    /// Reads a code in either case; `gb` is `uk`, and `_` is as good as `-`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = text.to_ascii_lowercase().replace('_', "-");
        let code = if code == "gb" { "uk" } else { &code };
        Self::all().find(|layout| layout.code() == code).ok_or(NoSuchLayout)
    }
}

/// There is no layout of this name.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("there is no keyboard layout of this name")]
pub struct NoSuchLayout;

/// A layout's characters; see [`tables`] for the order of the rows.
struct Table {
    layout: Layout,
    code: &'static str,
    title: &'static str,
    /// The usage of the last key of the third row.
    backslash: u8,
    plain: [&'static str; 4],
    shifted: [&'static str; 4],
    dead: &'static [Dead],
}

/// A key that types nothing until another one follows.
struct Dead {
    usage: u8,
    shift: bool,
    accent: char,
}

impl Table {
    /// Keys and what they type, plain ones first.
    fn keys(&'static self) -> impl Iterator<Item = (Key, char)> {
        [(&self.plain, false), (&self.shifted, true)].into_iter().flat_map(move |(rows, shift)| {
            let usages = ROWS.iter().flat_map(|row| row.iter().copied());
            usages.zip(rows.iter().flat_map(|row| row.chars())).filter_map(move |(usage, character)| {
                let usage = if usage == BACKSLASH { self.backslash } else { usage };
                (character != NONE).then_some((Key { usage, shift }, character))
            })
        })
    }
}

fn is_modhex(character: char) -> bool {
    MODHEX.contains(character)
}

const MODHEX: &str = "cbdefghijklnrtuvCBDEFGHIJKLNRTUV";
const SPACE: Key = Key::plain(0x2C);
const BACKSLASH: u8 = 0x31;

/// The usages of the four rows (USB HID Usage Tables, page 07).
const ROWS: [&[u8]; 4] = [
    &[0x35, 0x1E, 0x1F, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x2D, 0x2E],
    &[0x14, 0x1A, 0x08, 0x15, 0x17, 0x1C, 0x18, 0x0C, 0x12, 0x13, 0x2F, 0x30],
    &[0x04, 0x16, 0x07, 0x09, 0x0A, 0x0B, 0x0D, 0x0E, 0x0F, 0x33, 0x34, BACKSLASH],
    &[0x64, 0x1D, 0x1B, 0x06, 0x19, 0x05, 0x11, 0x10, 0x36, 0x37, 0x38],
];

#[cfg(test)]
mod tests;
