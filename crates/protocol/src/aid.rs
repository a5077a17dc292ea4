//! Application identifiers, in the lengths that hosts select by.
//!
//! A card accepts any prefix of what it has registered that is long enough to be unambiguous, so
//! the registered forms stand in [`registered`].

/// OTP application.
pub const OTP: &[u8] = &[0xA0, 0x00, 0x00, 0x05, 0x27, 0x20, 0x01];
/// Management application.
pub const MANAGEMENT: &[u8] = &[0xA0, 0x00, 0x00, 0x05, 0x27, 0x47, 0x11, 0x17];
/// OATH application.
pub const OATH: &[u8] = &[0xA0, 0x00, 0x00, 0x05, 0x27, 0x21, 0x01];
/// PIV application (NIST SP 800-73), the issuer part by which hosts select it.
pub const PIV: &[u8] = &[0xA0, 0x00, 0x00, 0x03, 0x08];
/// OpenPGP application.
pub const OPENPGP: &[u8] = &[0xD2, 0x76, 0x00, 0x01, 0x24, 0x01];
/// FIDO U2F and FIDO2.
pub const FIDO: &[u8] = &[0xA0, 0x00, 0x00, 0x06, 0x47, 0x2F, 0x00, 0x01];
/// YubiHSM Auth application.
pub const HSM_AUTH: &[u8] = &[0xA0, 0x00, 0x00, 0x05, 0x27, 0x21, 0x07, 0x01];
/// NDEF application of an NFC Forum type 4 tag.
pub const NDEF: &[u8] = &[0xD2, 0x76, 0x00, 0x00, 0x85, 0x01, 0x01];
/// GlobalPlatform security domain.
pub const SECURITY_DOMAIN: &[u8] = &[0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];

/// The full forms that an emulated card registers.
pub mod registered {
    /// OTP application.
    pub const OTP: &[u8] = &[0xA0, 0x00, 0x00, 0x05, 0x27, 0x20, 0x01, 0x01];
    /// OATH application.
    pub const OATH: &[u8] = &[0xA0, 0x00, 0x00, 0x05, 0x27, 0x21, 0x01, 0x01];
    /// PIV application, version 1.0.
    pub const PIV: &[u8] = &[0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00];
}

/// True when a host that sends `requested` means the application registered as `registered`.
#[must_use]
pub fn selects(requested: &[u8], registered: &[u8]) -> bool {
    requested.len() >= SHORTEST && registered.starts_with(requested)
}

/// An application identifier starts with the five bytes of its issuer (ISO/IEC 7816-4 section 8.2.1.2).
const SHORTEST: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_select_by_prefix() {
        assert!(selects(OTP, registered::OTP));
        assert!(selects(OATH, registered::OATH));
        assert!(selects(PIV, registered::PIV));
        assert!(selects(registered::OTP, registered::OTP));
        assert!(!selects(&[0xA0, 0x00], registered::PIV));
        assert!(!selects(OTP, registered::OATH));
    }
}
