//! The help of every command, as it is committed. `UPDATE=1 cargo test -p tapkey --test help`
//! writes it anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]
#![cfg(all(feature = "device", feature = "emulator", feature = "server"))]

mod support;

use std::{fs, path::PathBuf};

use support::Home;

#[test]
fn every_help_text_is_the_committed_one() {
    let home = Home::new();
    let mut commands = Vec::new();
    walk(&home, &[], &mut commands);
    assert!(commands.len() > 50, "{}", commands.len());
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/help");
    let update = std::env::var_os("UPDATE").is_some();
    if update {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
    }
    let mut expected: Vec<String> = Vec::new();
    for (command, text) in &commands {
        let name = format!("{}.txt", [&["tapkey".to_owned()], command.as_slice()].concat().join("-"));
        let path = folder.join(&name);
        if update {
            fs::write(&path, text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(&committed, text, "{name} differs; run with UPDATE=1 if that is meant");
        expected.push(name);
    }
    let mut present: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    present.sort();
    expected.sort();
    assert_eq!(present, expected, "help texts of commands that are gone");
}

fn walk(home: &Home, command: &[String], found: &mut Vec<(Vec<String>, String)>) {
    let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
    arguments.push("--help");
    let text = home.run(&arguments).exits(0).stdout;
    let below: Vec<String> = text
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect();
    found.push((command.to_vec(), text));
    for name in below {
        walk(home, &[command, &[name]].concat(), found);
    }
}

#[test]
fn completions_and_manual_pages_are_made() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.run(&["completions", shell]).exits(0).stdout;
        assert!(script.contains("tapkey"), "{shell}");
    }
    let page = home.run(&["man"]).exits(0).stdout;
    assert!(page.contains(".TH"));
    let written = home.json(&["man", "pages"]);
    assert_eq!(written["schema"], "man/1");
    assert!(written["files"].as_array().unwrap().len() > 50);
    assert!(home.read("pages/tapkey-otp-yubiotp.1").contains("yubiotp"));
}

#[test]
fn version_and_usage() {
    let home = Home::new();
    assert_eq!(home.run(&["--version"]).exits(0).stdout, format!("tapkey {}\n", env!("CARGO_PKG_VERSION")));
    home.run(&[]).exits(2);
    home.run(&["nonsense"]).exits(2);
    home.run(&["otp", "delete", "3"]).exits(2).says("slots are 1 and 2");
}

/// Every shape that the source prints is described, and every described one is printed.
#[test]
fn every_json_shape_is_documented() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut printed = Vec::new();
    schemas(&root.join("src"), &mut printed);
    printed.sort();
    printed.dedup();
    let page = fs::read_to_string(root.join("../../docs/json.md")).unwrap();
    let mut described: Vec<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect();
    described.sort();
    assert_eq!(printed, described);
}

fn schemas(folder: &std::path::Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            schemas(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let words = text.split('"').filter(|word| word.ends_with("/1") && !word.contains(['{', ' ', ':']));
        found.extend(words.filter(|word| *word != "example/1").map(str::to_owned));
    }
}
