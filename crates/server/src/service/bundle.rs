//! Opening a bundle: from text to records that the store can take in.

use std::collections::HashMap;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest, Sha256};
use tapkey_api::{
    SecretText,
    bundle::{
        Container, ContainerError, Content, Envelope, FORMAT, StationProof, StationRecord, VERSION, is_id,
    },
};
use tapkey_domain::{
    import::{self, Proof},
    name,
    policy::{ClaimedKey, KeyPolicy},
    verify::Secret,
};
use tapkey_protocol::{
    otp::{AesKey, PrivateId, typed},
    secret::{self, SecretBytes},
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::store::{BundleIdentity, BundleRecord, Fate, ImportedKey};

/// A bundle that was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Its id.
    pub(crate) bundle: String,
    /// SHA-256 of the file.
    pub(crate) sha256: String,
    /// Whether its last message says that it is the last one.
    pub(crate) closed: bool,
    /// What people and reports call the records, in the order of [`Opened::records`].
    pub(crate) titles: Vec<Title>,
    /// The records.
    pub(crate) records: Vec<BundleRecord>,
}

/// What may be told of a record.
#[derive(Clone, Debug)]
pub(crate) struct Title {
    pub(crate) record: String,
    pub(crate) account: String,
    pub(crate) label: Option<String>,
    pub(crate) serial: Option<u32>,
    pub(crate) public_id: String,
}

/// Opens and checks a bundle. Takes a while: one Diffie-Hellman for each message.
///
/// # Errors
/// It cannot be opened, or its messages do not belong together.
pub(crate) fn open(
    text: &str,
    identity: Option<&BundleIdentity>,
    policy: KeyPolicy,
) -> Result<Opened, BundleError> {
    let sha256 = HEXLOWER.encode(&Sha256::digest(text.as_bytes()));
    // Some ways of copying a text change its line ends.
    let text = text.replace("\r\n", "\n");
    let container = Container::parse(&text)?;
    let foreign = || BundleError::Foreign { recipient: container.header.recipient.to_owned() };
    let identity = identity.ok_or_else(foreign)?;
    let identity: age::x25519::Identity =
        identity.0.parse().map_err(|_| BundleError::Message { number: 0, why: "the key is not one" })?;
    let contents = read(&container, &identity)?;
    let closed = matches!(contents.last(), Some(Content::Close(_)));
    let mut records = Vec::new();
    let mut titles = Vec::new();
    for (record, proofs, fate) in gather(contents)? {
        titles.push(title(&record));
        let key = imported_key(&record, &proofs, policy);
        let plain = serde_json::to_vec(&record).map_err(|_| BundleError::Record { id: record.id.clone() })?;
        records.push(BundleRecord { id: record.id.clone(), plain: SecretBytes::new(plain), fate, key });
    }
    Ok(Opened { bundle: container.header.bundle.to_owned(), sha256, closed, titles, records })
}

/// Decrypts the messages and checks that they follow each other.
fn read(container: &Container<'_>, identity: &age::x25519::Identity) -> Result<Vec<Content>, BundleError> {
    let mut contents = Vec::with_capacity(container.messages.len());
    let mut previous = container.head;
    for (index, message) in container.messages.iter().enumerate() {
        let number = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1);
        let wrong = |why| BundleError::Message { number, why };
        let plain = match age::decrypt(identity, message.as_bytes()) {
            Ok(plain) => Zeroizing::new(plain),
            Err(age::DecryptError::NoMatchingKeys) => {
                return Err(BundleError::Foreign { recipient: container.header.recipient.to_owned() });
            }
            Err(_) => return Err(wrong("it was changed or damaged")),
        };
        check_version(&plain, number)?;
        let envelope: Envelope =
            serde_json::from_slice(&plain).map_err(|_| wrong("its content is not of this format"))?;
        if envelope.bundle != container.header.bundle {
            return Err(wrong("it was made for another bundle"));
        }
        let hash = HEXLOWER.encode(&Sha256::digest(previous.as_bytes()));
        if envelope.sequence != number || envelope.previous != hash {
            return Err(wrong("messages before it are missing, changed or in another order"));
        }
        contents.push(envelope.content);
        previous = message;
    }
    Ok(contents)
}

/// Looks at the version first: another one may have other fields.
fn check_version(plain: &[u8], number: u64) -> Result<(), BundleError> {
    #[derive(serde::Deserialize)]
    struct Start {
        format: String,
        version: u32,
    }
    match serde_json::from_slice::<Start>(plain) {
        Ok(start) if start.format == FORMAT && start.version == VERSION => Ok(()),
        Ok(start) if start.format == FORMAT => Err(ContainerError::Version(start.version).into()),
        _ => Err(BundleError::Message { number, why: "its content is not of this format" }),
    }
}

type Gathered = (StationRecord, Vec<StationProof>, Fate);

/// Brings together what the messages say of each record.
fn gather(contents: Vec<Content>) -> Result<Vec<Gathered>, BundleError> {
    let mut gathered: Vec<Gathered> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for content in contents {
        match content {
            Content::Credential(record) => {
                let unknown = || BundleError::Record { id: record.id.clone() };
                if !is_id(&record.id) || places.contains_key(&record.id) {
                    return Err(unknown());
                }
                places.insert(record.id.clone(), gathered.len());
                gathered.push((*record, Vec::new(), Fate::Live));
            }
            Content::Proof(proof) => of(&mut gathered, &places, &proof.record)?.1.push(proof),
            Content::Void(void) => of(&mut gathered, &places, &void.record)?.2 = Fate::Void,
            Content::Close(_) => {}
            _ => return Err(BundleError::Record { id: String::new() }),
        }
    }
    replace(&mut gathered, &places);
    Ok(gathered)
}

/// A record that may be in its key takes the place of those before it. One that the key refused
/// takes nobody's place.
fn replace(gathered: &mut [Gathered], places: &HashMap<String, usize>) {
    let replaced: Vec<usize> = gathered
        .iter()
        .filter(|(_, _, fate)| *fate != Fate::Void)
        .flat_map(|(record, ..)| record.replaces.iter().filter_map(|id| places.get(id).copied()))
        .collect();
    for place in replaced {
        if let Some(one) = gathered.get_mut(place).filter(|one| one.2 == Fate::Live) {
            one.2 = Fate::Replaced;
        }
    }
}

fn of<'a>(
    gathered: &'a mut [Gathered],
    places: &HashMap<String, usize>,
    id: &str,
) -> Result<&'a mut Gathered, BundleError> {
    let place = places.get(id).and_then(|place| gathered.get_mut(*place));
    place.ok_or_else(|| BundleError::Record { id: id.to_owned() })
}

fn title(record: &StationRecord) -> Title {
    Title {
        record: record.id.clone(),
        account: record.account.clone(),
        label: record.label.clone(),
        serial: record.serial,
        public_id: record.public_id.clone(),
    }
}

/// The values of a record, each checked; the reason is a sentence for the report.
fn imported_key(
    record: &StationRecord,
    proofs: &[StationProof],
    policy: KeyPolicy,
) -> Result<ImportedKey, String> {
    let claimed = ClaimedKey { emulated: record.emulated, serial: record.serial };
    policy.check(claimed).map_err(|error| error.to_string())?;
    let said = |error: name::NameError| error.to_string();
    let public_id = name::server_public_id(&record.public_id).map_err(said)?;
    let secret = Secret {
        private_id: PrivateId::new(*hex(&record.private_id, "private id")?),
        aes_key: AesKey::new(*hex(&record.aes_key, "AES key")?),
    };
    let access_code = match &record.access_code {
        Some(code) => Some(secret::Secret::new(*hex::<6>(code, "access code")?)),
        None => None,
    };
    let mut proof: Option<Proof> = None;
    for typed in proofs {
        let (otp, _) = typed::parse(typed.otp.expose())
            .map_err(|error| format!("what was typed at the station is no password: {error}"))?;
        let hash = Sha256::digest(otp.to_string().as_bytes()).into();
        let opened = import::prove(&otp, hash, public_id, &secret, typed.counters);
        let opened = opened.map_err(|error| error.to_string())?;
        if proof.is_none_or(|newest| newest.counter < opened.counter) {
            proof = Some(opened);
        }
    }
    Ok(ImportedKey {
        account: record.account.parse().map_err(said)?,
        label: record.label.as_deref().map(str::parse).transpose().map_err(said)?,
        slot: name::slot(record.slot).map_err(said)?,
        serial: record.serial,
        firmware: record.firmware.as_deref().map(str::parse).transpose().map_err(said)?,
        emulated: claimed.is_emulated(),
        public_id,
        secret,
        access_code,
        proof,
    })
}

fn hex<const N: usize>(text: &SecretText, what: &str) -> Result<Zeroizing<[u8; N]>, String> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.expose().as_bytes()).ok().map(Zeroizing::new);
    let bytes = bytes.and_then(|bytes| <[u8; N]>::try_from(bytes.as_slice()).ok());
    bytes.map(Zeroizing::new).ok_or_else(|| format!("the {what} has not {} hexadecimal digits", 2 * N))
}

/// Why a bundle cannot be opened.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub(crate) enum BundleError {
    /// The text is no bundle.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// It was made for another server.
    #[error(
        "the bundle is encrypted to {recipient}, which is not this server's key; import it where it belongs"
    )]
    Foreign {
        /// What its first line says.
        recipient: String,
    },
    /// A message cannot be used.
    #[error("message {number} of the bundle cannot be used: {why}")]
    Message {
        /// Which one, from 1.
        number: u64,
        /// Why not.
        why: &'static str,
    },
    /// The messages contradict each other.
    #[error("the bundle contradicts itself about the record {id}; it was not written by a station")]
    Record {
        /// Which one.
        id: String,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: KeyPolicy = KeyPolicy { accept_emulated: true };

    fn identity() -> (BundleIdentity, age::x25519::Recipient) {
        use age::secrecy::ExposeSecret;
        let identity = age::x25519::Identity::generate();
        let text = Zeroizing::new(identity.to_string().expose_secret().to_owned());
        (BundleIdentity(text), identity.to_public())
    }

    fn bundle(recipient: &age::x25519::Recipient, plains: &[&str]) -> String {
        let mut text = format!("tapkey-bundle/1 {} {recipient}\n", "0".repeat(32));
        for plain in plains {
            text.push_str(&age::encrypt_and_armor(recipient, plain.as_bytes()).unwrap());
        }
        text
    }

    #[test]
    fn contents_of_other_kinds_are_refused() {
        let (identity, recipient) = identity();
        let open = |plain: &str| open(&bundle(&recipient, &[plain]), Some(&identity), POLICY).unwrap_err();
        let not_ours = |error| matches!(error, BundleError::Message { number: 1, .. });
        assert!(not_ours(open("")));
        assert!(not_ours(open("[]")));
        assert!(not_ours(open(r#"{"format":"else","version":1}"#)));
        assert!(not_ours(open(r#"{"format":"tapkey-bundle","version":1}"#)));
        let newer = open(r#"{"format":"tapkey-bundle","version":2,"new":true}"#);
        assert_eq!(newer, BundleError::Container(ContainerError::Version(2)));
    }

    #[test]
    fn another_key_opens_nothing() {
        let (_, recipient) = identity();
        let text = bundle(&recipient, &["{}"]);
        let foreign = BundleError::Foreign { recipient: recipient.to_string() };
        assert_eq!(open(&text, Some(&identity().0), POLICY).unwrap_err(), foreign);
        assert_eq!(open(&text, None, POLICY).unwrap_err(), foreign);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_content_is_read_or_refused(plain: String, number: u64) {
            let (identity, recipient) = identity();
            let close = format!(
                "{{\"format\":\"tapkey-bundle\",\"version\":1,\"bundle\":\"{}\",\"sequence\":{number},\
                 \"previous\":{plain:?},\"content\":{{\"close\":{{\"at\":{plain:?}}}}}}}",
                "0".repeat(32)
            );
            for content in [plain.as_str(), &close] {
                prop_assert!(open(&bundle(&recipient, &[content]), Some(&identity), POLICY).is_err());
            }
        }
    }
}
