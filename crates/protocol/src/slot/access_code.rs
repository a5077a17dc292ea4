//! Access codes of slots.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER_PERMISSIVE;
use thiserror::Error;

use crate::secret::Secret;

/// Six bytes without which a slot cannot be changed. Six zeros mean that there is none.
///
/// A key counts no wrong tries, and there is no way to clear a lost code.
#[derive(Clone, Eq, PartialEq)]
pub struct AccessCode(Secret<{ Self::SIZE }>);

impl AccessCode {
    /// Bytes of a code.
    pub const SIZE: usize = 6;
    /// No code.
    pub const NONE: Self = Self(Secret::new([0; Self::SIZE]));

    /// Makes a code.
    #[must_use]
    pub const fn new(bytes: [u8; Self::SIZE]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The bytes.
    #[must_use]
    pub const fn expose(&self) -> &[u8; Self::SIZE] {
        self.0.expose()
    }

    /// True when the six bytes are zero.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// True when all six bytes are equal, which keys that insist on complex PINs refuse.
    #[must_use]
    pub fn is_trivial(&self) -> bool {
        let [first, rest @ ..] = self.expose();
        rest.iter().all(|byte| byte == first)
    }

    /// True when a slot protected by `self` may be changed by a host that gives `given`: either
    /// there is no code, or it is the same.
    #[must_use]
    pub fn permits(&self, given: &Self) -> bool {
        self.is_none() || self == given
    }

    /// Reads six bytes at `offset`; where the bytes end before, there is no code.
    #[must_use]
    pub(super) fn read_at(bytes: &[u8], offset: usize) -> Self {
        bytes
            .get(offset..)
            .and_then(|rest| rest.first_chunk())
            .map_or(Self::NONE, |code: &[u8; Self::SIZE]| Self::new(*code))
    }
}

impl Default for AccessCode {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Debug for AccessCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessCode(…)")
    }
}

impl FromStr for AccessCode {
    type Err = AccessCodeError;

    /// Reads twelve hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| AccessCodeError)?;
        bytes.as_slice().try_into().map(Self::new).map_err(|_| AccessCodeError)
    }
}

/// The text is not an access code.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("an access code is written as 12 hexadecimal digits")]
pub struct AccessCodeError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text() {
        let code: AccessCode = "0102030405fF".parse().unwrap();
        assert_eq!(code.expose(), &[1, 2, 3, 4, 5, 0xFF]);
        assert_eq!("01020304".parse::<AccessCode>(), Err(AccessCodeError));
        assert_eq!("0102030405zz".parse::<AccessCode>(), Err(AccessCodeError));
        assert_eq!(format!("{code:?}"), "AccessCode(…)");
    }

    #[test]
    fn who_may_change_a_slot() {
        let code = AccessCode::new([1, 2, 3, 4, 5, 6]);
        assert!(AccessCode::NONE.permits(&code), "a code given to an unprotected slot is accepted");
        assert!(code.permits(&code));
        assert!(!code.permits(&AccessCode::NONE));
        assert!(AccessCode::new([7; 6]).is_trivial() && !code.is_trivial());
    }

    #[test]
    fn a_short_payload_has_no_code() {
        assert_eq!(AccessCode::read_at(&[1; 10], 4), AccessCode::new([1; 6]));
        assert_eq!(AccessCode::read_at(&[1; 10], 5), AccessCode::NONE);
        assert_eq!(AccessCode::read_at(&[1; 10], 50), AccessCode::NONE);
    }
}
