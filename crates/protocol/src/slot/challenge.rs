//! Challenge-response slots.

use super::builder::{Options, SlotConfig, V2_2};
use super::{AccessCode, ConfigFlags, HmacKey, SlotRecord, TicketFlags};
use crate::otp::AesKey;
use crate::secret::Secret;
use crate::version::{Unsupported, Version};

/// A slot that answers HMAC-SHA1 challenges.
#[derive(Clone, Debug)]
pub struct ChallengeHmac {
    /// The key.
    pub key: HmacKey,
    /// Take challenges of up to 63 bytes, whose padding is removed; otherwise always all 64 bytes
    /// are hashed. Most software expects `true`.
    pub variable_length: bool,
    /// Answer only after a touch.
    pub require_touch: bool,
    /// Common settings.
    pub options: Options,
    /// The access code from now on.
    pub access_code: AccessCode,
}

impl SlotConfig for ChallengeHmac {
    fn record(&self) -> SlotRecord {
        let (key, [a, b, c, d]) = self.key.split();
        let mut record = self.options.silent_record(&self.access_code);
        record.ticket = record.ticket | TicketFlags::CHALLENGE_RESPONSE;
        record.config = ConfigFlags::CHALLENGE_HMAC
            .with(ConfigFlags::HMAC_LESS_THAN_64, self.variable_length)
            .with(ConfigFlags::CHALLENGE_TOUCH, self.require_touch);
        SlotRecord { key, uid: Secret::new([a, b, c, d, 0, 0]), ..record }
    }

    fn supported_by(&self, version: Version) -> Result<(), Unsupported> {
        Unsupported::check_at_least("challenge-response", version, V2_2)?;
        self.options.supported_by(version)
    }
}

/// A slot that answers six-byte challenges with an encrypted ticket that carries the challenge.
#[derive(Clone, Debug)]
pub struct ChallengeYubico {
    /// The AES key.
    pub key: AesKey,
    /// Answer only after a touch.
    pub require_touch: bool,
    /// Common settings.
    pub options: Options,
    /// The access code from now on.
    pub access_code: AccessCode,
}

impl SlotConfig for ChallengeYubico {
    fn record(&self) -> SlotRecord {
        let mut record = self.options.silent_record(&self.access_code);
        record.ticket = record.ticket | TicketFlags::CHALLENGE_RESPONSE;
        record.config = ConfigFlags::CHALLENGE_YUBICO.with(ConfigFlags::CHALLENGE_TOUCH, self.require_touch);
        SlotRecord { key: Secret::new(*self.key.expose()), ..record }
    }

    fn supported_by(&self, version: Version) -> Result<(), Unsupported> {
        Unsupported::check_at_least("challenge-response", version, V2_2)?;
        self.options.supported_by(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::SlotKind;

    #[test]
    fn hmac_key_is_split_over_two_fields() {
        let key: [u8; 20] = std::array::from_fn(|index| u8::try_from(index).unwrap());
        let config = ChallengeHmac {
            key: HmacKey::new(key),
            variable_length: true,
            require_touch: true,
            options: Options::for_challenges(),
            access_code: AccessCode::NONE,
        };
        let record = config.record();
        assert_eq!(record.hmac_key(), Secret::new(key));
        assert_eq!(record.ticket, TicketFlags(0x40));
        assert_eq!(record.config, ConfigFlags(0x2E));
        assert_eq!(config.kind(), SlotKind::ChallengeHmac { variable_length: true, touch: true });
        assert!(config.supported_by(Version::new(2, 1, 0)).is_err());
    }

    #[test]
    fn yubico_mode() {
        let config = ChallengeYubico {
            key: AesKey::new([1; 16]),
            require_touch: false,
            options: Options::for_challenges(),
            access_code: AccessCode::NONE,
        };
        assert_eq!(config.kind(), SlotKind::ChallengeYubico { touch: false });
    }
}
