//! `tapkey piv info`: everything the application tells without PIN and management key.

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::piv::{PivInfo, SlotInfo};
use tapkey_protocol::piv::PinMetadata;
use x509_cert::der::Decode;

use super::{
    files,
    session::{Piv, defaults},
};
use crate::{
    commands::Context,
    encode::hex,
    exit::Failure,
    output::{fields, table, title, yes_no},
};

/// Options of `tapkey piv info`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Document {
    serial: Option<u32>,
    version: String,
    pin: Tries,
    puk: Option<Tries>,
    management_key: ManagementKey,
    chuid: Option<String>,
    ccc: Option<String>,
    slots: Vec<SlotDocument>,
}

#[derive(Serialize)]
struct Tries {
    left: u8,
    total: Option<u8>,
    default: Option<bool>,
}

#[derive(Serialize)]
struct ManagementKey {
    algorithm: Option<&'static str>,
    touch_policy: Option<&'static str>,
    default: Option<bool>,
    protected_by_pin: bool,
    derived_from_pin: bool,
}

#[derive(Serialize)]
pub(super) struct SlotDocument {
    slot: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<KeyDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<CertificateDocument>,
}

#[derive(Serialize)]
pub(super) struct KeyDocument {
    pub(super) algorithm: &'static str,
    pub(super) origin: &'static str,
    pub(super) pin_policy: &'static str,
    pub(super) touch_policy: &'static str,
}

#[derive(Serialize)]
pub(super) struct CertificateDocument {
    subject: String,
    issuer: String,
    serial: String,
    not_before: String,
    not_after: String,
    compressed: bool,
}

/// Shows it.
pub(crate) fn run(_: &Args, context: &Context) -> Result<(), Failure> {
    let mut piv = Piv::begin(context)?;
    let info = piv.with(|session, control| session.info(control))?;
    let document = document(&info, piv.serial());
    context.printer.result("piv-info/1", &document, |document| human(document, &info))?;
    let known = |metadata: Option<PinMetadata>| metadata.is_some_and(|metadata| metadata.is_default);
    for warning in defaults(known(info.pin), known(info.puk)) {
        context.printer.warn(warning);
    }
    if document.management_key.default == Some(true) {
        context.printer.warn(
            "the management key is still the factory's; `tapkey piv access change-management-key` changes it",
        );
    }
    Ok(())
}

fn document(info: &PivInfo, serial: Option<u32>) -> Document {
    Document {
        serial: info.serial.or(serial),
        version: info.version.to_string(),
        pin: Tries {
            left: info.pin_tries.left,
            total: info.pin_tries.total,
            default: info.pin.map(|pin| pin.is_default),
        },
        puk: info.puk.map(|puk| Tries {
            left: puk.left,
            total: Some(puk.total),
            default: Some(puk.is_default),
        }),
        management_key: ManagementKey {
            algorithm: info.management_key.map(|key| key.kind.name()),
            touch_policy: info.management_key.map(|key| key.touch_policy.name()),
            default: info.management_key.map(|key| key.is_default),
            protected_by_pin: info.admin.key_protected,
            derived_from_pin: info.admin.salt.is_some(),
        },
        chuid: info.chuid.as_deref().map(hex),
        ccc: info.ccc.as_deref().map(hex),
        slots: info.slots.iter().map(slot).collect(),
    }
}

fn slot(info: &SlotInfo) -> SlotDocument {
    let certificate = info.certificate.as_ref().and_then(|object| {
        let der = files::unpack(object).ok()?;
        certificate(&der, object.bytes != der)
    });
    SlotDocument { slot: info.slot.to_string(), key: info.key.as_ref().map(key), certificate }
}

/// What is known of a key, for programs.
pub(super) fn key(metadata: &tapkey_protocol::piv::KeyMetadata) -> KeyDocument {
    KeyDocument {
        algorithm: metadata.algorithm.name(),
        origin: metadata.origin.name(),
        pin_policy: metadata.pin_policy.name(),
        touch_policy: metadata.touch_policy.name(),
    }
}

/// What a certificate says, for programs.
pub(super) fn certificate(der: &[u8], compressed: bool) -> Option<CertificateDocument> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    let body = certificate.tbs_certificate();
    let time = |time: &x509_cert::time::Time| {
        let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok();
        seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()).map(|time| time.to_string())
    };
    Some(CertificateDocument {
        subject: body.subject().to_string(),
        issuer: body.issuer().to_string(),
        serial: hex(body.serial_number().as_bytes()),
        not_before: time(&body.validity().not_before)?,
        not_after: time(&body.validity().not_after)?,
        compressed,
    })
}

fn human(document: &Document, info: &PivInfo) -> String {
    let tries = |tries: &Tries| {
        let total = tries.total.map(|total| format!(" of {total}")).unwrap_or_default();
        let default = if tries.default == Some(true) { ", still the factory's" } else { "" };
        format!("{}{total} tries left{default}", tries.left)
    };
    let unknown = || "not told by this firmware".to_owned();
    let mut rows = vec![
        ("firmware", document.version.clone()),
        ("serial", document.serial.map_or_else(unknown, |serial| serial.to_string())),
        ("PIN", tries(&document.pin)),
        ("PUK", document.puk.as_ref().map_or_else(unknown, tries)),
        ("management key", management_key(&document.management_key)),
        ("card id (CHUID)", info.guid().map_or_else(|| absent(info.chuid.as_deref()), |guid| hex(&guid))),
        ("card id (CCC)", info.card_id().map_or_else(|| absent(info.ccc.as_deref()), |id| hex(&id))),
    ];
    if let Some(bio) = info.bio {
        let text = format!("configured: {}, {} tries left", yes_no(bio.configured), bio.tries);
        rows.push(("fingerprints", text));
    }
    let mut text = fields(&rows);
    if document.slots.is_empty() {
        text.push_str("\nno slot holds a key or a certificate\n");
        return text;
    }
    let dash = || "-".to_owned();
    let lines: Vec<[String; 6]> = document
        .slots
        .iter()
        .map(|slot| {
            let certificate = slot.certificate.as_ref();
            let subject = certificate.map_or_else(dash, |certificate| {
                format!("{} until {}", certificate.subject, certificate.not_after)
            });
            match &slot.key {
                Some(key) => [
                    slot.slot.clone(),
                    key.algorithm.to_owned(),
                    key.origin.to_owned(),
                    key.pin_policy.to_owned(),
                    key.touch_policy.to_owned(),
                    subject,
                ],
                None => [slot.slot.clone(), dash(), dash(), dash(), dash(), subject],
            }
        })
        .collect();
    text.push_str(&format!("\n{}\n", title("Slots")));
    text.push_str(&table(["SLOT", "KEY", "ORIGIN", "PIN", "TOUCH", "CERTIFICATE"], &lines));
    text
}

fn management_key(key: &ManagementKey) -> String {
    let mut parts = vec![key.algorithm.unwrap_or("TDES, as far as is known").to_owned()];
    if key.protected_by_pin {
        parts.push("kept on the key under the PIN".to_owned());
    }
    if key.derived_from_pin {
        parts.push("derived from the PIN".to_owned());
    }
    if let Some(touch) = key.touch_policy.filter(|touch| *touch != "never") {
        parts.push(format!("touch {touch}"));
    }
    if key.default == Some(true) {
        parts.push("still the factory's".to_owned());
    }
    parts.join(", ")
}

fn absent(value: Option<&[u8]>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| format!("of an unusual form, {} bytes", value.len()))
}
