//! Padding around RSA, which keys leave to the host (RFC 8017).

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::signing::Hash;

/// A digest in PKCS #1 v1.5 padding (section 9.2), as long as the modulus; `None` when there is no
/// room.
pub(super) fn pkcs1_signature(hash: Hash, digest: &[u8], size: usize) -> Option<Vec<u8>> {
    let info = [hash.digest_info(), digest].concat();
    let filling = size.checked_sub(info.len() + 3).filter(|filling| *filling >= 8)?;
    let mut block = vec![0, 1];
    block.resize(2 + filling, 0xFF);
    block.push(0);
    block.extend_from_slice(&info);
    Some(block)
}

/// A digest in PSS padding (section 9.1.1) with MGF1 over the same hash; `None` when there is no
/// room. The modulus fills its bytes.
pub(super) fn pss(hash: Hash, digest: &[u8], salt: &[u8], size: usize) -> Option<Vec<u8>> {
    let length = digest.len();
    let filling = size.checked_sub(salt.len() + length + 2)?;
    let seed = hash.digest(&[&[0; 8][..], digest, salt].concat());
    let mut block = vec![0; filling];
    block.push(1);
    block.extend_from_slice(salt);
    let mask = mgf1(|bytes| hash.digest(bytes), &seed, block.len());
    for (byte, mask) in block.iter_mut().zip(mask) {
        *byte ^= mask;
    }
    // The highest bit of the block is clear, so that it is below the modulus.
    if let Some(first) = block.first_mut() {
        *first &= 0x7F;
    }
    block.extend_from_slice(&seed);
    block.push(0xBC);
    Some(block)
}

/// Takes PKCS #1 v1.5 padding off a decrypted block (section 7.2.2).
pub(super) fn open_pkcs1(block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let rest = block.strip_prefix(&[0, 2])?;
    let zero = rest.iter().position(|byte| *byte == 0).filter(|filling| *filling >= 8)?;
    rest.get(zero + 1..).map(|message| Zeroizing::new(message.to_vec()))
}

/// The hash of OAEP.
#[derive(Clone, Copy, Debug)]
pub(super) enum OaepHash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl OaepHash {
    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(bytes).to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

/// Takes OAEP padding without a label off a decrypted block (section 7.1.2), with MGF1 over the same
/// hash.
pub(super) fn open_oaep(hash: OaepHash, block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let label = hash.digest(&[]);
    let rest = block.strip_prefix(&[0])?;
    let (seed, data) = rest.split_at_checked(label.len())?;
    let mask = mgf1(|bytes| hash.digest(bytes), data, seed.len());
    let seed: Zeroizing<Vec<u8>> =
        Zeroizing::new(seed.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect());
    let mask = mgf1(|bytes| hash.digest(bytes), &seed, data.len());
    let data: Zeroizing<Vec<u8>> =
        Zeroizing::new(data.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect());
    let (found, message) = data.split_at_checked(label.len())?;
    let start = message.iter().position(|byte| *byte != 0)?;
    if !bool::from(found.ct_eq(&label)) || message.get(start) != Some(&1) {
        return None;
    }
    message.get(start + 1..).map(|message| Zeroizing::new(message.to_vec()))
}

/// MGF1 (appendix B.2.1).
fn mgf1(hash: impl Fn(&[u8]) -> Vec<u8>, seed: &[u8], length: usize) -> Vec<u8> {
    let mut mask = Vec::with_capacity(length + 64);
    for counter in 0_u32.. {
        if mask.len() >= length {
            break;
        }
        mask.extend(hash(&[seed, &counter.to_be_bytes()].concat()));
    }
    mask.truncate(length);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        let digest = Hash::Sha512.digest(b"message");
        assert_eq!(pkcs1_signature(Hash::Sha512, &digest, 128).unwrap().len(), 128);
        assert_eq!(pkcs1_signature(Hash::Sha512, &digest, 64), None);
        assert_eq!(pss(Hash::Sha256, &Hash::Sha256.digest(b""), &[1; 32], 128).unwrap().len(), 128);
        assert_eq!(pss(Hash::Sha512, &digest, &[1; 64], 128), None);
    }

    #[test]
    fn what_is_no_padding() {
        let mut block = vec![0, 2];
        block.extend_from_slice(&[9; 8]);
        block.extend_from_slice(&[0, b'x']);
        assert_eq!(open_pkcs1(&block).unwrap().as_slice(), b"x");
        block[9] = 0;
        assert!(open_pkcs1(&block).is_none(), "seven bytes of filling are too few");
        for block in [&[][..], &[0], &[0, 2], &[0, 2, 1, 1, 1], &[1; 128], &[0; 128]] {
            assert!(open_pkcs1(block).is_none() && open_oaep(OaepHash::Sha256, block).is_none());
        }
    }
}
