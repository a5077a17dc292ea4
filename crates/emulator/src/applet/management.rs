//! The management application: what the key is, and what of it is switched on.

use tapkey_protocol::aid;
use tapkey_protocol::apdu::{Command, Response, StatusWord};
use tapkey_protocol::management::{
    Capabilities, DeviceConfig, DeviceFlags, DeviceInfo, FipsCapabilities, Interfaces, LockCode, SetMode, ins,
};
use tapkey_protocol::secret::Secret;
use tapkey_protocol::version::Version;

use super::Applet;
use crate::key::{Device, Power};
use crate::profile::Profile;
use crate::state::Settings;

#[derive(Debug)]
pub(crate) struct ManagementApplet;

impl Applet for ManagementApplet {
    fn aid(&self) -> &'static [u8] {
        aid::MANAGEMENT
    }

    fn is_available(&self, _device: &Device) -> bool {
        true
    }

    fn select(&mut self, device: &mut Device) -> Response {
        Response::ok(format!("Virtual mgr - FW version {}", device.profile().version()))
    }

    fn deselect(&mut self) {}

    fn call(&mut self, device: &mut Device, command: &Command) -> Result<Vec<u8>, StatusWord> {
        match command.ins {
            ins::READ_CONFIG => read(device, command.p1),
            ins::WRITE_CONFIG if device.profile().has_device_config() => {
                write(device, &command.data).map(|()| Vec::new())
            }
            ins::SET_MODE if command.p1 == ins::P1_SET_MODE => {
                set_mode(device, &command.data).map(|()| Vec::new())
            }
            ins::SET_MODE => Err(StatusWord::WRONG_PARAMETERS),
            _ => Err(StatusWord::INS_NOT_SUPPORTED),
        }
    }
}

/// A page of device information, as the card and HID command 13 give it. Everything fits the
/// first; asking for more is refused.
pub(crate) fn read(device: &Device, page: u8) -> Result<Vec<u8>, StatusWord> {
    if !device.profile().has_device_info() {
        return Err(StatusWord::INS_NOT_SUPPORTED);
    }
    if page != 0 {
        return Err(StatusWord::WRONG_PARAMETERS);
    }
    info(device).encode(false).map_err(|_| StatusWord::UNKNOWN)
}

/// What the key tells about itself.
pub(crate) fn info(device: &Device) -> DeviceInfo {
    let profile = device.profile();
    let settings = &device.state().settings;
    let version = profile.version();
    let since_5_7 = version >= Version::new(5, 7, 0);
    DeviceInfo {
        usb_supported: profile.usb_supported(),
        usb_enabled: Some(settings.usb_enabled),
        nfc_supported: profile.nfc_supported(),
        nfc_enabled: profile.nfc_supported().map(|_| settings.nfc_enabled),
        serial: Some(device.state().serial),
        form_factor: profile.form_factor(),
        version: Some(version),
        auto_eject_timeout: Some(settings.auto_eject_timeout),
        challenge_timeout: Some(settings.challenge_timeout),
        flags: Some(DeviceFlags(settings.flags)),
        locked: settings.lock_code.is_some(),
        fips_capable: since_5_7.then_some(FipsCapabilities(0)),
        fips_approved: since_5_7.then_some(FipsCapabilities(0)),
        pin_complexity: since_5_7.then_some(settings.pin_complexity),
        nfc_restricted: profile.has_nfc_restriction().then_some(settings.nfc_restricted),
        reset_blocked: since_5_7.then_some(Capabilities::NONE),
        ..DeviceInfo::default()
    }
}

/// Writes device information, as the card and HID command 15 bring it. Either all of it takes
/// effect or nothing does.
pub(crate) fn write(device: &mut Device, body: &[u8]) -> Result<(), StatusWord> {
    let change = DeviceConfig::parse(body).map_err(|_| StatusWord::WRONG_DATA)?;
    let profile = *device.profile();
    let mut settings = device.state().settings.clone();
    if let Some(code) = &settings.lock_code
        && change.current_lock_code.as_ref() != Some(code)
    {
        return Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED);
    }
    apply(&mut settings, &change, &profile)?;
    device.change(|state| state.settings = settings)?;
    device.programmed_something();
    if change.reboot {
        device.request_reboot();
    }
    Ok(())
}

fn apply(settings: &mut Settings, change: &DeviceConfig, profile: &Profile) -> Result<(), StatusWord> {
    if let Some(enabled) = change.usb_enabled {
        settings.usb_enabled = enabled.intersection(profile.usb_supported());
        // Without any interface the key could never be reached again.
        if Interfaces::of(settings.usb_enabled).is_empty() {
            return Err(StatusWord::WRONG_DATA);
        }
    }
    if let Some(enabled) = change.nfc_enabled {
        let supported = profile.nfc_supported().ok_or(StatusWord::WRONG_DATA)?;
        settings.nfc_enabled = enabled.intersection(supported);
    }
    if let Some(restricted) = change.nfc_restricted {
        if !profile.has_nfc_restriction() {
            return Err(StatusWord::WRONG_DATA);
        }
        settings.nfc_restricted = restricted;
    }
    settings.auto_eject_timeout = change.auto_eject_timeout.unwrap_or(settings.auto_eject_timeout);
    settings.challenge_timeout = change.challenge_timeout.unwrap_or(settings.challenge_timeout);
    settings.flags = change.flags.map_or(settings.flags, |flags| flags.0);
    if let Some(code) = &change.new_lock_code {
        settings.lock_code = (*code != no_lock_code()).then(|| code.clone());
    }
    Ok(())
}

/// Sets the USB mode by its number, as the card and HID command 11 do. It is refused while a slot
/// has an access code, or while the settings are locked, because the command has room for neither.
pub(crate) fn set_mode(device: &mut Device, body: &[u8]) -> Result<(), StatusWord> {
    let request = SetMode::parse(body).map_err(|_| StatusWord::WRONG_DATA)?;
    let locked = device.state().settings.lock_code.is_some();
    if locked || device.state().slots.iter().flatten().any(|slot| slot.is_protected()) {
        return Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED);
    }
    let interfaces = request.mode.interfaces();
    let supported = device.profile().usb_supported();
    let wanted = [
        (Interfaces::OTP, Capabilities::OTP),
        (Interfaces::FIDO, Capabilities::ON_FIDO),
        (Interfaces::CCID, Capabilities::ON_CCID),
    ]
    .into_iter()
    .filter(|(interface, _)| interfaces.contains(*interface))
    .fold(Capabilities::NONE, |sum, (_, capabilities)| sum.union(capabilities));
    let enabled = wanted.intersection(supported);
    if Interfaces::of(enabled) != interfaces {
        return Err(StatusWord::WRONG_DATA);
    }
    device.change(|state| {
        let settings = &mut state.settings;
        settings.usb_enabled = enabled;
        settings.challenge_timeout = request.challenge_timeout;
        settings.auto_eject_timeout = request.auto_eject_timeout;
        settings.flags = if request.mode.touch_eject {
            settings.flags | DeviceFlags::TOUCH_EJECT.0
        } else {
            settings.flags & !DeviceFlags::TOUCH_EJECT.0
        };
    })?;
    device.programmed_something();
    Ok(())
}

/// Whether an application is switched on where the key is powered now.
pub(crate) fn is_enabled(device: &Device, capability: Capabilities) -> bool {
    match device.power() {
        Power::Off => false,
        Power::Usb => device.usb_enabled_at_power_up().intersects(capability),
        Power::Nfc => device.state().settings.nfc_enabled.intersects(capability),
    }
}

/// Sixteen zeros mean that there is none.
fn no_lock_code() -> LockCode {
    Secret::new([0; 16])
}
