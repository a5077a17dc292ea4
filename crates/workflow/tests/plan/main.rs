//! Jobs, planned and applied on emulated keys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]
#![allow(unreachable_pub)]

mod applications;
mod bench;
mod interruptions;
mod jobs;
mod oath;
mod random;
mod slots;
