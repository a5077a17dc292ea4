//! What both clients want of HTTP: one place for every rule about connections.
//!
//! No redirects (a server that moved says so to its administrator, not to whoever holds a
//! password), no proxies from the environment (a variable that somebody else can set must not
//! decide where passwords go), no cookies, no compression, and a limit on every body.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;
use thiserror::Error;

use crate::{ConfigError, ServerUrl};

/// A client for these servers, which trusts the operating system's certificate authorities and
/// those in a file.
pub(crate) fn client(servers: &[ServerUrl], ca_file: Option<&Path>) -> Result<reqwest::Client, ConfigError> {
    let extra = ca_file.map(read_authorities).transpose()?.unwrap_or_default();
    let encrypted = servers.iter().any(ServerUrl::is_encrypted);
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls(encrypted, extra)?)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        // Plain http is allowed for this name only because it cannot lead elsewhere. Port 0
        // stands for the address's own.
        .resolve_to_addrs("localhost", &loopback.map(|address| SocketAddr::new(address, 0)))
        .user_agent(concat!("tapkey/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(ConfigError::Http)
}

/// TLS 1.2 and 1.3 with an explicit provider, so that nothing depends on, or changes, what the
/// rest of the process chose.
fn tls(encrypted: bool, extra: Vec<CertificateDer<'static>>) -> Result<ClientConfig, ConfigError> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    if !encrypted {
        // No certificate will be looked at, and a small machine may have none to load.
        return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    }
    let verifier = Verifier::new_with_extra_roots(extra, provider)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

fn read_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let text =
        fs::read(path).map_err(|source| ConfigError::ReadAuthorities { path: path.to_owned(), source })?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(ConfigError::NoAuthority(path.to_owned())),
    }
}

/// A body, read piece by piece so that no more than `limit` bytes are ever held.
pub(crate) async fn body(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| BodyError::Broken(error.without_url()))? {
        if body.len() + piece.len() > limit {
            return Err(BodyError::TooLong);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Why a body cannot be had.
#[derive(Debug, Error)]
pub(crate) enum BodyError {
    #[error("too long")]
    TooLong,
    #[error("broken off: {0}")]
    Broken(reqwest::Error),
}
