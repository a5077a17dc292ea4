//! What a slot does.

use super::{ConfigFlags, TicketFlags};

/// What a slot does, decided by its flags.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SlotKind {
    /// Answers HMAC-SHA1 challenges.
    ChallengeHmac {
        /// Trailing bytes equal to the last one are padding.
        variable_length: bool,
        /// Only after a touch.
        touch: bool,
    },
    /// Answers challenges with an encrypted ticket.
    ChallengeYubico {
        /// Only after a touch.
        touch: bool,
    },
    /// Types an OATH-HOTP code.
    Hotp {
        /// Eight digits, otherwise six.
        eight_digits: bool,
    },
    /// Types the same ticket each time.
    StaticTicket {
        /// At most 16 characters.
        short: bool,
    },
    /// Types 38 scan codes.
    ScanCodes,
    /// Types a Yubico OTP.
    YubicoOtp,
}

impl SlotKind {
    /// Reads the flags in the order in which the firmware does.
    #[must_use]
    pub const fn of(ticket: TicketFlags, config: ConfigFlags) -> Self {
        if ticket.contains(TicketFlags::CHALLENGE_RESPONSE) {
            let touch = config.contains(ConfigFlags::CHALLENGE_TOUCH);
            return if config.contains(ConfigFlags::CHALLENGE_HMAC) {
                let variable_length = config.contains(ConfigFlags::HMAC_LESS_THAN_64);
                Self::ChallengeHmac { variable_length, touch }
            } else if config.contains(ConfigFlags::CHALLENGE_YUBICO) {
                Self::ChallengeYubico { touch }
            } else {
                Self::Hotp { eight_digits: config.contains(ConfigFlags::HOTP_EIGHT_DIGITS) }
            };
        }
        let short = config.contains(ConfigFlags::SHORT_TICKET);
        if config.contains(ConfigFlags::STATIC_TICKET) {
            Self::StaticTicket { short }
        } else if short {
            Self::ScanCodes
        } else {
            Self::YubicoOtp
        }
    }

    /// True for the two challenge kinds, which type nothing.
    #[must_use]
    pub const fn is_challenge_response(self) -> bool {
        matches!(self, Self::ChallengeHmac { .. } | Self::ChallengeYubico { .. })
    }

    /// True when the slot reacts to a touch, which is what the status calls touch-triggered.
    #[must_use]
    pub const fn is_touch_triggered(self) -> bool {
        match self {
            Self::ChallengeHmac { touch, .. } | Self::ChallengeYubico { touch } => touch,
            _ => true,
        }
    }

    /// A name for messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChallengeHmac { .. } => "HMAC-SHA1 challenge-response",
            Self::ChallengeYubico { .. } => "Yubico challenge-response",
            Self::Hotp { .. } => "OATH-HOTP",
            Self::StaticTicket { .. } => "static ticket",
            Self::ScanCodes => "static password",
            Self::YubicoOtp => "Yubico OTP",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(ticket: u8, config: u8) -> SlotKind {
        SlotKind::of(TicketFlags(ticket), ConfigFlags(config))
    }

    #[test]
    fn order_of_the_decision() {
        assert_eq!(kind(0x40, 0x22), SlotKind::ChallengeHmac { variable_length: false, touch: false });
        assert_eq!(kind(0x40, 0x2E), SlotKind::ChallengeHmac { variable_length: true, touch: true });
        assert_eq!(kind(0x60, 0x20), SlotKind::ChallengeYubico { touch: false });
        assert_eq!(kind(0x60, 0x28), SlotKind::ChallengeYubico { touch: true });
        assert_eq!(kind(0x60, 0x50), SlotKind::Hotp { eight_digits: false });
        assert_eq!(kind(0x60, 0x52), SlotKind::Hotp { eight_digits: true });
        assert_eq!(kind(0x20, 0x20), SlotKind::StaticTicket { short: false });
        assert_eq!(kind(0x20, 0x22), SlotKind::StaticTicket { short: true });
        assert_eq!(kind(0x20, 0x02), SlotKind::ScanCodes);
        assert_eq!(kind(0x20, 0x00), SlotKind::YubicoOtp);
    }

    #[test]
    fn touch_in_the_status() {
        assert!(!kind(0x40, 0x26).is_touch_triggered());
        assert!(kind(0x40, 0x2E).is_touch_triggered());
        assert!(kind(0x20, 0x00).is_touch_triggered());
    }
}
