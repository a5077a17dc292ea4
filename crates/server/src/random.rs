//! Randomness of the operating system.

use thiserror::Error;

/// `N` random bytes.
///
/// # Errors
/// The operating system has none, which no secret may be drawn without.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(bytes)
}

/// No randomness.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the operating system gives no randomness; no secret can be drawn")]
pub struct RandomError;
