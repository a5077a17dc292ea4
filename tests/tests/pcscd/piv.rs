//! What the tests of the PIV application share: a key behind pcscd, a folder for files, OpenSSL.

use std::path::{Path, PathBuf};

use tapkey_emulator::{Profile, VirtualKey, attestation_root};
use tapkey_tests::{
    parts::part,
    pcscd::{Pcscd, Run},
};
use tempfile::TempDir;

use super::{SERIAL, key, key_5};

/// The factory's management key.
pub(crate) const MANAGEMENT: &str = "010203040506070801020304050607080102030405060708";

pub(crate) struct Host {
    pub(crate) pcscd: Pcscd,
    folder: TempDir,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::with(key_5())
    }

    pub(crate) fn of(profile: Profile) -> Self {
        Self::with(key(profile, SERIAL))
    }

    pub(crate) fn with(key: VirtualKey) -> Self {
        Self { pcscd: Pcscd::start(vec![key]).unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    /// A file of this test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.file(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Runs a program on the key; words that begin with `@` are files of this test.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Run {
        self.run_at(&part(program).unwrap(), arguments)
    }

    pub(crate) fn run_at(&self, program: &Path, arguments: &[&str]) -> Run {
        self.pcscd.run(program, &self.words(arguments)).unwrap()
    }

    pub(crate) fn words(&self, arguments: &[&str]) -> Vec<String> {
        let word = |word: &&str| match word.strip_prefix('@') {
            Some(name) => self.file(name),
            None => (*word).to_owned(),
        };
        arguments.iter().map(word).collect()
    }

    pub(crate) fn does(&self, program: &str, arguments: &[&str]) -> String {
        self.run(program, arguments).succeeds().unwrap()
    }

    pub(crate) fn openssl(&self, arguments: &[&str]) -> String {
        self.does("openssl", arguments)
    }

    /// `ykman piv …`, which is to succeed.
    pub(crate) fn ykman(&self, arguments: &[&str]) -> String {
        self.try_ykman(arguments).succeeds().unwrap()
    }

    pub(crate) fn try_ykman(&self, arguments: &[&str]) -> Run {
        let words = self.words(arguments);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.pcscd.ykman(0, &[&["piv"], &words[..]].concat()).unwrap()
    }

    /// Checks with OpenSSL that a file `@name` is a certificate of the key's attestation, up to the
    /// root of all software keys.
    pub(crate) fn check_attestation(&self, name: &str, authority: &str) {
        self.write("root.der", attestation_root());
        self.openssl(&["x509", "-inform", "DER", "-in", "@root.der", "-out", "@root.pem"]);
        let chain = ["verify", "-CAfile", "@root.pem", "-untrusted", authority, name];
        assert!(self.openssl(&chain).contains(": OK"));
        // And it is the chain that makes it so.
        self.run("openssl", &["verify", "-CAfile", "@root.pem", name]).fails().unwrap();
    }

    /// Checks a signature over a file with OpenSSL.
    pub(crate) fn check_signature(&self, public: &str, signature: &str, data: &str) {
        let check = ["dgst", "-sha256", "-verify", public, "-signature", signature, data];
        assert!(self.openssl(&check).contains("Verified OK"));
    }
}
