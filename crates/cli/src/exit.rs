//! Exit codes, and the failures that lead to them.

use std::{fmt, io, process::ExitCode};

/// What the process tells its caller. Stable: scripts branch on these numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// The reader of our output went away, which is its right.
    Done = 0,
    /// Something failed that has no number of its own.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// No key, or several and none chosen.
    NoKey = 3,
    /// The key refused: access code, touch, wrong kind of slot.
    Key = 4,
    /// The server refused: bad or replayed password, missing rights.
    Rejected = 5,
    /// The server, the reader or the smart-card service cannot be reached.
    Unreachable = 6,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoKey => 3,
            Self::Key => 4,
            Self::Rejected => 5,
            Self::Unreachable => 6,
            Self::Interrupted => 130,
        }
    }

    /// A word for the number, for `--json`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NoKey => "no-key",
            Self::Key => "refused-by-key",
            Self::Rejected => "rejected-by-server",
            Self::Unreachable => "unreachable",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what it was asked for: what was wrong, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
    reported: bool,
}

impl Failure {
    /// A failure with this exit code.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, reported: false }
    }

    /// A failure without an exit code of its own.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// The command line or the configuration asks for something impossible.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Only an exit code: the command's own output has said everything.
    pub(crate) const fn reported(exit: Exit) -> Self {
        Self { exit, message: String::new(), hint: None, reported: true }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether there is nothing left to say.
    pub(crate) fn is_reported(&self) -> bool {
        self.reported || self.exit == Exit::Done
    }

    /// What was wrong.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Writing to standard output failed. A reader that closed the pipe (`tapkey list | head -1`) is
/// no failure.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let exit = if error.kind() == io::ErrorKind::BrokenPipe { Exit::Done } else { Exit::Failed };
        Self::new(exit, format!("cannot write the output: {error}"))
    }
}

/// An error and everything below it in one line, each part said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_success() {
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).exit(), Exit::Done);
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::StorageFull)).exit(), Exit::Failed);
    }

    #[test]
    fn numbers_are_what_the_documentation_says() {
        let all = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::NoKey,
            Exit::Key,
            Exit::Rejected,
            Exit::Unreachable,
            Exit::Interrupted,
        ];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4, 5, 6, 130]);
        let documentation = include_str!("../../../docs/cli.md");
        for exit in all {
            assert!(documentation.contains(&format!("| {} |", exit.code())), "{exit:?}");
        }
    }
}
