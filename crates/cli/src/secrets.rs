//! Secrets come from a prompt, standard input, a file or an environment variable, never from an
//! argument: other users of the machine can read arguments, and shells write them down.

use std::{
    convert::Infallible,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use zeroize::Zeroizing;

use crate::{exit::Failure, prompt};

/// How a `SOURCE` is written, for the help texts.
pub(crate) const SOURCES: &str = "prompt, - (one line of standard input), file:PATH or env:NAME";

/// Where a secret comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// Ask without showing the answer.
    Prompt,
    /// One line of standard input.
    Stdin,
    /// The first line of a file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// Draw it at random.
    Generate,
    /// Anything else, perhaps the secret itself, so it is not kept.
    Unknown,
}

/// Never fails here: clap would repeat a wrong value, and it may be the secret itself.
impl FromStr for Source {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Self::File(path.into()),
            Some(("env", name)) if !name.is_empty() => Self::Env(name.to_owned()),
            _ => match text {
                "prompt" => Self::Prompt,
                "-" => Self::Stdin,
                "generate" => Self::Generate,
                _ => Self::Unknown,
            },
        })
    }
}

/// What is being asked for: its name in a sentence ("the AES key") and the option that gives it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Its name in a sentence.
    pub(crate) name: &'static str,
    /// The option that says where it comes from.
    pub(crate) option: &'static str,
}

impl Wanted {
    /// Reads the secret; without a source, asks when somebody can be asked.
    pub(crate) fn read(self, source: Option<&Source>) -> Result<Zeroizing<String>, Failure> {
        let text = match source {
            None if prompt::possible() => self.ask()?,
            None => {
                return Err(Failure::usage(format!(
                    "{} is missing, and nobody can be asked for it",
                    self.name
                ))
                .hint(format!("add {0} file:PATH, {0} env:NAME, or {0} - for standard input", self.option)));
            }
            Some(Source::Prompt) if prompt::possible() => self.ask()?,
            Some(Source::Prompt) => {
                return Err(Failure::usage(format!(
                    "cannot ask for {}, because this is no terminal",
                    self.name
                ))
                .hint(format!("use {0} file:PATH, {0} env:NAME, or {0} -", self.option)));
            }
            Some(Source::Stdin) => prompt::read_line()?
                .ok_or_else(|| Failure::usage(format!("standard input ended before {}", self.name)))?,
            Some(Source::File(path)) => self.read_file(path)?,
            Some(Source::Env(name)) => std::env::var(name).map(Zeroizing::new).map_err(|_| {
                Failure::usage(format!(
                    "{} was to come from the environment variable {name}, which is not set",
                    self.name
                ))
            })?,
            Some(Source::Generate) => {
                return Err(Failure::usage(format!("{} cannot be generated here", self.name))
                    .hint(format!("give {} as {SOURCES}", self.option)));
            }
            Some(Source::Unknown) => {
                return Err(Failure::usage(format!(
                    "{} says where {} comes from, not what it is",
                    self.option, self.name
                ))
                .hint(format!("give it as {SOURCES}; a secret on the command line can be read by others")));
            }
        };
        Ok(Zeroizing::new(text.trim().to_owned()))
    }

    fn ask(self) -> Result<Zeroizing<String>, Failure> {
        let mut letters = self.name.trim_start_matches("the ").chars();
        let name: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        prompt::hidden(&name)
    }

    fn read_file(self, path: &PathBuf) -> Result<Zeroizing<String>, Failure> {
        let text = fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
            Failure::usage(format!("cannot read {} from {}: {error}", self.name, path.display()))
        })?;
        text.lines().next().map(|line| Zeroizing::new(line.to_owned())).ok_or_else(|| {
            Failure::usage(format!("{} is empty, so {} is missing", path.display(), self.name))
        })
    }
}

/// A file for a secret that is about to be made: created first, so that a secret that is shown
/// only once is never made in vain.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    file: fs::File,
    used: bool,
}

impl NewFile {
    /// Creates the file for its owner alone (mode 0600). An existing one is left as it is.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        let file =
            private(fs::OpenOptions::new().write(true).create_new(true)).open(path).map_err(|error| {
                let failure = Failure::usage(format!("cannot create {}: {error}", path.display()));
                if error.kind() == io::ErrorKind::AlreadyExists {
                    return failure.hint("name a file that does not exist yet, or remove this one");
                }
                failure
            })?;
        Ok(Self { path: path.to_owned(), file, used: false })
    }

    /// Writes the secret on a line of its own, to the disk.
    pub(crate) fn write(mut self, secret: &str) -> Result<PathBuf, Failure> {
        self.used = true;
        writeln!(self.file, "{secret}").and_then(|()| self.file.sync_all()).map_err(|error| {
            Failure::failed(format!("cannot write {}: {error}", self.path.display()))
                .hint("the secret is lost; delete what was created and start again")
        })?;
        Ok(self.path.clone())
    }
}

/// Nothing was made, so nothing is left behind.
impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.used {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes new files readable for their owner alone.
pub(crate) fn private(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        assert_eq!("file:a:b".parse(), Ok(Source::File("a:b".into())));
        assert_eq!("env:X".parse(), Ok(Source::Env("X".into())));
        assert_eq!("-".parse(), Ok(Source::Stdin));
        assert_eq!("prompt".parse(), Ok(Source::Prompt));
        assert_eq!("000102".parse(), Ok(Source::Unknown));
        assert_eq!("file:".parse(), Ok(Source::Unknown));
    }

    #[test]
    fn a_secret_given_as_an_argument_is_refused_and_not_repeated() {
        let source: Source = "c0ffee".parse().unwrap();
        let wanted = Wanted { name: "the AES key", option: "--aes-key" };
        let failure = wanted.read(Some(&source)).unwrap_err();
        assert!(!failure.message().contains("c0ffee"));
        assert!(!format!("{source:?}").contains("c0ffee"));
    }
}
