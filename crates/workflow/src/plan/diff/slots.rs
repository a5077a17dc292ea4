//! What is different in a slot.

use tapkey_protocol::management::Capabilities;
use tapkey_protocol::slot::{AccessCode, Slot, Update};
use tapkey_protocol::version::Version;

use super::{Action, Facts, Item, Work, since};
use crate::plan::memory::{Remembered, SlotMemory, fingerprint_of, settings_of};
use crate::plan::observe::{OtpSeen, Proof};
use crate::plan::resolve::{CodeDesire, SlotDesire, SlotProgram};
use crate::plan::step::{SlotWork, Step};

/// Decides about one slot.
pub(super) fn decide(facts: &Facts<'_>, slot: Slot, work: &mut Work) {
    let subject = format!("slot {slot}");
    let desire = &facts.desired.slots[slot.index()];
    let memory = facts.memory.slot(slot);
    match (desire, &facts.observed.otp) {
        (SlotDesire::Keep, _) => {}
        (SlotDesire::Empty { .. }, Ok(seen)) => empty(facts, slot, &subject, seen, memory, work),
        (SlotDesire::Program(program), Ok(seen)) => {
            Judge { facts, slot, subject, seen, memory, program, work }.decide();
        }
        (desire, Err(why)) => unseen(facts, &subject, desire, memory, why, work),
    }
}

fn empty(facts: &Facts<'_>, slot: Slot, subject: &str, seen: &OtpSeen, memory: &SlotMemory, work: &mut Work) {
    if seen.status.is_certainly(slot, false) {
        work.item(subject, Action::Same, "empty");
        return;
    }
    let now = known_as(seen, slot, memory);
    if !may_overwrite(facts, seen, slot, memory) {
        refuse_unknown(work, subject, now, slot);
        return;
    }
    work.item(subject, Action::Remove, now).then("empty");
    work.steps.push(Step::Slot { slot, work: SlotWork::Delete });
}

/// The OTP application cannot be looked at.
fn unseen(
    facts: &Facts<'_>,
    subject: &str,
    desire: &SlotDesire,
    memory: &SlotMemory,
    why: &str,
    work: &mut Work,
) {
    let off = format!("not visible: {why}");
    let program = match desire {
        SlotDesire::Program(program) => Some(program),
        _ => None,
    };
    let as_applied = memory.writing.is_none()
        && match (&memory.applied, program) {
            (Some(applied), Some(program)) => {
                is_same_content(facts, applied, program)
                    && applied.flags == wanted_flags(program)
                    && code_as_wanted(applied, &program.code)
            }
            (Some(applied), None) => applied.is_emptied(),
            (None, _) => false,
        };
    if let (true, Some(applied)) = (as_applied, &memory.applied) {
        work.item(subject, Action::Unverified, applied.kind.clone())
            .note(format!("{off}; {}", since(applied)));
        return;
    }
    let info = &facts.observed.info;
    if !info.usb_supported.contains(Capabilities::OTP) {
        work.item(subject, Action::Refused, off).note("this key has no OTP application");
        return;
    }
    if info.usb_enabled.unwrap_or(info.usb_supported).contains(Capabilities::OTP) {
        work.item(subject, Action::Refused, off);
        return;
    }
    if facts.desired.applications.as_ref().is_none_or(|desire| desire.wish.usb.is_none()) {
        work.item(subject, Action::Refused, off).note(
            "OTP is switched off; say with usb = [...] what is to be on, then it is switched on for the work",
        );
        return;
    }
    let will = program.map_or_else(|| "empty".to_owned(), |program| describe(program));
    work.item(subject, Action::Change, off).then(will).note("it is looked at when OTP is switched on");
    work.steps.push(Step::SwitchOn { usb: Capabilities::OTP });
}

/// Decides about a slot that is to be programmed and can be looked at.
struct Judge<'a, 'f> {
    facts: &'a Facts<'f>,
    slot: Slot,
    subject: String,
    seen: &'a OtpSeen,
    memory: &'a SlotMemory,
    program: &'a SlotProgram,
    work: &'a mut Work,
}

impl Judge<'_, '_> {
    fn decide(mut self) {
        if self.firmware_lacks_it() {
            return;
        }
        if self.seen.status.is_certainly(self.slot, false) {
            let will = describe(self.program);
            self.item(Action::Add, "empty").then(will);
            self.program();
            return;
        }
        if self.memory.writing.is_some() {
            let will = describe(self.program);
            self.item(Action::Change, "an application was interrupted here").then(will);
            self.program();
            return;
        }
        match (self.content_is_proven(), &self.memory.applied) {
            (Some(true), Some(applied)) if is_same_content(self.facts, applied, self.program) => {
                self.settings(applied.clone(), true);
            }
            (Some(true), _) => self.proven_without_memory(),
            (None, Some(applied))
                if is_same_content(self.facts, applied, self.program) && self.fits(applied) =>
            {
                self.settings(applied.clone(), false);
            }
            _ => self.other_content(),
        }
    }

    fn firmware_lacks_it(&mut self) -> bool {
        let config = self.program.config(AccessCode::NONE);
        let Err(error) = config.supported_by(self.facts.observed.version) else { return false };
        let now = known_as(self.seen, self.slot, self.memory);
        self.item(Action::Refused, now).note(error.to_string());
        true
    }

    /// Whether the slot was seen to hold the wanted secret; `None` where it cannot be seen.
    fn content_is_proven(&self) -> Option<bool> {
        let probes = &self.seen.probes[self.slot.index()];
        probes.wanted.map(|proof| proof == Proof::Right)
    }

    /// What was remembered is not contradicted by what is seen.
    fn fits(&self, applied: &Remembered) -> bool {
        fits(self.seen, self.slot, applied)
    }

    /// The content is as wanted; settings and access code may differ.
    fn settings(&mut self, applied: Remembered, proven: bool) {
        let now = applied.kind.clone();
        let (flags, code) =
            (applied.flags == wanted_flags(self.program), code_as_wanted(&applied, &self.program.code));
        if flags && code {
            if proven {
                self.item(Action::Same, now).note("it answers with the vault's secret");
            } else {
                let why = self.why_unverified();
                self.item(Action::Unverified, now).note(format!("{why}; {}", since(&applied)));
            }
            return;
        }
        let what = match (flags, code) {
            (false, true) => "settings",
            (true, false) => "access code",
            _ => "settings and access code",
        };
        if let Err(why) = self.can_update(&applied) {
            let note = format!("{why}, so it is programmed anew and its counters begin again");
            self.item(Action::Change, now).then(format!("other {what}")).note(note);
            self.program();
            return;
        }
        self.item(Action::Change, now).then(format!("other {what}")).note("the secret stays");
        self.work.steps.push(Step::Slot { slot: self.slot, work: SlotWork::Update });
    }

    /// It answers with the wanted secret, but was not programmed from this vault.
    fn proven_without_memory(&mut self) {
        let now = self.program.value.name();
        if self.answers_in_another_way() {
            let will = describe(self.program);
            self.item(Action::Change, now).then(will).note("the secret stays, the way to answer is another");
            self.program();
            return;
        }
        if matches!(self.program.code, CodeDesire::Set(_)) {
            if self.facts.observed.version < UPDATE_SINCE {
                self.other_content();
                return;
            }
            self.item(Action::Change, now)
                .then("with the access code")
                .note("it answers with the vault's secret; its settings are not known");
            self.work.steps.push(Step::Slot { slot: self.slot, work: SlotWork::Update });
            return;
        }
        self.item(Action::Unverified, now)
            .note("it answers with the vault's secret; its settings were never applied from this vault");
    }

    /// Whether a touch is needed, and how challenges are padded, is part of what a slot is: an update
    /// leaves both alone.
    fn answers_in_another_way(&self) -> bool {
        let seen = self.seen.status.slot(self.slot).touch_triggered;
        let touch = matches!((seen, self.program.challenge_touch()), (Some(now), Some(then)) if now != then);
        let applied = self.memory.applied.as_ref().filter(|applied| self.fits(applied));
        touch || applied.is_some_and(|applied| applied.flags != wanted_flags(self.program))
    }

    fn other_content(&mut self) {
        let now = known_as(self.seen, self.slot, self.memory);
        if !may_overwrite(self.facts, self.seen, self.slot, self.memory) {
            refuse_unknown(self.work, &self.subject, now, self.slot);
            return;
        }
        let will = describe(self.program);
        self.item(Action::Change, now).then(will).note("what it holds now is lost");
        self.program();
    }

    /// Whether the settings can be changed without the secret.
    fn can_update(&self, applied: &Remembered) -> Result<(), String> {
        if !applied.allows_update() {
            return Err("the slot does not allow updates".to_owned());
        }
        let update = Update { options: self.program.options, access_code: AccessCode::NONE };
        let changes_code = !code_as_wanted(applied, &self.program.code);
        update.supported_by(self.facts.observed.version, changes_code).map_err(|error| error.to_string())
    }

    fn why_unverified(&self) -> String {
        let probes = &self.seen.probes[self.slot.index()];
        match (probes.not_asked, self.program.challenge_touch()) {
            (Some(why), _) => why.to_owned(),
            (None, Some(true)) => "it answers only when touched; --touch asks it".to_owned(),
            (None, _) => "what it holds cannot be read".to_owned(),
        }
    }

    fn item(&mut self, action: Action, now: impl Into<String>) -> &mut Item {
        self.work.item(self.subject.clone(), action, now)
    }

    fn program(&mut self) {
        self.work.steps.push(Step::Slot { slot: self.slot, work: SlotWork::Program });
    }
}

/// Firmware that changes settings without the secret, its weak revisions left out.
const UPDATE_SINCE: Version = Version::new(4, 3, 6);

/// What was remembered is not contradicted by what is seen.
fn fits(seen: &OtpSeen, slot: Slot, applied: &Remembered) -> bool {
    // Whatever stands in a slot that was empty, others put there.
    if applied.is_emptied() {
        return false;
    }
    let touch = seen.status.slot(slot).touch_triggered;
    let touch_fits = applied.is_dormant() || touch.is_none_or(|seen| seen == applied.touch);
    touch_fits && seen.probes[slot.index()].remembered != Some(Proof::Wrong)
}

/// A slot may be overwritten when it holds what this vault gave it, or when that was allowed.
fn may_overwrite(facts: &Facts<'_>, seen: &OtpSeen, slot: Slot, memory: &SlotMemory) -> bool {
    facts.overwrite
        || memory.writing.is_some()
        || memory.applied.as_ref().is_some_and(|applied| fits(seen, slot, applied))
}

fn refuse_unknown(work: &mut Work, subject: &str, now: String, slot: Slot) {
    work.item(subject, Action::Refused, now).note(format!(
        "slot {slot} holds something that this vault did not put there; \
         overwrite = true in the job, or --force, allows losing it"
    ));
}

fn known_as(seen: &OtpSeen, slot: Slot, memory: &SlotMemory) -> String {
    match &memory.applied {
        Some(applied) if fits(seen, slot, applied) => format!("{}, {}", applied.kind, since(applied)),
        Some(_) => "programmed by others".to_owned(),
        None if seen.status.is_certainly(slot, true) => "programmed".to_owned(),
        None => "perhaps programmed".to_owned(),
    }
}

fn is_same_content(facts: &Facts<'_>, applied: &Remembered, program: &SlotProgram) -> bool {
    let record = program.config(AccessCode::NONE).record();
    applied.fingerprint == fingerprint_of(&record, facts.fingerprint_key)
}

fn wanted_flags(program: &SlotProgram) -> [u8; 3] {
    settings_of(&program.config(AccessCode::NONE).record())
}

fn code_as_wanted(applied: &Remembered, code: &CodeDesire<AccessCode>) -> bool {
    match code {
        CodeDesire::Keep => true,
        CodeDesire::None => applied.access_code.is_none(),
        CodeDesire::Set(wanted) => applied.code() == *wanted,
    }
}

fn describe(program: &SlotProgram) -> String {
    let mut text = program.value.describe();
    match program.code {
        CodeDesire::Set(_) => text.push_str(", access code"),
        CodeDesire::None | CodeDesire::Keep => {}
    }
    text
}
