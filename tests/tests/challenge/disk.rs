//! Encrypted disks: the real cryptsetup on an image, with the recipes of docs/challenge.md.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tapkey_tests::{
    parts::{command, part, root},
    tapkey,
};
use tempfile::TempDir;

use super::HMAC_KEY;

const KEY: &str = "--emulated=key.json";

struct Bench {
    folder: TempDir,
    cryptsetup: PathBuf,
}

impl Bench {
    /// An encrypted image that a recovery passphrase opens, and a key that answers in slot 2. The
    /// passphrases are hashed as weakly as cryptsetup allows, which is quick.
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap(), cryptsetup: part("cryptsetup").unwrap() };
        bench.write("key", HMAC_KEY);
        bench.write("recovery", "seven words on a sheet of paper");
        fs::File::create(bench.path("image")).unwrap().set_len(24 << 20).unwrap();
        bench.tapkey(&[KEY, "otp", "chalresp", "2", "--key", "file:key", "--yes"]);
        let format = ["luksFormat", "--type", "luks2", "--key-file", "recovery", "image"];
        succeeds(&bench.cryptsetup(&format, b""));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn tapkey(&self, arguments: &[&str]) -> Vec<u8> {
        let mut command = tapkey::command(self.folder.path()).unwrap();
        succeeds(&command.args(arguments).current_dir(self.folder.path()).output().unwrap())
    }

    fn passphrase(&self, more: &[&str]) -> Vec<u8> {
        let uuid = String::from_utf8(succeeds(&self.cryptsetup(&["luksUUID", "image"], b""))).unwrap();
        self.tapkey(&[&[KEY, "challenge", "luks-passphrase", "-2", "--volume", uuid.trim()], more].concat())
    }

    fn cryptsetup(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = command(&self.cryptsetup);
        let weak = ["--pbkdf-memory=32", "--pbkdf-parallel=1", "--pbkdf-force-iterations=4"];
        if matches!(arguments[0], "luksFormat" | "luksAddKey") {
            command.args(weak).arg("--pbkdf=argon2id");
        }
        feed(command.arg("--batch-mode").args(arguments).current_dir(self.folder.path()), input)
    }

    fn opens(&self, passphrase: &[u8]) -> bool {
        self.cryptsetup(&["open", "--test-passphrase", "--key-file", "-", "image"], passphrase)
            .status
            .success()
    }
}

fn feed(command: &mut Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that wants nothing closes its end.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn succeeds(output: &Output) -> Vec<u8> {
    assert!(output.status.success(), "{}", tapkey_tests::credential::told(output));
    output.stdout.clone()
}

#[test]
fn a_key_opens_a_disk_and_nothing_else_does() {
    let bench = Bench::new();
    bench.write("known", "correct horse\n");
    let alone = bench.passphrase(&[]);
    let both = bench.passphrase(&["--passphrase", "file:known"]);
    assert!(!bench.opens(&alone) && !bench.opens(&both));
    for passphrase in [&alone, &both] {
        succeeds(&bench.cryptsetup(&["luksAddKey", "--key-file", "recovery", "image", "-"], passphrase));
    }
    assert!(bench.opens(&bench.passphrase(&[])));
    assert!(bench.opens(&bench.passphrase(&["--passphrase", "file:known"])));
    // Another passphrase, another volume, a line end.
    bench.write("wrong", "correct hors\n");
    assert!(!bench.opens(&bench.passphrase(&["--passphrase", "file:wrong"])));
    assert!(!bench.opens(&bench.tapkey(&[KEY, "challenge", "luks-passphrase", "-2", "--volume", "other"])));
    assert!(!bench.opens(&[&alone[..], b"\n"].concat()));

    // The key is lost: the recovery passphrase opens, takes the lost key's slots away, and adds a new key.
    bench.write("key", &HMAC_KEY.replace("13", "14"));
    bench.tapkey(&[KEY, "otp", "chalresp", "2", "--key", "file:key", "--force"]);
    let new = bench.passphrase(&[]);
    assert!(new != alone && !bench.opens(&new));
    assert!(bench.opens(b"seven words on a sheet of paper"));
    for slot in ["1", "2"] {
        succeeds(&bench.cryptsetup(&["luksKillSlot", "--key-file", "recovery", "image", slot], b""));
    }
    succeeds(&bench.cryptsetup(&["luksAddKey", "--key-file", "recovery", "image", "-"], &new));
    assert!(bench.opens(&new) && !bench.opens(&alone) && !bench.opens(&both));
}

/// The keyscript of an initramfs, with a stand-in for the program that asks on the console.
#[test]
fn the_keyscript_of_the_initramfs() {
    let bench = Bench::new();
    bench.write("known", "correct horse\n");
    let expected = bench.passphrase(&["--passphrase", "file:known"]);
    let program = |name: &str, text: String| {
        fs::write(bench.path(name), text).unwrap();
        fs::set_permissions(bench.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("askpass", "#!/bin/sh\necho \"$1\" >&2\nprintf %s \"$ANSWER\"\n".to_owned());
    let tapkey = tapkey::binary().unwrap();
    program("tapkey", format!("#!/bin/sh\nexec {} {KEY} \"$@\"\n", tapkey.display()));
    let script = root().join("luks/keyscript");
    let run = |answer: &str| {
        let mut command = command(Path::new("sh"));
        command.arg(&script).current_dir(bench.folder.path()).env("ANSWER", answer);
        command.env("CRYPTTAB_SOURCE", bench.path("image")).env("CRYPTTAB_NAME", "secret");
        command.env("TAPKEY", bench.path("tapkey")).env("ASKPASS", bench.path("askpass"));
        command.env("CRYPTSETUP", &bench.cryptsetup).env("CRYPTTAB_KEY", "2");
        command.env("HOME", bench.folder.path()).env("TAPKEY_WAIT", "1");
        feed(&mut command, b"")
    };
    let output = run("correct horse");
    assert_eq!(succeeds(&output), expected);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("secret"), "{said}");
    // With no answer of the key, what was typed goes to cryptsetup: the recovery passphrase still opens.
    bench.tapkey(&[KEY, "otp", "delete", "2", "--force"]);
    assert_eq!(succeeds(&run("seven words on a sheet of paper")), b"seven words on a sheet of paper");
    assert!(bench.opens(&run("seven words on a sheet of paper").stdout));
}
