//! Validating a password, from either interface.

use std::sync::{Arc, Mutex, PoisonError};

use tapkey_domain::{
    Moment,
    delay::{Deviation, Seen},
    id::TenantId,
    verify::{self, Client, Credential, Outcome},
};
use tapkey_protocol::{
    otp::{Otp, PublicId, Token},
    validation::{ClientId, Nonce, Status},
};

use super::cache::{Cache, Lookup, Ticket};
use crate::{
    config::Delayed,
    store::{Store, StoreError},
};

/// How long a client's record is kept in memory. A client that is disabled through this server is
/// forgotten at once; this bounds what another node may not have heard of.
const CLIENT_MAX_AGE_MILLIS: u64 = 5_000;
const CLIENTS: usize = 16_384;
/// How long a key's record is kept. However old it is, the store refuses a decision that was made
/// on one that has changed since.
const KEY_MAX_AGE_MILLIS: u64 = 600_000;
/// A password that a record of at least this age does not open is tried on a fresh one.
const RELOAD_AFTER_MILLIS: u64 = 1_000;
/// How often a decision is made anew because its records changed meanwhile.
const ATTEMPTS: u32 = 4;

/// Validates passwords.
#[derive(Debug)]
pub(crate) struct Validator {
    keys: Cache<(TenantId, PublicId), Arc<Known>>,
    clients: Cache<ClientId, Arc<Client>>,
    delayed: Delayed,
}

/// A key's record in memory.
#[derive(Debug)]
struct Known {
    credential: Credential,
    /// The newest password this process accepted, for the comparison of clocks.
    last: Mutex<Option<Seen>>,
}

/// What became of a password.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) status: Status,
    /// What was inside, where it is the key's.
    pub(crate) token: Option<Token>,
    key: Option<Arc<Known>>,
}

impl Verdict {
    /// The key that typed it, where it is one of that key's.
    pub(crate) fn credential(&self) -> Option<&Credential> {
        self.key.as_ref().map(|known| &known.credential)
    }

    const fn bad_otp() -> Self {
        Self { status: Status::BadOtp, token: None, key: None }
    }
}

impl Validator {
    pub(crate) fn new(cached_keys: usize, delayed: Delayed) -> Self {
        Self {
            keys: Cache::new(cached_keys, KEY_MAX_AGE_MILLIS),
            clients: Cache::new(CLIENTS, CLIENT_MAX_AGE_MILLIS),
            delayed,
        }
    }

    /// A client of the validation protocol; `None` where there is none, or it is disabled.
    pub(crate) async fn client(
        &self,
        store: &Store,
        id: ClientId,
        now: Moment,
    ) -> Result<Option<Arc<Client>>, StoreError> {
        let ticket = match self.clients.get(&id, now) {
            Lookup::Hit(client, _) => return Ok(Some(client)),
            Lookup::Miss(ticket) => ticket,
        };
        let Some(client) = store.client(id).await?.filter(|client| client.enabled) else { return Ok(None) };
        let client = Arc::new(client);
        self.clients.put(ticket, id, Arc::clone(&client), now);
        Ok(Some(client))
    }

    /// Decides over a password and spends it if it is acceptable. With an `account`, only that
    /// account's keys count.
    pub(crate) async fn verify(
        &self,
        store: &Store,
        tenant: TenantId,
        otp: &Otp,
        nonce: Option<&Nonce>,
        account: Option<&str>,
        now: Moment,
    ) -> Result<Verdict, StoreError> {
        let place = (tenant, otp.public_id());
        for _ in 0..ATTEMPTS {
            let Some((known, token)) = self.open(store, place, otp, now).await? else {
                return Ok(Verdict::bad_otp());
            };
            if account.is_some_and(|account| account != known.credential.account_name) {
                return Ok(Verdict::bad_otp());
            }
            let advance = verify::advance(&known.credential, &token, nonce.cloned(), now);
            let seen = advance.seen();
            let outcome = store.advance(advance).await?;
            if matches!(outcome, Outcome::Stale | Outcome::Disabled) {
                self.keys.forget(&place);
            }
            let Some(mut status) = outcome.status() else { continue };
            if outcome == Outcome::Accepted
                && known.kept_back(seen, self.delayed)
                && self.delayed == Delayed::Refuse
            {
                // It is spent all the same, so nobody can try it again later.
                status = Status::DelayedOtp;
            }
            // A key that was disabled meanwhile is told from an unknown one no more than before.
            return Ok(match status {
                Status::BadOtp => Verdict::bad_otp(),
                status => Verdict { status, token: Some(token), key: Some(known) },
            });
        }
        // Somebody changes this key all the time.
        Ok(Verdict { status: Status::BackendError, token: None, key: None })
    }

    /// Forgets a key that was changed.
    pub(crate) fn forget_key(&self, tenant: TenantId, public_id: PublicId) {
        self.keys.forget(&(tenant, public_id));
    }

    /// Forgets every key, because an account was changed.
    pub(crate) fn forget_keys(&self) {
        self.keys.clear();
    }

    /// Forgets a client that was changed.
    pub(crate) fn forget_client(&self, id: ClientId) {
        self.clients.forget(&id);
    }

    /// Finds the key of a password and decrypts it.
    async fn open(
        &self,
        store: &Store,
        place: (TenantId, PublicId),
        otp: &Otp,
        now: Moment,
    ) -> Result<Option<(Arc<Known>, Token)>, StoreError> {
        let ticket = match self.keys.get(&place, now) {
            Lookup::Miss(ticket) => ticket,
            Lookup::Hit(known, read_at) => {
                if let Some(token) = verify::open(otp, &known.credential) {
                    return Ok(Some((known, token)));
                }
                if now.millis_since(read_at) < RELOAD_AFTER_MILLIS {
                    return Ok(None);
                }
                // Another node may have given the public id to another key.
                self.keys.forget(&place);
                match self.keys.get(&place, now) {
                    Lookup::Miss(ticket) => ticket,
                    Lookup::Hit(..) => return Ok(None),
                }
            }
        };
        let Some(known) = self.load(store, place, ticket, now).await? else { return Ok(None) };
        Ok(verify::open(otp, &known.credential).map(|token| (known, token)))
    }

    async fn load(
        &self,
        store: &Store,
        place: (TenantId, PublicId),
        ticket: Ticket,
        now: Moment,
    ) -> Result<Option<Arc<Known>>, StoreError> {
        let Some(credential) = store.credential(place.0, place.1).await? else { return Ok(None) };
        let enabled = credential.enabled;
        let known = Arc::new(Known { last: Mutex::new(credential.last), credential });
        if enabled {
            // Disabled ones are read every time, so that enabling takes effect at once.
            self.keys.put(ticket, place, Arc::clone(&known), now);
        }
        Ok(Some(known))
    }
}

impl Known {
    /// Whether a password seems to have been kept back; the log says so.
    fn kept_back(&self, seen: Seen, policy: Delayed) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = last.replace(seen);
        drop(last);
        let Some(deviation) = earlier.and_then(|earlier| Deviation::between(&earlier, &seen)) else {
            return false;
        };
        tracing::warn!(
            public_id = %self.credential.public_id,
            token_seconds = deviation.token_seconds,
            clock_seconds = deviation.clock_seconds,
            refused = policy == Delayed::Refuse,
            "the key of a fresh password disagrees with our clock: it may have been kept back"
        );
        true
    }
}
