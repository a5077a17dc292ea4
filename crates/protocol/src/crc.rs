//! The CRC-16 that a YubiKey uses in its one-time passwords, slot records and HID frames.
//!
//! Reflected polynomial `0x8408`, initial value `0xffff`, no final inversion. Where a checksum is
//! stored *behind* the data it covers, it is stored complemented and little endian, and the
//! checksum over both then leaves [`RESIDUAL`]. (YubiKey manual, "CRC16 calculation".)

/// What the checksum over data followed by its complemented checksum leaves.
pub const RESIDUAL: u16 = 0xf0b8;

/// The checksum of `bytes`, not inverted.
///
/// ```
/// assert_eq!(tapkey_protocol::crc::checksum(&[0, 1, 2, 3, 4]), 62919);
/// ```
#[must_use]
pub fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        let [low, high] = crc.to_le_bytes();
        u16::from(high) ^ TABLE[usize::from(low ^ byte)]
    })
}

/// The two bytes to append to `bytes` so that the whole leaves [`RESIDUAL`].
#[must_use]
pub fn trailer(bytes: &[u8]) -> [u8; 2] {
    (!checksum(bytes)).to_le_bytes()
}

/// Whether `bytes` end in the complemented checksum of what stands before it.
#[must_use]
pub fn holds(bytes: &[u8]) -> bool {
    checksum(bytes) == RESIDUAL
}

/// One step per byte instead of eight per bit: opening an OTP is the server's hot path.
const TABLE: [u16; 256] = {
    let mut table = [0u16; 256];
    let mut index = 0u16;
    while index < 256 {
        let mut value = index;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ 0x8408 } else { value >> 1 };
            bit += 1;
        }
        #[expect(clippy::as_conversions, reason = "const context, index is below 256")]
        {
            table[index as usize] = value;
        }
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn published_values() {
        assert_eq!(checksum(&[0, 1, 2, 3, 4]), 62919);
        assert_eq!(checksum(&[0xfe]), 4470);
        assert_eq!(checksum(&[0x55, 0xaa, 0x00, 0xff]), 52149);
    }

    proptest! {
        #[test]
        fn data_with_its_trailer_leaves_the_residual(data: Vec<u8>) {
            let mut whole = data.clone();
            whole.extend(trailer(&data));
            prop_assert!(holds(&whole));
        }

        #[test]
        fn one_flipped_bit_is_noticed(data in proptest::collection::vec(any::<u8>(), 1..64), bit in 0usize..512) {
            let mut whole = data.clone();
            whole.extend(trailer(&data));
            let bit = bit % (whole.len() * 8);
            whole[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!holds(&whole));
        }
    }
}
