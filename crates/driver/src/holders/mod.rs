//! Which programs are in the way of a key: connected to the smart-card service, or with the device open.
//!
//! The smart-card service does not tell who holds a card, and nobody is thrown off one here; but who *may* be
//! holding it can be found out on Linux, so that a person knows which program to close. Processes of other users
//! are seen by root only; what stays hidden is counted. Elsewhere everything is empty.

#[cfg(all(target_os = "linux", any(feature = "hid", feature = "pcsc")))]
mod diag;
mod proc;

use std::fmt;
use std::path::{Path, PathBuf};

pub use proc::Processes;

/// A running program.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Process {
    /// Its number.
    pub id: u32,
    /// The name of its program, as the kernel keeps it: at most 15 letters.
    pub name: String,
}

impl fmt::Display for Process {
    /// `gpg's scdaemon (process 1234)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = if self.name == SCDAEMON { "gpg's " } else { "" };
        write!(f, "{whose}{} (process {})", self.name, self.id)
    }
}

/// Programs that may hold a card.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Holders {
    /// Those that can be seen, the usual suspect first.
    pub processes: Vec<Process>,
    /// How many connections belong to processes that cannot be seen.
    pub unseen: usize,
}

impl Holders {
    /// Who is connected to the smart-card service, this process left out.
    #[must_use]
    pub fn of_the_card_service() -> Self {
        Self::of_socket(&card_service_socket(), &Processes::of_this_machine())
    }

    /// Who is connected to a Unix socket, this process left out.
    #[must_use]
    pub fn of_socket(path: &Path, processes: &Processes) -> Self {
        #[cfg(all(target_os = "linux", any(feature = "hid", feature = "pcsc")))]
        let peers = diag::peers(path).unwrap_or_default();
        #[cfg(not(all(target_os = "linux", any(feature = "hid", feature = "pcsc"))))]
        let peers = {
            let _ = path;
            Vec::new()
        };
        Self::of_peers(peers, processes)
    }

    fn of_peers(mut peers: Vec<u64>, processes: &Processes) -> Self {
        let names: Vec<PathBuf> = peers.iter().map(|inode| format!("socket:[{inode}]").into()).collect();
        let mut holders = Self::default();
        for (process, open) in processes.with_any_open(&names) {
            peers.retain(|inode| {
                !open.iter().any(|name| name.as_os_str() == format!("socket:[{inode}]").as_str())
            });
            if process.id != std::process::id() {
                holders.processes.push(process);
            }
        }
        holders.unseen = peers.len();
        holders.sort();
        holders
    }

    /// Who has a device node open, this process left out. Whom this user may not see is not counted.
    #[must_use]
    pub fn of_device(node: &Path, processes: &Processes) -> Self {
        let found = processes.with_any_open(&[node.to_owned()]).into_iter().map(|(process, _)| process);
        let mut holders =
            Self { processes: found.filter(|process| process.id != std::process::id()).collect(), unseen: 0 };
        holders.sort();
        holders
    }

    /// Gpg's own program for cards, when it is among them.
    #[must_use]
    pub fn scdaemon(&self) -> Option<&Process> {
        self.processes.iter().find(|process| process.name == SCDAEMON)
    }

    /// Whether nobody was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty() && self.unseen == 0
    }

    /// Them in words, or nothing when there is nobody.
    #[must_use]
    pub fn describe(&self) -> Option<String> {
        let mut words: Vec<String> = self.processes.iter().take(SHOWN).map(ToString::to_string).collect();
        let more = self.processes.len().saturating_sub(SHOWN) + self.unseen;
        match (more, words.is_empty()) {
            (0, true) => return None,
            (0, false) => {}
            (_, true) => words.push("a program of another user (root can see which)".to_owned()),
            (more, false) => words.push(format!("{more} more")),
        }
        Some(if words.len() > 1 { format!("one of {}", words.join(", ")) } else { words.concat() })
    }

    fn sort(&mut self) {
        self.processes.sort_by_cached_key(|process| {
            let rank = KNOWN.iter().position(|known| process.name == *known).unwrap_or(KNOWN.len());
            (rank, process.id)
        });
        self.processes.dedup_by_key(|process| process.id);
    }
}

/// The socket of the smart-card service: that of the environment, or the usual one.
#[must_use]
pub fn card_service_socket() -> PathBuf {
    std::env::var_os("PCSCLITE_CSOCK_NAME")
        .filter(|name| !name.is_empty())
        .map_or_else(|| PathBuf::from("/run/pcscd/pcscd.comm"), PathBuf::from)
}

const SCDAEMON: &str = "scdaemon";
/// Programs that are known to keep cards for themselves, the most usual first.
const KNOWN: [&str; 6] = [SCDAEMON, "ykman", "yubioath-deskto", "authenticator", "firefox", "keepassxc"];
/// More names than this help nobody.
const SHOWN: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn process(id: u32, name: &str) -> Process {
        Process { id, name: name.to_owned() }
    }

    #[test]
    fn words() {
        let mut holders =
            Holders { processes: vec![process(7, "firefox"), process(9, "scdaemon")], unseen: 0 };
        holders.sort();
        assert_eq!(holders.describe().unwrap(), "one of gpg's scdaemon (process 9), firefox (process 7)");
        assert_eq!(holders.scdaemon(), Some(&process(9, "scdaemon")));
        holders.processes.truncate(1);
        assert_eq!(holders.describe().unwrap(), "gpg's scdaemon (process 9)");
        holders.unseen = 2;
        assert_eq!(holders.describe().unwrap(), "one of gpg's scdaemon (process 9), 2 more");
        let hidden = Holders { processes: Vec::new(), unseen: 1 };
        assert!(hidden.describe().unwrap().contains("root can see which"));
        assert_eq!(Holders::default().describe(), None);
        assert!(Holders::default().is_empty() && !hidden.is_empty());
    }

    #[test]
    fn a_made_up_machine() {
        let root = tempfile::tempdir().unwrap();
        for (id, name, opened) in
            [(10, "scdaemon", "socket:[77]"), (11, "init", "socket:[5]"), (12, "other", "/dev/x")]
        {
            let folder = root.path().join(id.to_string());
            std::fs::create_dir_all(folder.join("fd")).unwrap();
            std::fs::write(folder.join("comm"), format!("{name}\n")).unwrap();
            std::os::unix::fs::symlink(opened, folder.join("fd/3")).unwrap();
        }
        std::fs::create_dir_all(root.path().join("self")).unwrap();
        let processes = Processes::below(root.path());
        let holders = Holders::of_peers(vec![77, 78], &processes);
        assert_eq!(holders, Holders { processes: vec![process(10, "scdaemon")], unseen: 1 });
        let device = Holders::of_device(Path::new("/dev/x"), &processes);
        assert_eq!(device.processes, [process(12, "other")]);
        assert!(Holders::of_device(Path::new("/dev/y"), &processes).is_empty());
    }
}
