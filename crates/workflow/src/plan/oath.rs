//! What the OATH application tells without being changed, and how its accounts are recognised.

use tapkey_driver::{Control, Device, Error, OathAccount, OathSession, Refusal};
use tapkey_protocol::oath::codec::{Properties, Put};
use tapkey_protocol::oath::{CredentialId, CredentialName, Kind, steam_code, totp};

use super::memory::{Memory, Remembered, fingerprint};
use super::observe::{Looking, Proof};
use super::resolve::{AccountDesire, CodeDesire, OathDesire};
use super::vault::SecretText;

/// What was seen of the accounts.
#[derive(Debug)]
pub(super) struct OathSeen {
    pub(super) info: tapkey_driver::OathInfo,
    /// The password that opens it, where there is one and it is known.
    pub(super) password: Option<SecretText>,
    pub(super) accounts: Vec<AccountSeen>,
}

/// One account on the key.
#[derive(Debug)]
pub(super) struct AccountSeen {
    pub(super) account: OathAccount,
    /// Whether it has the wanted secret, where that can be seen.
    pub(super) proof: Option<Proof>,
}

impl OathSeen {
    /// There is a password and nobody knows it.
    pub(super) const fn is_locked(&self) -> bool {
        self.info.has_password && self.password.is_none()
    }

    pub(super) fn find(&self, id: &CredentialId) -> Option<&AccountSeen> {
        self.accounts.iter().find(|seen| seen.account.id == *id)
    }
}

/// Looks at the application; a text says why it cannot be looked at.
pub(super) fn observe(
    device: &Device,
    desire: &OathDesire,
    memory: &Memory,
    looking: Looking,
    control: &Control,
) -> Result<Result<OathSeen, String>, Error> {
    let mut session = match device.open_oath(control) {
        Ok(session) => session,
        Err(error @ (Error::Refused(_) | Error::NotOverThisLink(_))) => return Ok(Err(error.to_string())),
        Err(error) => return Err(error),
    };
    let password = unlock(&mut session, desire, memory, control)?;
    let info = *session.info();
    let mut seen = OathSeen { info, password, accounts: Vec::new() };
    if !seen.is_locked() {
        seen.accounts = accounts(&mut session, desire, looking, control)?;
    }
    Ok(Ok(seen))
}

/// Tries the passwords that may be set; there is no limit on tries. Returns the one that opened it.
pub(super) fn unlock(
    session: &mut OathSession,
    desire: &OathDesire,
    memory: &Memory,
    control: &Control,
) -> Result<Option<SecretText>, Error> {
    if !session.info().has_password {
        return Ok(None);
    }
    let wanted = match &desire.password {
        CodeDesire::Set(password) => Some(password),
        CodeDesire::Keep | CodeDesire::None => None,
    };
    let known = memory.oath_passwords.iter().chain(wanted).chain(&desire.current);
    for password in known {
        let key = session.info().access_key(password.expose());
        match session.unlock(&key, control) {
            Ok(()) => return Ok(Some(password.clone())),
            Err(Error::Refused(Refusal::Oath(_))) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn accounts(
    session: &mut OathSession,
    desire: &OathDesire,
    looking: Looking,
    control: &Control,
) -> Result<Vec<AccountSeen>, Error> {
    let listed = session.list(control)?;
    // A damaged account, or one that does not go back in time, hides the codes but not the names.
    let coded = match session.codes(looking.seconds, control) {
        Ok(coded) => coded,
        Err(Error::Refused(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut seen = Vec::new();
    for mut account in listed {
        let mut code = None;
        if let Some((told, found)) = coded.iter().find(|(told, _)| told.id == account.id) {
            account.digits = told.digits;
            account.touch = told.touch;
            code = found.as_ref().map(|code| SecretText::new(code.expose().to_owned()));
        }
        let wanted = desire.present.iter().find(|wanted| wanted.id == account.id);
        if let (Some(_), None, Some(true), true) = (wanted, &code, account.touch, looking.touch) {
            let asked = session.code(&account, looking.seconds, control)?;
            code = Some(SecretText::new(asked.expose().to_owned()));
        }
        let proof = wanted.and_then(|wanted| prove(wanted, &account, code.as_ref(), looking.seconds));
        seen.push(AccountSeen { account, proof });
    }
    Ok(seen)
}

/// Whether a code of this moment is one of the wanted secret.
pub(super) fn prove(
    wanted: &AccountDesire,
    account: &OathAccount,
    code: Option<&SecretText>,
    seconds: u64,
) -> Option<Proof> {
    let code = code.filter(|_| account.kind == Kind::Totp && wanted.kind == Kind::Totp)?;
    let right = SecretText::new(wanted.code_at(seconds)) == *code;
    Some(if right { Proof::Right } else { Proof::Wrong })
}

impl AccountDesire {
    /// The code at a moment, as the key would show it.
    fn code_at(&self, seconds: u64) -> String {
        let name = CredentialName::of(&self.id, self.kind);
        let period = name.period.max(1);
        if name.is_steam() {
            let counter = (seconds / u64::from(period)).to_be_bytes();
            return steam_code(&self.algorithm.hmac(self.secret.expose(), &counter));
        }
        totp(self.algorithm, self.secret.expose(), seconds, period, self.digits).to_string()
    }

    /// The command that stores it.
    pub(super) fn put(&self) -> Put {
        Put {
            id: self.id.clone(),
            kind: self.kind,
            algorithm: self.algorithm,
            digits: self.digits,
            secret: self.secret.clone(),
            properties: Properties { require_touch: self.touch, ..Properties::default() },
            counter: self.counter,
        }
    }

    /// What is worth remembering of it. The application's id is in the hash: after a reset nothing
    /// that was remembered is true any more.
    pub(super) fn remember(&self, device_id: &str, key: &SecretText, at: &str) -> Remembered {
        let parts = format!(
            "{device_id}\0{}\0{}\0{}\0{}\0{}\0{}\0",
            self.id,
            self.kind,
            self.algorithm.name(),
            self.digits.get(),
            self.counter,
            self.touch
        );
        let mut content = zeroize::Zeroizing::new(Vec::with_capacity(parts.len() + self.secret.len()));
        content.extend_from_slice(parts.as_bytes());
        content.extend_from_slice(self.secret.expose());
        Remembered {
            kind: self.kind.to_string(),
            fingerprint: fingerprint(b"oath", &content, key),
            touch: self.touch,
            ..Remembered::emptied(at)
        }
    }

    /// What it is, without anything secret.
    pub(super) fn describe(&self) -> String {
        let touch = if self.touch { ", touch" } else { "" };
        format!("{} {}, {} digits{touch}", self.kind, self.algorithm.name(), self.digits.get())
    }
}

/// What an account on the key is, as far as it tells.
pub(super) fn describe(account: &OathAccount) -> String {
    let mut text = account.kind.to_string();
    if let Some(algorithm) = account.algorithm {
        text = format!("{text} {}", algorithm.name());
    }
    if let Some(digits) = account.digits {
        text = format!("{text}, {} digits", digits.get());
    }
    if account.touch == Some(true) {
        text.push_str(", touch");
    }
    text
}
