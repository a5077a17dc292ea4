//! What a press types, and when.

use super::*;

#[test]
fn a_press_is_typed_at_a_keys_pace() {
    let bench = Bench::new();
    bench.program(Slot::One, &yubico());
    let mut bus = Bus::with(bench);
    assert!(bus.input(1, 8).is_none());
    let (text, times) = bus.listen(Slot::One);
    assert_eq!(text.len(), 45, "{text:?}");
    assert!(text.ends_with('\n') && text[..44].bytes().all(|one| b"cbdefghijklnrtuv".contains(&one)));
    // Two reports per character, 10 ms each.
    assert_eq!(times.len(), 90);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 10), "{times:?}");
    bus.device.set_speed(Speed::Fast);
    let (again, times) = bus.listen(Slot::One);
    assert_ne!(again, text);
    assert_eq!((times.len(), times.last()), (90, times.first()));
}

#[test]
fn pacing_flags_slow_the_typing_down() {
    use tapkey_protocol::slot::ConfigFlags;
    let bench = Bench::new();
    let mut record = yubico().record();
    record.config = record.config | ConfigFlags::PACING_10MS | ConfigFlags::PACING_20MS;
    bench.write(Slot::One, record);
    let mut bus = Bus::with(bench);
    let (text, times) = bus.listen(Slot::One);
    assert_eq!(text.len(), 45);
    let characters: Vec<_> = times.iter().step_by(2).collect();
    let gaps: Vec<_> = characters.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // 20 ms as ever, and 30 ms more.
    assert!(gaps.iter().all(|gap| (48..=52).contains(gap)), "{gaps:?}");
}
