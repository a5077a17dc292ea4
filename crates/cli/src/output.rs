//! Output: data on standard output, talk on standard error; for people, or as JSON.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::{
    args::{Color, Global},
    exit::Failure,
    progress::above,
};

/// Writes everything that a command says.
#[derive(Debug)]
pub(crate) struct Printer {
    json: bool,
    quiet: bool,
    verbosity: u8,
}

impl Printer {
    /// Sets colours up once for the whole process.
    pub(crate) fn new(global: &Global) -> Self {
        let choice = match global.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        start_log(global.verbose);
        Self { json: global.json, quiet: global.quiet, verbosity: global.verbose }
    }

    /// Whether the output is for a program.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether `-v` was given.
    pub(crate) const fn is_verbose(&self) -> bool {
        self.verbosity > 0
    }

    /// The result of a command: one line of JSON that names its shape, or text for people.
    pub(crate) fn result<T: Serialize>(
        &self,
        schema: &'static str,
        value: &T,
        human: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let text = if self.json { json_line(schema, value)? } else { human(value) };
        above(|| {
            let mut out = anstream::stdout().lock();
            out.write_all(text.as_bytes())?;
            if !text.is_empty() && !text.ends_with('\n') {
                out.write_all(b"\n")?;
            }
            out.flush()?;
            Ok(())
        })
    }

    /// Text that stands on standard output as it is, for people and programs alike.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        above(|| {
            let mut out = io::stdout().lock();
            out.write_all(bytes)?;
            out.flush()?;
            Ok(())
        })
    }

    /// A remark to the person in front of the terminal; `-q` leaves it out.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        if !self.quiet {
            talk(text.as_ref());
        }
    }

    /// A remark that only `-v` shows.
    pub(crate) fn detail(&self, text: impl AsRef<str>) {
        if self.verbosity > 0 {
            talk(text.as_ref());
        }
    }

    /// Something that is not wrong yet; shown with `-q` as well.
    pub(crate) fn warn(&self, text: impl AsRef<str>) {
        talk(&format!("{} {}", paint(WARNING, "warning:"), text.as_ref()));
    }

    /// Why the command ended, with what to do about it.
    pub(crate) fn failure(&self, failure: &Failure) {
        if failure.is_reported() {
            return;
        }
        if self.json {
            let document = ErrorDocument {
                error: failure.exit().name(),
                exit: failure.exit().code(),
                message: failure.message(),
                hint: failure.advice(),
            };
            if let Ok(line) = json_line("error/1", &document) {
                talk(line.trim_end());
            }
            return;
        }
        talk(&format!("{} {}", paint(ERROR, "error:"), failure.message()));
        if let Some(hint) = failure.advice() {
            talk(&format!("{} {hint}", paint(HINT, " hint:")));
        }
    }
}

/// A remark from where no printer is at hand.
pub(crate) fn notice(text: &str) {
    talk(text);
}

/// A title in a text for people.
pub(crate) fn title(text: &str) -> String {
    paint(TITLE, text)
}

/// Something good in a text for people; the words alone say it too.
pub(crate) fn good(text: &str) -> String {
    paint(GOOD, text)
}

/// Something bad in a text for people; the words alone say it too.
pub(crate) fn bad(text: &str) -> String {
    paint(ERROR, text)
}

/// Something that changes in a text for people; the words alone say it too.
pub(crate) fn notable(text: &str) -> String {
    paint(WARNING, text)
}

/// Something beside the matter in a text for people.
pub(crate) fn faint(text: &str) -> String {
    paint(FAINT, text)
}

/// Names and values, the values under each other.
pub(crate) fn fields<N: AsRef<str>, V: AsRef<str>>(rows: &[(N, V)]) -> String {
    let width = rows.iter().map(|(name, _)| name.as_ref().chars().count()).max().unwrap_or(0);
    rows.iter()
        .map(|(name, value)| {
            let padding = " ".repeat(width - name.as_ref().chars().count());
            format!("{}{padding}  {}\n", paint(FAINT, name.as_ref()), value.as_ref())
        })
        .collect()
}

/// A table with a head; columns are separated by two spaces, and nothing is cut.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        rows.iter().map(|row| visible(&row[column])).chain([visible(head[column])]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N], style: Style| {
        let mut text = String::new();
        for (column, cell) in cells.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < N {
                text.push_str(&" ".repeat(widths[column] - visible(cell) + 2));
            }
        }
        format!("{}\n", paint(style, text.trim_end()))
    };
    let mut text = line(head, FAINT);
    for row in rows {
        text.push_str(&line(row.each_ref().map(String::as_str), Style::new()));
    }
    text
}

/// A text broken into lines so that it fits beside what stands left of it on a terminal: `indent` columns.
/// Elsewhere, and on a terminal that is too narrow for it, it stays as it is. Words are never cut.
pub(crate) fn beside(indent: usize, text: &str) -> String {
    wrapped(text, indent, terminal_width().unwrap_or(usize::MAX))
}

fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let room = width.saturating_sub(indent);
    if room < NARROWEST {
        return text.to_owned();
    }
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| visible(line));
        match lines.last_mut() {
            Some(last) if last.is_empty() || line + 1 + visible(word) <= room => {
                if !last.is_empty() {
                    last.push(' ');
                }
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

/// The columns of the terminal that standard output is.
fn terminal_width() -> Option<usize> {
    #[cfg(unix)]
    {
        let size = io::stdout().is_terminal().then(|| rustix::termios::tcgetwinsize(io::stdout()).ok())??;
        Some(usize::from(size.ws_col)).filter(|columns| *columns != 0)
    }
    #[cfg(not(unix))]
    None
}

/// Text in fewer columns is harder to read than long lines.
const NARROWEST: usize = 24;

/// How many columns a text takes, without what only colours it.
fn visible(text: &str) -> usize {
    anstream::adapter::strip_str(text).map(|piece| piece.chars().count()).sum()
}

/// `yes` or `no`.
pub(crate) const fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// One line of JSON whose first field names its shape.
pub(crate) fn json_line<T: Serialize>(schema: &'static str, value: &T) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Document<'a, T> {
        schema: &'static str,
        #[serde(flatten)]
        value: &'a T,
    }
    serde_json::to_string(&Document { schema, value })
        .map(|line| line + "\n")
        .map_err(|error| Failure::failed(format!("cannot write JSON: {error}")))
}

#[derive(Serialize)]
struct ErrorDocument<'a> {
    error: &'static str,
    exit: u8,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Nobody can be told when standard error is closed, so that is not an error.
fn talk(text: &str) {
    let _ = above(|| writeln!(anstream::stderr().lock(), "{text}"));
}

/// Logs of the layers below go to standard error: warnings always, more with `-v`, or as `TAPKEY_LOG` says.
fn start_log(verbosity: u8) {
    let level = match verbosity {
        0 => "error",
        1 => "warn,tapkey=info",
        2 => "info,tapkey=debug",
        _ => "debug,tapkey=trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("TAPKEY_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .try_init();
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const TITLE: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_names_its_shape_first() {
        #[derive(Serialize)]
        struct Example {
            answer: u8,
        }
        assert_eq!(
            json_line("example/1", &Example { answer: 42 }).unwrap(),
            "{\"schema\":\"example/1\",\"answer\":42}\n"
        );
    }

    #[test]
    fn long_texts_are_broken_between_words() {
        let text = "one two three four five six seven";
        assert_eq!(wrapped(text, 4, 28), "one two three four five\n    six seven");
        assert_eq!(wrapped(text, 4, 20), text, "too narrow");
        assert_eq!(wrapped(text, 4, usize::MAX), text);
        let long = "/a/path/that/is/longer/than/a/line x";
        assert_eq!(wrapped(long, 0, 24), "/a/path/that/is/longer/than/a/line\nx");
        assert_eq!(wrapped("", 2, 80), "");
    }

    #[test]
    fn columns_stand_under_each_other() {
        let text = table(["A", "LONG"], &[["wide cell".into(), "x".into()], ["y".into(), "z".into()]]);
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, "A          LONG\nwide cell  x\ny          z\n");
        let coloured = table(["A", "B"], &[[good("yes"), "x".into()], ["no".into(), "z".into()]]);
        let plain = anstream::adapter::strip_str(&coloured).to_string();
        assert_eq!(plain, "A    B\nyes  x\nno   z\n");
    }
}
