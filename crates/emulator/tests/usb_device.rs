//! The USB device as a host's controller meets it, without any port: control requests, typing,
//! smart-card messages, CTAPHID.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{Bench, yubico};
use proptest::prelude::*;
use tapkey_emulator::usb::{AAGUID, Completion, Direction, Setup, Speed, Status, Urb, UsbDevice};
use tapkey_emulator::{Builder, Faults, Press, Profile, SeededRandom, VirtualKey};
use tapkey_protocol::apdu::{Command, Encoding};
use tapkey_protocol::keyboard::{pressed, us_character};
use tapkey_protocol::management::{Capabilities, DeviceConfig, DeviceInfo};
use tapkey_protocol::slot::{Options, Slot, SlotConfig};

const SET_CONFIGURATION: Setup = Setup { request_type: 0, request: 9, value: 1, index: 0, length: 0 };

/// A host controller with one device.
struct Bus {
    bench: Bench,
    device: UsbDevice,
    number: u32,
}

impl Bus {
    fn new() -> Self {
        Self::of(VirtualKey::builder())
    }

    fn of(builder: Builder) -> Self {
        Self::with(Bench::with(builder.random(SeededRandom::new(1)).build().unwrap()))
    }

    fn with(bench: Bench) -> Self {
        let device = bench.key.with(|key| UsbDevice::new(key)).unwrap();
        let mut bus = Self { bench, device, number: 0 };
        assert_eq!(bus.control(SET_CONFIGURATION, &[]).status, Status::Done);
        bus
    }

    fn submit(&mut self, urb: &Urb) -> Option<Completion> {
        self.bench.key.with(|key| self.device.submit(key, urb))
    }

    fn next(&mut self) -> u32 {
        self.number += 1;
        self.number
    }

    fn control(&mut self, setup: Setup, data: &[u8]) -> Completion {
        let number = self.next();
        let urb = if setup.request_type & 0x80 == 0 {
            Urb::control_out(number, setup, data)
        } else {
            Urb::control_in(number, setup)
        };
        self.submit(&urb).unwrap()
    }

    fn out(&mut self, endpoint: u8, data: &[u8]) -> Completion {
        let urb = Urb::output(self.next(), endpoint, data);
        self.submit(&urb).unwrap()
    }

    /// Asks an endpoint for data: what it has now, or nothing.
    fn input(&mut self, endpoint: u8, length: usize) -> Option<Vec<u8>> {
        let urb = Urb::input(self.next(), endpoint, length);
        if let Some(refused) = self.submit(&urb) {
            panic!("{refused:?}");
        }
        let mut done = self.bench.key.with(|key| self.device.poll(key));
        if done.is_empty() {
            assert!(self.device.unlink(urb.id));
            return None;
        }
        assert_eq!(done.len(), 1);
        let completion = done.remove(0);
        assert_eq!((completion.id, completion.actual), (urb.id, completion.data.len()));
        Some(completion.data)
    }

    /// Sends a smart-card message and gives the answer.
    fn ccid(&mut self, kind: u8, sequence: u8, parameters: [u8; 3], data: &[u8]) -> Vec<u8> {
        let message = ccid(kind, sequence, parameters, data);
        assert_eq!(self.out(2, &message).actual, message.len());
        self.input(2, 4096).unwrap()
    }

    /// A command in one block: the card's response.
    fn apdu(&mut self, command: &[u8]) -> Vec<u8> {
        let answer = self.ccid(0x6F, 7, [0; 3], command);
        assert_eq!((answer[0], &answer[5..9]), (0x80, &[0, 7, 0, 0][..]));
        answer[10..].to_vec()
    }

    /// A whole CTAPHID exchange on a channel: the command of the answer, and its data.
    fn ctaphid(&mut self, channel: u32, command: u8, data: &[u8]) -> (u8, Vec<u8>) {
        for packet in packets(channel, command, data) {
            assert_eq!(self.out(4, &packet).status, Status::Done);
        }
        self.ctaphid_answer(channel).expect("an answer")
    }

    fn ctaphid_answer(&mut self, channel: u32) -> Option<(u8, Vec<u8>)> {
        let first = self.input(4, 64)?;
        assert_eq!(first[..4], channel.to_be_bytes());
        let length = usize::from(u16::from_be_bytes([first[5], first[6]]));
        let mut data = first[7..].to_vec();
        let mut sequence = 0;
        while data.len() < length {
            let next = self.input(4, 64)?;
            assert_eq!(next[4], sequence);
            sequence += 1;
            data.extend_from_slice(&next[5..]);
        }
        data.truncate(length);
        Some((first[4] & 0x7F, data))
    }

    fn channel(&mut self) -> u32 {
        let (command, answer) = self.ctaphid(u32::MAX, 0x06, b"12345678");
        assert_eq!((command, &answer[..8]), (0x06, &b"12345678"[..]));
        u32::from_be_bytes(answer[8..12].try_into().unwrap())
    }

    /// Presses, and listens until all is typed: the text, and the time of each report.
    fn listen(&mut self, slot: Slot) -> (String, Vec<u64>) {
        let Press::Typed(typed) = self.bench.key.press(slot).unwrap() else { panic!("nothing typed") };
        self.device.type_strokes(typed.strokes());
        let (mut text, mut times) = (String::new(), Vec::new());
        for now in 0..20_000 {
            while let Some(report) = self.input(1, 8) {
                times.push(now);
                text.extend(pressed(&report.try_into().unwrap()).and_then(us_character));
            }
            if self.device.has_typed_everything() {
                break;
            }
            self.bench.pass(1);
        }
        (text, times)
    }
}

fn ccid(kind: u8, sequence: u8, parameters: [u8; 3], data: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend_from_slice(&u32::try_from(data.len()).unwrap().to_le_bytes());
    message.extend_from_slice(&[0, sequence]);
    message.extend_from_slice(&parameters);
    message.extend_from_slice(data);
    message
}

fn packets(channel: u32, command: u8, data: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut first = channel.to_be_bytes().to_vec();
    first.push(command | 0x80);
    first.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
    let (head, rest) = data.split_at(data.len().min(57));
    first.extend_from_slice(head);
    packets.push(first);
    for (sequence, part) in (0..).zip(rest.chunks(59)) {
        let mut packet = channel.to_be_bytes().to_vec();
        packet.push(sequence);
        packet.extend_from_slice(part);
        packets.push(packet);
    }
    for packet in &mut packets {
        packet.resize(64, 0);
    }
    packets
}

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

#[test]
fn a_press_is_typed_at_a_keys_pace() {
    let bench = Bench::new();
    bench.program(Slot::One, &yubico());
    let mut bus = Bus::with(bench);
    assert!(bus.input(1, 8).is_none());
    let (text, times) = bus.listen(Slot::One);
    assert_eq!(text.len(), 45, "{text:?}");
    assert!(text.ends_with('\n') && text[..44].bytes().all(|one| b"cbdefghijklnrtuv".contains(&one)));
    // Two reports per character, 10 ms each.
    assert_eq!(times.len(), 90);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 10), "{times:?}");
    bus.device.set_speed(Speed::Fast);
    let (again, times) = bus.listen(Slot::One);
    assert_ne!(again, text);
    assert_eq!((times.len(), times.last()), (90, times.first()));
}

#[test]
fn pacing_flags_slow_the_typing_down() {
    use tapkey_protocol::slot::ConfigFlags;
    let bench = Bench::new();
    let mut record = yubico().record();
    record.config = record.config | ConfigFlags::PACING_10MS | ConfigFlags::PACING_20MS;
    bench.write(Slot::One, record);
    let mut bus = Bus::with(bench);
    let (text, times) = bus.listen(Slot::One);
    assert_eq!(text.len(), 45);
    let characters: Vec<_> = times.iter().step_by(2).collect();
    let gaps: Vec<_> = characters.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // 20 ms as ever, and 30 ms more.
    assert!(gaps.iter().all(|gap| (48..=52).contains(gap)), "{gaps:?}");
}

#[test]
fn the_smart_card_as_libccid_uses_it() {
    let mut bus = Bus::new();
    assert_eq!(bus.input(3, 8).unwrap(), [0x50, 0x03]);
    assert!(bus.input(3, 8).is_none());
    // Slot status: a card without power. A command is refused.
    assert_eq!(bus.ccid(0x65, 1, [0; 3], &[]), [0x81, 0, 0, 0, 0, 0, 1, 1, 0, 0]);
    assert_eq!(bus.ccid(0x6F, 2, [0; 3], &[0, 0xA4, 4, 0])[5..9], [0, 2, 0x41, 0xFE]);
    let power = bus.ccid(0x62, 3, [0; 3], &[]);
    assert_eq!(power[..10], [0x80, 23, 0, 0, 0, 0, 3, 0, 0, 0]);
    assert_eq!(power[10..], *bus.bench.key.with(|key| key.profile().usb_atr()));
    let parameters = bus.ccid(0x6C, 4, [0; 3], &[]);
    assert_eq!(parameters[..10], [0x82, 7, 0, 0, 0, 0, 4, 0, 0, 1]);
    assert_eq!(bus.ccid(0x61, 4, [1, 0, 0], &[0; 7])[7], 0);
    assert_eq!(bus.ccid(0x61, 4, [0, 0, 0], &[0; 5])[7..9], [0x40, 7]);
    let select = [0, 0xA4, 4, 0, 8, 0xA0, 0, 0, 5, 0x27, 0x47, 0x11, 0x17];
    assert!(bus.apdu(&select).ends_with(&[0x90, 0]));
    let info = bus.apdu(&[0, 0x1D, 0, 0, 0]);
    assert_eq!(
        DeviceInfo::parse(&info[..info.len() - 2]).unwrap().serial,
        Some(bus.bench.key.snapshot().serial)
    );
    // What readers refuse.
    assert_eq!(bus.ccid(0x6F, 5, [0; 3], &[0])[7..9], [0x40, 1]);
    assert_eq!(bus.ccid(0x6F, 5, [0; 3], &[0, 1, 2])[7..9], [0x40, 1]);
    assert_eq!(bus.ccid(0x6B, 6, [0; 3], &[1])[..9], [0x83, 0, 0, 0, 0, 0, 6, 0x40, 0]);
    assert_eq!(bus.ccid(0x73, 6, [0; 3], &[0; 8])[0], 0x84);
    // Power off forgets what was selected.
    assert_eq!(bus.ccid(0x63, 8, [0; 3], &[])[..9], [0x81, 0, 0, 0, 0, 0, 8, 1, 0]);
    bus.ccid(0x62, 9, [0; 3], &[]);
    assert_eq!(bus.apdu(&[0, 0x1D, 0, 0, 0]), [0x6D, 0]);
}

#[test]
fn messages_come_in_pieces_and_with_wrong_lengths() {
    let mut bus = Bus::new();
    bus.ccid(0x62, 1, [0; 3], &[]);
    let mut select = vec![0, 0xA4, 4, 0, 100];
    select.extend_from_slice(&[0xA0; 100]);
    let message = ccid(0x6F, 2, [0; 3], &select);
    bus.out(2, &message[..64]);
    assert!(bus.input(2, 64).is_none());
    bus.out(2, &message[64..]);
    // An answer in pieces, too.
    assert_eq!(bus.input(2, 5).unwrap(), [0x80, 2, 0, 0, 0]);
    assert_eq!(bus.input(2, 64).unwrap(), [0, 2, 0, 0, 0, 0x6A, 0x82]);
    // Less than announced, more than announced, more than fits.
    let mut short = ccid(0x6F, 3, [0; 3], &[0, 1, 2, 3]);
    short.pop();
    let long = [ccid(0x6F, 3, [0; 3], &[0, 1, 2, 3]), vec![0]].concat();
    let mut huge = ccid(0x6F, 3, [0; 3], &[0, 1, 2, 3]);
    huge[4] = 0xFF;
    for message in [short, long, huge] {
        bus.out(2, &message);
        assert_eq!(bus.input(2, 64).unwrap(), [0x80, 0, 0, 0, 0, 0, 3, 0x40, 1, 0]);
    }
    // Another slot.
    let mut other = ccid(0x65, 4, [0; 3], &[]);
    other[5] = 1;
    bus.out(2, &other);
    assert_eq!(bus.input(2, 64).unwrap(), [0x81, 0, 0, 0, 0, 1, 4, 0x42, 5, 0]);
    // A command in three blocks.
    assert_eq!(bus.ccid(0x6F, 5, [0, 1, 0], &select[..50])[7..10], [0, 0, 0x10]);
    assert_eq!(bus.ccid(0x6F, 6, [0, 3, 0], &select[50..60])[7..10], [0, 0, 0x10]);
    assert_eq!(bus.ccid(0x6F, 7, [0, 2, 0], &select[60..])[10..], [0x6A, 0x82]);
    assert_eq!(bus.ccid(0x6F, 8, [0, 3, 0], &select)[7..9], [0x40, 8]);
}

#[test]
fn the_reader_asks_for_patience_until_the_key_is_touched() {
    let mut bus = Bus::new();
    bus.ccid(0x62, 1, [0; 3], &[]);
    bus.apdu(&[0, 0xA4, 4, 0, 7, 0xA0, 0, 0, 5, 0x27, 0x21, 1]);
    let mut put = vec![0, 1, 0, 0, 0x1D, 0x71, 1, b't', 0x73, 0x16, 0x21, 6];
    put.extend_from_slice(&[0x42; 20]);
    put.extend_from_slice(&[0x78, 2]);
    assert_eq!(bus.apdu(&put), [0x90, 0]);
    let calculate = [0, 0xA2, 0, 1, 13, 0x71, 1, b't', 0x74, 8, 0, 0, 0, 0, 0, 0, 0, 1];
    bus.out(2, &ccid(0x6F, 9, [0; 3], &calculate));
    let mut patience = 0;
    for _ in 0..190 {
        if let Some(frame) = bus.input(2, 64) {
            assert_eq!(frame, [0x80, 0, 0, 0, 0, 0, 9, 0x80, 1, 0]);
            patience += 1;
        }
        bus.bench.pass(10);
    }
    assert_eq!(patience, 3);
    // Meanwhile the slot is busy.
    assert_eq!(bus.ccid(0x65, 10, [0; 3], &[])[7..9], [0x40, 0xE0]);
    bus.bench.key.touch().unwrap();
    let answer = bus.input(2, 64).unwrap();
    assert_eq!((answer[6], &answer[10..13]), (9, &[0x76, 5, 6][..]));
    assert!(answer.ends_with(&[0x90, 0]));
}

#[test]
fn faults_of_the_reader() {
    let faults = Faults::new();
    let mut bus = Bus::of(VirtualKey::builder().faults(faults.clone()));
    faults.add("ccid-sequence".parse().unwrap());
    assert_eq!(bus.ccid(0x65, 5, [0; 3], &[])[6], 6);
    bus.ccid(0x62, 1, [0; 3], &[]);
    faults.add("ccid-extension=2".parse().unwrap());
    bus.out(2, &ccid(0x65, 6, [0; 3], &[]));
    let mut seen = Vec::new();
    for _ in 0..120 {
        seen.extend(bus.input(2, 64).map(|frame| frame[7]));
        bus.bench.pass(10);
    }
    assert_eq!(seen, [0x80, 0]);
    faults.add("mute".parse().unwrap());
    bus.out(2, &ccid(0x6F, 7, [0; 3], &[0, 0xA4, 4, 0]));
    bus.bench.pass(60_000);
    assert!(bus.input(2, 64).is_none());
    assert_eq!(bus.ccid(0x65, 8, [0; 3], &[])[7], 0);
    faults.add("usb-stall=80".parse().unwrap());
    assert!(matches!(faults.list().last().map(|one| one.fired), Some(0)));
    let device = Setup { request_type: 0x80, request: 6, value: 0x0100, index: 0, length: 18 };
    assert_eq!(bus.control(device, &[]).status, Status::Stall);
    assert_eq!(bus.control(device, &[]).status, Status::Done);
}

#[test]
fn ctaphid_channels() {
    let mut bus = Bus::new();
    let (command, answer) = bus.ctaphid(u32::MAX, 0x06, b"abcdefgh");
    assert_eq!((command, answer.len()), (0x06, 17));
    assert_eq!(answer[12..], [2, 5, 7, 4, 0x05]);
    let first = bus.channel();
    let second = bus.channel();
    assert_ne!(first, second);
    // A long PING.
    let long: Vec<u8> = (0..=255).cycle().take(1024).collect();
    assert_eq!(bus.ctaphid(first, 0x01, &long), (0x01, long.clone()));
    let longest = vec![9; 7609];
    assert_eq!(bus.ctaphid(second, 0x01, &longest), (0x01, longest));
    assert_eq!(bus.ctaphid(first, 0x08, &[]), (0x08, vec![]));
    assert_eq!(bus.device.winks(), 1);
    // Channels that were not given out, unknown commands, too much data.
    for channel in [0, 77, u32::MAX] {
        assert_eq!(bus.ctaphid(channel, 0x01, b"x"), (0x3F, vec![0x0B]));
    }
    assert_eq!(bus.ctaphid(first, 0x55, b"x"), (0x3F, vec![0x01]));
    let mut oversized = packets(first, 0x01, b"x").remove(0);
    oversized[5..7].copy_from_slice(&7610_u16.to_be_bytes());
    bus.out(4, &oversized);
    assert_eq!(bus.ctaphid_answer(first), Some((0x3F, vec![0x03])));
    // Starting over on a channel answers on it.
    let (_, answer) = bus.ctaphid(first, 0x06, b"abcdefgh");
    assert_eq!(answer[8..12], first.to_be_bytes());
}

#[test]
fn ctaphid_messages_that_go_wrong() {
    let mut bus = Bus::new();
    let (one, two) = (bus.channel(), bus.channel());
    let parts = packets(one, 0x01, &[5; 150]);
    // Another channel meanwhile is told to wait, and disturbs nothing.
    bus.out(4, &parts[0]);
    assert_eq!(bus.ctaphid(two, 0x01, b"x"), (0x3F, vec![0x06]));
    let three = bus.channel();
    assert!(three > two);
    bus.out(4, &parts[1]);
    bus.out(4, &parts[2]);
    assert_eq!(bus.ctaphid_answer(one), Some((0x01, vec![5; 150])));
    // A part out of turn.
    bus.out(4, &parts[0]);
    bus.out(4, &parts[2]);
    assert_eq!(bus.ctaphid_answer(one), Some((0x3F, vec![0x04])));
    bus.out(4, &parts[1]);
    assert_eq!(bus.ctaphid_answer(one), None);
    // A part that stays away.
    bus.out(4, &parts[0]);
    bus.bench.pass(499);
    assert_eq!(bus.ctaphid_answer(one), None);
    bus.bench.pass(1);
    assert_eq!(bus.ctaphid_answer(one), Some((0x3F, vec![0x05])));
    // A message inside a message; starting over.
    bus.out(4, &parts[0]);
    assert_eq!(bus.ctaphid(one, 0x01, b"x"), (0x3F, vec![0x04]));
    bus.out(4, &parts[0]);
    assert_eq!(bus.ctaphid(one, 0x06, b"12345678").0, 0x06);
    assert_eq!(bus.ctaphid(one, 0x01, b"x"), (0x01, b"x".to_vec()));
}

#[test]
fn fido_says_what_the_key_is() {
    let mut bus = Bus::new();
    let channel = bus.channel();
    let (command, info) = bus.ctaphid(channel, 0x10, &[0x04]);
    assert_eq!((command, info[0], info[1]), (0x10, 0, 0xA4));
    assert!(info.windows(16).any(|window| window == AAGUID));
    assert_eq!(bus.ctaphid(channel, 0x10, &[0x01]), (0x10, vec![0x01]));
    let version = bus.ctaphid(channel, 0x03, &[0, 3, 0, 0, 0, 0, 0]);
    assert_eq!(version, (0x03, b"U2F_V2\x90\x00".to_vec()));
    assert_eq!(bus.ctaphid(channel, 0x03, &[0, 1, 0, 0, 0, 0, 0]), (0x03, vec![0x6D, 0]));
    let (command, page) = bus.ctaphid(channel, 0x42, &[0]);
    assert_eq!(command, 0x42);
    assert_eq!(DeviceInfo::parse(&page).unwrap().serial, Some(bus.bench.key.snapshot().serial));
    assert_eq!(bus.ctaphid(channel, 0x42, &[1]).0, 0x3F);
}

#[test]
fn fido_waits_for_a_touch_and_says_so() {
    let mut bus = Bus::new();
    let (one, two) = (bus.channel(), bus.channel());
    let begin = packets(one, 0x10, &[0x0B]).remove(0);
    let cancel = packets(one, 0x11, &[]).remove(0);
    // Ten notices a second, then the touch.
    bus.out(4, &begin);
    let mut notices = 0;
    for _ in 0..99 {
        if let Some(notice) = bus.ctaphid_answer(one) {
            assert_eq!(notice, (0x3B, vec![2]));
            notices += 1;
        }
        bus.bench.pass(10);
    }
    assert_eq!(notices, 10);
    assert_eq!(bus.bench.key.snapshot().led, "blinking");
    bus.out(4, &packets(two, 0x01, b"x")[0]);
    bus.bench.key.touch().unwrap();
    assert_eq!(bus.ctaphid_answer(two), Some((0x3F, vec![0x06])));
    assert_eq!(bus.ctaphid_answer(one), Some((0x10, vec![0])));
    // Given up, and nobody there.
    bus.out(4, &begin);
    assert_eq!(bus.ctaphid_answer(one), Some((0x3B, vec![2])));
    bus.out(4, &cancel);
    assert_eq!(bus.ctaphid_answer(one), Some((0x10, vec![0x2D])));
    assert_eq!(bus.bench.key.snapshot().led, "on");
    bus.out(4, &begin);
    bus.bench.pass(15_000);
    assert_eq!(bus.ctaphid_answer(one), Some((0x10, vec![0x2F])));
}

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
