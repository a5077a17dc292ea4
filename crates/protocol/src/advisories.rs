//! What its maker has published about faults in the firmware of keys.
//!
//! Firmware cannot be renewed, so what stands here stays true of a key for as long as it lives. Only
//! advisories whose range of versions is stated by Yubico itself are in the table
//! (<https://www.yubico.com/support/security-advisories/>); none in it means that none is known here,
//! not that there is none.
//!
//! ```
//! use tapkey_protocol::{advisories, management::DeviceInfo, version::Version};
//!
//! let info = DeviceInfo { version: Some(Version::new(5, 4, 3)), ..DeviceInfo::default() };
//! let ids: Vec<_> = advisories::of(&info).map(|one| one.id).collect();
//! assert_eq!(ids, ["YSA-2024-03"]);
//! ```

use crate::management::{Capabilities, DeviceInfo};
use crate::version::Version;

/// A published fault.
#[derive(Debug)]
pub struct Advisory {
    /// The publisher's number.
    pub id: &'static str,
    /// The number in the public list of vulnerabilities, where there is one.
    pub cve: Option<&'static str>,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// The versions that have it, for people.
    pub affected: &'static str,
    /// What it means to whoever has such a key.
    pub meaning: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// Where the publisher says so.
    pub url: &'static str,
    /// The applications that are concerned.
    pub applications: Capabilities,
    /// Whether whoever enrols a key for one-time passwords should know.
    pub at_enrolment: bool,
    applies: fn(&DeviceInfo, Version) -> bool,
}

impl Advisory {
    /// Whether a key has the fault. A key that does not tell its firmware is taken not to.
    #[must_use]
    pub fn applies_to(&self, info: &DeviceInfo) -> bool {
        info.version.is_some_and(|version| (self.applies)(info, version))
    }
}

/// Everything known of a key, oldest first.
pub fn of(info: &DeviceInfo) -> impl Iterator<Item = &'static Advisory> {
    ALL.iter().filter(|advisory| advisory.applies_to(info))
}

/// All advisories, oldest first.
pub static ALL: &[Advisory] = &[
    Advisory {
        id: "YSA-2017-01",
        cve: Some("CVE-2017-15361"),
        title: "weak RSA keys made on the key (ROCA)",
        affected: "YubiKey 4 with firmware 4.2.6 to 4.3.4",
        meaning: "an RSA key that the YubiKey made itself, for PIV or OpenPGP, can be worked out from its public half",
        remedy: "replace such RSA keys: make them elsewhere and import them, or use elliptic curves",
        url: "https://www.yubico.com/support/security-advisories/ysa-2017-01/",
        applications: PIV_AND_OPENPGP,
        at_enrolment: false,
        applies: |info, version| {
            version.is_within(Version::new(4, 2, 6), Version::new(4, 3, 5))
                && info.usb_supported_or_unknown(PIV_AND_OPENPGP)
        },
    },
    Advisory {
        id: "YSA-2019-02",
        cve: None,
        title: "less randomness after power-up",
        affected: "YubiKey FIPS with firmware 4.4.2 and 4.4.4",
        meaning: "the first random values after plugging in are partly predictable, which endangers ECDSA signatures and \
                  keys made then",
        remedy: "replace the key, and renew what was made or signed on it",
        url: "https://www.yubico.com/support/security-advisories/ysa-2019-02/",
        applications: Capabilities(0x3A),
        at_enrolment: true,
        applies: |_, version| version.is_within(Version::new(4, 4, 2), Version::new(4, 4, 5)),
    },
    Advisory {
        id: "YSA-2020-04",
        cve: Some("CVE-2020-15001"),
        title: "access code not checked when NFC settings of a slot change",
        affected: "YubiKey 5 NFC with firmware 5.0.0 to 5.2.6 and 5.3.0 to 5.3.1",
        meaning: "whoever holds the key can make it give the contents of a slot out over NFC in spite of its access code",
        remedy: "do not count on the access code: switch OTP off over NFC (`tapkey config nfc --disable otp`) and lock \
                 the settings (`tapkey config set-lock-code`), or replace the key",
        url: "https://www.yubico.com/support/security-advisories/ysa-2020-04/",
        applications: Capabilities::OTP,
        at_enrolment: true,
        applies: |info, version| {
            let nfc_otp = info.nfc_supported.is_some_and(|nfc| nfc.intersects(Capabilities::OTP));
            let within = version.is_within(Version::new(5, 0, 0), Version::new(5, 2, 7))
                || version.is_within(Version::new(5, 3, 0), Version::new(5, 3, 2));
            within && nfc_otp
        },
    },
    Advisory {
        id: "YSA-2020-05",
        cve: Some("CVE-2020-15000"),
        title: "known OpenPGP reset code",
        affected: "YubiKey 5 with firmware 5.2.0 to 5.2.6",
        meaning: "where tries for the OpenPGP reset code were allowed without setting one, a known value resets the PIN",
        remedy: "if `gpg --card-status` shows tries for the reset code, set one (gpg --edit-card, admin, passwd, 4)",
        url: "https://www.yubico.com/support/security-advisories/ysa-2020-05/",
        applications: Capabilities::OPENPGP,
        at_enrolment: false,
        applies: |info, version| {
            version.is_within(Version::new(5, 2, 0), Version::new(5, 2, 7))
                && info.usb_supported_or_unknown(Capabilities::OPENPGP)
        },
    },
    Advisory {
        id: "YSA-2024-03",
        cve: Some("CVE-2024-45678"),
        title: "elliptic-curve private keys leak to a probe (EUCLEAK)",
        affected: "YubiKey 5 and Security Key before firmware 5.7.0, YubiKey Bio before 5.7.2",
        meaning: "a specialist who has the key in hand for a while and knows its PIN, where there is one, can copy ECDSA \
                  keys of FIDO, PIV and OpenPGP; Yubico OTP, OATH and challenge-response are not concerned",
        remedy: "watch over the key and report it lost at once; for PIV and OpenPGP use RSA; for the highest stakes \
                 replace it",
        url: "https://www.yubico.com/support/security-advisories/ysa-2024-03/",
        applications: Capabilities(0x021A),
        at_enrolment: false,
        applies: |info, version| {
            let fixed =
                if info.form_factor.shape().is_bio() { Version::new(5, 7, 2) } else { Version::new(5, 7, 0) };
            version.is_within(Version::new(5, 0, 0), fixed)
                && info.usb_supported_or_unknown(Capabilities(0x021A))
        },
    },
];

impl DeviceInfo {
    /// Whether any of the applications is there, or the key does not tell which are.
    fn usb_supported_or_unknown(&self, any: Capabilities) -> bool {
        self.usb_supported.is_empty() || self.usb_supported.intersects(any)
    }
}

const PIV_AND_OPENPGP: Capabilities = Capabilities(0x18);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::management::{FormFactor, FormFactorByte};

    fn key(version: &str, shape: FormFactor) -> DeviceInfo {
        DeviceInfo {
            version: Some(version.parse().unwrap()),
            form_factor: FormFactorByte::new(shape, false, false),
            usb_supported: Capabilities(0x023F),
            nfc_supported: Some(Capabilities(0x023F)),
            ..DeviceInfo::default()
        }
    }

    fn ids(info: &DeviceInfo) -> Vec<&'static str> {
        of(info).map(|one| one.id).collect()
    }

    #[test]
    fn versions_at_the_edges() {
        let euclid = "YSA-2024-03";
        let cases: &[(&str, &[&str])] = &[
            ("2.4.1", &[]),
            ("3.4.9", &[]),
            ("4.2.5", &[]),
            ("4.2.6", &["YSA-2017-01"]),
            ("4.3.4", &["YSA-2017-01"]),
            ("4.3.5", &[]),
            ("4.4.1", &[]),
            ("4.4.2", &["YSA-2019-02"]),
            ("4.4.4", &["YSA-2019-02"]),
            ("4.4.5", &[]),
            ("5.0.0", &["YSA-2020-04", euclid]),
            ("5.1.2", &["YSA-2020-04", euclid]),
            ("5.2.0", &["YSA-2020-04", "YSA-2020-05", euclid]),
            ("5.2.6", &["YSA-2020-04", "YSA-2020-05", euclid]),
            ("5.2.7", &[euclid]),
            ("5.3.0", &["YSA-2020-04", euclid]),
            ("5.3.1", &["YSA-2020-04", euclid]),
            ("5.3.2", &[euclid]),
            ("5.6.9", &[euclid]),
            ("5.7.0", &[]),
            ("5.8.0", &[]),
        ];
        for (version, expected) in cases {
            assert_eq!(ids(&key(version, FormFactor::UsbAKeychain)), *expected, "{version}");
        }
    }

    #[test]
    fn what_a_key_does_not_have_cannot_be_faulty() {
        // A model without NFC.
        let nano = DeviceInfo { nfc_supported: None, ..key("5.1.2", FormFactor::UsbANano) };
        assert_eq!(ids(&nano), ["YSA-2024-03"]);
        // The Bio series was repaired later.
        assert_eq!(ids(&key("5.7.1", FormFactor::UsbCBio)), ["YSA-2024-03"]);
        assert!(ids(&key("5.7.2", FormFactor::UsbCBio)).is_empty());
        // A key with nothing but slots.
        let slots = DeviceInfo { usb_supported: Capabilities::OTP, ..nano };
        assert!(ids(&slots).is_empty());
        assert!(ids(&DeviceInfo::default()).is_empty());
    }

    #[test]
    fn the_table_is_complete_and_in_order() {
        assert!(ALL.is_sorted_by_key(|one| one.id));
        for one in ALL {
            assert!(one.url.contains(&one.id.to_lowercase()), "{}", one.id);
            for text in [one.title, one.affected, one.meaning, one.remedy] {
                assert!(!text.is_empty() && !text.contains("  "), "{text:?}");
            }
        }
        let at_enrolment: Vec<_> = ALL.iter().filter(|one| one.at_enrolment).map(|one| one.id).collect();
        assert_eq!(at_enrolment, ["YSA-2019-02", "YSA-2020-04"]);
    }
}
