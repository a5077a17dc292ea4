//! Who is at the other end of a Unix socket, as Linux's socket diagnosis tells it: `sock_diag(7)`.
//!
//! Every connection to a listening socket has two ends. The end of the service bears the file of the listening
//! socket; the number of the other end is what a process has open.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SOCK_DIAG,
    netlink::SocketAddrNetlink, recv, sendto, socket_with, sockopt::Timeout, sockopt::set_socket_timeout,
};

/// The inode numbers of the sockets that are connected to the listening socket with this file.
pub(super) fn peers(path: &Path) -> io::Result<Vec<u64>> {
    let file = std::fs::metadata(path)?;
    let wanted = File { inode: file.ino(), device: file.dev() };
    let socket = open()?;
    sendto(&socket, &request(), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut peers = Vec::new();
    let mut buffer = vec![0; LARGEST];
    loop {
        let (read, _) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        let (found, done) = read_datagram(buffer.get(..read).unwrap_or_default(), wanted);
        peers.extend(found);
        if done || read == 0 {
            return Ok(peers);
        }
    }
}

fn open() -> io::Result<OwnedFd> {
    let socket =
        socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?;
    // The kernel answers at once; a system that does not answer must not keep anybody waiting.
    set_socket_timeout(&socket, Timeout::Recv, Some(std::time::Duration::from_millis(500)))?;
    Ok(socket)
}

/// The file of a socket: numbers of inode and device as `stat` gives them.
#[derive(Clone, Copy)]
struct File {
    inode: u64,
    device: u64,
}

impl File {
    /// Whether it is the file that the kernel names by the low half of its inode number and by its own
    /// form of the device number.
    fn is(self, inode: u32, device: u32) -> bool {
        let major = u64::from(rustix::fs::major(self.device));
        let minor = u64::from(rustix::fs::minor(self.device));
        self.inode & u64::from(u32::MAX) == u64::from(inode) && (major << 20 | minor) == u64::from(device)
    }
}

/// All connected Unix sockets, with their files and the other ends.
fn request() -> Vec<u8> {
    let mut message = Vec::with_capacity(REQUEST_SIZE);
    message.extend(u32::try_from(REQUEST_SIZE).unwrap_or_default().to_ne_bytes());
    message.extend(BY_FAMILY.to_ne_bytes());
    message.extend((REQUEST | DUMP).to_ne_bytes());
    message.extend([0; 8]); // sequence number and sender
    message.extend([AF_UNIX, 0, 0, 0]);
    message.extend((1_u32 << ESTABLISHED).to_ne_bytes());
    message.extend(0_u32.to_ne_bytes()); // every inode
    message.extend((SHOW_VFS | SHOW_PEER).to_ne_bytes());
    message.extend([0; 8]); // no cookie
    message
}

/// Reads a datagram of answers: the other ends of the sockets with the wanted file, and whether it was
/// the last.
fn read_datagram(mut bytes: &[u8], wanted: File) -> (Vec<u64>, bool) {
    let mut found = Vec::new();
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if kind == DONE || kind == ERROR {
            return (found, true);
        }
        let Some(message) = bytes.get(HEADER..length) else { return (found, true) };
        found.extend(read_socket(message, wanted));
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
    }
    (found, false)
}

/// The other end, when this socket has the wanted file.
fn read_socket(message: &[u8], wanted: File) -> Option<u64> {
    let mut attributes = message.get(SOCKET..)?;
    let (mut is_wanted, mut peer) = (false, None);
    while let (Some(length), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        let length = usize::from(length);
        let value = attributes.get(4..length)?;
        match kind {
            VFS => is_wanted = wanted.is(u32_at(value, 0)?, u32_at(value, 4)?),
            PEER => peer = u32_at(value, 0).map(u64::from),
            _ => {}
        }
        attributes = attributes.get(aligned(length)..).unwrap_or_default();
    }
    peer.filter(|_| is_wanted)
}

const fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

const HEADER: usize = 16;
const REQUEST_SIZE: usize = HEADER + 24;
/// Bytes before the attributes of an answer.
const SOCKET: usize = 16;
const LARGEST: usize = 64 * 1024;
/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`, and `NLM_F_ROOT | NLM_F_MATCH`.
const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
const AF_UNIX: u8 = 1;
/// The state of a connected socket.
const ESTABLISHED: u32 = 1;
/// `UDIAG_SHOW_VFS` and `UDIAG_SHOW_PEER`.
const SHOW_VFS: u32 = 2;
const SHOW_PEER: u32 = 4;
/// `UNIX_DIAG_VFS` and `UNIX_DIAG_PEER`.
const VFS: u16 = 1;
const PEER: u16 = 2;

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use proptest::prelude::*;

    use super::*;
    use crate::holders::{Holders, Processes};

    #[test]
    fn this_process_is_found_and_left_out_of_the_holders() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        assert!(peers(&path).unwrap().is_empty());
        let client = UnixStream::connect(&path).unwrap();
        let server = listener.accept().unwrap();
        let found = peers(&path).unwrap();
        let ours = rustix::fs::fstat(&client).unwrap().st_ino;
        assert_eq!(found, [ours]);
        let holders = Holders::of_socket(&path, &Processes::of_this_machine());
        assert!(holders.is_empty(), "{holders:?}");
        drop((client, server));
        assert!(peers(&path).unwrap().is_empty());
    }

    #[test]
    fn another_process_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let stream = UnixStream::connect(&path).unwrap();
        let _server = listener.accept().unwrap();
        let mut other = std::process::Command::new("sleep")
            .arg("60")
            .stdin(std::process::Stdio::from(OwnedFd::from(stream)))
            .spawn()
            .unwrap();
        // Between fork and exec it is called like this process.
        let start = std::time::Instant::now();
        let mut holders = Holders::default();
        while holders.processes.first().is_none_or(|process| process.name != "sleep") {
            assert!(start.elapsed().as_secs() < 10, "{holders:?}");
            holders = Holders::of_socket(&path, &Processes::of_this_machine());
        }
        assert_eq!((holders.processes[0].id, holders.unseen), (other.id(), 0));
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn nothing_listens() {
        assert!(peers(Path::new("/nonexistent")).is_err());
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes: Vec<u8>) {
            let _ = read_datagram(&bytes, File { inode: 0, device: 0 });
        }

        #[test]
        fn reading_answers_never_panics(rest: Vec<u8>, length in 0_u32..64, kind in 0_u16..32) {
            let bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], &rest].concat();
            let _ = read_datagram(&bytes, File { inode: 0, device: 0 });
        }
    }
}
