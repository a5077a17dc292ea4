//! The table of features says where each is shown: the files and the tests it names exist, and no
//! cell is empty.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

/// Sections in which every feature has to be shown by a test.
const SHOWN: [&str; 6] = ["Device", "Management", "OTP", "OATH", "PIV", "Conventions"];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// The rows of the page, each with the title of its section.
fn rows(page: &str) -> Vec<(&str, Vec<&str>)> {
    let mut section = "";
    let mut rows = Vec::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title;
        }
        let Some(cells) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) else { continue };
        let cells: Vec<&str> = cells.split('|').map(str::trim).collect();
        let is_head = matches!(cells[0], "feature" | "application") || cells[0].starts_with("---");
        if !is_head {
            rows.push((section, cells));
        }
    }
    rows
}

/// `[file::test](path)` of a cell: what it shows and where.
fn links(cell: &str) -> Vec<(&str, &str)> {
    let parts = cell.split('[').skip(1);
    parts
        .map(|part| {
            part.split_once("](").and_then(|(text, rest)| Some((text, rest.split_once(')')?.0))).unwrap()
        })
        .collect()
}

/// What is wrong with a page, as sentences.
fn faults(page: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (section, cells) in rows(page) {
        let feature = cells[0];
        if cells.len() != 5 || cells.iter().any(|cell| cell.is_empty()) {
            faults.push(format!("{section}: {feature}: a cell is empty or missing"));
            continue;
        }
        let links = links(cells[4]);
        if SHOWN.contains(&section) && links.is_empty() {
            faults.push(format!("{section}: {feature}: no test shows it"));
        }
        for (text, path) in links {
            let Some((file, test)) = text.split_once("::") else {
                faults.push(format!("{feature}: {text} names no test"));
                continue;
            };
            let source = fs::read_to_string(docs().join(path)).unwrap_or_default();
            let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str());
            if stem != Some(file) || !is_test(&source, test) {
                faults.push(format!("{section}: {feature}: there is no test {text} in {path}"));
            }
        }
    }
    faults
}

/// Whether a source has a test function of this name.
fn is_test(source: &str, name: &str) -> bool {
    source.split("#[test]").skip(1).any(|rest| {
        let head: String = rest.lines().take(8).collect::<Vec<_>>().join("\n");
        head.split("fn ").nth(1).is_some_and(|found| found.split('(').next() == Some(name))
    })
}

#[test]
fn every_feature_is_shown_by_a_test_that_exists() {
    let page = fs::read_to_string(docs().join("parity.md")).unwrap();
    let found = faults(&page);
    assert!(found.is_empty(), "{found:#?}");
    for section in SHOWN {
        let count = rows(&page).iter().filter(|(title, _)| *title == section).count();
        assert!(count >= 6, "{section} has {count} rows");
    }
    let open: Vec<&str> = rows(&page)
        .iter()
        .filter(|(title, _)| *title == "Not covered yet")
        .map(|(_, cells)| cells[0])
        .collect();
    for name in ["FIDO2", "OpenPGP", "YubiHSM Auth", "Security domain"] {
        assert!(open.iter().any(|cell| cell.contains(name)), "{name} is not listed as open");
    }
}

#[test]
fn what_is_wrong_with_a_page_is_found() {
    let page = |cell: &str| {
        format!(
            "## OTP\n\n| feature | a | b | c | Tapkey |\n|---|---|---|---|---|\n| swap | yes | no | no | {cell} |\n"
        )
    };
    let good = "[parity::what_is_wrong_with_a_page_is_found](../tests/tests/parity.rs)";
    assert_eq!(faults(&page(good)), Vec::<String>::new());
    for cell in [
        "",
        "yes",
        "[parity](../tests/tests/parity.rs)",
        "[parity::no_such_test](../tests/tests/parity.rs)",
        "[parity::faults](../tests/tests/parity.rs)",
        "[other::what_is_wrong_with_a_page_is_found](../tests/tests/parity.rs)",
        "[parity::what_is_wrong_with_a_page_is_found](../tests/tests/none.rs)",
    ] {
        assert_eq!(faults(&page(cell)).len(), 1, "{cell}");
    }
}
