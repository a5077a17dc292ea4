//! The client of `/api/v1` against a server that records what it is asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tapkey_api::{
    ProblemCode,
    accounts::VerifyStatus,
    clients::CreateClient,
    enrollments::CreateEnrollment,
    keys::UpdateKey,
    tokens::{CreateToken, Role},
};
use tapkey_client::{
    ServerUrl,
    api::{AuditFilter, BearerToken, Client, Error, KeyFilter, PageRequest, every_page},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const TOKEN: &str = "tk_Zm9vYmFyLXNlY3JldA";
const OTP: &str = "vvungrrdhvtklknvrtvuvbbkeidikkvgglrvdgrfcdft";

type Asked = Arc<Mutex<Vec<String>>>;

/// A server that answers the n-th request with the n-th (or last) answer, and what it was asked:
/// request line, authorisation and body, one text per request.
async fn serve(answers: Vec<String>) -> (ServerUrl, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let asked = Asked::default();
    let log = asked.clone();
    tokio::spawn(async move {
        for index in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let field = |name: &str| {
                let lower = head.to_lowercase();
                let at = lower.find(&format!("\r\n{name}: "))? + name.len() + 4;
                head[at..].lines().next().map(str::to_owned)
            };
            let mut body = vec![0; field("content-length").map_or(0, |length| length.parse().unwrap())];
            stream.read_exact(&mut body).await.unwrap();
            let first = head.lines().next().unwrap();
            let authorization = field("authorization").unwrap();
            let body = String::from_utf8(body).unwrap();
            log.lock().unwrap().push(format!("{first}|{authorization}|{body}"));
            let answer = answers.get(index).or(answers.last()).unwrap();
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, asked)
}

fn json(status: u16, body: &str) -> String {
    let kind = if status < 400 { "application/json" } else { "application/problem+json" };
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn client(url: ServerUrl) -> Client {
    Client::builder(url, TOKEN.parse().unwrap()).deadline(Duration::from_secs(60)).build().unwrap()
}

const KEY: &str = r#"{"id":"k1","public_id":"cccc","account":"alice","enabled":true,"slot":2,"emulated":false,
    "has_access_code":false,"use_counter":1,"session_counter":2,"created_at":"2026-01-01T00:00:00Z","later":1}"#;
const ACCOUNT: &str = r#"{"name":"alice","enabled":true,"keys":1,"created_at":"2026-01-01T00:00:00Z"}"#;
const CLIENT: &str = r#"{"id":7,"enabled":true,"created_at":"2026-01-01T00:00:00Z"}"#;
const EMPTY: &str = r#"{"items":[]}"#;

/// Asks once, and tells request line and body.
async fn once<T>(answer: &str, call: impl AsyncFnOnce(Client) -> Result<T, Error>) -> (T, String, String) {
    let answer = if answer.is_empty() {
        "HTTP/1.1 204 X\r\nConnection: close\r\n\r\n".to_owned()
    } else {
        json(200, answer)
    };
    let (url, asked) = serve(vec![answer]).await;
    let value = call(client(url)).await.unwrap();
    let asked = asked.lock().unwrap();
    let [asked] = asked.as_slice() else { panic!("{asked:?}") };
    let [line, authorization, body] = asked.splitn(3, '|').collect::<Vec<_>>()[..] else { panic!("{asked}") };
    assert_eq!(authorization, format!("Bearer {TOKEN}"));
    let line = line.strip_suffix(" HTTP/1.1").unwrap().replace("/api/v1", "");
    (value, line, body.to_owned())
}

macro_rules! asks {
    ($answer:expr, $line:expr, $body:expr, |$client:ident| $call:expr) => {{
        let (value, line, body) = once($answer, async |$client: Client| $call.await).await;
        assert_eq!((line.as_str(), body.as_str()), ($line, $body));
        value
    }};
}

#[tokio::test]
async fn enrolments() {
    let request = CreateEnrollment {
        request_id: "12345678".into(),
        account: "alice".into(),
        create_account: false,
        slot: 2,
        serial: Some(42),
        firmware: None,
        public_id: None,
        label: None,
        emulated: false,
        access_code: false,
    };
    let answer = r#"{"id":"e1","public_id":"cccc","private_id":"010203040506","aes_key":"00","expires_at":"2026-01-01T00:00:00Z"}"#;
    let body = r#"{"request_id":"12345678","account":"alice","slot":2,"serial":42}"#;
    let secrets = asks!(answer, "POST /enrollments", body, |c| c.create_enrollment(&request));
    assert_eq!(secrets.private_id.expose(), "010203040506");
    let answer = r#"{"id":"e1","request_id":"12345678","state":"pending","account":"alice","public_id":"cccc","slot":2,
        "created_at":"2026-01-01T00:00:00Z","expires_at":"2026-01-01T00:00:00Z"}"#;
    asks!(answer, "GET /enrollments/e1", "", |c| c.enrollment("e1"));
    let body = format!("{{\"otp\":\"{OTP}\"}}");
    let body = body.as_str();
    let key =
        asks!(KEY, "POST /enrollments/e1/confirm", body, |c| c.confirm_enrollment("e1", &format!("{OTP}\n")));
    assert_eq!(key.id, "k1");
    asks!("", "DELETE /enrollments/e1", "", |c| c.abandon_enrollment("e1"));
}

#[tokio::test]
async fn accounts() {
    asks!(ACCOUNT, "POST /accounts", r#"{"name":"alice"}"#, |c| c.create_account("alice"));
    let page = || PageRequest { limit: Some(5), after: Some("a b".into()) };
    asks!(EMPTY, "GET /accounts?limit=5&after=a+b", "", |c| c.accounts(page()));
    asks!(ACCOUNT, "GET /accounts/a%20b%3F%C3%A9", "", |c| c.account("a b?é"));
    asks!(ACCOUNT, "POST /accounts/alice/disable", "", |c| c.disable_account("alice"));
    asks!(ACCOUNT, "POST /accounts/alice/enable", "", |c| c.enable_account("alice"));
    asks!("", "DELETE /accounts/alice", "", |c| c.delete_account("alice"));
    let body = format!("{{\"otp\":\"{OTP}\"}}");
    let body = body.as_str();
    let verdict =
        asks!(r#"{"status":"ok"}"#, "POST /accounts/alice/verify", body, |c| c.verify("alice", OTP));
    assert_eq!(verdict.status, VerifyStatus::Ok);
    let newer =
        asks!(r#"{"status":"maybe"}"#, "POST /accounts/alice/verify", body, |c| c.verify("alice", OTP));
    assert_eq!(newer.status, VerifyStatus::Unknown);
}

#[tokio::test]
async fn keys() {
    let filter = || KeyFilter { account: Some("alice".into()), public_id: Some("cccc".into()) };
    let page = PageRequest::default;
    asks!(EMPTY, "GET /keys?account=alice&public_id=cccc", "", |c| c.keys(filter(), page()));
    asks!(KEY, "GET /keys/k1", "", |c| c.key("k1"));
    let change = UpdateKey { label: Some("blue".into()), ..UpdateKey::default() };
    asks!(KEY, "PATCH /keys/k1", r#"{"label":"blue"}"#, |c| c.update_key("k1", &change));
    asks!(KEY, "POST /keys/k1/disable", "", |c| c.disable_key("k1"));
    asks!(KEY, "POST /keys/k1/enable", "", |c| c.enable_key("k1"));
    asks!("", "DELETE /keys/k1", "", |c| c.delete_key("k1"));
    let answer = r#"{"access_code":"010203040506"}"#;
    asks!(answer, "GET /keys/k1/access-code", "", |c| c.access_code("k1"));
}

#[tokio::test]
async fn clients_tokens_audit_and_status() {
    let created = r#"{"id":7,"api_key":"AAAA","created_at":"2026-01-01T00:00:00Z"}"#;
    asks!(created, "POST /clients", "{}", |c| c.create_client(&CreateClient::default()));
    asks!(EMPTY, "GET /clients", "", |c| c.clients(PageRequest::default()));
    asks!(CLIENT, "POST /clients/7/disable", "", |c| c.disable_client(7));
    asks!(CLIENT, "POST /clients/7/enable", "", |c| c.enable_client(7));
    asks!("", "DELETE /clients/7", "", |c| c.delete_client(7));
    let request = CreateToken { role: Role::Enroller, label: None, expires_at: None };
    let created = r#"{"id":"t1","token":"tk_x","role":"enroller"}"#;
    asks!(created, "POST /tokens", r#"{"role":"enroller"}"#, |c| c.create_token(&request));
    asks!(EMPTY, "GET /tokens", "", |c| c.tokens(PageRequest::default()));
    asks!("", "DELETE /tokens/t1", "", |c| c.revoke_token("t1"));
    let filter = AuditFilter {
        actor: Some("token:t1".into()),
        since: "2026-01-01T00:00:00Z".parse().ok(),
        ..AuditFilter::default()
    };
    let line = "GET /audit?actor=token%3At1&since=2026-01-01T00%3A00%3A00Z";
    asks!(EMPTY, line, "", |c| c.audit(filter, PageRequest::default()));
    let status = r#"{"version":"1","store":"sqlite","schema":1,"accepts_emulated":true}"#;
    assert!(asks!(status, "GET /status", "", |c| c.status()).accepts_emulated);
}

#[tokio::test]
async fn lists_are_followed_to_their_end_and_no_further() {
    let pages = [
        "{\"items\":[ACCOUNT],\"next\":\"1\"}",
        "{\"items\":[ACCOUNT],\"next\":\"2\"}",
        "{\"items\":[ACCOUNT]}",
    ];
    let (url, asked) =
        serve(pages.iter().map(|page| json(200, &page.replace("ACCOUNT", ACCOUNT))).collect()).await;
    let client_ = client(url);
    assert_eq!(every_page(|page| client_.accounts(page)).await.unwrap().len(), 3);
    assert!(asked.lock().unwrap()[2].contains("after=2"));
    let (url, _) = serve(vec![json(200, "{\"items\":[],\"next\":\"1\"}")]).await;
    let client_ = client(url);
    assert!(matches!(every_page(|page| client_.accounts(page)).await, Err(Error::EndlessList)));
}

#[tokio::test]
async fn problems_are_typed() {
    let problem = r#"{"type":"urn:tapkey:problem:account_not_found","title":"No such account","status":404,
        "code":"account_not_found","detail":"there is no account bob"}"#;
    let (url, _) = serve(vec![json(404, problem)]).await;
    let error = client(url).account("bob").await.unwrap_err();
    assert_eq!(error.code(), Some(ProblemCode::AccountNotFound));
    assert_eq!(error.status(), Some(404));
    assert!(!error.is_unreachable());
    assert_eq!(error.to_string(), "No such account: there is no account bob (account_not_found)");
    let problem = r#"{"type":"x","title":"Down","status":503,"code":"brand_new"}"#;
    let (url, _) = serve(vec![json(503, problem)]).await;
    let error = client(url).account("bob").await.unwrap_err();
    assert_eq!(error.code(), Some(ProblemCode::Unknown));
    assert!(error.is_unreachable());
}

#[tokio::test]
async fn what_is_no_tapkey_server() {
    let (url, _) = serve(vec![json(502, "<html>bad gateway</html>")]).await;
    let error = client(url).status().await.unwrap_err();
    assert!(matches!(error, Error::Status(502)) && error.is_unreachable());
    let (url, _) = serve(vec![json(200, "<html>welcome</html>")]).await;
    assert!(matches!(client(url).status().await, Err(Error::Malformed { line: 1, .. })));
    let (url, _) = serve(vec![json(200, &"a".repeat(Client::MAX_BYTES + 1))]).await;
    assert!(matches!(client(url).status().await, Err(Error::TooLong)));
    // A token must not follow a redirect to somebody else.
    let (target, asked) = serve(vec![json(200, "{}")]).await;
    let moved =
        format!("HTTP/1.1 307 X\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let (url, _) = serve(vec![moved]).await;
    assert!(matches!(client(url).status().await, Err(Error::Status(307))));
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nobody_there_and_nobody_answering() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: ServerUrl = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let limit = Duration::from_millis(500);
    let impatient = Client::builder(url.clone(), TOKEN.parse().unwrap()).deadline(limit).build().unwrap();
    let start = Instant::now();
    let error = impatient.status().await.unwrap_err();
    assert!(matches!(error, Error::Deadline(_)) && error.is_unreachable());
    assert!(start.elapsed() >= limit && start.elapsed() < Duration::from_secs(15));
    drop(listener);
    let error = client(url).status().await.unwrap_err();
    assert!(matches!(error, Error::Connection(_)) && error.is_unreachable());
}

/// `DELETE /accounts/..` would be another request altogether.
#[tokio::test]
async fn names_cannot_change_the_address() {
    let (url, asked) = serve(vec![json(200, ACCOUNT)]).await;
    let client = client(url);
    for name in ["", ".", ".."] {
        assert!(matches!(client.delete_account(name).await, Err(Error::Unaddressable)), "{name:?}");
    }
    client.account("../keys/1?x#y").await.unwrap();
    assert!(asked.lock().unwrap()[0].starts_with("GET /api/v1/accounts/..%2Fkeys%2F1%3Fx%23y HTTP/1.1|"));
}

#[tokio::test]
async fn the_token_is_never_printed() {
    let token: BearerToken = TOKEN.parse().unwrap();
    let builder = Client::builder("http://127.0.0.1:1".parse().unwrap(), token.clone());
    let client = builder.clone().build().unwrap();
    let error = client.verify("alice", OTP).await.unwrap_err();
    // An answer of the wrong shape: the error must not quote it.
    let (url, _) = serve(vec![json(200, r#"{"access_code":31337}"#)]).await;
    let malformed = self::client(url).access_code("k1").await.unwrap_err();
    let texts =
        [format!("{token:?} {builder:?} {client:?} {error:?} {error}"), format!("{malformed:?} {malformed}")];
    for text in texts {
        for shown in [TOKEN, "Zm9v", &OTP[12..], "31337"] {
            assert!(!text.contains(shown), "{text}");
        }
    }
    for bad in ["", " ", "two words", "\"quoted\"", "line\nbreak", "é"] {
        assert!(bad.parse::<BearerToken>().is_err(), "{bad:?}");
    }
}
