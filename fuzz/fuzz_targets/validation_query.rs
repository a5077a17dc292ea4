//! The query string or form body of a validation request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapkey_protocol::validation::{Answer, ApiKey, Echo, Query, Request, Status};

fuzz_target!(|data: &[u8]| {
    let query = Query::parse(data);
    let key = ApiKey::new(vec![1; 20]);
    let _ = Request::check_signature(&query, &key);
    if let Ok(request) = Request::from_query(&query) {
        // What is echoed must not be able to add a line.
        let echo = Echo { otp: request.otp_as_sent, nonce: request.nonce };
        let text = Answer::new(Status::Ok, "T".to_owned(), echo).to_text(&key);
        assert_eq!(text.matches("status=").count(), 1);
        assert_eq!(text.lines().count(), 6);
    }
});
