//! The Linux kernel's own news of devices, over a netlink socket. It needs neither udev nor any
//! right, but there is none in a container with a network of its own, so nobody relies on it alone.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind,
    netlink::{KOBJECT_UEVENT, SocketAddrNetlink},
    recvfrom, socket_with,
};

use super::uevent::{LARGEST, Uevent};
use crate::control::Control;
use crate::error::Error;

/// Hears of devices that come and go.
#[derive(Debug)]
pub(super) struct Kernel {
    socket: OwnedFd,
}

impl Kernel {
    /// Listens from now on.
    pub(super) fn listen() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))?;
        bind(&socket, &SocketAddrNetlink::new(CHOSEN_BY_KERNEL, KERNEL_GROUP))?;
        Ok(Self { socket })
    }

    /// Waits until a key may have come or gone, at most so long. Whether it did.
    pub(super) fn wait(&self, limit: Duration, control: &Control) -> Result<bool, Error> {
        let start = control.clock().now();
        loop {
            control.check()?;
            if self.drain() {
                return Ok(true);
            }
            let left = limit.saturating_sub(control.clock().now().duration_since(start));
            let piece = left.min(PIECE).min(control.remaining().unwrap_or(PIECE));
            if piece.is_zero() {
                control.check()?;
                return Ok(false);
            }
            if !self.sleep(piece) {
                control.sleep(piece)?;
            }
        }
    }

    /// Reads everything that has arrived. Whether anything of it concerns keys.
    fn drain(&self) -> bool {
        let mut buffer = [0; LARGEST];
        let mut concerned = false;
        for _ in 0..MOST_AT_ONCE {
            match recvfrom(&self.socket, &mut buffer[..], RecvFlags::empty()) {
                Ok((read, _, sender)) => {
                    let pid = sender.and_then(|sender| SocketAddrNetlink::try_from(sender).ok());
                    let believed = pid.is_some_and(|sender| sender.pid() == KERNEL);
                    let datagram = buffer.get(..read).unwrap_or_default();
                    concerned |= believed && Uevent::parse(datagram).is_ok_and(|event| event.concerns_keys());
                }
                // Some were lost: better look.
                Err(Errno::NOBUFS) => concerned = true,
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        concerned
    }

    /// Sleeps until something arrives. False when that does not work.
    fn sleep(&self, limit: Duration) -> bool {
        let Ok(timeout) = Timespec::try_from(limit) else { return false };
        let mut sockets = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut sockets, Some(&timeout)) {
            Ok(_) => !sockets[0].revents().intersects(PollFlags::HUP | PollFlags::NVAL),
            Err(error) => error == Errno::INTR,
        }
    }
}

/// Messages of the kernel itself come from here; every process has another number.
const KERNEL: u32 = 0;
/// The kernel gives our socket its address.
const CHOSEN_BY_KERNEL: u32 = 0;
/// The kernel's messages; those of udev are in group 2.
const KERNEL_GROUP: u32 = 1;
/// The longest time between two looks at the cancel token.
const PIECE: Duration = Duration::from_millis(100);
/// After so many, somebody may want to be told.
const MOST_AT_ONCE: usize = 1024;

#[cfg(test)]
mod tests {
    use rustix::net::{SendFlags, getsockname, sendto};

    use super::*;
    use crate::control::CancelToken;

    #[test]
    fn waiting_ends_in_time_and_when_cancelled() {
        let Ok(kernel) = Kernel::listen() else { return };
        let cancel = CancelToken::new();
        let control = Control::new().with_cancel(cancel.clone());
        // Whatever this machine's devices do meanwhile.
        let _ = kernel.wait(Duration::from_millis(30), &control).unwrap();
        let control = control.with_timeout(Duration::ZERO);
        assert!(matches!(kernel.wait(Duration::from_secs(9), &control), Err(Error::DeadlinePassed)));
        cancel.cancel();
        assert!(matches!(kernel.wait(Duration::from_secs(9), &control), Err(Error::Cancelled)));
    }

    #[test]
    fn other_processes_are_not_believed() {
        let (Ok(kernel), Ok(liar)) = (Kernel::listen(), Kernel::listen()) else { return };
        let ours = SocketAddrNetlink::try_from(getsockname(&kernel.socket).unwrap()).unwrap();
        let address = SocketAddrNetlink::new(ours.pid(), 0);
        let lie = b"add@/devices/usb1\0ACTION=add\0SUBSYSTEM=usb\0PRODUCT=1050/407/574\0";
        // Where processes may not send at all there is nothing to be lied about.
        if sendto(&liar.socket, lie, SendFlags::empty(), &address).is_ok() {
            assert!(!kernel.wait(Duration::from_millis(50), &Control::new()).unwrap());
        }
    }
}
