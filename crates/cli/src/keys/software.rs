//! Software keys: in this process, or in an emulator process that has the state file.

use std::{
    fs, io,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tapkey_driver::{Connector, Ways};
use tapkey_emulator::{
    Counter, Faults, FileStore, Milliseconds, Power, Press, Profile, SeededRandom, Snapshot, StateError,
    TouchPolicy, VirtualKey,
    port::{
        in_process::PluggedKey,
        socket::{self, SocketError},
    },
};
use tapkey_protocol::{
    link::{CardLink, CardTransport, LinkError, OtpLink},
    slot::Slot,
};

use crate::{
    commands::Context,
    exit::{Exit, Failure, chain},
};

pub(crate) mod presence;
pub(crate) mod rack;
pub(crate) mod running;

/// A software key that is plugged in.
#[derive(Clone, Debug)]
pub(crate) struct Software {
    place: Place,
    name: Arc<str>,
}

#[derive(Clone, Debug)]
enum Place {
    /// In this process; it is plugged in for as long as this process runs.
    Here(PluggedKey),
    /// In an emulator process.
    There(socket::Client),
}

/// What a new key is to be like, and a stored one must be like.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wish {
    /// The firmware personality.
    pub(crate) profile: Option<Profile>,
    /// The serial number.
    pub(crate) serial: Option<u32>,
    /// Held against a reader instead of plugged in.
    pub(crate) nfc: bool,
    /// What is drawn at random comes from this number, faults included.
    pub(crate) seed: Option<u64>,
}

impl Wish {
    /// What the global options say.
    pub(crate) fn of(context: &Context) -> Self {
        Self { serial: context.global.serial, ..Self::default() }
    }
}

impl Software {
    /// Uses the key of a running emulator on this state, or else wakes it in this process. Where
    /// there is none, one is made.
    pub(crate) fn open(path: &Path, wish: &Wish, context: &Context) -> Result<Self, Failure> {
        let fresh = !path.exists();
        let software = Self::reach(path, wish)?;
        if fresh && !software.is_elsewhere() {
            context.printer.say(format!("made a new software key in {}", path.display()));
        }
        Ok(software)
    }

    /// The same without a word.
    pub(crate) fn reach(path: &Path, wish: &Wish) -> Result<Self, Failure> {
        let name: Arc<str> = path.display().to_string().into();
        let start = Instant::now();
        loop {
            match wake(path, wish) {
                Ok(key) => {
                    key.with(|key| key.set_touch_policy(TouchPolicy::Automatic(SOON)));
                    return Ok(Self { place: Place::Here(key), name });
                }
                Err(Waking::State(error @ StateError::InUse { .. })) => {
                    let software = Self { place: Place::There(socket_of(path)), name: Arc::clone(&name) };
                    if software.answers(wish)? {
                        return Ok(software);
                    }
                    // Another command is using it for a moment.
                    if start.elapsed() > BUSY_PATIENCE {
                        return Err(Waking::State(error).into());
                    }
                    thread::sleep(BUSY_POLL);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Its state file, as its device's place.
    pub(crate) fn name(&self) -> String {
        self.name.to_string()
    }

    /// Opens links to it.
    pub(crate) fn connector(&self) -> SoftwareConnector {
        SoftwareConnector(self.clone())
    }

    /// Presses it.
    pub(crate) fn press(&self, slot: Slot) -> Result<Pressed, Failure> {
        match &self.place {
            Place::Here(key) => key.press(slot).map(Pressed::of).map_err(|error| Waking::State(error).into()),
            Place::There(client) => client.press(slot).map(Pressed::of).map_err(|error| unreachable(&error)),
        }
    }

    /// Touches it while a challenge waits.
    pub(crate) fn touch(&self) -> Result<(), Failure> {
        match &self.place {
            Place::Here(key) => key.touch().map_err(|error| Failure::new(Exit::Key, error.to_string())),
            Place::There(client) => client.touch().map_err(|error| unreachable(&error)),
        }
    }

    /// Unplugs it and plugs it in again.
    pub(crate) fn replug(&self) -> Result<(), Failure> {
        match &self.place {
            Place::Here(key) => key.replug().map_err(|error| Failure::failed(error.to_string())),
            Place::There(client) => client.replug().map_err(|error| unreachable(&error)),
        }
    }

    /// Turns a counter forward.
    pub(crate) fn turn(&self, counter: Counter) -> Result<(), Failure> {
        match &self.place {
            Place::Here(key) => key.turn(counter).map_err(|error| Failure::new(Exit::Key, chain(&error))),
            Place::There(client) => client.turn(counter).map_err(|error| unreachable(&error)),
        }
    }

    /// Does something that makes sense only with a key that stays plugged in.
    pub(crate) fn running<T>(
        &self,
        work: impl FnOnce(&socket::Client) -> Result<T, SocketError>,
    ) -> Result<T, Failure> {
        match &self.place {
            Place::There(client) => work(client).map_err(|error| unreachable(&error)),
            Place::Here(_) => {
                Err(Failure::new(Exit::Key, format!("the key in {} is not plugged in", self.name))
                    .hint("`tapkey emulate run` keeps it plugged in; run this beside it"))
            }
        }
    }

    /// What it is and does at this moment.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, Failure> {
        match &self.place {
            Place::Here(key) => Ok(key.snapshot()),
            Place::There(client) => client.show().map_err(|error| unreachable(&error)),
        }
    }

    /// Whether an emulator process has it.
    pub(crate) const fn is_elsewhere(&self) -> bool {
        matches!(self.place, Place::There(_))
    }

    /// Whether an emulator process has it, and is the one that is wanted.
    fn answers(&self, wish: &Wish) -> Result<bool, Failure> {
        let Place::There(client) = &self.place else { return Ok(true) };
        let serial = match client.show() {
            Ok(snapshot) => snapshot.serial,
            Err(SocketError::NotRunning { .. }) => return Ok(false),
            Err(error) => return Err(unreachable(&error)),
        };
        match wish.serial {
            Some(wanted) if wanted != serial => Err(Failure::new(
                Exit::NoKey,
                format!("the software key in {} has serial number {serial}, not {wanted}", self.name),
            )),
            _ => Ok(true),
        }
    }
}

/// What came of pressing a key.
#[derive(Debug)]
pub(crate) enum Pressed {
    /// It typed this.
    Typed(String),
    /// A challenge was waiting for a touch, and this was it.
    Answered,
    /// Nothing happened, for this reason.
    Nothing(String),
}

impl Pressed {
    fn of(press: Press) -> Self {
        match press {
            Press::Typed(typed) => Self::Typed(typed.text()),
            Press::AnsweredChallenge => Self::Answered,
            Press::Nothing(silence) => Self::Nothing(silence.to_string()),
        }
    }
}

/// Why a software key does not wake.
enum Waking {
    State(StateError),
    Power(tapkey_emulator::PowerError),
    Folder(String, io::Error),
}

/// Wakes the key of a state file in this process, and keeps the file locked.
pub(crate) fn wake_here(path: &Path, wish: &Wish) -> Result<PluggedKey, Failure> {
    wake(path, wish).map_err(Failure::from)
}

fn wake(path: &Path, wish: &Wish) -> Result<PluggedKey, Waking> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|error| Waking::Folder(folder.display().to_string(), error))?;
    }
    let mut builder = VirtualKey::builder().state(FileStore::open(path).map_err(Waking::State)?);
    if let Some(seed) = wish.seed {
        builder = builder.random(SeededRandom::new(seed)).faults(Faults::seeded(seed));
    }
    if let Some(profile) = wish.profile {
        builder = builder.profile(profile);
    }
    if let Some(serial) = wish.serial {
        builder = builder.serial(serial);
    }
    let mut key = builder.build().map_err(Waking::State)?;
    if wish.nfc {
        key.power(Power::Nfc).map_err(Waking::Power)?;
    }
    PluggedKey::new(key).map_err(Waking::Power)
}

impl From<Waking> for Failure {
    fn from(error: Waking) -> Self {
        match error {
            Waking::Folder(folder, error) => {
                Self::failed(format!("cannot make the folder {folder}: {error}"))
            }
            Waking::Power(error) => Self::new(Exit::Key, error.to_string()),
            Waking::State(error @ StateError::InUse { .. }) => Self::new(Exit::Unreachable, chain(&error)),
            Waking::State(error @ StateError::OtherKey { .. }) => Self::new(Exit::NoKey, chain(&error)),
            Waking::State(error @ StateError::ForeignSerial { .. }) => Self::usage(chain(&error)),
            Waking::State(error @ StateError::Unreadable { .. }) => Self::failed(chain(&error))
                .hint("name another file with --emulated=FILE; a file that does not exist becomes a new key"),
            Waking::State(error) => Self::failed(chain(&error)),
        }
    }
}

/// The driver's way to a software key.
#[derive(Debug)]
pub(crate) struct SoftwareConnector(Software);

impl SoftwareConnector {
    /// A key that another process pulled out is gone, not one without interfaces.
    fn check_plugged_in(&self) -> Result<(), LinkError> {
        match self.0.snapshot() {
            Ok(snapshot) if snapshot.power == "off" => Err(LinkError::Removed),
            _ => Ok(()),
        }
    }
}

impl Connector for SoftwareConnector {
    fn name(&self) -> String {
        self.0.name.to_string()
    }

    fn open_otp_link(&self) -> Result<Option<Box<dyn OtpLink>>, LinkError> {
        self.check_plugged_in()?;
        if !self.ways().hid {
            return Ok(None);
        }
        match &self.0.place {
            Place::Here(key) => key.otp().map(boxed_otp),
            Place::There(client) => client.otp().map(boxed_otp).map_err(as_link),
        }
    }

    fn open_card_link(&self) -> Result<Option<Box<dyn CardLink>>, LinkError> {
        self.check_plugged_in()?;
        if self.ways().card.is_none() {
            return Ok(None);
        }
        match &self.0.place {
            Place::Here(key) => key.card().map(boxed_card),
            Place::There(client) => client.card().map(boxed_card).map_err(as_link),
        }
    }

    fn is_software(&self) -> bool {
        true
    }

    fn ways(&self) -> Ways {
        let Ok(snapshot) = self.0.snapshot() else { return Ways::default() };
        let nfc = snapshot.power == "nfc";
        let usb = |interface: &str| snapshot.interfaces.split('+').any(|one| one == interface);
        let card = if nfc { Some(CardTransport::Nfc) } else { usb("CCID").then_some(CardTransport::Usb) };
        Ways { hid: !nfc && usb("OTP"), card }
    }
}

fn boxed_otp(link: impl OtpLink + 'static) -> Option<Box<dyn OtpLink>> {
    Some(Box::new(link))
}

fn boxed_card(link: impl CardLink + 'static) -> Option<Box<dyn CardLink>> {
    Some(Box::new(link))
}

/// Where the emulator process of this state listens. Two names of one file are one key.
pub(crate) fn socket_path(state: &Path) -> std::path::PathBuf {
    socket::default_path(&fs::canonicalize(state).unwrap_or_else(|_| state.to_owned()))
}

fn socket_of(state: &Path) -> socket::Client {
    socket::Client::new(socket_path(state))
}

fn unreachable(error: &SocketError) -> Failure {
    match error {
        SocketError::Refused(refusal) => Failure::new(Exit::Key, refusal.to_string()),
        SocketError::NotTurned { why } => Failure::new(Exit::Key, why.clone()),
        SocketError::Link(link) => Failure::new(Exit::NoKey, link.to_string()),
        error => Failure::new(Exit::Unreachable, chain(error)),
    }
}

/// Links do not know about sockets.
fn as_link(error: SocketError) -> LinkError {
    match error {
        SocketError::Link(error) => error,
        SocketError::Io(error) => LinkError::Io(error),
        error => LinkError::Unavailable { what: error.to_string() },
    }
}

/// A software key in this process touches itself after so long.
const SOON: Milliseconds = Milliseconds(300);
const BUSY_PATIENCE: Duration = Duration::from_secs(3);
const BUSY_POLL: Duration = Duration::from_millis(50);
