//! Storing accounts: what a key can take is found out before anything is written.

use tapkey_driver::{Error, IfTaken, OathAccount, OathInfo, OathRefusal};
use tapkey_protocol::oath::{
    CredentialName, Factor, KeyUri, Kind,
    codec::{Properties, Put},
    prepare_secret,
};

use super::session::Session;
use crate::{exit::Failure, interrupt, keys, prompt};

/// An account that is to be stored.
pub(super) struct Wanted {
    pub(super) put: Put,
    pub(super) name: CredentialName,
}

impl Wanted {
    /// What a key stores for an account.
    pub(super) fn new(uri: &KeyUri, touch: bool) -> Result<Self, String> {
        let name = uri.name();
        let counter = match uri.factor {
            Factor::Counter { start } => u32::try_from(start)
                .map_err(|_| format!("a key counts no further than {}, not from {start}", u32::MAX))?,
            Factor::Time { .. } => 0,
        };
        let put = Put {
            id: name.to_id(uri.kind()).map_err(|error| error.to_string())?,
            kind: uri.kind(),
            algorithm: uri.algorithm,
            digits: uri.digits,
            secret: prepare_secret(uri.algorithm, uri.secret.expose()).map_err(|error| error.to_string())?,
            properties: Properties { require_touch: touch, ..Properties::default() },
            counter,
        };
        Ok(Self { put, name })
    }

    /// Why the key cannot take the account, as far as can be told.
    pub(super) fn check(&self, info: &OathInfo, accounts: &[OathAccount]) -> Result<(), Error> {
        info.check_put(&self.put)?;
        info.check_beside(&self.put.id, accounts)?;
        if !self.is_among(accounts) && accounts.len() >= info.capacity() {
            return Err(OathRefusal::Full { capacity: info.capacity() }.into());
        }
        Ok(())
    }

    /// Whether there is an account of that name.
    pub(super) fn is_among(&self, accounts: &[OathAccount]) -> bool {
        accounts.iter().any(|account| account.id == self.put.id)
    }
}

/// Stores one account after asking whether an old one of its name may go. Whether one did.
/// `prepare` runs when nothing stands in the way any more.
pub(super) fn store(
    session: &mut Session<'_>,
    wanted: &Wanted,
    force: bool,
    prepare: impl FnOnce() -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let accounts = session.with(|oath, control| oath.list(control))?;
    wanted.check(session.oath.info(), &accounts).map_err(keys::refused)?;
    let replaces = wanted.is_among(&accounts);
    if replaces && !force {
        let question =
            format!("{} is on the key already. Replace it? Its old secret is lost then.", wanted.name);
        prompt::confirm(&question, "--force")?;
    }
    prepare()?;
    let _busy = interrupt::busy();
    let taken = if replaces { IfTaken::Replace } else { IfTaken::Refuse };
    session.with(|oath, control| oath.put(&wanted.put, taken, control))?;
    Ok(replaces)
}

/// `TOTP` or `HOTP`, on the command line.
pub(super) fn parse_kind(text: &str) -> Result<Kind, String> {
    match text.to_ascii_lowercase().as_str() {
        "totp" => Ok(Kind::Totp),
        "hotp" => Ok(Kind::Hotp),
        _ => Err("an account is totp or hotp".to_owned()),
    }
}
