//! Turns fields into values, and what is wrong with them into lines.

use std::str::FromStr;

use toml::Spanned;

use super::{CodeWish, JobError};
use crate::plan::source::SecretSource;
use crate::plan::toml_text;

/// Knows the text, and so the line of every field.
pub(super) struct Reader<'a> {
    text: &'a str,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text }
    }

    pub(super) fn line(&self, offset: usize) -> usize {
        toml_text::line_of(self.text, offset)
    }

    /// Something is wrong with a field. The message must not repeat a value that may be a secret.
    pub(super) fn wrong<T>(&self, field: &Spanned<T>, message: impl Into<String>) -> JobError {
        JobError { line: self.line(field.span().start), message: message.into() }
    }

    /// A value with a text of its own.
    pub(super) fn parse<T: FromStr>(&self, field: &Spanned<String>) -> Result<T, JobError>
    where
        T::Err: ToString,
    {
        field.get_ref().parse().map_err(|error: T::Err| self.wrong(field, error.to_string()))
    }

    /// Where a secret comes from.
    pub(super) fn source(&self, field: &Spanned<String>, name: &str) -> Result<SecretSource, JobError> {
        SecretSource::read(field.get_ref())
            .ok_or_else(|| self.wrong(field, format!("{name} says where the secret comes from: {SOURCES}")))
    }

    /// Where a secret comes from, drawn where nothing is said.
    pub(super) fn source_or_drawn(
        &self,
        field: Option<&Spanned<String>>,
        name: &str,
    ) -> Result<SecretSource, JobError> {
        field.map_or(Ok(SecretSource::Generate), |field| self.source(field, name))
    }

    /// A code that is kept, removed or set.
    pub(super) fn code(&self, field: Option<&Spanned<String>>, name: &str) -> Result<CodeWish, JobError> {
        let Some(field) = field else { return Ok(CodeWish::Keep) };
        match field.get_ref().as_str() {
            "keep" => Ok(CodeWish::Keep),
            "none" => Ok(CodeWish::None),
            text => SecretSource::read(text).map(CodeWish::From).ok_or_else(|| {
                self.wrong(field, format!("{name} is keep, none, or where the code comes from: {SOURCES}"))
            }),
        }
    }

    /// Where a code comes from that is set already. It cannot be drawn.
    pub(super) fn present(
        &self,
        field: Option<&Spanned<String>>,
        name: &str,
    ) -> Result<Option<SecretSource>, JobError> {
        match field.map(|field| (field, self.source(field, name))) {
            Some((field, Ok(SecretSource::Generate))) => {
                Err(self.wrong(field, format!("{name} is set on the key already, so it cannot be generated")))
            }
            Some((_, source)) => source.map(Some),
            None => Ok(None),
        }
    }

    /// One of several words.
    pub(super) fn word<T: Copy>(
        &self,
        field: &Spanned<String>,
        name: &str,
        words: &[(&str, T)],
    ) -> Result<T, JobError> {
        words.iter().find(|(word, _)| word == field.get_ref()).map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(field, format!("{name} is one of: {}", known.join(", ")))
        })
    }

    /// Refuses fields that do not go with the rest.
    pub(super) fn refuse(&self, fields: &[(Option<usize>, &str)], because: &str) -> Result<(), JobError> {
        match fields.iter().find_map(|(place, name)| place.map(|place| (place, name))) {
            Some((place, name)) => Err(JobError {
                line: self.line(place),
                message: format!("{name} does not go with {because}"),
            }),
            None => Ok(()),
        }
    }
}

/// Where a field stands, if it does.
pub(super) fn place<T>(field: &Option<Spanned<T>>) -> Option<usize> {
    field.as_ref().map(|field| field.span().start)
}

/// Whether a switch is on.
pub(super) fn on(field: Option<&Spanned<bool>>, otherwise: bool) -> bool {
    field.map_or(otherwise, |field| *field.get_ref())
}

const SOURCES: &str =
    "vault, vault:NAME, generate, file:PATH or env:NAME; a secret itself stands in the vault only";
