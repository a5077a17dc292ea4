//! Software keys and the settings file: folders, files, and who may read them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::Finding;
use crate::{commands::Context, config};

/// All checks of one's own files.
pub(super) fn all(context: &Context) -> Vec<Finding> {
    vec![state_folder(config::state_folder().ok()), settings(context)]
}

/// Software keys hold secrets, so nobody else may read them; and they are written at every press.
fn state_folder(folder: Option<PathBuf>) -> Finding {
    const CHECK: &str = "software keys";
    let Some(folder) = folder else {
        return Finding::problem(
            CHECK,
            "there is no home folder to keep them in",
            "set HOME or XDG_STATE_HOME",
        );
    };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Finding::skipped(CHECK, format!("none was made; they would be in {}", folder.display()));
        }
        Err(error) => {
            return Finding::problem(
                CHECK,
                format!("{} cannot be read: {error}", folder.display()),
                format!("sudo chown -R \"$USER\" {}", folder.display()),
            );
        }
    };
    let mut keys = 0;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != "json") || !path.is_file() {
            continue;
        }
        keys += 1;
        if let Some(finding) = exposed(CHECK, &path) {
            return finding;
        }
        if let Err(error) = fs::OpenOptions::new().append(true).open(&path) {
            return Finding::problem(
                CHECK,
                format!("{} cannot be written: {error}", path.display()),
                format!("sudo chown \"$USER\" {}", path.display()),
            );
        }
    }
    Finding::ok(CHECK, format!("{keys} in {}", folder.display()))
}

/// A secret that others of the machine can read.
fn exposed(check: &'static str, path: &Path) -> Option<Finding> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).ok()?.permissions().mode();
        if mode & 0o077 != 0 {
            return Some(Finding::problem(
                check,
                format!("others can read {}, which holds secrets (mode {:o})", path.display(), mode & 0o777),
                format!("chmod 600 {}", path.display()),
            ));
        }
    }
    let _ = (check, path);
    None
}

/// The settings, and the secrets that they name.
fn settings(context: &Context) -> Finding {
    const CHECK: &str = "settings";
    let settings = match context.settings() {
        Ok(settings) => settings,
        Err(failure) => {
            return Finding::problem(
                CHECK,
                failure.message(),
                failure.advice().unwrap_or("correct or remove the file"),
            );
        }
    };
    let secrets = [&settings.token_file, &settings.api_key_file].into_iter().flatten();
    for path in secrets {
        if let Err(error) = fs::File::open(path) {
            return Finding::problem(
                CHECK,
                format!("they name {}, which cannot be read: {error}", path.display()),
                "put the file there, or correct the settings",
            );
        }
        if let Some(finding) = exposed(CHECK, path) {
            return finding;
        }
    }
    if let Some(path) = settings.ca_file.as_ref().filter(|path| !path.exists()) {
        return Finding::problem(
            CHECK,
            format!("they name the certificates {}, which are not there", path.display()),
            "put the file there, or correct the settings",
        );
    }
    Finding::ok(CHECK, "can be read, and so can the files that they name")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::commands::doctor::Status;

    #[test]
    fn a_key_that_others_can_read_is_a_problem() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("tapkey");
        assert_eq!(state_folder(Some(folder.clone())).status, Status::NotApplicable);
        fs::create_dir(&folder).unwrap();
        assert!(state_folder(Some(folder.clone())).detail.starts_with("0 in"));
        let key = folder.join("key.json");
        fs::write(&key, "{}").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let finding = state_folder(Some(folder.clone()));
        assert_eq!(finding.status, Status::Problem);
        assert!(finding.fix.unwrap().starts_with("chmod 600 "));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(state_folder(Some(folder)).detail.starts_with("1 in"));
        assert_eq!(state_folder(None).status, Status::Problem);
        // No folder at all.
        assert_eq!(state_folder(Some(key)).status, Status::Problem);
    }
}
