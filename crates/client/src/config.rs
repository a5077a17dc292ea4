//! What can be wrong with a client before it asks anybody.

use std::{io, path::PathBuf};

use thiserror::Error;

/// A client cannot be made from these settings.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No server named.
    #[error("name at least one server")]
    NoServer,
    /// The same server twice: it would answer one of the two requests as a repetition.
    #[error("the server {0} is named twice")]
    SameServerTwice(crate::ServerUrl),
    /// An API key of no bytes, with which anybody can sign.
    #[error("the API key is empty; answers signed with it could come from anybody")]
    EmptyApiKey,
    /// A token that cannot stand in a header.
    #[error("the token cannot be sent: it holds characters that no token has")]
    Token,
    /// A time limit of zero, in which nothing can be answered.
    #[error("a time limit must be greater than zero")]
    NoTime,
    /// The file of certificate authorities cannot be read.
    #[error("cannot read the certificate file {}: {source}", path.display())]
    ReadAuthorities {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file of certificate authorities holds something else.
    #[error("the file {} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", .0.display())]
    NoAuthority(PathBuf),
    /// TLS cannot be set up, for example because the system has no certificate authorities.
    #[error("cannot set up TLS: {0}; install the package ca-certificates or name a certificate file")]
    Tls(#[from] rustls::Error),
    /// The HTTP client cannot be made.
    #[error("cannot set up the HTTP client: {0}")]
    Http(reqwest::Error),
    /// No runtime for the blocking client.
    #[error("cannot start the runtime of the blocking client: {0}")]
    Runtime(io::Error),
}
