//! The three flag bytes of a slot record.
//!
//! The meaning of a configuration flag depends on what the slot does, so several names share a bit.

macro_rules! flags {
    ($(#[$type_doc:meta])* $type:ident { $($(#[$doc:meta])* $name:ident = $bits:literal;)* }) => {
        $(#[$type_doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
        pub struct $type(pub u8);

        impl $type {
            /// No flag.
            pub const NONE: Self = Self(0);
            $($(#[$doc])* pub const $name: Self = Self($bits);)*

            /// True when all of `other` are set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// True when any of `other` is set.
            #[must_use]
            pub const fn intersects(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// Both sets together.
            #[must_use]
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// What is in both sets.
            #[must_use]
            pub const fn intersection(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }

            /// What is in this set and not in `other`.
            #[must_use]
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// The set with `other` set or cleared.
            #[must_use]
            pub const fn with(self, other: Self, on: bool) -> Self {
                if on { self.union(other) } else { self.without(other) }
            }
        }

        impl std::ops::BitOr for $type {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                self.union(other)
            }
        }
    };
}

flags! {
    /// Ticket flags: how the output is laid out, and two bits that choose what the slot does.
    TicketFlags {
        /// Type TAB before everything.
        TAB_FIRST = 0x01;
        /// Type TAB after the fixed part.
        APPEND_TAB1 = 0x02;
        /// Type TAB after the body.
        APPEND_TAB2 = 0x04;
        /// Wait half a second after the fixed part.
        APPEND_DELAY1 = 0x08;
        /// Wait half a second after the body.
        APPEND_DELAY2 = 0x10;
        /// Type Enter at the end.
        APPEND_CR = 0x20;
        /// OATH-HOTP (firmware 2.1 and later).
        OATH_HOTP = 0x40;
        /// Challenge-response, together with configuration flags (firmware 2.2 and later).
        CHALLENGE_RESPONSE = 0x40;
        /// In slot 1: slot 2 is protected.
        PROTECT_SLOT_2 = 0x80;
        /// What an update may change.
        UPDATABLE = 0x3F;
    }
}

flags! {
    /// Configuration flags.
    ConfigFlags {
        /// Type the 16 modhex letters first; for static tickets, a leading `!`.
        SEND_REFERENCE = 0x01;
        /// With a static ticket: at most 16 characters. Without one: 38 scan codes.
        SHORT_TICKET = 0x02;
        /// HOTP: eight digits.
        HOTP_EIGHT_DIGITS = 0x02;
        /// Wait 10 ms more after each key.
        PACING_10MS = 0x04;
        /// HMAC challenge: trailing bytes equal to the last one are padding.
        HMAC_LESS_THAN_64 = 0x04;
        /// Wait 20 ms more after each key.
        PACING_20MS = 0x08;
        /// Challenge: only after a touch.
        CHALLENGE_TOUCH = 0x08;
        /// Static ticket: the first two letters in upper case.
        STRONG_PASSWORD_1 = 0x10;
        /// HOTP: the first byte of the token id in modhex.
        HOTP_MODHEX_FIRST = 0x10;
        /// Static ticket.
        STATIC_TICKET = 0x20;
        /// Challenge in Yubico mode; with [`Self::SHORT_TICKET`]'s bit in HMAC mode.
        CHALLENGE_YUBICO = 0x20;
        /// Challenge in HMAC-SHA1 mode.
        CHALLENGE_HMAC = 0x22;
        /// Static ticket: letters become digits.
        STRONG_PASSWORD_2 = 0x40;
        /// HOTP: the first two bytes of the token id in modhex.
        HOTP_MODHEX_FIRST_TWO = 0x40;
        /// HOTP: the whole token id in modhex.
        HOTP_MODHEX_ALL = 0x50;
        /// Static ticket: a long touch changes it (firmware 2).
        MANUAL_UPDATE = 0x80;
        /// What an update may change, except in challenge-response slots.
        UPDATABLE = 0x0C;
    }
}

flags! {
    /// Extended flags.
    ExtendedFlags {
        /// The serial number shows when the key is plugged in while it is touched.
        SERIAL_AT_BOOT = 0x01;
        /// The serial number stands in the USB descriptor.
        SERIAL_IN_USB = 0x02;
        /// The serial number can be asked for.
        SERIAL_BY_API = 0x04;
        /// Digits are typed as keys of the numeric keypad.
        NUMERIC_KEYPAD = 0x08;
        /// A touch is acted on at once when only slot 1 is programmed.
        FAST_TRIGGER = 0x10;
        /// Updates are allowed.
        ALLOW_UPDATE = 0x20;
        /// The slot does nothing until an update wakes it.
        DORMANT = 0x40;
        /// The LED is on where it would be off.
        LED_INVERTED = 0x80;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        let flags = ConfigFlags::CHALLENGE_HMAC | ConfigFlags::HMAC_LESS_THAN_64;
        assert_eq!(flags, ConfigFlags(0x26));
        assert!(flags.contains(ConfigFlags::CHALLENGE_YUBICO));
        assert!(!flags.contains(ConfigFlags::HOTP_MODHEX_ALL));
        assert_eq!(flags.with(ConfigFlags::HMAC_LESS_THAN_64, false), ConfigFlags::CHALLENGE_HMAC);
        assert_eq!(flags.intersection(ConfigFlags::UPDATABLE), ConfigFlags::PACING_10MS);
        assert!(!ExtendedFlags::NONE.intersects(ExtendedFlags(0xFF)));
    }
}
