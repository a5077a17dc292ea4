//! Enrolments.
//!
//! A pending enrolment already owns the row of its credential, in a state in which nothing
//! validates: its public id is taken, and becoming active moves no secret.

use tapkey_domain::{
    audit::Action,
    enrol::{Caller, Confirmation, EnrolError, State},
    id::{CredentialId, EnrolmentId, TenantId, TokenId},
};
use tapkey_protocol::{
    otp::{Counter, PublicId, Timestamp},
    secret::Secret,
};

use super::{
    PostgresStore, StoreError, accounts, audit, keys,
    pool::{change, query},
    secrets,
    sql::{Columns, Db, boolean, bytes, int2, int8, text},
};
use crate::{
    random,
    store::{Attempt, EnrolmentRow, EnrolmentSecrets, KeyRow, NewEnrolment, Password, Scope, sealed, values},
    vault::Vault,
};

const ROWS: &str = "
    SELECT id, creator, request_id, request_hash, state, confirmed_by, credential, account_name,
           public_id, slot, serial, created_at, expires_at
    FROM enrolments WHERE tenant = $1";

const PENDING: i16 = 0;
const ACTIVE: i16 = 1;
const ABANDONED: i16 = 2;
const EXPIRED: i16 = 3;

impl PostgresStore {
    pub(crate) async fn create_enrolment(
        &self,
        scope: Scope,
        caller: Caller,
        new: NewEnrolment,
    ) -> Result<EnrolmentSecrets, StoreError> {
        change!(self, |db| {
            match same_request(&db, &scope, caller, &new).await? {
                Some(enrolment) => repeat(&db, &self.vault, &scope, caller, &new, &enrolment).await,
                None => create(&db, &self.vault, &scope, caller, &new).await,
            }
        })
    }

    pub(crate) async fn enrolment(
        &self,
        tenant: TenantId,
        id: EnrolmentId,
    ) -> Result<Option<EnrolmentRow>, StoreError> {
        query!(self, |db| { one(&db, tenant, id).await })
    }

    pub(crate) async fn confirm_enrolment(
        &self,
        scope: Scope,
        attempt: Attempt,
    ) -> Result<KeyRow, StoreError> {
        change!(self, |db| { confirm(&db, &self.vault, &scope, &attempt).await })
    }

    pub(crate) async fn confirm_by_password(
        &self,
        scope: Scope,
        password: Password,
    ) -> Result<KeyRow, StoreError> {
        let Password { caller, otp, otp_hash } = password;
        change!(self, |db| {
            let found = newest(&db, scope.tenant, otp.public_id()).await?.ok_or(EnrolError::NotFound)?;
            let attempt = Attempt { enrolment: found.id, caller, otp, otp_hash };
            confirm(&db, &self.vault, &scope, &attempt).await
        })
    }

    pub(crate) async fn abandon_enrolment(
        &self,
        scope: Scope,
        caller: Caller,
        id: EnrolmentId,
    ) -> Result<(), StoreError> {
        change!(self, |db| {
            let enrolment = one(&db, scope.tenant, id).await?.ok_or(EnrolError::NotFound)?;
            if enrolment.rules().abandon(caller)? {
                forget(&db, &self.vault, &scope, &enrolment, ABANDONED).await?;
            }
            Ok(())
        })
    }

    pub(crate) async fn enrolment_access_code(
        &self,
        scope: Scope,
        id: EnrolmentId,
    ) -> Result<Secret<6>, StoreError> {
        change!(self, |db| {
            let enrolment = one(&db, scope.tenant, id).await?.ok_or(EnrolError::NotFound)?;
            let code = code(&db, &self.vault, scope.tenant, &enrolment).await?;
            let event = scope.event(Action::AccessCodeRead).account(&enrolment.account);
            audit::insert(&db, &scope, &event.key(enrolment.credential).subject(id)).await?;
            Ok(code)
        })
    }

    pub(crate) async fn expire_enrolments(&self, scope: Scope) -> Result<u64, StoreError> {
        let (tenant, now) = (scope.tenant.get(), values::time(scope.now));
        let sql = format!("{ROWS} AND state = 0 AND expires_at <= $2 LIMIT 1000");
        change!(self, |db| {
            let expired = db.all(&sql, &[int8(&tenant), int8(&now)], row).await?;
            for enrolment in &expired {
                forget(&db, &self.vault, &scope, enrolment, EXPIRED).await?;
            }
            Ok(u64::try_from(expired.len()).unwrap_or_default())
        })
    }
}

async fn same_request(
    db: &Db<'_>,
    scope: &Scope,
    caller: Caller,
    new: &NewEnrolment,
) -> Result<Option<EnrolmentRow>, StoreError> {
    let sql = format!("{ROWS} AND creator = $2 AND request_id = $3");
    let (tenant, creator, request_id) = (scope.tenant.get(), caller.token.get(), new.request_id.as_str());
    db.one(&sql, &[int8(&tenant), int8(&creator), text(&request_id)], row).await
}

/// The request was made before: the same secrets again, if they may still be told.
async fn repeat(
    db: &Db<'_>,
    vault: &Vault,
    scope: &Scope,
    caller: Caller,
    new: &NewEnrolment,
    enrolment: &EnrolmentRow,
) -> Result<EnrolmentSecrets, StoreError> {
    if enrolment.request_hash != new.request_hash {
        return Err(StoreError::RequestIdReused);
    }
    enrolment.rules().deliver(caller, scope.now)?;
    let found = secrets::read(db, vault, scope.tenant, enrolment.credential).await?;
    let (secret, access_code) = found.ok_or(EnrolError::NotFound)?;
    let event = scope.event(Action::EnrolmentRepeated).account(&enrolment.account);
    audit::insert(db, scope, &event.key(enrolment.credential).subject(enrolment.id)).await?;
    Ok(EnrolmentSecrets {
        id: enrolment.id,
        public_id: enrolment.public_id,
        secret,
        access_code,
        expires_at: enrolment.expires_at,
    })
}

async fn create(
    db: &Db<'_>,
    vault: &Vault,
    scope: &Scope,
    caller: Caller,
    new: &NewEnrolment,
) -> Result<EnrolmentSecrets, StoreError> {
    let account = match accounts::find_active(db, scope.tenant, new.account.as_str()).await {
        Err(StoreError::AccountNotFound) if new.create_account => {
            accounts::insert(db, scope, &new.account).await?
        }
        found => found?,
    };
    let public_id = choose_public_id(db, vault, scope, caller, new.public_id).await?;
    let (secret, access_code) = sealed::draw(new.access_code)?;
    let credential = CredentialId::from_random(random::bytes()?);
    insert_credential(db, scope, new, credential, account.get(), public_id).await?;
    secrets::insert(db, vault, scope.tenant, credential, &secret, access_code.as_ref()).await?;
    let id = EnrolmentId::from_random(random::bytes()?);
    insert_enrolment(db, scope, caller, new, id, credential, public_id).await?;
    let event = scope.event(Action::EnrolmentCreated).account(&new.account).key(credential);
    audit::insert(db, scope, &event.subject(id).detail(public_id)).await?;
    Ok(EnrolmentSecrets { id, public_id, secret, access_code, expires_at: new.expires_at })
}

async fn insert_credential(
    db: &Db<'_>,
    scope: &Scope,
    new: &NewEnrolment,
    credential: CredentialId,
    account: i64,
    public_id: PublicId,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO credentials (id, tenant, account, public_id, state, generation, counter, slot,
                                        serial, firmware, emulated, label, created_at)
               VALUES ($1, $2, $3, $4, 0, 1, -1, $5, $6, $7, $8, $9, $10)";
    let (id, tenant, public_id) = (credential.get(), scope.tenant.get(), public_id.as_bytes());
    let (slot, serial, now) = (i16::from(new.slot), new.serial.map(i64::from), values::time(scope.now));
    let firmware = new.firmware.as_ref().map(|firmware| firmware.as_str());
    let label = new.label.as_ref().map(|label| label.as_str());
    let params = [
        int8(&id),
        int8(&tenant),
        int8(&account),
        bytes(&public_id),
        int2(&slot),
        int8(&serial),
        text(&firmware),
        boolean(&new.emulated),
        text(&label),
        int8(&now),
    ];
    db.execute(sql, &params).await.map(drop)
}

async fn insert_enrolment(
    db: &Db<'_>,
    scope: &Scope,
    caller: Caller,
    new: &NewEnrolment,
    id: EnrolmentId,
    credential: CredentialId,
    public_id: PublicId,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO enrolments (id, tenant, creator, request_id, request_hash, state, credential,
                                       account_name, public_id, slot, serial, created_at, expires_at)
               VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8, $9, $10, $11, $12)";
    let (id, tenant, creator) = (id.get(), scope.tenant.get(), caller.token.get());
    let (request_id, request_hash) = (new.request_id.as_str(), new.request_hash.as_slice());
    let (credential, account, public_id) = (credential.get(), new.account.as_str(), public_id.as_bytes());
    let (slot, serial) = (i16::from(new.slot), new.serial.map(i64::from));
    let (now, expires_at) = (values::time(scope.now), values::time(new.expires_at));
    let params = [
        int8(&id),
        int8(&tenant),
        int8(&creator),
        text(&request_id),
        bytes(&request_hash),
        int8(&credential),
        text(&account),
        bytes(&public_id),
        int2(&slot),
        int8(&serial),
        int8(&now),
        int8(&expires_at),
    ];
    db.execute(sql, &params).await.map(drop)
}

/// The public id that was asked for, if it is free, or a free one.
async fn choose_public_id(
    db: &Db<'_>,
    vault: &Vault,
    scope: &Scope,
    caller: Caller,
    wanted: Option<PublicId>,
) -> Result<PublicId, StoreError> {
    if let Some(public_id) = wanted {
        release_expired(db, vault, scope, caller, public_id).await?;
        let taken = is_taken(db, scope, public_id).await?;
        return if taken { Err(StoreError::PublicIdTaken) } else { Ok(public_id) };
    }
    loop {
        let public_id = sealed::draw_public_id()?;
        if !is_taken(db, scope, public_id).await? {
            return Ok(public_id);
        }
    }
}

/// A pending enrolment whose time is over does not hold its public id any longer.
pub(super) async fn release_expired(
    db: &Db<'_>,
    vault: &Vault,
    scope: &Scope,
    caller: Caller,
    public_id: PublicId,
) -> Result<(), StoreError> {
    let sql = format!("{ROWS} AND state = 0 AND public_id = $2");
    let (tenant, id) = (scope.tenant.get(), public_id.as_bytes());
    let Some(pending) = db.one(&sql, &[int8(&tenant), bytes(&id)], row).await? else {
        return Ok(());
    };
    if pending.rules().state_at(scope.now) == State::Expired {
        return forget(db, vault, scope, &pending, EXPIRED).await;
    }
    // Whose enrolment it is only its creator learns.
    if pending.rules().visible_to(caller) {
        return Err(StoreError::PublicIdPending(pending.id));
    }
    Ok(())
}

pub(super) async fn is_taken(db: &Db<'_>, scope: &Scope, public_id: PublicId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM credentials WHERE tenant = $1 AND public_id = $2";
    let (tenant, id) = (scope.tenant.get(), public_id.as_bytes());
    db.exists(sql, &[int8(&tenant), bytes(&id)]).await
}

async fn confirm(db: &Db<'_>, vault: &Vault, scope: &Scope, attempt: &Attempt) -> Result<KeyRow, StoreError> {
    let enrolment = one(db, scope.tenant, attempt.enrolment).await?.ok_or(EnrolError::NotFound)?;
    let found = secrets::read(db, vault, scope.tenant, enrolment.credential).await?;
    let secret = found.map(|(secret, _)| secret);
    let floor = match &secret {
        Some(secret) => {
            let fingerprint = sealed::fingerprint(vault, secret)?;
            let mark = keys::high_water_mark(db, scope.tenant, enrolment.public_id, &fingerprint).await?;
            // What was typed at a station is spent although it activated nothing.
            mark.max(keys::counter(db, enrolment.credential).await?)
        }
        None => None,
    };
    let Attempt { caller, otp, otp_hash, .. } = attempt;
    let confirmation =
        enrolment.rules().confirm(*caller, otp, *otp_hash, secret.as_ref(), floor, scope.now)?;
    if let Confirmation::Activate { counter, timestamp, confirmed_by } = confirmation {
        // An account that was disabled meanwhile gets no new key.
        accounts::find_active(db, scope.tenant, &enrolment.account).await?;
        activate(db, scope, &enrolment, counter, timestamp, &confirmed_by).await?;
        let event = scope.event(Action::EnrolmentConfirmed).account(&enrolment.account);
        audit::insert(db, scope, &event.key(enrolment.credential).subject(enrolment.id)).await?;
    }
    keys::existing(db, scope.tenant, enrolment.credential).await
}

/// Makes a pending credential active. The password is spent in the same statement.
pub(super) async fn activate(
    db: &Db<'_>,
    scope: &Scope,
    enrolment: &EnrolmentRow,
    counter: Counter,
    timestamp: Timestamp,
    confirmed_by: &[u8; 32],
) -> Result<(), StoreError> {
    let (counter, ticks) = (i64::from(counter.value()), i64::from(timestamp.value()));
    let (credential, id, now) = (enrolment.credential.get(), enrolment.id.get(), values::time(scope.now));
    let sql = "UPDATE credentials SET state = 1, generation = generation + 1, counter = $1,
                      last_timestamp = $2, last_used_at = $3, created_at = $3 WHERE id = $4 AND state = 0";
    if db.execute(sql, &[int8(&counter), int8(&ticks), int8(&now), int8(&credential)]).await? != 1 {
        return Err(EnrolError::NotFound.into());
    }
    let confirmed_by = confirmed_by.as_slice();
    let sql = "UPDATE enrolments SET state = $1, confirmed_by = $2 WHERE id = $3";
    db.execute(sql, &[int2(&ACTIVE), bytes(&confirmed_by), int8(&id)]).await.map(drop)
}

/// Gives up what an earlier import left pending.
pub(super) async fn withdraw(
    db: &Db<'_>,
    vault: &Vault,
    scope: &Scope,
    enrolment: &EnrolmentRow,
) -> Result<(), StoreError> {
    forget(db, vault, scope, enrolment, ABANDONED).await
}

/// Ends a pending enrolment: its credential and secrets go, the record of it stays.
async fn forget(
    db: &Db<'_>,
    vault: &Vault,
    scope: &Scope,
    enrolment: &EnrolmentRow,
    state: i16,
) -> Result<(), StoreError> {
    keys::leave_tombstone(db, vault, scope, enrolment.credential, enrolment.public_id).await?;
    keep_code(db, vault, scope, enrolment).await?;
    let (credential, id) = (enrolment.credential.get(), enrolment.id.get());
    db.execute("DELETE FROM credentials WHERE id = $1 AND state = 0", &[int8(&credential)]).await?;
    db.execute("UPDATE enrolments SET state = $1 WHERE id = $2", &[int2(&state), int8(&id)]).await?;
    let action = if state == EXPIRED { Action::EnrolmentExpired } else { Action::EnrolmentAbandoned };
    let event = scope.event(action).account(&enrolment.account).subject(enrolment.id);
    audit::insert(db, scope, &event).await
}

/// A slot may be protected with the access code already.
async fn keep_code(
    db: &Db<'_>,
    vault: &Vault,
    scope: &Scope,
    enrolment: &EnrolmentRow,
) -> Result<(), StoreError> {
    let stored = secrets::read(db, vault, scope.tenant, enrolment.credential).await?;
    let Some((_, Some(code))) = stored else { return Ok(()) };
    let (data_key, sealed) = sealed::seal_code(vault, scope.tenant, enrolment.id, &code)?;
    let (id, tenant) = (enrolment.id.get(), scope.tenant.get());
    let sql = "INSERT INTO enrolment_codes (enrolment, tenant, data_key, access_code)
               VALUES ($1, $2, $3, $4) ON CONFLICT (enrolment) DO NOTHING";
    db.execute(sql, &[int8(&id), int8(&tenant), bytes(&data_key), bytes(&sealed)]).await.map(drop)
}

async fn code(
    db: &Db<'_>,
    vault: &Vault,
    tenant: TenantId,
    enrolment: &EnrolmentRow,
) -> Result<Secret<6>, StoreError> {
    if let Some((_, Some(code))) = secrets::read(db, vault, tenant, enrolment.credential).await? {
        return Ok(code);
    }
    let sql = "SELECT data_key, access_code FROM enrolment_codes WHERE enrolment = $1 AND tenant = $2";
    let (id, owner) = (enrolment.id.get(), tenant.get());
    let params = [int8(&id), int8(&owner)];
    let kept = db.one(sql, &params, |row| {
        let (data_key, sealed): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
        sealed::unseal_code(vault, tenant, enrolment.id, &data_key, &sealed)
    });
    kept.await?.ok_or(StoreError::NoAccessCode)
}

async fn one(db: &Db<'_>, tenant: TenantId, id: EnrolmentId) -> Result<Option<EnrolmentRow>, StoreError> {
    let (tenant, id) = (tenant.get(), id.get());
    db.one(&format!("{ROWS} AND id = $2"), &[int8(&tenant), int8(&id)], row).await
}

/// The enrolment of a public id that waits for a password, or else the newest one.
async fn newest(
    db: &Db<'_>,
    tenant: TenantId,
    public_id: PublicId,
) -> Result<Option<EnrolmentRow>, StoreError> {
    let (tenant, public_id) = (tenant.get(), public_id.as_bytes());
    let sql = format!("{ROWS} AND public_id = $2 ORDER BY (state <> 0), created_at DESC, id LIMIT 1");
    db.one(&sql, &[int8(&tenant), bytes(&public_id)], row).await
}

/// The pending enrolment of a credential.
pub(super) async fn pending_of(
    db: &Db<'_>,
    tenant: TenantId,
    credential: CredentialId,
) -> Result<Option<EnrolmentRow>, StoreError> {
    let (tenant, credential) = (tenant.get(), credential.get());
    db.one(&format!("{ROWS} AND credential = $2 AND state = 0"), &[int8(&tenant), int8(&credential)], row)
        .await
}

fn row(row: &Columns<'_>) -> Result<EnrolmentRow, StoreError> {
    let confirmed_by: Option<&[u8]> = row.get(5)?;
    let state = match (row.get::<i16>(4)?, confirmed_by) {
        (PENDING, _) => State::Pending,
        (ACTIVE, Some(hash)) => State::Active { confirmed_by: values::hash(hash, "confirmed_by")? },
        (ABANDONED, _) => State::Abandoned,
        (EXPIRED, _) => State::Expired,
        _ => return Err(StoreError::Corrupt("state")),
    };
    let serial: Option<i64> = row.get(10)?;
    Ok(EnrolmentRow {
        id: EnrolmentId::new(row.get(0)?),
        creator: TokenId::new(row.get(1)?),
        request_id: row.get(2)?,
        request_hash: values::hash(row.get(3)?, "request_hash")?,
        state,
        credential: CredentialId::new(row.get(6)?),
        account: row.get(7)?,
        public_id: values::public_id(row.get(8)?)?,
        slot: values::number(row.get::<i16>(9)?.into(), "slot")?,
        serial: serial.map(|serial| values::number(serial, "serial")).transpose()?,
        created_at: values::moment(row.get(11)?),
        expires_at: values::moment(row.get(12)?),
    })
}
