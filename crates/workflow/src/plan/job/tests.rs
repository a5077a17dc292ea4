//! Parsing job files.
