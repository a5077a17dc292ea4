//! The file that keeps secrets: a line per programmed slot, in a format that other tools read.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use clap::{Args as ClapArgs, ValueEnum};
use tapkey_protocol::{
    formats::csv::{Credential, Entry, Style, Template},
    slot::AccessCode,
};
use zeroize::Zeroizing;

use crate::{encode::hex, exit::Failure, secrets::private};

/// What becomes of secrets that were drawn here.
#[derive(ClapArgs, Debug, Default)]
#[command(next_help_heading = "Secrets")]
pub(super) struct Keep {
    /// Append the secrets to this file (mode 0600), one line per key.
    #[arg(long, short = 'O', value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    /// How --output is written: ykman, or yubico, traditional or flexible (the logs of the YubiKey
    /// Personalization Tool).
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t, hide_possible_values = true)]
    pub(super) output_format: Format,

    /// The line of `flexible`, for example '{serial},{pubIdTxt},{secretKeyTxt}'.
    #[arg(long, value_name = "TEMPLATE", requires = "output")]
    pub(super) output_template: Option<Template>,

    /// Show the secrets.
    #[arg(long)]
    pub(super) show_secret: bool,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(super) enum Format {
    /// As `ykman -O`, with lines of our own for other kinds of slots.
    #[default]
    Ykman,
    /// As the "Yubico" format of the YubiKey Personalization Tool.
    Yubico,
    /// As its "traditional" format.
    Traditional,
    /// As a template says, see --output-template.
    Flexible,
}

impl Keep {
    /// The line of an entry.
    pub(super) fn line(&self, entry: &Entry) -> Result<Zeroizing<String>, Failure> {
        style(self.output_format, self.output_template.as_ref(), "--output-template")?.line(entry).ok_or_else(
            || {
                Failure::usage("the format of --output-format has no line for this kind of slot")
                    .hint("use --output-format ykman, which has one for every kind")
            },
        )
    }
}

/// The style of a format.
pub(super) fn style(format: Format, template: Option<&Template>, option: &str) -> Result<Style, Failure> {
    match (format, template) {
        (Format::Flexible, Some(template)) => Ok(Style::Flexible(template.clone())),
        (Format::Flexible, None) => {
            Err(Failure::usage(format!("the flexible format needs a template; add {option}")))
        }
        (_, Some(_)) => Err(Failure::usage(format!("{option} belongs to the flexible format"))),
        (Format::Ykman, None) => Ok(Style::Ykman),
        (Format::Yubico, None) => Ok(Style::Yubico),
        (Format::Traditional, None) => Ok(Style::Traditional),
    }
}

/// The secrets of a credential with names, for somebody who asked to see them.
pub(super) fn shown(credential: &Credential) -> BTreeMap<&'static str, String> {
    match credential {
        Credential::YubicoOtp { private_id, key, .. } | Credential::StaticTicket { private_id, key, .. } => {
            BTreeMap::from([("private_id", hex(private_id.expose())), ("aes_key", hex(key.expose()))])
        }
        Credential::Hotp { key, .. } | Credential::ChallengeHmac { key, .. } => {
            BTreeMap::from([("key", hex(key.expose()))])
        }
        Credential::ChallengeYubico { key, .. } => BTreeMap::from([("key", hex(key.expose()))]),
        Credential::Password { text, .. } => BTreeMap::from([("password", text.expose().to_owned())]),
        Credential::ScanCodes { codes } => BTreeMap::from([("scan_codes", hex(codes.expose()))]),
        _ => BTreeMap::new(),
    }
}

/// An access code as it is written; nothing for none.
pub(super) fn code_text(code: &AccessCode) -> String {
    if code.is_none() { String::new() } else { hex(code.expose()) }
}

/// The time as existing tools write it, in UTC.
pub(super) fn time() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// A line that was appended before the slot is written, so that no secret exists in the key alone.
pub(super) struct Record {
    path: PathBuf,
    file: File,
    before: u64,
}

impl Record {
    /// Appends a line, to the disk. A new file is for its owner alone.
    pub(super) fn append(path: &Path, line: &str) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::usage(format!("cannot write {}: {error}; the key was not changed", path.display()))
        };
        let mut file = private(fs::OpenOptions::new().write(true).create(true).truncate(false))
            .open(path)
            .map_err(failed)?;
        let before = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let line = Zeroizing::new(format!("{line}\n"));
        file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
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
