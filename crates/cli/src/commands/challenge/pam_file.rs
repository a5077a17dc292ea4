//! `tapkey challenge pam-file`: the files of pam_yubico's challenge-response mode, as ykpamcfg makes
//! them and the module rewrites them.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;
use tapkey_driver::{Control, Error, OtpSession, Prefer, Refusal};
use tapkey_protocol::{
    challenge::{
        Padding,
        pam::{
            ChallengeFile, LONGEST_CHALLENGE, LONGEST_SALT, MOST_ROUNDS, SlotNumber, USUAL_ROUNDS, file_name,
        },
    },
    secret::Secret,
    slot::Slot,
    version::Version,
};

use super::SlotChoice;
use crate::{commands::Context, encode::random, exit::Failure, interrupt, keys, output, prompt};

/// What is done with such files.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Ask the key and write a file, as ykpamcfg does.
    Create(Create),
    /// Ask the key and see whether it is the one that the file expects.
    Verify(Verify),
    /// Say what stands in a file, without asking a key.
    Show(Show),
}

/// Which file.
#[derive(ClapArgs, Debug)]
struct Place {
    /// The file itself; without it and --folder ~/.yubico/challenge-SERIAL.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["folder", "user"])]
    file: Option<PathBuf>,

    /// The folder of pam_yubico's option chalresp_path, where files are called USER-SERIAL.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,

    /// With --folder: who is to be let in; without it, you.
    #[arg(long, value_name = "NAME", requires = "folder")]
    user: Option<String>,
}

/// Options of `tapkey challenge pam-file create`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey challenge pam-file create -2
  sudo tapkey challenge pam-file create -2 --folder /var/yubico --user alice

The slot must answer HMAC-SHA1 challenges of variable length (`tapkey otp chalresp`). The file holds a \
random challenge and a hash of the slot's answer; every login replaces both.")]
pub(super) struct Create {
    #[command(flatten)]
    slot: SlotChoice,

    #[command(flatten)]
    place: Place,

    /// How often the answer is hashed.
    #[arg(long, value_name = "N", default_value_t = USUAL_ROUNDS,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_ROUNDS)))]
    iterations: u32,

    /// Replace a file that is there.
    #[arg(long, short)]
    force: bool,
}

/// Options of `tapkey challenge pam-file verify`.
#[derive(ClapArgs, Debug)]
pub(super) struct Verify {
    #[command(flatten)]
    place: Place,

    /// If it is the one, write a new challenge, as a login does.
    #[arg(long)]
    renew: bool,
}

/// Options of `tapkey challenge pam-file show`.
#[derive(ClapArgs, Debug)]
pub(super) struct Show {
    /// The file.
    file: PathBuf,
}

#[derive(Serialize)]
struct Document {
    path: String,
    version: u8,
    slot: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    iterations: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid: Option<bool>,
    written: bool,
}

impl Document {
    fn of(path: &Path, file: &ChallengeFile) -> Self {
        Self {
            path: path.display().to_string(),
            version: file.version(),
            slot: file.slot().get(),
            iterations: file.rounds(),
            valid: None,
            written: false,
        }
    }
}

/// Runs one of them.
pub(super) fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Create(args) => create(args, context),
        Command::Verify(args) => verify(args, context),
        Command::Show(args) => show(args, context),
    }
}

fn create(args: &Create, context: &Context) -> Result<(), Failure> {
    let mut key = Key::open(context)?;
    let path = args.place.path(key.serial)?;
    if path.exists() && !args.force {
        let question = format!("{} exists; replace it?", path.display());
        prompt::confirm(&question, "--force")?;
    }
    let _busy = interrupt::busy();
    let slot = match args.slot.slot() {
        Slot::One => SlotNumber::ONE,
        Slot::Two => SlotNumber::TWO,
    };
    let file = key.new_file(slot, args.iterations)?;
    if args.place.file.is_none() && args.place.folder.is_none() {
        make_private_folder(&path)?;
    }
    write(&path, &file)?;
    let document = Document { written: true, ..Document::of(&path, &file) };
    context.printer.result("pam-file/1", &document, |it| format!("wrote {}", it.path))
}

fn verify(args: &Verify, context: &Context) -> Result<(), Failure> {
    let mut key = Key::open(context)?;
    let path = args.place.path(key.serial)?;
    let file = read(&path)?;
    let _busy = interrupt::busy();
    let valid = file.accepts(&key.ask(file.slot(), file.challenge())?);
    let mut document = Document { valid: Some(valid), ..Document::of(&path, &file) };
    if valid && args.renew {
        let renewed = key.new_file(file.slot(), file.rounds().unwrap_or(USUAL_ROUNDS))?;
        write(&path, &renewed)?;
        document = Document { valid: Some(true), written: true, ..Document::of(&path, &renewed) };
    }
    context.printer.result("pam-file/1", &document, |it| match (valid, it.written) {
        (true, true) => format!("{}; {} has a new challenge", output::good("the key is the one"), it.path),
        (true, false) => output::good("the key is the one"),
        (false, _) => output::bad("the key is another one, or its slot was programmed anew"),
    })?;
    if valid { Ok(()) } else { Err(Failure::reported(crate::exit::Exit::Failed)) }
}

fn show(args: &Show, context: &Context) -> Result<(), Failure> {
    let file = read(&args.file)?;
    context.printer.result("pam-file/1", &Document::of(&args.file, &file), |it| {
        let iterations = it.iterations.map_or_else(|| "none".to_owned(), |rounds| rounds.to_string());
        output::fields(&[
            ("File", it.path.clone()),
            ("Version", it.version.to_string()),
            ("Slot", it.slot.to_string()),
            ("Iterations", iterations),
        ])
    })?;
    if file.version() == 1 {
        context.printer.warn("this file holds the plain answer of the key; the next login, or pam-file create, replaces it by one that holds a hash");
    }
    Ok(())
}

impl Place {
    /// The file for a key with this serial number, if it tells one.
    fn path(&self, serial: Option<u32>) -> Result<PathBuf, Failure> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        if let Some(folder) = &self.folder {
            let user = self.user.clone().or_else(|| std::env::var("USER").ok());
            let user = user.as_deref().filter(|user| !user.is_empty() && !user.contains('/'));
            let user = user.ok_or_else(|| Failure::usage("nobody is named").hint("add --user NAME"))?;
            return Ok(folder.join(file_name(user, serial)));
        }
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
        let home = home.ok_or_else(|| Failure::usage("HOME is not set").hint("add --file FILE"))?;
        Ok(PathBuf::from(home).join(".yubico").join(file_name("challenge", serial)))
    }
}

/// A key that is asked as the module asks.
struct Key {
    session: OtpSession,
    control: Control,
    serial: Option<u32>,
}

impl Key {
    fn open(context: &Context) -> Result<Self, Failure> {
        let _busy = interrupt::busy();
        let device = keys::open(context)?.device;
        let control = keys::control(context);
        let mut session = device.open_otp(Prefer::ChallengeResponse, &control).map_err(keys::refused)?;
        // The module asks the slots' application, which may keep the number to itself.
        let serial = match session.serial(&control) {
            Ok(serial) => Some(serial),
            Err(Error::Refused(Refusal::SerialHidden)) => None,
            Err(error) => return Err(keys::refused(error)),
        };
        Ok(Self { session, control, serial })
    }

    fn ask(&mut self, slot: SlotNumber, challenge: &[u8]) -> Result<Secret<20>, Failure> {
        let slot = if slot == SlotNumber::ONE { Slot::One } else { Slot::Two };
        self.session.challenge_padded(slot, challenge, Padding::Zeros, &self.control).map_err(keys::refused)
    }

    fn new_file(&mut self, slot: SlotNumber, rounds: u32) -> Result<ChallengeFile, Failure> {
        let challenge = random::<LONGEST_CHALLENGE>()?;
        let response = self.ask(slot, challenge.as_slice())?;
        if self.session.version() < ANSWERS_DIFFER_SINCE {
            let other = random::<LONGEST_CHALLENGE>()?;
            if self.ask(slot, other.as_slice())? == response {
                return Err(Failure::new(
                    crate::exit::Exit::Key,
                    "the slot gives one answer to all challenges",
                )
                .hint("program it anew without --fixed-64"));
            }
        }
        let salt = random::<LONGEST_SALT>()?;
        ChallengeFile::new(challenge.as_slice(), &response, salt.as_slice(), rounds, slot)
            .map_err(|error| Failure::usage(error.to_string()))
    }
}

fn read(path: &Path) -> Result<ChallengeFile, Failure> {
    let mut text = zeroize::Zeroizing::new(String::new());
    let outcome = fs::File::open(path).and_then(|file| file.take(LONGEST_FILE).read_to_string(&mut text));
    outcome.map_err(|error| {
        let failure = Failure::usage(format!("cannot read {}: {error}", path.display()));
        if error.kind() == io::ErrorKind::NotFound {
            return failure.hint("`tapkey challenge pam-file create` or ykpamcfg makes it");
        }
        failure
    })?;
    text.parse().map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// Through a new file of mode 0600 beside the old one, which is there to the end; an old one's owner
/// and rights are kept.
fn write(path: &Path, file: &ChallengeFile) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let attempt = || -> io::Result<()> {
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        new.write_all(file.to_string().as_bytes())?;
        if let Ok(old) = fs::metadata(path) {
            keep_owner(new.as_file(), &old)?;
        }
        new.as_file().sync_all()?;
        new.persist(path).map_err(|error| error.error)?;
        // The name is durable once the folder is.
        #[cfg(unix)]
        fs::File::open(folder)?.sync_all()?;
        Ok(())
    };
    attempt().map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))
}

#[cfg(unix)]
fn keep_owner(new: &fs::File, old: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let mine = new.metadata()?;
    if (mine.uid(), mine.gid()) != (old.uid(), old.gid()) {
        fchown(new, Some(old.uid()), Some(old.gid()))?;
    }
    new.set_permissions(old.permissions())
}

#[cfg(not(unix))]
fn keep_owner(_: &fs::File, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

/// `~/.yubico`, for its owner alone.
fn make_private_folder(path: &Path) -> Result<(), Failure> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(|error| Failure::failed(format!("cannot make the folder {}: {error}", folder.display())))
}

/// Firmware 2.2 answers all challenges alike in a slot for 64 bytes; Yubico's tools look for that.
const ANSWERS_DIFFER_SINCE: Version = Version::new(2, 3, 0);
/// Several times what such a file has.
const LONGEST_FILE: u64 = 4096;
