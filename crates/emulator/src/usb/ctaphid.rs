//! The FIDO interface: CTAPHID (CTAP 2.1 section 11.2), as much of it as says what the key is.
//!
//! Channels, PING and WINK are complete. Behind them stand `authenticatorGetInfo`, U2F VERSION and
//! the vendor commands through which Yubico's tools reach the management application, and
//! `authenticatorSelection`, which waits for a touch. There are no FIDO credentials, and nothing can
//! be registered.

use std::collections::VecDeque;

use tapkey_protocol::apdu::{Command, StatusWord};
use tapkey_protocol::management::Capabilities;

use crate::clock::Milliseconds;
use crate::key::VirtualKey;

/// How emulated keys identify their model to FIDO hosts. It is no AAGUID of Yubico's.
pub const AAGUID: [u8; 16] =
    [0x7A, 0x9C, 0x4F, 0x1E, 0x52, 0xD3, 0x4B, 0x0E, 0x9A, 0x61, 0x54, 0x41, 0x50, 0x4B, 0x45, 0x59];

type Packet = [u8; PACKET];

#[derive(Debug, Default)]
pub(super) struct CtapHid {
    /// Channels 1 to this number are in use.
    channels: u32,
    message: Option<Message>,
    packets: VecDeque<Packet>,
    winks: u64,
    /// Device information was written, perhaps with the wish to restart.
    written: bool,
    touch: Option<Touch>,
}

/// A command that waits for a touch. The host is told so again and again.
#[derive(Debug)]
struct Touch {
    channel: u32,
    notice_at: Milliseconds,
}

/// A message whose packets are still coming.
#[derive(Debug)]
struct Message {
    channel: u32,
    command: u8,
    length: usize,
    data: Vec<u8>,
    next: u8,
    since: Milliseconds,
}

impl CtapHid {
    pub(super) const fn winks(&self) -> u64 {
        self.winks
    }

    /// No packet waits for the host.
    pub(super) fn is_quiet(&self) -> bool {
        self.packets.is_empty()
    }

    /// True once after a write of device information whose answer the host has taken.
    pub(super) fn take_written(&mut self) -> bool {
        self.packets.is_empty() && std::mem::take(&mut self.written)
    }

    /// The next packet for the host.
    pub(super) fn take(&mut self) -> Option<Packet> {
        self.packets.pop_front()
    }

    /// Gives a message up whose packets stay away, and goes on with what waits for a touch.
    pub(super) fn tick(&mut self, key: &mut VirtualKey) {
        let now = key.now();
        let late = |message: &mut Message| message.since + PACKET_TIMEOUT <= now;
        if let Some(message) = self.message.take_if(late) {
            self.error(message.channel, ERR_TIMEOUT);
        }
        let Some(mut touch) = self.touch.take() else { return };
        match key.take_presence() {
            Some(true) => self.send(touch.channel, CBOR, &[CTAP2_OK]),
            Some(false) => self.send(touch.channel, CBOR, &[CTAP2_TIMEOUT]),
            None => {
                if touch.notice_at <= now {
                    touch.notice_at = now + NOTICE_INTERVAL;
                    // A host that does not read needs no second notice.
                    if self.packets.is_empty() {
                        self.send(touch.channel, KEEPALIVE, &[TOUCH_NEEDED]);
                    }
                }
                self.touch = Some(touch);
            }
        }
    }

    /// When [`tick`](Self::tick) will have something to do.
    pub(super) fn next_event(&self, now: Milliseconds) -> Option<Milliseconds> {
        let message = self.message.as_ref().map(|message| message.since + PACKET_TIMEOUT);
        // A touch by the policy comes by itself.
        let touch = self.touch.as_ref().map(|_| now + TOUCH_POLL);
        [message, touch].into_iter().flatten().min()
    }

    /// Takes a packet. A short one is as good as one filled up with zeros.
    pub(super) fn receive(&mut self, key: &mut VirtualKey, bytes: &[u8]) {
        let mut packet = [0; PACKET];
        let length = bytes.len().min(PACKET);
        packet[..length].copy_from_slice(&bytes[..length]);
        let [c0, c1, c2, c3, kind, ..] = packet;
        let channel = u32::from_be_bytes([c0, c1, c2, c3]);
        self.tick(key);
        if self.packets.len() > MOST_PACKETS {
            // A host that only writes is not listened to.
            return;
        }
        if kind & OPENS == 0 {
            self.go_on(key, channel, kind, &packet[5..]);
        } else {
            self.begin(key, channel, kind & !OPENS, &packet);
        }
    }

    fn begin(&mut self, key: &mut VirtualKey, channel: u32, command: u8, packet: &Packet) {
        let length = usize::from(u16::from_be_bytes([packet[5], packet[6]]));
        let known = (1..=self.channels).contains(&channel);
        if !known && (channel != BROADCAST || command != INIT) {
            return self.error(channel, ERR_CHANNEL);
        }
        match &self.message {
            // A new channel, or a host that starts over, disturbs nobody else.
            _ if self.touch.is_some() => match (&self.touch, command) {
                (Some(touch), INIT | CANCEL) if touch.channel == channel => {
                    self.touch = None;
                    key.forget_presence();
                    if command == CANCEL {
                        return self.send(channel, CBOR, &[CTAP2_CANCELLED]);
                    }
                }
                (_, INIT) => {}
                _ => return self.error(channel, ERR_BUSY),
            },
            Some(open) if command != INIT && open.channel != channel => {
                return self.error(channel, ERR_BUSY);
            }
            Some(open) if open.channel == channel => {
                self.message = None;
                if command != INIT {
                    return self.error(channel, ERR_SEQUENCE);
                }
            }
            _ => {}
        }
        if length > MOST_DATA || (command == INIT && length != NONCE) {
            return self.error(channel, ERR_LENGTH);
        }
        let data = packet[7..7 + length.min(FIRST_DATA)].to_vec();
        if data.len() == length {
            return self.run(key, channel, command, &data);
        }
        self.message = Some(Message { channel, command, length, data, next: 0, since: key.now() });
    }

    fn go_on(&mut self, key: &mut VirtualKey, channel: u32, sequence: u8, data: &[u8]) {
        // Packets that belong to nothing are passed over in silence.
        let Some(mut message) = self.message.take_if(|message| message.channel == channel) else { return };
        if message.next != sequence {
            return self.error(channel, ERR_SEQUENCE);
        }
        let missing = message.length - message.data.len();
        message.data.extend_from_slice(&data[..missing.min(data.len())]);
        message.next += 1;
        message.since = key.now();
        if message.data.len() == message.length {
            return self.run(key, channel, message.command, &message.data);
        }
        self.message = Some(message);
    }

    fn run(&mut self, key: &mut VirtualKey, channel: u32, command: u8, data: &[u8]) {
        let applications = key.usb_applications();
        let answer = match command {
            INIT => {
                let answer = self.init(key, channel, data);
                return self.send(channel, INIT, &answer);
            }
            // Nothing is under way that could be cancelled.
            CANCEL => return,
            PING => Ok(data.to_vec()),
            WINK if data.is_empty() => {
                self.winks += 1;
                Ok(Vec::new())
            }
            WINK => Err(ERR_LENGTH),
            MESSAGE if applications.contains(Capabilities::U2F) => Ok(u2f(data)),
            CBOR if applications.contains(Capabilities::FIDO2) => {
                if data.first() == Some(&SELECTION) && key.ask_for_presence() {
                    self.touch = Some(Touch { channel, notice_at: key.now() });
                    return;
                }
                cbor(data, applications)
            }
            SET_MODE => key.set_mode(data).map(|()| Vec::new()).map_err(refused),
            READ_CONFIG => key.read_config(data.first().copied().unwrap_or(0)).map_err(refused),
            WRITE_CONFIG => {
                self.written = true;
                key.write_config(data).map(|()| Vec::new()).map_err(refused)
            }
            _ => Err(ERR_COMMAND),
        };
        match answer {
            Ok(data) => self.send(channel, command, &data),
            Err(error) => self.error(channel, error),
        }
    }

    /// Gives out a channel, or confirms the one it was asked on.
    fn init(&mut self, key: &VirtualKey, channel: u32, nonce: &[u8]) -> Vec<u8> {
        let given = if channel == BROADCAST {
            // The numbers never run out in practice; if they do, the first ones come again.
            self.channels = if self.channels < MOST_CHANNELS { self.channels + 1 } else { 1 };
            self.channels
        } else {
            channel
        };
        let (version, applications) = (key.profile().version(), key.usb_applications());
        let cbor = if applications.contains(Capabilities::FIDO2) { CAPABILITY_CBOR } else { 0 };
        let no_message = if applications.contains(Capabilities::U2F) { 0 } else { CAPABILITY_NO_MESSAGE };
        let mut answer = nonce.to_vec();
        answer.extend_from_slice(&given.to_be_bytes());
        answer.push(PROTOCOL);
        answer.extend_from_slice(&[version.major, version.minor, version.patch]);
        answer.push(CAPABILITY_WINK | cbor | no_message);
        answer
    }

    fn error(&mut self, channel: u32, error: u8) {
        self.send(channel, ERROR, &[error]);
    }

    fn send(&mut self, channel: u32, command: u8, data: &[u8]) {
        let length = u16::try_from(data.len()).unwrap_or(0).to_be_bytes();
        let (first, mut rest) = data.split_at(data.len().min(FIRST_DATA));
        self.packets.push_back(packet(channel, &[command | OPENS, length[0], length[1]], first));
        let mut sequence = 0;
        while !rest.is_empty() {
            let (next, after) = rest.split_at(rest.len().min(NEXT_DATA));
            self.packets.push_back(packet(channel, &[sequence], next));
            rest = after;
            sequence += 1;
        }
    }
}

fn packet(channel: u32, header: &[u8], data: &[u8]) -> Packet {
    let mut packet = [0; PACKET];
    let bytes = channel.to_be_bytes().into_iter().chain(header.iter().copied()).chain(data.iter().copied());
    for (place, byte) in packet.iter_mut().zip(bytes) {
        *place = byte;
    }
    packet
}

/// U2F: only the version can be asked (FIDO U2F Raw Message Formats 1.2 section 6).
fn u2f(data: &[u8]) -> Vec<u8> {
    const VERSION: u8 = 3;
    let (answer, status): (&[u8], StatusWord) = match Command::parse(data) {
        Ok(command) if command.cla != 0 => (&[], StatusWord::CLA_NOT_SUPPORTED),
        Ok(command) if command.ins == VERSION => (b"U2F_V2", StatusWord::SUCCESS),
        Ok(_) => (&[], StatusWord::INS_NOT_SUPPORTED),
        Err(_) => (&[], StatusWord::WRONG_LENGTH),
    };
    let mut answer = answer.to_vec();
    answer.extend_from_slice(&status.to_bytes());
    answer
}

/// CTAP2: `authenticatorGetInfo` (CTAP 2.1 section 6.4).
fn cbor(data: &[u8], applications: Capabilities) -> Result<Vec<u8>, u8> {
    const GET_INFO: u8 = 0x04;
    const INVALID_COMMAND: u8 = 0x01;
    match data.first() {
        None => Err(ERR_LENGTH),
        Some(&GET_INFO) => Ok(info(applications)),
        // Another interface of the key waits for a touch.
        Some(&SELECTION) => Ok(vec![CTAP2_BUSY]),
        Some(_) => Ok(vec![INVALID_COMMAND]),
    }
}

/// Status 0, then a map of versions (1), AAGUID (3), options (4) and the longest message (5).
fn info(applications: Capabilities) -> Vec<u8> {
    let mut bytes = vec![0x00, 0xA4, 0x01];
    if applications.contains(Capabilities::U2F) {
        bytes.extend_from_slice(b"\x82\x66U2F_V2\x68FIDO_2_0");
    } else {
        bytes.extend_from_slice(b"\x81\x68FIDO_2_0");
    }
    bytes.extend_from_slice(&[0x03, 0x50]);
    bytes.extend_from_slice(&AAGUID);
    // No discoverable credentials, but a touch would be noticed.
    bytes.extend_from_slice(b"\x04\xA2\x62rk\xF4\x62up\xF5");
    bytes.extend_from_slice(&[0x05, 0x19, 0x04, 0xB0]);
    bytes
}

/// CTAPHID has few errors to choose from.
fn refused(status: StatusWord) -> u8 {
    if status == StatusWord::INS_NOT_SUPPORTED {
        ERR_COMMAND
    } else if status == StatusWord::WRONG_PARAMETERS || status == StatusWord::WRONG_DATA {
        ERR_PARAMETER
    } else {
        ERR_OTHER
    }
}

/// Bytes of a packet.
const PACKET: usize = 64;
/// Data bytes of the packet that opens a message, and of those that follow.
const FIRST_DATA: usize = PACKET - 7;
const NEXT_DATA: usize = PACKET - 5;
/// The longest message: 128 packets that follow, numbered with seven bits.
const MOST_DATA: usize = FIRST_DATA + 128 * NEXT_DATA;
/// Packets for a host that does not fetch them: four of the longest messages.
const MOST_PACKETS: usize = 516;
const NONCE: usize = 8;
const OPENS: u8 = 0x80;
const BROADCAST: u32 = 0xFFFF_FFFF;
const MOST_CHANNELS: u32 = 0xFFFF_FFF0;
/// How long the next packet of a message may take.
const PACKET_TIMEOUT: Milliseconds = Milliseconds(500);

const PING: u8 = 0x01;
const MESSAGE: u8 = 0x03;
const INIT: u8 = 0x06;
const WINK: u8 = 0x08;
const CBOR: u8 = 0x10;
const CANCEL: u8 = 0x11;
const KEEPALIVE: u8 = 0x3B;
const ERROR: u8 = 0x3F;
/// Yubico's own.
const SET_MODE: u8 = 0x40;
const READ_CONFIG: u8 = 0x42;
const WRITE_CONFIG: u8 = 0x43;

const PROTOCOL: u8 = 2;
const CAPABILITY_WINK: u8 = 0x01;
const CAPABILITY_CBOR: u8 = 0x04;
const CAPABILITY_NO_MESSAGE: u8 = 0x08;

const ERR_COMMAND: u8 = 0x01;
const ERR_PARAMETER: u8 = 0x02;
const ERR_LENGTH: u8 = 0x03;
const ERR_SEQUENCE: u8 = 0x04;
const ERR_TIMEOUT: u8 = 0x05;
const ERR_BUSY: u8 = 0x06;
const ERR_CHANNEL: u8 = 0x0B;
const ERR_OTHER: u8 = 0x7F;

/// CTAP2: `authenticatorSelection` (CTAP 2.1 section 6.9), and what it answers.
const SELECTION: u8 = 0x0B;
const CTAP2_OK: u8 = 0x00;
const CTAP2_BUSY: u8 = 0x06;
const CTAP2_CANCELLED: u8 = 0x2D;
const CTAP2_TIMEOUT: u8 = 0x2F;
/// In a KEEPALIVE: somebody has to touch the key.
const TOUCH_NEEDED: u8 = 2;
const NOTICE_INTERVAL: Milliseconds = Milliseconds(100);
const TOUCH_POLL: Milliseconds = Milliseconds(20);
