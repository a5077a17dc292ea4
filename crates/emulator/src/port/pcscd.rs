//! Emulated keys behind pcscd, the smart-card service, for programs in any language.
//!
//! pcscd finds a key through `libtapkey_ifd.so`, a reader driver that this project builds (package
//! `tapkey-ifd`), and a [`Server`](super::socket::Server) to which the driver connects.
//! [`PrivatePcscd`] runs a pcscd of one's own, beside the system's and without touching it;
//! [`reader_conf`] writes what the system's pcscd needs.
//!
//! ```no_run
//! use std::{path::Path, process::Command, thread};
//! use tapkey_emulator::VirtualKey;
//! use tapkey_emulator::port::{in_process::PluggedKey, pcscd::{PrivatePcscd, Reader}, socket::Server};
//!
//! let key = PluggedKey::new(VirtualKey::builder().build()?)?;
//! let server = Server::bind("/tmp/key.sock", key.clone())?;
//! let stop = server.stopper();
//! thread::spawn(move || server.run());
//!
//! let driver = Path::new("target/debug/libtapkey_ifd.so");
//! let pcscd = PrivatePcscd::start(driver, &[Reader::new("Yubico YubiKey OTP+FIDO+CCID", "/tmp/key.sock")])?;
//! Command::new("ykman").arg("info").env(PrivatePcscd::VARIABLE, pcscd.socket()).status()?;
//! stop.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use thiserror::Error;

/// A reader with an emulated key in it, or without, as long as no emulator answers at the socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reader {
    name: String,
    socket: PathBuf,
}

impl Reader {
    /// A reader of this name for the key at this socket. pcscd adds a number to the name, such as
    /// ` 00 00`.
    #[must_use]
    pub fn new(name: impl Into<String>, socket: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), socket: socket.into() }
    }

    /// Its name, without the number.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name that a plugged-in key with these interfaces has: `OTP+FIDO+CCID` gives
    /// `Yubico YubiKey OTP+FIDO+CCID`, byte for byte what the driver for real keys makes of them.
    #[must_use]
    pub fn name_on_usb(interfaces: &str) -> String {
        format!("Yubico YubiKey {interfaces}")
    }

    /// The name of a contactless reader, for keys that are used over NFC.
    pub const NFC_NAME: &'static str = "ACS ACR122U PICC Interface";
}

/// What pcscd reads: the text for a file in `/etc/reader.conf.d`.
///
/// # Errors
/// [`PcscdError::Unwritable`] when a name or a path cannot be said in that file.
pub fn reader_conf(driver: &Path, readers: &[Reader]) -> Result<String, PcscdError> {
    let unwritable = |what: &Path| PcscdError::Unwritable { what: what.display().to_string() };
    let driver =
        driver.to_str().filter(|path| path.chars().all(is_plain)).ok_or_else(|| unwritable(driver))?;
    let mut text = String::new();
    for (number, Reader { name, socket }) in readers.iter().enumerate() {
        let quotable = |text: &&str| !text.contains(['"', '\'', '\n']);
        let socket = socket.to_str().filter(quotable).ok_or_else(|| unwritable(socket))?;
        let name = Some(name.as_str()).filter(quotable).ok_or_else(|| unwritable(Path::new(name)))?;
        // pcscd refuses to start when a DEVICENAME without a colon does not exist.
        let device = format!("unix:{socket}");
        let device = if device.chars().all(is_plain) { device } else { format!("\"{device}\"") };
        text.push_str(&format!(
            "FRIENDLYNAME \"{name}\"\nDEVICENAME {device}\nLIBPATH {driver}\nCHANNELID {number}\n\n"
        ));
    }
    text.pop();
    Ok(text)
}

/// What pcscd takes for one word without quotes.
const fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '\\' | '/' | '-' | '.' | '_' | '@' | ':')
}

/// A pcscd that nobody finds who does not know its socket. It ends when this is dropped, and also
/// when the process is killed.
///
/// It runs in namespaces of its own (mounts, network, processes), as root or as a user who may make
/// user namespaces, so the system's pcscd goes on undisturbed; real readers stay with that one.
#[derive(Debug)]
pub struct PrivatePcscd {
    child: Child,
    // pcscd ends when this is closed.
    _alive: Option<ChildStdin>,
    folder: TempDir,
    socket: PathBuf,
}

/// Why there is no pcscd.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PcscdError {
    /// The reader driver is missing.
    #[error("there is no reader driver at {}; build it with `cargo build --package tapkey-ifd`", path.display())]
    NoDriver {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A name that does not go into pcscd's configuration.
    #[error(
        "{what:?} cannot be written into a pcscd configuration; choose a plain name without quotes and blanks"
    )]
    Unwritable {
        /// The name.
        what: String,
    },
    /// A program is missing.
    #[error("{program} does not start: {source}; on Debian: apt install pcscd util-linux")]
    NoProgram {
        /// Which.
        program: &'static str,
        /// What the operating system says.
        source: io::Error,
    },
    /// Its folder cannot be prepared.
    #[error("the folder for pcscd cannot be prepared: {0}")]
    Folder(#[from] io::Error),
    /// It ended, or did not open its socket in time.
    #[error("pcscd does not run in namespaces of its own: {log}")]
    Failed {
        /// The last lines that it wrote.
        log: String,
    },
}

impl PrivatePcscd {
    /// The environment variable by which programs find it: its value is [`socket`](Self::socket).
    pub const VARIABLE: &'static str = "PCSCLITE_CSOCK_NAME";

    /// Starts it, and waits until it answers. The keys need not be there yet.
    ///
    /// # Errors
    /// [`PcscdError`]; most often this user may not make namespaces, as in containers without
    /// privileges.
    pub fn start(driver: &Path, readers: &[Reader]) -> Result<Self, PcscdError> {
        let driver =
            fs::canonicalize(driver).map_err(|_| PcscdError::NoDriver { path: driver.to_owned() })?;
        let folder = tempfile::Builder::new()
            .prefix("tapkey-pcscd-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()?;
        let socket = prepare(folder.path(), &driver, readers)?;
        let log = File::create(folder.path().join("log"))?;
        let mut child = Command::new("unshare")
            .args(arguments(&driver))
            .arg(folder.path())
            .env("PATH", path())
            .env_remove(Self::VARIABLE)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|source| PcscdError::NoProgram { program: "unshare", source })?;
        let alive = child.stdin.take();
        let mut pcscd = Self { child, _alive: alive, folder, socket };
        pcscd.wait()?;
        Ok(pcscd)
    }

    /// Its socket. Only its owner can reach it.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.folder.path().join("log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    fn wait(&mut self) -> Result<(), PcscdError> {
        let start = Instant::now();
        while UnixStream::connect(&self.socket).is_err() {
            if !self.is_running() || start.elapsed() > PATIENCE {
                let log = self.log();
                let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
                let last = lines.get(lines.len().saturating_sub(4)..).unwrap_or_default().join("; ");
                return Err(PcscdError::Failed {
                    log: if last.is_empty() { "it said nothing".into() } else { last },
                });
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for PrivatePcscd {
    fn drop(&mut self) {
        // It keeps nothing that would have to be saved.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fills the folder, and says where the socket will be.
fn prepare(folder: &Path, driver: &Path, readers: &[Reader]) -> Result<PathBuf, PcscdError> {
    for name in ["conf", "run", "empty"] {
        fs::create_dir(folder.join(name))?;
    }
    // Links, because pcscd's configuration takes few characters and sockets few bytes.
    let library = folder.join("driver.so");
    std::os::unix::fs::symlink(driver, &library)?;
    let mut linked = Vec::new();
    for (number, reader) in readers.iter().enumerate() {
        let link = folder.join(format!("{number}.sock"));
        std::os::unix::fs::symlink(std::path::absolute(&reader.socket)?, &link)?;
        linked.push(Reader::new(reader.name.clone(), link));
    }
    fs::write(folder.join("conf/tapkey"), reader_conf(&library, &linked)?)?;
    Ok(folder.join("run/pcscd.comm"))
}

fn arguments(driver: &Path) -> Vec<String> {
    // Root needs no user namespace to make the others.
    let root = fs::metadata("/proc/self").is_ok_and(|found| std::os::unix::fs::MetadataExt::uid(&found) == 0);
    let user: &[&str] = if root { &[] } else { &["--user", "--map-root-user"] };
    let hide = if driver.starts_with(DRIVERS) { "" } else { DRIVERS };
    let rest = ["--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", SCRIPT, hide];
    user.iter().chain(&rest).map(|&word| word.to_owned()).collect()
}

/// Programs of the system are not on every user's path.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// Where drivers for real readers lie.
const DRIVERS: &str = "/usr/lib/pcsc/drivers";
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// Runs as the first process of the namespaces; `$0` is the folder with drivers for real readers,
/// which are to be left alone, `$1` the folder of this pcscd. Its standard input ends with the
/// process that started it; when that was killed, nobody else removes the folder.
const SCRIPT: &str = r#"
set -eu
[ -d /run/pcscd ] || { mount -t tmpfs tmpfs /run; mkdir /run/pcscd; }
mount --bind "$1/run" /run/pcscd
if [ -n "$0" ] && [ -d "$0" ]; then mount --bind "$1/empty" "$0"; fi
folder=$1
set -- --foreground --config "$folder/conf"
if pcscd --help 2>&1 | grep -q -e --disable-polkit; then set -- "$@" --disable-polkit; fi
exec 3<&0
(cat <&3 >/dev/null; rm -rf -- "$folder"; kill -TERM 1) &
exec pcscd "$@" </dev/null 3<&-
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration() {
        let readers = [
            Reader::new(Reader::name_on_usb("OTP+FIDO+CCID"), "/tmp/key.json.sock"),
            Reader::new(Reader::NFC_NAME, "/home/a b/key.sock"),
        ];
        let text = reader_conf(Path::new("/opt/libtapkey_ifd.so"), &readers).unwrap();
        assert_eq!(
            text,
            "FRIENDLYNAME \"Yubico YubiKey OTP+FIDO+CCID\"\nDEVICENAME unix:/tmp/key.json.sock\n\
             LIBPATH /opt/libtapkey_ifd.so\nCHANNELID 0\n\n\
             FRIENDLYNAME \"ACS ACR122U PICC Interface\"\nDEVICENAME \"unix:/home/a b/key.sock\"\n\
             LIBPATH /opt/libtapkey_ifd.so\nCHANNELID 1\n"
        );
    }

    #[test]
    fn names_that_would_change_the_configuration_are_refused() {
        let driver = Path::new("/opt/libtapkey_ifd.so");
        for reader in
            [Reader::new("a\"\nLIBPATH /x", "/s"), Reader::new("a", "/s\n"), Reader::new("a", "/\"")]
        {
            assert!(matches!(reader_conf(driver, &[reader]), Err(PcscdError::Unwritable { .. })));
        }
        let blank = reader_conf(Path::new("/a b/x.so"), &[]).unwrap_err();
        assert!(blank.to_string().contains("/a b/x.so"), "{blank}");
    }

    #[test]
    fn a_missing_driver_is_named() {
        let error = PrivatePcscd::start(Path::new("/nonexistent/driver.so"), &[]).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/driver.so"), "{error}");
        assert!(error.to_string().contains("tapkey-ifd"), "{error}");
    }
}
