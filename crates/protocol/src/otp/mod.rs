//! The Yubico one-time password: an optional public id in clear and one AES-128 block, both in modhex.
//!
//! | type | what it is |
//! |---|---|
//! | [`Otp`] | the typed characters, parsed |
//! | [`Token`] | the decrypted block |
//! | [`Counter`] | its two counters as one ordered number |
//! | [`PublicId`], [`PrivateId`], [`AesKey`] | what a credential consists of |
//! | [`typed`] | what arrives when the keyboard layout or caps lock got in between |

mod counter;
mod id;
mod password;
mod token;
pub mod typed;

pub use counter::{Counter, UseCounter};
pub use id::{AesKey, PrivateId, PublicId, PublicIdError};
pub use password::{Otp, ParseError};
pub use token::{OpenError, Timestamp, Token};
