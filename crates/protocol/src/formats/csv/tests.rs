use proptest::prelude::*;

use super::*;

const AES: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const AES_HEX: &str = "000102030405060708090a0b0c0d0e0f";
const HMAC_HEX: &str = "000102030405060708090a0b0c0d0e0f10111213";

fn read(text: &str) -> Vec<Entry> {
    Reading::default().entries(text).unwrap()
}

fn problem(text: &str) -> LineError {
    Reading::default().entries(text).unwrap_err()
}

#[test]
fn the_lines_of_ykman() {
    let line = format!("1234567,vvccccbdefgh,010203040506,{AES_HEX},0a0b0c0d0e0f,2030-01-01T00:00:00,");
    let entries = read(&format!("\n{line}\r\n"));
    let entry = &entries[0];
    assert_eq!((entry.line, entry.serial, entry.slot), (2, Some(1_234_567), None));
    assert_eq!(entry.access_code, AccessCode::new([10, 11, 12, 13, 14, 15]));
    assert_eq!(
        entry.credential,
        Credential::YubicoOtp {
            public_id: "vvccccbdefgh".parse().unwrap(),
            private_id: PrivateId::new([1, 2, 3, 4, 5, 6]),
            key: AesKey::new(AES),
            send_reference: false,
        }
    );
    assert_eq!(Style::Ykman.line(entry).unwrap().as_str(), line);
    assert_eq!(
        Style::Yubico.line(entry).unwrap().as_str(),
        line,
        "the same, as long as there is an access code"
    );
    let config = entry.credential.config(Options::for_typing(), AccessCode::NONE).unwrap();
    assert_eq!(config.record().fixed_part().len(), 6);
}

/// The examples of the documentation of Yubico's key-storage module.
#[test]
fn provisioning_files() {
    let text = "# ykksm 1\n\
        # a comment\n\
        4711,dlcfffckrcde,ca62baca62ba,ecde18dbe76fbd0c33330f1c354871db,be70aeca62ba,2009-01-22 00:25:11,\n\
        4712,,ca62baca62ba,ecde18dbe76fbd0c33330f1c354871db,be70aeca62ba,2009-01-22 00:25:11,2009-02-13 00:05:40 # x\n\
        4714,dlcfffckrcdedlcf,ca62baca62ba,ecde18dbe76fbd0c33330f1c354871db,be70aeca62ba,2009-01-22 00:25:11,2009-02-13 00:05:40,4711\n";
    let entries = read(text);
    assert_eq!(entries.len(), 3);
    assert_eq!(entries.iter().map(|entry| entry.line).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(entries[1].credential.public_id(), Some(PublicId::EMPTY));
    assert_eq!(entries[2].credential.public_id().map(|id| id.len()), Some(8));
}

#[test]
fn the_yubico_format_of_the_personalization_tool() {
    let text = format!(
        "1,ubhebcdefghi,32,{HMAC_HEX},000000000000,2030-01-01T00:00:00,\n2,,,{AES_HEX},000000000000,T,\n"
    );
    let entries = read(&text);
    let Credential::Hotp { moving_factor, token_id, .. } = &entries[0].credential else { panic!() };
    assert_eq!(moving_factor.value(), 32);
    assert_eq!(token_id.as_ref().unwrap().to_string(), "ubhe10234567");
    assert!(entries[0].access_code.is_none());
    assert!(matches!(entries[1].credential, Credential::StaticTicket { .. }));

    let alone = format!("3,,0,{HMAC_HEX},000000000000,T,\n");
    assert_eq!(problem(&alone), LineError { line: 1, problem: Problem::Ambiguous });
    let as_kind = |kind| Reading { kind: Some(kind), template: None }.entries(&alone).unwrap();
    assert!(matches!(as_kind(Kind::Hotp)[0].credential, Credential::Hotp { .. }));
    assert!(matches!(as_kind(Kind::ChallengeHmac)[0].credential, Credential::ChallengeHmac { .. }));
}

#[test]
fn the_traditional_log() {
    let text = format!(
        "LOGGING START,1/2/30, 3:04 PM\n\
         Yubico OTP,1/2/30, 3:04 PM,1,vvgutbedkvi,8a99add6aea6,{AES_HEX},,0a0b0c0d0e0f,0,0,0,0,0,0,0,1,0,0\n"
    );
    assert_eq!(
        problem(&text).problem,
        Problem::Column { column: "the public id", expected: "in modhex, at most 32 letters" },
        "an odd number of letters"
    );
    let text = text.replace("vvgutbedkvi", "vvgutbedkvik")
        + &format!(
            "OATH-HOTP,1/2/30 3:04,2,ubhebbbbbbbb,,{HMAC_HEX},,,0,1,0,8,16,0,0,0,0,0\n\
             Configuration Swap,1/2/30 3:04,2,,,,,,0,0,0,0,0,0,0,0,0,0\n\
             Challenge-Response: HMAC-SHA1,1/2/30 3:04,2,,,{HMAC_HEX},,,0,0,0,0,0,0,0,0,1,1\n\
             Challenge-Response: Yubico OTP,x,2,,010203040506,{AES_HEX},,,0,0,0,0,0,0,0,0,1,0\n\
             Static Password: Short,x,1,cccc,010203040506,{AES_HEX},,,0,0,0,0,0,1,1,0,0,0\n\
             Static Password: Scan Code,x,1,jucjcrcv,000000000000,00000000000000000000000000000000,,,0,0,0,0,0,0,0,0,0,0\n"
        );
    let entries = read(&text);
    assert_eq!(entries.iter().map(|entry| entry.line).collect::<Vec<_>>(), [2, 3, 5, 6, 7, 8]);
    assert_eq!(entries[0].time.as_deref(), Some("1/2/30, 3:04 PM"));
    assert_eq!((entries[0].slot, entries[1].slot), (Some(Slot::One), Some(Slot::Two)));
    assert!(matches!(entries[0].credential, Credential::YubicoOtp { send_reference: true, .. }));
    let Credential::Hotp { digits: Digits::Eight, token_id: Some(id), .. } = &entries[1].credential else {
        panic!("{entries:?}")
    };
    assert_eq!(id.to_string(), "ubhe11111111");
    assert!(matches!(
        entries[2].credential,
        Credential::ChallengeHmac { variable_length: true, touch: true, .. }
    ));
    assert!(matches!(entries[3].credential, Credential::ChallengeYubico { touch: true, .. }));
    assert!(matches!(
        entries[4].credential,
        Credential::StaticTicket { short: true, strong_1: true, strong_2: true, .. }
    ));
    assert!(matches!(&entries[5].credential, Credential::ScanCodes { codes } if codes.expose()[0] == 0x8E));
    // What was read is written as it stood there.
    let written: Vec<String> =
        entries[1..].iter().map(|entry| Style::Traditional.line(entry).unwrap().to_string()).collect();
    assert!(text.contains(&written[0]), "{written:?}");
    assert!(text.contains(&written[1]), "{written:?}");
    let back = read(&written.join("\n"));
    assert!(back.iter().zip(&entries[1..]).all(|(back, entry)| back.slot == entry.slot));
    assert_eq!(back[4].credential, entries[5].credential);
}

#[test]
fn an_access_code_alone_is_no_entry() {
    let line = access_code_line(Some(5), Slot::Two, &AccessCode::new([1; 6]), "T");
    assert_eq!(line.as_str(), "5,access-code,slot=2,,010101010101,T,");
    assert_eq!(read(&line), []);
}

#[test]
fn flexible_logs() {
    let template: Template =
        "{serial}: slot {configSlot};{pubIdTxt}{tab}{secretKeyB64}|{pvtIdTxt}{endl}".parse().unwrap();
    let reading = Reading { kind: None, template: Some(template.clone()) };
    let line = "77: slot 2;vvccccbdefgh\tAAECAwQFBgcICQoLDA0ODw==|010203040506";
    let entries = reading.entries(line).unwrap();
    assert_eq!((entries[0].serial, entries[0].slot), (Some(77), Some(Slot::Two)));
    assert_eq!(Style::Flexible(template).line(&entries[0]).unwrap().as_str(), line);
    let error = reading.entries("77; slot 2").unwrap_err();
    assert_eq!(error.to_string(), "line 1: it does not follow the template at serial");

    assert_eq!("{pubIdTxt}".parse::<Template>(), Err(TemplateError::NoKey));
    assert_eq!("{secretKeyTxt".parse::<Template>(), Err(TemplateError::Open));
    assert_eq!("{serial}{secretKeyTxt}".parse::<Template>(), Err(TemplateError::Adjacent));
    assert_eq!("{nonsense}".parse::<Template>(), Err(TemplateError::Name { name: "nonsense".into() }));
}

#[test]
fn mistakes_are_named_and_not_repeated() {
    for (text, line, says) in [
        ("1,2\n", 1, "2 columns"),
        ("\n\n1,vv,c0ffee,00,,,\n", 3, "16 or 20"),
        ("1,vv,c0ffee,000102030405060708090a0b0c0d0e0f,,,\n", 1, "private id"),
        ("x1,vv,\n", 1, "18"),
        ("1,vx,010203040506,000102030405060708090a0b0c0d0e0f,,,", 1, "modhex"),
        ("1,vv,010203040506,000102030405060708090a0b0c0d0e0f,c0ffee,,", 1, "access code"),
        ("1,static,,\"abc", 1, "quotation"),
        ("Nonsense,t,1,,,,,,,,,,,,,,,", 1, "not known"),
    ] {
        let error = problem(text);
        let told = error.to_string();
        assert_eq!(error.line, line, "{text:?}: {told}");
        assert!(told.contains(says), "{text:?}: {told}");
        assert!(!told.contains("c0ffee"), "{told}");
    }
}

fn credential() -> impl Strategy<Value = Credential> {
    let id = proptest::collection::vec(any::<u8>(), 0..=16).prop_map(|bytes| PublicId::new(&bytes).unwrap());
    let hmac = any::<[u8; 20]>().prop_map(HmacKey::new);
    let aes = any::<[u8; 16]>().prop_map(AesKey::new);
    let uid = any::<[u8; 6]>().prop_map(PrivateId::new);
    let tokens =
        prop_oneof![Just(None), "ubhe[0-9]{8}".prop_map(|text| Some(text.parse::<TokenId>().unwrap()))];
    prop_oneof![
        (id.clone(), uid.clone(), aes.clone()).prop_map(|(public_id, private_id, key)| {
            Credential::YubicoOtp { public_id, private_id, key, send_reference: false }
        }),
        (hmac.clone(), any::<bool>(), 0..=65535_u32, tokens).prop_map(|(key, eight, units, token_id)| {
            Credential::Hotp {
                key,
                digits: if eight { Digits::Eight } else { Digits::Six },
                moving_factor: MovingFactor::new(units * 16).unwrap(),
                token_id,
            }
        }),
        (hmac, any::<bool>(), any::<bool>()).prop_map(|(key, variable_length, touch)| {
            Credential::ChallengeHmac { key, variable_length, touch }
        }),
        (aes.clone(), any::<bool>()).prop_map(|(key, touch)| Credential::ChallengeYubico { key, touch }),
        (id, uid, aes, any::<[bool; 5]>()).prop_map(|(public_id, private_id, key, flags)| {
            let [short, strong_1, strong_2, send_reference, manual_update] = flags;
            Credential::StaticTicket {
                public_id,
                private_id,
                key,
                short,
                strong_1,
                strong_2,
                send_reference,
                manual_update,
            }
        }),
        (any::<[u8; 6]>(), 1_u8..).prop_map(|(first, last)| {
            let mut codes = [0; 38];
            codes[..6].copy_from_slice(&first);
            codes[6] = last;
            Credential::ScanCodes { codes: Secret::new(codes) }
        }),
        "[ -~äöü,\"\n#]{1,30}".prop_map(|text| Credential::Password {
            text: Text::new(Zeroizing::new(text)),
            layout: Layout::De,
        }),
    ]
}

proptest! {
    #[test]
    fn our_lines_are_read_back(
        credentials in proptest::collection::vec(credential(), 1..4),
        serial: Option<u32>,
        code: [u8; 6],
    ) {
        let entries: Vec<Entry> = credentials.into_iter().map(|credential| Entry {
            line: 0,
            serial,
            slot: None,
            credential,
            current_access_code: AccessCode::NONE,
            access_code: AccessCode::new(code),
            time: Some("2030-01-01T00:00:00".into()),
        }).collect();
        let text: String = entries.iter().map(|entry| format!("{}\n", *Style::Ykman.line(entry).unwrap())).collect();
        let back: Vec<Entry> =
            read(&text).into_iter().map(|entry| Entry { line: 0, ..entry }).collect();
        prop_assert_eq!(back, entries);
    }

    #[test]
    fn reading_never_panics(text: String, template in "[{}a-zA-Z,;]{0,40}") {
        let _ = Reading::default().entries(&text);
        if let Ok(template) = template.parse::<Template>() {
            let _ = Reading { kind: None, template: Some(template) }.entries(&text);
        }
    }

    #[test]
    fn reading_lines_of_the_right_shape_never_panics(
        columns in proptest::collection::vec("[0-9a-v]{0,40}|Yubico OTP|OATH-HOTP|static|hotp|\"[,\"]*", 0..20),
    ) {
        let _ = Reading::default().entries(&columns.join(","));
    }
}
