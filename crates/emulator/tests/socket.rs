//! A key in another process, here in another thread.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use common::{AES, yubico};
use tapkey_emulator::port::in_process::PluggedKey;
use tapkey_emulator::port::socket::{
    Client, Refusal, Server, ServerError, SocketError, Stopper, default_path,
};
use tapkey_emulator::{Milliseconds, Power, Press, Silence, TouchError, VirtualKey};
use tapkey_protocol::hid::{Frame, Status};
use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink};
use tapkey_protocol::otp::{AesKey, Otp};
use tapkey_protocol::slot::{AccessCode, Slot, SlotCommand, SlotConfig};

struct Running {
    client: Client,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Running {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = default_path(&folder.path().join("key.json"));
        let key = PluggedKey::new(VirtualKey::builder().build().unwrap()).unwrap();
        let server = Server::bind(&path, key).unwrap();
        let stopper = server.stopper();
        let thread = std::thread::spawn(move || server.run().unwrap());
        Self { client: Client::new(&path), stopper, thread: Some(thread), path, _folder: folder }
    }

    fn program(&self, slot: Slot) {
        let mut link = self.client.otp().unwrap();
        let payload = *yubico().record().payload(&AccessCode::NONE).expose();
        for report in Frame::new(SlotCommand::Configure(slot).code(), &payload).unwrap().reports() {
            link.write_report(&report).unwrap();
        }
        let status = Status::from_report(&link.read_report().unwrap()).unwrap();
        assert!(status.touch_level.is_programmed(slot));
    }

    fn stop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

#[test]
fn both_links_and_everything_a_hand_does() {
    let running = Running::start();
    let client = &running.client;
    running.program(Slot::One);
    let Press::Typed(typed) = client.press(Slot::One).unwrap() else { panic!() };
    let otp: Otp = typed.text().trim().parse().unwrap();
    assert_eq!(otp.open(&AesKey::new(AES)).unwrap().use_counter_raw, 1);
    assert_eq!(client.press(Slot::Two).unwrap(), Press::Nothing(Silence::Empty));
    assert_eq!(client.hold(Milliseconds(1)).unwrap(), Press::Nothing(Silence::Undecided));

    let mut card = client.card().unwrap();
    assert_eq!(card.transport(), CardTransport::Usb);
    let answer = card.transmit(&[0, 0xA4, 4, 0, 7, 0xA0, 0, 0, 5, 0x27, 0x20, 1]).unwrap();
    assert_eq!(answer, [5, 7, 4, 1, 5, 0, 0x90, 0]);
    let atr = card.atr().unwrap();
    assert_eq!((CardTransport::from_atr(&atr), &atr[15..22]), (CardTransport::Usb, &b"YubiKey"[..]));
    assert_eq!(card.transmit(&[0, 3, 0, 0]).unwrap()[..3], [5, 7, 4], "asking for it changes nothing");
    card.reset().unwrap();
    assert_eq!(card.transmit(&[0, 3, 0, 0]).unwrap(), [0x6D, 0]);

    let mut otp = client.otp().unwrap();
    client.replug().unwrap();
    assert!(matches!(otp.read_report(), Err(LinkError::Removed)));
    assert!(matches!(card.transmit(&[0, 3, 0, 0]), Err(LinkError::Removed)));
    client.unplug().unwrap();
    assert!(matches!(client.otp().unwrap_err(), SocketError::Link(LinkError::Removed)));
    client.plug(Power::Nfc).unwrap();
    assert!(matches!(card.atr(), Err(LinkError::Removed)), "another card in the reader is not this one");
    assert_eq!(CardTransport::from_atr(&client.card().unwrap().atr().unwrap()), CardTransport::Nfc);
    assert_eq!(client.card().unwrap().transport(), CardTransport::Nfc);
    assert!(matches!(client.otp().unwrap_err(), SocketError::Link(LinkError::Unavailable { .. })));
    let shown = client.show().unwrap();
    assert_eq!((shown.power.as_str(), shown.programming_sequence), ("nfc", 1));
    assert_eq!(shown.slots[0].as_ref().unwrap().public_id.as_deref(), Some("vvcccccccccb"));
    let refused = client.touch().unwrap_err();
    assert!(matches!(refused, SocketError::Refused(Refusal::Touch(TouchError::NothingWaits))));
    assert!(refused.to_string().contains("nothing waits"), "{refused}");
}

#[test]
fn an_emulator_that_hangs_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("silent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let client = Client::new(&path).with_timeout(std::time::Duration::from_millis(50));
    assert!(matches!(client.card().unwrap_err(), SocketError::Io(_)));
    // It opens, and then says nothing more.
    let answering = std::thread::spawn(move || {
        let _first = listener.accept().unwrap();
        let (mut second, _) = listener.accept().unwrap();
        second.write_all(&[0, 0, 0, 2, 4, 1]).unwrap();
        second
    });
    let mut card = client.card().unwrap();
    assert!(matches!(card.transmit(&[0, 3, 0, 0]), Err(LinkError::TimedOut)));
    drop(answering.join().unwrap());
}

#[test]
fn eight_clients_at_once() {
    let running = Running::start();
    running.program(Slot::One);
    let mut typed: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let client = running.client.clone();
                scope.spawn(move || {
                    (0..20).map(|_| client.press(Slot::One).unwrap().text().unwrap()).collect()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread: std::thread::ScopedJoinHandle<'_, Vec<String>>| thread.join().unwrap())
            .collect()
    });
    typed.sort();
    typed.dedup();
    assert_eq!(typed.len(), 160, "every press typed another password");
}

#[test]
fn the_socket_is_its_owners_and_goes_with_the_server() {
    let mut running = Running::start();
    let mode = fs::metadata(&running.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut link = running.client.otp().unwrap();
    running.stop();
    assert!(!running.path.exists());
    assert!(
        matches!(link.read_report(), Err(LinkError::Removed)),
        "a process that ended is a key pulled out"
    );
    let error = running.client.show().unwrap_err();
    assert!(matches!(error, SocketError::NotRunning { .. }));
    assert!(error.to_string().contains("tapkey emulate run"), "{error}");
}

fn key() -> PluggedKey {
    PluggedKey::new(VirtualKey::builder().build().unwrap()).unwrap()
}

#[test]
fn one_server_per_socket_and_a_stale_socket_is_replaced() {
    let running = Running::start();
    let error = Server::bind(&running.path, key()).unwrap_err();
    assert!(matches!(error, ServerError::InUse { .. }), "{error}");
    running.client.show().unwrap();

    let folder = tempfile::tempdir().unwrap();
    let stale = folder.path().join("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    let server = Server::bind(&stale, key()).unwrap();
    drop(server);
    assert!(!stale.exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("precious");
    fs::write(&file, "data").unwrap();
    let error = Server::bind(&file, key()).unwrap_err();
    assert!(matches!(error, ServerError::NotASocket { .. }));
    assert_eq!(fs::read_to_string(&file).unwrap(), "data");
    let error = Server::bind(Path::new("/nonexistent/folder/x.sock"), key()).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/folder/x.sock"), "{error}");
}

#[test]
fn nonsense_on_the_socket_harms_nobody() {
    let running = Running::start();
    let frames: [&[u8]; 6] = [
        &[0xFF, 0xFF, 0xFF, 0xFF],
        &[0, 0, 0, 0],
        &[0, 0, 0, 1, 99],
        &[0, 0, 0, 1, 4],
        &[0, 0, 0, 3, 3, 1, 2],
        b"GET / HTTP/1.0\r\n\r\n",
    ];
    for frame in frames {
        let mut stream = UnixStream::connect(&running.path).unwrap();
        stream.write_all(frame).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer == [0, 0, 0, 2, 9, 7], "{answer:?}");
    }
    running.client.show().unwrap();
}

#[test]
fn faults_and_what_a_key_goes_through_over_the_socket() {
    let running = Running::start();
    let client = &running.client;
    running.program(Slot::One);
    assert!(client.faults().unwrap().is_empty());
    client.add_fault(&"stall@1".parse().unwrap()).unwrap();
    client.add_fault(&"mute@2".parse().unwrap()).unwrap();
    let mut otp = client.otp().unwrap();
    let error = otp.read_report().unwrap_err();
    assert!(matches!(error, LinkError::Io(_)) && error.to_string().contains("stalled"), "{error}");
    otp.read_report().unwrap();
    let mut card = client.card().unwrap();
    card.transmit(&[0, 3, 0, 0]).unwrap();
    assert!(matches!(card.transmit(&[0, 3, 0, 0]), Err(LinkError::TimedOut)));
    let listed = client.faults().unwrap();
    assert_eq!((listed.len(), listed[0].fault.as_str(), listed[0].fired), (2, "stall@1", 1));
    client.clear_faults().unwrap();
    assert!(client.faults().unwrap().is_empty());

    client.suspend().unwrap();
    assert!(matches!(otp.read_report(), Err(LinkError::TimedOut)));
    assert_eq!(client.press(Slot::One).unwrap(), Press::Nothing(Silence::Suspended));
    client.resume().unwrap();
    otp.read_report().unwrap();

    client.jump(Milliseconds::from_seconds(60)).unwrap();
    client.turn(tapkey_emulator::Counter::Use(Slot::One, 32_000)).unwrap();
    assert_eq!(client.show().unwrap().slots[0].as_ref().unwrap().use_counter, Some(32_000));
    let error = client.turn(tapkey_emulator::Counter::Use(Slot::One, 1)).unwrap_err();
    assert!(error.to_string().contains("turns forward only"), "{error}");
}
