use proptest::prelude::*;

use super::*;

fn read(uri: &str) -> KeyUri {
    uri.parse().unwrap()
}

fn refused(uri: &str) -> KeyUriError {
    uri.parse::<KeyUri>().unwrap_err()
}

/// The example of the Key URI Format.
#[test]
fn the_formats_own_example() {
    let uri = read(
        "otpauth://totp/ACME%20Co:john.doe@email.com?secret=HXDMVJECJJWSRB3HWIZR4IFUGFTMXBOZ\
        &issuer=ACME%20Co&algorithm=SHA1&digits=6&period=30",
    );
    assert_eq!((uri.issuer.as_deref(), &*uri.account), (Some("ACME Co"), "john.doe@email.com"));
    assert_eq!(
        (uri.algorithm, uri.digits, uri.factor),
        (Algorithm::Sha1, Digits::SIX, Factor::Time { period: 30 })
    );
    assert_eq!(uri.secret.len(), 20);
    assert_eq!(
        &*uri.to_uri(),
        "otpauth://totp/ACME%20Co:john.doe@email.com?secret=HXDMVJECJJWSRB3HWIZR4IFUGFTMXBOZ\
        &issuer=ACME%20Co&algorithm=SHA1&digits=6&period=30"
    );
}

#[test]
fn what_is_not_said_has_defaults() {
    let uri = read("otpauth://hotp/alice?secret=JBSWY3DPEHPK3PXP");
    assert_eq!((uri.issuer.as_deref(), uri.factor), (None, Factor::Counter { start: 0 }));
    let uri = read("OTPAUTH://TOTP/ALICE?SECRET=JBSWY3DPEHPK3PXP&ALGORITHM=hmac-sha-512&DIGITS=8&image=x");
    assert_eq!((uri.algorithm, uri.digits), (Algorithm::Sha512, Digits::EIGHT));
}

#[test]
fn issuers() {
    let issuer = |uri: &str| read(uri).issuer;
    assert_eq!(issuer("otpauth://totp/A:b?secret=AA&issuer=C").as_deref(), Some("C"));
    assert_eq!(issuer("otpauth://totp/A%3A%20b?secret=AA").as_deref(), Some("A"));
    assert_eq!(issuer("otpauth://totp/b?secret=AA&issuer=C+D").as_deref(), Some("C D"));
    assert_eq!(issuer("otpauth://totp/A:b?secret=AA&issuer=").as_deref(), Some("A"));
    assert_eq!(issuer("otpauth://totp/:b?secret=AA"), None);
    assert_eq!(read("otpauth://totp/A:b:c?secret=AA").account, "b:c");
    let colons = KeyUri { issuer: Some("A:B".into()), ..read("otpauth://totp/:b:?secret=AA") };
    assert_eq!(colons.account, "b:");
    assert_eq!(read(&colons.to_uri()), colons);
    assert_eq!(read("otpauth://totp/Steam:x?secret=AA&digits=5").digits, Digits::SIX);
}

#[test]
fn what_is_refused() {
    use KeyUriError::*;
    for (uri, error) in [
        ("https://example.org", NotAKeyUri),
        ("otpauth-migration://offline?data=x", NotAKeyUri),
        ("otpauth://totp", NotAKeyUri),
        ("otpauth://yubi/x?secret=AA", UnknownType),
        ("otpauth://totp/?secret=AA", NoAccount),
        ("otpauth://totp/A:?secret=AA", NoAccount),
        ("otpauth://totp/x", NoSecret),
        ("otpauth://totp/x?secret=A1", Secret(SecretError::NotBase32)),
        ("otpauth://totp/x?secret=AA&digits=9", Digits(DigitsError(9))),
        ("otpauth://totp/x?secret=AA&digits=5", Digits(DigitsError(5))),
        ("otpauth://totp/x?secret=AA&digits=+6", BadValue { parameter: "digits" }),
        ("otpauth://totp/x?secret=AA&period=0", BadValue { parameter: "period" }),
        ("otpauth://hotp/x?secret=AA&counter=-1", BadValue { parameter: "counter" }),
        ("otpauth://totp/x?secret=AA&algorithm=MD5", BadValue { parameter: "algorithm" }),
        ("otpauth://totp/x?secret=AA&secret=AB", Twice { parameter: "secret" }),
        ("otpauth://totp/%4?secret=AA", BadEscape),
        ("otpauth://totp/%FF?secret=AA", BadEscape),
    ] {
        assert_eq!(refused(uri), error, "{uri}");
    }
}

#[test]
fn no_message_repeats_the_secret() {
    let error = refused("otpauth://totp/x?secret=SECRET1");
    assert!(!format!("{error} {error:?}").contains("SECRET1"));
    let debug = format!("{:?}", read("otpauth://totp/x?secret=JBSWY3DPEHPK3PXP"));
    assert!(!debug.contains("JBSW") && !debug.contains("72"), "{debug}");
}

fn factor() -> impl Strategy<Value = Factor> {
    prop_oneof![
        (1_u32..).prop_map(|period| Factor::Time { period }),
        any::<u64>().prop_map(|start| Factor::Counter { start })
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        issuer in proptest::option::of("[^\\s]{1,20}"),
        account in "[^\\s].{0,20}[^\\s]",
        secret in proptest::collection::vec(any::<u8>(), 1..80),
        algorithm in 0..3_usize,
        digits in 6_u8..=8,
        factor in factor(),
    ) {
        let algorithm = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512][algorithm];
        let digits = Digits::try_from(digits).unwrap();
        let uri = KeyUri { issuer, account, secret: secret.into(), algorithm, digits, factor };
        prop_assert_eq!(uri.to_uri().parse::<KeyUri>(), Ok(uri));
    }

    #[test]
    fn any_text_is_read_or_refused(text: String, label: String, query: String) {
        let _ = text.parse::<KeyUri>();
        if let Ok(uri) = format!("otpauth://totp/{label}?secret=AA&{query}").parse::<KeyUri>() {
            // What a key cannot be called by its name is not this module's business.
            let _ = uri.name().to_id(uri.kind());
        }
    }
}
