//! The two commands of the README say what to do where they cannot go on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use tapkey_tests::parts::root;

fn program(folder: &Path, name: &str, says: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn run(script: &str, path: &str) -> Output {
    Command::new(root().join("scripts").join(script)).env("PATH", path).output().unwrap()
}

#[test]
fn an_old_rust_is_named_and_nothing_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path(), "rustc", "rustc 1.63.0 (4b91a6ea7 2022-08-08)");
    program(folder.path(), "cargo", "");
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    for script in ["demo", "test", "check", "bench"] {
        let output = run(script, &path);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{script}: {text}");
        assert!(text.contains("1.63.0") && text.contains("rustup toolchain install"), "{script}: {text}");
    }
}

#[test]
fn without_apt_the_packages_are_named() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path(), "rustc", "rustc 1.95.0 (59807616e 2026-04-14)");
    for name in ["cargo", "cc"] {
        program(folder.path(), name, "");
    }
    for name in ["bash", "env", "dirname", "sed", "sort", "head", "cut", "printf"] {
        let found = ["/usr/bin", "/bin"].map(|place| Path::new(place).join(name));
        let found = found.iter().find(|path| path.exists()).unwrap();
        std::os::unix::fs::symlink(found, folder.path().join(name)).unwrap();
    }
    let output = run("demo", folder.path().to_str().unwrap());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no apt") && text.contains("libpcsclite-dev"), "{text}");
}
