//! `tapkey challenge --sign-in`: the challenge is derived here, so that no server chooses it.

use clap::Args as ClapArgs;
use tapkey_protocol::challenge::sign_in::{Account, Nonce, Origin, Purpose, SignIn};

use crate::{encode::from_hex, exit::Failure};

/// What a sign-in is about.
#[derive(ClapArgs, Debug)]
#[command(next_help_heading = "Signing in to a server")]
pub(super) struct Options {
    /// Answer the sign-in of the server at ORIGIN, such as `https://login.example.org`. The slot is asked
    /// a hash of origin, account, nonce and purpose, which no server can choose.
    #[arg(long, value_name = "ORIGIN", requires_all = ["account", "nonce"],
        conflicts_with_all = ["challenge", "time", "totp", "input", "yubico", "hex", "digits_6", "digits_8",
            "padding"])]
    sign_in: Option<String>,

    /// Whose account.
    #[arg(long, value_name = "NAME", requires = "sign_in")]
    account: Option<String>,

    /// What the server drew for this sign-in: 16 bytes or more in hexadecimal digits.
    #[arg(long, value_name = "HEX", requires = "sign_in")]
    nonce: Option<String>,

    /// What the answer is good for: sign-in, confirm or enroll.
    #[arg(long, value_name = "WORD", default_value = "sign-in")]
    purpose: String,
}

impl Options {
    /// Whether there is a sign-in.
    pub(super) const fn is_given(&self) -> bool {
        self.sign_in.is_some()
    }

    /// The challenge of the sign-in, where there is one.
    pub(super) fn challenge(&self) -> Result<Option<[u8; 32]>, Failure> {
        let (Some(origin), Some(account), Some(nonce)) = (&self.sign_in, &self.account, &self.nonce) else {
            return Ok(None);
        };
        let wrong =
            |error: tapkey_protocol::challenge::sign_in::SignInError| Failure::usage(error.to_string());
        let sign_in = SignIn {
            purpose: self.purpose.parse::<Purpose>().map_err(wrong)?,
            origin: origin.parse::<Origin>().map_err(wrong)?,
            account: account.parse::<Account>().map_err(wrong)?,
            nonce: Nonce::new(&from_hex(nonce, "the nonce")?).map_err(wrong)?,
        };
        Ok(Some(sign_in.challenge()))
    }
}
