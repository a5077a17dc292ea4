//! Event- and time-based one-time codes: HOTP (RFC 4226) and TOTP (RFC 6238).

mod code;

pub use code::{Algorithm, Code, Digits, DigitsError, hotp, totp, truncate};
