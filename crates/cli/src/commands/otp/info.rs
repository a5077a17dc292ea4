//! `tapkey otp info`: what the slots hold, as far as a key tells.

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::{OtpStatus, Prefer};
use tapkey_protocol::slot::Slot;

use crate::{commands::Context, exit::Failure, interrupt, keys, output};

/// Options of `tapkey otp info`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "A key does not tell what a slot holds, only whether it holds something and whether that waits for a \
touch: what types does, and challenge-response does when it was programmed so."
)]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Info {
    serial: Option<u32>,
    version: String,
    transport: String,
    slots: [SlotInfo; 2],
    led_inverted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    caveat: Option<String>,
}

#[derive(Serialize)]
struct SlotInfo {
    slot: u8,
    programmed: Option<bool>,
    touch_triggered: Option<bool>,
}

/// Shows the slots.
pub(crate) fn run(_args: &Args, context: &Context) -> Result<(), Failure> {
    let busy = interrupt::busy();
    let device = keys::open(context)?.device;
    let control = keys::control(context);
    let mut session = device.open_otp(Prefer::Any, &control).map_err(keys::refused)?;
    let status = session.status(&control).map_err(keys::refused)?;
    drop(busy);
    let info = Info {
        serial: device.serial(),
        version: status.version.to_string(),
        transport: session.transport().to_string(),
        slots: Slot::ALL.map(|slot| slot_info(&status, slot)),
        led_inverted: status.led_inverted,
        caveat: status.caveat.map(|caveat| caveat.to_string()),
    };
    context.printer.result("otp-info/1", &info, |info| {
        let mut text = format!("{device}\n");
        let rows = info.slots.each_ref().map(|slot| (format!("slot {}", slot.slot), slot.text()));
        text.push_str(&output::fields(&rows));
        text
    })?;
    if let Some(caveat) = &info.caveat {
        context.printer.warn(caveat);
    }
    Ok(())
}

fn slot_info(status: &OtpStatus, slot: Slot) -> SlotInfo {
    let state = status.slot(slot);
    SlotInfo { slot: slot.number(), programmed: state.programmed, touch_triggered: state.touch_triggered }
}

impl SlotInfo {
    fn text(&self) -> String {
        match (self.programmed, self.touch_triggered) {
            (Some(false), _) => "empty".to_owned(),
            (Some(true), Some(true)) => "programmed, acts on a touch".to_owned(),
            (Some(true), Some(false)) => "programmed, challenge-response without a touch".to_owned(),
            (Some(true), None) => "programmed".to_owned(),
            (None, _) => "this firmware does not tell".to_owned(),
        }
    }
}
