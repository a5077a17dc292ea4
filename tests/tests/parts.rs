//! The list of third-party parts agrees with what is installed, and with what installs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;

use tapkey_tests::parts::{part, parts, root};

#[test]
fn every_program_is_there() {
    for part in parts().unwrap().iter().filter(|part| !part.present.is_empty()) {
        part.program().unwrap();
    }
}

#[test]
fn everything_listed_is_installed_by_the_scripts() {
    let script = fs::read_to_string(root().join("scripts/test")).unwrap();
    let requirements = fs::read_to_string(root().join("tests/requirements.txt")).unwrap();
    let next_ykman = fs::read_to_string(root().join("scripts/ykman6")).unwrap();
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for part in parts().unwrap() {
        for package in &part.apt {
            assert!(
                script.split_whitespace().any(|word| word == package),
                "scripts/test does not install {package}"
            );
        }
        if let Some(requirement) = &part.pip {
            assert!(requirements.lines().any(|line| line == requirement), "{requirement}");
        }
        if let Some(name) = &part.cargo {
            // Linked into the tests, or built as a program of its own.
            let linked = lock.contains(&format!("name = \"{name}\"\nversion = \"{}", part.version));
            let built =
                next_ykman.contains(name) && next_ykman.contains(&format!("version={}\n", part.version));
            assert!(linked || built, "{name}");
        }
        assert!(
            !(part.apt.is_empty() && part.pip.is_none() && part.cargo.is_none()),
            "{} comes from nowhere",
            part.name
        );
    }
}

#[test]
fn an_unknown_part_is_an_error_that_says_so() {
    assert!(part("nonesuch").unwrap_err().to_string().contains("nonesuch"));
}
