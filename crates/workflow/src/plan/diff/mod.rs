//! What is different between a key and what is wanted of it, and the steps that make it so.
//!
//! Nothing here talks to a key: it is decided from what was observed, what the vault remembers and
//! what the job wants.

mod applications;
mod oath;
mod slots;

use tapkey_driver::Device;
use tapkey_protocol::slot::Slot;

use super::memory::{Memory, Remembered};
use super::observe::Observed;
use super::resolve::Desired;
use super::step::{Step, in_order};
use super::vault::SecretText;

pub(super) use applications::{REACHED_OVER, extras};

/// What would become of one key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyPlan {
    /// The serial number.
    pub serial: u32,
    /// The key, for people: name, firmware, serial number.
    pub key: String,
    /// The job's entry for it.
    pub entry: String,
    /// What is wanted, one by one.
    pub items: Vec<Item>,
    /// The steps of an application, in their order.
    pub steps: Vec<String>,
}

/// One thing that is wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Item {
    /// What it is about: `slot 1`, `USB applications` …
    pub subject: String,
    /// What is to be done.
    pub action: Action,
    /// What is there now, as far as can be told.
    pub now: String,
    /// What will be there; empty where nothing changes.
    pub then: String,
    /// Why, or what cannot be known.
    pub note: Option<String>,
}

/// What is to be done about something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// It is not there and is made.
    Add,
    /// It becomes something else.
    Change,
    /// It is removed.
    Remove,
    /// It is as it should be, and was seen to be.
    Same,
    /// It was made as it should be, and cannot be looked at without destroying it.
    Unverified,
    /// It will not be done, for the reason in the note.
    Refused,
}

impl Action {
    /// The sign in front of a line.
    #[must_use]
    pub const fn sign(self) -> char {
        match self {
            Self::Add => '+',
            Self::Change => '~',
            Self::Remove => '-',
            Self::Same => '=',
            Self::Unverified => '?',
            Self::Refused => '!',
        }
    }

    /// The word for programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Remove => "remove",
            Self::Same => "same",
            Self::Unverified => "unverified",
            Self::Refused => "refused",
        }
    }

    /// Whether something would be written.
    #[must_use]
    pub const fn is_change(self) -> bool {
        matches!(self, Self::Add | Self::Change | Self::Remove)
    }
}

impl KeyPlan {
    /// How many things would be changed.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.items.iter().filter(|item| item.action.is_change()).count()
    }

    /// How many things are believed and cannot be looked at.
    #[must_use]
    pub fn unverified(&self) -> usize {
        self.items.iter().filter(|item| item.action == Action::Unverified).count()
    }

    /// What will not be done.
    pub fn refused(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.action == Action::Refused)
    }
}

/// What was decided, with the steps for the program itself.
pub(super) struct Decided {
    pub(super) plan: KeyPlan,
    pub(super) steps: Vec<Step>,
    /// Slots that are certainly empty now.
    pub(super) empty: Vec<Slot>,
}

impl Decided {
    /// Something has to be switched on before the rest can be decided.
    pub(super) fn looks_first(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::SwitchOn { .. }))
    }

    /// What has to be switched on to be looked at comes alone: the rest is decided afterwards.
    pub(super) fn only_switching_on(&mut self) {
        if self.looks_first() {
            self.steps.retain(|step| matches!(step, Step::SwitchOn { .. }));
        }
    }
}

/// What a decision is made from.
pub(super) struct Facts<'a> {
    pub(super) device: &'a Device,
    pub(super) entry: &'a str,
    pub(super) overwrite: bool,
    pub(super) desired: &'a Desired,
    pub(super) observed: &'a Observed,
    pub(super) memory: &'a Memory,
    pub(super) fingerprint_key: &'a SecretText,
}

/// Decides.
pub(super) fn decide(facts: &Facts<'_>) -> Decided {
    let mut work = Work::default();
    for slot in Slot::ALL {
        slots::decide(facts, slot, &mut work);
    }
    oath::decide(facts, &mut work);
    applications::decide(facts, &mut work);
    let steps = in_order(work.steps);
    let plan = KeyPlan {
        serial: facts.observed.serial,
        key: facts.device.to_string(),
        entry: facts.entry.to_owned(),
        items: work.items,
        steps: steps.iter().map(ToString::to_string).collect(),
    };
    let is_empty =
        |slot: &Slot| facts.observed.otp.as_ref().is_ok_and(|seen| seen.status.is_certainly(*slot, false));
    let empty = Slot::ALL.into_iter().filter(is_empty).collect();
    Decided { plan, steps, empty }
}

/// Items and steps as they come up.
#[derive(Default)]
pub(super) struct Work {
    pub(super) items: Vec<Item>,
    pub(super) steps: Vec<Step>,
}

impl Work {
    fn item(&mut self, subject: impl Into<String>, action: Action, now: impl Into<String>) -> &mut Item {
        self.items.push(Item {
            subject: subject.into(),
            action,
            now: now.into(),
            then: String::new(),
            note: None,
        });
        // Just pushed.
        let last = self.items.len() - 1;
        &mut self.items[last]
    }
}

impl Item {
    fn then(&mut self, text: impl Into<String>) -> &mut Self {
        self.then = text.into();
        self
    }

    fn note(&mut self, text: impl Into<String>) -> &mut Self {
        let text = text.into();
        self.note = Some(match self.note.take() {
            Some(earlier) => format!("{earlier}; {text}"),
            None => text,
        });
        self
    }
}

/// When something was applied, for people.
pub(super) fn since(remembered: &Remembered) -> String {
    format!("last applied {}", remembered.at.get(..10).unwrap_or(&remembered.at))
}
