//! The parameters of a request as they arrive in a URL or a form body.

use std::{borrow::Cow, collections::BTreeMap};

use super::{ApiKey, Signature};

/// Decoded parameters: percent signs and plus signs undone, sorted by name, the last of a repeated
/// name kept.
///
/// Names and values are bytes: what is not text simply matches nothing.
///
/// ```
/// use tapkey_protocol::validation::Query;
/// let query = Query::parse(b"id=1&h=%2Bja8&id=2&odd");
/// assert_eq!(query.get("id"), Some(&b"2"[..]));
/// assert_eq!(query.get("h"), Some(&b"+ja8"[..]));
/// assert_eq!(query.get("odd"), Some(&b""[..]));
/// assert_eq!(query.get("otp"), None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Query<'a> {
    pairs: BTreeMap<Cow<'a, [u8]>, Cow<'a, [u8]>>,
}

impl<'a> Query<'a> {
    /// Splits and decodes a query string or a form body. Nothing is refused here; how long it may
    /// be is the server's limit to set.
    #[must_use]
    pub fn parse(raw: &'a [u8]) -> Self {
        let pairs = raw
            .split(|byte| *byte == b'&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let mut halves = pair.splitn(2, |byte| *byte == b'=');
                let name = halves.next().unwrap_or_default();
                let value = halves.next().unwrap_or_default();
                (decode(name), decode(value))
            })
            .collect();
        Self { pairs }
    }

    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.pairs.get(name.as_bytes()).map(AsRef::as_ref)
    }

    /// The value of a parameter as text; `None` where it is absent, empty or not text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| str::from_utf8(value).ok()).filter(|text| !text.is_empty())
    }

    /// The signature that the sender should have made over all parameters but `h`, unknown ones
    /// included.
    #[must_use]
    pub fn signature(&self, key: &ApiKey) -> Signature {
        let signed = self.pairs.iter().filter(|(name, _)| name.as_ref() != b"h");
        Signature::over_sorted(key, signed.map(|(name, value)| (name.as_ref(), value.as_ref())))
    }
}

/// Undoes percent signs and plus signs. A percent sign without two digits stands for itself.
fn decode(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(raw);
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    rest = after;
                }
                _ => decoded.push(b'%'),
            },
            (byte, _) => decoded.push(*byte),
        }
    }
    Cow::Owned(decoded)
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Writes a value so that [`Query::parse`] reads it back.
pub(super) fn encode(value: &str, into: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            into.push(char::from(byte));
        } else {
            into.push('%');
            into.push_str(&data_encoding::HEXUPPER.encode(&[byte]));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn broken_escapes_stand_for_themselves() {
        let query = Query::parse(b"a=%&b=%4&c=%zz&d=%41&e=%00&=x&&");
        assert_eq!(query.get("a"), Some(&b"%"[..]));
        assert_eq!(query.get("b"), Some(&b"%4"[..]));
        assert_eq!(query.get("c"), Some(&b"%zz"[..]));
        assert_eq!(query.get("d"), Some(&b"A"[..]));
        assert_eq!(query.get("e"), Some(&b"\0"[..]));
        assert_eq!(query.get(""), Some(&b"x"[..]));
    }

    #[test]
    fn array_syntax_is_another_name() {
        assert_eq!(Query::parse(b"id[]=1").get("id"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_split(raw: Vec<u8>) {
            let query = Query::parse(&raw);
            let _ = query.signature(&ApiKey::empty());
        }

        #[test]
        fn an_encoded_value_is_read_back(value: String) {
            let mut text = "v=".to_owned();
            encode(&value, &mut text);
            let query = Query::parse(text.as_bytes());
            prop_assert_eq!(query.get("v"), Some(value.as_bytes()));
        }
    }
}
