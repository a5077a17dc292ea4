//! Whatever a job wants and whatever a key holds: applying it leaves nothing to be done, and what was
//! refused was left alone.

use proptest::prelude::*;
use tapkey_emulator::Profile;
use tapkey_workflow::plan::ApplyError;

use crate::bench::{Bench, entry, force};

fn any_slot() -> impl Strategy<Value = String> {
    let code = prop_oneof![
        Just(""),
        Just(", access-code = \"generate\""),
        Just(", access-code = \"none\""),
        Just(", access-code = \"vault:code\""),
    ];
    let typing = prop_oneof![Just(""), Just(", enter = false"), Just(", pacing = 20, numeric-keypad = true")];
    let update = prop_oneof![4 => Just(""), 1 => Just(", allow-update = false")];
    let kind = prop_oneof![
        Just(("yubico-otp", "")),
        Just(("yubico-otp", ", public-id = \"random\"")),
        Just(("hmac-sha1", "")),
        Just(("hmac-sha1", ", touch = true")),
        Just(("hmac-sha1", ", challenge = \"fixed-64\"")),
        Just(("yubico-challenge", "")),
        Just(("hotp", "")),
        Just(("hotp", ", digits = 8, counter = 16")),
        Just(("static", "")),
        Just(("static", ", password = \"vault:password\"")),
        Just(("empty", "")),
        Just(("keep", "")),
    ];
    (kind, code, typing, update).prop_map(|((kind, rest), code, typing, update)| match kind {
        "empty" | "keep" => format!("{{ kind = \"{kind}\" }}"),
        "hmac-sha1" | "yubico-challenge" => format!("{{ kind = \"{kind}\"{rest}{code}{update} }}"),
        _ => format!("{{ kind = \"{kind}\"{rest}{code}{typing}{update} }}"),
    })
}

fn any_applications() -> impl Strategy<Value = String> {
    let usb = prop::sample::subsequence(vec!["otp", "u2f", "fido2", "oath", "piv"], 1..=5)
        .prop_filter("something is reachable", |list| list.iter().any(|one| !one.starts_with(['u', 'f'])));
    let nfc = prop::sample::subsequence(vec!["otp", "fido2", "oath"], 0..=3);
    let lock = prop_oneof![Just("keep"), Just("generate"), Just("none"), Just("vault:lock")];
    (usb, nfc, lock, 1..60u8).prop_map(|(usb, nfc, lock, timeout)| {
        format!(
            "applications = {{ usb = {usb:?}, nfc = {nfc:?}, lock-code = \"{lock}\", challenge-timeout = {timeout} }}\n"
        )
    })
}

fn any_oath() -> impl Strategy<Value = String> {
    let account = (
        "[a-c]",
        prop_oneof![
            Just(""),
            Just("digits = 8\n"),
            Just("touch = true\n"),
            Just("type = \"hotp\"\n"),
            Just("state = \"absent\"\n"),
        ],
    );
    let password = prop_oneof![Just("keep"), Just("generate"), Just("none")];
    let others = prop_oneof![Just("keep"), Just("remove")];
    (prop::collection::btree_map("[a-c]", account.prop_map(|(_, rest)| rest), 1..4), password, others)
        .prop_map(|(accounts, password, others)| {
            let mut text = format!("oath.password = \"{password}\"\noath.others = \"{others}\"\n");
            for (name, rest) in accounts {
                text.push_str(&format!("[[key.oath.account]]\nname = \"{name}\"\n{rest}"));
            }
            text
        })
}

prop_compose! {
    fn any_job()(
        one in proptest::option::of(any_slot()),
        two in proptest::option::of(any_slot()),
        applications in proptest::option::of(any_applications()),
        oath in proptest::option::of(any_oath()),
    ) -> String {
        let mut text = String::new();
        if let Some(one) = one { text.push_str(&format!("slot.1 = {one}\n")); }
        if let Some(two) = two { text.push_str(&format!("slot.2 = {two}\n")); }
        text.push_str(&applications.unwrap_or_else(|| "applications = { challenge-timeout = 15 }\n".into()));
        text.push_str(&oath.unwrap_or_default());
        entry(&text)
    }
}

/// Nothing was done, because the key is not to be decided about: what is off and not spoken of.
fn is_refused(result: &Result<tapkey_workflow::plan::Applied, ApplyError>) -> bool {
    matches!(result, Err(ApplyError::Refused { .. }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn applying_leaves_nothing_to_be_done(jobs in proptest::collection::vec(any_job(), 1..4), new: bool) {
        let bench = Bench::new(if new { Profile::YUBIKEY_5_7_4 } else { Profile::YUBIKEY_5_4_3 });
        bench.put("code", "0102030405aa");
        bench.put("password", "correct horse");
        bench.put("lock", "00112233445566778899aabbccddeeff");
        for job in &jobs {
            let result = bench.apply_with(job, force());
            if is_refused(&result) {
                continue;
            }
            result.unwrap_or_else(|error| panic!("{error}\n{jobs:#?}"));
            let plan = bench.plan_with(job, force());
            prop_assert_eq!((plan.changes(), plan.refused().count()), (0, 0), "{:#?}\n{:#?}", plan, jobs);
            prop_assert_eq!(bench.apply(job).unwrap().steps, 0);
        }
    }
}
