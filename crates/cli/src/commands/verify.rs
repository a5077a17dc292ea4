//! `tapkey verify`: ask validation servers about a one-time password.

use std::{path::PathBuf, time::Duration};

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_client::{
    ServerUrl,
    validation::{ApiKey, Client, ClientId, Error, Status, Verdict},
};
use tapkey_protocol::otp::typed;
use zeroize::Zeroizing;

use super::{Context, block_on};
use crate::{
    config::Settings,
    exit::{Exit, Failure},
    output,
    progress::Progress,
    prompt,
    secrets::{Source, Wanted},
    server,
};

/// Options of `tapkey verify`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey verify --url https://otp.example.org/wsapi/2.0/verify --client-id 42 --api-key-file key OTP
  echo $OTP | tapkey verify --client-id 42 --api-key env:API_KEY -

Exits with 0 when the password is good, 5 when it is refused, 6 when nobody could decide.")]
pub(crate) struct Args {
    /// The password, as the key types it, or - for one line of standard input; asked for when left out.
    otp: Option<String>,

    /// A validation server; repeat it for servers that share their counters. Without it, the
    /// server of --server or of your settings is asked.
    #[arg(long, value_name = "URL")]
    url: Vec<String>,

    /// The number that the server's administrator gave you.
    #[arg(long, value_name = "N", env = "TAPKEY_CLIENT_ID", hide_env_values = true)]
    client_id: Option<ClientId>,

    /// The file with the API key. Without it, the environment variable TAPKEY_API_KEY, then your
    /// settings, then a question.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,

    /// Another place the API key comes from: env:NAME, - or prompt.
    #[arg(long, value_name = "SOURCE", conflicts_with = "api_key_file")]
    api_key: Option<Source>,

    /// Give up after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u16,

    /// Ask for the key's clock and counters too.
    #[arg(long)]
    timestamp: bool,
}

/// Asks, prints the verdict, and exits by it.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let settings = context.settings()?;
    let client = client(args, context, &settings)?;
    let otp = password(args)?;
    let parsed = typed::parse(&otp).map_err(|error| {
        Failure::new(Exit::Rejected, format!("this is not a Yubico one-time password: {error}"))
            .hint("touch the key and let it type; 32 to 48 letters come out of it")
    })?;
    let progress = Progress::start(context, None, "Waiting for the validation server");
    let verdict = block_on(async { client.verify_otp(&parsed.0).await.map_err(|error| refusal(&error)) });
    progress.finish();
    let verdict = verdict?;
    report(context, &parsed.0.public_id().to_string(), &verdict)
}

/// A client for the servers of the command line, or else of the settings.
fn client(args: &Args, context: &Context, settings: &Settings) -> Result<Client, Failure> {
    let urls = servers(args, context, settings)?;
    let id = match (args.client_id, settings.client_id) {
        (Some(id), _) => id,
        (None, Some(id)) => ClientId::try_from(id).map_err(|error| Failure::usage(error.to_string()))?,
        (None, None) => {
            return Err(Failure::usage("no client id is given")
                .hint("add --client-id N; `tapkey admin clients create` makes one on a Tapkey server"));
        }
    };
    let key = api_key(args, settings)?;
    let mut builder = Client::builder(id, key)
        .servers(urls)
        .timestamp(args.timestamp)
        .deadline(Duration::from_secs(args.timeout.into()));
    if let Some(file) = context.global.ca_file.as_ref().or(settings.ca_file.as_ref()) {
        builder = builder.ca_file(file);
    }
    builder.build().map_err(|error| Failure::usage(error.to_string()))
}

fn servers(args: &Args, context: &Context, settings: &Settings) -> Result<Vec<ServerUrl>, Failure> {
    let named = if args.url.is_empty() && context.global.server.is_none() {
        &settings.validation_urls
    } else {
        &args.url
    };
    if !named.is_empty() {
        return named.iter().map(|url| server::address(url)).collect();
    }
    let target = server::target(&context.global, settings)?;
    let base = target.url.as_url().as_str().trim_end_matches('/');
    Ok(vec![server::address(&format!("{base}/wsapi/2.0/verify"))?])
}

fn api_key(args: &Args, settings: &Settings) -> Result<ApiKey, Failure> {
    let wanted = Wanted { name: "the API key", option: "--api-key" };
    let usual = || {
        let set = std::env::var_os("TAPKEY_API_KEY").filter(|key| !key.is_empty());
        let in_environment = set.map(|_| Source::Env("TAPKEY_API_KEY".to_owned()));
        in_environment.or_else(|| settings.api_key_file.clone().map(Source::File))
    };
    let named = args.api_key.clone().or_else(|| args.api_key_file.clone().map(Source::File));
    let text = wanted.read(named.or_else(usual).as_ref())?;
    text.parse().map_err(|error| Failure::usage(format!("the API key cannot be used: {error}")))
}

fn password(args: &Args) -> Result<Zeroizing<String>, Failure> {
    match args.otp.as_deref() {
        Some("-") => prompt::read_line()?.ok_or_else(|| Failure::usage("standard input holds no password")),
        Some(otp) => Ok(Zeroizing::new(otp.to_owned())),
        None if prompt::possible() => prompt::line("Touch your key: "),
        None => {
            Err(Failure::usage("no password is given").hint("add it, or - to read it from standard input"))
        }
    }
}

#[derive(Serialize)]
struct Report {
    valid: bool,
    status: &'static str,
    public_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<Times>,
}

#[derive(Serialize)]
struct Times {
    timestamp: u32,
    use_counter: u16,
    session_counter: u8,
}

fn report(context: &Context, public_id: &str, verdict: &Verdict) -> Result<(), Failure> {
    let status = verdict.status();
    let times = verdict.times().map(|times| Times {
        timestamp: times.timestamp,
        use_counter: times.session_counter,
        session_counter: times.session_use,
    });
    let report =
        Report { valid: verdict.is_valid(), status: status.as_str(), public_id: public_id.to_owned(), times };
    context.printer.result("verify/1", &report, |report| {
        if report.valid { output::good(report.status) } else { output::bad(report.status) }
    })?;
    if verdict.is_valid() {
        return Ok(());
    }
    context.printer.say(explain(status));
    Err(Failure::reported(exit_of(status)))
}

/// Who has to do something about a refusal.
const fn exit_of(status: Status) -> Exit {
    match status {
        Status::BackendError | Status::NotEnoughAnswers => Exit::Unreachable,
        _ => Exit::Rejected,
    }
}

/// A refusal in a sentence.
pub(crate) const fn explain(status: Status) -> &'static str {
    match status {
        Status::Ok => "the password is good",
        Status::BadOtp => {
            "the server does not know this key, the key is disabled, or the password is not from it"
        }
        Status::ReplayedOtp => {
            "this password, or a later one of the same key, was used before; touch the key for a new one"
        }
        Status::ReplayedRequest => "the server has seen this very request before",
        Status::BadSignature => "the server finds the request's signature wrong; check the API key",
        Status::MissingParameter => "the server misses a part of the request",
        Status::NoSuchClient => "the server does not know this client id, or it is switched off",
        Status::OperationNotAllowed => "the server does not allow this client to ask",
        Status::BackendError => {
            "the server could not decide; the password may be spent, touch the key for a new one"
        }
        Status::NotEnoughAnswers => "too few of the server's peers agreed; try again",
        Status::DelayedOtp => "the password was typed too long ago; touch the key for a new one",
        _ => "the server refuses",
    }
}

/// No verdict at all.
fn refusal(error: &Error) -> Failure {
    if error.is_bad_password() {
        return Failure::new(Exit::Rejected, error.to_string());
    }
    if error.is_distrusted() {
        return Failure::failed(error.to_string())
            .hint("check the client id, the API key and the address; nothing is known about the password");
    }
    Failure::new(Exit::Unreachable, error.to_string())
        .hint("is the server running, and is its address right?")
}
