//! `tapkey emulate run`: the key stays plugged in, for our own commands and, on request, for every
//! program that uses smart cards.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
};

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_emulator::{
    Profile, Snapshot,
    port::{
        in_process::PluggedKey,
        pcscd::{PcscdError, PrivatePcscd, Reader, reader_conf},
        socket,
        vpcd::{self, Vpcd},
    },
};

use super::State;
use crate::{
    commands::Context,
    exit::{Exit, Failure, chain},
    interrupt,
    keys::software::{Software, Wish, running, socket_path, wake_here},
};

/// Options of `tapkey emulate run`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Run {
    #[command(flatten)]
    state: State,

    /// The firmware of a new key: 4.3.5, 5.2.7, 5.4.3 or 5.7.4.
    #[arg(long, value_name = "VERSION")]
    profile: Option<Profile>,

    /// Hold the key against a contactless reader instead of plugging it in.
    #[arg(long)]
    nfc: bool,

    /// Start a smart-card service of its own with the key behind it, and print how programs find it.
    #[arg(long, conflicts_with = "print_reader_conf")]
    pcscd: bool,

    /// Print the configuration with which the system's pcscd offers the key, and do not run.
    #[arg(long)]
    print_reader_conf: bool,

    /// The reader driver for pcscd; without it, the one beside this program.
    #[arg(long, value_name = "FILE", env = "TAPKEY_READER_DRIVER", hide_env_values = true)]
    reader_driver: Option<PathBuf>,

    /// Put the key into a reader of vsmartcard's vpcd, which listens at this address.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true,
        default_missing_value = VPCD)]
    vpcd: Option<SocketAddr>,

    #[command(flatten)]
    usb: super::usb::Usb,

    #[command(flatten)]
    faults: super::faults::RunOptions,
}

#[derive(Serialize)]
struct Running<'a> {
    #[serde(flatten)]
    key: &'a Snapshot,
    socket: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pcscd: Option<Pcscd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugged_into: Option<super::usb::Report>,
}

/// How programs find the smart-card service.
#[derive(Serialize)]
struct Pcscd {
    reader: String,
    variable: &'static str,
    socket: String,
}

#[derive(Serialize)]
struct ReaderConf {
    reader_conf: String,
}

/// Runs it.
pub(crate) fn run(args: &Run, context: &Context) -> Result<(), Failure> {
    let path = args.state.path(context)?;
    let wish =
        Wish { profile: args.profile, serial: context.global.serial, nfc: args.nfc, seed: args.faults.seed };
    if args.print_reader_conf {
        let snapshot = Software::open(&path, &wish, context)?.snapshot()?;
        let text = conf(args, &reader(&snapshot, &path))?;
        return context.printer.result(
            "emulate-reader-conf/1",
            &ReaderConf { reader_conf: text },
            |report| report.reader_conf.clone(),
        );
    }
    keep(args, &path, &wish, context)
}

/// Serves the key on the socket beside its state file.
fn keep(args: &Run, path: &Path, wish: &Wish, context: &Context) -> Result<(), Failure> {
    // Found missing before the key is plugged in.
    let driver = args.pcscd.then(|| driver(args)).transpose()?;
    let key = wake_here(path, wish)?;
    let transcript = args.faults.apply(&key, context)?;
    let server = socket::Server::bind(socket_path(path), key.clone())
        .map_err(|error| Failure::failed(format!("the software key cannot be served: {}", chain(&error))))?;
    let _note = running::Note::leave(path);
    let (stopper, stop) = (server.stopper(), server.stopper());
    let _busy = interrupt::until_stopped(move || stop.stop());
    // Pulled out when this ends.
    let usb = args.usb.open(&key, context)?;
    let plugged_into = usb.as_ref().map(super::usb::Ports::report);
    let vpcd = args.vpcd.map(|address| InVpcd::start(address, &key)).transpose()?;
    let snapshot = key.snapshot();
    let socket = server.path().display().to_string();
    thread::scope(|scope| {
        // Serves from now on: pcscd asks for the card while it starts.
        let serving = scope.spawn(move || server.run());
        let started = driver.map(|driver| start_pcscd(&driver, &reader(&snapshot, path))).transpose();
        let said = started.as_ref().map_or(Ok(()), |pcscd| {
            let pcscd = pcscd.as_ref().map(|(service, reader)| Pcscd {
                reader: reader.clone(),
                variable: PrivatePcscd::VARIABLE,
                socket: service.socket().display().to_string(),
            });
            announce(&Running { key: &snapshot, socket, pcscd, plugged_into }, context)
        });
        if started.is_err() || said.is_err() {
            stopper.stop();
        }
        let served = serving.join().map_err(|_| Failure::failed("the thread that serves the key ended"))?;
        drop(vpcd);
        // Only now may the service end; the order matters to programs that are at it.
        drop(started?);
        said?;
        served.map_err(|error| {
            Failure::failed(format!("the software key is served no more: {}", chain(&error)))
        })
    })?;
    transcript.map_or(Ok(()), |transcript| transcript.finish().map(|_| ()))
}

/// The key in a reader of vpcd, until this is dropped.
struct InVpcd {
    stopper: vpcd::Stopper,
    thread: Option<thread::JoinHandle<()>>,
}

impl InVpcd {
    fn start(address: SocketAddr, key: &PluggedKey) -> Result<Self, Failure> {
        let port = Vpcd::connect(address, key.clone())
            .map_err(|error| Failure::new(Exit::Unreachable, chain(&error)))?;
        let stopper = port.stopper();
        Ok(Self { stopper, thread: Some(thread::spawn(move || port.run())) })
    }
}

impl Drop for InVpcd {
    fn drop(&mut self) {
        self.stopper.stop();
        // Whatever ended it, it has ended.
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

fn announce(running: &Running<'_>, context: &Context) -> Result<(), Failure> {
    context.printer.result("emulate-run/1", running, |running| {
        let mut text = format!(
            "software key {} (firmware {}) is plugged in; state in {}\n",
            running.key.serial, running.key.profile, running.key.state
        );
        if let Some(pcscd) = &running.pcscd {
            text.push_str(&format!(
                "programs find it in the reader {:?} with\n  export {}={}\n",
                pcscd.reader,
                pcscd.variable,
                quoted(&pcscd.socket)
            ));
        }
        if let Some(usb) = &running.plugged_into {
            text.push_str(&usb.text());
        }
        text
    })?;
    context.printer.say("Ctrl-C takes it away.");
    Ok(())
}

fn start_pcscd(driver: &Path, reader: &Reader) -> Result<(PrivatePcscd, String), Failure> {
    match PrivatePcscd::start(driver, std::slice::from_ref(reader)) {
        Ok(service) => Ok((service, format!("{} 00 00", reader.name()))),
        Err(error @ (PcscdError::Failed { .. } | PcscdError::NoProgram { .. })) => {
            let failure = Failure::new(Exit::Unreachable, chain(&error));
            Err(match reader_conf(driver, std::slice::from_ref(reader)) {
                Ok(text) => failure.hint(format!(
                    "run `tapkey emulate run` without --pcscd, write this to /etc/reader.conf.d/tapkey, and restart the system's pcscd:\n\n{text}"
                )),
                Err(_) => failure,
            })
        }
        Err(error) => Err(Failure::failed(chain(&error))),
    }
}

fn conf(args: &Run, reader: &Reader) -> Result<String, Failure> {
    reader_conf(&driver(args)?, std::slice::from_ref(reader)).map_err(|error| Failure::usage(chain(&error)))
}

/// The reader in which programs see the key.
fn reader(key: &Snapshot, state: &Path) -> Reader {
    let name = match key.power.as_str() {
        "nfc" => Reader::NFC_NAME.to_owned(),
        _ => Reader::name_on_usb(&key.interfaces),
    };
    let socket = socket_path(state);
    Reader::new(name, std::path::absolute(&socket).unwrap_or(socket))
}

/// The reader driver: the one that is named, or the first one that is there.
fn driver(args: &Run) -> Result<PathBuf, Failure> {
    if let Some(path) = &args.reader_driver {
        return std::fs::canonicalize(path).map_err(|error| {
            Failure::usage(format!("cannot use the reader driver {}: {error}", path.display()))
        });
    }
    let program = std::env::current_exe().and_then(std::fs::canonicalize).unwrap_or_default();
    let beside = program.parent().unwrap_or(Path::new("."));
    let places = [
        beside.join("deps"),
        beside.to_owned(),
        beside.join("../lib/tapkey"),
        "/usr/local/lib/tapkey".into(),
    ];
    let found = places.iter().find_map(|folder| std::fs::canonicalize(folder.join(DRIVER)).ok());
    found.ok_or_else(|| {
        Failure::usage(format!("the reader driver {DRIVER} is not beside {}", program.display())).hint(
            "in the source of tapkey: cargo build --release --package tapkey-ifd; then name the file with --reader-driver",
        )
    })
}

/// A word of a shell's command line.
fn quoted(text: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Where vpcd listens for the card of its first reader.
const VPCD: &str = "127.0.0.1:35963";
const DRIVER: &str = "libtapkey_ifd.so";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_the_shell() {
        assert_eq!(quoted("/tmp/x-1/run/pcscd.comm"), "/tmp/x-1/run/pcscd.comm");
        assert_eq!(quoted("/tmp/it's"), r"'/tmp/it'\''s'");
    }
}
