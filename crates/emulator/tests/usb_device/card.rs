//! The smart-card reader.

use super::*;

#[test]
fn the_smart_card_as_libccid_uses_it() {
    let mut bus = Bus::new();
    assert_eq!(bus.input(3, 8).unwrap(), [0x50, 0x03]);
    assert!(bus.input(3, 8).is_none());
    // Slot status: a card without power. A command is refused.
    assert_eq!(bus.ccid(0x65, 1, [0; 3], &[]), [0x81, 0, 0, 0, 0, 0, 1, 1, 0, 0]);
    assert_eq!(bus.ccid(0x6F, 2, [0; 3], &[0, 0xA4, 4, 0])[5..9], [0, 2, 0x41, 0xFE]);
    let power = bus.ccid(0x62, 3, [0; 3], &[]);
    assert_eq!(power[..10], [0x80, 23, 0, 0, 0, 0, 3, 0, 0, 0]);
    assert_eq!(power[10..], *bus.bench.key.with(|key| key.profile().usb_atr()));
    let parameters = bus.ccid(0x6C, 4, [0; 3], &[]);
    assert_eq!(parameters[..10], [0x82, 7, 0, 0, 0, 0, 4, 0, 0, 1]);
    assert_eq!(bus.ccid(0x61, 4, [1, 0, 0], &[0; 7])[7], 0);
    assert_eq!(bus.ccid(0x61, 4, [0, 0, 0], &[0; 5])[7..9], [0x40, 7]);
    let select = [0, 0xA4, 4, 0, 8, 0xA0, 0, 0, 5, 0x27, 0x47, 0x11, 0x17];
    assert!(bus.apdu(&select).ends_with(&[0x90, 0]));
    let info = bus.apdu(&[0, 0x1D, 0, 0, 0]);
    assert_eq!(
        DeviceInfo::parse(&info[..info.len() - 2]).unwrap().serial,
        Some(bus.bench.key.snapshot().serial)
    );
    // What readers refuse.
    assert_eq!(bus.ccid(0x6F, 5, [0; 3], &[0])[7..9], [0x40, 1]);
    assert_eq!(bus.ccid(0x6F, 5, [0; 3], &[0, 1, 2])[7..9], [0x40, 1]);
    assert_eq!(bus.ccid(0x6B, 6, [0; 3], &[1])[..9], [0x83, 0, 0, 0, 0, 0, 6, 0x40, 0]);
    assert_eq!(bus.ccid(0x73, 6, [0; 3], &[0; 8])[0], 0x84);
    // Power off forgets what was selected.
    assert_eq!(bus.ccid(0x63, 8, [0; 3], &[])[..9], [0x81, 0, 0, 0, 0, 0, 8, 1, 0]);
    bus.ccid(0x62, 9, [0; 3], &[]);
    assert_eq!(bus.apdu(&[0, 0x1D, 0, 0, 0]), [0x6D, 0]);
}

#[test]
fn messages_come_in_pieces_and_with_wrong_lengths() {
    let mut bus = Bus::new();
    bus.ccid(0x62, 1, [0; 3], &[]);
    let mut select = vec![0, 0xA4, 4, 0, 100];
    select.extend_from_slice(&[0xA0; 100]);
    let message = ccid(0x6F, 2, [0; 3], &select);
    bus.out(2, &message[..64]);
    assert!(bus.input(2, 64).is_none());
    bus.out(2, &message[64..]);
    // An answer in pieces, too.
    assert_eq!(bus.input(2, 5).unwrap(), [0x80, 2, 0, 0, 0]);
    assert_eq!(bus.input(2, 64).unwrap(), [0, 2, 0, 0, 0, 0x6A, 0x82]);
    // Less than announced, more than announced, more than fits.
    let mut short = ccid(0x6F, 3, [0; 3], &[0, 1, 2, 3]);
    short.pop();
    let long = [ccid(0x6F, 3, [0; 3], &[0, 1, 2, 3]), vec![0]].concat();
    let mut huge = ccid(0x6F, 3, [0; 3], &[0, 1, 2, 3]);
    huge[4] = 0xFF;
    for message in [short, long, huge] {
        bus.out(2, &message);
        assert_eq!(bus.input(2, 64).unwrap(), [0x80, 0, 0, 0, 0, 0, 3, 0x40, 1, 0]);
    }
    // Another slot.
    let mut other = ccid(0x65, 4, [0; 3], &[]);
    other[5] = 1;
    bus.out(2, &other);
    assert_eq!(bus.input(2, 64).unwrap(), [0x81, 0, 0, 0, 0, 1, 4, 0x42, 5, 0]);
    // A command in three blocks.
    assert_eq!(bus.ccid(0x6F, 5, [0, 1, 0], &select[..50])[7..10], [0, 0, 0x10]);
    assert_eq!(bus.ccid(0x6F, 6, [0, 3, 0], &select[50..60])[7..10], [0, 0, 0x10]);
    assert_eq!(bus.ccid(0x6F, 7, [0, 2, 0], &select[60..])[10..], [0x6A, 0x82]);
    assert_eq!(bus.ccid(0x6F, 8, [0, 3, 0], &select)[7..9], [0x40, 8]);
}

#[test]
fn the_reader_asks_for_patience_until_the_key_is_touched() {
    let mut bus = Bus::new();
    bus.ccid(0x62, 1, [0; 3], &[]);
    bus.apdu(&[0, 0xA4, 4, 0, 7, 0xA0, 0, 0, 5, 0x27, 0x21, 1]);
    let mut put = vec![0, 1, 0, 0, 0x1D, 0x71, 1, b't', 0x73, 0x16, 0x21, 6];
    put.extend_from_slice(&[0x42; 20]);
    put.extend_from_slice(&[0x78, 2]);
    assert_eq!(bus.apdu(&put), [0x90, 0]);
    let calculate = [0, 0xA2, 0, 1, 13, 0x71, 1, b't', 0x74, 8, 0, 0, 0, 0, 0, 0, 0, 1];
    bus.out(2, &ccid(0x6F, 9, [0; 3], &calculate));
    let mut patience = 0;
    for _ in 0..190 {
        if let Some(frame) = bus.input(2, 64) {
            assert_eq!(frame, [0x80, 0, 0, 0, 0, 0, 9, 0x80, 1, 0]);
            patience += 1;
        }
        bus.bench.pass(10);
    }
    assert_eq!(patience, 3);
    // Meanwhile the slot is busy.
    assert_eq!(bus.ccid(0x65, 10, [0; 3], &[])[7..9], [0x40, 0xE0]);
    bus.bench.key.touch().unwrap();
    let answer = bus.input(2, 64).unwrap();
    assert_eq!((answer[6], &answer[10..13]), (9, &[0x76, 5, 6][..]));
    assert!(answer.ends_with(&[0x90, 0]));
}

#[test]
fn faults_of_the_reader() {
    let faults = Faults::new();
    let mut bus = Bus::of(VirtualKey::builder().faults(faults.clone()));
    faults.add("ccid-sequence".parse().unwrap());
    assert_eq!(bus.ccid(0x65, 5, [0; 3], &[])[6], 6);
    bus.ccid(0x62, 1, [0; 3], &[]);
    faults.add("ccid-extension=2".parse().unwrap());
    bus.out(2, &ccid(0x65, 6, [0; 3], &[]));
    let mut seen = Vec::new();
    for _ in 0..120 {
        seen.extend(bus.input(2, 64).map(|frame| frame[7]));
        bus.bench.pass(10);
    }
    assert_eq!(seen, [0x80, 0]);
    faults.add("mute".parse().unwrap());
    bus.out(2, &ccid(0x6F, 7, [0; 3], &[0, 0xA4, 4, 0]));
    bus.bench.pass(60_000);
    assert!(bus.input(2, 64).is_none());
    assert_eq!(bus.ccid(0x65, 8, [0; 3], &[])[7], 0);
    faults.add("usb-stall=80".parse().unwrap());
    assert!(matches!(faults.list().last().map(|one| one.fired), Some(0)));
    let device = Setup { request_type: 0x80, request: 6, value: 0x0100, index: 0, length: 18 };
    assert_eq!(bus.control(device, &[]).status, Status::Stall);
    assert_eq!(bus.control(device, &[]).status, Status::Done);
}
