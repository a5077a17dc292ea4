//! What is tried. Each scenario begins by emptying both slots and leaves them empty.

use std::error::Error;
use std::time::{Duration, Instant};

use tapkey_driver::{Error as DriverError, OtpSession, Prefer, Refusal};
use tapkey_protocol::oath::Algorithm;
use tapkey_protocol::otp::{AesKey, Otp, PrivateId, PublicId, Token};
use tapkey_protocol::slot::{
    AccessCode, ChallengeHmac, ChallengeYubico, Digits, HmacKey, Hotp, MovingFactor, Options, ScanCodes,
    Slot, Update, YubicoOtp,
};

use super::rig::{Rig, cancel_after};

type Result<T = Outcome> = std::result::Result<T, Box<dyn Error>>;

/// One thing to try.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) needs_person: bool,
    pub(crate) run: fn(&mut dyn Rig) -> Result,
}

pub(crate) enum Outcome {
    Passed,
    /// Passed, and something about real keys was learnt that is not documented.
    Observed(String),
    Skipped(String),
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    alone("device information is the same over every link", info),
    alone("HMAC-SHA1 answers of all lengths", hmac),
    alone("HMAC-SHA1 over 64 fixed bytes", hmac_fixed),
    alone("64 equal bytes to a variable-length slot", hmac_equal),
    alone("Yubico challenge", yubico_challenge),
    alone("access code: wrong, missing, right, removed", access_code),
    alone("update keeps the secret", update),
    alone("swap", swap),
    alone("an empty slot says so", empty),
    alone("programming over the smart card", over_card),
    alone("a touch wait is cancelled and the key goes on", cancel),
    alone("nobody touches", no_touch),
    with_person("a touch lets a challenge be answered", touch),
    with_person("Yubico OTP: typed, opened, counted", yubico_otp),
    with_person("OATH-HOTP: the codes of RFC 4226", hotp),
    with_person("static password", static_password),
];

/// Serial numbers that Tapkey's software keys carry.
pub(crate) fn is_software_serial(serial: u32) -> bool {
    serial >= 0xF000_0000
}

const fn alone(name: &'static str, run: fn(&mut dyn Rig) -> Result) -> Scenario {
    Scenario { name, needs_person: false, run }
}

const fn with_person(name: &'static str, run: fn(&mut dyn Rig) -> Result) -> Scenario {
    Scenario { name, needs_person: true, run }
}

/// Opens a session, empties the slots, works, and empties them again.
fn cleanly(
    rig: &mut dyn Rig,
    prefer: Prefer,
    work: impl FnOnce(&mut OtpSession, &mut dyn Rig) -> Result,
) -> Result {
    let device = rig.device()?;
    let control = rig.control(false);
    let mut otp = device.open_otp(prefer, &control)?;
    wipe(&mut otp, rig)?;
    let outcome = work(&mut otp, rig);
    drop(otp);
    let control = rig.control(false);
    let mut otp = device.open_otp(prefer, &control)?;
    wipe(&mut otp, rig)?;
    outcome
}

fn wipe(otp: &mut OtpSession, rig: &mut dyn Rig) -> Result<()> {
    for slot in Slot::ALL {
        for code in [AccessCode::NONE, CODE] {
            match otp.delete(slot, &code, &rig.control(false)) {
                Ok(()) | Err(DriverError::Refused(Refusal::SlotEmpty { .. })) => break,
                Err(DriverError::Refused(Refusal::AccessCodeNeeded { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

fn info(rig: &mut dyn Rig) -> Result {
    let device = rig.device()?;
    let control = rig.control(false);
    let mut seen = Vec::new();
    for prefer in [Prefer::Hid, Prefer::Card] {
        if let Ok(mut otp) = device.open_otp(prefer, &control) {
            seen.push(otp.device_info(&control)?);
        }
    }
    match seen.as_slice() {
        [one, other] if one == other => Ok(Outcome::Passed),
        [_, _] => Err(format!("they differ: {seen:?}").into()),
        [_] => Ok(Outcome::Skipped("there is only one link".to_owned())),
        _ => Err("no link opens".into()),
    }
}

fn hmac(rig: &mut dyn Rig) -> Result {
    cleanly(rig, Prefer::ChallengeResponse, |otp, rig| {
        otp.program(Slot::Two, &challenge_hmac(true, false), &AccessCode::NONE, &rig.control(false))?;
        for length in [0_u8, 1, 2, 8, 31, 32, 33, 62, 63] {
            let challenge: Vec<u8> = (1..=length).collect();
            check_hmac(otp, rig, &challenge, &challenge)?;
        }
        check_hmac(otp, rig, &[1, 2, 0], &[1, 2, 0])?;
        Ok(Outcome::Passed)
    })
}

fn hmac_fixed(rig: &mut dyn Rig) -> Result {
    cleanly(rig, Prefer::ChallengeResponse, |otp, rig| {
        otp.program(Slot::Two, &challenge_hmac(false, false), &AccessCode::NONE, &rig.control(false))?;
        let full: Vec<u8> = (1..=64).collect();
        check_hmac(otp, rig, &full, &full)?;
        let mut padded = [0; 64];
        padded[0] = 9;
        check_hmac(otp, rig, &[9], &padded)?;
        Ok(Outcome::Passed)
    })
}

fn hmac_equal(rig: &mut dyn Rig) -> Result {
    cleanly(rig, Prefer::ChallengeResponse, |otp, rig| {
        otp.program(Slot::Two, &challenge_hmac(true, false), &AccessCode::NONE, &rig.control(false))?;
        let response = otp.challenge_hmac(Slot::Two, &[7; 64], &rig.control(false))?;
        let length = (0..=64).find(|length| {
            Algorithm::Sha1.hmac(HMAC_KEY, &[7; 64][..*length]) == response.expose().as_slice()
        });
        match length {
            Some(length) => Ok(Outcome::Observed(format!("the key hashes {length} of them"))),
            None => Err("the answer fits no number of them".into()),
        }
    })
}

fn yubico_challenge(rig: &mut dyn Rig) -> Result {
    cleanly(rig, Prefer::ChallengeResponse, |otp, rig| {
        let config = ChallengeYubico {
            key: AesKey::new(AES_KEY),
            require_touch: false,
            options: Options::for_challenges(),
            access_code: AccessCode::NONE,
        };
        otp.program(Slot::Two, &config, &AccessCode::NONE, &rig.control(false))?;
        let block = otp.challenge_yubico(Slot::Two, *b"abcdef", &rig.control(false))?;
        let token = Token::open(&config.key, &block)?;
        expect(token.private_id.expose() == b"abcdef", "the answer does not carry the challenge")
    })
}

fn access_code(rig: &mut dyn Rig) -> Result {
    cleanly(rig, Prefer::Programming, |otp, rig| {
        let slot = Slot::Two;
        let mut config = challenge_hmac(true, false);
        config.access_code = CODE;
        otp.program(slot, &config, &AccessCode::NONE, &rig.control(false))?;
        let open = challenge_hmac(true, false);
        let wrong = AccessCode::new([9; 6]);
        for (code, expected) in [
            (&AccessCode::NONE, Refusal::AccessCodeNeeded { slot }),
            (&wrong, Refusal::AccessCodeWrong { slot }),
        ] {
            match otp.program(slot, &open, code, &rig.control(false)) {
                Err(DriverError::Refused(refusal)) if refusal == expected => {}
                other => return Err(format!("instead of a refusal: {other:?}").into()),
            }
        }
        otp.program(slot, &open, &CODE, &rig.control(false))?;
        otp.delete(slot, &AccessCode::NONE, &rig.control(false))?;
        Ok(Outcome::Passed)
    })
}

fn update(rig: &mut dyn Rig) -> Result {
    cleanly(rig, Prefer::ChallengeResponse, |otp, rig| {
        otp.program(Slot::Two, &challenge_hmac(true, false), &AccessCode::NONE, &rig.control(false))?;
        let update = Update { options: Options::for_challenges(), access_code: AccessCode::NONE };
        otp.update(Slot::Two, &update, &AccessCode::NONE, &rig.control(false))?;
        check_hmac(otp, rig, b"after the update", b"after the update")?;
        Ok(Outcome::Passed)
    })
}

fn swap(rig: &mut dyn Rig) -> Result {
    cleanly(rig, Prefer::ChallengeResponse, |otp, rig| {
        otp.program(Slot::One, &challenge_hmac(true, false), &AccessCode::NONE, &rig.control(false))?;
        otp.swap(&AccessCode::NONE, &rig.control(false))?;
        let status = otp.status(&rig.control(false))?;
        check_hmac(otp, rig, b"swapped", b"swapped")?;
        expect(!status.is_certainly(Slot::One, true), "slot 1 still holds something")
    })
}

fn empty(rig: &mut dyn Rig) -> Result {
    cleanly(rig, Prefer::ChallengeResponse, |otp, rig| {
        match otp.challenge_hmac(Slot::One, b"x", &rig.control(false)) {
            Err(DriverError::Refused(Refusal::SlotEmpty { slot: Slot::One })) => {}
            other => return Err(format!("instead of a refusal: {other:?}").into()),
        }
        let status = otp.status(&rig.control(false))?;
        Ok(Outcome::Observed(format!("the programming sequence of an empty key is {}", status.sequence)))
    })
}

fn over_card(rig: &mut dyn Rig) -> Result {
    let device = rig.device()?;
    let control = rig.control(false);
    let programmed = device.open_otp(Prefer::Card, &control).and_then(|mut otp| {
        otp.program(Slot::Two, &challenge_hmac(true, false), &AccessCode::NONE, &control)
    });
    match programmed {
        Err(DriverError::NotOverThisLink(reason)) => return Ok(Outcome::Skipped(reason.to_string())),
        other => other?,
    }
    let mut otp = device.open_otp(Prefer::ChallengeResponse, &control)?;
    check_hmac(&mut otp, rig, b"programmed over the card", b"programmed over the card")?;
    wipe(&mut otp, rig)?;
    Ok(Outcome::Passed)
}

fn cancel(rig: &mut dyn Rig) -> Result {
    cleanly(rig, Prefer::Hid, |otp, rig| {
        otp.program(Slot::Two, &challenge_hmac(true, true), &AccessCode::NONE, &rig.control(false))?;
        let control = rig.control(false).with_cancel(cancel_after(Duration::from_secs(1)));
        let start = Instant::now();
        match otp.challenge_hmac(Slot::Two, b"x", &control) {
            Err(DriverError::Cancelled) => {}
            other => return Err(format!("instead of a cancellation: {other:?}").into()),
        }
        otp.status(&rig.control(false))?;
        otp.delete(Slot::Two, &AccessCode::NONE, &rig.control(false))?;
        expect(start.elapsed() < Duration::from_secs(4), "it took too long")
    })
}

fn no_touch(rig: &mut dyn Rig) -> Result {
    cleanly(rig, Prefer::Hid, |otp, rig| {
        otp.program(Slot::Two, &challenge_hmac(true, true), &AccessCode::NONE, &rig.control(false))?;
        let start = Instant::now();
        match otp.challenge_hmac(Slot::Two, b"x", &rig.control(false)) {
            Err(DriverError::Refused(Refusal::TouchTimedOut)) => {}
            other => return Err(format!("instead of a time-out: {other:?}").into()),
        }
        Ok(Outcome::Observed(format!("the key waited {:.1} s", start.elapsed().as_secs_f32())))
    })
}

fn touch(rig: &mut dyn Rig) -> Result {
    cleanly(rig, Prefer::Hid, |otp, rig| {
        otp.program(Slot::Two, &challenge_hmac(true, true), &AccessCode::NONE, &rig.control(false))?;
        let response = otp.challenge_hmac(Slot::Two, b"touched", &rig.control(true))?;
        let expected = Algorithm::Sha1.hmac(HMAC_KEY, b"touched");
        expect(response.expose().as_slice() == expected, "the answer is wrong")
    })
}

fn yubico_otp(rig: &mut dyn Rig) -> Result {
    cleanly(rig, Prefer::Programming, |otp, rig| {
        let config = YubicoOtp {
            public_id: PublicId::new(&[0xFF, 0, 0, 0, 0, 1])?,
            private_id: PrivateId::new([1, 2, 3, 4, 5, 6]),
            key: AesKey::new(AES_KEY),
            send_reference: false,
            options: Options::for_typing(),
            access_code: AccessCode::NONE,
        };
        otp.program(Slot::One, &config, &AccessCode::NONE, &rig.control(false))?;
        let first = rig.typed(Slot::One)?.parse::<Otp>()?.open(&config.key)?;
        let second = rig.typed(Slot::One)?.parse::<Otp>()?.open(&config.key)?;
        if first.private_id != config.private_id {
            return Err("the private id is wrong".into());
        }
        expect(second.counter() > first.counter(), "the counter did not move")
    })
}

fn hotp(rig: &mut dyn Rig) -> Result {
    cleanly(rig, Prefer::Programming, |otp, rig| {
        let config = Hotp {
            key: HmacKey::new(*b"12345678901234567890"),
            digits: Digits::Six,
            moving_factor: MovingFactor::default(),
            token_id: None,
            options: Options::for_typing(),
            access_code: AccessCode::NONE,
        };
        otp.program(Slot::One, &config, &AccessCode::NONE, &rig.control(false))?;
        for expected in ["755224", "287082"] {
            let typed = rig.typed(Slot::One)?;
            if typed != expected {
                return Err(format!("typed {typed}, RFC 4226 says {expected}").into());
            }
        }
        Ok(Outcome::Passed)
    })
}

fn static_password(rig: &mut dyn Rig) -> Result {
    cleanly(rig, Prefer::Programming, |otp, rig| {
        let text = "cbdefghijklnrtuv";
        let config = ScanCodes::from_us_text(text, Options::for_typing(), AccessCode::NONE)?;
        otp.program(Slot::Two, &config, &AccessCode::NONE, &rig.control(false))?;
        let typed = rig.typed(Slot::Two)?;
        expect(typed == text, "it typed something else")
    })
}

fn challenge_hmac(variable_length: bool, require_touch: bool) -> ChallengeHmac {
    ChallengeHmac {
        key: HmacKey::new(*HMAC_KEY),
        variable_length,
        require_touch,
        options: Options::for_challenges(),
        access_code: AccessCode::NONE,
    }
}

/// Slot 2 answers `challenge` with the HMAC of `hashed`.
fn check_hmac(otp: &mut OtpSession, rig: &mut dyn Rig, challenge: &[u8], hashed: &[u8]) -> Result<()> {
    let response = otp.challenge_hmac(Slot::Two, challenge, &rig.control(false))?;
    if response.expose().as_slice() != Algorithm::Sha1.hmac(HMAC_KEY, hashed) {
        return Err(format!("wrong answer to a challenge of {} bytes", challenge.len()).into());
    }
    Ok(())
}

fn expect(condition: bool, otherwise: &'static str) -> Result {
    if condition { Ok(Outcome::Passed) } else { Err(otherwise.into()) }
}

const CODE: AccessCode = AccessCode::new([1, 2, 3, 4, 5, 6]);
/// Test keys, known to everybody.
const HMAC_KEY: &[u8; 20] = b"01234567890123456789";
const AES_KEY: [u8; 16] = [7; 16];
