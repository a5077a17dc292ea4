//! Third-party programs that tests need: where they are, or how to get them.
//!
//! `tests/parts.toml` lists them. A test that needs one and does not find it fails and says which
//! package to install; it never skips itself.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// What `tests/parts.toml` says of one part.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The name by which tests ask for it.
    pub name: String,
    /// What it is.
    pub about: String,
    /// The version it was last run with.
    pub version: String,
    /// Debian packages that bring it.
    #[serde(default)]
    pub apt: Vec<String>,
    /// The Python requirement that brings it.
    pub pip: Option<String>,
    /// The crate that is it.
    pub cargo: Option<String>,
    /// A command that succeeds where it is installed, the program first.
    #[serde(default)]
    pub present: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    part: Vec<Part>,
}

/// The folder of the workspace.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Every part.
///
/// # Errors
/// `tests/parts.toml` cannot be read.
pub fn parts() -> Result<Vec<Part>> {
    let path = root().join("tests/parts.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let parts: Parts = toml::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
    Ok(parts.part)
}

/// The program of a part; for parts of Python the interpreter that can import them.
///
/// # Errors
/// It is not installed; the text says how to install it.
pub fn part(name: &str) -> Result<PathBuf> {
    let parts = parts()?;
    let part = parts.iter().find(|part| part.name == name);
    part.with_context(|| format!("tests/parts.toml knows no part {name}"))?.program()
}

impl Part {
    /// The program, after running the command that proves it is there.
    ///
    /// # Errors
    /// It is not installed; the text says how to install it.
    pub fn program(&self) -> Result<PathBuf> {
        let Some((program, arguments)) = self.present.split_first() else {
            bail!("{} is no program", self.name);
        };
        let program = match self.pip {
            Some(_) => python()?,
            None => PathBuf::from(program),
        };
        let run = Command::new(&program).args(arguments).stdin(Stdio::null()).output();
        match run {
            Ok(output) if output.status.success() => Ok(program),
            Ok(output) => bail!("{} answers {}; {}", self.name, output.status, self.how_to_install()),
            Err(error) => bail!("{} does not start ({error}); {}", self.name, self.how_to_install()),
        }
    }

    /// What to do where it is missing.
    #[must_use]
    pub fn how_to_install(&self) -> String {
        let Self { name, about, apt, pip, .. } = self;
        match pip {
            Some(requirement) => {
                format!("{name} ({about}) is missing: run scripts/venv, which installs {requirement}")
            }
            None => {
                format!("{name} ({about}) is missing: run scripts/test, or apt-get install {}", apt.join(" "))
            }
        }
    }
}

/// The interpreter of the environment that `scripts/venv` makes. Made where it is missing.
fn python() -> Result<PathBuf> {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |path| root().join(path));
    let python = target.join("third-party/venv/bin/python");
    std::fs::create_dir_all(target.join("third-party"))?;
    // Costs nothing where the environment is up to date. One at a time: tests run in parallel.
    let output = Command::new("flock")
        .arg(target.join("third-party/venv.lock"))
        .arg(root().join("scripts/venv"))
        .current_dir(root())
        .output()
        .context("running scripts/venv")?;
    if !output.status.success() {
        bail!("scripts/venv failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(python)
}

/// A command for a program that must not ask a proxy for servers on this machine.
#[must_use]
pub fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.stdin(Stdio::null());
    command
}
