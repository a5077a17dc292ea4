//! TLS from certificate and key files.

use std::{fs, path::Path, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use tapkey_server::{Clock, Config, Server, StartError, TlsError, TlsFiles};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::common::{TestServer, config, parse, raw};

fn certificate(folder: &Path) -> (TlsFiles, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = TlsFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
    fs::write(&files.certificate, cert.pem()).unwrap();
    fs::write(&files.key, signing_key.serialize_pem()).unwrap();
    (files, cert.der().clone())
}

fn connector(trusted: CertificateDer<'static>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn answers_come_over_tls_and_only_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (files, trusted) = certificate(folder.path());
    let server = TestServer::start_with(|config| config.tls = Some(files)).await;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(server.address).await.unwrap();
    let mut stream = connector(trusted).connect(name.clone(), stream).await.unwrap();
    stream
        .write_all(b"GET /wsapi/2.0/verify?id=1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(parse(&answer).status_line(), "MISSING_PARAMETER");

    let plain = raw(server.address, b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(!plain.unwrap_or_default().starts_with(b"HTTP"), "plain HTTP gets no answer");

    let (_, other) = certificate(folder.path());
    let stream = TcpStream::connect(server.address).await.unwrap();
    assert!(connector(other).connect(name, stream).await.is_err(), "the certificate is the configured one");
}

#[tokio::test]
async fn unusable_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut config: Config = config(folder.path());
    Server::initialise(&config).await.unwrap();
    let (good, _) = certificate(folder.path());
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    let (stranger, _) = certificate(&other);
    let absent = folder.path().join("absent.pem");
    let garbage = folder.path().join("garbage.pem");
    fs::write(&garbage, "hello").unwrap();
    let rows = [
        (absent.clone(), good.key.clone(), "absent.pem"),
        (good.certificate.clone(), absent, "absent.pem"),
        (garbage.clone(), good.key.clone(), "garbage.pem"),
        (good.certificate.clone(), garbage, "garbage.pem"),
        (good.key.clone(), good.key.clone(), "key.pem"),
        (good.certificate.clone(), stranger.key, "do not make a server certificate"),
    ];
    for (certificate, key, text) in rows {
        config.tls = Some(TlsFiles { certificate, key });
        let error = Server::open(&config, Clock::system()).await.unwrap_err();
        assert!(
            matches!(
                error,
                StartError::Tls(
                    TlsError::Certificate { .. }
                        | TlsError::NoCertificate { .. }
                        | TlsError::Key { .. }
                        | TlsError::Refused { .. }
                )
            ),
            "{error}"
        );
        assert!(error.to_string().contains(text), "{error}");
    }
}
