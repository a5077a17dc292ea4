//! Ctrl-C: at a prompt it ends the process at once; while a key is being talked to, the first one
//! asks the exchange to stop and the second one ends the process.

use std::{
    io::Write,
    sync::{
        LazyLock, Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tapkey_driver::CancelToken;

use crate::exit::Exit;

/// Watches for Ctrl-C from now on. The first call counts.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        remember_terminal();
        // The only failure is a second handler, and there is none.
        let _ = ctrlc::set_handler(on_signal);
    });
}

/// What exchanges with a key look at: fired once Ctrl-C was pressed.
pub(crate) fn token() -> CancelToken {
    watch();
    CANCELLED.clone()
}

/// Whether Ctrl-C was pressed during a [`Busy`] stretch.
pub(crate) fn pressed() -> bool {
    CANCELLED.is_cancelled()
}

/// What to say when Ctrl-C ends the process: where things stand.
pub(crate) fn farewell(text: &str) {
    watch();
    text.clone_into(&mut lock().farewell);
}

/// Runs when Ctrl-C ends the process: removes what the command put up. The last one given counts.
pub(crate) fn on_exit(cleanup: impl FnOnce() + Send + 'static) {
    watch();
    lock().cleanup = Some(Box::new(cleanup));
}

/// Waits for the end of the process if Ctrl-C is ending it: nothing more is to be said or returned.
pub(crate) fn settle() {
    while ENDING.load(Ordering::SeqCst) {
        thread::park();
    }
}

/// A stretch of work that must not be cut in two: while it lives, the first Ctrl-C only raises the flag.
pub(crate) fn busy() -> Busy {
    watch();
    lock().busy += 1;
    Busy(())
}

/// The same, with something to do at the first Ctrl-C: how programs that run until then end.
pub(crate) fn until_stopped(stop: impl FnOnce() + Send + 'static) -> Busy {
    let busy = busy();
    lock().stop = Some(Box::new(stop));
    busy
}

/// See [`busy`].
#[must_use]
pub(crate) struct Busy(());

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = lock();
        state.busy = state.busy.saturating_sub(1);
    }
}

struct State {
    busy: usize,
    farewell: String,
    stop: Option<Box<dyn FnOnce() + Send>>,
    cleanup: Option<Box<dyn FnOnce() + Send>>,
}

static ENDING: AtomicBool = AtomicBool::new(false);

static CANCELLED: LazyLock<CancelToken> = LazyLock::new(CancelToken::new);

static STATE: Mutex<State> =
    Mutex::new(State { busy: 0, farewell: String::new(), stop: None, cleanup: None });

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs on a thread of its own, so locks and output are allowed.
fn on_signal() {
    let mut state = lock();
    let first = !CANCELLED.is_cancelled();
    CANCELLED.cancel();
    if let Some(stop) = state.stop.take() {
        drop(state);
        stop();
        return;
    }
    if state.busy > 0 && first {
        let _ = writeln!(anstream::stderr(), "\nstopping; press Ctrl-C again to end at once");
        return;
    }
    ENDING.store(true, Ordering::SeqCst);
    restore_terminal();
    if let Some(cleanup) = state.cleanup.take() {
        cleanup();
    }
    let farewell = if state.farewell.is_empty() { "nothing was changed" } else { &state.farewell };
    let _ = writeln!(anstream::stderr(), "\ninterrupted: {farewell}");
    std::process::exit(i32::from(Exit::Interrupted.code()));
}

#[cfg(unix)]
static TERMINAL: Mutex<Option<rustix::termios::Termios>> = Mutex::new(None);

/// A hidden prompt switches the echo off; a process that ends there must switch it on again.
#[cfg(unix)]
fn remember_terminal() {
    let settings = rustix::termios::tcgetattr(std::io::stdin()).ok();
    *TERMINAL.lock().unwrap_or_else(PoisonError::into_inner) = settings;
}

#[cfg(unix)]
fn restore_terminal() {
    if let Some(settings) = &*TERMINAL.lock().unwrap_or_else(PoisonError::into_inner) {
        let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, settings);
    }
}

#[cfg(not(unix))]
const fn remember_terminal() {}

#[cfg(not(unix))]
const fn restore_terminal() {}
