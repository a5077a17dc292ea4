//! What a programmed slot remembers.

use tapkey_protocol::otp::{AesKey, PrivateId, UseCounter};
use tapkey_protocol::slot::{ExtendedFlags, SlotKind, SlotRecord, TicketFlags};

/// A programmed slot: what was written into it, and how far its counters are.
#[derive(Clone, Debug)]
pub(crate) struct SlotState {
    pub(crate) record: SlotRecord,
    /// Of Yubico OTPs: grows at the first use after each power-up.
    pub(crate) use_counter: UseCounter,
    /// Of HOTP: the counter of the next code.
    pub(crate) moving_factor: u64,
}

impl SlotState {
    /// A slot that was just written: its counters begin anew.
    pub(crate) fn program(record: SlotRecord) -> Self {
        let moving_factor = u64::from(record.moving_factor());
        Self { record, use_counter: UseCounter::default(), moving_factor }
    }

    pub(crate) const fn kind(&self) -> SlotKind {
        self.record.kind()
    }

    pub(crate) fn aes_key(&self) -> AesKey {
        AesKey::new(*self.record.key.expose())
    }

    pub(crate) fn private_id(&self) -> PrivateId {
        PrivateId::new(*self.record.uid.expose())
    }

    pub(crate) fn is_protected(&self) -> bool {
        !self.record.access_code.is_none()
    }

    /// In slot 1 the flag forbids others to write slot 2; slot 2 must carry it as well to be written.
    pub(crate) const fn protects_second_slot(&self) -> bool {
        self.record.ticket.contains(TicketFlags::PROTECT_SLOT_2)
    }

    pub(crate) const fn has(&self, flag: ExtendedFlags) -> bool {
        self.record.extended.contains(flag)
    }
}
