//! Types and numbers of pcscd's driver interface, version 3 (`ifdhandler.h` of pcsc-lite).

use std::ffi::c_long;

/// An unsigned number: as wide as a `long`, except on macOS.
#[cfg(not(target_os = "macos"))]
pub type Dword = std::ffi::c_ulong;
/// An unsigned number.
#[cfg(target_os = "macos")]
pub type Dword = u32;

/// What every function returns.
pub type ResponseCode = c_long;

/// Names the protocol of a command or an answer.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ScardIoHeader {
    /// 0 for T=0, 1 for T=1.
    pub protocol: Dword,
    /// The size of this structure; not used.
    pub length: Dword,
}

pub(crate) const SUCCESS: ResponseCode = 0;
pub(crate) const ERROR_TAG: ResponseCode = 600;
pub(crate) const ERROR_NOT_SUPPORTED: ResponseCode = 606;
pub(crate) const COMMUNICATION_ERROR: ResponseCode = 612;
pub(crate) const NOT_SUPPORTED: ResponseCode = 614;
pub(crate) const ICC_PRESENT: ResponseCode = 615;
pub(crate) const ICC_NOT_PRESENT: ResponseCode = 616;
pub(crate) const NO_SUCH_DEVICE: ResponseCode = 617;
pub(crate) const INSUFFICIENT_BUFFER: ResponseCode = 618;

pub(crate) const TAG_ATR: Dword = 0x0303;
pub(crate) const TAG_SLOT_THREAD_SAFE: Dword = 0x0FAC;
pub(crate) const TAG_THREAD_SAFE: Dword = 0x0FAD;
pub(crate) const TAG_SLOTS_NUMBER: Dword = 0x0FAE;
pub(crate) const TAG_SIMULTANEOUS_ACCESS: Dword = 0x0FAF;
/// The same answer to reset, as an attribute that programs ask for.
pub(crate) const ATTRIBUTE_ATR: Dword = 0x0009_0303;

pub(crate) const POWER_UP: Dword = 500;
pub(crate) const POWER_DOWN: Dword = 501;
pub(crate) const RESET: Dword = 502;

/// The room for an answer to reset.
pub(crate) const MAX_ATR_SIZE: usize = 33;
pub(crate) const PROTOCOL_T1: Dword = 1;
/// As many readers as pcscd has.
pub(crate) const MAX_READERS: u8 = 16;
