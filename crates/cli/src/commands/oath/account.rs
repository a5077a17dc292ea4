//! Names of accounts: as people give them, and as they are shown.

use serde::Serialize;
use tapkey_driver::OathAccount;
use tapkey_protocol::oath::{CredentialName, Kind};

use crate::exit::Failure;

/// An account in JSON.
#[derive(Serialize)]
pub(super) struct Shown {
    pub(super) name: String,
    issuer: Option<String>,
    account: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) algorithm: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digits: Option<u8>,
    pub(super) period: Option<u32>,
    touch: Option<bool>,
    pub(super) hidden: bool,
}

impl Shown {
    pub(super) fn of(account: &OathAccount) -> Self {
        let name = account.name();
        Self {
            name: name.to_string(),
            kind: kind(account.kind),
            algorithm: account.algorithm.map(tapkey_protocol::oath::Algorithm::name),
            digits: account.digits.map(tapkey_protocol::oath::Digits::get),
            period: (account.kind == Kind::Totp).then_some(name.period),
            touch: account.touch,
            hidden: name.is_hidden(),
            issuer: name.issuer,
            account: name.account,
        }
    }
}

/// `totp` or `hotp`.
pub(super) const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Hotp => "hotp",
        Kind::Totp => "totp",
    }
}

/// Whether an account is one that a person means: by its whole name if there is one of that name,
/// otherwise by a part of it in either case.
pub(super) fn matching<'a, T>(all: &'a [T], query: &str, of: impl Fn(&T) -> &OathAccount) -> Vec<&'a T> {
    let names = |one: &T| [of(one).name().to_string(), of(one).id.to_string()];
    let exact: Vec<&T> = all.iter().filter(|one| names(one).contains(&query.to_owned())).collect();
    if !exact.is_empty() {
        return exact;
    }
    let wanted = query.to_lowercase();
    all.iter().filter(|one| names(one)[0].to_lowercase().contains(&wanted)).collect()
}

/// The one account that a person means.
pub(super) fn one(accounts: &[OathAccount], query: &str) -> Result<OathAccount, Failure> {
    match &matching(accounts, query, |account| account)[..] {
        [] => Err(none(query)),
        [account] => Ok((*account).clone()),
        several => {
            let names: Vec<String> = several.iter().map(|account| account.name().to_string()).collect();
            Err(ambiguous(query, &names))
        }
    }
}

pub(super) fn none(query: &str) -> Failure {
    Failure::failed(format!("no account on the key matches {query:?}"))
        .hint("`tapkey oath accounts list --show-hidden` shows all names")
}

pub(super) fn ambiguous(query: &str, names: &[String]) -> Failure {
    Failure::failed(format!("{query:?} matches {} accounts: {}", names.len(), names.join(", ")))
        .hint("write more of the name, or all of it")
}

/// A name as people write it: `issuer:account` unless the issuer is given apart.
pub(super) fn parse_name(text: &str, issuer: Option<&str>, period: u32) -> CredentialName {
    let (issuer, account) = match (issuer, text.split_once(':')) {
        (Some(issuer), _) => (Some(issuer), text),
        (None, Some((issuer, account))) if !issuer.is_empty() && !account.is_empty() => {
            (Some(issuer), account)
        }
        (None, _) => (None, text),
    };
    CredentialName { period, ..CredentialName::new(issuer, account) }
}

#[cfg(test)]
mod tests {
    use tapkey_protocol::oath::CredentialId;

    use super::*;

    fn accounts(names: &[&str]) -> Vec<OathAccount> {
        names.iter().map(|name| OathAccount::new(CredentialId::new(*name).unwrap(), Kind::Totp)).collect()
    }

    #[test]
    fn a_whole_name_wins_over_parts() {
        let all = accounts(&["Example:al", "Example:alice", "60/Other:al"]);
        assert_eq!(one(&all, "Example:al").unwrap().id.to_string(), "Example:al");
        assert_eq!(one(&all, "ALICE").unwrap().id.to_string(), "Example:alice");
        assert_eq!(one(&all, "60/Other:al").unwrap().id.to_string(), "60/Other:al");
        let several = one(&all, "example").unwrap_err();
        assert!(several.message().contains("Example:al, Example:alice"), "{several}");
        assert!(one(&all, "bob").is_err());
    }

    #[test]
    fn names() {
        let of = |text, issuer| {
            let name = parse_name(text, issuer, 30);
            (name.issuer, name.account)
        };
        assert_eq!(of("a:b", None), (Some("a".into()), "b".into()));
        assert_eq!(of("a:b", Some("c")), (Some("c".into()), "a:b".into()));
        assert_eq!(of(":b", None), (None, ":b".into()));
        assert_eq!(of("b", None), (None, "b".into()));
    }
}
