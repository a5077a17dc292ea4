//! USB/IP over a real socket, as Linux's virtual host controller speaks it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use common::yubico;
use tapkey_emulator::port::in_process::PluggedKey;
use tapkey_emulator::port::usbip::wire::{
    Command, DeviceRecord, ECONNRESET, EPIPE, HEADER_SIZE, Opening, Reply,
};
use tapkey_emulator::port::usbip::{BUS_ID, Options, Server, ServerError, Stopper};
use tapkey_emulator::usb::{Direction, Setup, Speed};
use tapkey_emulator::{SeededRandom, VirtualKey};
use tapkey_protocol::hid::{Exchange, Expect, Input, Outcome, Step};
use tapkey_protocol::keyboard::{pressed, us_character};
use tapkey_protocol::link::Report;
use tapkey_protocol::slot::{AccessCode, Slot, SlotCommand, SlotConfig};

/// A key on a USB/IP server of its own.
struct Plug {
    key: PluggedKey,
    address: SocketAddr,
    options: Options,
    stopper: Stopper,
    thread: Option<JoinHandle<Result<(), ServerError>>>,
}

impl Plug {
    fn new(speed: Speed) -> Self {
        let key = VirtualKey::builder().random(SeededRandom::new(1)).build().unwrap();
        let key = PluggedKey::new(key).unwrap();
        let options = Options::new(speed);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind(any, key.clone(), options.clone()).unwrap();
        let (address, stopper) = (server.address(), server.stopper());
        let thread = Some(thread::spawn(move || server.run()));
        Self { key, address, options, stopper, thread }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    fn open(&self, opening: &Opening) -> (TcpStream, [u8; 8]) {
        let mut stream = self.connect();
        stream.write_all(&opening.encode()).unwrap();
        let mut header = [0; 8];
        stream.read_exact(&mut header).unwrap();
        (stream, header)
    }

    fn import(&self, bus_id: &str) -> Result<Host, u8> {
        let (mut stream, header) = self.open(&Opening::Import { bus_id: bus_id.to_owned() });
        assert_eq!(header[..4], [1, 0x11, 0, 3]);
        if header[7] != 0 {
            return Err(header[7]);
        }
        let mut record = [0; DeviceRecord::SIZE];
        stream.read_exact(&mut record).unwrap();
        Ok(Host { stream, sequence: 0, ways: HashMap::new() })
    }

    fn host(&self) -> Host {
        let mut host = self.import(BUS_ID).unwrap();
        let set = Setup { request_type: 0, request: 9, value: 1, index: 0, length: 0 };
        assert_eq!(host.control(set, &[]), (0, vec![]));
        host
    }

    fn wait_until(&self, what: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !what(self) {
            assert!(start.elapsed() < Duration::from_secs(10), "it never happens");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        self.stopper.stop();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

/// What a kernel does with a key that it imported.
struct Host {
    stream: TcpStream,
    sequence: u32,
    ways: HashMap<u32, Direction>,
}

impl Host {
    fn submit(
        &mut self,
        endpoint: u8,
        direction: Direction,
        setup: Setup,
        length: usize,
        data: &[u8],
    ) -> u32 {
        self.sequence += 1;
        let command = Command::Submit {
            sequence: self.sequence,
            device: 0x0001_0002,
            endpoint,
            direction,
            setup,
            length: u32::try_from(length).unwrap(),
            data: data.to_vec(),
        };
        self.ways.insert(self.sequence, direction);
        self.stream.write_all(&command.encode()).unwrap();
        self.sequence
    }

    fn ask(&mut self, endpoint: u8, length: usize) -> u32 {
        self.submit(endpoint, Direction::In, Setup::default(), length, &[])
    }

    fn send(&mut self, endpoint: u8, data: &[u8]) -> u32 {
        self.submit(endpoint, Direction::Out, Setup::default(), data.len(), data)
    }

    fn unlink(&mut self, victim: u32) -> u32 {
        self.sequence += 1;
        let command = Command::Unlink { sequence: self.sequence, device: 0x0001_0002, victim };
        self.stream.write_all(&command.encode()).unwrap();
        self.sequence
    }

    fn reply(&mut self) -> Reply {
        let ways = &self.ways;
        Reply::read(&mut self.stream, |sequence| ways[&sequence]).unwrap().expect("a reply")
    }

    /// The reply that must come next: status and data.
    fn completed(&mut self, wanted: u32) -> (i32, Vec<u8>) {
        match self.reply() {
            Reply::Submit { sequence, status, data, .. } if sequence == wanted => (status, data),
            other => panic!("{wanted} was due, not {other:?}"),
        }
    }

    fn control(&mut self, setup: Setup, data: &[u8]) -> (i32, Vec<u8>) {
        let (direction, length) = match setup.request_type & 0x80 {
            0 => (Direction::Out, data.len()),
            _ => (Direction::In, usize::from(setup.length)),
        };
        let sequence = self.submit(0, direction, setup, length, data);
        self.completed(sequence)
    }

    fn write_report(&mut self, report: &Report) {
        let setup = Setup { request_type: 0x21, request: 9, value: 0x0300, index: 0, length: 8 };
        assert_eq!(self.control(setup, report), (0, vec![]));
    }

    fn read_report(&mut self) -> Report {
        let setup = Setup { request_type: 0xA1, request: 1, value: 0x0300, index: 0, length: 8 };
        let (status, data) = self.control(setup, &[]);
        assert_eq!(status, 0);
        data.try_into().unwrap()
    }

    /// A command over feature reports, driven by the driver's own state machine.
    fn exchange(&mut self, command: SlotCommand, payload: &[u8], expect: Expect) -> Outcome {
        let mut exchange = Exchange::new(command.code(), payload, expect).unwrap();
        let mut input = Input::Start;
        loop {
            input = match exchange.step(input).unwrap() {
                Step::Write(report) => {
                    self.write_report(&report);
                    Input::Written
                }
                Step::Read => Input::Report(self.read_report()),
                Step::Wait { .. } | Step::AwaitTouch { .. } => Input::Waited,
                Step::Done(outcome) => return outcome,
            };
        }
    }

    fn program(&mut self) {
        let payload = yubico().record().payload(&AccessCode::NONE);
        let outcome = self.exchange(SlotCommand::Configure(Slot::One), payload.expose(), Expect::Programming);
        assert!(matches!(outcome, Outcome::Status { .. }));
    }

    /// The connection ends, perhaps after the last answers.
    fn loses_the_key(mut self) -> bool {
        self.stream.read_to_end(&mut Vec::new()).is_ok()
    }
}

#[test]
fn the_key_is_listed_and_plugged_in_once() {
    let plug = Plug::new(Speed::Real);
    let (mut stream, header) = plug.open(&Opening::List);
    assert_eq!(header, [1, 0x11, 0, 5, 0, 0, 0, 0]);
    let mut list = [0; 4 + DeviceRecord::SIZE + 12];
    stream.read_exact(&mut list).unwrap();
    assert_eq!(list[..4], [0, 0, 0, 1]);
    assert!(list[4 + 256..].starts_with(b"1-1\0"));
    // Bus 1, device 2, full speed, 1050:0407, firmware 5.7.4; class at the interfaces, 1 of 1, 3 interfaces.
    let numbers = [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 0x10, 0x50, 0x04, 0x07, 0x05, 0x74, 0, 0, 0, 1, 1, 3];
    assert_eq!(list[4 + 288..][..24], numbers);
    assert_eq!(list[4 + 312..], [3, 1, 1, 0, 3, 0, 0, 0, 11, 0, 0, 0]);
    assert_eq!(plug.import("2-2").err(), Some(4));
    assert!(!plug.options.is_plugged_in());
    let host = plug.import(BUS_ID).unwrap();
    assert_eq!(plug.import(BUS_ID).err(), Some(2));
    assert!(plug.options.is_plugged_in());
    drop(host);
    plug.wait_until(|plug| !plug.options.is_plugged_in());
    plug.import(BUS_ID).unwrap();
    plug.key.unplug();
    assert_eq!(plug.import(BUS_ID).err(), Some(4));
}

#[test]
fn a_linux_kernel_enumerates_it() {
    let plug = Plug::new(Speed::Real);
    let mut host = plug.import(BUS_ID).unwrap();
    let get = |value, length| Setup { request_type: 0x80, request: 6, value, index: 0, length };
    assert_eq!(host.control(get(0x0100, 64), &[]).1.len(), 18);
    assert_eq!(host.control(Setup { request_type: 0, request: 5, value: 2, index: 0, length: 0 }, &[]).0, 0);
    assert_eq!(host.control(get(0x0100, 18), &[]).1[8..12], [0x50, 0x10, 0x07, 0x04]);
    for _ in 0..3 {
        assert_eq!(host.control(get(0x0600, 10), &[]), (EPIPE, vec![]));
    }
    assert_eq!(host.control(get(0x0200, 9), &[]).1.len(), 9);
    assert_eq!(host.control(get(0x0200, 150), &[]).1.len(), 150);
    host.control(Setup { request_type: 0, request: 9, value: 1, index: 0, length: 0 }, &[]);
    for (interface, length) in [(0, 71), (1, 34)] {
        let idle = Setup { request_type: 0x21, request: 10, value: 0, index: interface, length: 0 };
        assert_eq!(host.control(idle, &[]), (0, vec![]));
        let report = Setup { request_type: 0x81, request: 6, value: 0x2200, index: interface, length };
        assert_eq!(host.control(report, &[]).1.len(), usize::from(length));
    }
    let lights = Setup { request_type: 0x21, request: 9, value: 0x0200, index: 0, length: 1 };
    assert_eq!(host.control(lights, &[1]), (0, vec![]));
    plug.wait_until(|plug| plug.options.leds().num_lock());
}

#[test]
fn otp_commands_travel_in_feature_reports() {
    let plug = Plug::new(Speed::Real);
    let mut host = plug.host();
    host.program();
    let serial = host.exchange(SlotCommand::Serial, &[], Expect::Data { length: 4 });
    assert_eq!(serial, Outcome::Data(plug.key.snapshot().serial.to_be_bytes().to_vec()));
    let Outcome::Data(info) = host.exchange(SlotCommand::ReadDeviceInfo, &[0], Expect::LengthPrefixed) else {
        panic!("no data")
    };
    assert_eq!(usize::from(info[0]), info.len() - 1);
}

#[test]
fn a_press_is_typed_while_other_transfers_go_on() {
    let plug = Plug::new(Speed::Real);
    let mut host = plug.host();
    host.program();
    let mut waiting = host.ask(1, 8);
    plug.key.press(Slot::One).unwrap();
    let start = Instant::now();
    let mut text = String::new();
    let mut reports = 0;
    while !text.ends_with('\n') || reports % 2 == 1 {
        let (status, report) = host.completed(waiting);
        assert_eq!(status, 0);
        reports += 1;
        text.extend(pressed(&report.try_into().unwrap()).and_then(us_character));
        waiting = host.ask(1, 8);
    }
    assert_eq!((text.len(), reports), (45, 90));
    // 89 intervals of 10 ms; a busy machine only makes it slower.
    assert!(start.elapsed() >= Duration::from_millis(880), "{:?}", start.elapsed());
    // The next one waits, and control requests overtake it.
    assert_eq!(host.read_report()[1..4], [5, 7, 4]);
    let cancelled = host.unlink(waiting);
    assert_eq!(host.reply(), Reply::Unlink { sequence: cancelled, status: ECONNRESET });
}

#[test]
fn fast_typing_does_not_wait() {
    let plug = Plug::new(Speed::Fast);
    let mut host = plug.host();
    host.program();
    let waiting: Vec<_> = (0..90).map(|_| host.ask(1, 8)).collect();
    plug.key.press(Slot::One).unwrap();
    let start = Instant::now();
    for one in waiting {
        assert_eq!(host.completed(one).0, 0);
    }
    assert!(start.elapsed() < Duration::from_millis(800), "{:?}", start.elapsed());
}

#[test]
fn unlinked_transfers_are_never_completed() {
    let plug = Plug::new(Speed::Fast);
    let mut host = plug.host();
    host.program();
    let victim = host.ask(1, 8);
    let kept = host.ask(1, 8);
    let unlink = host.unlink(victim);
    assert_eq!(host.reply(), Reply::Unlink { sequence: unlink, status: ECONNRESET });
    plug.key.press(Slot::One).unwrap();
    assert_eq!(host.completed(kept).1.len(), 8);
    // One that was completed before, and one that never was.
    for victim in [kept, 99_999] {
        let unlink = host.unlink(victim);
        assert_eq!(host.reply(), Reply::Unlink { sequence: unlink, status: 0 });
    }
}

#[test]
fn never_more_bytes_than_asked_for() {
    let plug = Plug::new(Speed::Fast);
    let mut host = plug.host();
    let notice = host.ask(3, 1);
    assert_eq!(host.completed(notice), (0, vec![0x50]));
    // Power on: 10 bytes of header and 23 of answer to reset, in pieces of 20.
    let sent = host.send(2, &[0x62, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(host.completed(sent), (0, vec![]));
    for wanted in [20, 13] {
        let piece = host.ask(2, 20);
        assert_eq!(host.completed(piece).1.len(), wanted);
    }
    let setup = Setup { request_type: 0x80, request: 6, value: 0x0200, index: 0, length: 150 };
    let short = host.submit(0, Direction::In, setup, 10, &[]);
    assert_eq!(host.completed(short).1.len(), 10);
    // A lot of room is no trouble.
    let setup = Setup { length: u16::MAX, ..setup };
    let long = host.submit(0, Direction::In, setup, 1 << 20, &[]);
    assert_eq!(host.completed(long).1.len(), 150);
}

#[test]
fn a_cable_pulled_in_the_middle_of_a_command_leaves_the_slot_as_it_was() {
    let plug = Plug::new(Speed::Real);
    let payload = yubico().record().payload(&AccessCode::NONE);
    let frame = tapkey_protocol::hid::Frame::new(SlotCommand::Configure(Slot::One).code(), payload.expose());
    let reports: Vec<_> = frame.unwrap().reports().into_iter().collect();
    for cut in 0..reports.len() {
        let mut host = plug.host();
        for report in &reports[..cut] {
            host.write_report(report);
        }
        host.stream.shutdown(Shutdown::Both).unwrap();
        plug.wait_until(|plug| !plug.options.is_plugged_in());
        assert_eq!(plug.key.snapshot().slots, [None, None]);
    }
    plug.host().program();
}

#[test]
fn a_key_that_loses_its_power_is_pulled_out() {
    let plug = Plug::new(Speed::Real);
    let mut host = plug.host();
    host.ask(1, 8);
    plug.key.replug().unwrap();
    assert!(host.loses_the_key());
    plug.wait_until(|plug| !plug.options.is_plugged_in());
    assert_eq!(plug.host().read_report()[1..4], [5, 7, 4]);
}

#[test]
fn hosts_that_talk_nonsense_are_dropped_and_hurt_nobody() {
    let plug = Plug::new(Speed::Real);
    let nonsense: [&[u8]; 4] =
        [b"GET / HTTP/1.1\r\n\r\n", &[1, 0x11, 0x80, 9, 0, 0, 0, 0], &[1, 0x11, 0x80], &[0xFF; 48]];
    for bytes in nonsense {
        let mut stream = plug.connect();
        stream.write_all(bytes).unwrap();
        let _ = stream.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty());
    }
    let mut commands: Vec<[u8; HEADER_SIZE]> = Vec::new();
    // An unknown command, an endpoint that cannot be, a direction that is none, far too much data,
    // isochronous packets.
    for (word, value) in [(0, 9), (4, 16), (3, 2), (6, 0x7FFF_FFFF), (8, 3_u32)] {
        let mut header = [0; HEADER_SIZE];
        header[3] = 1;
        header[word * 4..][..4].copy_from_slice(&value.to_be_bytes());
        commands.push(header);
    }
    for command in commands {
        let mut host = plug.host();
        host.stream.write_all(&command).unwrap();
        assert!(host.loses_the_key());
        plug.wait_until(|plug| !plug.options.is_plugged_in());
    }
    // More transfers than any host leaves waiting.
    let mut host = plug.host();
    for _ in 0..300 {
        let command = Command::Submit {
            sequence: 5,
            device: 0,
            endpoint: 1,
            direction: Direction::In,
            setup: Setup::default(),
            length: 8,
            data: Vec::new(),
        };
        if host.stream.write_all(&command.encode()).is_err() {
            break;
        }
    }
    plug.wait_until(|plug| !plug.options.is_plugged_in());
    assert_eq!(plug.host().read_report()[1..4], [5, 7, 4]);
}

#[test]
fn strangers_are_kept_out() {
    let key = PluggedKey::new(VirtualKey::builder().build().unwrap()).unwrap();
    let error = Server::bind("0.0.0.0:0".parse().unwrap(), key, Options::default()).unwrap_err();
    assert!(error.to_string().contains("not a loopback address"), "{error}");
}
