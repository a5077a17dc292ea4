//! Questions to the person in front of the terminal. Without a terminal nothing is asked: the
//! failure names the option that answers instead.

use std::io::{self, BufRead, IsTerminal, Write};

use zeroize::Zeroizing;

use crate::{exit::Failure, interrupt};

/// Whether somebody can be asked.
pub(crate) fn possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for yes or no; `flag` is the option that says yes without asking.
pub(crate) fn confirm(question: &str, flag: &str) -> Result<(), Failure> {
    if !possible() {
        return Err(Failure::usage(format!("{question} Nobody can be asked, because this is no terminal"))
            .hint(format!("add {flag} to go ahead without a question")));
    }
    interrupt::watch();
    loop {
        ask(&format!("{question} [y/N] "));
        let Some(line) = read_line()? else { return Err(declined()) };
        match line.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => return Ok(()),
            "" | "n" | "no" => return Err(declined()),
            _ => ask("please answer y or n\n"),
        }
    }
}

/// Asks for one line.
pub(crate) fn line(question: &str) -> Result<Zeroizing<String>, Failure> {
    interrupt::watch();
    ask(question);
    read_line()?.ok_or_else(declined)
}

/// Asks for a secret without showing it.
pub(crate) fn hidden(question: &str) -> Result<Zeroizing<String>, Failure> {
    interrupt::watch();
    dialoguer::Password::new()
        .with_prompt(question)
        .allow_empty_password(true)
        .report(false)
        .interact()
        .map(Zeroizing::new)
        .map_err(|error| Failure::failed(format!("cannot read the answer: {error}")))
}

/// One line of standard input without its end; `None` at the end of input.
pub(crate) fn read_line() -> Result<Option<Zeroizing<String>>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = io::stdin()
        .lock()
        .read_line(&mut text)
        .map_err(|error| Failure::failed(format!("cannot read standard input: {error}")))?;
    if read == 0 {
        return Ok(None);
    }
    let length = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(length);
    Ok(Some(text))
}

fn ask(text: &str) {
    let mut out = anstream::stderr().lock();
    let _ = write!(out, "{text}");
    let _ = out.flush();
}

fn declined() -> Failure {
    Failure::failed("stopped at your answer; nothing was changed")
}
