//! Bundles of stations: the key that opens them, and the records that become credentials.

use age::secrecy::ExposeSecret;
use rusqlite::Connection;
use tapkey_domain::{
    Moment,
    audit::Action,
    id::{AccountId, CredentialId, EnrolmentId, TenantId},
    import::{Account, Before, Decision, Known, Proof},
};
use tapkey_protocol::otp::Counter;
use zeroize::Zeroizing;

use super::{SqliteStore, StoreError, accounts, audit, columns, enrolments, keys, secrets};
use crate::{
    random,
    store::{BundleIdentity, BundleRecord, Fate, ImportOutcome, Imported, ImportedKey, NewImport, Scope},
    vault::{Record, Vault},
};

const IDENTITY: &str = "identity";

impl SqliteStore {
    pub(crate) async fn bundle_recipient(&self, scope: Scope) -> Result<String, StoreError> {
        self.write(move |db, vault| {
            let sql = "SELECT recipient FROM bundle_keys WHERE tenant = ?";
            match columns::one(db, sql, [scope.tenant.get()], |row| Ok(row.get(0)?))? {
                Some(recipient) => Ok(recipient),
                None => draw_identity(db, vault, &scope),
            }
        })
        .await
    }

    pub(crate) async fn bundle_identity(
        &self,
        tenant: TenantId,
    ) -> Result<Option<BundleIdentity>, StoreError> {
        self.read(move |db, vault| {
            let sql = "SELECT data_key, identity FROM bundle_keys WHERE tenant = ?";
            columns::one(db, sql, [tenant.get()], |row| {
                let (sealed_key, sealed): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
                let plain = vault.open_key(place(tenant), &sealed_key)?.open(IDENTITY, &sealed)?;
                let text = std::str::from_utf8(&plain).map_err(|_| StoreError::Corrupt(IDENTITY))?;
                Ok(BundleIdentity(Zeroizing::new(text.to_owned())))
            })
        })
        .await
    }

    pub(crate) async fn import(&self, scope: Scope, new: NewImport) -> Result<Imported, StoreError> {
        self.write(move |db, vault| import(db, vault, &scope, &new)).await
    }
}

/// Where the identity of a tenant stands.
const fn place(tenant: TenantId) -> Record {
    Record { tenant, table: "bundle_keys", id: tenant.get() }
}

fn draw_identity(db: &Connection, vault: &Vault, scope: &Scope) -> Result<String, StoreError> {
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let (key, sealed_key) = vault.new_key(place(scope.tenant))?;
    let sealed = key.seal(IDENTITY, identity.to_string().expose_secret().as_bytes())?;
    db.prepare_cached(
        "INSERT INTO bundle_keys (tenant, recipient, data_key, identity, created_at) VALUES (?, ?, ?, ?, ?)",
    )?
    .execute((scope.tenant.get(), &recipient, sealed_key, sealed, columns::time(scope.now)))?;
    audit::insert(db, scope, &scope.event(Action::BundleKeyCreated).subject(&recipient))?;
    Ok(recipient)
}

/// Everything is done as if it were for good. What was only asked about, and what holds a record
/// that is refused, is undone as a whole.
fn import(db: &Connection, vault: &Vault, scope: &Scope, new: &NewImport) -> Result<Imported, StoreError> {
    db.execute_batch("SAVEPOINT import")?;
    let outcomes = take_in(db, vault, scope, new);
    let refused = outcomes
        .as_ref()
        .is_ok_and(|outcomes| outcomes.iter().any(|outcome| matches!(outcome, ImportOutcome::Refused(_))));
    let keep = outcomes.is_ok() && !new.dry_run && !refused;
    if !db.is_autocommit() {
        db.execute_batch(if keep { "RELEASE import" } else { "ROLLBACK TO import; RELEASE import" })?;
    }
    outcomes.map(|outcomes| Imported { applied: keep, outcomes })
}

fn take_in(
    db: &Connection,
    vault: &Vault,
    scope: &Scope,
    new: &NewImport,
) -> Result<Vec<ImportOutcome>, StoreError> {
    let mut outcomes = Vec::with_capacity(new.records.len());
    for record in &new.records {
        outcomes.push(take_in_one(db, vault, scope, new, record)?);
    }
    let count = |wanted: fn(&ImportOutcome) -> bool| outcomes.iter().filter(|one| wanted(one)).count();
    let detail = format!(
        "{} active, {} pending, sha256 {}{}",
        count(|one| matches!(one, ImportOutcome::Active(_))),
        count(|one| matches!(one, ImportOutcome::Pending(..))),
        new.sha256,
        if new.trust_station { ", the station was trusted" } else { "" }
    );
    audit::insert(db, scope, &scope.event(Action::BundleImported).subject(&new.bundle).detail(detail))?;
    Ok(outcomes)
}

fn take_in_one(
    db: &Connection,
    vault: &Vault,
    scope: &Scope,
    new: &NewImport,
    record: &BundleRecord,
) -> Result<ImportOutcome, StoreError> {
    let content = vault.fingerprint(record.plain.expose())?;
    let earlier = earlier(db, scope.tenant, &record.id)?;
    if record.fate != Fate::Live {
        // An earlier copy of the bundle may have brought it before this was known.
        if let Some(pending) = earlier.as_ref().and_then(|(_, _, pending)| pending.as_ref()) {
            enrolments::withdraw(db, vault, scope, pending)?;
        }
        return Ok(ImportOutcome::Skipped(record.fate));
    }
    let key = match &record.key {
        Ok(key) => key,
        Err(reason) => return Ok(ImportOutcome::Refused(reason.clone())),
    };
    let before = match &earlier {
        None => Before::Never,
        Some((hash, ..)) if *hash != content => Before::Differs,
        Some((_, _, Some(_))) => Before::Pending,
        Some((_, credential, None)) if is_there(db, *credential)? => Before::Active,
        Some(_) => Before::Gone,
    };
    let fingerprint = secrets::fingerprint(vault, &key.secret)?;
    let known = Known {
        before,
        public_id_taken: is_taken(db, vault, scope, new, key)?,
        high_water_mark: keys::high_water_mark(db, scope.tenant, key.public_id, &fingerprint)?,
        account: account(db, scope, new, key)?,
    };
    let decision = match known.decide(key.proof, new.trust_station) {
        Ok(decision) => decision,
        Err(error) => return Ok(ImportOutcome::Refused(error.to_string())),
    };
    match (decision, earlier) {
        (Decision::Pending { floor }, _) => {
            let credential = insert(db, vault, scope, new, record, key, floor, None)?;
            let enrolment = insert_enrolment(db, scope, new, record, key, credential, &content)?;
            remember(db, scope, new, record, &content, credential)?;
            Ok(ImportOutcome::Pending(credential, enrolment))
        }
        (Decision::Active(proof), _) => {
            let floor = Some(proof.counter);
            let credential = insert(db, vault, scope, new, record, key, floor, Some(proof))?;
            remember(db, scope, new, record, &content, credential)?;
            Ok(ImportOutcome::Active(credential))
        }
        (Decision::Activate(proof), Some((_, credential, Some(pending)))) => {
            enrolments::activate(db, scope, &pending, proof.counter, proof.timestamp, &proof.otp_hash)?;
            tell(db, scope, Action::KeyTrusted, record, key, credential)?;
            Ok(ImportOutcome::Active(credential))
        }
        (Decision::AlreadyImported { floor }, Some((_, credential, pending))) => {
            raise(db, credential, floor)?;
            Ok(ImportOutcome::AlreadyImported(credential, pending.map(|pending| pending.id)))
        }
        (Decision::Gone, _) => Ok(ImportOutcome::Gone),
        _ => Err(StoreError::Corrupt("station_records")),
    }
}

/// What an earlier import of a record left: the hash of its content, its credential, and its
/// enrolment if that still waits.
type Earlier = ([u8; 32], CredentialId, Option<crate::store::EnrolmentRow>);

fn earlier(db: &Connection, tenant: TenantId, record: &str) -> Result<Option<Earlier>, StoreError> {
    let sql = "SELECT content, credential FROM station_records WHERE tenant = ? AND record = ?";
    let found = columns::one(db, sql, (tenant.get(), record), |row| {
        Ok((columns::hash(&row.get::<_, Vec<u8>>(0)?, "content")?, CredentialId::new(row.get(1)?)))
    })?;
    let Some((content, credential)) = found else { return Ok(None) };
    Ok(Some((content, credential, enrolments::pending_of(db, tenant, credential)?)))
}

fn is_there(db: &Connection, credential: CredentialId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM credentials WHERE id = ?";
    Ok(columns::one(db, sql, [credential.get()], |_| Ok(()))?.is_some())
}

fn is_taken(
    db: &Connection,
    vault: &Vault,
    scope: &Scope,
    new: &NewImport,
    key: &ImportedKey,
) -> Result<bool, StoreError> {
    match enrolments::release_expired(db, vault, scope, new.caller, key.public_id) {
        Ok(()) => enrolments::is_taken(db, scope, key.public_id),
        Err(StoreError::PublicIdPending(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

fn account(
    db: &Connection,
    scope: &Scope,
    new: &NewImport,
    key: &ImportedKey,
) -> Result<Account, StoreError> {
    Ok(match accounts::find(db, scope.tenant, key.account.as_str())? {
        Some(found) if found.active => Account::Enabled,
        Some(_) => Account::Disabled,
        None if new.create_accounts => Account::ToBeMade,
        None => Account::Missing,
    })
}

fn owner(
    db: &Connection,
    scope: &Scope,
    new: &NewImport,
    key: &ImportedKey,
) -> Result<AccountId, StoreError> {
    match accounts::find_active(db, scope.tenant, key.account.as_str()) {
        Err(StoreError::AccountNotFound) if new.create_accounts => accounts::insert(db, scope, &key.account),
        found => found,
    }
}

/// Creates the credential: pending, or active where a password is believed.
#[expect(clippy::too_many_arguments, reason = "one statement with everything in it")]
fn insert(
    db: &Connection,
    vault: &Vault,
    scope: &Scope,
    new: &NewImport,
    record: &BundleRecord,
    key: &ImportedKey,
    floor: Option<Counter>,
    believed: Option<Proof>,
) -> Result<CredentialId, StoreError> {
    let owner = owner(db, scope, new, key)?;
    let credential = CredentialId::from_random(random::bytes()?);
    db.prepare_cached(
        "INSERT INTO credentials (id, tenant, account, public_id, state, generation, counter, last_timestamp,
                                  slot, serial, firmware, emulated, label, created_at)
         VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute((
        credential.get(),
        scope.tenant.get(),
        owner.get(),
        key.public_id.as_bytes(),
        i64::from(believed.is_some()),
        floor.map_or(-1, |floor| i64::from(floor.value())),
        believed.map(|proof| proof.timestamp.value()),
        key.slot,
        key.serial,
        key.firmware.as_ref().map(|firmware| firmware.as_str()),
        i64::from(key.emulated),
        key.label.as_ref().map(|label| label.as_str()),
        columns::time(scope.now),
    ))?;
    secrets::insert(db, vault, scope.tenant, credential, &key.secret, key.access_code.as_ref())?;
    let action = if believed.is_some() { Action::KeyTrusted } else { Action::KeyImported };
    tell(db, scope, action, record, key, credential)?;
    Ok(credential)
}

fn tell(
    db: &Connection,
    scope: &Scope,
    action: Action,
    record: &BundleRecord,
    key: &ImportedKey,
    credential: CredentialId,
) -> Result<(), StoreError> {
    let event = scope.event(action).account(&key.account).key(credential);
    Ok(audit::insert(db, scope, &event.subject(&record.id).detail(key.public_id))?)
}

/// What waits for the password of an imported key. A key may lie in a drawer for years.
fn insert_enrolment(
    db: &Connection,
    scope: &Scope,
    new: &NewImport,
    record: &BundleRecord,
    key: &ImportedKey,
    credential: CredentialId,
    content: &[u8; 32],
) -> Result<EnrolmentId, StoreError> {
    let id = EnrolmentId::from_random(random::bytes()?);
    db.prepare_cached(
        "INSERT INTO enrolments (id, tenant, creator, request_id, request_hash, state, credential, account_name,
                                 public_id, slot, serial, created_at, expires_at)
         VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute((
        id.get(),
        scope.tenant.get(),
        new.caller.token.get(),
        &record.id,
        // No request hashes to this, so none is ever answered with the secret.
        content,
        credential.get(),
        key.account.as_str(),
        key.public_id.as_bytes(),
        key.slot,
        key.serial,
        columns::time(scope.now),
        columns::time(NEVER),
    ))?;
    Ok(id)
}

fn remember(
    db: &Connection,
    scope: &Scope,
    new: &NewImport,
    record: &BundleRecord,
    content: &[u8; 32],
    credential: CredentialId,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO station_records (tenant, record, content, bundle, credential, imported_at)
         VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute((
        scope.tenant.get(),
        &record.id,
        content,
        &new.bundle,
        credential.get(),
        columns::time(scope.now),
    ))?;
    Ok(())
}

/// Counters only move forward.
fn raise(db: &Connection, credential: CredentialId, floor: Option<Counter>) -> Result<(), StoreError> {
    let Some(floor) = floor else { return Ok(()) };
    db.prepare_cached("UPDATE credentials SET counter = ?1 WHERE id = ?2 AND state = 0 AND counter < ?1")?
        .execute((floor.value(), credential.get()))?;
    Ok(())
}

/// The end of the year 9999, which is as late as times can be written.
const NEVER: Moment = Moment::from_millis(253_402_207_200_000);
