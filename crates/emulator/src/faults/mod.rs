//! Faults on purpose: what cables, readers, power supplies and broken keys do to a host.
//!
//! A [`Faults`] holds a plan and belongs to one key. Faults strike where bytes pass between the key
//! and a port, and where its memory is written; the key's applications know nothing of them. The
//! same plan and seed do the same again.
//!
//! ```
//! use tapkey_emulator::port::in_process::PluggedKey;
//! use tapkey_emulator::{Faults, VirtualKey};
//! use tapkey_protocol::link::{LinkError, OtpLink};
//!
//! let faults = Faults::new();
//! faults.add("stall@2".parse()?);
//! let key = PluggedKey::new(VirtualKey::builder().faults(faults.clone()).build()?)?;
//! let mut link = key.otp()?;
//! link.read_report()?;
//! assert!(matches!(link.read_report(), Err(LinkError::Io(_))));
//! link.read_report()?;
//! assert_eq!(faults.list()[0].fired, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The grammar
//!
//! ```text
//! fault = name [ "=" value ] [ when ]
//! when  = "@" first [ "-" last ] [ "x" times ]      times: a number, or * for every time from then on
//!       | "%" percent
//! ```
//!
//! `@3` strikes the third time, counted from when the fault was added; `@3x2` the third and fourth;
//! `@1-20` once, somewhere from the first to the twentieth time, drawn from the seed; `%5` each time
//! with a chance of 5 in 100. Without any it is `@1`.
//!
//! | name | value | what happens | counts |
//! |---|---|---|---|
//! | `crc` | | the checksum of an answer is wrong | answers over reports |
//! | `report-lost` | | a report is lost, whichever way it goes | reports written and read |
//! | `write-lost` | | a report that the host wrote is lost | reports written |
//! | `read-lost` | | a report for the host is lost, it gets the next one | reports read |
//! | `frame-cut` | | the last part of a command is lost | commands over reports |
//! | `answer-cut` | parts (1) | an answer ends after so many parts | answers over reports |
//! | `stuck-write` | reads (50) | "not consumed yet" shows in so many reads | reports written |
//! | `stall` | | the transfer of a report fails | reports written and read |
//! | `answer-delay` | milliseconds (300) | the key stays busy for so long | commands over reports |
//! | `unplug` | | the key is pulled out | reports written and read |
//! | `removal` | | the card is taken away before it carried the command out | card commands |
//! | `removal-after` | | the card is taken away before it could answer | card commands |
//! | `mute` | | the card neither carries the command out nor answers | card commands |
//! | `response-lost` | | the card carries the command out and does not answer | card commands |
//! | `status` | status word (6f00) | the card answers that, and does nothing | card commands |
//! | `short-response` | bytes (1) | only so many bytes of the response arrive | card commands |
//! | `response-delay` | milliseconds (300) | the card takes so much longer | card commands |
//! | `touch-never` | | nobody touches the key | waits for a touch |
//! | `power-cut` | `before`, `during` (default), `after` | the power goes while the memory is written | writes of the memory |
//! | `usb-stall` | endpoint (any) | a USB transfer is stalled | USB transfers there |
//! | `ccid-sequence` | | an answer carries a wrong sequence number | messages of the USB card reader |
//! | `ccid-extension` | times (`*`) | the card asks for more time, so often | messages of the USB card reader |
//!
//! The last three strike only where a key is served as a USB device.

mod plan;
mod store;
mod strike;

pub use plan::{Fault, Occasion, PlannedFault, PowerCut, UnknownFault, When};
pub(crate) use store::FaultyStore;
pub use strike::{FaultReport, Faults};
pub(crate) use strike::{ReadFate, WriteFate};
