//! OATH accounts and their password.

use tapkey_driver::IfTaken;
use tapkey_emulator::Profile;
use tapkey_protocol::oath::codec::{Properties, Put};
use tapkey_protocol::oath::{Algorithm, CredentialId, Digits, Kind};
use tapkey_protocol::secret::SecretBytes;
use tapkey_workflow::plan::{Action, ApplyError, Wishes};

use crate::bench::{Bench, NOW, action, entry, force, wishes};

/// Somebody else stores an account.
fn others(bench: &Bench, name: &str) {
    let put = Put {
        id: CredentialId::new(name).unwrap(),
        kind: Kind::Totp,
        algorithm: Algorithm::Sha1,
        digits: Digits::SIX,
        secret: SecretBytes::new(vec![9; 20]),
        properties: Properties::default(),
        counter: 0,
    };
    bench.oath().put(&put, IfTaken::Refuse, &bench.control()).unwrap();
}

fn names(bench: &Bench) -> Vec<String> {
    bench.oath().list(&bench.control()).unwrap().iter().map(|account| account.id.to_string()).collect()
}

#[test]
fn accounts_of_every_sort_are_stored_and_recognised() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    bench.put("uri", "otpauth://totp/Example:bob?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&digits=8");
    let job = entry(
        "[[key.oath.account]]\nuri = \"vault:uri\"\n\
         [[key.oath.account]]\nname = \"Example:alice\"\nalgorithm = \"sha256\"\nperiod = 60\ndigits = 7\n\
         [[key.oath.account]]\nname = \"Steam:carol\"\n\
         [[key.oath.account]]\nname = \"touch\"\ntouch = true\n\
         [[key.oath.account]]\nname = \"counter\"\ntype = \"hotp\"\ncounter = 5",
    );
    assert_eq!(bench.plan(&job).changes(), 5);
    bench.converge(&job);
    let plan = bench.plan(&job);
    for (name, expected) in [
        ("Example:bob", Action::Same),
        ("60/Example:alice", Action::Same),
        ("Steam:carol", Action::Same),
        ("touch", Action::Unverified),
        ("counter", Action::Unverified),
    ] {
        assert_eq!(action(&plan, &format!("account {name}")), expected, "{name}");
    }
    let touching = Wishes { touch: true, ..wishes() };
    assert_eq!(action(&bench.plan_with(&job, touching), "account touch"), Action::Same);
    let codes = bench.oath().codes(59, &bench.control()).unwrap();
    let bob = codes.iter().find(|(account, _)| account.id.to_string() == "Example:bob").unwrap();
    assert_eq!(bob.1.as_ref().unwrap().expose(), "94287082");
}

#[test]
fn accounts_that_others_stored_are_not_lost() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    others(&bench, "Example:alice");
    let job = entry("[[key.oath.account]]\nname = \"Example:alice\"");
    assert_eq!(action(&bench.plan(&job), "account Example:alice"), Action::Refused);
    let before = bench.oath().codes(NOW, &bench.control()).unwrap();
    assert!(matches!(bench.apply(&job), Err(ApplyError::Refused { .. })));
    assert_eq!(bench.oath().codes(NOW, &bench.control()).unwrap(), before);
    let only = entry("oath = { others = \"remove\" }");
    assert_eq!(action(&bench.plan(&only), "account Example:alice"), Action::Refused);
    bench.apply_with(&job, force()).unwrap();
    assert_ne!(bench.oath().codes(NOW, &bench.control()).unwrap(), before);
    // Named, it may go; known, it may go with the others.
    bench.converge(&only);
    others(&bench, "Example:alice");
    bench.converge(&entry("[[key.oath.account]]\nname = \"Example:alice\"\nstate = \"absent\""));
    assert!(names(&bench).is_empty());
}

#[test]
fn an_own_account_may_change() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let job = |rest: &str| entry(&format!("[[key.oath.account]]\nname = \"a\"\n{rest}"));
    for rest in ["", "digits = 8", "touch = true", "type = \"hotp\"", "algorithm = \"sha512\""] {
        assert_eq!(bench.converge(&job(rest)).steps, 1, "{rest}");
    }
}

#[test]
fn a_password_comes_changes_and_goes() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let job = |password: &str| {
        entry(&format!("oath.password = \"{password}\"\n[[key.oath.account]]\nname = \"a\""))
    };
    bench.converge(&job("generate"));
    assert!(bench.oath().is_locked());
    assert_eq!(action(&bench.plan(&job("generate")), "OATH password"), Action::Same);
    bench.put("mine", "correct horse");
    bench.converge(&job("vault:mine"));
    let mut session = bench.oath();
    let key = session.info().access_key("correct horse");
    session.unlock(&key, &bench.control()).unwrap();
    bench.converge(&job("none"));
    assert!(!bench.oath().is_locked());
}

#[test]
fn accounts_behind_an_unknown_password_are_refused() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let mut session = bench.oath();
    let key = session.info().access_key("theirs");
    session.set_access_key(&key, &bench.control()).unwrap();
    let job = entry("[[key.oath.account]]\nname = \"a\"");
    assert_eq!(action(&bench.plan(&job), "OATH password"), Action::Refused);
    assert!(matches!(bench.apply(&job), Err(ApplyError::Refused { .. })));
    bench.put("theirs", "theirs");
    bench.converge(&entry("oath.current-password = \"vault:theirs\"\n[[key.oath.account]]\nname = \"a\""));
}

#[test]
fn after_a_reset_nothing_is_believed() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let job = entry("[[key.oath.account]]\nname = \"counter\"\ntype = \"hotp\"");
    bench.converge(&job);
    bench.oath().reset(&bench.control()).unwrap();
    others(&bench, "unrelated");
    assert_eq!(names(&bench), ["unrelated"]);
    assert_eq!(action(&bench.plan(&job), "account counter"), Action::Add);
    bench.converge(&job);
}

#[test]
fn more_accounts_than_fit_are_refused_before_the_first() {
    let bench = Bench::new(Profile::YUBIKEY_5_4_3);
    let accounts: String = (0..33).map(|n| format!("[[key.oath.account]]\nname = \"a{n}\"\n")).collect();
    let job = entry(&accounts);
    assert_eq!(action(&bench.plan(&job), "OATH accounts"), Action::Refused);
    assert!(matches!(bench.apply(&job), Err(ApplyError::Refused { .. })));
    assert!(names(&bench).is_empty());
}
