//! Stopping without cutting any answer off.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use super::common::{NONCE, TestServer, parse, run};

/// A request whose body is still on its way when the server is told to stop is answered; one that
/// comes later is not.
#[tokio::test]
async fn requests_under_way_are_finished() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let (mut key, _) = server.enrol("alice").await;
    let body = client.request(&key.press(), NONCE).to_query(None);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head =
        format!("POST /wsapi/2.0/verify HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..10]).await.unwrap();
    sleep(Duration::from_millis(100)).await;

    let address = server.address;
    let stopping = tokio::spawn(server.stop());
    sleep(Duration::from_millis(100)).await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody new is let in");
    assert!(!stopping.is_finished());
    stream.write_all(&body.as_bytes()[10..]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let reply = parse(&answer);
    assert_eq!(reply.status_line(), "OK");
    assert_eq!(reply.headers.get("connection").map(String::as_str), Some("close"));
    stopping.await.unwrap();
}

/// Idle connections do not hold the server up.
#[tokio::test]
async fn idle_connections_are_closed() {
    let server = TestServer::start().await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut buffer = [0; 1024];
    assert!(idle.read(&mut buffer).await.unwrap() > 0);
    tokio::time::timeout(Duration::from_secs(5), server.stop()).await.expect("an idle connection held it up");
}

/// After stopping, the database file is all there is: a copy of it is a whole backup.
#[tokio::test]
async fn the_log_is_emptied_into_the_database() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let (mut key, _) = server.enrol("alice").await;
    assert_eq!(client.verify(&key.press(), NONCE).await, "OK");
    let (_folder, config) = server.stop().await;
    for name in ["tapkey.db-wal", "tapkey.db-shm"] {
        assert!(!config.data_dir.join(name).exists(), "{name}");
    }
}

/// Whoever does not finish is cut off in the end.
#[tokio::test]
async fn stopping_takes_no_longer_than_allowed() {
    let server = TestServer::start_with(|config| config.limits.shutdown_timeout_seconds = 1).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"POST /wsapi/2.0/verify HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    tokio::time::timeout(Duration::from_secs(5), server.stop()).await.expect("a slow client held it up");
}

/// Stopped under load and started again: everything that was answered OK stays spent.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_under_load_stays_spent() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let accepted = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut hands = Vec::new();
    for hand in 0..8 {
        let (mut key, _) = server.enrol(&format!("account{hand}")).await;
        let (client, accepted) = (client.clone(), Arc::clone(&accepted));
        hands.push(tokio::spawn(async move {
            loop {
                let otp = key.press();
                let request = client.request(&otp, NONCE).to_query(Some(&client.key));
                let Ok(mut stream) = TcpStream::connect(client.address).await else { return };
                let message = format!(
                    "GET /wsapi/2.0/verify?{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
                );
                let mut answer = Vec::new();
                if stream.write_all(message.as_bytes()).await.is_err()
                    || stream.read_to_end(&mut answer).await.is_err()
                {
                    return;
                }
                if !answer.is_empty() && parse(&answer).status_line() == "OK" {
                    accepted.lock().unwrap().push(otp);
                }
            }
        }));
    }
    sleep(Duration::from_millis(500)).await;
    let clock = server.clock.clone();
    let (folder, config) = server.stop().await;
    for hand in hands {
        hand.await.unwrap();
    }
    let again = run(&config, &clock).await;
    let client = super::common::WsapiClient { address: again.address(), ..client };
    let accepted = std::mem::take(&mut *accepted.lock().unwrap());
    assert!(accepted.len() > 50, "{}", accepted.len());
    for otp in accepted {
        let status = client.verify(&otp, &"f".repeat(16)).await;
        assert_eq!(status, "REPLAYED_OTP");
    }
    again.stop().await;
    drop(folder);
}
