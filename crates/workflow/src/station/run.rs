//! The loop: one key after the other.

use std::{
    error::Error,
    fmt,
    time::{Duration, Instant},
};

use tapkey_api::Timestamp;
use tapkey_protocol::slot::{AccessCode, Slot};

use super::{
    Accounts, Assignment, Bench, LabelPattern, Row, RowResult, Started, StationError, StationJournal,
    bench::{Finished, slot_number},
    list::choose,
};
use crate::enrolment::{Event, KeyFacts, KeyPort, Port, PublicIdChoice, TouchPort};

/// What is to be done with every key.
pub struct Job {
    /// Who gets them.
    pub accounts: Accounts,
    /// Create accounts that do not exist (with a server; administrators only).
    pub create_account: bool,
    /// The slot to program.
    pub slot: Slot,
    /// What to call keys whose row in the list names no label.
    pub label: Option<LabelPattern>,
    /// Where public ids come from.
    pub public_id: PublicIdChoice,
    /// Whether slots get an access code.
    pub access_code: bool,
    /// The slots' present access code, where they have one.
    pub current_access_code: Option<AccessCode>,
    /// Whether programmed slots may be overwritten.
    pub overwrite: bool,
    /// Whether each key has to type a password. Without one, credentials stay pending.
    pub touch: bool,
    /// How many keys to do in this run.
    pub count: Option<u32>,
    /// What the name of a key must contain, in letters of any case.
    pub model: Option<String>,
    /// Whether keys with known faults are refused.
    pub refuse_faults: bool,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("accounts", &self.accounts)
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

/// Where keys come from. Calls block.
pub trait KeySource: Send {
    /// A key.
    type Key: KeyPort + 'static;
    /// How its passwords reach us.
    type Touch: TouchPort + 'static;

    /// Waits for the next key; `None` when no more will come, or Ctrl-C was pressed.
    ///
    /// # Errors
    /// Keys can no longer be looked for.
    fn next(&mut self) -> Arrived<Self::Key, Self::Touch>;

    /// The last key was dealt with and may be pulled out.
    fn dismiss(&mut self) {}
}

/// What [`KeySource::next`] comes back with.
pub type Arrived<K, T> = Result<Option<Arrival<K, T>>, Box<dyn Error + Send + Sync>>;

/// A key that was plugged in.
#[derive(Debug)]
pub struct Arrival<K, T> {
    /// What it is, for people.
    pub name: String,
    /// What is known against it, such as advisories about its firmware, a sentence each.
    pub faults: Vec<String>,
    /// The key.
    pub key: K,
    /// How its passwords reach us.
    pub touch: T,
}

/// What is happening, for a person to follow.
#[derive(Debug)]
#[non_exhaustive]
pub enum StationEvent {
    /// Nothing to do until a key comes.
    Waiting(Progress),
    /// A key came that this job has done before.
    AlreadyDone(Row),
    /// Work on a key begins.
    Started {
        /// What it is.
        name: String,
        /// What is known against it.
        faults: Vec<String>,
        /// Its serial number.
        serial: u32,
        /// What it gets.
        assignment: Assignment,
        /// Whether an earlier run was cut off on it.
        again: bool,
    },
    /// A step of that work.
    Step(Event),
    /// A key is done.
    Done(Row, Progress),
    /// A key was pulled out too early, or the run was cancelled; plugged in again it is finished.
    Interrupted(Row),
    /// The key ended the run.
    Failed(Row),
}

/// How far the job is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Keys done in this run.
    pub now: u32,
    /// Keys done in all runs of the job.
    pub done: usize,
    /// How many it will be, where that is known.
    pub of: Option<usize>,
    /// How long this run has taken.
    pub elapsed: Duration,
}

impl Progress {
    /// Keys per minute in this run.
    #[must_use]
    pub fn per_minute(&self) -> f64 {
        let minutes = self.elapsed.as_secs_f64() / 60.0;
        if minutes > 0.0 { f64::from(self.now) / minutes } else { 0.0 }
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Run {
    /// The keys it dealt with, in their order.
    pub rows: Vec<Row>,
    /// How far the job is.
    pub progress: Progress,
    /// Why it ended.
    pub ended: Ended,
}

/// Why a run ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended {
    /// As many keys as wanted are done.
    Count,
    /// Every row of the list has its key.
    ListDone,
    /// No more keys will come.
    NoMoreKeys,
    /// Something was not as expected.
    Stopped(StationError),
}

/// Deals with keys until something ends it. Runs on a tokio runtime with blocking threads.
pub async fn run<S, B>(
    job: &Job,
    source: S,
    bench: &mut B,
    journal: &mut StationJournal,
    events: &mut (dyn FnMut(StationEvent) + Send),
) -> Run
where
    S: KeySource + 'static,
    B: Bench,
{
    let source = Port::new(source);
    let mut station = Station { job, journal, events, rows: Vec::new(), now: 0, start: Instant::now() };
    let mut ended = match station.work(&source, bench).await {
        Ok(ended) => ended,
        Err(error) if error.is_cancelled() => Ended::NoMoreKeys,
        Err(error) => Ended::Stopped(error),
    };
    if let Err(error) = bench.finish(station.journal)
        && !matches!(ended, Ended::Stopped(_))
    {
        ended = Ended::Stopped(error);
    }
    Run { progress: station.progress(), rows: station.rows, ended }
}

struct Station<'a> {
    job: &'a Job,
    journal: &'a mut StationJournal,
    events: &'a mut (dyn FnMut(StationEvent) + Send),
    rows: Vec<Row>,
    now: u32,
    start: Instant,
}

/// A key that is to be worked on.
struct Taken {
    serial: u32,
    assignment: Assignment,
    /// The account was taken for it just now.
    fresh: bool,
}

impl Station<'_> {
    async fn work<S, B>(&mut self, source: &Port<S>, bench: &mut B) -> Result<Ended, StationError>
    where
        S: KeySource + 'static,
        B: Bench,
    {
        loop {
            if let Some(ended) = self.is_over() {
                return Ok(ended);
            }
            let progress = self.progress();
            (self.events)(StationEvent::Waiting(progress));
            let next = source.run(S::next).await.map_err(|error| StationError::Source(error.into()))?;
            let Some(arrival) = next.map_err(StationError::Source)? else { return Ok(Ended::NoMoreKeys) };
            match self.deal_with(arrival, bench).await {
                Ok(()) => {}
                Err(error) if error.is_removed() => {}
                Err(error) => return Err(error),
            }
            source.run(S::dismiss).await.map_err(|error| StationError::Source(error.into()))?;
        }
    }

    fn is_over(&self) -> Option<Ended> {
        if self.job.count.is_some_and(|count| self.now >= count) {
            return Some(Ended::Count);
        }
        match &self.job.accounts {
            Accounts::List(list)
                if list.left(self.journal.given()).is_empty()
                    && self.journal.unfinished().next().is_none()
                    && !self.waits_for_touch() =>
            {
                Some(Ended::ListDone)
            }
            _ => None,
        }
    }

    /// Whether keys are done as far as an earlier run went, and this one goes further.
    fn waits_for_touch(&self) -> bool {
        self.job.touch && self.journal.unproven()
    }

    async fn deal_with<K, T, B>(&mut self, arrival: Arrival<K, T>, bench: &mut B) -> Result<(), StationError>
    where
        K: KeyPort + 'static,
        T: TouchPort + 'static,
        B: Bench,
    {
        let Arrival { name, faults, key, touch } = arrival;
        let (key, touch) = (Port::new(key), Port::new(touch));
        let facts = key.run(KeyPort::facts).await.map_err(|error| StationError::Source(error.into()))?;
        let facts = facts.map_err(|source| StationError::Read { name: name.clone(), source })?;
        let Some(taken) = self.take(&name, &faults, facts)? else { return Ok(()) };
        let Taken { serial, assignment, fresh } = taken;
        let started =
            StationEvent::Started { name, faults, serial, assignment: assignment.clone(), again: !fresh };
        (self.events)(started);
        let started = Started { key, touch, facts, serial, assignment: assignment.clone() };
        let mut step = |event| (self.events)(StationEvent::Step(event));
        let outcome = bench.enrol(self.job, started, self.journal, &mut step).await;
        let mut row = self.row(serial, &facts, &assignment);
        match outcome {
            Ok(finished) => self.done(row, finished),
            Err(error) => {
                if fresh && error.leaves_nothing() && !self.journal.key(serial).writing {
                    self.journal.release(serial)?;
                }
                let cut = error.is_removed() || error.is_cancelled();
                row.result = if cut { RowResult::Interrupted } else { RowResult::Failed };
                row.public_id = self.journal.key(serial).drawn.map(|(_, public_id)| public_id);
                row.detail = Some(chain(&error));
                self.rows.push(row.clone());
                (self.events)(if cut { StationEvent::Interrupted(row) } else { StationEvent::Failed(row) });
                Err(error)
            }
        }
    }

    /// Everything that has to hold before a key is touched. `None` where it is done already.
    fn take(
        &mut self,
        name: &str,
        faults: &[String],
        facts: KeyFacts,
    ) -> Result<Option<Taken>, StationError> {
        let no_serial = || StationError::NoSerial { name: name.to_owned() };
        let serial = facts.serial.ok_or_else(no_serial)?;
        let state = self.journal.key(serial);
        if let Some(row) = state.done
            && (row.result.is_proven() || !self.job.touch)
        {
            (self.events)(StationEvent::AlreadyDone(row));
            return Ok(None);
        }
        if let Some(why) = self.unfit(name, faults) {
            return Err(StationError::Unfit { serial, why });
        }
        if let Some(assignment) = state.assignment {
            return Ok(Some(Taken { serial, assignment, fresh: false }));
        }
        let slot = self.job.slot;
        let ours = state.drawn.is_some() && state.writing;
        if facts.is_programmed(slot) && !self.job.overwrite && !ours {
            return Err(StationError::SlotProgrammed { serial, slot });
        }
        let assignment = self.assignment(serial)?;
        self.journal.assign(serial, assignment.clone())?;
        Ok(Some(Taken { serial, assignment, fresh: true }))
    }

    fn unfit(&self, name: &str, faults: &[String]) -> Option<String> {
        let model = self.job.model.as_ref();
        let other = model.filter(|model| !name.to_lowercase().contains(&model.to_lowercase()));
        if let Some(model) = other {
            return Some(format!("it is a {name}, and not a {model}"));
        }
        (self.job.refuse_faults && !faults.is_empty()).then(|| faults.join("; "))
    }

    fn assignment(&self, serial: u32) -> Result<Assignment, StationError> {
        let number = self.journal.next_number();
        let (account, row) = match &self.job.accounts {
            Accounts::One(account) => (account.clone(), None),
            Accounts::List(list) => {
                let left = list.left(self.journal.given());
                let row = choose(&left, serial).ok_or_else(|| self.exhausted(serial, left.len()))?;
                (row.account.clone(), Some(row.clone()))
            }
        };
        let pattern = || self.job.label.as_ref().map(|pattern| pattern.fill(number, serial, &account));
        let label = row.as_ref().and_then(|row| row.label.clone()).or_else(pattern);
        if let Some(label) = label.as_ref().filter(|label| !is_label(label)) {
            return Err(StationError::Label { serial, label: label.clone() });
        }
        Ok(Assignment { account, label, number, row })
    }

    fn exhausted(&self, serial: u32, left: usize) -> StationError {
        let kept: Vec<_> =
            self.journal.unfinished().map(|(serial, to)| format!("{} for {serial}", to.account)).collect();
        let mut why = vec![format!("{} keys of the list are done", self.journal.done())];
        if left > 0 {
            why.push(format!("{left} rows of it name other serial numbers"));
        }
        if !kept.is_empty() {
            why.push(format!("kept for keys that were begun: {}", kept.join(", ")));
        }
        StationError::ListExhausted { serial, why: why.join("; ") }
    }

    fn done(&mut self, mut row: Row, finished: Finished) -> Result<(), StationError> {
        row.public_id = Some(finished.public_id);
        row.id = finished.id;
        row.result = finished.result;
        row.resumed = finished.resumed;
        self.journal.finished(row.clone())?;
        self.rows.push(row.clone());
        self.now = self.now.saturating_add(1);
        let progress = self.progress();
        (self.events)(StationEvent::Done(row, progress));
        Ok(())
    }

    fn row(&self, serial: u32, facts: &KeyFacts, assignment: &Assignment) -> Row {
        Row {
            at: Timestamp::now(),
            serial,
            firmware: facts.version.to_string(),
            slot: slot_number(self.job.slot),
            account: assignment.account.clone(),
            label: assignment.label.clone(),
            public_id: None,
            id: None,
            result: RowResult::Failed,
            resumed: false,
            detail: None,
        }
    }

    fn progress(&self) -> Progress {
        let done = self.journal.done();
        let of = match (&self.job.accounts, self.job.count) {
            (Accounts::List(list), _) => Some(list.left(self.journal.given()).len() + self.journal.begun()),
            (Accounts::One(_), Some(count)) => {
                let left = usize::try_from(count.saturating_sub(self.now)).unwrap_or(usize::MAX);
                Some(done.saturating_add(left))
            }
            (Accounts::One(_), None) => None,
        };
        Progress { now: self.now, done, of, elapsed: self.start.elapsed() }
    }
}

/// The servers' rule for labels.
fn is_label(label: &str) -> bool {
    (1..=128).contains(&label.chars().count()) && !label.chars().any(char::is_control)
}

/// An error and everything below it, each part said once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let part = next.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        cause = next.source();
    }
    text
}
