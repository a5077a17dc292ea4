//! Running a test, and the programs it starts, where nobody else can connect.

use std::{
    env,
    ffi::OsString,
    process::{Command, Output},
};

use anyhow::{Context, Result};

use crate::parts::part;

/// Set inside a namespace.
const MARK: &str = "TAPKEY_TESTS_INSIDE_NAMESPACE";

/// Runs the body of a test in namespaces of its own for network and processes: loopback is up,
/// nothing else is reachable, and whatever was started there dies with it, daemons included.
///
/// Works by running this test binary again inside, with only this test chosen; `name` is the
/// test's full name.
///
/// # Errors
/// No namespace can be made, or the body failed inside; the text holds what it wrote.
pub fn isolated(name: &str, body: impl FnOnce() -> Result<()>) -> Result<()> {
    if env::var_os(MARK).is_some() {
        return body();
    }
    let output = enter(name)?;
    let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
    anyhow::ensure!(
        ran && output.status.success(),
        "{name} failed in its namespace ({}; without root this needs user namespaces, see \
         /proc/sys/kernel/unprivileged_userns_clone):\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn enter(name: &str) -> Result<Output> {
    part("ip")?;
    let root = Command::new("id").arg("-u").output().context("running id")?.stdout.starts_with(b"0\n");
    let mut arguments: Vec<OsString> = vec![];
    if !root {
        arguments.extend(["--user".into(), "--map-root-user".into()]);
    }
    // Both: a daemon that detached from its parent dies with the process namespace.
    arguments.extend(["--net", "--pid", "--fork", "--kill-child"].map(OsString::from));
    arguments.extend(["sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""].map(OsString::from));
    arguments.push(env::current_exe()?.into());
    arguments.extend(["--exact", name, "--nocapture", "--test-threads=1"].map(OsString::from));
    Command::new(part("unshare")?).args(arguments).env(MARK, "1").output().context("running unshare")
}
