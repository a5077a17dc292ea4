//! What a key tells of itself without being changed.

use tapkey_driver::{Control, Device, Error, NotOverThisLink, OtpSession, OtpStatus, Prefer, Transport};
use tapkey_protocol::challenge;
use tapkey_protocol::link::CardTransport;
use tapkey_protocol::management::DeviceInfo;
use tapkey_protocol::oath::Algorithm;
use tapkey_protocol::otp::{AesKey, PrivateId, Token};
use tapkey_protocol::slot::Slot;
use tapkey_protocol::version::Version;

use super::memory::Memory;
use super::resolve::{Desired, SlotDesire, SlotProgram, Value};
use super::vault::{SecretText, VaultError};

/// What was seen of a key.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) serial: u32,
    pub(super) version: Version,
    pub(super) info: DeviceInfo,
    /// The slots, or why they cannot be looked at.
    pub(super) otp: Result<OtpSeen, String>,
    /// The accounts, or why they cannot be looked at; nothing where none are wanted.
    pub(super) oath: Option<Result<super::oath::OathSeen, String>>,
}

/// What was seen of the slots.
#[derive(Clone, Debug)]
pub(super) struct OtpSeen {
    pub(super) status: OtpStatus,
    pub(super) probes: [Probes; 2],
}

/// What challenges told of a slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Probes {
    /// Whether it holds the secret that is wanted.
    pub(super) wanted: Option<Proof>,
    /// Whether it still answers as it did when the vault last looked.
    pub(super) remembered: Option<Proof>,
    /// Why it was not asked, although it could answer.
    pub(super) not_asked: Option<&'static str>,
}

/// What a challenge told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Proof {
    /// The right response.
    Right,
    /// Another response, or none.
    Wrong,
}

/// How far looking may go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looking {
    /// Ask slots that answer only after a touch.
    pub(super) touch: bool,
    /// The time, in seconds since 1970.
    pub(super) seconds: u64,
}

/// Reads the key. Nothing on it changes.
pub(super) fn observe(
    device: &Device,
    desired: &Desired,
    memory: &Memory,
    looking: Looking,
    control: &Control,
) -> Result<Observed, Error> {
    let info = device.open_management(control)?.device_info(control)?;
    let version = info.version.or_else(|| device.version()).unwrap_or_default();
    let slots = desired.slots.iter().any(|desire| !matches!(desire, SlotDesire::Keep));
    let otp =
        if slots { look_at_slots(device, desired, memory, looking, control)? } else { Err(String::new()) };
    let oath = match &desired.oath {
        Some(wish) => Some(super::oath::observe(device, wish, memory, looking, control)?),
        None => None,
    };
    Ok(Observed { serial: info.serial.or(device.serial()).unwrap_or_default(), version, info, otp, oath })
}

fn look_at_slots(
    device: &Device,
    desired: &Desired,
    memory: &Memory,
    looking: Looking,
    control: &Control,
) -> Result<Result<OtpSeen, String>, Error> {
    let mut session = match device.open_otp(Prefer::Any, control) {
        Ok(session) => session,
        Err(error @ (Error::Refused(_) | Error::NotOverThisLink(_))) => return Ok(Err(error.to_string())),
        Err(error) => return Err(error),
    };
    let status = session.status(control)?;
    let mut probes = [Probes::default(), Probes::default()];
    for (slot, found) in Slot::ALL.into_iter().zip(&mut probes) {
        if !status.is_certainly(slot, false) {
            *found = probe(&mut session, slot, &status, desired, memory, looking, control)?;
        }
    }
    Ok(Ok(OtpSeen { status, probes }))
}

/// Asks a slot that is to answer challenges, or did when the vault last looked.
fn probe(
    session: &mut OtpSession,
    slot: Slot,
    status: &OtpStatus,
    desired: &Desired,
    memory: &Memory,
    looking: Looking,
    control: &Control,
) -> Result<Probes, Error> {
    let wanted = match &desired.slots[slot.index()] {
        SlotDesire::Program(program) if program.challenge_touch().is_some() => Some(&**program),
        _ => None,
    };
    let remembered = memory.slot(slot).applied.as_ref().and_then(|applied| applied.proof.as_ref());
    let mut probes = Probes::default();
    if wanted.is_none() && remembered.is_none() {
        return Ok(probes);
    }
    if session.transport() == Transport::Card(CardTransport::Usb) {
        probes.not_asked = Some("challenges are answered over HID and NFC only");
        return Ok(probes);
    }
    // A slot that acts on a touch would blink and wait for seconds.
    if status.slot(slot).touch_triggered == Some(true) && !looking.touch {
        probes.not_asked = Some("it answers only when touched; --touch asks it");
        return Ok(probes);
    }
    if let Some(program) = wanted {
        probes.wanted = Some(prove(session, slot, program, control)?);
    }
    if let (Some((challenge, response)), true) = (remembered, probes.wanted != Some(Proof::Right)) {
        probes.remembered = Some(compare(session, slot, challenge, response, control)?);
    }
    Ok(probes)
}

/// Asks a slot a challenge nobody knew before, and whether it has this secret.
pub(super) fn prove(
    session: &mut OtpSession,
    slot: Slot,
    program: &SlotProgram,
    control: &Control,
) -> Result<Proof, Error> {
    let mut bytes = [0; challenge::FRAME];
    if getrandom::fill(&mut bytes).is_err() {
        return Ok(Proof::Wrong);
    }
    let right = match &program.value {
        Value::Hmac { key, variable_length, .. } => {
            // In 64 bytes a fixed slot sees no padding, in 32 a variable one sees it.
            let challenge = if *variable_length { &bytes[..32] } else { &bytes[..] };
            let asked = answered(session.challenge_hmac(slot, challenge, control))?;
            asked.is_some_and(|response| Algorithm::Sha1.hmac(key.expose(), challenge) == response.expose())
        }
        Value::YubicoChallenge { key, .. } => {
            let mut challenge = [0; 6];
            challenge.copy_from_slice(&bytes[..6]);
            answered(session.challenge_yubico(slot, challenge, control))?
                .is_some_and(|block| opens(&block, key, challenge))
        }
        _ => false,
    };
    Ok(if right { Proof::Right } else { Proof::Wrong })
}

/// What to remember of a slot that answers: a challenge of its own, and the response.
pub(super) fn keepsake(
    session: &mut OtpSession,
    slot: Slot,
    program: &SlotProgram,
    control: &Control,
) -> Result<Option<(String, SecretText)>, Error> {
    if !matches!(program.value, Value::Hmac { .. }) {
        return Ok(None);
    }
    let Ok::<String, VaultError>(challenge) = super::vault::random_hex::<32>() else { return Ok(None) };
    let response = answered(ask(session, slot, &challenge, control))?;
    Ok(response.map(|response| (challenge, response)))
}

fn compare(
    session: &mut OtpSession,
    slot: Slot,
    challenge: &str,
    response: &SecretText,
    control: &Control,
) -> Result<Proof, Error> {
    let found = answered(ask(session, slot, challenge, control))?;
    Ok(if found.as_ref() == Some(response) { Proof::Right } else { Proof::Wrong })
}

fn ask(
    session: &mut OtpSession,
    slot: Slot,
    challenge: &str,
    control: &Control,
) -> Result<SecretText, Error> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(challenge.as_bytes()).unwrap_or_default();
    session
        .challenge_hmac(slot, &bytes, control)
        .map(|response| SecretText::new(data_encoding::HEXLOWER.encode(response.expose())))
}

/// A slot that does not answer has another kind, which is an answer too.
fn answered<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(answer) => Ok(Some(answer)),
        Err(Error::Refused(_) | Error::NotOverThisLink(NotOverThisLink::ChallengeOverUsbCard)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The block is a ticket that carries the challenge in place of the private id.
fn opens(block: &[u8; 16], key: &AesKey, challenge: [u8; 6]) -> bool {
    Token::open(key, block).is_ok_and(|token| token.private_id == PrivateId::new(challenge))
}
