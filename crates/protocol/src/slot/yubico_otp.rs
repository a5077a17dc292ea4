//! Yubico OTP slots.

use super::builder::{Options, SlotConfig};
use super::{AccessCode, ConfigFlags, SlotRecord};
use crate::otp::{AesKey, PrivateId, PublicId};
use crate::secret::Secret;
use crate::version::{Unsupported, Version};

/// A slot that types a Yubico OTP.
///
/// ```
/// use tapkey_protocol::otp::{AesKey, PrivateId, PublicId};
/// use tapkey_protocol::slot::{AccessCode, Options, SlotConfig, SlotKind, YubicoOtp};
///
/// let config = YubicoOtp {
///     public_id: PublicId::new(&[0xFF, 0, 0, 0, 0, 1])?,
///     private_id: PrivateId::new([1, 2, 3, 4, 5, 6]),
///     key: AesKey::new([7; 16]),
///     send_reference: false,
///     options: Options::for_typing(),
///     access_code: AccessCode::NONE,
/// };
/// assert_eq!(config.kind(), SlotKind::YubicoOtp);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct YubicoOtp {
    /// The public id, typed in front in the clear.
    pub public_id: PublicId,
    /// The private id, inside the encrypted part.
    pub private_id: PrivateId,
    /// The AES key.
    pub key: AesKey,
    /// Type the 16 modhex letters first.
    pub send_reference: bool,
    /// Common settings.
    pub options: Options,
    /// The access code from now on.
    pub access_code: AccessCode,
}

impl SlotConfig for YubicoOtp {
    fn record(&self) -> SlotRecord {
        let (fixed, fixed_length) = fixed_part(self.public_id.as_bytes());
        let mut record = self.options.typing_record(&self.access_code);
        record.config = record.config.with(ConfigFlags::SEND_REFERENCE, self.send_reference);
        SlotRecord {
            fixed,
            fixed_length,
            uid: Secret::new(*self.private_id.expose()),
            key: Secret::new(*self.key.expose()),
            ..record
        }
    }

    fn supported_by(&self, version: Version) -> Result<(), Unsupported> {
        self.options.supported_by(version)
    }
}

/// Lays up to 16 bytes into the fixed field; more are cut off.
pub(super) fn fixed_part(bytes: &[u8]) -> (Secret<16>, u8) {
    let mut fixed = [0; 16];
    let mut length = 0;
    for (to, from) in fixed.iter_mut().zip(bytes) {
        *to = *from;
        length += 1;
    }
    (Secret::new(fixed), length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::SlotKind;

    #[test]
    fn record_of_the_usual_slot() {
        let config = YubicoOtp {
            public_id: PublicId::new(&[1, 2, 3, 4, 5, 6]).unwrap(),
            private_id: PrivateId::new([7; 6]),
            key: AesKey::new([8; 16]),
            send_reference: false,
            options: Options::for_typing(),
            access_code: AccessCode::NONE,
        };
        let record = config.record();
        assert_eq!(config.kind(), SlotKind::YubicoOtp);
        let bytes = record.encode();
        let mut expected = [0_u8; 50];
        expected[..6].copy_from_slice(&[1, 2, 3, 4, 5, 6]);
        expected[16..22].fill(7);
        expected[22..38].fill(8);
        expected[44..48].copy_from_slice(&[6, 0x34, 0x20, 0x00]);
        assert_eq!(bytes.expose()[..50], expected);
        assert_eq!(record.fixed_part(), [1, 2, 3, 4, 5, 6]);
    }
}
