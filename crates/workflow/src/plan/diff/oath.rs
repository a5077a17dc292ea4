//! What is different in the OATH accounts.

use tapkey_protocol::management::Capabilities;

use super::{Action, Facts, Work, since};
use crate::plan::memory::AccountMemory;
use crate::plan::oath::{AccountSeen, OathSeen, describe};
use crate::plan::observe::Proof;
use crate::plan::resolve::{AccountDesire, CodeDesire, OathDesire};
use crate::plan::step::Step;

/// Decides about the accounts and their password.
pub(super) fn decide(facts: &Facts<'_>, work: &mut Work) {
    let (Some(desire), Some(observed)) = (&facts.desired.oath, &facts.observed.oath) else { return };
    match observed {
        Err(why) => unseen(facts, desire, why, work),
        Ok(seen) if seen.is_locked() => {
            work.item("OATH password", Action::Refused, "another").note(
                "the vault does not have the password of the accounts; say where it comes from with current-password",
            );
        }
        Ok(seen) => {
            for wanted in &desire.present {
                present(facts, seen, wanted, work);
            }
            removals(facts, seen, desire, work);
            password(seen, desire, work);
            room(seen, work);
        }
    }
}

/// The application is switched off, or there is no smart card here.
fn unseen(facts: &Facts<'_>, desire: &OathDesire, why: &str, work: &mut Work) {
    let as_applied = desire.present.iter().all(|wanted| {
        let remembered = facts.memory.accounts.get(&wanted.id.to_string());
        remembered.is_some_and(|memory| {
            let applied = memory.applied.as_ref().filter(|_| memory.writing.is_none());
            // The application's id is not known here, so what was remembered with any stands.
            applied.is_some_and(|applied| applied.kind == wanted.kind.to_string())
        })
    });
    let info = &facts.observed.info;
    let is_off = info.usb_supported.contains(Capabilities::OATH)
        && !info.usb_enabled.unwrap_or(info.usb_supported).contains(Capabilities::OATH);
    let off_is_wanted = facts
        .desired
        .applications
        .as_ref()
        .and_then(|desire| desire.wish.usb)
        .is_some_and(|usb| !usb.contains(Capabilities::OATH));
    if as_applied && is_off && off_is_wanted {
        work.item("OATH accounts", Action::Unverified, "not visible")
            .note("OATH is switched off, as wanted; they were applied before");
        return;
    }
    if !is_off {
        work.item("OATH accounts", Action::Refused, format!("not visible: {why}"));
        return;
    }
    if facts.desired.applications.as_ref().is_none_or(|desire| desire.wish.usb.is_none()) {
        work.item("OATH accounts", Action::Refused, "not visible").note(
            "OATH is switched off; say with usb = [...] what is to be on, then it is switched on for the work",
        );
        return;
    }
    work.item("OATH accounts", Action::Change, "not visible")
        .then("as wanted")
        .note("they are looked at when OATH is switched on");
    work.steps.push(Step::SwitchOn { usb: Capabilities::OATH });
}

fn present(facts: &Facts<'_>, seen: &OathSeen, wanted: &AccountDesire, work: &mut Work) {
    let subject = format!("account {}", wanted.id);
    let found = seen.find(&wanted.id);
    if let Err(error) = seen.info.check_put(&wanted.put()) {
        let now = found.map_or_else(|| "absent".to_owned(), |found| describe(&found.account));
        work.item(subject, Action::Refused, now).note(error.to_string());
        return;
    }
    let step = || Step::Account { id: wanted.id.clone() };
    let Some(found) = found else {
        work.item(subject, Action::Add, "absent").then(wanted.describe());
        work.steps.push(step());
        return;
    };
    let memory = facts.memory.accounts.get(&wanted.id.to_string());
    let now = describe(&found.account);
    match verdict(facts, seen, wanted, found, memory) {
        Verdict::Proven => {
            work.item(subject, Action::Same, now).note("its code is that of the vault's secret");
        }
        Verdict::Believed(note) => {
            work.item(subject, Action::Unverified, now).note(note);
        }
        Verdict::Differs if facts.overwrite || memory.is_some() => {
            work.item(subject, Action::Change, now)
                .then(wanted.describe())
                .note("its present secret is lost");
            work.steps.push(step());
        }
        Verdict::Differs => {
            work.item(subject, Action::Refused, now).note(
                "there is an account of this name that this vault did not put there; \
                 overwrite = true in the job, or --force, allows losing it",
            );
        }
    }
}

enum Verdict {
    Proven,
    Believed(String),
    Differs,
}

fn verdict(
    facts: &Facts<'_>,
    seen: &OathSeen,
    wanted: &AccountDesire,
    found: &AccountSeen,
    memory: Option<&AccountMemory>,
) -> Verdict {
    let account = &found.account;
    let alike = account.kind == wanted.kind
        && account.algorithm.is_none_or(|algorithm| algorithm == wanted.algorithm)
        && account.digits.is_none_or(|digits| digits == wanted.digits)
        && account.touch.is_none_or(|touch| touch == wanted.touch);
    if !alike {
        return Verdict::Differs;
    }
    match found.proof {
        Some(Proof::Right) => return Verdict::Proven,
        Some(Proof::Wrong) => return Verdict::Differs,
        None => {}
    }
    let key = facts.fingerprint_key;
    let expected = wanted.remember(&seen.info.device_id(), key, "").fingerprint;
    let applied = memory.and_then(|memory| memory.applied.as_ref().filter(|_| memory.writing.is_none()));
    match applied.filter(|applied| applied.fingerprint == expected) {
        Some(applied) => {
            let why = if account.touch == Some(true) {
                "its code needs a touch; --touch asks for it"
            } else {
                "asking for a code would use it up"
            };
            Verdict::Believed(format!("{why}; {}", since(applied)))
        }
        None => Verdict::Differs,
    }
}

fn removals(facts: &Facts<'_>, seen: &OathSeen, desire: &OathDesire, work: &mut Work) {
    for id in &desire.absent {
        match seen.find(id) {
            Some(found) => {
                work.item(format!("account {id}"), Action::Remove, describe(&found.account)).then("absent");
                work.steps.push(Step::DeleteAccount { id: id.clone() });
            }
            None => {
                work.item(format!("account {id}"), Action::Same, "absent");
            }
        }
    }
    if !desire.remove_others {
        return;
    }
    let named = |id| desire.absent.contains(id) || desire.present.iter().any(|wanted| wanted.id == *id);
    for found in seen.accounts.iter().filter(|found| !named(&found.account.id)) {
        let id = &found.account.id;
        let subject = format!("account {id}");
        if facts.overwrite || facts.memory.accounts.contains_key(&id.to_string()) {
            work.item(subject, Action::Remove, describe(&found.account)).then("absent");
            work.steps.push(Step::DeleteAccount { id: id.clone() });
        } else {
            work.item(subject, Action::Refused, describe(&found.account)).note(
                "the job does not name it and this vault did not put it there; \
                 overwrite = true in the job, or --force, allows losing it",
            );
        }
    }
}

fn password(seen: &OathSeen, desire: &OathDesire, work: &mut Work) {
    let now = if seen.info.has_password { "set" } else { "none" };
    let subject = "OATH password";
    match (&desire.password, &seen.password) {
        (CodeDesire::Keep, _) => {}
        (CodeDesire::None, None) => {
            work.item(subject, Action::Same, now);
        }
        (CodeDesire::None, Some(_)) => {
            work.item(subject, Action::Remove, now).then("none");
            work.steps.push(Step::Password { set: false });
        }
        (CodeDesire::Set(wanted), Some(known)) if wanted == known => {
            work.item(subject, Action::Same, now).note("the vault's password opens it");
        }
        (CodeDesire::Set(_), known) => {
            let action = if known.is_some() { Action::Change } else { Action::Add };
            work.item(subject, action, now).then("set, kept in the vault");
            work.steps.push(Step::Password { set: true });
        }
    }
}

/// A key that would be too full is refused before it is half full.
fn room(seen: &OathSeen, work: &mut Work) {
    let count = |wanted: fn(&Step) -> bool| work.steps.iter().filter(|step| wanted(step)).count();
    let removed = count(|step| matches!(step, Step::DeleteAccount { .. }));
    let added = work
        .steps
        .iter()
        .filter(|step| matches!(step, Step::Account { id } if seen.find(id).is_none()))
        .count();
    let after = (seen.accounts.len() + added).saturating_sub(removed);
    let capacity = seen.info.capacity();
    if after > capacity {
        work.item("OATH accounts", Action::Refused, format!("{} on the key", seen.accounts.len()))
            .note(format!("{after} accounts do not fit; this key has room for {capacity}"));
    }
}
