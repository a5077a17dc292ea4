//! Every kind of difference in a slot.

use tapkey_emulator::Profile;
use tapkey_protocol::oath::Algorithm;
use tapkey_protocol::otp::{AesKey, Otp};
use tapkey_protocol::slot::{AccessCode, ChallengeHmac, HmacKey, Options, ScanCodes, Slot, SlotConfig};
use tapkey_workflow::plan::{Action, ApplyError, Wishes};

use crate::bench::{Bench, SERIAL, action, entry, force, wishes};

const NONE: AccessCode = AccessCode::NONE;

/// Somebody else programs a slot.
fn others(bench: &Bench, slot: Slot, config: &dyn SlotConfig) {
    bench.otp().program(slot, config, &NONE, &bench.control()).unwrap();
}

fn foreign_password() -> ScanCodes {
    ScanCodes::from_us_text("foreign", Options::for_typing(), NONE).unwrap()
}

fn typed(bench: &Bench, slot: Slot) -> String {
    bench.key.press(slot).unwrap().text().expect("the slot types")
}

fn aes_key(bench: &Bench, slot: u8) -> AesKey {
    let hex = bench.secret(&format!("slot-{slot}.aes-key")).unwrap();
    AesKey::new(data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap())
}

#[test]
fn every_kind_is_programmed_and_then_nothing_is_left() {
    let kinds = [
        ("kind = \"yubico-otp\"", Action::Unverified),
        ("kind = \"yubico-otp\"\npublic-id = \"random\"\npacing = 20", Action::Unverified),
        ("kind = \"hmac-sha1\"", Action::Same),
        ("kind = \"hmac-sha1\"\nchallenge = \"fixed-64\"", Action::Same),
        ("kind = \"hmac-sha1\"\ntouch = true", Action::Unverified),
        ("kind = \"yubico-challenge\"", Action::Same),
        ("kind = \"hotp\"\ndigits = 8\ncounter = 32\ntoken-id = \"serial\"", Action::Unverified),
        ("kind = \"static\"\nenter = false", Action::Unverified),
    ];
    for number in [1, 2] {
        for (kind, afterwards) in kinds {
            let bench = Bench::new(Profile::YUBIKEY_5_7_4);
            let job = entry(&format!("[key.slot.{number}]\n{kind}\naccess-code = \"generate\""));
            let subject = format!("slot {number}");
            assert_eq!(action(&bench.plan(&job), &subject), Action::Add, "{kind}");
            assert!(bench.secret(&format!("slot-{number}.access-code")).is_none(), "a plan draws nothing");
            bench.converge(&job);
            assert_eq!(action(&bench.plan(&job), &subject), afterwards, "{kind}");
            assert_eq!(bench.apply(&job).unwrap().steps, 0, "{kind}");
            // The code is on the key, and in the vault.
            let slot = Slot::try_from(number).unwrap();
            assert!(bench.otp().delete(slot, &NONE, &bench.control()).is_err(), "{kind}");
            let code: AccessCode =
                bench.secret(&format!("slot-{number}.access-code")).unwrap().parse().unwrap();
            bench.otp().delete(slot, &code, &bench.control()).unwrap();
        }
    }
}

#[test]
fn what_was_drawn_is_what_the_key_types() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    bench.converge(&entry("slot.1 = { kind = \"yubico-otp\" }\nslot.2 = { kind = \"static\" }"));
    let otp: Otp = typed(&bench, Slot::One).trim_end().parse().unwrap();
    let token = otp.open(&aes_key(&bench, 1)).unwrap();
    assert_eq!(
        data_encoding::HEXLOWER.encode(token.private_id.expose()),
        bench.secret("slot-1.private-id").unwrap()
    );
    assert_eq!(typed(&bench, Slot::Two).trim_end(), bench.secret("slot-2.password").unwrap());
}

#[test]
fn settings_change_without_the_secret_and_its_counter() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    bench.converge(&entry("slot.1 = { kind = \"yubico-otp\", access-code = \"generate\" }"));
    let before: Otp = typed(&bench, Slot::One).trim_end().parse().unwrap();
    bench.key.replug().unwrap();
    let job = entry("slot.1 = { kind = \"yubico-otp\", access-code = \"keep\", enter = false }");
    let plan = bench.plan(&job);
    assert_eq!(action(&plan, "slot 1"), Action::Change);
    assert_eq!(plan.steps, ["change the settings of slot 1"]);
    bench.converge(&job);
    let text = typed(&bench, Slot::One);
    assert!(!text.ends_with('\n'), "Enter is off");
    let key = aes_key(&bench, 1);
    let after: Otp = text.parse().unwrap();
    assert!(after.open(&key).unwrap().counter() > before.open(&key).unwrap().counter());
    assert!(bench.otp().delete(Slot::One, &NONE, &bench.control()).is_err(), "the code was kept");
}

#[test]
fn where_updates_are_not_allowed_the_slot_is_programmed_anew() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    bench.converge(&entry("slot.1 = { kind = \"static\", allow-update = false }"));
    let job = entry("slot.1 = { kind = \"static\", enter = false }");
    assert_eq!(bench.plan(&job).steps, ["program slot 1"]);
    bench.converge(&job);
    assert_eq!(typed(&bench, Slot::One), bench.secret("slot-1.password").unwrap());
}

#[test]
fn access_codes_come_go_and_change() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let job = |code: &str| entry(&format!("slot.2 = {{ kind = \"hmac-sha1\", access-code = \"{code}\" }}"));
    bench.put("first", "010203040506");
    bench.put("second", "a1a2a3a4a5a6");
    for code in ["vault:first", "vault:second", "generate", "none", "vault:first"] {
        assert_eq!(
            action(&bench.plan(&job(code)), "slot 2"),
            if code == "vault:first" && bench.vault().vault.applied().count() == 0 {
                Action::Add
            } else {
                Action::Change
            },
            "{code}"
        );
        bench.converge(&job(code));
    }
    assert_eq!(bench.apply(&job("keep")).unwrap().steps, 0);
}

#[test]
fn a_code_from_elsewhere_is_tried_and_kept_in_the_vault() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let code = AccessCode::new([9, 8, 7, 6, 5, 4]);
    let config = ScanCodes::from_us_text("foreign", Options::for_typing(), code).unwrap();
    others(&bench, Slot::One, &config);
    let without = entry("overwrite = true\nslot.1 = { kind = \"static\" }");
    assert!(matches!(bench.apply(&without), Err(ApplyError::Interrupted { .. })));
    std::fs::write(bench.folder().join("code"), "090807060504\n").unwrap();
    let job = entry("overwrite = true\nslot.1 = { kind = \"static\", current-access-code = \"file:code\" }");
    bench.converge(&job);
    // It was to keep its code, and the vault has it.
    assert_eq!(bench.secret("slot-1.current-access-code").unwrap(), "090807060504");
    assert!(bench.otp().delete(Slot::One, &NONE, &bench.control()).is_err());
    bench.converge(&entry("slot.1 = { kind = \"empty\" }"));
}

#[test]
fn what_the_vault_does_not_know_is_not_overwritten() {
    for job in ["slot.1 = { kind = \"static\" }", "slot.1 = { kind = \"empty\" }"] {
        let bench = Bench::new(Profile::YUBIKEY_5_7_4);
        others(&bench, Slot::One, &foreign_password());
        let job = entry(job);
        assert_eq!(action(&bench.plan(&job), "slot 1"), Action::Refused);
        let error = bench.apply(&job).unwrap_err();
        assert!(matches!(error, ApplyError::Refused { .. }), "{error}");
        assert_eq!(typed(&bench, Slot::One), "foreign\n");
        bench.apply_with(&job, force()).unwrap();
        assert_eq!(bench.plan(&job).changes(), 0);

        let bench = Bench::new(Profile::YUBIKEY_5_7_4);
        others(&bench, Slot::One, &foreign_password());
        bench.converge(&format!("{job}\noverwrite = true"));
    }
}

#[test]
fn a_slot_that_others_programmed_since_is_noticed() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let job = entry("slot.2 = { kind = \"hmac-sha1\" }");
    bench.converge(&job);
    // Another secret of the same kind: only the challenge tells.
    let other = ChallengeHmac {
        key: HmacKey::new([0x42; 20]),
        variable_length: true,
        require_touch: false,
        options: Options::for_challenges(),
        access_code: NONE,
    };
    others(&bench, Slot::Two, &other);
    assert_eq!(action(&bench.plan(&job), "slot 2"), Action::Refused);
    // Another kind: the touch bit tells.
    others(&bench, Slot::Two, &foreign_password());
    assert_eq!(action(&bench.plan(&job), "slot 2"), Action::Refused);
    let empty = entry("slot.2 = { kind = \"empty\" }");
    assert_eq!(action(&bench.plan(&empty), "slot 2"), Action::Refused);
    assert!(bench.apply(&empty).is_err());
    assert_eq!(typed(&bench, Slot::Two), "foreign\n");
}

#[test]
fn an_own_slot_may_become_something_else() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    for kind in ["static", "hmac-sha1", "hotp", "yubico-otp", "hmac-sha1", "empty", "static"] {
        let job = entry(&format!("slot.2 = {{ kind = \"{kind}\" }}"));
        assert_eq!(bench.converge(&job).steps, 1, "{kind}");
    }
}

#[test]
fn a_secret_programmed_by_another_tool_is_recognised() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    bench.put("slot-2.secret", &"0b".repeat(20));
    let same = ChallengeHmac {
        key: HmacKey::new([0x0B; 20]),
        variable_length: true,
        require_touch: false,
        options: Options::for_challenges(),
        access_code: NONE,
    };
    others(&bench, Slot::Two, &same);
    let job = entry("slot.2 = { kind = \"hmac-sha1\", secret = \"vault\" }");
    assert_eq!(action(&bench.plan(&job), "slot 2"), Action::Unverified);
    assert_eq!(bench.apply(&job).unwrap().steps, 0);
    // A code can be put in front of it without the secret being written again.
    let job = entry("slot.2 = { kind = \"hmac-sha1\", secret = \"vault\", access-code = \"generate\" }");
    assert_eq!(bench.converge(&job).steps, 1);
    // The length of challenges is part of what is compared.
    let job = entry("slot.2 = { kind = \"hmac-sha1\", secret = \"vault\", challenge = \"fixed-64\" }");
    assert_eq!(action(&bench.plan(&job), "slot 2"), Action::Change);
    bench.converge(&job);
    let challenge = [7; 64];
    let response = bench.otp().challenge_hmac(Slot::Two, &challenge, &bench.control()).unwrap();
    assert_eq!(response.expose()[..], Algorithm::Sha1.hmac(&[0x0B; 20], &challenge));
}

#[test]
fn a_touch_is_asked_for_only_when_that_was_allowed() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let job = entry("slot.2 = { kind = \"hmac-sha1\", touch = true }");
    bench.converge(&job);
    assert_eq!(action(&bench.plan(&job), "slot 2"), Action::Unverified);
    let touching = Wishes { touch: true, ..wishes() };
    assert_eq!(action(&bench.plan_with(&job, touching), "slot 2"), Action::Same);
}

#[test]
fn an_emptied_slot_is_forgotten() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let job = entry("slot.2 = { kind = \"static\" }");
    bench.converge(&job);
    // Somebody empties it, and it is seen empty; then somebody uses it.
    bench.otp().delete(Slot::Two, &NONE, &bench.control()).unwrap();
    bench.apply(&entry("slot.2 = { kind = \"empty\" }")).unwrap();
    others(&bench, Slot::Two, &foreign_password());
    assert_eq!(action(&bench.plan(&job), "slot 2"), Action::Refused);
}

#[test]
fn firmware_that_lacks_something_is_refused_before_anything_is_written() {
    let bench = Bench::new(Profile::YUBIKEY_4_3_5);
    let job = entry("slot.1 = { kind = \"static\" }\napplications = { usb = [\"otp\", \"piv\"] }");
    let plan = bench.plan(&job);
    assert_eq!(action(&plan, "slot 1"), Action::Add);
    assert_eq!(action(&plan, "USB applications"), Action::Refused);
    assert!(matches!(bench.apply(&job), Err(ApplyError::Refused { switched_on: false, .. })));
    let status = bench.otp().status(&bench.control()).unwrap();
    assert!(status.is_certainly(Slot::One, false), "nothing was written");
    // This firmware cannot change an access code by an update, so the slot is programmed anew.
    bench.converge(&entry("slot.1 = { kind = \"static\" }"));
    let job = entry("slot.1 = { kind = \"static\", access-code = \"generate\" }");
    assert_eq!(bench.plan(&job).steps, ["program slot 1"]);
    bench.converge(&job);
}

#[test]
fn a_key_that_the_job_does_not_mean_is_left_alone() {
    let bench = Bench::of(Profile::YUBIKEY_5_7_4, SERIAL + 1);
    let job = entry("slot.1 = { kind = \"static\" }");
    let error = bench.apply(&job).unwrap_err();
    assert!(error.to_string().contains("nothing for this key"), "{error}");
}

#[test]
fn a_challenge_slot_that_is_to_answer_in_another_way_is_programmed_anew() {
    for profile in [Profile::YUBIKEY_5_4_3, Profile::YUBIKEY_5_7_4] {
        for code in ["", ", access-code = \"generate\"", ", access-code = \"keep\""] {
            let bench = Bench::new(profile);
            for touch in [false, true, false] {
                bench
                    .converge(&entry(&format!("slot.1 = {{ kind = \"hmac-sha1\", touch = {touch}{code} }}")));
            }
        }
    }
}
