//! A list of programmed slots, in any format.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapkey_protocol::formats::csv::{Kind, Reading, Style, Template};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    let kind = Some(Kind::Hotp);
    if let Ok(entries) = (Reading { kind, template: None }).entries(text) {
        for entry in &entries {
            // Whatever was read is written so that it is read back.
            let Some(line) = Style::Ykman.line(entry) else { continue };
            let back = Reading { kind, template: None }.entries(&line).unwrap_or_default();
            assert_eq!(back.len(), 1);
        }
    }
    if let Some((template, list)) = text.split_once('\n')
        && let Ok(template) = template.parse::<Template>()
    {
        let _ = Reading { kind, template: Some(template) }.entries(list);
    }
});
