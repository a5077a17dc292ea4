//! How a key and the server come to share a credential.

use tapkey_api::{
    Page, ProblemCode,
    audit::Event,
    enrollments::{CreateEnrollment, Enrollment, EnrollmentSecrets, EnrollmentState},
    keys::{AccessCode, Key},
    tokens::Role,
};

use super::common::{NONCE, SoftKey, TestServer, new_enrollment};

async fn begin(server: &TestServer, account: &str) -> (EnrollmentSecrets, SoftKey) {
    let request = new_enrollment(account);
    let secrets: EnrollmentSecrets =
        server.send(&server.admin, "POST", "/enrollments", &request).await.json(201);
    let key = SoftKey::new(&secrets);
    (secrets, key)
}

async fn state(server: &TestServer, id: &str) -> Enrollment {
    server.get(&format!("/enrollments/{id}")).await.json(200)
}

#[tokio::test]
async fn nothing_validates_before_the_confirmation() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let (secrets, mut key) = begin(&server, "alice").await;
    let first = key.press();
    assert_eq!(client.verify(&first, NONCE).await, "BAD_OTP");
    let listed: Page<Key> = server.get("/keys").await.json(200);
    assert!(listed.items.is_empty(), "{listed:?}");
    assert_eq!(state(&server, &secrets.id).await.state, EnrollmentState::Pending);

    let confirmed: Key = server.confirm(&server.admin, &secrets.id, &first).await.json(200);
    assert_eq!((confirmed.use_counter, confirmed.session_counter), (1, 0));
    let enrolled = state(&server, &secrets.id).await;
    assert_eq!(enrolled.state, EnrollmentState::Active);
    assert_eq!(enrolled.key_id.as_ref(), Some(&confirmed.id));
    assert_eq!(client.verify(&first, NONCE).await, "REPLAYED_OTP", "the confirming password is spent");
    assert_eq!(client.verify(&key.press(), NONCE).await, "OK");
}

#[tokio::test]
async fn creating_is_idempotent_while_pending() {
    let server = TestServer::start().await;
    let request = new_enrollment("alice");
    let create =
        async |request: &CreateEnrollment| server.send(&server.admin, "POST", "/enrollments", request).await;
    let first: EnrollmentSecrets = create(&request).await.json(201);
    let again: EnrollmentSecrets = create(&request).await.json(201);
    assert_eq!(first, again);
    let mut other = request.clone();
    other.slot = 1;
    create(&other).await.problem(ProblemCode::RequestIdReused);

    let otp = SoftKey::new(&first).press();
    assert_eq!(server.confirm(&server.admin, &first.id, &otp).await.status, 200);
    create(&request).await.problem(ProblemCode::EnrollmentConfirmed);
    // The state, without secrets, is still there to read.
    let body = server.get(&format!("/enrollments/{}", first.id)).await.body;
    assert!(!body.contains(first.aes_key.expose()) && !body.contains(first.private_id.expose()));
}

#[tokio::test]
async fn secrets_go_to_their_creator_only() {
    let server = TestServer::start().await;
    let (mine, theirs) = (server.token(Role::Enroller).await, server.token(Role::Enroller).await);
    let (mine, theirs) = (mine.token.expose(), theirs.token.expose());
    server.api(&server.admin, "POST", "/accounts", Some("{\"name\":\"alice\"}")).await;
    let mut request = new_enrollment("alice");
    request.create_account = false;
    let secrets: EnrollmentSecrets = server.send(mine, "POST", "/enrollments", &request).await.json(201);
    let path = format!("/enrollments/{}", secrets.id);
    // The same request by another token is another enrolment.
    let other: EnrollmentSecrets = server.send(theirs, "POST", "/enrollments", &request).await.json(201);
    assert_ne!(secrets.aes_key, other.aes_key);
    let by_admin: EnrollmentSecrets =
        server.send(&server.admin, "POST", "/enrollments", &request).await.json(201);
    assert_ne!(secrets.aes_key, by_admin.aes_key);

    server.api(theirs, "GET", &path, None).await.problem(ProblemCode::EnrollmentNotFound);
    server.api(theirs, "DELETE", &path, None).await.problem(ProblemCode::EnrollmentNotFound);
    let otp = SoftKey::new(&secrets).press();
    server.confirm(theirs, &secrets.id, &otp).await.problem(ProblemCode::EnrollmentNotFound);
    assert_eq!(server.get(&path).await.status, 200, "administrators see all of them");
    assert_eq!(server.confirm(mine, &secrets.id, &otp).await.status, 200);
}

#[tokio::test]
async fn confirming_is_idempotent_for_the_same_password() {
    let server = TestServer::start().await;
    let (secrets, mut key) = begin(&server, "alice").await;
    let (first, second) = (key.press(), key.press());
    let one: Key = server.confirm(&server.admin, &secrets.id, &first).await.json(200);
    let two: Key = server.confirm(&server.admin, &secrets.id, &first.to_uppercase()).await.json(200);
    assert_eq!(one, two);
    server.confirm(&server.admin, &secrets.id, &second).await.problem(ProblemCode::EnrollmentConfirmed);
    let client = server.client().await;
    assert_eq!(client.verify(&second, NONCE).await, "OK", "a refused confirmation spends nothing");
    let events: Page<Event> = server.get("/audit?action=enrollment.confirmed").await.json(200);
    assert_eq!(events.items.len(), 1);
}

#[tokio::test]
async fn foreign_passwords_confirm_nothing() {
    let server = TestServer::start().await;
    let (secrets, mut key) = begin(&server, "alice").await;
    let (_, mut other) = begin(&server, "alice").await;
    for otp in ["", "hello", &other.press(), &format!("{}{}", secrets.public_id, "c".repeat(32))] {
        server.confirm(&server.admin, &secrets.id, otp).await.problem(ProblemCode::BadOtp);
    }
    assert_eq!(state(&server, &secrets.id).await.state, EnrollmentState::Pending);
    assert_eq!(server.confirm(&server.admin, &secrets.id, &key.press()).await.status, 200);
}

#[tokio::test]
async fn confirming_at_once_from_many_hands_is_one_confirmation() {
    let server = TestServer::start().await;
    let (secrets, mut key) = begin(&server, "alice").await;
    let otp = key.press();
    let hands = (0..8).map(|_| server.confirm(&server.admin, &secrets.id, &otp));
    let replies = futures_join(hands).await;
    assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
    let events: Page<Event> = server.get("/audit?action=enrollment.confirmed").await.json(200);
    assert_eq!(events.items.len(), 1);
    let client = server.client().await;
    assert_eq!(client.verify(&otp, NONCE).await, "REPLAYED_OTP");
}

async fn futures_join<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pinned: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, result) in &mut pinned {
            if result.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *result = Some(value);
            }
        }
        if pinned.iter().all(|(_, result)| result.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    pinned.into_iter().filter_map(|(_, result)| result).collect()
}

#[tokio::test]
async fn time_ends_an_enrolment() {
    let server = TestServer::start_with(|config| config.policy.enrollment_expiry_seconds = 60).await;
    let mut request = new_enrollment("alice");
    request.public_id = Some("cccccccccccc".to_owned());
    let create =
        async |request: &CreateEnrollment| server.send(&server.admin, "POST", "/enrollments", request).await;
    let secrets: EnrollmentSecrets = create(&request).await.json(201);
    let otp = SoftKey::new(&secrets).press();
    server.clock.advance(59);
    assert_eq!(create(&request).await.status, 201);
    let mut same_id = new_enrollment("alice");
    same_id.public_id.clone_from(&request.public_id);
    let problem = create(&same_id).await.problem(ProblemCode::PublicIdTaken);
    assert!(problem.detail.unwrap().contains(&secrets.id), "its creator learns what is in the way");

    server.clock.advance(1);
    server.confirm(&server.admin, &secrets.id, &otp).await.problem(ProblemCode::EnrollmentExpired);
    create(&request).await.problem(ProblemCode::EnrollmentExpired);
    assert_eq!(state(&server, &secrets.id).await.state, EnrollmentState::Expired);
    // The public id is free again, and the old secret is gone.
    let next: EnrollmentSecrets = create(&same_id).await.json(201);
    assert_ne!(next.aes_key, secrets.aes_key);
    server.confirm(&server.admin, &next.id, &otp).await.problem(ProblemCode::BadOtp);
}

#[tokio::test]
async fn abandoning() {
    let server = TestServer::start().await;
    let (secrets, mut key) = begin(&server, "alice").await;
    let path = format!("/enrollments/{}", secrets.id);
    assert_eq!(server.delete(&path).await.status, 204);
    assert_eq!(server.delete(&path).await.status, 204, "twice is once");
    assert_eq!(state(&server, &secrets.id).await.state, EnrollmentState::Abandoned);
    server.confirm(&server.admin, &secrets.id, &key.press()).await.problem(ProblemCode::EnrollmentAbandoned);

    let (secrets, mut key) = begin(&server, "alice").await;
    server.confirm(&server.admin, &secrets.id, &key.press()).await;
    let path = format!("/enrollments/{}", secrets.id);
    server.delete(&path).await.problem(ProblemCode::EnrollmentConfirmed);
}

/// Whatever is interrupted goes on after a restart of the server.
#[tokio::test]
async fn an_enrolment_survives_a_restart() {
    let server = TestServer::start().await;
    let request = new_enrollment("alice");
    let before: EnrollmentSecrets =
        server.send(&server.admin, "POST", "/enrollments", &request).await.json(201);
    let server = server.restart().await;
    let after: EnrollmentSecrets =
        server.send(&server.admin, "POST", "/enrollments", &request).await.json(201);
    assert_eq!(before, after);
    let mut key = SoftKey::new(&after);
    let otp = key.press();
    assert_eq!(server.confirm(&server.admin, &after.id, &otp).await.status, 200);
    let server = server.restart().await;
    assert_eq!(server.confirm(&server.admin, &after.id, &otp).await.status, 200);
    let client = server.client().await;
    assert_eq!(client.verify(&otp, NONCE).await, "REPLAYED_OTP");
    let next = key.press();
    assert_eq!(client.verify(&next, NONCE).await, "OK");
    let server = server.restart().await;
    let client = super::common::WsapiClient { address: server.address, ..client };
    assert_eq!(client.verify(&next, "f".repeat(16).as_str()).await, "REPLAYED_OTP");
    assert_eq!(client.verify(&key.press(), NONCE).await, "OK");
}

#[tokio::test]
async fn software_keys_are_refused_unless_the_policy_takes_them() {
    let server = TestServer::start_with(|config| config.policy.accept_emulated = false).await;
    let mut request = new_enrollment("alice");
    let create =
        async |request: &CreateEnrollment| server.send(&server.admin, "POST", "/enrollments", request).await;
    create(&request).await.problem(ProblemCode::SoftwareKeyRefused);
    request.emulated = false;
    request.serial = Some(0xf000_0001);
    create(&request).await.problem(ProblemCode::SoftwareKeyRefused);
    request.serial = Some(12_345_678);
    assert_eq!(create(&request).await.status, 201);
}

#[tokio::test]
async fn accounts_of_an_enrolment() {
    let server = TestServer::start().await;
    let enroller = server.token(Role::Enroller).await;
    let enroller = enroller.token.expose();
    let mut request = new_enrollment("alice");
    server.send(enroller, "POST", "/enrollments", &request).await.problem(ProblemCode::Forbidden);
    request.create_account = false;
    server.send(enroller, "POST", "/enrollments", &request).await.problem(ProblemCode::AccountNotFound);
    server.api(&server.admin, "POST", "/accounts", Some("{\"name\":\"alice\"}")).await;
    let secrets: EnrollmentSecrets = server.send(enroller, "POST", "/enrollments", &request).await.json(201);
    server.post("/accounts/alice/disable").await;
    let otp = SoftKey::new(&secrets).press();
    server.confirm(enroller, &secrets.id, &otp).await.problem(ProblemCode::AccountDisabled);
    server
        .send(enroller, "POST", "/enrollments", &new_enrollment_for("alice"))
        .await
        .problem(ProblemCode::AccountDisabled);
    server.post("/accounts/alice/enable").await;
    assert_eq!(server.confirm(enroller, &secrets.id, &otp).await.status, 200);
}

fn new_enrollment_for(account: &str) -> CreateEnrollment {
    let mut request = new_enrollment(account);
    request.create_account = false;
    request
}

#[tokio::test]
async fn unacceptable_values_are_named() {
    type Change = fn(&mut CreateEnrollment);
    let server = TestServer::start().await;
    let rows: [(&str, Change); 8] = [
        ("slot", |r| r.slot = 0),
        ("slot", |r| r.slot = 3),
        ("request_id", |r| r.request_id = "short".to_owned()),
        ("account", |r| r.account = "a/b".to_owned()),
        ("firmware", |r| r.firmware = Some("five".to_owned())),
        ("public_id", |r| r.public_id = Some("xx".to_owned())),
        ("public_id", |r| r.public_id = Some("c".repeat(18))),
        ("label", |r| r.label = Some("a\nb".to_owned())),
    ];
    for (field, change) in rows {
        let mut request = new_enrollment("alice");
        change(&mut request);
        let reply = server.send(&server.admin, "POST", "/enrollments", &request).await;
        assert_eq!(reply.problem(ProblemCode::InvalidValue).field.as_deref(), Some(field));
    }
}

#[tokio::test]
async fn a_drawn_public_id_is_outside_the_factorys_and_the_serials_range() {
    let server = TestServer::start().await;
    for _ in 0..5 {
        let (secrets, _) = begin(&server, "alice").await;
        assert!(secrets.public_id.starts_with("vv") && !secrets.public_id.starts_with("vvcc"), "{secrets:?}");
        assert_eq!(secrets.public_id.len(), 12);
    }
}

/// A slot that was protected before the enrolment ended must not be lost.
#[tokio::test]
async fn access_codes_outlive_enrolments_that_never_became_a_key() {
    let server = TestServer::start_with(|config| config.policy.enrollment_expiry_seconds = 60).await;
    let mut request = new_enrollment("alice");
    request.access_code = true;
    request.public_id = Some("cccccccccccc".to_owned());
    let create =
        async |request: &CreateEnrollment| server.send(&server.admin, "POST", "/enrollments", request).await;
    let lapsed: EnrollmentSecrets = create(&request).await.json(201);
    let mut given_up = new_enrollment("alice");
    given_up.access_code = true;
    let given_up: EnrollmentSecrets = create(&given_up).await.json(201);
    assert_eq!(server.delete(&format!("/enrollments/{}", given_up.id)).await.status, 204);
    server.clock.advance(61);
    let mut next = new_enrollment("alice");
    next.public_id.clone_from(&request.public_id);
    let next: EnrollmentSecrets = create(&next).await.json(201);
    for secrets in [&lapsed, &given_up] {
        let path = format!("/enrollments/{}/access-code", secrets.id);
        let code: AccessCode = server.get(&path).await.json(200);
        assert_eq!(Some(&code.access_code), secrets.access_code.as_ref());
        let enroller = server.token(Role::Enroller).await;
        server.api(enroller.token.expose(), "GET", &path, None).await.problem(ProblemCode::Forbidden);
    }
    let events: Page<Event> = server.get("/audit?action=key.access_code_read").await.json(200);
    assert_eq!(events.items.len(), 2);
    server.get(&format!("/enrollments/{}/access-code", next.id)).await.problem(ProblemCode::NoAccessCode);
}
