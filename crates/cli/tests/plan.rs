//! `tapkey plan`, `apply` and `vault` from outside, on software keys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

mod support;

use serde_json::Value;
use support::{Home, Outcome, Running};

const SERIAL: &str = "4026536500";

/// A home with a vault in the clear and a job.
fn home(body: &str) -> Home {
    let home = Home::new();
    home.run(&["vault", "init", "my.vault", "--plain-vault"]).exits(0).says("in the clear");
    job(&home, body);
    home
}

fn job(home: &Home, body: &str) {
    let text =
        format!("version = 1\nvault = \"my.vault\"\n[[key]]\nname = \"Alice\"\nserial = {SERIAL}\n{body}");
    home.write("job.toml", &text);
}

fn on_key(home: &Home, arguments: &[&str]) -> Outcome {
    home.run(
        &[&["--emulated=key.json", "--serial", SERIAL], arguments, &["job.toml", "--plain-vault"]].concat(),
    )
}

fn plan(home: &Home) -> Value {
    on_key(home, &["--json", "plan"]).exits(0).json()
}

#[test]
fn the_example_for_one_key_is_planned_applied_and_then_without_changes() {
    let home = Home::new();
    home.run(&["vault", "init", "my.vault", "--plain-vault"]).exits(0);
    home.write("job.toml", include_str!("../../../examples/jobs/one-key.toml"));
    let before = plan(&home);
    assert_eq!((before["schema"].as_str(), before["changes"].as_u64()), (Some("plan/1"), Some(8)));
    on_key(&home, &["plan", "--exit-code"]).exits(1);
    let applied = on_key(&home, &["--json", "apply", "--yes"]).exits(0).json();
    assert_eq!(applied["schema"], "apply/1");
    assert_eq!(applied["keys"][0]["outcome"], "applied", "{applied}");
    let after = plan(&home);
    assert_eq!((after["changes"].as_u64(), after["refused"].as_u64()), (Some(0), Some(0)), "{after}");
    on_key(&home, &["plan", "--exit-code"]).exits(0);
    let text = on_key(&home, &["plan"]).exits(0).stdout;
    assert!(text.contains("No changes.") && text.contains("? slot 1") && text.contains("= slot 2"), "{text}");
    let again = on_key(&home, &["--json", "apply", "--yes"]).exits(0).json();
    assert_eq!(again["keys"][0]["outcome"], "unchanged");
}

#[test]
fn no_secret_is_ever_printed() {
    let home = home(
        "slot.1 = { kind = \"yubico-otp\", access-code = \"generate\" }\nslot.2 = { kind = \"static\" }",
    );
    let mut seen = on_key(&home, &["-vvv", "plan"]).exits(0).all();
    seen += &on_key(&home, &["-vvv", "apply", "--yes"]).exits(0).all();
    seen += &on_key(&home, &["--json", "plan"]).exits(0).all();
    seen += &home.run(&["--json", "vault", "list", "my.vault", "--plain-vault"]).exits(0).all();
    let shown = |name: &str| {
        let arguments = [
            "--serial",
            SERIAL,
            "--json",
            "vault",
            "show",
            "my.vault",
            name,
            "--show-secret",
            "--plain-vault",
        ];
        home.run(&arguments).exits(0).json()["secret"].as_str().unwrap().to_owned()
    };
    for name in ["slot-1.aes-key", "slot-1.private-id", "slot-1.access-code", "slot-2.password"] {
        let secret = shown(name);
        assert!(secret.len() >= 12 && !seen.contains(&secret), "{name}");
        assert!(seen.contains(name), "the names are listed");
    }
}

#[test]
fn nothing_is_changed_without_a_yes() {
    let home = home("slot.1 = { kind = \"static\" }");
    on_key(&home, &["apply"]).exits(2).says("--yes");
    assert_eq!(plan(&home)["changes"], 1);
}

#[test]
fn what_others_programmed_is_refused_and_then_forced() {
    let home = home("slot.1 = { kind = \"static\" }");
    let key = ["--emulated=key.json", "--serial", SERIAL];
    let program = [&key[..], &["otp", "chalresp", "1", "--key", "-", "--yes"]].concat();
    home.run_with(&program, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b\n").exits(0);
    let planned = plan(&home);
    assert_eq!((planned["refused"].as_u64(), planned["changes"].as_u64()), (Some(1), Some(0)));
    on_key(&home, &["apply", "--yes"]).exits(1).says("nothing was changed").says("--force");
    on_key(&home, &["apply", "--yes", "--force"]).exits(0);
    assert_eq!(plan(&home)["changes"], 0);
}

#[test]
fn a_wrong_job_ends_with_2_before_a_key_is_looked_at() {
    let home = home("slot.1 = { kind = \"static\", password = \"c0ffee\" }");
    let outcome = on_key(&home, &["plan"]).exits(2).says("line 6").says("vault:NAME");
    assert!(!outcome.all().contains("c0ffee"));
    assert!(!home.path("key.json").exists());
    // A secret of the wrong length is noticed before, too.
    job(&home, "slot.1 = { kind = \"yubico-otp\", aes-key = \"env:KEY\" }");
    let mut command = home.command(&["--emulated=key.json", "apply", "job.toml", "--plain-vault", "--yes"]);
    command.env("KEY", "c0ffee");
    let outcome = Outcome::of(command.output().unwrap()).exits(2).says("32 hexadecimal digits");
    assert!(!outcome.all().contains("c0ffee") && !home.path("key.json").exists());
    on_key(&home, &["apply", "--yes"]).exits(2).says("KEY is not set");
}

#[test]
fn a_key_that_is_not_meant_is_left_alone() {
    let home = home("slot.1 = { kind = \"static\" }");
    home.run(&["--emulated=other.json", "apply", "job.toml", "--plain-vault", "--yes"])
        .exits(3)
        .says("the job has nothing for");
}

#[test]
fn a_vault_for_age_keys() {
    let home = Home::new();
    let made = home.json(&["vault", "init", "team.vault", "--new-identity", "key.txt"]);
    assert_eq!(
        (made["schema"].as_str(), made["protection"].as_str()),
        (Some("vault-init/1"), Some("age keys"))
    );
    assert!(home.read("key.txt").contains("AGE-SECRET-KEY-1"));
    let put = |secret: &str, more: &[&str]| {
        let arguments =
            ["vault", "put", "team.vault", "shared", "--secret", "-", "--vault-identity", "key.txt"];
        home.run_with(&[&arguments[..], more].concat(), secret)
    };
    put("first\n", &[]).exits(0);
    put("second\n", &[]).exits(2).says("--force");
    put("second\n", &["--force"]).exits(0);
    let opened = ["--vault-identity", "key.txt"];
    let show =
        |more: &[&str]| home.run(&[&["vault", "show", "team.vault", "shared"], &opened[..], more].concat());
    show(&[]).exits(2).says("--show-secret");
    assert_eq!(show(&["--show-secret"]).exits(0).stdout, "second\n");
    assert!(!String::from_utf8_lossy(&std::fs::read(home.path("team.vault")).unwrap()).contains("second"));
    home.run(&["vault", "list", "team.vault"]).exits(2).says("--vault-identity");
    home.run(&["vault", "list", "team.vault", "--plain-vault"]).exits(2);
    home.run(&["vault", "init", "team.vault", "--plain-vault"]).exits(2).says("not overwritten");
    home.run(&["vault", "list", "none.vault", "--plain-vault"]).exits(2).says("vault init");
}

#[test]
fn a_vault_with_a_passphrase() {
    let home = Home::new();
    let run = |arguments: &[&str], passphrase: &str| {
        let mut command = home.command(&[arguments, &["--vault-passphrase", "env:PASS"]].concat());
        command.env("PASS", passphrase);
        Outcome::of(command.output().unwrap())
    };
    run(&["vault", "init", "a.vault"], "correct horse").exits(0);
    run(&["vault", "list", "a.vault"], "correct horse").exits(0);
    run(&["vault", "list", "a.vault"], "wrong").exits(2).says("does not open the vault");
    home.run(&["vault", "init", "b.vault"]).exits(2).says("nobody can be asked");
}

#[test]
fn a_fleet_is_applied_to_as_keys_come() {
    let home = home(
        "slot.1 = { kind = \"static\" }\napplications = { usb = [\"otp\", \"oath\"] }\n[[key]]\nany = true\nslot.1.kind = \"empty\"",
    );
    let emulated = "--emulated=key.json";
    let run = ["--json", "--serial", SERIAL, "emulate", "run", "key.json"];
    let mut plugged = Running::start(home.command(&run));
    let arguments =
        [emulated, "--json", "apply", "job.toml", "--plain-vault", "--watch", "--yes", "--timeout", "8"];
    // One of the two keys of the job comes.
    let report = home.run(&arguments).exits(3).json();
    assert_eq!(report["keys"][0]["outcome"], "applied", "{report}");
    assert_eq!(report["missing"][0], "any key (1 to come)");
    // Alone, it ends the watch at once.
    job(&home, "slot.1 = { kind = \"static\" }\napplications = { usb = [\"otp\", \"oath\"] }");
    let report = home.run(&arguments).exits(0).json();
    assert_eq!(report["keys"][0]["outcome"], "unchanged", "{report}");
    plugged.signal("TERM");
    plugged.wait();
}
