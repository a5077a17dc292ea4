//! Validation servers that misbehave on purpose.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tapkey_client::{
    ServerUrl,
    validation::{ApiKey, Builder, Client},
};
use tapkey_protocol::validation::{Answer, Echo, Query, Request, Signature, Status};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};

pub const OTP: &str = "vvungrrdhvtklknvrtvuvbbkeidikkvgglrvdgrfcdft";
pub const KEY: &str = "mG5be6ZJU1qBGz24yPh/ESM3UdU=";

pub fn key() -> ApiKey {
    KEY.parse().unwrap()
}

/// What a server does with a request.
pub enum Reaction {
    /// Writes these bytes and closes.
    Say(Vec<u8>),
    /// Waits, then writes and closes.
    SayAfter(Duration, Vec<u8>),
    /// Writes one byte after the other with a pause between them.
    Trickle(Duration, Vec<u8>),
    /// Writes a head without length, then this many bytes of body.
    Flood(usize),
    /// Says nothing and keeps the connection.
    Hang,
    /// Closes without a word.
    Close,
}

pub struct Fake {
    pub url: ServerUrl,
    count: Arc<AtomicUsize>,
}

impl Fake {
    /// A server on a free port, for as long as the test's runtime lives.
    pub async fn start(react: impl Fn(Request) -> Reaction + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/wsapi/2.0/verify", listener.local_addr().unwrap()).parse().unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let (react, counter) = (Arc::new(react), count.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let react = react.clone();
                tokio::spawn(async move { converse(stream, react.as_ref()).await });
            }
        });
        Self { url, count }
    }

    /// A server that always answers this status, signed and right.
    pub async fn honest(status: Status) -> Self {
        Self::start(move |request| Reaction::Say(http_ok(&answer(&request, status)))).await
    }

    /// A server that answers with this body, made for the request.
    pub async fn body(body: impl Fn(&Request) -> String + Send + Sync + 'static) -> Self {
        Self::start(move |request| Reaction::Say(http_ok(&body(&request)))).await
    }

    /// An address at which nobody listens.
    pub async fn dead() -> ServerUrl {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/wsapi/2.0/verify", listener.local_addr().unwrap()).parse().unwrap()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

/// Reads one request from a connection and does what the script says.
pub async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    react: &(impl Fn(Request) -> Reaction + ?Sized),
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap();
    let (_, query) = target.split_once('?').unwrap();
    let request = Request::from_query(&Query::parse(query.as_bytes())).unwrap();
    let _ = act(&mut stream, react(request)).await;
    let _ = stream.shutdown().await;
}

async fn act<S: AsyncWrite + Unpin>(stream: &mut S, reaction: Reaction) -> std::io::Result<()> {
    match reaction {
        Reaction::Say(bytes) => stream.write_all(&bytes).await?,
        Reaction::SayAfter(pause, bytes) => {
            tokio::time::sleep(pause).await;
            stream.write_all(&bytes).await?;
        }
        Reaction::Trickle(pause, bytes) => {
            for byte in bytes {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(pause).await;
            }
        }
        Reaction::Flood(length) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await?;
            for _ in 0..length.div_ceil(8192) {
                stream.write_all(&[b'a'; 8192]).await?;
            }
        }
        Reaction::Hang => std::future::pending().await,
        Reaction::Close => {}
    }
    stream.flush().await
}

/// The right answer.
pub fn answer(request: &Request, status: Status) -> String {
    let echo = Echo { otp: request.otp_as_sent.clone(), nonce: request.nonce.clone() };
    Answer::new(status, "2026-01-01T00:00:00Z0000".into(), echo).with_sync_percent(0).to_text(&key())
}

/// Any lines, signed over all of them.
pub fn signed(pairs: &[(&str, &str)], key: &ApiKey) -> String {
    let mut sorted = pairs.to_vec();
    sorted.sort_unstable();
    let h = Signature::over_sorted(key, sorted.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())));
    pairs.iter().fold(format!("h={h}\r\n"), |text, (name, value)| format!("{text}{name}={value}\r\n"))
        + "\r\n"
}

/// Status 200 with the headers of a validation server.
pub fn http_ok(body: &str) -> Vec<u8> {
    http(200, "Content-Type: text/plain\r\n", body)
}

/// A whole HTTP answer.
pub fn http(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A client for these servers that asks all of them at once and waits long.
pub fn settings(servers: impl IntoIterator<Item = ServerUrl>) -> Builder {
    Client::builder("1".parse().unwrap(), key())
        .servers(servers)
        .deadline(Duration::from_secs(60))
        .attempt_limit(Duration::from_secs(60))
}

pub fn client(servers: impl IntoIterator<Item = ServerUrl>) -> Client {
    settings(servers).build().unwrap()
}
