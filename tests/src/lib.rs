//! Helpers for the journeys.

pub mod credential;
pub mod parts;
