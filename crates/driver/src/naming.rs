//! What a key is called.

use tapkey_protocol::management::{Capabilities, DeviceInfo, FormFactor};
use tapkey_protocol::version::Version;

/// The name under which a key is sold, as far as it can be told from what the key says.
///
/// ```
/// use tapkey_driver::product_name;
/// use tapkey_protocol::management::{Capabilities, DeviceInfo, FormFactor, FormFactorByte};
/// use tapkey_protocol::version::Version;
///
/// let info = DeviceInfo {
///     version: Some(Version::new(5, 4, 3)),
///     form_factor: FormFactorByte::new(FormFactor::UsbCKeychain, false, false),
///     usb_supported: Capabilities(0x23F),
///     nfc_supported: Some(Capabilities(0x23F)),
///     ..DeviceInfo::default()
/// };
/// assert_eq!(product_name(&info), "YubiKey 5C NFC");
/// ```
#[must_use]
pub fn product_name(info: &DeviceInfo) -> String {
    let version = info.version.unwrap_or_default();
    if info.form_factor.is_security_key() || is_fido_only(info.usb_supported) {
        return security_key(info, version);
    }
    match version.major {
        0 => "YubiKey".to_owned(),
        1 | 2 => "YubiKey Standard".to_owned(),
        3 => "YubiKey NEO".to_owned(),
        4 => series_4(info, version),
        _ => series_5(info, version),
    }
}

fn security_key(info: &DeviceInfo, version: Version) -> String {
    if version.major < 5 {
        return "FIDO U2F Security Key".to_owned();
    }
    if info.form_factor.shape().is_bio() {
        return "YubiKey Bio - FIDO Edition".to_owned();
    }
    let shape = match info.form_factor.shape() {
        FormFactor::UsbCKeychain => " C",
        _ => "",
    };
    let nfc = if has_nfc(info) { " NFC" } else { "" };
    // Only the edition for organisations has a serial number.
    let edition = if info.serial.is_some() { " - Enterprise Edition" } else { "" };
    format!("Security Key{shape}{nfc}{edition}")
}

fn series_4(info: &DeviceInfo, version: Version) -> String {
    if version.minor == 4 {
        return "YubiKey FIPS".to_owned();
    }
    if info.usb_supported == (Capabilities::OTP | Capabilities::U2F) {
        return "YubiKey Edge".to_owned();
    }
    "YubiKey 4".to_owned()
}

fn series_5(info: &DeviceInfo, version: Version) -> String {
    if version.is_preview() {
        return "YubiKey Preview".to_owned();
    }
    let nfc = has_nfc(info);
    let shape = match info.form_factor.shape() {
        FormFactor::UsbABio | FormFactor::UsbCBio => {
            return "YubiKey Bio - Multi-protocol Edition".to_owned();
        }
        FormFactor::UsbAKeychain if nfc => " NFC",
        FormFactor::UsbAKeychain => "A",
        FormFactor::UsbANano => " Nano",
        FormFactor::UsbCKeychain if nfc => "C NFC",
        FormFactor::UsbCKeychain => "C",
        FormFactor::UsbCNano => "C Nano",
        FormFactor::UsbCLightning => "Ci",
        _ => "",
    };
    let fips = if info.form_factor.is_fips() { " FIPS" } else { "" };
    format!("YubiKey 5{shape}{fips}")
}

fn has_nfc(info: &DeviceInfo) -> bool {
    info.nfc_supported.is_some_and(|capabilities| !capabilities.is_empty())
}

fn is_fido_only(capabilities: Capabilities) -> bool {
    capabilities.intersects(Capabilities::ON_FIDO)
        && capabilities.without(Capabilities::ON_FIDO | Capabilities::FIDO_OVER_CCID).is_empty()
}

/// A name as it is written on a command line: `YubiKey 5C Nano FIPS` becomes `5c-nano-fips`.
pub(crate) fn model_id(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_ascii_lowercase).collect();
    let brand = usize::from(words.len() > 1 && words.first().is_some_and(|word| word == "yubikey"));
    words.get(brand..).unwrap_or_default().join("-")
}

/// What [`model_id`] makes of every name that a key can have.
pub(crate) const MODELS: &[&str] = &[
    "5-nfc",
    "5a",
    "5-nano",
    "5c",
    "5c-nfc",
    "5c-nano",
    "5ci",
    "5-nfc-fips",
    "5a-fips",
    "5-nano-fips",
    "5c-fips",
    "5c-nfc-fips",
    "5c-nano-fips",
    "5ci-fips",
    "bio-fido-edition",
    "bio-multi-protocol-edition",
    "security-key",
    "security-key-nfc",
    "security-key-c",
    "security-key-c-nfc",
    "security-key-nfc-enterprise-edition",
    "security-key-c-nfc-enterprise-edition",
    "fido-u2f-security-key",
    "preview",
    "fips",
    "edge",
    "4",
    "neo",
    "standard",
];

#[cfg(test)]
mod tests {
    use tapkey_protocol::management::FormFactorByte;

    use super::*;

    fn info(version: (u8, u8, u8), form_factor: u8, usb: u16, nfc: Option<u16>) -> DeviceInfo {
        DeviceInfo {
            version: Some(Version::new(version.0, version.1, version.2)),
            form_factor: FormFactorByte(form_factor),
            usb_supported: Capabilities(usb),
            nfc_supported: nfc.map(Capabilities),
            ..DeviceInfo::default()
        }
    }

    #[test]
    fn models_as_they_are_written() {
        assert_eq!(model_id("YubiKey 5C Nano FIPS"), "5c-nano-fips");
        assert_eq!(
            model_id("Security Key C NFC - Enterprise Edition"),
            "security-key-c-nfc-enterprise-edition"
        );
        assert_eq!(model_id("5C-nano"), "5c-nano");
        assert_eq!(model_id(""), "");
    }

    #[test]
    fn names() {
        let all = 0x23F;
        let cases = [
            (info((5, 4, 3), 1, all, Some(all)), "YubiKey 5 NFC"),
            (info((5, 1, 2), 1, all, None), "YubiKey 5A"),
            (info((5, 4, 3), 2, all, None), "YubiKey 5 Nano"),
            (info((5, 7, 4), 3, all, None), "YubiKey 5C"),
            (info((5, 7, 4), 4, all, None), "YubiKey 5C Nano"),
            (info((5, 7, 4), 5, all, None), "YubiKey 5Ci"),
            (info((5, 7, 4), 0x83, all, Some(all)), "YubiKey 5C NFC FIPS"),
            (info((5, 6, 3), 6, 0x202, None), "YubiKey Bio - FIDO Edition"),
            (info((5, 7, 4), 7, 0x21A, None), "YubiKey Bio - Multi-protocol Edition"),
            (info((5, 7, 4), 0x43, 0x202, Some(0x202)), "Security Key C NFC"),
            (info((5, 2, 1), 1, all, Some(all)), "YubiKey Preview"),
            (info((4, 3, 7), 0, 0x3F, None), "YubiKey 4"),
            (info((4, 4, 5), 0, 0x3F, None), "YubiKey FIPS"),
            (info((3, 4, 9), 0, 0x3F, Some(0x3F)), "YubiKey NEO"),
            (info((2, 4, 1), 0, 1, None), "YubiKey Standard"),
            (DeviceInfo::default(), "YubiKey"),
        ];
        for (info, expected) in cases {
            let name = product_name(&info);
            assert_eq!(name, expected, "{info:?}");
            assert!(name == "YubiKey" || MODELS.contains(&model_id(&name).as_str()), "{name}");
        }
    }
}
