//! Hashes over several parts that cannot be mistaken for each other, and PBKDF2.

use hmac::digest::Digest;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use zeroize::Zeroize;

/// SHA-256 over parts, each behind its length as four bytes, big-endian: no two lists of parts give
/// the same input.
pub(super) fn hash_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(length(part));
        hash.update(part);
    }
    hash.finalize().into()
}

/// HMAC-SHA256 over parts in the same form.
pub(super) fn mac_parts(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of every length, so the error cannot occur.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mut mac| {
            for part in parts {
                mac.update(&length(part));
                mac.update(part);
            }
            mac.finalize().into_bytes().into()
        })
        .unwrap_or_default()
}

/// The parts in the same form, one after the other.
pub(super) fn join_parts(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&length(part), *part].concat()).collect()
}

fn length(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// PBKDF2 with HMAC-SHA1 (RFC 8018 section 5.2), the first block of 20 bytes. No rounds count as one.
pub(super) fn pbkdf2_sha1(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 20] {
    Hmac::<Sha1>::new_from_slice(password)
        .map(|mac| pbkdf2(|parts| feed(&mac, parts).into(), salt, rounds))
        .unwrap_or([0; 20])
}

/// PBKDF2 with HMAC-SHA256 (RFC 8018 section 5.2), the first block of 32 bytes. No rounds count as one.
pub(super) fn pbkdf2_sha256(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
    Hmac::<Sha256>::new_from_slice(password)
        .map(|mac| pbkdf2(|parts| feed(&mac, parts).into(), salt, rounds))
        .unwrap_or([0; 32])
}

/// The keyed state is made once and copied, which halves the work.
fn feed<M: Mac + Clone>(mac: &M, parts: &[&[u8]]) -> hmac::digest::Output<M> {
    let mut mac = mac.clone();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes()
}

fn pbkdf2<const N: usize>(prf: impl Fn(&[&[u8]]) -> [u8; N], salt: &[u8], rounds: u32) -> [u8; N] {
    let mut round = prf(&[salt, &1_u32.to_be_bytes()]);
    let mut block = round;
    for _ in 1..rounds {
        round = prf(&[&round]);
        for (sum, byte) in block.iter_mut().zip(round) {
            *sum ^= byte;
        }
    }
    round.zeroize();
    block
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// RFC 6070; the last is what Python's `hashlib` says.
    #[test]
    fn pbkdf2_known_answers() {
        let sha1 =
            |password: &[u8], salt: &[u8], rounds| HEXLOWER.encode(&pbkdf2_sha1(password, salt, rounds));
        assert_eq!(sha1(b"password", b"salt", 1), "0c60c80f961f0e71f3a9b524af6012062fe037a6");
        assert_eq!(sha1(b"password", b"salt", 2), "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957");
        assert_eq!(sha1(b"password", b"salt", 4096), "4b007901b765489abead49d926f721d065a429c1");
        let sha256 = |rounds| HEXLOWER.encode(&pbkdf2_sha256(b"password", b"salt", rounds));
        assert_eq!(sha256(4096), "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a");
    }

    #[test]
    fn parts_are_kept_apart() {
        assert_ne!(hash_parts(&[b"ab", b"c"]), hash_parts(&[b"a", b"bc"]));
        assert_ne!(hash_parts(&[b"ab"]), hash_parts(&[b"ab", b""]));
        assert_ne!(mac_parts(b"key", &[b"ab", b"c"]), mac_parts(b"key", &[b"a", b"bc"]));
        assert_ne!(mac_parts(b"key", &[b"ab"]), mac_parts(b"kez", &[b"ab"]));
    }
}
