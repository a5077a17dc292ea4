//! What a slot types, key by key.
//!
//! The order is: TAB, the reference string, the fixed part, TAB, a delay, the body, TAB, a delay,
//! Enter; each only when its flag is set.

use super::{Key, us_character};
use crate::slot::{ConfigFlags, ExtendedFlags, Pacing, ScanMap, SlotRecord, TicketFlags, TokenId};

/// What the delay flags wait.
pub const DELAY_MILLISECONDS: u32 = 500;

/// What [`ConfigFlags::SEND_REFERENCE`] types first: the modhex alphabet.
pub const REFERENCE: &str = "cbdefghijklnrtuv";

/// One thing the keyboard does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stroke {
    /// Press a key and release it.
    Press(Key),
    /// Wait, beyond the keyboard's own pace.
    DelayMilliseconds(u32),
}

/// How to type: the slot's flags and the key's scan map.
#[derive(Clone, Copy, Debug)]
pub struct Typing<'a> {
    /// Ticket flags of the slot.
    pub ticket: TicketFlags,
    /// Configuration flags of the slot.
    pub config: ConfigFlags,
    /// Extended flags of the slot.
    pub extended: ExtendedFlags,
    /// The scan map of the key.
    pub scan_map: &'a ScanMap,
}

impl<'a> Typing<'a> {
    /// The settings of a slot.
    #[must_use]
    pub const fn of(record: &SlotRecord, scan_map: &'a ScanMap) -> Self {
        Self { ticket: record.ticket, config: record.config, extended: record.extended, scan_map }
    }

    fn keys(&self, text: &str) -> Vec<Key> {
        text.chars().filter_map(|character| self.key(character)).collect()
    }

    fn key(&self, character: char) -> Option<Key> {
        let key = self.scan_map.key(character)?;
        let keypad = character.is_ascii_digit() && self.extended.contains(ExtendedFlags::NUMERIC_KEYPAD);
        if !keypad {
            return Some(key);
        }
        // The keypad is the keypad, whatever the scan map says of the upper row.
        ScanMap::DEFAULT.key(character).map(Key::on_keypad)
    }

    fn lay_out(&self, first: &[Key], fixed: &[Key], body: &[Key]) -> Vec<Stroke> {
        let mut output =
            Output { strokes: Vec::new(), pause: Pacing::from_flags(self.config).milliseconds() };
        let tab = self.key('\t').unwrap_or(Key::TAB);
        output.press_if(self.ticket.contains(TicketFlags::TAB_FIRST), tab);
        output.press_all(first);
        output.press_all(fixed);
        output.press_if(self.ticket.contains(TicketFlags::APPEND_TAB1), tab);
        output.delay_if(self.ticket.contains(TicketFlags::APPEND_DELAY1));
        output.press_all(body);
        output.press_if(self.ticket.contains(TicketFlags::APPEND_TAB2), tab);
        output.delay_if(self.ticket.contains(TicketFlags::APPEND_DELAY2));
        let enter = self.key('\r').unwrap_or(Key::ENTER);
        output.press_if(self.ticket.contains(TicketFlags::APPEND_CR), enter);
        output.strokes
    }
}

/// A Yubico OTP: the public id and the encrypted block, both in modhex.
#[must_use]
pub fn yubico_otp(typing: &Typing<'_>, public_id: &[u8], block: &[u8; 16]) -> Vec<Stroke> {
    let reference = if typing.config.contains(ConfigFlags::SEND_REFERENCE) { REFERENCE } else { "" };
    typing.lay_out(&typing.keys(reference), &typing.keys(&modhex(public_id)), &typing.keys(&modhex(block)))
}

/// A HOTP code behind the slot's token id.
#[must_use]
pub fn hotp(typing: &Typing<'_>, token_id: Option<&TokenId>, code: &str) -> Vec<Stroke> {
    let token_id = token_id.map(TokenId::to_string).unwrap_or_default();
    typing.lay_out(&[], &typing.keys(&token_id), &typing.keys(code))
}

/// A static ticket of the fixed part and a block that never changes.
///
/// The flags of strong passwords turn the first eight letters of the modhex alphabet into the digits
/// 0 to 7 wherever they stand, and the first two letters that remain into upper case; the short
/// form ends after 16 characters. With a strong password the reference string is a single `!`.
#[must_use]
pub fn static_ticket(typing: &Typing<'_>, fixed: &[u8], block: &[u8; 16]) -> Vec<Stroke> {
    let config = typing.config;
    let strong = ConfigFlags::STRONG_PASSWORD_1 | ConfigFlags::STRONG_PASSWORD_2;
    let first = match config.contains(ConfigFlags::SEND_REFERENCE) {
        true if config.intersects(strong) => "!",
        true => REFERENCE,
        false => "",
    };
    let fixed = modhex(fixed);
    let mut text = fixed.clone() + &modhex(block);
    if config.contains(ConfigFlags::SHORT_TICKET) {
        text.truncate(SHORT_TICKET);
    }
    if config.contains(ConfigFlags::STRONG_PASSWORD_2) {
        text = text.chars().map(to_digit).collect();
    }
    if config.contains(ConfigFlags::STRONG_PASSWORD_1) {
        text = upper_case_two(&text);
    }
    let (fixed, body) = text.split_at_checked(fixed.len()).unwrap_or((text.as_str(), ""));
    typing.lay_out(&typing.keys(first), &typing.keys(fixed), &typing.keys(body))
}

/// A static password of scan codes. The scan map does not apply, and code 00 types nothing.
#[must_use]
pub fn scan_codes(typing: &Typing<'_>, codes: &[u8]) -> Vec<Stroke> {
    let keys: Vec<Key> =
        codes.iter().filter(|code| **code != 0).map(|code| Key::from_scan_code(*code)).collect();
    // Short-ticket is what makes the slot a scan-code slot, so there is no fixed part of its own.
    typing.lay_out(&[], &[], &keys)
}

/// The text that strokes leave behind on a US keyboard; keys without a character are left out.
#[must_use]
pub fn text_of(strokes: &[Stroke]) -> String {
    strokes
        .iter()
        .filter_map(|stroke| match stroke {
            Stroke::Press(key) => us_character(*key),
            Stroke::DelayMilliseconds(_) => None,
        })
        .collect()
}

struct Output {
    strokes: Vec<Stroke>,
    pause: u32,
}

impl Output {
    fn press_all(&mut self, keys: &[Key]) {
        for key in keys {
            self.press_if(true, *key);
        }
    }

    fn press_if(&mut self, condition: bool, key: Key) {
        if !condition {
            return;
        }
        self.strokes.push(Stroke::Press(key));
        if self.pause > 0 {
            self.strokes.push(Stroke::DelayMilliseconds(self.pause));
        }
    }

    fn delay_if(&mut self, condition: bool) {
        if condition {
            self.strokes.push(Stroke::DelayMilliseconds(DELAY_MILLISECONDS));
        }
    }
}

const SHORT_TICKET: usize = 16;

fn modhex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0F])
        .filter_map(|nibble| REFERENCE.chars().nth(usize::from(nibble)))
        .collect()
}

fn to_digit(letter: char) -> char {
    match REFERENCE.chars().take(8).zip('0'..='7').find(|(known, _)| *known == letter) {
        Some((_, digit)) => digit,
        None => letter,
    }
}

fn upper_case_two(text: &str) -> String {
    let mut left = 2;
    text.chars()
        .map(|letter| {
            if left > 0 && letter.is_ascii_lowercase() {
                left -= 1;
                return letter.to_ascii_uppercase();
            }
            letter
        })
        .collect()
}

#[cfg(test)]
mod tests;
