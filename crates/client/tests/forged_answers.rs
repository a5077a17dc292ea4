//! Every forged answer that some client in the field was seen to accept, and some more. Only an
//! answer signed for this very request makes a verdict.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use support::{Fake, KEY, OTP, Reaction, answer, client, http, http_ok, key, settings, signed};
use tapkey_client::validation::{ApiKey, Distrust, Error, FailureCause, Status, Verdict};
use tapkey_protocol::validation::{Request, ResponseError};

async fn judge(body: impl Fn(&Request) -> String + Send + Sync + 'static) -> Result<Verdict, Error> {
    let server = Fake::body(body).await;
    client([server.url]).verify(OTP).await
}

/// Asserts a refusal for this cause, and that the text names the server.
fn refused(result: Result<Verdict, Error>, fits: impl Fn(&FailureCause) -> bool) {
    let error = result.expect_err("a forged answer became a verdict");
    assert!(error.is_distrusted() && !error.is_unreachable(), "{error}");
    let [failure] = error.failures() else { panic!("{error:?}") };
    assert!(fits(&failure.cause), "{failure:?}");
    assert!(error.to_string().contains(failure.server.as_url().as_str()), "{error}");
}

fn distrusted(expected: Distrust) -> impl Fn(&FailureCause) -> bool {
    move |cause| matches!(cause, FailureCause::Distrusted(found) if *found == expected)
}

fn malformed(expected: ResponseError) -> impl Fn(&FailureCause) -> bool {
    move |cause| matches!(cause, FailureCause::Malformed(found) if *found == expected)
}

fn lines(request: &Request) -> [(&'static str, String); 4] {
    [
        ("t", "2026-01-01T00:00:00Z0000".into()),
        ("otp", request.otp_as_sent.clone()),
        ("nonce", request.nonce.to_string()),
        ("status", "OK".into()),
    ]
}

/// The good answer with one line changed, left out (`None`) or added; signed.
fn with(request: &Request, name: &str, value: Option<&str>, key: &ApiKey) -> String {
    let lines = lines(request);
    let mut pairs: Vec<(&str, &str)> =
        lines.iter().map(|(n, v)| (*n, v.as_str())).filter(|(n, _)| *n != name).collect();
    if let Some(value) = value {
        pairs.push((name, value));
    }
    signed(&pairs, key)
}

// The three rows that are accepted.

#[tokio::test]
async fn a_right_answer_is_accepted() {
    let verdict = judge(|request| answer(request, Status::Ok)).await.unwrap();
    assert!(verdict.is_valid());
    assert_eq!(verdict.sync_percent(), Some(0));
}

#[tokio::test]
async fn line_feeds_alone_are_accepted() {
    assert!(judge(|request| answer(request, Status::Ok).replace("\r\n", "\n")).await.unwrap().is_valid());
}

#[tokio::test]
async fn an_additional_signed_line_is_accepted() {
    assert!(judge(|request| with(request, "name", Some("x"), &key())).await.unwrap().is_valid());
}

// Signatures.

#[tokio::test]
async fn no_signature() {
    let result = judge(|request| answer(request, Status::Ok).split_once("\r\n").unwrap().1.to_owned()).await;
    refused(result, distrusted(Distrust::NotSigned));
}

#[tokio::test]
async fn an_additional_line_that_is_not_signed() {
    let result = judge(|request| format!("name=x\r\n{}", answer(request, Status::Ok))).await;
    refused(result, distrusted(Distrust::Signature));
}

#[tokio::test]
async fn a_wrong_signature() {
    let other = || ApiKey::new(vec![7; 20]);
    refused(judge(move |request| with(request, "", None, &other())).await, distrusted(Distrust::Signature));
}

#[tokio::test]
async fn signed_with_the_empty_key() {
    let result = judge(|request| with(request, "", None, &ApiKey::empty())).await;
    refused(result, distrusted(Distrust::Signature));
}

#[tokio::test]
async fn a_garbage_signature() {
    for garbage in ["", "=", "AAAA", "not base64!", "mG5be6ZJU1qBGz24yPh_ESM3UdU=", "\u{e9}"] {
        let result = judge(move |request| {
            let text = answer(request, Status::Ok);
            format!("h={garbage}\r\n{}", text.split_once("\r\n").unwrap().1)
        })
        .await;
        refused(result, distrusted(Distrust::Signature));
    }
}

#[tokio::test]
async fn an_unknown_client_is_named_but_never_a_verdict() {
    let result = judge(|_| signed(&[("t", "T"), ("status", "NO_SUCH_CLIENT")], &ApiKey::empty())).await;
    refused(result, distrusted(Distrust::ClientUnknown { claimed: Status::NoSuchClient }));
}

// Answers to something else.

#[tokio::test]
async fn another_nonce() {
    let result = judge(|request| with(request, "nonce", Some("0123456789abcdef"), &key())).await;
    refused(result, distrusted(Distrust::Nonce));
}

#[tokio::test]
async fn an_old_answer_of_the_same_server() {
    use std::sync::Mutex;
    let first: Mutex<Option<String>> = Mutex::new(None);
    let server = Fake::body(move |request| {
        first.lock().unwrap().get_or_insert_with(|| answer(request, Status::Ok)).clone()
    })
    .await;
    let client = client([server.url]);
    assert!(client.verify(OTP).await.unwrap().is_valid());
    refused(client.verify(OTP).await, distrusted(Distrust::Nonce));
}

#[tokio::test]
async fn another_password() {
    let other = OTP.replace('v', "c");
    let result = judge(move |request| with(request, "otp", Some(&other), &key())).await;
    refused(result, distrusted(Distrust::Otp));
}

#[tokio::test]
async fn no_nonce() {
    refused(judge(|request| with(request, "nonce", None, &key())).await, distrusted(Distrust::Nonce));
}

#[tokio::test]
async fn no_password() {
    refused(judge(|request| with(request, "otp", None, &key())).await, distrusted(Distrust::Otp));
}

#[tokio::test]
async fn neither_as_in_protocol_1() {
    refused(judge(|_| signed(&[("t", "T"), ("status", "OK")], &key())).await, distrusted(Distrust::Nonce));
}

#[tokio::test]
async fn replays_are_bound_to_the_request_too() {
    for status in ["REPLAYED_OTP", "REPLAYED_REQUEST", "NOT_ENOUGH_ANSWERS", "DELAYED_OTP"] {
        let result = judge(move |_| signed(&[("t", "T"), ("status", status)], &key())).await;
        refused(result, distrusted(Distrust::Nonce));
    }
}

// The status line.

#[tokio::test]
async fn a_second_status_line() {
    let result = judge(|request| format!("status=BAD_OTP\r\n{}", answer(request, Status::Ok))).await;
    refused(result, malformed(ResponseError::Repeated));
    let result =
        judge(|request| answer(request, Status::BadOtp).replace("\r\n\r\n", "\r\nstatus=OK\r\n\r\n")).await;
    refused(result, malformed(ResponseError::Repeated));
}

#[tokio::test]
async fn a_status_in_lower_case() {
    let result = judge(|request| with(request, "status", Some("ok"), &key())).await;
    refused(result, malformed(ResponseError::UnknownStatus));
}

#[tokio::test]
async fn no_status() {
    let result = judge(|request| with(request, "status", None, &key())).await;
    refused(result, malformed(ResponseError::NoStatus));
}

// HTTP.

#[tokio::test]
async fn an_http_error_with_a_right_body() {
    for status in [500, 503, 400, 404, 201, 204] {
        let server =
            Fake::start(move |request| Reaction::Say(http(status, "", &answer(&request, Status::Ok)))).await;
        let error = client([server.url]).verify(OTP).await.expect_err("HTTP error accepted");
        let [failure] = error.failures() else { panic!("{error:?}") };
        assert!(matches!(failure.cause, FailureCause::HttpStatus(found) if found == status), "{failure:?}");
        // A proxy says 5xx in place of a server that is down.
        assert_eq!(error.is_unreachable(), status >= 500);
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = Fake::honest(Status::Ok).await;
    let location = format!("Location: {}\r\n", target.url);
    let server =
        Fake::start(move |request| Reaction::Say(http(302, &location, &answer(&request, Status::Ok)))).await;
    refused(client([server.url]).verify(OTP).await, |cause| matches!(cause, FailureCause::HttpStatus(302)));
    assert_eq!(target.connections(), 0);
}

/// The signature decides, and does not cover the content type.
#[tokio::test]
async fn the_content_type_does_not_matter() {
    let server = Fake::start(|request| {
        Reaction::Say(http(200, "Content-Type: text/html\r\n", &answer(&request, Status::Ok)))
    })
    .await;
    assert!(client([server.url]).verify(OTP).await.unwrap().is_valid());
    let html = "<html>\n<title>Captive portal</title>\n</html>";
    refused(judge(move |_| html.into()).await, malformed(ResponseError::NotAPair));
    refused(judge(|_| "{\"status\":\"OK\"}".into()).await, malformed(ResponseError::NotAPair));
}

#[tokio::test]
async fn ten_megabytes() {
    let server = Fake::start(|_| Reaction::Flood(10 << 20)).await;
    refused(client([server.url]).verify(OTP).await, malformed(ResponseError::TooLong));
    let result = judge(|request| format!("{}x={}", answer(request, Status::Ok), "a".repeat(9000))).await;
    refused(result, malformed(ResponseError::TooLong));
}

#[tokio::test]
async fn slow_loris() {
    let server = Fake::start(|request| {
        Reaction::Trickle(Duration::from_millis(100), http_ok(&answer(&request, Status::Ok)))
    })
    .await;
    let start = Instant::now();
    let settings = settings([server.url]).deadline(Duration::from_secs(1));
    let error = settings.build().unwrap().verify(OTP).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }) && error.is_unreachable(), "{error:?}");
    // The whole answer would take half a minute.
    assert!(start.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn closed_before_and_in_the_middle() {
    let reactions: [fn(Request) -> Reaction; 3] = [
        |_| Reaction::Close,
        |_| Reaction::Say(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()),
        |request| {
            let mut bytes = http_ok(&answer(&request, Status::Ok));
            // Only the empty line at the end is missing: still not the whole answer.
            bytes.truncate(bytes.len() - 2);
            Reaction::Say(bytes)
        },
    ];
    for reaction in reactions {
        let server = Fake::start(reaction).await;
        let error = client([server.url]).verify(OTP).await.unwrap_err();
        assert!(error.is_unreachable(), "{error:?}");
        assert!(matches!(error.failures()[0].cause, FailureCause::Connection(_)));
    }
}

#[tokio::test]
async fn not_http_at_all() {
    let server = Fake::start(|_| Reaction::Say(b"220 mail.example.org ESMTP\r\n".to_vec())).await;
    assert!(client([server.url]).verify(OTP).await.unwrap_err().is_unreachable());
}

#[tokio::test]
async fn nobody_listens() {
    let error = client([Fake::dead().await]).verify(OTP).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
}

// What must never be seen.

/// The password is in the query of the address, and HTTP errors like to repeat their address.
#[tokio::test]
async fn no_error_repeats_the_password_or_the_key() {
    let cut = Fake::start(|request| {
        let mut bytes = http_ok(&answer(&request, Status::Ok));
        bytes.truncate(bytes.len() - 20);
        Reaction::Say(bytes)
    })
    .await;
    let forged = Fake::body(|_| "status=OK".into()).await;
    let client = client([Fake::dead().await, cut.url, forged.url]);
    let error = client.verify(OTP).await.unwrap_err();
    assert_eq!(error.failures().len(), 3);
    let block = &OTP[12..];
    let raw_key = format!("{:?}", key().expose());
    for text in [error.to_string(), format!("{error:?}"), format!("{error:#?}"), format!("{client:?}")] {
        for secret in [block, KEY, raw_key.as_str()] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn other_spellings_are_sent_as_modhex() {
    let server = Fake::honest(Status::Ok).await;
    let client = client([server.url]);
    let upper = OTP.to_uppercase();
    // The same password as a Dvorak layout types it.
    let dvorak: String = OTP
        .chars()
        .map(|letter| "jxe.uidchtnbpygk".chars().nth("cbdefghijklnrtuv".find(letter).unwrap()).unwrap())
        .collect();
    for typed in [upper, format!(" {OTP}\n"), dvorak] {
        assert!(client.verify(&typed).await.unwrap().is_valid(), "{typed}");
    }
    for nonsense in ["", "hello", &OTP[1..31], &"c".repeat(64)] {
        assert!(client.verify(nonsense).await.unwrap_err().is_bad_password(), "{nonsense}");
    }
    assert!(client.verify_otp(&OTP.parse().unwrap()).await.unwrap().is_valid());
}

#[test]
fn any_body_is_refused_without_a_panic() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (client, bodies) = runtime.block_on(async {
        let bodies: std::sync::Arc<std::sync::Mutex<Vec<u8>>> = Default::default();
        let shown = bodies.clone();
        let server = Fake::start(move |_| {
            let body = shown.lock().unwrap().clone();
            let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
            bytes.extend(body);
            Reaction::Say(bytes)
        })
        .await;
        (client([server.url]), bodies)
    });
    let line = prop_oneof![
        Just("status=OK".to_owned()),
        Just(format!("otp={OTP}")),
        "h=[A-Za-z0-9+/]{27}=",
        "nonce=[a-z]{32}",
        "[a-z]{0,6}=[ -~]{0,20}",
        "\\PC{0,30}",
    ];
    let lines = proptest::collection::vec(line, 0..8).prop_map(|lines| lines.join("\r\n").into_bytes());
    let body = prop_oneof![lines, proptest::collection::vec(any::<u8>(), 0..300)];
    proptest!(ProptestConfig::with_cases(256), |(body in body)| {
        *bodies.lock().unwrap() = body;
        prop_assert!(runtime.block_on(client.verify(OTP)).is_err());
    });
}
