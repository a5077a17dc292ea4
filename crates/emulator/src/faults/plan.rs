//! What may go wrong, when, and how both are written.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::clock::Milliseconds;

/// Something that goes wrong. [The module](super) has the table.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// The checksum of an answer over reports is wrong.
    BadCrc,
    /// A report is lost, whichever way it goes.
    ReportLost,
    /// A report that the host wrote is lost.
    WriteLost,
    /// A report for the host is lost; it gets the next one.
    ReadLost,
    /// The last part of a command over reports is lost, so the key never carries it out.
    FrameCut,
    /// An answer over reports ends too early.
    AnswerCut {
        /// So many parts of seven bytes arrive, at least one.
        parts: u8,
    },
    /// The key shows that it has not consumed a report yet.
    StuckWrite {
        /// In so many reads.
        reads: u32,
    },
    /// The transfer of a report fails.
    Stall,
    /// The key stays busy after a command over reports.
    AnswerDelay(Milliseconds),
    /// The key is pulled out while a report travels.
    Unplug,
    /// The card is taken away before it carried a command out.
    Removal,
    /// The card is taken away after it carried a command out and before it answered.
    RemovalAfter,
    /// The card neither carries a command out nor answers.
    Mute,
    /// The card carries a command out and does not answer.
    ResponseLost,
    /// The card refuses a command with this status word.
    Status(u16),
    /// A response arrives cut off.
    ShortResponse {
        /// So many bytes of it arrive, the status word included.
        bytes: usize,
    },
    /// The card takes longer.
    ResponseDelay(Milliseconds),
    /// Nobody touches the key.
    TouchNever,
    /// The power goes while the memory is written.
    PowerCut(PowerCut),
    /// A USB transfer is stalled.
    UsbStall {
        /// Only on this endpoint, direction bit included.
        endpoint: Option<u8>,
    },
    /// A message of the USB card reader carries a wrong sequence number.
    CcidSequence,
    /// The card asks for more time over and over.
    CcidExtension {
        /// So often; without a number for ever.
        times: Option<u32>,
    },
}

/// At which moment of writing the memory the power goes.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum PowerCut {
    /// Nothing was written yet.
    Before,
    /// Half of it was.
    #[default]
    During,
    /// All of it was, but nothing that depends on it has left the key.
    After,
}

/// When a fault strikes, counted from when it was added.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum When {
    /// At a number that is drawn once from `first` to `last` (both from 1), and the following times.
    At {
        /// The earliest.
        first: u32,
        /// The latest; the same for a fixed number.
        last: u32,
        /// How many times in a row; `None` for ever.
        times: Option<u32>,
    },
    /// Each time with a chance.
    Chance {
        /// In a hundred, at most 100.
        percent: u8,
    },
}

/// A fault and when it strikes. It is read from and written as text, such as `crc@1`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PlannedFault {
    /// What goes wrong.
    pub fault: Fault,
    /// When.
    pub when: When,
}

/// Something at which a fault may strike. Ports report them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Occasion {
    /// A report travels, either way.
    Report,
    /// The host writes a report.
    Write,
    /// The host reads a report.
    Read,
    /// The last part of a command is written.
    Frame,
    /// The first part of an answer is read.
    Answer,
    /// A command goes to the card.
    Apdu,
    /// The key begins to wait for a touch.
    TouchWait,
    /// The memory is written.
    StateWrite,
    /// A USB transfer on this endpoint, direction bit included.
    UsbTransfer(u8),
    /// The USB card reader is about to answer a message.
    CcidMessage,
}

/// A text that names no fault.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum UnknownFault {
    /// The name is not known.
    #[error("there is no fault {name:?}; there are {}", names())]
    Name {
        /// The name.
        name: String,
    },
    /// The value does not fit.
    #[error("{value:?} is no value for {name}, which takes {takes}")]
    Value {
        /// The fault.
        name: &'static str,
        /// What was given.
        value: String,
        /// What would do.
        takes: &'static str,
    },
    /// The moment makes no sense.
    #[error(
        "{when:?} does not say when; write @3 for the third time, @3x2 for the third and fourth, @1-20 for one \
         of the first twenty, %5 for a chance of 5 in 100"
    )]
    When {
        /// What was given.
        when: String,
    },
}

impl Fault {
    /// Whether the fault counts this occasion, and may strike at it.
    #[must_use]
    pub fn counts(self, occasion: Occasion) -> bool {
        match self {
            Self::ReportLost | Self::Stall | Self::Unplug => occasion == Occasion::Report,
            Self::WriteLost | Self::StuckWrite { .. } => occasion == Occasion::Write,
            Self::ReadLost => occasion == Occasion::Read,
            Self::FrameCut | Self::AnswerDelay(_) => occasion == Occasion::Frame,
            Self::BadCrc | Self::AnswerCut { .. } => occasion == Occasion::Answer,
            Self::Removal
            | Self::RemovalAfter
            | Self::Mute
            | Self::ResponseLost
            | Self::Status(_)
            | Self::ShortResponse { .. }
            | Self::ResponseDelay(_) => occasion == Occasion::Apdu,
            Self::TouchNever => occasion == Occasion::TouchWait,
            Self::PowerCut(_) => occasion == Occasion::StateWrite,
            Self::UsbStall { endpoint: None } => matches!(occasion, Occasion::UsbTransfer(_)),
            Self::UsbStall { endpoint: Some(endpoint) } => occasion == Occasion::UsbTransfer(endpoint),
            Self::CcidSequence | Self::CcidExtension { .. } => occasion == Occasion::CcidMessage,
        }
    }

    /// The name, without a value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadCrc => "crc",
            Self::ReportLost => "report-lost",
            Self::WriteLost => "write-lost",
            Self::ReadLost => "read-lost",
            Self::FrameCut => "frame-cut",
            Self::AnswerCut { .. } => "answer-cut",
            Self::StuckWrite { .. } => "stuck-write",
            Self::Stall => "stall",
            Self::AnswerDelay(_) => "answer-delay",
            Self::Unplug => "unplug",
            Self::Removal => "removal",
            Self::RemovalAfter => "removal-after",
            Self::Mute => "mute",
            Self::ResponseLost => "response-lost",
            Self::Status(_) => "status",
            Self::ShortResponse { .. } => "short-response",
            Self::ResponseDelay(_) => "response-delay",
            Self::TouchNever => "touch-never",
            Self::PowerCut(_) => "power-cut",
            Self::UsbStall { .. } => "usb-stall",
            Self::CcidSequence => "ccid-sequence",
            Self::CcidExtension { .. } => "ccid-extension",
        }
    }

    /// Every fault once, with its default value.
    pub const ALL: [Self; 22] = [
        Self::BadCrc,
        Self::ReportLost,
        Self::WriteLost,
        Self::ReadLost,
        Self::FrameCut,
        Self::AnswerCut { parts: 1 },
        Self::StuckWrite { reads: 50 },
        Self::Stall,
        Self::AnswerDelay(Milliseconds(300)),
        Self::Unplug,
        Self::Removal,
        Self::RemovalAfter,
        Self::Mute,
        Self::ResponseLost,
        Self::Status(0x6F00),
        Self::ShortResponse { bytes: 1 },
        Self::ResponseDelay(Milliseconds(300)),
        Self::TouchNever,
        Self::PowerCut(PowerCut::During),
        Self::UsbStall { endpoint: None },
        Self::CcidSequence,
        Self::CcidExtension { times: None },
    ];

    /// The same fault with a value, or what it takes instead.
    fn with_value(self, value: &str) -> Result<Self, &'static str> {
        match self {
            Self::AnswerCut { .. } => match value.parse() {
                Ok(parts @ 1..=32) => Ok(Self::AnswerCut { parts }),
                _ => Err("a number of parts from 1 to 32"),
            },
            Self::StuckWrite { .. } => {
                number(value).map(|reads| Self::StuckWrite { reads }).ok_or("a number of reads")
            }
            Self::AnswerDelay(_) => milliseconds(value).map(Self::AnswerDelay).ok_or(MILLISECONDS),
            Self::ResponseDelay(_) => milliseconds(value).map(Self::ResponseDelay).ok_or(MILLISECONDS),
            Self::Status(_) => match (value.len(), u16::from_str_radix(value, 16)) {
                (4, Ok(status)) if !value.starts_with('+') => Ok(Self::Status(status)),
                _ => Err("a status word of four hexadecimal digits"),
            },
            Self::ShortResponse { .. } => number(value)
                .and_then(|bytes| usize::try_from(bytes).ok())
                .map(|bytes| Self::ShortResponse { bytes })
                .ok_or("a number of bytes"),
            Self::PowerCut(_) => match value {
                "before" => Ok(Self::PowerCut(PowerCut::Before)),
                "during" => Ok(Self::PowerCut(PowerCut::During)),
                "after" => Ok(Self::PowerCut(PowerCut::After)),
                _ => Err("before, during or after"),
            },
            Self::UsbStall { .. } => match (value.len(), u8::from_str_radix(value, 16)) {
                (2, Ok(endpoint)) if !value.starts_with('+') => {
                    Ok(Self::UsbStall { endpoint: Some(endpoint) })
                }
                _ => Err("an endpoint of two hexadecimal digits, such as 82"),
            },
            Self::CcidExtension { .. } => match value {
                "*" => Ok(Self::CcidExtension { times: None }),
                value => number(value)
                    .map(|times| Self::CcidExtension { times: Some(times) })
                    .ok_or("a number of times, or *"),
            },
            _ => Err("none"),
        }
    }
}

impl When {
    /// Once, at this number from 1.
    #[must_use]
    pub const fn at(number: u32) -> Self {
        Self::At { first: number, last: number, times: Some(1) }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(percent) = text.strip_prefix('%') {
            let percent = u8::try_from(number(percent)?).ok().filter(|percent| *percent <= 100)?;
            return Some(Self::Chance { percent });
        }
        let text = text.strip_prefix('@')?;
        let (place, times) = match text.split_once('x') {
            Some((place, "*")) => (place, None),
            Some((place, times)) => (place, Some(number(times).filter(|times| *times > 0)?)),
            None => (text, Some(1)),
        };
        let (first, last) = match place.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(place)?, number(place)?),
        };
        (1 <= first && first <= last).then_some(Self::At { first, last, times })
    }
}

impl FromStr for PlannedFault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let at = text.find(['@', '%']).unwrap_or(text.len());
        let (what, when_text) = text.split_at_checked(at).unwrap_or((text, ""));
        let (name, value) = match what.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (what, None),
        };
        let fault = Fault::ALL
            .into_iter()
            .find(|fault| fault.name() == name)
            .ok_or_else(|| UnknownFault::Name { name: name.to_owned() })?;
        let fault = match value {
            None => fault,
            Some(value) => fault.with_value(value).map_err(|takes| UnknownFault::Value {
                name: fault.name(),
                value: value.to_owned(),
                takes,
            })?,
        };
        let when = if when_text.is_empty() { Some(When::at(1)) } else { When::parse(when_text) };
        Ok(Self { fault, when: when.ok_or_else(|| UnknownFault::When { when: when_text.to_owned() })? })
    }
}

impl fmt::Display for PlannedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.fault, self.when)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::AnswerCut { parts } => write!(f, "={parts}"),
            Self::StuckWrite { reads } => write!(f, "={reads}"),
            Self::AnswerDelay(delay) | Self::ResponseDelay(delay) => write!(f, "={}", delay.0),
            Self::Status(status) => write!(f, "={status:04x}"),
            Self::ShortResponse { bytes } => write!(f, "={bytes}"),
            Self::PowerCut(PowerCut::Before) => f.write_str("=before"),
            Self::PowerCut(PowerCut::During) => f.write_str("=during"),
            Self::PowerCut(PowerCut::After) => f.write_str("=after"),
            Self::UsbStall { endpoint: Some(endpoint) } => write!(f, "={endpoint:02x}"),
            Self::CcidExtension { times: Some(times) } => write!(f, "={times}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chance { percent } => write!(f, "%{percent}"),
            Self::At { first, last, times } => {
                write!(f, "@{first}")?;
                if last != first {
                    write!(f, "-{last}")?;
                }
                match times {
                    None => f.write_str("x*"),
                    Some(1) => Ok(()),
                    Some(times) => write!(f, "x{times}"),
                }
            }
        }
    }
}

const MILLISECONDS: &str = "a number of milliseconds";

/// Digits and nothing else; the standard library also takes a plus sign.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn milliseconds(text: &str) -> Option<Milliseconds> {
    number(text).map(|number| Milliseconds(u64::from(number)))
}

fn names() -> String {
    Fault::ALL.map(Fault::name).join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> PlannedFault {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn texts_and_what_they_mean() {
        assert_eq!(parse("crc"), PlannedFault { fault: Fault::BadCrc, when: When::at(1) });
        assert_eq!(parse("report-lost@3").when, When::at(3));
        assert_eq!(parse("stall@3x2").when, When::At { first: 3, last: 3, times: Some(2) });
        assert_eq!(parse("stall@3-9x*").when, When::At { first: 3, last: 9, times: None });
        assert_eq!(parse("mute%5").when, When::Chance { percent: 5 });
        assert_eq!(parse("stuck-write=7@2").fault, Fault::StuckWrite { reads: 7 });
        assert_eq!(parse("status=6985").fault, Fault::Status(0x6985));
        assert_eq!(parse("power-cut=after@4").fault, Fault::PowerCut(PowerCut::After));
        assert_eq!(parse("usb-stall=82").fault, Fault::UsbStall { endpoint: Some(0x82) });
        assert_eq!(parse("ccid-extension=*").fault, Fault::CcidExtension { times: None });
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        for (text, says) in [
            ("", "there are crc, report-lost"),
            ("nonsense@1", "there is no fault \"nonsense\""),
            ("crc=1", "takes none"),
            ("status=+698", "four hexadecimal digits"),
            ("power-cut=never", "before, during or after"),
            ("answer-cut=0", "from 1 to 32"),
            ("answer-delay=+5", "milliseconds"),
            ("crc@0", "does not say when"),
            ("crc@2-1", "does not say when"),
            ("crc@1x0", "does not say when"),
            ("crc%101", "does not say when"),
            ("crc@", "does not say when"),
            ("crc@1%2", "does not say when"),
        ] {
            let error = text.parse::<PlannedFault>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn the_table_of_the_documentation_names_every_fault() {
        let table = include_str!("mod.rs");
        for fault in Fault::ALL {
            assert!(table.contains(&format!("//! | `{}` |", fault.name())), "{fault}");
        }
    }

    fn any_fault() -> impl Strategy<Value = Fault> {
        prop_oneof![
            proptest::sample::select(Fault::ALL.to_vec()),
            (1_u8..=32).prop_map(|parts| Fault::AnswerCut { parts }),
            any::<u32>().prop_map(|reads| Fault::StuckWrite { reads }),
            any::<u32>().prop_map(|time| Fault::AnswerDelay(Milliseconds(u64::from(time)))),
            any::<u32>().prop_map(|time| Fault::ResponseDelay(Milliseconds(u64::from(time)))),
            any::<u16>().prop_map(Fault::Status),
            any::<u16>().prop_map(|bytes| Fault::ShortResponse { bytes: usize::from(bytes) }),
            proptest::sample::select(vec![PowerCut::Before, PowerCut::During, PowerCut::After])
                .prop_map(Fault::PowerCut),
            any::<Option<u8>>().prop_map(|endpoint| Fault::UsbStall { endpoint }),
            any::<Option<u32>>().prop_map(|times| Fault::CcidExtension { times }),
        ]
    }

    fn any_when() -> impl Strategy<Value = When> {
        prop_oneof![
            (0_u8..=100).prop_map(|percent| When::Chance { percent }),
            (1_u32..=u32::MAX, any::<u32>(), proptest::option::of(1_u32..))
                .prop_map(|(first, more, times)| When::At { first, last: first.saturating_add(more), times }),
        ]
    }

    proptest! {
        #[test]
        fn round_trip(fault in any_fault(), when in any_when()) {
            let planned = PlannedFault { fault, when };
            prop_assert_eq!(planned.to_string().parse(), Ok(planned));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = text.parse::<PlannedFault>();
        }

        #[test]
        fn anything_like_a_fault_is_read_or_refused(text in "[a-z-]{0,14}(=[0-9a-z*+]{0,5})?[@%]?[0-9x*-]{0,8}") {
            if let Ok(planned) = text.parse::<PlannedFault>() {
                prop_assert_eq!(planned.to_string().parse(), Ok(planned));
            }
        }
    }
}
