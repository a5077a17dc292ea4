//! Unlock something with a key's challenge-response slot, and test that without a key.
//!
//! The function under test takes any device of the driver; here it gets one made of software.
//!
//! ```sh
//! cargo run --package tapkey-examples --example challenge_response
//! ```

use std::time::Duration;

use anyhow::{Result, ensure};
use tapkey_driver::{Connector, Control, Device, Prefer, Ways};
use tapkey_emulator::{VirtualKey, port::in_process::PluggedKey};
use tapkey_protocol::{
    link::{CardLink, LinkError, OtpLink},
    secret::Secret,
    slot::{AccessCode, ChallengeHmac, HmacKey, Options, Slot},
};

/// What an application does: the same challenge always gives the same 20 bytes, on that key alone.
fn unlock(device: &Device, challenge: &[u8], control: &Control) -> Result<Secret<20>> {
    let mut otp = device.open_otp(Prefer::ChallengeResponse, control)?;
    Ok(otp.challenge_hmac(Slot::Two, challenge, control)?)
}

fn main() -> Result<()> {
    let control = Control::new().with_timeout(Duration::from_secs(20));
    let key = PluggedKey::new(VirtualKey::builder().build()?)?;
    let device = Device::from_connector(Box::new(Software(key)), &control)?;

    let config = ChallengeHmac {
        key: HmacKey::new(*b"twenty bytes of key!"),
        variable_length: true,
        require_touch: false,
        options: Options::for_challenges(),
        access_code: AccessCode::NONE,
    };
    device.open_otp(Prefer::Programming, &control)?.program(
        Slot::Two,
        &config,
        &AccessCode::NONE,
        &control,
    )?;

    let first = unlock(&device, b"my disk", &control)?;
    ensure!(first == unlock(&device, b"my disk", &control)?, "the same challenge, the same answer");
    ensure!(first != unlock(&device, b"your disk", &control)?, "another challenge, another answer");
    Ok(())
}

/// A way to a key in this process.
struct Software(PluggedKey);

impl Connector for Software {
    fn name(&self) -> String {
        "software key".to_owned()
    }
    fn open_otp_link(&self) -> Result<Option<Box<dyn OtpLink>>, LinkError> {
        Ok(Some(Box::new(self.0.otp()?)))
    }
    fn open_card_link(&self) -> Result<Option<Box<dyn CardLink>>, LinkError> {
        Ok(None)
    }
    fn is_software(&self) -> bool {
        true
    }
    fn ways(&self) -> Ways {
        Ways { hid: true, card: None }
    }
}
