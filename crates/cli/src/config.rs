//! The person's own settings file and the folders things are kept in.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::exit::Failure;

/// What may stand in the settings file. Everything is optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    /// The Tapkey server.
    pub(crate) server: Option<String>,
    /// The file with the API token.
    pub(crate) token_file: Option<PathBuf>,
    /// More certificate authorities.
    pub(crate) ca_file: Option<PathBuf>,
    /// Validation servers for `verify`.
    #[serde(default)]
    pub(crate) validation_urls: Vec<String>,
    /// The client id for `verify`.
    pub(crate) client_id: Option<u64>,
    /// The file with the API key for `verify`.
    pub(crate) api_key_file: Option<PathBuf>,
}

impl Settings {
    /// Reads the file that was named, or the usual one where it exists.
    pub(crate) fn load(named: Option<&Path>) -> Result<Self, Failure> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => match folder("XDG_CONFIG_HOME", ".config", "APPDATA") {
                Ok(folder) => folder.join("config.toml"),
                Err(_) => return Ok(Self::default()),
            },
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(Failure::usage(format!("cannot read the settings {}: {error}", path.display())));
            }
        };
        toml::from_str(&text).map_err(|error| {
            Failure::usage(format!(
                "the settings {} are wrong: {}",
                path.display(),
                error.to_string().trim_end()
            ))
            .hint("docs/cli.md lists what may stand there")
        })
    }
}

/// Where state of this program lives: the default software key, interrupted enrolments.
pub(crate) fn state_folder() -> Result<PathBuf, Failure> {
    folder("XDG_STATE_HOME", ".local/state", "LOCALAPPDATA")
}

fn folder(variable: &str, below_home: &str, windows: &str) -> Result<PathBuf, Failure> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = if cfg!(windows) {
        set(windows)
    } else {
        set(variable)
            .filter(|path| path.is_absolute())
            .or_else(|| set("HOME").map(|home| home.join(below_home)))
    };
    base.map(|base| base.join("tapkey")).ok_or_else(|| {
        Failure::usage("there is no home folder to keep state in").hint(format!("set HOME or {variable}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, "server = \"https://example.org\"\nsevrer = 1\n").unwrap();
        let failure = Settings::load(Some(&path)).unwrap_err();
        assert!(failure.message().contains("line 2") && failure.message().contains("sevrer"), "{failure}");
    }
}
