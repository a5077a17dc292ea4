//! Bundles of stations: the key that opens them, and the records that become credentials.

use age::secrecy::ExposeSecret;
use tapkey_domain::{
    Moment,
    audit::Action,
    id::{AccountId, CredentialId, EnrolmentId, TenantId},
    import::{Account, Before, Decision, Known, Proof},
};
use tapkey_protocol::otp::Counter;
use zeroize::Zeroizing;

use super::{
    PostgresStore, StoreError, accounts, audit, enrolments, keys,
    pool::{change, query},
    secrets,
    sql::{Db, boolean, bytes, int2, int8, text},
};
use crate::{
    random,
    store::{
        BundleIdentity, BundleRecord, EnrolmentRow, Fate, ImportOutcome, Imported, ImportedKey, NewImport,
        Scope, sealed, values,
    },
    vault::{Record, Vault},
};

const IDENTITY: &str = "identity";

impl PostgresStore {
    pub(crate) async fn bundle_recipient(&self, scope: Scope) -> Result<String, StoreError> {
        let tenant = scope.tenant.get();
        let sql = "SELECT recipient FROM bundle_keys WHERE tenant = $1";
        change!(self, |db| {
            match db.one(sql, &[int8(&tenant)], |row| row.get(0)).await? {
                Some(recipient) => Ok(recipient),
                None => draw_identity(&db, &self.vault, &scope).await,
            }
        })
    }

    pub(crate) async fn bundle_identity(
        &self,
        tenant: TenantId,
    ) -> Result<Option<BundleIdentity>, StoreError> {
        let owner = tenant.get();
        let sql = "SELECT data_key, identity FROM bundle_keys WHERE tenant = $1";
        query!(self, |db| {
            db.one(sql, &[int8(&owner)], |row| {
                let plain = self.vault.open_key(place(tenant), row.get(0)?)?.open(IDENTITY, row.get(1)?)?;
                let text = std::str::from_utf8(&plain).map_err(|_| StoreError::Corrupt(IDENTITY))?;
                Ok(BundleIdentity(Zeroizing::new(text.to_owned())))
            })
            .await
        })
    }

    pub(crate) async fn import(&self, scope: Scope, new: NewImport) -> Result<Imported, StoreError> {
        change!(self, |db| { import(&db, &self.vault, &scope, &new).await })
    }
}

/// Where the identity of a tenant stands.
const fn place(tenant: TenantId) -> Record {
    Record { tenant, table: "bundle_keys", id: tenant.get() }
}

async fn draw_identity(db: &Db<'_>, vault: &Vault, scope: &Scope) -> Result<String, StoreError> {
    let (recipient, sealed_key, sealed) = {
        let identity = age::x25519::Identity::generate();
        let (key, sealed_key) = vault.new_key(place(scope.tenant))?;
        let sealed = key.seal(IDENTITY, identity.to_string().expose_secret().as_bytes())?;
        (identity.to_public().to_string(), sealed_key, sealed)
    };
    let sql = "INSERT INTO bundle_keys (tenant, recipient, data_key, identity, created_at)
               VALUES ($1, $2, $3, $4, $5)";
    let (tenant, now) = (scope.tenant.get(), values::time(scope.now));
    let params = [int8(&tenant), text(&recipient), bytes(&sealed_key), bytes(&sealed), int8(&now)];
    db.execute(sql, &params).await?;
    audit::insert(db, scope, &scope.event(Action::BundleKeyCreated).subject(&recipient)).await?;
    Ok(recipient)
}

/// Everything is done as if it were for good. What was only asked about, and what holds a record
/// that is refused, is undone as a whole.
async fn import(db: &Db<'_>, vault: &Vault, scope: &Scope, new: &NewImport) -> Result<Imported, StoreError> {
    db.order("SAVEPOINT import").await?;
    let outcomes = take_in(db, vault, scope, new).await?;
    let refused = outcomes.iter().any(|outcome| matches!(outcome, ImportOutcome::Refused(_)));
    let applied = !new.dry_run && !refused;
    db.order(if applied { "RELEASE import" } else { "ROLLBACK TO import" }).await?;
    Ok(Imported { applied, outcomes })
}

async fn take_in(
    db: &Db<'_>,
    vault: &Vault,
    scope: &Scope,
    new: &NewImport,
) -> Result<Vec<ImportOutcome>, StoreError> {
    let mut outcomes = Vec::with_capacity(new.records.len());
    for record in &new.records {
        outcomes.push(take_in_one(db, vault, scope, new, record).await?);
    }
    let count = |wanted: fn(&ImportOutcome) -> bool| outcomes.iter().filter(|one| wanted(one)).count();
    let detail = format!(
        "{} active, {} pending, sha256 {}{}",
        count(|one| matches!(one, ImportOutcome::Active(_))),
        count(|one| matches!(one, ImportOutcome::Pending(..))),
        new.sha256,
        if new.trust_station { ", the station was trusted" } else { "" }
    );
    let event = scope.event(Action::BundleImported).subject(&new.bundle).detail(detail);
    audit::insert(db, scope, &event).await?;
    Ok(outcomes)
}

async fn take_in_one(
    db: &Db<'_>,
    vault: &Vault,
    scope: &Scope,
    new: &NewImport,
    record: &BundleRecord,
) -> Result<ImportOutcome, StoreError> {
    let content = vault.fingerprint(record.plain.expose())?;
    let earlier = earlier(db, scope.tenant, &record.id).await?;
    if record.fate != Fate::Live {
        // An earlier copy of the bundle may have brought it before this was known.
        if let Some(pending) = earlier.as_ref().and_then(|earlier| earlier.pending.as_ref()) {
            enrolments::withdraw(db, vault, scope, pending).await?;
        }
        return Ok(ImportOutcome::Skipped(record.fate));
    }
    let key = match &record.key {
        Ok(key) => key,
        Err(reason) => return Ok(ImportOutcome::Refused(reason.clone())),
    };
    let known = known(db, vault, scope, new, key, earlier.as_ref(), &content).await?;
    let decision = match known.decide(key.proof, new.trust_station) {
        Ok(decision) => decision,
        Err(error) => return Ok(ImportOutcome::Refused(error.to_string())),
    };
    let work = Work { db, vault, scope, new, record, key, content };
    match (decision, earlier) {
        (Decision::Pending { floor }, _) => work.pending(floor).await,
        (Decision::Active(proof), _) => work.active(proof).await,
        (Decision::Activate(proof), Some(Earlier { credential, pending: Some(pending), .. })) => {
            let (counter, ticks) = (proof.counter, proof.timestamp);
            enrolments::activate(db, scope, &pending, counter, ticks, &proof.otp_hash).await?;
            work.tell(Action::KeyTrusted, credential).await?;
            Ok(ImportOutcome::Active(credential))
        }
        (Decision::AlreadyImported { floor }, Some(earlier)) => {
            raise(db, earlier.credential, floor).await?;
            Ok(ImportOutcome::AlreadyImported(earlier.credential, earlier.pending.map(|pending| pending.id)))
        }
        (Decision::Gone, _) => Ok(ImportOutcome::Gone),
        _ => Err(StoreError::Corrupt("station_records")),
    }
}

/// What an earlier import of a record left.
struct Earlier {
    /// The hash of its content.
    content: [u8; 32],
    credential: CredentialId,
    /// Its enrolment, if that still waits.
    pending: Option<EnrolmentRow>,
}

async fn earlier(db: &Db<'_>, tenant: TenantId, record: &str) -> Result<Option<Earlier>, StoreError> {
    let sql = "SELECT content, credential FROM station_records WHERE tenant = $1 AND record = $2";
    let owner = tenant.get();
    let found = db
        .one(sql, &[int8(&owner), text(&record)], |row| {
            Ok((values::hash(row.get(0)?, "content")?, CredentialId::new(row.get(1)?)))
        })
        .await?;
    let Some((content, credential)) = found else { return Ok(None) };
    let pending = enrolments::pending_of(db, tenant, credential).await?;
    Ok(Some(Earlier { content, credential, pending }))
}

async fn known(
    db: &Db<'_>,
    vault: &Vault,
    scope: &Scope,
    new: &NewImport,
    key: &ImportedKey,
    earlier: Option<&Earlier>,
    content: &[u8; 32],
) -> Result<Known, StoreError> {
    let before = match earlier {
        None => Before::Never,
        Some(earlier) if earlier.content != *content => Before::Differs,
        Some(Earlier { pending: Some(_), .. }) => Before::Pending,
        Some(earlier) if is_there(db, earlier.credential).await? => Before::Active,
        Some(_) => Before::Gone,
    };
    let fingerprint = sealed::fingerprint(vault, &key.secret)?;
    Ok(Known {
        before,
        public_id_taken: is_taken(db, vault, scope, new, key).await?,
        high_water_mark: keys::high_water_mark(db, scope.tenant, key.public_id, &fingerprint).await?,
        account: account(db, scope, new, key).await?,
    })
}

async fn is_there(db: &Db<'_>, credential: CredentialId) -> Result<bool, StoreError> {
    let id = credential.get();
    db.exists("SELECT 1 FROM credentials WHERE id = $1", &[int8(&id)]).await
}

async fn is_taken(
    db: &Db<'_>,
    vault: &Vault,
    scope: &Scope,
    new: &NewImport,
    key: &ImportedKey,
) -> Result<bool, StoreError> {
    match enrolments::release_expired(db, vault, scope, new.caller, key.public_id).await {
        Ok(()) => enrolments::is_taken(db, scope, key.public_id).await,
        Err(StoreError::PublicIdPending(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

async fn account(
    db: &Db<'_>,
    scope: &Scope,
    new: &NewImport,
    key: &ImportedKey,
) -> Result<Account, StoreError> {
    Ok(match accounts::find(db, scope.tenant, key.account.as_str()).await? {
        Some(found) if found.active => Account::Enabled,
        Some(_) => Account::Disabled,
        None if new.create_accounts => Account::ToBeMade,
        None => Account::Missing,
    })
}

/// A record that is taken in.
struct Work<'a> {
    db: &'a Db<'a>,
    vault: &'a Vault,
    scope: &'a Scope,
    new: &'a NewImport,
    record: &'a BundleRecord,
    key: &'a ImportedKey,
    content: [u8; 32],
}

impl Work<'_> {
    async fn pending(&self, floor: Option<Counter>) -> Result<ImportOutcome, StoreError> {
        let credential = self.insert(floor, None).await?;
        let enrolment = self.insert_enrolment(credential).await?;
        self.remember(credential).await?;
        Ok(ImportOutcome::Pending(credential, enrolment))
    }

    async fn active(&self, proof: Proof) -> Result<ImportOutcome, StoreError> {
        let credential = self.insert(Some(proof.counter), Some(proof)).await?;
        self.remember(credential).await?;
        Ok(ImportOutcome::Active(credential))
    }

    async fn owner(&self) -> Result<AccountId, StoreError> {
        let Self { db, scope, key, .. } = self;
        match accounts::find_active(db, scope.tenant, key.account.as_str()).await {
            Err(StoreError::AccountNotFound) if self.new.create_accounts => {
                accounts::insert(db, scope, &key.account).await
            }
            found => found,
        }
    }

    /// Creates the credential: pending, or active where a password is believed.
    async fn insert(
        &self,
        floor: Option<Counter>,
        believed: Option<Proof>,
    ) -> Result<CredentialId, StoreError> {
        let Self { db, vault, scope, key, .. } = self;
        let owner = self.owner().await?.get();
        let credential = CredentialId::from_random(random::bytes()?);
        let sql = "INSERT INTO credentials (id, tenant, account, public_id, state, generation, counter,
                                            last_timestamp, slot, serial, firmware, emulated, label, created_at)
                   VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, $9, $10, $11, $12, $13)";
        let (id, tenant, public_id) = (credential.get(), scope.tenant.get(), key.public_id.as_bytes());
        let state = i16::from(believed.is_some());
        let counter = floor.map_or(-1, |floor| i64::from(floor.value()));
        let ticks = believed.map(|proof| i64::from(proof.timestamp.value()));
        let (slot, serial, now) = (i16::from(key.slot), key.serial.map(i64::from), values::time(scope.now));
        let firmware = key.firmware.as_ref().map(|firmware| firmware.as_str());
        let label = key.label.as_ref().map(|label| label.as_str());
        let params = [
            int8(&id),
            int8(&tenant),
            int8(&owner),
            bytes(&public_id),
            int2(&state),
            int8(&counter),
            int8(&ticks),
            int2(&slot),
            int8(&serial),
            text(&firmware),
            boolean(&key.emulated),
            text(&label),
            int8(&now),
        ];
        db.execute(sql, &params).await?;
        let access_code = key.access_code.as_ref();
        secrets::insert(db, vault, scope.tenant, credential, &key.secret, access_code).await?;
        let action = if believed.is_some() { Action::KeyTrusted } else { Action::KeyImported };
        self.tell(action, credential).await?;
        Ok(credential)
    }

    /// What waits for the password of an imported key. A key may lie in a drawer for years.
    async fn insert_enrolment(&self, credential: CredentialId) -> Result<EnrolmentId, StoreError> {
        let Self { db, scope, new, record, key, content, .. } = self;
        let enrolment = EnrolmentId::from_random(random::bytes()?);
        let sql = "INSERT INTO enrolments (id, tenant, creator, request_id, request_hash, state, credential,
                                           account_name, public_id, slot, serial, created_at, expires_at)
                   VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8, $9, $10, $11, $12)";
        let (id, tenant, creator) = (enrolment.get(), scope.tenant.get(), new.caller.token.get());
        // No request hashes to this, so none is ever answered with the secret.
        let request_hash = content.as_slice();
        let (credential, account, public_id) =
            (credential.get(), key.account.as_str(), key.public_id.as_bytes());
        let (slot, serial) = (i16::from(key.slot), key.serial.map(i64::from));
        let (now, never) = (values::time(scope.now), values::time(NEVER));
        let params = [
            int8(&id),
            int8(&tenant),
            int8(&creator),
            text(&record.id),
            bytes(&request_hash),
            int8(&credential),
            text(&account),
            bytes(&public_id),
            int2(&slot),
            int8(&serial),
            int8(&now),
            int8(&never),
        ];
        db.execute(sql, &params).await?;
        Ok(enrolment)
    }

    async fn remember(&self, credential: CredentialId) -> Result<(), StoreError> {
        let sql = "INSERT INTO station_records (tenant, record, content, bundle, credential, imported_at)
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let (tenant, now) = (self.scope.tenant.get(), values::time(self.scope.now));
        let (content, credential) = (self.content.as_slice(), credential.get());
        let params = [
            int8(&tenant),
            text(&self.record.id),
            bytes(&content),
            text(&self.new.bundle),
            int8(&credential),
            int8(&now),
        ];
        self.db.execute(sql, &params).await.map(drop)
    }

    async fn tell(&self, action: Action, credential: CredentialId) -> Result<(), StoreError> {
        let event = self.scope.event(action).account(&self.key.account).key(credential);
        let event = event.subject(&self.record.id).detail(self.key.public_id);
        audit::insert(self.db, self.scope, &event).await
    }
}

/// Counters only move forward.
async fn raise(db: &Db<'_>, credential: CredentialId, floor: Option<Counter>) -> Result<(), StoreError> {
    let Some(floor) = floor else { return Ok(()) };
    let (id, floor) = (credential.get(), i64::from(floor.value()));
    let sql = "UPDATE credentials SET counter = $1 WHERE id = $2 AND state = 0 AND counter < $1";
    db.execute(sql, &[int8(&floor), int8(&id)]).await.map(drop)
}

/// The end of the year 9999, which is as late as times can be written.
const NEVER: Moment = Moment::from_millis(253_402_207_200_000);
