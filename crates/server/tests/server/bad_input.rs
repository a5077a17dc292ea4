//! Requests that no client sends: the right status, never 5xx, and a server that goes on.

use std::time::Duration;

use tapkey_api::ProblemCode;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::common::{NONCE, TestServer, parse, raw};

#[tokio::test]
async fn strange_validation_requests() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let (mut key, _) = server.enrol("alice").await;
    let otp = key.press();
    let good = format!("id={}&otp={otp}&nonce={NONCE}", client.id);
    let many: String = (0..1000).map(|n| format!("&a{n}=1")).collect();
    let same: String = "&otp=x".repeat(1000);
    let rows: Vec<(String, &[u16])> = vec![
        (String::new(), &[200]),
        ("&&&===&".to_owned(), &[200]),
        (format!("{good}{same}"), &[200]),
        (format!("id={}%00&otp={otp}&nonce={NONCE}", client.id), &[200]),
        (format!("id={}&otp={otp}%00&nonce={NONCE}", client.id), &[200]),
        (format!("id={}&otp={otp}%0d%0astatus%3dOK&nonce={NONCE}", client.id), &[200]),
        (format!("id={}&otp={otp}&nonce={NONCE}%0d%0astatus%3dOK", client.id), &[200]),
        (format!("id={}&otp=%ff%fe&nonce=%c3%28", client.id), &[200]),
        (format!("id={}&otp=%", client.id), &[200]),
        (format!("id[]={}&otp[]={otp}&nonce[]={NONCE}", client.id), &[200]),
        (format!("id={}&otp={}", client.id, "c".repeat(5000)), &[200]),
        (format!("id={}", "1".repeat(8000)), &[200]),
        ("a".repeat(10_000), &[414]),
        ("a".repeat(1_000_000), &[414, 431]),
    ];
    for (query, statuses) in rows {
        let shown: String = query.chars().take(80).collect();
        let reply = client.query(&query).await;
        assert!(statuses.contains(&reply.status), "{shown}: {reply:?}");
        if reply.status == 200 {
            assert_ne!(reply.status_line(), "OK", "{shown}");
            assert_eq!(reply.body.matches("status=").count(), 1, "{shown}");
            assert!(!reply.body.contains(&otp), "{shown}");
        }
    }
    // A thousand unknown parameters are only unknown parameters.
    assert!(good.len() + many.len() < 8192);
    assert_eq!(client.query(&format!("{good}{many}")).await.status_line(), "OK");
}

#[tokio::test]
async fn strange_bytes() {
    let server = TestServer::start().await;
    let path = "/wsapi/2.0/verify";
    let rows: Vec<Vec<u8>> = vec![
        format!("GET {path}?otp=\0 HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes(),
        [format!("GET {path}?otp=").as_bytes(), b"\xff\xfe", b" HTTP/1.1\r\nhost: x\r\n\r\n"].concat(),
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x00\x05hello\r\n\r\n".to_vec(),
        format!("GET {path} HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(100_000)).into_bytes(),
        format!("GET {path} HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(1000)).into_bytes(),
        format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: nine\r\n\r\n").into_bytes(),
        format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\na")
            .into_bytes(),
        format!("POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n")
            .into_bytes(),
        format!("GET {path}\r\ninjected: 1 HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes(),
    ];
    for message in rows {
        let shown = String::from_utf8_lossy(&message[..message.len().min(60)]).into_owned();
        let answer = raw(server.address, &message).await.unwrap_or_else(|| panic!("no answer: {shown}"));
        let reply = parse(&answer);
        assert!((400..500).contains(&reply.status), "{shown}: {reply:?}");
    }
    assert_eq!(server.http("GET", "/healthz", &[], b"").await.status, 200);
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let server = TestServer::start().await;
    let big = vec![b'a'; 1_000_000];
    let reply = server.http("POST", "/wsapi/2.0/verify", &[], &big).await;
    assert_eq!(reply.status, 413);
    let json = format!("{{\"name\":\"{}\"}}", "a".repeat(1_000_000));
    server.api(&server.admin, "POST", "/accounts", Some(&json)).await.problem(ProblemCode::TooLarge);
    let reply = server.get(&format!("/accounts?after={}", "a".repeat(10_000))).await;
    reply.problem(ProblemCode::TooLarge);
}

/// A client that is refused while it still sends can send on and then read why: closing at once
/// would reset the connection, and most clients report that instead of the answer.
#[tokio::test]
async fn refused_clients_can_finish_their_sentence() {
    let server = TestServer::start().await;
    for head in [
        "POST /wsapi/2.0/verify HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n",
        "GET /wsapi/2.0/verify HTTP/1.1\r\nhost: x\r\nx: ",
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..3 {
            stream.write_all(&[b'a'; 100_000]).await.expect("the connection was reset");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let mut answer = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer)
            .await
            .expect("the connection was reset");
        assert!(matches!(parse(&answer).status, 413 | 431), "{head}");
    }
}

#[tokio::test]
async fn strange_json() {
    let server = TestServer::start().await;
    let admin = server.admin.clone();
    let send = async |body: &str| server.api(&admin, "POST", "/accounts", Some(body)).await;
    for body in
        ["", "{", "[]", "null", "{}", "{\"name\":1}", "{\"name\":\"a\",\"more\":1}", "{\"name\":\"a\"} x"]
    {
        send(body).await.problem(ProblemCode::InvalidJson);
    }
    let deep = "[".repeat(60_000);
    send(&deep).await.problem(ProblemCode::InvalidJson);
    for body in
        ["{\"name\":\"\"}", "{\"name\":\"a\\u0000b\"}", "{\"name\":\"a\\r\\nb\"}", "{\"name\":\"..\"}"]
    {
        let problem = send(body).await.problem(ProblemCode::InvalidValue);
        assert_eq!(problem.field.as_deref(), Some("name"));
    }
    let authorization = format!("Bearer {admin}");
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
        let headers = [("authorization", authorization.as_str()), ("content-type", media_type)];
        let reply = server.http("POST", "/api/v1/accounts", &headers, b"{\"name\":\"a\"}").await;
        reply.problem(ProblemCode::UnsupportedMediaType);
    }
    let headers =
        [("authorization", authorization.as_str()), ("content-type", "Application/JSON; charset=utf-8")];
    let reply = server.http("POST", "/api/v1/accounts", &headers, b"{\"name\":\"a\"}").await;
    assert_eq!(reply.status, 201);
    let reply = server.http("POST", "/api/v1/accounts", &headers, b"{\"name\":\"\xff\"}").await;
    reply.problem(ProblemCode::InvalidJson);
}

#[tokio::test]
async fn strange_paths_and_queries() {
    let server = TestServer::start().await;
    for path in [
        "/keys/1",
        "/keys/%00",
        "/keys/%ff",
        "/keys/0000000000000000/access-code",
        "/keys/ffffffffffffffff",
        "/enrollments/x",
        "/accounts/%ff%fe",
        "/accounts/nobody",
        "/nothing",
        "/accounts/a/b/c",
    ] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    for path in [
        "/accounts?limit=0",
        "/accounts?limit=501",
        "/accounts?limit=x",
        "/accounts?more=1",
        "/keys?after=x",
        "/keys?after=1",
        "/keys?public_id=xyz",
        "/tokens?after=1-x",
        "/clients?after=x",
        "/audit?after=-",
        "/audit?since=yesterday",
    ] {
        server.get(path).await.problem(ProblemCode::InvalidValue);
    }
    server.delete("/accounts").await.problem(ProblemCode::MethodNotAllowed);
    let reply = server.http("GET", "/elsewhere", &[], b"").await;
    reply.problem(ProblemCode::NotFound);
}

#[tokio::test]
async fn every_answer_tells_browsers_to_keep_and_run_nothing() {
    let server = TestServer::start().await;
    for (path, token) in [("/status", server.admin.as_str()), ("/status", "x"), ("/nothing", "x")] {
        let reply = server.api(token, "GET", path, None).await;
        assert_eq!(reply.headers["cache-control"], "no-store");
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
        assert!(reply.headers["content-security-policy"].contains("default-src 'none'"));
    }
}

/// Whoever dawdles over the headers or the body is cut off.
#[tokio::test]
async fn slow_clients_are_cut_off() {
    let server = TestServer::start_with(|config| {
        config.limits.header_timeout_seconds = 1;
        config.limits.request_timeout_seconds = 1;
    })
    .await;
    for beginning in [
        "GET /healthz HTTP/1.1\r\nhost:",
        "POST /wsapi/2.0/verify HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nid=1",
        "",
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer);
        tokio::time::timeout(Duration::from_secs(10), read).await.expect("it was not cut off").ok();
        if !answer.is_empty() {
            assert_eq!(parse(&answer).status, 408, "{beginning}");
        }
    }
    let body = "{\"name\":";
    let message = format!(
        "POST /api/v1/accounts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{body}",
        server.admin
    );
    let answer = tokio::time::timeout(Duration::from_secs(10), raw(server.address, message.as_bytes()));
    parse(&answer.await.unwrap().unwrap()).problem(ProblemCode::RequestTimeout);
}

/// More connections than are served at once wait for their turn and lose nothing.
#[tokio::test]
async fn connections_are_bounded() {
    let server = TestServer::start_with(|config| {
        config.limits.connections = 2;
        config.limits.header_timeout_seconds = 2;
    })
    .await;
    let idle = [
        TcpStream::connect(server.address).await.unwrap(),
        TcpStream::connect(server.address).await.unwrap(),
    ];
    let waiting = server.http("GET", "/healthz", &[], b"");
    let reply = tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .expect("idle connections hold all places");
    assert_eq!(reply.status, 200);
    drop(idle);
}
