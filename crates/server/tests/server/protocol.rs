//! The validation protocol, row by row.

use tapkey_protocol::{
    otp::Otp,
    validation::{ApiKey, Query, Request, Response, Verdict},
};

use tapkey_server::Delayed;

use super::common::{NONCE, Reply, SoftKey, TestServer, WsapiClient};

/// The names of an answer's lines, in their order.
fn names(reply: &Reply) -> Vec<&str> {
    reply.body.split("\r\n").map(|line| line.split('=').next().unwrap()).collect()
}

/// Whose key signed the answer.
#[derive(Debug, PartialEq)]
enum Signer {
    Client,
    Empty,
}

fn signer(reply: &Reply, client: &WsapiClient) -> Signer {
    let h = reply.line("h").unwrap_or_else(|| panic!("no h line: {reply:?}"));
    // Values are not URL-encoded in an answer, so that the lines can be signed anew as they stand.
    let others: Vec<_> =
        reply.body.lines().filter(|line| !line.is_empty() && !line.starts_with("h=")).collect();
    let encoded = others.join("&").replace('%', "%25").replace('+', "%2B");
    let query = Query::parse(encoded.as_bytes());
    if query.signature(&client.key).to_string() == h {
        Signer::Client
    } else if query.signature(&ApiKey::empty()).to_string() == h {
        Signer::Empty
    } else {
        panic!("signed with neither key: {reply:?}")
    }
}

fn check_form(reply: &Reply) {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.headers["content-type"].starts_with("text/plain"), "{reply:?}");
    assert!(reply.body.ends_with("\r\n\r\n"), "{reply:?}");
    assert!(!reply.body.replace("\r\n", "").contains(['\r', '\n']), "{reply:?}");
    assert!(reply.body.starts_with("h="), "{reply:?}");
    let t = reply.line("t").unwrap();
    let shape: String = t.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(shape, "9999-99-99T99:99:99Z9999", "{t}");
    assert_eq!(&t[20..21], "0", "{t}");
}

async fn fresh() -> (TestServer, WsapiClient, SoftKey) {
    let server = TestServer::start().await;
    let client = server.client().await;
    let (key, _) = server.enrol("alice").await;
    (server, client, key)
}

#[tokio::test]
async fn an_accepted_password() {
    let (_server, client, mut key) = fresh().await;
    key.uses = 7;
    key.session = 9;
    let otp = key.press();
    let query = client.request(&otp, NONCE).to_query(Some(&client.key));
    let reply = client.query(&query).await;
    check_form(&reply);
    assert_eq!(names(&reply), ["h", "t", "otp", "nonce", "sl", "status", "", ""]);
    assert_eq!(reply.status_line(), "OK");
    assert_eq!(reply.line("otp"), Some(otp.as_str()));
    assert_eq!(reply.line("nonce"), Some(NONCE));
    assert_eq!(reply.line("sl"), Some("0"));
    assert_eq!(signer(&reply, &client), Signer::Client);
    // And our own client takes it.
    let request = client.request(&otp, NONCE);
    let verdict: Verdict =
        Response::parse(reply.body.as_bytes()).unwrap().authenticate(&request, &client.key).unwrap();
    assert_eq!(verdict.status(), tapkey_protocol::validation::Status::Ok);
}

#[tokio::test]
async fn timestamp_and_counters_on_request() {
    let (_server, client, mut key) = fresh().await;
    for (text, given) in [("1", true), ("01", true), ("1.0", true), ("0", false), ("x", false), ("", false)] {
        key.ticks = 0x12_3456;
        (key.uses, key.session) = (key.uses + 1, 5);
        let otp = key.press();
        let reply = client.query(&format!("id={}&otp={otp}&nonce={NONCE}&timestamp={text}", client.id)).await;
        assert_eq!(reply.status_line(), "OK", "{text}");
        if given {
            assert_eq!(
                names(&reply),
                [
                    "h",
                    "t",
                    "otp",
                    "nonce",
                    "sl",
                    "timestamp",
                    "sessioncounter",
                    "sessionuse",
                    "status",
                    "",
                    ""
                ]
            );
            assert_eq!(reply.line("timestamp"), Some(0x12_3456.to_string().as_str()));
            assert_eq!(reply.line("sessioncounter"), Some(key.uses.to_string().as_str()));
            assert_eq!(reply.line("sessionuse"), Some("5"));
            assert_eq!(signer(&reply, &client), Signer::Client);
        } else {
            assert_eq!(reply.line("timestamp"), None, "{text}");
        }
    }
}

/// Every way in which a request can be refused before its password is looked at: the status, who
/// signs, that nothing is echoed, and that the password is still good afterwards.
#[tokio::test]
async fn refusals_that_spend_nothing() {
    let (server, client, mut key) = fresh().await;
    let id = client.id;
    let disabled = server.client().await;
    server.post(&format!("/clients/{}/disable", disabled.id)).await;
    let otp = key.press();
    let good = format!("otp={otp}&nonce={NONCE}");
    let stranger = "c".repeat(44);
    let own = |query: String| (format!("id={id}&{query}"), Signer::Client);
    let nobody = |query: String| (query, Signer::Empty);
    let long = "a".repeat(41);
    let rows: Vec<((String, Signer), &str)> = vec![
        // The nonce.
        (own(format!("otp={otp}")), "MISSING_PARAMETER"),
        (own(format!("otp={otp}&nonce=")), "MISSING_PARAMETER"),
        (own(format!("otp={otp}&nonce=123456789abcdef")), "MISSING_PARAMETER"),
        (own(format!("otp={otp}&nonce={long}")), "MISSING_PARAMETER"),
        (own(format!("otp={otp}&nonce=0123456789abcde-")), "MISSING_PARAMETER"),
        // sl and timeout.
        (own(format!("{good}&sl=101")), "MISSING_PARAMETER"),
        (own(format!("{good}&sl=-1")), "MISSING_PARAMETER"),
        (own(format!("{good}&sl=many")), "MISSING_PARAMETER"),
        (own(format!("{good}&timeout=soon")), "MISSING_PARAMETER"),
        (own(format!("{good}&timeout=-1")), "MISSING_PARAMETER"),
        // The password's form.
        (own(format!("nonce={NONCE}")), "BAD_OTP"),
        (own(format!("otp=&nonce={NONCE}")), "BAD_OTP"),
        (own(format!("otp=hello&nonce={NONCE}")), "BAD_OTP"),
        (own(format!("otp={}&nonce={NONCE}", "c".repeat(31))), "BAD_OTP"),
        (own(format!("otp={}&nonce={NONCE}", "c".repeat(50))), "BAD_OTP"),
        (own(format!("otp={otp}a&nonce={NONCE}")), "BAD_OTP"),
        // The id.
        (nobody(good.clone()), "MISSING_PARAMETER"),
        (nobody(format!("id=&{good}")), "MISSING_PARAMETER"),
        (nobody(format!("id=0&{good}")), "MISSING_PARAMETER"),
        (nobody(format!("id=-1&{good}")), "MISSING_PARAMETER"),
        (nobody(format!("id=one&{good}")), "MISSING_PARAMETER"),
        (nobody(format!("id=12345678901&{good}")), "MISSING_PARAMETER"),
        (nobody(format!("id[]={id}&{good}")), "MISSING_PARAMETER"),
        // The client.
        (nobody(format!("id=4711&{good}")), "NO_SUCH_CLIENT"),
        (nobody(format!("id={}&{good}", disabled.id)), "NO_SUCH_CLIENT"),
        (nobody(format!("id={}&otp={otp}", disabled.id)), "MISSING_PARAMETER"),
        // The signature.
        (own(format!("{good}&h=AAAAAAAAAAAAAAAAAAAAAAAAAAA%3D")), "BAD_SIGNATURE"),
        (own(format!("{good}&h=nonsense")), "BAD_SIGNATURE"),
        // The key.
        (own(format!("otp={stranger}&nonce={NONCE}")), "BAD_OTP"),
        (own(format!("otp={}{}&nonce={NONCE}", key.public_id, "c".repeat(32))), "BAD_OTP"),
        // The first wrong parameter decides, and the last of a repeated one counts.
        (own("sl=x".to_owned()), "MISSING_PARAMETER"),
        (own(format!("sl=x&otp=x&nonce={NONCE}")), "MISSING_PARAMETER"),
        (nobody(format!("id=0&otp=x&nonce={NONCE}")), "BAD_OTP"),
        (nobody(format!("id={id}&{good}&id=0")), "MISSING_PARAMETER"),
        (own(format!("{good}&otp=x")), "BAD_OTP"),
    ];
    for ((query, by), status) in rows {
        let reply = client.query(&query).await;
        check_form(&reply);
        assert_eq!(reply.status_line(), status, "{query}");
        assert_eq!(names(&reply), ["h", "t", "status", "", ""], "{query}");
        assert_eq!(signer(&reply, &client), by, "{query}");
    }
    assert_eq!(client.verify(&otp, NONCE).await, "OK", "nothing above spent it");
}

#[tokio::test]
async fn acceptable_options() {
    let (_server, client, mut key) = fresh().await;
    for options in [
        "&sl=0",
        "&sl=1",
        "&sl=100",
        "&sl=fast",
        "&sl=SECURE",
        "&sl=",
        "&timeout=0",
        "&timeout=5",
        "&timeout=",
        "&h=",
        "&unknown=1",
        "&otp2=x",
    ] {
        let reply =
            client.query(&format!("id={}&otp={}&nonce={NONCE}{options}", client.id, key.press())).await;
        assert_eq!(reply.status_line(), "OK", "{options}");
    }
    // Unknown parameters are part of what is signed.
    let request = client.request(&key.press(), NONCE);
    let unsigned = format!("{}&zzz=%C3%A9%20%2B", request.to_query(None));
    let h = Query::parse(unsigned.as_bytes()).signature(&client.key).to_string();
    let h = h.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    assert_eq!(client.query(&format!("{unsigned}&h={h}")).await.status_line(), "OK");
}

#[tokio::test]
async fn replays() {
    let (_server, client, mut key) = fresh().await;
    let confirming = key.type_with(1, 0);
    assert_eq!(client.verify(&confirming, NONCE).await, "REPLAYED_OTP", "it confirmed the enrolment");
    let (first, second, third) = (key.press(), key.press(), key.press());
    let other = "fedcba9876543210";
    assert_eq!(client.verify(&second, NONCE).await, "OK");
    assert_eq!(client.verify(&second, NONCE).await, "REPLAYED_REQUEST");
    assert_eq!(client.verify(&second, other).await, "REPLAYED_OTP");
    assert_eq!(client.verify(&first, NONCE).await, "REPLAYED_OTP", "older, never seen");
    assert_eq!(client.verify(&third, NONCE).await, "OK");
    assert_eq!(client.verify(&second, NONCE).await, "REPLAYED_OTP");

    let reply = client.query(&format!("id={}&otp={third}&nonce={other}&timestamp=1", client.id)).await;
    check_form(&reply);
    assert_eq!(names(&reply), ["h", "t", "otp", "nonce", "status", "", ""], "no sl, no times");
    assert_eq!(signer(&reply, &client), Signer::Client);
    // A greater session counter under a smaller use counter is older.
    key.uses = 9;
    assert_eq!(client.verify(&key.type_with(9, 0), NONCE).await, "OK");
    assert_eq!(client.verify(&key.type_with(8, 255), NONCE).await, "REPLAYED_OTP");
}

#[tokio::test]
async fn counters_at_their_ends() {
    let (_server, client, mut key) = fresh().await;
    assert_eq!(client.verify(&key.type_with(0x8002, 0), NONCE).await, "OK", "the top bit is no counter");
    assert_eq!(client.verify(&key.type_with(0x0002, 0), "f".repeat(16).as_str()).await, "REPLAYED_OTP");
    assert_eq!(client.verify(&key.type_with(0x8001, 9), NONCE).await, "REPLAYED_OTP");
    // The key's clock wraps within a session.
    key.ticks = 0xff_ffff;
    assert_eq!(client.verify(&key.type_with(3, 0), NONCE).await, "OK");
    key.ticks = 0;
    assert_eq!(client.verify(&key.type_with(3, 1), NONCE).await, "OK");
    assert_eq!(client.verify(&key.type_with(0x7fff, 0xff), NONCE).await, "OK");
    assert_eq!(client.verify(&key.type_with(0x7fff, 0xff), "f".repeat(16).as_str()).await, "REPLAYED_OTP");
    assert_eq!(client.verify(&key.type_with(0x7fff, 0xfe), NONCE).await, "REPLAYED_OTP");
}

#[tokio::test]
async fn public_ids_of_every_length() {
    let server = TestServer::start().await;
    let client = server.client().await;
    for letters in [0, 2, 12, 16] {
        let mut request = super::common::new_enrollment("alice");
        request.public_id = Some("cdefghijklnrtuvb"[..letters].to_owned());
        let (mut key, enrolled) = server.enrol_as(request).await;
        assert_eq!(enrolled.public_id.len(), letters);
        let otp = key.press();
        assert_eq!(otp.len(), letters + 32);
        assert_eq!(client.verify(&otp, NONCE).await, "OK", "{letters}");
        assert_eq!(client.verify(&otp, "f".repeat(16).as_str()).await, "REPLAYED_OTP", "{letters}");
    }
}

/// What came through another keyboard layout is understood, and echoed as it was sent.
#[tokio::test]
async fn the_clients_own_spelling_is_echoed() {
    let (_server, client, mut key) = fresh().await;
    let dvorak = |otp: &str| -> String {
        otp.bytes()
            .map(|b| {
                char::from(b"jxe.uidchtnbpygk"[b"cbdefghijklnrtuv".iter().position(|c| *c == b).unwrap()])
            })
            .collect()
    };
    let upper = key.press().to_uppercase();
    let translated = dvorak(&key.press());
    for sent in [upper, translated] {
        let reply = client.query(&format!("id={}&otp={sent}&nonce={NONCE}", client.id)).await;
        assert_eq!(reply.status_line(), "OK", "{sent}");
        assert_eq!(reply.line("otp"), Some(sent.as_str()));
        assert_eq!(signer(&reply, &client), Signer::Client);
    }
    let spaced = key.press();
    let reply = client.query(&format!("id={}&otp=%20{spaced}%0A&nonce={NONCE}", client.id)).await;
    assert_eq!((reply.status_line(), reply.line("otp")), ("OK", Some(spaced.as_str())));
    check_form(&reply);
}

/// A password whose letters all occur in Dvorak's image of modhex is still read as modhex.
#[tokio::test]
async fn valid_modhex_is_never_translated() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let mut request = super::common::new_enrollment("alice");
    request.public_id = Some("cb".to_owned());
    let (key, _) = server.enrol_as(request).await;
    // No f, l, r or v among 32 letters: one block in about ten thousand.
    let ambiguous = (2..0x7fff)
        .flat_map(|uses| (0..16).map(move |session| (uses, session)))
        .map(|(uses, session)| key.type_with(uses, session))
        .find(|otp| !otp.contains(['f', 'l', 'r', 'v']))
        .unwrap();
    assert_eq!(client.verify(&ambiguous, NONCE).await, "OK", "{ambiguous}");
}

#[tokio::test]
async fn forms() {
    let (server, client, mut key) = fresh().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let post = async |target: &str, body: String| server.http("POST", target, &form, body.as_bytes()).await;
    let path = "/wsapi/2.0/verify";
    let body = client.request(&key.press(), NONCE).to_query(Some(&client.key));
    assert_eq!(post(path, body).await.status_line(), "OK");
    // The query counts where there is one.
    let (in_query, in_body) = (key.press(), key.press());
    let query = client.request(&in_query, NONCE).to_query(None);
    let reply = post(&format!("{path}?{query}"), client.request(&in_body, NONCE).to_query(None)).await;
    assert_eq!(reply.line("otp"), Some(in_query.as_str()));
    assert_eq!(client.verify(&in_body, NONCE).await, "OK");
    let empty = post(&format!("{path}?"), client.request(&key.press(), NONCE).to_query(None)).await;
    assert_eq!(empty.status_line(), "OK");
    assert_eq!(post(path, String::new()).await.status_line(), "MISSING_PARAMETER");
}

#[tokio::test]
async fn other_methods_and_paths() {
    let (server, client, mut key) = fresh().await;
    let query = client.request(&key.press(), NONCE).to_query(None);
    for method in ["HEAD", "PUT", "DELETE", "OPTIONS"] {
        let reply = server.http(method, &format!("/wsapi/2.0/verify?{query}"), &[], b"").await;
        assert_eq!(reply.status, 405, "{method}");
    }
    assert_eq!(server.http("GET", &format!("/wsapi/verify?{query}"), &[], b"").await.status, 404);
    assert_eq!(client.query(&query).await.status_line(), "OK", "nothing above spent it");
}

/// Disabled and deleted keys look like unknown ones, at once and although they were used just now.
#[tokio::test]
async fn disabled_and_deleted_keys() {
    let (server, client, mut key) = fresh().await;
    let listed: tapkey_api::Page<tapkey_api::keys::Key> = server.get("/keys").await.json(200);
    let id = &listed.items[0].id;
    assert_eq!(client.verify(&key.press(), NONCE).await, "OK");

    server.post(&format!("/keys/{id}/disable")).await;
    let kept = key.press();
    let reply = client.query(&client.request(&kept, NONCE).to_query(None)).await;
    check_form(&reply);
    assert_eq!(names(&reply), ["h", "t", "status", "", ""]);
    assert_eq!((reply.status_line(), signer(&reply, &client)), ("BAD_OTP", Signer::Client));
    server.post(&format!("/keys/{id}/enable")).await;
    assert_eq!(client.verify(&kept, NONCE).await, "OK", "BAD_OTP spent nothing");

    server.post("/accounts/alice/disable").await;
    assert_eq!(client.verify(&key.press(), NONCE).await, "BAD_OTP");
    server.post("/accounts/alice/enable").await;
    assert_eq!(client.verify(&key.press(), NONCE).await, "OK");

    server.delete(&format!("/keys/{id}")).await;
    assert_eq!(client.verify(&key.press(), NONCE).await, "BAD_OTP");
}

#[tokio::test]
async fn disabled_and_deleted_clients() {
    let (server, client, mut key) = fresh().await;
    assert_eq!(client.verify(&key.press(), NONCE).await, "OK");
    server.post(&format!("/clients/{}/disable", client.id)).await;
    assert_eq!(client.verify(&key.press(), NONCE).await, "NO_SUCH_CLIENT");
    server.post(&format!("/clients/{}/enable", client.id)).await;
    assert_eq!(client.verify(&key.press(), NONCE).await, "OK");
    server.delete(&format!("/clients/{}", client.id)).await;
    assert_eq!(client.verify(&key.press(), NONCE).await, "NO_SUCH_CLIENT");
    let next = server.client().await;
    assert!(next.id > client.id, "numbers are not given twice");
}

/// A key of one private id does not pass with another key's AES key and the right checksum.
#[tokio::test]
async fn the_private_id_decides() {
    let (_server, client, mut key) = fresh().await;
    let own = key.private_id.clone();
    key.private_id = tapkey_protocol::otp::PrivateId::new([0; 6]);
    let forged = key.press();
    assert!(forged.parse::<Otp>().unwrap().open(&key.aes_key).is_ok());
    assert_eq!(client.verify(&forged, NONCE).await, "BAD_OTP");
    key.private_id = own;
    key.session -= 1;
    assert_eq!(client.verify(&key.press(), NONCE).await, "OK", "the forgery spent nothing");
}

#[tokio::test]
async fn a_request_of_our_own_client_is_understood() {
    let (_server, client, mut key) = fresh().await;
    let mut request: Request = client.request(&key.press(), NONCE);
    request.timestamp = true;
    request.timeout = Some(3);
    let reply = client.query(&request.to_query(Some(&client.key))).await;
    let response = Response::parse(reply.body.as_bytes()).unwrap();
    assert!(response.authenticate(&request, &client.key).is_ok());
}

#[tokio::test]
async fn version_1_where_it_was_asked_for() {
    let server = TestServer::start_with(|config| config.validation.version_1 = true).await;
    let client = server.client().await;
    let (mut key, _) = server.enrol("alice").await;
    let ask =
        async |path: &str, query: String| server.http("GET", &format!("{path}?{query}"), &[], b"").await;
    for path in ["/wsapi/verify", "/wsapi/1.0/verify", "/wsapi/1.1/verify"] {
        let otp = key.press();
        let reply = ask(path, format!("id={}&otp={otp}", client.id)).await;
        check_form(&reply);
        assert_eq!((reply.status_line(), names(&reply)), ("OK", vec!["h", "t", "status", "", ""]), "{path}");
        assert_eq!(signer(&reply, &client), Signer::Client);
        // Without a nonce of the client's, a retry is not told from a replay; and version 2 knows of it.
        assert_eq!(ask(path, format!("id={}&otp={otp}", client.id)).await.status_line(), "REPLAYED_OTP");
        let reply = client.query(&format!("id={}&otp={otp}&nonce={NONCE}", client.id)).await;
        assert_eq!(reply.status_line(), "REPLAYED_OTP");
    }
    let otp = key.press();
    let query = format!("id={}&otp={otp}&nonce={NONCE}&timestamp=1&sl=50", client.id);
    let reply = ask("/wsapi/1.1/verify", query.clone()).await;
    let expected = ["h", "t", "timestamp", "sessioncounter", "sessionuse", "status", "", ""];
    assert_eq!(names(&reply), expected);
    assert_eq!(ask("/wsapi/verify", query).await.status_line(), "REPLAYED_REQUEST");
    for (query, status) in [
        (format!("id={}&otp={otp}&nonce=short", client.id), "MISSING_PARAMETER"),
        (format!("id={}", client.id), "BAD_OTP"),
        (format!("otp={otp}"), "MISSING_PARAMETER"),
        (format!("id=999&otp={otp}"), "NO_SUCH_CLIENT"),
        (format!("id={}&otp={otp}&h=AAAAAAAAAAAAAAAAAAAAAAAAAAA%3D", client.id), "BAD_SIGNATURE"),
    ] {
        assert_eq!(ask("/wsapi/verify", query.clone()).await.status_line(), status, "{query}");
    }
    assert_eq!(ask("/wsapi/3.0/verify", String::new()).await.status, 404);
}

/// A password that was typed 50 seconds before it was sent, after another that was not.
#[tokio::test]
async fn passwords_that_were_kept_back() {
    for (delayed, expected) in [(Delayed::Log, "OK"), (Delayed::Refuse, "DELAYED_OTP")] {
        let server = TestServer::start_with(|config| config.validation.delayed = delayed).await;
        let client = server.client().await;
        let (mut key, _) = server.enrol("alice").await;
        let first = client.query(&client.request(&key.press(), NONCE).to_query(None)).await;
        assert_eq!(first.status_line(), "OK");
        key.ticks += 8 * 10;
        let kept = key.press();
        server.clock.advance(60);
        let reply = client.query(&client.request(&kept, NONCE).to_query(Some(&client.key))).await;
        check_form(&reply);
        assert_eq!(reply.status_line(), expected);
        assert_eq!((reply.line("otp"), signer(&reply, &client)), (Some(kept.as_str()), Signer::Client));
        let again = client.query(&client.request(&kept, "anothernonce12345").to_query(None)).await;
        assert_eq!(again.status_line(), "REPLAYED_OTP", "spent either way");
        // The next one is compared with it, and is prompt.
        key.ticks += 8 * 5;
        server.clock.advance(5);
        let prompt = client.query(&client.request(&key.press(), NONCE).to_query(None)).await;
        assert_eq!(prompt.status_line(), "OK");
    }
}
