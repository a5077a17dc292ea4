//! What finding and reaching a key costs: no wait for a hidden serial number, and a polite one for other programs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Bench, Emulated, NONE, Over, SERIAL, yubico_otp};
use tapkey_driver::discover::gather;
use tapkey_driver::{Connector, Control, Device, Error, ManagementSession, NotOverThisLink, Refusal, Ways};
use tapkey_emulator::Profile;
use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink};
use tapkey_protocol::management::{
    Capabilities, DeviceInfo, FormFactor, FormFactorByte, Interfaces, Mode, SetMode,
};
use tapkey_protocol::slot::{Options, Slot, YubicoOtp};
use tapkey_protocol::version::Version;

/// The HID interface of an emulated key, with every report that passes counted.
struct Counted {
    key: Emulated,
    reports: Arc<Mutex<usize>>,
}

struct CountedLink(Box<dyn OtpLink>, Arc<Mutex<usize>>);

impl OtpLink for CountedLink {
    fn write_report(&mut self, report: &tapkey_protocol::link::Report) -> Result<(), LinkError> {
        *self.1.lock().unwrap() += 1;
        self.0.write_report(report)
    }

    fn read_report(&mut self) -> Result<tapkey_protocol::link::Report, LinkError> {
        *self.1.lock().unwrap() += 1;
        self.0.read_report()
    }
}

impl Connector for Counted {
    fn name(&self) -> String {
        "counted".to_owned()
    }

    fn open_otp_link(&self) -> Result<Option<Box<dyn OtpLink>>, LinkError> {
        let link = self.key.open_otp_link()?;
        Ok(link.map(|link| -> Box<dyn OtpLink> { Box::new(CountedLink(link, Arc::clone(&self.reports))) }))
    }

    fn open_card_link(&self) -> Result<Option<Box<dyn CardLink>>, LinkError> {
        Ok(None)
    }

    fn ways(&self) -> Ways {
        Ways { hid: true, card: None }
    }
}

/// What finding a key takes: time on the key's clock, and reports.
fn cost(profile: Profile, hidden: bool) -> (Option<u32>, Duration, usize) {
    let bench = Bench::new(profile);
    let options = Options { serial_by_api: !hidden, ..Options::for_typing() };
    let config = YubicoOtp { options, ..yubico_otp(NONE) };
    bench.otp(Over::Hid).program(Slot::One, &config, &NONE, &bench.control).unwrap();
    bench.key.replug().unwrap();
    let asked = bench.otp(Over::Hid).serial(&bench.control);
    assert_eq!(matches!(asked, Err(Error::Refused(Refusal::SerialHidden))), hidden, "{asked:?}");
    let before = bench.clock.elapsed();
    let reports = Arc::new(Mutex::new(0));
    let connector = Counted { key: Emulated(bench.key.clone()), reports: Arc::clone(&reports) };
    let listing = gather(vec![Arc::new(connector)], &bench.control).unwrap();
    let serial = listing.devices.first().and_then(Device::serial);
    let reports = *reports.lock().unwrap();
    (serial, bench.clock.elapsed() - before, reports)
}

#[test]
fn a_hidden_serial_number_costs_no_wait_and_no_second_try() {
    for profile in Profile::ALL {
        let (shown, hidden) = (cost(profile, false), cost(profile, true));
        assert_eq!(shown, hidden, "{profile:?}");
        assert_eq!(hidden.0, Some(SERIAL));
        assert!(hidden.1 < Duration::from_millis(100), "{hidden:?}");
    }
}

/// A card that another program keeps for a while.
struct Kept {
    key: Emulated,
    until: Duration,
    clock: Arc<tapkey_driver::clock::ManualClock>,
    tries: Arc<Mutex<Vec<Duration>>>,
}

impl Connector for Kept {
    fn name(&self) -> String {
        "a reader".to_owned()
    }

    fn open_otp_link(&self) -> Result<Option<Box<dyn OtpLink>>, LinkError> {
        Ok(None)
    }

    fn open_card_link(&self) -> Result<Option<Box<dyn CardLink>>, LinkError> {
        self.tries.lock().unwrap().push(self.clock.elapsed());
        if self.clock.elapsed() < self.until {
            return Err(LinkError::Busy { holder: Some("somebody".to_owned()) });
        }
        self.key.open_card_link()
    }

    fn ways(&self) -> Ways {
        Ways { hid: false, card: Some(CardTransport::Usb) }
    }
}

/// The outcome, when it was tried, and what was told and when.
type Waited = (Result<Device, Error>, Vec<Duration>, Vec<(Duration, String)>);

fn wait(until: Duration, control: impl Fn(Control) -> Control) -> Waited {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let tries: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let told: Arc<Mutex<Vec<(Duration, String)>>> = Arc::default();
    let (tell, clock) = (Arc::clone(&told), bench.clock.clone());
    let control = control(bench.control.clone()).with_busy(move |holder| {
        tell.lock().unwrap().push((clock.elapsed(), holder.to_owned()));
    });
    let kept = Kept {
        key: Emulated(bench.key.clone()),
        until,
        clock: bench.clock.clone(),
        tries: Arc::clone(&tries),
    };
    let device = Device::from_connector(Box::new(kept), &control);
    (device, tries.lock().unwrap().clone(), told.lock().unwrap().clone())
}

#[test]
fn a_kept_card_is_tried_less_and_less_often_and_the_wait_is_told_once() {
    let (device, tries, told) =
        wait(Duration::from_millis(4300), |control| control.with_busy_patience(Duration::from_secs(10)));
    assert_eq!(device.unwrap().serial(), Some(SERIAL));
    let gaps: Vec<Duration> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.is_sorted() && gaps[0] <= Duration::from_millis(100), "{gaps:?}");
    assert!(*gaps.last().unwrap() <= Duration::from_millis(500) && tries.len() < 20, "{gaps:?}");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].1, "somebody");
    assert!(told[0].0 >= Duration::from_secs(1) && told[0].0 < Duration::from_secs(2), "{told:?}");
}

#[test]
fn a_short_wait_is_not_worth_a_word() {
    let (device, _, told) = wait(Duration::from_millis(600), |control| control);
    assert!(device.is_ok() && told.is_empty(), "{told:?}");
}

#[test]
fn patience_and_deadline_end_the_wait_whichever_comes_first() {
    let never = Duration::from_secs(1000);
    let end = |control: fn(Control) -> Control| {
        let (device, tries, _) = wait(never, control);
        (device.unwrap_err(), *tries.last().unwrap())
    };
    let (error, last) = end(|control| control.with_busy_patience(Duration::from_secs(10)));
    assert!(
        matches!(&error, Error::Link(LinkError::Busy { holder: Some(who) }) if who == "somebody"),
        "{error:?}"
    );
    assert_eq!(last, Duration::from_secs(10));
    let (error, last) = end(|control| {
        control.with_busy_patience(Duration::from_secs(10)).with_timeout(Duration::from_secs(3))
    });
    assert!(matches!(error, Error::DeadlinePassed | Error::Link(LinkError::Busy { .. })), "{error:?}");
    assert!(last <= Duration::from_secs(3), "{last:?}");
}

/// A card that answers as the test says, and remembers what it was asked.
struct Scripted {
    info: DeviceInfo,
    asked: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl CardLink for Scripted {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, LinkError> {
        self.asked.lock().unwrap().push(command.to_vec());
        let data = match command[1] {
            0xA4 => format!("Virtual mgr - FW version {}", self.info.version.unwrap()).into_bytes(),
            0x1D => self.info.encode(false).unwrap(),
            _ => Vec::new(),
        };
        Ok([data.as_slice(), &[0x90, 0x00]].concat())
    }

    fn transport(&self) -> CardTransport {
        CardTransport::Usb
    }
}

/// Resets a key of this kind. What it was sent that is neither SELECT nor a question.
fn reset(version: Version, shape: FormFactor, usb: Capabilities) -> (Result<(), Error>, Vec<Vec<u8>>) {
    let info = DeviceInfo {
        version: Some(version),
        form_factor: FormFactorByte::new(shape, false, false),
        usb_supported: usb,
        usb_enabled: Some(usb),
        ..DeviceInfo::default()
    };
    let asked: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let control = Control::new();
    let link = Scripted { info, asked: Arc::clone(&asked) };
    let mut session = ManagementSession::over_card(link, &control).unwrap();
    let outcome = session.reset_device(&control);
    drop(session);
    let sent = asked.lock().unwrap().iter().filter(|one| !matches!(one[1], 0xA4 | 0x1D)).cloned().collect();
    (outcome, sent)
}

#[test]
fn only_a_multi_protocol_bio_is_reset_as_a_whole() {
    let multi = Capabilities::FIDO2 | Capabilities::U2F | Capabilities::PIV;
    let (outcome, sent) = reset(Version::new(5, 7, 2), FormFactor::UsbCBio, multi);
    outcome.unwrap();
    assert_eq!(sent, [[0x00, 0x1F, 0x00, 0x00]]);
    let others = [
        (Version::new(5, 7, 2), FormFactor::UsbCKeychain, multi),
        (Version::new(5, 7, 2), FormFactor::UsbABio, Capabilities::FIDO2),
    ];
    for (version, shape, usb) in others {
        let (outcome, sent) = reset(version, shape, usb);
        assert!(matches!(outcome, Err(Error::Refused(Refusal::NoDeviceReset))), "{outcome:?}");
        assert!(sent.is_empty(), "{sent:?}");
    }
    let (outcome, sent) = reset(Version::new(5, 5, 6), FormFactor::UsbCBio, multi);
    assert!(matches!(outcome, Err(Error::Unsupported(_))) && sent.is_empty(), "{outcome:?}");
    // An ordinary key over HID is refused for what it is.
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let mut session = ManagementSession::over_hid(bench.key.otp().unwrap(), &bench.control).unwrap();
    let refused = session.reset_device(&bench.control);
    assert!(matches!(refused, Err(Error::Refused(Refusal::NoDeviceReset))), "{refused:?}");
    assert!(NotOverThisLink::ResetOverHid.to_string().contains("smart-card"));
}

#[test]
fn firmware_4_tells_its_mode_over_the_card() {
    let bench = Bench::new(Profile::YUBIKEY_4_3_5);
    let mut over_hid = ManagementSession::over_hid(bench.key.otp().unwrap(), &bench.control).unwrap();
    let mut over_card = ManagementSession::over_card(bench.key.card().unwrap(), &bench.control).unwrap();
    assert_eq!(over_hid.mode(&bench.control).unwrap(), None);
    let before = over_card.mode(&bench.control).unwrap().unwrap();
    assert_eq!(before.mode.interfaces(), Interfaces::ALL);
    let wanted = SetMode {
        mode: Mode::new(Interfaces::CCID, true).unwrap(),
        challenge_timeout: 20,
        auto_eject_timeout: 300,
    };
    over_hid.set_mode(wanted, &bench.control).unwrap();
    assert_eq!(over_card.mode(&bench.control).unwrap(), Some(wanted));
    let newer = Bench::new(Profile::YUBIKEY_5_7_4);
    let mut session = ManagementSession::over_card(newer.key.card().unwrap(), &newer.control).unwrap();
    assert_eq!(session.mode(&newer.control).unwrap(), None);
}
