//! `tapkey oath accounts import`: the accounts of a file, all or none.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::{IfTaken, OathAccount, OathInfo};
use tapkey_protocol::{
    formats::pskc::{Document, Key, KeyKind, Protection, Unlock},
    oath::{KeyUri, Migration},
};
use zeroize::Zeroizing;

use super::{
    session::{Password, Session},
    store::Wanted,
};
use crate::{
    commands::Context,
    encode::from_hex,
    exit::{Exit, Failure},
    interrupt, keys,
    progress::Progress,
    secrets::{Source, Wanted as Secret},
};

/// Options of `tapkey oath accounts import`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "The file is PSKC (RFC 6030), or text with one otpauth:// or otpauth-migration:// URI on each line; empty lines \
and lines that begin with # are skipped. Everything is checked before the first account is written.

Examples:
  tapkey oath accounts import seeds.xml --pskc-passphrase prompt --dry-run
  tapkey oath accounts import uris.txt"
)]
pub(crate) struct Args {
    /// The file; - for standard input.
    file: PathBuf,

    /// Say what would be done, and do nothing.
    #[arg(long, short = 'n')]
    dry_run: bool,

    /// Make codes only after a touch.
    #[arg(long, short)]
    touch: bool,

    /// Replace accounts of the same name.
    #[arg(long, short)]
    force: bool,

    /// Where the key comes from that the file is encrypted with, in hexadecimal digits.
    #[arg(long, value_name = "SOURCE", conflicts_with = "pskc_passphrase")]
    pskc_key: Option<Source>,

    /// Where the passphrase comes from that the file is encrypted with.
    #[arg(long, value_name = "SOURCE")]
    pskc_passphrase: Option<Source>,

    #[command(flatten)]
    password: Password,
}

/// An account of the file, with the line where it begins.
struct Item {
    line: usize,
    wanted: Wanted,
}

/// What is wrong with the file.
#[derive(Serialize)]
struct Problem {
    line: usize,
    problem: String,
}

#[derive(Serialize)]
struct Import {
    dry_run: bool,
    accounts: Vec<Planned>,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Planned {
    line: usize,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    action: &'static str,
}

/// Reads, checks, and stores.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let bytes = read(&args.file)?;
    let (items, mut problems) = parse(&bytes, args, context)?;
    if !problems.is_empty() && !args.dry_run {
        return Err(refuse(&problems));
    }
    let mut session = Session::unlocked(context, &args.password)?;
    let accounts = session.with(|oath, control| oath.list(control))?;
    let planned = plan(&items, session.oath.info(), &accounts, args.force, &mut problems);
    problems.sort_by_key(|problem| problem.line);
    let import = Import { dry_run: args.dry_run, accounts: planned, problems };
    if !args.dry_run {
        if !import.problems.is_empty() {
            return Err(refuse(&import.problems));
        }
        write(&items, &import.accounts, &mut session, context)?;
    }
    context.printer.result("oath-import/1", &import, human)?;
    if import.problems.is_empty() { Ok(()) } else { Err(Failure::reported(Exit::Usage)) }
}

fn human(import: &Import) -> String {
    let mut text = String::new();
    for one in &import.accounts {
        let action = match (one.action, import.dry_run) {
            ("replace", true) => "would replace",
            ("replace", false) => "replaced",
            (_, true) => "would add",
            (_, false) => "added",
        };
        text.push_str(&format!("{action} {}\n", one.name));
    }
    for problem in &import.problems {
        text.push_str(&format!("line {}: {}\n", problem.line, problem.problem));
    }
    text
}

fn refuse(problems: &[Problem]) -> Failure {
    let lines: Vec<String> =
        problems.iter().map(|problem| format!("line {}: {}", problem.line, problem.problem)).collect();
    Failure::usage(format!("nothing was written, because of\n  {}", lines.join("\n  ")))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    let failed = |error: io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    let read = if path.as_os_str() == "-" {
        io::stdin().lock().take(MAX_SIZE + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MAX_SIZE + 1).read_to_end(&mut bytes))
    };
    if u64::try_from(read.map_err(failed)?).unwrap_or(u64::MAX) > MAX_SIZE {
        return Err(Failure::usage(format!("{} is too large for a file of accounts", path.display())));
    }
    Ok(bytes)
}

/// The accounts of the file, and what is wrong with others.
fn parse(bytes: &[u8], args: &Args, context: &Context) -> Result<(Vec<Item>, Vec<Problem>), Failure> {
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    let mut found = Found { items: Vec::new(), problems: Vec::new(), touch: args.touch };
    if text.starts_with(b"<") {
        for key in pskc(bytes, args)? {
            found.key(&key, context);
        }
    } else {
        let text = str::from_utf8(bytes).map_err(|_| Failure::usage("the file is neither PSKC nor text"))?;
        for (index, line) in text.lines().enumerate() {
            found.line(index + 1, line.trim());
        }
    }
    if found.items.is_empty() && found.problems.is_empty() {
        return Err(Failure::usage("the file holds no accounts"));
    }
    Ok((found.items, found.problems))
}

struct Found {
    items: Vec<Item>,
    problems: Vec<Problem>,
    touch: bool,
}

impl Found {
    fn account(&mut self, line: usize, uri: Result<KeyUri, String>) {
        match uri.and_then(|uri| Wanted::new(&uri, self.touch)) {
            Ok(wanted) => self.items.push(Item { line, wanted }),
            Err(problem) => self.problems.push(Problem { line, problem }),
        }
    }

    fn line(&mut self, number: usize, line: &str) {
        if line.is_empty() || line.starts_with('#') {
        } else if Migration::is_one(line) {
            match Migration::parse(line) {
                Ok(found) => found.accounts.into_iter().for_each(|uri| self.account(number, Ok(uri))),
                Err(error) => self.account(number, Err(error.to_string())),
            }
        } else {
            self.account(number, line.parse::<KeyUri>().map_err(|error| error.to_string()));
        }
    }

    fn key(&mut self, key: &Key, context: &Context) {
        let uri = match &key.kind {
            // The PIN of another key of the file, which no YubiKey asks for.
            KeyKind::Other(name) if name.ends_with(":pin") => {
                context.printer.warn(format!("line {}: a PIN was left out", key.line));
                return;
            }
            KeyKind::Other(name) => Err(format!("a YubiKey does not compute {name:?}")),
            KeyKind::YubicoOtp { .. } => {
                Err("a Yubico OTP credential belongs into a slot, not among the accounts".to_owned())
            }
            KeyKind::HmacSha1 => {
                Err("a challenge-response key belongs into a slot, not among the accounts".to_owned())
            }
            _ => key.to_key_uri().ok_or_else(|| "this kind of key is not known".to_owned()),
        };
        self.account(key.line, uri);
    }
}

fn pskc(bytes: &[u8], args: &Args) -> Result<Vec<Key>, Failure> {
    let failed = |error: tapkey_protocol::formats::pskc::PskcError| Failure::usage(error.to_string());
    let document = Document::parse(bytes).map_err(failed)?;
    let container = match document.protection() {
        Protection::Key { .. } => {
            let wanted = Secret { name: "the key of the file", option: "--pskc-key" };
            let key = from_hex(&wanted.read(args.pskc_key.as_ref())?, wanted.name)?;
            document.open(Unlock::Key(&key))
        }
        Protection::Passphrase { .. } => {
            let wanted = Secret { name: "the passphrase of the file", option: "--pskc-passphrase" };
            let passphrase = wanted.read(args.pskc_passphrase.as_ref())?;
            document.open(Unlock::Passphrase(&passphrase))
        }
        _ => document.open(Unlock::Nothing),
    };
    Ok(container.map_err(failed)?.keys)
}

/// What would be done, and what stands in the way of it.
fn plan(
    items: &[Item],
    info: &OathInfo,
    accounts: &[OathAccount],
    force: bool,
    problems: &mut Vec<Problem>,
) -> Vec<Planned> {
    let mut there = accounts.to_vec();
    let mut planned = Vec::new();
    for (index, Item { line, wanted }) in items.iter().enumerate() {
        let before = items.get(..index).unwrap_or_default();
        let twice = before.iter().find(|other| other.wanted.put.id == wanted.put.id);
        let replaces = wanted.is_among(accounts);
        let problem = if let Some(other) = twice {
            Some(format!("{} stands in line {} already", wanted.name, other.line))
        } else if replaces && !force {
            Some(format!("{} is on the key already; --force replaces it", wanted.name))
        } else {
            wanted.check(info, &there).err().map(|error| keys::refused(error).message().to_owned())
        };
        if let Some(problem) = problem {
            problems.push(Problem { line: *line, problem });
            continue;
        }
        if !replaces {
            there.push(OathAccount::from(&wanted.put));
        }
        let kind = super::account::kind(wanted.put.kind);
        let action = if replaces { "replace" } else { "add" };
        planned.push(Planned { line: *line, name: wanted.name.to_string(), kind, action });
    }
    planned
}

fn write(
    items: &[Item],
    planned: &[Planned],
    session: &mut Session<'_>,
    context: &Context,
) -> Result<(), Failure> {
    let _busy = interrupt::busy();
    let progress = Progress::start(context, u64::try_from(items.len()).ok(), "Storing accounts");
    for (count, (Item { wanted, .. }, planned)) in items.iter().zip(planned).enumerate() {
        progress.step(&planned.name);
        let taken = if planned.action == "replace" { IfTaken::Replace } else { IfTaken::Refuse };
        session.with(|oath, control| oath.put(&wanted.put, taken, control)).map_err(|failure| {
            let text = format!("{failure}; {count} of {} accounts were stored before", items.len());
            Failure::new(failure.exit(), text).hint("run the same command with --force to store all of them")
        })?;
    }
    progress.finish();
    Ok(())
}

const MAX_SIZE: u64 = 16 * 1024 * 1024;
