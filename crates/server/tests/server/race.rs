//! One password, many hands.

use std::collections::HashMap;

use super::common::{NONCE, TestServer};

#[tokio::test(flavor = "multi_thread")]
async fn one_password_by_eight_connections_is_accepted_exactly_once() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let (mut key, _) = server.enrol("alice").await;
    for round in 0..200 {
        let otp = key.press();
        let mut hands = Vec::new();
        for hand in 0..8 {
            let (client, otp) = (client.clone(), otp.clone());
            hands.push(tokio::spawn(async move { client.verify(&otp, &format!("{NONCE}{hand}")).await }));
        }
        let mut answers: HashMap<String, usize> = HashMap::new();
        for hand in hands {
            *answers.entry(hand.await.unwrap()).or_default() += 1;
        }
        assert_eq!(answers.get("OK"), Some(&1), "round {round}: {answers:?}");
        assert_eq!(answers.get("REPLAYED_OTP"), Some(&7), "round {round}: {answers:?}");
    }
}
