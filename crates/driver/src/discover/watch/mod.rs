//! Keys that come and go.
//!
//! ```no_run
//! use tapkey_driver::Control;
//! use tapkey_driver::discover::{Options, watch::{Event, Watch}};
//!
//! for event in Watch::new(&Options::default(), &Control::new()) {
//!     match event? {
//!         Event::Plugged { device, .. } => println!("hello, {device}"),
//!         Event::Unplugged { device } => println!("good-bye, {device}"),
//!         _ => {}
//!     }
//! }
//! # Ok::<(), tapkey_driver::Error>(())
//! ```

#[cfg(all(feature = "hid", target_os = "linux"))]
mod netlink;
mod poll;
mod registry;
mod source;
#[cfg(all(feature = "hid", target_os = "linux"))]
mod uevent;

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use crate::control::Control;
use crate::device::Device;
use crate::discover::{Diagnostic, Options};
use crate::error::Error;
use poll::System;
use registry::{Registry, Seen};

pub use source::{Look, Sighting, Source};

/// Something that happened to keys.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A key is there.
    Plugged {
        /// The key.
        device: Device,
        /// It was there when the watch began.
        already: bool,
    },
    /// A key is gone. A key that was plugged in anew is first gone and then there.
    Unplugged {
        /// The key as it was; its links do not open any more.
        device: Device,
    },
    /// A key is reached by other interfaces than before: a second one appeared, or one of two went.
    Changed {
        /// The key as it is now.
        device: Device,
    },
    /// What was there when the watch began has been told; from now on it is news.
    Ready,
    /// Something could not be looked at. It is told once, and tried again.
    Problem(Diagnostic),
}

/// Tells of keys that are plugged in and pulled out, put on readers and taken off them.
///
/// On Linux the kernel says when something changes on USB (no udev, no rights needed); smart-card
/// readers, and USB on other systems, are looked at several times a second. A key with several
/// interfaces makes one event: news settle for a moment first, and longer when the other half of a
/// key is still to come. A key is asked what it is once, when it comes, and left alone afterwards.
pub struct Watch {
    source: Box<dyn Source>,
    control: Control,
    registry: Registry,
    present: Vec<Seen>,
    numbers: u64,
    /// When the first and the last change came that was not yet dealt with.
    stirred: Option<(Instant, Instant)>,
    begun: bool,
    nudged: bool,
    queue: VecDeque<Event>,
    /// Problems with looking that have been told, by place.
    told: Vec<String>,
    over: bool,
}

impl Watch {
    /// Watches this machine's HID interfaces and readers, until the control's deadline or cancel token
    /// ends it.
    #[must_use]
    pub fn new(options: &Options, control: &Control) -> Self {
        Self::over(Box::new(System::new(options)), control)
    }

    /// Watches something else, such as software keys.
    #[must_use]
    pub fn over(source: Box<dyn Source>, control: &Control) -> Self {
        Self {
            source,
            control: control.clone(),
            registry: Registry::default(),
            present: Vec::new(),
            numbers: 0,
            stirred: None,
            begun: false,
            nudged: true,
            queue: VecDeque::new(),
            told: Vec::new(),
            over: false,
        }
    }

    /// Waits for the next event. The keys that are there already come first, then [`Event::Ready`].
    ///
    /// # Errors
    /// [`Error::Cancelled`] or [`Error::DeadlinePassed`]. Failures to look are events.
    pub fn next_event(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Ok(event);
            }
            self.control.check()?;
            let pause = self.look()?;
            if self.queue.is_empty() {
                self.nudged |= self.source.wait(pause, &self.control)?;
            }
        }
    }

    /// Looks once, and says when to look again.
    fn look(&mut self) -> Result<Duration, Error> {
        let now = self.control.clock().now();
        let look = self.source.look(self.nudged || self.stirred.is_some(), now);
        self.nudged = false;
        self.report_problems(look.problems);
        if self.track(look.sightings, now) {
            self.stirred = Some((self.stirred.map_or(now, |(first, _)| first), now));
        }
        if !self.begun {
            self.update(now, true)?;
            self.begun = true;
            self.queue.push_back(Event::Ready);
        } else if let Some((first, last)) = self.stirred {
            let half_done = look.sees_cards && self.registry.is_half_done(&self.present);
            let due = last + if half_done { OTHER_HALF } else { SETTLE };
            let due = due.min(first + LONGEST);
            if now < due {
                return Ok(due.saturating_duration_since(now).min(SETTLING));
            }
            self.update(now, false)?;
        } else if self.registry.next_try().is_some_and(|at| at <= now) {
            self.update(now, false)?;
        }
        let interval = self.source.interval();
        let next = self.registry.next_try().map(|at| at.saturating_duration_since(now).max(SETTLING));
        Ok(next.map_or(interval, |next| next.min(interval)))
    }

    fn update(&mut self, now: Instant, already: bool) -> Result<(), Error> {
        self.queue.extend(self.registry.update(&self.present, now, already, &self.control)?);
        self.stirred = None;
        Ok(())
    }

    /// Keeps what is still there, and numbers what is new. Whether anything came or went.
    fn track(&mut self, sightings: Vec<Sighting>, now: Instant) -> bool {
        let count = self.present.len();
        self.present.retain(|seen| sightings.iter().any(|one| one.mark == seen.sighting.mark));
        let mut changed = self.present.len() != count;
        for sighting in sightings {
            if !self.present.iter().any(|seen| seen.sighting.mark == sighting.mark) {
                self.numbers += 1;
                self.present.push(Seen { number: self.numbers, since: now, sighting });
                changed = true;
            }
        }
        changed
    }

    fn report_problems(&mut self, problems: Vec<Diagnostic>) {
        self.told.retain(|place| problems.iter().any(|problem| problem.place == *place));
        for problem in problems {
            if !self.told.contains(&problem.place) {
                self.told.push(problem.place.clone());
                self.queue.push_back(Event::Problem(problem));
            }
        }
    }
}

/// Endless until an error, which comes last.
impl Iterator for Watch {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let event = self.next_event();
        self.over = event.is_err();
        Some(event)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("control", &self.control)
            .field("present", &self.present)
            .finish_non_exhaustive()
    }
}

/// Nothing has come or gone for so long: whatever happened is over.
const SETTLE: Duration = Duration::from_millis(300);
/// The same while one half of a key has come or gone and the other has not: a smart-card service
/// takes its time to find a reader and to miss one.
const OTHER_HALF: Duration = Duration::from_millis(1500);
/// However restless, after so long it is told what there is.
const LONGEST: Duration = Duration::from_secs(3);
/// How long to wait between two looks while news settle.
const SETTLING: Duration = Duration::from_millis(100);
