//! `tapkey apdu`: raw commands to the smart card, for finding out and for what has no command yet.

mod notation;

use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};
use data_encoding::HEXUPPER;
use serde::Serialize;
use tapkey_driver::{Control, Error};
use tapkey_protocol::{
    aid,
    apdu::{
        Command, Encoding, Response,
        chaining::{Next, Transaction},
        ins,
    },
    link::CardLink,
};

use self::notation::Line;
use super::Context;
use crate::{
    exit::{Exit, Failure, chain},
    keys, prompt,
};

/// Options of `tapkey apdu`.
#[derive(ClapArgs, Debug)]
#[command(after_long_help = NOTATION)]
pub(crate) struct Args {
    /// Commands, sent in this order; a lone - reads them from standard input, one a line, which is
    /// where PINs and other secrets belong.
    #[arg(required_unless_present = "app", value_name = "APDU")]
    apdus: Vec<String>,

    /// Select this application first.
    #[arg(short, long, value_enum, value_name = "NAME")]
    app: Option<App>,

    /// Send commands as short APDUs, long data as a chain.
    #[arg(long)]
    short: bool,
}

/// How an APDU is written, for the long help.
const NOTATION: &str = "\
An APDU is written in hexadecimal as [CLA]INS[P1P2][:DATA][/LE][=SW]. Left out, CLA, P1 and P2 are 00.
=SW ends the command with exit code 4 when the status word differs; a lone = expects 9000.

  tapkey apdu --app management 1D          the management application's settings
  tapkey apdu --app oath A1=               the list of OATH accounts, which must succeed
  tapkey apdu 00A40400:A0000005272001 0003 select the OTP application, ask for its status";

/// The applications that can be selected by name.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum App {
    Otp,
    Management,
    Oath,
    Piv,
    Openpgp,
    Fido,
    Hsmauth,
    Ndef,
    #[value(name = "sd")]
    SecurityDomain,
}

impl App {
    const fn aid(self) -> &'static [u8] {
        match self {
            Self::Otp => aid::OTP,
            Self::Management => aid::MANAGEMENT,
            Self::Oath => aid::OATH,
            Self::Piv => aid::PIV,
            Self::Openpgp => aid::OPENPGP,
            Self::Fido => aid::FIDO,
            Self::Hsmauth => aid::HSM_AUTH,
            Self::Ndef => aid::NDEF,
            Self::SecurityDomain => aid::SECURITY_DOMAIN,
        }
    }
}

#[derive(Serialize)]
struct Report {
    responses: Vec<Answer>,
}

#[derive(Serialize)]
struct Answer {
    /// Four hexadecimal digits.
    status: String,
    /// Hexadecimal.
    data: String,
}

/// Sends them.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let lines = read(&args.apdus)?;
    let control = keys::control(context);
    let device = keys::open(context)?.device;
    let link = device.open_card(&control).map_err(keys::refused)?;
    let mut card = Card::hold(link, args.short, &control)?;
    let mut report = Report { responses: Vec::new() };
    let select = args.app.map(|app| Line { command: Command::select(app.aid()), expected: Some(SUCCESS) });
    let mut mismatch = None;
    for line in select.iter().chain(&lines) {
        let response = card.call(&line.command, &control)?;
        card.learn(&line.command);
        let status = response.status.0;
        report
            .responses
            .push(Answer { status: format!("{status:04X}"), data: HEXUPPER.encode(&response.data) });
        if let Some(expected) = line.expected.filter(|expected| *expected != status) {
            mismatch = Some((status, expected));
            break;
        }
    }
    drop(card);
    context.printer.result("apdu/1", &report, text)?;
    mismatch.map_or(Ok(()), |(status, expected)| {
        Err(Failure::new(
            Exit::Key,
            format!("the key answered {status:04X} where {expected:04X} was expected"),
        )
        .hint("what came before was carried out; later commands were not sent"))
    })
}

fn text(report: &Report) -> String {
    let line = |answer: &Answer| match answer.data.as_str() {
        "" => format!("{}\n", answer.status),
        data => format!("{} {data}\n", answer.status),
    };
    report.responses.iter().map(line).collect()
}

/// Everything is read before anything is sent: a mistyped command must not leave the key half-way.
fn read(apdus: &[String]) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    if apdus == ["-"] {
        while let Some(text) = prompt::read_line()? {
            let text = text.trim();
            if !text.is_empty() && !text.starts_with('#') {
                let number = lines.len() + 1;
                // The text may hold a PIN, so it is not repeated.
                let line = Line::parse(text).map_err(|error| {
                    Failure::usage(format!("command {number} of standard input is no APDU: {error}"))
                })?;
                lines.push(line);
            }
        }
        return Ok(lines);
    }
    for (number, text) in apdus.iter().enumerate() {
        let line = Line::parse(text).map_err(|error| {
            Failure::usage(format!("APDU {} is malformed: {error}", number + 1))
                .hint("write it as [CLA]INS[P1P2][:DATA][/LE][=SW] in hexadecimal, for example 00A40400:A000000308=9000")
        })?;
        lines.push(line);
    }
    Ok(lines)
}

/// The card, held for as long as commands belong together.
struct Card {
    link: Box<dyn CardLink>,
    encoding: Encoding,
    continuation: u8,
}

impl Card {
    fn hold(mut link: Box<dyn CardLink>, short: bool, control: &Control) -> Result<Self, Failure> {
        let patience = control.remaining().unwrap_or(PATIENCE).min(PATIENCE);
        link.hold(patience).map_err(|error| keys::refused(error.into()))?;
        let encoding = if short { Encoding::Short } else { Encoding::Extended };
        Ok(Self { link, encoding, continuation: ins::GET_RESPONSE })
    }

    /// The OATH application hands out the rest of long answers by an instruction of its own.
    fn learn(&mut self, command: &Command) {
        if command.ins == ins::SELECT && command.p1 == 4 {
            let oath = aid::selects(&command.data, aid::registered::OATH);
            self.continuation = if oath { ins::OATH_SEND_REMAINING } else { ins::GET_RESPONSE };
        }
    }

    fn call(&mut self, command: &Command, control: &Control) -> Result<Response, Failure> {
        // What fits is sent short, which every reader and every firmware takes.
        let fits = command.data.len() <= Encoding::Short.max_data() && command.le.is_none_or(|le| le <= 256);
        let encoding = if fits { Encoding::Short } else { self.encoding };
        let transaction = Transaction::new(command, encoding)
            .map_err(|error| Failure::usage(format!("the command cannot be sent: {}", chain(&error))))?;
        let mut transaction = transaction.continue_with(self.continuation);
        let mut next = transaction.start();
        loop {
            match next {
                Next::Done(response) => return Ok(response),
                Next::Send(bytes) => {
                    control.check().map_err(keys::refused)?;
                    let answer = self.link.transmit(&bytes).map_err(|error| keys::refused(error.into()))?;
                    next = transaction.receive(&answer).map_err(|error| keys::refused(Error::from(error)))?;
                }
            }
        }
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        self.link.release();
    }
}

const SUCCESS: u16 = 0x9000;
const PATIENCE: Duration = Duration::from_secs(3);
