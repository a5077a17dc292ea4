//! Tag-length-value lists with one-byte tags and BER lengths (ISO/IEC 7816-4 section 6.3).
//!
//! The OTP, OATH and management applications use one-byte tags throughout; the few longer ones of
//! PIV are that module's business.

use thiserror::Error;
use zeroize::Zeroize;

/// One element of a list, borrowed from the bytes that hold it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tlv<'a> {
    /// The tag byte.
    pub tag: u8,
    /// The value.
    pub value: &'a [u8],
}

/// Reads elements one after another. After an error the iterator ends.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The tag that comes next, without reading it.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Reads the next element and insists on its tag.
    ///
    /// # Errors
    /// [`TlvError::UnexpectedTag`] for another tag or the end of the list, or the reason why
    /// there is no complete element.
    pub fn expect(&mut self, tag: u8) -> Result<&'a [u8], TlvError> {
        if self.peek() != Some(tag) {
            return Err(TlvError::UnexpectedTag { expected: tag, found: self.peek() });
        }
        self.read().map(|tlv| tlv.value)
    }

    /// Reads the next element when it has `tag`, otherwise leaves it alone.
    ///
    /// # Errors
    /// As [`Reader::expect`], when the tag is there and the element is not complete.
    pub fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, TlvError> {
        if self.peek() == Some(tag) { self.expect(tag).map(Some) } else { Ok(None) }
    }

    /// Reads raw bytes that stand between elements, such as the OATH property, which has a tag and
    /// a value but no length.
    ///
    /// # Errors
    /// [`TlvError::Truncated`] when fewer than `count` bytes are left.
    pub fn take_bytes(&mut self, count: usize) -> Result<&'a [u8], TlvError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(TlvError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Insists that nothing is left.
    ///
    /// # Errors
    /// [`TlvError::TrailingBytes`] otherwise.
    pub fn finish(self) -> Result<(), TlvError> {
        if self.rest.is_empty() { Ok(()) } else { Err(TlvError::TrailingBytes) }
    }

    fn read(&mut self) -> Result<Tlv<'a>, TlvError> {
        let (&tag, rest) = self.rest.split_first().ok_or(TlvError::Truncated)?;
        let (length, rest) = read_length(rest)?;
        let (value, rest) = rest.split_at_checked(length).ok_or(TlvError::Truncated)?;
        self.rest = rest;
        Ok(Tlv { tag, value })
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Tlv<'a>, TlvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let result = self.read();
        if result.is_err() {
            self.rest = &[];
        }
        Some(result)
    }
}

/// The value of the first element with `tag`.
///
/// # Errors
/// [`TlvError`] when the list is broken before the element was found.
pub fn find(bytes: &[u8], tag: u8) -> Result<Option<&[u8]>, TlvError> {
    for element in Reader::new(bytes) {
        let element = element?;
        if element.tag == tag {
            return Ok(Some(element.value));
        }
    }
    Ok(None)
}

/// Builds a list. Its memory is wiped when it is dropped, because lists carry keys.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Adds an element. Values of 65 536 bytes and more have no place in these protocols and are
    /// refused.
    ///
    /// # Errors
    /// [`TlvError::TooLong`] for such a value.
    pub fn try_push(&mut self, tag: u8, value: &[u8]) -> Result<&mut Self, TlvError> {
        let length = u16::try_from(value.len()).map_err(|_| TlvError::TooLong)?;
        self.bytes.push(tag);
        push_length(&mut self.bytes, length);
        self.bytes.extend_from_slice(value);
        Ok(self)
    }

    /// Adds an element whose value is cut at 65 535 bytes; for values whose size the caller knows.
    pub fn push(&mut self, tag: u8, value: &[u8]) -> &mut Self {
        let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.bytes.push(tag);
        push_length(&mut self.bytes, length);
        self.bytes.extend_from_slice(value);
        self
    }

    /// Adds bytes that are not an element, such as the OATH property.
    pub fn push_raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The list so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the list out.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("length", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// Why a list could not be read or written.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum TlvError {
    /// The list ends in the middle of an element.
    #[error("the tag-length-value list ends in the middle of an element")]
    Truncated,
    /// The length is indefinite or has more than two bytes.
    #[error("the tag-length-value list has a length of a kind that is not used here")]
    BadLength,
    /// Another element was due.
    #[error("the element {expected:#04x} is missing, {} stands in its place", Found(*found))]
    UnexpectedTag {
        /// The tag that was due.
        expected: u8,
        /// The tag that is there, or nothing at the end of the list.
        found: Option<u8>,
    },
    /// Bytes follow after the last element.
    #[error("bytes follow after the last element of the list")]
    TrailingBytes,
    /// The value is too long to be written.
    #[error("the value is longer than 65535 bytes")]
    TooLong,
}

struct Found(Option<u8>);

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(tag) => write!(f, "{tag:#04x}"),
            None => f.write_str("the end of the list"),
        }
    }
}

fn read_length(bytes: &[u8]) -> Result<(usize, &[u8]), TlvError> {
    match bytes {
        [] | [0x81] | [0x82] | [0x82, _] => Err(TlvError::Truncated),
        [short @ 0..=0x7F, rest @ ..] => Ok((usize::from(*short), rest)),
        [0x81, length, rest @ ..] => Ok((usize::from(*length), rest)),
        [0x82, high, low, rest @ ..] => Ok((usize::from(u16::from_be_bytes([*high, *low])), rest)),
        _ => Err(TlvError::BadLength),
    }
}

fn push_length(bytes: &mut Vec<u8>, length: u16) {
    let [high, low] = length.to_be_bytes();
    match length {
        0..=0x7F => bytes.push(low),
        0x80..=0xFF => bytes.extend_from_slice(&[0x81, low]),
        _ => bytes.extend_from_slice(&[0x82, high, low]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_of_all_three_forms() {
        let mut writer = Writer::new();
        writer.push(0x71, &[1; 0x7F]).push(0x72, &[2; 0x80]).push(0x73, &[3; 0x100]);
        let bytes = writer.into_bytes();
        assert_eq!(bytes[..2], [0x71, 0x7F]);
        assert_eq!(bytes[0x81..0x84], [0x72, 0x81, 0x80]);
        assert_eq!(bytes[0x104..0x108], [0x73, 0x82, 0x01, 0x00]);
        assert_eq!(Reader::new(&bytes).count(), 3);
    }

    #[test]
    fn errors() {
        let first = |bytes| Reader::new(bytes).next().unwrap().unwrap_err();
        assert_eq!(first(&[0x71]), TlvError::Truncated);
        assert_eq!(first(&[0x71, 2, 0]), TlvError::Truncated);
        assert_eq!(first(&[0x71, 0x80, 0]), TlvError::BadLength);
        assert_eq!(first(&[0x71, 0x82, 0]), TlvError::Truncated);
        let mut reader = Reader::new(&[0x71, 0]);
        assert_eq!(reader.expect(0x73), Err(TlvError::UnexpectedTag { expected: 0x73, found: Some(0x71) }));
        assert_eq!(reader.optional(0x73), Ok(None));
        assert_eq!(reader.expect(0x71), Ok(&[][..]));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn an_error_ends_the_iteration() {
        let mut reader = Reader::new(&[0x71, 5, 1]);
        assert!(reader.next().unwrap().is_err());
        assert!(reader.next().is_none());
    }

    #[test]
    fn property_without_length_sits_between_elements() {
        let mut reader = Reader::new(&[0x71, 1, b'a', 0x78, 0x02, 0x7A, 1, 9]);
        assert_eq!(reader.expect(0x71), Ok(&b"a"[..]));
        assert_eq!(reader.take_bytes(2), Ok(&[0x78, 0x02][..]));
        assert_eq!(reader.expect(0x7A), Ok(&[9][..]));
    }

    proptest! {
        #[test]
        fn round_trip(elements: Vec<(u8, Vec<u8>)>) {
            let mut writer = Writer::new();
            for (tag, value) in &elements {
                writer.try_push(*tag, value).unwrap();
            }
            let bytes = writer.into_bytes();
            let read: Vec<_> = Reader::new(&bytes)
                .map(|tlv| tlv.map(|tlv| (tlv.tag, tlv.value.to_vec())))
                .collect::<Result<_, _>>()
                .unwrap();
            prop_assert_eq!(read, elements);
        }

        #[test]
        fn reading_never_panics(bytes: Vec<u8>) {
            for element in Reader::new(&bytes) {
                let _ = element;
            }
            let _ = find(&bytes, 0x71);
        }
    }
}
