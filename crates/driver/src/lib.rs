//! Finds a YubiKey, opens it over HID or PC/SC, and talks to its applications.
//!
//! Three nouns: a [`Device`] is a key that was found; a *link* carries bytes to one of its interfaces
//! ([`OtpLink`], [`CardLink`]); a *session* ([`OtpSession`], [`ManagementSession`], [`OathSession`])
//! speaks to one application over whichever link there is. Start with [`discover::list`].
//!
//! Everything blocks, nothing is global, and sessions are [`Send`]. Every operation takes a
//! [`Control`]: a deadline, a [`CancelToken`] and a callback for touches. Ended early, a command is
//! taken back, so that the key does not keep blinking.
//!
//! # Example
//!
//! On a software key, which needs no hardware; for the keys that are plugged in, take the device from
//! [`discover::list`] and [`discover::select`] instead.
//!
//! ```
//! use std::time::Duration;
//!
//! use tapkey_driver::{Connector, Control, Device, Error, Prefer, Refusal, Ways};
//! use tapkey_emulator::{VirtualKey, port::in_process::PluggedKey};
//! use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink};
//! use tapkey_protocol::otp::{AesKey, Otp, PrivateId, PublicId};
//! use tapkey_protocol::slot::{AccessCode, Options, Slot, YubicoOtp};
//!
//! /// A way to a key: here, one in this process.
//! struct Software(PluggedKey);
//!
//! impl Connector for Software {
//!     fn name(&self) -> String {
//!         "software key".to_owned()
//!     }
//!     fn open_otp_link(&self) -> Result<Option<Box<dyn OtpLink>>, LinkError> {
//!         Ok(Some(Box::new(self.0.otp()?)))
//!     }
//!     fn open_card_link(&self) -> Result<Option<Box<dyn CardLink>>, LinkError> {
//!         Ok(Some(Box::new(self.0.card()?)))
//!     }
//!     fn is_software(&self) -> bool {
//!         true
//!     }
//!     fn ways(&self) -> Ways {
//!         Ways { hid: true, card: Some(CardTransport::Usb) }
//!     }
//! }
//!
//! let key = PluggedKey::new(VirtualKey::builder().build()?)?;
//! let control = Control::new().with_timeout(Duration::from_secs(20));
//! let device = Device::from_connector(Box::new(Software(key.clone())), &control)?;
//! println!("{device}");
//!
//! // Program slot 1, protected by an access code.
//! let code = AccessCode::new([1, 2, 3, 4, 5, 6]);
//! let config = YubicoOtp {
//!     public_id: PublicId::new(&[0xFF, 0, 0, 0, 0, 1])?,
//!     private_id: PrivateId::new([1, 2, 3, 4, 5, 6]),
//!     key: AesKey::new([7; 16]), // yours comes from a random source
//!     send_reference: false,
//!     options: Options::for_typing(),
//!     access_code: code.clone(),
//! };
//! let mut otp = device.open_otp(Prefer::Programming, &control)?;
//! otp.program(Slot::One, &config, &AccessCode::NONE, &control)?;
//!
//! // Touch it: it types.
//! let typed = key.press(Slot::One)?.text().unwrap_or_default();
//! let token = typed.trim_end().parse::<Otp>()?.open(&config.key)?;
//! assert_eq!(token.counter().use_counter(), 1);
//!
//! // Without the code, nothing changes, and the error says what to do.
//! let error = otp.delete(Slot::One, &AccessCode::NONE, &control).unwrap_err();
//! assert!(matches!(error, Error::Refused(Refusal::AccessCodeNeeded { slot: Slot::One })));
//! otp.delete(Slot::One, &code, &control)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Whose fault it is
//!
//! [`Error`] keeps three things apart: bytes did not travel ([`Error::Link`]), the key refused
//! ([`Error::Refused`]), the answer makes no sense ([`Error::Malformed`]). What firmware or link are
//! known not to do is refused before anything is sent. A write counts as done only when the key's
//! programming sequence says so.
//!
//! | error | what a program does |
//! |---|---|
//! | [`Error::is_transient`] | tries again after a moment, a few times |
//! | [`Error::is_removal`] | waits until the key is back ([`discover::watch`]), opens a new session, and reads before it repeats a write |
//! | [`LinkError::PermissionDenied`](tapkey_protocol::link::LinkError::PermissionDenied) | names the udev rule; trying again is in vain |
//! | [`LinkError::Unavailable`](tapkey_protocol::link::LinkError::Unavailable) | says that the smart-card service does not run; what goes over HID goes on |
//! | [`Refusal::AccessCodeNeeded`], [`Refusal::AccessCodeWrong`] | asks for the access code; keys count no wrong ones |
//! | [`Refusal::TouchTimedOut`] | asks for the touch again |
//! | [`Refusal::SlotEmpty`], [`Refusal::NoChallengeResponse`] | offers the other slot, or to program this one |
//! | [`Refusal::ApplicationMissing`] | says which application must be switched on, or asks for another key |
//! | [`Refusal::Oath`], [`Refusal::Piv`] | asks for the password or PIN; the error says how many tries are left |
//! | [`Error::Unsupported`] | says which firmware it needs; nothing was sent |
//! | [`Error::NotOverThisLink`] | opens a session over the link that the text names |
//! | [`Error::Cancelled`], [`Error::DeadlinePassed`] | ends: the caller wanted it, and what the key waited with was taken back |
//! | [`Error::Malformed`] | reports it, with a recording ([`Recorded`]); a second try is harmless for reads |
//!
//! # Which session
//!
//! | application | session | from a [`Device`] | example |
//! |---|---|---|---|
//! | one-time passwords, static passwords | [`OtpSession`] | [`Device::open_otp`] | above |
//! | challenge-response | [`OtpSession`] | [`Device::open_otp`] with [`Prefer::ChallengeResponse`] | [`OtpSession::challenge_hmac`], [`OtpSession::challenge_sign_in`] |
//! | OATH accounts | [`OathSession`] | [`Device::open_oath`] | [`OathSession`] |
//! | certificates and keys | [`PivSession`] | [`Device::open_piv`] | [`PivSession`] |
//! | what is switched on | [`ManagementSession`] | [`Device::open_management`] | [`ManagementSession`] |
//!
//! The feature `async` has them all for programs on tokio.
//!
//! # Features
//!
//! | feature | adds | needs |
//! |---|---|---|
//! | `hid` (default) | [`backend::hidapi`](backend) | on Linux nothing but the kernel; elsewhere the system's HID library |
//! | `pcsc` (default) | [`backend::pcsc`](backend) | on Linux libpcsclite, and pcscd running |
//! | `async` | `asynchronous`: the same sessions, awaited; a dropped future takes its command back | tokio |
//! | `yubikey` | `Device::open_yubikey`, for programs that are built on the `yubikey` crate | as `pcsc` |
//!
//! Without both there are still sessions over links of your own, and software keys.
//!
//! # Sharing
//!
//! Cards are opened in shared mode and held in a transaction for one operation at a time, and their
//! application is selected anew for each. No other program is thrown off a card: one that has it for itself is waited
//! for, for as long as [`Control::with_busy_patience`] says, and [`holders`] finds out which it is. A HID interface is
//! locked against other processes of this crate, but not against other programs: the keyboard
//! interface has no such thing.
//!
//! # What it is not
//!
//! It does not read or write FIDO2 or OpenPGP, and it does not list keys that have only those
//! switched on. "YubiKey" is a trademark of Yubico, with which this project has no connection.
//!
//! [`OtpLink`]: tapkey_protocol::link::OtpLink
//! [`CardLink`]: tapkey_protocol::link::CardLink

#[cfg(feature = "async")]
pub mod asynchronous;
pub mod backend;
pub mod clock;
pub mod control;
pub mod discover;
pub mod holders;

mod connector;
mod device;
mod error;
mod naming;
mod recorded;
mod session;
mod transport;
#[cfg(feature = "yubikey")]
mod yubikey_crate;

pub use connector::{Connector, ParsePortError, UsbPlace, UsbPort, Ways};
pub use control::{CancelToken, Control, TouchEvent};
pub use device::{Device, Prefer};
pub use error::{Error, InputError, Malformed, NotOverThisLink, Refusal};
pub use naming::product_name;
pub use recorded::Recorded;
pub use session::management::{Applied, ManagementSession, can_be_reset};
pub use session::oath::{IfTaken, OathAccount, OathCode, OathInfo, OathRefusal, OathSession};
pub use session::otp::{Caveat, OtpSession, OtpStatus, Probe, SlotState, Transport};

pub use session::piv::{self, PivSession};
#[cfg(feature = "yubikey")]
pub use yubikey_crate::OpenYubikeyError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_can_move_to_another_thread() {
        fn check<T: Send>() {}
        check::<OtpSession>();
        check::<ManagementSession>();
        check::<PivSession>();
        check::<OathSession>();
        check::<Device>();
        check::<Control>();
        check::<Error>();
    }
}
