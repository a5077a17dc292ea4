//! Bundles of provisioning stations: what they bring in, and everything they may not do.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tapkey_api::{
    Page, ProblemCode, SecretText, Timestamp,
    audit::Event,
    bundle::{Container, Content, Envelope, StationClose, StationProof, StationRecord, StationVoid},
    enrollments::{ConfirmEnrollment, EnrollmentSecrets},
    imports::{BundleKey, ImportBundle, ImportCounts, ImportReport, ImportResult},
    keys::{AccessCode, Key},
    status::Status,
    tokens::Role,
};
use tapkey_protocol::otp::PublicId;

use super::common::{NONCE, Reply, SoftKey, TestServer, new_enrollment};

/// A station without keys: it writes whatever it is told to.
struct Bundle {
    recipient: age::x25519::Recipient,
    id: String,
    text: String,
    previous: String,
    sequence: u64,
}

impl Bundle {
    async fn of(server: &TestServer, number: u8) -> Self {
        let key: BundleKey = server.get("/bundle-key").await.json(200);
        Self::to(&key.recipient, number)
    }

    fn to(recipient: &str, number: u8) -> Self {
        let id = format!("{number:032x}");
        let text = format!("tapkey-bundle/1 {id} {recipient}\n");
        Self { recipient: recipient.parse().unwrap(), id, previous: text.clone(), text, sequence: 0 }
    }

    fn add(&mut self, content: Content) -> &mut Self {
        self.sequence += 1;
        let envelope = Envelope {
            format: "tapkey-bundle".into(),
            version: 1,
            bundle: self.id.clone(),
            sequence: self.sequence,
            previous: HEXLOWER.encode(&Sha256::digest(self.previous.as_bytes())),
            content,
        };
        let plain = serde_json::to_vec(&envelope).unwrap();
        self.previous = age::encrypt_and_armor(&self.recipient, &plain).unwrap();
        self.text.push_str(&self.previous);
        self
    }

    fn record(&mut self, record: &StationRecord) -> &mut Self {
        self.add(Content::Credential(Box::new(record.clone())))
    }

    fn proof(&mut self, record: &StationRecord, otp: &str) -> &mut Self {
        let (record, otp) = (record.id.clone(), SecretText::new(otp.to_owned()));
        self.add(Content::Proof(StationProof { record, otp, counters: None, at: Timestamp::UNIX_EPOCH }))
    }

    fn void(&mut self, record: &StationRecord) -> &mut Self {
        let record = record.id.clone();
        self.add(Content::Void(StationVoid { record, reason: "no key".into(), at: Timestamp::UNIX_EPOCH }))
    }

    fn close(&mut self) -> String {
        self.add(Content::Close(StationClose { at: Timestamp::UNIX_EPOCH }));
        self.text.clone()
    }
}

/// A record that the station could have drawn, and the key that holds it.
fn drawn(number: u8, account: &str) -> (StationRecord, SoftKey) {
    let record = StationRecord {
        id: format!("{number:032x}"),
        replaces: Vec::new(),
        station: "desk".into(),
        account: account.into(),
        label: Some(format!("key {number}")),
        slot: 2,
        serial: Some(u32::from(number)),
        firmware: Some("5.7.4".into()),
        emulated: false,
        public_id: PublicId::from_serial(number.into()).to_string(),
        private_id: SecretText::new(format!("{number:012x}")),
        aes_key: SecretText::new(format!("{number:032x}")),
        access_code: None,
        created_at: Timestamp::UNIX_EPOCH,
    };
    let key = SoftKey::new(&EnrollmentSecrets {
        id: String::new(),
        public_id: record.public_id.clone(),
        private_id: record.private_id.clone(),
        aes_key: record.aes_key.clone(),
        access_code: None,
        expires_at: Timestamp::UNIX_EPOCH,
    });
    (record, key)
}

fn request(bundle: String) -> ImportBundle {
    ImportBundle {
        bundle,
        dry_run: false,
        trust_station: false,
        create_accounts: true,
        accept_unclosed: false,
    }
}

fn trusting(bundle: String) -> ImportBundle {
    ImportBundle { trust_station: true, ..request(bundle) }
}

async fn send(server: &TestServer, request: &ImportBundle) -> Reply {
    server.send(&server.admin, "POST", "/imports", request).await
}

async fn import(server: &TestServer, request: &ImportBundle) -> ImportReport {
    send(server, request).await.json(200)
}

async fn confirm(server: &TestServer, otp: &str) -> Reply {
    let body = ConfirmEnrollment { otp: otp.to_owned() };
    server.send(&server.admin, "POST", "/enrollments/confirm", &body).await
}

async fn counts(server: &TestServer) -> (u64, u64, u64) {
    let status: Status = server.get("/status").await.json(200);
    let counts = status.counts.unwrap();
    (counts.accounts, counts.keys, counts.pending_enrollments)
}

async fn events(server: &TestServer, action: &str) -> Vec<Event> {
    let page: Page<Event> = server.get(&format!("/audit?action={action}")).await.json(200);
    page.items
}

#[tokio::test]
async fn imported_keys_validate_only_after_a_fresh_password() {
    let server = TestServer::start().await;
    let (record, mut key) = drawn(1, "alice");
    let (at_the_station, fresh) = (key.press(), key.press());
    let text = Bundle::of(&server, 1).await.record(&record).proof(&record, &at_the_station).close();
    let report = import(&server, &request(text.clone())).await;
    assert!(report.applied && !report.trusted && !report.dry_run);
    assert_eq!(report.sha256, HEXLOWER.encode(&Sha256::digest(text.as_bytes())));
    assert_eq!(report.counts, ImportCounts { pending: 1, ..ImportCounts::default() });
    assert_eq!(report.items[0].result, ImportResult::Pending);
    assert_eq!(counts(&server).await, (1, 0, 1));

    let client = server.client().await;
    for otp in [&at_the_station, &fresh] {
        assert_eq!(client.verify(otp, NONCE).await, "BAD_OTP");
    }
    confirm(&server, &at_the_station).await.problem(ProblemCode::ReplayedOtp);
    let confirmed: Key = confirm(&server, &fresh).await.json(200);
    assert_eq!(Some(&confirmed.id), report.items[0].key_id.as_ref());
    assert_eq!(confirm(&server, &fresh).await.status, 200, "the same password again");
    for spent in [&at_the_station, &fresh] {
        assert_eq!(client.verify(spent, NONCE).await, "REPLAYED_OTP");
    }
    assert_eq!(client.verify(&key.press(), NONCE).await, "OK");
    assert_eq!(events(&server, "key.imported").await.len(), 1);
    assert_eq!(events(&server, "bundle.imported").await.len(), 1);
    assert_eq!(events(&server, "key.trusted").await.len(), 0);
}

#[tokio::test]
async fn a_trusted_station_activates_what_typed_and_spends_it() {
    let server = TestServer::start().await;
    let (typed, mut key) = drawn(1, "alice");
    let (silent, mut other) = drawn(2, "bob");
    let (first, second) = (key.press(), key.press());
    let mut bundle = Bundle::of(&server, 1).await;
    bundle.record(&typed).proof(&typed, &second).proof(&typed, &first).record(&silent);
    let report = import(&server, &trusting(bundle.close())).await;
    assert_eq!(report.counts, ImportCounts { active: 1, pending: 1, ..ImportCounts::default() });
    let client = server.client().await;
    for spent in [&first, &second] {
        assert_eq!(client.verify(spent, NONCE).await, "REPLAYED_OTP", "the newest of them counts");
    }
    assert_eq!(client.verify(&key.press(), NONCE).await, "OK");
    assert_eq!(client.verify(&other.press(), NONCE).await, "BAD_OTP", "nobody saw this key type");
    let trusted = events(&server, "key.trusted").await;
    assert_eq!(trusted.len(), 1);
    assert_eq!(
        (trusted[0].account.as_deref(), trusted[0].subject.as_ref()),
        (Some("alice"), Some(&typed.id))
    );
    let told = &events(&server, "bundle.imported").await[0];
    assert!(
        told.detail.as_ref().unwrap().contains("trusted") && told.actor.starts_with("token:"),
        "{told:?}"
    );
}

#[tokio::test]
async fn importing_twice_is_once_and_what_was_deleted_stays_deleted() {
    let server = TestServer::start().await;
    let (one, mut key) = drawn(1, "alice");
    let (two, mut other) = drawn(2, "alice");
    let mut bundle = Bundle::of(&server, 1).await;
    bundle.record(&one).proof(&one, &key.press()).record(&two).proof(&two, &other.press());
    let text = bundle.close();
    import(&server, &request(text.clone())).await;
    let again = import(&server, &request(text.clone())).await;
    assert!(again.applied);
    assert!(again.items.iter().all(|item| item.enrollment_id.is_some()), "what still waits is named");
    assert_eq!(again.counts, ImportCounts { known: 2, ..ImportCounts::default() });
    assert_eq!(counts(&server).await, (1, 0, 2));

    // Trust that comes later activates what waits.
    let trusted = import(&server, &trusting(text.clone())).await;
    assert_eq!(trusted.counts, ImportCounts { active: 2, ..ImportCounts::default() });
    let client = server.client().await;
    assert_eq!(client.verify(&key.press(), NONCE).await, "OK");
    assert_eq!(counts(&server).await, (1, 2, 0));

    let id = trusted.items[0].key_id.clone().unwrap();
    assert_eq!(server.delete(&format!("/keys/{id}")).await.status, 204);
    let after = import(&server, &trusting(text)).await;
    let results: Vec<_> = after.items.iter().map(|item| item.result).collect();
    assert_eq!(results, [ImportResult::Gone, ImportResult::AlreadyImported]);
    assert_eq!(client.verify(&key.press(), NONCE).await, "BAD_OTP");
}

#[tokio::test]
async fn one_refused_record_keeps_everything_out() {
    let server = TestServer::start().await;
    server.api(&server.admin, "POST", "/accounts", Some("{\"name\":\"alice\"}")).await;
    let (good, mut key) = drawn(1, "alice");
    let (stray, _) = drawn(2, "nobody");
    let (mut crooked, _) = drawn(3, "alice");
    crooked.slot = 3;
    let (foreign, _) = drawn(4, "alice");
    let mut bundle = Bundle::of(&server, 1).await;
    bundle.record(&good).proof(&good, &key.press()).record(&stray).record(&crooked).record(&foreign);
    let text = bundle.proof(&foreign, &key.press()).close();
    let strict = ImportBundle { create_accounts: false, ..trusting(text.clone()) };
    let report = import(&server, &strict).await;
    assert!(!report.applied);
    assert_eq!(report.counts.refused, 3);
    let details: Vec<_> = report.items.iter().map(|item| item.detail.clone().unwrap_or_default()).collect();
    assert_eq!(details[0], "");
    assert!(details[1].contains("no such account"), "{details:?}");
    assert!(details[2].contains("slot is 1 or 2"), "{details:?}");
    assert!(details[3].contains("not of this credential"), "{details:?}");
    assert!(report.items.iter().all(|item| item.key_id.is_none()));
    let report = import(&server, &trusting(text)).await;
    assert_eq!((report.applied, report.counts.refused), (false, 2));
    assert_eq!(counts(&server).await, (1, 0, 0), "neither key nor account was made");
    assert_eq!(events(&server, "bundle.imported").await.len(), 0);
    assert_eq!(server.client().await.verify(&key.press(), NONCE).await, "BAD_OTP");
}

#[tokio::test]
async fn a_dry_run_says_the_same_and_changes_nothing() {
    let server = TestServer::start().await;
    let (record, mut key) = drawn(1, "alice");
    let text = Bundle::of(&server, 1).await.record(&record).proof(&record, &key.press()).close();
    let before: Page<Event> = server.get("/audit").await.json(200);
    let dry = import(&server, &ImportBundle { dry_run: true, ..trusting(text.clone()) }).await;
    assert!(dry.dry_run && !dry.applied);
    assert_eq!(dry.items[0].key_id, None);
    let after: Page<Event> = server.get("/audit").await.json(200);
    assert_eq!((before.items.len(), counts(&server).await), (after.items.len(), (0, 0, 0)));
    let wet = import(&server, &trusting(text)).await;
    assert_eq!((wet.applied, wet.counts), (true, dry.counts));
}

#[tokio::test]
async fn bundles_that_were_changed_change_nothing() {
    let server = TestServer::start().await;
    let (one, mut key) = drawn(1, "alice");
    let (two, _) = drawn(2, "bob");
    let mut bundle = Bundle::of(&server, 1).await;
    bundle.record(&one).proof(&one, &key.press()).record(&two);
    let unclosed = bundle.text.clone();
    let text = bundle.close();
    let container = Container::parse(&text).unwrap();
    let (head, messages) = (container.head, container.messages.clone());
    let join = |messages: &[&str]| format!("{head}{}", messages.concat());
    let mut elsewhere = Bundle::of(&server, 2).await;
    let spliced = elsewhere.record(&two).close();
    let spliced = Container::parse(&spliced).unwrap().messages[0].to_owned();
    // A letter in the middle of the armor of each message.
    let mut wrong: Vec<String> = (0..messages.len())
        .map(|index| {
            let mut changed: Vec<String> = messages.iter().map(|one| (*one).to_owned()).collect();
            let middle = changed[index].len() / 2;
            let old = changed[index].as_bytes()[middle];
            let new = if old == b'A' { "B" } else { "A" };
            // A line feed stays one.
            let at = if old == b'\n' { middle + 1 } else { middle };
            let new = if changed[index].as_bytes()[at] == b'A' { "B" } else { new };
            changed[index].replace_range(at..=at, new);
            format!("{head}{}", changed.concat())
        })
        .collect();
    wrong.extend([
        join(&messages[1..]),
        join(&[messages[0], messages[2], messages[3]]),
        join(&[messages[0], messages[2], messages[1], messages[3]]),
        join(&[messages[0], messages[0], messages[1], messages[2], messages[3]]),
        join(&[messages[0], messages[1], &spliced, messages[3]]),
        text.replacen(&bundle.id, &"e".repeat(32), 1),
        text[..text.len() - 40].to_owned(),
        text[..text.len() / 2].to_owned(),
        text.replacen("bundle/1", "bundle/9", 1),
        "hello".to_owned(),
        String::new(),
        unclosed.clone(),
    ]);
    for text in wrong {
        let problem = send(&server, &trusting(text.clone())).await.problem(ProblemCode::BundleUnreadable);
        assert!(problem.detail.is_some());
        assert_eq!(counts(&server).await, (0, 0, 0), "{text}");
    }
    let meant = ImportBundle { accept_unclosed: true, ..trusting(unclosed) };
    assert_eq!(import(&server, &meant).await.counts.active, 1);
    // Only its line ends changed on the way.
    let report = import(&server, &request(text.replace('\n', "\r\n"))).await;
    assert_eq!((report.applied, report.counts.known), (true, 2));
}

#[tokio::test]
async fn another_servers_bundle_cannot_be_read() {
    let (server, other) = (TestServer::start().await, TestServer::start().await);
    let (record, _) = drawn(1, "alice");
    let text = Bundle::of(&other, 1).await.record(&record).close();
    let problem = send(&server, &request(text.clone())).await.problem(ProblemCode::BundleForeign);
    assert!(problem.detail.unwrap().contains("age1"));
    // Also when it has a key of its own, and the first line says so.
    let key: BundleKey = server.get("/bundle-key").await.json(200);
    let theirs: BundleKey = other.get("/bundle-key").await.json(200);
    assert_ne!(key, theirs);
    let relabelled = text.replacen(&theirs.recipient, &key.recipient, 1);
    send(&server, &request(relabelled)).await.problem(ProblemCode::BundleForeign);
    assert_eq!(import(&other, &request(text)).await.counts.pending, 1);
}

#[tokio::test]
async fn the_bundle_key_is_sealed_and_stays() {
    let server = TestServer::start().await;
    let enroller = server.token(Role::Enroller).await;
    let key: BundleKey = server.api(enroller.token.expose(), "GET", "/bundle-key", None).await.json(200);
    assert!(key.recipient.starts_with("age1"));
    let server = server.restart().await;
    assert_eq!(server.get("/bundle-key").await.json::<BundleKey>(200), key);
    assert_eq!(events(&server, "bundle.key_created").await.len(), 1);
    let (_folder, config) = server.stop().await;
    for entry in std::fs::read_dir(&config.data_dir).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes).to_ascii_uppercase();
        assert!(!text.contains("AGE-SECRET-KEY"), "the identity stands there in plain text");
    }
}

#[tokio::test]
async fn only_administrators_import() {
    let server = TestServer::start().await;
    let (record, _) = drawn(1, "alice");
    let text = Bundle::of(&server, 1).await.record(&record).close();
    for role in [Role::Enroller, Role::Application] {
        let token = server.token(role).await;
        let reply = server.send(token.token.expose(), "POST", "/imports", &request(text.clone())).await;
        reply.problem(ProblemCode::Forbidden);
    }
    server.send("", "POST", "/imports", &request(text)).await.problem(ProblemCode::Unauthorized);
    assert_eq!(counts(&server).await, (0, 0, 0));
}

#[tokio::test]
async fn public_ids_are_never_taken_over() {
    let server = TestServer::start().await;
    let mut enrolled = new_enrollment("alice");
    let (mine, _) = drawn(1, "alice");
    enrolled.public_id = Some(mine.public_id.clone());
    let (mut holder, _) = server.enrol_as(enrolled).await;
    let client = server.client().await;
    // An active key, from two stations, and twice in one bundle.
    let text = Bundle::of(&server, 1).await.record(&mine).close();
    let report = import(&server, &trusting(text)).await;
    assert!(!report.applied && report.items[0].detail.as_ref().unwrap().contains("public id"), "{report:?}");
    let (two, _) = drawn(2, "alice");
    let (mut same, _) = drawn(3, "bob");
    same.public_id.clone_from(&two.public_id);
    assert!(import(&server, &request(Bundle::of(&server, 2).await.record(&two).close())).await.applied);
    let collision = import(&server, &request(Bundle::of(&server, 3).await.record(&same).close())).await;
    assert_eq!((collision.applied, collision.counts.refused), (false, 1));
    let (four, _) = drawn(4, "alice");
    let (mut five, _) = drawn(5, "alice");
    five.public_id.clone_from(&four.public_id);
    let both =
        import(&server, &request(Bundle::of(&server, 4).await.record(&four).record(&five).close())).await;
    assert_eq!((both.applied, both.counts.pending, both.counts.refused), (false, 1, 1));
    assert_eq!(client.verify(&holder.press(), NONCE).await, "OK");
    assert_eq!(counts(&server).await.2, 1);
}

#[tokio::test]
async fn replaced_and_void_records_are_skipped_and_withdrawn() {
    let server = TestServer::start().await;
    let (first, _) = drawn(1, "alice");
    let (mut second, mut key) = drawn(2, "alice");
    second.public_id.clone_from(&first.public_id);
    key.public_id = first.public_id.parse().unwrap();
    second.replaces = vec![first.id.clone()];
    let (void, _) = drawn(3, "bob");
    // The bundle travelled while the station was not done with it.
    let mut bundle = Bundle::of(&server, 1).await;
    let early = bundle.record(&first).record(&void).close();
    assert_eq!(import(&server, &request(early)).await.counts.pending, 2);
    let late = bundle.record(&second).proof(&second, &key.press()).void(&void).close();
    let report = import(&server, &trusting(late)).await;
    let results: Vec<_> = report.items.iter().map(|item| item.result).collect();
    assert_eq!(results, [ImportResult::Replaced, ImportResult::Void, ImportResult::Active], "{report:?}");
    assert_eq!(counts(&server).await, (2, 1, 0));
    assert_eq!(server.client().await.verify(&key.press(), NONCE).await, "OK");
}

/// A key that may hold its first record refused a second one: the first one counts.
#[tokio::test]
async fn a_void_record_replaces_nothing() {
    let server = TestServer::start().await;
    let (first, mut key) = drawn(1, "alice");
    let (mut second, _) = drawn(2, "alice");
    let (mut third, mut other) = drawn(3, "bob");
    let (fourth, _) = drawn(4, "bob");
    second.replaces = vec![first.id.clone()];
    let mut bundle = Bundle::of(&server, 1).await;
    bundle.record(&first).record(&second).void(&second).proof(&first, &key.press());
    // Over a refused one in between, the last one takes the place of the first.
    let (mut between, _) = drawn(5, "bob");
    between.replaces = vec![fourth.id.clone()];
    third.replaces = vec![fourth.id.clone(), between.id.clone(), "f".repeat(32)];
    bundle.record(&fourth).record(&between).void(&between).record(&third);
    let report = import(&server, &trusting(bundle.proof(&third, &other.press()).close())).await;
    let results: Vec<_> = report.items.iter().map(|item| item.result).collect();
    use ImportResult::{Active, Replaced, Void};
    assert_eq!(results, [Active, Void, Replaced, Void, Active], "{report:?}");
}

#[tokio::test]
async fn counters_of_deleted_keys_are_not_lowered_by_an_import() {
    let server = TestServer::start().await;
    let (record, mut key) = drawn(1, "alice");
    let at_the_station = key.press();
    let text = Bundle::of(&server, 1).await.record(&record).proof(&record, &at_the_station).close();
    let report = import(&server, &trusting(text)).await;
    let client = server.client().await;
    let newer = key.press();
    assert_eq!(client.verify(&newer, NONCE).await, "OK");
    let id = report.items[0].key_id.clone().unwrap();
    assert_eq!(server.delete(&format!("/keys/{id}")).await.status, 204);
    // The same secret in a record of another id: its password at the station proves nothing any more.
    let (mut again, _) = drawn(1, "alice");
    again.id = "f".repeat(32);
    let text = Bundle::of(&server, 2).await.record(&again).proof(&again, &at_the_station).close();
    let report = import(&server, &trusting(text)).await;
    assert_eq!(report.counts, ImportCounts { pending: 1, ..ImportCounts::default() });
    for spent in [&at_the_station, &newer] {
        confirm(&server, spent).await.problem(ProblemCode::ReplayedOtp);
    }
    let fresh = key.press();
    assert_eq!(confirm(&server, &fresh).await.status, 200);
    assert_eq!(client.verify(&newer, NONCE).await, "REPLAYED_OTP");

    // A pending one that is abandoned remembers what was typed at the station as well.
    let (three, mut third) = drawn(3, "alice");
    let spent = third.press();
    let text = Bundle::of(&server, 3).await.record(&three).proof(&three, &spent).close();
    let pending = import(&server, &request(text)).await.items[0].enrollment_id.clone().unwrap();
    assert_eq!(server.delete(&format!("/enrollments/{pending}")).await.status, 204);
    let mut copy = three.clone();
    copy.id = "e".repeat(32);
    let text = Bundle::of(&server, 4).await.record(&copy).close();
    import(&server, &trusting(text)).await;
    confirm(&server, &spent).await.problem(ProblemCode::ReplayedOtp);
    assert_eq!(confirm(&server, &third.press()).await.status, 200);
}

#[tokio::test]
async fn a_record_id_belongs_to_one_record() {
    let server = TestServer::start().await;
    let (record, _) = drawn(1, "alice");
    import(&server, &request(Bundle::of(&server, 1).await.record(&record).close())).await;
    let (mut other, _) = drawn(2, "mallory");
    other.id.clone_from(&record.id);
    let report = import(&server, &trusting(Bundle::of(&server, 2).await.record(&other).close())).await;
    assert!(
        !report.applied && report.items[0].detail.as_ref().unwrap().contains("other content"),
        "{report:?}"
    );
}

#[tokio::test]
async fn access_codes_come_along_sealed() {
    let server = TestServer::start().await;
    let (mut record, mut key) = drawn(1, "alice");
    record.access_code = Some(SecretText::new("0102030405ff".into()));
    let text = Bundle::of(&server, 1).await.record(&record).proof(&record, &key.press()).close();
    let report = import(&server, &trusting(text)).await;
    let path = format!("/keys/{}/access-code", report.items[0].key_id.as_ref().unwrap());
    let code: AccessCode = server.get(&path).await.json(200);
    assert_eq!(code.access_code.expose(), "0102030405ff");
    assert_eq!(events(&server, "key.access_code_read").await.len(), 1);
    let enroller = server.token(Role::Enroller).await;
    server.api(enroller.token.expose(), "GET", &path, None).await.problem(ProblemCode::Forbidden);
}

#[tokio::test]
async fn limits_and_policy() {
    let server = TestServer::start_with(|config| {
        config.policy.accept_emulated = false;
        config.limits.bundle_bytes = 100_000;
    })
    .await;
    let (mut record, _) = drawn(1, "alice");
    record.emulated = true;
    let report = import(&server, &request(Bundle::of(&server, 1).await.record(&record).close())).await;
    assert!(report.items[0].detail.as_ref().unwrap().contains("software"), "{report:?}");
    // Longer than other bodies may be, and too long for a bundle.
    let (genuine, _) = drawn(2, "alice");
    let mut bundle = Bundle::of(&server, 2).await;
    for _ in 0..100 {
        bundle.void(&genuine);
    }
    assert!(bundle.text.len() > 65_536);
    send(&server, &request(bundle.close())).await.problem(ProblemCode::BundleUnreadable);
    send(&server, &request("x".repeat(100_000))).await.problem(ProblemCode::TooLarge);
    assert_eq!(counts(&server).await, (0, 0, 0));
}

#[tokio::test]
async fn a_password_finds_what_waits_for_it() {
    let server = TestServer::start().await;
    let enroller = server.token(Role::Enroller).await;
    let secrets: EnrollmentSecrets =
        server.send(&server.admin, "POST", "/enrollments", &new_enrollment("alice")).await.json(201);
    let mut key = SoftKey::new(&secrets);
    let otp = key.press();
    let body = ConfirmEnrollment { otp: otp.clone() };
    let theirs = server.send(enroller.token.expose(), "POST", "/enrollments/confirm", &body).await;
    theirs.problem(ProblemCode::EnrollmentNotFound);
    confirm(&server, "hello").await.problem(ProblemCode::BadOtp);
    confirm(&server, &"c".repeat(44)).await.problem(ProblemCode::EnrollmentNotFound);
    assert_eq!(confirm(&server, &otp).await.status, 200);
    confirm(&server, &key.press()).await.problem(ProblemCode::EnrollmentConfirmed);
}
