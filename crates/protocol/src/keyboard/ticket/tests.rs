use super::*;

const MAP: ScanMap = ScanMap::DEFAULT;

fn typing(ticket: u8, config: u8, extended: u8) -> Typing<'static> {
    Typing {
        ticket: TicketFlags(ticket),
        config: ConfigFlags(config),
        extended: ExtendedFlags(extended),
        scan_map: &MAP,
    }
}

#[test]
fn forty_four_letters_and_enter() {
    let strokes = yubico_otp(&typing(0x20, 0, 0), &[0xFF, 0, 0, 0, 0, 1], &[0x12; 16]);
    assert_eq!(text_of(&strokes), format!("vvcccccccccb{}\n", "bd".repeat(16)));
    assert_eq!(strokes.len(), 45);
}

#[test]
fn everything_in_its_place() {
    let strokes = yubico_otp(&typing(0x3F, 0x01, 0), &[0], &[0; 16]);
    let text = format!("\t{REFERENCE}cc\t{}\t\n", "c".repeat(32));
    assert_eq!(text_of(&strokes), text);
    let delays: Vec<usize> = strokes
        .iter()
        .enumerate()
        .filter(|(_, stroke)| matches!(stroke, Stroke::DelayMilliseconds(500)))
        .map(|(index, _)| index)
        .collect();
    assert_eq!(delays, [1 + 16 + 2 + 1, 1 + 16 + 2 + 1 + 1 + 32 + 1]);
}

#[test]
fn pacing_follows_every_key() {
    let strokes = yubico_otp(&typing(0x20, 0x0C, 0), &[], &[0; 16]);
    assert_eq!(strokes.len(), 66);
    assert_eq!(strokes[1], Stroke::DelayMilliseconds(30));
}

#[test]
fn hotp_with_keypad_digits() {
    let id = TokenId::from_serial(7);
    let strokes = hotp(&typing(0x60, 0x40, 0x08), Some(&id), "755224");
    assert_eq!(text_of(&strokes), "ubhe00000007755224\n");
    assert_eq!(strokes[4], Stroke::Press(Key::plain(0x62)));
    assert_eq!(text_of(&hotp(&typing(0x40, 0, 0), None, "755224")), "755224");
}

#[test]
fn static_tickets() {
    let text = |config| text_of(&static_ticket(&typing(0, config, 0), &[0x01], &[0x9F; 16]));
    assert_eq!(text(0x20), format!("cb{}", "kv".repeat(16)));
    assert_eq!(text(0x22), format!("cb{}", "kv".repeat(7)));
    assert_eq!(text(0x30), format!("CB{}", "kv".repeat(16)));
    assert_eq!(text(0x60), format!("01{}", "kv".repeat(16)));
    assert_eq!(text(0x71), format!("!01KV{}", "kv".repeat(15)));
    assert_eq!(text(0x21), format!("{REFERENCE}cb{}", "kv".repeat(16)));
}

#[test]
fn scan_codes_ignore_the_map() {
    let reversed = ScanMap::new(std::array::from_fn(|_| 0x04));
    let typing = Typing { scan_map: &reversed, ..typing(0, 0x02, 0) };
    let strokes = scan_codes(&typing, &[0x8B, 0x08, 0x0F, 0x0F, 0x12, 0, 0]);
    assert_eq!(text_of(&strokes), "Hello");
}

#[test]
fn another_scan_map_is_followed() {
    let map = ScanMap::new(std::array::from_fn(|_| 0x04));
    let typing = Typing { scan_map: &map, ..typing(0, 0, 0) };
    assert_eq!(text_of(&yubico_otp(&typing, &[], &[0; 16])), "a".repeat(32));
}
