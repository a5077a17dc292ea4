//! Emulated keys behind a real pcscd, and the programs of other hands that find them there.

use std::{
    env,
    ffi::OsStr,
    io::{self, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use tapkey_emulator::{
    Power, VirtualKey,
    port::{
        in_process::PluggedKey,
        pcscd::{PrivatePcscd, Reader},
        socket::{Server, ServerError, Stopper},
    },
};
use tempfile::TempDir;

use crate::parts::{command, part};

/// A pcscd of its own with keys behind it; all of it ends when this is dropped.
#[derive(Debug)]
pub struct Pcscd {
    keys: Vec<Served>,
    service: PrivatePcscd,
    folder: TempDir,
}

/// A key that is served on a socket, as `tapkey emulate run` does it, but pressed from here.
#[derive(Debug)]
pub struct Served {
    key: PluggedKey,
    stopper: Stopper,
    thread: Option<JoinHandle<Result<(), ServerError>>>,
}

/// What a program did.
#[derive(Debug)]
pub struct Run {
    what: String,
    output: Output,
}

impl Served {
    /// Serves the key; without power yet, it is plugged in.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn start(socket: &Path, key: VirtualKey) -> Result<Self> {
        let key = PluggedKey::new(key)?;
        let server = Server::bind(socket, key.clone())?;
        let stopper = server.stopper();
        Ok(Self { key, stopper, thread: Some(thread::spawn(move || server.run())) })
    }

    /// The key, from its own side.
    #[must_use]
    pub const fn key(&self) -> &PluggedKey {
        &self.key
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            // Nothing to be done where it failed; the test that needed it has seen that.
            let _ = thread.join();
        }
    }
}

impl Pcscd {
    /// Starts pcscd with a reader for each key, named as the key is used, and waits until every card
    /// is seen.
    ///
    /// # Errors
    /// A part is missing, or no namespaces can be made.
    pub fn start(keys: Vec<VirtualKey>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (mut served, mut readers) = (Vec::new(), Vec::new());
        for (number, key) in keys.into_iter().enumerate() {
            let socket = folder.path().join(format!("key{number}.sock"));
            let one = Served::start(&socket, key)?;
            let name = one.key.with(|key| match key.powered() {
                Power::Nfc => Reader::NFC_NAME.to_owned(),
                _ => Reader::name_on_usb(&key.interfaces().to_string()),
            });
            readers.push(Reader::new(name, socket));
            served.push(one);
        }
        let mut pcscd = Self::with_readers(&readers)?;
        let number = served.len();
        pcscd.keys = served;
        pcscd.folder = folder;
        pcscd.wait_for_cards(number)?;
        Ok(pcscd)
    }

    /// Starts pcscd with these readers, for keys that are served otherwise.
    ///
    /// # Errors
    /// As [`Pcscd::start`].
    pub fn with_readers(readers: &[Reader]) -> Result<Self> {
        part("pcscd")?;
        part("unshare")?;
        let service = PrivatePcscd::start(&driver()?, readers)?;
        Ok(Self { keys: Vec::new(), service, folder: tempfile::tempdir()? })
    }

    /// A key, from its own side.
    ///
    /// # Errors
    /// There are fewer keys.
    pub fn key(&self, number: usize) -> Result<&PluggedKey> {
        Ok(&self.keys.get(number).context("that many keys")?.key)
    }

    /// The socket by which programs find this pcscd.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.service.socket()
    }

    /// Whether it runs still, which after all that was done to it is not a matter of course.
    pub fn is_running(&mut self) -> bool {
        self.service.is_running()
    }

    /// Runs a program that finds this pcscd, and nothing of the person who runs the tests.
    ///
    /// # Errors
    /// It does not start.
    pub fn run(&self, program: &Path, arguments: &[impl AsRef<OsStr>]) -> Result<Run> {
        self.finish(command(program), arguments)
    }

    /// Runs ykman on a key, which it chooses by the serial number that no real key has.
    ///
    /// # Errors
    /// It is not installed.
    pub fn ykman(&self, key: usize, arguments: &[&str]) -> Result<Run> {
        let serial = self.key(key)?.with(|key| key.serial()).to_string();
        self.run(&ykman()?, &[&["--device", serial.as_str()], arguments].concat())
    }

    /// What `ykman list` prints: real keys of the machine may be in it as well.
    ///
    /// # Errors
    /// It is not installed, or fails.
    pub fn ykman_list(&self, arguments: &[&str]) -> Result<String> {
        self.run(&ykman()?, &[&["list"], arguments].concat())?.succeeds()
    }

    /// Runs ykman on the key in a reader.
    ///
    /// # Errors
    /// It is not installed.
    pub fn ykman_on(&self, reader: &str, arguments: &[&str]) -> Result<Run> {
        self.run(&ykman()?, &[&["--reader", reader], arguments].concat())
    }

    /// Runs our own program.
    ///
    /// # Errors
    /// It was not built.
    pub fn tapkey(&self, arguments: &[&str]) -> Result<Run> {
        self.finish(crate::tapkey::command(self.folder.path())?, arguments)
    }

    /// Runs a script with Python's PC/SC library.
    ///
    /// # Errors
    /// The library is not installed.
    pub fn python(&self, script: &str) -> Result<Run> {
        self.run(&part("ykman")?, &["-c", script])
    }

    /// The same, while the test goes on; it talks to the script line by line.
    ///
    /// # Errors
    /// The library is not installed.
    pub fn python_beside(&self, script: &str) -> Result<std::process::Child> {
        let mut command = self.prepare(command(part("ykman")?));
        command.args(["-u", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(command.spawn()?)
    }

    /// Waits until as many readers have a card, as another program sees it.
    ///
    /// # Errors
    /// It does not come to that.
    pub fn wait_for_cards(&self, number: usize) -> Result<()> {
        let start = Instant::now();
        let opensc = part("opensc-tool")?;
        loop {
            let list = self.run(&opensc, &["--list-readers"])?.succeeds()?;
            let cards = list.lines().filter(|line| line.split_whitespace().nth(1) == Some("Yes")).count();
            if cards == number {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                bail!("{cards} instead of {number} cards:\n{list}{}", self.service.log());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn prepare(&self, mut command: Command) -> Command {
        let home = self.folder.path();
        command.env("HOME", home).env("XDG_DATA_HOME", home.join("data"));
        command.env(PrivatePcscd::VARIABLE, self.service.socket());
        command
    }

    fn finish(&self, command: Command, arguments: &[impl AsRef<OsStr>]) -> Result<Run> {
        let mut command = self.prepare(command);
        let output = command.args(arguments).output().with_context(|| format!("running {command:?}"))?;
        let words: Vec<_> = arguments.iter().map(|word| word.as_ref().to_string_lossy()).collect();
        Ok(Run { what: words.join(" "), output })
    }
}

impl Run {
    /// What it printed, if it succeeded.
    ///
    /// # Errors
    /// It did not; the text holds everything that it wrote.
    pub fn succeeds(self) -> Result<String> {
        ensure!(self.output.status.success(), "{self}");
        Ok(String::from_utf8(self.output.stdout)?)
    }

    /// What it printed for people about its failure, if it failed.
    ///
    /// # Errors
    /// It succeeded.
    pub fn fails(self) -> Result<String> {
        ensure!(!self.output.status.success(), "succeeded: {self}");
        Ok(String::from_utf8_lossy(&self.output.stderr).into_owned())
    }

    /// The exit code.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.output.status.code()
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Output { status, stdout, stderr } = &self.output;
        let (stdout, stderr) = (String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr));
        write!(f, "{}: {status}\n{stdout}{stderr}", self.what)
    }
}

/// The reader driver that was built with these tests, which depend on it.
///
/// # Errors
/// It was not.
pub fn driver() -> Result<PathBuf> {
    let tests = env::current_exe()?;
    let driver = tests.parent().context("tests run from target/PROFILE/deps")?.join("libtapkey_ifd.so");
    ensure!(driver.exists(), "{} is missing: cargo build --package tapkey-ifd", driver.display());
    Ok(driver)
}

fn ykman() -> Result<PathBuf> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    if PROGRAM.get().is_none() {
        let _ = PROGRAM.set(part("ykman")?.with_file_name("ykman"));
    }
    PROGRAM.get().cloned().ok_or_else(|| anyhow!("ykman"))
}

/// Serves a card without a key on a socket, in a thread that goes on until the process ends. What
/// `answer` does not answer makes it hang up, as an emulator does that is killed in the middle.
///
/// # Errors
/// The socket cannot be made.
pub fn serve_card(
    socket: &Path,
    mut answer: impl FnMut(&[u8]) -> Option<Vec<u8>> + Send + 'static,
) -> Result<()> {
    let listener = UnixListener::bind(socket)?;
    thread::spawn(move || {
        // A reader has one connection at a time.
        for mut stream in listener.incoming().flatten() {
            while let Ok(request) = receive(&mut stream) {
                let reply = match request.as_slice() {
                    [2] => vec![4, 1],
                    [13] => [&[10], ATR].concat(),
                    [5, command @ ..] => match answer(command) {
                        Some(answer) => [&[3], answer.as_slice()].concat(),
                        None => break,
                    },
                    _ => vec![1],
                };
                if send(&mut stream, &reply).is_err() {
                    break;
                }
            }
        }
    });
    Ok(())
}

fn receive(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut body = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap_or_default()];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn send(stream: &mut UnixStream, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).unwrap_or_default().to_be_bytes();
    stream.write_all(&[&length, body].concat())
}

/// An answer to reset that says nothing but T=1.
const ATR: &[u8] = &[0x3B, 0x80, 0x80, 0x01, 0x01];
const PATIENCE: Duration = Duration::from_secs(10);
