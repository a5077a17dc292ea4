//! The sealed columns of credentials.

use rusqlite::Connection;
use tapkey_domain::{
    id::{CredentialId, TenantId},
    verify::Secret,
};
use tapkey_protocol::{
    otp::{AesKey, PrivateId},
    secret::Secret as Bytes,
};
use zeroize::Zeroizing;

use super::{StoreError, columns};
use crate::{
    random,
    vault::{Record, RecordKey, Vault},
};

const SECRET: &str = "secret";
const ACCESS_CODE: &str = "access_code";

/// Where the secrets of a credential stand.
pub(super) const fn record(tenant: TenantId, id: CredentialId) -> Record {
    Record { tenant, table: "credential_secrets", id: id.get() }
}

/// Draws a secret, and an access code where one is wanted.
pub(super) fn draw(access_code: bool) -> Result<(Secret, Option<Bytes<6>>), StoreError> {
    let private_id = Zeroizing::new(random::bytes::<6>()?);
    let aes_key = Zeroizing::new(random::bytes::<16>()?);
    let secret = Secret { private_id: PrivateId::new(*private_id), aes_key: AesKey::new(*aes_key) };
    // All zeros means "no access code" to a key.
    let code = loop {
        if !access_code {
            break None;
        }
        let code = Zeroizing::new(random::bytes::<6>()?);
        if *code != [0; 6] {
            break Some(Bytes::new(*code));
        }
    };
    Ok((secret, code))
}

/// Seals and stores the secrets of a new credential.
pub(super) fn insert(
    db: &Connection,
    vault: &Vault,
    tenant: TenantId,
    id: CredentialId,
    secret: &Secret,
    access_code: Option<&Bytes<6>>,
) -> Result<(), StoreError> {
    let (key, sealed_key) = vault.new_key(record(tenant, id))?;
    let sealed = key.seal(SECRET, &*plain(secret))?;
    let code = access_code.map(|code| key.seal(ACCESS_CODE, code.expose())).transpose()?;
    db.prepare_cached(
        "INSERT INTO credential_secrets (credential, tenant, data_key, secret, access_code) VALUES (?, ?, ?, ?, ?)",
    )?
    .execute((id.get(), tenant.get(), sealed_key, sealed, code))?;
    Ok(())
}

/// Reads the secrets of a credential.
pub(super) fn read(
    db: &Connection,
    vault: &Vault,
    tenant: TenantId,
    id: CredentialId,
) -> Result<Option<(Secret, Option<Bytes<6>>)>, StoreError> {
    let sql =
        "SELECT data_key, secret, access_code FROM credential_secrets WHERE credential = ? AND tenant = ?";
    columns::one(db, sql, (id.get(), tenant.get()), |row| {
        let (sealed_key, sealed, code): (Vec<u8>, Vec<u8>, Option<Vec<u8>>) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let key = vault.open_key(record(tenant, id), &sealed_key)?;
        let code = code.map(|code| open_code(&key, &code)).transpose()?;
        Ok((open(&key, &sealed)?, code))
    })
}

/// Opens the secret itself.
pub(super) fn open(key: &RecordKey, sealed: &[u8]) -> Result<Secret, StoreError> {
    let plain = key.open(SECRET, sealed)?;
    let (private_id, aes_key) = plain.split_first_chunk::<6>().ok_or(StoreError::Corrupt(SECRET))?;
    let aes_key = Zeroizing::new(<[u8; 16]>::try_from(aes_key).map_err(|_| StoreError::Corrupt(SECRET))?);
    Ok(Secret { private_id: PrivateId::new(*private_id), aes_key: AesKey::new(*aes_key) })
}

/// By what a secret is recognised after its deletion.
pub(super) fn fingerprint(vault: &Vault, secret: &Secret) -> Result<[u8; 32], StoreError> {
    Ok(vault.fingerprint(&*plain(secret))?)
}

fn open_code(key: &RecordKey, sealed: &[u8]) -> Result<Bytes<6>, StoreError> {
    let plain = key.open(ACCESS_CODE, sealed)?;
    <[u8; 6]>::try_from(plain.as_slice()).map(Bytes::new).map_err(|_| StoreError::Corrupt(ACCESS_CODE))
}

fn plain(secret: &Secret) -> Zeroizing<[u8; 22]> {
    let mut plain = Zeroizing::new([0; 22]);
    plain[..6].copy_from_slice(secret.private_id.expose());
    plain[6..].copy_from_slice(secret.aes_key.expose());
    plain
}
