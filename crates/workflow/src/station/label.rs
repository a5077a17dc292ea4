//! Labels made from a pattern.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// A text with places for what differs from key to key.
///
/// ```
/// use tapkey_workflow::station::LabelPattern;
/// let pattern: LabelPattern = "desk-{n} ({serial})".parse()?;
/// assert_eq!(pattern.fill(3, 12_345_678, "alice"), "desk-3 (12345678)");
/// assert_eq!("{number}".parse::<LabelPattern>()?, "{n}".parse()?);
/// assert!("desk-{name}".parse::<LabelPattern>().is_err());
/// # Ok::<(), tapkey_workflow::station::LabelError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LabelPattern(Vec<Part>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Text(String),
    Number,
    Serial,
    Account,
}

impl LabelPattern {
    /// The label of the `number`th key of a job.
    #[must_use]
    pub fn fill(&self, number: u32, serial: u32, account: &str) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Number => number.to_string(),
            Part::Serial => serial.to_string(),
            Part::Account => account.to_owned(),
        };
        self.0.iter().map(part).collect()
    }
}

impl FromStr for LabelPattern {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(LabelError)?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(match name {
                "n" | "number" => Part::Number,
                "serial" => Part::Serial,
                "account" => Part::Account,
                _ => return Err(LabelError),
            });
            rest = after;
        }
        if rest.contains('}') {
            return Err(LabelError);
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }
}

impl fmt::Display for LabelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            f.write_str(match part {
                Part::Text(text) => text,
                Part::Number => "{n}",
                Part::Serial => "{serial}",
                Part::Account => "{account}",
            })?;
        }
        Ok(())
    }
}

/// Not a pattern.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("what stands in braces must be {{number}} (or {{n}}), {{serial}} or {{account}}")]
pub struct LabelError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_round_trip_and_wrong_ones_are_refused() {
        for text in ["", "plain", "{n}", "a{serial}b{account}{n}c"] {
            assert_eq!(text.parse::<LabelPattern>().unwrap().to_string(), text);
        }
        for text in ["{", "}", "{n", "n}", "{}", "{x}", "{n}}", "{{n}}"] {
            assert!(text.parse::<LabelPattern>().is_err(), "{text}");
        }
    }
}
