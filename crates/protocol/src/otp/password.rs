//! The typed characters of a one-time password.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::{AesKey, OpenError, PublicId, Token};
use crate::modhex;

/// A one-time password as it is typed: public id and encrypted block, in modhex.
///
/// Parsing takes upper and lower case; [`Display`](fmt::Display) writes lower case. For input from
/// people, whose keyboard layout may have changed the letters, see [`super::typed`].
///
/// ```
/// use tapkey_protocol::otp::Otp;
/// let otp: Otp = "vvccccbdefghdvgtiblfkbgturecfllberrvkinnctnn".parse()?;
/// assert_eq!(otp.public_id().to_string(), "vvccccbdefgh");
/// assert!("vvccccbdefgh".parse::<Otp>().is_err());
/// # Ok::<(), tapkey_protocol::otp::ParseError>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Otp {
    public_id: PublicId,
    block: [u8; 16],
}

impl Otp {
    /// Letters of the encrypted block.
    pub const BLOCK_LETTERS: usize = 32;
    /// Letters of the longest password: 16 bytes of public id and the block.
    pub const MAX_LETTERS: usize = Self::BLOCK_LETTERS + PublicId::MAX * 2;

    /// Joins a public id and an encrypted block.
    #[must_use]
    pub const fn new(public_id: PublicId, block: [u8; 16]) -> Self {
        Self { public_id, block }
    }

    /// Who typed it.
    #[must_use]
    pub const fn public_id(&self) -> PublicId {
        self.public_id
    }

    /// The encrypted block.
    #[must_use]
    pub const fn block(&self) -> &[u8; 16] {
        &self.block
    }

    /// Decrypts the block.
    ///
    /// # Errors
    /// [`OpenError`] when the checksum inside is wrong.
    pub fn open(&self, key: &AesKey) -> Result<Token, OpenError> {
        Token::open(key, &self.block)
    }
}

impl FromStr for Otp {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let length = text.len();
        if !(Self::BLOCK_LETTERS..=Self::MAX_LETTERS).contains(&length) {
            return Err(ParseError::Length(length));
        }
        let (id, block) = text.as_bytes().split_at(length - Self::BLOCK_LETTERS);
        let mut bytes = [0; 16];
        modhex::decode_into(block, &mut bytes).map_err(|error| match error {
            modhex::Error::Letter { position } => modhex::Error::Letter { position: position + id.len() },
            other => other,
        })?;
        let mut id_bytes = [0; PublicId::MAX];
        let id_room = id_bytes.get_mut(..id.len() / 2).ok_or(ParseError::Length(length))?;
        modhex::decode_into(id, id_room)?;
        let public_id = PublicId::new(id_room).map_err(|_| ParseError::Length(length))?;
        Ok(Self { public_id, block: bytes })
    }
}

impl fmt::Display for Otp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.public_id, modhex::encode(&self.block))
    }
}

/// A one-time password stays one until a server has seen it: only the public id is shown.
impl fmt::Debug for Otp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Otp({}…)", self.public_id)
    }
}

/// Why a text is no one-time password.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ParseError {
    /// 32 letters of block and 0 to 32 of public id.
    #[error("a one-time password has 32 to 64 letters, this text has {0}")]
    Length(usize),
    /// Something that no key types.
    #[error("not a one-time password: {0}")]
    Modhex(#[from] modhex::Error),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn says_what_is_wrong() {
        assert_eq!("".parse::<Otp>(), Err(ParseError::Length(0)));
        assert_eq!("c".repeat(65).parse::<Otp>(), Err(ParseError::Length(65)));
        assert_eq!("c".repeat(33).parse::<Otp>(), Err(ParseError::Modhex(modhex::Error::OddLength(1))));
        let wrong = format!("{}x", "c".repeat(43));
        assert_eq!(wrong.parse::<Otp>(), Err(ParseError::Modhex(modhex::Error::Letter { position: 43 })));
    }

    #[test]
    fn debug_hides_the_block() {
        let otp: Otp = "vvccccbdefghdvgtiblfkbgturecfllberrvkinnctnn".parse().unwrap();
        assert_eq!(format!("{otp:?}"), "Otp(vvccccbdefgh…)");
    }

    proptest! {
        #[test]
        fn round_trip(id in proptest::collection::vec(any::<u8>(), 0..=16), block: [u8; 16]) {
            let otp = Otp::new(PublicId::new(&id).unwrap(), block);
            prop_assert_eq!(otp.to_string().parse::<Otp>().unwrap(), otp);
            prop_assert_eq!(otp.to_string().to_uppercase().parse::<Otp>().unwrap(), otp);
        }

        #[test]
        fn any_text_is_parsed_or_refused(text: String) {
            if let Ok(otp) = text.parse::<Otp>() {
                prop_assert_eq!(otp.to_string(), text.to_ascii_lowercase());
            }
        }
    }
}
