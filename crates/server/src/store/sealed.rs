//! The secrets of credentials, sealed, whichever database holds them.

use tapkey_domain::{
    id::{CredentialId, EnrolmentId, TenantId},
    verify::Secret,
};
use tapkey_protocol::{
    otp::{AesKey, PrivateId, PublicId},
    secret::Secret as Bytes,
};
use zeroize::Zeroizing;

use super::StoreError;
use crate::{
    random,
    vault::{Record, RecordKey, SealedKey, Vault},
};

/// The sealed columns of one credential.
pub(crate) struct Sealed {
    pub(crate) data_key: SealedKey,
    pub(crate) secret: Vec<u8>,
    pub(crate) access_code: Option<Vec<u8>>,
}

const SECRET: &str = "secret";
const ACCESS_CODE: &str = "access_code";

/// Where the secrets of a credential stand.
pub(crate) const fn record(tenant: TenantId, id: CredentialId) -> Record {
    Record { tenant, table: "credential_secrets", id: id.get() }
}

/// Draws a secret, and an access code where one is wanted.
pub(crate) fn draw(access_code: bool) -> Result<(Secret, Option<Bytes<6>>), StoreError> {
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

/// Draws a public id. `vv` first: outside what Yubico assigns at the factory. The second byte tells
/// these from ids that tools derive from a serial number, whose second byte is 0.
pub(crate) fn draw_public_id() -> Result<PublicId, StoreError> {
    let [second, a, b, c, d] = random::bytes::<5>()?;
    PublicId::new(&[0xff, second.max(1), a, b, c, d]).map_err(|_| StoreError::Corrupt("public_id"))
}

/// Seals the secrets of a new credential.
pub(crate) fn seal(
    vault: &Vault,
    tenant: TenantId,
    id: CredentialId,
    secret: &Secret,
    access_code: Option<&Bytes<6>>,
) -> Result<Sealed, StoreError> {
    let (key, data_key) = vault.new_key(record(tenant, id))?;
    let sealed = key.seal(SECRET, &*plain(secret))?;
    let access_code = access_code.map(|code| key.seal(ACCESS_CODE, code.expose())).transpose()?;
    Ok(Sealed { data_key, secret: sealed, access_code })
}

/// Opens the secrets of a credential.
pub(crate) fn unseal(
    vault: &Vault,
    tenant: TenantId,
    id: CredentialId,
    sealed: &Sealed,
) -> Result<(Secret, Option<Bytes<6>>), StoreError> {
    let key = vault.open_key(record(tenant, id), &sealed.data_key)?;
    let code = sealed.access_code.as_ref().map(|code| open_code(&key, code)).transpose()?;
    Ok((open(&key, &sealed.secret)?, code))
}

/// Where the access code of an enrolment that ended stands.
const fn code_record(tenant: TenantId, id: EnrolmentId) -> Record {
    Record { tenant, table: "enrolment_codes", id: id.get() }
}

/// Seals the access code of an enrolment that ends: its slot may be protected with it already.
pub(crate) fn seal_code(
    vault: &Vault,
    tenant: TenantId,
    id: EnrolmentId,
    code: &Bytes<6>,
) -> Result<(SealedKey, Vec<u8>), StoreError> {
    let (key, data_key) = vault.new_key(code_record(tenant, id))?;
    Ok((data_key, key.seal(ACCESS_CODE, code.expose())?))
}

/// Opens it.
pub(crate) fn unseal_code(
    vault: &Vault,
    tenant: TenantId,
    id: EnrolmentId,
    data_key: &[u8],
    sealed: &[u8],
) -> Result<Bytes<6>, StoreError> {
    open_code(&vault.open_key(code_record(tenant, id), data_key)?, sealed)
}

/// Opens the secret itself.
pub(crate) fn open(key: &RecordKey, sealed: &[u8]) -> Result<Secret, StoreError> {
    let plain = key.open(SECRET, sealed)?;
    let (private_id, aes_key) = plain.split_first_chunk::<6>().ok_or(StoreError::Corrupt(SECRET))?;
    let aes_key = Zeroizing::new(<[u8; 16]>::try_from(aes_key).map_err(|_| StoreError::Corrupt(SECRET))?);
    Ok(Secret { private_id: PrivateId::new(*private_id), aes_key: AesKey::new(*aes_key) })
}

/// By what a secret is recognised after its deletion.
pub(crate) fn fingerprint(vault: &Vault, secret: &Secret) -> Result<[u8; 32], StoreError> {
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
