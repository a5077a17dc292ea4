//! Writing a container.

use data_encoding::{BASE64, HEXLOWER};
use zeroize::Zeroizing;

use super::crypt::{AES_CBC, Authenticator, BLOCK, HMACS, PBKDF2, Prf, encrypt};
use super::{Container, HMAC_SHA1, HOTP, Key, KeyKind, NAMESPACE, PskcError, TOTP, YUBICO_OTP, names};
use crate::oath::{Algorithm, Digits};
use crate::secret::SecretBytes;

/// How the secrets are to be written.
pub enum Seal<'a> {
    /// As they are. The file is as secret as they are.
    Plain,
    /// Encrypted with a key that both sides know.
    Key {
        /// How the key is called, so that the reader finds it.
        name: &'a str,
        /// 16, 24 or 32 bytes.
        key: &'a [u8],
        /// Fills memory with random bytes.
        random: &'a mut dyn FnMut(&mut [u8]),
    },
    /// Encrypted with a passphrase.
    Passphrase {
        /// The passphrase.
        passphrase: &'a str,
        /// The hash of the derivation.
        prf: Prf,
        /// The rounds of the derivation: the more, the slower a guess.
        rounds: u32,
        /// Fills memory with random bytes.
        random: &'a mut dyn FnMut(&mut [u8]),
    },
}

impl Container {
    /// Writes the container as the text of a file.
    ///
    /// # Errors
    /// [`PskcError::KeyLength`], [`PskcError::ControlCharacter`].
    pub fn write(&self, seal: Seal<'_>) -> Result<Zeroizing<String>, PskcError> {
        let mut xml = Writer::default();
        xml.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let mut root = vec![("Version", "1.0"), ("xmlns", NAMESPACE)];
        if let Some(id) = &self.id {
            root.push(("Id", id));
        }
        let mut sealer = Sealer::new(seal)?;
        if sealer.is_some() {
            root.extend([("xmlns:xenc", XMLENC), ("xmlns:xenc11", XMLENC11), ("xmlns:ds", XMLDSIG)]);
        }
        xml.open("KeyContainer", &root)?;
        if let Some(sealer) = &mut sealer {
            sealer.head(&mut xml)?;
        }
        for (index, key) in self.keys.iter().enumerate() {
            package(&mut xml, key, sealer.as_mut()).map_err(|error| error.in_key(index + 1, 0))?;
        }
        xml.close();
        Ok(xml.text)
    }
}

/// Encrypts values and makes their checksums.
struct Sealer<'a> {
    key: SecretBytes,
    method: &'static str,
    kind: Sealed<'a>,
    authenticator: Authenticator,
    random: &'a mut dyn FnMut(&mut [u8]),
}

enum Sealed<'a> {
    Key { name: &'a str },
    Passphrase { prf: Prf, rounds: u32, salt: [u8; 16] },
}

impl<'a> Sealer<'a> {
    fn new(seal: Seal<'a>) -> Result<Option<Self>, PskcError> {
        let (key, kind, random) = match seal {
            Seal::Plain => return Ok(None),
            Seal::Key { name, key, random } => (SecretBytes::new(key.to_vec()), Sealed::Key { name }, random),
            Seal::Passphrase { passphrase, prf, rounds, random } => {
                let mut salt = [0; 16];
                random(&mut salt);
                let key = prf.derive(passphrase, &salt, rounds, 16);
                (key, Sealed::Passphrase { prf, rounds, salt }, random)
            }
        };
        let method = AES_CBC.iter().find(|(_, length)| *length == key.len());
        let (method, _) = method.ok_or(PskcError::KeyLength)?;
        let mut mac_key = vec![0; 20];
        random(&mut mac_key);
        // The one method that every reader has to know (RFC 6030 section 6.1.1).
        let authenticator = Authenticator { algorithm: Algorithm::Sha1, key: SecretBytes::new(mac_key) };
        Ok(Some(Self { key, method, kind, authenticator, random }))
    }

    fn head(&mut self, xml: &mut Writer) -> Result<(), PskcError> {
        xml.open("EncryptionKey", &[])?;
        match &self.kind {
            Sealed::Key { name } => xml.leaf("ds:KeyName", &[], name)?,
            Sealed::Passphrase { prf, rounds, salt } => {
                xml.open("xenc11:DerivedKey", &[])?;
                xml.open("xenc11:KeyDerivationMethod", &[("Algorithm", PBKDF2)])?;
                xml.open("pkcs5:PBKDF2-params", &[("xmlns:pkcs5", PKCS5)])?;
                xml.open("Salt", &[("xmlns", "")])?;
                xml.leaf("Specified", &[], &BASE64.encode(salt))?;
                xml.close();
                xml.leaf("IterationCount", &[("xmlns", "")], &rounds.to_string())?;
                xml.leaf("KeyLength", &[("xmlns", "")], &self.key.len().to_string())?;
                let prf = HMACS.iter().find(|(_, algorithm)| *algorithm == prf.algorithm());
                xml.leaf("PRF", &[("xmlns", ""), ("Algorithm", prf.map_or("", |(uri, _)| uri))], "")?;
                xml.close();
                xml.close();
                xml.close();
            }
        }
        xml.close();
        xml.open("MACMethod", &[("Algorithm", HMAC_SHA1)])?;
        xml.open("MACKey", &[])?;
        let mac_key = self.authenticator.key.clone();
        self.cipher(xml, mac_key.expose())?;
        xml.close();
        xml.close();
        Ok(())
    }

    /// Writes what stands in `MACKey` and `EncryptedValue`; returns what the checksum is made of.
    fn cipher(&mut self, xml: &mut Writer, plain: &[u8]) -> Result<Vec<u8>, PskcError> {
        let mut iv = [0; BLOCK];
        (self.random)(&mut iv);
        let value = encrypt(self.key.expose(), iv, plain)?;
        xml.leaf("xenc:EncryptionMethod", &[("Algorithm", self.method)], "")?;
        xml.open("xenc:CipherData", &[])?;
        xml.leaf("xenc:CipherValue", &[], &BASE64.encode(&value))?;
        xml.close();
        Ok(value)
    }
}

fn package(xml: &mut Writer, key: &Key, sealer: Option<&mut Sealer<'_>>) -> Result<(), PskcError> {
    xml.open("KeyPackage", &[])?;
    let device = &key.device;
    let about =
        [("Manufacturer", &device.manufacturer), ("SerialNo", &device.serial), ("Model", &device.model)];
    if about.iter().any(|(_, value)| value.is_some()) {
        xml.open("DeviceInfo", &[])?;
        xml.optional(&about)?;
        xml.close();
    }
    if let Some(module) = &key.module {
        xml.open("CryptoModuleInfo", &[])?;
        xml.leaf("Id", &[], module)?;
        xml.close();
    }
    let mut attributes = Vec::new();
    if let Some(id) = &key.id {
        attributes.push(("Id", id.as_str()));
    }
    attributes.push(("Algorithm", algorithm(&key.kind)));
    xml.open("Key", &attributes)?;
    xml.optional(&[("Issuer", &key.issuer)])?;
    parameters(xml, &key.kind)?;
    xml.optional(&[("FriendlyName", &key.friendly_name)])?;
    xml.open("Data", &[])?;
    secret(xml, key, sealer)?;
    numbers(xml, &key.kind)?;
    xml.close();
    xml.optional(&[("UserId", &user_id(key))])?;
    xml.close();
    xml.close();
    Ok(())
}

fn algorithm(kind: &KeyKind) -> &str {
    match kind {
        KeyKind::Hotp { .. } => HOTP,
        KeyKind::Totp { .. } => TOTP,
        KeyKind::YubicoOtp { .. } => YUBICO_OTP,
        KeyKind::HmacSha1 => HMAC_SHA1,
        KeyKind::Other(name) => name,
    }
}

/// A Yubico OTP credential has its two ids there.
fn user_id(key: &Key) -> Option<String> {
    let KeyKind::YubicoOtp { public_id, private_id } = &key.kind else { return key.user_id.clone() };
    let private = private_id.as_ref().map(|id| format!("UID={}", HEXLOWER.encode(id.expose())));
    let public = (!public_id.is_empty()).then(|| format!("CN={}", names::escape(&public_id.to_string())));
    let parts: Vec<String> = public.into_iter().chain(private).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn parameters(xml: &mut Writer, kind: &KeyKind) -> Result<(), PskcError> {
    let (hash, length, encoding) = match kind {
        KeyKind::Hotp { algorithm, digits, .. } | KeyKind::Totp { algorithm, digits, .. } => {
            (Some(*algorithm), code_length(*digits), "DECIMAL")
        }
        KeyKind::YubicoOtp { public_id, .. } => (None, (public_id.len() + 16) * 2, "ALPHANUMERIC"),
        KeyKind::HmacSha1 | KeyKind::Other(_) => return Ok(()),
    };
    xml.open("AlgorithmParameters", &[])?;
    // What is not said is SHA-1. The bare name of the hash is what Yubico's program reads.
    if let Some(hash) = hash.filter(|hash| *hash != Algorithm::Sha1) {
        xml.leaf("Suite", &[], hash.name())?;
    }
    xml.leaf("ResponseFormat", &[("Length", &length.to_string()), ("Encoding", encoding)], "")?;
    xml.close();
    Ok(())
}

fn code_length(digits: Digits) -> usize {
    usize::from(digits.get())
}

fn secret(xml: &mut Writer, key: &Key, sealer: Option<&mut Sealer<'_>>) -> Result<(), PskcError> {
    xml.open("Secret", &[])?;
    match sealer {
        None => xml.leaf("PlainValue", &[], &Zeroizing::new(BASE64.encode(key.secret.expose())))?,
        Some(sealer) => {
            xml.open("EncryptedValue", &[])?;
            let value = sealer.cipher(xml, key.secret.expose())?;
            xml.close();
            xml.leaf("ValueMAC", &[], &BASE64.encode(&sealer.authenticator.tag(&value)))?;
        }
    }
    xml.close();
    Ok(())
}

fn numbers(xml: &mut Writer, kind: &KeyKind) -> Result<(), PskcError> {
    let (name, value) = match kind {
        KeyKind::Hotp { counter, .. } => ("Counter", counter.to_string()),
        KeyKind::Totp { period, .. } => ("TimeInterval", period.to_string()),
        _ => return Ok(()),
    };
    xml.open(name, &[])?;
    xml.leaf("PlainValue", &[], &value)?;
    xml.close();
    Ok(())
}

/// Elements, indented. What it writes is wiped.
#[derive(Default)]
struct Writer {
    text: Zeroizing<String>,
    open: Vec<&'static str>,
}

impl Writer {
    fn raw(&mut self, text: &str) {
        // Growing by itself would leave copies of secrets behind.
        if self.text.len() + text.len() > self.text.capacity() {
            let room = (self.text.len() + text.len()).max(4096) * 2;
            let mut larger = Zeroizing::new(String::with_capacity(room));
            larger.push_str(&self.text);
            self.text = larger;
        }
        self.text.push_str(text);
    }

    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) -> Result<(), PskcError> {
        self.raw(&"  ".repeat(self.open.len()));
        self.raw("<");
        self.raw(name);
        for (name, value) in attributes {
            self.raw(&format!(" {name}=\""));
            self.escaped(value)?;
            self.raw("\"");
        }
        Ok(())
    }

    fn open(&mut self, name: &'static str, attributes: &[(&str, &str)]) -> Result<(), PskcError> {
        self.start(name, attributes)?;
        self.raw(">\n");
        self.open.push(name);
        Ok(())
    }

    fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.raw(&"  ".repeat(self.open.len()));
            self.raw(&format!("</{name}>\n"));
        }
    }

    fn leaf(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) -> Result<(), PskcError> {
        self.start(name, attributes)?;
        if text.is_empty() {
            self.raw("/>\n");
            return Ok(());
        }
        self.raw(">");
        self.escaped(text)?;
        self.raw(&format!("</{name}>\n"));
        Ok(())
    }

    fn optional(&mut self, leaves: &[(&str, &Option<String>)]) -> Result<(), PskcError> {
        for (name, value) in leaves {
            if let Some(value) = value {
                self.leaf(name, &[], value)?;
            }
        }
        Ok(())
    }

    fn escaped(&mut self, text: &str) -> Result<(), PskcError> {
        for c in text.chars() {
            match c {
                '&' => self.raw("&amp;"),
                '<' => self.raw("&lt;"),
                '>' => self.raw("&gt;"),
                '"' => self.raw("&quot;"),
                c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => {
                    return Err(PskcError::ControlCharacter);
                }
                c => self.raw(c.encode_utf8(&mut [0; 4])),
            }
        }
        Ok(())
    }
}

const XMLENC: &str = "http://www.w3.org/2001/04/xmlenc#";
const XMLENC11: &str = "http://www.w3.org/2009/xmlenc11#";
const XMLDSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
const PKCS5: &str = "http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#";
