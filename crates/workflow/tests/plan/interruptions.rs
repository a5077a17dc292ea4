//! Pulled out at every moment, a key is finished by applying the same job again, and no code is lost.

use tapkey_emulator::{Power, Profile};
use tapkey_workflow::plan::ApplyError;

use crate::bench::{Bench, action, entry};

const FAULTS: [&str; 4] = ["unplug", "removal", "removal-after", "power-cut=after"];

/// Applies the job with each fault at its first occasion, its second, and so on until there is none.
fn walk(prepare: fn(&Bench), job: &str, least: u32) {
    let mut interrupted = 0;
    for fault in FAULTS {
        for moment in 1.. {
            assert!(moment < 2000, "{fault} strikes for ever");
            let bench = Bench::new(Profile::YUBIKEY_5_7_4);
            prepare(&bench);
            bench.key.faults().add(format!("{fault}@{moment}").parse().unwrap());
            let outcome = bench.apply(job);
            let fired = bench.key.faults().list()[0].fired;
            bench.key.faults().clear();
            if fired == 0 {
                outcome.unwrap_or_else(|error| panic!("{fault}@{moment}: {error}"));
                break;
            }
            if outcome.is_err() {
                interrupted += 1;
            }
            bench.key.unplug();
            bench.key.plug(Power::Usb).unwrap();
            let again = bench.apply(job);
            again.unwrap_or_else(|error| panic!("again after {fault}@{moment} ({outcome:?}): {error}"));
            let plan = bench.plan(job);
            assert_eq!((plan.changes(), plan.refused().count()), (0, 0), "{fault}@{moment}: {plan:#?}");
        }
    }
    assert!(interrupted >= least, "only {interrupted} interruptions were tried");
}

#[test]
fn slots_converge() {
    let job = entry(
        "slot.1 = { kind = \"yubico-otp\", access-code = \"generate\" }\n\
         slot.2 = { kind = \"hmac-sha1\", access-code = \"generate\" }",
    );
    walk(|_| {}, &job, 40);
}

#[test]
fn slots_that_had_other_codes_converge() {
    let prepare = |bench: &Bench| {
        bench.put("old", "a1a2a3a4a5a6");
        bench.converge(&entry(
            "slot.1 = { kind = \"static\", access-code = \"vault:old\" }\n\
             slot.2 = { kind = \"hotp\", access-code = \"vault:old\" }",
        ));
    };
    let job = entry(
        "slot.1 = { kind = \"static\", access-code = \"generate\", enter = false }\n\
         slot.2 = { kind = \"empty\" }",
    );
    walk(prepare, &job, 30);
}

#[test]
fn settings_and_accounts_converge() {
    let job = entry(
        "slot.2 = { kind = \"hmac-sha1\" }\n\
         applications = { usb = [\"otp\", \"oath\"], lock-code = \"generate\", challenge-timeout = 9 }\n\
         oath.password = \"generate\"\n\
         [[key.oath.account]]\nname = \"a\"\n[[key.oath.account]]\nname = \"b\"\ntype = \"hotp\"",
    );
    walk(|_| {}, &job, 40);
}

#[test]
fn what_was_switched_on_for_the_work_converges() {
    let prepare = |bench: &Bench| {
        bench.converge(&entry("applications = { usb = [\"piv\"], lock-code = \"generate\" }"));
    };
    let job = entry("slot.2 = { kind = \"static\" }\napplications = { usb = [\"piv\"] }");
    walk(prepare, &job, 20);
}

#[test]
fn a_failure_tells_what_was_done_and_what_was_not() {
    let job = entry(
        "slot.1 = { kind = \"static\" }\nslot.2 = { kind = \"static\" }\n\
         applications = { usb = [\"otp\"] }",
    );
    for moment in 1..2000 {
        let bench = Bench::new(Profile::YUBIKEY_5_7_4);
        bench.key.faults().add(format!("unplug@{moment}").parse().unwrap());
        match bench.apply(&job) {
            Err(ApplyError::Interrupted { done, step, left, .. }) if done == ["program slot 1"] => {
                assert_eq!((step.as_str(), left.len()), ("program slot 2", 1));
                // Only the slot that was being written is in doubt.
                bench.key.faults().clear();
                bench.key.plug(Power::Usb).unwrap();
                let plan = bench.plan(&job);
                let left: Vec<&str> = plan
                    .items
                    .iter()
                    .filter(|item| item.action.is_change())
                    .map(|item| item.subject.as_str())
                    .collect();
                assert_eq!(left, ["slot 2", "USB applications"], "{plan:#?}");
                return;
            }
            Ok(_) => panic!("no interruption came between the slots"),
            Err(_) => {}
        }
    }
}

#[test]
fn a_vault_that_cannot_be_written_keeps_the_key_as_it_is() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    // Something stands where the new vault is written first.
    std::fs::create_dir(bench.folder().join("vault.tmp")).unwrap();
    let job = entry("slot.1 = { kind = \"static\", access-code = \"generate\" }");
    let error = bench.apply(&job).unwrap_err();
    assert!(matches!(error, ApplyError::Vault(_)), "{error}");
    std::fs::remove_dir(bench.folder().join("vault.tmp")).unwrap();
    assert_eq!(action(&bench.plan(&job), "slot 1"), tapkey_workflow::plan::Action::Add);
    bench.converge(&job);
}
