//! Endpoint 0: descriptors, lights, endpoints that come and go.

use super::*;

#[test]
fn linux_asks_and_is_answered() {
    let mut bus = Bus::new();
    let get = |kind: u8, index: u8, length: u16| Setup {
        request_type: 0x80,
        request: 6,
        value: u16::from_be_bytes([kind, index]),
        index: if kind == 3 && index > 0 { 0x0409 } else { 0 },
        length,
    };
    // The first look at endpoint 0, the device, three times the qualifier, the configuration.
    assert_eq!(bus.control(get(1, 0, 8), &[]).data.len(), 8);
    assert_eq!(bus.control(get(1, 0, 64), &[]).data.len(), 18);
    for _ in 0..3 {
        assert_eq!(bus.control(get(6, 0, 10), &[]).status, Status::Stall);
    }
    assert_eq!(bus.control(get(2, 0, 9), &[]).data[2..4], [150, 0]);
    assert_eq!(bus.control(get(2, 0, 150), &[]).data.len(), 150);
    assert_eq!(bus.control(get(3, 0, 255), &[]).data, [4, 3, 9, 4]);
    assert_eq!(bus.control(get(3, 1, 255), &[]).data[2..6], *b"Y\0u\0");
    // What is not there.
    for (kind, index) in [(3, 9), (1, 1), (2, 1), (15, 0)] {
        assert_eq!(bus.control(get(kind, index, 255), &[]).status, Status::Stall);
    }
    for interface in [0, 1] {
        let idle = Setup { request_type: 0x21, request: 10, value: 0, index: interface, length: 0 };
        assert_eq!(bus.control(idle, &[]).status, Status::Done);
        let report = Setup { request_type: 0x81, request: 6, value: 0x2200, index: interface, length: 100 };
        assert_eq!(bus.control(report, &[]).data.len(), [71, 34][usize::from(interface)]);
    }
    // Requests of the smart-card class, and of a vendor's.
    for (request_type, request) in [(0x21, 1), (0xA1, 2), (0xA1, 3), (0x40, 1), (0xC0, 1)] {
        let setup = Setup { request_type, request, value: 0, index: 2, length: 0 };
        assert_eq!(bus.control(setup, &[]).status, Status::Stall);
    }
    // Caps Lock.
    let lights = Setup { request_type: 0x21, request: 9, value: 0x0200, index: 0, length: 1 };
    assert_eq!(bus.control(lights, &[2]).actual, 1);
    assert!(bus.device.leds().caps_lock() && !bus.device.leds().num_lock());
}

#[test]
fn an_endpoint_can_be_halted_and_freed() {
    let mut bus = Bus::new();
    let feature = |request| Setup { request_type: 2, request, value: 0, index: 0x82, length: 0 };
    let status = Setup { request_type: 0x82, request: 0, value: 0, index: 0x82, length: 2 };
    assert_eq!(bus.control(feature(3), &[]).status, Status::Done);
    assert_eq!(bus.control(status, &[]).data, [1, 0]);
    assert_eq!(bus.submit(&Urb::input(90, 2, 64)).unwrap().status, Status::Stall);
    assert_eq!(bus.control(feature(1), &[]).status, Status::Done);
    assert_eq!(bus.control(status, &[]).data, [0, 0]);
    assert_eq!(bus.submit(&Urb::input(91, 2, 64)), None);
    // Endpoints that are not there, and any before the device is configured.
    assert_eq!(bus.submit(&Urb::input(92, 5, 64)).unwrap().status, Status::Stall);
    assert_eq!(bus.out(1, &[1]).status, Status::Stall);
    bus.control(Setup { value: 0, ..SET_CONFIGURATION }, &[]);
    assert_eq!(bus.submit(&Urb::input(93, 1, 8)).unwrap().status, Status::Stall);
}

#[test]
fn interfaces_that_are_switched_off_are_not_there() {
    let bench = Bench::new();
    let off =
        DeviceConfig { usb_enabled: Some(Capabilities::OTP | Capabilities::OATH), ..DeviceConfig::default() };
    let config = off.encode();
    bench.select(common::AID_MANAGEMENT).unwrap();
    let write = tapkey_protocol::apdu::Command::new(0, 0x1C, 0, 0, config.expose());
    bench.transmit(&write).unwrap();
    bench.key.replug().unwrap();
    let mut bus = Bus::with(bench);
    let descriptors = bus.device.descriptors();
    assert_eq!(descriptors.device()[10..12], [0x05, 0x04]);
    assert_eq!(descriptors.identity().product, "YubiKey OTP+CCID EMU");
    let configuration = descriptors.configuration();
    assert_eq!((configuration[4], configuration.len()), (2, 118));
    // The smart card is interface 1 now.
    assert_eq!(configuration[9 + 25..9 + 25 + 6], [9, 4, 1, 0, 3, 11]);
    assert_eq!(bus.out(4, &[0; 64]).status, Status::Stall);
    assert!(bus.input(2, 64).is_none());
}

#[test]
fn a_slot_can_show_the_serial_number() {
    let bench = Bench::of(Profile::YUBIKEY_5_4_3);
    let options = Options { serial_in_usb: true, ..yubico().options };
    bench.program(Slot::One, &tapkey_protocol::slot::YubicoOtp { options, ..yubico() });
    let serial = bench.key.snapshot().serial;
    let bus = Bus::with(bench);
    assert_eq!(bus.device.descriptors().device()[16], 3);
    let text: Vec<u8> = bus.device.descriptors().string(3).unwrap()[2..].iter().copied().step_by(2).collect();
    assert_eq!(text, format!("{serial:010}").into_bytes());
}
