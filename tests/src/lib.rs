//! Helpers for the journeys.
