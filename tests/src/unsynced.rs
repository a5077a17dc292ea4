//! A disk that forgets what was not synced, under one process; see `tests/unsynced/unsynced.c`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::parts::root;

/// A folder for a program's data, and what a power cut would leave of it.
#[derive(Debug)]
pub struct Disk {
    library: PathBuf,
    disk: PathBuf,
    platter: PathBuf,
}

impl Disk {
    /// Builds the library and makes an empty disk below `folder`.
    ///
    /// # Errors
    /// There is no C compiler, or no room.
    pub fn new(folder: &Path) -> Result<Self> {
        // The library compares with resolved paths.
        let folder = folder.canonicalize()?;
        let library = folder.join("unsynced.so");
        let source = root().join("tests/unsynced/unsynced.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-o"])
            .args([&library, &source])
            .args(["-ldl", "-lpthread"])
            .output()
            .context("a C compiler is needed: apt-get install build-essential")?;
        ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let disk = Self { library, disk: folder.join("disk"), platter: folder.join("platter") };
        fs::create_dir_all(&disk.disk)?;
        fs::create_dir_all(&disk.platter)?;
        Ok(disk)
    }

    /// Where the program keeps its data.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.disk
    }

    /// Puts the disk under a program that is about to start.
    pub fn put_under(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("UNSYNCED_DISK", &self.disk)
            .env("UNSYNCED_PLATTER", &self.platter);
    }

    /// After the program was killed: the disk holds what was synced, and nothing else.
    ///
    /// # Errors
    /// A file could not be copied.
    pub fn cut_power(&self) -> Result<()> {
        fs::remove_dir_all(&self.disk)?;
        copy(&self.platter, &self.disk)
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if entry.path().extension().is_none_or(|extension| extension != "half") {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
