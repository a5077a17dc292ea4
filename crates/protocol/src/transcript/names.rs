//! Names of commands, and which of their bytes are harmless.

use super::Application;
use crate::apdu::{Command, ins};
use crate::management;
use crate::slot::SlotCommand;

/// A command's name, and whether its data and its answer may be shown.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) show_command: bool,
    pub(super) show_response: bool,
}

impl Named {
    fn new(name: impl Into<String>, show_command: bool, show_response: bool) -> Self {
        Self { name: name.into(), show_command, show_response }
    }

    pub(super) fn continued(mut self) -> Self {
        const SUFFIX: &str = " (continued)";
        if !self.name.ends_with(SUFFIX) {
            self.name.push_str(SUFFIX);
        }
        self
    }
}

pub(super) fn of(selected: Application, command: &Command) -> Named {
    if command.ins == ins::SELECT && command.p1 == 0x04 {
        return Named::new(format!("select {}", title(selected)), true, true);
    }
    if matches!(selected, Application::Otp) && command.ins == SlotCommand::INS {
        return otp_command(command.p1);
    }
    let (what, show_command, show_response) = match selected {
        Application::Otp => otp(command.ins),
        Application::Management => management(command.ins),
        Application::Oath => oath(command.ins),
        Application::Piv => piv(command.ins),
        Application::Ndef => ndef(command.ins),
        _ => None,
    }
    .unwrap_or(("", false, false));
    let name = match what {
        "" => format!("{}: instruction {:02x}", title(selected), command.ins),
        _ => format!("{}: {what}", title(selected)),
    };
    Named::new(name, show_command, show_response)
}

pub(super) fn otp_command(code: u8) -> Named {
    let name = format!("OTP: {}", super::hid_command_name(code));
    let (show_command, show_response) = match SlotCommand::try_from(code) {
        Ok(
            SlotCommand::Serial | SlotCommand::ReadDeviceInfo | SlotCommand::FipsMode | SlotCommand::SetMode,
        ) => (true, true),
        // A write answers with the status.
        Ok(command) if command.is_write() => (false, true),
        // Answers to challenges unlock things.
        _ => (false, false),
    };
    Named::new(name, show_command, show_response)
}

type Harmless = Option<(&'static str, bool, bool)>;

fn otp(ins: u8) -> Harmless {
    (ins == SlotCommand::INS_STATUS).then_some(("read status", true, true))
}

fn management(ins: u8) -> Harmless {
    match ins {
        management::ins::READ_CONFIG => Some(("read device information", true, true)),
        management::ins::WRITE_CONFIG => Some(("write device information", false, true)),
        management::ins::SET_MODE => Some(("set USB mode", true, true)),
        management::ins::DEVICE_RESET => Some(("reset device", true, true)),
        _ => None,
    }
}

fn oath(ins: u8) -> Harmless {
    match ins {
        0x01 => Some(("put credential", false, true)),
        0x02 => Some(("delete credential", true, true)),
        0x03 => Some(("set code", false, true)),
        0x04 => Some(("reset", true, true)),
        0x05 => Some(("rename credential", true, true)),
        0xA1 => Some(("list credentials", true, true)),
        0xA2 => Some(("calculate", true, false)),
        0xA3 => Some(("validate", false, false)),
        0xA4 => Some(("calculate all", true, false)),
        0xA5 => Some(("send remaining", true, false)),
        _ => None,
    }
}

fn piv(ins: u8) -> Harmless {
    match ins {
        0x20 => Some(("verify PIN", false, true)),
        0x24 => Some(("change PIN or PUK", false, true)),
        0x2C => Some(("unblock PIN", false, true)),
        0x47 => Some(("generate key", true, true)),
        0x87 => Some(("authenticate", false, false)),
        0xCB => Some(("get object", true, false)),
        0xDB => Some(("put object", false, true)),
        0xF6 => Some(("move key", true, true)),
        0xF7 => Some(("get metadata", true, true)),
        0xF8 => Some(("read serial", true, true)),
        0xF9 => Some(("attest key", true, true)),
        0xFA => Some(("set PIN retries", true, true)),
        0xFB => Some(("reset", true, true)),
        0xFD => Some(("read version", true, true)),
        0xFE => Some(("import key", false, true)),
        0xFF => Some(("set management key", false, true)),
        _ => None,
    }
}

fn ndef(ins: u8) -> Harmless {
    match ins {
        ins::SELECT => Some(("select file", true, true)),
        // It contains a one-time password or a password.
        0xB0 => Some(("read file", true, false)),
        _ => None,
    }
}

fn title(application: Application) -> &'static str {
    match application {
        Application::Unknown => "unknown application",
        Application::Otp => "OTP",
        Application::Management => "management",
        Application::Oath => "OATH",
        Application::Piv => "PIV",
        Application::OpenPgp => "OpenPGP",
        Application::Fido => "FIDO",
        Application::Ndef => "NDEF",
        Application::HsmAuth => "YubiHSM Auth",
    }
}
