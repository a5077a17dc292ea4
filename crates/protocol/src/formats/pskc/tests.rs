use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::crypt::{Authenticator, decrypt, encrypt};
use super::*;
use crate::oath::Kind;

const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<KeyContainer Version="1.0" Id="exampleID1" xmlns="urn:ietf:params:xml:ns:keyprov:pskc"
    xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:xenc="http://www.w3.org/2001/04/xmlenc#">"#;

const SECRET: &[u8] = b"12345678901234567890";

/// The key that RFC 6030 uses in its plain examples.
const PLAIN: &str = r#"<Issuer>Issuer</Issuer>
    <AlgorithmParameters><ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters>
    <Data><Secret><PlainValue>
        MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=
    </PlainValue></Secret><Counter><PlainValue>0</PlainValue></Counter></Data>"#;

fn file(body: &str) -> String {
    format!("{HEAD}{body}</KeyContainer>")
}

fn package(serial: &str, id: &str, algorithm: &str, inner: &str) -> String {
    format!(
        "<KeyPackage><DeviceInfo><Manufacturer>Manufacturer</Manufacturer><SerialNo>{serial}</SerialNo>\
         </DeviceInfo><CryptoModuleInfo><Id>CM_ID_001</Id></CryptoModuleInfo>\
         <Key Id=\"{id}\" Algorithm=\"{algorithm}\">{inner}</Key></KeyPackage>"
    )
}

fn open(text: &str, unlock: Unlock<'_>) -> Result<Container, PskcError> {
    Document::parse(text.as_bytes())?.open(unlock)
}

fn one(inner: &str, algorithm: &str) -> Result<Key, PskcError> {
    open(&file(&package("1", "1", algorithm, inner)), Unlock::Nothing)
        .map(|mut container| container.keys.remove(0))
}

fn problem(result: Result<Key, PskcError>) -> PskcError {
    match result {
        Err(PskcError::InKey { number: 1, problem, .. }) => *problem,
        other => panic!("{other:?}"),
    }
}

/// RFC 6030 figures 2 and 3: one HOTP key in the clear.
#[test]
fn figure_3_of_the_rfc() {
    let container = open(&file(&package("987654321", "12345678", HOTP, PLAIN)), Unlock::Nothing).unwrap();
    assert_eq!(container.id.as_deref(), Some("exampleID1"));
    assert!(!container.is_signed);
    let key = &container.keys[0];
    assert_eq!(key.kind, KeyKind::Hotp { algorithm: Algorithm::Sha1, digits: Digits::EIGHT, counter: 0 });
    assert_eq!(key.secret.expose(), SECRET);
    assert_eq!(key.device.manufacturer.as_deref(), Some("Manufacturer"));
    assert_eq!(key.device.serial.as_deref(), Some("987654321"));
    assert_eq!(key.module.as_deref(), Some("CM_ID_001"));
    assert_eq!((key.id.as_deref(), key.issuer.as_deref()), (Some("12345678"), Some("Issuer")));
    let uri = key.to_key_uri().unwrap();
    assert_eq!((uri.issuer.as_deref(), &*uri.account, uri.kind()), (Some("Issuer"), "12345678", Kind::Hotp));
}

/// RFC 6030 figure 4: a key profile, a reference to a key, and no secret; here it is required.
#[test]
fn figure_4_of_the_rfc() {
    let body = r#"<Issuer>Issuer</Issuer>
        <AlgorithmParameters><ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters>
        <KeyProfileId>keyProfile1</KeyProfileId><KeyReference>MasterKeyLabel</KeyReference>
        <Data><Counter><PlainValue>0</PlainValue></Counter></Data>
        <Policy><KeyUsage>OTP</KeyUsage></Policy>"#;
    assert_eq!(problem(one(body, HOTP)), PskcError::Missing("the secret"));
}

/// RFC 6030 figure 5: a key with a PIN, which is a key of its own.
#[test]
fn figure_5_of_the_rfc() {
    let pin = "urn:ietf:params:xml:ns:keyprov:pskc:pin";
    let policy = r#"<Policy><PINPolicy MinLength="4" MaxLength="4" PINKeyId="123456781"
        PINEncoding="DECIMAL" PINUsageMode="Local"/><KeyUsage>OTP</KeyUsage></Policy>"#;
    let second = r#"<Issuer>Issuer</Issuer>
        <AlgorithmParameters><ResponseFormat Length="4" Encoding="DECIMAL"/></AlgorithmParameters>
        <Data><Secret><PlainValue>MTIzNA==</PlainValue></Secret></Data>"#;
    let first = package("987654321", "12345678", HOTP, &format!("{PLAIN}{policy}"));
    let text = file(&format!("{first}{}", package("987654321", "123456781", pin, second)));
    let keys = open(&text, Unlock::Nothing).unwrap().keys;
    assert_eq!(keys[0].secret.expose(), SECRET);
    assert_eq!(keys[1].kind, KeyKind::Other(pin.to_owned()));
    assert_eq!(keys[1].secret.expose(), b"1234");
    assert!(keys[1].to_key_uri().is_none());
}

/// RFC 6030 figure 6: AES-128-CBC with a pre-shared key.
fn figure_6() -> String {
    let head = r#"<EncryptionKey><ds:KeyName>Pre-shared-key</ds:KeyName></EncryptionKey>
        <MACMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1"><MACKey>
        <xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>
        <xenc:CipherData><xenc:CipherValue>
        ESIzRFVmd4iZABEiM0RVZgKn6WjLaTC1sbeBMSvIhRejN9vJa2BOlSaMrR7I5wSX
        </xenc:CipherValue></xenc:CipherData></MACKey></MACMethod>"#;
    let body = r#"<Issuer>Issuer</Issuer>
        <AlgorithmParameters><ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters>
        <Data><Secret><EncryptedValue>
        <xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>
        <xenc:CipherData><xenc:CipherValue>
        AAECAwQFBgcICQoLDA0OD+cIHItlB3Wra1DUpxVvOx2lef1VmNPCMl8jwZqIUqGv
        </xenc:CipherValue></xenc:CipherData></EncryptedValue>
        <ValueMAC>Su+NvtQfmvfJzF6bmQiJqoLRExc=
        </ValueMAC></Secret><Counter><PlainValue>0</PlainValue></Counter></Data>"#;
    file(&format!("{head}{}", package("987654321", "12345678", HOTP, body)))
}

const PRE_SHARED: [u8; 16] =
    [0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56, 0x78, 0x90, 0x12];

#[test]
fn figure_6_of_the_rfc() {
    let document = Document::parse(figure_6().as_bytes()).unwrap();
    assert_eq!(document.protection(), &Protection::Key { name: Some("Pre-shared-key".into()) });
    let container = document.open(Unlock::Key(&PRE_SHARED)).unwrap();
    assert_eq!(container.keys[0].secret.expose(), SECRET);
    assert_eq!(document.open(Unlock::Nothing), Err(PskcError::NeedsKey));
    assert_eq!(document.open(Unlock::Passphrase("x")), Err(PskcError::NeedsKey));
    assert_eq!(document.open(Unlock::Key(&PRE_SHARED[1..])), Err(PskcError::KeyLength));
    let mut wrong = PRE_SHARED;
    wrong[0] ^= 1;
    assert!(document.open(Unlock::Key(&wrong)).is_err());
}

/// RFC 6030 figure 7: the passphrase is "qwerty"; the elements have another prefix, and the salt none.
#[test]
fn figure_7_of_the_rfc() {
    let text = r##"<?xml version="1.0" encoding="UTF-8"?>
    <pskc:KeyContainer xmlns:pskc="urn:ietf:params:xml:ns:keyprov:pskc"
      xmlns:xenc11="http://www.w3.org/2009/xmlenc11#" xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"
      xmlns:pkcs5="http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#" Version="1.0">
    <pskc:EncryptionKey><xenc11:DerivedKey><xenc11:KeyDerivationMethod
      Algorithm="http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#pbkdf2">
      <pkcs5:PBKDF2-params><Salt><Specified>Ej7/PEpyEpw=</Specified></Salt>
      <IterationCount>1000</IterationCount><KeyLength>16</KeyLength><PRF/></pkcs5:PBKDF2-params>
      </xenc11:KeyDerivationMethod>
      <xenc:ReferenceList><xenc:DataReference URI="#ED"/></xenc:ReferenceList>
      <xenc11:MasterKeyName>My Password 1</xenc11:MasterKeyName></xenc11:DerivedKey></pskc:EncryptionKey>
    <pskc:MACMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1"><pskc:MACKey>
      <xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>
      <xenc:CipherData><xenc:CipherValue>
      2GTTnLwM3I4e5IO5FkufoOEiOhNj91fhKRQBtBJYluUDsPOLTfUvoU2dStyOwYZx
      </xenc:CipherValue></xenc:CipherData></pskc:MACKey></pskc:MACMethod>
    <pskc:KeyPackage><pskc:DeviceInfo><pskc:Manufacturer>TokenVendorAcme</pskc:Manufacturer>
      <pskc:SerialNo>987654321</pskc:SerialNo></pskc:DeviceInfo>
      <pskc:Key Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp" Id="123456">
      <pskc:Issuer>Example-Issuer</pskc:Issuer><pskc:AlgorithmParameters>
      <pskc:ResponseFormat Length="8" Encoding="DECIMAL"/></pskc:AlgorithmParameters>
      <pskc:Data><pskc:Secret><pskc:EncryptedValue Id="ED">
      <xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>
      <xenc:CipherData><xenc:CipherValue>
      oTvo+S22nsmS2Z/RtcoF8Hfh+jzMe0RkiafpoDpnoZTjPYZu6V+A4aEn032yCr4f
      </xenc:CipherValue></xenc:CipherData></pskc:EncryptedValue>
      <pskc:ValueMAC>LP6xMvjtypbfT9PdkJhBZ+D6O4w=</pskc:ValueMAC></pskc:Secret></pskc:Data>
      </pskc:Key></pskc:KeyPackage></pskc:KeyContainer>"##;
    let document = Document::parse(text.as_bytes()).unwrap();
    let Protection::Passphrase { name, prf, salt, rounds, length } = document.protection() else { panic!() };
    assert_eq!(name.as_deref(), Some("My Password 1"));
    assert_eq!((*prf, *rounds, *length), (Prf::Sha1, 1000, Some(16)));
    let derived = prf.derive("qwerty", salt, 1000, 16);
    assert_eq!(data_encoding::HEXLOWER.encode(derived.expose()), "651e63cd57008476af1ff6422cd02e41");
    let container = document.open(Unlock::Passphrase("qwerty")).unwrap();
    assert_eq!(container.keys[0].secret.expose(), SECRET);
    assert_eq!(container.keys[0].issuer.as_deref(), Some("Example-Issuer"));
    assert_eq!(document.open(Unlock::Nothing), Err(PskcError::NeedsPassphrase));
    assert!(document.open(Unlock::Passphrase("Qwerty")).is_err());
    for bad in ["0", "10000001", "-1", "99999999999"] {
        let text = text.replace(">1000<", &format!(">{bad}<"));
        assert_eq!(
            Document::parse(text.as_bytes()).err(),
            Some(PskcError::Bad("the iteration count")),
            "{bad}"
        );
    }
}

/// RFC 6030 figure 8: encrypted to a certificate.
#[test]
fn figure_8_of_the_rfc_is_refused() {
    let text = file(
        "<EncryptionKey><ds:X509Data><ds:X509Certificate>MIIB</ds:X509Certificate></ds:X509Data></EncryptionKey>",
    );
    assert_eq!(Document::parse(text.as_bytes()).err(), Some(PskcError::Certificate));
}

/// RFC 6030 figure 9: signed, with a signature that is an example only.
#[test]
fn figure_9_of_the_rfc_says_that_it_is_signed() {
    let key = package("0755225266", "123", HOTP, PLAIN);
    let text = file(&format!("{key}<Signature><ds:SignedInfo/></Signature>"));
    assert!(open(&text, Unlock::Nothing).unwrap().is_signed);
}

/// RFC 6030 figure 10: many keys.
#[test]
fn figure_10_of_the_rfc() {
    let policy = "<Policy><StartDate>2006-05-01T00:00:00Z</StartDate></Policy>";
    let all: String = [("654321", "1"), ("123456", "2"), ("9999999", "3"), ("9999999", "4")]
        .map(|(serial, id)| package(serial, id, HOTP, &format!("{PLAIN}{policy}")))
        .join("\n");
    let keys = open(&file(&all), Unlock::Nothing).unwrap().keys;
    assert_eq!(keys.iter().map(|key| key.line).collect::<Vec<_>>(), [3, 8, 13, 18]);
    assert!(keys.iter().all(|key| key.secret.expose() == SECRET));
    assert_eq!(keys[3].device.serial.as_deref(), Some("9999999"));
}

/// The examples of draft-josefsson-keyprov-pskc-yubikey-00.
#[test]
fn a_yubico_otp_credential() {
    let key = one(
        r#"<AlgorithmParameters><ResponseFormat Encoding="ALPHANUMERIC" Length="44"/></AlgorithmParameters>
        <Data><Secret><PlainValue>Vpg1bTCGjEIB4m9mxYK7RQ==</PlainValue></Secret></Data>
        <UserId>CN=ekhgjhbctrgn, UID=ca62baca62ba</UserId>
        <Extensions><YubiKey xmlns="http://www.yubico.com/#yubikey-aes-ext">
        <YubiKeyLock Code="98566d358630"/></YubiKey></Extensions>"#,
        YUBICO_OTP,
    )
    .unwrap();
    let KeyKind::YubicoOtp { public_id, private_id } = &key.kind else { panic!("{key:?}") };
    assert_eq!(public_id.to_string(), "ekhgjhbctrgn");
    assert_eq!(private_id, &Some(PrivateId::new([0xCA, 0x62, 0xBA, 0xCA, 0x62, 0xBA])));
    assert!(!format!("{key:?}").contains("ca62"), "{key:?}");
    let short = r"<Data><Secret><PlainValue>Vpg1</PlainValue></Secret></Data>";
    assert_eq!(problem(one(short, YUBICO_OTP)), PskcError::Bad("the AES key"));
}

#[test]
fn totp_as_programs_write_it() {
    let body = |suite: &str, rest: &str| {
        format!(
            "<AlgorithmParameters><Suite>{suite}</Suite><ResponseFormat Length=\"7\" Encoding=\"DECIMAL\"/>\
             </AlgorithmParameters><Data><Secret><PlainValue>MTI=</PlainValue></Secret>{rest}</Data>\
             <UserId>CN=alice</UserId><FriendlyName>Example:other</FriendlyName>"
        )
    };
    for suite in ["HMAC-SHA256", "SHA256", "sha-256", "HmacSHA256"] {
        let key =
            one(&body(suite, "<TimeInterval><PlainValue>60</PlainValue></TimeInterval>"), TOTP).unwrap();
        let expected = KeyKind::Totp { algorithm: Algorithm::Sha256, digits: Digits::SEVEN, period: 60 };
        assert_eq!(key.kind, expected, "{suite}");
        let uri = key.to_key_uri().unwrap();
        assert_eq!((uri.issuer.as_deref(), &*uri.account), (Some("Example"), "alice"));
    }
    assert_eq!(problem(one(&body("MD5", ""), TOTP)), PskcError::Bad("the algorithm suite"));
    for bad in ["0", "-30", "4294967296", "x"] {
        let interval = format!("<TimeInterval><PlainValue>{bad}</PlainValue></TimeInterval>");
        assert!(one(&body("SHA1", &interval), TOTP).is_err(), "{bad}");
    }
    let late = "<Time><PlainValue>100</PlainValue></Time>";
    assert!(matches!(problem(one(&body("SHA1", late), TOTP)), PskcError::Method(_)));
}

#[test]
fn names() {
    let account = |user_id: Option<&str>, friendly: Option<&str>, issuer: Option<&str>| {
        let kind = KeyKind::Hotp { algorithm: Algorithm::Sha1, digits: Digits::SIX, counter: 0 };
        let own = |text: Option<&str>| text.map(str::to_owned);
        let key = Key {
            id: Some("id".into()),
            user_id: own(user_id),
            friendly_name: own(friendly),
            issuer: own(issuer),
            ..Key::new(kind, SECRET.to_vec().into())
        };
        let uri = key.to_key_uri().unwrap();
        (uri.issuer.unwrap_or_default(), uri.account)
    };
    let is = |issuer: &str, account: &str| (issuer.to_owned(), account.to_owned());
    assert_eq!(account(None, None, None), is("", "id"));
    assert_eq!(account(None, Some("A:b"), None), is("A", "b"));
    assert_eq!(account(None, Some("b"), Some("A")), is("A", "id"));
    assert_eq!(account(Some("alice"), Some("A:b"), Some("C")), is("C", "alice"));
    assert_eq!(account(Some("CN=alice"), None, Some("C")), is("C", "alice"));
    assert_eq!(account(Some("DC=org, cn=al\\,ice, O=x"), None, None), is("", "al,ice"));
    assert_eq!(account(Some("CN=a,b"), None, None), is("", "a,b"), "not every program escapes");
    assert_eq!(account(Some("O=x"), None, None), is("", "O=x"));
}

/// The checksum is looked at before anything is decrypted, so that a changed file tells nothing by
/// the way in which it fails.
#[test]
fn a_changed_file_is_noticed_before_it_is_decrypted() {
    let good = figure_6();
    // The last block of the secret decides about its padding.
    for (from, to) in [("UqGv", "UqGw"), ("AAECAwQF", "AAECAwQG"), ("Su+N", "Su+M")] {
        let changed = good.replace(from, to);
        assert_ne!(changed, good);
        let result = open(&changed, Unlock::Key(&PRE_SHARED));
        let Err(PskcError::InKey { number: 1, problem, .. }) = result else { panic!("{result:?}") };
        assert_eq!(*problem, PskcError::WrongKey);
    }
    let without = good.replace("ValueMAC", "ValueMac");
    let result = open(&without, Unlock::Key(&PRE_SHARED));
    assert!(matches!(result, Err(PskcError::InKey { problem, .. }) if *problem == PskcError::NoMac));
    // A secret whose padding is broken, with a right checksum, is refused as well.
    let key = [7; 16];
    let mut value = encrypt(&key, [1; 16], b"secret").unwrap();
    assert_eq!(decrypt(&key, &value).unwrap().expose(), b"secret");
    value.truncate(17);
    assert_eq!(decrypt(&key, &value), Err(PskcError::WrongKey));
}

#[test]
fn hostile_documents() {
    let parse = |text: &str| Document::parse(text.as_bytes()).err();
    let bomb = r#"<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>"#;
    assert_eq!(parse(&format!("{bomb}{}", &HEAD[38..])), Some(PskcError::DocumentType { line: 1 }));
    assert_eq!(parse(&file("<Id>&b;</Id>")), Some(PskcError::DocumentType { line: 3 }));
    assert_eq!(parse(&file("<A x=\"&b;\"/>")), Some(PskcError::DocumentType { line: 3 }));
    let outside = r#"<!DOCTYPE x SYSTEM "file:///etc/passwd">"#;
    assert_eq!(parse(outside), Some(PskcError::DocumentType { line: 1 }));
    assert_eq!(parse(&file(&"<a>".repeat(5000))), Some(PskcError::TooDeep));
    assert_eq!(parse(&" ".repeat(xml::MAX_SIZE + 1)), Some(PskcError::TooLarge));
    assert_eq!(Document::parse(b"\xFF\xFE<\0?\0").err(), Some(PskcError::NotText));
    assert_eq!(parse("\n\n<a><b></a>"), Some(PskcError::NotXml { line: 3 }));
    for text in ["<a><b></a>", "<a", "<a></a><b></b>", "<a x='1' x='2'/>", "x<a/>", "<a>", "</a>"] {
        let result = parse(text);
        assert!(matches!(result, Some(PskcError::NotXml { .. })), "{text}: {result:?}");
    }
    for text in ["", "<a/>", "<KeyContainer/>", "<KeyContainer Version='1.0' xmlns='urn:other'/>"] {
        assert_eq!(parse(text), Some(PskcError::NotAContainer), "{text}");
    }
    assert_eq!(
        parse(&HEAD.replace("Version=\"1.0\"", "Version=\"2.0\"").replace("#\">", "#\"/>")),
        Some(PskcError::Version)
    );
    // Character references and predefined entities are harmless.
    let text = file(&package("1", "&#x31;&amp;", HOTP, &PLAIN.replace("Issuer<", "A &lt;&#x20;B<")));
    let container = open(&text, Unlock::Nothing).unwrap();
    assert_eq!(container.keys[0].issuer.as_deref(), Some("A < B"));
    assert_eq!(container.keys[0].id.as_deref(), Some("1&"));
}

#[test]
fn ocra_and_others_are_named() {
    let ocra = "urn:ietf:params:xml:ns:keyprov:pskc:OCRA-1:HOTP-SHA512-8:C-QN08";
    let key = one(PLAIN, ocra).unwrap();
    assert_eq!(key.kind, KeyKind::Other(ocra.to_owned()));
    assert!(key.to_key_uri().is_none());
}

#[test]
fn no_message_repeats_a_secret() {
    let text = file(&package("1", "1", HOTP, &PLAIN.replace("MTIz", "!MTI")));
    let error = open(&text, Unlock::Nothing).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("NDU2"), "{error}");
    assert_eq!(error.to_string(), "key 1 (line 3): a value has a value that makes no sense");
    let key = one(PLAIN, HOTP).unwrap();
    assert!(!format!("{key:?}").contains("123456789") && !format!("{key:?}").contains("49, 50"));
}

/// RFC 6070 and RFC 7914 section 11, and Python's `hashlib`.
#[test]
fn derivation() {
    let hex = |bytes: SecretBytes| data_encoding::HEXLOWER.encode(bytes.expose());
    assert_eq!(hex(Prf::Sha1.derive("password", b"salt", 2, 20)), "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957");
    assert_eq!(
        hex(Prf::Sha1.derive("passwordPASSWORDpassword", b"saltSALTsaltSALTsaltSALTsaltSALTsalt", 4096, 25)),
        "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038"
    );
    assert_eq!(
        hex(Prf::Sha256.derive("passwd", b"salt", 1, 64)),
        "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc\
         49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"
    );
    assert_eq!(
        hex(Prf::Sha512.derive("passwd", b"salt", 3, 70)),
        "2ad6a1074a28addf332db771afaa5928b0bebc600f287167c366a1d730f8835f94e70d2d478279cdc0dae70e154cc5fb\
         0442760e84694adb85f6aa1db4e7807c1686b79e5ff8"
    );
}

#[test]
fn authenticators_compare_all_bytes() {
    let authenticator = Authenticator { algorithm: Algorithm::Sha1, key: vec![1; 20].into() };
    let tag = authenticator.tag(b"value");
    assert!(authenticator.check(b"value", &tag).is_ok());
    assert!(authenticator.check(b"value", &tag[..19]).is_err());
    assert!(authenticator.check(b"valuf", &tag).is_err());
}

/// Bytes that are different each time.
fn counting() -> impl FnMut(&mut [u8]) {
    let mut next = 0_u8;
    move |bytes| {
        for byte in bytes {
            *byte = next;
            next = next.wrapping_add(1);
        }
    }
}

#[test]
fn what_is_encrypted_does_not_show() {
    let uri: KeyUri = "otpauth://totp/Example:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".parse().unwrap();
    let container = Container { keys: vec![Key::from_key_uri(&uri); 2], ..Container::default() };
    let plain = container.write(Seal::Plain).unwrap();
    assert!(plain.contains("MTIzNDU2Nzg5MDEyMzQ1Njc4OTA="));
    let mut random = counting();
    let sealed = container.write(Seal::Key { name: "k", key: &PRE_SHARED, random: &mut random }).unwrap();
    assert!(!sealed.contains("MTIz"));
    let values: Vec<&str> = sealed.split("CipherValue>").skip(1).step_by(2).collect();
    assert_eq!(values.len(), 3, "a key of the checksum and two secrets");
    assert_ne!(values[1], values[2], "each with a vector of its own");
    let bad = Container {
        keys: vec![Key { issuer: Some("a\u{1}".into()), ..Key::from_key_uri(&uri) }],
        ..Container::default()
    };
    let error = bad.write(Seal::Plain).unwrap_err();
    assert_eq!(error.to_string(), "key 1: a name contains control characters, which XML cannot carry");
    let mut random = counting();
    let short = Seal::Key { name: "k", key: &[1; 15], random: &mut random };
    assert_eq!(container.write(short).unwrap_err(), PskcError::KeyLength);
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 <>&\"'#,+;=\\\\é:/-]{0,20}[a-zé&<,]"
}

fn kind() -> impl Strategy<Value = KeyKind> {
    let algorithm = prop_oneof![Just(Algorithm::Sha1), Just(Algorithm::Sha256), Just(Algorithm::Sha512)];
    let digits = (6_u8..=8).prop_map(|digits| Digits::try_from(digits).unwrap());
    (algorithm, digits, any::<u64>(), 1_u32.., 0..5_u8, vec(any::<u8>(), 0..=8), option::of(any::<[u8; 6]>()))
        .prop_map(|(algorithm, digits, counter, period, which, public, private)| match which {
            0 => KeyKind::Hotp { algorithm, digits, counter },
            1 => KeyKind::Totp { algorithm, digits, period },
            2 => KeyKind::YubicoOtp {
                public_id: PublicId::new(&public).unwrap(),
                private_id: private.map(PrivateId::new),
            },
            3 => KeyKind::HmacSha1,
            _ => KeyKind::Other("urn:example:other".to_owned()),
        })
}

fn key() -> impl Strategy<Value = Key> {
    let names = (option::of(text()), option::of(text()), option::of(text()), option::of(text()));
    let more = (option::of(text()), option::of(text()), option::of(text()));
    (kind(), vec(any::<u8>(), 1..70), names, more).prop_map(|(kind, mut secret, names, more)| {
        let trim = |text: Option<String>| text.map(|text| text.trim().to_owned());
        let yubico = matches!(kind, KeyKind::YubicoOtp { .. });
        if yubico {
            secret.resize(16, 1);
        }
        Key {
            device: DeviceInfo { manufacturer: trim(more.0), serial: trim(more.1), model: trim(more.2) },
            id: names.0,
            issuer: trim(names.1),
            friendly_name: trim(names.2),
            user_id: trim(names.3).filter(|_| !yubico),
            ..Key::new(kind, secret.into())
        }
    })
}

fn without_lines(mut container: Container) -> Container {
    for key in &mut container.keys {
        key.line = 0;
    }
    container
}

proptest! {
    #[test]
    fn what_is_written_is_read(id in option::of(text()), keys in vec(key(), 0..5)) {
        let container = Container { id, keys, is_signed: false };
        let plain = container.write(Seal::Plain).unwrap();
        prop_assert_eq!(&without_lines(open(&plain, Unlock::Nothing).unwrap()), &container);
        for length in [16, 24, 32] {
            let key = vec![9; length];
            let mut random = counting();
            let sealed = container.write(Seal::Key { name: "a<b", key: &key, random: &mut random }).unwrap();
            prop_assert_eq!(&without_lines(open(&sealed, Unlock::Key(&key)).unwrap()), &container);
        }
        for prf in [Prf::Sha1, Prf::Sha256, Prf::Sha512] {
            let mut random = counting();
            let seal = Seal::Passphrase { passphrase: "pässwörd", prf, rounds: 3, random: &mut random };
            let sealed = container.write(seal).unwrap();
            let read = open(&sealed, Unlock::Passphrase("pässwörd")).unwrap();
            prop_assert_eq!(&without_lines(read), &container);
        }
    }

    #[test]
    fn accounts_travel(issuer in option::of("[a-zA-Zé &<-]{0,9}[a-z]"), account in "[a-z][a-zA-Z0-9 @,=+\\\\#:.é]{0,20}[a-z]", secret in vec(any::<u8>(), 1..70), start: u64) {
        let issuer = issuer.map(|issuer| issuer.trim().to_owned());
        // Without an issuer, a name with a colon is taken for both.
        prop_assume!(issuer.is_some() || !account.contains(':'));
        let uri = KeyUri { issuer, account, secret: secret.into(), algorithm: Algorithm::Sha512, digits: Digits::SEVEN, factor: Factor::Counter { start } };
        let container = Container { keys: vec![Key::from_key_uri(&uri)], ..Container::default() };
        let read = open(&container.write(Seal::Plain).unwrap(), Unlock::Nothing).unwrap();
        prop_assert_eq!(read.keys[0].to_key_uri(), Some(uri));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = Document::parse(&bytes).and_then(|document| document.open(Unlock::Nothing));
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(place in 0..2000_usize, byte: u8, cut: bool) {
        let mut bytes = figure_6().into_bytes();
        if cut {
            bytes.truncate(place);
        } else if let Some(there) = bytes.get_mut(place) {
            *there = byte;
        }
        let read = Document::parse(&bytes).and_then(|document| document.open(Unlock::Key(&PRE_SHARED)));
        if let Ok(container) = read {
            for key in container.keys {
                prop_assert_eq!(key.secret.expose(), SECRET, "changed, and nobody noticed");
            }
        }
    }
}
