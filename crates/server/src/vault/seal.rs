//! Sealing and opening.

use std::fmt;

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use tapkey_domain::id::TenantId;
use tapkey_protocol::secret::Secret;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::random::{self, RandomError};

/// Seals and opens the secrets of one store.
pub(crate) struct Vault {
    master: XChaCha20Poly1305,
    fingerprint_key: Secret<32>,
}

/// Which row a secret belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// Its tenant.
    pub(crate) tenant: TenantId,
    /// Its table.
    pub(crate) table: &'static str,
    /// Its number in that table.
    pub(crate) id: i64,
}

/// A record's data key, opened.
pub(crate) struct RecordKey {
    record: Record,
    cipher: XChaCha20Poly1305,
}

/// A record's data key, wrapped by the master key.
pub(crate) type SealedKey = Vec<u8>;

impl Vault {
    /// The vault of a new store. The second value is to be stored: it opens only with the same
    /// master key, which is how a wrong one is noticed at start.
    pub(crate) fn create(master: &Secret<32>) -> Result<(Self, Vec<u8>), VaultError> {
        let fingerprint_key = Zeroizing::new(random::bytes::<32>()?);
        let master = cipher(master.expose());
        let check = seal(&master, CHECK, "fingerprint_key", &*fingerprint_key)?;
        Ok((Self { master, fingerprint_key: Secret::new(*fingerprint_key) }, check))
    }

    /// The vault of an existing store.
    pub(crate) fn open(master: &Secret<32>, check: &[u8]) -> Result<Self, VaultError> {
        let master = cipher(master.expose());
        let key = open(&master, CHECK, "fingerprint_key", check).map_err(|_| VaultError::WrongMasterKey)?;
        let key = <[u8; 32]>::try_from(key.as_slice()).map_err(|_| VaultError::WrongMasterKey)?;
        Ok(Self { master, fingerprint_key: Secret::new(key) })
    }

    /// Draws a data key for a new record.
    pub(crate) fn new_key(&self, record: Record) -> Result<(RecordKey, SealedKey), VaultError> {
        let key = Zeroizing::new(random::bytes::<32>()?);
        let sealed = seal(&self.master, record, "data_key", &*key)?;
        Ok((RecordKey { record, cipher: cipher(&key) }, sealed))
    }

    /// Unwraps the data key of a record.
    pub(crate) fn open_key(&self, record: Record, sealed: &[u8]) -> Result<RecordKey, VaultError> {
        let key = open(&self.master, record, "data_key", sealed)?;
        let key =
            <&[u8; 32]>::try_from(key.as_slice()).map_err(|_| VaultError::unreadable(record, "data_key"))?;
        Ok(RecordKey { record, cipher: cipher(key) })
    }

    /// A keyed hash by which a secret can be recognised, but not be guessed or compared across
    /// stores.
    pub(crate) fn fingerprint(&self, secret: &[u8]) -> Result<[u8; 32], VaultError> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(self.fingerprint_key.expose())
            .map_err(|_| VaultError::Cipher)?;
        mac.update(secret);
        Ok(mac.finalize().into_bytes().into())
    }
}

impl RecordKey {
    /// Seals one column.
    pub(crate) fn seal(&self, column: &'static str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        seal(&self.cipher, self.record, column, plain)
    }

    /// Opens one column.
    pub(crate) fn open(&self, column: &'static str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        open(&self.cipher, self.record, column, sealed)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordKey(…)")
    }
}

/// Why a secret cannot be sealed or opened.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum VaultError {
    /// The master key is not the one that this store was made with.
    #[error("the master key is not the one that this store was created with; restore the right master.key")]
    WrongMasterKey,
    /// A sealed value was changed or moved.
    #[error(
        "a secret cannot be opened (table {table}, record {record}, column {column}): the database was \
         changed or damaged; restore it from a backup"
    )]
    Unreadable {
        /// The table.
        table: &'static str,
        /// The record's number.
        record: i64,
        /// The column.
        column: &'static str,
    },
    /// The cipher refused its input.
    #[error("the cipher refused its input")]
    Cipher,
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl VaultError {
    const fn unreadable(record: Record, column: &'static str) -> Self {
        Self::Unreadable { table: record.table, record: record.id, column }
    }
}

const VERSION: u8 = 1;
const NONCE_LEN: usize = 24;

/// The place of the value that proves the master key.
const CHECK: Record = Record { tenant: TenantId::new(0), table: "meta", id: 0 };

fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.into())
}

/// Version, nonce, ciphertext and tag.
fn seal(
    cipher: &XChaCha20Poly1305,
    record: Record,
    column: &'static str,
    plain: &[u8],
) -> Result<Vec<u8>, VaultError> {
    let nonce = random::bytes::<NONCE_LEN>()?;
    let aad = associated_data(record, column);
    let payload = Payload { msg: plain, aad: &aad };
    let ciphertext = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::Cipher)?;
    let mut sealed = Vec::with_capacity(1 + NONCE_LEN + ciphertext.len());
    sealed.push(VERSION);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&ciphertext);
    Ok(sealed)
}

fn open(
    cipher: &XChaCha20Poly1305,
    record: Record,
    column: &'static str,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let unreadable = || VaultError::unreadable(record, column);
    let Some((&VERSION, rest)) = sealed.split_first() else { return Err(unreadable()) };
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(unreadable)?;
    let aad = associated_data(record, column);
    let payload = Payload { msg: ciphertext, aad: &aad };
    cipher.decrypt(&XNonce::from(*nonce), payload).map(Zeroizing::new).map_err(|_| unreadable())
}

/// Version, tenant, record, table and column; the names cannot run into each other because they
/// hold no zero bytes.
fn associated_data(record: Record, column: &str) -> Vec<u8> {
    let mut data = Vec::with_capacity(64);
    data.push(VERSION);
    data.extend_from_slice(&record.tenant.get().to_be_bytes());
    data.extend_from_slice(&record.id.to_be_bytes());
    data.extend_from_slice(record.table.as_bytes());
    data.push(0);
    data.extend_from_slice(column.as_bytes());
    data
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: Record = Record { tenant: TenantId::DEFAULT, table: "clients", id: 5 };

    fn vault() -> Vault {
        Vault::create(&Secret::new([1; 32])).unwrap().0
    }

    #[test]
    fn a_wrong_master_key_is_noticed() {
        let (_, check) = Vault::create(&Secret::new([1; 32])).unwrap();
        assert!(Vault::open(&Secret::new([1; 32]), &check).is_ok());
        assert_eq!(Vault::open(&Secret::new([2; 32]), &check).unwrap_err(), VaultError::WrongMasterKey);
    }

    #[test]
    fn a_sealed_value_opens_only_in_its_place() {
        let vault = vault();
        let (key, wrapped) = vault.new_key(HERE).unwrap();
        let sealed = key.seal("secret", b"very secret").unwrap();
        let elsewhere = [
            Record { tenant: TenantId::new(2), ..HERE },
            Record { table: "credentials", ..HERE },
            Record { id: 6, ..HERE },
        ];
        for record in elsewhere {
            assert!(vault.open_key(record, &wrapped).is_err(), "{record:?}");
            let moved = RecordKey { record, cipher: key.cipher.clone() };
            assert!(moved.open("secret", &sealed).is_err(), "{record:?}");
        }
        assert!(key.open("access_code", &sealed).is_err());
        assert_eq!(
            &**vault.open_key(HERE, &wrapped).unwrap().open("secret", &sealed).unwrap(),
            b"very secret"
        );
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let (key, _) = vault().new_key(HERE).unwrap();
        let sealed = key.seal("secret", b"x").unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(key.open("secret", &changed).is_err(), "{index}");
        }
    }

    #[test]
    fn fingerprints_depend_on_the_store() {
        let vault = vault();
        assert_eq!(vault.fingerprint(b"a").unwrap(), vault.fingerprint(b"a").unwrap());
        assert_ne!(vault.fingerprint(b"a").unwrap(), vault.fingerprint(b"b").unwrap());
        assert_ne!(vault.fingerprint(b"a").unwrap(), super::tests::vault().fingerprint(b"a").unwrap());
    }

    proptest! {
        #[test]
        fn round_trip(plain: Vec<u8>) {
            let (key, _) = vault().new_key(HERE).unwrap();
            let sealed = key.seal("secret", &plain).unwrap();
            prop_assert_eq!(&**key.open("secret", &sealed).unwrap(), &plain[..]);
        }

        #[test]
        fn any_bytes_are_refused(sealed: Vec<u8>) {
            let (key, _) = vault().new_key(HERE).unwrap();
            prop_assert!(key.open("secret", &sealed).is_err());
        }
    }
}
