//! A request to validate one password.

use thiserror::Error;

use super::{ApiKey, ClientId, Nonce, Query, Signature, Status, SyncLevel, query::encode};
use crate::otp::{Otp, PublicId, typed};

/// A well-formed request.
///
/// ```
/// use tapkey_protocol::validation::{ClientId, Nonce, Query, Request};
/// let otp = "vvungrrdhvtklknvrtvuvbbkeidikkvgglrvdgrfcdft";
/// let request = Request::new(ClientId::try_from(1)?, otp, "jrFwbaYFhn0HoxZIsd9LQ6w2ceU".parse()?)?;
/// let key = "mG5be6ZJU1qBGz24yPh/ESM3UdU=".parse()?;
/// let query = request.to_query(Some(&key));
/// assert!(query.ends_with("&h=%2Bja8S3IjbX593%2FLAgTBixwPNGX4%3D"));
/// let read = Request::from_query(&Query::parse(query.as_bytes()))?;
/// assert_eq!(read.otp, request.otp);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks.
    pub client: ClientId,
    /// The password.
    pub otp: Otp,
    /// The password in the sender's own spelling (case, keyboard layout), white space trimmed. An
    /// answer repeats it, because clients compare it byte for byte.
    pub otp_as_sent: String,
    /// Ties the answer to this request.
    pub nonce: Nonce,
    /// Whether the answer should carry the token's clock and counters.
    pub timestamp: bool,
    /// How many peers must agree; the server's default where `None`.
    pub sync_level: Option<SyncLevel>,
    /// How long the server may wait for its peers, in seconds; its default where `None`.
    pub timeout: Option<u32>,
}

impl Request {
    /// A request with the server's defaults.
    ///
    /// # Errors
    /// The text is no password a validation server takes.
    pub fn new(client: ClientId, otp: &str, nonce: Nonce) -> Result<Self, RequestError> {
        let otp_as_sent = otp.trim().to_owned();
        let otp = read_otp(&otp_as_sent)?;
        Ok(Self { client, otp, otp_as_sent, nonce, timestamp: false, sync_level: None, timeout: None })
    }

    /// Reads a request, in the order in which the protocol's reference checks its parameters.
    ///
    /// # Errors
    /// The first thing found wrong; [`RequestError::status`] is what to answer.
    pub fn from_query(query: &Query<'_>) -> Result<Self, RequestError> {
        Self::read(query, None)
    }

    /// Reads a request of version 1.0 or 1.1 of the protocol, which need not carry a nonce: zeros
    /// take its place, and say nothing.
    ///
    /// # Errors
    /// As [`Request::from_query`].
    pub fn from_query_of_version_1(query: &Query<'_>) -> Result<Self, RequestError> {
        Self::read(query, Some("0000000000000000"))
    }

    fn read(query: &Query<'_>, own_nonce: Option<&str>) -> Result<Self, RequestError> {
        let nonce = query.text("nonce").or(own_nonce).ok_or(RequestError::NonceMissing)?;
        let sync_level = optional(query, "sl", RequestError::SyncLevel, |text| text.parse().ok())?;
        let timeout = optional(query, "timeout", RequestError::Timeout, seconds)?;
        let otp_as_sent = query.text("otp").ok_or(RequestError::OtpMissing)?.trim().to_owned();
        let otp = read_otp(&otp_as_sent)?;
        let client = Self::client_of(query)?;
        let nonce = nonce.parse().map_err(|_| RequestError::Nonce)?;
        let timestamp = query.text("timestamp").is_some_and(is_one);
        Ok(Self { client, otp, otp_as_sent, nonce, timestamp, sync_level, timeout })
    }

    /// The client id alone, so that the answer to a request that is wrong elsewhere can still be
    /// signed with that client's key.
    ///
    /// # Errors
    /// Absent or not a client id.
    pub fn client_of(query: &Query<'_>) -> Result<ClientId, RequestError> {
        query.text("id").and_then(|id| id.parse().ok()).ok_or(RequestError::ClientId)
    }

    /// Whether the sender signed the request, and rightly so.
    #[must_use]
    pub fn check_signature(query: &Query<'_>, key: &ApiKey) -> RequestSignature {
        match query.get("h").filter(|h| !h.is_empty()) {
            None => RequestSignature::Absent,
            Some(h) => match Signature::parse(h) {
                Some(found) if found.matches(&query.signature(key)) => RequestSignature::Right,
                _ => RequestSignature::Wrong,
            },
        }
    }

    /// The query string to append to a server's address, signed where there is a key.
    #[must_use]
    pub fn to_query(&self, key: Option<&ApiKey>) -> String {
        let client = self.client.to_string();
        let sync_level = self.sync_level.map(|level| level.to_string());
        let timeout = self.timeout.map(|seconds| seconds.to_string());
        // In the order of their names, which is the order that gets signed.
        let pairs = [
            ("id", Some(client.as_str())),
            ("nonce", Some(self.nonce.as_str())),
            ("otp", Some(self.otp_as_sent.as_str())),
            ("sl", sync_level.as_deref()),
            ("timeout", timeout.as_deref()),
            ("timestamp", self.timestamp.then_some("1")),
        ];
        let present = || pairs.iter().filter_map(|(name, value)| value.map(|value| (*name, value)));
        let mut text = String::with_capacity(192);
        for (name, value) in present() {
            push(&mut text, name, value);
        }
        if let Some(key) = key {
            let signed = present().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            push(&mut text, "h", &Signature::over_sorted(key, signed).to_string());
        }
        text
    }
}

/// What the `h` of a request is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RequestSignature {
    /// The sender did not sign.
    Absent,
    /// Signed with the client's key.
    Right,
    /// Signed with another key, or changed on the way.
    Wrong,
}

/// Why a request is not well formed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum RequestError {
    /// No `nonce`.
    #[error("the parameter nonce is missing")]
    NonceMissing,
    /// A `nonce` that is none.
    #[error("the parameter nonce must be 16 to 40 letters and digits")]
    Nonce,
    /// A `sl` that is none.
    #[error("the parameter sl must be fast, secure, or 0 to 100")]
    SyncLevel,
    /// A `timeout` that is none.
    #[error("the parameter timeout must be a number of seconds")]
    Timeout,
    /// No `otp`.
    #[error("the parameter otp is missing")]
    OtpMissing,
    /// An `otp` that is none.
    #[error("the parameter otp is not a one-time password of 32 to 48 modhex letters")]
    Otp,
    /// No `id`, or one that is none.
    #[error("the parameter id must be a client id of 1 to 10 digits, greater than 0")]
    ClientId,
}

impl RequestError {
    /// The status to answer with.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::OtpMissing | Self::Otp => Status::BadOtp,
            _ => Status::MissingParameter,
        }
    }
}

/// A password that fits the protocol: a public id of at most 8 bytes.
fn read_otp(text: &str) -> Result<Otp, RequestError> {
    match typed::parse(text) {
        Ok((otp, _)) if otp.public_id().len() <= PublicId::MAX_ON_A_SERVER => Ok(otp),
        _ => Err(RequestError::Otp),
    }
}

/// An optional parameter: absent and empty mean the default, anything unreadable is an error.
fn optional<T>(
    query: &Query<'_>,
    name: &str,
    error: RequestError,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, RequestError> {
    match query.get(name) {
        None | Some([]) => Ok(None),
        Some(value) => str::from_utf8(value).ok().and_then(read).map(Some).ok_or(error),
    }
}

fn seconds(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|digit| digit.is_ascii_digit());
    // More seconds than a u32 holds is still a number: as long as it takes.
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}

/// The reference compares with 1 as a number, so `01` and `1.0` mean it too.
fn is_one(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    whole.trim_start_matches('0') == "1" && fraction.bytes().all(|digit| digit == b'0')
}

fn push(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() {
        text.push('&');
    }
    text.push_str(name);
    text.push('=');
    encode(value, text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OTP: &str = "vvungrrdhvtklknvrtvuvbbkeidikkvgglrvdgrfcdft";
    const NONCE: &str = "jrFwbaYFhn0HoxZIsd9LQ6w2ceU";

    fn read(query: &str) -> Result<Request, RequestError> {
        Request::from_query(&Query::parse(query.as_bytes()))
    }

    #[test]
    fn the_first_wrong_parameter_decides() {
        let full = format!("id=1&otp={OTP}&nonce={NONCE}");
        assert!(read(&full).is_ok());
        let cases = [
            ("id=1".to_owned(), RequestError::NonceMissing),
            (format!("{full}&sl=101"), RequestError::SyncLevel),
            (format!("{full}&sl=-1"), RequestError::SyncLevel),
            (format!("{full}&timeout=x"), RequestError::Timeout),
            (format!("id=0&nonce={NONCE}"), RequestError::OtpMissing),
            (format!("id=0&otp=x&nonce={NONCE}"), RequestError::Otp),
            (format!("id=0&otp={OTP}&nonce={NONCE}"), RequestError::ClientId),
            (format!("otp={OTP}&nonce={NONCE}"), RequestError::ClientId),
            (format!("id[]=1&otp={OTP}&nonce={NONCE}"), RequestError::ClientId),
            (format!("id=1&otp={OTP}&nonce=short"), RequestError::Nonce),
            (format!("id=1&otp={OTP}&nonce=%00{NONCE}"), RequestError::Nonce),
            (format!("id=1&otp={OTP}%0d%0astatus=OK&nonce={NONCE}"), RequestError::Otp),
        ];
        for (query, error) in cases {
            assert_eq!(read(&query).unwrap_err(), error, "{query}");
        }
    }

    #[test]
    fn optional_parameters() {
        let full = format!("id=1&otp={OTP}&nonce={NONCE}");
        for (text, expected) in
            [("1", true), ("01", true), ("1.0", true), ("0", false), ("yes", false), ("", false)]
        {
            assert_eq!(read(&format!("{full}&timestamp={text}")).unwrap().timestamp, expected, "{text}");
        }
        assert_eq!(read(&format!("{full}&sl=&timeout=")).unwrap().timeout, None);
        assert_eq!(read(&format!("{full}&timeout=0")).unwrap().timeout, Some(0));
        assert_eq!(read(&format!("{full}&timeout=99999999999")).unwrap().timeout, Some(u32::MAX));
    }

    #[test]
    fn own_spelling_is_kept() {
        let upper = OTP.to_uppercase();
        let request = read(&format!("id=1&otp=%20{upper}%20&nonce={NONCE}")).unwrap();
        assert_eq!(request.otp_as_sent, upper);
        assert_eq!(request.otp.to_string(), OTP);
    }

    #[test]
    fn signatures() {
        let key: ApiKey = "mG5be6ZJU1qBGz24yPh/ESM3UdU=".parse().unwrap();
        let request = Request::new(ClientId::try_from(1).unwrap(), OTP, NONCE.parse().unwrap()).unwrap();
        let check =
            |query: &str, key: &ApiKey| Request::check_signature(&Query::parse(query.as_bytes()), key);
        let signed = request.to_query(Some(&key));
        assert_eq!(check(&signed, &key), RequestSignature::Right);
        assert_eq!(check(&format!("{signed}&extra=1"), &key), RequestSignature::Wrong);
        assert_eq!(check(&signed, &ApiKey::empty()), RequestSignature::Wrong);
        assert_eq!(check(&request.to_query(None), &key), RequestSignature::Absent);
        assert_eq!(check("h=", &key), RequestSignature::Absent);
        assert_eq!(check("h=nonsense", &key), RequestSignature::Wrong);
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused(raw: Vec<u8>) {
            let _ = Request::from_query(&Query::parse(&raw));
        }

        #[test]
        fn what_is_written_is_read_back(id in 1u64..=ClientId::MAX, block: [u8; 16], nonce: [u8; 16], timestamp: bool, timeout: Option<u32>, percent in 0u8..=100) {
            let otp = Otp::new(PublicId::from_serial(7), block).to_string();
            let mut request = Request::new(id.try_into().unwrap(), &otp, Nonce::from_random(nonce)).unwrap();
            request.timestamp = timestamp;
            request.timeout = timeout;
            request.sync_level = Some(SyncLevel::Percent(percent));
            let read = read(&request.to_query(None)).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{request:?}"));
        }
    }
}
