//! Which Tapkey server, and with which token.

use std::{fs, path::PathBuf};

use tapkey_client::ServerUrl;
use zeroize::Zeroizing;

use crate::{
    args::Global,
    config::Settings,
    exit::{Exit, Failure},
};

/// A server and what is needed to speak to it.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its address, without `/api/v1`.
    pub(crate) url: ServerUrl,
    /// More certificate authorities.
    pub(crate) ca_file: Option<PathBuf>,
}

/// The server of the command line, the environment or the settings.
pub(crate) fn target(global: &Global, settings: &Settings) -> Result<Target, Failure> {
    let text = global.server.as_ref().or(settings.server.as_ref()).ok_or_else(|| {
        Failure::usage("no server is named").hint(
            "add --server URL, set TAPKEY_SERVER, or write server = \"https://…\" into your settings; `tapkey serve` runs one",
        )
    })?;
    let ca_file = global.ca_file.clone().or_else(|| settings.ca_file.clone());
    Ok(Target { url: address(text)?, ca_file })
}

/// An address that secrets may be sent to.
pub(crate) fn address(text: &str) -> Result<ServerUrl, Failure> {
    text.parse().map_err(|error| Failure::usage(format!("the server {text} cannot be used: {error}")))
}

/// The API token: the file on the command line first, then the environment, then the settings.
pub(crate) fn token(global: &Global, settings: &Settings) -> Result<Zeroizing<String>, Failure> {
    if let Some(path) = &global.token_file {
        return read_token(path);
    }
    if let Some(token) = std::env::var("TAPKEY_TOKEN").ok().filter(|token| !token.is_empty()) {
        return Ok(Zeroizing::new(token));
    }
    if let Some(path) = &settings.token_file {
        return read_token(path);
    }
    Err(Failure::new(Exit::Usage, "no API token is given").hint(
        "add --token-file FILE or set TAPKEY_TOKEN; the first administrator's token is in the file that `tapkey serve` named on its first start",
    ))
}

fn read_token(path: &PathBuf) -> Result<Zeroizing<String>, Failure> {
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| Failure::usage(format!("cannot read the token file {}: {error}", path.display())))?;
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(Failure::usage(format!("{} does not hold an API token", path.display()))
            .hint("the file must hold one token on one line and nothing else"));
    }
    Ok(Zeroizing::new(token.to_owned()))
}
