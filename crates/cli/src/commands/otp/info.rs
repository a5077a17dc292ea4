//! `tapkey otp info`: everything that can be known about the slots without changing anything.

mod facts;
mod server;

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::{OtpStatus, Probe, Transport};
use tapkey_protocol::{link::CardTransport, slot::Slot};

use super::{
    change::Change,
    known::{Known, contradiction},
};
use crate::{
    commands::Context,
    exit::Failure,
    interrupt, keys,
    memory::{Memory, Prints, Remembered, RememberedTag},
    output,
};
use facts::Fact;

/// Options of `tapkey otp info`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "A key tells whether a slot holds something and whether that acts on a touch, but not what it is. A \
challenge that moves no counter shows HMAC-SHA1 challenge-response; where the key begins to wait for a \
touch, the challenge is taken back at once. The rest is what Tapkey remembers of its own writes on this \
machine, what the server of --server knows, and for a software key its state. Each line says where it \
comes from."
)]
pub(crate) struct Args {
    /// Do not ask the slots a challenge.
    #[arg(long)]
    no_probe: bool,

    /// Forget what is remembered of this key's slots.
    #[arg(long)]
    forget: bool,
}

#[derive(Serialize)]
struct Info {
    serial: Option<u32>,
    version: String,
    transport: String,
    slots: [SlotInfo; 2],
    led_inverted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ndef: Option<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caveat: Option<String>,
}

#[derive(Serialize)]
struct SlotInfo {
    slot: u8,
    programmed: Option<bool>,
    touch_triggered: Option<bool>,
    /// `answers`, `waits-for-touch` or `refuses`; nothing where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    hmac_probe: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remembered: Option<Remembered>,
    facts: Vec<Fact>,
    contradictions: Vec<String>,
}

/// What the key says as an NFC tag.
#[derive(Serialize)]
struct Tag {
    slot: u8,
    text: Option<String>,
    source: &'static str,
}

/// Shows the slots.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut change = Change::look(context)?;
    if args.forget {
        change.note(|memory| {
            for slot in Slot::ALL {
                *memory.slot_mut(slot) = None;
            }
        });
    }
    let memory = change.memory()?;
    let prints = Prints::open().ok();
    let busy = interrupt::busy();
    let mut probes = [None, None];
    if !args.no_probe {
        for slot in Slot::ALL {
            probes[slot.index()] = probe(&mut change, slot, prints.as_ref())?;
        }
    }
    drop(busy);
    let software = software(&change)?;
    let served = server::keys(context, change.device.serial());
    let slots = Slot::ALL.map(|slot| {
        let seen = Seen {
            slot,
            status: &change.status,
            probe: probes[slot.index()].as_ref(),
            memory: memory.as_ref(),
            prints: prints.as_ref(),
            software: software.as_ref().map(|(slots, _)| slots[slot.index()].as_ref()),
        };
        seen.info(&served)
    });
    let info = Info {
        serial: change.device.serial(),
        version: change.status.version.to_string(),
        transport: change.session.transport().to_string(),
        slots,
        led_inverted: change.status.led_inverted,
        ndef: tag(software.map(|(_, tag)| tag), memory.as_ref().and_then(Memory::ndef)),
        caveat: change.status.caveat.map(|caveat| caveat.to_string()),
    };
    report(&info, &change, context)
}

/// What is known of the slots of a software key, and what it says as a tag.
type Software = ([Option<(Known, Option<String>)>; 2], Tag);

#[cfg(feature = "emulator")]
fn software(change: &Change<'_>) -> Result<Option<Software>, Failure> {
    let Some(software) = &change.software else { return Ok(None) };
    let snapshot = software.snapshot()?;
    let slots = snapshot
        .slots
        .each_ref()
        .map(|slot| slot.as_ref().map(|slot| (super::known::of_snapshot(slot), slot.public_id.clone())));
    let tag = Tag { slot: snapshot.ndef.slot, text: snapshot.ndef.text, source: SOFTWARE };
    Ok(Some((slots, tag)))
}

#[cfg(not(feature = "emulator"))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape with software keys")]
fn software(_: &Change<'_>) -> Result<Option<Software>, Failure> {
    Ok(None)
}

fn tag(software: Option<Tag>, remembered: Option<&RememberedTag>) -> Option<Tag> {
    software.or_else(|| {
        remembered.map(|tag| Tag { slot: tag.slot, text: tag.prefix.clone(), source: REMEMBERED })
    })
}

/// Asks a slot, where that changes nothing and can be answered.
fn probe(change: &mut Change<'_>, slot: Slot, prints: Option<&Prints>) -> Result<Option<Probe>, Failure> {
    let over_usb_card = change.session.transport() == Transport::Card(CardTransport::Usb);
    let Some(prints) = prints.filter(|_| change.status.is_certainly(slot, true) && !over_usb_card) else {
        return Ok(None);
    };
    if !change.version().at_least(2, 2, 0) {
        return Ok(None);
    }
    let answer = change.session.probe_hmac(slot, &prints.challenge(), &change.control);
    answer.map(Some).map_err(keys::refused)
}

/// All that was seen of one slot.
struct Seen<'a> {
    slot: Slot,
    status: &'a OtpStatus,
    probe: Option<&'a Probe>,
    memory: Option<&'a Memory>,
    prints: Option<&'a Prints>,
    /// `None` without a software key, `Some(None)` for an empty slot of one.
    #[expect(clippy::option_option, reason = "three cases")]
    software: Option<Option<&'a (Known, Option<String>)>>,
}

impl Seen<'_> {
    fn info(&self, served: &[server::Served]) -> SlotInfo {
        let state = self.status.slot(self.slot);
        let remembered = self.memory.and_then(|memory| memory.slot(self.slot));
        let mut contradictions: Vec<String> =
            remembered.and_then(|remembered| contradiction(remembered, state)).into_iter().collect();
        contradictions.extend(remembered.and_then(|remembered| self.probe_contradicts(remembered)));
        contradictions.extend(remembered.and_then(|remembered| self.software_contradicts(remembered)));
        SlotInfo {
            slot: self.slot.number(),
            programmed: state.programmed,
            touch_triggered: state.touch_triggered,
            hmac_probe: self.probe.map(|probe| match probe {
                Probe::Answered(_) => "answers",
                Probe::WaitsForTouch => "waits-for-touch",
                Probe::Refused => "refuses",
            }),
            remembered: remembered.cloned(),
            facts: self.facts(remembered, served),
            contradictions,
        }
    }

    fn facts(&self, remembered: Option<&Remembered>, served: &[server::Served]) -> Vec<Fact> {
        let state = self.status.slot(self.slot);
        let mut facts = vec![facts::state(state)];
        if state.programmed == Some(false) {
            return facts;
        }
        facts.extend(self.probe.map(facts::probe));
        match self.software {
            Some(Some((known, public_id))) => {
                facts.extend(facts::of(known.kind.name(), public_id.as_deref(), &known.options, SOFTWARE));
                facts.push(facts::access_code(Some(known.access_code), SOFTWARE));
            }
            _ => match remembered {
                Some(one) => {
                    facts.extend(facts::of(&one.kind, one.public_id.as_deref(), &one.options(), REMEMBERED));
                    facts.push(facts::access_code(Some(one.access_code), REMEMBERED));
                }
                None => facts.extend(facts::unknown()),
            },
        }
        if let Some(one) = remembered {
            facts.push(Fact::new("written", format!("{}, by tapkey {}", one.at, one.by), REMEMBERED));
        }
        facts.extend(self.same_secret(remembered));
        let here = served.iter().filter(|served| served.slot == self.slot.number());
        facts.extend(here.map(server::Served::fact));
        facts
    }

    /// Whether the slot still answers as what was written into it.
    fn same_secret(&self, remembered: Option<&Remembered>) -> Option<Fact> {
        let (Some(Probe::Answered(answer)), Some(expected), Some(prints)) =
            (self.probe, remembered.and_then(|one| one.answer.as_ref()), self.prints)
        else {
            return None;
        };
        (prints.print(answer) == *expected)
            .then(|| Fact::new("secret", "the one that was written".to_owned(), "probe and remembered"))
    }

    fn probe_contradicts(&self, remembered: &Remembered) -> Option<String> {
        let is_hmac = remembered.slot_kind().is_challenge_response()
            && remembered.kind
                == (tapkey_protocol::slot::SlotKind::ChallengeHmac { variable_length: true, touch: false })
                    .name();
        let dormant = remembered.options().dormant;
        match (self.probe?, is_hmac) {
            (Probe::Refused, true) if !dormant => {
                Some(format!("remembered is {}, and the slot answers no such challenge", remembered.kind))
            }
            (Probe::Answered(_) | Probe::WaitsForTouch, false) => {
                Some(format!("remembered is {}, and the slot answers HMAC-SHA1 challenges", remembered.kind))
            }
            (Probe::Answered(answer), true) => {
                let (expected, prints) = (remembered.answer.as_ref()?, self.prints?);
                (prints.print(answer) != *expected)
                    .then(|| "the slot answers with another secret than the remembered one".to_owned())
            }
            _ => None,
        }
    }

    fn software_contradicts(&self, remembered: &Remembered) -> Option<String> {
        let (known, public_id) = self.software??;
        if known.kind.name() != remembered.kind || *public_id != remembered.public_id {
            return Some(format!(
                "remembered is {}, and the state of the software key says {}",
                described(&remembered.kind, remembered.public_id.as_deref()),
                described(known.kind.name(), public_id.as_deref())
            ));
        }
        let different = known.options.differences(&remembered.options());
        (!different.is_empty())
            .then(|| format!("settings are others than the remembered ones: {}", different.join(", ")))
    }
}

fn described(kind: &str, public_id: Option<&str>) -> String {
    public_id.map_or_else(|| kind.to_owned(), |id| format!("{kind} {id}"))
}

fn report(info: &Info, change: &Change<'_>, context: &Context) -> Result<(), Failure> {
    context.printer.result("otp-info/1", info, |info| {
        let mut rows = Vec::new();
        for slot in &info.slots {
            for (index, fact) in slot.facts.iter().enumerate() {
                let place = if index == 0 { format!("slot {}", slot.slot) } else { String::new() };
                rows.push([place, fact.name.to_owned(), fact.value.clone(), fact.source.to_owned()]);
            }
        }
        if let Some(tag) = &info.ndef {
            let text = tag.text.as_deref().unwrap_or("what it came with");
            let value = format!("{text}, then a password of slot {}", tag.slot);
            rows.push(["NFC".to_owned(), "says".to_owned(), value, tag.source.to_owned()]);
        }
        format!("{}\n{}", change.device, output::table(["", "WHAT", "VALUE", "SOURCE"], &rows))
    })?;
    for contradiction in info
        .slots
        .iter()
        .flat_map(|slot| slot.contradictions.iter().map(move |text| format!("slot {}: {text}", slot.slot)))
    {
        context.printer.warn(contradiction);
    }
    if let Some(caveat) = &info.caveat {
        context.printer.warn(caveat);
    }
    Ok(())
}

const SOFTWARE: &str = "software state";
const REMEMBERED: &str = "remembered";
