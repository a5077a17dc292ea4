//! What status words say of a PIN or PUK.

use crate::apdu::StatusWord;

/// The answer to VERIFY, CHANGE REFERENCE DATA and RESET RETRY COUNTER, as far as it is about the
/// PIN or PUK.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VerifyAnswer {
    /// It is right, or was found right before.
    Verified,
    /// It is wrong, or was not given. That many tries are left; 15 stands for more as well.
    TriesLeft(u8),
    /// There are no tries left.
    Blocked,
    /// It is about something else.
    Other(StatusWord),
}

impl VerifyAnswer {
    /// Reads a status word. `630x` of firmware 3 counts like `63Cx`.
    #[must_use]
    pub fn of(status: StatusWord) -> Self {
        let tries = match status.to_bytes() {
            [0x63, low @ (0x00..=0x0F | 0xC0..=0xCF)] => Some(low & 0x0F),
            _ => None,
        };
        match (status, tries) {
            (StatusWord::SUCCESS, _) => Self::Verified,
            (StatusWord::AUTHENTICATION_BLOCKED, _) | (_, Some(0)) => Self::Blocked,
            (_, Some(tries)) => Self::TriesLeft(tries),
            (other, None) => Self::Other(other),
        }
    }

    /// The status word that a key answers.
    #[must_use]
    pub fn status(self) -> StatusWord {
        match self {
            Self::Verified => StatusWord::SUCCESS,
            Self::TriesLeft(0) | Self::Blocked => StatusWord::AUTHENTICATION_BLOCKED,
            Self::TriesLeft(tries) => StatusWord::tries_left(tries),
            Self::Other(status) => status,
        }
    }
}
