//! Our client asks our server by two addresses at once, as it would ask two servers that share
//! their counters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::time::Duration;

use anyhow::Result;
use tapkey_client::validation::{Client, Status};
use tapkey_tests::server::Server;

/// Both requests carry one nonce. Whichever comes first is `OK`, the other `REPLAYED_REQUEST`, in
/// either order: the verdict must be `OK` in every round.
#[test]
fn the_ok_of_either_address_wins() -> Result<()> {
    let server = Server::start()?;
    let credential = server.enrol("alice", |credential| Ok(credential.otp(1, 0)))?;
    let client = server.validation_client()?;
    let twin = server.verify_url().replace("127.0.0.1", "localhost");
    let settings = Client::builder(client.id.try_into()?, client.api_key.parse()?)
        .servers([server.verify_url().parse()?, twin.parse()?])
        .hedge_delay(Duration::ZERO)
        .timestamp(true)
        .deadline(Duration::from_secs(60));
    let ours = settings.build()?;
    for session in 0..100 {
        let otp = credential.otp(2, session);
        let verdict = server.wait(ours.verify(&otp))?;
        assert_eq!(verdict.status(), Status::Ok, "round {session}");
        let times = verdict.times().expect("asked for");
        assert_eq!((times.session_counter, times.session_use), (2, session));
        assert_eq!(server.wait(ours.verify(&otp))?.status(), Status::ReplayedOtp, "round {session}");
    }
    Ok(())
}

#[test]
fn spellings_and_settings_against_a_real_server() -> Result<()> {
    let server = Server::start()?;
    let credential = server.enrol("alice", |credential| Ok(credential.otp(1, 0)))?;
    let client = server.validation_client()?;
    let ours = server.validator(&client)?;
    assert!(ours.verify(&credential.otp(2, 0).to_uppercase())?.is_valid());
    assert!(ours.verify(&format!(" {}\n", credential.otp(2, 1)))?.is_valid());
    let mut stranger = client.clone();
    stranger.id += 1;
    let error = server.validator(&stranger)?.verify(&credential.otp(2, 2)).unwrap_err();
    assert!(error.is_distrusted(), "{error}");
    assert!(error.to_string().contains("does not seem to know this client id"), "{error}");
    stranger = client.clone();
    stranger.api_key = "bm9ib2R5J3Mga2V5LCAyMCBieXQ=".to_owned();
    let error = server.validator(&stranger)?.verify(&credential.otp(2, 2)).unwrap_err();
    assert!(error.to_string().contains("is the API key the one of this client id"), "{error}");
    assert!(ours.verify(&credential.otp(2, 2))?.is_valid(), "no refused request spent it");
    Ok(())
}
