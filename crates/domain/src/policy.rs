//! Which keys a server takes.

use std::ops::RangeInclusive;

use thiserror::Error;

/// Serial numbers that Tapkey's software keys carry. No key was ever sold with one of them.
pub const EMULATED_SERIALS: RangeInclusive<u32> = 0xf000_0000..=0xffff_fffe;

/// What a server's administrator decided about keys.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KeyPolicy {
    /// Take keys that are made of software. Off unless switched on: such a key can be copied.
    pub accept_emulated: bool,
}

/// What an enroller says about a key. A server cannot check it: keeping software keys out this way
/// is good manners, not a security boundary; what proves a genuine key is attestation.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ClaimedKey {
    /// Whether it is made of software.
    pub emulated: bool,
    /// Its serial number, where it shows one.
    pub serial: Option<u32>,
}

impl ClaimedKey {
    /// Whether the key is made of software, by its own word or by its serial number.
    #[must_use]
    pub fn is_emulated(self) -> bool {
        self.emulated || self.serial.is_some_and(|serial| EMULATED_SERIALS.contains(&serial))
    }
}

impl KeyPolicy {
    /// Whether a key may be enrolled.
    ///
    /// # Errors
    /// It is made of software, and the policy does not take such.
    pub fn check(self, key: ClaimedKey) -> Result<(), PolicyError> {
        if key.is_emulated() && !self.accept_emulated { Err(PolicyError::SoftwareKey) } else { Ok(()) }
    }
}

/// Why a key may not be enrolled.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PolicyError {
    /// The key is made of software.
    #[error(
        "this server takes no software keys; to allow them, set accept_emulated = true under [policy] \
         in its configuration"
    )]
    SoftwareKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_keys_are_refused_unless_allowed() {
        let cases = [
            (false, None, false),
            (false, Some(12_345_678), false),
            (false, Some(0xefff_ffff), false),
            (false, Some(0xf000_0000), true),
            (false, Some(0xffff_fffe), true),
            (false, Some(0xffff_ffff), false),
            (true, None, true),
            (true, Some(12_345_678), true),
        ];
        for (emulated, serial, software) in cases {
            let key = ClaimedKey { emulated, serial };
            assert_eq!(key.is_emulated(), software, "{key:?}");
            let refused = KeyPolicy::default().check(key).is_err();
            assert_eq!(refused, software, "{key:?}");
            assert_eq!(KeyPolicy { accept_emulated: true }.check(key), Ok(()));
        }
    }
}
