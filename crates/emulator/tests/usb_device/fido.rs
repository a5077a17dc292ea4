//! CTAPHID.

use super::*;

#[test]
fn ctaphid_channels() {
    let mut bus = Bus::new();
    let (command, answer) = bus.ctaphid(u32::MAX, 0x06, b"abcdefgh");
    assert_eq!((command, answer.len()), (0x06, 17));
    assert_eq!(answer[12..], [2, 5, 7, 4, 0x05]);
    let first = bus.channel();
    let second = bus.channel();
    assert_ne!(first, second);
    // A long PING.
    let long: Vec<u8> = (0..=255).cycle().take(1024).collect();
    assert_eq!(bus.ctaphid(first, 0x01, &long), (0x01, long.clone()));
    let longest = vec![9; 7609];
    assert_eq!(bus.ctaphid(second, 0x01, &longest), (0x01, longest));
    assert_eq!(bus.ctaphid(first, 0x08, &[]), (0x08, vec![]));
    assert_eq!(bus.device.winks(), 1);
    // Channels that were not given out, unknown commands, too much data.
    for channel in [0, 77, u32::MAX] {
        assert_eq!(bus.ctaphid(channel, 0x01, b"x"), (0x3F, vec![0x0B]));
    }
    assert_eq!(bus.ctaphid(first, 0x55, b"x"), (0x3F, vec![0x01]));
    let mut oversized = packets(first, 0x01, b"x").remove(0);
    oversized[5..7].copy_from_slice(&7610_u16.to_be_bytes());
    bus.out(4, &oversized);
    assert_eq!(bus.ctaphid_answer(first), Some((0x3F, vec![0x03])));
    // Starting over on a channel answers on it.
    let (_, answer) = bus.ctaphid(first, 0x06, b"abcdefgh");
    assert_eq!(answer[8..12], first.to_be_bytes());
}

#[test]
fn ctaphid_messages_that_go_wrong() {
    let mut bus = Bus::new();
    let (one, two) = (bus.channel(), bus.channel());
    let parts = packets(one, 0x01, &[5; 150]);
    // Another channel meanwhile is told to wait, and disturbs nothing.
    bus.out(4, &parts[0]);
    assert_eq!(bus.ctaphid(two, 0x01, b"x"), (0x3F, vec![0x06]));
    let three = bus.channel();
    assert!(three > two);
    bus.out(4, &parts[1]);
    bus.out(4, &parts[2]);
    assert_eq!(bus.ctaphid_answer(one), Some((0x01, vec![5; 150])));
    // A part out of turn.
    bus.out(4, &parts[0]);
    bus.out(4, &parts[2]);
    assert_eq!(bus.ctaphid_answer(one), Some((0x3F, vec![0x04])));
    bus.out(4, &parts[1]);
    assert_eq!(bus.ctaphid_answer(one), None);
    // A part that stays away.
    bus.out(4, &parts[0]);
    bus.bench.pass(499);
    assert_eq!(bus.ctaphid_answer(one), None);
    bus.bench.pass(1);
    assert_eq!(bus.ctaphid_answer(one), Some((0x3F, vec![0x05])));
    // A message inside a message; starting over.
    bus.out(4, &parts[0]);
    assert_eq!(bus.ctaphid(one, 0x01, b"x"), (0x3F, vec![0x04]));
    bus.out(4, &parts[0]);
    assert_eq!(bus.ctaphid(one, 0x06, b"12345678").0, 0x06);
    assert_eq!(bus.ctaphid(one, 0x01, b"x"), (0x01, b"x".to_vec()));
}

#[test]
fn fido_says_what_the_key_is() {
    let mut bus = Bus::new();
    let channel = bus.channel();
    let (command, info) = bus.ctaphid(channel, 0x10, &[0x04]);
    assert_eq!((command, info[0], info[1]), (0x10, 0, 0xA4));
    assert!(info.windows(16).any(|window| window == AAGUID));
    assert_eq!(bus.ctaphid(channel, 0x10, &[0x01]), (0x10, vec![0x01]));
    let version = bus.ctaphid(channel, 0x03, &[0, 3, 0, 0, 0, 0, 0]);
    assert_eq!(version, (0x03, b"U2F_V2\x90\x00".to_vec()));
    assert_eq!(bus.ctaphid(channel, 0x03, &[0, 1, 0, 0, 0, 0, 0]), (0x03, vec![0x6D, 0]));
    let (command, page) = bus.ctaphid(channel, 0x42, &[0]);
    assert_eq!(command, 0x42);
    assert_eq!(DeviceInfo::parse(&page).unwrap().serial, Some(bus.bench.key.snapshot().serial));
    assert_eq!(bus.ctaphid(channel, 0x42, &[1]).0, 0x3F);
}

#[test]
fn fido_waits_for_a_touch_and_says_so() {
    let mut bus = Bus::new();
    let (one, two) = (bus.channel(), bus.channel());
    let begin = packets(one, 0x10, &[0x0B]).remove(0);
    let cancel = packets(one, 0x11, &[]).remove(0);
    // Ten notices a second, then the touch.
    bus.out(4, &begin);
    let mut notices = 0;
    for _ in 0..99 {
        if let Some(notice) = bus.ctaphid_answer(one) {
            assert_eq!(notice, (0x3B, vec![2]));
            notices += 1;
        }
        bus.bench.pass(10);
    }
    assert_eq!(notices, 10);
    assert_eq!(bus.bench.key.snapshot().led, "blinking");
    bus.out(4, &packets(two, 0x01, b"x")[0]);
    bus.bench.key.touch().unwrap();
    assert_eq!(bus.ctaphid_answer(two), Some((0x3F, vec![0x06])));
    assert_eq!(bus.ctaphid_answer(one), Some((0x10, vec![0])));
    // Given up, and nobody there.
    bus.out(4, &begin);
    assert_eq!(bus.ctaphid_answer(one), Some((0x3B, vec![2])));
    bus.out(4, &cancel);
    assert_eq!(bus.ctaphid_answer(one), Some((0x10, vec![0x2D])));
    assert_eq!(bus.bench.key.snapshot().led, "on");
    bus.out(4, &begin);
    bus.bench.pass(15_000);
    assert_eq!(bus.ctaphid_answer(one), Some((0x10, vec![0x2F])));
}
