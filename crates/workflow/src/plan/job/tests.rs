//! Parsing job files.

use proptest::prelude::*;
use tapkey_protocol::management::FormFactor;
use tapkey_protocol::version::Version;

use super::*;

fn job(body: &str) -> Result<Job, JobError> {
    Job::parse(&format!("version = 1\nvault = \"v\"\n[[key]]\nany = true\n{body}"))
}

#[test]
fn everything_wrong_is_named_by_its_line() {
    let cases = [
        ("slot.1 = { kind = \"yubikey\" }", "one of: keep, empty, yubico-otp"),
        ("slot.3 = { kind = \"empty\" }", "unknown field `3`"),
        ("slot.1 = { kind = \"static\", aes-key = \"generate\" }", "aes-key does not go with"),
        ("slot.1 = { kind = \"hmac-sha1\", enter = true }", "enter does not go with"),
        ("slot.1 = { kind = \"empty\", access-code = \"none\" }", "access-code does not go with"),
        ("slot.1 = { kind = \"keep\", current-access-code = \"vault\" }", "does not go with"),
        ("slot.1 = { kind = \"yubico-otp\", public-id = \"vvz\" }", "public id"),
        ("slot.1 = { kind = \"yubico-otp\", pacing = 15 }", "0, 10, 20 or 30"),
        ("slot.1 = { kind = \"hotp\", digits = 7 }", "6 or 8"),
        ("slot.1 = { kind = \"hotp\", counter = 5 }", "multiples of 16"),
        ("slot.1 = { kind = \"hotp\", token-id = \"abc\" }", "token id"),
        ("slot.1 = { kind = \"hmac-sha1\", challenge = \"64\" }", "variable, fixed-64"),
        ("slot.1 = { kind = \"static\", current-access-code = \"generate\" }", "cannot be generated"),
        ("applications = { usb = [\"otp\", \"ccid\"] }", "name otp, u2f"),
        ("applications = { usb = [\"otp\", \"otp\"] }", "twice"),
        ("applications = { usb = [\"otp\", \"nfc\"] }", "no such application"),
        ("applications = {}", "nothing is wanted"),
        ("oath = {}", "nothing is wanted"),
        ("oath.others = \"delete\"", "keep, remove"),
        ("oath.account = [{ secret = \"generate\" }]", "needs a name"),
        ("oath.account = [{ name = \"a\", period = 0 }]", "at least 1"),
        ("oath.account = [{ name = \"a\", digits = 9 }]", "6, 7 or 8"),
        ("oath.account = [{ name = \"a\", counter = 1 }]", "counter does not go with"),
        ("oath.account = [{ name = \"a\", type = \"hotp\", period = 60 }]", "period does not go with"),
        ("oath.account = [{ uri = \"generate\" }]", "a URI comes from"),
        ("oath.account = [{ uri = \"vault:x\", digits = 6 }]", "digits does not go with"),
        ("oath.account = [{ name = \"a\" }, { name = \"a\" }]", "named twice"),
        ("oath.account = [{ name = \"a\", state = \"absent\", secret = \"vault\" }]", "secret does not go"),
        ("count = 0\nslot.1 = { kind = \"empty\" }", "at least 1"),
        ("name = \"\"\nslot.1 = { kind = \"empty\" }", "the name is empty"),
        ("", "nothing is wanted"),
    ];
    for (body, expected) in cases {
        let error = job(body).unwrap_err();
        assert!(error.message.contains(expected), "{body}: {error}");
        let line = if body.is_empty() { 3 } else { 5 };
        assert_eq!(error.line, line, "{body}: {error}");
    }
}

#[test]
fn a_secret_in_the_job_is_refused_and_not_repeated() {
    for body in [
        "slot.1 = { kind = \"yubico-otp\", aes-key = \"c0ffee00c0ffee00c0ffee00c0ffee00\" }",
        "slot.1 = { kind = \"static\", password = \"c0ffee\" }",
        "slot.1 = { kind = \"static\", access-code = \"c0ffee112233\" }",
        "applications = { lock-code = \"c0ffee\" }",
        "oath.password = \"c0ffee\"",
        "oath.account = [{ name = \"a\", secret = \"C0FFEE\" }]",
        "slot.1 = { kind = \"static\", access-code = 998877665544 }",
        "slot.1 = { kind = \"static\", password = c0ffee }",
    ] {
        let error = job(body).unwrap_err();
        let text = error.to_string().to_lowercase();
        assert!(!text.contains("c0ffee") && !text.contains("998877"), "{text}");
        assert_eq!(error.line, 5, "{error}");
    }
}

#[test]
fn which_keys_are_meant() {
    let target = |text: &str| {
        let text = format!("version = 1\nvault = \"v\"\n[[key]]\n{text}\nslot.1 = {{ kind = \"static\" }}");
        Job::parse(&text).map(|job| job.entries[0].target.clone())
    };
    assert_eq!(target("serial = 7").unwrap(), Target::Serial(7));
    assert_eq!(target("any = true").unwrap(), Target::Any);
    let sort = target("form-factor = \"usb-c-nano\"\nfirmware = \">=5.4.3, <6.0.0\"").unwrap();
    let fits = |shape, version: &str| sort.matches(Some(1), shape, Some(version.parse::<Version>().unwrap()));
    assert!(fits(FormFactor::UsbCNano, "5.4.3") && fits(FormFactor::UsbCNano, "5.7.4"));
    assert!(!fits(FormFactor::UsbCNano, "6.0.0") && !fits(FormFactor::UsbANano, "5.7.4"));
    assert_eq!(sort.to_string(), "usb-c-nano, firmware >=5.4.3, <6.0.0");
    for wrong in [
        "serial = 7\nany = true",
        "any = true\nfirmware = \"5.7.4\"",
        "",
        "any = false",
        "firmware = \"new\"",
        "firmware = \">5\"",
        "form-factor = \"round\"",
        "serial = 7\ncount = 2",
    ] {
        assert!(target(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn two_entries_for_one_key_are_refused() {
    let text = "version = 1\n[[key]]\nserial = 7\nslot.1.kind = \"empty\"\n\
                [[key]]\nserial = 7\nslot.2.kind = \"empty\"\n";
    assert_eq!(Job::parse(text).unwrap_err().line, 5);
}

#[test]
fn secrets_need_a_vault() {
    let text = |body: &str| format!("version = 1\n[[key]]\nany = true\n{body}");
    for body in [
        "slot.1 = { kind = \"static\" }",
        "applications = { lock-code = \"env:LOCK\" }",
        "oath.account = [{ name = \"a\" }]",
    ] {
        let error = Job::parse(&text(body)).unwrap_err();
        assert!(error.message.contains("vault"), "{error}");
    }
    assert!(Job::parse(&text("slot.1 = { kind = \"empty\" }")).is_ok());
    assert!(Job::parse(&text("applications = { usb = [\"otp\"] }")).is_ok());
}

#[test]
fn other_versions_are_refused() {
    let error = Job::parse("version = 2\n[[key]]\nany = true\nslot.1.kind = \"empty\"").unwrap_err();
    assert!(error.message.contains("version 1"), "{error}");
    assert!(Job::parse("version = 1").is_err());
}

proptest! {
    #[test]
    fn reading_never_panics(text in "\\PC{0,300}", body in "[a-z0-9.=\"\\[\\]{} ,\n-]{0,200}") {
        for text in [text, format!("version = 1\nvault = \"v\"\n[[key]]\nany = true\n{body}")] {
            if let Err(error) = Job::parse(&text) {
                prop_assert!(error.line <= text.lines().count() + 1, "{error}");
            }
        }
    }

    #[test]
    fn ranges_of_firmware_round_trip(text in "(>=|<=|<|>|=|) ?[0-9]{1,2}\\.[0-9]\\.[0-9](, ?<=?[0-9]\\.[0-9]\\.[0-9]){0,2}") {
        let range: FirmwareRange = text.parse().unwrap();
        prop_assert_eq!(range.to_string().parse::<FirmwareRange>(), Ok(range));
    }
}
