//! The desktop's keyring: any Secret Service, for example GNOME Keyring or KWallet.

#[cfg(all(feature = "keyring", target_os = "linux"))]
mod service {
    use std::sync::Arc;

    use keyring_core::{Entry, Error, api::CredentialStoreApi};
    use tapkey_protocol::oath::AccessKey;
    use zbus_secret_service_keyring_store::Store;
    use zeroize::Zeroizing;

    use crate::exit::{Exit, Failure, chain};

    /// The access key of a key; none when the keyring has none.
    pub(in super::super) fn get(device_id: &str) -> Result<Option<AccessKey>, Failure> {
        match entry(device_id)?.get_secret().map(Zeroizing::new) {
            Ok(secret) => {
                let bytes = <[u8; 16]>::try_from(&secret[..]);
                bytes.map(|bytes| Some(AccessKey::new(bytes))).map_err(|_| {
                    Failure::failed("the keyring holds something else under the name of this key")
                })
            }
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Keeps an access key.
    pub(in super::super) fn set(device_id: &str, key: &AccessKey) -> Result<(), Failure> {
        entry(device_id)?.set_secret(key.expose()).map_err(|error| failed(&error))
    }

    /// Deletes an access key.
    pub(in super::super) fn delete(device_id: &str) -> Result<(), Failure> {
        match entry(device_id)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }

    fn entry(device_id: &str) -> Result<Entry, Failure> {
        let store: Arc<Store> = Store::new().map_err(|error| failed(&error))?;
        store.build("tapkey-oath", device_id, None).map_err(|error| failed(&error))
    }

    fn failed(error: &Error) -> Failure {
        Failure::new(Exit::Unreachable, format!("the keyring does not answer: {}", chain(error)))
            .hint("is a keyring running and unlocked? --remember=file needs none")
    }
}

#[cfg(all(feature = "keyring", target_os = "linux"))]
pub(super) use service::{delete, get, set};

#[cfg(not(all(feature = "keyring", target_os = "linux")))]
mod service {
    use tapkey_protocol::oath::AccessKey;

    use crate::exit::Failure;

    pub(in super::super) fn get(_: &str) -> Result<Option<AccessKey>, Failure> {
        Err(missing())
    }

    pub(in super::super) fn set(_: &str, _: &AccessKey) -> Result<(), Failure> {
        Err(missing())
    }

    pub(in super::super) fn delete(_: &str) -> Result<(), Failure> {
        Err(missing())
    }

    fn missing() -> Failure {
        Failure::usage("this tapkey was built without the desktop's keyring")
            .hint("use --remember=file, or build it on Linux with the feature keyring")
    }
}

#[cfg(not(all(feature = "keyring", target_os = "linux")))]
pub(super) use service::{delete, get, set};
