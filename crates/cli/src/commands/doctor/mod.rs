//! `tapkey doctor`: what keeps a key, a reader or a server from being used, and what to do about it.
//!
//! Each check is a function of what was found on the machine, and what was found is gathered apart from it, so that
//! every outcome can be tested without such a machine.

mod card;
mod machine;
mod server;
mod software;
mod usb;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::Context;
use crate::{
    exit::{Exit, Failure},
    interrupt, keys, output,
};
use machine::Machine;

/// Options of `tapkey doctor`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "Exit codes: 0 when nothing needs to be done, 1 when something does. Nothing is changed.

Examples:
  tapkey doctor
  tapkey doctor --server https://keys.example.org --token-file token
  tapkey doctor --udev-rules | sudo tee /etc/udev/rules.d/70-tapkey.rules"
)]
pub(crate) struct Args {
    /// Print the udev rules that let an ordinary user open a key, and do nothing else.
    #[arg(long)]
    udev_rules: bool,
}

/// What a check came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    /// As it should be.
    Ok,
    /// Something has to be done.
    Problem,
    /// It does not concern this machine, or nothing was asked for that needs it.
    NotApplicable,
}

/// The outcome of a check.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
struct Finding {
    /// The check.
    check: &'static str,
    status: Status,
    /// What was found.
    detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, detail: detail.into(), fix: None }
    }

    fn skipped(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, status: Status::NotApplicable, detail: detail.into(), fix: None }
    }

    fn problem(check: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, status: Status::Problem, detail: detail.into(), fix: Some(fix.into()) }
    }
}

#[derive(Serialize)]
struct Report {
    healthy: bool,
    checks: Vec<Finding>,
}

/// Looks at everything.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if args.udev_rules {
        return context.printer.raw(UDEV_RULES.as_bytes());
    }
    let _busy = interrupt::busy();
    let machine = Machine::this();
    let mut checks = usb::all(&machine);
    checks.extend(card::all(&machine));
    checks.push(keys_answer(context));
    checks.extend(software::all(context));
    checks.extend(server::all(context));
    let healthy = checks.iter().all(|finding| finding.status != Status::Problem);
    context.printer.result("doctor/1", &Report { healthy, checks }, Report::text)?;
    if healthy { Ok(()) } else { Err(Failure::reported(Exit::Failed)) }
}

/// Whether the keys that are there tell what they are, which is what everything else is for.
fn keys_answer(context: &Context) -> Finding {
    const CHECK: &str = "keys answer";
    let listing = match keys::list(context) {
        Ok(listing) => listing,
        Err(failure) => {
            return Finding::problem(CHECK, failure.message(), failure.advice().unwrap_or("see above"));
        }
    };
    let problems: Vec<_> = listing
        .diagnostics
        .iter()
        .filter(|one| !is_told_elsewhere(&one.error))
        .map(|one| (one.to_string(), keys::refused_ref(&one.error)))
        .collect();
    if let Some((text, failure)) = problems.first() {
        return Finding::problem(
            CHECK,
            text,
            failure.advice().unwrap_or("unplug the key and plug it in again"),
        );
    }
    match listing.devices.len() {
        0 => Finding::skipped(CHECK, "no key is within reach"),
        _ => {
            let names: Vec<String> = listing.devices.iter().map(ToString::to_string).collect();
            Finding::ok(CHECK, names.join("; "))
        }
    }
}

/// The checks before this one have said what is wrong, and better.
fn is_told_elsewhere(error: &tapkey_driver::Error) -> bool {
    use tapkey_protocol::link::LinkError;
    matches!(
        error,
        tapkey_driver::Error::Link(
            LinkError::PermissionDenied { .. } | LinkError::Unavailable { .. } | LinkError::Removed
        )
    )
}

impl Report {
    fn text(&self) -> String {
        let width = self.checks.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
        let mut text = String::new();
        for finding in &self.checks {
            let word = match finding.status {
                Status::Ok => output::good("ok     "),
                Status::Problem => output::bad("problem"),
                Status::NotApplicable => "-      ".to_owned(),
            };
            let detail = output::beside(width + 11, &finding.detail);
            text.push_str(&format!("{word}  {:width$}  {detail}\n", finding.check));
            for line in finding.fix.iter().flat_map(|fix| fix.lines()) {
                text.push_str(&format!("{:indent$}do: {line}\n", "", indent = width + 11));
            }
        }
        let sum = self.checks.iter().filter(|finding| finding.status == Status::Problem).count();
        text.push_str(&match sum {
            0 => "nothing needs to be done\n".to_owned(),
            1 => "one thing needs to be done\n".to_owned(),
            more => format!("{more} things need to be done\n"),
        });
        text
    }
}

/// The file of the source, so that it is always at hand.
const UDEV_RULES: &str = include_str!("../../../../../udev/70-tapkey.rules");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_what_to_do_and_how_much() {
        let checks = vec![
            Finding::ok("one", "fine"),
            Finding::skipped("another", "no matter"),
            Finding::problem("third", "bad", "first this\nthen that"),
        ];
        let report = Report { healthy: false, checks };
        let plain = anstream::adapter::strip_str(&report.text()).to_string();
        assert_eq!(
            plain,
            "ok       one      fine\n-        another  no matter\nproblem  third    bad\n\
             \u{20}                 do: first this\n                  do: then that\none thing needs to be done\n"
        );
    }

    #[test]
    fn the_rules_are_those_of_the_source() {
        assert!(UDEV_RULES.contains("uaccess") && UDEV_RULES.contains("1050"));
    }
}
