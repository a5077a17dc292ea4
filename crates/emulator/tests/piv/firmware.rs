//! What is there depends on the firmware.

use super::*;
use tapkey_protocol::piv::{ManagementKeyMetadata, ManagementKeyType, TouchPolicy as Touch, since};

const MISSING: StatusWord = StatusWord::INS_NOT_SUPPORTED;

#[test]
fn versions_and_serial_numbers() {
    for profile in Profile::ALL {
        let bench = Bench::of(profile);
        let piv = Piv::open(&bench);
        assert_eq!(piv.send(&command::version()).unwrap(), profile.version().to_bytes());
        let serial = piv.send(&command::serial());
        if profile == Profile::YUBIKEY_4_3_5 {
            assert_eq!(serial, Err(MISSING));
        } else {
            assert_eq!(serial.unwrap(), bench.key.with(|key| key.serial()).to_be_bytes());
        }
    }
}

#[test]
fn instructions_that_came_later() {
    for profile in Profile::ALL {
        let bench = Bench::of(profile);
        let piv = Piv::opened(&bench);
        let version = profile.version();
        let about = piv.send(&command::metadata(reference::MANAGEMENT_KEY));
        match about {
            Ok(about) => {
                assert!(version >= since::METADATA);
                let wanted = if version >= since::KEY_MOVING {
                    ManagementKeyType::Aes192
                } else {
                    ManagementKeyType::Tdes
                };
                assert_eq!(ManagementKeyMetadata::parse(&about).unwrap().kind, wanted);
            }
            Err(status) => assert!(status == MISSING && version < since::METADATA),
        }
        let moved = piv.send(&command::move_key(Slot::AUTHENTICATION, Slot::SIGNATURE));
        assert_eq!(moved, Err(if version >= since::KEY_MOVING { EMPTY } else { MISSING }));
        let log_out = piv.send(&command::log_out());
        assert_eq!(log_out.is_ok(), version >= since::LOG_OUT, "{profile}: {log_out:?}");
    }
}

#[test]
fn algorithms_that_came_later() {
    for profile in Profile::ALL {
        let bench = Bench::of(profile);
        let piv = Piv::opened(&bench);
        for algorithm in [Algorithm::Ed25519, Algorithm::X25519, Algorithm::P256, Algorithm::P384] {
            let made = piv.generate(Slot::AUTHENTICATION, &Generate::new(algorithm));
            match algorithm.check(profile.version()) {
                Ok(()) => assert_eq!(made.unwrap().algorithm(), Some(algorithm)),
                Err(_) => assert_eq!(made, Err(WRONG), "{profile} {algorithm}"),
            }
        }
    }
    let bench = Bench::of(Profile::YUBIKEY_5_4_3);
    let piv = Piv::opened(&bench);
    for algorithm in [Algorithm::Rsa3072, Algorithm::Rsa4096] {
        assert_eq!(piv.generate(Slot::AUTHENTICATION, &Generate::new(algorithm)), Err(WRONG));
    }
    let cached = with_policies(Algorithm::P256, PinPolicy::MatchOnce, Touch::Never);
    assert_eq!(piv.generate(Slot::AUTHENTICATION, &cached), Err(WRONG), "it reads no fingerprints");
}

#[test]
fn references_that_hold_nothing() {
    let bench = Bench::new();
    let piv = Piv::open(&bench);
    for about in [0x9A, 0x82, 0x96, 0x00, 0x77] {
        assert_eq!(piv.send(&command::metadata(about)), Err(EMPTY), "{about:02x}");
    }
    assert_eq!(piv.send(&Command::new(0, 0x11, 0, 0, [])), Err(MISSING));
    for ins in [0x20, 0x24, 0x47, 0x87, 0xCB, 0xDB, 0xF7, 0xFD, 0x11] {
        assert_eq!(piv.send(&Command::new(0, ins, 0, 0x80, [1])), Err(WRONG), "one byte, {ins:02x}");
    }
}
