//! Settings on the command line: each can be switched on, off, or left alone.

use clap::Args as ClapArgs;
use tapkey_protocol::{
    slot::{OptionChanges, Pacing, SlotKind},
    version::Version,
};

use crate::exit::{Exit, Failure};

/// How a slot types.
#[derive(ClapArgs, Debug, Default)]
#[command(next_help_heading = "How the slot types")]
pub(super) struct Typing {
    /// Type Enter at the end [default: yes]
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = yes_or_no)]
    enter: Option<bool>,

    /// The same as --enter=no.
    #[arg(long, conflicts_with = "enter")]
    no_enter: bool,

    /// Wait so many milliseconds after each key: 0, 10, 20 or 30 [default: 0]
    #[arg(long, value_name = "MS", value_parser = pacing)]
    pacing: Option<Pacing>,

    /// Type digits as keys of the numeric keypad.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = yes_or_no)]
    numeric_keypad: Option<bool>,

    /// Type TAB before everything.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = yes_or_no)]
    tab_first: Option<bool>,

    /// Type TAB between the id and what follows it.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = yes_or_no)]
    tab_after_id: Option<bool>,

    /// Type TAB at the end, before Enter.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = yes_or_no)]
    tab_last: Option<bool>,

    /// Wait half a second between the id and what follows it.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = yes_or_no)]
    delay_after_id: Option<bool>,

    /// Wait half a second at the end, before Enter.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = yes_or_no)]
    delay_last: Option<bool>,

    /// Act at once on a touch when only slot 1 is programmed [default: yes]
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = yes_or_no)]
    fast_trigger: Option<bool>,

    /// The same as --fast-trigger=no.
    #[arg(long, conflicts_with = "fast_trigger")]
    no_fast_trigger: bool,
}

/// What every slot can be told.
#[derive(ClapArgs, Debug, Default)]
#[command(next_help_heading = "What the key does")]
pub(super) struct Behaviour {
    /// Let settings be changed later without the secret [default: yes]
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = yes_or_no)]
    allow_update: Option<bool>,

    /// The slot does nothing until an update wakes it.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = yes_or_no)]
    dormant: Option<bool>,

    /// Programs may ask for the serial number [default: yes]
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = yes_or_no)]
    serial_api_visible: Option<bool>,

    /// Show the serial number in the USB descriptor.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = yes_or_no)]
    serial_usb_visible: Option<bool>,

    /// Type the serial number when the key is plugged in while it is touched.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = yes_or_no)]
    serial_button_visible: Option<bool>,

    /// The LED shines where it would be dark.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = yes_or_no)]
    led_inverted: Option<bool>,

    /// In slot 1: slot 2 cannot be written from now on. In slot 2: slot 1 cannot be given that flag.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = yes_or_no)]
    protect_slot_2: Option<bool>,
}

impl Typing {
    /// What was said about typing.
    pub(super) fn changes(&self) -> OptionChanges {
        OptionChanges {
            append_enter: if self.no_enter { Some(false) } else { self.enter },
            pacing: self.pacing,
            numeric_keypad: self.numeric_keypad,
            tab_first: self.tab_first,
            tab_after_fixed: self.tab_after_id,
            tab_after_body: self.tab_last,
            delay_after_fixed: self.delay_after_id,
            delay_after_body: self.delay_last,
            fast_trigger: if self.no_fast_trigger { Some(false) } else { self.fast_trigger },
            ..OptionChanges::default()
        }
    }
}

impl Behaviour {
    /// The same with what was said here.
    pub(super) fn and(&self, typing: OptionChanges) -> OptionChanges {
        OptionChanges {
            allow_update: self.allow_update,
            dormant: self.dormant,
            serial_by_api: self.serial_api_visible,
            serial_in_usb: self.serial_usb_visible,
            serial_at_boot: self.serial_button_visible,
            led_inverted: self.led_inverted,
            protect_slot_2: self.protect_slot_2,
            ..typing
        }
    }

    /// What was said, for slots that type nothing.
    pub(super) fn changes(&self) -> OptionChanges {
        self.and(OptionChanges::default())
    }
}

/// Refuses what the kind of slot or the firmware has no use for, by the name of the option.
pub(super) fn check(
    changes: &OptionChanges,
    kind: Option<SlotKind>,
    version: Version,
) -> Result<(), Failure> {
    if let Some(name) = kind.and_then(|kind| changes.meaningless_in(kind)) {
        return Err(Failure::usage(format!(
            "--{name} means nothing in a challenge-response slot, which types nothing"
        ))
        .hint(format!("leave --{name} out")));
    }
    changes
        .supported_by(version)
        .map_err(|(name, error)| Failure::new(Exit::Key, format!("--{name} is not possible here: {error}")))
}

/// Reads yes or no.
pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "on" | "true" | "1" => Ok(true),
        "no" | "off" | "false" | "0" => Ok(false),
        _ => Err("write yes or no".to_owned()),
    }
}

/// Reads a wait in milliseconds.
fn pacing(text: &str) -> Result<Pacing, String> {
    match text {
        "0" => Ok(Pacing::None),
        "10" => Ok(Pacing::Ten),
        "20" => Ok(Pacing::Twenty),
        "30" => Ok(Pacing::Thirty),
        _ => Err("the wait is 0, 10, 20 or 30 milliseconds".to_owned()),
    }
}
