//! Validation clients of other hands against our server: Yubico's `ykclient`, Python's
//! `yubico-client` and Rust's `yubico_ng`, with passwords that the emulated key types; and our own
//! client with passwords of Yubico's `ykgenerate`.
//!
//! | client | unsigned requests | several servers |
//! |---|---|---|
//! | `ykclient` | yes | no, of several addresses it uses the last |
//! | the library behind it | yes | yes |
//! | `yubico-client` | yes | yes |
//! | `yubico_ng` | no, it insists on a key | no, one address |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tapkey_client::validation::Status;
use tapkey_driver::{Control, OtpSession};
use tapkey_emulator::{VirtualKey, port::in_process::PluggedKey};
use tapkey_protocol::{
    otp::PrivateId,
    slot::{AccessCode, Options, Slot, YubicoOtp},
};
use tapkey_tests::{
    credential::{Credential, told},
    parts::{command, part, root},
    server::{Server, ValidationClient},
};

/// 20 bytes that are nobody's key, in base64.
const WRONG_KEY: &str = "bm9ib2R5J3Mga2V5LCAyMCBieXQ=";
/// Below 2^31, above which `ykclient` sends a negative number.
const UNKNOWN_CLIENT: u64 = 2_000_000_000;

/// A server, one client, and an emulated key with an active credential.
struct Scene {
    server: Server,
    client: ValidationClient,
    key: PluggedKey,
}

impl Scene {
    fn new() -> Result<Self> {
        let server = Server::start()?;
        let key = PluggedKey::new(VirtualKey::builder().build()?)?;
        server.enrol("alice", |credential| {
            program(&key, credential)?;
            press(&key)
        })?;
        let client = server.validation_client()?;
        Ok(Self { server, client, key })
    }

    /// The next password that the key types.
    fn otp(&self) -> Result<String> {
        press(&self.key)
    }

    fn url(&self) -> String {
        self.server.verify_url()
    }

    fn id(&self) -> String {
        self.client.id.to_string()
    }
}

fn program(key: &PluggedKey, credential: &Credential) -> Result<()> {
    let control = Control::new().with_timeout(Duration::from_secs(60));
    let config = YubicoOtp {
        public_id: credential.public_id,
        private_id: credential.private_id.clone(),
        key: credential.aes_key.clone(),
        send_reference: false,
        options: Options::for_typing(),
        access_code: AccessCode::NONE,
    };
    OtpSession::over_card(key.card()?, &control)?.program(Slot::One, &config, &AccessCode::NONE, &control)?;
    Ok(())
}

fn press(key: &PluggedKey) -> Result<String> {
    let typed = key.press(Slot::One)?.text().context("the key types")?;
    Ok(typed.trim_end().to_owned())
}

/// An address where nobody listens.
fn dead_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/wsapi/2.0/verify", listener.local_addr().unwrap())
}

/// No key at all: the credential of an enrolment in the hands of Yubico's token library, whose
/// password confirms it.
#[test]
fn passwords_of_ykgenerate_are_accepted() -> Result<()> {
    let server = Server::start()?;
    let credential = server.enrol("alice", |credential| credential.otp_by_ykgenerate(1, 0))?;
    let ours = server.validator(&server.validation_client()?)?;
    for (uses, session) in [(1, 1), (100, 0), (100, 1), (100, 255), (101, 0), (0x7ffe, 7)] {
        let otp = credential.otp_by_ykgenerate(uses, session)?;
        assert_eq!(ours.verify(&otp)?.status(), Status::Ok, "{uses} {session}");
        assert_eq!(ours.verify(&otp)?.status(), Status::ReplayedOtp, "{uses} {session}");
    }
    assert_eq!(ours.verify(&credential.otp_by_ykgenerate(1, 0)?)?.status(), Status::ReplayedOtp);
    let stranger = Credential { private_id: PrivateId::new([0; 6]), ..credential };
    assert_eq!(ours.verify(&stranger.otp_by_ykgenerate(0x7fff, 0)?)?.status(), Status::BadOtp);
    Ok(())
}

fn ykclient(server: &str, key: Option<&str>, id: &str, otp: &str) -> Result<Output> {
    let mut command = command(part("ykclient")?);
    command.args(["--debug", "--url", server]);
    if let Some(key) = key {
        command.args(["--apikey", key]);
    }
    Ok(command.args([id, otp]).output()?)
}

/// Exit codes: 0 accepted, 2 replayed, 3 anything else; `text` must be among what it wrote.
fn expect_ykclient(output: &Output, code: i32, text: &str) {
    let told = told(output);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(told.contains(text), "no {text:?} in {told}");
}

#[test]
fn ykclient_agrees() -> Result<()> {
    let scene = Scene::new()?;
    let (url, id, key) = (scene.url(), scene.id(), scene.client.api_key.clone());
    for key in [Some(key.as_str()), None] {
        let otp = scene.otp()?;
        expect_ykclient(&ykclient(&url, key, &id, &otp)?, 0, "status: OK");
        expect_ykclient(&ykclient(&url, key, &id, &otp)?, 2, "(2)");
    }
    // The address as older set-ups write it.
    let template = format!("{url}?id=%d&otp=%s");
    expect_ykclient(&ykclient(&template, Some(&key), &id, &scene.otp()?)?, 0, "status: OK");

    // A request with a wrong signature is refused before the password is looked at.
    let otp = scene.otp()?;
    expect_ykclient(&ykclient(&url, Some(WRONG_KEY), &id, &otp)?, 3, "(107)");
    let unknown = UNKNOWN_CLIENT.to_string();
    expect_ykclient(&ykclient(&url, None, &unknown, &otp)?, 3, "(5)");
    expect_ykclient(&ykclient(&url, Some(&key), &unknown, &otp)?, 3, "(107)");
    expect_ykclient(&ykclient(&url, Some(&key), &id, &otp)?, 0, "status: OK");

    Ok(())
}

/// The library behind `ykclient`, which the PAM and RADIUS modules use too: its code and what that
/// means.
fn ykclient_library(folder: &Path, servers: &[&str], key: &str, id: &str, otp: &str) -> Result<String> {
    let program = folder.join("ykclient_several");
    let source = root().join("tests/third-party/ykclient_several.c");
    let mut cc = Command::new("cc");
    let built = cc.args(["-Wall", "-Werror", "-o"]).args([&program, &source]).arg("-lykclient").output()?;
    ensure!(built.status.success(), "is libykclient-dev installed? {}", told(&built));
    let output = command(program).args([id, key, otp]).args(servers).output()?;
    ensure!(output.status.success(), "{}", told(&output));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Asked at once by one nonce and one password: when two of the addresses are the same server,
/// one gets `OK` and the other `REPLAYED_REQUEST`, and the library must wait for the first.
#[test]
fn ykclient_library_agrees_with_several_servers() -> Result<()> {
    let scene = Scene::new()?;
    let (url, id, key) = (scene.url(), scene.id(), scene.client.api_key.clone());
    let twin = url.replace("127.0.0.1", "localhost");
    let folder = scene.server.folder().to_owned();
    let ask = |servers: &[&str], key: &str, otp: &str| ykclient_library(&folder, servers, key, &id, otp);
    let otp = scene.otp()?;
    assert_eq!(ask(&[&url], &key, &otp)?, "0 Success");
    assert!(ask(&[&url], &key, &otp)?.starts_with("2 "));
    assert!(ask(&[&url, &dead_url()], WRONG_KEY, &scene.otp()?)?.starts_with("107 "));
    for servers in [[url.clone(), dead_url()], [dead_url(), url.clone()], [url, twin]] {
        let servers = servers.each_ref().map(String::as_str);
        let otp = scene.otp()?;
        assert_eq!(ask(&servers, &key, &otp)?, "0 Success", "{servers:?}");
        assert!(ask(&servers, &key, &otp)?.starts_with("2 "), "{servers:?}");
    }
    Ok(())
}

/// Prints `True`, or the name and text of what was raised.
const PYTHON: &str = "
import sys
from yubico_client import Yubico
key, id, otp, *servers = sys.argv[1:]
try:
    print(Yubico(id, key or None, api_urls=servers).verify(otp))
except Exception as error:
    print(type(error).__name__, error)
";

fn python(servers: &[&str], key: Option<&str>, id: &str, otp: &str) -> Result<String> {
    let output = command(part("yubico-client")?)
        .args(["-c", PYTHON, key.unwrap_or(""), id, otp])
        .args(servers)
        .output()?;
    ensure!(output.status.success(), "{}", told(&output));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[test]
fn python_client_agrees() -> Result<()> {
    let scene = Scene::new()?;
    let (url, id, key) = (scene.url(), scene.id(), scene.client.api_key.clone());
    for key in [Some(key.as_str()), None] {
        let otp = scene.otp()?;
        assert_eq!(python(&[&url], key, &id, &otp)?, "True");
        let replay = python(&[&url], key, &id, &otp)?;
        assert!(replay.starts_with("StatusCodeError") && replay.contains("REPLAYED_OTP"), "{replay}");
    }
    let otp = scene.otp()?;
    let wrong = python(&[&url], Some(WRONG_KEY), &id, &otp)?;
    assert!(wrong.starts_with("SignatureVerificationError"), "{wrong}");
    let unknown = python(&[&url], None, &UNKNOWN_CLIENT.to_string(), &otp)?;
    assert!(unknown.starts_with("InvalidClientIdError"), "{unknown}");
    assert_eq!(python(&[&url], Some(&key), &id, &otp)?, "True", "the refused requests did not spend it");
    assert_eq!(python(&[&url, &dead_url()], Some(&key), &id, &scene.otp()?)?, "True");
    assert_eq!(python(&[&dead_url(), &url], Some(&key), &id, &scene.otp()?)?, "True");
    Ok(())
}

mod yubico_ng_ {
    use tapkey_tests::server::plain_http;
    use yubico_ng::{
        Verifier, YubicoError,
        config::{Config, SyncLevel},
    };

    use super::*;

    fn verify(scene: &Scene, key: &str, id: u64, otp: &str) -> Result<(), YubicoError> {
        let config = |level| -> Result<Config, YubicoError> {
            let config = Config::default().set_client_id(id.to_string()).set_key(key)?;
            Ok(config.set_api_host(scene.url()).set_sync_level(level))
        };
        let verifier = Verifier::with_client(config(SyncLevel::secure())?, plain_http().unwrap())?;
        scene.server.wait(verifier.verify(otp))
    }

    #[test]
    fn rust_client_agrees() -> Result<()> {
        let scene = Scene::new()?;
        let key = scene.client.api_key.clone();
        let id = scene.client.id;
        let otp = scene.otp()?;
        verify(&scene, &key, id, &otp)?;
        assert!(matches!(verify(&scene, &key, id, &otp), Err(YubicoError::ReplayedOtp)));
        let otp = scene.otp()?;
        assert!(matches!(verify(&scene, WRONG_KEY, id, &otp), Err(YubicoError::BadSignature)));
        assert!(matches!(verify(&scene, &key, UNKNOWN_CLIENT, &otp), Err(YubicoError::NoSuchClient)));
        verify(&scene, &key, id, &otp)?;
        Ok(())
    }

    /// Its "fast" asks for 0 percent, which the protocol allows and the old reference refused.
    #[test]
    fn every_sync_level_is_taken() -> Result<()> {
        let scene = Scene::new()?;
        for level in [SyncLevel::fast(), SyncLevel::secure(), SyncLevel::custom(50)] {
            let config = Config::default().set_client_id(scene.id()).set_key(&scene.client.api_key)?;
            let config = config.set_api_host(scene.url()).set_sync_level(level);
            let verifier = Verifier::with_client(config, plain_http()?)?;
            let otp = scene.otp()?;
            scene.server.wait(verifier.verify(otp))?;
        }
        Ok(())
    }
}
