//! What can go wrong, told apart by who is to blame: the link, the key, or our understanding.

use thiserror::Error;

use tapkey_protocol::apdu::chaining::TransactionError;
use tapkey_protocol::apdu::{CommandError, StatusWord};
use tapkey_protocol::challenge;
use tapkey_protocol::hid::ExchangeError;
use tapkey_protocol::link::LinkError;
use tapkey_protocol::management::InfoError;
use tapkey_protocol::oath::codec::CodecError;
use tapkey_protocol::piv;
use tapkey_protocol::slot::Slot;
use tapkey_protocol::version::{Unsupported, Version};

use crate::session::piv::{PivInputError, PivRefusal};

use crate::session::oath::OathRefusal;

/// Why an operation on a key did not succeed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes did not travel: removed, busy, no permission, no reader service.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The key understood and refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The key answered something that cannot be understood.
    #[error("the key's answer cannot be understood: {0}")]
    Malformed(#[from] Malformed),
    /// The firmware does not have what was asked for. Nothing was sent.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The key could do it, but not over this link. Nothing was sent.
    #[error(transparent)]
    NotOverThisLink(#[from] NotOverThisLink),
    /// The request itself makes no sense. Nothing was sent.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The key says that it is busy for longer than any command takes.
    #[error("the key stays busy; unplug it, plug it in again and repeat the command")]
    NotReady,
    /// The cancel token was fired. A command that the key was waiting with was taken back.
    #[error("cancelled")]
    Cancelled,
    /// The deadline passed. A command that the key was waiting with was taken back.
    #[error("the time allowed for this has passed; repeat the command, with more time if need be")]
    DeadlinePassed,
    /// The operating system gave no random bytes, which a password is proved with. Nothing was sent.
    #[error("the system gave no random bytes")]
    NoRandomness,
}

impl Error {
    /// True when a second try may succeed without anybody doing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Link(LinkError::Busy { .. } | LinkError::TimedOut) | Self::NotReady)
    }

    /// True when the key was pulled out or taken off the reader.
    #[must_use]
    pub const fn is_removal(&self) -> bool {
        matches!(self, Self::Link(LinkError::Removed))
    }
}

/// What the key refused, as far as can be told.
///
/// A key does not say why it rejects a write: it merely does not do it. Where a reason is given
/// here, it was found from what was known before: the slot's state, the firmware, whether an access
/// code was given.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// The slot holds something and no access code was given.
    #[error(
        "the key refused to change {}: it is probably protected by an access code, and none was given; \
         give the current access code",
        name(*.slot)
    )]
    AccessCodeNeeded {
        /// The slot.
        slot: Slot,
    },
    /// An access code was given and the key refused it.
    #[error(
        "the key refused to change {}: the access code is wrong; there is no limit on tries, \
         but no way around the code either",
        name(*.slot)
    )]
    AccessCodeWrong {
        /// The slot.
        slot: Slot,
    },
    /// The key insists on complex codes and the new access code is six times the same byte.
    #[error("the key refused the new access code of {}: all its bytes are equal; choose another", name(*.slot))]
    TrivialAccessCode {
        /// The slot.
        slot: Slot,
    },
    /// The settings of a slot could not be updated.
    #[error("{}", UpdateText { slot: *slot, code_given: *code_given })]
    UpdateRefused {
        /// The slot.
        slot: Slot,
        /// Whether an access code was given.
        code_given: bool,
    },
    /// The slot holds nothing.
    #[error("{} is empty; program it first", name(*.slot))]
    SlotEmpty {
        /// The slot.
        slot: Slot,
    },
    /// Neither slot holds anything.
    #[error("both slots are empty; program one first")]
    BothSlotsEmpty,
    /// One of the slots is protected and the key did not swap them.
    #[error(
        "the key refused to swap its slots: {}",
        if *code_given { "the access code is wrong" }
        else { "one of them is probably protected; give its access code" }
    )]
    SwapRefused {
        /// Whether an access code was given.
        code_given: bool,
    },
    /// The slot holds something that does not answer this kind of challenge.
    #[error(
        "{} does not answer {kind} challenges: it holds something else, or needs a touch that is not possible here; \
         see which slot was programmed for challenge-response",
        name(*.slot)
    )]
    NoChallengeResponse {
        /// The slot.
        slot: Slot,
        /// `HMAC-SHA1` or `Yubico OTP`.
        kind: &'static str,
    },
    /// Nobody touched the key in time.
    #[error("nobody touched the key in time; repeat the command and touch the key when it blinks")]
    TouchTimedOut,
    /// The serial number is not readable.
    #[error(
        "the key does not tell its serial number; program a slot with the flag that makes it readable \
         by programs, or choose the key by reader"
    )]
    SerialHidden,
    /// The application is not on the key or switched off.
    #[error("the key has no {application} application here, or it is switched off on this interface")]
    ApplicationMissing {
        /// Its name.
        application: &'static str,
    },
    /// The settings are guarded by a lock code.
    #[error(
        "the key refused the new settings: {}",
        if *code_given { "the lock code is wrong" }
        else { "they are guarded by a lock code, and none was given" }
    )]
    Locked {
        /// Whether a lock code was given.
        code_given: bool,
    },
    /// The OATH application refused.
    #[error(transparent)]
    Oath(#[from] OathRefusal),
    /// Only one model has a reset of the whole key.
    #[error(
        "this key has no reset of the whole key, which only the multi-protocol YubiKey Bio has; reset its applications \
         one by one"
    )]
    NoDeviceReset,
    /// The PIV application refused.
    #[error(transparent)]
    Piv(#[from] PivRefusal),
    /// The key refused with a status word that has no better name here.
    #[error("the key refused to {operation}, with status {status}")]
    Status {
        /// What it was to do.
        operation: &'static str,
        /// The status word.
        status: StatusWord,
    },
    /// The key refused without a reason.
    #[error("the key refused to {operation} and does not say why{}", hint_text(*.hint))]
    Silent {
        /// What it was to do.
        operation: &'static str,
        /// What may be the reason, if anything is known.
        hint: Option<&'static str>,
    },
}

/// An answer that cannot be understood.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Malformed {
    /// The pieces of a report exchange do not fit together.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The pieces of a smart-card answer do not fit together.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// Device information cannot be read.
    #[error(transparent)]
    Info(#[from] InfoError),
    /// An answer of the OATH application cannot be read.
    #[error(transparent)]
    Oath(#[from] CodecError),
    /// What should be a code is too short to be one.
    #[error("the key answered too few bytes for a code")]
    NoCode,
    /// An answer or an object of the PIV application cannot be read.
    #[error("PIV: {0}")]
    Piv(piv::CodecError),
    /// The key did not tell its firmware.
    #[error("the management application did not tell a firmware version")]
    NoVersion,
    /// An answer has the wrong length.
    #[error("{what} has {expected} bytes, but {found} arrived")]
    Length {
        /// What was answered.
        what: &'static str,
        /// How long it always is.
        expected: usize,
        /// How long it was.
        found: usize,
    },
}

/// The way to the key does not allow the operation.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum NotOverThisLink {
    /// Keys answer challenges over HID and NFC only.
    #[error(
        "keys answer challenges over their HID interface and over NFC, not over the smart-card interface on USB; \
         make the HID interface accessible (udev rule on Linux) or use an NFC reader"
    )]
    ChallengeOverUsbCard,
    /// A whole key is reset over its smart card.
    #[error(
        "a whole key is reset over its smart-card interface, which is not reached; start the smart-card service, or \
         switch the interface on"
    )]
    ResetOverHid,
    /// The firmware does not take OTP settings over the smart-card interface on USB.
    #[error(
        "firmware {version} takes OTP settings over its HID interface only, not over the smart-card interface on USB; \
         make the HID interface accessible (udev rule on Linux)"
    )]
    OtpWriteOverUsbCard {
        /// The firmware.
        version: Version,
    },
    /// The key has no such interface, or it is switched off.
    #[error("this key has no {interface} interface here; {hint}")]
    NoInterface {
        /// `HID` or `smart-card`.
        interface: &'static str,
        /// What to do.
        hint: &'static str,
    },
}

/// A request that makes no sense.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum InputError {
    /// The challenge is too long.
    #[error(transparent)]
    Challenge(#[from] challenge::TooLong),
    /// The command has too many bytes for the link.
    #[error("a command of {length} bytes does not fit, {limit} do")]
    TooLong {
        /// Its length.
        length: usize,
        /// The most that fits.
        limit: usize,
    },
    /// The command cannot be written.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The PIV application cannot be asked for that.
    #[error(transparent)]
    Piv(#[from] PivInputError),
}

impl From<PivRefusal> for Error {
    fn from(refusal: PivRefusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<PivInputError> for Error {
    fn from(error: PivInputError) -> Self {
        Self::Input(error.into())
    }
}

impl From<TransactionError> for Error {
    fn from(error: TransactionError) -> Self {
        Self::Malformed(error.into())
    }
}

impl From<OathRefusal> for Error {
    fn from(refusal: OathRefusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<InfoError> for Error {
    fn from(error: InfoError) -> Self {
        Self::Malformed(error.into())
    }
}

impl From<CommandError> for Error {
    fn from(error: CommandError) -> Self {
        Self::Input(error.into())
    }
}

/// How a slot is called in a sentence.
pub(crate) const fn name(slot: Slot) -> &'static str {
    match slot {
        Slot::One => "slot 1",
        Slot::Two => "slot 2",
    }
}

struct UpdateText {
    slot: Slot,
    code_given: bool,
}

impl std::fmt::Display for UpdateText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = if self.code_given { "the access code is wrong" } else { "an access code is needed" };
        write!(
            f,
            "the key refused to update {}: either it was programmed without allowing updates, or {code}",
            name(self.slot)
        )
    }
}

fn hint_text(hint: Option<&'static str>) -> String {
    hint.map(|text| format!("; {text}")).unwrap_or_default()
}
