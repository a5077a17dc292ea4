//! Keys that come and go, on a clock that only moves when the watch waits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tapkey_driver::clock::ManualClock;
use tapkey_driver::discover::Diagnostic;
use tapkey_driver::discover::watch::{Event, Look, Sighting, Source, Watch};
use tapkey_driver::{CancelToken, Connector, Control, Error, UsbPlace, Ways};
use tapkey_emulator::port::in_process::PluggedKey;
use tapkey_emulator::{Power, VirtualKey};
use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink};
use tapkey_protocol::management::ProductId;

const ONE: u32 = 0xF000_0001;
const TWO: u32 = 0xF000_0002;

/// One interface of a key.
struct Interface {
    name: String,
    ways: Ways,
    place: UsbPlace,
    key: PluggedKey,
    locked: Arc<Mutex<bool>>,
    opened: Arc<AtomicUsize>,
}

impl Connector for Interface {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn open_otp_link(&self) -> Result<Option<Box<dyn OtpLink>>, LinkError> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        if *self.locked.lock().unwrap() {
            return Err(LinkError::PermissionDenied { what: self.name.clone() });
        }
        Ok(Some(Box::new(self.key.otp()?)))
    }

    fn open_card_link(&self) -> Result<Option<Box<dyn CardLink>>, LinkError> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(Some(Box::new(self.key.card()?)))
    }

    fn ways(&self) -> Ways {
        self.ways
    }

    fn usb(&self) -> UsbPlace {
        self.place
    }
}

/// What is plugged in, and what was heard.
#[derive(Default)]
struct World {
    sightings: Vec<Sighting>,
    problems: Vec<&'static str>,
    news: usize,
    looks: usize,
    sees_cards: bool,
}

type Shared = Arc<Mutex<World>>;

struct Fake(Shared);

impl Source for Fake {
    fn look(&mut self, _nudged: bool, _now: Instant) -> Look {
        let mut world = self.0.lock().unwrap();
        world.looks += 1;
        let problem = |place: &&str| Diagnostic {
            place: (*place).to_owned(),
            error: LinkError::Unavailable { what: "it".to_owned() }.into(),
        };
        Look {
            sightings: world.sightings.clone(),
            problems: world.problems.iter().map(problem).collect(),
            sees_cards: world.sees_cards,
        }
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn wait(&mut self, limit: Duration, control: &Control) -> Result<bool, Error> {
        let start = control.clock().now();
        loop {
            let news = std::mem::take(&mut self.0.lock().unwrap().news);
            if news > 0 {
                return Ok(true);
            }
            let left = limit.saturating_sub(control.clock().now() - start);
            if left.is_zero() {
                return Ok(false);
            }
            control.sleep(left.min(Duration::from_millis(10)))?;
        }
    }
}

struct Key {
    plugged: PluggedKey,
    locked: Arc<Mutex<bool>>,
    opened: Arc<AtomicUsize>,
}

impl Key {
    fn new(serial: u32) -> Self {
        let key = VirtualKey::builder().serial(serial).build().unwrap();
        Self { plugged: PluggedKey::new(key).unwrap(), locked: Arc::default(), opened: Arc::default() }
    }

    fn interface(&self, name: &str, mark: &str, ways: Ways, place: UsbPlace) -> Sighting {
        let connector = Arc::new(Interface {
            name: name.to_owned(),
            ways,
            place,
            key: self.plugged.clone(),
            locked: Arc::clone(&self.locked),
            opened: Arc::clone(&self.opened),
        });
        Sighting { connector, mark: format!("{name} {mark}") }
    }

    fn hid(&self, name: &str, device: u32) -> Sighting {
        let place = UsbPlace { product: Some(ProductId(0x0407)), address: Some((1, device)), port: None };
        self.interface(name, &device.to_string(), Ways { hid: true, card: None }, place)
    }

    fn card(&self, reader: &str, count: u32) -> Sighting {
        let ways = Ways { hid: false, card: Some(CardTransport::Usb) };
        self.interface(reader, &count.to_string(), ways, UsbPlace::default())
    }

    fn tap(&self, reader: &str, count: u32) -> Sighting {
        self.plugged.plug(Power::Nfc).unwrap();
        let ways = Ways { hid: false, card: Some(CardTransport::Nfc) };
        self.interface(reader, &count.to_string(), ways, UsbPlace::default())
    }
}

type Act = Box<dyn FnMut(&mut World) + Send>;

/// A world, what will happen in it (milliseconds from the beginning), and a watch on it.
fn watch(world: World, script: Vec<(u64, Act)>) -> (Shared, Watch, Arc<ManualClock>, CancelToken) {
    let world = Arc::new(Mutex::new(world));
    let (shared, script) = (Arc::clone(&world), Mutex::new(script));
    let clock = Arc::new(ManualClock::with_hook(move |elapsed| {
        let mut world = shared.lock().unwrap();
        let due = |at: u64| Duration::from_millis(at) <= elapsed;
        for (_, mut act) in script.lock().unwrap().extract_if(.., |(at, _)| due(*at)) {
            act(&mut world);
        }
    }));
    let cancel = CancelToken::new();
    let control =
        Control::with_clock(clock.clone()).with_timeout(Duration::from_secs(20)).with_cancel(cancel.clone());
    let watch = Watch::over(Box::new(Fake(Arc::clone(&world))), &control);
    (world, watch, clock, cancel)
}

fn at(milliseconds: u64, act: impl FnMut(&mut World) + Send + 'static) -> (u64, Act) {
    (milliseconds, Box::new(act))
}

/// All events until the deadline, as text.
fn told(watch: Watch) -> Vec<String> {
    let mut told = Vec::new();
    for event in watch {
        told.push(match event {
            Ok(Event::Plugged { device, already }) => {
                let word = if already { "present" } else { "plugged" };
                format!("{word} {:x} {}", device.serial().unwrap(), device.ways())
            }
            Ok(Event::Unplugged { device }) => format!("unplugged {:x}", device.serial().unwrap()),
            Ok(Event::Changed { device }) => {
                format!("changed {:x} {}", device.serial().unwrap(), device.ways())
            }
            Ok(Event::Ready) => "ready".to_owned(),
            Ok(Event::Problem(diagnostic)) => format!("problem {}", diagnostic.place),
            Err(Error::DeadlinePassed) => break,
            other => panic!("{other:?}"),
        });
    }
    told
}

fn cards() -> World {
    World { sees_cards: true, ..World::default() }
}

#[test]
fn what_is_there_comes_first_and_a_pulled_key_is_missed() {
    let key = Key::new(ONE);
    let opened = Arc::clone(&key.opened);
    let world = World { sightings: vec![key.hid("hidraw0", 5), key.card("reader 0", 1)], ..cards() };
    let (_, watch, _, _) = watch(world, vec![at(3000, |world| world.sightings.clear())]);
    assert_eq!(told(watch), ["present f0000001 HID+CCID", "ready", "unplugged f0000001"]);
    assert!(opened.load(Ordering::SeqCst) <= 2, "a key that is there is left alone");
}

#[test]
fn a_key_with_two_interfaces_makes_one_event() {
    let key = Key::new(ONE);
    let (hid, card) = (key.hid("hidraw0", 5), key.card("reader 0", 1));
    let (_, watch, _, _) = watch(
        cards(),
        vec![
            at(1000, move |world| {
                world.sightings.push(hid.clone());
                world.news += 1;
            }),
            // The smart-card service takes a second.
            at(2000, move |world| world.sightings.push(card.clone())),
            at(5000, |world| {
                world.sightings.remove(0);
                world.news += 1;
            }),
            at(6000, |world| world.sightings.clear()),
        ],
    );
    assert_eq!(told(watch), ["ready", "plugged f0000001 HID+CCID", "unplugged f0000001"]);
}

#[test]
fn an_interface_that_comes_late_or_goes_alone_changes_the_key() {
    let key = Key::new(ONE);
    let (hid, card) = (key.hid("hidraw0", 5), key.card("reader 0", 1));
    let (_, watch, _, _) = watch(
        World { sightings: vec![hid], ..cards() },
        vec![
            at(2000, move |world| world.sightings.push(card.clone())),
            at(8000, |world| world.sightings.truncate(1)),
        ],
    );
    assert_eq!(
        told(watch),
        ["present f0000001 HID", "ready", "changed f0000001 HID+CCID", "changed f0000001 HID"]
    );
}

#[test]
fn news_come_fast_where_no_second_half_is_awaited() {
    let key = Key::new(ONE);
    let hid = key.hid("hidraw0", 5);
    let (_, mut watch, clock, _) = watch(
        World::default(),
        vec![at(1500, move |world| {
            world.sightings.push(hid.clone());
            world.news += 1;
        })],
    );
    assert!(matches!(watch.next_event(), Ok(Event::Ready)));
    assert!(matches!(watch.next_event(), Ok(Event::Plugged { already: false, .. })));
    assert!(clock.elapsed() < Duration::from_millis(2000), "{:?}", clock.elapsed());
}

#[test]
fn a_replug_within_the_settle_time_is_seen() {
    let key = Key::new(ONE);
    let (before, again) = (key.hid("hidraw0", 5), key.hid("hidraw0", 6));
    let reader = (key.card("reader 0", 1), key.card("reader 0", 1));
    let (_, watch, _, _) = watch(
        World { sightings: vec![before, reader.0], ..cards() },
        vec![
            at(2000, |world| {
                world.sightings.clear();
                world.news += 1;
            }),
            // The reader comes back under the same name and number.
            at(2150, move |world| {
                world.sightings = vec![again.clone(), reader.1.clone()];
                world.news += 1;
            }),
        ],
    );
    assert_eq!(
        told(watch),
        ["present f0000001 HID+CCID", "ready", "unplugged f0000001", "plugged f0000001 HID+CCID"]
    );
}

#[test]
fn two_keys_at_once() {
    let (one, two) = (Key::new(ONE), Key::new(TWO));
    let all =
        vec![two.hid("hidraw0", 5), one.hid("hidraw1", 6), one.card("reader 0", 1), two.card("reader 1", 1)];
    let (_, watch, _, _) = watch(
        cards(),
        vec![
            at(1000, move |world| {
                world.sightings.clone_from(&all);
                world.news += 4;
            }),
            // One of them goes, with both its interfaces.
            at(6000, |world| {
                world.sightings.remove(3);
                world.sightings.remove(0);
            }),
        ],
    );
    assert_eq!(
        told(watch),
        ["ready", "plugged f0000001 HID+CCID", "plugged f0000002 HID+CCID", "unplugged f0000002"]
    );
}

#[test]
fn a_node_without_permission_is_a_problem_and_hides_nobody() {
    let (one, two) = (Key::new(ONE), Key::new(TWO));
    *one.locked.lock().unwrap() = true;
    let locked = Arc::clone(&one.locked);
    let both = vec![one.hid("hidraw0", 5), two.hid("hidraw1", 6)];
    let (_, watch, _, _) = watch(
        World::default(),
        vec![
            at(1000, move |world| world.sightings.clone_from(&both)),
            // Somebody puts the rules right.
            at(9000, move |_| *locked.lock().unwrap() = false),
        ],
    );
    assert_eq!(told(watch), ["ready", "plugged f0000002 HID", "problem hidraw0", "plugged f0000001 HID"]);
}

#[test]
fn a_right_that_udev_gives_a_moment_later_is_no_problem() {
    let key = Key::new(ONE);
    *key.locked.lock().unwrap() = true;
    let locked = Arc::clone(&key.locked);
    let hid = key.hid("hidraw0", 5);
    let (_, watch, _, _) = watch(
        World::default(),
        vec![
            at(1000, move |world| world.sightings.push(hid.clone())),
            at(2200, move |_| *locked.lock().unwrap() = false),
        ],
    );
    assert_eq!(told(watch), ["ready", "plugged f0000001 HID"]);
}

#[test]
fn a_tap_on_a_reader_comes_and_goes() {
    let key = Key::new(ONE);
    let tap = key.tap("ACS ACR122U 00 00", 3);
    let (_, watch, _, _) = watch(
        cards(),
        vec![
            at(1000, move |world| world.sightings.push(tap.clone())),
            at(3000, |world| world.sightings.clear()),
        ],
    );
    assert_eq!(told(watch), ["ready", "plugged f0000001 NFC", "unplugged f0000001"]);
}

#[test]
fn what_goes_before_it_was_asked_is_not_mentioned() {
    let key = Key::new(ONE);
    let hid = key.hid("hidraw0", 5);
    let (_, watch, _, _) = watch(
        cards(),
        vec![
            at(1000, move |world| {
                world.sightings.push(hid.clone());
                world.news += 1;
            }),
            at(1200, |world| world.sightings.clear()),
        ],
    );
    assert_eq!(told(watch), ["ready"]);
}

#[test]
fn news_without_change_cause_looks_and_nothing_else() {
    let key = Key::new(ONE);
    let opened = Arc::clone(&key.opened);
    let world = World { sightings: vec![key.hid("hidraw0", 5)], ..World::default() };
    let script = (0..500).map(|number| at(1000 + 10 * number, |world: &mut World| world.news += 1)).collect();
    let (_, watch, _, _) = watch(world, script);
    assert_eq!(told(watch), ["present f0000001 HID", "ready"]);
    assert_eq!(opened.load(Ordering::SeqCst), 1);
}

#[test]
fn a_restless_bus_is_reported_nevertheless() {
    let key = Key::new(ONE);
    let hid = key.hid("hidraw0", 5);
    let other = Key::new(TWO);
    // A second key with a loose contact comes and goes all the time.
    let flicker = (0..190).map(|number| {
        let (hid, other) = (hid.clone(), other.hid("hidraw1", 100 + number));
        at(1000 + 100 * u64::from(number), move |world: &mut World| {
            world.sightings = vec![hid.clone()];
            if number % 2 == 1 {
                world.sightings.push(other.clone());
            }
            world.news += 1;
        })
    });
    let (_, watch, _, _) = watch(World::default(), flicker.collect());
    let told = told(watch);
    assert_eq!(told.iter().filter(|line| *line == "plugged f0000001 HID").count(), 1, "{told:?}");
}

#[test]
fn a_service_that_is_missing_is_told_once_each_time() {
    let (_, watch, _, _) = watch(
        World { problems: vec!["smart-card readers"], ..World::default() },
        vec![
            at(3000, |world| world.problems.clear()),
            at(6000, |world| world.problems.push("smart-card readers")),
        ],
    );
    assert_eq!(told(watch), ["problem smart-card readers", "ready", "problem smart-card readers"]);
}

#[test]
fn cancelling_ends_it_and_it_stays_ended() {
    let (world, mut watch, _, cancel) = watch(World::default(), Vec::new());
    assert!(matches!(watch.next(), Some(Ok(Event::Ready))));
    cancel.cancel();
    assert!(matches!(watch.next(), Some(Err(Error::Cancelled))));
    assert!(watch.next().is_none());
    assert_eq!(world.lock().unwrap().looks, 1);
}
