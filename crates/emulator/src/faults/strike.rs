//! A plan at work: counting, and what follows from a fault for the reports after it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tapkey_protocol::hid::{FLAG_RESPONSE, FLAG_WRITE, MASK_SEQUENCE};
use tapkey_protocol::link::Report;

use super::{Fault, Occasion, PlannedFault, When};
use crate::clock::Milliseconds;
use crate::random::{RandomSource, SeededRandom};

/// The faults of one key. Clones are handles of the same plan, so that it can be changed while the
/// key is in use.
#[derive(Clone, Default)]
pub struct Faults {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// False as long as there is nothing to look for.
    armed: AtomicBool,
    work: Mutex<Work>,
}

struct Work {
    planned: Vec<Planned>,
    random: SeededRandom,
    reports: Reports,
    power_cut: bool,
}

struct Planned {
    planned: PlannedFault,
    /// Where it begins to strike, drawn when it was added.
    from: u32,
    seen: u32,
    fired: u32,
}

/// What earlier faults still do to reports.
#[derive(Default)]
struct Reports {
    stuck_reads: u32,
    busy_until: Option<Milliseconds>,
    answering: bool,
    parts_left: Option<u8>,
}

/// A fault of a plan and how far it is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FaultReport {
    /// The fault as it is written.
    pub fault: String,
    /// How often what it counts has happened since it was added.
    pub seen: u32,
    /// How often it has struck.
    pub fired: u32,
}

/// What becomes of a report that the host writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum WriteFate {
    Arrives,
    Lost,
    Stalled,
    Unplugged,
}

/// What becomes of a read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReadFate {
    Served,
    /// One report is dropped, the next one served.
    Skipped,
    /// The key shows that it is busy.
    Busy,
    /// The answer ends here.
    Ended,
    Stalled,
    Unplugged,
}

impl Faults {
    /// An empty plan, and seed 0 for whatever is drawn.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty plan with this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let faults = Self::new();
        faults.lock().random = SeededRandom::new(seed);
        faults
    }

    /// Adds a fault. What it counts is counted from now on.
    pub fn add(&self, planned: PlannedFault) {
        let mut work = self.lock();
        let from = match planned.when {
            When::At { first, last, .. } => {
                let span = u64::from(last.saturating_sub(first)) + 1;
                let drawn = work.draw() % span;
                first.saturating_add(u32::try_from(drawn).unwrap_or(0))
            }
            When::Chance { .. } => 1,
        };
        work.planned.push(Planned { planned, from, seen: 0, fired: 0 });
        self.shared.armed.store(true, Ordering::SeqCst);
    }

    /// The plan, in the order in which it was made.
    #[must_use]
    pub fn list(&self) -> Vec<FaultReport> {
        let report =
            |one: &Planned| FaultReport { fault: one.planned.to_string(), seen: one.seen, fired: one.fired };
        self.lock().planned.iter().map(report).collect()
    }

    /// Forgets the plan, and ends what its faults still do.
    pub fn clear(&self) {
        let mut work = self.lock();
        work.planned.clear();
        work.reports = Reports::default();
        // A power cut lasts until the key is plugged in again.
        self.shared.armed.store(work.power_cut, Ordering::SeqCst);
    }

    /// Tells the plan what happens, and returns what strikes now. Ports that carry more than
    /// reports and card commands (a USB port, say) call this themselves.
    #[must_use]
    pub fn occur(&self, occasions: &[Occasion]) -> Vec<Fault> {
        if !self.is_armed() {
            return Vec::new();
        }
        self.lock().occur(occasions)
    }

    /// Whether there is anything to look for.
    pub(crate) fn is_armed(&self) -> bool {
        self.shared.armed.load(Ordering::SeqCst)
    }

    pub(crate) fn cut_power(&self) {
        self.lock().power_cut = true;
    }

    pub(crate) fn is_power_cut(&self) -> bool {
        self.is_armed() && self.lock().power_cut
    }

    /// True when power had been cut.
    pub(crate) fn restore_power(&self) -> bool {
        self.is_armed() && std::mem::take(&mut self.lock().power_cut)
    }

    /// The host writes a report.
    pub(crate) fn on_write(&self, report: &Report, now: Milliseconds) -> WriteFate {
        self.lock().on_write(report, now)
    }

    /// The host reads a report.
    pub(crate) fn on_read(&self, now: Milliseconds) -> ReadFate {
        self.lock().on_read(now)
    }

    /// The key gave this report to the host.
    pub(crate) fn alter(&self, report: &mut Report) {
        self.lock().alter(report);
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.shared.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    fn occur(&mut self, occasions: &[Occasion]) -> Vec<Fault> {
        let random = &mut self.random;
        let strikes = |one: &mut Planned| {
            if !occasions.iter().any(|occasion| one.planned.fault.counts(*occasion)) {
                return None;
            }
            one.seen = one.seen.saturating_add(1);
            let strikes = match one.planned.when {
                When::Chance { percent } => draw(random) % 100 < u64::from(percent),
                When::At { times, .. } => {
                    one.seen >= one.from && times.is_none_or(|times| one.seen - one.from < times)
                }
            };
            strikes.then(|| {
                one.fired = one.fired.saturating_add(1);
                one.planned.fault
            })
        };
        self.planned.iter_mut().filter_map(strikes).collect()
    }

    fn on_write(&mut self, report: &Report, now: Milliseconds) -> WriteFate {
        let [.., flag] = *report;
        let part = flag & MASK_SEQUENCE;
        if part == 0 || part > LAST_PART {
            // A new command or a reset: the host has given up what went before.
            self.reports.busy_until = None;
            self.reports.answering = false;
            self.reports.parts_left = None;
        }
        let all = [Occasion::Report, Occasion::Write, Occasion::Frame];
        let occasions = if part == LAST_PART { &all[..] } else { &all[..2] };
        let mut fate = WriteFate::Arrives;
        for fault in self.occur(occasions) {
            match fault {
                Fault::StuckWrite { reads } => self.reports.stuck_reads = reads,
                Fault::AnswerDelay(delay) => self.reports.busy_until = Some(now + delay),
                Fault::ReportLost | Fault::WriteLost | Fault::FrameCut => fate = WriteFate::Lost,
                Fault::Stall => fate = WriteFate::Stalled,
                Fault::Unplug => return WriteFate::Unplugged,
                _ => {}
            }
        }
        fate
    }

    fn on_read(&mut self, now: Milliseconds) -> ReadFate {
        let mut fate = ReadFate::Served;
        for fault in self.occur(&[Occasion::Report, Occasion::Read]) {
            match fault {
                Fault::ReportLost | Fault::ReadLost => fate = ReadFate::Skipped,
                Fault::Stall => fate = ReadFate::Stalled,
                Fault::Unplug => return ReadFate::Unplugged,
                _ => {}
            }
        }
        if fate != ReadFate::Served {
            return fate;
        }
        let reports = &mut self.reports;
        if reports.stuck_reads > 0 {
            reports.stuck_reads -= 1;
            return ReadFate::Busy;
        }
        if reports.busy_until.is_some_and(|until| now < until) {
            return ReadFate::Busy;
        }
        if reports.parts_left == Some(0) {
            reports.parts_left = None;
            reports.answering = false;
            return ReadFate::Ended;
        }
        ReadFate::Served
    }

    fn alter(&mut self, report: &mut Report) {
        let flag = report[7];
        if flag & FLAG_WRITE != 0 || flag & FLAG_RESPONSE == 0 {
            self.reports.answering = false;
            return;
        }
        if self.reports.answering && flag & MASK_SEQUENCE == 0 {
            // The end mark.
            self.reports.answering = false;
            self.reports.parts_left = None;
            return;
        }
        if !self.reports.answering {
            self.reports.answering = true;
            for fault in self.occur(&[Occasion::Answer]) {
                match fault {
                    // Not the first byte, which may be the length of the rest.
                    Fault::BadCrc => report[1] ^= 0x01,
                    Fault::AnswerCut { parts } => self.reports.parts_left = Some(parts),
                    _ => {}
                }
            }
        }
        self.reports.parts_left = self.reports.parts_left.map(|left| left.saturating_sub(1));
    }

    fn draw(&mut self) -> u64 {
        draw(&mut self.random)
    }
}

impl Default for Work {
    fn default() -> Self {
        Self {
            planned: Vec::new(),
            random: SeededRandom::new(0),
            reports: Reports::default(),
            power_cut: false,
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = self.list().into_iter().map(|one| one.fault);
        f.debug_tuple("Faults").field(&texts.collect::<Vec<_>>()).finish()
    }
}

fn draw(random: &mut SeededRandom) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// A command travels in parts 0 to 9.
const LAST_PART: u8 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(text: &str, seed: u64) -> Vec<u32> {
        let faults = Faults::seeded(seed);
        faults.add(text.parse().unwrap());
        (1..=50).filter(|_| !faults.occur(&[Occasion::Apdu]).is_empty()).collect()
    }

    #[test]
    fn faults_strike_when_they_are_planned() {
        assert_eq!(strikes("mute", 0), [1]);
        assert_eq!(strikes("mute@3x2", 0), [3, 4]);
        assert_eq!(strikes("mute@48x*", 0), [48, 49, 50]);
        assert!(strikes("crc@1x*", 0).is_empty());
        assert!(strikes("mute%0", 0).is_empty());
        assert_eq!(strikes("mute%100", 0).len(), 50);
    }

    #[test]
    fn a_seed_decides_what_is_drawn() {
        for text in ["mute@1-50", "mute%20"] {
            assert_eq!(strikes(text, 1), strikes(text, 1));
            let all: std::collections::BTreeSet<_> = (0..20).map(|seed| strikes(text, seed)).collect();
            assert!(all.len() > 10, "{all:?}");
        }
        assert!((0..100).all(|seed| matches!(strikes("mute@5-7", seed)[..], [5..=7])));
    }

    #[test]
    fn a_cleared_plan_does_nothing_and_says_nothing() {
        let faults = Faults::new();
        assert!(!faults.is_armed());
        faults.add("stuck-write=9@1".parse().unwrap());
        assert_eq!(faults.on_write(&[0, 0, 0, 0, 0, 0, 0, 0x80], Milliseconds::ZERO), WriteFate::Arrives);
        assert_eq!(faults.on_read(Milliseconds::ZERO), ReadFate::Busy);
        assert_eq!(faults.list()[0], FaultReport { fault: "stuck-write=9@1".to_owned(), seen: 1, fired: 1 });
        faults.clear();
        assert!(faults.list().is_empty());
        assert!(!faults.is_armed());
        assert_eq!(faults.on_read(Milliseconds::ZERO), ReadFate::Served);
    }
}
