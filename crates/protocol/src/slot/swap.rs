//! Where the access code stands in a request to swap the slots.

use super::{AccessCode, SlotRecord};

/// The code in a HID payload: behind an empty record, as in a deletion. Tools that give no code
/// leave zeros there.
#[must_use]
pub fn swap_code_over_hid(payload: &[u8]) -> AccessCode {
    AccessCode::read_at(payload, SlotRecord::SIZE)
}

/// The code in a smart-card command: a body of six bytes is the code, a whole payload carries it
/// behind the record, anything else gives none.
#[must_use]
pub fn swap_code_over_card(data: &[u8]) -> AccessCode {
    match data.len() {
        AccessCode::SIZE => AccessCode::read_at(data, 0),
        _ => AccessCode::read_at(data, SlotRecord::SIZE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_places() {
        let mut payload = [0; 64];
        payload[52..58].copy_from_slice(&[9; 6]);
        assert_eq!(swap_code_over_hid(&payload), AccessCode::new([9; 6]));
        assert_eq!(swap_code_over_card(&payload[..58]), AccessCode::new([9; 6]));
        assert_eq!(swap_code_over_card(&[9; 6]), AccessCode::new([9; 6]));
        assert_eq!(swap_code_over_card(&[]), AccessCode::NONE);
    }
}
