//! Commands that talk to a server: the real one, each in a process of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]
#![cfg(all(feature = "emulator", feature = "server"))]

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    process::Stdio,
};

use serde_json::Value;
use support::{Home, Outcome, Running, TestServer};

const KEY: &str = "--emulated=key.json";

impl TestServer {
    fn admin(&self, home: &Home, arguments: &[&str]) -> Value {
        home.json(&[&self.options()[..], &["admin"], arguments].concat())
    }

    fn run(&self, home: &Home, arguments: &[&str]) -> Outcome {
        home.run(&[&self.options()[..], arguments].concat())
    }

    /// An account and a client whose key is in `api-key`.
    fn furnish(&self, home: &Home) {
        self.admin(home, &["accounts", "create", "alice"]);
        let client = self.admin(home, &["clients", "create", "--label", "shop", "--output", "api-key"]);
        assert_eq!((&client["id"], &client["api_key"]), (&1.into(), &Value::Null));
        let mode = std::fs::metadata(home.path("api-key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    fn verify(&self, home: &Home, otp: &str) -> Outcome {
        self.run(home, &["--json", "verify", "--client-id", "1", "--api-key-file", "api-key", otp])
    }

    /// The keys of alice.
    fn keys(&self, home: &Home) -> Vec<Value> {
        self.admin(home, &["keys", "list", "--account", "alice"])["items"].as_array().unwrap().clone()
    }
}

fn press(home: &Home) -> String {
    home.json(&[KEY, "emulate", "press", "--slot", "2"])["typed"].as_str().unwrap().trim().to_owned()
}

#[test]
fn enrol_validate_and_refuse_the_replay() {
    let home = Home::new();
    let server = TestServer::start(&home);
    server.furnish(&home);
    server.run(&home, &[KEY, "enroll", "--account", "alice"]).exits(2).says("--yes");
    let outcome = server
        .run(&home, &[KEY, "--json", "enroll", "--account", "alice", "--label", "blue", "--yes"])
        .exits(0);
    let enrolled = outcome.json();
    assert_eq!(enrolled["schema"], "enroll/1");
    assert_eq!((&enrolled["account"], &enrolled["resumed"]), (&"alice".into(), &false.into()));
    assert_eq!((&enrolled["emulated"], &enrolled["slot"]), (&true.into(), &2.into()));

    let otp = press(&home);
    let good = server.verify(&home, &otp).exits(0).json();
    assert_eq!(
        (&good["schema"], &good["valid"], &good["status"]),
        (&"verify/1".into(), &true.into(), &"OK".into())
    );
    let replay = server.verify(&home, &otp).exits(5);
    assert_eq!(replay.json()["status"], "REPLAYED_OTP");
    let spelled = press(&home).to_uppercase();
    server.verify(&home, &spelled).exits(0);
    let unknown = server.verify(&home, "vvccccbdefghdvgtiblfkbgturecfllberrvkinnctnn").exits(5);
    assert_eq!(unknown.json()["status"], "BAD_OTP");

    let text = server
        .run(&home, &["verify", "--client-id", "1", "--api-key-file", "api-key", &press(&home)])
        .exits(0);
    assert_eq!(text.stdout, "OK\n");
    home.write("other-key", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    server
        .run(&home, &["verify", "--client-id", "1", "--api-key-file", "other-key", &press(&home)])
        .exits(1)
        .says("API key");

    // A programmed slot is not overwritten by accident, and is on purpose.
    server.run(&home, &[KEY, "enroll", "--account", "alice", "--yes"]).exits(2).says("--force");
    server.run(&home, &[KEY, "enroll", "--account", "alice", "--force"]).exits(0);
    assert_eq!(server.keys(&home).len(), 2);
}

#[test]
fn secrets_are_shown_once_and_only_where_they_were_asked_for() {
    let home = Home::new();
    let server = TestServer::start(&home);
    let token = std::fs::read_to_string(&server.token_file).unwrap().trim().to_owned();
    server.furnish(&home);
    let api_key = home.read("api-key").trim().to_owned();
    let made = server.admin(&home, &["tokens", "create", "--role", "enroller", "--output", "enroller"]);
    assert_eq!(made["token"], Value::Null);
    let shown = server.run(&home, &["admin", "clients", "create"]).exits(0).says("not shown again");
    assert!(shown.stdout.contains("API key"));
    server.run(&home, &["admin", "clients", "create", "-O", "api-key"]).exits(2).says("exists");
    assert_eq!(server.admin(&home, &["clients", "list"])["items"].as_array().unwrap().len(), 2);

    // With the enroller's token alone a key is enrolled, with an access code that an administrator can read.
    let enroll = [
        "--server",
        &server.url,
        "--token-file",
        "enroller",
        "-vv",
        KEY,
        "enroll",
        "--account",
        "alice",
        "--yes",
        "--access-code",
        "generate",
    ];
    let outcome = home.run(&enroll).exits(0);
    let key = &server.keys(&home)[0];
    assert_eq!(key["has_access_code"], true);
    let code = server.admin(&home, &["keys", "access-code", key["id"].as_str().unwrap()]);
    let code = code["access_code"].as_str().unwrap().to_owned();
    let verdict = server
        .run(&home, &["-vvv", "verify", "--client-id", "1", "--api-key-file", "api-key", &press(&home)]);
    for secret in [&token, &api_key, &code, home.read("enroller").trim()] {
        for outcome in [&outcome, &verdict] {
            assert!(!outcome.all().contains(secret), "{secret} in {outcome:?}");
        }
    }
    // The code is the slot's.
    home.run(&[KEY, "otp", "delete", "2", "--force"]).exits(4);
    home.write("code", &code);
    home.run(&[KEY, "otp", "delete", "2", "--force", "--access-code", "file:code"]).exits(0);

    home.run(&["--server", &server.url, "--token-file", "enroller", "admin", "tokens", "list"])
        .exits(5)
        .says("tokens create");
    home.write("wrong", "tk_wrong");
    home.run(&["--server", &server.url, "--token-file", "wrong", "admin", "status"]).exits(5).says("token");
}

#[test]
fn administration() {
    let home = Home::new();
    let server = TestServer::start(&home);
    server.furnish(&home);
    server.run(&home, &[KEY, "enroll", "--account", "alice", "--yes", "--public-id", "serial"]).exits(0);
    let key = server.keys(&home)[0].clone();
    let id = key["id"].as_str().unwrap();
    assert!(key["public_id"].as_str().unwrap().starts_with("vv"));

    assert_eq!(server.admin(&home, &["status"])["schema"], "server-status/1");
    assert_eq!(server.admin(&home, &["accounts", "show", "alice"])["keys"], 1);
    for (disable, enable) in [
        (vec!["keys", "disable", id], vec!["keys", "enable", id]),
        (vec!["accounts", "disable", "alice"], vec!["accounts", "enable", "alice"]),
    ] {
        assert_eq!(server.admin(&home, &disable)["enabled"], false);
        assert_eq!(server.verify(&home, &press(&home)).exits(5).json()["status"], "BAD_OTP");
        assert_eq!(server.admin(&home, &enable)["enabled"], true);
        server.verify(&home, &press(&home)).exits(0);
    }
    assert_eq!(server.admin(&home, &["keys", "update", id, "--label", "red"])["label"], "red");
    server.admin(&home, &["clients", "disable", "1"]);
    server.verify(&home, &press(&home)).exits(1);
    server.admin(&home, &["clients", "enable", "1"]);
    server.verify(&home, &press(&home)).exits(0);

    server.run(&home, &["admin", "accounts", "create", "alice"]).exits(5);
    server.run(&home, &["admin", "accounts", "show", "nobody"]).exits(5).says("accounts create");
    server.run(&home, &["admin", "accounts", "delete", "alice"]).exits(2).says("--yes");
    server.run(&home, &["admin", "accounts", "delete", "alice", "--yes"]).exits(5).says("keys");
    assert_eq!(server.admin(&home, &["keys", "delete", id, "--yes"])["deleted"], id);
    assert_eq!(server.admin(&home, &["accounts", "delete", "alice", "--yes"])["deleted"], "alice");
    assert_eq!(server.admin(&home, &["clients", "delete", "1", "--yes"])["deleted"], "1");

    let audit = server.admin(&home, &["audit", "--limit", "3"]);
    assert_eq!((audit["items"].as_array().unwrap().len(), audit["next"].is_string()), (3, true));
    for table in [
        vec!["accounts", "list"],
        vec!["keys", "list"],
        vec!["clients", "list"],
        vec!["tokens", "list"],
        vec!["audit"],
    ] {
        let text = server.run(&home, &[&["admin"], &table[..]].concat()).exits(0).stdout;
        assert!(text.lines().next().unwrap().starts_with(|c: char| c.is_ascii_uppercase()), "{text}");
    }
    let list = server.admin(&home, &["tokens", "list"]);
    let token = list["items"][0]["id"].as_str().unwrap();
    server.run(&home, &["admin", "tokens", "revoke", token, "--yes"]).exits(5).says("last administrator");
}

#[test]
fn software_keys_are_refused_unless_the_server_says_otherwise() {
    let home = Home::new();
    let running =
        Running::start(home.command(&["--json", "serve", "--data", "d", "--listen", "127.0.0.1:0"]));
    let options = ["--server", running.ready["url"].as_str().unwrap(), "--token-file", "d/admin-token"];
    home.run(&[&options[..], &["admin", "accounts", "create", "alice"]].concat()).exits(0);
    home.run(&[&options[..], &[KEY, "enroll", "--account", "alice", "--yes"]].concat())
        .exits(5)
        .says("oftware keys");
    assert_eq!(home.json(&[KEY, "otp", "info"])["slots"][1]["programmed"], false);
}

/// Killed when it has just said how far it is, and run again: it always arrives.
#[test]
fn an_enrolment_that_was_killed_anywhere_converges() {
    let home = Home::new();
    let server = TestServer::start(&home);
    server.furnish(&home);
    for (round, stage) in [
        "nothing says this",
        "account",
        "pending credential",
        "Programming slot",
        "is programmed",
        "Touch the key",
        "checked the password",
    ]
    .into_iter()
    .enumerate()
    {
        let key = format!("--emulated=key{round}.json");
        let arguments = [&server.options()[..], &[&key, "enroll", "--account", "alice", "--yes"]].concat();
        let mut child =
            home.command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            if line.unwrap().contains(stage) {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let before = server.keys(&home).len();
        let again = home.run(&[&["--json"], &arguments[..]].concat());
        // When everything had been done already, the slot holds an active credential, and nothing
        // but --force overwrites that.
        if again.code == 2 {
            assert!(again.stderr.contains("--force"), "{stage}: {again:?}");
        } else {
            assert_eq!(again.code, 0, "{stage}: {again:?}");
            assert!(server.keys(&home).len() <= before + 1);
        }
        let typed = home.json(&[&key, "emulate", "press", "--slot", "2"])["typed"]
            .as_str()
            .unwrap()
            .trim()
            .to_owned();
        server.verify(&home, &typed).exits(0);
        assert_eq!(server.keys(&home).len(), round + 1, "{stage}");
    }
    let left: Vec<_> = std::fs::read_dir(home.path("state/tapkey/enrolments"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The same with the server gone at the wrong moment.
#[test]
fn an_enrolment_survives_a_server_that_is_away() {
    let home = Home::new();
    let server = TestServer::start(&home);
    server.furnish(&home);
    let listen = server.url.strip_prefix("http://").unwrap().to_owned();
    let (url, token_file) = (server.url.clone(), server.token_file.clone());
    drop(server);
    let arguments =
        ["--server", &url, "--token-file", &token_file, KEY, "enroll", "--account", "alice", "--yes"];
    home.run(&arguments).exits(6).says("the key was not changed");
    assert_eq!(home.json(&[KEY, "otp", "info"])["slots"][1]["programmed"], false);
    let _running = Running::start(home.command(&[
        "--json",
        "serve",
        "--data",
        "server-data",
        "--config",
        "server.toml",
        "--listen",
        &listen,
    ]));
    home.run(&arguments).exits(0);
}

#[test]
fn ctrl_c_while_enrolling_in_a_terminal() {
    let home = Home::new();
    let server = TestServer::start(&home);
    server.furnish(&home);
    let arguments = [&server.options()[..], &[KEY, "enroll", "--account", "alice"]].concat();
    let outcome = home.terminal(&arguments, &[("[y/N]", "\x03")]);
    assert_eq!(outcome.code, 130, "{outcome:?}");
    assert!(outcome.stdout.contains("nothing was changed"), "{outcome:?}");
    assert_eq!(server.admin(&home, &["status"])["counts"]["pending_enrollments"], 0);

    // Overwriting is asked for.
    home.run(&[KEY, "otp", "static", "2", "--generate", "--show-secret", "--yes"]).exits(0);
    let declined = home.terminal(&arguments, &[("[y/N]", "y\n"), ("Overwrite it? [y/N]", "n\n")]);
    assert_eq!(declined.code, 1, "{declined:?}");
    assert_eq!(server.keys(&home).len(), 0);
    let agreed = home.terminal(&arguments, &[("[y/N]", "y\n"), ("Overwrite it? [y/N]", "y\n")]);
    assert_eq!(agreed.code, 0, "{agreed:?}");
    server.verify(&home, &press(&home)).exits(0);
}

/// The key is programmed and nobody has touched it: nothing is active, and the same command finishes.
#[test]
fn ctrl_c_while_the_touch_is_awaited() {
    let home = Home::new();
    let server = TestServer::start(&home);
    server.furnish(&home);
    let arguments =
        [&server.options()[..], &[KEY, "enroll", "--account", "alice", "--yes", "--typed"]].concat();
    let outcome = home.terminal(&arguments, &[("Touch the key", "\x03")]);
    assert_eq!(outcome.code, 130, "{outcome:?}");
    assert!(outcome.stdout.contains("run the same command again to finish"), "{outcome:?}");
    assert_eq!(server.keys(&home).len(), 0);
    assert_eq!(server.verify(&home, &press(&home)).exits(5).json()["status"], "BAD_OTP");

    // The end of input is a way to give up as well.
    home.run(&arguments).exits(130).says("not active yet");

    // What is typed may be wrong a few times, and is told why.
    let _emulator = Running::start(home.command(&["--json", "emulate", "run", "key.json"]));
    let mut command = home.command(&arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = ["nonsense", "vvccccbdefghdvgtiblfkbgturecfllberrvkinnctnn"].into_iter();
    let mut said = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.contains("Touch the key") {
            let answer = answers.next().map_or_else(|| press(&home), str::to_owned);
            writeln!(stdin, "{answer}").unwrap();
        }
        said.push_str(&line);
    }
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    assert!(said.contains("Finishing what was begun") && said.contains("begins with vvccccbdefgh"), "{said}");
    assert_eq!(server.keys(&home).len(), 1);
    server.verify(&home, &press(&home)).exits(0);

    let wrong =
        [&server.options()[..], &["--emulated=b.json", "enroll", "--account", "alice", "--yes", "--typed"]]
            .concat();
    home.run_with(&wrong, &"nonsense\n".repeat(20)).exits(5).says("slot");
}

#[test]
fn a_server_starts_once_and_ends_well() {
    let home = Home::new();
    let mut server = TestServer::start(&home);
    assert_eq!(server.running.ready["schema"], "serve/1");
    let mode = std::fs::metadata(&server.token_file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let listen = server.url.strip_prefix("http://").unwrap().to_owned();
    home.run(&["serve", "--data", "other", "--listen", &listen])
        .exits(1)
        .says("another program listens")
        .says("--listen");
    assert!(!home.path("other").exists(), "nothing is made when the port is taken");
    home.run(&["serve", "--data", "server-data", "--listen", "127.0.0.1:0"]).exits(1);
    server.running.signal("TERM");
    assert_eq!(server.running.wait(), 0);

    // The second start makes nothing, and Ctrl-C ends it as well.
    let mut server = TestServer::start(&home);
    assert_eq!(server.running.ready["admin_token_file"], Value::Null);
    server.run(&home, &["admin", "status"]).exits(0);
    server.running.signal("INT");
    assert_eq!(server.running.wait(), 0);
}

#[test]
fn over_tls() {
    let home = Home::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    home.write("cert.pem", &made.cert.pem());
    home.write("key.pem", &made.signing_key.serialize_pem());
    let running = Running::start(home.command(&[
        "--json",
        "serve",
        "--data",
        "d",
        "--listen",
        "127.0.0.1:0",
        "--tls-cert",
        "cert.pem",
        "--tls-key",
        "key.pem",
    ]));
    let url = running.ready["url"].as_str().unwrap();
    assert!(url.starts_with("https://"), "{url}");
    let options = ["--server", url, "--token-file", "d/admin-token"];
    home.run(&[&options[..], &["admin", "status"]].concat()).exits(6).says("ertificate");
    home.run(&[&options[..], &["--ca-file", "cert.pem", "admin", "status"]].concat()).exits(0);
    home.run(&[&options[..], &["--ca-file", "key.pem", "admin", "status"]].concat()).exits(2).says("key.pem");
    home.run(&[
        "serve",
        "--data",
        "e",
        "--listen",
        "127.0.0.1:0",
        "--tls-cert",
        "key.pem",
        "--tls-key",
        "key.pem",
    ])
    .exits(1)
    .says("key.pem")
    .prints_nothing();
}

#[test]
fn what_is_wrong_with_a_server_is_said() {
    let home = Home::new();
    home.run(&["serve"]).exits(2).says("--data");
    home.write("bad.toml", "listen = \"127.0.0.1:0\"\nlisen = 1\n");
    home.run(&["serve", "--config", "bad.toml"]).exits(2).says("bad.toml:2");
    home.run(&["serve", "--config", "not-there.toml"]).exits(2).says("not-there.toml");
    home.run(&["serve", "--data", "d", "--tls-cert", "c.pem"]).exits(2).says("--tls-key");
    home.run(&["serve", "--data", "d", "--check", "--tls-cert", "c.pem", "--tls-key", "k.pem"])
        .exits(2)
        .says("c.pem");
    let checked = home.json(&["serve", "--data", "d", "--check"]);
    assert_eq!((&checked["schema"], &checked["tls"]), (&"serve-check/1".into(), &false.into()));
    assert!(!home.path("d").exists());

    // A database that is none is named and left alone.
    let mut server = TestServer::start(&home);
    server.running.signal("TERM");
    server.running.wait();
    let database = std::fs::read_dir(home.path("server-data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension != "key" && extension != "lock"))
        .unwrap();
    std::fs::write(&database, "this is no database, it is a letter to my grandmother").unwrap();
    let name = database.file_name().unwrap().to_str().unwrap().to_owned();
    home.run(&["serve", "--data", "server-data", "--listen", "127.0.0.1:0"]).exits(1).says(&name);
    assert!(std::fs::read_to_string(&database).unwrap().contains("grandmother"));
    std::fs::remove_file(home.path("server-data/master.key")).unwrap();
    home.run(&["serve", "--data", "server-data", "--listen", "127.0.0.1:0"]).exits(1).says("master.key");
    assert!(!home.path("server-data/master.key").exists());
}

#[test]
fn the_demonstration() {
    let home = Home::new();
    let outcome = home.run(&["demo"]).exits(0);
    assert!(
        outcome.stdout.contains("REPLAYED_OTP") && outcome.stdout.contains("came out as they should"),
        "{outcome:?}"
    );
    assert_eq!(outcome.stderr, "");
    let document = home.json(&["demo"]);
    assert_eq!((&document["schema"], document["steps"].as_array().unwrap().len()), (&"demo/1".into(), 10));
    // Nothing of it stays, and it does not look at the person's own settings.
    let mut command = home.command(&["demo"]);
    command
        .env("TMPDIR", home.root())
        .env("TAPKEY_SERVER", "http://127.0.0.1:1")
        .env("TAPKEY_TOKEN", "wrong");
    let outcome = support::feed(command, "").exits(0);
    assert!(outcome.stderr.is_empty());
    assert_eq!(std::fs::read_dir(home.root()).unwrap().count(), 0);
}

#[test]
fn ctrl_c_in_the_demonstration_leaves_nothing_behind() {
    let home = Home::new();
    let mut command = home.command(&["demo"]);
    let mut child =
        command.env("TMPDIR", home.root()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    let mut running = Running { child, ready: Value::Null };
    running.signal("INT");
    assert_eq!(running.wait(), 130);
    assert_eq!(std::fs::read_dir(home.root()).unwrap().count(), 0);
}

/// A demonstration that cannot be played does not pretend.
#[test]
fn the_demonstration_fails_when_a_step_differs() {
    let home = Home::new();
    let mut command = home.command(&["demo"]);
    command.env("TMPDIR", "/not/there");
    support::feed(command, "").exits(1);
    // Steps whose server dies in the middle.
    let mut child = home.command(&["demo"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    let pid = child.id().to_string();
    let server =
        std::process::Command::new("pgrep").args(["-P", &pid, "-f", "serve --data"]).output().unwrap();
    let server = String::from_utf8(server.stdout).unwrap();
    assert!(std::process::Command::new("kill").args(["-KILL", server.trim()]).status().unwrap().success());
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    assert_ne!(outcome.code, 0, "{rest:?}");
    assert!(!rest.iter().any(|line| line.contains("came out as they should")), "{rest:?}");
}
