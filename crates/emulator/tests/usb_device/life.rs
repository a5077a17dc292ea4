//! Keys that restart or are pulled out, and hosts that do anything.

use super::*;

#[test]
fn a_restart_asked_for_over_fido_comes_after_the_answer() {
    let mut bus = Bus::new();
    let channel = bus.channel();
    let config = DeviceConfig {
        usb_enabled: Some(Capabilities::OTP | Capabilities::FIDO2),
        reboot: true,
        ..DeviceConfig::default()
    };
    assert_eq!(bus.ctaphid(channel, 0x43, config.encode().expose()), (0x43, vec![]));
    let gone = bus.bench.key.with(|key| {
        let _ = bus.device.poll(key);
        bus.device.is_gone(key)
    });
    assert!(gone);
    assert_eq!(bus.submit(&Urb::input(1, 1, 8)).unwrap().status, Status::Gone);
    let again = bus.bench.key.with(|key| UsbDevice::new(key)).unwrap();
    assert_eq!(again.descriptors().identity().product, "YubiKey OTP+FIDO EMU");
    assert_eq!(again.descriptors().identity().product_id, 0x0403);
}

#[test]
fn a_restart_asked_for_over_the_smart_card_comes_after_the_answer() {
    let mut bus = Bus::new();
    bus.ccid(0x62, 1, [0; 3], &[]);
    bus.apdu(&[0, 0xA4, 4, 0, 8, 0xA0, 0, 0, 5, 0x27, 0x47, 0x11, 0x17]);
    let config =
        DeviceConfig { usb_enabled: Some(Capabilities::OATH), reboot: true, ..DeviceConfig::default() };
    let write = Command::new(0, 0x1C, 0, 0, config.encode().expose());
    bus.out(2, &ccid(0x6F, 2, [0; 3], &write.encode(Encoding::Short).unwrap()));
    let gone = |bus: &mut Bus| bus.bench.key.with(|key| bus.device.is_gone(key));
    // The host comes for the answer a little later, and nothing else works meanwhile.
    bus.bench.pass(300);
    assert!(!gone(&mut bus));
    assert_eq!(bus.control(SET_CONFIGURATION, &[]).status, Status::Gone);
    assert_eq!(bus.input(2, 64).unwrap()[10..], [0x90, 0]);
    assert!(gone(&mut bus));
    assert_eq!(bus.submit(&Urb::input(1, 2, 64)).unwrap().status, Status::Gone);
    let again = bus.bench.key.with(|key| UsbDevice::new(key)).unwrap();
    assert_eq!(again.descriptors().identity().product, "YubiKey CCID EMU");
}

#[test]
fn a_suspended_key_answers_nothing_until_it_is_woken() {
    let bench = Bench::new();
    bench.program(Slot::One, &yubico());
    let mut bus = Bus::with(bench);
    let Press::Typed(typed) = bus.bench.key.press(Slot::One).unwrap() else { panic!("nothing typed") };
    bus.bench.key.suspend();
    bus.device.type_strokes(typed.strokes());
    assert!(bus.input(1, 8).is_none());
    assert_eq!(bus.bench.key.with(|key| bus.device.next_event(key)), None);
    let feature = Setup { request_type: 0xA1, request: 1, value: 0x0300, index: 0, length: 8 };
    assert_eq!(bus.submit(&Urb::control_in(70, feature)), None);
    assert!(bus.device.unlink(70));
    bus.bench.key.resume();
    assert_eq!(bus.control(feature, &[]).data[1..4], [5, 7, 4]);
    assert!(bus.input(1, 8).is_some());
}

#[test]
fn a_key_that_is_pulled_out_is_gone() {
    let mut bus = Bus::new();
    assert_eq!(bus.submit(&Urb::input(1, 1, 8)), None);
    bus.bench.key.replug().unwrap();
    assert!(bus.bench.key.with(|key| bus.device.is_gone(key)));
    let device = Setup { request_type: 0x80, request: 6, value: 0x0100, index: 0, length: 18 };
    assert_eq!(bus.control(device, &[]).status, Status::Gone);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a host asks for, it never gets more than it has room for, and each transfer is
    /// completed at most once.
    #[test]
    fn any_transfers_are_survived(
        transfers in proptest::collection::vec(
            (0_u8..6, any::<bool>(), any::<[u8; 8]>(), proptest::collection::vec(any::<u8>(), 0..80), 0_usize..80),
            0..60,
        ),
    ) {
        let mut bus = Bus::new();
        let mut rooms = std::collections::HashMap::new();
        for (id, (endpoint, out, setup, data, room)) in (1000..).zip(transfers) {
            let (direction, length, data) =
                if out { (Direction::Out, data.len(), data) } else { (Direction::In, room, Vec::new()) };
            rooms.insert(id, length);
            let urb = Urb { id, endpoint, direction, setup: Setup::parse(setup), length, data };
            let done: Vec<_> = bus.bench.key.with(|key| {
                let done = bus.device.submit(key, &urb);
                done.into_iter().chain(bus.device.poll(key)).collect()
            });
            for completion in done {
                let room = rooms.remove(&completion.id).expect("completed once");
                prop_assert!(completion.data.len() <= room && completion.actual <= room);
            }
            bus.bench.pass(7);
        }
    }
}
