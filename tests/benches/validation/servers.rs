//! The servers under load, each a process of its own with 1024 credentials.

use std::{
    fmt::Write as _,
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use tapkey_protocol::otp::{AesKey, Otp, PrivateId, PublicId, Timestamp, Token};

use crate::{
    KEYS,
    load::{Cell, Prepared},
};

/// A server that answers `/wsapi/2.0/verify`.
pub(crate) trait Server {
    fn name(&self) -> &'static str;
    fn address(&self) -> SocketAddr;
    fn keeps_alive(&self) -> bool;
    /// Processor time so far.
    fn cpu(&self) -> Duration;
    fn credentials(&self) -> &Credentials;
    /// What each answer must say, beside repeating its question; `None` measures answers as they are.
    fn expected(&self) -> Option<&'static str>;

    /// More requests than the server can answer in a cell.
    fn budget(&self, cell: &Cell) -> usize;

    /// What one connection will send: fresh passwords of keys that no other connection uses.
    fn prepare(&self, connection: usize, cell: &Cell, count: usize) -> Vec<Prepared> {
        let keys: Vec<usize> = (0..KEYS).filter(|key| key % cell.connections == connection).collect();
        (0..count)
            .map(|index| self.credentials().request(keys[index % keys.len()], cell.keep_alive))
            .collect()
    }
}

/// 1024 credentials and where their counters stand.
pub(crate) struct Credentials {
    list: Vec<Credential>,
}

struct Credential {
    public_id: PublicId,
    private_id: PrivateId,
    key: AesKey,
    uses: AtomicU16,
}

impl Credentials {
    fn next(&self, index: usize) -> Otp {
        let credential = &self.list[index];
        let uses = credential.uses.fetch_add(1, Ordering::Relaxed);
        // The lower byte goes into the session counter, so that a credential lasts for 8 million.
        let token = Token {
            private_id: credential.private_id.clone(),
            use_counter_raw: 2 + (uses >> 8),
            session_counter: u8::try_from(uses & 0xff).unwrap(),
            timestamp: Timestamp::new(u32::from(uses)),
            random: uses,
        };
        Otp::new(credential.public_id, token.seal(&credential.key))
    }

    fn request(&self, index: usize, keep_alive: bool) -> Prepared {
        let otp = self.next(index).to_string();
        let nonce: String = otp.chars().rev().take(20).collect();
        let mut text =
            format!("GET /wsapi/2.0/verify?id=1&otp={otp}&nonce={nonce} HTTP/1.1\r\nHost: localhost\r\n");
        if !keep_alive {
            text.push_str("Connection: close\r\n");
        }
        text.push_str("\r\n");
        Prepared {
            bytes: text.into_bytes(),
            must_contain: [format!("otp={otp}").into_bytes(), format!("nonce={nonce}").into_bytes()],
        }
    }
}

/// Ours: the release binary, embedded SQLite, every answer durable.
pub(crate) struct Tapkey {
    process: Running,
    credentials: Credentials,
    _folder: tempfile::TempDir,
}

impl Tapkey {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir_in(bench_folder()).unwrap();
        let data = folder.path().join("data");
        let port = free_port();
        let binary = std::env::var_os("TAPKEY_BINARY").map(PathBuf::from).expect("run scripts/bench");
        let child = Command::new(binary)
            .arg("serve")
            .arg("--data")
            .arg(&data)
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let process = Running::new(child, port);
        let token = first_token(&data.join("admin-token"));
        let credentials = enrol(&format!("http://127.0.0.1:{port}/api/v1"), &token);
        Self { process, credentials, _folder: folder }
    }
}

impl Server for Tapkey {
    fn name(&self) -> &'static str {
        "tapkey serve"
    }
    fn expected(&self) -> Option<&'static str> {
        Some("status=OK")
    }
    fn address(&self) -> SocketAddr {
        self.process.address
    }
    fn keeps_alive(&self) -> bool {
        true
    }
    fn cpu(&self) -> Duration {
        self.process.cpu()
    }
    fn credentials(&self) -> &Credentials {
        &self.credentials
    }
    fn budget(&self, cell: &Cell) -> usize {
        let most = if cell.connections == 1 { 6_000 } else { 45_000 };
        most * usize::try_from(cell.length.as_secs()).unwrap()
    }
}

/// The same server asked about a client that it does not know: all of HTTP, parsing and signing, and
/// nothing of the store.
pub(crate) struct WithoutStore<'a>(pub(crate) &'a Tapkey);

impl Server for WithoutStore<'_> {
    fn name(&self) -> &'static str {
        "tapkey serve, refused before the store"
    }
    fn address(&self) -> SocketAddr {
        self.0.address()
    }
    fn keeps_alive(&self) -> bool {
        true
    }
    fn cpu(&self) -> Duration {
        self.0.cpu()
    }
    fn credentials(&self) -> &Credentials {
        self.0.credentials()
    }
    fn expected(&self) -> Option<&'static str> {
        Some("status=BAD_OTP")
    }
    fn budget(&self, cell: &Cell) -> usize {
        self.0.budget(cell) * 2
    }
    fn prepare(&self, _: usize, cell: &Cell, count: usize) -> Vec<Prepared> {
        let close = if cell.keep_alive { "" } else { "Connection: close\r\n" };
        let path = "/wsapi/2.0/verify?id=1&otp=not-a-password-but-as-long-as-one-is-in-all&nonce=0123456789abcdef0123";
        let text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{close}\r\n");
        let nothing = || [Vec::new(), Vec::new()];
        (0..count).map(|_| Prepared { bytes: text.clone().into_bytes(), must_contain: nothing() }).collect()
    }
}

fn enrol(api: &str, token: &str) -> Credentials {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let post = |path: &str, body: serde_json::Value| -> serde_json::Value {
        let answer = http.post(format!("{api}/{path}")).bearer_auth(token).json(&body).send().unwrap();
        let status = answer.status();
        let text = answer.text().unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    };
    post("clients", serde_json::json!({ "label": "bench" }));
    post("accounts", serde_json::json!({ "name": "bench" }));
    let list = (0..KEYS)
        .map(|index| {
            let request = serde_json::json!({ "request_id": format!("bench-{index:08}"), "account": "bench", "slot": 1 });
            let secrets = post("enrollments", request);
            let text = |name: &str| secrets[name].as_str().unwrap().to_owned();
            let bytes = |name: &str| data_encoding::HEXLOWER.decode(text(name).as_bytes()).unwrap();
            let credential = Credential {
                public_id: text("public_id").parse().unwrap(),
                private_id: PrivateId::new(bytes("private_id").try_into().unwrap()),
                key: AesKey::new(bytes("aes_key").try_into().unwrap()),
                uses: AtomicU16::new(0),
            };
            let first = Token {
                private_id: credential.private_id.clone(),
                use_counter_raw: 1,
                session_counter: 0,
                timestamp: Timestamp::new(0),
                random: 1,
            };
            let otp = Otp::new(credential.public_id, first.seal(&credential.key)).to_string();
            post(&format!("enrollments/{}/confirm", text("id")), serde_json::json!({ "otp": otp }));
            credential
        })
        .collect();
    Credentials { list }
}

/// Debian's yubiserver: SQLite with a rollback journal and full synchronisation.
pub(crate) struct Yubiserver {
    process: Running,
    credentials: Credentials,
    _folder: tempfile::TempDir,
}

impl Yubiserver {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir_in(bench_folder()).unwrap();
        let database = folder.path().join("yubiserver.sqlite");
        fs::copy("/etc/yubiserver/yubiserver.sqlite.init", &database).expect("package yubiserver");
        let credentials = fill(&database);
        let port = free_port();
        let child = Command::new("yubiserver")
            .arg("-d")
            .arg(&database)
            .args(["-p", &port.to_string(), "-l"])
            .arg(folder.path().join("log"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("package yubiserver");
        let mut process = Running::new(child, port);
        process.daemon = Some(daemon(&database));
        Self { process, credentials, _folder: folder }
    }
}

/// It leaves its parent, so its own number has to be looked up.
fn daemon(database: &std::path::Path) -> u32 {
    let found = Command::new("pgrep").args(["-n", "-f"]).arg(database).output().expect("package procps");
    String::from_utf8(found.stdout).unwrap().trim().parse().expect("yubiserver runs")
}

impl Server for Yubiserver {
    fn name(&self) -> &'static str {
        "yubiserver 0.6"
    }
    fn expected(&self) -> Option<&'static str> {
        None
    }
    fn address(&self) -> SocketAddr {
        self.process.address
    }
    fn keeps_alive(&self) -> bool {
        false
    }
    fn cpu(&self) -> Duration {
        self.process.cpu()
    }
    fn credentials(&self) -> &Credentials {
        &self.credentials
    }
    fn budget(&self, cell: &Cell) -> usize {
        3_000 * usize::try_from(cell.length.as_secs()).unwrap()
    }
}

fn fill(database: &std::path::Path) -> Credentials {
    let mut connection = rusqlite::Connection::open(database).unwrap();
    let transaction = connection.transaction().unwrap();
    transaction
        .execute("INSERT INTO apikeys VALUES ('bench', ?1, 1)", ["MTIzNDU2Nzg5MDEyMzQ1Njc4OTA="])
        .unwrap();
    let list = (0..KEYS)
        .map(|index| {
            let seed = u8::try_from(index % 251).unwrap();
            let public_id = PublicId::from_serial(u32::try_from(index).unwrap());
            let credential = Credential {
                public_id,
                private_id: PrivateId::new([seed; 6]),
                key: AesKey::new([seed; 16]),
                uses: AtomicU16::new(0),
            };
            let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
            let mut nickname = String::new();
            write!(nickname, "k{index}").unwrap();
            transaction
                .execute(
                    "INSERT INTO yubikeys VALUES (?1, ?2, '', ?3, ?4, 1, 1, 1)",
                    [&nickname, &public_id.to_string(), &hex(&[seed; 6]), &hex(&[seed; 16])],
                )
                .unwrap();
            credential
        })
        .collect();
    transaction.commit().unwrap();
    Credentials { list }
}

struct Running {
    child: Child,
    daemon: Option<u32>,
    address: SocketAddr,
}

impl Running {
    fn new(child: Child, port: u16) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "a server did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, daemon: None, address }
    }

    /// User and system time of the process, all threads (proc(5), fields 14 and 15 of stat).
    fn cpu(&self) -> Duration {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", self.daemon.unwrap_or(self.child.id()))).unwrap();
        let after_name = stat.rsplit(')').next().unwrap();
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        // Linux reports hundredths of a second to user space on every common architecture.
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(daemon) = self.daemon {
            let _ = Command::new("kill").arg(daemon.to_string()).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The port is taken before the first start is through.
fn first_token(path: &std::path::Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match fs::read_to_string(path) {
            Ok(token) if token.ends_with('\n') => return token.trim().to_owned(),
            _ => assert!(Instant::now() < deadline, "the server made no token"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// On the disk, not in memory: durability is part of what is measured.
pub(crate) fn bench_folder() -> PathBuf {
    let folder = std::env::var_os("TAPKEY_BENCH_FOLDER").map(PathBuf::from).expect("run scripts/bench");
    fs::create_dir_all(&folder).unwrap();
    folder
}
