//! One question to several servers: who is waited for, and what wins.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use support::{Fake, OTP, Reaction, answer, client, http_ok, settings};
use tapkey_client::validation::{Error, Status, blocking};

fn slow(time: Duration, status: Status) -> impl Fn(tapkey_protocol::validation::Request) -> Reaction {
    move |request| Reaction::SayAfter(time, http_ok(&answer(&request, status)))
}

#[tokio::test]
async fn one_dead_one_slow_one_forged() {
    let slow_server = Fake::start(slow(Duration::from_millis(300), Status::Ok)).await;
    let forged = Fake::body(|_| "h=AAAA\r\nstatus=BAD_OTP\r\n".into()).await;
    let hanging = Fake::start(|_| Reaction::Hang).await;
    for delay in [Duration::ZERO, Duration::from_millis(50)] {
        let servers = [Fake::dead().await, hanging.url.clone(), forged.url.clone(), slow_server.url.clone()];
        let start = Instant::now();
        let verdict = settings(servers).hedge_delay(delay).build().unwrap().verify(OTP).await.unwrap();
        assert!(verdict.is_valid());
        assert!(start.elapsed() < Duration::from_secs(30), "waited for the hanging server");
    }
}

#[tokio::test]
async fn every_server_gets_the_same_request() {
    let seen: Arc<Mutex<HashSet<String>>> = Arc::default();
    let mut servers = vec![];
    for status in [Status::BackendError, Status::NotEnoughAnswers, Status::Ok] {
        let seen = seen.clone();
        let server = Fake::body(move |request| {
            seen.lock().unwrap().insert(format!("{request:?} {}", request.to_query(None)));
            answer(request, status)
        });
        servers.push(server.await);
    }
    let client = client(servers.iter().map(|server| server.url.clone()));
    assert!(client.verify(OTP).await.unwrap().is_valid());
    assert_eq!(seen.lock().unwrap().len(), 1);
    assert!(client.verify(OTP).await.unwrap().is_valid());
    assert_eq!(seen.lock().unwrap().len(), 2, "the nonce of two questions must differ");
}

/// Servers that share their counters see one request several times.
#[tokio::test]
async fn a_repeated_request_waits_for_the_ok() {
    let quick = Fake::honest(Status::ReplayedRequest).await;
    let late = Fake::start(slow(Duration::from_millis(300), Status::Ok)).await;
    for servers in [[quick.url.clone(), late.url.clone()], [late.url, quick.url]] {
        let client = settings(servers).hedge_delay(Duration::ZERO).build().unwrap();
        assert!(client.verify(OTP).await.unwrap().is_valid());
    }
}

#[tokio::test]
async fn what_is_not_about_the_password_does_not_end_the_others() {
    for status in [
        Status::BackendError,
        Status::NotEnoughAnswers,
        Status::ReplayedRequest,
        Status::BadSignature,
        Status::MissingParameter,
        Status::NoSuchClient,
        Status::OperationNotAllowed,
    ] {
        let first = Fake::honest(status).await;
        let second = Fake::honest(Status::Ok).await;
        let long = Duration::from_secs(50);
        // The next server follows without the delay.
        let client = settings([first.url.clone(), second.url]).hedge_delay(long).build().unwrap();
        let start = Instant::now();
        assert!(client.verify(OTP).await.unwrap().is_valid(), "{status}");
        assert!(start.elapsed() < Duration::from_secs(30));
        // Alone, it is the verdict, and a refusal.
        let verdict = support::client([first.url, Fake::dead().await]).verify(OTP).await.unwrap();
        assert_eq!(verdict.status(), status);
        assert!(!verdict.is_valid());
    }
}

#[tokio::test]
async fn what_is_about_the_password_ends_the_question() {
    for status in [Status::Ok, Status::BadOtp, Status::ReplayedOtp, Status::DelayedOtp] {
        let first = Fake::honest(status).await;
        let second = Fake::honest(Status::Ok).await;
        let long = Duration::from_secs(50);
        let client = settings([first.url, second.url.clone()]).hedge_delay(long).build().unwrap();
        let verdict = client.verify(OTP).await.unwrap();
        assert_eq!(verdict.status(), status);
        assert_eq!(verdict.is_valid(), status == Status::Ok);
        assert_eq!(second.connections(), 0);
    }
}

#[tokio::test]
async fn a_repetition_says_more_than_a_failure() {
    let statuses = [Status::BackendError, Status::ReplayedRequest, Status::NotEnoughAnswers];
    let mut servers = vec![];
    for status in statuses {
        servers.push(Fake::honest(status).await.url);
    }
    assert_eq!(client(servers).verify(OTP).await.unwrap().status(), Status::ReplayedRequest);
}

#[tokio::test]
async fn all_dead() {
    let error =
        client([Fake::dead().await, Fake::dead().await, Fake::dead().await]).verify(OTP).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)) && error.is_unreachable(), "{error:?}");
    assert_eq!(error.failures().len(), 3);
}

#[tokio::test]
async fn a_forged_answer_among_dead_servers_is_told_apart() {
    let forged = Fake::body(|_| "status=OK".into()).await;
    let error = client([Fake::dead().await, forged.url]).verify(OTP).await.unwrap_err();
    assert!(error.is_distrusted() && !error.is_unreachable(), "{error:?}");
}

#[tokio::test]
async fn the_deadline_is_kept() {
    let hanging = Fake::start(|_| Reaction::Hang).await;
    let undecided = Fake::honest(Status::BackendError).await;
    let start = Instant::now();
    let limit = Duration::from_millis(700);
    let client = settings([hanging.url.clone(), Fake::dead().await]).deadline(limit).build().unwrap();
    let error = client.verify(OTP).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }) && error.is_unreachable(), "{error:?}");
    assert!(start.elapsed() >= limit && start.elapsed() < Duration::from_secs(15));
    // What one server could say is told when the time is up.
    let client =
        settings([hanging.url, undecided.url]).hedge_delay(Duration::ZERO).deadline(limit).build().unwrap();
    assert_eq!(client.verify(OTP).await.unwrap().status(), Status::BackendError);
}

#[tokio::test]
async fn a_server_that_hiccups_is_asked_again() {
    let count = Mutex::new(0);
    let server = Fake::start(move |request| {
        let mut count = count.lock().unwrap();
        *count += 1;
        if *count == 1 { Reaction::Close } else { Reaction::Say(http_ok(&answer(&request, Status::Ok))) }
    })
    .await;
    assert!(client([server.url.clone()]).verify(OTP).await.unwrap_err().is_unreachable());
    assert!(client([server.url]).verify(OTP).await.unwrap().is_valid());
    let always = Fake::start(|_| Reaction::Close).await;
    let error = settings([always.url.clone()]).attempts(3).build().unwrap().verify(OTP).await.unwrap_err();
    assert_eq!(error.failures().iter().map(|failure| failure.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    let forged = Fake::body(|_| "status=OK".into()).await;
    let error = settings([forged.url.clone()]).attempts(3).build().unwrap().verify(OTP).await.unwrap_err();
    assert_eq!(
        (error.failures().len(), forged.connections()),
        (1, 1),
        "a forged answer is not asked for again"
    );
}

#[test]
fn blocking_client() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(Fake::honest(Status::Ok));
    let client = blocking::Client::new(settings([server.url.clone()])).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(client.verify(OTP).unwrap().is_valid()));
        }
    });
    // Inside a runtime it refuses instead of panicking, also when dropped there.
    runtime.block_on(async {
        assert!(matches!(client.verify(OTP), Err(Error::InsideRuntime)));
        drop(client);
    });
}

#[tokio::test]
async fn the_options_reach_the_server() {
    let seen: Arc<Mutex<String>> = Arc::default();
    let copy = seen.clone();
    let server = Fake::body(move |request| {
        *copy.lock().unwrap() = request.to_query(None);
        answer(request, Status::Ok)
    })
    .await;
    let settings =
        settings([server.url]).timestamp(true).server_timeout(7).sync_level("secure".parse().unwrap());
    settings.build().unwrap().verify(OTP).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    for part in ["timestamp=1", "timeout=7", "sl=secure", "id=1&"] {
        assert!(seen.contains(part), "{seen}");
    }
}
