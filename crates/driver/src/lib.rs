//! Finds a YubiKey, opens it over HID or PC/SC, and talks to its applications.

pub mod backend;
pub mod clock;
pub mod control;
pub mod discover;

mod connector;
mod device;
mod error;
mod naming;
mod session;
mod transport;

pub use connector::{Connector, UsbPlace, Ways};
pub use control::{CancelToken, Control, TouchEvent};
pub use device::{Device, Prefer};
pub use error::{Error, InputError, Malformed, NotOverThisLink, Refusal};
pub use naming::product_name;
pub use session::management::{Applied, ManagementSession};
pub use session::otp::{Caveat, OtpSession, OtpStatus, SlotState, Transport};
