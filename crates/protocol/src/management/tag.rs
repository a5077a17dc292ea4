//! Tags of device information, as documented for the management application.

pub(super) const USB_SUPPORTED: u8 = 0x01;
pub(super) const SERIAL: u8 = 0x02;
pub(super) const USB_ENABLED: u8 = 0x03;
pub(super) const FORM_FACTOR: u8 = 0x04;
pub(super) const VERSION: u8 = 0x05;
pub(super) const AUTO_EJECT_TIMEOUT: u8 = 0x06;
pub(super) const CHALLENGE_TIMEOUT: u8 = 0x07;
pub(super) const DEVICE_FLAGS: u8 = 0x08;
/// Reading: whether a lock code is set. Writing: the new lock code.
pub(super) const CONFIG_LOCK: u8 = 0x0A;
/// Writing: the current lock code.
pub(super) const UNLOCK: u8 = 0x0B;
/// Writing: restart afterwards.
pub(super) const REBOOT: u8 = 0x0C;
pub(super) const NFC_SUPPORTED: u8 = 0x0D;
pub(super) const NFC_ENABLED: u8 = 0x0E;
pub(super) const MORE_PAGES: u8 = 0x10;
pub(super) const PART_NUMBER: u8 = 0x13;
pub(super) const FIPS_CAPABLE: u8 = 0x14;
pub(super) const FIPS_APPROVED: u8 = 0x15;
pub(super) const PIN_COMPLEXITY: u8 = 0x16;
pub(super) const NFC_RESTRICTED: u8 = 0x17;
pub(super) const RESET_BLOCKED: u8 = 0x18;
pub(super) const VERSION_QUALIFIER: u8 = 0x19;
pub(super) const FINGERPRINT_STORAGE: u8 = 0x20;
pub(super) const IMAGE_PROCESSOR: u8 = 0x21;
