//! The key as a USB device: descriptors, control requests, keyboard, smart card and FIDO interface.
//!
//! [`UsbDevice`] is a state machine like the key itself: a port hands it the transfers of a host,
//! tells the key the time, and collects what is completed. It starts no thread and opens nothing.
//!
//! ```
//! use tapkey_emulator::usb::{Setup, Status, Urb, UsbDevice};
//! use tapkey_emulator::{Power, VirtualKey};
//!
//! let mut key = VirtualKey::builder().build()?;
//! key.power(Power::Usb)?;
//! let mut device = UsbDevice::new(&key).ok_or("no USB interface")?;
//! // GET_DESCRIPTOR(device), 18 bytes.
//! let setup = Setup { request_type: 0x80, request: 6, value: 0x0100, index: 0, length: 18 };
//! let done = device.submit(&mut key, &Urb::control_in(1, setup)).ok_or("still pending")?;
//! assert_eq!(done.status, Status::Done);
//! assert_eq!(done.data[8..12], [0x50, 0x10, 0x07, 0x04]); // vendor 1050, product 0407
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | endpoint | interface | carries |
//! |---|---|---|
//! | 0 | all | descriptors; OTP commands in feature reports; the keyboard's lights |
//! | 81 interrupt IN | OTP | what the key types |
//! | 04, 84 interrupt | FIDO | CTAPHID packets |
//! | 02, 82 bulk | CCID | smart-card commands and answers |
//! | 83 interrupt IN | CCID | the notice that a card is there |

mod ccid;
mod control;
mod ctaphid;
mod descriptors;
mod device;
mod keyboard;
mod transfer;

pub use ctaphid::AAGUID;
pub use descriptors::{Descriptors, Function};
pub use device::UsbDevice;
pub use keyboard::{Leds, Speed};
pub use transfer::{Completion, Direction, Setup, Status, Urb};
