//! `tapkey serve`: run the server until it is told to end.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_server::{Clock, Config, ConfigError, Server, StartError, TlsFiles, bind};

use super::Context;
use crate::exit::{Failure, chain};

/// Options of `tapkey serve`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey serve --data ./tapkey-data
  tapkey serve --config /etc/tapkey.toml --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem

The first start on an empty folder makes the store, a master key and an administrator's token in a file \
that only you can read, and says where. The address is printed on standard output once the server is \
ready. SIGTERM or Ctrl-C ends it after the requests under way.")]
pub(crate) struct Args {
    /// The folder with the store and the master key.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Address and port; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,

    /// The configuration; what is given here as an option wins.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The certificate and its intermediates, in PEM form.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The certificate's private key, in PEM form.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Only check the configuration; start and change nothing.
    #[arg(long)]
    check: bool,
}

#[derive(Serialize)]
struct Ready {
    url: String,
    data: String,
    /// The file with the first administrator's token, on the first start only.
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_token_file: Option<String>,
}

#[derive(Serialize)]
struct Checked {
    listen: String,
    data: String,
    tls: bool,
}

/// Runs the server.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let config = configuration(args)?;
    if args.check {
        return check(&config, context);
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the network runtime: {error}")))?
        .block_on(run_until_told(config, context))
}

/// The configuration file, with the options of the command line over it.
fn configuration(args: &Args) -> Result<Config, Failure> {
    let mut config = match &args.config {
        Some(path) => Config::read(path).map_err(|error| wrong(&error))?,
        None => Config::default(),
    };
    if let Some(data) = &args.data {
        config.data_dir.clone_from(data);
    } else if args.config.is_none() {
        return Err(Failure::usage("no data folder is named")
            .hint("add --data DIR; an empty or missing folder becomes a new store"));
    }
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        config.tls = Some(TlsFiles { certificate: certificate.clone(), key: key.clone() });
    }
    Ok(config)
}

fn wrong(error: &ConfigError) -> Failure {
    Failure::usage(chain(error)).hint("docs/server.md lists what may stand in the configuration")
}

fn check(config: &Config, context: &Context) -> Result<(), Failure> {
    for file in config.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key]) {
        std::fs::File::open(file)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    }
    let checked = Checked {
        listen: config.listen.to_string(),
        data: config.data_dir.display().to_string(),
        tls: config.tls.is_some(),
    };
    context.printer.result("serve-check/1", &checked, |checked| {
        let scheme = if checked.tls { "https" } else { "http" };
        format!("the configuration is in order: {scheme} on {}, data in {}", checked.listen, checked.data)
    })
}

async fn run_until_told(config: Config, context: &Context) -> Result<(), Failure> {
    let end = end_signal()?;
    // The port first: without it nothing is made.
    let listener = bind(&config).await.map_err(|error| not_started(&error))?;
    let address =
        listener.local_addr().map_err(|error| Failure::failed(format!("cannot tell the port: {error}")))?;
    let first = Server::initialise_if_empty(&config).await.map_err(|error| not_started(&error))?;
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    if scheme == "http" && !address.ip().is_loopback() {
        context.printer.warn("plain http beyond this machine: keys would travel readable, so tapkey's clients refuse it; add --tls-cert and --tls-key, or put a proxy with TLS in front");
    }
    let ready = Ready {
        url: format!("{scheme}://{address}"),
        data: absolute(&config.data_dir),
        admin_token_file: first.as_ref().map(|first| absolute(&first.token_file)),
    };
    if let Some(file) = &ready.admin_token_file {
        context
            .printer
            .say(format!("First start: the store is made, and the administrator's token is in {file}"));
    }
    if let Some(first) = &first {
        context.printer.say(format!(
            "Keep a copy of the master key {} somewhere else: without it the store cannot be read.",
            absolute(&first.master_key_file)
        ));
    }
    // Whoever reads the address may use it: everything else must be in order by then.
    let server = Server::open(&config, Clock::system()).await.map_err(|error| not_started(&error))?;
    context.printer.result("serve/1", &ready, |ready| format!("listening on {}", ready.url))?;
    server.serve(listener, end).await;
    Ok(())
}

/// A path that means the same in every folder.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// Completes at SIGTERM or Ctrl-C.
fn end_signal() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let failed = |error: io::Error| Failure::failed(format!("cannot watch for signals: {error}"));
    #[cfg(unix)]
    let mut terminate =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(failed)?;
    #[cfg(unix)]
    let mut interrupt =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// Why the server does not run, and what to do.
fn not_started(error: &StartError) -> Failure {
    let failure = Failure::failed(chain(error));
    match error {
        StartError::AddressInUse { address } => {
            failure.hint(format!("--listen {}:0 takes any port that is free", address.ip()))
        }
        StartError::AddressNotAllowed { .. } => failure.hint("--listen 127.0.0.1:8080 needs no rights"),
        StartError::AddressNotHere { .. } => failure.hint("`ip address` shows this machine's addresses"),
        _ => failure,
    }
}
