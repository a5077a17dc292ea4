//! Formats every public type that holds, or ever held, a secret.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use support::{Fake, KEY, OTP, Reaction, http_ok, key, settings};
use tapkey_api::Timestamp;
use tapkey_client::{
    AddressError, ConfigError, ServerUrl,
    api::{self, AuditFilter, BearerToken, KeyFilter, PageRequest},
    validation::{self, FailureCause, Status, blocking},
};

const TOKEN: &str = "tk_Zm9vYmFyLXNlY3JldA";

/// The encrypted block, the API key in three spellings, the token in two.
fn assert_clean(texts: &[String]) {
    let raw_key = key();
    let bytes = format!("{:?}", raw_key.expose());
    let hex: String = raw_key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    for text in texts {
        for secret in [&OTP[12..], KEY, KEY.trim_end_matches('='), &bytes, &hex, TOKEN, &TOKEN[3..]] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn validation() {
    let cut =
        Fake::start(|_| Reaction::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx".to_vec())).await;
    let forged = Fake::start(|request| Reaction::Say(http_ok(&format!("otp={}", request.otp_as_sent)))).await;
    let hanging = Fake::start(|_| Reaction::Hang).await;
    let all = [Fake::dead().await, cut.url, forged.url];
    let builder = settings(all.clone());
    let client = builder.clone().build().unwrap();
    let error = client.verify(OTP).await.unwrap_err();
    assert!(error.failures().iter().any(|failure| matches!(failure.cause, FailureCause::Connection(_))));
    let impatient = settings([hanging.url]).deadline(Duration::from_millis(100)).build().unwrap();
    let late = impatient.verify(OTP).await.unwrap_err();
    // One letter too many: what was typed must not be shown either.
    let mistyped = client.verify(&format!("{OTP}x")).await.unwrap_err();
    let good = Fake::honest(Status::Ok).await;
    let verdict = support::client([good.url]).verify(OTP).await.unwrap();
    let blocking = std::thread::spawn(move || blocking::Client::new(settings(all)).unwrap()).join().unwrap();
    let mut texts = vec![
        format!("{builder:?} {client:?} {blocking:?} {verdict:?}"),
        format!("{error:?} {error:#?} {error}"),
        format!("{late:?} {late} {mistyped:?} {mistyped}"),
        format!("{:?} {}", validation::Error::InsideRuntime, validation::Error::InsideRuntime),
    ];
    texts.extend(error.failures().iter().map(|failure| format!("{failure:?} {failure} {:?}", failure.cause)));
    assert_clean(&texts);
}

#[tokio::test]
async fn api() {
    let token: BearerToken = TOKEN.parse().unwrap();
    let builder = api::Client::builder(Fake::dead().await, token.clone());
    let client = builder.clone().build().unwrap();
    let error = client.verify("alice", OTP).await.unwrap_err();
    let filters = (
        PageRequest::default(),
        KeyFilter::default(),
        AuditFilter { since: Some(Timestamp::UNIX_EPOCH), ..AuditFilter::default() },
    );
    let bad = format!("{TOKEN} two words").parse::<BearerToken>().unwrap_err();
    assert_clean(&[
        format!("{token:?} {builder:?} {client:?} {filters:?} {bad:?} {bad}"),
        format!("{error:?} {error:#?} {error}"),
    ]);
}

#[test]
fn settings_and_addresses() {
    // Somebody writes the key where the address belongs, or a password into the address.
    let odd: [AddressError; 3] = [
        KEY.parse::<ServerUrl>().unwrap_err(),
        format!("https://user:{TOKEN}@otp.example.org/").parse::<ServerUrl>().unwrap_err(),
        format!("https://otp.example.org/?otp={OTP}").parse::<ServerUrl>().unwrap_err(),
    ];
    let url: ServerUrl = "https://otp.example.org".parse().unwrap();
    let config = ConfigError::SameServerTwice(url);
    assert_clean(&[format!("{odd:?} {} {} {} {config:?} {config}", odd[0], odd[1], odd[2])]);
}
