//! A server to test, a way to talk to it that allows every mistake, and a key made of software.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::database::Database;
use serde::{Serialize, de::DeserializeOwned};
use tapkey_api::{
    Problem, ProblemCode,
    clients::ClientCreated,
    enrollments::{ConfirmEnrollment, CreateEnrollment, EnrollmentSecrets},
    keys::Key,
    tokens::{CreateToken, Role, TokenCreated},
};
use tapkey_protocol::{
    otp::{AesKey, Otp, PrivateId, PublicId, Timestamp, Token},
    validation::{ApiKey, Request},
};
use tapkey_server::{Clock, Config, Moment, Running, Server};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub(crate) const NONCE: &str = "0123456789abcdef";

/// A running server in a folder of its own.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) admin: String,
    pub(crate) clock: TestClock,
    pub(crate) config: Config,
    running: Running,
    folder: TempDir,
    database: Option<Database>,
}

/// Where a server that was stopped has its data.
pub(crate) struct Place {
    _folder: TempDir,
    _database: Option<Database>,
}

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_700_000_000_000)))
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub(crate) fn clock(&self) -> Clock {
        let millis = Arc::clone(&self.0);
        Clock::new(move || Moment::from_millis(millis.load(Ordering::SeqCst)))
    }
}

/// A configuration for a server in a folder; software keys welcome.
pub(crate) fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    config.data_dir = folder.join("data");
    config.policy.accept_emulated = true;
    config
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::if_wanted();
        let mut config = config(folder.path());
        config.store.url = database.as_ref().map(Database::url);
        change(&mut config);
        let first = Server::initialise(&config).await.unwrap();
        let admin = std::fs::read_to_string(&first.token_file).unwrap().trim().to_owned();
        let clock = TestClock::new();
        let running = run(&config, &clock).await;
        Self { address: running.address(), admin, clock, config, running, folder, database }
    }

    /// A second node on the same store, which has to be one that nodes can share.
    pub(crate) async fn second_node(&self) -> Self {
        assert!(self.config.store.url.is_some(), "an embedded store is one node's own");
        let running = run(&self.config, &self.clock).await;
        Self {
            address: running.address(),
            admin: self.admin.clone(),
            clock: self.clock.clone(),
            config: self.config.clone(),
            running,
            folder: tempfile::tempdir().unwrap(),
            database: None,
        }
    }

    /// Stops the server and starts it anew on the same folder.
    pub(crate) async fn restart(self) -> Self {
        let Self { admin, clock, config, running, folder, database, .. } = self;
        running.stop().await;
        let running = run(&config, &clock).await;
        Self { address: running.address(), admin, clock, config, running, folder, database }
    }

    /// Stops the server; its data stay as long as the first value lives.
    pub(crate) async fn stop(self) -> (Place, Config) {
        self.running.stop().await;
        (Place { _folder: self.folder, _database: self.database }, self.config)
    }

    pub(crate) async fn http(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        http(self.address, method, target, headers, body).await
    }

    /// Asks the JSON interface.
    pub(crate) async fn api(&self, token: &str, method: &str, path: &str, body: Option<&str>) -> Reply {
        let authorization = format!("Bearer {token}");
        let mut headers = vec![("authorization", authorization.as_str())];
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        let target = format!("/api/v1{path}");
        self.http(method, &target, &headers, body.unwrap_or_default().as_bytes()).await
    }

    pub(crate) async fn send(&self, token: &str, method: &str, path: &str, body: &impl Serialize) -> Reply {
        self.api(token, method, path, Some(&serde_json::to_string(body).unwrap())).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.api(&self.admin, "GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str) -> Reply {
        self.api(&self.admin, "POST", path, None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.api(&self.admin, "DELETE", path, None).await
    }

    pub(crate) async fn token(&self, role: Role) -> TokenCreated {
        let body = CreateToken { role, label: None, expires_at: None };
        self.send(&self.admin, "POST", "/tokens", &body).await.json(201)
    }

    pub(crate) async fn client(&self) -> WsapiClient {
        let created: ClientCreated = self.api(&self.admin, "POST", "/clients", Some("{}")).await.json(201);
        WsapiClient { address: self.address, id: created.id, key: created.api_key.expose().parse().unwrap() }
    }

    /// Enrols a software key for an account, which is created where needed.
    pub(crate) async fn enrol(&self, account: &str) -> (SoftKey, Key) {
        self.enrol_as(new_enrollment(account)).await
    }

    pub(crate) async fn enrol_as(&self, request: CreateEnrollment) -> (SoftKey, Key) {
        let secrets: EnrollmentSecrets =
            self.send(&self.admin, "POST", "/enrollments", &request).await.json(201);
        let mut key = SoftKey::new(&secrets);
        let confirmed = self.confirm(&self.admin, &secrets.id, &key.press()).await.json(200);
        (key, confirmed)
    }

    pub(crate) async fn confirm(&self, token: &str, id: &str, otp: &str) -> Reply {
        let body = ConfirmEnrollment { otp: otp.to_owned() };
        self.send(token, "POST", &format!("/enrollments/{id}/confirm"), &body).await
    }
}

pub(crate) async fn run(config: &Config, clock: &TestClock) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Server::open(config, clock.clock()).await.unwrap().start(listener).unwrap()
}

/// An enrolment request of an account that may not exist yet, under a request id of its own.
pub(crate) fn new_enrollment(account: &str) -> CreateEnrollment {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    CreateEnrollment {
        request_id: format!("request-{:08}", NEXT.fetch_add(1, Ordering::SeqCst)),
        account: account.to_owned(),
        create_account: true,
        slot: 2,
        serial: None,
        firmware: None,
        public_id: None,
        label: None,
        emulated: true,
        access_code: false,
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Reply {
    #[track_caller]
    pub(crate) fn json<T: DeserializeOwned>(&self, status: u16) -> T {
        assert_eq!(self.status, status, "{}", self.body);
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    #[track_caller]
    pub(crate) fn problem(&self, code: ProblemCode) -> Problem {
        let problem: Problem =
            serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert_eq!(problem.code, code, "{problem:?}");
        assert_eq!(problem.status, self.status);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        problem
    }

    /// The value of a line of a validation answer.
    pub(crate) fn line(&self, name: &str) -> Option<&str> {
        self.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }

    #[track_caller]
    pub(crate) fn status_line(&self) -> &str {
        assert_eq!(self.status, 200, "{self:?}");
        self.line("status").unwrap_or_else(|| panic!("no status: {self:?}"))
    }
}

/// One request on a connection of its own.
pub(crate) async fn http(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut message = head.into_bytes();
    message.extend_from_slice(body);
    parse(&raw(address, &message).await.unwrap_or_else(|| panic!("no answer to {method} {target:.100}")))
}

/// Any bytes on a connection of their own; `None` where it ends without an answer.
pub(crate) async fn raw(address: SocketAddr, message: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and hang up before it has read everything.
    let _ = stream.write_all(message).await;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(length) => answer.extend_from_slice(&buffer[..length]),
        }
    }
    (!answer.is_empty()).then_some(answer)
}

pub(crate) fn parse(answer: &[u8]) -> Reply {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Reply { status, headers, body: body.to_owned() }
}

/// A client of the validation protocol.
#[derive(Clone)]
pub(crate) struct WsapiClient {
    pub(crate) address: SocketAddr,
    pub(crate) id: u64,
    pub(crate) key: ApiKey,
}

impl WsapiClient {
    pub(crate) async fn query(&self, query: &str) -> Reply {
        http(self.address, "GET", &format!("/wsapi/2.0/verify?{query}"), &[], b"").await
    }

    pub(crate) fn request(&self, otp: &str, nonce: &str) -> Request {
        Request::new(self.id.try_into().unwrap(), otp, nonce.parse().unwrap()).unwrap()
    }

    /// Verifies a password, signed; the answer's status.
    pub(crate) async fn verify(&self, otp: &str, nonce: &str) -> String {
        let reply = self.query(&self.request(otp, nonce).to_query(Some(&self.key))).await;
        reply.status_line().to_owned()
    }
}

/// A key made of software.
#[derive(Clone)]
pub(crate) struct SoftKey {
    pub(crate) public_id: PublicId,
    pub(crate) private_id: PrivateId,
    pub(crate) aes_key: AesKey,
    pub(crate) uses: u16,
    pub(crate) session: u8,
    pub(crate) ticks: u32,
}

impl SoftKey {
    pub(crate) fn new(secrets: &EnrollmentSecrets) -> Self {
        let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
        Self {
            public_id: secrets.public_id.parse().unwrap(),
            private_id: PrivateId::new(hex(secrets.private_id.expose()).try_into().unwrap()),
            aes_key: AesKey::new(hex(secrets.aes_key.expose()).try_into().unwrap()),
            uses: 1,
            session: 0,
            ticks: 1000,
        }
    }

    /// The next password.
    pub(crate) fn press(&mut self) -> String {
        let otp = self.type_with(self.uses, self.session);
        self.session = self.session.wrapping_add(1);
        if self.session == 0 {
            self.uses += 1;
        }
        self.ticks += 8;
        otp
    }

    /// A password with any counters.
    pub(crate) fn type_with(&self, use_counter_raw: u16, session_counter: u8) -> String {
        let token = Token {
            private_id: self.private_id.clone(),
            use_counter_raw,
            timestamp: Timestamp::new(self.ticks),
            session_counter,
            random: 0x1234,
        };
        Otp::new(self.public_id, token.seal(&self.aes_key)).to_string()
    }
}
