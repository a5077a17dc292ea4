//! What the USB side needs of a key, beyond reports and commands.

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::management::Capabilities;
use tapkey_protocol::slot::{ExtendedFlags, Slot};

use super::VirtualKey;
use crate::applet::management;
use crate::clock::Milliseconds;

impl VirtualKey {
    /// The time that the key was told last.
    #[must_use]
    pub const fn now(&self) -> Milliseconds {
        self.device.now()
    }

    /// Whether a slot wants the serial number in the USB descriptors.
    #[must_use]
    pub fn shows_serial_on_usb(&self) -> bool {
        let state = self.device.state();
        Slot::ALL
            .into_iter()
            .filter_map(|slot| state.slot(slot))
            .any(|slot| slot.has(ExtendedFlags::SERIAL_IN_USB))
    }

    /// The applications that were switched on when the key was plugged in.
    pub(crate) const fn usb_applications(&self) -> Capabilities {
        self.device.usb_enabled_at_power_up()
    }

    /// Device information over the FIDO interface.
    pub(crate) fn read_config(&self, page: u8) -> Result<Vec<u8>, StatusWord> {
        management::read(&self.device, page)
    }

    /// Writes device information over the FIDO interface. A restart that it asks for is due at
    /// [`restart_if_asked`](Self::restart_if_asked).
    pub(crate) fn write_config(&mut self, body: &[u8]) -> Result<(), StatusWord> {
        if !self.device.profile().has_device_config() {
            return Err(StatusWord::INS_NOT_SUPPORTED);
        }
        management::write(&mut self.device, body)
    }

    /// Sets the USB mode over the FIDO interface.
    pub(crate) fn set_mode(&mut self, body: &[u8]) -> Result<(), StatusWord> {
        management::set_mode(&mut self.device, body)
    }

    /// Restarts the key when a command asked for it and was answered.
    pub(crate) fn restart_if_asked(&mut self) {
        if self.device.reboot_requested() {
            self.reboot();
        }
    }
}
