//! Our client against a validation server of other hands: Debian's yubiserver.
//!
//! It listens on every address, so it runs in a network namespace, together with the client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tapkey_client::validation::{self, ApiKey, Distrust, FailureCause, Status, blocking::Client};
use tapkey_tests::{
    credential::{Credential, told},
    namespace::isolated,
    parts::{command, part},
};

const API_KEY: &str = "12345678901234567890";
const PORT: u16 = 8000;

fn credential() -> Result<Credential> {
    Credential::from_texts("vvccccbdefgh", "010203040506", "000102030405060708090a0b0c0d0e0f")
}

/// A database with one key and one client (number 1), and a server on it. It drops its
/// privileges, so its files must be everybody's.
fn start(folder: &Path) -> Result<()> {
    let database = folder.join("yubiserver.sqlite");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777))?;
    fs::copy("/etc/yubiserver/yubiserver.sqlite.init", &database)
        .context("the empty database of yubiserver")?;
    fs::set_permissions(&database, fs::Permissions::from_mode(0o666))?;
    let admin = |arguments: &[&str]| -> Result<()> {
        let output = command(part("yubiserver-admin")?).arg("-b").arg(&database).args(arguments).output()?;
        ensure!(output.status.success(), "yubiserver-admin: {}", told(&output));
        Ok(())
    };
    let credential = credential()?;
    let public_id = credential.public_id.to_string();
    admin(&["-y", "-a", "alice", &public_id, &credential.private_hex(), &credential.aes_hex()])?;
    admin(&["-p", "-a", "tapkey", API_KEY])?;
    // Detaches itself; the namespace ends it.
    let status = command(part("yubiserver")?)
        .arg("-d")
        .arg(&database)
        .args(["-p", &PORT.to_string(), "-l"])
        .arg(folder.join("log"))
        .status()?;
    ensure!(status.success(), "yubiserver: {status}");
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", PORT)).is_err() {
        ensure!(start.elapsed() < Duration::from_secs(30), "yubiserver does not listen");
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn client(key: &[u8]) -> Result<Client> {
    let server = format!("http://127.0.0.1:{PORT}/wsapi/2.0/verify").parse()?;
    let settings = validation::Client::builder("1".parse()?, ApiKey::new(key.to_vec()));
    Ok(Client::new(settings.server(server).deadline(Duration::from_secs(30)))?)
}

fn distrust(error: &validation::Error) -> Option<Distrust> {
    error.failures().iter().find_map(|failure| match &failure.cause {
        FailureCause::Distrusted(distrust) => Some(*distrust),
        _ => None,
    })
}

#[test]
fn our_client_asks_yubiserver() {
    isolated("our_client_asks_yubiserver", || {
        let folder = tempfile::tempdir()?;
        start(folder.path())?;
        let credential = credential()?;
        let ours = client(API_KEY.as_bytes())?;
        let otp = credential.otp(5, 0);

        assert!(ours.verify(&otp)?.is_valid());
        let replay = ours.verify(&otp)?;
        assert_eq!(replay.status(), Status::ReplayedOtp);
        assert!(!replay.is_valid());
        assert_eq!(ours.verify(&credential.otp(4, 9))?.status(), Status::ReplayedOtp, "an older one");
        assert!(ours.verify(&credential.otp(5, 1).to_uppercase())?.is_valid(), "typed with caps lock");
        assert!(ours.verify(&credential.otp_by_ykgenerate(6, 0)?)?.is_valid());

        let stranger =
            Credential { aes_key: tapkey_protocol::otp::AesKey::new([9; 16]), ..credential.clone() };
        assert_eq!(ours.verify(&stranger.otp(7, 0))?.status(), Status::BadOtp, "another AES key");

        // Whoever has another key does not believe the answer.
        let error = client(b"another key of 20 by")?.verify(&credential.otp(8, 0)).unwrap_err();
        assert_eq!(distrust(&error), Some(Distrust::Signature), "{error}");
        Ok(())
    })
    .unwrap();
}
