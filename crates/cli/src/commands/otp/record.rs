//! The file that keeps secrets: one comma-separated line per programmed slot.
//!
//! The line of a Yubico OTP credential has the columns that existing tools read and write: serial
//! number, public id, private id, AES key, access code, time, and an empty last one.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use tapkey_protocol::{otp::PublicId, secret::SecretBytes};
use zeroize::Zeroizing;

use crate::{encode::hex, exit::Failure, secrets::private};

/// The secrets of a slot.
#[derive(Clone)]
pub(super) enum Secrets {
    /// Of a Yubico OTP credential.
    YubicoOtp { public_id: PublicId, private_id: SecretBytes, key: SecretBytes },
    /// Of any other kind.
    Other { kind: &'static str, name: &'static str, secret: SecretText },
}

/// A secret as people write it: hexadecimal digits, or a password.
#[derive(Clone)]
pub(super) struct SecretText(pub(super) Zeroizing<String>);

impl Secrets {
    /// For a credential that has one.
    pub(super) fn public_id(&self) -> Option<String> {
        match self {
            Self::YubicoOtp { public_id, .. } => Some(public_id.to_string()),
            Self::Other { .. } => None,
        }
    }

    /// With names, for somebody who asked to see them.
    pub(super) fn shown(&self) -> BTreeMap<&'static str, String> {
        match self {
            Self::YubicoOtp { private_id, key, .. } => {
                BTreeMap::from([("private_id", hex(private_id.expose())), ("aes_key", hex(key.expose()))])
            }
            Self::Other { name, secret, .. } => BTreeMap::from([(*name, secret.0.to_string())]),
        }
    }
}

/// One line of the file.
pub(super) struct Row {
    pub(super) serial: Option<u32>,
    pub(super) secrets: Secrets,
    pub(super) access_code: String,
}

impl Row {
    fn line(&self, time: &str) -> Zeroizing<String> {
        let serial = self.serial.map(|serial| serial.to_string()).unwrap_or_default();
        let code = &self.access_code;
        Zeroizing::new(match &self.secrets {
            Secrets::YubicoOtp { public_id, private_id, key } => {
                format!(
                    "{serial},{public_id},{},{},{code},{time},\n",
                    hex(private_id.expose()),
                    hex(key.expose())
                )
            }
            Secrets::Other { kind, secret, .. } => {
                format!("{serial},{kind},,{},{code},{time},\n", quoted(&secret.0))
            }
        })
    }
}

/// A value that may hold commas or quotes (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// A line that was appended before the slot is written, so that no secret exists in the key alone.
pub(super) struct Record {
    path: PathBuf,
    file: File,
    before: u64,
}

impl Record {
    /// Appends a line, to the disk. A new file is for its owner alone.
    pub(super) fn append(path: &Path, row: &Row) -> Result<Self, Failure> {
        let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let failed = |error: std::io::Error| {
            Failure::usage(format!("cannot write {}: {error}; the key was not changed", path.display()))
        };
        let mut file = private(fs::OpenOptions::new().write(true).create(true).truncate(false))
            .open(path)
            .map_err(failed)?;
        let before = file.seek(SeekFrom::End(0)).map_err(failed)?;
        file.write_all(row.line(&time).as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file, before })
    }

    /// The key took nothing, so the line is taken back.
    pub(super) fn undo(self) -> Result<(), Failure> {
        let outcome =
            if self.before == 0 { fs::remove_file(&self.path) } else { self.file.set_len(self.before) };
        outcome.map_err(|error| {
            Failure::failed(format!("cannot take the last line of {} back: {error}", self.path.display()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_the_one_of_existing_tools() {
        let row = Row {
            serial: Some(1_234_567),
            secrets: Secrets::YubicoOtp {
                public_id: "vvccccbdefgh".parse().unwrap(),
                private_id: SecretBytes::new(vec![1, 2, 3, 4, 5, 6]),
                key: SecretBytes::new(vec![0xab; 16]),
            },
            access_code: String::new(),
        };
        assert_eq!(
            row.line("2026-11-21T12:00:00").as_str(),
            "1234567,vvccccbdefgh,010203040506,abababababababababababababababab,,2026-11-21T12:00:00,\n"
        );
    }

    #[test]
    fn a_password_with_commas_stays_one_column() {
        let secret = SecretText(Zeroizing::new("a,\"b".to_owned()));
        let row = Row {
            serial: None,
            secrets: Secrets::Other { kind: "static", name: "password", secret },
            access_code: String::new(),
        };
        assert_eq!(row.line("T").as_str(), ",static,,\"a,\"\"b\",,T,\n");
    }
}
