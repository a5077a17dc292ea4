//! The key's PIV application, and how a person proves their rights to it.

use std::time::Duration;

use clap::Args as ClapArgs;
use tapkey_driver::piv::{Administrator, PivRefusal, public_key_from_der};
use tapkey_driver::{Control, Error, PivSession, Refusal};
use tapkey_protocol::piv::{
    DEFAULT_MANAGEMENT_KEY, ManagementKey, ManagementKeyType, Pin, PinPolicy, PublicKey, Puk, Slot, since,
};
use tapkey_protocol::secret::SecretBytes;
use x509_cert::der::{Decode, Encode};
use zeroize::Zeroizing;

use super::files;
use crate::{
    commands::Context,
    encode::from_hex,
    exit::Failure,
    keys::{self, Opened},
    prompt,
    secrets::{Source, Wanted},
};

/// What makes changes possible.
#[derive(ClapArgs, Clone, Debug, Default)]
pub(super) struct Rights {
    /// Where the management key comes from: hexadecimal digits.
    #[arg(long, short, value_name = "SOURCE")]
    pub(super) management_key: Option<Source>,

    /// Where the PIN comes from.
    #[arg(long, short = 'P', value_name = "SOURCE")]
    pub(super) pin: Option<Source>,
}

/// What makes the use of a key possible.
#[derive(ClapArgs, Clone, Debug, Default)]
pub(super) struct Use {
    /// Where the PIN comes from, for keys that need it.
    #[arg(long, short = 'P', value_name = "SOURCE")]
    pub(super) pin: Option<Source>,
}

/// The open application.
pub(super) struct Piv {
    pub(super) session: PivSession,
    pub(super) control: Control,
    pub(super) opened: Opened,
    /// A PIN that was read already, so that nobody is asked twice.
    pin: Option<Pin>,
}

/// A proof of the right to make changes.
pub(super) enum Authority {
    Key(ManagementKey),
    Pin(Pin),
}

impl Authority {
    pub(super) const fn who(&self) -> Administrator<'_> {
        match self {
            Self::Key(key) => Administrator::Key(key),
            Self::Pin(pin) => Administrator::Pin(pin),
        }
    }
}

impl Piv {
    /// Opens the application of the chosen key.
    pub(super) fn begin(context: &Context) -> Result<Self, Failure> {
        let opened = keys::open(context)?;
        let control = keys::control(context);
        let session = opened.device.open_piv(&control).map_err(keys::refused)?;
        Ok(Self { session, control, opened, pin: None })
    }

    pub(super) fn serial(&self) -> Option<u32> {
        self.opened.device.serial()
    }

    /// Does something with the session.
    pub(super) fn with<T>(
        &mut self,
        work: impl FnOnce(&mut PivSession, &Control) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        work(&mut self.session, &self.control).map_err(failed)
    }

    /// The PIN, read once.
    pub(super) fn pin(&mut self, source: Option<&Source>) -> Result<Pin, Failure> {
        if let Some(pin) = &self.pin {
            return Ok(pin.clone());
        }
        let pin = read_pin(source, "the PIN", "--pin")?;
        self.fresh();
        Ok(self.pin.insert(pin).clone())
    }

    /// The PIN, if the key in a slot needs one.
    pub(super) fn pin_for(&mut self, slot: Slot, source: Option<&Source>) -> Result<Option<Pin>, Failure> {
        let policy = if self.session.version() >= since::METADATA {
            let metadata = self.with(|session, control| session.metadata(slot, control))?;
            metadata.ok_or_else(|| failed(PivRefusal::NoKey { slot }.into()))?.pin_policy
        } else {
            slot.default_pin_policy()
        };
        match policy {
            PinPolicy::Never if source.is_none() => Ok(None),
            _ => self.pin(source).map(Some),
        }
    }

    /// The right to make changes: what was given, the PIN where it is enough, the factory's key while
    /// it is in force, or whatever is answered to the question.
    pub(super) fn authority(&mut self, rights: &Rights, context: &Context) -> Result<Authority, Failure> {
        if let Some(source) = &rights.management_key {
            let bytes = read_management_key(Some(source))?;
            return self.as_key(bytes).map(Authority::Key);
        }
        if self.with(|session, control| session.keeps_management_key(control))? {
            return self.pin(rights.pin.as_ref()).map(Authority::Pin);
        }
        if let Some(key) = self.factory()? {
            context.printer.warn("the management key is still the factory's: anybody can change what is on this key; `tapkey piv access change-management-key` sets one");
            return Ok(Authority::Key(key));
        }
        let bytes = read_management_key(None)?;
        self.fresh();
        self.as_key(bytes).map(Authority::Key)
    }

    /// Gives the bytes the cipher that the key has for them.
    fn as_key(&mut self, bytes: SecretBytes) -> Result<ManagementKey, Failure> {
        let kind = self.with(|session, control| session.management_key_type(control))?;
        ManagementKey::new(kind, bytes).map_err(|error| {
            Failure::usage(error.to_string()).hint("`tapkey piv info` shows the cipher of the management key")
        })
    }

    /// The factory's management key, when it is in force.
    fn factory(&mut self) -> Result<Option<ManagementKey>, Failure> {
        let key = ManagementKey::factory(self.session.version());
        let metadata = self.with(|session, control| session.management_key(control))?;
        match metadata {
            Some(metadata) if metadata.is_default => {
                let key =
                    ManagementKey::new(metadata.kind, SecretBytes::new(DEFAULT_MANAGEMENT_KEY.to_vec()));
                Ok(key.ok())
            }
            Some(_) => Ok(None),
            // Firmware that does not tell is asked: there is no limit on tries.
            None => match self.session.authenticate(Administrator::Key(&key), &self.control) {
                Ok(()) => Ok(Some(key)),
                Err(Error::Refused(_)) => Ok(None),
                Err(error) => Err(failed(error)),
            },
        }
    }

    /// The public key of a slot: from metadata, or of the certificate there.
    pub(super) fn public_key(&mut self, slot: Slot) -> Result<PublicKey, Failure> {
        if self.session.version() >= since::METADATA {
            let metadata = self.with(|session, control| session.metadata(slot, control))?;
            return Ok(metadata.ok_or_else(|| failed(PivRefusal::NoKey { slot }.into()))?.public_key);
        }
        let Some(object) = self.with(|session, control| session.certificate(slot, control))? else {
            return Err(Failure::failed(format!(
                "firmware {} does not tell public keys, and there is no certificate in slot {slot}",
                self.session.version()
            ))
            .hint("give the public key with --public-key FILE"));
        };
        public_key_of(&files::unpack(&object)?)
    }

    /// Forgets the time that somebody took to answer a question.
    fn fresh(&mut self) {
        self.patient(keys::PATIENCE);
    }

    /// Allows so much time from now on.
    pub(super) fn patient(&mut self, time: Duration) {
        self.control = self.control.clone().with_timeout(time);
    }

    /// Asks before something is destroyed.
    pub(super) fn confirm(&mut self, question: &str, force: bool) -> Result<(), Failure> {
        if !force {
            prompt::confirm(question, "--force")?;
            self.fresh();
        }
        Ok(())
    }

    /// Says what is still as it left the factory.
    pub(super) fn warn_of_defaults(&mut self, context: &Context) -> Result<(), Failure> {
        let known = self.with(|session, control| session.pin_and_puk(control))?;
        if let Some((pin, puk)) = known {
            for warning in defaults(pin.is_default, puk.is_default) {
                context.printer.warn(warning);
            }
        }
        Ok(())
    }
}

/// Warnings about a PIN and PUK that everybody knows.
pub(super) fn defaults(pin: bool, puk: bool) -> Vec<&'static str> {
    let pin = pin.then_some("the PIN is still the factory's; `tapkey piv access change-pin` changes it");
    let puk = puk.then_some("the PUK is still the factory's; `tapkey piv access change-puk` changes it");
    [pin, puk].into_iter().flatten().collect()
}

/// The public key in a certificate.
pub(super) fn public_key_of(certificate: &[u8]) -> Result<PublicKey, Failure> {
    let certificate = x509_cert::Certificate::from_der(certificate)
        .map_err(|error| Failure::failed(format!("the certificate cannot be read: {error}")))?;
    let info = certificate.tbs_certificate().subject_public_key_info();
    let bytes =
        info.to_der().map_err(|error| Failure::failed(format!("the certificate cannot be read: {error}")))?;
    public_key_from_der(&bytes).map_err(|error| Failure::failed(error.to_string()))
}

/// What a failed operation means, with what to do about it.
pub(super) fn failed(error: Error) -> Failure {
    let hint = match &error {
        Error::Refused(Refusal::Piv(refusal)) => match refusal {
            PivRefusal::PinNeeded { .. } => Some("add --pin SOURCE"),
            PivRefusal::ManagementKeyWrong | PivRefusal::ManagementKeyNotStored => {
                Some("give it with --management-key SOURCE; when it is lost, only `tapkey piv reset` helps")
            }
            PivRefusal::Blocked { .. } => Some("see `tapkey piv access unblock-pin` and `tapkey piv reset`"),
            _ => None,
        },
        _ => None,
    };
    let failure = keys::refused(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Reads a PIN.
pub(super) fn read_pin(
    source: Option<&Source>,
    name: &'static str,
    option: &'static str,
) -> Result<Pin, Failure> {
    let text = Wanted { name, option }.read(source)?;
    Pin::new(text.as_bytes()).map_err(|error| Failure::usage(format!("{name} cannot be right: {error}")))
}

/// Reads a PUK.
pub(super) fn read_puk(
    source: Option<&Source>,
    name: &'static str,
    option: &'static str,
) -> Result<Puk, Failure> {
    let text = Wanted { name, option }.read(source)?;
    Puk::new(text.as_bytes()).map_err(|error| Failure::usage(format!("{name} cannot be right: {error}")))
}

/// Reads the bytes of a management key; which cipher they are for is another question.
pub(super) fn read_management_key(source: Option<&Source>) -> Result<SecretBytes, Failure> {
    let text = Wanted { name: "the management key", option: "--management-key" }.read(source)?;
    key_bytes(&text)
}

/// Hexadecimal digits of a length that some cipher has.
pub(super) fn key_bytes(text: &str) -> Result<SecretBytes, Failure> {
    let bytes: Zeroizing<Vec<u8>> = from_hex(text, "the management key")?;
    if !ManagementKeyType::ALL.iter().any(|kind| kind.key_size() == bytes.len()) {
        return Err(Failure::usage(format!("the management key has {} bytes", bytes.len())).hint(
            "it has 24 bytes (tdes, aes192), 16 (aes128) or 32 (aes256), written in hexadecimal digits",
        ));
    }
    Ok(SecretBytes::new(bytes.to_vec()))
}
