//! Placeholder docs, replaced with the crate's first code.
