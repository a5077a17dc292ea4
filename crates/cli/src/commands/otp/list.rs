//! Lists of credentials in files.

use std::{fs, path::PathBuf};

use clap::{Args as ClapArgs, ValueEnum};
use tapkey_protocol::formats::csv::{Credential, Entry, Kind, Reading, Template};
use zeroize::Zeroizing;

use super::pskc::{self, Lock};
use crate::exit::Failure;

/// A list and how to read it.
#[derive(ClapArgs, Debug)]
#[command(next_help_heading = "The list")]
pub(super) struct List {
    /// The list: a file of `ykman -O` or --output, a log of the YubiKey Personalization Tool, a
    /// provisioning file of Yubico's key-storage module, or a PSKC file.
    #[arg(long, value_name = "FILE")]
    pub(super) from: PathBuf,

    /// The line of a flexible log, for example '{serial},{pubIdTxt},{secretKeyTxt}'.
    #[arg(long, value_name = "TEMPLATE")]
    template: Option<Template>,

    /// What lines with a 20-byte key and nothing else are: hotp or chalresp.
    #[arg(long = "as", value_name = "KIND", value_enum, hide_possible_values = true)]
    kind: Option<As>,

    #[command(flatten)]
    pub(super) lock: Lock,
}

/// What a lone key is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum As {
    /// OATH-HOTP.
    Hotp,
    /// HMAC-SHA1 challenge-response.
    Chalresp,
}

impl List {
    /// Its entries. The error names the line and repeats nothing of it.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, Failure> {
        let path = self.from.display();
        let text = fs::read_to_string(&self.from)
            .map(Zeroizing::new)
            .map_err(|error| Failure::usage(format!("cannot read the list {path}: {error}")))?;
        if pskc::is_pskc(&text) {
            return pskc::read(&text, &self.lock);
        }
        let kind = self.kind.map(|kind| match kind {
            As::Hotp => Kind::Hotp,
            As::Chalresp => Kind::ChallengeHmac,
        });
        let entries = Reading { kind, template: self.template.clone() }.entries(&text).map_err(|error| {
            let failure = Failure::usage(format!("{path}, {error}"));
            match error.problem {
                tapkey_protocol::formats::csv::Problem::Ambiguous => {
                    failure.hint("add --as hotp or --as chalresp")
                }
                _ => failure.hint("docs/otp.md describes the formats"),
            }
        })?;
        if entries.is_empty() {
            return Err(Failure::usage(format!("{path} lists no credential")));
        }
        Ok(entries)
    }
}

/// What a credential is, in words.
pub(super) const fn name(credential: &Credential) -> &'static str {
    match credential {
        Credential::YubicoOtp { .. } => "Yubico OTP",
        Credential::Hotp { .. } => "OATH-HOTP",
        Credential::ChallengeHmac { .. } => "HMAC-SHA1 challenge-response",
        Credential::ChallengeYubico { .. } => "Yubico challenge-response",
        Credential::StaticTicket { .. } => "static ticket",
        Credential::ScanCodes { .. } | Credential::Password { .. } => "static password",
        _ => "another kind",
    }
}
