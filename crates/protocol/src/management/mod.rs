//! The management application: what a key is, what it can do, and what of that is switched on.

mod capability;
mod config;
mod form_factor;
mod info;
mod mode;
mod switch;
mod tag;

pub use capability::{Capabilities, FipsCapabilities, UnknownCapability};
pub use config::{ConfigError, DeviceConfig, LockCode};
pub use form_factor::{FormFactor, FormFactorByte, UnknownFormFactor};
pub use info::{DeviceFlags, DeviceInfo, InfoError, InfoPages, ReleaseType, UnknownTag, VersionQualifier};
pub use mode::{Interfaces, Mode, ModeError, ProductFamily, ProductId, SetMode, VENDOR_ID};
pub use switch::{Side, Switch, SwitchError};

/// Instructions of the management application over a smart card.
pub mod ins {
    /// Read a page of device information; P1 is the page.
    pub const READ_CONFIG: u8 = 0x1D;
    /// Write device information.
    pub const WRITE_CONFIG: u8 = 0x1C;
    /// Set the USB mode (firmware 3 and 4), with P1 = [`P1_SET_MODE`].
    pub const SET_MODE: u8 = 0x16;
    /// P1 of [`SET_MODE`].
    pub const P1_SET_MODE: u8 = 0x11;
    /// Reset the whole device (Bio multi-protocol keys, firmware 5.6 and later).
    pub const DEVICE_RESET: u8 = 0x1F;
}
