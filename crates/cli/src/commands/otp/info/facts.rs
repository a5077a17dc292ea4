//! Lines about a slot, each with where it is known from.

use serde::Serialize;
use tapkey_driver::{Probe, SlotState};
use tapkey_protocol::slot::Options;

/// Something known about a slot.
#[derive(Serialize)]
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) value: String,
    /// `key`, `probe`, `remembered`, `server`, `software state`, or what stands for nothing.
    pub(super) source: &'static str,
}

impl Fact {
    pub(super) const fn new(name: &'static str, value: String, source: &'static str) -> Self {
        Self { name, value, source }
    }
}

/// What the key itself tells.
pub(super) fn state(state: SlotState) -> Fact {
    let value = match (state.programmed, state.touch_triggered) {
        (Some(false), _) => "empty",
        (Some(true), Some(true)) => "programmed, acts on a touch",
        (Some(true), Some(false)) => "programmed, challenge-response without a touch",
        (Some(true), None) => "programmed",
        (None, _) => "this firmware does not tell",
    };
    Fact::new("state", value.to_owned(), "key")
}

/// What it made of a challenge.
pub(super) fn probe(probe: &Probe) -> Fact {
    let value = match probe {
        Probe::Answered(_) => "answers HMAC-SHA1 challenges without a touch",
        Probe::WaitsForTouch => "answers HMAC-SHA1 challenges after a touch",
        Probe::Refused => "answers no HMAC-SHA1 challenges",
    };
    Fact::new("challenge", value.to_owned(), "probe")
}

/// Kind, public id and settings.
pub(super) fn of(kind: &str, public_id: Option<&str>, options: &Options, source: &'static str) -> Vec<Fact> {
    let mut facts = vec![Fact::new("kind", kind.to_owned(), source)];
    facts.extend(
        public_id.filter(|id| !id.is_empty()).map(|id| Fact::new("public id", id.to_owned(), source)),
    );
    let mut names = options.differences(&Options::default());
    if kind.ends_with("challenge-response") {
        names.retain(|name| *name != "pacing");
    }
    let settings = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    facts.push(Fact::new("settings", settings, source));
    facts
}

/// Whether there is an access code.
pub(super) fn access_code(code: Option<bool>, source: &'static str) -> Fact {
    let value = match code {
        Some(true) => "yes",
        Some(false) => "none",
        None => "not known: no key tells",
    };
    Fact::new("access code", value.to_owned(), source)
}

/// What nobody knows.
pub(super) fn unknown() -> Vec<Fact> {
    vec![
        Fact::new(
            "kind",
            "not known beyond that: no key tells, and it was not programmed here".to_owned(),
            "-",
        ),
        Fact::new("settings", "not known: no key tells".to_owned(), "-"),
        access_code(None, "-"),
    ]
}
