//! The challenge of a sign-in, derived on the side of the person who signs in.
//!
//! A slot answers whatever it is asked. If a server chose the challenge, a hostile one could send the
//! very bytes that open a disk or a password database of the same slot, and would be told the answer.
//! So the server names a nonce only, and the challenge is a hash over everything that matters:
//!
//! ```text
//! SHA-256( part("tapkey sign-in challenge 1")
//!          part(purpose) part(origin) part(account) part(nonce) )
//! part(x) = length of x in four bytes, big-endian, and x
//! ```
//!
//! The 32 bytes go to the slot as they are, padded as by [`pad`]. The server, which knows the
//! slot's key, computes the same and compares.
//!
//! The lengths keep the parts apart, so no two sign-ins share a challenge; the name in front keeps it
//! apart from every other use of SHA-256; the origin keeps one server's answer from being shown to
//! another. What is not kept apart is a slot from a *program* that sends challenges of its own: whoever
//! can run programs where the key is plugged in can ask it anything.

use std::fmt;
use std::str::FromStr;

use subtle::ConstantTimeEq;
use thiserror::Error;

use super::derive::hash_parts;
use super::pad;
use crate::oath::Algorithm;
use crate::secret::Secret;

/// Everything that one sign-in is about.
///
/// ```
/// use tapkey_protocol::challenge::sign_in::{Nonce, Purpose, SignIn};
///
/// let sign_in = SignIn {
///     purpose: Purpose::SignIn,
///     origin: "https://login.example.org".parse()?,
///     account: "alice".parse()?,
///     nonce: Nonce::new(&[7; 16])?,
/// };
/// let other = SignIn { origin: "https://login.example.com".parse()?, ..sign_in.clone() };
/// assert_ne!(sign_in.challenge(), other.challenge());
///
/// // The server's side: it knows the key of the slot.
/// let key = [0x0B; 20];
/// let response = sign_in.response_of(&key);
/// assert!(sign_in.accepts(&key, &response));
/// assert!(!other.accepts(&key, &response));
/// # Ok::<(), tapkey_protocol::challenge::sign_in::SignInError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignIn {
    /// What the answer is good for.
    pub purpose: Purpose,
    /// Who asks.
    pub origin: Origin,
    /// Whose account.
    pub account: Account,
    /// What makes it good once.
    pub nonce: Nonce,
}

impl SignIn {
    /// What the slot is asked.
    #[must_use]
    pub fn challenge(&self) -> [u8; 32] {
        hash_parts(&[
            DOMAIN,
            self.purpose.as_str().as_bytes(),
            self.origin.as_str().as_bytes(),
            self.account.as_str().as_bytes(),
            self.nonce.as_bytes(),
        ])
    }

    /// What a variable-length slot with this key of 20 bytes answers.
    #[must_use]
    pub fn response_of(&self, key: &[u8; 20]) -> Secret<20> {
        mac(key, &self.challenge())
    }

    /// Whether a response is that of a slot with this key, variable-length or not. Compares in
    /// constant time.
    #[must_use]
    pub fn accepts(&self, key: &[u8; 20], response: &Secret<20>) -> bool {
        let challenge = self.challenge();
        let variable = mac(key, &challenge).expose().ct_eq(response.expose());
        // Thirty-two bytes always fit.
        let frame = pad(&challenge).unwrap_or([0; super::FRAME]);
        let fixed = mac(key, &frame).expose().ct_eq(response.expose());
        (variable | fixed).into()
    }
}

fn mac(key: &[u8], message: &[u8]) -> Secret<20> {
    let mut response = [0; 20];
    for (to, from) in response.iter_mut().zip(Algorithm::Sha1.hmac(key, message)) {
        *to = from;
    }
    Secret::new(response)
}

/// What an answer is good for. Another purpose, another challenge.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Purpose {
    /// Signing in.
    #[default]
    SignIn,
    /// Showing anew who sits there, before something grave is done.
    Confirm,
    /// Adding the slot to an account.
    Enroll,
}

impl Purpose {
    /// The word for it in the challenge.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Confirm => "confirm",
            Self::Enroll => "enroll",
        }
    }
}

impl FromStr for Purpose {
    type Err = SignInError;

    fn from_str(text: &str) -> Result<Self, SignInError> {
        [Self::SignIn, Self::Confirm, Self::Enroll]
            .into_iter()
            .find(|purpose| purpose.as_str() == text)
            .ok_or(SignInError::Purpose)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Scheme, host and, where it is not the usual one, port of a server: `https://login.example.org`.
///
/// One server has one spelling: small letters, no port 443 behind `https` (nor 80 behind `http`),
/// nothing after it. Names in other scripts are written in their ASCII form (`xn--…`).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Origin(String);

impl Origin {
    /// The origin as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = SignInError;

    /// Takes capital letters, the usual port and one slash at the end, and writes them the one way.
    fn from_str(text: &str) -> Result<Self, SignInError> {
        let text = text.to_ascii_lowercase();
        let (scheme, usual) = match text.split_once("://") {
            Some(("https", _)) => ("https", "443"),
            Some(("http", _)) => ("http", "80"),
            _ => return Err(SignInError::Origin),
        };
        let rest = &text[scheme.len() + 3..];
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            // The colons of an address of IPv6 stand in brackets.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let name = host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let address = address.is_some_and(|inside| inside.parse::<std::net::Ipv6Addr>().is_ok());
        if host.is_empty() || host.len() > 253 || !(name || address) {
            return Err(SignInError::Origin);
        }
        let port = match port {
            None => None,
            Some(port) if port == usual => None,
            Some(port) => {
                let number: u16 = port.parse().map_err(|_| SignInError::Origin)?;
                // Zeros in front or a sign would be another spelling.
                (number > 0 && number.to_string() == port)
                    .then_some(number)
                    .ok_or(SignInError::Origin)?
                    .into()
            }
        };
        Ok(Self(match port {
            None => format!("{scheme}://{host}"),
            Some(port) => format!("{scheme}://{host}:{port}"),
        }))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose account it is, as the server calls it: 1 to 255 bytes, compared byte by byte.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Account(String);

impl Account {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Account {
    type Err = SignInError;

    fn from_str(text: &str) -> Result<Self, SignInError> {
        if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
            return Err(SignInError::Account);
        }
        Ok(Self(text.to_owned()))
    }
}

/// What the server drew for this one sign-in: 16 to 255 random bytes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Nonce(Vec<u8>);

impl Nonce {
    /// Takes the bytes.
    ///
    /// # Errors
    /// [`SignInError::Nonce`] for fewer than 16 or more than 255.
    pub fn new(bytes: &[u8]) -> Result<Self, SignInError> {
        if !(16..=255).contains(&bytes.len()) {
            return Err(SignInError::Nonce { found: bytes.len() });
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Why there is no challenge.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SignInError {
    /// No such purpose.
    #[error("the purpose is sign-in, confirm or enroll")]
    Purpose,
    /// No origin of a server.
    #[error("an origin is http:// or https://, a host and perhaps a port, such as https://login.example.org")]
    Origin,
    /// No name of an account.
    #[error("an account has 1 to 255 bytes and no control characters")]
    Account,
    /// A nonce of the wrong length.
    #[error("a nonce has 16 to 255 bytes, this one has {found}")]
    Nonce {
        /// Its length in bytes.
        found: usize,
    },
}

/// Nothing else hashes something that begins like this.
const DOMAIN: &[u8] = b"tapkey sign-in challenge 1";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sign_in(origin: &str, account: &str, nonce: &[u8]) -> SignIn {
        SignIn {
            purpose: Purpose::SignIn,
            origin: origin.parse().unwrap(),
            account: account.parse().unwrap(),
            nonce: Nonce::new(nonce).unwrap(),
        }
    }

    /// By Python: `hashlib.sha256(b"".join(len(p).to_bytes(4,"big")+p for p in parts))`.
    #[test]
    fn the_challenge_is_the_documented_one() {
        let sign_in = sign_in("https://login.example.org", "alice", &[7; 16]);
        assert_eq!(
            data_encoding::HEXLOWER.encode(&sign_in.challenge()),
            "e72aec18aca048afb89748188039306be3733b87bfa653c003412ac93b4886dd"
        );
        assert_eq!(
            data_encoding::HEXLOWER.encode(sign_in.response_of(&[0x0B; 20]).expose()),
            "c4df21b16ba32390a65b5c2442febe0b88ac7d84"
        );
    }

    #[test]
    fn one_server_has_one_spelling() {
        for (written, meant) in [
            ("https://Login.Example.org/", "https://login.example.org"),
            ("https://login.example.org:443", "https://login.example.org"),
            ("http://localhost:80", "http://localhost"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("https://[::1]:8443", "https://[::1]:8443"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]"),
        ] {
            assert_eq!(written.parse::<Origin>().unwrap().as_str(), meant);
        }
        for wrong in [
            "",
            "login.example.org",
            "ftp://example.org",
            "https://",
            "https:///",
            "https://a/b",
            "https://a?b",
            "https://user@a",
            "https://a:",
            "https://a:0",
            "https://a:080",
            "https://a:+80",
            "https://a:65536",
            "https://a b",
            "https://ä.example",
            "https://[::1",
            "https://[x]",
            "https://a//",
            "https://a:1:2",
        ] {
            assert_eq!(wrong.parse::<Origin>(), Err(SignInError::Origin), "{wrong}");
        }
    }

    #[test]
    fn limits() {
        assert_eq!(Nonce::new(&[0; 15]), Err(SignInError::Nonce { found: 15 }));
        assert!(Nonce::new(&[0; 255]).is_ok() && Nonce::new(&[0; 256]).is_err());
        for wrong in ["", "a\nb", &"x".repeat(256)] {
            assert_eq!(wrong.parse::<Account>(), Err(SignInError::Account));
        }
        assert_eq!("sign in".parse::<Purpose>(), Err(SignInError::Purpose));
        assert_eq!("confirm".parse(), Ok(Purpose::Confirm));
    }

    #[test]
    fn slots_of_both_kinds_are_accepted_and_others_are_not() {
        let key = [9; 20];
        let sign_in = sign_in("https://a.example", "alice", &[1; 16]);
        let frame = pad(&sign_in.challenge()).unwrap();
        assert!(sign_in.accepts(&key, &sign_in.response_of(&key)));
        assert!(sign_in.accepts(&key, &mac(&key, &frame)));
        assert!(!sign_in.accepts(&[8; 20], &sign_in.response_of(&key)));
        assert!(!sign_in.accepts(&key, &Secret::new([0; 20])));
    }

    fn any_sign_in() -> impl Strategy<Value = SignIn> {
        // Few different letters, so that parts often touch in the same way.
        ("[ab]{1,4}", "[ab:/]{1,4}", proptest::collection::vec(0_u8..2, 16..20), 0..3_usize).prop_map(
            |(host, account, nonce, purpose)| SignIn {
                purpose: [Purpose::SignIn, Purpose::Confirm, Purpose::Enroll][purpose],
                origin: format!("https://{host}").parse().unwrap(),
                account: account.parse().unwrap(),
                nonce: Nonce::new(&nonce).unwrap(),
            },
        )
    }

    proptest! {
        #[test]
        fn different_sign_ins_have_different_challenges(one in any_sign_in(), two in any_sign_in()) {
            prop_assert_eq!(one == two, one.challenge() == two.challenge());
        }

        /// What a server sends as a nonce never reaches a slot: neither the bytes themselves nor
        /// anything that a slot would take for them after padding, whatever they are.
        #[test]
        fn a_server_never_chooses_what_a_slot_is_asked(
            nonce in proptest::collection::vec(any::<u8>(), 16..=64),
        ) {
            let sign_in = sign_in("https://hostile.example", "alice", &nonce);
            let frame = pad(&sign_in.challenge()).unwrap();
            for padding in [super::super::Padding::Exact, super::super::Padding::Zeros, super::super::Padding::Count] {
                let wanted = padding.frame(&nonce).unwrap();
                prop_assert_ne!(frame, wanted);
                prop_assert_ne!(super::super::strip(&frame), super::super::strip(&wanted));
            }
            // Nor the plain hash of it, which another program may use as its challenge.
            let plain = Algorithm::Sha256.digest(&nonce);
            prop_assert_ne!(&sign_in.challenge()[..], &plain[..]);
        }

        #[test]
        fn origins_never_panic_and_are_stable(text in "\\PC*") {
            if let Ok(origin) = text.parse::<Origin>() {
                prop_assert_eq!(origin.as_str().parse(), Ok(origin.clone()));
            }
        }
    }
}
