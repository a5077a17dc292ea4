//! Which OATH accounts there are to be.

use tapkey_protocol::oath::{Algorithm, CredentialId, CredentialName, DEFAULT_PERIOD, Digits, Kind};
use toml::Spanned;

use super::raw::{RawAccount, RawOath};
use super::reader::{Reader, on, place};
use super::{CodeWish, JobError};
use crate::plan::source::SecretSource;

/// Which OATH accounts there are to be.
#[derive(Clone, Debug)]
pub struct Oath {
    /// The password of the application.
    pub password: CodeWish,
    /// Where the present password comes from, where the vault does not know it.
    pub current_password: Option<SecretSource>,
    /// What becomes of accounts that the job does not name.
    pub others: Others,
    /// The accounts.
    pub accounts: Vec<Account>,
}

/// What becomes of accounts that a job does not name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Others {
    /// They stay.
    #[default]
    Keep,
    /// They are removed.
    Remove,
}

/// One account.
#[derive(Clone, Debug)]
pub enum Account {
    /// It is to be there.
    Present {
        /// Where name, secret and properties come from.
        secret: AccountSecret,
        /// It answers only after a touch.
        touch: bool,
        /// Where it stands in the job, from 1.
        line: usize,
    },
    /// It is not to be there.
    Absent {
        /// Its name on the key.
        id: CredentialId,
        /// Where it stands in the job, from 1.
        line: usize,
    },
}

/// Where the secret of an account comes from.
#[derive(Clone, Debug)]
pub enum AccountSecret {
    /// An `otpauth` URI says everything.
    Uri(SecretSource),
    /// The secret alone, in base32; the job says the rest.
    Parts {
        /// The name on the key, period and issuer included.
        id: CredentialId,
        /// What moves it from one code to the next.
        kind: Kind,
        /// What its codes are made with.
        algorithm: Algorithm,
        /// How long they are.
        digits: Digits,
        /// The first counter, for HOTP.
        counter: u32,
        /// The secret.
        source: SecretSource,
    },
}

pub(super) fn read(reader: &Reader<'_>, raw: Spanned<RawOath>) -> Result<Oath, JobError> {
    let line = reader.line(raw.span().start);
    let oath = raw.into_inner();
    let others = match &oath.others {
        Some(field) => reader.word(field, "others", &[("keep", Others::Keep), ("remove", Others::Remove)])?,
        None => Others::Keep,
    };
    let read = Oath {
        password: reader.code(oath.password.as_ref(), "password")?,
        current_password: reader.present(oath.current_password.as_ref(), "current-password")?,
        others,
        accounts: oath.account.iter().map(|field| account(reader, field)).collect::<Result<_, _>>()?,
    };
    if read.accounts.is_empty() && read.password == CodeWish::Keep && others == Others::Keep {
        return Err(JobError { line, message: "nothing is wanted of the OATH accounts".into() });
    }
    check_names(reader, &oath, &read)?;
    Ok(read)
}

fn account(reader: &Reader<'_>, field: &Spanned<RawAccount>) -> Result<Account, JobError> {
    let raw = field.get_ref();
    let line = reader.line(field.span().start);
    let states = &[("present", true), ("absent", false)];
    let present = raw.state.as_ref().map(|state| reader.word(state, "state", states)).transpose()?;
    if present == Some(false) {
        let rest = [
            (place(&raw.uri), "uri"),
            (place(&raw.secret), "secret"),
            (place(&raw.algorithm), "algorithm"),
            (place(&raw.digits), "digits"),
            (place(&raw.counter), "counter"),
            (place(&raw.touch), "touch"),
        ];
        reader.refuse(&rest, "state = \"absent\"")?;
        return Ok(Account::Absent { id: id(reader, raw, line)?, line });
    }
    let touch = on(raw.touch.as_ref(), false);
    if let Some(uri) = &raw.uri {
        let rest = [
            (place(&raw.name), "name"),
            (place(&raw.secret), "secret"),
            (place(&raw.kind), "type"),
            (place(&raw.algorithm), "algorithm"),
            (place(&raw.digits), "digits"),
            (place(&raw.period), "period"),
            (place(&raw.counter), "counter"),
        ];
        reader.refuse(&rest, "uri, which says it")?;
        return match reader.source(uri, "uri")? {
            SecretSource::Generate | SecretSource::Vault => {
                Err(reader.wrong(uri, "a URI comes from vault:NAME, file:PATH or env:NAME"))
            }
            source => Ok(Account::Present { secret: AccountSecret::Uri(source), touch, line }),
        };
    }
    let secret = parts(reader, raw, line)?;
    Ok(Account::Present { secret, touch, line })
}

fn parts(reader: &Reader<'_>, raw: &RawAccount, line: usize) -> Result<AccountSecret, JobError> {
    let kind = kind(reader, raw)?;
    match kind {
        Kind::Totp => reader.refuse(&[(place(&raw.counter), "counter")], "type = \"totp\"")?,
        Kind::Hotp => reader.refuse(&[(place(&raw.period), "period")], "type = \"hotp\"")?,
    }
    let algorithms =
        &[("sha1", Algorithm::Sha1), ("sha256", Algorithm::Sha256), ("sha512", Algorithm::Sha512)];
    let algorithm = match &raw.algorithm {
        Some(field) => reader.word(field, "algorithm", algorithms)?,
        None => Algorithm::Sha1,
    };
    let digits = match &raw.digits {
        Some(field) => {
            Digits::try_from(*field.get_ref()).map_err(|_| reader.wrong(field, "digits is 6, 7 or 8"))?
        }
        None => Digits::SIX,
    };
    Ok(AccountSecret::Parts {
        id: id(reader, raw, line)?,
        kind,
        algorithm,
        digits,
        counter: raw.counter.as_ref().map_or(0, |field| *field.get_ref()),
        source: reader.source_or_drawn(raw.secret.as_ref(), "secret")?,
    })
}

fn kind(reader: &Reader<'_>, raw: &RawAccount) -> Result<Kind, JobError> {
    match &raw.kind {
        Some(field) => reader.word(field, "type", &[("totp", Kind::Totp), ("hotp", Kind::Hotp)]),
        None => Ok(Kind::Totp),
    }
}

/// The name on the key, made of `name` (`issuer:account`) and `period`.
fn id(reader: &Reader<'_>, raw: &RawAccount, line: usize) -> Result<CredentialId, JobError> {
    let Some(field) = &raw.name else {
        return Err(JobError { line, message: "an account needs a name, or a uri that has it".into() });
    };
    let kind = kind(reader, raw)?;
    let period = match &raw.period {
        Some(period) if *period.get_ref() == 0 => {
            return Err(reader.wrong(period, "period is in seconds, at least 1"));
        }
        period => period.as_ref().map_or(DEFAULT_PERIOD, |period| *period.get_ref()),
    };
    let (issuer, account) = match field.get_ref().split_once(':') {
        Some((issuer, account)) => (Some(issuer), account),
        None => (None, field.get_ref().as_str()),
    };
    let name = CredentialName { period, ..CredentialName::new(issuer, account) };
    name.to_id(kind).map_err(|error| reader.wrong(field, error.to_string()))
}

/// Two accounts of one name would overwrite each other.
fn check_names(reader: &Reader<'_>, raw: &RawOath, read: &Oath) -> Result<(), JobError> {
    let id = |account: &Account| match account {
        Account::Absent { id, .. } | Account::Present { secret: AccountSecret::Parts { id, .. }, .. } => {
            Some(id.clone())
        }
        Account::Present { .. } => None,
    };
    for (index, account) in read.accounts.iter().enumerate() {
        let Some(own) = id(account) else { continue };
        let twice = read.accounts.iter().take(index).any(|earlier| id(earlier) == Some(own.clone()));
        if let (true, Some(field)) = (twice, raw.account.get(index)) {
            return Err(reader.wrong(field, format!("the account {own} is named twice")));
        }
    }
    Ok(())
}
