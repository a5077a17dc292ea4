//! A USB host that asks an emulated key for anything: transfers of every kind, in any order, and
//! USB/IP messages of any bytes.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use tapkey_emulator::port::usbip::wire::{Command, Opening, Reply};
use tapkey_emulator::usb::{Direction, Setup, Urb, UsbDevice};
use tapkey_emulator::{Milliseconds, Power, SeededRandom, VirtualKey};

fuzz_target!(|data: &[u8]| {
    let _ = Opening::read(&mut &data[..]);
    let _ = Reply::read(&mut &data[..], |sequence| if sequence % 2 == 0 { Direction::In } else { Direction::Out });
    let mut key = VirtualKey::builder().random(SeededRandom::new(1)).build().unwrap();
    key.power(Power::Usb).unwrap();
    let mut device = UsbDevice::new(&key).unwrap();
    let configure = Setup { request_type: 0, request: 9, value: 1, index: 0, length: 0 };
    let _ = device.submit(&mut key, &Urb::control_out(0, configure, &[]));
    let mut rooms = HashMap::new();
    let mut now = 0;
    let mut rest = data;
    for id in 1.. {
        let Ok(Some(command)) = Command::read(&mut rest) else { break };
        now += 7;
        key.tick(Milliseconds(now));
        let completions = match command {
            Command::Submit { endpoint, direction, setup, length, data, .. } => {
                let room = if direction == Direction::In { length as usize } else { data.len() };
                let urb = Urb { id, endpoint, direction, setup, length: room, data };
                rooms.insert(id, room);
                let done = device.submit(&mut key, &urb);
                done.into_iter().chain(device.poll(&mut key)).collect::<Vec<_>>()
            }
            Command::Unlink { victim, .. } => {
                if device.unlink(victim) {
                    rooms.remove(&victim);
                }
                device.poll(&mut key)
            }
        };
        for completion in completions {
            let room = rooms.remove(&completion.id).expect("completed once");
            assert!(completion.data.len() <= room && completion.actual <= room);
        }
    }
});
