//! Lines that keys type at a station. They come at any time; what was typed before it was asked for is
//! of an earlier key, or of somebody who touched one by accident.

use std::{
    sync::{
        LazyLock, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use tapkey_workflow::TouchError;
use zeroize::Zeroizing;

use crate::{exit::Failure, interrupt, prompt};

type Line = Result<Option<Zeroizing<String>>, Failure>;

/// Standard input, read by a thread of its own, so that waiting for it can be given up.
static LINES: LazyLock<Mutex<Receiver<Line>>> = LazyLock::new(|| {
    let (send, receive) = channel();
    thread::spawn(move || {
        loop {
            let line = prompt::read_line();
            let last = !matches!(line, Ok(Some(_)));
            if send.send(line).is_err() || last {
                return;
            }
        }
    });
    Mutex::new(receive)
});

/// Forgets what was typed so far. Only a terminal is typed into by accident: from a pipe every line
/// counts.
pub(super) fn forget() {
    if !prompt::possible() {
        return;
    }
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    while matches!(lines.try_recv(), Ok(Ok(Some(_)))) {}
}

/// The next line; Ctrl-C and the end of the input end the waiting.
pub(super) fn next() -> Result<String, TouchError> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if interrupt::pressed() {
            return Err(TouchError::Cancelled);
        }
        match lines.recv_timeout(PIECE) {
            Ok(Ok(Some(line))) => return Ok(line.to_string()),
            Ok(Err(failure)) => return Err(TouchError::Failed(failure.message().into())),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Ok(None)) | Err(RecvTimeoutError::Disconnected) => return Err(TouchError::Cancelled),
        }
    }
}

/// How often Ctrl-C is looked at.
const PIECE: Duration = Duration::from_millis(100);
