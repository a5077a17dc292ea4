//! The real `tapkey` program, as a process of its own.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::{credential::Credential, parts::root};

/// The program, next to the tests that are running.
///
/// # Errors
/// It was not built; the text says how.
pub fn binary() -> Result<PathBuf> {
    let tests = env::current_exe()?;
    let folder = tests.parent().and_then(Path::parent).context("tests run from target/PROFILE/deps")?;
    let program = folder.join("tapkey");
    ensure!(
        program.exists(),
        "{} is missing: cargo build --package tapkey (in {})",
        program.display(),
        root().display()
    );
    Ok(program)
}

/// A command of the program that finds nothing of the person who runs the tests.
///
/// # Errors
/// See [`binary`].
pub fn command(home: &Path) -> Result<Command> {
    let mut command = crate::parts::command(binary()?);
    let own = env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TAPKEY_"));
    for (name, _) in own.collect::<Vec<_>>() {
        command.env_remove(name);
    }
    command
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_STATE_HOME", home.join("state"))
        .env("XDG_DATA_HOME", home.join("data"))
        .env_remove("XDG_RUNTIME_DIR");
    Ok(command)
}

/// A server process. Killed when dropped.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    // Kept open, so that the server can go on writing.
    _stdout: BufReader<ChildStdout>,
    address: String,
    token: String,
    http: Client,
}

impl Serving {
    /// Starts `tapkey serve` on a free loopback port and waits until it says where.
    ///
    /// # Errors
    /// It did not start.
    pub fn start(data: &Path, arrange: impl FnOnce(&mut Command)) -> Result<Self> {
        let mut command = command(data.parent().context("a folder for the data")?)?;
        command.arg("serve").arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]);
        arrange(&mut command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().context("its output")?);
        let address = loop {
            let mut line = String::new();
            if stdout.read_line(&mut line)? == 0 {
                bail!("tapkey serve ended with {} before it listened", child.wait()?);
            }
            if let Some((_, address)) = line.trim().split_once("listening on ") {
                break address.to_owned();
            }
        };
        let token = fs::read_to_string(data.join("admin-token")).context("the administrator's token")?;
        // Only the first one counts; they are all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?;
        Ok(Self { child, _stdout: stdout, address, token: token.trim().to_owned(), http })
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Pulls the plug.
    ///
    /// # Errors
    /// The process is not there.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Errors
    /// It ended otherwise than well.
    pub fn stop(mut self) -> Result<()> {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        ensure!(asked.success(), "kill -TERM failed");
        let status = self.child.wait()?;
        ensure!(status.success(), "tapkey serve ended with {status}");
        Ok(())
    }

    /// A request of the JSON interface that must succeed.
    ///
    /// # Errors
    /// It did not.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(format!("{}/api/v1/{path}", self.address)).bearer_auth(&self.token);
        let answer = request.json(body).send()?;
        let status = answer.status();
        let text = answer.text()?;
        ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Enrols a key of which nothing exists but its credential. The confirming password is returned
    /// beside it.
    ///
    /// # Errors
    /// The server refused.
    pub fn enrol(&self, account: &str, request_id: &str) -> Result<(Credential, String)> {
        let request = json!({ "request_id": request_id, "account": account, "slot": 1 });
        let secrets = self.post("enrollments", &request)?;
        let text = |name: &str| secrets[name].as_str().with_context(|| format!("{name} in the answer"));
        let credential = Credential::from_texts(text("public_id")?, text("private_id")?, text("aes_key")?)?;
        let otp = credential.otp(1, 0);
        self.post(&format!("enrollments/{}/confirm", text("id")?), &json!({ "otp": otp }))?;
        Ok((credential, otp))
    }

    /// The status that the server answers to a password, without anything else of the answer.
    ///
    /// # Errors
    /// No answer.
    pub fn verify(&self, client: &str, otp: &str) -> Result<String> {
        verify(&self.http, &self.address, client, otp)
    }

    /// A way to ask from other threads, also after the server is gone.
    pub fn asker(&self) -> impl Fn(&str, &str) -> Result<String> + Clone + Send + 'static {
        let (http, address) = (self.http.clone(), self.address.clone());
        move |client, otp| verify(&http, &address, client, otp)
    }
}

fn verify(http: &Client, address: &str, client: &str, otp: &str) -> Result<String> {
    let nonce: String = otp.chars().rev().take(24).collect();
    let text =
        http.get(format!("{address}/wsapi/2.0/verify?id={client}&otp={otp}&nonce={nonce}")).send()?.text()?;
    let status = text.lines().find_map(|line| line.strip_prefix("status="));
    Ok(status.with_context(|| format!("no status in {text:?}"))?.to_owned())
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Nothing to be done where it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
