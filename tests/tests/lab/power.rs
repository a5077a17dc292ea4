//! The machine loses its power under load. What it had not given to its disks is gone, as on any
//! machine; `tests/durability.rs` does the same to single processes.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use serde_json::json;
use tapkey_protocol::otp::{AesKey, Counter, Otp};
use tapkey_tests::{
    credential::Credential,
    lab::{self, Lab, Record},
    tapkey::{self, Serving},
};

/// A disk, and how the server on it syncs.
type Server = (&'static str, &'static str);

/// The first one syncs as it must. The other does not, on a disk of its own, and suffers the same
/// power cut: if it lost nothing, nothing would be shown.
const SERVERS: [Server; 2] = [("/disk", "full"), ("/disk2", "off")];

/// Asked for at the same time, of each server; software emulation is slow.
const KEYS: usize = 3;

/// Answered `OK` by each server before the power goes, counted over its keys.
const LOAD: usize = 24;

/// Typed by the software key before the power goes, and after it came back.
const PRESSES: usize = 3;

const AES_KEY: &str = "00112233445566778899aabbccddeeff";

#[test]
fn a_power_cut_lets_no_password_be_used_twice() {
    experiment("power::a_power_cut_lets_no_password_be_used_twice", &SERVERS, 1);
}

#[test]
#[ignore = "takes minutes: just lab-full"]
fn many_power_cuts_let_no_password_be_used_twice() {
    // A store that was never synced may be beyond repair after one of them.
    experiment("power::many_power_cuts_let_no_password_be_used_twice", &SERVERS[..1], 6);
}

fn experiment(name: &str, servers: &[Server], cuts: usize) {
    match lab::step().as_deref() {
        None => on_the_host(name, servers, cuts),
        Some("again") => ask_again(servers),
        Some(_) => load(servers),
    }
}

fn on_the_host(name: &str, servers: &[Server], cuts: usize) {
    let lab = Lab::new(name).unwrap().with_disks(servers.len());
    for _ in 0..cuts {
        let count = |name: &str| lab.lines(name).len();
        let mut wanted = vec![("typed".to_owned(), count("typed") + PRESSES)];
        wanted.extend(servers.iter().map(|(_, synchronous)| {
            let name = format!("spent-{synchronous}");
            (name.clone(), count(&name) + KEYS + LOAD)
        }));
        let mut machine = lab.boot("load", &["--no-udev"]).unwrap();
        for (name, lines) in wanted {
            machine.wait_for_lines(&name, lines).unwrap();
        }
        machine.cut_power().unwrap();
    }
    lab.boot("again", &["--no-udev"]).unwrap().finish().unwrap();

    let count = |name: &str| lab.lines(name).len();
    let key = AesKey::new(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.to_be_bytes());
    let typed = lab.lines("typed");
    let mut last = Counter::ZERO;
    for otp in &typed {
        let counter = otp.parse::<Otp>().unwrap().open(&key).unwrap().counter();
        assert!(counter > last, "the software key typed {counter} after {last}: {typed:?}");
        last = counter;
    }
    for (_, synchronous) in servers {
        let (twice, spent) = (count(&format!("twice-{synchronous}")), count(&format!("spent-{synchronous}")));
        eprintln!("synchronous = {synchronous}: {twice} of {spent} passwords accepted twice");
    }
    assert_eq!(count("twice-full"), 0);
    if servers.len() == SERVERS.len() {
        assert!(count("twice-off") > 0, "the disk forgot nothing: this test cannot fail");
    }
}

/// In the machine, until its power goes. Continues on the disks of the boots before.
fn load(servers: &[Server]) {
    let preparing: Vec<_> = servers
        .iter()
        .map(|&(disk, synchronous)| thread::spawn(move || (disk, synchronous, prepare(disk, synchronous))))
        .collect();
    let prepared: Vec<_> = preparing.into_iter().map(|server| server.join().unwrap()).collect();
    // What was done so far is no part of the experiment without syncing.
    assert!(Command::new("sync").status().unwrap().success());
    let mut running = vec![];
    for (disk, synchronous, keys) in prepared {
        let (server, record) = serve(disk, synchronous);
        for credential in keys {
            let (ask, record) = (server.asker(), Arc::clone(&record));
            thread::spawn(move || spend_forever(&credential, ask, &record));
        }
        running.push(server);
    }
    press(usize::MAX);
}

/// Keys of a server's own, enrolled and confirmed.
fn prepare(disk: &str, synchronous: &str) -> Vec<Credential> {
    let server = Serving::start(&Path::new(disk).join("server"), |_| ()).unwrap();
    let marker = Path::new(disk).join("round");
    let round = fs::read_to_string(&marker).map_or(0, |text| text.len());
    fs::write(&marker, "x".repeat(round + 1)).unwrap();
    if round == 0 {
        server.post("clients", &json!({ "label": "load" })).unwrap();
        server.post("accounts", &json!({ "name": "load" })).unwrap();
    }
    let mut record = Record::open(&format!("spent-{synchronous}")).unwrap();
    let keys = (0..KEYS).map(|index| {
        let (credential, confirming) = server.enrol("load", &format!("lab-{round:04}-{index:04}")).unwrap();
        record.line(&confirming).unwrap();
        credential
    });
    let keys = keys.collect();
    server.stop().unwrap();
    keys
}

fn serve(disk: &str, synchronous: &str) -> (Serving, Arc<Mutex<Record>>) {
    let config = Path::new(disk).join("config.toml");
    fs::write(&config, format!("[store]\nsynchronous = \"{synchronous}\"\n")).unwrap();
    let server = Serving::start(&Path::new(disk).join("server"), |command| {
        command.arg("--config").arg(&config).env("TAPKEY_UNSAFE_SYNCHRONOUS_OFF", "1");
    });
    let record = Record::open(&format!("spent-{synchronous}")).unwrap();
    (server.unwrap(), Arc::new(Mutex::new(record)))
}

fn spend_forever(
    credential: &Credential,
    ask: impl Fn(&str, &str) -> anyhow::Result<String>,
    record: &Mutex<Record>,
) {
    for uses in 2..0x7fff {
        let otp = credential.otp(uses, 0);
        let status = ask("1", &otp).unwrap();
        assert_eq!(status, "OK", "a fresh password");
        record.lock().unwrap().line(&otp).unwrap();
    }
}

/// Presses the software key on the first disk, which is made where there is none.
fn press(times: usize) {
    let run = |arguments: &[&str]| {
        let mut command = tapkey::command(Path::new("/disk")).unwrap();
        command.arg("--emulated=/disk/key.json").args(arguments);
        let output = command.env("AES_KEY", AES_KEY).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    if !fs::exists("/disk/key.json").unwrap() {
        run(&["otp", "yubiotp", "1", "--aes-key", "env:AES_KEY", "--show-secret", "--yes"]);
    }
    let mut typed = Record::open("typed").unwrap();
    for _ in 0..times {
        typed.line(run(&["emulate", "press", "--slot", "1"]).trim()).unwrap();
    }
}

/// In the machine after the power came back.
fn ask_again(servers: &[Server]) {
    for (disk, synchronous) in servers {
        let server = Serving::start(&Path::new(disk).join("server"), |_| ()).unwrap();
        let spent = fs::read_to_string(lab::folder().unwrap().join(format!("spent-{synchronous}"))).unwrap();
        let mut twice = Record::open(&format!("twice-{synchronous}")).unwrap();
        // Oldest first for each key, so that one that is accepted does not hide the ones after it.
        for otp in spent.lines() {
            if server.verify("1", otp).unwrap() == "OK" {
                twice.line(otp).unwrap();
            }
        }
    }
    press(PRESSES);
}
