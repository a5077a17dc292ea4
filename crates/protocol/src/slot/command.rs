//! Command codes of the OTP application, the same over HID and (as P1 of INS 01) over a smart card.

use thiserror::Error;

use super::Slot;
use crate::version::{Requirement, Unsupported, Version};

/// A command of the OTP application.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SlotCommand {
    /// Write or delete a slot.
    Configure(Slot),
    /// The navigation settings of generation 1.
    Navigation,
    /// Change the flags of a slot.
    Update(Slot),
    /// Exchange the two slots.
    Swap,
    /// Set what the NFC tag says, and for which slot.
    Ndef(Slot),
    /// Read the serial number.
    Serial,
    /// Set the USB mode (firmware 3 and 4).
    SetMode,
    /// Set the keyboard's scan map.
    ScanMap,
    /// Read a page of device information.
    ReadDeviceInfo,
    /// Ask whether FIPS mode is on (firmware 4.4).
    FipsMode,
    /// Write device information.
    WriteDeviceInfo,
    /// A challenge in Yubico mode: 6 bytes, answered with 16.
    ChallengeYubico(Slot),
    /// A challenge in HMAC-SHA1 mode: up to 64 bytes, answered with 20.
    ChallengeHmac(Slot),
}

impl SlotCommand {
    /// The instruction that carries these commands over a smart card; P1 is the code.
    pub const INS: u8 = 0x01;
    /// The instruction that reads the status over a smart card.
    pub const INS_STATUS: u8 = 0x03;

    /// The code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Configure(Slot::One) => 0x01,
            Self::Navigation => 0x02,
            Self::Configure(Slot::Two) => 0x03,
            Self::Update(Slot::One) => 0x04,
            Self::Update(Slot::Two) => 0x05,
            Self::Swap => 0x06,
            Self::Ndef(Slot::One) => 0x08,
            Self::Ndef(Slot::Two) => 0x09,
            Self::Serial => 0x10,
            Self::SetMode => 0x11,
            Self::ScanMap => 0x12,
            Self::ReadDeviceInfo => 0x13,
            Self::FipsMode => 0x14,
            Self::WriteDeviceInfo => 0x15,
            Self::ChallengeYubico(Slot::One) => 0x20,
            Self::ChallengeYubico(Slot::Two) => 0x28,
            Self::ChallengeHmac(Slot::One) => 0x30,
            Self::ChallengeHmac(Slot::Two) => 0x38,
        }
    }

    /// True when the command changes the key, so that success shows in the programming sequence.
    #[must_use]
    pub const fn is_write(self) -> bool {
        matches!(
            self,
            Self::Configure(_)
                | Self::Navigation
                | Self::Update(_)
                | Self::Swap
                | Self::Ndef(_)
                | Self::SetMode
                | Self::ScanMap
                | Self::WriteDeviceInfo
        )
    }

    /// A short name for messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configure(Slot::One) => "configure slot 1",
            Self::Configure(Slot::Two) => "configure slot 2",
            Self::Navigation => "navigation settings",
            Self::Update(Slot::One) => "update slot 1",
            Self::Update(Slot::Two) => "update slot 2",
            Self::Swap => "swap slots",
            Self::Ndef(Slot::One) => "set NDEF for slot 1",
            Self::Ndef(Slot::Two) => "set NDEF for slot 2",
            Self::Serial => "read serial",
            Self::SetMode => "set USB mode",
            Self::ScanMap => "set scan map",
            Self::ReadDeviceInfo => "read device information",
            Self::FipsMode => "read FIPS mode",
            Self::WriteDeviceInfo => "write device information",
            Self::ChallengeYubico(Slot::One) => "Yubico challenge to slot 1",
            Self::ChallengeYubico(Slot::Two) => "Yubico challenge to slot 2",
            Self::ChallengeHmac(Slot::One) => "HMAC challenge to slot 1",
            Self::ChallengeHmac(Slot::Two) => "HMAC challenge to slot 2",
        }
    }

    /// Whether firmware knows the command.
    ///
    /// # Errors
    /// [`Unsupported`] when it does not.
    pub fn supported_by(self, version: Version) -> Result<(), Unsupported> {
        let from = |major, minor, patch| Requirement::AtLeast(Version::new(major, minor, patch));
        let between = |low: (u8, u8, u8), high: (u8, u8, u8)| {
            Requirement::Between(Version::new(low.0, low.1, low.2), Version::new(high.0, high.1, high.2))
        };
        let required = match self {
            Self::Configure(Slot::One) | Self::Serial => return Ok(()),
            Self::Configure(Slot::Two) => from(2, 0, 0),
            Self::Navigation => between((1, 0, 0), (2, 0, 0)),
            Self::Update(_) | Self::Swap => from(2, 3, 0),
            // Firmware 4 has no NFC.
            Self::Ndef(_) => Requirement::Outside(Version::new(4, 0, 0), Version::new(5, 0, 0)),
            Self::SetMode => between((3, 0, 0), (5, 0, 0)),
            Self::ScanMap => from(3, 0, 0),
            Self::ReadDeviceInfo => from(4, 1, 0),
            Self::FipsMode => between((4, 4, 0), (4, 5, 0)),
            Self::WriteDeviceInfo => from(5, 0, 0),
            Self::ChallengeYubico(_) | Self::ChallengeHmac(_) => from(2, 2, 0),
        };
        Unsupported::check(self.name(), version, required)?;
        if matches!(self, Self::Ndef(_)) {
            return Unsupported::check(self.name(), version, from(3, 0, 0));
        }
        Ok(())
    }

    /// Every command.
    pub fn all() -> impl Iterator<Item = Self> {
        let of_slots = Slot::ALL.into_iter().flat_map(|slot| {
            [
                Self::Configure(slot),
                Self::Update(slot),
                Self::Ndef(slot),
                Self::ChallengeYubico(slot),
                Self::ChallengeHmac(slot),
            ]
        });
        let others = [
            Self::Navigation,
            Self::Swap,
            Self::Serial,
            Self::SetMode,
            Self::ScanMap,
            Self::ReadDeviceInfo,
            Self::FipsMode,
            Self::WriteDeviceInfo,
        ];
        of_slots.chain(others)
    }
}

impl TryFrom<u8> for SlotCommand {
    type Error = UnknownCommand;

    fn try_from(code: u8) -> Result<Self, Self::Error> {
        Self::all().find(|command| command.code() == code).ok_or(UnknownCommand { code })
    }
}

/// There is no command with this code.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the OTP application has no command {code:#04x}")]
pub struct UnknownCommand {
    /// The code.
    pub code: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_round_trips() {
        assert_eq!(SlotCommand::all().count(), 18);
        for command in SlotCommand::all() {
            assert_eq!(SlotCommand::try_from(command.code()), Ok(command));
        }
        assert_eq!(SlotCommand::try_from(0x07), Err(UnknownCommand { code: 7 }));
    }

    #[test]
    fn firmware_gates() {
        let supported = |command: SlotCommand, major, minor, patch| {
            command.supported_by(Version::new(major, minor, patch)).is_ok()
        };
        assert!(!supported(SlotCommand::Swap, 2, 2, 9) && supported(SlotCommand::Swap, 2, 3, 0));
        assert!(!supported(SlotCommand::Ndef(Slot::One), 4, 3, 0));
        assert!(!supported(SlotCommand::Ndef(Slot::One), 2, 0, 0));
        assert!(
            supported(SlotCommand::Ndef(Slot::Two), 3, 4, 0)
                && supported(SlotCommand::Ndef(Slot::Two), 5, 0, 0)
        );
        assert!(!supported(SlotCommand::SetMode, 5, 0, 0) && supported(SlotCommand::SetMode, 4, 3, 5));
        assert!(!supported(SlotCommand::FipsMode, 5, 4, 3) && supported(SlotCommand::FipsMode, 4, 4, 5));
    }
}
