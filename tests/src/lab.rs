//! The lab: a virtual machine with a kernel, a disk and a power switch of its own; see `docs/lab.md`.
//!
//! A test boots it and runs a program inside, mostly itself again: what the machine shall do stands
//! in the same function, behind [`step`]. The host's files are where they are on the host, but
//! writable in one folder alone, where guest and host see each other's writes at once.
// What the checks inside found is shown as any test's output is.
#![allow(clippy::print_stderr)]

use std::{
    env,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::parts::{part, root};

/// Which part of a test runs inside.
const STEP: &str = "TAPKEY_LAB_STEP";

/// Longer than anything takes on a slow machine; a guest that hangs is given up then.
const PATIENCE: Duration = Duration::from_secs(300);

/// Inside the machine: which of its parts the test shall run. `None` on the host.
#[must_use]
pub fn step() -> Option<String> {
    env::var(STEP).ok()
}

/// Inside the machine: the folder that the host sees too.
///
/// # Errors
/// This is the host.
pub fn folder() -> Result<PathBuf> {
    Ok(env::var_os("LAB_FOLDER").context("only inside the lab")?.into())
}

/// The right to boot machines, one at a time, for one test.
#[derive(Debug)]
pub struct Lab {
    test: String,
    folder: PathBuf,
    disks: usize,
    // Held by the file being open.
    _turn: File,
}

impl Lab {
    /// Waits for its turn. `test` is the full name of the calling test.
    ///
    /// # Errors
    /// A program is missing, or there is no room.
    pub fn new(test: &str) -> Result<Self> {
        part("qemu-system-x86_64")?;
        let lab =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |path| root().join(path));
        let lab = lab.join("lab");
        let folder = lab.join("tests").join(test.replace(':', "_"));
        fs::create_dir_all(&folder)?;
        // Two machines would take the processors from each other, and their tests measure time.
        let turn = OpenOptions::new().create(true).append(true).open(lab.join("turn"))?;
        turn.lock()?;
        fs::remove_dir_all(&folder)?;
        fs::create_dir_all(&folder)?;
        Ok(Self { test: test.to_owned(), folder, disks: 0, _turn: turn })
    }

    /// The machine gets empty disks, at `/disk` and `/disk2`, which keep what was written from boot
    /// to boot. Two at most.
    #[must_use]
    pub const fn with_disks(mut self, count: usize) -> Self {
        self.disks = count;
        self
    }

    /// The folder that the guest sees too. Kept after the test, for whoever looks for a reason.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The lines of a file of the folder; none where there is none.
    #[must_use]
    pub fn lines(&self, name: &str) -> Vec<String> {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Boots the machine, which runs this test again with [`step`] telling `step`.
    ///
    /// # Errors
    /// The emulator does not start.
    pub fn boot(&self, step: &str, options: &[&str]) -> Result<Machine> {
        let mut program: Vec<OsString> = vec![env::current_exe()?.into()];
        program.extend(
            ["--exact", &self.test, "--nocapture", "--include-ignored", "--test-threads=1"]
                .map(OsString::from),
        );
        let environment = format!("{STEP}={step}");
        let mut options = options.to_vec();
        options.extend(["--env", &environment]);
        let mut machine = self.start(&options, &program)?;
        machine.test = true;
        Ok(machine)
    }

    /// Boots the machine and runs a program in it. `options` are those of `scripts/lab boot`.
    ///
    /// # Errors
    /// The emulator does not start.
    pub fn start(&self, options: &[&str], program: &[impl AsRef<std::ffi::OsStr>]) -> Result<Machine> {
        let mut command = Command::new(root().join("scripts/lab"));
        command.current_dir(root()).arg("boot").arg(&self.folder).args(options);
        for disk in 1..=self.disks {
            command.arg("--disk").arg(self.folder.join(format!("disk{disk}")));
        }
        command.arg("--").args(program);
        // The script becomes the emulator, so that the child that is killed is the machine.
        let log = File::create(self.folder.join("emulator"))?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        Ok(Machine { child, folder: self.folder.clone(), begun: Instant::now(), test: false })
    }
}

/// A machine that is running. Killed when dropped.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    folder: PathBuf,
    begun: Instant,
    test: bool,
}

impl Machine {
    /// Waits until the program inside is done, and passes on what it wrote.
    ///
    /// # Errors
    /// It failed, or the machine did; the text says all that is known.
    pub fn finish(mut self) -> Result<String> {
        while self.child.try_wait()?.is_none() {
            ensure!(self.begun.elapsed() < PATIENCE, "the guest does not end\n{}", self.told());
            thread::sleep(Duration::from_millis(50));
        }
        let code = fs::read_to_string(self.folder.join("exit")).unwrap_or_default();
        ensure!(!code.is_empty(), "the guest ended without an exit code\n{}", self.told());
        ensure!(code.trim() == "0", "inside the lab: exit code {}\n{}", code.trim(), self.told());
        let text = self.text("stdout");
        ensure!(!self.test || text.contains("1 passed"), "no test ran inside\n{}", self.told());
        // Names and times of the checks, where the runner shows what a test wrote.
        eprint!("{}", self.text("stderr"));
        Ok(text)
    }

    /// What stands in a file of the folder so far.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        fs::read(self.folder.join(name))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Waits until a file of the folder has so many lines.
    ///
    /// # Errors
    /// The machine ended before, or takes too long.
    pub fn wait_for_lines(&mut self, name: &str, lines: usize) -> Result<()> {
        loop {
            let found = self.text(name).lines().count();
            if found >= lines {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() {
                bail!("the guest ended with {found} of {lines} lines in {name}\n{}", self.told());
            }
            ensure!(
                self.begun.elapsed() < PATIENCE,
                "the guest hangs with {found} of {lines} lines in {name}\n{}",
                self.told()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Pulls the plug: what the guest had only in memory is gone.
    ///
    /// # Errors
    /// It had ended already.
    pub fn cut_power(mut self) -> Result<()> {
        ensure!(self.child.try_wait()?.is_none(), "the machine was off already\n{}", self.told());
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Everything a failure needs.
    fn told(&self) -> String {
        let console = self.text("console").replace('\r', "");
        let lines: Vec<&str> = console.lines().collect();
        let end = lines.get(lines.len().saturating_sub(60)..).unwrap_or_default().join("\n");
        let panicked = if console.contains("Kernel panic") { "The guest's kernel panicked.\n" } else { "" };
        format!(
            "{panicked}--- its output\n{}--- its errors\n{}--- its console ({})\n{end}\n--- the emulator\n{}",
            self.text("stdout"),
            self.text("stderr"),
            self.folder.join("console").display(),
            self.text("emulator"),
        )
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Nothing to be done where it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Inside the machine: lines that the host has seen once they are written.
#[derive(Debug)]
pub struct Record(File);

impl Record {
    /// A file of the folder, continued where it exists.
    ///
    /// # Errors
    /// This is the host.
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self(OpenOptions::new().create(true).append(true).open(folder()?.join(name))?))
    }

    /// Adds a line.
    ///
    /// # Errors
    /// The host has no room.
    pub fn line(&mut self, line: &str) -> Result<()> {
        Ok(self.0.write_all(format!("{line}\n").as_bytes())?)
    }
}

/// Several checks in one boot: all run, all are reported.
#[derive(Debug, Default)]
pub struct Checks {
    failed: Vec<String>,
}

impl Checks {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { failed: vec![] }
    }

    /// Runs one, and says on standard error how it went and how long it took.
    pub fn check(&mut self, name: &str, body: impl FnOnce() -> Result<()>) {
        let begun = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            Err(anyhow!(text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panic").to_owned()))
        });
        let seconds = begun.elapsed().as_secs_f64();
        match result {
            Ok(()) => eprintln!("ok      {seconds:6.2} s  {name}"),
            Err(error) => {
                eprintln!("FAILED  {seconds:6.2} s  {name}: {error:#}");
                self.failed.push(name.to_owned());
            }
        }
    }

    /// Whether all went well.
    ///
    /// # Errors
    /// Names those that did not.
    pub fn finish(self) -> Result<()> {
        ensure!(self.failed.is_empty(), "failed: {}", self.failed.join(", "));
        Ok(())
    }
}
