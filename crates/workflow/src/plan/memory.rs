//! What is remembered of a key: what was applied to its slots and accounts, and what was being
//! applied when somebody pulled the plug.

use std::collections::BTreeMap;

use tapkey_protocol::oath::Algorithm;
use tapkey_protocol::slot::{
    AccessCode, ConfigFlags, ExtendedFlags, Slot, SlotConfig, SlotRecord, TicketFlags,
};

use super::vault::SecretText;

/// What is remembered of one key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Memory {
    pub(super) slots: [SlotMemory; 2],
    /// OATH accounts by their name on the key.
    pub(super) accounts: BTreeMap<String, AccountMemory>,
    /// Codes that may guard the settings, the last one applied first.
    pub(super) lock_codes: Vec<SecretText>,
    /// Passwords of the OATH application, the last one applied first.
    pub(super) oath_passwords: Vec<SecretText>,
}

/// What is remembered of one slot.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SlotMemory {
    /// What was applied and confirmed.
    pub(super) applied: Option<Remembered>,
    /// What was being applied: the slot holds this, or still the other.
    pub(super) writing: Option<Remembered>,
}

/// What is remembered of one account.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct AccountMemory {
    pub(super) applied: Option<Remembered>,
    pub(super) writing: Option<Remembered>,
}

/// Something that was applied, or was being applied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Remembered {
    /// What it is, for people.
    pub kind: String,
    /// When, as the caller's clock wrote it.
    pub at: String,
    /// The key's programming sequence afterwards, for slots.
    pub sequence: Option<u8>,
    /// A keyed hash of the content, without flags and access code.
    pub(super) fingerprint: String,
    /// Ticket, configuration and extended flags, for slots.
    pub(super) flags: [u8; 3],
    /// The access code from then on; without one there was none.
    pub(super) access_code: Option<SecretText>,
    /// A challenge and its response, for slots that answer without a touch.
    pub(super) proof: Option<(String, SecretText)>,
    /// It acts on a touch.
    pub(super) touch: bool,
}

impl Memory {
    pub(super) const fn slot(&self, slot: Slot) -> &SlotMemory {
        &self.slots[slot.index()]
    }

    pub(super) const fn slot_mut(&mut self, slot: Slot) -> &mut SlotMemory {
        &mut self.slots[slot.index()]
    }

    /// What was applied, with what it was applied to.
    pub(super) fn all(&self) -> impl Iterator<Item = (String, &Remembered)> {
        let slots = Slot::ALL
            .into_iter()
            .filter_map(|slot| Some((format!("slot {slot}"), self.slot(slot).applied.as_ref()?)));
        let accounts = self
            .accounts
            .iter()
            .filter_map(|(name, memory)| Some((format!("account {name}"), memory.applied.as_ref()?)));
        slots.chain(accounts)
    }

    /// Puts a code in front of the others that may be set.
    pub(super) fn expect_code(codes: &mut Vec<SecretText>, code: SecretText) {
        codes.retain(|known| *known != code);
        codes.insert(0, code);
    }
}

impl SlotMemory {
    /// The access codes that the slot may have, the confirmed one first.
    pub(super) fn codes(&self) -> impl Iterator<Item = AccessCode> {
        [&self.applied, &self.writing]
            .into_iter()
            .flatten()
            .filter_map(|remembered| remembered.access_code.as_ref()?.expose().parse().ok())
    }
}

impl Remembered {
    /// What is worth remembering of a slot's configuration.
    pub(super) fn of_slot(config: &dyn SlotConfig, key: &SecretText, at: &str) -> Self {
        let record = config.record();
        Self {
            kind: record.kind().name().to_owned(),
            at: at.to_owned(),
            sequence: None,
            fingerprint: fingerprint_of(&record, key),
            flags: settings_of(&record),
            access_code: (!record.access_code.is_none())
                .then(|| SecretText::new(data_encoding::HEXLOWER.encode(record.access_code.expose()))),
            proof: None,
            touch: record.kind().is_touch_triggered(),
        }
    }

    /// A slot that is being emptied.
    pub(super) fn emptied(at: &str) -> Self {
        Self {
            kind: "empty".to_owned(),
            at: at.to_owned(),
            sequence: None,
            fingerprint: String::new(),
            flags: [0; 3],
            access_code: None,
            proof: None,
            touch: false,
        }
    }

    /// The slot was empty.
    pub(super) fn is_emptied(&self) -> bool {
        self.fingerprint.is_empty()
    }

    /// The slot can be updated without its secret.
    pub(super) const fn allows_update(&self) -> bool {
        ExtendedFlags(self.flags[2]).intersects(ExtendedFlags::ALLOW_UPDATE.union(ExtendedFlags::DORMANT))
    }

    /// The slot does nothing until it is woken, so its touch bit says nothing.
    pub(super) const fn is_dormant(&self) -> bool {
        ExtendedFlags(self.flags[2]).contains(ExtendedFlags::DORMANT)
    }

    pub(super) fn code(&self) -> AccessCode {
        self.access_code.as_ref().and_then(|code| code.expose().parse().ok()).unwrap_or(AccessCode::NONE)
    }
}

/// A keyed hash of what an update cannot change: kind, secret, ids and fixed flags.
pub(super) fn fingerprint_of(record: &SlotRecord, key: &SecretText) -> String {
    let mut content = record.clone();
    content.access_code = AccessCode::NONE;
    content.extended = ExtendedFlags::NONE;
    content.ticket = content.ticket.without(TicketFlags::UPDATABLE);
    if !record.kind().is_challenge_response() {
        content.config = content.config.without(ConfigFlags::UPDATABLE);
    }
    fingerprint(b"slot", content.encode().expose(), key)
}

/// The flags that an update can change.
pub(super) fn settings_of(record: &SlotRecord) -> [u8; 3] {
    let config = if record.kind().is_challenge_response() {
        0
    } else {
        record.config.intersection(ConfigFlags::UPDATABLE).0
    };
    [record.ticket.intersection(TicketFlags::UPDATABLE).0, config, record.extended.0]
}

/// A keyed hash of 16 bytes in hexadecimal digits.
pub(super) fn fingerprint(domain: &[u8], content: &[u8], key: &SecretText) -> String {
    let mut message = zeroize::Zeroizing::new(Vec::with_capacity(domain.len() + 1 + content.len()));
    message.extend_from_slice(domain);
    message.push(0);
    message.extend_from_slice(content);
    let hash = Algorithm::Sha256.hmac(key.expose().as_bytes(), &message);
    data_encoding::HEXLOWER.encode(hash.get(..16).unwrap_or(&hash))
}

#[cfg(test)]
mod tests {
    use tapkey_protocol::slot::{ChallengeHmac, HmacKey, Options, ScanCodes};

    use super::*;

    fn static_password(text: &str, options: Options, code: AccessCode) -> Remembered {
        let config = ScanCodes::from_us_text(text, options, code).unwrap();
        Remembered::of_slot(&config, &SecretText::new("key".into()), "now")
    }

    #[test]
    fn settings_do_not_move_the_fingerprint_and_contents_do() {
        let usual = Options::for_typing();
        let plain = static_password("one", usual, AccessCode::NONE);
        let other_flags = Options { append_enter: false, tab_first: true, ..usual };
        let changed = static_password("one", other_flags, AccessCode::new([9; 6]));
        assert_eq!(plain.fingerprint, changed.fingerprint);
        assert_ne!(plain.flags, changed.flags);
        assert_ne!(plain.access_code, changed.access_code);
        assert_ne!(plain.fingerprint, static_password("two", usual, AccessCode::NONE).fingerprint);
    }

    #[test]
    fn what_an_update_cannot_change_is_content() {
        let hmac = |require_touch| ChallengeHmac {
            key: HmacKey::new([7; 20]),
            variable_length: true,
            require_touch,
            options: Options::for_challenges(),
            access_code: AccessCode::NONE,
        };
        let key = SecretText::new("key".into());
        let (one, other) =
            (Remembered::of_slot(&hmac(true), &key, ""), Remembered::of_slot(&hmac(false), &key, ""));
        assert_ne!(one.fingerprint, other.fingerprint);
        assert_eq!(one.flags, other.flags);
        assert!(one.touch && !other.touch);
    }

    #[test]
    fn another_vault_makes_another_fingerprint() {
        let config = ScanCodes::from_us_text("one", Options::for_typing(), AccessCode::NONE).unwrap();
        let of = |key: &str| Remembered::of_slot(&config, &SecretText::new(key.into()), "").fingerprint;
        assert_ne!(of("a"), of("b"));
    }
}
