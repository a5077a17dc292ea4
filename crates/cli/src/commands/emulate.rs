//! `tapkey emulate`: a key made of software, seen from its own side.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;
use tapkey_emulator::{PivKeySnapshot, PivSnapshot, SlotSnapshot};
use tapkey_protocol::slot::Slot;

use super::Context;
use crate::{
    exit::{Exit, Failure},
    keys::{
        self,
        software::{Pressed, Software, Wish},
    },
    output,
};

mod faults;
mod lifecycle;
mod run;
mod usb;

/// Everything `tapkey emulate` does.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "A software key lives in its state file, which is made when it is first needed. Without a running \
emulator, every command plugs the key in, uses it and takes it away again. `emulate run` keeps it plugged \
in, so that touches can come from another terminal:

  tapkey emulate run key.json &
  tapkey --emulated=key.json challenge -2 -x 1122 &
  tapkey emulate touch key.json

`emulate run --pcscd` offers it to every program that uses smart cards, such as ykman. `emulate run --attach` \
plugs it into this machine's USB, where it also types.

Software keys are for tests and for trying things out: whoever can read the file has the key."
)]
pub(crate) enum Command {
    /// Keep a key plugged in until Ctrl-C.
    Run(Box<run::Run>),
    /// Press the key and print what it types.
    Press(Press),
    /// Touch the key while a challenge waits for it.
    Touch(State),
    /// Unplug the key and plug it in again.
    Replug(State),
    /// Hold the key against a contactless reader for a moment.
    Tap(lifecycle::Tap),
    /// Put the key's USB bus to sleep.
    Suspend(State),
    /// Wake the key's USB bus.
    Resume(State),
    /// Move the key's clock ahead.
    Clock(lifecycle::Clock),
    /// Turn counters forward, to see what happens at their ends.
    Set(lifecycle::Set),
    /// Let things go wrong: lost reports, wrong checksums, power cuts and more.
    #[command(subcommand)]
    Fault(faults::Command),
    /// Show what the key is and holds; never its secrets.
    Show(State),
    /// Print the certificate under which software keys attest. It proves nothing: its private key is public.
    AttestationRoot,
}

/// Which key.
#[derive(ClapArgs, Debug)]
pub(crate) struct State {
    /// The key's state file; without it, the one of --emulated, or the one in your state folder.
    state: Option<PathBuf>,
}

/// Options of `tapkey emulate press`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Press {
    #[command(flatten)]
    state: State,

    /// 1 for a short press, 2 for a long one.
    #[arg(long, value_name = "SLOT", default_value = "1")]
    slot: Slot,

    /// Let the key type on the computer that it is plugged into by --attach or --usbip, and print nothing.
    #[arg(long)]
    typing: bool,
}

/// Runs it.
pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Run(args) => run::run(&args, context),
        Command::Press(args) => press(&args, context),
        Command::Touch(state) => touch(&state, context),
        Command::Replug(state) => replug(&state, context),
        Command::Tap(args) => lifecycle::tap(&args, context),
        Command::Suspend(state) => lifecycle::suspend(&state, context),
        Command::Resume(state) => lifecycle::resume(&state, context),
        Command::Clock(args) => lifecycle::clock(&args, context),
        Command::Set(args) => lifecycle::set(&args, context),
        Command::Fault(command) => faults::run(&command, context),
        Command::Show(state) => show(&state, context),
        Command::AttestationRoot => attestation_root(context),
    }
}

/// Prints the root that a test trusts.
fn attestation_root(context: &Context) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Root {
        certificate: String,
    }
    let certificate =
        super::piv::files::pem(super::piv::files::CERTIFICATE, &tapkey_emulator::attestation_root());
    context
        .printer
        .result("emulate-attestation-root/1", &Root { certificate }, |root| root.certificate.clone())
}

impl State {
    fn path(&self, context: &Context) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.state {
            return Ok(path.clone());
        }
        match keys::state_file(context)? {
            Some(path) => Ok(path),
            None => crate::config::state_folder().map(|folder| folder.join("key.json")),
        }
    }

    /// The key, in the emulator process that has it plugged in.
    fn open_running(&self, context: &Context) -> Result<Software, Failure> {
        let key = self.open(context)?;
        key.running(|_| Ok(()))?;
        Ok(key)
    }

    fn open(&self, context: &Context) -> Result<Software, Failure> {
        Software::open(&self.path(context)?, &Wish::of(context), context)
    }
}

#[derive(Serialize)]
struct PressReport {
    slot: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    typed: Option<String>,
    answered_challenge: bool,
}

fn press(args: &Press, context: &Context) -> Result<(), Failure> {
    let key = args.state.open(context)?;
    if args.typing && !key.snapshot()?.usb_host {
        return Err(Failure::new(
            Exit::NoKey,
            "the key is not plugged into a computer that could see it type",
        )
        .hint("`tapkey emulate run --attach` plugs it into this one"));
    }
    let (typed, answered) = match key.press(args.slot)? {
        Pressed::Typed(_) if args.typing => (None, false),
        Pressed::Typed(text) => (Some(text), false),
        Pressed::Answered => (None, true),
        Pressed::Nothing(why) => {
            return Err(Failure::new(Exit::Key, format!("the key typed nothing: {why}")));
        }
    };
    let report = PressReport { slot: args.slot.number(), typed, answered_challenge: answered };
    context.printer.result("emulate-press/1", &report, |report| report.typed.clone().unwrap_or_default())?;
    if answered {
        context.printer.say("a challenge was waiting, and this touch answered it");
    }
    Ok(())
}

#[derive(Serialize)]
struct Done {
    done: bool,
}

fn touch(state: &State, context: &Context) -> Result<(), Failure> {
    let key = state.open(context)?;
    if !key.is_elsewhere() {
        return Err(Failure::new(Exit::Key, "nothing waits for a touch: the key is not plugged in")
            .hint("`tapkey emulate run` keeps it plugged in; `tapkey emulate press` makes it type"));
    }
    key.touch()?;
    context.printer.result("emulate-touch/1", &Done { done: true }, |_| "touched".to_owned())
}

fn replug(state: &State, context: &Context) -> Result<(), Failure> {
    state.open(context)?.replug()?;
    context
        .printer
        .result("emulate-replug/1", &Done { done: true }, |_| "unplugged and plugged in again".to_owned())
}

fn show(state: &State, context: &Context) -> Result<(), Failure> {
    let key = state.open(context)?;
    let snapshot = key.snapshot()?;
    context.printer.result("emulate-show/1", &snapshot, |snapshot| {
        let mut rows = vec![
            ("serial number", snapshot.serial.to_string()),
            ("firmware", snapshot.profile.clone()),
            ("power", snapshot.power.clone()),
            (
                "USB",
                format!(
                    "{} ({:04x}:{:04x})",
                    snapshot.usb.product, snapshot.usb.vendor_id, snapshot.usb.product_id
                ),
            ),
            ("light", snapshot.led.clone()),
        ];
        let [one, two] = &snapshot.slots;
        rows.push(("slot 1", describe(one.as_ref())));
        rows.push(("slot 2", describe(two.as_ref())));
        rows.extend(snapshot.piv.iter().flat_map(describe_piv));
        rows.push(("state", snapshot.state.clone()));
        rows.push(("running", if key.is_elsewhere() { "in an emulator process" } else { "no" }.to_owned()));
        output::fields(&rows)
    })
}

fn describe_piv(piv: &PivSnapshot) -> Vec<(&'static str, String)> {
    let PivSnapshot { pin_tries, puk_tries, management_key, keys, objects, .. } = piv;
    let counts = format!(
        "PIN {pin_tries} tries, PUK {puk_tries}, management key {management_key}, objects {}",
        objects.len()
    );
    let keys = keys.iter().map(|key| {
        let PivKeySnapshot { slot, algorithm, origin, pin_policy, touch_policy, .. } = key;
        ("PIV key", format!("{slot}: {algorithm}, {origin}, PIN {pin_policy}, touch {touch_policy}"))
    });
    std::iter::once(("PIV", counts)).chain(keys).collect()
}

fn describe(slot: Option<&SlotSnapshot>) -> String {
    let Some(slot) = slot else { return "empty".to_owned() };
    let mut text = slot.kind.clone();
    if let Some(id) = &slot.public_id {
        text.push_str(&format!(", public id {id}"));
    }
    if let Some(uses) = slot.use_counter {
        text.push_str(&format!(", use counter {uses}"));
    }
    if let Some(session) = slot.session_counter {
        text.push_str(&format!(", session counter {session}"));
    }
    if let Some(factor) = slot.moving_factor {
        text.push_str(&format!(", counter {factor}"));
    }
    for (word, is) in
        [("protected", slot.protected), ("dormant", slot.dormant), ("fixed settings", !slot.updatable)]
    {
        if is {
            text.push_str(", ");
            text.push_str(word);
        }
    }
    text
}
