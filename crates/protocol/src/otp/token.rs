//! The 16 bytes inside a one-time password.

use aes::{
    Aes128,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{AesKey, Counter, PrivateId, UseCounter};
use crate::crc;

/// The plain block of a one-time password.
///
/// Layout, little endian: private id 6, use counter 2, timestamp 3, session counter 1, random 2,
/// complemented CRC 2 (YubiKey manual, "OTP").
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Token {
    /// Compare with the credential's, in constant time (`==` does).
    pub private_id: PrivateId,
    /// Uses after power-up; with the top bit that is not part of the counter.
    pub use_counter_raw: u16,
    /// The key's own clock.
    pub timestamp: Timestamp,
    /// Uses since power-up.
    pub session_counter: u8,
    /// Noise that makes two blocks differ.
    pub random: u16,
}

impl Token {
    /// The two counters as one ordered number.
    #[must_use]
    pub fn counter(&self) -> Counter {
        Counter::new(UseCounter::from_raw(self.use_counter_raw), self.session_counter)
    }

    /// Encrypts the block. The checksum is added.
    #[must_use]
    pub fn seal(&self, key: &AesKey) -> [u8; 16] {
        let mut block = Zeroizing::new([0; 16]);
        block[..6].copy_from_slice(self.private_id.expose());
        block[6..8].copy_from_slice(&self.use_counter_raw.to_le_bytes());
        block[8..11].copy_from_slice(&self.timestamp.value().to_le_bytes()[..3]);
        block[11] = self.session_counter;
        block[12..14].copy_from_slice(&self.random.to_le_bytes());
        let trailer = crc::trailer(&block[..14]);
        block[14..].copy_from_slice(&trailer);
        let mut sealed = (*block).into();
        Aes128::new(key.expose().into()).encrypt_block(&mut sealed);
        sealed.into()
    }

    /// Decrypts a block and checks its checksum.
    ///
    /// # Errors
    /// [`OpenError`] when the checksum is wrong: another key, or a changed password. A right
    /// checksum alone proves little (1 in 65,536 by chance): compare the private id too.
    pub fn open(key: &AesKey, sealed: &[u8; 16]) -> Result<Self, OpenError> {
        let mut block = (*sealed).into();
        Aes128::new(key.expose().into()).decrypt_block(&mut block);
        let block: Zeroizing<[u8; 16]> = Zeroizing::new(block.into());
        if !crc::holds(&*block) {
            return Err(OpenError);
        }
        let [i0, i1, i2, i3, i4, i5, u0, u1, t0, t1, t2, session_counter, r0, r1, _, _] = *block;
        Ok(Self {
            private_id: PrivateId::new([i0, i1, i2, i3, i4, i5]),
            use_counter_raw: u16::from_le_bytes([u0, u1]),
            timestamp: Timestamp::from_le_bytes([t0, t1, t2]),
            session_counter,
            random: u16::from_le_bytes([r0, r1]),
        })
    }
}

/// The block did not decrypt to something with a right checksum.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the password does not decrypt with this AES key (wrong checksum)")]
pub struct OpenError;

/// The key's clock: 24 bits at about 8 Hz, random at power-up, wrapping after about 24 days.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Timestamp(u32);

impl Timestamp {
    /// From a number of ticks, of which the low 24 bits count.
    #[must_use]
    pub const fn new(ticks: u32) -> Self {
        Self(ticks & 0xff_ffff)
    }

    /// From its three bytes in a token.
    #[must_use]
    pub const fn from_le_bytes([low, middle, high]: [u8; 3]) -> Self {
        Self(u32::from_le_bytes([low, middle, high, 0]))
    }

    /// The ticks, below 2^24.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }

    /// Ticks from `earlier` to this one, over at most one wrap.
    #[must_use]
    pub const fn ticks_since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0) & 0xff_ffff
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{modhex, otp::Otp};

    fn block(text: &str) -> [u8; 16] {
        modhex::decode(text).unwrap().try_into().unwrap()
    }

    fn token(id: [u8; 6], uses: u16, low: u16, high: u8, session: u8, random: u16) -> Token {
        Token {
            private_id: PrivateId::new(id),
            use_counter_raw: uses,
            timestamp: Timestamp::new(u32::from(high) << 16 | u32::from(low)),
            session_counter: session,
            random,
        }
    }

    /// The test vectors that Yubico publishes with its validation server and token library.
    #[test]
    fn published_vectors() {
        let counting: [u8; 16] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let one_to_six = [1, 2, 3, 4, 5, 6];
        let last_key =
            [0xc4, 0x42, 0x28, 0x90, 0x65, 0x30, 0x76, 0xcd, 0xe7, 0x3d, 0x44, 0x9b, 0x19, 0x1b, 0x41, 0x6a];
        let last_id = [0x33, 0xc6, 0x9e, 0x7f, 0x24, 0x9e];
        let vectors = [
            (counting, token(one_to_six, 1, 1, 1, 1, 0), "dvgtiblfkbgturecfllberrvkinnctnn"),
            (counting, token(one_to_six, 1, 1, 1, 2, 0), "rnibcnfhdninbrdebccrndfhjgnhftee"),
            (counting, token(one_to_six, 0xfff, 1, 1, 1, 0), "iikkijbdknrrdhfdrjltvgrbkkjblcbh"),
            (
                [0x88; 16],
                token([0x88; 6], 0x8888, 0x8888, 0x88, 0x88, 0x8888),
                "dcihgvrhjeucvrinhdfddbjhfjftjdei",
            ),
            ([0; 16], token([0; 6], 0, 0, 0, 0, 0), "kkkncjnvcnenkjvjgncjihljiibgbhbh"),
            (last_key, token(last_id, 1, 0x13a7, 0x24, 0, 0xc63c), "iucvrkjiegbhidrcicvlgrcgkgurhjnj"),
        ];
        for (key, token, text) in vectors {
            let key = AesKey::new(key);
            assert_eq!(modhex::encode(&token.seal(&key)), text);
            assert_eq!(Token::open(&key, &block(text)).unwrap(), token);
        }
    }

    #[test]
    fn the_top_bit_is_not_part_of_the_counter() {
        assert_eq!(token([0; 6], 0x8888, 0, 0, 0x88, 0).counter().value(), 0x08_8888);
    }

    #[test]
    fn published_key_store_vector_and_its_corrupt_neighbour() {
        let key = AesKey::new([
            0xc6, 0x8c, 0x9d, 0xf8, 0xcb, 0xfe, 0x7d, 0x2f, 0x99, 0x4c, 0xb9, 0x04, 0x04, 0x6c, 0x72, 0x18,
        ]);
        let otp: Otp = "idkfefrdhtrutjduvtcjbfeuvhehdvjjlbchtlenfgku".parse().unwrap();
        let token = otp.open(&key).unwrap();
        assert_eq!(token.private_id, PrivateId::new([0x60, 0x99, 0x63, 0xea, 0xe7, 0xb5]));
        assert_eq!((token.use_counter_raw, token.session_counter), (1, 0));
        assert_eq!(token.timestamp.value(), 0x0f_8d40);
        let corrupt: Otp = "idkfefrdhtrutjduvtcjbfeuvhehdvjjlbchtlenfgkv".parse().unwrap();
        assert_eq!(corrupt.open(&key), Err(OpenError));
    }

    #[test]
    fn published_token_library_vector() {
        let key = AesKey::new([
            0xec, 0xde, 0x18, 0xdb, 0xe7, 0x6f, 0xbd, 0x0c, 0x33, 0x33, 0x0f, 0x1c, 0x35, 0x48, 0x71, 0xdb,
        ]);
        let otp: Otp = "dteffujehknhfjbrjnlnldnhcujvddbikngjrtgh".parse().unwrap();
        let token = otp.open(&key).unwrap();
        assert_eq!(token.private_id, PrivateId::new([0x87, 0x92, 0xeb, 0xfe, 0x26, 0xcc]));
        assert_eq!((token.counter().use_counter(), token.session_counter), (19, 17));
        assert_eq!((token.timestamp.value(), token.random), (49712, 40904));
    }

    #[test]
    fn the_clock_wraps() {
        assert_eq!(Timestamp::new(5).ticks_since(Timestamp::new(0xff_fffb)), 10);
    }

    proptest! {
        #[test]
        fn round_trip(key: [u8; 16], id: [u8; 6], uses: u16, ticks in 0u32..0x100_0000, session: u8, random: u16) {
            let key = AesKey::new(key);
            let token = Token {
                private_id: PrivateId::new(id),
                use_counter_raw: uses,
                timestamp: Timestamp::new(ticks),
                session_counter: session,
                random,
            };
            prop_assert_eq!(Token::open(&key, &token.seal(&key)).unwrap(), token);
        }

        #[test]
        fn any_block_opens_or_is_refused(key: [u8; 16], sealed: [u8; 16]) {
            if let Ok(token) = Token::open(&AesKey::new(key), &sealed) {
                prop_assert_eq!(token.seal(&AesKey::new(key)), sealed);
            }
        }
    }
}
