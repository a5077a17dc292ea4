//! Codes as people see them: once, or renewed all the time.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use tapkey_driver::{Control, Error};

use super::{
    code::{Args, Codes, Entry, ask},
    session::Session,
};
use crate::{
    commands::Context,
    exit::{Exit, Failure},
    interrupt, keys,
};

/// Shows the codes until Ctrl-C: in place on a terminal, elsewhere whenever there are new ones.
pub(super) fn run(args: &Args, session: &mut Session<'_>, context: &Context) -> Result<(), Failure> {
    // Ctrl-C is how this is meant to end.
    let _busy = interrupt::until_stopped(|| {});
    let pause = Control::new().with_cancel(interrupt::token());
    let live = io::stdout().is_terminal() && !context.printer.is_json();
    let mut screen = Screen::default();
    let mut codes: Option<Codes> = None;
    loop {
        let now = super::now();
        let current = match codes.take().filter(|codes| codes.are_good(now)) {
            Some(codes) => codes,
            None => {
                let found = ask(args, session, now);
                if interrupt::pressed() {
                    return Err(Failure::reported(Exit::Interrupted));
                }
                let new = Codes::of(session, &found?, now);
                if !live {
                    context.printer.result("oath-codes/1", &new, |codes| text(&codes.accounts, now))?;
                }
                new
            }
        };
        if live {
            let frame = screen.frame(&current.accounts, now, size());
            context.printer.raw(screen.rewind().as_bytes())?;
            screen.lines = frame.lines().count();
            context.printer.result("oath-codes/1", &current, |_| frame)?;
        }
        codes = Some(current);
        match pause.sleep(Duration::from_secs(1)) {
            Ok(()) => {}
            Err(Error::Cancelled) => return Err(Failure::reported(Exit::Interrupted)),
            Err(error) => return Err(keys::refused(error)),
        }
    }
}

impl Codes {
    /// Whether none of the codes has run out, and the clock was not set back.
    fn are_good(&self, now: u64) -> bool {
        self.accounts.iter().all(|entry| {
            entry.valid_from.is_none_or(|from| from <= now)
                && entry.valid_until.is_none_or(|until| now < until)
        })
    }
}

/// The part of the terminal that was written last.
#[derive(Default)]
struct Screen {
    lines: usize,
}

impl Screen {
    /// Goes back to the beginning of what was written and clears from there.
    fn rewind(&self) -> String {
        match self.lines {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\x1b[J"),
        }
    }

    /// What fits: no line is wider than the terminal, and the last one stays free for the cursor.
    fn frame(&self, entries: &[Entry], now: u64, (width, height): (usize, usize)) -> String {
        let room = height.saturating_sub(2).max(1);
        let shown = entries.get(..room.min(entries.len())).unwrap_or(entries);
        let mut frame =
            if entries.is_empty() { "no accounts\n".to_owned() } else { lines(shown, now, width) };
        if shown.len() < entries.len() {
            frame.push_str(&format!("and {} more; make the window higher\n", entries.len() - shown.len()));
        }
        frame
    }
}

/// The codes once, as wide as they are.
pub(super) fn text(entries: &[Entry], now: u64) -> String {
    lines(entries, now, usize::MAX)
}

fn lines(entries: &[Entry], now: u64, width: usize) -> String {
    let code_width = entries.iter().map(|entry| shown_code(entry).chars().count()).max().unwrap_or(0);
    // Two gaps of two, and the time with its bar.
    let rest = code_width + 4 + BAR + 6;
    let names = entries.iter().map(|entry| entry.account.name.chars().count()).max().unwrap_or(0);
    let name_width = names.min(width.saturating_sub(rest).max(8));
    entries
        .iter()
        .map(|entry| {
            let name = cut(&entry.account.name, name_width);
            let code = shown_code(entry);
            let gap = " ".repeat(name_width - name.chars().count() + 2);
            let pad = " ".repeat(code_width - code.chars().count());
            let style = if entry.code.is_some() { CODE } else { FAINT };
            let time = time_left(entry, now).map(|time| format!("{pad}  {time}")).unwrap_or_default();
            format!("{name}{gap}{style}{code}{style:#}{time}\n")
        })
        .collect()
}

/// The code, or why there is none.
fn shown_code(entry: &Entry) -> String {
    match &entry.code {
        Some(code) => code.clone(),
        None if entry.account.kind == "hotp" => "[HOTP]".to_owned(),
        None => "[touch]".to_owned(),
    }
}

/// A bar that grows shorter, and seconds.
fn time_left(entry: &Entry, now: u64) -> Option<String> {
    let (from, until) = (entry.valid_from?, entry.valid_until?);
    let left = until.saturating_sub(now);
    let bar = u64::try_from(BAR).unwrap_or(1);
    let full = usize::try_from((left * bar).div_ceil((until - from).max(1))).unwrap_or(0).min(BAR);
    let style = if left <= 5 { SOON } else { FAINT };
    Some(format!("{style}{}{}{style:#} {left:>2} s", "█".repeat(full), "░".repeat(BAR - full)))
}

fn cut(name: &str, width: usize) -> String {
    if name.chars().count() <= width {
        return name.to_owned();
    }
    name.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Columns and rows of the terminal.
#[cfg(unix)]
fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (80, 24),
    }
}

#[cfg(not(unix))]
const fn size() -> (usize, usize) {
    (80, 24)
}

const BAR: usize = 10;
const CODE: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const SOON: Style = AnsiColor::Yellow.on_default();

#[cfg(test)]
mod tests {
    use tapkey_driver::OathAccount;
    use tapkey_protocol::oath::{CredentialId, Kind};

    use super::*;
    use crate::commands::oath::account::Shown;

    fn entry(name: &str, kind: Kind, code: Option<&str>, from: u64) -> Entry {
        let account = OathAccount::new(CredentialId::new(name).unwrap(), kind);
        let valid = code.filter(|_| kind == Kind::Totp);
        Entry {
            account: Shown::of(&account),
            code: code.map(str::to_owned),
            valid_from: valid.map(|_| from),
            valid_until: valid.map(|_| from + 30),
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn columns_stand_under_each_other() {
        let entries = [
            entry("Example:alice", Kind::Totp, Some("123456"), 60),
            entry("b", Kind::Totp, Some("87654321"), 60),
            entry("c", Kind::Hotp, None, 0),
            entry("d", Kind::Totp, None, 0),
            entry("e", Kind::Hotp, Some("755224"), 0),
        ];
        assert_eq!(
            plain(&text(&entries, 70)),
            "Example:alice  123456    ███████░░░ 20 s\n\
             b              87654321  ███████░░░ 20 s\n\
             c              [HOTP]\n\
             d              [touch]\n\
             e              755224\n"
        );
        assert_eq!(plain(&text(&entries[..1], 60)), "Example:alice  123456  ██████████ 30 s\n");
        assert_eq!(plain(&text(&entries[..1], 89)), "Example:alice  123456  █░░░░░░░░░  1 s\n");
    }

    #[test]
    fn a_frame_fits_the_terminal() {
        let long = "x".repeat(60);
        let entries: Vec<Entry> =
            (0..20).map(|n| entry(&format!("{n:02}{long}"), Kind::Totp, Some("123456"), 60)).collect();
        let screen = Screen { lines: 3 };
        let frame = plain(&screen.frame(&entries, 70, (40, 10)));
        assert_eq!(frame.lines().count(), 9);
        assert!(frame.lines().all(|line| line.chars().count() <= 40), "{frame}");
        assert!(frame.ends_with("and 12 more; make the window higher\n"), "{frame}");
        assert_eq!(screen.rewind(), "\x1b[3A\x1b[J");
        assert_eq!(Screen::default().rewind(), "");
    }
}
