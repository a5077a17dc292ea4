//! Credentials as validating needs them.

use tapkey_domain::{
    delay::Seen,
    id::{AccountId, CredentialId, TenantId},
    verify::{Credential, Generations},
};
use tapkey_protocol::otp::PublicId;

use super::{
    PostgresStore, StoreError,
    pool::query,
    sql::{Columns, bytes, int8},
};
use crate::{
    store::{sealed, values},
    vault::Vault,
};

const CREDENTIAL: &str = "
    SELECT c.id, c.state, a.active, c.generation, a.generation, c.account, a.name, c.label,
           c.counter, c.last_timestamp, c.last_used_at, s.data_key, s.secret
    FROM credentials c
    JOIN accounts a ON a.id = c.account
    JOIN credential_secrets s ON s.credential = c.id
    WHERE c.tenant = $1 AND c.public_id = $2 AND c.state <> 0";

impl PostgresStore {
    pub(crate) async fn credential(
        &self,
        tenant: TenantId,
        public_id: PublicId,
    ) -> Result<Option<Credential>, StoreError> {
        let (owner, id) = (tenant.get(), public_id.as_bytes());
        query!(self, |db| {
            let read = |row: &Columns<'_>| read(row, &self.vault, tenant, public_id);
            db.one(CREDENTIAL, &[int8(&owner), bytes(&id)], read).await
        })
    }
}

fn read(
    row: &Columns<'_>,
    vault: &Vault,
    tenant: TenantId,
    public_id: PublicId,
) -> Result<Credential, StoreError> {
    let id = CredentialId::new(row.get(0)?);
    let key = vault.open_key(sealed::record(tenant, id), row.get(11)?)?;
    let secret = sealed::open(&key, row.get(12)?)?;
    let last = match (values::counter(row.get(8)?)?, row.get(9)?, row.get(10)?) {
        (Some(counter), Some(ticks), Some(at)) => {
            Some(Seen { counter, timestamp: values::timestamp(ticks)?, at: values::moment(at) })
        }
        _ => None,
    };
    Ok(Credential {
        id,
        tenant,
        public_id,
        secret,
        enabled: row.get::<i16>(1)? == 1 && row.get(2)?,
        generations: Generations { credential: row.get(3)?, account: row.get(4)? },
        account: AccountId::new(row.get(5)?),
        account_name: row.get(6)?,
        label: row.get(7)?,
        last,
    })
}
