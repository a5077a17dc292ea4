//! Databases of the tests' own PostgreSQL server, where the tests are to run on it.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tapkey_server::SecretUrl;
use tempfile::TempDir;

/// A database that lasts as long as this does.
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Database {
    /// A new one, if `TAPKEY_TEST_STORE=postgresql` asks for it: the whole suite runs on either store.
    pub(crate) fn if_wanted() -> Option<Self> {
        match std::env::var("TAPKEY_TEST_STORE").as_deref() {
            Ok("postgresql") => Some(Self::create()),
            Ok("sqlite") | Err(_) => None,
            Ok(other) => panic!("TAPKEY_TEST_STORE is sqlite or postgresql, not {other}"),
        }
    }

    /// A new one.
    pub(crate) fn create() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/postgres");
        let server = run(&mut Command::new(script)).trim().to_owned();
        let place = tempfile::Builder::new().prefix("t").rand_bytes(12).tempdir().unwrap();
        // The system's own way to a name that nobody else has.
        let name = place.path().file_name().unwrap().to_str().unwrap().to_lowercase();
        let database = Self { server, name };
        database.order(&format!("CREATE DATABASE {}", database.name));
        database
    }

    /// How a server connects to it.
    pub(crate) fn url(&self) -> SecretUrl {
        SecretUrl::new(format!("{} dbname={}", self.server, self.name))
    }

    /// A pooler in front of it that hands its connections out for a transaction at a time.
    pub(crate) fn pooler(&self) -> Pooler {
        Pooler::start(&self.server, &self.name)
    }

    fn order(&self, sql: &str) {
        run(Command::new("psql").args([&format!("{} dbname=postgres", self.server), "-qc", sql]));
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.order(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// A running pgbouncer. Killed when this is dropped.
pub(crate) struct Pooler {
    process: Child,
    folder: TempDir,
    name: String,
}

impl Pooler {
    fn start(server: &str, name: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("pool").tempdir_in("/tmp").unwrap();
        let path = folder.path().display();
        let host = server.split_whitespace().find(|part| part.starts_with("host=")).unwrap();
        // Two connections for everybody: whoever counted on keeping one would be found out.
        let settings = format!(
            "[databases]\n* = {host} user=tapkey\n[pgbouncer]\npool_mode = transaction\ndefault_pool_size = 2\n\
             auth_type = any\nlisten_addr =\nunix_socket_dir = {path}\nlogfile = {path}/log\n"
        );
        std::fs::write(folder.path().join("pgbouncer.ini"), settings).unwrap();
        let mut command = Command::new("/usr/sbin/pgbouncer");
        command.arg(folder.path().join("pgbouncer.ini"));
        if run(Command::new("id").arg("-u")).trim() == "0" {
            // It refuses to run as root.
            run(Command::new("chown").arg("-R").arg("postgres").arg(folder.path()));
            command.args(["-u", "postgres"]);
        }
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pgbouncer starts");
        let pooler = Self { process, folder, name: name.to_owned() };
        let start = Instant::now();
        while !pooler.folder.path().join(".s.PGSQL.6432").exists() {
            assert!(start.elapsed() < Duration::from_secs(10), "pgbouncer does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        pooler
    }

    /// How a server connects to the database through it.
    pub(crate) fn url(&self) -> SecretUrl {
        SecretUrl::new(format!(
            "host={} port=6432 user=tapkey dbname={}",
            self.folder.path().display(),
            self.name
        ))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
