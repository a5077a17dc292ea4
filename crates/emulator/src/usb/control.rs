//! Endpoint 0: standard requests (USB 2.0 section 9.4) and those of the HID class (USB HID 1.11
//! section 7.2). The smart-card class has requests of its own, all of which are refused.

use super::UsbDevice;
use super::descriptors::{CONFIGURATION, DEVICE, Descriptors, Function, HID, HID_REPORT, STRING};
use super::keyboard::Leds;
use super::transfer::{Completion, Direction, Setup, Status, Urb};
use crate::key::{HostError, VirtualKey};

/// What a request gives: data, possibly none, or nothing because it is refused.
type Answer = Option<Vec<u8>>;

impl UsbDevice {
    /// Carries a request out; `None` when the key does not answer at all.
    pub(super) fn control(&mut self, key: &mut VirtualKey, urb: &Urb) -> Option<Completion> {
        let setup = urb.setup;
        let reads = setup.request_type & DIRECTION_IN != 0;
        // A request without data counts as going out.
        if reads != (urb.direction == Direction::In) && setup.length != 0 {
            return Some(urb.failed(Status::Stall));
        }
        let answer = match setup.request_type & KIND {
            STANDARD => self.standard(setup),
            CLASS => match self.class(key, setup, &urb.data) {
                Ok(answer) => answer,
                Err(HostError::Stalled) => None,
                Err(HostError::Removed) => return Some(urb.failed(Status::Gone)),
                Err(HostError::TimedOut) => return None,
            },
            _ => None,
        };
        Some(match answer {
            None => urb.failed(Status::Stall),
            Some(mut data) if reads => {
                data.truncate(usize::from(setup.length));
                urb.answered(data)
            }
            Some(_) => urb.taken(),
        })
    }

    fn standard(&mut self, setup: Setup) -> Answer {
        let nothing = Some(Vec::new());
        match (setup.request_type, setup.request) {
            (0x80, GET_STATUS) => Some(vec![0, 0]),
            (0x81, GET_STATUS) => self.function(setup).map(|_| vec![0, 0]),
            (0x82, GET_STATUS) => Some(vec![u8::from(self.is_halted(setup.index_low())), 0]),
            (0x02, CLEAR_FEATURE | SET_FEATURE) if setup.value == ENDPOINT_HALT => {
                self.halt(setup.index_low(), setup.request == SET_FEATURE).then(Vec::new)
            }
            (0x00, SET_ADDRESS) => nothing,
            (0x80, GET_DESCRIPTOR) => self.descriptor(setup),
            (0x81, GET_DESCRIPTOR) => self.class_descriptor(setup),
            (0x80, GET_CONFIGURATION) => Some(vec![self.configuration()]),
            (0x00, SET_CONFIGURATION) => self.configure(setup.value).then(Vec::new),
            (0x81, GET_INTERFACE) => self.function(setup).map(|_| vec![0]),
            (0x01, SET_INTERFACE) if setup.value == 0 => self.function(setup).map(|_| Vec::new()),
            _ => None,
        }
    }

    /// A device of one speed has no qualifier descriptor, and neither has this one.
    fn descriptor(&self, setup: Setup) -> Answer {
        let descriptors = self.descriptors();
        match (setup.value_high(), setup.value_low()) {
            (DEVICE, 0) => Some(descriptors.device().to_vec()),
            (CONFIGURATION, 0) => Some(descriptors.configuration()),
            (STRING, index) => descriptors.string(index),
            _ => None,
        }
    }

    fn class_descriptor(&self, setup: Setup) -> Answer {
        let function = self.function(setup)?;
        match setup.value_high() {
            HID => Descriptors::hid(function).map(Vec::from),
            HID_REPORT => function.report_descriptor().map(<[u8]>::to_vec),
            _ => None,
        }
    }

    fn class(&mut self, key: &mut VirtualKey, setup: Setup, data: &[u8]) -> Result<Answer, HostError> {
        let Some(function) = self.function(setup).filter(|one| *one != Function::Ccid) else {
            return Ok(None);
        };
        let nothing = Ok(Some(Vec::new()));
        match (setup.request_type, setup.request) {
            (0xA1, GET_REPORT) => self.get_report(key, function, setup),
            (0x21, SET_REPORT) => self.set_report(key, function, setup, data),
            (0xA1, GET_IDLE) => Ok(Some(vec![self.idle_rate(function)])),
            (0x21, SET_IDLE) => {
                self.set_idle_rate(function, setup.value_high());
                nothing
            }
            (0xA1, GET_PROTOCOL) if function == Function::Otp => Ok(Some(vec![self.protocol])),
            (0x21, SET_PROTOCOL) if function == Function::Otp && setup.value <= 1 => {
                self.protocol = setup.value_low();
                nothing
            }
            _ => Ok(None),
        }
    }

    fn get_report(
        &self,
        key: &mut VirtualKey,
        function: Function,
        setup: Setup,
    ) -> Result<Answer, HostError> {
        Ok(match (function, setup.value_high()) {
            (Function::Otp, FEATURE) => Some(key.host_reads()?.to_vec()),
            (Function::Otp, INPUT) => Some(self.keyboard.last().to_vec()),
            (Function::Otp, OUTPUT) => Some(vec![self.keyboard.leds().0]),
            _ => None,
        })
    }

    fn set_report(
        &mut self,
        key: &mut VirtualKey,
        function: Function,
        setup: Setup,
        data: &[u8],
    ) -> Result<Answer, HostError> {
        match (function, setup.value_high(), data) {
            (Function::Otp, FEATURE, data) => match data.try_into() {
                Ok(report) => key.host_writes(report)?,
                Err(_) => return Ok(None),
            },
            (Function::Otp, OUTPUT, [leds, ..]) => self.keyboard.set_leds(Leds(*leds)),
            (Function::Fido, OUTPUT, data) => self.fido.receive(key, data),
            _ => return Ok(None),
        }
        Ok(Some(Vec::new()))
    }

    fn function(&self, setup: Setup) -> Option<Function> {
        self.descriptors().functions().get(usize::from(setup.index_low())).copied()
    }
}

const DIRECTION_IN: u8 = 0x80;
const KIND: u8 = 0x60;
const STANDARD: u8 = 0x00;
const CLASS: u8 = 0x20;

const GET_STATUS: u8 = 0;
const CLEAR_FEATURE: u8 = 1;
const SET_FEATURE: u8 = 3;
const SET_ADDRESS: u8 = 5;
const GET_DESCRIPTOR: u8 = 6;
const GET_CONFIGURATION: u8 = 8;
const SET_CONFIGURATION: u8 = 9;
const GET_INTERFACE: u8 = 10;
const SET_INTERFACE: u8 = 11;
const ENDPOINT_HALT: u16 = 0;

const GET_REPORT: u8 = 0x01;
const GET_IDLE: u8 = 0x02;
const GET_PROTOCOL: u8 = 0x03;
const SET_REPORT: u8 = 0x09;
const SET_IDLE: u8 = 0x0A;
const SET_PROTOCOL: u8 = 0x0B;

/// Kinds of reports.
const INPUT: u8 = 1;
const OUTPUT: u8 = 2;
const FEATURE: u8 = 3;
