//! Asking a slot for the answer to a challenge.

use tapkey_protocol::challenge::{Padding, sign_in::SignIn};
use tapkey_protocol::link::CardTransport;
use tapkey_protocol::secret::Secret;
use tapkey_protocol::slot::{Slot, SlotCommand};
use zeroize::Zeroize;

use super::{OtpSession, Transport};
use crate::control::{CancelToken, Control, TouchEvent};
use crate::error::{Error, InputError, Malformed, NotOverThisLink, Refusal};
use crate::transport::Failure;

/// What a slot makes of a challenge that is not meant seriously.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Probe {
    /// It answers HMAC-SHA1 challenges without a touch; this is the answer.
    Answered(Secret<20>),
    /// It would answer after a touch.
    WaitsForTouch,
    /// It does not answer HMAC-SHA1 challenges.
    Refused,
}

impl OtpSession {
    /// Asks a slot for the HMAC-SHA1 of a challenge of at most 64 bytes.
    ///
    /// A slot with variable length hashes exactly these bytes when there are at most 63; a slot
    /// without it hashes them with their padding to 64 bytes, see [`challenge::pad`](tapkey_protocol::challenge::pad).
    ///
    /// # Errors
    /// [`Refusal::SlotEmpty`], [`Refusal::NoChallengeResponse`] or [`Refusal::TouchTimedOut`] when the
    /// slot did not answer; [`Error::NotOverThisLink`] over the smart card on USB, before anything is
    /// sent.
    ///
    /// ```
    /// use tapkey_driver::{Control, Error, OtpSession, Refusal};
    /// use tapkey_emulator::{VirtualKey, port::in_process::PluggedKey};
    /// use tapkey_protocol::slot::{AccessCode, ChallengeHmac, HmacKey, Options, Slot};
    ///
    /// let key = PluggedKey::new(VirtualKey::builder().build()?)?;
    /// let control = Control::new();
    /// let mut otp = OtpSession::over_hid(key.otp()?, &control)?;
    ///
    /// // An empty slot says so.
    /// let error = otp.challenge_hmac(Slot::Two, b"Hi There", &control).unwrap_err();
    /// assert!(matches!(error, Error::Refused(Refusal::SlotEmpty { slot: Slot::Two })));
    ///
    /// let slot = ChallengeHmac {
    ///     key: HmacKey::new([0x0B; 20]),
    ///     variable_length: true,
    ///     require_touch: false,
    ///     options: Options::for_challenges(),
    ///     access_code: AccessCode::NONE,
    /// };
    /// otp.program(Slot::Two, &slot, &AccessCode::NONE, &control)?;
    /// let response = otp.challenge_hmac(Slot::Two, b"Hi There", &control)?; // RFC 2202, test case 1
    /// assert_eq!(response.expose()[..4], [0xB6, 0x17, 0x31, 0x86]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn challenge_hmac(
        &mut self,
        slot: Slot,
        challenge: &[u8],
        control: &Control,
    ) -> Result<Secret<20>, Error> {
        self.challenge_padded(slot, challenge, Padding::Exact, control)
    }

    /// The same with the padding of other programs, for answers that must agree with theirs.
    ///
    /// # Errors
    /// As [`challenge_hmac`](Self::challenge_hmac).
    pub fn challenge_padded(
        &mut self,
        slot: Slot,
        challenge: &[u8],
        padding: Padding,
        control: &Control,
    ) -> Result<Secret<20>, Error> {
        let mut frame = padding.frame(challenge).map_err(InputError::from)?;
        let answer = self.ask(SlotCommand::ChallengeHmac(slot), &frame, "HMAC-SHA1", slot, control);
        frame.zeroize();
        answer.map(Secret::new)
    }

    /// Answers a server's sign-in. The challenge is derived here from what the sign-in is about, so
    /// that a hostile server cannot have the slot answer what opens a disk or a password database;
    /// never send a slot bytes that a server chose.
    ///
    /// # Errors
    /// As [`challenge_hmac`](Self::challenge_hmac).
    ///
    /// ```
    /// use tapkey_driver::{Control, OtpSession};
    /// use tapkey_emulator::{VirtualKey, port::in_process::PluggedKey};
    /// use tapkey_protocol::challenge::sign_in::{Nonce, Purpose, SignIn};
    /// use tapkey_protocol::slot::{AccessCode, ChallengeHmac, HmacKey, Options, Slot};
    ///
    /// let key = PluggedKey::new(VirtualKey::builder().build()?)?;
    /// let control = Control::new();
    /// let mut otp = OtpSession::over_hid(key.otp()?, &control)?;
    /// let slot = ChallengeHmac {
    ///     key: HmacKey::new([0x0B; 20]),
    ///     variable_length: true,
    ///     require_touch: false,
    ///     options: Options::for_challenges(),
    ///     access_code: AccessCode::NONE,
    /// };
    /// otp.program(Slot::Two, &slot, &AccessCode::NONE, &control)?;
    ///
    /// let sign_in = SignIn {
    ///     purpose: Purpose::SignIn,
    ///     origin: "https://login.example.org".parse()?,
    ///     account: "alice".parse()?,
    ///     nonce: Nonce::new(&[7; 16])?, // drawn by the server, good once
    /// };
    /// let response = otp.challenge_sign_in(Slot::Two, &sign_in, &control)?;
    /// // On the server:
    /// assert!(sign_in.accepts(&[0x0B; 20], &response));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn challenge_sign_in(
        &mut self,
        slot: Slot,
        sign_in: &SignIn,
        control: &Control,
    ) -> Result<Secret<20>, Error> {
        self.challenge_hmac(slot, &sign_in.challenge(), control)
    }

    /// Asks a slot to encrypt a challenge of six bytes: the answer is a Yubico OTP's encrypted part
    /// with the challenge in place of the private id, to be opened with the slot's AES key.
    ///
    /// # Errors
    /// As [`challenge_hmac`](Self::challenge_hmac).
    pub fn challenge_yubico(
        &mut self,
        slot: Slot,
        challenge: [u8; 6],
        control: &Control,
    ) -> Result<[u8; 16], Error> {
        self.ask(SlotCommand::ChallengeYubico(slot), &challenge, "Yubico OTP", slot, control)
    }

    /// Asks whether a slot answers HMAC-SHA1 challenges, and does so without changing anything: no counter
    /// moves, and where the key waits for a touch the challenge is taken back at once. A challenge in
    /// Yubico mode would move a counter, so there is no such probe.
    ///
    /// # Errors
    /// As [`challenge_hmac`](Self::challenge_hmac), except for what [`Probe`] tells.
    pub fn probe_hmac(&mut self, slot: Slot, challenge: &[u8], control: &Control) -> Result<Probe, Error> {
        control.check()?;
        let enough = CancelToken::new();
        let touch = enough.clone();
        let probing = control.clone().with_cancel(enough.clone()).with_touch(move |event| {
            if matches!(event, TouchEvent::Needed { .. }) {
                touch.cancel();
            }
        });
        match self.challenge_hmac(slot, challenge, &probing) {
            Ok(response) => Ok(Probe::Answered(response)),
            Err(Error::Cancelled) if enough.is_cancelled() => Ok(Probe::WaitsForTouch),
            // Over NFC some keys refuse instead of waiting.
            Err(Error::Refused(Refusal::NoChallengeResponse { .. } | Refusal::SlotEmpty { .. })) => {
                Ok(Probe::Refused)
            }
            Err(error) => Err(error),
        }
    }

    fn ask<const N: usize>(
        &mut self,
        command: SlotCommand,
        payload: &[u8],
        kind: &'static str,
        slot: Slot,
        control: &Control,
    ) -> Result<[u8; N], Error> {
        command.supported_by(self.version)?;
        if self.transport() == Transport::Card(CardTransport::Usb) {
            return Err(NotOverThisLink::ChallengeOverUsbCard.into());
        }
        match self.backend.read(command, payload, N, control) {
            Ok(mut answer) => {
                let bytes = <[u8; N]>::try_from(answer.as_slice()).map_err(|_| Malformed::Length {
                    what: "the response",
                    expected: N,
                    found: answer.len(),
                });
                answer.zeroize();
                Ok(bytes?)
            }
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Rejected) if self.status(control)?.is_certainly(slot, false) => {
                Err(Refusal::SlotEmpty { slot }.into())
            }
            Err(Failure::Rejected) => Err(Refusal::NoChallengeResponse { slot, kind }.into()),
        }
    }
}
