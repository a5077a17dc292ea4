//! What a client reads out of an answer, and when it may believe it.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{ApiKey, Request, Signature, Status, TokenTimes};

/// An answer as it arrived: well formed, but from anybody.
///
/// Lines may end in CR LF or LF, and unknown names are allowed as long as the signature covers
/// them. A repeated name is refused: two readers could take different values for the truth.
#[derive(Clone, Debug)]
pub struct Response {
    pairs: BTreeMap<String, String>,
    status: Status,
}

impl Response {
    /// The longest answer that is looked at, in bytes. Real ones have some 250.
    pub const MAX_BYTES: usize = 8192;

    /// Reads an answer.
    ///
    /// # Errors
    /// [`ResponseError`]: not the answer of a validation server.
    pub fn parse(body: &[u8]) -> Result<Self, ResponseError> {
        if body.len() > Self::MAX_BYTES {
            return Err(ResponseError::TooLong);
        }
        let text = str::from_utf8(body).map_err(|_| ResponseError::NotText)?;
        let mut pairs = BTreeMap::new();
        for line in text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
            if line.is_empty() {
                continue;
            }
            let (name, value) = line.split_once('=').ok_or(ResponseError::NotAPair)?;
            if line.contains(['\r', '\0']) {
                return Err(ResponseError::NotText);
            }
            if pairs.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(ResponseError::Repeated);
            }
        }
        let status = pairs.get("status").ok_or(ResponseError::NoStatus)?;
        let status = status.parse().map_err(|_| ResponseError::UnknownStatus)?;
        Ok(Self { pairs, status })
    }

    /// What the answer claims. Not to be believed: see [`Response::authenticate`].
    #[must_use]
    pub const fn claimed_status(&self) -> Status {
        self.status
    }

    /// Believes the answer if it was signed with the client's key and belongs to this request.
    ///
    /// The password and the nonce must be repeated where the status says so, and must be this
    /// request's own wherever they stand.
    ///
    /// # Errors
    /// [`Distrust`]: what does not fit. No verdict can be had from such an answer.
    pub fn authenticate(&self, request: &Request, key: &ApiKey) -> Result<Verdict, Distrust> {
        let found = self.pairs.get("h").ok_or(Distrust::NotSigned)?;
        let found = Signature::parse(found.as_bytes()).ok_or(Distrust::Signature)?;
        if !found.matches(&self.signature(key)) {
            return Err(self.explain_signature(&found));
        }
        self.check_echo("nonce", request.nonce.as_str(), Distrust::Nonce)?;
        self.check_echo("otp", &request.otp_as_sent, Distrust::Otp)?;
        Ok(Verdict { status: self.status, sync_percent: self.number("sl"), times: self.times() })
    }

    fn signature(&self, key: &ApiKey) -> Signature {
        let signed = self.pairs.iter().filter(|(name, _)| *name != "h");
        Signature::over_sorted(key, signed.map(|(name, value)| (name.as_bytes(), value.as_bytes())))
    }

    /// Servers sign with the empty key what they decide before they know the client. That proves
    /// nothing, but names the likely mistake.
    fn explain_signature(&self, found: &Signature) -> Distrust {
        let before_the_client = matches!(
            self.status,
            Status::MissingParameter | Status::NoSuchClient | Status::BadOtp | Status::BackendError
        );
        if before_the_client && found.matches(&self.signature(&ApiKey::empty())) {
            Distrust::ClientUnknown { claimed: self.status }
        } else {
            Distrust::Signature
        }
    }

    fn check_echo(&self, name: &str, expected: &str, distrust: Distrust) -> Result<(), Distrust> {
        match self.pairs.get(name) {
            Some(found) if found == expected => Ok(()),
            None if !self.status.echoes() => Ok(()),
            _ => Err(distrust),
        }
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.pairs.get(name)?.parse().ok()
    }

    fn times(&self) -> Option<TokenTimes> {
        Some(TokenTimes {
            timestamp: self.number("timestamp")?,
            session_counter: self.number("sessioncounter")?,
            session_use: self.number("sessionuse")?,
        })
    }
}

/// An answer that is known to be the server's own, to this very request.
///
/// Can only be had from [`Response::authenticate`].
#[derive(Clone, Debug)]
pub struct Verdict {
    status: Status,
    sync_percent: Option<u8>,
    times: Option<TokenTimes>,
}

impl Verdict {
    /// What the server decided.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Whether the password is good. Everything else is a refusal.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.status == Status::Ok
    }

    /// How many percent of the server's peers agreed, where it says so.
    #[must_use]
    pub const fn sync_percent(&self) -> Option<u8> {
        self.sync_percent
    }

    /// The token's clock and counters, where they were asked for.
    #[must_use]
    pub const fn times(&self) -> Option<TokenTimes> {
        self.times
    }
}

/// Why a body is not the answer of a validation server.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ResponseError {
    /// Much longer than any answer.
    #[error("the answer is longer than {} bytes", Response::MAX_BYTES)]
    TooLong,
    /// Not text, or with control characters inside a line.
    #[error("the answer is not text")]
    NotText,
    /// A line that is no `name=value`.
    #[error("a line of the answer is not name=value; is this the address of a validation server?")]
    NotAPair,
    /// A name stands twice.
    #[error("the answer has the same name twice")]
    Repeated,
    /// No `status`.
    #[error("the answer has no status")]
    NoStatus,
    /// A `status` that the protocol does not define.
    #[error("the answer has a status that the protocol does not define")]
    UnknownStatus,
}

/// Why an answer is not believed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Distrust {
    /// No `h`.
    #[error("the answer is not signed")]
    NotSigned,
    /// An `h` that was not made with the client's key.
    #[error("the answer's signature is wrong: is the API key the one of this client id, without quotes?")]
    Signature,
    /// Signed with the empty key, as servers do before they know the client.
    #[error(
        "the server does not seem to know this client id (it answered {claimed}, which cannot be authenticated)"
    )]
    ClientUnknown {
        /// What the answer says; anybody could have written it.
        claimed: Status,
    },
    /// The nonce is another request's, or missing.
    #[error("the answer belongs to another request (its nonce differs)")]
    Nonce,
    /// The password is another one, or missing.
    #[error("the answer belongs to another one-time password")]
    Otp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::validation::{Answer, ClientId, Echo};

    const OTP: &str = "vvungrrdhvtklknvrtvuvbbkeidikkvgglrvdgrfcdft";

    fn key() -> ApiKey {
        "mG5be6ZJU1qBGz24yPh/ESM3UdU=".parse().unwrap()
    }

    fn request() -> Request {
        Request::new(ClientId::try_from(1).unwrap(), OTP, "0123456789abcdef".parse().unwrap()).unwrap()
    }

    fn signed(pairs: &[(&str, &str)], key: &ApiKey) -> String {
        let mut sorted = pairs.to_vec();
        sorted.sort_unstable();
        let h = Signature::over_sorted(key, sorted.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())));
        pairs.iter().fold(format!("h={h}\r\n"), |text, (name, value)| format!("{text}{name}={value}\r\n"))
            + "\r\n"
    }

    fn judge(body: &str) -> Result<Verdict, Distrust> {
        Response::parse(body.as_bytes()).unwrap().authenticate(&request(), &key())
    }

    #[test]
    fn every_status_of_our_own_server_is_believed() {
        for status in Status::ALL {
            let echo = Echo { otp: OTP.into(), nonce: request().nonce };
            let text = Answer::new(status, "T".into(), echo).with_sync_percent(0).to_text(&key());
            assert_eq!(judge(&text).unwrap().status(), status);
        }
    }

    #[test]
    fn forged_answers_are_refused() {
        let ok = [("t", "T"), ("otp", OTP), ("nonce", "0123456789abcdef"), ("status", "OK")];
        let good = signed(&ok, &key());
        assert!(judge(&good).unwrap().is_valid());
        let without_h = good.split_once("\r\n").unwrap().1;
        assert_eq!(judge(without_h).unwrap_err(), Distrust::NotSigned);
        assert_eq!(judge(&format!("h=garbage\r\n{without_h}")).unwrap_err(), Distrust::Signature);
        assert_eq!(judge(&signed(&ok, &ApiKey::empty())).unwrap_err(), Distrust::Signature);
        let cases: [(&[(&str, &str)], Distrust); 4] = [
            (&[("otp", OTP), ("nonce", "0123456789abcdeX"), ("status", "OK")], Distrust::Nonce),
            (&[("otp", OTP), ("status", "OK")], Distrust::Nonce),
            (&[("nonce", "0123456789abcdef"), ("status", "OK")], Distrust::Otp),
            (
                &[("otp", &OTP.replace('v', "c")), ("nonce", "0123456789abcdef"), ("status", "OK")],
                Distrust::Otp,
            ),
        ];
        for (pairs, distrust) in cases {
            assert_eq!(judge(&signed(pairs, &key())).unwrap_err(), distrust, "{pairs:?}");
        }
        let refusal = [("t", "T"), ("status", "NO_SUCH_CLIENT")];
        let claimed = Status::NoSuchClient;
        assert_eq!(
            judge(&signed(&refusal, &ApiKey::empty())).unwrap_err(),
            Distrust::ClientUnknown { claimed }
        );
    }

    #[test]
    fn malformed_answers_are_refused() {
        let cases: [(&[u8], ResponseError); 7] = [
            (b"", ResponseError::NoStatus),
            (b"h=x\r\nstatus=ok\r\n", ResponseError::UnknownStatus),
            (b"status=BAD_OTP\r\nstatus=OK\r\n", ResponseError::Repeated),
            (b"<html>", ResponseError::NotAPair),
            (b"status=OK\xff", ResponseError::NotText),
            (b"status=OK\rx=y\n", ResponseError::NotText),
            (&[b'a'; Response::MAX_BYTES + 1], ResponseError::TooLong),
        ];
        for (body, error) in cases {
            assert_eq!(Response::parse(body).unwrap_err(), error);
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body: Vec<u8>) {
            if let Ok(response) = Response::parse(&body) {
                prop_assert!(response.authenticate(&request(), &key()).is_err());
            }
        }
    }
}
