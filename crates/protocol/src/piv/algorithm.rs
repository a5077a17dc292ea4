//! What keys are made of.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::{CodecError, since};
use crate::version::{Requirement, Unsupported, Version};

/// The algorithm of a key in a slot (NIST SP 800-78-4 table 6-2, and Yubico's additions).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// RSA with 1024 bits.
    Rsa1024,
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
    /// The curve P-256.
    P256,
    /// The curve P-384.
    P384,
    /// Signatures on Curve25519 (RFC 8032).
    Ed25519,
    /// Key agreement on Curve25519 (RFC 7748).
    X25519,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Rsa1024,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::P256,
        Self::P384,
        Self::Ed25519,
        Self::X25519,
    ];

    /// The byte by which commands call it.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Rsa1024 => 0x06,
            Self::Rsa2048 => 0x07,
            Self::Rsa3072 => 0x05,
            Self::Rsa4096 => 0x16,
            Self::P256 => 0x11,
            Self::P384 => 0x14,
            Self::Ed25519 => 0xE0,
            Self::X25519 => 0xE1,
        }
    }

    /// RSA with a modulus of that many bytes.
    #[must_use]
    pub const fn rsa(modulus_bytes: usize) -> Option<Self> {
        match modulus_bytes {
            128 => Some(Self::Rsa1024),
            256 => Some(Self::Rsa2048),
            384 => Some(Self::Rsa3072),
            512 => Some(Self::Rsa4096),
            _ => None,
        }
    }

    /// Whether it is RSA.
    #[must_use]
    pub const fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa1024 | Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }

    /// Bytes of the modulus, or of a field element.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::Rsa1024 => 128,
            Self::Rsa2048 => 256,
            Self::Rsa3072 => 384,
            Self::Rsa4096 => 512,
            Self::P384 => 48,
            Self::P256 | Self::Ed25519 | Self::X25519 => 32,
        }
    }

    /// Bytes of a public point: `04 X Y` on P-256 and P-384, 32 bytes on Curve25519; nothing for RSA.
    #[must_use]
    pub const fn point_size(self) -> Option<usize> {
        match self {
            Self::P256 | Self::P384 => Some(2 * self.size() + 1),
            Self::Ed25519 | Self::X25519 => Some(self.size()),
            _ => None,
        }
    }

    /// Whether keys of it sign.
    #[must_use]
    pub const fn signs(self) -> bool {
        !matches!(self, Self::X25519)
    }

    /// Checks that firmware has it.
    ///
    /// # Errors
    /// [`Unsupported`] when it does not.
    pub fn check(self, firmware: Version) -> Result<(), Unsupported> {
        match self {
            Self::Rsa3072 | Self::Rsa4096 | Self::Ed25519 | Self::X25519 => {
                Unsupported::check_at_least("this algorithm", firmware, since::KEY_MOVING)
            }
            Self::P384 => Unsupported::check_at_least("this algorithm", firmware, since::POLICIES),
            _ => Ok(()),
        }
    }

    /// Checks that firmware can be trusted to generate a key of it.
    ///
    /// # Errors
    /// [`Unsupported`] when it does not have it, or generates weak keys.
    pub fn check_generation(self, firmware: Version) -> Result<(), Unsupported> {
        self.check(firmware)?;
        if !self.is_rsa() {
            return Ok(());
        }
        let good = Requirement::Outside(since::WEAK_RSA, since::GOOD_RSA);
        Unsupported::check("generating RSA keys that are not weak", firmware, good)
    }

    /// The name for people and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa1024 => "RSA1024",
            Self::Rsa2048 => "RSA2048",
            Self::Rsa3072 => "RSA3072",
            Self::Rsa4096 => "RSA4096",
            Self::P256 => "ECCP256",
            Self::P384 => "ECCP384",
            Self::Ed25519 => "ED25519",
            Self::X25519 => "X25519",
        }
    }
}

impl TryFrom<u8> for Algorithm {
    type Error = CodecError;

    fn try_from(id: u8) -> Result<Self, CodecError> {
        Self::ALL.into_iter().find(|algorithm| algorithm.id() == id).ok_or(CodecError::Algorithm(id))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownName;

    /// Reads `rsa2048`, `eccp256`, `p256`, `p-256`, `ed25519`, in either case.
    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let text = text.to_ascii_lowercase().replace(['-', '_'], "");
        let text = text.strip_prefix("ecc").unwrap_or(&text);
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().trim_start_matches("ECC").eq_ignore_ascii_case(text))
            .ok_or(UnknownName("rsa1024, rsa2048, rsa3072, rsa4096, eccp256, eccp384, ed25519 or x25519"))
    }
}

/// The cipher of the management key.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ManagementKeyType {
    /// Triple DES with three keys, 24 bytes.
    Tdes,
    /// AES with 128 bits.
    Aes128,
    /// AES with 192 bits.
    Aes192,
    /// AES with 256 bits.
    Aes256,
}

impl ManagementKeyType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tdes, Self::Aes128, Self::Aes192, Self::Aes256];

    /// The byte by which commands call it.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Tdes => 0x03,
            Self::Aes128 => 0x08,
            Self::Aes192 => 0x0A,
            Self::Aes256 => 0x0C,
        }
    }

    /// Bytes of the key.
    #[must_use]
    pub const fn key_size(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Tdes | Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    /// Bytes of a block, which challenges have.
    #[must_use]
    pub const fn block_size(self) -> usize {
        match self {
            Self::Tdes => 8,
            _ => 16,
        }
    }

    /// The factory's choice.
    #[must_use]
    pub fn default_of(firmware: Version) -> Self {
        if firmware >= since::KEY_MOVING { Self::Aes192 } else { Self::Tdes }
    }

    /// Checks that firmware has it.
    ///
    /// # Errors
    /// [`Unsupported`] when it does not.
    pub fn check(self, firmware: Version) -> Result<(), Unsupported> {
        match self {
            Self::Tdes => Ok(()),
            _ => Unsupported::check_at_least("an AES management key", firmware, since::AES_MANAGEMENT_KEY),
        }
    }

    /// The name for people and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tdes => "TDES",
            Self::Aes128 => "AES128",
            Self::Aes192 => "AES192",
            Self::Aes256 => "AES256",
        }
    }
}

impl TryFrom<u8> for ManagementKeyType {
    type Error = CodecError;

    fn try_from(id: u8) -> Result<Self, CodecError> {
        Self::ALL.into_iter().find(|kind| kind.id() == id).ok_or(CodecError::Algorithm(id))
    }
}

impl fmt::Display for ManagementKeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ManagementKeyType {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let text = text.to_ascii_lowercase().replace(['-', '_'], "");
        let text = if text == "3des" { "tdes" } else { &text };
        Self::ALL
            .into_iter()
            .find(|kind| kind.name().eq_ignore_ascii_case(text))
            .ok_or(UnknownName("tdes, aes128, aes192 or aes256"))
    }
}

/// The text is none of the names that are possible.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("it is one of: {0}")]
pub struct UnknownName(
    /// The names.
    pub &'static str,
);
