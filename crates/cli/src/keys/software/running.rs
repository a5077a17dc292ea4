//! Which software keys are plugged in at the moment: those of `tapkey emulate run`, wherever their state
//! files are. Each leaves a note in the person's own state folder while it runs.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use tapkey_emulator::port::socket::SocketError;

use super::{Place, Software, socket_of};
use crate::config::state_folder;

/// A note that a key is plugged in; it is taken away when this is dropped.
#[derive(Debug)]
pub(crate) struct Note(Option<PathBuf>);

impl Note {
    /// Notes that the key with this state file runs. Without a state folder there is no note, and the key
    /// is merely not listed.
    pub(crate) fn leave(state: &Path) -> Self {
        let path = fs::canonicalize(state).unwrap_or_else(|_| state.to_owned());
        Self(folder().and_then(|folder| write(&folder, &path).ok()))
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// The keys that run now and are plugged in. Notes of emulators that were killed are taken away.
pub(crate) fn all() -> Vec<Software> {
    let Some(entries) = folder().and_then(|folder| fs::read_dir(folder).ok()) else { return Vec::new() };
    let mut notes: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    notes.sort();
    notes.iter().filter_map(|note| read(note)).collect()
}

fn read(note: &Path) -> Option<Software> {
    let text = fs::read_to_string(note).ok()?;
    let state = Path::new(text.trim_end_matches('\n'));
    let client = socket_of(state).with_timeout(PATIENCE);
    match client.show() {
        Ok(snapshot) if snapshot.power != "off" => {
            Some(Software { place: Place::There(socket_of(state)), name: state.display().to_string().into() })
        }
        Err(SocketError::NotRunning { .. }) => {
            let _ = fs::remove_file(note);
            None
        }
        _ => None,
    }
}

fn folder() -> Option<PathBuf> {
    state_folder().ok().map(|folder| folder.join("running"))
}

fn write(folder: &Path, state: &Path) -> io::Result<PathBuf> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)?;
    let note = folder.join(std::process::id().to_string());
    fs::write(&note, format!("{}\n", state.display()))?;
    Ok(note)
}

const PATIENCE: Duration = Duration::from_secs(1);
