//! Status words, the last two bytes of every response.

use std::fmt;

/// A status word (SW1 SW2) of ISO/IEC 7816-4 section 5.6.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct StatusWord(pub u16);

macro_rules! status_words {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        impl StatusWord {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            fn text(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

status_words! {
    /// Done.
    SUCCESS = 0x9000, "success";
    /// The answer is complete although less than asked for.
    END_OF_FILE = 0x6282, "end of file reached";
    /// Verification failed; the low nibble of the plain `63Cx` form counts the tries left.
    VERIFY_FAILED_NO_TRIES = 0x63C0, "verification failed, no tries left";
    /// Nothing was changed, for a reason the card does not give.
    EXECUTION_ERROR = 0x6400, "execution error";
    /// Memory could not be written.
    MEMORY_FAILURE = 0x6581, "memory failure";
    /// The length field does not fit the command.
    WRONG_LENGTH = 0x6700, "wrong length";
    /// The class byte asks for secure messaging that is not there.
    SECURE_MESSAGING_NOT_SUPPORTED = 0x6882, "secure messaging not supported";
    /// Command chaining is not supported here.
    CHAINING_NOT_SUPPORTED = 0x6884, "command chaining not supported";
    /// The last command of a chain did not arrive.
    CHAIN_NOT_FINISHED = 0x6883, "the last command of the chain was expected";
    /// A PIN, password or touch is needed first.
    SECURITY_STATUS_NOT_SATISFIED = 0x6982, "security status not satisfied: authenticate first";
    /// Too many wrong tries.
    AUTHENTICATION_BLOCKED = 0x6983, "authentication method blocked";
    /// The data referred to cannot be used; the OATH application: no such credential.
    REFERENCE_DATA_INVALIDATED = 0x6984, "no such object, or it cannot be used";
    /// Not possible in the present state.
    CONDITIONS_NOT_SATISFIED = 0x6985, "conditions of use not satisfied";
    /// The command needs a selected file that is not there.
    COMMAND_NOT_ALLOWED = 0x6986, "command not allowed";
    /// The application refuses to be selected.
    APPLET_SELECT_FAILED = 0x6999, "application could not be selected";
    /// The data field is wrong.
    WRONG_DATA = 0x6A80, "incorrect data in the command";
    /// The function does not exist here.
    FUNCTION_NOT_SUPPORTED = 0x6A81, "function not supported";
    /// No such file, object or application.
    NOT_FOUND = 0x6A82, "file, object or application not found";
    /// There is no room left.
    NO_SPACE = 0x6A84, "not enough space";
    /// P1 or P2 is wrong.
    INCORRECT_PARAMETERS = 0x6A86, "incorrect P1 or P2";
    /// The referenced key or datum does not exist.
    REFERENCE_NOT_FOUND = 0x6A88, "referenced data not found";
    /// P1 or P2 is wrong (older form).
    WRONG_PARAMETERS = 0x6B00, "wrong P1 or P2";
    /// The instruction is unknown.
    INS_NOT_SUPPORTED = 0x6D00, "instruction not supported";
    /// The class is unknown.
    CLA_NOT_SUPPORTED = 0x6E00, "class not supported";
    /// Something went wrong that has no better code.
    UNKNOWN = 0x6F00, "no precise diagnosis";
}

impl StatusWord {
    /// `61xx`: more of the answer waits; `remaining` is its length, 0 for 256 bytes or more.
    #[must_use]
    pub fn more_data(remaining: usize) -> Self {
        let low = u8::try_from(remaining).unwrap_or(0);
        Self(u16::from_be_bytes([0x61, low]))
    }

    /// `63Cx`: verification failed with `tries` left, 15 at most.
    #[must_use]
    pub fn tries_left(tries: u8) -> Self {
        Self(0x63C0 | u16::from(tries.min(15)))
    }

    /// The first byte.
    #[must_use]
    pub fn sw1(self) -> u8 {
        self.0.to_be_bytes()[0]
    }

    /// The second byte.
    #[must_use]
    pub fn sw2(self) -> u8 {
        self.0.to_be_bytes()[1]
    }

    /// True for `9000`.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::SUCCESS
    }

    /// For `61xx`, how many bytes wait (0 means 256 or more).
    #[must_use]
    pub fn remaining(self) -> Option<u8> {
        (self.sw1() == 0x61).then(|| self.sw2())
    }

    /// For `63Cx`, the tries left.
    #[must_use]
    pub fn retries(self) -> Option<u8> {
        (self.sw1() == 0x63 && self.sw2() & 0xF0 == 0xC0).then(|| self.sw2() & 0x0F)
    }

    /// True for the answers by which keys say that an application is not there or not enabled.
    #[must_use]
    pub fn means_no_application(self) -> bool {
        [Self::NOT_FOUND, Self::APPLET_SELECT_FAILED, Self::INS_NOT_SUPPORTED, Self::WRONG_PARAMETERS]
            .contains(&self)
    }

    /// The two bytes as they travel.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }
}

impl From<u16> for StatusWord {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl From<[u8; 2]> for StatusWord {
    fn from(bytes: [u8; 2]) -> Self {
        Self(u16::from_be_bytes(bytes))
    }
}

impl fmt::Debug for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusWord({:04X})", self.0)
    }
}

impl fmt::Display for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)?;
        if let Some(tries) = self.retries() {
            return write!(f, " (verification failed, {tries} tries left)");
        }
        if self.remaining().is_some() {
            return f.write_str(" (more data waits)");
        }
        match self.text() {
            Some(text) => write!(f, " ({text})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(StatusWord::SUCCESS.to_string(), "9000 (success)");
        assert_eq!(StatusWord(0x63C2).to_string(), "63C2 (verification failed, 2 tries left)");
        assert_eq!(StatusWord(0x6110).to_string(), "6110 (more data waits)");
        assert_eq!(StatusWord(0x1234).to_string(), "1234");
    }

    #[test]
    fn derived_forms() {
        assert_eq!(StatusWord::more_data(300), StatusWord(0x6100));
        assert_eq!(StatusWord::more_data(0x20).remaining(), Some(0x20));
        assert_eq!(StatusWord::tries_left(3).retries(), Some(3));
        assert_eq!(StatusWord(0x6300).retries(), None);
        assert!(StatusWord::NOT_FOUND.means_no_application());
        assert!(!StatusWord::SECURITY_STATUS_NOT_SATISFIED.means_no_application());
    }
}
