//! As much of KeePass's file format 4 as it takes to make a database that a key's response alone opens,
//! and to see whether a response opens one that was written by somebody else.
//!
//! The format is described at <https://keepass.info/help/kb/kdbx.html>. KeePassXC's part of it, the
//! challenge, is: the key is asked the seed of the key derivation, and SHA-256 of the response is hashed
//! behind the other parts of the composite key.

use aes::{
    Aes256,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use cbc::{
    Encryptor,
    cipher::{BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7},
};
use tapkey_protocol::oath::Algorithm;

const SIGNATURE: [u8; 12] = [0x03, 0xD9, 0xA2, 0x9A, 0x67, 0xFB, 0x4B, 0xB5, 0x00, 0x00, 0x04, 0x00];
const AES: [u8; 16] =
    [0x31, 0xC1, 0xF2, 0xE6, 0xBF, 0x71, 0x43, 0x50, 0xBE, 0x58, 0x05, 0x21, 0x6A, 0xFC, 0x5A, 0xFF];
const AES_KDF: [u8; 16] =
    [0x7C, 0x02, 0xBB, 0x82, 0x79, 0xA7, 0x4A, 0xC0, 0x92, 0x7D, 0x11, 0x4A, 0x00, 0x64, 0x82, 0x38];
/// The same derivation under the name that it has in files of version 3; KeePassXC writes it in new ones.
const AES_KDF_3: [u8; 16] =
    [0xC9, 0xD9, 0xF3, 0x9A, 0x62, 0x8A, 0x44, 0x60, 0xBF, 0x74, 0x0D, 0x08, 0xC1, 0x8A, 0x4F, 0xEA];
const ROUNDS: u64 = 100;

/// What stands in the header of a database, with the bytes of the header themselves.
pub(crate) struct Header {
    bytes: Vec<u8>,
    master_seed: Vec<u8>,
    /// What the key is asked.
    pub(crate) seed: Vec<u8>,
    rounds: u64,
}

/// A database with one entry, of this title, that opens with the response to [`Header::seed`] alone.
pub(crate) fn write(seed: [u8; 32], response: &[u8], title: &str) -> Vec<u8> {
    let (master_seed, iv) = ([0x11; 32], [0x22; 16]);
    let mut parameters = vec![0x00, 0x01];
    item(&mut parameters, 0x42, "$UUID", &AES_KDF);
    item(&mut parameters, 0x05, "R", &ROUNDS.to_le_bytes());
    item(&mut parameters, 0x42, "S", &seed);
    parameters.push(0);
    let mut bytes = SIGNATURE.to_vec();
    let fields: [(u8, &[u8]); 6] =
        [(2, &AES), (3, &[0; 4]), (4, &master_seed), (7, &iv), (11, &parameters), (0, b"\r\n\r\n")];
    for (id, data) in fields {
        field(&mut bytes, id, data);
    }
    let header = Header { bytes, master_seed: master_seed.to_vec(), seed: seed.to_vec(), rounds: ROUNDS };
    let transformed = header.transformed(response);

    let mut payload = Vec::new();
    let inner: [(u8, &[u8]); 3] = [(1, &[3, 0, 0, 0]), (2, &[0x33; 64]), (0, &[])];
    for (id, data) in inner {
        field(&mut payload, id, data);
    }
    payload.extend_from_slice(xml(title).as_bytes());
    let key: [u8; 32] = sha256(&[&header.master_seed, &transformed]).try_into().unwrap();
    let encrypted = Encryptor::<Aes256>::new(&key.into(), &iv.into()).encrypt_padded_vec::<Pkcs7>(&payload);

    let mac_key = header.mac_key(&transformed);
    let mut file = header.bytes.clone();
    file.extend(sha256(&[&header.bytes]));
    file.extend(header.mac(&transformed));
    for (number, block) in [(0, &encrypted[..]), (1, &[])] {
        let length = u32::try_from(block.len()).unwrap().to_le_bytes();
        let number = u64::to_le_bytes(number);
        let key = sha512(&[&number, &mac_key]);
        file.extend(Algorithm::Sha256.hmac(&key, &[&number[..], &length, block].concat()));
        file.extend_from_slice(&length);
        file.extend_from_slice(block);
    }
    file
}

/// Reads the header of a database.
pub(crate) fn header(file: &[u8]) -> Header {
    let mut header = Header { bytes: Vec::new(), master_seed: vec![], seed: vec![], rounds: 0 };
    let mut at = SIGNATURE.len();
    loop {
        let (id, length) = (file[at], number(&file[at + 1..at + 5]));
        let data = &file[at + 5..at + 5 + length];
        at += 5 + length;
        match id {
            0 => break,
            4 => header.master_seed = data.to_vec(),
            11 => {
                header.seed = dictionary(data, "S").unwrap();
                header.rounds = u64::from_le_bytes(dictionary(data, "R").unwrap().try_into().unwrap());
                let kind = dictionary(data, "$UUID").unwrap();
                assert!(AES_KDF == *kind || AES_KDF_3 == *kind, "another derivation: {kind:02x?}");
            }
            _ => {}
        }
    }
    header.bytes = file[..at].to_vec();
    header
}

/// Whether the response opens the database: the authenticity of its header hangs on it.
pub(crate) fn opens(file: &[u8], response: &[u8]) -> bool {
    let header = header(file);
    let mac = &file[header.bytes.len() + 32..][..32];
    header.mac(&header.transformed(response)) == mac
}

impl Header {
    fn transformed(&self, response: &[u8]) -> Vec<u8> {
        let composite = sha256(&[&sha256(&[response])]);
        let cipher = Aes256::new_from_slice(&self.seed).unwrap();
        let mut halves: [[u8; 16]; 2] =
            [composite[..16].try_into().unwrap(), composite[16..].try_into().unwrap()];
        for half in &mut halves {
            let mut block = (*half).into();
            for _ in 0..self.rounds {
                cipher.encrypt_block(&mut block);
            }
            *half = block.into();
        }
        sha256(&[halves.as_flattened()])
    }

    fn mac_key(&self, transformed: &[u8]) -> Vec<u8> {
        sha512(&[&self.master_seed, transformed, &[1]])
    }

    fn mac(&self, transformed: &[u8]) -> Vec<u8> {
        let key = sha512(&[&u64::MAX.to_le_bytes(), &self.mac_key(transformed)]);
        Algorithm::Sha256.hmac(&key, &self.bytes)
    }
}

fn field(to: &mut Vec<u8>, id: u8, data: &[u8]) {
    to.push(id);
    to.extend_from_slice(&u32::try_from(data.len()).unwrap().to_le_bytes());
    to.extend_from_slice(data);
}

fn item(to: &mut Vec<u8>, kind: u8, name: &str, data: &[u8]) {
    to.push(kind);
    for part in [name.as_bytes(), data] {
        to.extend_from_slice(&u32::try_from(part.len()).unwrap().to_le_bytes());
        to.extend_from_slice(part);
    }
}

fn dictionary(bytes: &[u8], wanted: &str) -> Option<Vec<u8>> {
    let mut at = 2;
    while bytes[at] != 0 {
        let length = number(&bytes[at + 1..at + 5]);
        let name = &bytes[at + 5..at + 5 + length];
        at += 5 + length;
        let length = number(&bytes[at..at + 4]);
        let value = &bytes[at + 4..at + 4 + length];
        at += 4 + length;
        if name == wanted.as_bytes() {
            return Some(value.to_vec());
        }
    }
    None
}

fn number(bytes: &[u8]) -> usize {
    usize::try_from(u32::from_le_bytes(bytes.try_into().unwrap())).unwrap()
}

fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    Algorithm::Sha256.digest(&parts.concat())
}

fn sha512(parts: &[&[u8]]) -> Vec<u8> {
    Algorithm::Sha512.digest(&parts.concat())
}

fn xml(title: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\"?>\n<KeePassFile><Meta>\
         <Generator>test</Generator><DatabaseName>test</DatabaseName></Meta><Root><Group>\
         <UUID>AAAAAAAAAAAAAAAAAAAAAQ==</UUID><Name>Root</Name><Entry>\
         <UUID>AAAAAAAAAAAAAAAAAAAAAg==</UUID><String><Key>Title</Key><Value>{title}</Value></String>\
         </Entry></Group></Root></KeePassFile>"
    )
}
