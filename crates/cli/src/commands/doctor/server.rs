//! The server: its address, whether it is reached, its clock, and the token.

use std::time::{Duration, SystemTime};

use tapkey_client::{
    api,
    probe::{ProbeError, Seen, probe},
};

use super::Finding;
use crate::{
    commands::{Context, admin, block_on},
    config::Settings,
    exit::Failure,
    server,
};

/// All checks of the server, where one is named.
pub(super) fn all(context: &Context) -> Vec<Finding> {
    // Settings that cannot be read were told of already.
    let settings = context.settings().unwrap_or_default();
    if context.global.server.is_none() && settings.server.is_none() {
        return vec![Finding::skipped(SERVER, "none is named; --server URL looks at one")];
    }
    let target = match server::target(&context.global, &settings) {
        Ok(target) => target,
        Err(failure) => {
            let advice =
                failure.advice().unwrap_or("write it as https://name, or http:// for this machine only");
            return vec![Finding::problem(SERVER, failure.message(), advice)];
        }
    };
    let mut outcome = Err(ProbeError::Deadline(LIMIT));
    let before = SystemTime::now();
    let asked = block_on(async {
        outcome = probe(&target.url, target.ca_file.as_deref(), LIMIT).await;
        Ok(())
    });
    if let Err(failure) = asked {
        return vec![Finding::problem(SERVER, failure.message(), "try again")];
    }
    let now = before + before.elapsed().unwrap_or_default() / 2;
    let mut findings = vec![reached(&target.url.to_string(), &outcome)];
    if let Ok(seen) = &outcome {
        findings.push(clock(seen, now));
        findings.push(token(context, &settings));
    }
    findings
}

fn reached(url: &str, outcome: &Result<Seen, ProbeError>) -> Finding {
    match outcome {
        Ok(Seen { status: 200, .. }) => Finding::ok(SERVER, format!("{url} answers")),
        Ok(Seen { status: 404, .. }) => Finding::problem(
            SERVER,
            format!("{url} answers, but is no Tapkey server (404 for /healthz)"),
            "name the address at which the service itself is, without /api/v1",
        ),
        Ok(Seen { status, .. }) => Finding::problem(
            SERVER,
            format!("{url} answers with status {status}"),
            "look at the server's log, and at what stands in front of it",
        ),
        Err(error) => {
            let text = error.to_string();
            let lower = text.to_lowercase();
            let fix = if lower.contains("certificate") || lower.contains("issuer") || lower.contains("tls") {
                "for a certificate authority of your own add --ca-file FILE; otherwise the certificate belongs to another \
                 name or has run out"
            } else if lower.contains("lookup") || lower.contains("resolve") || lower.contains("dns") {
                "the name is not known: check the spelling and the name service"
            } else if lower.contains("refused") {
                "nothing listens there: start `tapkey serve`, or check the port"
            } else {
                "check the address, the network and firewalls in between"
            };
            Finding::problem(SERVER, format!("{url} is not reached: {text}"), fix)
        }
    }
}

/// Time-based codes and logs want clocks that agree.
fn clock(seen: &Seen, now: SystemTime) -> Finding {
    const CHECK: &str = "clock";
    let date = seen.date.as_deref().and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let (Some(date), Ok(now)) = (date, jiff::Timestamp::try_from(now)) else {
        return Finding::skipped(CHECK, "the server does not tell its time");
    };
    // The header counts whole seconds.
    let off = now.as_second() - date.timestamp().as_second();
    let which = if off > 0 { "ahead of" } else { "behind" };
    match off.abs() {
        0..=5 => Finding::ok(CHECK, "this computer and the server agree"),
        seconds @ 6..=25 => Finding::ok(CHECK, format!("this computer is {seconds} s {which} the server")),
        seconds => Finding::problem(
            CHECK,
            format!("this computer is {seconds} s {which} the server, so time-based codes will be refused"),
            "sudo timedatectl set-ntp true    (on whichever of the two is wrong)",
        ),
    }
}

fn token(context: &Context, settings: &Settings) -> Finding {
    const CHECK: &str = "API token";
    if server::token(&context.global, settings).is_err() && context.global.token_file.is_none() {
        return Finding::skipped(CHECK, "none is given; --token-file FILE tries one");
    }
    let client = match admin::connect(context, settings) {
        Ok(client) => client,
        Err(failure) => {
            return Finding::problem(
                CHECK,
                failure.message(),
                failure.advice().unwrap_or("name another file"),
            );
        }
    };
    let mut outcome = Ok(());
    let asked: Result<(), Failure> = block_on(async {
        outcome = client.status().await.map(|_| ());
        Ok(())
    });
    match (asked, outcome) {
        (Err(failure), _) => Finding::problem(CHECK, failure.message(), "try again"),
        (Ok(()), Ok(())) => Finding::ok(CHECK, "the server takes it"),
        // It may enrol or verify, and not administer: the server knows it, which is what is asked here.
        (Ok(()), Err(error)) if error.code() == Some(tapkey_api::ProblemCode::Forbidden) => {
            Finding::ok(CHECK, "the server knows it; it does not administer")
        }
        (Ok(()), Err(error)) => refused(CHECK, &error),
    }
}

fn refused(check: &'static str, error: &api::Error) -> Finding {
    let fix = admin::advice(error.code()).unwrap_or("look at the server's log");
    Finding::problem(check, error.to_string(), fix)
}

const SERVER: &str = "server";
const LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Status;

    fn seen(status: u16, date: Option<&str>) -> Seen {
        Seen { status, date: date.map(str::to_owned) }
    }

    #[test]
    fn clocks_that_differ() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        // 784111777 seconds, the example of RFC 9110.
        let server = seen(200, Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(clock(&server, at(784_111_780)).status, Status::Ok);
        let ahead = clock(&server, at(784_111_777 + 20));
        assert!(ahead.status == Status::Ok && ahead.detail.contains("20 s ahead of"), "{ahead:?}");
        let behind = clock(&server, at(784_111_777 - 90));
        assert!(behind.status == Status::Problem && behind.detail.contains("90 s behind"), "{behind:?}");
        assert_eq!(clock(&seen(200, None), at(0)).status, Status::NotApplicable);
        assert_eq!(clock(&seen(200, Some("yesterday")), at(0)).status, Status::NotApplicable);
    }

    #[test]
    fn answers_of_servers() {
        assert_eq!(reached("x", &Ok(seen(200, None))).status, Status::Ok);
        assert!(reached("x", &Ok(seen(404, None))).detail.contains("no Tapkey server"));
        assert_eq!(reached("x", &Ok(seen(502, None))).status, Status::Problem);
        assert!(reached("x", &Err(ProbeError::Deadline(LIMIT))).detail.contains("10 s"));
    }
}
