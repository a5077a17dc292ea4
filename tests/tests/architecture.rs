//! The house keeps its shape: who may depend on whom, and what is stated once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::Value;

/// Every crate with all it may depend on, features and optional dependencies included.
const MAY_DEPEND_ON: [(&str, &[&str]); 12] = [
    ("tapkey-protocol", &[]),
    ("tapkey-driver", &["tapkey-protocol"]),
    ("tapkey-emulator", &["tapkey-protocol"]),
    ("tapkey-ifd", &["tapkey-protocol", "tapkey-emulator"]),
    ("tapkey-api", &[]),
    ("tapkey-client", &["tapkey-protocol", "tapkey-api"]),
    ("tapkey-domain", &["tapkey-protocol"]),
    ("tapkey-workflow", &["tapkey-protocol", "tapkey-driver", "tapkey-client", "tapkey-api"]),
    ("tapkey-server", &["tapkey-protocol", "tapkey-domain", "tapkey-client", "tapkey-api"]),
    (
        "tapkey",
        &[
            "tapkey-protocol",
            "tapkey-driver",
            "tapkey-emulator",
            "tapkey-client",
            "tapkey-api",
            "tapkey-domain",
            "tapkey-workflow",
            "tapkey-server",
        ],
    ),
    ("tapkey-tests", &["tapkey-protocol", "tapkey-emulator", "tapkey-api", "tapkey-client", "tapkey-server"]),
    ("tapkey-examples", &[]),
];

/// What only one crate may link.
const BELONGS_TO: [(&str, &str); 6] = [
    ("hidapi", "tapkey-driver"),
    ("pcsc", "tapkey-driver"),
    ("rusqlite", "tapkey-server"),
    ("tokio-postgres", "tapkey-server"),
    ("axum", "tapkey-server"),
    ("clap", "tapkey"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// (crate, dependency, kind) for every direct dependency of a crate of ours.
fn dependencies() -> Vec<(String, String, Option<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let of = |package: &Value| {
        let name = text(&package["name"]);
        let dependencies = package["dependencies"].as_array().unwrap().clone();
        dependencies
            .into_iter()
            .map(move |found| (name.clone(), text(&found["name"]), found["kind"].as_str().map(str::to_owned)))
    };
    packages.iter().flat_map(of).collect()
}

#[test]
fn dependencies_point_down_only() {
    let known: BTreeSet<_> = MAY_DEPEND_ON.iter().map(|(name, _)| *name).collect();
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let found: BTreeSet<_> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    assert_eq!(found, known, "every crate needs a place in the picture");
    for (name, dependency, kind) in dependencies() {
        if kind.as_deref() == Some("dev") || !known.contains(dependency.as_str()) {
            continue;
        }
        let (_, allowed) = MAY_DEPEND_ON.iter().find(|(candidate, _)| *candidate == name).unwrap();
        assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
    }
}

#[test]
fn outside_libraries_stay_in_their_room() {
    for (name, dependency, kind) in dependencies() {
        let owner = BELONGS_TO.iter().find(|(library, _)| *library == dependency);
        if let Some((library, owner)) = owner
            && kind.as_deref() != Some("dev")
        {
            assert_eq!(name, *owner, "{library} belongs to {owner}");
        }
    }
}

/// Only the crate that pcscd loads may hold unsafe code, and there only one module.
#[test]
fn unsafe_code_is_confined() {
    for folder in ["crates", "tests", "examples"] {
        let output = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard", &format!("{folder}/**/*.rs")])
            .current_dir(root())
            .output()
            .unwrap();
        for file in String::from_utf8(output.stdout).unwrap().lines() {
            let text = fs::read_to_string(root().join(file)).unwrap_or_default();
            let allowed = file.starts_with("crates/ifd/src/entry");
            assert!(allowed || !text.contains(concat!("unsafe", " {")), "{file} holds unsafe code");
        }
    }
    for package in metadata()["packages"].as_array().unwrap() {
        let manifest = fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
        let own = package["name"] == "tapkey-ifd";
        assert_eq!(manifest.contains("[lints]\nworkspace = true"), !own, "{}", package["name"]);
    }
}

#[test]
fn one_tls_provider_and_no_system_crypto_in_the_build() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for package in ["aws-lc-sys", "aws-lc-rs", "openssl-sys", "native-tls"] {
        assert!(!lock.contains(&format!("name = \"{package}\"\n")), "{package} slipped into the build");
    }
}

#[test]
fn the_minimum_rust_version_is_the_same_everywhere() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let stated =
        manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(
        readme.contains(&format!("Rust {stated} or newer")),
        "README does not say Rust {stated} or newer"
    );
    for file in ["tests/yubikit/Cargo.toml", "fuzz/Cargo.toml"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert!(!text.contains("rust-version"), "{file} states the version again");
    }
}

#[test]
fn links_in_the_documentation_lead_somewhere() {
    let mut pages: Vec<_> =
        fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.extend(
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(|name| root().join(name)),
    );
    for page in pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            assert!(page.parent().unwrap().join(file).exists(), "{} links to {target}", page.display());
        }
    }
}

/// The scripts are what the README promises, so they must be there, run, and stop on the first error.
#[test]
fn scripts_are_strict() {
    for entry in fs::read_dir(root().join("scripts")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some() {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\nset -eu"), "{} is not strict", path.display());
    }
}
