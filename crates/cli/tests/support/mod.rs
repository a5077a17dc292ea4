//! Runs the real binary with nothing of the person's own settings.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// The binary under test.
pub const TAPKEY: &str = env!("CARGO_BIN_EXE_tapkey");

/// A person's machine: a folder for everything.
pub struct Home {
    folder: TempDir,
}

/// What a command did.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Home {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(TAPKEY);
        self.tame(&mut command);
        command.args(arguments);
        command
    }

    /// Takes everything of the outside world from a command.
    pub fn tame(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
    }

    pub fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments).output().unwrap())
    }

    pub fn run_with(&self, arguments: &[&str], input: &str) -> Outcome {
        feed(self.command(arguments), input)
    }

    /// A command that must succeed, with its JSON document.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let outcome = self.run(&[&["--json"], arguments].concat());
        assert_eq!(outcome.code, 0, "{arguments:?}: {outcome:?}");
        outcome.json()
    }

    /// A command in a terminal of its own, in which `input` is typed piece by piece: each piece
    /// when the text before it has appeared.
    pub fn terminal(&self, arguments: &[&str], script: &[(&str, &str)]) -> Outcome {
        let line: Vec<String> = [TAPKEY]
            .iter()
            .chain(arguments)
            .map(|word| format!("'{}'", word.replace('\'', "'\\''")))
            .collect();
        let mut command = Command::new("script");
        self.tame(&mut command);
        command.env("TERM", "xterm").args(["-qefc", &line.join(" "), "/dev/null"]);
        converse(command, script)
    }
}

impl Outcome {
    pub fn of(output: Output) -> Self {
        Self {
            code: code(output.status),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Fails unless the exit code is this one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Fails unless standard error says this.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in {self:?}");
        self
    }

    /// Fails unless standard output stayed empty.
    #[track_caller]
    pub fn prints_nothing(self) -> Self {
        assert_eq!(self.stdout, "", "{self:?}");
        self
    }

    /// Everything that was written, for looking for secrets.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

pub fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
}

pub fn feed(mut command: Command, input: &str) -> Outcome {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that fails before it reads closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Outcome::of(child.wait_with_output().unwrap())
}

fn converse(mut command: Command, script: &[(&str, &str)]) -> Outcome {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(count) = stdout.read(&mut buffer) {
            if count == 0 || send.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    let mut seen = String::new();
    let mut from = 0;
    for (prompt, answer) in script {
        let start = Instant::now();
        while !seen[from..].contains(prompt) {
            assert!(start.elapsed() < PATIENCE, "{prompt:?} did not appear in {seen:?}");
            if let Ok(bytes) = receive.recv_timeout(Duration::from_millis(100)) {
                seen.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        from += seen[from..].find(prompt).unwrap() + prompt.len();
        // The prompt stands a moment before the echo is switched off and the answer is awaited.
        thread::sleep(Duration::from_millis(150));
        stdin.write_all(answer.as_bytes()).unwrap();
    }
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < PATIENCE, "still running after {seen:?}");
        thread::sleep(Duration::from_millis(20));
    };
    drop(stdin);
    while let Ok(bytes) = receive.recv_timeout(Duration::from_millis(200)) {
        seen.push_str(&String::from_utf8_lossy(&bytes));
    }
    Outcome { code: code(status), stdout: seen, stderr: String::new() }
}

/// A command that keeps running; killed when it goes out of scope.
pub struct Running {
    pub child: Child,
    pub ready: Value,
}

impl Running {
    /// Starts it and reads the document that it prints when it is ready.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            panic!("{:?}", Outcome::of(child.wait_with_output().unwrap()));
        }
        let ready = serde_json::from_str(&line).unwrap();
        Self { child, ready }
    }

    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> i32 {
        code(self.child.wait().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server on a free port with an administrator's token, taking software keys.
pub struct TestServer {
    pub running: Running,
    pub url: String,
    pub token_file: String,
}

impl TestServer {
    pub fn start(home: &Home) -> Self {
        home.write("server.toml", "[policy]\naccept_emulated = true\n");
        let running = Running::start(home.command(&[
            "--json",
            "serve",
            "--data",
            "server-data",
            "--config",
            "server.toml",
            "--listen",
            "127.0.0.1:0",
        ]));
        let url = running.ready["url"].as_str().unwrap().to_owned();
        let token_file = match running.ready["admin_token_file"].as_str() {
            Some(file) => {
                std::fs::write(home.path("token-file-name"), file).unwrap();
                file.to_owned()
            }
            None => home.read("token-file-name"),
        };
        Self { running, url, token_file }
    }

    /// The options that choose this server.
    pub fn options(&self) -> [&str; 4] {
        ["--server", &self.url, "--token-file", &self.token_file]
    }
}

pub const PATIENCE: Duration = Duration::from_secs(30);
