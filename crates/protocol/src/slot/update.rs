//! Changing the flags of a slot without its secret.

use thiserror::Error;

use super::builder::{Options, V2_3};
use super::{AccessCode, ConfigFlags, ExtendedFlags, SlotRecord, TicketFlags};
use crate::version::{Requirement, Unsupported, Version};

/// New flags and a new access code for a slot that allows it.
///
/// Everything not chosen is switched off, the access code included: what the slot has now cannot be
/// read back.
#[derive(Clone, Debug)]
pub struct Update {
    /// The settings from now on. `protect_slot_2` cannot be updated and is ignored, and pacing
    /// changes nothing in a challenge-response slot.
    pub options: Options,
    /// The access code from now on.
    pub access_code: AccessCode,
}

impl Update {
    /// The record to send.
    #[must_use]
    pub fn record(&self) -> SlotRecord {
        SlotRecord {
            access_code: self.access_code.clone(),
            extended: self.options.extended_flags(),
            ticket: self.options.ticket_flags(),
            config: self.options.pacing.flags(),
            ..SlotRecord::default()
        }
    }

    /// Whether a key with this firmware can do it. `changes_code` says that the access code differs
    /// from the slot's present one, which firmware 4.3.2 to 4.3.5 cannot do by update: delete and
    /// program the slot there.
    ///
    /// # Errors
    /// [`Unsupported`] naming what it cannot do.
    pub fn supported_by(&self, version: Version, changes_code: bool) -> Result<(), Unsupported> {
        Unsupported::check_at_least("updates of a slot", version, V2_3)?;
        if changes_code {
            Unsupported::check("changing the access code by update", version, CODE_CHANGES)?;
        }
        self.options.supported_by(version)
    }
}

/// What a key makes of an update: the present record with the flags and the access code of
/// `update`, as far as they may change.
///
/// Only ticket flags `3F`, configuration flags `0C` (not in challenge-response slots) and extended
/// flags change; fixed part, uid and key of the update are ignored. On firmware 4.3.2 to 4.3.5 the
/// access code stays as it is.
///
/// # Errors
/// [`UpdateRefused`] when the slot does not allow updates.
pub fn apply_update(
    present: &SlotRecord,
    update: &SlotRecord,
    version: Version,
) -> Result<SlotRecord, UpdateRefused> {
    if !present.extended.intersects(ExtendedFlags::ALLOW_UPDATE | ExtendedFlags::DORMANT) {
        return Err(UpdateRefused);
    }
    let mut record = present.clone();
    record.extended = update.extended;
    record.ticket =
        present.ticket.without(TicketFlags::UPDATABLE) | update.ticket.intersection(TicketFlags::UPDATABLE);
    if !present.kind().is_challenge_response() {
        record.config = present.config.without(ConfigFlags::UPDATABLE)
            | update.config.intersection(ConfigFlags::UPDATABLE);
    }
    if CODE_CHANGES.met_by(version) {
        record.access_code = update.access_code.clone();
    }
    Ok(record)
}

/// The slot does not allow updates.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the slot does not allow updates")]
pub struct UpdateRefused;

const CODE_CHANGES: Requirement = Requirement::Outside(Version::new(4, 3, 2), Version::new(4, 3, 6));

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::slot::record::tests::any_record;

    const V5: Version = Version::new(5, 7, 4);

    #[test]
    fn access_code_on_firmware_4_3_5() {
        let present = SlotRecord {
            extended: ExtendedFlags::ALLOW_UPDATE,
            access_code: AccessCode::new([1; 6]),
            ..SlotRecord::default()
        };
        let update = SlotRecord { access_code: AccessCode::new([2; 6]), ..SlotRecord::default() };
        let on = |version| apply_update(&present, &update, version).unwrap().access_code;
        assert_eq!(on(Version::new(4, 3, 5)), AccessCode::new([1; 6]));
        assert_eq!(on(Version::new(4, 3, 6)), AccessCode::new([2; 6]));

        let host = Update { options: Options::for_typing(), access_code: AccessCode::NONE };
        assert!(host.supported_by(Version::new(4, 3, 4), true).is_err());
        assert!(host.supported_by(Version::new(4, 3, 4), false).is_ok());
        assert!(host.supported_by(Version::new(2, 2, 0), false).is_err());
    }

    proptest! {
        #[test]
        fn an_update_keeps_what_the_slot_does(mut present in any_record(), update in any_record()) {
            present.extended = present.extended | ExtendedFlags::ALLOW_UPDATE;
            let after = apply_update(&present, &update, V5).unwrap();
            prop_assert_eq!(after.kind(), present.kind());
            prop_assert_eq!(&after.key, &present.key);
            prop_assert_eq!(&after.uid, &present.uid);
            prop_assert_eq!(after.fixed_part(), present.fixed_part());
            prop_assert_eq!(after.extended, update.extended);
            prop_assert_eq!(after.access_code, update.access_code);
        }

        #[test]
        fn without_permission_nothing_changes(mut present in any_record(), update in any_record()) {
            present.extended = present.extended.without(ExtendedFlags(0x60));
            prop_assert_eq!(apply_update(&present, &update, V5), Err(UpdateRefused));
        }
    }
}
