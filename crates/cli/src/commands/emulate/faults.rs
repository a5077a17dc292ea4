//! `tapkey emulate fault`: what goes wrong with a running key, and the options of `emulate run` for
//! faults and transcripts.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;
use tapkey_emulator::{PlannedFault, faults::FaultReport, port::in_process::PluggedKey};

use super::State;
use crate::{commands::Context, exit::Failure, output, tape};

/// What goes wrong while `emulate run` holds the key.
#[derive(Debug, Subcommand)]
#[command(after_help = GRAMMAR)]
pub(crate) enum Command {
    /// Add a fault; what it counts is counted from now on.
    Add(Add),
    /// Show the faults and how often each has struck.
    List(State),
    /// Forget all faults.
    Clear(State),
}

/// Options of `tapkey emulate fault add`.
#[derive(ClapArgs, Debug)]
#[command(after_help = GRAMMAR)]
pub(crate) struct Add {
    /// Such as crc@1.
    fault: PlannedFault,

    #[command(flatten)]
    state: State,
}

/// Options of `tapkey emulate run` for what goes wrong and what is written down.
#[derive(ClapArgs, Debug)]
pub(crate) struct RunOptions {
    /// Let something go wrong, such as crc@1; `tapkey help emulate fault` lists the faults.
    #[arg(long, value_name = "FAULT", help_heading = "Faults and transcripts")]
    fault: Vec<PlannedFault>,

    /// Draw everything at random from this number: the same again gives the same again.
    #[arg(long, value_name = "N", help_heading = "Faults and transcripts")]
    pub(super) seed: Option<u64>,

    /// Record what passes between the key and programs into a new file; `tapkey replay` shows it.
    #[arg(long, value_name = "FILE", help_heading = "Faults and transcripts")]
    transcript: Option<PathBuf>,

    /// Record keys, PINs and responses as well.
    #[arg(long, requires = "transcript", help_heading = "Faults and transcripts")]
    with_secrets: bool,
}

impl RunOptions {
    /// Prepares a key that is about to be served. What is returned is held until it no longer is.
    pub(super) fn apply(&self, key: &PluggedKey, context: &Context) -> Result<Option<tape::File>, Failure> {
        for fault in &self.fault {
            key.faults().add(*fault);
        }
        let Some(path) = &self.transcript else { return Ok(None) };
        let (file, tape) = tape::File::create(path, self.with_secrets, context)?;
        key.record(tape);
        Ok(Some(file))
    }
}

#[derive(Serialize)]
struct Plan {
    faults: Vec<FaultReport>,
}

/// Runs it.
pub(super) fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    let state = match command {
        Command::Add(Add { state, .. }) | Command::List(state) | Command::Clear(state) => state,
    };
    let key = state.open_running(context)?;
    match command {
        Command::Add(add) => key.running(|client| client.add_fault(&add.fault))?,
        Command::Clear(_) => key.running(|client| client.clear_faults())?,
        Command::List(_) => {}
    }
    let plan = Plan { faults: key.running(|client| client.faults())? };
    context.printer.result("emulate-faults/1", &plan, |plan| {
        if plan.faults.is_empty() {
            return "no faults are planned\n".to_owned();
        }
        let times = |fault: &FaultReport| match fault.fired {
            0 => "has not struck yet".to_owned(),
            1 => "has struck once".to_owned(),
            times => format!("has struck {times} times"),
        };
        let rows: Vec<(&str, String)> =
            plan.faults.iter().map(|fault| (fault.fault.as_str(), times(fault))).collect();
        output::fields(&rows)
    })
}

/// The module of the emulator has the same in more words.
const GRAMMAR: &str = "\
A fault is NAME[=VALUE][WHEN]. WHEN is @3 for the third time, counted from when the fault was added;
@3x2 for the third and fourth, @3x* for every time from the third on; @1-20 for one of the first
twenty, drawn from --seed; %5 for a chance of 5 in 100 each time. Without it, the first time.

Reports of the OTP interface:
  crc                    the checksum of an answer is wrong
  answer-cut=PARTS       an answer ends after so many parts of seven bytes (1)
  answer-delay=MS        the key stays busy for so long after a command (300)
  report-lost            a report is lost, whichever way it goes
  write-lost, read-lost  the same, in one direction only
  frame-cut              the last part of a command is lost
  stuck-write=READS      \"not consumed yet\" shows in so many reads (50)
  stall                  the transfer of a report fails
  unplug                 the key is pulled out while a report travels
Commands of the smart card:
  removal, removal-after the card is taken away before, or after, it carried a command out
  mute, response-lost    the card does not answer; nothing was done, or all of it
  status=SW              the card refuses with this status word (6f00)
  short-response=BYTES   only so many bytes of a response arrive (1)
  response-delay=MS      the card takes so much longer (300)
The key itself:
  touch-never            nobody touches the key when it waits
  power-cut=MOMENT       the power goes while the memory is written: before, during or after it
USB devices (--attach, --usbip):
  usb-stall=ENDPOINT     a transfer is stalled, on this endpoint only if one is named (such as 82)
  ccid-sequence          an answer of the card reader carries a wrong sequence number
  ccid-extension=TIMES   the card asks for more time, so often (*: for ever)";
