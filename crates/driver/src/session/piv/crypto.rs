//! Single blocks under the management key.

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use des::TdesEde3;
use tapkey_protocol::piv::{ManagementKey, ManagementKeyType};
use zeroize::Zeroizing;

/// Encrypts one block, or `None` when it has the wrong length.
pub(super) fn encrypt(key: &ManagementKey, block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    match key.kind() {
        ManagementKeyType::Tdes => encrypt_with::<TdesEde3>(key, block),
        ManagementKeyType::Aes128 => encrypt_with::<Aes128>(key, block),
        ManagementKeyType::Aes192 => encrypt_with::<Aes192>(key, block),
        ManagementKeyType::Aes256 => encrypt_with::<Aes256>(key, block),
    }
}

/// Decrypts one block, or `None` when it has the wrong length.
pub(super) fn decrypt(key: &ManagementKey, block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    match key.kind() {
        ManagementKeyType::Tdes => decrypt_with::<TdesEde3>(key, block),
        ManagementKeyType::Aes128 => decrypt_with::<Aes128>(key, block),
        ManagementKeyType::Aes192 => decrypt_with::<Aes192>(key, block),
        ManagementKeyType::Aes256 => decrypt_with::<Aes256>(key, block),
    }
}

fn encrypt_with<C: KeyInit + BlockCipherEncrypt>(
    key: &ManagementKey,
    block: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = C::new_from_slice(key.expose()).ok()?;
    let mut bytes = Zeroizing::new(block.to_vec());
    cipher.encrypt_block(bytes.as_mut_slice().try_into().ok()?);
    Some(bytes)
}

fn decrypt_with<C: KeyInit + BlockCipherDecrypt>(
    key: &ManagementKey,
    block: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = C::new_from_slice(key.expose()).ok()?;
    let mut bytes = Zeroizing::new(block.to_vec());
    cipher.decrypt_block(bytes.as_mut_slice().try_into().ok()?);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use tapkey_protocol::secret::SecretBytes;

    use super::*;

    #[test]
    fn there_and_back() {
        for kind in ManagementKeyType::ALL {
            let key =
                ManagementKey::new(kind, SecretBytes::new((1..=32).take(kind.key_size()).collect())).unwrap();
            let block = vec![0x5A; kind.block_size()];
            let there = encrypt(&key, &block).unwrap();
            assert_ne!(there.as_slice(), block);
            assert_eq!(decrypt(&key, &there).unwrap().as_slice(), block);
            assert!(encrypt(&key, &block[1..]).is_none());
            assert!(decrypt(&key, &[]).is_none());
        }
    }

    /// FIPS 197, appendix C.1.
    #[test]
    fn published_block() {
        let key = ManagementKey::new(ManagementKeyType::Aes128, SecretBytes::new((0..16).collect())).unwrap();
        let plain: Vec<u8> = (0..16).map(|i| i * 0x11).collect();
        assert_eq!(encrypt(&key, &plain).unwrap()[..4], [0x69, 0xC4, 0xE0, 0xD8]);
    }
}
