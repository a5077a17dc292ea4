//! Accounts, keys, clients, tokens, the record of it all.

use tapkey_api::{
    Page, ProblemCode,
    accounts::{Account, Verified, VerifyStatus},
    audit::Event,
    clients::Client,
    enrollments::EnrollmentSecrets,
    keys::{AccessCode, Key},
    status::Status,
    tokens::{Role, Token},
};

use super::common::{NONCE, SoftKey, TestServer, new_enrollment};

async fn create_account(server: &TestServer, name: &str) -> super::common::Reply {
    server.api(&server.admin, "POST", "/accounts", Some(&format!("{{\"name\":\"{name}\"}}"))).await
}

#[tokio::test]
async fn accounts() {
    let server = TestServer::start().await;
    let created: Account = create_account(&server, "alice@example.org").await.json(201);
    assert!(created.enabled && created.keys == 0);
    create_account(&server, "alice@example.org").await.problem(ProblemCode::AccountExists);
    let shown: Account = server.get("/accounts/alice%40example.org").await.json(200);
    assert_eq!(shown, created);
    let disabled: Account = server.post("/accounts/alice%40example.org/disable").await.json(200);
    assert!(!disabled.enabled);
    assert_eq!(server.delete("/accounts/alice%40example.org").await.status, 204);
    server.delete("/accounts/alice%40example.org").await.problem(ProblemCode::AccountNotFound);
    server.post("/accounts/nobody/disable").await.problem(ProblemCode::AccountNotFound);

    let (_, key) = server.enrol("bob").await;
    let bob: Account = server.get("/accounts/bob").await.json(200);
    assert_eq!(bob.keys, 1);
    server.delete("/accounts/bob").await.problem(ProblemCode::AccountNotEmpty);
    server.delete(&format!("/keys/{}", key.id)).await;
    assert_eq!(server.delete("/accounts/bob").await.status, 204);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let server = TestServer::start().await;
    for number in 0..5 {
        create_account(&server, &format!("account{number}")).await;
        server.client().await;
        server.enrol("account0").await;
        server.token(Role::Application).await;
    }
    for (path, total) in [("/accounts", 5), ("/clients", 5), ("/keys", 5), ("/tokens", 6), ("/audit", 27)] {
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let page: Page<serde_json::Value> =
                server.get(&format!("{path}?limit=2&after={after}")).await.json(200);
            assert!(page.items.len() <= 2, "{path}");
            seen.extend(page.items.iter().map(ToString::to_string));
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!(seen.len(), total, "{path}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), total, "{path}: nothing comes twice");
    }
}

#[tokio::test]
async fn keys() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let mut request = new_enrollment("alice");
    request.label = Some("blue key".to_owned());
    request.serial = Some(0xf000_0007);
    request.firmware = Some("5.7.4".to_owned());
    let (mut soft, key) = server.enrol_as(request).await;
    assert_eq!(key.label.as_deref(), Some("blue key"));
    assert_eq!((key.serial, key.firmware.as_deref(), key.emulated), (Some(0xf000_0007), Some("5.7.4"), true));
    let path = format!("/keys/{}", key.id);

    client.verify(&soft.press(), NONCE).await;
    let shown: Key = server.get(&path).await.json(200);
    assert_eq!((shown.use_counter, shown.session_counter), (1, 1));
    assert!(shown.last_used_at.is_some());
    for (filter, found) in [
        ("account=alice".to_owned(), 1),
        ("account=bob".to_owned(), 0),
        (format!("public_id={}", key.public_id), 1),
        ("public_id=cc".to_owned(), 0),
    ] {
        let page: Page<Key> = server.get(&format!("/keys?{filter}")).await.json(200);
        assert_eq!(page.items.len(), found, "{filter}");
    }

    create_account(&server, "bob").await;
    let change = async |body: &str| server.api(&server.admin, "PATCH", &path, Some(body)).await;
    let moved: Key = change("{\"account\":\"bob\",\"label\":\"red key\"}").await.json(200);
    assert_eq!((moved.account.as_str(), moved.label.as_deref()), ("bob", Some("red key")));
    let bare: Key = change("{\"label\":\"\"}").await.json(200);
    assert_eq!((bare.account.as_str(), bare.label), ("bob", None));
    change("{\"account\":\"nobody\"}").await.problem(ProblemCode::AccountNotFound);
    assert_eq!(client.verify(&soft.press(), NONCE).await, "OK");
    server.post("/accounts/bob/disable").await;
    assert_eq!(client.verify(&soft.press(), NONCE).await, "BAD_OTP", "the new owner decides");
    change("{\"account\":\"alice\"}").await;
    assert_eq!(client.verify(&soft.press(), NONCE).await, "OK");

    assert_eq!(server.delete(&path).await.status, 204);
    server.get(&path).await.problem(ProblemCode::KeyNotFound);
    server.post(&format!("{path}/enable")).await.problem(ProblemCode::KeyNotFound);
}

#[tokio::test]
async fn a_public_id_can_be_enrolled_again_after_its_deletion() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let mut request = new_enrollment("alice");
    request.public_id = Some("cccccccccccc".to_owned());
    let (mut old, key) = server.enrol_as(request.clone()).await;
    let unused = old.press();
    request.request_id = "another-request".to_owned();
    let again = server.send(&server.admin, "POST", "/enrollments", &request).await;
    again.problem(ProblemCode::PublicIdTaken);
    server.delete(&format!("/keys/{}", key.id)).await;
    let (mut new, _) = server.enrol_as(request).await;
    assert_eq!(client.verify(&unused, NONCE).await, "BAD_OTP", "the old secret is worth nothing");
    assert_eq!(client.verify(&new.press(), NONCE).await, "OK");
}

#[tokio::test]
async fn access_codes_are_kept_and_reading_them_is_on_record() {
    let server = TestServer::start().await;
    let mut request = new_enrollment("alice");
    request.access_code = true;
    let secrets: EnrollmentSecrets =
        server.send(&server.admin, "POST", "/enrollments", &request).await.json(201);
    let otp = SoftKey::new(&secrets).press();
    let key: Key = server.confirm(&server.admin, &secrets.id, &otp).await.json(200);
    assert!(key.has_access_code);
    let path = format!("/keys/{}/access-code", key.id);
    let code: AccessCode = server.get(&path).await.json(200);
    assert_eq!(Some(code.access_code), secrets.access_code);
    let events: Page<Event> = server.get("/audit?action=key.access_code_read").await.json(200);
    assert_eq!(events.items.len(), 1);
    assert_eq!(events.items[0].key.as_ref(), Some(&key.id));

    let (_, plain) = server.enrol("alice").await;
    assert!(!plain.has_access_code);
    server.get(&format!("/keys/{}/access-code", plain.id)).await.problem(ProblemCode::NoAccessCode);
}

#[tokio::test]
async fn verifying_for_an_account() {
    let server = TestServer::start().await;
    let application = server.token(Role::Application).await;
    let (mut alices, key) = server.enrol("alice").await;
    let (mut bobs, _) = server.enrol("bob").await;
    let verify = async |account: &str, otp: &str| -> Verified {
        let body = tapkey_api::accounts::Verify { otp: otp.to_owned() };
        let path = format!("/accounts/{account}/verify");
        server.send(application.token.expose(), "POST", &path, &body).await.json(200)
    };
    let otp = alices.press();
    assert_eq!(verify("bob", &otp).await.status, VerifyStatus::BadOtp, "somebody else's key");
    let accepted = verify("alice", &otp).await;
    assert_eq!((accepted.status, accepted.key_id), (VerifyStatus::Ok, Some(key.id)), "and it was not spent");
    assert_eq!(verify("alice", &otp).await.status, VerifyStatus::ReplayedOtp);
    assert_eq!(verify("alice", "hello").await.status, VerifyStatus::BadOtp);
    assert_eq!(verify("alice", &bobs.press()).await.status, VerifyStatus::BadOtp);
    assert_eq!(verify("nobody", &alices.press()).await.status, VerifyStatus::NoSuchAccount);
    server.post("/accounts/alice/disable").await;
    assert_eq!(verify("alice", &alices.press()).await.status, VerifyStatus::NoSuchAccount);
    // What one interface accepted, the other knows.
    let client = server.client().await;
    let otp = bobs.press();
    assert_eq!(verify("bob", &otp).await.status, VerifyStatus::Ok);
    assert_eq!(client.verify(&otp, NONCE).await, "REPLAYED_OTP");
}

#[tokio::test]
async fn tokens() {
    let server = TestServer::start().await;
    let tokens: Page<Token> = server.get("/tokens").await.json(200);
    let first = &tokens.items[0].id;
    server.delete(&format!("/tokens/{first}")).await.problem(ProblemCode::LastAdministrator);

    let second = server.token(Role::Admin).await;
    assert_eq!(server.api(second.token.expose(), "GET", "/tokens", None).await.status, 200);
    assert_eq!(server.delete(&format!("/tokens/{}", second.id)).await.status, 204);
    let refused = server.api(second.token.expose(), "GET", "/tokens", None).await;
    refused.problem(ProblemCode::Unauthorized);
    server.delete(&format!("/tokens/{}", second.id)).await.problem(ProblemCode::TokenNotFound);

    // Bounded in time.
    let body = "{\"role\":\"admin\",\"expires_at\":\"2023-11-14T22:14:20Z\"}";
    let reply = server.api(&server.admin, "POST", "/tokens", Some(body)).await;
    let short: tapkey_api::tokens::TokenCreated = reply.json(201);
    assert_eq!(server.api(short.token.expose(), "GET", "/status", None).await.status, 200);
    server.delete(&format!("/tokens/{first}")).await.problem(ProblemCode::LastAdministrator);
    server.clock.advance(60);
    server.api(short.token.expose(), "GET", "/status", None).await.problem(ProblemCode::Unauthorized);
    let reply = server.api(&server.admin, "POST", "/tokens", Some(body)).await;
    reply.problem(ProblemCode::InvalidValue);
}

#[tokio::test]
async fn clients() {
    let server = TestServer::start().await;
    let reply = server.api(&server.admin, "POST", "/clients", Some("{\"label\":\"pam\"}")).await;
    let created: tapkey_api::clients::ClientCreated = reply.json(201);
    let listed: Page<Client> = server.get("/clients").await.json(200);
    assert_eq!((listed.items[0].id, listed.items[0].label.as_deref()), (created.id, Some("pam")));
    assert!(!server.get("/clients").await.body.contains(created.api_key.expose()), "shown once");
    server.post("/clients/99/disable").await.problem(ProblemCode::ClientNotFound);
    server.delete("/clients/x").await.problem(ProblemCode::ClientNotFound);
}

#[tokio::test]
async fn every_change_is_on_record_without_secrets() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let mut request = new_enrollment("alice");
    request.access_code = true;
    let secrets: EnrollmentSecrets =
        server.send(&server.admin, "POST", "/enrollments", &request).await.json(201);
    server.send(&server.admin, "POST", "/enrollments", &request).await;
    let otp = SoftKey::new(&secrets).press();
    let key: Key = server.confirm(&server.admin, &secrets.id, &otp).await.json(200);
    server.post(&format!("/keys/{}/disable", key.id)).await;
    server.post(&format!("/keys/{}/disable", key.id)).await;
    server.post(&format!("/keys/{}/enable", key.id)).await;
    server.api(&server.admin, "PATCH", &format!("/keys/{}", key.id), Some("{\"label\":\"x\"}")).await;
    server.delete(&format!("/keys/{}", key.id)).await;
    server.post("/accounts/alice/disable").await;
    server.delete("/accounts/alice").await;
    server.post(&format!("/clients/{}/disable", client.id)).await;
    server.delete(&format!("/clients/{}", client.id)).await;
    let token = server.token(Role::Enroller).await;
    server.delete(&format!("/tokens/{}", token.id)).await;
    server.api("nonsense", "GET", "/status", None).await;
    server.api("nonsense", "GET", "/status", None).await;

    let events: Page<Event> = server.get("/audit").await.json(200);
    let actions: Vec<_> = events.items.iter().rev().map(|event| event.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "store.created",
            "token.created",
            "client.created",
            "account.created",
            "enrollment.created",
            "enrollment.repeated",
            "enrollment.confirmed",
            "key.disabled",
            "key.enabled",
            "key.relabelled",
            "key.deleted",
            "account.disabled",
            "account.deleted",
            "client.disabled",
            "client.deleted",
            "token.created",
            "token.revoked",
            "auth.failed",
        ]
    );
    let text = serde_json::to_string(&events).unwrap();
    for secret in [
        secrets.aes_key.expose(),
        secrets.private_id.expose(),
        secrets.access_code.as_ref().unwrap().expose(),
        &client.key.to_base64(),
        token.token.expose(),
        &otp,
    ] {
        assert!(!text.contains(secret));
    }
    // Nor do they stand in the database in clear.
    let (folder, config) = server.stop().await;
    let mut stored = Vec::new();
    for entry in std::fs::read_dir(&config.data_dir).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("tapkey.db") {
            stored.extend(std::fs::read(path).unwrap());
        }
    }
    let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
    let token_secret = token.token.expose().rsplit('_').next().unwrap();
    for secret in [
        hex(secrets.aes_key.expose()),
        hex(secrets.private_id.expose()),
        hex(secrets.access_code.as_ref().unwrap().expose()),
        client.key.expose().to_vec(),
        token_secret.as_bytes().to_vec(),
        otp.into_bytes(),
    ] {
        assert!(!stored.windows(secret.len()).any(|window| window == secret));
    }
    drop(folder);
}

#[tokio::test]
async fn status_and_health() {
    let server = TestServer::start().await;
    server.enrol("alice").await;
    let status: Status = server.get("/status").await.json(200);
    let counts = status.counts.unwrap();
    assert_eq!((counts.accounts, counts.keys, counts.tokens, counts.pending_enrollments), (1, 1, 1, 0));
    let store = if server.config.store.url.is_some() { "postgresql" } else { "sqlite" };
    assert_eq!(status.store, store);
    let application = server.token(Role::Application).await;
    let status: Status = server.api(application.token.expose(), "GET", "/status", None).await.json(200);
    assert_eq!(status.counts, None);
    assert_eq!(server.http("GET", "/healthz", &[], b"").await.body, "ok\n");
    assert_eq!(server.http("GET", "/readyz", &[], b"").await.body, "ready\n");
}
