//! Calls the functions as pcscd does, with an emulator in another thread.
#![allow(clippy::indexing_slicing, clippy::as_conversions, reason = "a test may end by a panic")]
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "the same call with null everywhere")]

use std::ffi::CString;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tapkey_emulator::port::in_process::PluggedKey;
use tapkey_emulator::port::socket::{Server, Stopper};
use tapkey_emulator::{Power, VirtualKey};

use super::*;
use crate::reader::ABSENCE;

const SELECT_OTP: [u8; 12] = [0, 0xA4, 4, 0, 7, 0xA0, 0, 0, 5, 0x27, 0x20, 1];
const STATUS: [u8; 4] = [0, 3, 0, 0];

/// A reader as pcscd sees it. Every test has a number of its own, as every reader has.
struct Slot(Dword);

impl Slot {
    fn open(device: &str) -> Self {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        let slot = Self(Dword::from(NUMBERS.fetch_add(1, Ordering::Relaxed)) << 16);
        let device = CString::new(device).unwrap();
        // SAFETY: a text with a zero byte behind it.
        assert_eq!(unsafe { IFDHCreateChannelByName(slot.0, device.as_ptr()) }, SUCCESS);
        slot
    }

    fn presence(&self) -> ResponseCode {
        IFDHICCPresence(self.0)
    }

    fn power(&self, action: Dword) -> (ResponseCode, Vec<u8>) {
        let mut atr = [0; MAX_ATR_SIZE];
        let mut length = 0;
        // SAFETY: 33 bytes of room, and a valid length.
        let code = unsafe { IFDHPowerICC(self.0, action, atr.as_mut_ptr(), &raw mut length) };
        (code, atr[..length as usize].to_vec())
    }

    fn transmit(&self, command: &[u8], room: usize) -> (ResponseCode, Vec<u8>) {
        let header = ScardIoHeader { protocol: PROTOCOL_T1, length: 0 };
        let mut received = ScardIoHeader { protocol: 0, length: 0 };
        let mut answer = vec![0; room];
        let mut length = room as Dword;
        // SAFETY: every pointer is valid for the length beside it.
        let code = unsafe {
            IFDHTransmitToICC(
                self.0,
                header,
                command.as_ptr(),
                command.len() as Dword,
                answer.as_mut_ptr(),
                &raw mut length,
                &raw mut received,
            )
        };
        answer.truncate(length as usize);
        (code, answer)
    }

    fn capability(&self, tag: Dword, room: usize) -> (ResponseCode, Vec<u8>) {
        let mut value = vec![0; room];
        let mut length = room as Dword;
        // SAFETY: as much room as the length says.
        let code = unsafe { IFDHGetCapabilities(self.0, tag, &raw mut length, value.as_mut_ptr()) };
        value.truncate(length as usize);
        (code, value)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        assert_eq!(IFDHCloseChannel(self.0), SUCCESS);
    }
}

struct Emulator {
    key: PluggedKey,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
}

impl Emulator {
    fn start(socket: &Path) -> Self {
        let key = PluggedKey::new(VirtualKey::builder().build().unwrap()).unwrap();
        let server = Server::bind(socket, key.clone()).unwrap();
        let stopper = server.stopper();
        let thread = thread::spawn(move || server.run().unwrap());
        Self { key, stopper, thread: Some(thread) }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[test]
fn the_way_of_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("key.sock");
    let emulator = Emulator::start(&socket);
    let slot = Slot::open(&format!("unix:{}", socket.display()));
    assert_eq!(slot.transmit(&STATUS, 300).0, COMMUNICATION_ERROR, "pcscd asks for the card first");
    assert_eq!(slot.presence(), ICC_PRESENT);
    let (code, atr) = slot.power(POWER_UP);
    assert_eq!((code, &atr[15..22]), (SUCCESS, &b"YubiKey"[..]));
    assert_eq!(slot.capability(TAG_ATR, MAX_ATR_SIZE), (SUCCESS, atr.clone()));
    assert_eq!(slot.capability(ATTRIBUTE_ATR, 64), (SUCCESS, atr.clone()));
    assert_eq!(slot.transmit(&SELECT_OTP, 300), (SUCCESS, vec![5, 7, 4, 0, 0, 0, 0x90, 0]));
    assert_eq!(slot.presence(), ICC_PRESENT);
    assert_eq!(slot.transmit(&STATUS, 300).1, [5, 7, 4, 0, 0, 0, 0x90, 0], "asking changes nothing");
    let generation = emulator.key.with(|key| key.generation());
    assert_eq!(slot.power(RESET), (SUCCESS, atr.clone()));
    assert_eq!(slot.transmit(&STATUS, 300).1, [0x6D, 0], "a reset forgets what was selected");
    assert_eq!(slot.transmit(&SELECT_OTP, 300).0, SUCCESS);
    assert_eq!(slot.power(POWER_DOWN), (SUCCESS, vec![]));
    assert_eq!(slot.presence(), ICC_PRESENT);
    assert_eq!(slot.power(POWER_UP), (SUCCESS, atr));
    assert_eq!(slot.transmit(&STATUS, 300).1, [0x6D, 0]);
    assert_eq!(emulator.key.with(|key| key.generation()), generation, "the key never lost its power");
}

#[test]
fn an_answer_never_takes_more_room_than_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("key.sock");
    let _emulator = Emulator::start(&socket);
    let slot = Slot::open(&socket.display().to_string());
    assert_eq!(slot.presence(), ICC_PRESENT);
    for room in 0..8 {
        assert_eq!(slot.transmit(&SELECT_OTP, room), (INSUFFICIENT_BUFFER, vec![]));
    }
    assert_eq!(slot.transmit(&SELECT_OTP, 8).0, SUCCESS);
    assert_eq!(slot.capability(TAG_ATR, 5), (INSUFFICIENT_BUFFER, vec![]));
    // The longest extended command; nobody is there who understands it.
    let mut long = vec![0, 0x55, 0, 0, 0, 0xFF, 0xFF];
    long.resize(7 + 0xFFFF + 2, 0);
    let (code, answer) = slot.transmit(&long, 65_538);
    assert_eq!((code, answer.len()), (SUCCESS, 2));
    assert_eq!(slot.transmit(&[], 300).0, SUCCESS);
}

/// Nobody may miss that a card was away, so it stays away for a while.
fn comes_back(slot: &Slot) {
    let start = Instant::now();
    while slot.presence() == ICC_NOT_PRESENT {
        assert!(start.elapsed() < 3 * ABSENCE);
        thread::sleep(Duration::from_millis(20));
    }
    assert!(start.elapsed() > ABSENCE / 2, "{:?}", start.elapsed());
}

#[test]
fn a_key_that_is_taken_away_comes_back_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("key.sock");
    let slot = Slot::open(&format!("\"unix:{}\"", socket.display()));
    assert_eq!(slot.presence(), ICC_NOT_PRESENT, "no emulator yet");
    let emulator = Emulator::start(&socket);
    assert_eq!(slot.presence(), ICC_PRESENT);
    emulator.key.unplug();
    assert_eq!((slot.presence(), slot.presence()), (ICC_NOT_PRESENT, ICC_NOT_PRESENT));
    assert_eq!(slot.capability(TAG_ATR, MAX_ATR_SIZE).0, COMMUNICATION_ERROR);
    emulator.key.plug(Power::Usb).unwrap();
    comes_back(&slot);
    // Quicker than pcscd looks: it must see the removal all the same.
    emulator.key.replug().unwrap();
    assert_eq!(slot.transmit(&SELECT_OTP, 300), (COMMUNICATION_ERROR, vec![]));
    assert_eq!(slot.transmit(&SELECT_OTP, 300), (COMMUNICATION_ERROR, vec![]));
    assert_eq!(slot.power(POWER_UP).0, COMMUNICATION_ERROR);
    assert_eq!(slot.power(POWER_DOWN).0, SUCCESS);
    comes_back(&slot);
    drop(emulator);
    assert_eq!(slot.transmit(&SELECT_OTP, 300), (COMMUNICATION_ERROR, vec![]));
    assert_eq!(slot.presence(), ICC_NOT_PRESENT);
    let _again = Emulator::start(&socket);
    comes_back(&slot);
    assert_eq!(slot.transmit(&SELECT_OTP, 300).0, SUCCESS);
}

#[test]
fn two_readers_at_once_do_not_know_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let sockets = ["one", "two"].map(|name| folder.path().join(name));
    let emulators = [Emulator::start(&sockets[0]), Emulator::start(&sockets[1])];
    let slots =
        [Slot::open(&sockets[0].display().to_string()), Slot::open(&sockets[1].display().to_string())];
    thread::scope(|scope| {
        for slot in &slots {
            scope.spawn(move || {
                assert_eq!(slot.presence(), ICC_PRESENT);
                for _ in 0..200 {
                    assert_eq!(slot.transmit(&SELECT_OTP, 300).0, SUCCESS);
                    assert_eq!(slot.transmit(&STATUS, 300).0, SUCCESS);
                }
            });
        }
    });
    emulators[0].key.unplug();
    assert_eq!((slots[0].presence(), slots[1].presence()), (ICC_NOT_PRESENT, ICC_PRESENT));
}

#[test]
fn capabilities() {
    let slot = Slot::open("unix:/nonexistent");
    for (tag, value) in [
        (TAG_SLOTS_NUMBER, 1),
        (TAG_THREAD_SAFE, 1),
        (TAG_SLOT_THREAD_SAFE, 1),
        (TAG_SIMULTANEOUS_ACCESS, 16),
    ] {
        assert_eq!(slot.capability(tag, 1), (SUCCESS, vec![value]), "{tag:#x}");
    }
    assert_eq!(slot.capability(0x0FB3, 8).0, ERROR_TAG);
    assert_eq!(slot.power(499), (NOT_SUPPORTED, vec![]));
    assert_eq!(IFDHSetProtocolParameters(slot.0, 2, 0, 0, 0, 0), SUCCESS);
    assert_eq!(IFDHSetCapabilities(slot.0, TAG_ATR, 0, ptr::null_mut()), NOT_SUPPORTED);
    let unknown = Dword::MAX;
    assert_eq!(IFDHICCPresence(unknown), NO_SUCH_DEVICE);
    assert_eq!(IFDHCreateChannel(unknown, 0), NO_SUCH_DEVICE);
}

#[test]
fn null_pointers_are_refused() {
    let header = ScardIoHeader { protocol: 1, length: 0 };
    let slot = Slot::open("");
    // SAFETY: null is allowed everywhere.
    let codes = unsafe {
        [
            IFDHCreateChannelByName(slot.0, ptr::null()),
            IFDHGetCapabilities(slot.0, TAG_SLOTS_NUMBER, ptr::null_mut(), ptr::null_mut()),
            IFDHPowerICC(slot.0, POWER_UP, ptr::null_mut(), ptr::null_mut()),
            IFDHTransmitToICC(
                slot.0,
                header,
                ptr::null(),
                7,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            ),
            IFDHControl(slot.0, 0, ptr::null_mut(), 0, ptr::null_mut(), 0, ptr::null_mut()),
        ]
    };
    assert!(codes.iter().all(|code| *code != SUCCESS), "{codes:?}");
}

#[test]
fn a_panic_becomes_an_error_code() {
    assert_eq!(guarded(|| panic!("on purpose")), COMMUNICATION_ERROR);
}

/// The numbers are those of the header that pcscd itself is built with.
#[test]
fn numbers_are_those_of_the_header() {
    let header = std::fs::read_to_string("/usr/include/PCSC/ifdhandler.h")
        .expect("ifdhandler.h is missing; on Debian: apt install libpcsclite-dev");
    let number = |name: &str| {
        let line = header.lines().find(|line| {
            line.strip_prefix("#define ").and_then(|rest| rest.split_whitespace().next()) == Some(name)
        });
        let text = line.and_then(|line| line.split_whitespace().nth(2)).unwrap_or_default();
        let parsed = match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        parsed.unwrap_or_else(|_| panic!("{name} in the header"))
    };
    let tags = [
        ("TAG_IFD_ATR", TAG_ATR),
        ("TAG_IFD_SLOT_THREAD_SAFE", TAG_SLOT_THREAD_SAFE),
        ("TAG_IFD_THREAD_SAFE", TAG_THREAD_SAFE),
        ("TAG_IFD_SLOTS_NUMBER", TAG_SLOTS_NUMBER),
        ("TAG_IFD_SIMULTANEOUS_ACCESS", TAG_SIMULTANEOUS_ACCESS),
        ("IFD_POWER_UP", POWER_UP),
        ("IFD_POWER_DOWN", POWER_DOWN),
        ("IFD_RESET", RESET),
    ];
    for (name, tag) in tags {
        assert_eq!(number(name), i64::try_from(tag).unwrap(), "{name}");
    }
    let codes = [
        ("IFD_ERROR_TAG", ERROR_TAG),
        ("IFD_ERROR_NOT_SUPPORTED", ERROR_NOT_SUPPORTED),
        ("IFD_COMMUNICATION_ERROR", COMMUNICATION_ERROR),
        ("IFD_NOT_SUPPORTED", NOT_SUPPORTED),
        ("IFD_ICC_PRESENT", ICC_PRESENT),
        ("IFD_ICC_NOT_PRESENT", ICC_NOT_PRESENT),
        ("IFD_NO_SUCH_DEVICE", NO_SUCH_DEVICE),
        ("IFD_ERROR_INSUFFICIENT_BUFFER", INSUFFICIENT_BUFFER),
    ];
    for (name, code) in codes {
        assert_eq!(number(name), code, "{name}");
    }
}
