//! Random hosts: one that knows nothing gets nowhere, and one that knows everything is answered as
//! a model of the rules says.

use proptest::prelude::*;
use tapkey_emulator::port::in_process::PluggedKey;
use tapkey_protocol::link::CardLink;
use tapkey_protocol::piv::{ManagementKeyType, SetManagementKey, TouchPolicy as Touch};

use super::*;

const ONCE: Slot = Slot::AUTHENTICATION;
const ALWAYS: Slot = Slot::SIGNATURE;
const NEVER: Slot = Slot::CARD_AUTHENTICATION;
const ADMINISTRATION: [u8; 6] = [0x47, 0xFE, 0xDB, 0xF6, 0xFA, 0xFF];
const REFERENCES: [u8; 2] = [0x24, 0x2C];

/// A key whose secrets are nobody's defaults, stored so that each case begins with the same.
fn guarded() -> MemoryStore {
    let store = MemoryStore::new();
    let bench =
        Bench::with(VirtualKey::builder().state(store.clone()).random(SeededRandom::new(6)).build().unwrap());
    let piv = Piv::opened(&bench);
    for slot in [ONCE, ALWAYS] {
        piv.make(slot, Algorithm::P256);
    }
    objects::put(&piv, "5fc109", &[0x5E; 9]).unwrap();
    objects::put(&piv, "5fc102", &[0x11; 9]).unwrap();
    piv.send(&command::set_retries(255, 255)).unwrap();
    piv.change_pin(b"123456", b"h4rd2gss").unwrap();
    let change = ChangeReference::puk(&Puk::new(b"12345678").unwrap(), &Puk::new(b"8harder8").unwrap());
    piv.send(&command::change_reference(reference::PUK, &change)).unwrap();
    let key = ManagementKey::new(ManagementKeyType::Aes256, vec![0xC4; 32].into()).unwrap();
    piv.send(&command::set_management_key(&SetManagementKey { key, touch: Touch::Never })).unwrap();
    store
}

fn copy(store: &MemoryStore) -> MemoryStore {
    let document = store.clone().load().unwrap().unwrap();
    let copy = MemoryStore::new();
    copy.clone().save(document.expose()).unwrap();
    copy
}

/// Something that looks like a command of the application.
fn stranger() -> impl Strategy<Value = Vec<u8>> {
    let ins = prop_oneof![
        Just(0x87_u8),
        Just(0x20),
        Just(0x24),
        Just(0x2C),
        Just(0x47),
        Just(0xCB),
        Just(0xDB),
        Just(0xF6),
        Just(0xF7),
        Just(0xF9),
        Just(0xFA),
        Just(0xFB),
        Just(0xFE),
        Just(0xFF),
        Just(0xC0),
        any::<u8>(),
    ];
    let p2 = prop_oneof![
        Just(0x80_u8),
        Just(0x81),
        Just(0x9B),
        Just(0x9A),
        Just(0x9C),
        Just(0xFF),
        Just(0xF9),
        Just(0),
        any::<u8>(),
    ];
    let p1 = prop_oneof![Just(0_u8), Just(0x0C), Just(0x11), Just(0x3F), Just(0xFF), Just(0x82), any::<u8>()];
    let block = || proptest::collection::vec(any::<u8>(), 16..=16);
    let data = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        Just(vec![]),
        Just(vec![0x7C, 2, 0x80, 0]),
        Just(vec![0x7C, 2, 0x81, 0]),
        Just(vec![0x5C, 3, 0x5F, 0xC1, 0x09]),
        Just(vec![0x5C, 3, 0x5F, 0xC1, 0x02, 0x53, 0]),
        Just(vec![0xAC, 3, 0x80, 1, 0x11]),
        block().prop_map(|block| [&[0x7C, 18, 0x82, 16][..], &block].concat()),
        (block(), block()).prop_map(|(a, b)| [&[0x7C, 36, 0x80, 16][..], &a, &[0x81, 16], &b].concat()),
        Just([&[0x7C, 36, 0x82, 0, 0x81, 32][..], &[7; 32]].concat()),
        any::<[u8; 8]>().prop_map(|pin| pin.to_vec()),
        any::<[u8; 16]>().prop_map(|pins| pins.to_vec()),
    ];
    let class = prop_oneof![9 => Just(0_u8), 1 => Just(0x10)];
    (class, ins, p1, p2, data).prop_map(|(class, ins, p1, p2, data)| {
        let mut command = vec![class, ins, p1, p2];
        if !data.is_empty() {
            command.push(u8::try_from(data.len()).unwrap());
            command.extend(data);
        }
        command
    })
}

/// Answers a question of the management key with what was just seen.
fn reflect(answer: &[u8], both: bool) -> Vec<u8> {
    let block = answer.get(4..20).unwrap_or(&[0; 16]);
    let body = if both {
        [&[0x7C, 36, 0x80, 16][..], block, &[0x81, 16], block].concat()
    } else {
        [&[0x7C, 18, 0x82, 16][..], block].concat()
    };
    [&[0, 0x87, 0x0C, 0x9B, u8::try_from(body.len()).unwrap()][..], &body].concat()
}

fn is_forbidden(command: &[u8]) -> bool {
    let reads_printed = command[1] == 0xCB && command.ends_with(&[0x5F, 0xC1, 0x09]);
    let uses_key = command[1] == 0x87 && [ONCE.id(), ALWAYS.id()].contains(&command[3]);
    ADMINISTRATION.contains(&command[1]) || REFERENCES.contains(&command[1]) || reads_printed || uses_key
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_host_that_knows_nothing_gets_nowhere(
        commands in proptest::collection::vec((stranger(), any::<bool>(), any::<bool>()), 1..60),
    ) {
        static STORE: std::sync::OnceLock<MemoryStore> = std::sync::OnceLock::new();
        let store = copy(STORE.get_or_init(guarded));
        let before = secrets(&store);
        let key = VirtualKey::builder().state(store.clone()).random(SeededRandom::new(8)).build().unwrap();
        let key = PluggedKey::new(key).unwrap();
        let mut card = key.card().unwrap();
        card.transmit(&[0, 0xA4, 4, 0, 5, 0xA0, 0, 0, 3, 8]).unwrap();
        for (command, reflects, both) in commands {
            let answer = card.transmit(&command).unwrap();
            let done = answer.ends_with(&[0x90, 0]) && command[0] == 0;
            prop_assert!(!(done && is_forbidden(&command)), "{command:02x?}");
            if reflects && answer.starts_with(&[0x7C]) {
                let reflected = card.transmit(&reflect(&answer, both)).unwrap();
                prop_assert!(!reflected.ends_with(&[0x90, 0]), "{command:02x?} was its own answer");
            }
        }
        drop(key);
        prop_assert_eq!(secrets(&store), before, "nothing was changed but tries");
    }
}

/// The document without the tries that are left.
fn secrets(store: &MemoryStore) -> String {
    let document = String::from_utf8(store.clone().load().unwrap().unwrap().expose().to_vec()).unwrap();
    document.lines().filter(|line| !line.contains("\"left\"")).collect()
}

/// What the host does that knows everything.
#[derive(Clone, Copy, Debug)]
enum Step {
    Verify(bool),
    LogOut,
    Query,
    ChangePin(bool),
    Unblock(bool),
    Prove(bool),
    Sign(Slot),
    SelectAgain,
    SelectOther,
    Reset,
    CardReset,
    ReadPrinted,
    Write,
    Generate,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<bool>().prop_map(Step::Verify),
        1 => Just(Step::LogOut),
        2 => Just(Step::Query),
        1 => any::<bool>().prop_map(Step::ChangePin),
        2 => any::<bool>().prop_map(Step::Unblock),
        2 => any::<bool>().prop_map(Step::Prove),
        2 => Just(Step::Sign(ONCE)),
        3 => Just(Step::Sign(ALWAYS)),
        1 => Just(Step::Sign(NEVER)),
        1 => Just(Step::SelectAgain),
        1 => Just(Step::SelectOther),
        1 => Just(Step::Reset),
        1 => Just(Step::CardReset),
        2 => Just(Step::ReadPrinted),
        2 => Just(Step::Write),
        1 => Just(Step::Generate),
    ]
}

/// The rules, written down a second time.
#[derive(Debug)]
struct Model {
    pin: u8,
    puk: u8,
    verified: bool,
    fresh: bool,
    administrator: bool,
}

impl Model {
    const fn new() -> Self {
        Self { pin: 3, puk: 3, verified: false, fresh: false, administrator: false }
    }

    fn leave(&mut self) {
        (self.verified, self.fresh, self.administrator) = (false, false, false);
    }

    fn judge(left: &mut u8, right: bool) -> Result<(), StatusWord> {
        match (*left, right) {
            (0, _) => Err(BLOCKED),
            (_, true) => {
                *left = 3;
                Ok(())
            }
            (_, false) => {
                *left -= 1;
                Err(if *left == 0 { BLOCKED } else { tries_left(*left) })
            }
        }
    }

    fn expect(&mut self, step: Step) -> Result<(), StatusWord> {
        let guarded = |open: bool| if open { Ok(()) } else { Err(LOCKED) };
        match step {
            Step::Verify(right) => {
                let answer = Self::judge(&mut self.pin, right);
                self.verified = answer.is_ok();
                self.fresh = answer.is_ok();
                answer
            }
            Step::LogOut => {
                (self.verified, self.fresh) = (false, false);
                Ok(())
            }
            Step::Query if self.verified => Ok(()),
            Step::Query => Err(if self.pin == 0 { BLOCKED } else { tries_left(self.pin) }),
            Step::ChangePin(right) => {
                let answer = Self::judge(&mut self.pin, right);
                if answer.is_err() {
                    (self.verified, self.fresh) = (false, false);
                }
                answer
            }
            Step::Unblock(right) => {
                Self::judge(&mut self.puk, right)?;
                self.pin = 3;
                Ok(())
            }
            Step::Prove(right) => {
                self.administrator = right;
                guarded(right)
            }
            Step::Sign(slot) => {
                let open = slot == NEVER || (slot == ONCE && self.verified) || (slot == ALWAYS && self.fresh);
                if open && slot != NEVER {
                    self.fresh = false;
                }
                guarded(open)
            }
            Step::SelectAgain => Ok(()),
            Step::SelectOther | Step::CardReset => {
                self.leave();
                Ok(())
            }
            Step::Reset if self.pin == 0 && self.puk == 0 => {
                *self = Self::new();
                Ok(())
            }
            Step::Reset => Err(StatusWord::CONDITIONS_NOT_SATISFIED),
            Step::ReadPrinted => guarded(self.verified),
            Step::Write | Step::Generate => guarded(self.administrator),
        }
    }
}

fn perform(bench: &Bench, step: Step) -> Result<(), StatusWord> {
    let piv = Piv { bench };
    let guess = |right: bool| if right { &b"123456"[..] } else { b"000000" };
    match step {
        Step::Verify(right) => piv.verify(guess(right)),
        Step::LogOut => piv.send(&command::log_out()).map(drop),
        Step::Query => piv.send(&command::pin_state()).map(drop),
        Step::ChangePin(right) => piv.change_pin(guess(right), b"123456"),
        Step::Unblock(right) => piv.unblock(if right { b"12345678" } else { b"87654321" }, b"123456"),
        Step::Prove(true) => piv.prove(&ManagementKey::factory(Profile::default().version())),
        Step::Prove(false) => {
            piv.prove(&ManagementKey::new(ManagementKeyType::Aes192, vec![9; 24].into()).unwrap())
        }
        Step::Sign(slot) => piv.sign(slot).map(drop),
        Step::SelectAgain => bench.select(aid::PIV).map(drop),
        Step::SelectOther => {
            bench.select(common::AID_MANAGEMENT).unwrap();
            bench.select(aid::PIV).map(drop)
        }
        Step::CardReset => {
            bench.key.with(VirtualKey::card_reset);
            bench.select(aid::PIV).map(drop)
        }
        Step::Reset => piv.send(&command::reset()).map(drop),
        Step::ReadPrinted => objects::get(&piv, "5fc109").map(drop),
        Step::Write => objects::put(&piv, "5fc102", &[1]),
        Step::Generate => piv.generate(Slot::KEY_MANAGEMENT, &Generate::new(Algorithm::P256)).map(drop),
    }
}

/// What a reset took is put back, so that the steps after it mean something.
fn furnish(bench: &Bench) {
    let piv = Piv::opened(bench);
    for slot in [ONCE, ALWAYS, NEVER] {
        piv.make(slot, Algorithm::P256);
    }
    objects::put(&piv, "5fc109", &[0x5E; 9]).unwrap();
    bench.key.with(VirtualKey::card_reset);
    bench.select(aid::PIV).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn every_answer_is_the_models(steps in proptest::collection::vec(step(), 1..80)) {
        let bench = Bench::new();
        furnish(&bench);
        let mut model = Model::new();
        for (number, step) in steps.iter().enumerate() {
            let expected = model.expect(*step);
            prop_assert_eq!(perform(&bench, *step), expected, "step {} of {:?}: {:?}", number, steps, model);
            if matches!(step, Step::Reset) && expected.is_ok() {
                furnish(&bench);
            }
        }
    }
}
