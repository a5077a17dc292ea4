//! `tapkey demo`: the main job for a newcomer. Every step runs this same program as anybody could,
//! in a process of its own, and is checked; the first that differs ends the demonstration.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use clap::Args as ClapArgs;
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::Context;
use crate::{exit::Failure, interrupt, output};

/// Options of `tapkey demo`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "Needs no key, no network and no rights. Everything happens in a temporary folder, which is removed \
at the end. Exits with 0 only if every step came out as it should. With -v every command is shown."
)]
pub(crate) struct Args {}

/// Runs the steps, tells each, and cleans up whatever happens.
pub(crate) fn run(_args: &Args, context: &Context) -> Result<(), Failure> {
    let folder = tempfile::Builder::new()
        .prefix("tapkey-demo-")
        .tempdir()
        .map_err(|error| Failure::failed(format!("cannot make a temporary folder: {error}")))?;
    let stage = Stage::new(folder.path(), context)?;
    clean_up_on_interrupt(&stage, folder.path());
    let played = play(&stage);
    if played.is_err() {
        // Ctrl-C reaches the steps' processes too, and may be felt there first.
        std::thread::sleep(Duration::from_millis(100));
        interrupt::settle();
    }
    let stopped = stage.stop_server();
    let outcome = match (&played, &stopped) {
        (Ok(()), Ok(())) => {
            stage.tell("The server was asked to end, finished what it had begun, and closed its database.")
        }
        _ => played,
    };
    let removed = folder
        .close()
        .map_err(|error| Failure::failed(format!("cannot remove the temporary folder: {error}")));
    outcome.and(stopped).and(removed)?;
    let steps = stage.told();
    context.printer.result("demo/1", &Played { steps }, |played| {
        let count = played.steps.len();
        output::good(&format!("All {count} steps came out as they should. The temporary folder is gone."))
    })
}

#[derive(Serialize)]
struct Played {
    steps: Vec<String>,
}

/// The steps, each in a sentence.
fn play(stage: &Stage<'_>) -> Result<(), Failure> {
    let server = stage.start_server()?;
    stage.tell(format!("A Tapkey server listens on {server}, with an SQLite database on disk."))?;

    let client = stage.json(&["admin", "clients", "create", "--label", "demo"], &[], 0)?;
    let id = text(&client, "/id")?;
    let api_key = Zeroizing::new(text(&client, "/api_key")?);
    stage.tell(format!(
        "The administrator registered an application as client {id} and gave it an API key."
    ))?;

    let account = stage.json(&["admin", "accounts", "create", "alice"], &[], 0)?;
    same(&text(&account, "/name")?, "alice", "the account's name")?;
    stage.tell("The administrator created the account alice.")?;

    let key = stage.json(&["info"], &[], 0)?;
    let serial = text(&key, "/serial")?;
    same(&text(&key, "/software")?, "true", "whether the key is made of software")?;
    let slots = stage.json(&["otp", "info"], &[], 0)?;
    for slot in ["/slots/0/programmed", "/slots/1/programmed"] {
        same(&text(&slots, slot)?, "false", "whether a new key's slot is programmed")?;
    }
    stage.tell(format!(
        "A software key was plugged in: firmware {}, serial number {serial}, both slots empty.",
        text(&key, "/version")?
    ))?;

    let enrolled = stage.json(
        &["enroll", "--account", "alice", "--slot", "2", "--label", "demo key", "--yes"],
        &[],
        0,
    )?;
    let public_id = text(&enrolled, "/public_id")?;
    same(&text(&enrolled, "/account")?, "alice", "the account that owns the key")?;
    same(&text(&enrolled, "/enabled")?, "true", "whether the key is active")?;
    same(&text(&enrolled, "/serial")?, &serial, "the serial number that the server knows")?;
    stage.tell(format!(
        "The key was enrolled over HTTP: the server drew a credential, slot 2 took it, a touch proved it; its public id is {public_id}."
    ))?;

    let otp = press(stage, &public_id)?;
    stage.tell(format!("The key was touched and typed {otp}."))?;

    same(&ask(stage, &id, &api_key, &otp, 0)?, "OK", "the verdict on a fresh password")?;
    stage.tell("The application asked the server about it, and the signed answer was OK.")?;

    same(&ask(stage, &id, &api_key, &otp, 5)?, "REPLAYED_OTP", "the verdict on a used password")?;
    stage.tell("A thief tried the same password again, and the answer was REPLAYED_OTP.")?;

    let next = press(stage, &public_id)?;
    same(&ask(stage, &id, &api_key, &next, 0)?, "OK", "the verdict on the next password")?;
    stage.tell("The next touch typed another password, and that was OK again.")
}

/// Touches the key and checks that it typed a password of the credential.
fn press(stage: &Stage<'_>, public_id: &str) -> Result<String, Failure> {
    let typed = text(&stage.json(&["emulate", "press", "--slot", "2"], &[], 0)?, "/typed")?;
    let otp = typed.trim_end();
    if otp.len() == 32 + public_id.len() && otp.starts_with(public_id) {
        return Ok(otp.to_owned());
    }
    Err(differs("what the key typed", otp, &format!("44 letters that begin with {public_id}")))
}

fn ask(stage: &Stage<'_>, id: &str, api_key: &str, otp: &str, exit: i32) -> Result<String, Failure> {
    let secret = [("TAPKEY_API_KEY", api_key)];
    text(&stage.json(&["verify", "--client-id", id, otp], &secret, exit)?, "/status")
}

/// Where the demonstration takes place.
struct Stage<'a> {
    context: &'a Context,
    program: PathBuf,
    folder: PathBuf,
    server: Arc<Mutex<Option<Child>>>,
    address: Mutex<Option<String>>,
    told: Mutex<Vec<String>>,
}

impl<'a> Stage<'a> {
    fn new(folder: &Path, context: &'a Context) -> Result<Self, Failure> {
        let program = std::env::current_exe()
            .map_err(|error| Failure::failed(format!("cannot find this program's own file: {error}")))?;
        Ok(Self {
            context,
            program,
            folder: folder.to_owned(),
            server: Arc::default(),
            address: Mutex::default(),
            told: Mutex::default(),
        })
    }

    fn tell(&self, sentence: impl Into<String>) -> Result<(), Failure> {
        let sentence = sentence.into();
        let mut told = lock(&self.told);
        told.push(sentence.clone());
        if self.context.printer.is_json() {
            return Ok(());
        }
        let line = format!("{}  {sentence}\n", output::good(&format!("{:2}.", told.len())));
        let mut out = anstream::stdout().lock();
        out.write_all(line.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    fn told(&self) -> Vec<String> {
        lock(&self.told).clone()
    }

    /// This program with nothing of the person's own settings.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let ours = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TAPKEY_"));
        for (name, _) in ours {
            command.env_remove(name);
        }
        command
            .arg("--json")
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.folder.join("config"))
            .env("XDG_STATE_HOME", self.folder.join("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a step to its end and reads the document it printed.
    fn json(&self, arguments: &[&str], secrets: &[(&str, &str)], exit: i32) -> Result<Value, Failure> {
        self.context.printer.detail(format!("    $ tapkey {}", arguments.join(" ")));
        let address = lock(&self.address).clone().unwrap_or_default();
        let emulated = format!("--emulated={}", self.folder.join("key.json").display());
        let mut command = self.command(&["--server", &address, &emulated]);
        command.args(arguments).envs(secrets.iter().copied());
        command.env("TAPKEY_TOKEN_FILE", self.folder.join("admin-token"));
        let output = command
            .output()
            .map_err(|error| Failure::failed(format!("cannot run this program again: {error}")))?;
        let name =
            arguments.iter().take_while(|word| !word.starts_with('-')).copied().collect::<Vec<_>>().join(" ");
        if output.status.code() != Some(exit) {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(differs(
                &format!("the outcome of `tapkey {name}`"),
                &format!("{} ({})", outcome(output.status), said.trim()),
                &format!("exit code {exit}"),
            ));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| Failure::failed(format!("`tapkey {name}` printed no JSON document: {error}")))
    }

    /// Starts the server and waits until it says where it listens.
    fn start_server(&self) -> Result<String, Failure> {
        let data = self.folder.join("server").display().to_string();
        let config = self.folder.join("server.toml");
        std::fs::write(&config, SERVER_CONFIG)
            .map_err(|error| Failure::failed(format!("cannot write {}: {error}", config.display())))?;
        let config = config.display().to_string();
        let arguments = ["--quiet", "serve", "--data", &data, "--config", &config, "--listen", "127.0.0.1:0"];
        self.context.printer.detail(format!("    $ tapkey {}", arguments.join(" ")));
        let mut child = self
            .command(&arguments)
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| Failure::failed(format!("cannot run this program again: {error}")))?;
        let stdout = child.stdout.take();
        *lock(&self.server) = Some(child);
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout)
                .read_line(&mut line)
                .map_err(|error| Failure::failed(format!("cannot read what the server says: {error}")))?;
        }
        let ready: Value = serde_json::from_str(&line)
            .map_err(|_| Failure::failed("the server did not start; what it said stands above"))?;
        let url = text(&ready, "/url")?;
        let token = text(&ready, "/admin_token_file")?;
        std::fs::rename(&token, self.folder.join("admin-token")).map_err(|error| {
            Failure::failed(format!("cannot take the administrator's token from {token}: {error}"))
        })?;
        *lock(&self.address) = Some(url.clone());
        Ok(url)
    }

    /// Asks the server to end, as an administrator would, and checks that it ends well.
    fn stop_server(&self) -> Result<(), Failure> {
        let Some(mut child) = lock(&self.server).take() else { return Ok(()) };
        ask_to_end(&child);
        let patience = Instant::now() + Duration::from_secs(10);
        while Instant::now() < patience {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => {
                    return Err(differs("how the server ended", &outcome(status), "exit code 0"));
                }
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(differs("how the server ended", "not at all", "within ten seconds"))
    }
}

/// Ctrl-C goes to the whole process group, so the server ends by itself; the folder does not.
fn clean_up_on_interrupt(stage: &Stage<'_>, folder: &Path) {
    let server = Arc::clone(&stage.server);
    let folder = folder.to_owned();
    interrupt::farewell("the demonstration was cut short; its temporary folder is gone");
    interrupt::on_exit(move || {
        if let Some(mut child) = lock(&server).take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(folder);
    });
}

fn text(document: &Value, pointer: &str) -> Result<String, Failure> {
    match document.pointer(pointer) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value) if !value.is_null() => Ok(value.to_string()),
        _ => Err(Failure::failed(format!("a step's document has no {pointer}"))),
    }
}

fn same(found: &str, expected: &str, what: &str) -> Result<(), Failure> {
    if found == expected { Ok(()) } else { Err(differs(what, found, expected)) }
}

fn differs(what: &str, found: &str, expected: &str) -> Failure {
    Failure::failed(format!("{what} should be {expected}, but was {found}"))
}

fn outcome(status: ExitStatus) -> String {
    status.code().map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn ask_to_end(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

#[cfg(not(unix))]
fn ask_to_end(_child: &Child) {}

/// Software keys are refused unless the server is told to take them.
const SERVER_CONFIG: &str = "[policy]\naccept_emulated = true\n";
