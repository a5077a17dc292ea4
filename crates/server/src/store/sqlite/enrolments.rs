//! Enrolments.
//!
//! A pending enrolment already owns the row of its credential, in a state in which nothing
//! validates: its public id is taken, and becoming active moves no secret.

use rusqlite::{Connection, Row};
use tapkey_domain::{
    Moment,
    audit::Action,
    enrol::{Caller, Confirmation, EnrolError, State},
    id::{CredentialId, EnrolmentId, TenantId, TokenId},
};
use tapkey_protocol::{
    otp::{Counter, PublicId, Timestamp},
    secret::Secret,
};

use super::{SqliteStore, StoreError, accounts, audit, columns, keys, secrets};
use crate::{
    random,
    store::{Attempt, EnrolmentRow, EnrolmentSecrets, KeyRow, NewEnrolment, Password, Scope, sealed},
    vault::Vault,
};

const ROWS: &str = "
    SELECT id, creator, request_id, request_hash, state, confirmed_by, credential, account_name,
           public_id, slot, serial, created_at, expires_at
    FROM enrolments WHERE tenant = ?";

const PENDING: i64 = 0;
const ACTIVE: i64 = 1;
const ABANDONED: i64 = 2;
const EXPIRED: i64 = 3;

impl SqliteStore {
    pub(crate) async fn create_enrolment(
        &self,
        scope: Scope,
        caller: Caller,
        new: NewEnrolment,
    ) -> Result<EnrolmentSecrets, StoreError> {
        self.write(move |db, vault| match same_request(db, &scope, caller, &new)? {
            Some(enrolment) => repeat(db, vault, &scope, caller, &new, &enrolment),
            None => create(db, vault, &scope, caller, &new),
        })
        .await
    }

    pub(crate) async fn enrolment(
        &self,
        tenant: TenantId,
        id: EnrolmentId,
    ) -> Result<Option<EnrolmentRow>, StoreError> {
        self.read(move |db, _| one(db, tenant, id)).await
    }

    pub(crate) async fn confirm_enrolment(
        &self,
        scope: Scope,
        attempt: Attempt,
    ) -> Result<KeyRow, StoreError> {
        self.write(move |db, vault| confirm(db, vault, &scope, &attempt)).await
    }

    pub(crate) async fn confirm_by_password(
        &self,
        scope: Scope,
        password: Password,
    ) -> Result<KeyRow, StoreError> {
        self.write(move |db, vault| {
            let public_id = password.otp.public_id();
            let enrolment = newest(db, scope.tenant, public_id)?.ok_or(EnrolError::NotFound)?;
            let Password { caller, otp, otp_hash } = password;
            confirm(db, vault, &scope, &Attempt { enrolment: enrolment.id, caller, otp, otp_hash })
        })
        .await
    }

    pub(crate) async fn abandon_enrolment(
        &self,
        scope: Scope,
        caller: Caller,
        id: EnrolmentId,
    ) -> Result<(), StoreError> {
        self.write(move |db, vault| {
            let enrolment = one(db, scope.tenant, id)?.ok_or(EnrolError::NotFound)?;
            if enrolment.rules().abandon(caller)? {
                forget(db, vault, &scope, &enrolment, ABANDONED)?;
            }
            Ok(())
        })
        .await
    }

    pub(crate) async fn enrolment_access_code(
        &self,
        scope: Scope,
        id: EnrolmentId,
    ) -> Result<Secret<6>, StoreError> {
        self.write(move |db, vault| {
            let enrolment = one(db, scope.tenant, id)?.ok_or(EnrolError::NotFound)?;
            let code = code(db, vault, scope.tenant, &enrolment)?;
            let event = scope.event(Action::AccessCodeRead).account(&enrolment.account);
            audit::insert(db, &scope, &event.key(enrolment.credential).subject(id))?;
            Ok(code)
        })
        .await
    }

    pub(crate) async fn expire_enrolments(&self, scope: Scope) -> Result<u64, StoreError> {
        self.write(move |db, vault| {
            let sql = format!("{ROWS} AND state = 0 AND expires_at <= ? LIMIT 1000");
            let mut statement = db.prepare_cached(&sql)?;
            let mut rows = statement.query((scope.tenant.get(), columns::time(scope.now)))?;
            let mut expired = Vec::new();
            while let Some(found) = rows.next()? {
                expired.push(row(found)?);
            }
            for enrolment in &expired {
                forget(db, vault, &scope, enrolment, EXPIRED)?;
            }
            Ok(u64::try_from(expired.len()).unwrap_or_default())
        })
        .await
    }
}

fn same_request(
    db: &Connection,
    scope: &Scope,
    caller: Caller,
    new: &NewEnrolment,
) -> Result<Option<EnrolmentRow>, StoreError> {
    let sql = format!("{ROWS} AND creator = ? AND request_id = ?");
    columns::one(db, &sql, (scope.tenant.get(), caller.token.get(), new.request_id.as_str()), row)
}

/// The request was made before: the same secrets again, if they may still be told.
fn repeat(
    db: &Connection,
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
    let (secret, access_code) =
        secrets::read(db, vault, scope.tenant, enrolment.credential)?.ok_or(EnrolError::NotFound)?;
    let event = scope.event(Action::EnrolmentRepeated).account(&enrolment.account);
    audit::insert(db, scope, &event.key(enrolment.credential).subject(enrolment.id))?;
    Ok(EnrolmentSecrets {
        id: enrolment.id,
        public_id: enrolment.public_id,
        secret,
        access_code,
        expires_at: enrolment.expires_at,
    })
}

fn create(
    db: &Connection,
    vault: &Vault,
    scope: &Scope,
    caller: Caller,
    new: &NewEnrolment,
) -> Result<EnrolmentSecrets, StoreError> {
    let account = match accounts::find_active(db, scope.tenant, new.account.as_str()) {
        Err(StoreError::AccountNotFound) if new.create_account => accounts::insert(db, scope, &new.account)?,
        found => found?,
    };
    let public_id = choose_public_id(db, vault, scope, caller, new.public_id)?;
    let (secret, access_code) = secrets::draw(new.access_code)?;
    let credential = CredentialId::from_random(random::bytes()?);
    db.prepare_cached(
        "INSERT INTO credentials (id, tenant, account, public_id, state, generation, counter, slot, serial,
                                  firmware, emulated, label, created_at)
         VALUES (?, ?, ?, ?, 0, 1, -1, ?, ?, ?, ?, ?, ?)",
    )?
    .execute((
        credential.get(),
        scope.tenant.get(),
        account.get(),
        public_id.as_bytes(),
        new.slot,
        new.serial,
        new.firmware.as_ref().map(|firmware| firmware.as_str()),
        i64::from(new.emulated),
        new.label.as_ref().map(|label| label.as_str()),
        columns::time(scope.now),
    ))?;
    secrets::insert(db, vault, scope.tenant, credential, &secret, access_code.as_ref())?;
    let id = EnrolmentId::from_random(random::bytes()?);
    db.prepare_cached(
        "INSERT INTO enrolments (id, tenant, creator, request_id, request_hash, state, credential, account_name,
                                 public_id, slot, serial, created_at, expires_at)
         VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute((
        id.get(),
        scope.tenant.get(),
        caller.token.get(),
        new.request_id.as_str(),
        new.request_hash,
        credential.get(),
        new.account.as_str(),
        public_id.as_bytes(),
        new.slot,
        new.serial,
        columns::time(scope.now),
        columns::time(new.expires_at),
    ))?;
    let event = scope.event(Action::EnrolmentCreated).account(&new.account).key(credential);
    audit::insert(db, scope, &event.subject(id).detail(public_id))?;
    Ok(EnrolmentSecrets { id, public_id, secret, access_code, expires_at: new.expires_at })
}

/// The public id that was asked for, if it is free, or a free one.
fn choose_public_id(
    db: &Connection,
    vault: &Vault,
    scope: &Scope,
    caller: Caller,
    wanted: Option<PublicId>,
) -> Result<PublicId, StoreError> {
    if let Some(public_id) = wanted {
        release_expired(db, vault, scope, caller, public_id)?;
        return if is_taken(db, scope, public_id)? { Err(StoreError::PublicIdTaken) } else { Ok(public_id) };
    }
    loop {
        let public_id = sealed::draw_public_id()?;
        if !is_taken(db, scope, public_id)? {
            return Ok(public_id);
        }
    }
}

/// A pending enrolment whose time is over does not hold its public id any longer.
pub(super) fn release_expired(
    db: &Connection,
    vault: &Vault,
    scope: &Scope,
    caller: Caller,
    public_id: PublicId,
) -> Result<(), StoreError> {
    let sql = format!("{ROWS} AND state = 0 AND public_id = ?");
    let Some(pending) = columns::one(db, &sql, (scope.tenant.get(), public_id.as_bytes()), row)? else {
        return Ok(());
    };
    if pending.rules().state_at(scope.now) == State::Expired {
        return forget(db, vault, scope, &pending, EXPIRED);
    }
    // Whose enrolment it is only its creator learns.
    if pending.rules().visible_to(caller) {
        return Err(StoreError::PublicIdPending(pending.id));
    }
    Ok(())
}

pub(super) fn is_taken(db: &Connection, scope: &Scope, public_id: PublicId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM credentials WHERE tenant = ? AND public_id = ?";
    Ok(columns::one(db, sql, (scope.tenant.get(), public_id.as_bytes()), |_| Ok(()))?.is_some())
}

fn confirm(db: &Connection, vault: &Vault, scope: &Scope, attempt: &Attempt) -> Result<KeyRow, StoreError> {
    let enrolment = one(db, scope.tenant, attempt.enrolment)?.ok_or(EnrolError::NotFound)?;
    let secret = secrets::read(db, vault, scope.tenant, enrolment.credential)?.map(|(secret, _)| secret);
    let floor = match &secret {
        Some(secret) => {
            let fingerprint = secrets::fingerprint(vault, secret)?;
            let mark = keys::high_water_mark(db, scope.tenant, enrolment.public_id, &fingerprint)?;
            // What was typed at a station is spent although it activated nothing.
            mark.max(keys::counter(db, enrolment.credential)?)
        }
        None => None,
    };
    let Attempt { caller, otp, otp_hash, .. } = attempt;
    let confirmation =
        enrolment.rules().confirm(*caller, otp, *otp_hash, secret.as_ref(), floor, scope.now)?;
    if let Confirmation::Activate { counter, timestamp, confirmed_by } = confirmation {
        // An account that was disabled meanwhile gets no new key.
        accounts::find_active(db, scope.tenant, &enrolment.account)?;
        activate(db, scope, &enrolment, counter, timestamp, &confirmed_by)?;
        let event = scope.event(Action::EnrolmentConfirmed).account(&enrolment.account);
        audit::insert(db, scope, &event.key(enrolment.credential).subject(enrolment.id))?;
    }
    keys::existing(db, scope.tenant, enrolment.credential)
}

/// Makes a pending credential active. The password is spent in the same statement.
pub(super) fn activate(
    db: &Connection,
    scope: &Scope,
    enrolment: &EnrolmentRow,
    counter: Counter,
    timestamp: Timestamp,
    confirmed_by: &[u8; 32],
) -> Result<(), StoreError> {
    let now = columns::time(scope.now);
    let changed = db
        .prepare_cached(
            "UPDATE credentials SET state = 1, generation = generation + 1, counter = ?, last_timestamp = ?,
                    last_used_at = ?, created_at = ? WHERE id = ? AND state = 0",
        )?
        .execute((counter.value(), timestamp.value(), now, now, enrolment.credential.get()))?;
    if changed != 1 {
        return Err(EnrolError::NotFound.into());
    }
    db.prepare_cached("UPDATE enrolments SET state = ?, confirmed_by = ? WHERE id = ?")?.execute((
        ACTIVE,
        confirmed_by,
        enrolment.id.get(),
    ))?;
    Ok(())
}

/// Gives up what an earlier import left pending.
pub(super) fn withdraw(
    db: &Connection,
    vault: &Vault,
    scope: &Scope,
    enrolment: &EnrolmentRow,
) -> Result<(), StoreError> {
    forget(db, vault, scope, enrolment, ABANDONED)
}

/// Ends a pending enrolment: its credential and secrets go, the record of it stays.
fn forget(
    db: &Connection,
    vault: &Vault,
    scope: &Scope,
    enrolment: &EnrolmentRow,
    state: i64,
) -> Result<(), StoreError> {
    keys::leave_tombstone(db, vault, scope, enrolment.credential, enrolment.public_id)?;
    keep_code(db, vault, scope, enrolment)?;
    db.prepare_cached("DELETE FROM credentials WHERE id = ? AND state = 0")?
        .execute([enrolment.credential.get()])?;
    db.prepare_cached("UPDATE enrolments SET state = ? WHERE id = ?")?
        .execute((state, enrolment.id.get()))?;
    let action = if state == EXPIRED { Action::EnrolmentExpired } else { Action::EnrolmentAbandoned };
    Ok(audit::insert(db, scope, &scope.event(action).account(&enrolment.account).subject(enrolment.id))?)
}

fn one(db: &Connection, tenant: TenantId, id: EnrolmentId) -> Result<Option<EnrolmentRow>, StoreError> {
    columns::one(db, &format!("{ROWS} AND id = ?"), (tenant.get(), id.get()), row)
}

/// A slot may be protected with the access code already.
fn keep_code(
    db: &Connection,
    vault: &Vault,
    scope: &Scope,
    enrolment: &EnrolmentRow,
) -> Result<(), StoreError> {
    let stored = secrets::read(db, vault, scope.tenant, enrolment.credential)?;
    let Some((_, Some(code))) = stored else { return Ok(()) };
    let (data_key, sealed) = sealed::seal_code(vault, scope.tenant, enrolment.id, &code)?;
    db.prepare_cached(
        "INSERT OR REPLACE INTO enrolment_codes (enrolment, tenant, data_key, access_code) VALUES (?, ?, ?, ?)",
    )?
    .execute((enrolment.id.get(), scope.tenant.get(), data_key, sealed))?;
    Ok(())
}

fn code(
    db: &Connection,
    vault: &Vault,
    tenant: TenantId,
    enrolment: &EnrolmentRow,
) -> Result<Secret<6>, StoreError> {
    if let Some((_, Some(code))) = secrets::read(db, vault, tenant, enrolment.credential)? {
        return Ok(code);
    }
    let sql = "SELECT data_key, access_code FROM enrolment_codes WHERE enrolment = ? AND tenant = ?";
    let kept = columns::one(db, sql, (enrolment.id.get(), tenant.get()), |row| {
        let (data_key, sealed): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
        sealed::unseal_code(vault, tenant, enrolment.id, &data_key, &sealed)
    })?;
    kept.ok_or(StoreError::NoAccessCode)
}

/// The enrolment of a public id that waits for a password, or else the newest one.
fn newest(
    db: &Connection,
    tenant: TenantId,
    public_id: PublicId,
) -> Result<Option<EnrolmentRow>, StoreError> {
    let sql = format!("{ROWS} AND public_id = ? ORDER BY state <> 0, created_at DESC, id LIMIT 1");
    columns::one(db, &sql, (tenant.get(), public_id.as_bytes()), row)
}

/// The pending enrolment of a credential.
pub(super) fn pending_of(
    db: &Connection,
    tenant: TenantId,
    credential: CredentialId,
) -> Result<Option<EnrolmentRow>, StoreError> {
    let sql = format!("{ROWS} AND credential = ? AND state = 0");
    columns::one(db, &sql, (tenant.get(), credential.get()), row)
}

fn row(row: &Row<'_>) -> Result<EnrolmentRow, StoreError> {
    let confirmed_by: Option<Vec<u8>> = row.get(5)?;
    let state = match (row.get::<_, i64>(4)?, confirmed_by) {
        (PENDING, _) => State::Pending,
        (ACTIVE, Some(hash)) => State::Active { confirmed_by: columns::hash(&hash, "confirmed_by")? },
        (ABANDONED, _) => State::Abandoned,
        (EXPIRED, _) => State::Expired,
        _ => return Err(StoreError::Corrupt("state")),
    };
    let serial: Option<i64> = row.get(10)?;
    let moment = |index| -> Result<Moment, StoreError> { Ok(columns::moment(row.get(index)?)) };
    Ok(EnrolmentRow {
        id: EnrolmentId::new(row.get(0)?),
        creator: TokenId::new(row.get(1)?),
        request_id: row.get(2)?,
        request_hash: columns::hash(&row.get::<_, Vec<u8>>(3)?, "request_hash")?,
        state,
        credential: CredentialId::new(row.get(6)?),
        account: row.get(7)?,
        public_id: columns::public_id(&row.get::<_, Vec<u8>>(8)?)?,
        slot: columns::number(row.get(9)?, "slot")?,
        serial: serial.map(|serial| columns::number(serial, "serial")).transpose()?,
        created_at: moment(11)?,
        expires_at: moment(12)?,
    })
}
