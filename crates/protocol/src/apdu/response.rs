//! Response APDUs.

use std::fmt;

use thiserror::Error;

use super::StatusWord;

/// A response: data and a status word. `Debug` shows the length of the data only.
#[derive(Clone, Eq, PartialEq)]
pub struct Response {
    /// The data field, possibly empty.
    pub data: Vec<u8>,
    /// The status word.
    pub status: StatusWord,
}

impl Response {
    /// An answer with data.
    #[must_use]
    pub fn ok(data: impl Into<Vec<u8>>) -> Self {
        Self { data: data.into(), status: StatusWord::SUCCESS }
    }

    /// An answer without data.
    #[must_use]
    pub const fn status(status: StatusWord) -> Self {
        Self { data: Vec::new(), status }
    }

    /// Reads a response: any data, then two status bytes.
    ///
    /// # Errors
    /// [`ResponseError`] when there are fewer than two bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ResponseError> {
        let (data, status) = bytes.split_last_chunk::<2>().ok_or(ResponseError { length: bytes.len() })?;
        Ok(Self { data: data.to_vec(), status: StatusWord::from(*status) })
    }

    /// Writes the response.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.data.len() + 2);
        bytes.extend_from_slice(&self.data);
        bytes.extend_from_slice(&self.status.to_bytes());
        bytes
    }

    /// The data when the status is `9000`, otherwise the status.
    ///
    /// # Errors
    /// The status word of a refusal.
    pub fn into_data(self) -> Result<Vec<u8>, StatusWord> {
        if self.status.is_success() { Ok(self.data) } else { Err(self.status) }
    }
}

impl From<StatusWord> for Response {
    fn from(status: StatusWord) -> Self {
        Self::status(status)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("data_length", &self.data.len())
            .field("status", &self.status)
            .finish()
    }
}

/// The response has no room for a status word.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a response of {length} bytes has no room for its two status bytes")]
pub struct ResponseError {
    /// How many bytes arrived.
    pub length: usize,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn too_short() {
        assert_eq!(Response::parse(&[0x90]), Err(ResponseError { length: 1 }));
    }

    #[test]
    fn refusal_is_kept_apart_from_data() {
        let response = Response::parse(&[0x6A, 0x82]).unwrap();
        assert_eq!(response.into_data(), Err(StatusWord::NOT_FOUND));
    }

    proptest! {
        #[test]
        fn round_trip(data: Vec<u8>, status: u16) {
            let response = Response { data, status: StatusWord(status) };
            prop_assert_eq!(Response::parse(&response.encode()), Ok(response));
        }
    }
}
