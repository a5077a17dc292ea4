//! Templates of flexible logs: text with names in braces.

use std::str::FromStr;

use thiserror::Error;

use super::Problem;
use super::fields::Fields;

/// The line of a flexible log, such as `{serial},{configSlot},{pubIdTxt},{secretKeyTxt}`.
///
/// The names are those of the YubiKey Personalization Tool: `eventType`, `timestampLocal`,
/// `timestampFixed`, `configSlot`, `serial`, `pubIdTxt`, `pvtIdTxt`, `secretKeyTxt`, `secretKeyB64`,
/// `currentAccessCodeTxt`, `newAccessCodeTxt` (both also with `Padded` behind), `oathIdTxt`,
/// `tokenLength`, `hotpDigits`, `oathMovingFactorSeed`, `oathFixedModhex`, `oathFixedModhex1`,
/// `oathFixedModhex2`, `strongPw1`, `strongPw2`, `sendRef`, `chalBtnTrig`, `hmacLT64`, `tab`, and `endl`
/// at the end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Literal(String),
    Name(&'static str),
}

impl Template {
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The values in a line. A value ends where the text behind it begins.
    pub(super) fn read(&self, line: &str) -> Result<Fields, Problem> {
        let mut fields = Fields::default();
        let mut rest = line;
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Literal(text) => {
                    rest = rest
                        .strip_prefix(text.as_str())
                        .ok_or_else(|| Problem::Template { place: format!("{text:?}") })?;
                }
                Part::Name(name) => {
                    let end = match parts.peek() {
                        Some(Part::Literal(next)) => rest
                            .find(next.as_str())
                            .ok_or_else(|| Problem::Template { place: (*name).to_owned() })?,
                        _ => rest.len(),
                    };
                    let (value, behind) = rest.split_at(end);
                    fields.add(name, value);
                    rest = behind;
                }
            }
        }
        if rest.trim().is_empty() {
            Ok(fields)
        } else {
            Err(Problem::Template { place: "its end".to_owned() })
        }
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.strip_suffix("{endl}").unwrap_or(text);
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, name) = match rest.split_once('{') {
                None => (rest, None),
                Some((literal, behind)) => {
                    let (name, behind) = behind.split_once('}').ok_or(TemplateError::Open)?;
                    rest = behind;
                    (literal, Some(name))
                }
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            match name {
                None => break,
                Some("tab") => parts.push(Part::Literal("\t".to_owned())),
                Some(name) => {
                    let known = NAMES.iter().find(|known| **known == name);
                    let known = known.ok_or_else(|| TemplateError::Name { name: name.to_owned() })?;
                    if matches!(parts.last(), Some(Part::Name(_))) {
                        return Err(TemplateError::Adjacent);
                    }
                    parts.push(Part::Name(known));
                }
            }
        }
        let has_key = parts.iter().any(|part| matches!(part, Part::Name("secretKeyTxt" | "secretKeyB64")));
        if has_key { Ok(Self { parts }) } else { Err(TemplateError::NoKey) }
    }
}

/// Why a text is no template.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum TemplateError {
    /// A brace is not closed.
    #[error("a brace of the template is not closed")]
    Open,
    /// A name that no log has.
    #[error("the template names {name:?}, which is not known")]
    Name {
        /// The name.
        name: String,
    },
    /// Nothing separates two values.
    #[error(
        "nothing stands between two names of the template, so that nobody knows where the first one ends"
    )]
    Adjacent,
    /// There is no secret in it.
    #[error("the template has neither {{secretKeyTxt}} nor {{secretKeyB64}}, so lines would have no key")]
    NoKey,
}

const NAMES: [&str; 25] = [
    "eventType",
    "timestampLocal",
    "timestampFixed",
    "configSlot",
    "serial",
    "pubIdTxt",
    "oathIdTxt",
    "pvtIdTxt",
    "secretKeyTxt",
    "secretKeyB64",
    "currentAccessCodeTxt",
    "currentAccessCodeTxtPadded",
    "newAccessCodeTxt",
    "newAccessCodeTxtPadded",
    "hotpDigits",
    "oathMovingFactorSeed",
    "strongPw1",
    "strongPw2",
    "sendRef",
    "chalBtnTrig",
    "hmacLT64",
    "oathFixedModhex1",
    "oathFixedModhex2",
    "oathFixedModhex",
    "tokenLength",
];
