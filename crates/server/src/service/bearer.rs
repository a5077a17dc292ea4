//! Bearer tokens: `tapkey_`, 16 hexadecimal digits of id, `_`, 64 hexadecimal digits of secret.
//!
//! Only the SHA-256 of the secret is stored. The id finds the record; the secret is compared in
//! constant time.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tapkey_api::SecretText;
use tapkey_domain::{
    Moment,
    audit::Actor,
    enrol,
    id::{TenantId, TokenId},
    role::Role,
};
use zeroize::Zeroizing;

use super::cache::{Cache, Lookup};
use crate::{
    random::{self, RandomError},
    store::{Scope, Store, StoreError, TokenRecord},
};

/// How long a token's record is kept in memory. A token that is revoked through this server is
/// forgotten at once; this bounds what another node may not have heard of.
const MAX_AGE_MILLIS: u64 = 5_000;
const CAPACITY: usize = 4096;

/// Who makes a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) tenant: TenantId,
    pub(crate) token: TokenId,
    pub(crate) role: Role,
}

impl Caller {
    /// The scope of a change that this caller makes now.
    pub(crate) const fn scope(&self, now: Moment) -> Scope {
        Scope { tenant: self.tenant, actor: Actor::Token(self.token), now }
    }

    /// As the rules of enrolment know it.
    pub(crate) fn enroller(&self) -> enrol::Caller {
        enrol::Caller { token: self.token, admin: self.role == Role::Admin }
    }
}

/// Recognises tokens.
#[derive(Debug)]
pub(crate) struct Bearers {
    records: Cache<TokenId, Arc<TokenRecord>>,
}

impl Bearers {
    pub(crate) fn new() -> Self {
        Self { records: Cache::new(CAPACITY, MAX_AGE_MILLIS) }
    }

    /// Who a token belongs to; `None` where it is unknown, revoked, expired or malformed.
    pub(crate) async fn caller(
        &self,
        store: &Store,
        token: &str,
        now: Moment,
    ) -> Result<Option<Caller>, StoreError> {
        let Some((id, hash)) = parse(token) else { return Ok(None) };
        let record = match self.records.get(&id, now) {
            Lookup::Hit(record, _) => record,
            Lookup::Miss(ticket) => {
                let Some(record) = store.token(id).await? else { return Ok(None) };
                let record = Arc::new(record);
                self.records.put(ticket, id, Arc::clone(&record), now);
                record
            }
        };
        let right = bool::from(record.hash.ct_eq(&hash));
        let fresh = record.expires_at.is_none_or(|expiry| now < expiry);
        let caller = Caller { tenant: record.tenant, token: record.id, role: record.role };
        Ok((right && fresh).then_some(caller))
    }

    /// Forgets a token that was revoked.
    pub(crate) fn forget(&self, id: TokenId) {
        self.records.forget(&id);
    }
}

/// Draws a token: its id, its text, and the hash to store.
pub(crate) fn new_token() -> Result<(TokenId, SecretText, [u8; 32]), RandomError> {
    let id = TokenId::from_random(random::bytes()?);
    let secret = Zeroizing::new(HEXLOWER.encode(&*Zeroizing::new(random::bytes::<32>()?)));
    let hash = Sha256::digest(secret.as_bytes()).into();
    Ok((id, SecretText::new(format!("{PREFIX}{id}_{}", *secret)), hash))
}

const PREFIX: &str = "tapkey_";

fn parse(token: &str) -> Option<(TokenId, [u8; 32])> {
    let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    if secret.len() != 64 {
        return None;
    }
    Some((id.parse().ok()?, Sha256::digest(secret.as_bytes()).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_is_recognised() {
        let (id, text, hash) = new_token().unwrap();
        assert_eq!(parse(text.expose()), Some((id, hash)));
        assert_eq!(text.expose().len(), 88);
    }

    #[test]
    fn other_texts_are_not() {
        let (_, text, _) = new_token().unwrap();
        let text = text.expose();
        for wrong in
            ["", "tapkey_", "Bearer x", &text[1..], &text[..87], &format!("{text}0"), &text.to_uppercase()]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
