//! The USB device as a host's controller meets it, without any port: control requests, typing,
//! smart-card messages, CTAPHID.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod card;
mod control;
mod fido;
mod life;
mod typing;

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
