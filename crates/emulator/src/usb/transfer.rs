//! What passes between a host and a device: requests for transfers, and what became of them.

use std::fmt;

/// A transfer that a host asks for (a "USB request block").
#[derive(Clone, Eq, PartialEq)]
pub struct Urb {
    /// The host's number for it; it comes back in the [`Completion`].
    pub id: u32,
    /// The endpoint, 0 to 15, without the direction bit.
    pub endpoint: u8,
    /// Which way the data goes.
    pub direction: Direction,
    /// The request, on endpoint 0.
    pub setup: Setup,
    /// How many bytes the host has room for (IN) or sends (OUT).
    pub length: usize,
    /// What the host sends; empty for IN.
    pub data: Vec<u8>,
}

/// Which way the data of a transfer goes, as the host sees it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// To the device.
    Out,
    /// From the device.
    In,
}

/// The eight bytes that open a control transfer (USB 2.0 section 9.3).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Setup {
    /// Direction, type and recipient.
    pub request_type: u8,
    /// The request.
    pub request: u8,
    /// Its argument.
    pub value: u16,
    /// An interface or an endpoint, or a language.
    pub index: u16,
    /// Bytes of data that follow or are wanted.
    pub length: u16,
}

/// What became of a transfer.
#[derive(Clone, Eq, PartialEq)]
pub struct Completion {
    /// The number of the [`Urb`].
    pub id: u32,
    /// Whether it worked.
    pub status: Status,
    /// How many bytes moved.
    pub actual: usize,
    /// What the device sends, never more than [`Urb::length`]; empty for OUT.
    pub data: Vec<u8>,
}

/// Whether a transfer worked.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Status {
    /// It did.
    Done,
    /// The device refused it. On endpoint 0 that concerns this request only.
    Stall,
    /// The device is not there any more.
    Gone,
}

impl Urb {
    /// A control request that asks for data.
    #[must_use]
    pub fn control_in(id: u32, setup: Setup) -> Self {
        let length = usize::from(setup.length);
        Self { id, endpoint: 0, direction: Direction::In, setup, length, data: Vec::new() }
    }

    /// A control request that brings data, or has none.
    #[must_use]
    pub fn control_out(id: u32, setup: Setup, data: &[u8]) -> Self {
        let (length, data) = (data.len(), data.to_vec());
        Self { id, endpoint: 0, direction: Direction::Out, setup, length, data }
    }

    /// A request for data from another endpoint.
    #[must_use]
    pub fn input(id: u32, endpoint: u8, length: usize) -> Self {
        let setup = Setup::default();
        Self { id, endpoint, direction: Direction::In, setup, length, data: Vec::new() }
    }

    /// Data for another endpoint.
    #[must_use]
    pub fn output(id: u32, endpoint: u8, data: &[u8]) -> Self {
        Self { endpoint, ..Self::control_out(id, Setup::default(), data) }
    }

    /// The endpoint's address, as descriptors have it: bit 7 is set for IN.
    #[must_use]
    pub const fn address(&self) -> u8 {
        match self.direction {
            Direction::In => self.endpoint | 0x80,
            Direction::Out => self.endpoint,
        }
    }

    /// All of the host's bytes were taken.
    pub(crate) fn taken(&self) -> Completion {
        Completion { id: self.id, status: Status::Done, actual: self.data.len(), data: Vec::new() }
    }

    /// The device sends these bytes, as many of them as the host has room for.
    pub(crate) fn answered(&self, mut data: Vec<u8>) -> Completion {
        data.truncate(self.length);
        Completion { id: self.id, status: Status::Done, actual: data.len(), data }
    }

    /// It did not work.
    pub(crate) const fn failed(&self, status: Status) -> Completion {
        Completion { id: self.id, status, actual: 0, data: Vec::new() }
    }
}

impl Setup {
    /// Reads the eight bytes; numbers are little-endian.
    #[must_use]
    pub const fn parse(bytes: [u8; 8]) -> Self {
        let [request_type, request, v0, v1, i0, i1, l0, l1] = bytes;
        Self {
            request_type,
            request,
            value: u16::from_le_bytes([v0, v1]),
            index: u16::from_le_bytes([i0, i1]),
            length: u16::from_le_bytes([l0, l1]),
        }
    }

    /// Writes the eight bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        let ([v0, v1], [i0, i1], [l0, l1]) =
            (self.value.to_le_bytes(), self.index.to_le_bytes(), self.length.to_le_bytes());
        [self.request_type, self.request, v0, v1, i0, i1, l0, l1]
    }

    /// The high byte of the argument: the kind of a descriptor or a report.
    pub(crate) const fn value_high(self) -> u8 {
        self.value.to_be_bytes()[0]
    }

    /// The low byte of the argument: the number of a descriptor or a report.
    pub(crate) const fn value_low(self) -> u8 {
        self.value.to_be_bytes()[1]
    }

    /// The low byte of the index: an interface or an endpoint.
    pub(crate) const fn index_low(self) -> u8 {
        self.index.to_be_bytes()[1]
    }
}

/// Data may hold passwords and keys, so only its length is shown.
impl fmt::Debug for Urb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Urb")
            .field("id", &self.id)
            .field("address", &format_args!("{:#04x}", self.address()))
            .field("setup", &self.setup)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion")
            .field("id", &self.id)
            .field("status", &self.status)
            .field("actual", &self.actual)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn setup_round_trip(bytes: [u8; 8]) {
            prop_assert_eq!(Setup::parse(bytes).to_bytes(), bytes);
        }

        #[test]
        fn never_more_than_was_asked_for(length in 0_usize..100, data: Vec<u8>) {
            let done = Urb::input(1, 2, length).answered(data.clone());
            prop_assert_eq!(done.data.len(), length.min(data.len()));
            prop_assert_eq!(done.actual, done.data.len());
        }
    }

    #[test]
    fn debug_shows_no_data() {
        let text = format!("{:?}", Urb::output(1, 2, &[0xAB; 4]));
        assert!(!text.contains("171") && !text.to_lowercase().contains("ab, "), "{text}");
    }
}
