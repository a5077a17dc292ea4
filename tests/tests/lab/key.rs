//! In the machine: a key plugged into its USB, and what its keyboard types.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tapkey_tests::{parts, tapkey};

/// Longer than anything takes under software emulation on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// `tapkey emulate run --attach` and the key that it plugs in. Pulled out when dropped.
#[derive(Debug)]
pub(crate) struct Key {
    process: Child,
    state: PathBuf,
    // Kept open, so that it can go on writing.
    _stdout: BufReader<ChildStdout>,
}

/// A letter that came from the kernel, and when, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Letter {
    pub(crate) at: f64,
    pub(crate) letter: char,
}

impl Key {
    /// Plugs a key in and waits until the kernel and udev are done with it. It types at the pace of a
    /// key: a kernel drops what a reader on a busy machine does not fetch in time.
    pub(crate) fn plug(state: &Path) -> Result<Self> {
        let mut command = tapkey::command(Path::new("/tmp"))?;
        command.args(["emulate", "run", "--attach", "--quiet"]).arg(state);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let mut stdout = BufReader::new(process.stdout.take().context("its output")?);
        let mut line = String::new();
        while !line.contains("virtual port") {
            line.clear();
            if stdout.read_line(&mut line)? == 0 {
                bail!("tapkey emulate run ended with {}", process.wait()?);
            }
        }
        let key = Self { process, state: state.to_owned(), _stdout: stdout };
        wait_for("the key's keyboard", || Ok(event_device()?.is_some() && hidraw(0)?.is_some()))?;
        key.settle()?;
        Ok(key)
    }

    /// Waits until the drivers have the keyboard again; programs that use libusb take it from them.
    pub(crate) fn settle(&self) -> Result<()> {
        wait_for("the key's keyboard", || Ok(event_device()?.is_some()))?;
        super::run("udevadm", &["settle"])?;
        Ok(())
    }

    /// A command of `tapkey emulate` on the plugged-in key.
    pub(crate) fn emulate(&self, arguments: &[&str]) -> Result<String> {
        let mut command = tapkey::command(Path::new("/tmp"))?;
        let output = command.arg("emulate").args(arguments).arg(&self.state).output()?;
        ensure!(output.status.success(), "{arguments:?}: {}", tapkey_tests::credential::told(&output));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Presses it, and waits for what the kernel's keyboard types. Slot 1 or 2.
    pub(crate) fn press(&self, slot: u8) -> Result<Vec<Letter>> {
        self.settle()?;
        let keyboard = Keyboard::open()?;
        let said = self.emulate(&["press", "--slot", &slot.to_string()])?;
        let letters = keyboard.letters(said.chars().count())?;
        let typed = text(&letters);
        ensure!(typed.trim_end() == said, "the keyboard typed {typed:?}, and the key {said:?}");
        Ok(letters)
    }

    /// The text that it types when pressed, as the kernel's keyboard typed it.
    pub(crate) fn types(&self, slot: u8) -> Result<String> {
        Ok(text(&self.press(slot)?))
    }

    /// Takes it away in the middle of whatever it does.
    pub(crate) fn pull(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        wait_for("the key to be gone", || Ok(event_device()?.is_none() && hidraw(0)?.is_none()))
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // Nothing to be done where it is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The letters as text.
pub(crate) fn text(letters: &[Letter]) -> String {
    letters.iter().map(|letter| letter.letter).collect()
}

/// Waits for something to become so.
pub(crate) fn wait_for(what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !is_so()? {
        ensure!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The key's keyboard in `/dev/input`.
fn event_device() -> Result<Option<PathBuf>> {
    for entry in fs::read_dir("/sys/class/input")? {
        let entry = entry?;
        // One that is just going away has no name any more.
        let device = fs::read_to_string(entry.path().join("device/name")).unwrap_or_default();
        let name = entry.file_name();
        let node = Path::new("/dev/input").join(&name);
        if name.to_string_lossy().starts_with("event") && device.contains("YubiKey") && node.exists() {
            return Ok(Some(node));
        }
    }
    Ok(None)
}

/// The node in `/dev` of one of the key's USB interfaces, by its number.
pub(crate) fn hidraw(interface: u8) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir("/sys/class/hidraw")? {
        let entry = entry?;
        let Ok(link) = fs::canonicalize(entry.path()) else { continue };
        let node = Path::new("/dev").join(entry.file_name());
        let here = link.to_string_lossy().contains(&format!(":1.{interface}/"));
        if here && node.exists() {
            return Ok(Some(node));
        }
    }
    Ok(None)
}

/// The node of the key among the USB devices.
pub(crate) fn usb_node() -> Result<PathBuf> {
    for entry in fs::read_dir("/sys/bus/usb/devices")? {
        let folder = entry?.path();
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default().trim().to_owned();
        if read("idVendor") == "1050" {
            let (bus, device): (u16, u16) = (read("busnum").parse()?, read("devnum").parse()?);
            return Ok(format!("/dev/bus/usb/{bus:03}/{device:03}").into());
        }
    }
    bail!("no USB device of Yubico")
}

/// A program run by the person at the seat, who has no rights but those that udev gives.
pub(crate) fn person(program: impl AsRef<Path>) -> Command {
    let mut command = parts::command("setpriv");
    command.args(["--reuid=lab", "--regid=lab", "--clear-groups", "--"]).arg(program.as_ref());
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/home/lab");
    command.current_dir("/home/lab");
    command
}

/// The key's keyboard, read as a desktop reads it.
struct Keyboard {
    events: mpsc::Receiver<Letter>,
}

impl Keyboard {
    fn open() -> Result<Self> {
        let path = event_device()?.context("no keyboard of a key")?;
        let mut file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        let (sender, events) = mpsc::channel();
        thread::spawn(move || {
            let mut shift = false;
            // Two times of eight bytes, type, code and value.
            let mut event = [0; 24];
            while file.read_exact(&mut event).is_ok() {
                let number = |at: usize| u16::from_ne_bytes([event[at], event[at + 1]]);
                let long = |at: usize| i64::from_ne_bytes(event[at..at + 8].try_into().unwrap());
                let (kind, code, value) = (number(16), number(18), number(20));
                match (kind, code, value) {
                    (KEY, LEFT_SHIFT, _) => shift = value != RELEASE,
                    // The kernel itself repeats a key that a busy machine releases late.
                    (KEY, _, PRESS) => {
                        #[allow(clippy::cast_precision_loss, clippy::as_conversions)]
                        let at = long(0) as f64 + long(8) as f64 / 1e6;
                        if sender.send(Letter { at, letter: letter(code, shift) }).is_err() {
                            return;
                        }
                    }
                    _ => {}
                }
            }
        });
        Ok(Self { events })
    }

    /// So many letters, and those that follow within 300 ms.
    fn letters(&self, count: usize) -> Result<Vec<Letter>> {
        let mut letters = vec![];
        loop {
            let patience = if letters.len() < count { PATIENCE } else { Duration::from_millis(300) };
            match self.events.recv_timeout(patience) {
                Ok(letter) => letters.push(letter),
                Err(_) if letters.len() < count => {
                    bail!("{} of {count} letters came: {:?}", letters.len(), text(&letters))
                }
                Err(_) => return Ok(letters),
            }
        }
    }
}

const KEY: u16 = 1;
const LEFT_SHIFT: u16 = 42;
const RELEASE: u16 = 0;
const PRESS: u16 = 1;

/// The letter of the kernel's key code on a keyboard of the United States.
fn letter(code: u16, shift: bool) -> char {
    const ROWS: [(u16, &str); 5] =
        [(2, "1234567890"), (15, "\tqwertyuiop"), (28, "\n"), (30, "asdfghjkl"), (44, "zxcvbnm")];
    let found = ROWS.iter().find_map(|(first, row)| row.chars().nth(code.checked_sub(*first)?.into()));
    match found {
        Some('1') if shift => '!',
        Some(letter) if shift => letter.to_ascii_uppercase(),
        Some(letter) => letter,
        None => '\u{fffd}',
    }
}
