//! What the checks look at: files below a root, and whether this user may open them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Tries to open a device for reading and writing.
type Opener = dyn Fn(&Path) -> io::Result<()>;

/// A machine, or a folder that is laid out like one.
pub(super) struct Machine {
    root: PathBuf,
    open: Box<Opener>,
}

impl Machine {
    /// This one.
    pub(super) fn this() -> Self {
        Self { root: PathBuf::from("/"), open: Box::new(open_device) }
    }

    /// A made-up one.
    #[cfg(test)]
    pub(super) fn below(root: &Path, open: impl Fn(&Path) -> io::Result<()> + 'static) -> Self {
        Self { root: root.to_owned(), open: Box::new(open) }
    }

    /// A file of it, named as it is named there.
    pub(super) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        let name = name.as_ref();
        self.root.join(name.strip_prefix("/").unwrap_or(name))
    }

    pub(super) fn exists(&self, name: impl AsRef<Path>) -> bool {
        self.path(name).exists()
    }

    /// A text file, without the line feed at its end.
    pub(super) fn read(&self, name: impl AsRef<Path>) -> Option<String> {
        fs::read_to_string(self.path(name)).ok().map(|text| text.trim_end().to_owned())
    }

    /// The names in a folder, in order; `None` when there is no such folder.
    pub(super) fn names(&self, folder: impl AsRef<Path>) -> Option<Vec<String>> {
        let entries = fs::read_dir(self.path(folder)).ok()?;
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        Some(names)
    }

    /// Opens a device for reading and writing, and closes it.
    pub(super) fn open(&self, name: &str) -> io::Result<()> {
        (self.open)(&self.path(name))
    }

    /// Whether it is Debian or one of its kin.
    pub(super) fn has_apt(&self) -> bool {
        self.exists("/usr/bin/apt-get")
    }

    /// Whether systemd starts its services.
    pub(super) fn has_systemd(&self) -> bool {
        self.exists("/run/systemd/system")
    }
}

fn open_device(path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().read(true).write(true).open(path).map(drop)
}
