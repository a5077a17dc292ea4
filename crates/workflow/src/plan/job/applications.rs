//! What is to be switched on.

use tapkey_protocol::management::Capabilities;
use toml::Spanned;

use super::raw::RawApplications;
use super::reader::{Reader, place};
use super::{CodeWish, JobError};
use crate::plan::source::SecretSource;

/// What is to be switched on, and how the key behaves. What is `None` stays as it is.
#[derive(Clone, Debug)]
pub struct Applications {
    /// Applications on USB, of those in [`NAMED`].
    pub usb: Option<Capabilities>,
    /// Applications over NFC, of those in [`NAMED`].
    pub nfc: Option<Capabilities>,
    /// The code that guards these settings.
    pub lock_code: CodeWish,
    /// Where the present lock code comes from, where the vault does not know it.
    pub current_lock_code: Option<SecretSource>,
    /// Seconds that a challenge waits for a touch.
    pub challenge_timeout: Option<u8>,
    /// Seconds until the smart card ejects itself.
    pub auto_eject_timeout: Option<u16>,
    /// A touch inserts and ejects the smart card.
    pub touch_eject: Option<bool>,
    /// No NFC until the key has had power over USB.
    pub nfc_restricted: Option<bool>,
}

/// The applications that a job names. What else a key has follows from them.
pub const NAMED: Capabilities = Capabilities(
    Capabilities::OTP.0
        | Capabilities::U2F.0
        | Capabilities::FIDO2.0
        | Capabilities::OATH.0
        | Capabilities::PIV.0
        | Capabilities::OPENPGP.0
        | Capabilities::HSM_AUTH.0,
);

pub(super) fn read(reader: &Reader<'_>, raw: &Spanned<RawApplications>) -> Result<Applications, JobError> {
    let wish = raw.get_ref();
    let usb = wish.usb.as_ref().map(|list| applications(reader, list)).transpose()?;
    if let (Some(list), Some(usb)) = (&wish.usb, usb) {
        check_reachable(reader, list, usb)?;
    }
    let read = Applications {
        usb,
        nfc: wish.nfc.as_ref().map(|list| applications(reader, list)).transpose()?,
        lock_code: reader.code(wish.lock_code.as_ref(), "lock-code")?,
        current_lock_code: reader.present(wish.current_lock_code.as_ref(), "current-lock-code")?,
        challenge_timeout: wish.challenge_timeout.as_ref().map(|field| *field.get_ref()),
        auto_eject_timeout: wish.auto_eject_timeout.as_ref().map(|field| *field.get_ref()),
        touch_eject: wish.touch_eject.as_ref().map(|field| *field.get_ref()),
        nfc_restricted: wish.nfc_restricted.as_ref().map(|field| *field.get_ref()),
    };
    if read.usb.is_none()
        && read.nfc.is_none()
        && read.lock_code == CodeWish::Keep
        && read.challenge_timeout.is_none()
        && read.auto_eject_timeout.is_none()
        && read.touch_eject.is_none()
        && read.nfc_restricted.is_none()
    {
        return Err(reader.wrong(raw, "nothing is wanted of the applications"));
    }
    if let (Some(true), Some(nfc), Some(place)) = (read.nfc_restricted, read.nfc, place(&wish.nfc_restricted))
        && nfc.is_empty()
    {
        return Err(JobError {
            line: reader.line(place),
            message: "nfc-restricted does not go with an empty nfc list: there is nothing to restrict".into(),
        });
    }
    Ok(read)
}

/// Over OTP and the smart card, settings can be changed again by this program. Switching both off
/// would lock it out, and with FIDO off too, everybody.
pub(super) const REACHED_OVER: Capabilities = Capabilities(
    Capabilities::OTP.0
        | Capabilities::OATH.0
        | Capabilities::PIV.0
        | Capabilities::OPENPGP.0
        | Capabilities::HSM_AUTH.0,
);

fn check_reachable(
    reader: &Reader<'_>,
    list: &Spanned<Vec<Spanned<String>>>,
    usb: Capabilities,
) -> Result<(), JobError> {
    if usb.is_empty() {
        return Err(reader.wrong(
            list,
            "usb is empty: with its last USB interface off, a key can never be reached again; \
             leave at least one application on",
        ));
    }
    if !usb.intersects(REACHED_OVER) {
        return Err(reader.wrong(
            list,
            "with FIDO alone on USB this program could not reach the key any more; leave otp, oath, piv, \
             openpgp or hsmauth on",
        ));
    }
    Ok(())
}

fn applications(reader: &Reader<'_>, list: &Spanned<Vec<Spanned<String>>>) -> Result<Capabilities, JobError> {
    let mut sum = Capabilities::NONE;
    for field in list.get_ref() {
        let one: Capabilities = reader.parse(field)?;
        if !NAMED.contains(one) {
            return Err(reader.wrong(
                field,
                "name otp, u2f, fido2, oath, piv, openpgp or hsmauth; the rest follows from them",
            ));
        }
        if sum.contains(one) {
            return Err(reader.wrong(field, "this application is named twice"));
        }
        sum = sum | one;
    }
    Ok(sum)
}
