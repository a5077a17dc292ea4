//! Two nodes on one database.

use tapkey_api::keys::Key;

use super::{
    common::{NONCE, TestServer, WsapiClient},
    database::Database,
};

async fn two() -> (TestServer, TestServer, Database) {
    let database = Database::create();
    let one = TestServer::start_with(|config| config.store.url = Some(database.url())).await;
    let two = one.second_node().await;
    (one, two, database)
}

async fn ask(node: &TestServer, client: &WsapiClient, otp: &str) -> String {
    let query = client.request(otp, NONCE).to_query(Some(&client.key));
    let reply = node.http("GET", &format!("/wsapi/2.0/verify?{query}"), &[], b"").await;
    reply.status_line().to_owned()
}

/// A pooler may give every transaction another connection.
#[tokio::test(flavor = "multi_thread")]
async fn through_a_pooler_in_transaction_mode() {
    let database = Database::create();
    let pooler = database.pooler();
    let one = TestServer::start_with(|config| config.store.url = Some(pooler.url())).await;
    let two = one.second_node().await;
    let client = one.client().await;
    let mut keys = Vec::new();
    for number in 0..8 {
        keys.push(one.enrol(&format!("account{number}")).await.0);
    }
    for _ in 0..20 {
        let otps: Vec<_> = keys.iter_mut().map(|key| key.press()).collect();
        let asked = otps.iter().flat_map(|otp| [ask(&one, &client, otp), ask(&two, &client, otp)]);
        let answers = futures_util::future::join_all(asked).await;
        for pair in answers.chunks(2) {
            assert_eq!(pair.iter().filter(|status| *status == "OK").count(), 1, "{answers:?}");
        }
    }
}

/// One password, sent to both at once, many times over.
#[tokio::test(flavor = "multi_thread")]
async fn one_password_at_two_nodes_is_accepted_exactly_once() {
    let (one, two, _database) = two().await;
    let client = one.client().await;
    let (mut key, _) = one.enrol("alice").await;
    for round in 0..100 {
        let otp = key.press();
        let nodes = [&one, &two, &one, &two, &one, &two, &one, &two];
        let hands = nodes.map(|node| ask(node, &client, &otp));
        let [a, b, c, d, e, f, g, h] = hands;
        let answers = tokio::join!(a, b, c, d, e, f, g, h);
        let answers: [String; 8] = answers.into();
        let accepted = answers.iter().filter(|status| *status == "OK").count();
        assert_eq!(accepted, 1, "round {round}: {answers:?}");
        assert!(
            answers.iter().all(|status| status == "OK" || status.starts_with("REPLAYED_")),
            "{answers:?}"
        );
    }
}

/// What one node revokes, the other refuses at once, although it used the key just now.
#[tokio::test]
async fn revocation_on_one_node_holds_at_once_on_the_other() {
    let (one, two, _database) = two().await;
    let client = one.client().await;
    let (mut key, known): (_, Key) = one.enrol("alice").await;
    for node in [&one, &two] {
        assert_eq!(ask(node, &client, &key.press()).await, "OK");
    }
    let act = async |path: &str| assert!(one.post(path).await.status < 300, "{path}");
    let path = format!("/keys/{}", known.id);
    act(&format!("{path}/disable")).await;
    assert_eq!(ask(&two, &client, &key.press()).await, "BAD_OTP");
    act(&format!("{path}/enable")).await;
    assert_eq!(ask(&two, &client, &key.press()).await, "OK");
    act("/accounts/alice/disable").await;
    assert_eq!(ask(&two, &client, &key.press()).await, "BAD_OTP");
    act("/accounts/alice/enable").await;
    assert_eq!(ask(&two, &client, &key.press()).await, "OK");
    let gone = one.api(&one.admin, "DELETE", &path, None).await;
    assert!(gone.status < 300, "{gone:?}");
    assert_eq!(ask(&two, &client, &key.press()).await, "BAD_OTP");
}
