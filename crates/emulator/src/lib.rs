//! A YubiKey made of software, for testing programs that use YubiKeys.
//!
//! It behaves like a key of the 5 series at the level of bytes: feature reports and smart-card
//! commands go in, answers and key strokes come out. Start with [`VirtualKey`], the key itself, or
//! with [`port::in_process::PluggedKey`], which shares one between the parts of a test.
//!
//! ```
//! use tapkey_emulator::port::in_process::PluggedKey;
//! use tapkey_emulator::{Profile, VirtualKey};
//! use tapkey_protocol::link::CardLink;
//!
//! let key = VirtualKey::builder().profile(Profile::YUBIKEY_5_4_3).serial(0xF000_0001).build()?;
//! let key = PluggedKey::new(key)?;
//! let mut card = key.card()?;
//! // SELECT of the OTP application: firmware 5.4.3, and no slot is programmed.
//! let answer = card.transmit(&[0, 0xA4, 4, 0, 7, 0xA0, 0, 0, 5, 0x27, 0x20, 1])?;
//! assert_eq!(answer, [5, 4, 3, 0, 0, 0, 0x90, 0x00]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module or type | subject |
//! |---|---|
//! | [`VirtualKey`] | the key: a plain state machine without threads, sockets or a clock |
//! | [`Profile`] | which model and firmware it imitates |
//! | [`StateStore`] | where it remembers slots and counters: [`MemoryStore`], [`FileStore`] |
//! | [`TouchPolicy`] | who touches it when it waits |
//! | [`faults`] | what goes wrong on purpose: lost reports, wrong checksums, power cuts … |
//! | [`Recorder`] | writes down what goes in and out, secrets left out |
//! | [`usb`] | the same key as a USB device: keyboard, smart card, FIDO interface |
//! | [`port`] | how programs reach it: in the same process, over a Unix socket, through pcscd, through a kernel |
//!
//! What is there: the OTP application with both slots and all their kinds, over HID reports and
//! over the card, the management application, the OATH application with its password, touch and
//! limits per firmware, the PIV application with all its algorithms, policies and objects, and the
//! NFC tag. Other applications answer as on a card that does not have them.
//!
//! # What it is not
//!
//! A place for secrets that matter: they lie in a file. Its keys carry serial numbers from
//! [`EMULATED_SERIALS`], and what their PIV application attests stands under a root that everybody
//! has the private key of ([`attestation_root`]): a server can tell them from real keys only by
//! attestation. "YubiKey" is a trademark of Yubico, with which this project has no connection.

mod applet;
mod clock;
pub mod faults;
mod key;
pub mod port;
mod profile;
mod random;
mod state;
mod touch;
pub mod usb;

pub use applet::piv::attestation::attestation_root;
pub use clock::Milliseconds;
pub use faults::{Fault, Faults, PlannedFault, PowerCut};
pub use key::{
    Builder, Counter, EMULATED_SERIALS, HostError, Led, PivKeySnapshot, PivSnapshot, Power, PowerError,
    Press, Recorder, Silence, SlotSnapshot, Snapshot, TouchError, Transmitted, TurnError, Typed, UsbIdentity,
    VirtualKey,
};
pub use profile::{Profile, UnknownProfile};
pub use random::{OsRandom, RandomSource, SeededRandom};
pub use state::{FileStore, MemoryStore, StateError, StateStore};
pub use touch::{ScriptedTouch, TouchPolicy};
