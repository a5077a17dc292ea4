//! The keyboard: strokes become reports, at a keyboard's pace.

use std::collections::VecDeque;

use tapkey_protocol::keyboard::{self, KEYBOARD_REPORT_SIZE, KeyboardReport, Stroke};

use crate::clock::Milliseconds;

/// How fast the key types.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Speed {
    /// As a key does: a report every 10 ms, which makes 20 ms per character, and the slot's own
    /// pauses on top.
    #[default]
    Real,
    /// As fast as the host takes it, without pauses.
    Fast,
}

/// The keyboard's lights, as the host sets them (USB HID 1.11 appendix B.1).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Leds(pub u8);

impl Leds {
    /// Num Lock is on.
    #[must_use]
    pub const fn num_lock(self) -> bool {
        self.0 & 0x01 != 0
    }

    /// Caps Lock is on: what the key types arrives in capitals.
    #[must_use]
    pub const fn caps_lock(self) -> bool {
        self.0 & 0x02 != 0
    }

    /// Scroll Lock is on.
    #[must_use]
    pub const fn scroll_lock(self) -> bool {
        self.0 & 0x04 != 0
    }
}

#[derive(Debug, Default)]
pub(super) struct Keyboard {
    queue: VecDeque<Step>,
    /// When the next report may go.
    due: Milliseconds,
    /// The next report is the first after a pause, and sets the time for those that follow.
    rested: bool,
    speed: Speed,
    leds: Leds,
    last: KeyboardReport,
}

enum Step {
    Report(KeyboardReport),
    Pause(Milliseconds),
}

impl Keyboard {
    pub(super) const fn set_speed(&mut self, speed: Speed) {
        self.speed = speed;
    }

    pub(super) const fn set_leds(&mut self, leds: Leds) {
        self.leds = leds;
    }

    pub(super) const fn leds(&self) -> Leds {
        self.leds
    }

    /// The report that the host got last.
    pub(super) const fn last(&self) -> KeyboardReport {
        self.last
    }

    /// Types, after what is still to be typed.
    pub(super) fn type_strokes(&mut self, strokes: &[Stroke]) {
        self.rested |= self.queue.is_empty();
        for stroke in strokes {
            match stroke {
                Stroke::Press(key) => {
                    self.queue.push_back(Step::Report(keyboard::press(*key)));
                    self.queue.push_back(Step::Report(keyboard::release()));
                }
                Stroke::DelayMilliseconds(pause) => {
                    self.queue.push_back(Step::Pause(Milliseconds(u64::from(*pause))));
                }
            }
        }
    }

    /// Nothing is left to be typed.
    pub(super) fn is_quiet(&self) -> bool {
        self.queue.is_empty()
    }

    /// The next report, if its time has come.
    pub(super) fn take(&mut self, now: Milliseconds) -> Option<[u8; KEYBOARD_REPORT_SIZE]> {
        self.skip_pauses(now);
        if self.due > now {
            return None;
        }
        let Some(Step::Report(report)) = self.queue.pop_front() else { return None };
        if self.speed == Speed::Real {
            // A host polls on a grid: what misses a turn goes with the next one.
            let from = if std::mem::take(&mut self.rested) { now } else { self.due };
            let missed = (now - from).0 / INTERVAL.0;
            self.due = from + Milliseconds((missed + 1) * INTERVAL.0);
        }
        self.last = report;
        Some(report)
    }

    /// When [`take`](Self::take) will have something.
    pub(super) fn next_event(&mut self, now: Milliseconds) -> Option<Milliseconds> {
        self.skip_pauses(now);
        (!self.queue.is_empty()).then(|| self.due.max(now))
    }

    fn skip_pauses(&mut self, now: Milliseconds) {
        while let Some(Step::Pause(pause)) = self.queue.front() {
            if self.speed == Speed::Real {
                self.due = self.due.max(now) + *pause;
            }
            self.queue.pop_front();
        }
    }
}

/// What is queued may be a password.
impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

/// The interval of the endpoint.
const INTERVAL: Milliseconds = Milliseconds(10);

#[cfg(test)]
mod tests {
    use tapkey_protocol::keyboard::{Key, pressed, us_character, us_key};

    use super::*;

    fn strokes(text: &str) -> Vec<Stroke> {
        text.chars().map(|one| Stroke::Press(us_key(one).unwrap())).collect()
    }

    /// Everything that a host gets which polls each millisecond, with the times.
    fn listen(keyboard: &mut Keyboard) -> (String, Vec<u64>) {
        let (mut text, mut times) = (String::new(), Vec::new());
        for now in 1000..4000 {
            while let Some(report) = keyboard.take(Milliseconds(now)) {
                times.push(now - 1000);
                text.extend(pressed(&report).and_then(us_character));
            }
        }
        (text, times)
    }

    #[test]
    fn twenty_milliseconds_per_character() {
        let mut keyboard = Keyboard::default();
        keyboard.type_strokes(&strokes("cbdE"));
        let (text, times) = listen(&mut keyboard);
        assert_eq!(text, "cbdE");
        assert_eq!(times, [0, 10, 20, 30, 40, 50, 60, 70]);
        assert!(keyboard.is_quiet());
        assert_eq!(keyboard.last(), keyboard::release());
    }

    #[test]
    fn pauses_come_on_top_and_fast_has_none() {
        let typed = [Stroke::Press(Key::ENTER), Stroke::DelayMilliseconds(500), Stroke::Press(Key::TAB)];
        let mut keyboard = Keyboard::default();
        keyboard.type_strokes(&typed);
        let (_, times) = listen(&mut keyboard);
        assert_eq!(times[..2], [0, 10]);
        assert!((510..=521).contains(&times[2]), "{times:?}");
        let mut keyboard = Keyboard::default();
        keyboard.set_speed(Speed::Fast);
        keyboard.type_strokes(&typed);
        assert_eq!(listen(&mut keyboard).1, [0; 4]);
    }

    #[test]
    fn a_host_that_comes_late_gets_no_burst() {
        let mut keyboard = Keyboard::default();
        keyboard.type_strokes(&strokes("ab"));
        assert!(keyboard.take(Milliseconds(100)).is_some());
        assert!(keyboard.take(Milliseconds(500)).is_some());
        assert!(keyboard.take(Milliseconds(505)).is_none());
        assert_eq!(keyboard.next_event(Milliseconds(505)), Some(Milliseconds(510)));
        assert!(keyboard.take(Milliseconds(510)).is_some());
    }

    #[test]
    fn strokes_do_not_show() {
        let mut keyboard = Keyboard::default();
        keyboard.type_strokes(&strokes("secret"));
        assert!(!format!("{keyboard:?}").contains("22"), "{keyboard:?}");
    }
}
