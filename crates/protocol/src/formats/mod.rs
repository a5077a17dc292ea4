//! Files in which other programs keep what was written into keys.

pub mod csv;
