//! A job file as serde reads it: every field with its place, so that whatever is wrong is named by line.

use serde::Deserialize;
use toml::Spanned;

type Field<T> = Option<Spanned<T>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawJob {
    pub(super) version: Spanned<u32>,
    pub(super) vault: Field<String>,
    #[serde(default)]
    pub(super) key: Vec<Spanned<RawKey>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawKey {
    pub(super) name: Field<String>,
    pub(super) serial: Field<u32>,
    pub(super) form_factor: Field<String>,
    pub(super) firmware: Field<String>,
    pub(super) any: Field<bool>,
    pub(super) count: Field<u32>,
    pub(super) overwrite: Field<bool>,
    #[serde(default)]
    pub(super) slot: RawSlots,
    pub(super) applications: Field<RawApplications>,
    pub(super) oath: Field<RawOath>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSlots {
    #[serde(rename = "1")]
    pub(super) one: Field<RawSlot>,
    #[serde(rename = "2")]
    pub(super) two: Field<RawSlot>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawSlot {
    pub(super) kind: Spanned<String>,
    // Contents.
    pub(super) public_id: Field<String>,
    pub(super) private_id: Field<String>,
    pub(super) aes_key: Field<String>,
    pub(super) send_reference: Field<bool>,
    pub(super) secret: Field<String>,
    pub(super) challenge: Field<String>,
    pub(super) touch: Field<bool>,
    pub(super) digits: Field<u8>,
    pub(super) counter: Field<u32>,
    pub(super) token_id: Field<String>,
    pub(super) password: Field<String>,
    // Protection.
    pub(super) access_code: Field<String>,
    pub(super) current_access_code: Field<String>,
    // Settings that can be changed later.
    pub(super) enter: Field<bool>,
    pub(super) pacing: Field<u32>,
    pub(super) numeric_keypad: Field<bool>,
    pub(super) fast_trigger: Field<bool>,
    pub(super) tab_first: Field<bool>,
    pub(super) tab_after_id: Field<bool>,
    pub(super) tab_at_end: Field<bool>,
    pub(super) delay_after_id: Field<bool>,
    pub(super) delay_at_end: Field<bool>,
    pub(super) allow_update: Field<bool>,
    pub(super) dormant: Field<bool>,
    pub(super) led_inverted: Field<bool>,
    pub(super) serial_by_api: Field<bool>,
    pub(super) serial_in_usb: Field<bool>,
    pub(super) serial_at_boot: Field<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawApplications {
    pub(super) usb: Field<Vec<Spanned<String>>>,
    pub(super) nfc: Field<Vec<Spanned<String>>>,
    pub(super) lock_code: Field<String>,
    pub(super) current_lock_code: Field<String>,
    pub(super) challenge_timeout: Field<u8>,
    pub(super) auto_eject_timeout: Field<u16>,
    pub(super) touch_eject: Field<bool>,
    pub(super) nfc_restricted: Field<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawOath {
    pub(super) password: Field<String>,
    pub(super) current_password: Field<String>,
    pub(super) others: Field<String>,
    #[serde(default)]
    pub(super) account: Vec<Spanned<RawAccount>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawAccount {
    pub(super) name: Field<String>,
    pub(super) state: Field<String>,
    pub(super) uri: Field<String>,
    pub(super) secret: Field<String>,
    #[serde(rename = "type")]
    pub(super) kind: Field<String>,
    pub(super) algorithm: Field<String>,
    pub(super) digits: Field<u8>,
    pub(super) period: Field<u32>,
    pub(super) counter: Field<u32>,
    pub(super) touch: Field<bool>,
}
