//! A host for the tests: it speaks the protocol crate's state machines over the ports.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

use tapkey_emulator::port::in_process::{ManualClock, OtpPort, PluggedKey};
use tapkey_emulator::{Milliseconds, Power, Profile, SeededRandom, VirtualKey};
use tapkey_protocol::apdu::chaining::{Next, Transaction};
use tapkey_protocol::apdu::{Command, Encoding, Response, StatusWord};
use tapkey_protocol::hid::{Exchange, ExchangeError, Expect, Input, Outcome, Status, Step};
use tapkey_protocol::link::{CardLink, OtpLink};
use tapkey_protocol::otp::{AesKey, Otp, PrivateId, PublicId, Token};
use tapkey_protocol::slot::{
    AccessCode, ChallengeHmac, HmacKey, Options, Slot, SlotCommand, SlotConfig, SlotRecord, WritePayload,
    YubicoOtp,
};

pub const AID_OTP: &[u8] = &[0xA0, 0x00, 0x00, 0x05, 0x27, 0x20, 0x01];
pub const AID_MANAGEMENT: &[u8] = &[0xA0, 0x00, 0x00, 0x05, 0x27, 0x47, 0x11, 0x17];
pub const AES: [u8; 16] = [7; 16];
pub const PRIVATE: [u8; 6] = [1, 2, 3, 4, 5, 6];
pub const CODE: [u8; 6] = [9, 8, 7, 6, 5, 4];

/// A plugged-in key under a clock that stands still.
pub struct Bench {
    pub key: PluggedKey,
    pub clock: ManualClock,
}

/// What a host learns of a command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    Accepted,
    Data(Vec<u8>),
    Refused,
    TouchTimedOut,
}

impl Bench {
    pub fn new() -> Self {
        Self::of(Profile::default())
    }

    pub fn of(profile: Profile) -> Self {
        Self::with(VirtualKey::builder().profile(profile).random(SeededRandom::new(1)).build().unwrap())
    }

    pub fn with(key: VirtualKey) -> Self {
        let clock = ManualClock::new();
        let key = PluggedKey::with_clock(key, clock.clone()).unwrap();
        Self { key, clock }
    }

    pub fn pass(&self, milliseconds: u64) {
        self.clock.advance(Milliseconds(milliseconds));
    }

    pub fn nfc(&self) {
        self.key.unplug();
        self.key.plug(Power::Nfc).unwrap();
    }

    /// Over feature reports; a touch wait is left to time out.
    pub fn hid(&self, command: SlotCommand, payload: &[u8]) -> Answer {
        let expect = if command.is_write() {
            Expect::Programming
        } else {
            match command {
                SlotCommand::Serial => Expect::Data { length: 4 },
                SlotCommand::ChallengeYubico(_) => Expect::Data { length: 16 },
                SlotCommand::ChallengeHmac(_) => Expect::Data { length: 20 },
                SlotCommand::FipsMode => Expect::Data { length: 1 },
                _ => Expect::LengthPrefixed,
            }
        };
        let mut link = self.key.otp().unwrap();
        let mut exchange = Exchange::new(command.code(), payload, expect).unwrap();
        let mut input = Input::Start;
        loop {
            let step = match exchange.step(input) {
                Ok(step) => step,
                Err(ExchangeError::Rejected { .. }) => return Answer::Refused,
                Err(ExchangeError::TouchTimedOut) => return Answer::TouchTimedOut,
                Err(error) => panic!("{error}"),
            };
            input = match step {
                Step::Write(report) => {
                    link.write_report(&report).unwrap();
                    Input::Written
                }
                Step::Read => Input::Report(link.read_report().unwrap()),
                Step::Wait { milliseconds } => {
                    self.pass(u64::from(milliseconds));
                    Input::Waited
                }
                Step::AwaitTouch { .. } => {
                    self.pass(1000);
                    Input::Waited
                }
                Step::Done(Outcome::Status { .. }) => return Answer::Accepted,
                Step::Done(Outcome::Data(data)) => return Answer::Data(data),
            };
        }
    }

    /// Over the smart card, with the OTP application selected.
    pub fn card(&self, command: SlotCommand, payload: &[u8]) -> Answer {
        self.select(AID_OTP).unwrap();
        match self.transmit(&Command::new(0, SlotCommand::INS, command.code(), 0, payload)) {
            Ok(_) if command.is_write() => Answer::Accepted,
            Ok(data) => Answer::Data(data),
            Err(_) => Answer::Refused,
        }
    }

    pub fn select(&self, aid: &[u8]) -> Result<Vec<u8>, StatusWord> {
        self.transmit(&Command::select(aid))
    }

    pub fn transmit(&self, command: &Command) -> Result<Vec<u8>, StatusWord> {
        let mut card = self.key.card().unwrap();
        let mut transaction = Transaction::new(command, Encoding::Short).unwrap();
        let mut next = transaction.start();
        loop {
            match next {
                Next::Send(bytes) => next = transaction.receive(&card.transmit(&bytes).unwrap()).unwrap(),
                Next::Done(response) => return response.into_data(),
            }
        }
    }

    pub fn raw(&self, bytes: &[u8]) -> Response {
        Response::parse(&self.key.card().unwrap().transmit(bytes).unwrap()).unwrap()
    }

    pub fn otp(&self) -> OtpPort {
        self.key.otp().unwrap()
    }

    pub fn status(&self) -> Status {
        Status::from_report(&self.otp().read_report().unwrap()).unwrap()
    }

    pub fn sequence(&self) -> u8 {
        self.status().sequence
    }

    pub fn program(&self, slot: Slot, config: &dyn SlotConfig) {
        self.program_with(slot, config, AccessCode::NONE);
    }

    pub fn program_with(&self, slot: Slot, config: &dyn SlotConfig, current: AccessCode) {
        let payload = config.record().payload(&current);
        assert_eq!(self.hid(SlotCommand::Configure(slot), payload.expose()), Answer::Accepted);
    }

    pub fn write(&self, slot: Slot, record: SlotRecord) -> Answer {
        self.hid(SlotCommand::Configure(slot), record.payload(&AccessCode::NONE).expose())
    }

    pub fn delete(&self, slot: Slot) -> Answer {
        self.hid(SlotCommand::Configure(slot), WritePayload::delete(AccessCode::NONE).encode().expose())
    }

    pub fn press(&self, slot: Slot) -> String {
        self.key.press(slot).unwrap().text().expect("the slot types")
    }

    /// Presses a slot that types a Yubico OTP and opens what it typed.
    pub fn token(&self, slot: Slot) -> Token {
        let typed = self.press(slot);
        let otp: Otp = typed.trim().parse().unwrap();
        let token = otp.open(&AesKey::new(AES)).unwrap();
        assert_eq!(token.private_id, PrivateId::new(PRIVATE));
        token
    }

    pub fn counters(&self, slot: Slot) -> (u16, u8) {
        let token = self.token(slot);
        (token.counter().use_counter(), token.session_counter)
    }
}

pub fn yubico() -> YubicoOtp {
    YubicoOtp {
        public_id: PublicId::new(&[0xFF, 0, 0, 0, 0, 1]).unwrap(),
        private_id: PrivateId::new(PRIVATE),
        key: AesKey::new(AES),
        send_reference: false,
        options: Options::for_typing(),
        access_code: AccessCode::NONE,
    }
}

pub fn hmac(key: &[u8]) -> ChallengeHmac {
    ChallengeHmac {
        key: HmacKey::from_secret(key).unwrap(),
        variable_length: true,
        require_touch: false,
        options: Options::for_challenges(),
        access_code: AccessCode::NONE,
    }
}

pub fn code() -> AccessCode {
    AccessCode::new(CODE)
}

pub fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).unwrap()
}
