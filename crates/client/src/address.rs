//! Addresses that secrets may be sent to.

use std::{fmt, str::FromStr};

use thiserror::Error;
use url::{Host, Url};

/// The address of a server: `https`, or plain `http` to this machine and nowhere else.
///
/// One-time passwords, keys and tokens travel to it, so there is no switch that lets plain `http`
/// leave the machine. The name `localhost` always means the loopback addresses, whatever a name
/// server says. User names, passwords, queries and fragments are refused: nothing of them would
/// be used.
///
/// ```
/// use tapkey_client::{AddressError, ServerUrl};
/// assert!("https://otp.example.org/wsapi/2.0/verify".parse::<ServerUrl>().is_ok());
/// assert!("http://127.0.0.1:8080/wsapi/2.0/verify".parse::<ServerUrl>().is_ok());
/// let open = "http://otp.example.org/wsapi/2.0/verify".parse::<ServerUrl>();
/// assert_eq!(open, Err(AddressError::NotEncrypted));
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ServerUrl(Url);

impl ServerUrl {
    /// The whole address.
    #[must_use]
    pub const fn as_url(&self) -> &Url {
        &self.0
    }

    /// Whether it is spoken to over TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The address with a query.
    pub(crate) fn with_query(&self, query: &str) -> Url {
        let mut url = self.0.clone();
        url.set_query(Some(query));
        url
    }

    /// The address with path segments and a query behind it, each segment escaped.
    pub(crate) fn join<'a>(
        &self,
        segments: impl IntoIterator<Item = &'a str>,
        query: &[(&str, String)],
    ) -> Url {
        let mut url = self.0.clone();
        // Cannot fail: http and https addresses always have a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

impl TryFrom<Url> for ServerUrl {
    type Error = AddressError;

    fn try_from(url: Url) -> Result<Self, Self::Error> {
        let this_machine = match url.host() {
            Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(AddressError::Scheme),
        };
        match url.scheme() {
            "https" => {}
            "http" if this_machine => {}
            "http" => return Err(AddressError::NotEncrypted),
            _ => return Err(AddressError::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Query);
        }
        Ok(Self(url))
    }
}

impl FromStr for ServerUrl {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Url::parse(text.trim()).map_err(AddressError::Syntax)?.try_into()
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.as_str())
    }
}

/// Why an address is not used.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum AddressError {
    /// Not an address at all.
    #[error("not an address ({0}); write it like https://otp.example.org/wsapi/2.0/verify")]
    Syntax(url::ParseError),
    /// Neither `https` nor `http`.
    #[error("the address of a server begins with https://")]
    Scheme,
    /// Plain `http` to another machine.
    #[error(
        "plain http would let everybody on the way read and change what is sent; use https (http works for this machine only)"
    )]
    NotEncrypted,
    /// A user name or a password inside.
    #[error("the address must not contain a user name or a password")]
    Credentials,
    /// A query or a fragment.
    #[error("the address must end before the ? or #; the parameters are added by the client")]
    Query,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for good in [
            "https://a.example",
            "http://localhost:1/x",
            "http://LOCALHOST/",
            "http://127.0.0.1:8080/wsapi/2.0/verify",
            "http://127.9.9.9/",
            "http://[::1]:80/",
            // The parser normalises this spelling of 127.0.0.1.
            "http://2130706433/",
        ] {
            assert!(good.parse::<ServerUrl>().is_ok(), "{good}");
        }
        for open in [
            "http://a.example",
            "http://localhost.a.example/",
            "http://127.0.0.1.a.example/",
            "http://10.0.0.1/",
            "http://0.0.0.0/",
            "http://[::ffff:10.0.0.1]/",
            "http://a.localhost/",
        ] {
            assert_eq!(open.parse::<ServerUrl>(), Err(AddressError::NotEncrypted), "{open}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!("ftp://a.example".parse::<ServerUrl>(), Err(AddressError::Scheme));
        assert_eq!("data:,x".parse::<ServerUrl>(), Err(AddressError::Scheme));
        assert!(matches!("otp.example.org".parse::<ServerUrl>(), Err(AddressError::Syntax(_))));
        assert_eq!("https://u:p@a.example".parse::<ServerUrl>(), Err(AddressError::Credentials));
        assert_eq!("http://127.0.0.1@a.example".parse::<ServerUrl>(), Err(AddressError::NotEncrypted));
        assert_eq!("https://a.example/?id=%d&otp=%s".parse::<ServerUrl>(), Err(AddressError::Query));
        assert_eq!("https://a.example/#x".parse::<ServerUrl>(), Err(AddressError::Query));
    }

    #[test]
    fn segments_cannot_leave_their_place() {
        let base: ServerUrl = "https://a.example/tapkey/".parse().unwrap();
        let url = base.join(["api", "v1", "accounts", "../x?y#z"], &[("limit", "5".to_owned())]);
        assert_eq!(url.as_str(), "https://a.example/tapkey/api/v1/accounts/..%2Fx%3Fy%23z?limit=5");
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_refused(text: String) {
            if let Ok(url) = text.parse::<ServerUrl>() {
                prop_assert_eq!(url.to_string().parse::<ServerUrl>(), Ok(url));
            }
        }
    }
}
