//! What one of `tapkey otp` and ykman programs, the other one understands, for every kind of slot; and both
//! write the same flags.

use std::{fs, path::Path};

use serde_json::Value;
use tapkey_emulator::{Press, port::in_process::PluggedKey};
use tapkey_protocol::{
    keyboard::{Key, Layout, Stroke},
    otp::{AesKey, Otp},
    slot::Slot,
};
use tapkey_tests::pcscd::Pcscd;

use super::{key_5, key_on_nfc, typed};

const AES: &str = "000102030405060708090a0b0c0d0e0f";
const HMAC: &str = "3132333435363738393031323334353637383930";
const HMAC_BASE32: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const UID: &str = "010203040506";
const PUBLIC: &str = "vvcccccccccb";

/// A key behind a pcscd, and secrets in files.
struct Bench {
    pcscd: Pcscd,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("aes", AES), ("hmac", HMAC), ("uid", UID), ("code", "0a0b0c0d0e0f")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self { pcscd: Pcscd::start(vec![key_5()]).unwrap(), folder }
    }

    fn key(&self) -> &PluggedKey {
        self.pcscd.key(0).unwrap()
    }

    /// `@name` stands for the file of that name.
    fn tapkey(&self, arguments: &[&str]) -> tapkey_tests::pcscd::Run {
        let file = |word: &str| match word.strip_prefix('@') {
            Some(name) => source(self.folder.path(), name),
            None => word.to_owned(),
        };
        let words: Vec<String> =
            ["--serial", "4026531841"].iter().chain(arguments).map(|word| file(word)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.pcscd.tapkey(&words).unwrap()
    }

    fn ours(&self, arguments: &[&str]) -> String {
        self.tapkey(arguments).succeeds().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ours(&[&["--json"], arguments].concat())).unwrap()
    }

    fn ykman(&self, arguments: &[&str]) -> String {
        self.pcscd.ykman(0, arguments).unwrap().succeeds().unwrap()
    }

    /// Kind, public id and the three bytes of flags.
    fn slot(&self, slot: usize) -> (String, Option<String>, [u8; 3]) {
        let shown = self.key().snapshot().slots[slot - 1].clone().unwrap();
        (shown.kind, shown.public_id, [shown.extended_flags, shown.ticket_flags, shown.config_flags])
    }

    fn strokes(&self, slot: Slot) -> Vec<Stroke> {
        match self.key().press(slot).unwrap() {
            Press::Typed(typed) => typed.strokes().to_vec(),
            other => panic!("{other:?}"),
        }
    }
}

fn source(folder: &Path, name: &str) -> String {
    format!("file:{}", folder.join(name).display())
}

/// Ours, ykman's, and for the last two what is the same of what they type.
type Pair = (&'static [&'static str], &'static [&'static str]);

#[test]
fn both_write_the_same_flags() {
    let bench = Bench::new();
    let pairs: &[Pair] = &[
        (
            &["yubiotp", "2", "--public-id", PUBLIC, "--private-id", "@uid", "--aes-key", "@aes", "-f"],
            &["yubiotp", "2", "-P", PUBLIC, "-p", UID, "-k", AES, "-f"],
        ),
        (
            &[
                "yubiotp",
                "2",
                "--public-id",
                PUBLIC,
                "--private-id",
                "@uid",
                "--aes-key",
                "@aes",
                "--no-enter",
                "-f",
            ],
            &["yubiotp", "2", "-P", PUBLIC, "-p", UID, "-k", AES, "--no-enter", "-f"],
        ),
        (&["chalresp", "2", "--key", "@hmac", "-f"], &["chalresp", "2", HMAC, "-f"]),
        (&["chalresp", "2", "--key", "@hmac", "--touch", "-f"], &["chalresp", "2", HMAC, "-t", "-f"]),
        (&["hotp", "2", "--key", "@hmac", "-f"], &["hotp", "2", HMAC_BASE32, "-f"]),
        (
            &["hotp", "2", "--key", "@hmac", "--digits", "8", "--counter", "32", "--no-enter", "-f"],
            &["hotp", "2", HMAC_BASE32, "-d", "8", "-c", "32", "--no-enter", "-f"],
        ),
        (
            &["hotp", "2", "--key", "@hmac", "--identifier", "ubhe01234567", "-f"],
            &["hotp", "2", HMAC_BASE32, "-i", "ubhe01234567", "-f"],
        ),
        (
            &["hotp", "2", "--key", "@hmac", "--identifier", "serial", "-f"],
            &["hotp", "2", HMAC_BASE32, "-i", "ubhe26531841", "-f"],
        ),
        (&["static", "2", "--password", "@uid", "-f"], &["static", "2", UID, "-k", "US", "-f"]),
    ];
    for (ours, theirs) in pairs {
        bench.ours(&[&["otp"], *ours].concat());
        let written = (bench.slot(2), typing(&bench));
        bench.ykman(&[&["otp"], *theirs].concat());
        assert_eq!(written, (bench.slot(2), typing(&bench)), "{ours:?} and {theirs:?}");
    }
}

/// What is typed; of one-time passwords what does not change, and nothing of slots that type nothing.
fn typing(bench: &Bench) -> String {
    match bench.key().press(Slot::Two).unwrap() {
        Press::Typed(typed) => {
            let text = typed.text();
            match text.trim().parse::<Otp>() {
                Ok(otp) => {
                    let key: [u8; 16] =
                        data_encoding::HEXLOWER.decode(AES.as_bytes()).unwrap().try_into().unwrap();
                    let token = otp.open(&AesKey::new(key)).unwrap();
                    format!("{} {:?} {}", otp.public_id(), token.private_id.expose(), text.ends_with('\n'))
                }
                Err(_) => text,
            }
        }
        _ => String::new(),
    }
}

#[test]
fn settings_are_updated_alike() {
    let bench = Bench::new();
    let program =
        ["otp", "yubiotp", "1", "--public-id", PUBLIC, "--private-id", "@uid", "--aes-key", "@aes", "-f"];
    let pairs: &[Pair] = &[
        (&["--no-enter"], &["--no-enter"]),
        // ykman counts the pause of both halves of a stroke.
        (&["--pacing", "10"], &["-p", "20"]),
        (&["--pacing", "20"], &["-p", "40"]),
        (&["--pacing", "30"], &["-p", "60"]),
        (&["--numeric-keypad"], &["--use-numeric-keypad"]),
        (&["--serial-usb-visible"], &["--serial-usb-visible"]),
    ];
    for (ours, theirs) in pairs {
        bench.ours(&program);
        bench.ours(&[&["otp", "settings", "1", "--reset-others", "-y"], *ours].concat());
        let written = bench.slot(1);
        bench.ours(&program);
        bench.ykman(&[&["otp", "settings", "1", "-f"], *theirs].concat());
        assert_eq!(written, bench.slot(1), "{ours:?} and {theirs:?}");
    }
    // A code that one of them sets, the other one needs.
    bench.ykman(&["otp", "settings", "1", "-A", "0a0b0c0d0e0f", "-f"]);
    assert_eq!(bench.tapkey(&["otp", "delete", "1", "-f"]).code(), Some(4));
    let update =
        ["otp", "settings", "1", "--access-code", "@code", "--delete-access-code", "--reset-others", "-y"];
    bench.ours(&update);
    bench.ours(&["otp", "settings", "1", "--new-access-code", "@code", "--reset-others", "-y"]);
    bench.pcscd.ykman(0, &["otp", "delete", "1", "-f"]).unwrap().fails().unwrap();
    bench.ykman(&["otp", "--access-code", "0a0b0c0d0e0f", "delete", "1", "-f"]);
    assert_eq!(bench.key().snapshot().slots[0], None);
}

/// A key that looks like a real one: settings are known only of slots that were programmed here.
#[test]
fn settings_that_nobody_knows_are_not_reset_in_silence() {
    let bench = Bench::new();
    bench.ykman(&["otp", "static", "1", "abc", "-k", "US", "--no-enter", "-f"]);
    let before = bench.slot(1);
    let run = bench.tapkey(&["otp", "settings", "1", "--tab-first", "-y"]);
    assert_eq!(run.code(), Some(2), "{run}");
    assert!(run.to_string().contains("--reset-others"), "{run}");
    assert_eq!(bench.slot(1), before, "something was sent");

    let info = bench.json(&["otp", "info"]);
    let facts = info["slots"][0]["facts"].to_string();
    assert!(facts.contains("not known") && info["slots"][0].get("remembered").is_none(), "{info}");
    bench.ours(&["otp", "static", "1", "--password", "@uid", "--no-enter", "-f"]);
    let done = bench.json(&["otp", "settings", "1", "--tab-first", "-y"]);
    assert_eq!((&done["base"], &done["changed"]), (&"remembered".into(), &serde_json::json!(["tab-first"])));
    assert_eq!(typed(bench.key(), Slot::One), format!("\t{UID}"));
    bench.ours(&["otp", "settings", "1", "--tab-last", "-y"]);
    assert_eq!(typed(bench.key(), Slot::One), format!("\t{UID}\t"), "the first change is remembered too");

    // ykman changed it since, into something that does not fit what is remembered.
    bench.ykman(&["otp", "chalresp", "1", HMAC, "-f"]);
    let run = bench.tapkey(&["otp", "settings", "1", "--no-enter", "-y"]);
    assert_eq!(run.code(), Some(2), "{run}");
    assert!(run.to_string().contains("does not fit"), "{run}");
    let info = bench.json(&["otp", "info"]);
    assert!(!info["slots"][0]["contradictions"].as_array().unwrap().is_empty(), "{info}");
}

#[test]
fn ykman_reads_what_tapkey_programmed_and_the_other_way_round() {
    let pcscd = Pcscd::start(vec![key_on_nfc()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hmac"), HMAC).unwrap();
    let reader = "ACS ACR122U PICC Interface 00 00";
    let ours = |arguments: &[&str]| {
        pcscd.tapkey(&[&["--reader", "ACR122U"], arguments].concat()).unwrap().succeeds().unwrap()
    };
    let theirs = |arguments: &[&str]| pcscd.ykman_on(reader, arguments).unwrap().succeeds().unwrap();
    ours(&["otp", "chalresp", "2", "--key", &source(folder.path(), "hmac"), "-y"]);
    let info = theirs(&["otp", "info"]);
    assert!(info.contains("Slot 1: empty") && info.contains("Slot 2: programmed"), "{info}");
    let answer = theirs(&["otp", "calculate", "2", "1122334455667788"]);
    assert_eq!(answer, ours(&["challenge", "-2", "-x", "1122334455667788"]));
    let code = theirs(&["otp", "calculate", "2", "-T", "-d", "6"]);
    assert_eq!(code.trim().len(), 6, "{code}");

    theirs(&["otp", "chalresp", "1", HMAC, "-f"]);
    assert_eq!(answer, ours(&["challenge", "-1", "-x", "1122334455667788"]));
    let info = ours(&["otp", "info"]);
    assert_eq!(info.matches("answers HMAC-SHA1 challenges without a touch").count(), 2, "{info}");
}

#[test]
fn lists_of_ykman_are_read_and_ours_are_like_them() {
    let bench = Bench::new();
    let list = bench.folder.path().join("ykman.csv").display().to_string();
    bench.ykman(&["otp", "yubiotp", "1", "-S", "-g", "-G", "-f", "-O", &list]);
    let before = typed(bench.key(), Slot::One);
    bench.ours(&["otp", "delete", "1", "-f"]);
    bench.ours(&["otp", "program", "--from", &list, "--slot", "1", "-y"]);
    let after = typed(bench.key(), Slot::One);
    assert_eq!(before[..12], after[..12]);
    let text = fs::read_to_string(&list).unwrap();
    let columns: Vec<&str> = text.trim_end().split(',').collect();
    let key: [u8; 16] = data_encoding::HEXLOWER.decode(columns[3].as_bytes()).unwrap().try_into().unwrap();
    let token = after.trim().parse::<Otp>().unwrap().open(&AesKey::new(key)).unwrap();
    assert_eq!(data_encoding::HEXLOWER.encode(token.private_id.expose()), columns[2]);

    let own = bench.folder.path().join("own.csv").display().to_string();
    bench.ours(&["otp", "yubiotp", "2", "--private-id", "@uid", "--aes-key", "@aes", "-f", "-O", &own]);
    let theirs = bench.folder.path().join("theirs.csv").display().to_string();
    bench.ykman(&["otp", "yubiotp", "2", "-S", "-p", UID, "-k", AES, "-f", "-O", &theirs]);
    let shape = |path: &str| {
        let text = fs::read_to_string(path).unwrap();
        let columns: Vec<String> = text.trim_end_matches('\n').split(',').map(str::to_owned).collect();
        // The time is the sixth of seven.
        (columns.len(), columns[..5].to_vec(), columns[5].len(), columns[6].clone())
    };
    assert_eq!(shape(&own), shape(&theirs));
}

/// Every character that ykman types with one key, on each of its layouts.
#[test]
fn layouts_are_those_of_ykman() {
    let script = "from ykman.scancodes import KEYBOARD_LAYOUT\nimport json\n\
        print(json.dumps({l.name: {c: s for c, s in l.value.items()} for l in KEYBOARD_LAYOUT}))";
    let bench = Bench::new();
    let text = bench.pcscd.python(script).unwrap().succeeds().unwrap();
    let layouts: Value = serde_json::from_str(&text).unwrap();
    let mut compared = 0;
    let mut different = Vec::new();
    for (name, table) in layouts.as_object().unwrap() {
        let layout: Layout = name.parse().unwrap();
        for (character, code) in table.as_object().unwrap() {
            let character = character.chars().next().unwrap();
            let theirs = Key::from_scan_code(u8::try_from(code.as_u64().unwrap()).unwrap()).canonical();
            match layout.key(character).map(Key::canonical) {
                Some(ours) if ours == theirs => compared += 1,
                // Theirs is a dead key, which types nothing by itself, or another key for the same.
                ours => different.push(format!("{name} {character:?} {ours:?}")),
            }
        }
    }
    let known = [
        // Dead keys.
        "DE '^'",
        "DE '`'",
        "DE '´'",
        // In Italy two of these need AltGr, and one is a dead key.
        "IT '#'",
        "IT '@'",
        "IT '`'",
        // Where the U.S. layout has it, which Norman gives to P.
        "NORMAN ':'",
        // Keys of the keypad.
        "IT '*'",
        "IT '.'",
        // With Shift, which changes nothing.
        "BEPO '\\t'",
        "BEPO '\\n'",
        // No printable characters.
        "FR '\\u{7f}'",
        "BEPO '\\u{a0}'",
    ];
    for one in &different {
        assert!(known.iter().any(|known| one.starts_with(known)), "{one}");
    }
    assert!(compared > 600, "{compared}");

    // And on a key: the same keys are pressed.
    for (layout, password) in
        [("DE", "Zwölf größere Äxte §3!"), ("FR", "L'été à 25° (ça)"), ("BEPO", "Ça «va» été?")]
    {
        let file = bench.folder.path().join("password");
        fs::write(&file, password).unwrap();
        bench.ours(&["otp", "static", "1", "-k", layout, "--password", "@password", "-f"]);
        let ours = bench.strokes(Slot::One);
        bench.ykman(&["otp", "static", "1", password, "-k", layout, "-f"]);
        assert_eq!(canonical(&ours), canonical(&bench.strokes(Slot::One)), "{layout}");
    }
}

fn canonical(strokes: &[Stroke]) -> Vec<Key> {
    strokes
        .iter()
        .filter_map(|stroke| match stroke {
            Stroke::Press(key) => Some(key.canonical()),
            Stroke::DelayMilliseconds(_) => None,
        })
        .collect()
}
