//! Codes: of all accounts at once, and of one.

use std::ops::Range;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::oath::codec::{BulkAnswer, BulkEntry, Calculate, Challenge, CodeAnswer, Form, ins};
use tapkey_protocol::oath::{DEFAULT_PERIOD, Kind, steam_code};
use zeroize::Zeroizing;

use super::applet::{Applet, refused};
use super::{OathAccount, OathCode, OathRefusal, OathSession};
use crate::control::{Control, TouchEvent};
use crate::error::{Error, Malformed, Refusal};

impl OathSession {
    /// All accounts with their codes at a moment, in seconds since 1970.
    ///
    /// Those that need a touch, and HOTP, which would use a code up, come without one; ask for
    /// them with [`code`](Self::code).
    ///
    /// # Errors
    /// [`OathRefusal::Locked`], [`OathRefusal::ClockWentBack`], [`OathRefusal::Damaged`].
    pub fn codes(
        &mut self,
        seconds: u64,
        control: &Control,
    ) -> Result<Vec<(OathAccount, Option<OathCode>)>, Error> {
        let mut applet = self.applet(control)?;
        let mut all = Vec::new();
        for entry in applet.calculate_all(seconds)? {
            let account = OathAccount::from(&entry);
            let code = match &entry.answer {
                BulkAnswer::Code(answer) if account.is_in_bulk() => Some(code_of(&account, answer, seconds)?),
                // Another period, or Steam.
                BulkAnswer::Code(_) => Some(applet.calculate(&account, seconds)?),
                BulkAnswer::Hotp(_) | BulkAnswer::Touch(_) => None,
            };
            all.push((account, code));
        }
        Ok(all)
    }

    /// The code of one account: of TOTP at a moment, in seconds since 1970; of HOTP the next one,
    /// which it uses up.
    ///
    /// When the account is known to need a touch, the control is told at once; when that is not
    /// known, as soon as the key takes longer than a code does. The wait is the key's and lasts 15
    /// seconds at most; a deadline cannot cut it short.
    ///
    /// # Errors
    /// [`OathRefusal::NoSuchAccount`], [`Refusal::TouchTimedOut`], [`OathRefusal::ClockWentBack`].
    pub fn code(
        &mut self,
        account: &OathAccount,
        seconds: u64,
        control: &Control,
    ) -> Result<OathCode, Error> {
        let mut applet = self.applet(control)?;
        telling_of_touches(account.touch, control, || applet.calculate(account, seconds))
    }
}

impl Applet<'_> {
    fn calculate_all(&mut self, seconds: u64) -> Result<Vec<BulkEntry>, Error> {
        let body = Challenge::time(seconds, DEFAULT_PERIOD).encode();
        let answer = self.send(ins::CALCULATE_ALL, (0, Form::Truncated.p2()), body)?;
        let answer = answer.map_err(|status| match status {
            StatusWord::SECURITY_STATUS_NOT_SATISFIED => OathRefusal::ClockWentBack.into(),
            StatusWord::MEMORY_FAILURE => OathRefusal::Damaged.into(),
            status => refused("compute its codes", status),
        })?;
        let answer = Zeroizing::new(answer);
        Ok(BulkEntry::parse_all(&answer).map_err(Malformed::from)?)
    }

    fn calculate(&mut self, account: &OathAccount, seconds: u64) -> Result<OathCode, Error> {
        let name = account.name();
        let ask = match account.kind {
            Kind::Hotp => Calculate::hotp(account.id.clone()),
            Kind::Totp => Calculate::totp(account.id.clone(), seconds, name.period),
        };
        // Steam's letters are made of more than what is left after truncation.
        let form = if name.is_steam() { Form::Full } else { Form::Truncated };
        match self.send(ins::CALCULATE, (0, form.p2()), ask.encode())? {
            Ok(answer) => {
                let answer = Zeroizing::new(answer);
                code_of(account, &CodeAnswer::parse(&answer).map_err(Malformed::from)?, seconds)
            }
            Err(StatusWord::REFERENCE_DATA_INVALIDATED) => {
                Err(OathRefusal::NoSuchAccount { id: account.id.clone() }.into())
            }
            Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED | StatusWord::CONDITIONS_NOT_SATISFIED) => {
                Err(self.why_no_code(account, seconds)?)
            }
            Err(status) => Err(refused("compute a code", status)),
        }
    }

    /// A key says the same when nobody touched it and when an account was asked for a later time
    /// before. The latter also stands in the way of all codes at once.
    fn why_no_code(&mut self, account: &OathAccount, seconds: u64) -> Result<Error, Error> {
        if account.kind == Kind::Hotp {
            return Ok(Refusal::TouchTimedOut.into());
        }
        match self.calculate_all(seconds) {
            Err(error @ Error::Refused(Refusal::Oath(OathRefusal::ClockWentBack))) => Ok(error),
            Err(error) => Err(error),
            Ok(_) => Ok(Refusal::TouchTimedOut.into()),
        }
    }
}

fn code_of(account: &OathAccount, answer: &CodeAnswer, seconds: u64) -> Result<OathCode, Error> {
    let name = account.name();
    let text = match answer {
        CodeAnswer::Full { hmac, .. } if name.is_steam() => steam_code(hmac.expose()),
        other => other.code().ok_or(Malformed::NoCode)?.to_string(),
    };
    let valid = (account.kind == Kind::Totp).then(|| period(seconds, name.period));
    Ok(OathCode::new(Zeroizing::new(text), valid))
}

fn period(seconds: u64, period: u32) -> Range<u64> {
    let period = u64::from(period.max(1));
    let start = seconds / period * period;
    start..start.saturating_add(period)
}

/// Tells of a touch at once where one is needed, and where that is not known when the key takes
/// longer than computing does.
fn telling_of_touches<T>(touch: Option<bool>, control: &Control, work: impl FnOnce() -> T) -> T {
    let needed = || control.tell(TouchEvent::Needed { seconds_left: None });
    match touch {
        Some(false) => work(),
        Some(true) => {
            needed();
            let result = work();
            control.tell(TouchEvent::Over);
            result
        }
        None => thread::scope(|scope| {
            let (done, wait) = mpsc::channel::<()>();
            let teller = scope.spawn(move || {
                let waits = wait.recv_timeout(COMPUTING) == Err(RecvTimeoutError::Timeout);
                if waits {
                    needed();
                }
                waits
            });
            let result = work();
            drop(done);
            if teller.join().unwrap_or(false) {
                control.tell(TouchEvent::Over);
            }
            result
        }),
    }
}

/// No key computes for so long.
const COMPUTING: Duration = Duration::from_millis(500);
