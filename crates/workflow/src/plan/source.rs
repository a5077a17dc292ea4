//! Where the secrets of a job come from.

use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

use super::vault::{SecretText, is_name};

/// Where a secret comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SecretSource {
    /// The vault, under the name that the thing has there by itself, for example `slot-1.aes-key`.
    Vault,
    /// The vault, under this name.
    Named(String),
    /// Drawn at random the first time, and kept in the vault.
    Generate,
    /// The first line of a file, seen from the folder of the job file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

impl SecretSource {
    /// Reads how a job file writes it. What it is not is not kept: it may be the secret itself.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("vault", name)) if is_name(name) => Some(Self::Named(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Some(Self::File(path.into())),
            Some(("env", name)) if !name.is_empty() && !name.contains('=') => {
                Some(Self::Env(name.to_owned()))
            }
            _ => match text {
                "vault" => Some(Self::Vault),
                "generate" => Some(Self::Generate),
                _ => None,
            },
        }
    }

    /// Reads a secret from outside the vault; `None` for those that stand in it.
    ///
    /// # Errors
    /// [`SourceError`] when it is not there.
    pub fn fetch(&self, folder: &Path) -> Result<Option<SecretText>, SourceError> {
        let text = match self {
            Self::Vault | Self::Named(_) | Self::Generate => return Ok(None),
            Self::File(path) => first_line(&folder.join(path))?,
            Self::Env(name) => std::env::var(name)
                .map(Zeroizing::new)
                .map_err(|_| SourceError::NoVariable { name: name.clone() })?,
        };
        Ok(Some(SecretText::new(text.trim().to_owned())))
    }
}

fn first_line(path: &Path) -> Result<Zeroizing<String>, SourceError> {
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|source| SourceError::File { path: path.to_owned(), source })?;
    text.lines()
        .next()
        .map(|line| Zeroizing::new(line.to_owned()))
        .ok_or_else(|| SourceError::EmptyFile { path: path.to_owned() })
}

/// Why a secret did not come.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is nothing in the file.
    #[error("{} is empty", path.display())]
    EmptyFile {
        /// Which file.
        path: PathBuf,
    },
    /// The variable is not set.
    #[error("the environment variable {name} is not set")]
    NoVariable {
        /// Its name.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        assert_eq!(SecretSource::read("vault"), Some(SecretSource::Vault));
        assert_eq!(SecretSource::read("vault:a b"), Some(SecretSource::Named("a b".into())));
        assert_eq!(SecretSource::read("generate"), Some(SecretSource::Generate));
        assert_eq!(SecretSource::read("file:a:b"), Some(SecretSource::File("a:b".into())));
        assert_eq!(SecretSource::read("env:X"), Some(SecretSource::Env("X".into())));
        for text in ["", "c0ffee", "vault:", "file:", "env:", "env:a=b", "prompt"] {
            assert_eq!(SecretSource::read(text), None, "{text}");
        }
    }

    #[test]
    fn the_first_line_of_a_file_counts() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), " secret \nrest\n").unwrap();
        let fetched = SecretSource::File("a".into()).fetch(folder.path()).unwrap().unwrap();
        assert_eq!(fetched.expose(), "secret");
        fs::write(folder.path().join("b"), "").unwrap();
        let error = SecretSource::File("b".into()).fetch(folder.path());
        assert!(matches!(error, Err(SourceError::EmptyFile { .. })));
    }
}
