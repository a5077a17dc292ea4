//! The Yubico OTP validation protocol, version 2.0: the same types on both ends.
//!
//! | type | on the client | on the server |
//! |---|---|---|
//! | [`Query`] | | splits and decodes what arrived |
//! | [`Request`] | is built and written into a URL | is read from a [`Query`] |
//! | [`Response`] | is parsed, then *authenticated* into a [`Verdict`] | |
//! | [`Answer`] | | is written, signed |
//!
//! A [`Response`] alone says nothing: anybody on the way could have written it. Only
//! [`Response::authenticate`], which checks signature, nonce and password, makes a [`Verdict`]:
//!
//! ```compile_fail
//! use tapkey_protocol::validation::{Response, Verdict};
//! let forged = Response::parse(b"h=AAAA\r\nstatus=OK\r\n\r\n").unwrap();
//! let verdict: Verdict = forged.into(); // there is no such way
//! ```

mod answer;
mod query;
mod request;
mod response;
mod signature;
mod status;
mod values;

pub use answer::{Answer, Echo, TokenTimes, answer_time};
pub use query::Query;
pub use request::{Request, RequestError, RequestSignature};
pub use response::{Distrust, Response, ResponseError, Verdict};
pub use signature::{ApiKey, ApiKeyError, Signature};
pub use status::{Status, UnknownStatus};
pub use values::{ClientId, ClientIdError, Nonce, NonceError, SyncLevel, SyncLevelError};
