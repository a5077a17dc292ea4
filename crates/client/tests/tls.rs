//! HTTPS with an authority of one's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::sync::Arc;

use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use support::{OTP, Reaction, answer, converse, http_ok, settings};
use tapkey_client::{ServerUrl, validation::Status};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A TLS server for `127.0.0.1` and the certificate to trust it by.
async fn serve() -> (ServerUrl, String) {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let pem = certified.cert.pem();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/wsapi/2.0/verify", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                converse(stream, &|request| Reaction::Say(http_ok(&answer(&request, Status::Ok)))).await;
            }
        }
    });
    (url, pem)
}

/// Needs no provider installed for the process: the crate brings its own.
#[tokio::test]
async fn an_unknown_authority_is_refused_and_a_named_one_trusted() {
    let (url, pem) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, pem).unwrap();
    let trusting = settings([url.clone()]).ca_file(&ca_file).build().unwrap();
    assert!(trusting.verify(OTP).await.unwrap().is_valid());
    let (_, other) = serve().await;
    std::fs::write(&ca_file, other).unwrap();
    let error = settings([url]).ca_file(&ca_file).build().unwrap().verify(OTP).await.unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}
