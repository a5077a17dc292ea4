//! Every call of our `/api/v1` client, against the real server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use anyhow::Result;
use tapkey_api::{
    ProblemCode, SecretText, Timestamp,
    accounts::VerifyStatus,
    bundle::{Content, StationClose, StationProof, StationRecord},
    clients::CreateClient,
    enrollments::{CreateEnrollment, EnrollmentState},
    imports::ImportBundle,
    keys::UpdateKey,
    tokens::{CreateToken, Role},
};
use tapkey_client::api::{AuditFilter, Client, Error, KeyFilter, PageRequest, every_page};
use tapkey_tests::{credential::Credential, server::Server};
use tapkey_workflow::station::{BundleWriter, RealDisk};

fn enrollment(request_id: &str, account: &str) -> CreateEnrollment {
    CreateEnrollment {
        request_id: request_id.to_owned(),
        account: account.to_owned(),
        create_account: false,
        slot: 2,
        serial: None,
        firmware: Some("5.7.4".to_owned()),
        public_id: None,
        label: Some("blue".to_owned()),
        emulated: true,
        access_code: true,
    }
}

fn code<T>(result: Result<T, Error>) -> Option<ProblemCode> {
    result.err().and_then(|error| error.code())
}

fn credential(secrets: &tapkey_api::enrollments::EnrollmentSecrets) -> Result<Credential> {
    Credential::from_texts(&secrets.public_id, secrets.private_id.expose(), secrets.aes_key.expose())
}

#[test]
fn accounts_and_their_keys() -> Result<()> {
    let server = Server::start()?;
    let admin = server.admin();
    server.wait(async {
        admin.create_account("alice").await?;
        assert_eq!(code(admin.create_account("alice").await), Some(ProblemCode::AccountExists));
        assert_eq!(code(admin.account("bob").await), Some(ProblemCode::AccountNotFound));

        // Repeating the request repeats the answer.
        let request = enrollment("journey-0001", "alice");
        let secrets = admin.create_enrollment(&request).await?;
        assert_eq!(admin.create_enrollment(&request).await?, secrets);
        assert_eq!(admin.enrollment(&secrets.id).await?.state, EnrollmentState::Pending);
        let credential = credential(&secrets)?;
        let wrong = Credential { aes_key: tapkey_protocol::otp::AesKey::new([1; 16]), ..credential.clone() };
        assert_eq!(
            code(admin.confirm_enrollment(&secrets.id, &wrong.otp(1, 0)).await),
            Some(ProblemCode::BadOtp)
        );
        let key = admin.confirm_enrollment(&secrets.id, &credential.otp(1, 0)).await?;
        assert_eq!(admin.confirm_enrollment(&secrets.id, &credential.otp(1, 0)).await?.id, key.id);
        let confirmed = admin.enrollment(&secrets.id).await?;
        assert_eq!((confirmed.state, confirmed.key_id.as_deref()), (EnrollmentState::Active, Some(&*key.id)));

        let verify = async |otp: String| admin.verify("alice", &otp).await.map(|verdict| verdict.status);
        assert_eq!(verify(credential.otp(1, 0)).await?, VerifyStatus::ReplayedOtp);
        assert_eq!(verify(credential.otp(1, 1)).await?, VerifyStatus::Ok);
        assert_eq!(verify(credential.otp(1, 1)).await?, VerifyStatus::ReplayedOtp);
        assert_eq!(verify(wrong.otp(2, 0)).await?, VerifyStatus::BadOtp);

        // Another account's key is nobody's here.
        admin.create_account("bob").await?;
        assert_eq!(admin.verify("bob", &credential.otp(2, 0)).await?.status, VerifyStatus::BadOtp);

        admin.disable_key(&key.id).await?;
        assert_eq!(verify(credential.otp(3, 0)).await?, VerifyStatus::BadOtp);
        admin.enable_key(&key.id).await?;
        assert!(!admin.disable_account("alice").await?.enabled);
        assert_eq!(verify(credential.otp(3, 0)).await?, VerifyStatus::NoSuchAccount);
        admin.enable_account("alice").await?;
        assert_eq!(verify(credential.otp(3, 0)).await?, VerifyStatus::Ok);

        let change = UpdateKey { account: Some("bob".to_owned()), label: Some("moved".to_owned()) };
        let moved = admin.update_key(&key.id, &change).await?;
        assert_eq!((moved.account.as_str(), moved.label.as_deref()), ("bob", Some("moved")));
        assert!(admin.access_code(&key.id).await?.access_code.expose().len() == 12);
        let filter = KeyFilter { account: Some("bob".to_owned()), public_id: Some(key.public_id.clone()) };
        assert_eq!(admin.keys(filter, PageRequest::default()).await?.items[0].id, key.id);

        assert_eq!(code(admin.delete_account("bob").await), Some(ProblemCode::AccountNotEmpty));
        admin.delete_key(&key.id).await?;
        assert_eq!(code(admin.key(&key.id).await), Some(ProblemCode::KeyNotFound));
        admin.delete_account("bob").await?;

        let second = admin.create_enrollment(&enrollment("journey-0002", "alice")).await?;
        admin.abandon_enrollment(&second.id).await?;
        assert_eq!(admin.enrollment(&second.id).await?.state, EnrollmentState::Abandoned);

        let filter = AuditFilter { key: Some(key.id.clone()), ..AuditFilter::default() };
        let events = every_page(|page| admin.audit(filter.clone(), page)).await?;
        assert!(events.len() >= 5, "{events:?}");
        assert!(events.is_sorted_by(|a, b| a.id > b.id), "newest first");
        Ok(())
    })
}

#[test]
fn names_of_every_kind_reach_their_account() -> Result<()> {
    let server = Server::start()?;
    let admin = server.admin();
    server.wait(async {
        let names = ["a b", "ä@example.org", "50%", "a?b#c", "a+b", "'; drop--", "%2e%2e", "名前"];
        for name in names {
            admin.create_account(name).await?;
            assert_eq!(admin.account(name).await?.name, name);
        }
        let all = every_page(|page| admin.accounts(PageRequest { limit: Some(3), ..page })).await?;
        assert_eq!(all.len(), names.len());
        Ok(())
    })
}

/// What a station writes is what the server reads.
#[test]
fn bundles_and_what_waits_for_a_password() -> Result<()> {
    let server = Server::start()?;
    let admin = server.admin();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("keys.bundle");
    server.wait(async {
        let recipient = admin.bundle_key().await?.recipient;
        assert_eq!(admin.bundle_key().await?.recipient, recipient);
        let mut bundle = BundleWriter::open(&path, recipient.parse()?, Box::new(RealDisk))?;
        let record = StationRecord {
            id: "0123456789abcdef".repeat(2),
            replaces: Vec::new(),
            station: "desk".to_owned(),
            account: "alice".to_owned(),
            label: None,
            slot: 2,
            serial: Some(12_345_678),
            firmware: Some("5.7.4".to_owned()),
            emulated: false,
            public_id: "vvccccbdefgh".to_owned(),
            private_id: SecretText::new("010203040506".to_owned()),
            aes_key: SecretText::new("00112233445566778899aabbccddeeff".to_owned()),
            access_code: Some(SecretText::new("0a0b0c0d0e0f".to_owned())),
            created_at: Timestamp::now(),
        };
        let key =
            Credential::from_texts(&record.public_id, record.private_id.expose(), record.aes_key.expose())?;
        let (id, otp) = (record.id.clone(), SecretText::new(key.otp(1, 0)));
        bundle.append(Content::Credential(Box::new(record)))?;
        let proof = StationProof { record: id, otp, counters: Some((1, 0)), at: Timestamp::now() };
        bundle.append(Content::Proof(proof))?;
        bundle.append(Content::Close(StationClose { at: Timestamp::now() }))?;
        let mut request = ImportBundle {
            bundle: std::fs::read_to_string(&path)?,
            dry_run: false,
            trust_station: false,
            create_accounts: true,
            accept_unclosed: false,
        };
        let report = admin.import_bundle(&request).await?;
        assert!(report.applied && report.counts.pending == 1, "{report:?}");
        assert_eq!(report.sha256, bundle.sha256()?);
        let waiting = report.items[0].enrollment_id.clone().unwrap();
        assert_eq!(admin.enrollment_access_code(&waiting).await?.access_code.expose(), "0a0b0c0d0e0f");
        assert_eq!(code(admin.confirm_by_password(&key.otp(1, 0)).await), Some(ProblemCode::ReplayedOtp));
        let confirmed = admin.confirm_by_password(&key.otp(1, 1)).await?;
        assert_eq!(admin.verify("alice", &key.otp(1, 1)).await?.status, VerifyStatus::ReplayedOtp);
        assert_eq!(admin.verify("alice", &key.otp(2, 0)).await?.status, VerifyStatus::Ok);
        assert_eq!(Some(confirmed.id), report.items[0].key_id);
        request.bundle.truncate(request.bundle.len() - 9);
        assert_eq!(code(admin.import_bundle(&request).await), Some(ProblemCode::BundleUnreadable));
        Ok(())
    })
}

#[test]
fn clients_tokens_and_status() -> Result<()> {
    let server = Server::start()?;
    let admin = server.admin();
    server.wait(async {
        let created = admin.create_client(&CreateClient { label: Some("shop".to_owned()) }).await?;
        assert!(!admin.disable_client(created.id).await?.enabled);
        assert!(admin.enable_client(created.id).await?.enabled);
        let clients = every_page(|page| admin.clients(page)).await?;
        assert_eq!(clients[0].label.as_deref(), Some("shop"));
        admin.delete_client(created.id).await?;
        assert_eq!(code(admin.enable_client(created.id).await), Some(ProblemCode::ClientNotFound));

        let request = CreateToken { role: Role::Application, label: None, expires_at: None };
        let token = admin.create_token(&request).await?;
        let application = Client::builder(server.url().parse()?, token.token.clone().try_into()?).build()?;
        application.status().await?;
        assert_eq!(code(application.accounts(PageRequest::default()).await), Some(ProblemCode::Forbidden));
        let tokens = every_page(|page| admin.tokens(page)).await?;
        assert_eq!(tokens.len(), 2);
        admin.revoke_token(&token.id).await?;
        assert_eq!(code(application.status().await), Some(ProblemCode::Unauthorized));
        let own = tokens.iter().find(|found| found.role == Role::Admin).unwrap();
        assert_eq!(code(admin.revoke_token(&own.id).await), Some(ProblemCode::LastAdministrator));

        let status = admin.status().await?;
        assert!(status.accepts_emulated);
        assert_eq!(status.counts.map(|counts| counts.tokens), Some(1));
        Ok(())
    })
}
