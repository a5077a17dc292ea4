use proptest::prelude::*;

use super::*;
use crate::usb::{Direction, Setup};

fn submit() -> impl Strategy<Value = Command> {
    let numbers = (any::<u32>(), any::<u32>(), 0_u8..16, any::<[u8; 8]>());
    (numbers, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..200)).prop_map(
        |((sequence, device, endpoint, setup), out, bytes)| Command::Submit {
            sequence,
            device,
            endpoint,
            direction: if out { Direction::Out } else { Direction::In },
            setup: Setup::parse(setup),
            length: u32::try_from(bytes.len()).unwrap(),
            data: if out { bytes } else { Vec::new() },
        },
    )
}

proptest! {
    #[test]
    fn commands_round_trip(command in submit(), sequence in 0_u32.., device in 0_u32.., victim in 0_u32..) {
        for command in [command, Command::Unlink { sequence, device, victim }] {
            let bytes = command.encode();
            let mut rest = &bytes[..];
            prop_assert_eq!(Command::read(&mut rest).unwrap(), Some(command));
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn replies_round_trip(sequence: u32, status: i32, data: Vec<u8>, out: bool) {
        let actual = u32::try_from(data.len()).unwrap();
        let data = if out { Vec::new() } else { data };
        for reply in [Reply::Submit { sequence, status, actual, data }, Reply::Unlink { sequence, status }] {
            let bytes = reply.encode();
            let way = if out { Direction::Out } else { Direction::In };
            let mut rest = &bytes[..];
            prop_assert_eq!(Reply::read(&mut rest, |_| way).unwrap(), Some(reply));
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, header: [u8; HEADER_SIZE], code in 0_u8..6) {
        let _ = Opening::read(&mut &bytes[..]);
        let _ = Command::read(&mut &bytes[..]);
        let _ = Reply::read(&mut &bytes[..], |_| Direction::In);
        let mut header = header;
        header[..4].copy_from_slice(&[0, 0, 0, code]);
        let _ = Command::read(&mut &header[..]);
        let _ = Reply::read(&mut &header[..], |_| Direction::In);
    }
}

#[test]
fn openings() {
    for opening in [Opening::List, Opening::Import { bus_id: "1-1".to_owned() }] {
        assert_eq!(Opening::read(&mut &opening.encode()[..]).unwrap(), Some(opening));
    }
    assert!(Opening::read(&mut &[][..]).unwrap().is_none());
    let wrong = [1, 6, 0x80, 5, 0, 0, 0, 0];
    assert!(matches!(Opening::read(&mut &wrong[..]), Err(WireError::Version { found: 0x0106 })));
    let import = Opening::imported(Err(ImportRefusal::Busy));
    assert_eq!(import, [1, 0x11, 0, 3, 0, 0, 0, 2]);
}

#[test]
fn a_length_that_is_a_lie_takes_no_memory() {
    let command = Command::Submit {
        sequence: 1,
        device: 2,
        endpoint: 2,
        direction: Direction::Out,
        setup: Setup::default(),
        length: u32::MAX,
        data: Vec::new(),
    };
    let error = Command::read(&mut &command.encode()[..]).unwrap_err();
    assert!(matches!(error, WireError::TooLong { length: u32::MAX }), "{error}");
}

#[test]
fn records_have_their_size() {
    let record = DeviceRecord {
        path: "/sys/tapkey".to_owned(),
        bus_id: "1-1".to_owned(),
        bus: 1,
        device: 2,
        speed: 2,
        ids: [0x1050, 0x0407, 0x0574],
        interfaces: vec![[3, 1, 1], [3, 0, 0], [11, 0, 0]],
    };
    assert_eq!(DeviceRecord::SIZE, 312);
    assert_eq!(Opening::imported(Ok(&record)).len(), 8 + 312);
    assert_eq!(Opening::list(std::slice::from_ref(&record)).len(), 12 + 312 + 12);
    assert_eq!(record.id(), 0x0001_0002);
}
