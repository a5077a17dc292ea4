//! A provisioning station: the real command line, a real server, and a folder of software keys that
//! are plugged in one after the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]
#![cfg(all(feature = "emulator", feature = "server"))]

mod support;

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    process::{Child, Stdio},
};

use serde_json::Value;
use support::{Home, Outcome, Running, TestServer, code};

const RACK: &str = "--emulated=rack";

/// Software keys in a folder; their serial numbers in the order in which they are plugged in.
fn rack(home: &Home, folder: &str, count: usize) -> Vec<u64> {
    std::fs::create_dir(home.path(folder)).unwrap();
    let make = |number| {
        let state = format!("{folder}/{number:03}.json");
        home.json(&["emulate", "show", &state])["serial"].as_u64().unwrap()
    };
    (1..=count).map(make).collect()
}

fn list(home: &Home, count: usize) {
    let text: String = (1..=count).map(|number| format!("user-{number},desk {number}\n")).collect();
    home.write("people.csv", &text);
}

fn online<'a>(server: &'a TestServer, more: &[&'a str]) -> Vec<&'a str> {
    [&server.options()[..], &["--json", RACK, "enroll", "--watch", "--create-account", "--yes"], more]
        .concat()
}

fn documents(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn admin(home: &Home, server: &TestServer, arguments: &[&str]) -> Value {
    home.json(&[&server.options()[..], &["admin"], arguments].concat())
}

fn run(home: &Home, server: &TestServer, arguments: &[&str]) -> Outcome {
    home.run(&[&server.options()[..], arguments].concat())
}

fn verify(home: &Home, server: &TestServer, otp: &str) -> Value {
    let ask = ["--json", "verify", "--client-id", "1", "--api-key-file", "api-key", otp];
    run(home, server, &ask).json()["status"].clone()
}

fn press(home: &Home, state: &str) -> String {
    let typed = home.json(&["emulate", "press", state, "--slot", "2"]);
    typed["typed"].as_str().unwrap().trim().to_owned()
}

fn start(home: &Home, arguments: &[&str]) -> Child {
    let mut command = home.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Starts the station and kills it without warning in the middle of the `nth` key.
fn kill_in_the_middle_of(home: &Home, arguments: &[&str], nth: usize) {
    let mut station = start(home, arguments);
    let stderr = BufReader::new(station.stderr.take().unwrap());
    let mut seen = 0;
    for line in stderr.lines() {
        seen += usize::from(line.unwrap().contains("programming slot"));
        if seen == nth {
            break;
        }
    }
    assert_eq!(seen, nth);
    station.kill().unwrap();
    assert_eq!(code(station.wait().unwrap()), 128 + 9);
}

#[test]
fn a_hundred_keys_two_of_them_interrupted() {
    let home = Home::new();
    let server = TestServer::start(&home);
    let serials = rack(&home, "rack", 100);
    list(&home, 100);
    admin(&home, &server, &["clients", "create", "--output", "api-key"]);
    let arguments = online(&server, &["--accounts", "people.csv", "--report", "report.csv"]);
    kill_in_the_middle_of(&home, &arguments, 3);
    kill_in_the_middle_of(&home, &arguments, 4);
    let outcome = home.run(&arguments).exits(0);
    let documents = documents(&outcome.stdout);
    let (summary, keys) = documents.split_last().unwrap();
    assert_eq!(summary["schema"], "station/1");
    assert_eq!(
        (&summary["ended"], &summary["job_done"], &summary["job_total"]),
        (&"list-done".into(), &100.into(), &100.into())
    );
    assert!(keys.iter().all(|key| key["schema"] == "station-key/1" && key["result"] == "active"));

    // Everybody has the key that was plugged in when it was their turn, and each was made once.
    let items = admin(&home, &server, &["keys", "list"])["items"].clone();
    let items = items.as_array().unwrap();
    assert_eq!(items.len(), 100);
    for (number, serial) in (1..).zip(&serials) {
        let key = items.iter().find(|key| key["serial"] == *serial).unwrap();
        assert_eq!((&key["enabled"], &key["emulated"]), (&true.into(), &true.into()));
        assert_eq!(
            (&key["account"], &key["label"]),
            (&format!("user-{number}").into(), &format!("desk {number}").into())
        );
    }
    assert_eq!(admin(&home, &server, &["status"])["counts"]["pending_enrollments"], 0);

    let report = home.read("report.csv");
    let rows: Vec<&str> = report.lines().skip(1).collect();
    assert_eq!(rows.len(), 100, "{report}");
    let reported: BTreeSet<&str> = rows.iter().map(|row| row.split(',').nth(1).unwrap()).collect();
    assert_eq!(reported.len(), 100);
    assert!(rows.iter().all(|row| row.contains(",active,")));
    let resumed: Vec<_> = rows.iter().filter(|row| row.ends_with(",yes,")).collect();
    assert_eq!(resumed.len(), 2, "{report}");

    for state in ["rack/003.json", "rack/006.json", "rack/100.json"] {
        let otp = press(&home, state);
        assert_eq!(verify(&home, &server, &otp), "OK", "{state}");
        assert_eq!(verify(&home, &server, &otp), "REPLAYED_OTP", "{state}");
    }
    // Done is done: another run asks for no key at all.
    let again = home.run(&arguments).exits(0);
    assert_eq!(documents_of(&again)["keys"], 0);
}

fn documents_of(outcome: &Outcome) -> Value {
    documents(&outcome.stdout).pop().unwrap()
}

#[test]
fn the_first_unexpected_thing_stops_it_and_says_how_to_go_on() {
    let home = Home::new();
    let server = TestServer::start(&home);
    let serials = rack(&home, "rack", 3);
    home.json(&[
        "--emulated=rack/002.json",
        "otp",
        "static",
        "2",
        "--generate",
        "--length",
        "8",
        "--force",
        "--show-secret",
    ]);
    let one = online(&server, &["--account", "alice", "--label", "{account}-{n}"]);
    let stopped = home.run(&one).exits(2).says("--force");
    assert!(
        stopped.stderr.contains(&format!("slot 2 of the key {} is programmed", serials[1])),
        "{stopped:?}"
    );
    let rows = documents(&stopped.stdout);
    assert_eq!((&rows[0]["label"], &rows[1]["ended"]), (&"alice-1".into(), &"stopped".into()));

    // One key more, then as many as wanted; the first is known again.
    let forced: Vec<&str> = one.iter().map(|word| if *word == "--yes" { "--force" } else { *word }).collect();
    let count = home.run(&[&forced[..], &["--count", "1"]].concat()).exits(0).says("is done");
    let rows = documents(&count.stdout);
    assert_eq!((&rows[0]["serial"], &rows[0]["label"]), (&serials[1].into(), &"alice-2".into()));
    assert_eq!(rows[1]["ended"], "count");

    home.write("people.csv", "bob,,1\n");
    let exhausted = online(&server, &["--accounts", "people.csv", "--journal", "other"]);
    home.run(&exhausted).exits(2).says("--force");
    let model = [&one[..], &["--model", "5C NFC"]].concat();
    home.run(&model).exits(4).says("and not a 5C NFC").says("put the key aside");
    std::fs::remove_file(home.path("rack/001.json")).unwrap();
    std::fs::remove_file(home.path("rack/002.json")).unwrap();
    home.run(&exhausted).exits(2).says("no account is left").says("--release");
    home.write("broken.csv", "account,serial\nalice,x\n");
    home.run(&online(&server, &["--accounts", "broken.csv"])).exits(2).says("line 2");
    home.run(&online(&server, &["--account", "a", "--label", "{x}"])).exits(2).says("{serial}");
    home.run(&online(&server, &["--account", "a", "--public-id", "vvcccc"])).exits(2).says("many keys");
    home.run(&[RACK, "enroll", "--account", "a", "--model", "5", "--yes"]).exits(2).says("--watch");
    home.run(&online(&server, &["--account", "a", "--release", "7"])).exits(2).says("could be released");
    assert_eq!(admin(&home, &server, &["keys", "list"])["items"].as_array().unwrap().len(), 2);
}

#[test]
fn a_server_that_takes_no_software_keys_stops_it() {
    let home = Home::new();
    rack(&home, "rack", 2);
    let strict = {
        home.write("server.toml", "");
        let serve = ["--json", "serve", "--data", "strict", "--listen", "127.0.0.1:0"];
        let running = Running::start(home.command(&serve));
        let url = running.ready["url"].as_str().unwrap().to_owned();
        let token_file = running.ready["admin_token_file"].as_str().unwrap().to_owned();
        TestServer { running, url, token_file }
    };
    let arguments = online(&strict, &["--account", "alice"]);
    let outcome = home.run(&arguments).exits(5).says("goes on where this one stopped");
    assert_eq!(documents(&outcome.stdout)[0]["result"], "failed");
}

#[test]
fn pending_without_a_touch_and_active_with_one() {
    let home = Home::new();
    let server = TestServer::start(&home);
    rack(&home, "rack", 2);
    admin(&home, &server, &["clients", "create", "--output", "api-key"]);
    let quick = online(&server, &["--account", "alice", "--no-touch", "--access-code", "generate"]);
    let rows = documents(&home.run(&quick).exits(0).stdout);
    assert!(rows[..2].iter().all(|row| row["result"] == "pending"), "{rows:?}");
    assert_eq!(admin(&home, &server, &["keys", "list"])["items"], Value::Array(Vec::new()));
    let otp = press(&home, "rack/001.json");
    assert_eq!(verify(&home, &server, &otp), "BAD_OTP");
    // What was typed confirms it, and is spent by that.
    let confirm = [&server.options()[..], &["--json", "admin", "enrollments", "confirm"]].concat();
    let confirmed = home.run_with(&confirm, &format!("{otp}\n")).exits(0).json();
    assert_eq!((&confirmed["schema"], &confirmed["account"]), (&"key/1".into(), &"alice".into()));
    assert_eq!(verify(&home, &server, &otp), "REPLAYED_OTP");
    home.run_with(&confirm, "vvccccbdefghdvgtiblfkbgturecfllberrvkinnctnn\n")
        .exits(5)
        .says("No such enrolment");
    assert_eq!(verify(&home, &server, &press(&home, "rack/001.json")), "OK");

    // The access code is read back, and opens the slot.
    let id = confirmed["id"].as_str().unwrap();
    let code = admin(&home, &server, &["keys", "access-code", id]);
    home.write("code", code["access_code"].as_str().unwrap());
    let delete = ["--emulated=rack/001.json", "otp", "delete", "2", "--force"];
    home.run(&delete).exits(4);
    home.run(&[&delete[..], &["--access-code", "file:code"]].concat()).exits(0);
    let audit = admin(&home, &server, &["audit", "--action", "key.access_code_read"]);
    assert_eq!(audit["items"].as_array().unwrap().len(), 1);

    // A run with a touch finishes the other one.
    std::fs::remove_file(home.path("rack/001.json")).unwrap();
    let rows = documents(&home.run(&online(&server, &["--account", "alice"])).exits(0).stdout);
    assert_eq!((&rows[0]["result"], &rows[0]["resumed"]), (&"active".into(), &true.into()));

    // A single key, without a station.
    home.json(&["emulate", "show", "single.json"]);
    let single = ["--emulated=single.json", "--json", "enroll", "--account", "alice", "--yes", "--no-touch"];
    let pending = run(&home, &server, &single).exits(0).json();
    assert_eq!(pending["schema"], "enroll-pending/1");
    home.run_with(&confirm, &press(&home, "single.json")).exits(0);
}

/// The other side of the wall: the bundle, and its way to the server.
fn offline(home: &Home, more: &[&str]) -> Outcome {
    let enroll =
        ["--json", RACK, "enroll", "--offline", "--bundle", "keys.bundle", "--recipient", "recipient"];
    home.run(&[&enroll[..], &["--yes", "--station", "desk"], more].concat())
}

#[test]
fn a_bundle_from_a_station_without_a_server() {
    let home = Home::new();
    let server = TestServer::start(&home);
    let serials = rack(&home, "rack", 3);
    list(&home, 3);
    admin(&home, &server, &["clients", "create", "--output", "api-key"]);
    home.write("recipient", admin(&home, &server, &["bundle-key"])["recipient"].as_str().unwrap());
    let outcome =
        offline(&home, &["--watch", "--accounts", "people.csv", "--access-code", "generate"]).exits(0);
    let rows = documents(&outcome.stdout);
    let sha256 = rows[3]["bundle"]["sha256"].as_str().unwrap().to_owned();
    for (row, serial) in rows[..3].iter().zip(&serials) {
        assert_eq!((&row["serial"], &row["result"]), (&(*serial).into(), &"recorded".into()));
    }
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(home.path("keys.bundle")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // What was changed on the way, and what is not the station's file, stays out.
    let import = |more: &[&str]| {
        run(
            &home,
            &server,
            &[&["--json", "admin", "import", "keys.bundle", "--yes", "--create-accounts"], more].concat(),
        )
    };
    import(&["--sha256", &"0".repeat(64)]).exits(2).says("not the file").prints_nothing();
    let good = home.read("keys.bundle");
    home.write("cut.bundle", &good[..good.len() - 100]);
    run(&home, &server, &["admin", "import", "cut.bundle"]).exits(5).says("cut off");
    let strict = run(&home, &server, &["--json", "admin", "import", "keys.bundle"])
        .exits(5)
        .says("nothing was imported");
    assert_eq!((&strict.json()["applied"], &strict.json()["counts"]["refused"]), (&false.into(), &3.into()));
    let dry = import(&["--dry-run"]).exits(0).json();
    assert_eq!((&dry["applied"], &dry["counts"]["pending"]), (&false.into(), &3.into()));
    admin(&home, &server, &["tokens", "create", "--role", "enroller", "--output", "enroller"]);
    let theirs = ["--server", &server.url, "--token-file", "enroller", "admin", "import", "keys.bundle"];
    home.run(&theirs).exits(5).says("rights");

    let imported = import(&["--sha256", &sha256]).exits(0).json();
    assert_eq!((&imported["schema"], &imported["counts"]["pending"]), (&"import/1".into(), &3.into()));
    assert_eq!(imported["sha256"], *sha256);
    let otp = press(&home, "rack/001.json");
    assert_eq!(verify(&home, &server, &otp), "BAD_OTP", "it is pending");
    let confirm = [&server.options()[..], &["--json", "admin", "enrollments", "confirm"]].concat();
    home.run_with(&confirm, &otp).exits(0);
    assert_eq!(verify(&home, &server, &otp), "REPLAYED_OTP");
    assert_eq!(verify(&home, &server, &press(&home, "rack/001.json")), "OK");
    let trusted = import(&["--trust-station"]).exits(0).json();
    assert_eq!((&trusted["counts"]["active"], &trusted["counts"]["known"]), (&2.into(), &1.into()));
    assert_eq!(verify(&home, &server, &press(&home, "rack/002.json")), "OK");

    // The access code came along, sealed, and opens the slot.
    let keys = admin(&home, &server, &["keys", "list", "--account", "user-2"]);
    let id = keys["items"][0]["id"].as_str().unwrap();
    let code = admin(&home, &server, &["keys", "access-code", id]);
    home.write("code", code["access_code"].as_str().unwrap());
    let delete = ["--emulated=rack/002.json", "otp", "delete", "2", "--force"];
    home.run(&delete).exits(4);
    home.run(&[&delete[..], &["--access-code", "file:code"]].concat()).exits(0);

    // Another server cannot read it.
    let other = Home::new();
    let elsewhere = TestServer::start(&other);
    other.write("keys.bundle", &good);
    run(&other, &elsewhere, &["admin", "import", "keys.bundle"]).exits(5).says("bundle-key");
    offline(&home, &["--watch", "--accounts", "people.csv"]).exits(0).says("3 keys");
}

#[test]
fn a_station_without_a_server_is_killed_and_goes_on() {
    let home = Home::new();
    let server = TestServer::start(&home);
    rack(&home, "rack", 4);
    home.write("recipient", admin(&home, &server, &["bundle-key"])["recipient"].as_str().unwrap());
    let arguments = [
        "--json",
        RACK,
        "enroll",
        "--offline",
        "--bundle",
        "keys.bundle",
        "--recipient",
        "recipient",
        "--yes",
        "--watch",
        "--account",
        "alice",
        "--access-code",
        "generate",
    ];
    kill_in_the_middle_of(&home, &arguments, 2);
    // As it is, the end of the bundle may be missing.
    let import =
        ["--json", "admin", "import", "keys.bundle", "--yes", "--create-accounts", "--trust-station"];
    run(&home, &server, &import).exits(5).says("not closed");
    let summary = documents_of(&home.run(&arguments).exits(0));
    assert_eq!((&summary["recorded"], &summary["job_done"]), (&3.into(), &4.into()));
    let imported = run(&home, &server, &import).exits(0).json();
    assert_eq!(imported["counts"]["active"], 4, "{imported}");
    // Every key has the credential that counts.
    admin(&home, &server, &["clients", "create", "--output", "api-key"]);
    for number in 1..=4 {
        let otp = press(&home, &format!("rack/00{number}.json"));
        assert_eq!(verify(&home, &server, &otp), "OK", "{number}");
    }
}

#[test]
fn a_single_key_into_a_bundle_and_what_is_refused_before() {
    let home = Home::new();
    let server = TestServer::start(&home);
    rack(&home, "rack", 1);
    let recipient = admin(&home, &server, &["bundle-key"])["recipient"].as_str().unwrap().to_owned();
    home.write("recipient", &recipient);
    let single = [
        "--json",
        "--emulated=rack/001.json",
        "enroll",
        "--offline",
        "--bundle",
        "one.bundle",
        "--recipient",
        &recipient,
        "--account",
        "alice",
        "--yes",
    ];
    let rows = documents(&home.run(&single).exits(0).stdout);
    assert_eq!((&rows[0]["result"], &rows[1]["keys"]), (&"recorded".into(), &1.into()));
    home.run(&single).exits(0).says("is done");
    let wrong: Vec<&str> =
        single.iter().map(|word| if *word == recipient { "age1xyz" } else { *word }).collect();
    home.run(&wrong).exits(2).says("bundle-key");
    home.run(&[&single[..], &["--create-account"]].concat()).exits(2).says("--create-accounts");
    home.write("diary", "dear diary\n");
    let diary: Vec<&str> =
        single.iter().map(|word| if *word == "one.bundle" { "diary" } else { *word }).collect();
    home.run(&diary).exits(2).says("not a bundle");
    assert_eq!(home.read("diary"), "dear diary\n");
    home.run(&["enroll", "--account", "a", "--offline"]).exits(2);
    home.run(&["enroll", "--accounts", "people.csv"]).exits(2);
}

/// A key in an emulator process of its own, a person who types, and Ctrl-C.
#[test]
fn what_is_typed_and_how_it_ends() {
    let home = Home::new();
    let server = TestServer::start(&home);
    let _emulator = Running::start(home.command(&["--json", "emulate", "run", "key.json"]));
    let arguments = [
        &server.options()[..],
        &["--json", "--emulated=key.json", "enroll", "--watch", "--account", "alice", "--create-account"],
        &["--yes", "--typed"],
    ]
    .concat();
    let mut command = home.command(&arguments);
    let mut station =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = station.stdin.take().unwrap();
    let mut stderr = BufReader::new(station.stderr.take().unwrap()).lines();
    let mut until = |text: &str| while !stderr.next().unwrap().unwrap().contains(text) {};
    until("touch it");
    writeln!(stdin, "not a password").unwrap();
    until("that was no password");
    writeln!(stdin, "{}", press(&home, "key.json")).unwrap();
    until("done");
    until("Plug in the next key");
    let running = Running { child: station, ready: Value::Null };
    running.signal("INT");
    let mut running = running;
    let stdout = running.child.stdout.take().unwrap();
    assert_eq!(running.wait(), 130);
    let lines: Vec<String> = BufReader::new(stdout).lines().map(Result::unwrap).collect();
    let rows = documents(&lines.join("\n"));
    assert_eq!((&rows[0]["result"], &rows[1]["ended"]), (&"active".into(), &"no-more-keys".into()));

    // Ctrl-C while a touch is awaited: the key can be finished later.
    home.run(&["--emulated=key.json", "otp", "delete", "2", "--force"]).exits(0);
    let again = [&arguments[..], &["--journal", "other"]].concat();
    let mut command = home.command(&again);
    let mut station =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _stdin = station.stdin.take().unwrap();
    let mut stderr = BufReader::new(station.stderr.take().unwrap()).lines();
    while !stderr.next().unwrap().unwrap().contains("touch it") {}
    let mut running = Running { child: station, ready: Value::Null };
    running.signal("INT");
    let stdout = running.child.stdout.take().unwrap();
    assert_eq!(running.wait(), 130);
    let lines: Vec<String> = BufReader::new(stdout).lines().map(Result::unwrap).collect();
    assert_eq!(documents(&lines.join("\n"))[0]["result"], "interrupted");
    let finished: Vec<&str> = again.iter().filter(|word| **word != "--typed").copied().collect();
    let rows = documents(&home.run(&[&finished[..], &["--count", "1"]].concat()).exits(0).stdout);
    assert_eq!((&rows[0]["result"], &rows[0]["resumed"]), (&"active".into(), &true.into()));
}
