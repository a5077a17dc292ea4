//! What processes have open, as `/proc` tells it.

use std::fs;
use std::path::{Path, PathBuf};

use super::Process;

/// The processes of a machine.
#[derive(Clone, Debug)]
pub struct Processes {
    root: PathBuf,
}

impl Processes {
    /// Those that run here.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self::below("/proc")
    }

    /// Those of another folder that is laid out like `/proc`, for tests.
    #[must_use]
    pub fn below(root: impl AsRef<Path>) -> Self {
        Self { root: root.as_ref().to_owned() }
    }

    /// The processes that have any of these open, with what they have open of them. Processes whose
    /// files this user may not see are not among them.
    pub(super) fn with_any_open(&self, names: &[PathBuf]) -> Vec<(Process, Vec<PathBuf>)> {
        if names.is_empty() {
            return Vec::new();
        }
        let Ok(entries) = fs::read_dir(&self.root) else { return Vec::new() };
        let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        ids.filter_map(|id| {
            let open: Vec<PathBuf> = self.open_files(id)?.filter(|name| names.contains(name)).collect();
            (!open.is_empty()).then(|| (Process { id, name: self.name(id) }, open))
        })
        .collect()
    }

    fn open_files(&self, id: u32) -> Option<impl Iterator<Item = PathBuf>> {
        let entries = fs::read_dir(self.root.join(id.to_string()).join("fd")).ok()?;
        Some(entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()))
    }

    fn name(&self, id: u32) -> String {
        fs::read_to_string(self.root.join(id.to_string()).join("comm"))
            .map_or_else(|_| "a process that has just ended".to_owned(), |name| name.trim().to_owned())
    }
}
