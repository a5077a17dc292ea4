//! What protects the secrets: AES in CBC mode (XML Encryption section 5.2), HMAC over the ciphertext
//! (RFC 6030 section 6.1.1), PBKDF2 (RFC 8018 section 5.2).

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::Iso10126;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use cbc::{Decryptor, Encryptor};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::PskcError;
use crate::oath::Algorithm;
use crate::secret::SecretBytes;

pub(super) const AES_CBC: [(&str, usize); 3] = [
    ("http://www.w3.org/2001/04/xmlenc#aes128-cbc", 16),
    ("http://www.w3.org/2001/04/xmlenc#aes192-cbc", 24),
    ("http://www.w3.org/2001/04/xmlenc#aes256-cbc", 32),
];

pub(super) const HMACS: [(&str, Algorithm); 3] = [
    (super::HMAC_SHA1, Algorithm::Sha1),
    ("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", Algorithm::Sha256),
    ("http://www.w3.org/2001/04/xmldsig-more#hmac-sha512", Algorithm::Sha512),
];

pub(super) const PBKDF2: &str = "http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#pbkdf2";

/// A block of AES, and of the vector that begins a chain.
pub(super) const BLOCK: usize = 16;

/// The hash under PBKDF2.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Prf {
    /// What is meant when a file does not say.
    #[default]
    Sha1,
    /// The better choice; some old readers do not know it.
    Sha256,
    /// Seen in files of others.
    Sha512,
}

impl Prf {
    pub(super) const fn algorithm(self) -> Algorithm {
        match self {
            Self::Sha1 => Algorithm::Sha1,
            Self::Sha256 => Algorithm::Sha256,
            Self::Sha512 => Algorithm::Sha512,
        }
    }

    pub(super) fn of(uri: &str) -> Option<Self> {
        // The same methods are named by two bodies.
        let name = uri.rsplit(['#', '/']).next().unwrap_or_default().to_ascii_lowercase();
        match name.replace(['-', '_'], "").as_str() {
            "hmacsha1" | "hmacwithsha1" => Some(Self::Sha1),
            "hmacsha256" | "hmacwithsha256" => Some(Self::Sha256),
            "hmacsha512" | "hmacwithsha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The key that a passphrase makes.
    pub(super) fn derive(self, passphrase: &str, salt: &[u8], rounds: u32, length: usize) -> SecretBytes {
        let password = passphrase.as_bytes();
        match self {
            Self::Sha1 => pbkdf2::<Hmac<Sha1>>(password, salt, rounds, length),
            Self::Sha256 => pbkdf2::<Hmac<Sha256>>(password, salt, rounds, length),
            Self::Sha512 => pbkdf2::<Hmac<Sha512>>(password, salt, rounds, length),
        }
    }
}

fn pbkdf2<M: Mac + KeyInit + Clone>(password: &[u8], salt: &[u8], rounds: u32, length: usize) -> SecretBytes {
    // HMAC takes keys of every length, so the error cannot occur.
    let Ok(keyed) = M::new_from_slice(password) else { return SecretBytes::default() };
    let mut key = Vec::with_capacity(length + 64);
    for index in 1_u32.. {
        if key.len() >= length {
            break;
        }
        let first = keyed.clone().chain_update(salt).chain_update(index.to_be_bytes());
        let mut round = first.finalize().into_bytes();
        let mut block = Zeroizing::new(round.to_vec());
        for _ in 1..rounds {
            round = keyed.clone().chain_update(&round).finalize().into_bytes();
            for (sum, byte) in block.iter_mut().zip(&round) {
                *sum ^= byte;
            }
        }
        key.extend_from_slice(&block);
    }
    key.truncate(length);
    SecretBytes::new(key)
}

/// Decrypts a vector and what follows it.
pub(super) fn decrypt(key: &[u8], value: &[u8]) -> Result<SecretBytes, PskcError> {
    let (iv, body) = value.split_at_checked(BLOCK).ok_or(PskcError::WrongKey)?;
    let mut buffer = Zeroizing::new(body.to_vec());
    let plain = match key.len() {
        16 => unchain::<Decryptor<Aes128>>(key, iv, &mut buffer),
        24 => unchain::<Decryptor<Aes192>>(key, iv, &mut buffer),
        32 => unchain::<Decryptor<Aes256>>(key, iv, &mut buffer),
        _ => return Err(PskcError::KeyLength),
    };
    plain.map(|plain| SecretBytes::new(plain.to_vec())).ok_or(PskcError::WrongKey)
}

fn unchain<'a, M: BlockModeDecrypt + KeyIvInit>(
    key: &[u8],
    iv: &[u8],
    buffer: &'a mut [u8],
) -> Option<&'a [u8]> {
    M::new_from_slices(key, iv).ok()?.decrypt_padded::<Iso10126>(buffer).ok()
}

/// Encrypts; the vector stands in front.
pub(super) fn encrypt(key: &[u8], iv: [u8; BLOCK], plain: &[u8]) -> Result<Vec<u8>, PskcError> {
    let mut buffer = Zeroizing::new(plain.to_vec());
    buffer.resize(plain.len() + BLOCK, 0);
    let sealed = match key.len() {
        16 => chain::<Encryptor<Aes128>>(key, &iv, &mut buffer, plain.len()),
        24 => chain::<Encryptor<Aes192>>(key, &iv, &mut buffer, plain.len()),
        32 => chain::<Encryptor<Aes256>>(key, &iv, &mut buffer, plain.len()),
        _ => None,
    };
    sealed.map(|sealed| [&iv, sealed].concat()).ok_or(PskcError::KeyLength)
}

fn chain<'a, M: BlockModeEncrypt + KeyIvInit>(
    key: &[u8],
    iv: &[u8],
    buffer: &'a mut [u8],
    length: usize,
) -> Option<&'a [u8]> {
    M::new_from_slices(key, iv).ok()?.encrypt_padded::<Iso10126>(buffer, length).ok()
}

/// What shows that a value was not changed.
pub(super) struct Authenticator {
    pub(super) algorithm: Algorithm,
    pub(super) key: SecretBytes,
}

impl Authenticator {
    pub(super) fn tag(&self, value: &[u8]) -> Vec<u8> {
        self.algorithm.hmac(self.key.expose(), value)
    }

    pub(super) fn check(&self, value: &[u8], tag: &[u8]) -> Result<(), PskcError> {
        if self.tag(value).ct_eq(tag).into() { Ok(()) } else { Err(PskcError::WrongKey) }
    }
}
