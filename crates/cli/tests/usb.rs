//! The software key as a USB device, served over USB/IP; what a kernel makes of it is tested in the
//! lab.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]
#![cfg(feature = "emulator")]

mod support;

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use support::{Home, Running};
use tapkey_emulator::{
    port::usbip::wire::{Command, DeviceRecord, Opening, Reply},
    usb::{Direction, Setup},
};
use tapkey_protocol::keyboard::{pressed, us_character};

const KEY: &str = "--emulated=key.json";

/// Plugs the key in as a kernel does.
fn import(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&Opening::Import { bus_id: "1-1".to_owned() }.encode()).unwrap();
    let mut answer = [0; 8 + DeviceRecord::SIZE];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..8], [1, 0x11, 0, 3, 0, 0, 0, 0]);
    let configure = Setup { request_type: 0, request: 9, value: 1, index: 0, length: 0 };
    ask(&mut stream, 1, 0, Direction::Out, configure, 0);
    assert!(matches!(reply(&mut stream), Reply::Submit { status: 0, .. }));
    stream
}

fn ask(stream: &mut TcpStream, sequence: u32, endpoint: u8, direction: Direction, setup: Setup, length: u32) {
    let device = 0x0001_0002;
    let command = Command::Submit { sequence, device, endpoint, direction, setup, length, data: Vec::new() };
    stream.write_all(&command.encode()).unwrap();
}

fn reply(stream: &mut TcpStream) -> Reply {
    let way = |sequence| if sequence == 1 { Direction::Out } else { Direction::In };
    Reply::read(stream, way).unwrap().expect("a reply")
}

#[test]
fn a_press_in_one_terminal_types_on_the_computer_with_the_key() {
    let home = Home::new();
    home.run(&[KEY, "otp", "yubiotp", "1", "--yes", "-O", "keys.csv"]).exits(0);
    home.run(&["emulate", "press", "key.json", "--typing"]).exits(3).says("not plugged into a computer");
    let arguments = ["--json", "emulate", "run", "key.json", "--usbip=127.0.0.1:0", "--fast"];
    let mut emulator = Running::start(home.command(&arguments));
    let plugged = &emulator.ready["plugged_into"];
    assert_eq!(plugged["bus_id"], "1-1");
    let address = plugged["usbip"].as_str().unwrap().to_owned();
    home.run(&["emulate", "press", "key.json", "--typing"]).exits(3);
    let mut host = import(&address);
    while home.json(&["emulate", "show", "key.json"])["usb_host"] != true {}
    for sequence in 2..92 {
        ask(&mut host, sequence, 1, Direction::In, Setup::default(), 8);
    }
    home.run(&["emulate", "press", "key.json", "--typing"]).exits(0).prints_nothing();
    let mut text = String::new();
    for _ in 2..92 {
        let Reply::Submit { data, .. } = reply(&mut host) else { panic!("not a report") };
        text.extend(pressed(&data.try_into().unwrap()).and_then(us_character));
    }
    assert_eq!(text.trim_end().len(), 44, "{text:?}");
    assert!(text.ends_with('\n'));
    // Without --typing it is printed as well, and unplugging is seen.
    let printed = home.json(&["emulate", "press", "key.json"])["typed"].as_str().unwrap().to_owned();
    assert_eq!((printed.len(), printed == text), (45, false));
    home.run(&["emulate", "replug", "key.json"]).exits(0);
    assert_eq!(host.read_to_end(&mut Vec::new()).unwrap(), 0);
    drop(import(&address));
    emulator.signal("TERM");
    assert_eq!(emulator.wait(), 0);
}

#[test]
fn what_cannot_be_is_said() {
    let home = Home::new();
    home.run(&["emulate", "run", "key.json", "--usbip=192.0.2.1:3240"])
        .exits(2)
        .says("not a loopback address");
    home.run(&["emulate", "run", "key.json", "--usbip=nonsense"]).exits(2);
    home.run(&["emulate", "run", "key.json", "--fast"]).exits(2).says("--fast needs");
    home.run(&["emulate", "run", "key.json", "--uhid", "--attach"]).exits(2);
    if !Path::new("/sys/devices/platform/vhci_hcd.0").exists() {
        home.run(&["emulate", "run", "key.json", "--attach"]).exits(6).says("modprobe vhci-hcd");
    }
    if !Path::new("/dev/uhid").exists() {
        home.run(&["emulate", "run", "key.json", "--uhid"]).exits(6).says("modprobe uhid");
    }
    home.run(&["emulate", "show", "key.json"]).exits(0);
}
