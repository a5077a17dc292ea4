//! Bundles of provisioning stations: the file, and what an opened message holds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapkey_api::bundle::{Container, Envelope};

fuzz_target!(|data: &[u8]| {
    let _ = serde_json::from_slice::<Envelope>(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(container) = Container::scan(text) {
        let together = format!("{}{}", container.head, container.messages.concat());
        assert_eq!(together, text[..container.whole]);
        assert_eq!(Container::parse(text).is_ok(), container.whole == text.len());
    }
});
