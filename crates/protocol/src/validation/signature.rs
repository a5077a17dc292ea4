//! The HMAC-SHA1 signature of requests and answers.

use std::{fmt, str::FromStr};

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::secret::SecretBytes;

/// The secret that an API client shares with the server; handed out in base64.
///
/// ```
/// use tapkey_protocol::validation::ApiKey;
/// let key: ApiKey = "mG5be6ZJU1qBGz24yPh/ESM3UdU=".parse()?;
/// assert_eq!(key.to_base64(), "mG5be6ZJU1qBGz24yPh/ESM3UdU=");
/// assert_eq!(format!("{key:?}"), "ApiKey(…)");
/// # Ok::<(), tapkey_protocol::validation::ApiKeyError>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct ApiKey(SecretBytes);

impl ApiKey {
    /// From raw bytes; servers draw 20.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(SecretBytes::new(bytes))
    }

    /// The key of answers to requests whose client is not known: no bytes at all.
    #[must_use]
    pub const fn empty() -> Self {
        Self::new(Vec::new())
    }

    /// The bytes themselves; name every use of this in review.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// As it is handed to the client's administrator.
    #[must_use]
    pub fn to_base64(&self) -> String {
        BASE64.encode(self.0.expose())
    }

    fn mac(&self) -> Option<Hmac<Sha1>> {
        Hmac::new_from_slice(self.0.expose()).ok()
    }
}

impl FromStr for ApiKey {
    type Err = ApiKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        BASE64.decode(text.trim().as_bytes()).map(Self::new).map_err(|_| ApiKeyError)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// Not an API key.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "an API key is base64 with padding, as the server printed it (check for quotes or missing characters)"
)]
pub struct ApiKeyError;

/// The value of `h`.
#[derive(Clone, Copy, Debug)]
pub struct Signature([u8; 20]);

impl Signature {
    /// Signs parameters: sorted by name, joined as `name=value` with `&`, values not URL-encoded.
    ///
    /// The caller leaves `h` out and passes the pairs already sorted.
    #[must_use]
    pub fn over_sorted<'a>(key: &ApiKey, pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        // HMAC takes keys of every length, so the key is never refused.
        let Some(mut mac) = key.mac() else { return Self([0; 20]) };
        for (index, (name, value)) in pairs.into_iter().enumerate() {
            if index > 0 {
                mac.update(b"&");
            }
            mac.update(name);
            mac.update(b"=");
            mac.update(value);
        }
        Self(mac.finalize().into_bytes().into())
    }

    /// Reads the standard base64 of an `h` parameter. `None` is as good as a wrong signature.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        BASE64.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// Whether two signatures are the same, in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(pairs: &[(&str, &str)]) -> String {
        let key: ApiKey = "mG5be6ZJU1qBGz24yPh/ESM3UdU=".parse().unwrap();
        let mut pairs = pairs.to_vec();
        pairs.sort_unstable();
        Signature::over_sorted(&key, pairs.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()))).to_string()
    }

    #[test]
    fn published_request_and_response() {
        let request = [
            ("id", "1"),
            ("nonce", "jrFwbaYFhn0HoxZIsd9LQ6w2ceU"),
            ("otp", "vvungrrdhvtklknvrtvuvbbkeidikkvgglrvdgrfcdft"),
        ];
        assert_eq!(sign(&request), "+ja8S3IjbX593/LAgTBixwPNGX4=");
        let response = [
            ("status", "OK"),
            ("t", "2019-06-06T05:14:15Z0369"),
            ("nonce", "0123456789abcdef"),
            ("otp", "cccccckdvvulethkhtvkrtbeukiettvfceekurncllcj"),
            ("sl", "25"),
        ];
        assert_eq!(sign(&response), "iCV9uFJDtuyELQsxFPnR80Yj2XU=");
    }
}
