//! Asks validation servers about a one-time password, and tells "refused" from "could not ask".
//!
//! ```text
//! TAPKEY_API_KEY=… cargo run -p tapkey-examples --example verify -- 1 http://127.0.0.1:8080/wsapi/2.0/verify
//! ```
//!
//! The client id comes first, then one address per server; touch the key when asked.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to people")]

use std::{env, io, process::ExitCode, time::Duration};

use anyhow::Context;
use tapkey_client::validation::{Client, Status};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = env::args().skip(1);
    let id = arguments.next().context("name the client id and at least one server")?;
    // Secrets do not belong into arguments, which every user of the machine can list.
    let key = env::var("TAPKEY_API_KEY").context("set TAPKEY_API_KEY to the key of this client")?;
    let mut settings = Client::builder(id.parse()?, key.parse()?).deadline(Duration::from_secs(10));
    for address in arguments {
        settings = settings.server(address.parse().with_context(|| format!("{address} cannot be used"))?);
    }
    let client = settings.build()?;

    eprintln!("Touch your key.");
    let mut typed = String::new();
    io::stdin().read_line(&mut typed)?;

    match client.verify(&typed).await {
        Ok(verdict) if verdict.is_valid() => {
            println!("Welcome.");
            return Ok(ExitCode::SUCCESS);
        }
        Ok(verdict) if verdict.status() == Status::ReplayedOtp => {
            println!("This password was used before. Touch the key again.");
        }
        Ok(verdict) => println!("Refused: {}.", verdict.status()),
        // Nothing is known about the password in these cases. Deny access, and say why.
        Err(error) if error.is_bad_password() => println!("{error}"),
        Err(error) if error.is_unreachable() => println!("Cannot ask now, try again later: {error}"),
        Err(error) => println!("Check the settings: {error}"),
    }
    Ok(ExitCode::FAILURE)
}
