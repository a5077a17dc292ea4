//! The sealed columns of credentials.

use tapkey_domain::{
    id::{CredentialId, TenantId},
    verify::Secret,
};
use tapkey_protocol::secret::Secret as Bytes;

use super::{
    StoreError,
    sql::{Db, bytes, int8},
};
use crate::{
    store::sealed::{Sealed, seal, unseal},
    vault::Vault,
};

/// Seals and stores the secrets of a new credential.
pub(super) async fn insert(
    db: &Db<'_>,
    vault: &Vault,
    tenant: TenantId,
    id: CredentialId,
    secret: &Secret,
    access_code: Option<&Bytes<6>>,
) -> Result<(), StoreError> {
    let Sealed { data_key, secret, access_code } = seal(vault, tenant, id, secret, access_code)?;
    let sql = "INSERT INTO credential_secrets (credential, tenant, data_key, secret, access_code)
               VALUES ($1, $2, $3, $4, $5)";
    let (id, tenant) = (id.get(), tenant.get());
    let params = [int8(&id), int8(&tenant), bytes(&data_key), bytes(&secret), bytes(&access_code)];
    db.execute(sql, &params).await.map(drop)
}

/// Reads the secrets of a credential.
pub(super) async fn read(
    db: &Db<'_>,
    vault: &Vault,
    tenant: TenantId,
    id: CredentialId,
) -> Result<Option<(Secret, Option<Bytes<6>>)>, StoreError> {
    let sql = "SELECT data_key, secret, access_code FROM credential_secrets
               WHERE credential = $1 AND tenant = $2";
    let (number, owner) = (id.get(), tenant.get());
    db.one(sql, &[int8(&number), int8(&owner)], |row| {
        let sealed = Sealed { data_key: row.get(0)?, secret: row.get(1)?, access_code: row.get(2)? };
        unseal(vault, tenant, id, &sealed)
    })
    .await
}
