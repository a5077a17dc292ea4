//! What goes on at this moment, on one line of standard error that changes: how far a command is that
//! takes longer than a second, and how many seconds a key still waits for a touch.
//!
//! Only a terminal gets a line that changes. Elsewhere one plain line says that something has begun,
//! `--quiet` leaves it out, and `--json` makes events of touches (`touch/1`) and nothing of progress.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde::Serialize;
use tapkey_driver::TouchEvent;

use crate::{commands::Context, output};

/// Says how far a command is, once it has taken longer than a second. Ends when dropped.
///
/// Nothing may be asked on the terminal while it lives; remarks and warnings may be printed.
#[derive(Debug)]
pub(crate) struct Progress {
    shared: Arc<Shared>,
    ticker: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins. `total` is the number of steps, where it is known; `label` says in a few words what is
    /// being done (`Generating an RSA key`).
    pub(crate) fn start(context: &Context, total: Option<u64>, label: &str) -> Self {
        let shared = Arc::new(Shared {
            label: label.to_owned(),
            total,
            begun: Instant::now(),
            live: can_change(),
            state: Mutex::default(),
            ended: Condvar::new(),
        });
        let silent = context.global.quiet || context.printer.is_json();
        let ticker = (!silent).then(|| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.tick())
        });
        Self { shared, ticker }
    }

    #[allow(dead_code, reason = "for commands of several steps")]
    /// Another step begins, on `text` (a file, a key, an account; may be empty).
    pub(crate) fn step(&self, text: &str) {
        let mut state = locked(&self.shared.state);
        state.step += 1;
        text.clone_into(&mut state.text);
        if state.shown && self.shared.live {
            self.shared.show(&state);
        }
    }

    /// Takes the line away. The command itself says what came of it.
    pub(crate) fn finish(self) {
        drop(self);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        locked(&self.shared.state).over = true;
        self.shared.ended.notify_all();
        if let Some(ticker) = self.ticker.take() {
            let _ = ticker.join();
        }
    }
}

#[derive(Debug)]
struct Shared {
    label: String,
    total: Option<u64>,
    begun: Instant,
    live: bool,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    step: u64,
    text: String,
    shown: bool,
    over: bool,
}

impl Shared {
    /// Shows itself each second, the first time after the first.
    fn tick(&self) {
        let mut state = locked(&self.state);
        let mut next = self.begun + SECOND;
        while !state.over {
            let left = next.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                state = self.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            next += SECOND;
            if self.live {
                self.show(&state);
            } else if !state.shown {
                output::notice(&format!("{} …", self.label));
            }
            state.shown = true;
        }
        if state.shown && self.live {
            locked(&LINE).change(|line| line.progress = None);
        }
    }

    fn show(&self, state: &State) {
        let text = text(&self.label, state.step, self.total, &state.text, self.begun.elapsed().as_secs());
        locked(&LINE).change(|line| line.progress = Some(text));
    }
}

/// `Importing: 3 of 10, alice (12 s)`
fn text(label: &str, step: u64, total: Option<u64>, what: &str, seconds: u64) -> String {
    let mut text = label.to_owned();
    match (step, total) {
        (0, _) => {}
        (step, Some(total)) => text.push_str(&format!(": {step} of {total}")),
        (step, None) => text.push_str(&format!(": {step}")),
    }
    if step > 0 && !what.is_empty() {
        text.push_str(&format!(", {what}"));
    }
    text.push_str(&format!(" ({seconds} s)"));
    text
}

/// Asks for touches.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TouchPrompt {
    /// A line that counts down.
    Counting,
    /// One plain line.
    Plain,
    /// An event for programs.
    Json,
    /// Nothing.
    Silent,
}

impl TouchPrompt {
    /// As the global options and the terminal want it.
    pub(crate) fn new(context: &Context) -> Self {
        if context.global.quiet {
            Self::Silent
        } else if context.printer.is_json() {
            Self::Json
        } else if can_change() {
            Self::Counting
        } else {
            Self::Plain
        }
    }

    /// What a [`Control`](tapkey_driver::Control) calls.
    pub(crate) fn tell(self, event: TouchEvent) {
        match (self, event) {
            (Self::Counting, event) => locked(&LINE).change(|line| line.touch = touch_text(event)),
            (Self::Plain, TouchEvent::Needed { .. }) => output::notice("Touch your key"),
            (Self::Json, event) => {
                if let Some(line) =
                    TouchDocument::of(event).and_then(|it| output::json_line("touch/1", &it).ok())
                {
                    output::notice(line.trim_end());
                }
            }
            _ => {}
        }
    }
}

fn touch_text(event: TouchEvent) -> Option<String> {
    let seconds = match event {
        TouchEvent::Needed { seconds_left } => seconds_left,
        TouchEvent::Waiting { seconds_left } => Some(seconds_left),
        _ => return None,
    };
    Some(match seconds {
        Some(seconds) => format!("Touch your key ({seconds} s left)"),
        None => "Touch your key".to_owned(),
    })
}

#[derive(Serialize)]
struct TouchDocument {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_left: Option<u8>,
}

impl TouchDocument {
    fn of(event: TouchEvent) -> Option<Self> {
        match event {
            TouchEvent::Needed { seconds_left } => Some(Self { event: "needed", seconds_left }),
            TouchEvent::Over => Some(Self { event: "over", seconds_left: None }),
            _ => None,
        }
    }
}

/// Writes something whole above the line that changes.
pub(crate) fn above<T>(write: impl FnOnce() -> T) -> T {
    let mut line = locked(&LINE);
    line.erase();
    let result = write();
    line.draw();
    result
}

/// The line at the bottom of the terminal. A touch is more urgent than progress.
struct Line {
    touch: Option<String>,
    progress: Option<String>,
    /// Characters that stand there.
    width: usize,
}

static LINE: Mutex<Line> = Mutex::new(Line { touch: None, progress: None, width: 0 });

impl Line {
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        change(self);
        self.draw();
    }

    /// Spaces overwrite what is longer; escape sequences would not work everywhere.
    fn draw(&mut self) {
        let text = self.touch.as_ref().or(self.progress.as_ref());
        let text: String = text.map(|text| text.chars().take(columns() - 1).collect()).unwrap_or_default();
        let width = text.chars().count();
        if width == 0 && self.width == 0 {
            return;
        }
        let blank = self.width.saturating_sub(width);
        let mut out = io::stderr().lock();
        let _ = write!(out, "\r{text}{}{}", " ".repeat(blank), "\u{8}".repeat(blank));
        if width == 0 {
            let _ = write!(out, "\r");
        }
        let _ = out.flush();
        self.width = width;
    }

    fn erase(&mut self) {
        if self.width > 0 {
            let mut out = io::stderr().lock();
            let _ = write!(out, "\r{}\r", " ".repeat(self.width));
            let _ = out.flush();
            self.width = 0;
        }
    }
}

/// Whether a line of standard error can be written over.
fn can_change() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb")
}

#[cfg(unix)]
fn columns() -> usize {
    rustix::termios::tcgetwinsize(io::stderr())
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 1)
        .unwrap_or(80)
}

#[cfg(not(unix))]
const fn columns() -> usize {
    80
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_in_words() {
        assert_eq!(text("Generating a key", 0, None, "", 7), "Generating a key (7 s)");
        assert_eq!(text("Importing", 3, Some(10), "alice", 12), "Importing: 3 of 10, alice (12 s)");
        assert_eq!(text("Importing", 3, None, "", 1), "Importing: 3 (1 s)");
    }

    #[test]
    fn touches_in_words() {
        let needed = TouchEvent::Needed { seconds_left: Some(15) };
        assert_eq!(touch_text(needed).unwrap(), "Touch your key (15 s left)");
        assert_eq!(touch_text(TouchEvent::Needed { seconds_left: None }).unwrap(), "Touch your key");
        assert_eq!(touch_text(TouchEvent::Over), None);
        let line = output::json_line("touch/1", &TouchDocument::of(needed).unwrap()).unwrap();
        assert_eq!(line, "{\"schema\":\"touch/1\",\"event\":\"needed\",\"seconds_left\":15}\n");
        assert!(TouchDocument::of(TouchEvent::Waiting { seconds_left: 3 }).is_none());
    }
}
