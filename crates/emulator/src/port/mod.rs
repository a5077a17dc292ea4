//! Ways to reach a key. Clocks, locks, threads and sockets live here, none of them in the key.

pub mod in_process;
pub mod pcscd;
pub mod replay;
pub mod socket;
pub mod uhid;
pub mod usbip;
pub mod vpcd;
