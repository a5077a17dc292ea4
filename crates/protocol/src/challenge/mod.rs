//! How a challenge of any length travels in the 64 bytes that a challenge-response slot takes.
//!
//! A slot with the "HMAC less than 64 bytes" flag takes the last byte as the pad value and drops
//! every trailing byte equal to it before hashing. So at most 63 bytes are useful, and the pad
//! value must differ from the challenge's own last byte. A slot without that flag hashes all 64.
//!
//! What is built on challenges has a module of its own: [`sign_in`] derives the challenge of a
//! sign-in, [`passphrase`] makes a disk's passphrase of a response, and [`pam`] reads and writes the
//! files of `pam_yubico`.

pub mod pam;
pub mod passphrase;
pub mod sign_in;

mod derive;

use thiserror::Error;

/// How many bytes a challenge frame holds.
pub const FRAME: usize = 64;
/// The most challenge bytes that a slot with variable length hashes.
pub const MAX_VARIABLE: usize = 63;

/// A challenge that fits no slot.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a challenge has at most 64 bytes, this one has {0}")]
pub struct TooLong(pub usize);

/// Lays a challenge out for a slot, variable length or not: shorter ones are padded with zeros, or
/// with ones where the challenge itself ends in a zero.
///
/// A full 64-byte challenge is passed through; a variable-length slot then hashes it without its
/// trailing run of equal bytes, which is how existing tools behave as well.
///
/// # Errors
/// More than 64 bytes.
///
/// ```
/// use tapkey_protocol::challenge;
/// let frame = challenge::pad(b"Sample #2")?;
/// assert_eq!(challenge::strip(&frame), b"Sample #2");
/// assert!(challenge::pad(&[0; 65]).is_err());
/// # Ok::<(), challenge::TooLong>(())
/// ```
pub fn pad(challenge: &[u8]) -> Result<[u8; FRAME], TooLong> {
    let filler = if challenge.last() == Some(&0) { 1 } else { 0 };
    let mut frame = [filler; FRAME];
    frame.get_mut(..challenge.len()).ok_or(TooLong(challenge.len()))?.copy_from_slice(challenge);
    Ok(frame)
}

/// How a challenge is filled up to the 64 bytes of a frame. Programs differ in this, and where they
/// do, the same challenge has different responses.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Padding {
    /// As [`pad`] does, and ykman: a variable-length slot hashes exactly the challenge.
    #[default]
    Exact,
    /// With zeros, as Yubico's C library and with it `ykchalresp` and `pam_yubico`. Zeros at the end
    /// of the challenge itself are lost in a variable-length slot.
    Zeros,
    /// As KeePassXC and the programs compatible with it: each byte added is the number of bytes added,
    /// as in PKCS #7. Bytes of that value at the end of the challenge itself are lost in a
    /// variable-length slot.
    Count,
}

impl Padding {
    /// Lays a challenge out.
    ///
    /// # Errors
    /// More than 64 bytes.
    ///
    /// ```
    /// use tapkey_protocol::challenge::{Padding, strip};
    /// assert_eq!(strip(&Padding::Exact.frame(&[5, 0])?), [5, 0]);
    /// assert_eq!(strip(&Padding::Zeros.frame(&[5, 0])?), [5]);
    /// assert_eq!(Padding::Count.frame(&[5, 0])?[2..], [62; 62]);
    /// # Ok::<(), tapkey_protocol::challenge::TooLong>(())
    /// ```
    pub fn frame(self, challenge: &[u8]) -> Result<[u8; FRAME], TooLong> {
        let filler = match self {
            Self::Exact => return pad(challenge),
            Self::Zeros => 0,
            Self::Count => {
                u8::try_from(FRAME.saturating_sub(challenge.len())).map_err(|_| TooLong(challenge.len()))?
            }
        };
        let mut frame = [filler; FRAME];
        frame.get_mut(..challenge.len()).ok_or(TooLong(challenge.len()))?.copy_from_slice(challenge);
        Ok(frame)
    }
}

/// What a variable-length slot hashes of a frame: all but the trailing run of bytes equal to the
/// last. Sixty-four equal bytes leave nothing.
#[must_use]
pub fn strip(frame: &[u8; FRAME]) -> &[u8] {
    let filler = frame[FRAME - 1];
    let useful = frame.iter().rposition(|byte| *byte != filler).map_or(0, |last| last + 1);
    &frame[..useful]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_challenge_that_ends_in_zero_is_padded_with_ones() {
        let frame = pad(&[5, 0]).unwrap();
        assert_eq!(frame[2..], [1; 62]);
        assert_eq!(strip(&frame), [5, 0]);
    }

    #[test]
    fn equal_bytes_leave_nothing() {
        assert_eq!(strip(&[0; 64]), b"");
        assert_eq!(pad(b"").map(|frame| strip(&frame).to_vec()), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn round_trip(challenge in proptest::collection::vec(any::<u8>(), 0..=MAX_VARIABLE)) {
            let frame = pad(&challenge).unwrap();
            prop_assert_eq!(strip(&frame), &challenge[..]);
        }

        /// Whatever the padding, the challenge stands in front, and what is lost of it in a
        /// variable-length slot is only what looks like padding.
        #[test]
        fn every_padding(challenge in proptest::collection::vec(any::<u8>(), 0..80)) {
            for (padding, filler) in [
                (Padding::Exact, None),
                (Padding::Zeros, Some(0)),
                (Padding::Count, FRAME.checked_sub(challenge.len()).and_then(|count| u8::try_from(count).ok())),
            ] {
                let Ok(frame) = padding.frame(&challenge) else {
                    prop_assert!(challenge.len() > FRAME);
                    continue;
                };
                prop_assert_eq!(&frame[..challenge.len()], &challenge[..]);
                if challenge.len() == FRAME {
                    continue;
                }
                let kept = strip(&frame);
                let lost = &challenge[kept.len()..];
                prop_assert!(lost.iter().all(|byte| Some(*byte) == filler), "{:?} loses {:?}", padding, lost);
            }
        }
    }
}
