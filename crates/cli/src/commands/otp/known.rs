//! What is known of a slot beyond what the key tells: the state of a software key, or what Tapkey
//! remembers of its own writes.

use tapkey_driver::SlotState;
use tapkey_protocol::slot::{Options, Slot, SlotKind};

use super::change::Change;
use crate::{exit::Failure, memory::Remembered};

/// What a slot does and how.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// What it does.
    pub(super) kind: SlotKind,
    /// Its settings.
    pub(super) options: Options,
    /// Whether it has an access code.
    pub(super) access_code: bool,
    /// `software state` or `remembered`.
    pub(super) source: &'static str,
    /// Why the key cannot hold what is remembered.
    pub(super) contradiction: Option<String>,
}

/// What is known of a slot, by the best source that there is.
pub(super) fn known(change: &Change<'_>, slot: Slot) -> Result<Option<Known>, Failure> {
    #[cfg(feature = "emulator")]
    if let Some(software) = &change.software {
        let snapshot = software.snapshot()?;
        return Ok(snapshot.slots[slot.index()].as_ref().map(of_snapshot));
    }
    let state = change.status.slot(slot);
    let memory = change.memory()?;
    Ok(memory.as_ref().and_then(|memory| memory.slot(slot)).map(|remembered| Known {
        kind: remembered.slot_kind(),
        options: remembered.options(),
        access_code: remembered.access_code,
        source: "remembered",
        contradiction: contradiction(remembered, state),
    }))
}

/// What the state of a software key says of a slot.
#[cfg(feature = "emulator")]
pub(super) fn of_snapshot(slot: &tapkey_emulator::SlotSnapshot) -> Known {
    use tapkey_protocol::slot::{ConfigFlags, ExtendedFlags, TicketFlags};
    let (ticket, config) = (TicketFlags(slot.ticket_flags), ConfigFlags(slot.config_flags));
    Known {
        kind: SlotKind::of(ticket, config),
        options: Options::of_flags(ticket, config, ExtendedFlags(slot.extended_flags)),
        access_code: slot.protected,
        source: "software state",
        contradiction: None,
    }
}

/// Why the key cannot hold what is remembered, by what it tells of the slot.
pub(super) fn contradiction(remembered: &Remembered, state: SlotState) -> Option<String> {
    let kind = &remembered.kind;
    if state.programmed == Some(false) {
        return Some(format!("remembered is {kind}, and the key says that the slot is empty"));
    }
    match (state.touch_triggered, remembered.slot_kind().is_touch_triggered()) {
        (Some(true), false) => {
            Some(format!("remembered is {kind} without a touch, and the key says that the slot acts on one"))
        }
        (Some(false), true) => {
            Some(format!("remembered is {kind} at a touch, and the key says that the slot acts without one"))
        }
        _ => None,
    }
}
