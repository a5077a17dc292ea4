//! An emulated key under a clock that only moves when somebody sleeps.

// Each test binary includes this file and uses its own part of it.
#![allow(dead_code, unreachable_pub, clippy::print_stdout)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tapkey_driver::clock::ManualClock;
use tapkey_driver::{Connector, Control, Device, OtpSession, UsbPlace, Ways};
use tapkey_emulator::port::in_process::{self, PluggedKey};
use tapkey_emulator::{Milliseconds, Power, Profile, SeededRandom, TouchPolicy, VirtualKey};
use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink};
use tapkey_protocol::management::ProductId;
use tapkey_protocol::otp::{AesKey, PrivateId, PublicId};
use tapkey_protocol::slot::{
    AccessCode, ChallengeHmac, ChallengeYubico, Digits, HmacKey, Hotp, MovingFactor, Options, ScanCodes,
    Slot, YubicoOtp,
};

pub const SERIAL: u32 = 0xF000_1234;
pub const CODE: AccessCode = AccessCode::new([1, 2, 3, 4, 5, 6]);
pub const WRONG: AccessCode = AccessCode::new([6, 5, 4, 3, 2, 1]);
pub const NONE: AccessCode = AccessCode::NONE;

type Hook = Box<dyn FnMut(&PluggedKey, Duration) + Send>;

/// A key, the clock that moves it, and a control on that clock.
pub struct Bench {
    pub key: PluggedKey,
    pub clock: Arc<ManualClock>,
    pub control: Control,
    hook: Arc<Mutex<Option<Hook>>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Over {
    Hid,
    Usb,
    Nfc,
}

impl Bench {
    pub fn new(profile: Profile) -> Self {
        Self::with_touch(profile, TouchPolicy::Manual)
    }

    pub fn with_touch(profile: Profile, touch: TouchPolicy) -> Self {
        let key = VirtualKey::builder()
            .profile(profile)
            .serial(SERIAL)
            .random(SeededRandom::new(7))
            .touch(touch)
            .build()
            .unwrap();
        let emulated = in_process::ManualClock::new();
        let key = PluggedKey::with_clock(key, emulated.clone()).unwrap();
        let hook: Arc<Mutex<Option<Hook>>> = Arc::default();
        let (in_hook, called) = (key.clone(), Arc::clone(&hook));
        let clock = Arc::new(ManualClock::with_hook(move |elapsed| {
            let now = u64::try_from(elapsed.as_millis()).unwrap();
            emulated.advance(Milliseconds(now) - emulated.now());
            if let Some(hook) = called.lock().unwrap().as_mut() {
                hook(&in_hook, elapsed);
            }
        }));
        let control = Control::with_clock(clock.clone());
        Self { key, clock, control, hook }
    }

    /// Does something to the key whenever the driver has slept.
    pub fn on_sleep(&self, hook: impl FnMut(&PluggedKey, Duration) + Send + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }

    pub fn otp(&self, over: Over) -> OtpSession {
        match over {
            Over::Hid => OtpSession::over_hid(self.key.otp().unwrap(), &self.control).unwrap(),
            Over::Usb => OtpSession::over_card(self.key.card().unwrap(), &self.control).unwrap(),
            Over::Nfc => {
                if self.key.with(|key| key.powered()) != Power::Nfc {
                    self.key.plug(Power::Nfc).unwrap();
                }
                OtpSession::over_card(self.key.card().unwrap(), &self.control).unwrap()
            }
        }
    }

    /// Presses the key, plugged into USB, and returns what it types.
    pub fn press(&self, slot: Slot) -> String {
        if self.key.with(|key| key.powered()) != Power::Usb {
            self.key.replug().unwrap();
        }
        self.key.press(slot).unwrap().text().expect("the slot types")
    }

    pub fn device(&self) -> Device {
        Device::from_connector(Box::new(Emulated(self.key.clone())), &self.control).unwrap()
    }
}

/// Runs a scenario over every link that takes settings, each time with a new key.
pub fn over_each_link(profile: &Profile, scenario: impl Fn(&Bench, Over)) {
    for over in [Over::Hid, Over::Usb, Over::Nfc] {
        println!("over {over:?}");
        scenario(&Bench::new(*profile), over);
    }
}

/// The smallest connector around an emulated key.
pub struct Emulated(pub PluggedKey);

impl Connector for Emulated {
    fn name(&self) -> String {
        "emulated key".to_owned()
    }

    fn open_otp_link(&self) -> Result<Option<Box<dyn OtpLink>>, LinkError> {
        if !self.ways().hid {
            return Ok(None);
        }
        Ok(Some(Box::new(self.0.otp()?)))
    }

    fn open_card_link(&self) -> Result<Option<Box<dyn CardLink>>, LinkError> {
        if self.ways().card.is_none() {
            return Ok(None);
        }
        Ok(Some(Box::new(self.0.card()?)))
    }

    fn is_software(&self) -> bool {
        true
    }

    fn ways(&self) -> Ways {
        self.0.with(|key| {
            let nfc = key.powered() == Power::Nfc;
            let transport = if nfc { CardTransport::Nfc } else { CardTransport::Usb };
            Ways { hid: key.has_otp_reports() && !nfc, card: key.has_card().then_some(transport) }
        })
    }

    fn usb(&self) -> UsbPlace {
        let product = self.0.with(|key| ProductId(key.usb_identity().product_id));
        UsbPlace { product: Some(product), ..UsbPlace::default() }
    }
}

pub fn yubico_otp(access_code: AccessCode) -> YubicoOtp {
    YubicoOtp {
        public_id: PublicId::new(&[0xFF, 0, 0, 0, 0, 1]).unwrap(),
        private_id: PrivateId::new([1, 2, 3, 4, 5, 6]),
        key: AesKey::new([7; 16]),
        send_reference: false,
        options: Options::for_typing(),
        access_code,
    }
}

pub fn chalresp(key: &[u8], require_touch: bool) -> ChallengeHmac {
    ChallengeHmac {
        key: HmacKey::from_secret(key).unwrap(),
        variable_length: true,
        require_touch,
        options: Options::for_challenges(),
        access_code: NONE,
    }
}

pub fn chal_yubico() -> ChallengeYubico {
    ChallengeYubico {
        key: AesKey::new([9; 16]),
        require_touch: false,
        options: Options::for_challenges(),
        access_code: NONE,
    }
}

pub fn hotp() -> Hotp {
    Hotp {
        key: HmacKey::new(*b"12345678901234567890"),
        digits: Digits::Six,
        moving_factor: MovingFactor::default(),
        token_id: None,
        options: Options::for_typing(),
        access_code: NONE,
    }
}

pub fn password(text: &str) -> ScanCodes {
    ScanCodes::from_us_text(text, Options::for_typing(), NONE).unwrap()
}
