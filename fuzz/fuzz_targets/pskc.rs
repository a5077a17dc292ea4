//! Key containers (RFC 6030): any bytes are read or refused, and what was read is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapkey_protocol::formats::pskc::{Document, Protection, Seal, Unlock};

fuzz_target!(|data: &[u8]| {
    let Ok(document) = Document::parse(data) else { return };
    let unlock = match document.protection() {
        Protection::Key { .. } => Unlock::Key(&[7; 16]),
        // Many rounds only cost time.
        Protection::Passphrase { rounds, .. } if *rounds <= 1000 => Unlock::Passphrase("passphrase"),
        _ => Unlock::Nothing,
    };
    let Ok(container) = document.open(unlock) else { return };
    for key in &container.keys {
        let _ = key.to_key_uri().map(|uri| uri.to_uri());
    }
    if let Ok(text) = container.write(Seal::Plain) {
        let again = Document::parse(text.as_bytes()).and_then(|document| document.open(Unlock::Nothing));
        assert_eq!(again.map(|again| again.keys.len()), Ok(container.keys.len()));
    }
});
