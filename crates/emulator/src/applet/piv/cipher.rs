//! Management keys at work: single blocks of 3DES and AES.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use des::TdesEde3;
use tapkey_protocol::piv::{ManagementKey, ManagementKeyType};

/// Bytes of a block.
pub(super) const fn block_size(kind: ManagementKeyType) -> usize {
    match kind {
        ManagementKeyType::Tdes => 8,
        _ => 16,
    }
}

/// One block, encrypted. `None` when its length is not the cipher's.
pub(super) fn encrypt(key: &ManagementKey, block: &[u8]) -> Option<Vec<u8>> {
    let bytes = key.expose();
    match key.kind() {
        ManagementKeyType::Tdes => with(TdesEde3::new_from_slice(bytes).ok()?, block),
        ManagementKeyType::Aes128 => with(Aes128::new_from_slice(bytes).ok()?, block),
        ManagementKeyType::Aes192 => with(Aes192::new_from_slice(bytes).ok()?, block),
        ManagementKeyType::Aes256 => with(Aes256::new_from_slice(bytes).ok()?, block),
    }
}

fn with<C: BlockCipherEncrypt>(cipher: C, block: &[u8]) -> Option<Vec<u8>> {
    let mut block = aes::cipher::Block::<C>::try_from(block).ok()?;
    cipher.encrypt_block(&mut block);
    Some(block.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encrypted(kind: ManagementKeyType, key: &str, block: &str) -> String {
        let bytes = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
        let key = ManagementKey::new(kind, bytes(key).into()).unwrap();
        data_encoding::HEXLOWER.encode(&encrypt(&key, &bytes(block)).unwrap())
    }

    #[test]
    fn published_vectors() {
        // FIPS 197, appendix C.
        let plain = "00112233445566778899aabbccddeeff";
        let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        for (kind, length, cipher) in [
            (ManagementKeyType::Aes128, 32, "69c4e0d86a7b0430d8cdb78070b4c55a"),
            (ManagementKeyType::Aes192, 48, "dda97ca4864cdfe06eaf70a0ec0d7191"),
            (ManagementKeyType::Aes256, 64, "8ea2b7ca516745bfeafc49904b496089"),
        ] {
            assert_eq!(encrypted(kind, &key[..length], plain), cipher);
        }
        // NIST SP 800-67, appendix B: the first block of the example.
        let key = "0123456789abcdef23456789abcdef01456789abcdef0123";
        assert_eq!(encrypted(ManagementKeyType::Tdes, key, "5468652071756663"), "a826fd8ce53b855f");
    }

    #[test]
    fn a_block_of_another_length_is_none() {
        let key = ManagementKey::new(ManagementKeyType::Aes128, vec![1; 16].into()).unwrap();
        assert_eq!(encrypt(&key, &[0; 8]), None);
    }
}
