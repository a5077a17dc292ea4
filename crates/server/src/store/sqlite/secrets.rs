//! The sealed columns of credentials.

use rusqlite::Connection;
use tapkey_domain::{
    id::{CredentialId, TenantId},
    verify::Secret,
};
use tapkey_protocol::secret::Secret as Bytes;

use super::{StoreError, columns};
pub(super) use crate::store::sealed::{draw, fingerprint, open, record};
use crate::{
    store::sealed::{Sealed, seal, unseal},
    vault::Vault,
};

/// Seals and stores the secrets of a new credential.
pub(super) fn insert(
    db: &Connection,
    vault: &Vault,
    tenant: TenantId,
    id: CredentialId,
    secret: &Secret,
    access_code: Option<&Bytes<6>>,
) -> Result<(), StoreError> {
    let Sealed { data_key, secret, access_code } = seal(vault, tenant, id, secret, access_code)?;
    db.prepare_cached(
        "INSERT INTO credential_secrets (credential, tenant, data_key, secret, access_code) VALUES (?, ?, ?, ?, ?)",
    )?
    .execute((id.get(), tenant.get(), data_key, secret, access_code))?;
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
        let sealed = Sealed { data_key: row.get(0)?, secret: row.get(1)?, access_code: row.get(2)? };
        unseal(vault, tenant, id, &sealed)
    })
}
