//! The answer of a validation server.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapkey_protocol::validation::{ApiKey, ClientId, Request, Response};

fuzz_target!(|data: &[u8]| {
    let Ok(response) = Response::parse(data) else { return };
    let otp = "vvungrrdhvtklknvrtvuvbbkeidikkvgglrvdgrfcdft";
    let client = ClientId::try_from(1).unwrap();
    let request = Request::new(client, otp, "0123456789abcdef".parse().unwrap()).unwrap();
    assert!(response.authenticate(&request, &ApiKey::new(vec![1; 20])).is_err());
});
