//! The functions that pcscd looks up by name and calls.
//!
//! # Safety
//!
//! All are called by pcscd as its `ifdhandler.h` says: a pointer is null or valid for as many bytes as
//! the length beside it tells, and nobody else uses what it points to during the call. Calls may come
//! from several threads.
#![expect(unsafe_code, reason = "pcscd is a C program: it calls by name and hands over pointers")]

use std::ffi::{CStr, c_char, c_uchar};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{ptr, slice};

use zeroize::Zeroize;

use crate::abi::{
    ATTRIBUTE_ATR, COMMUNICATION_ERROR, Dword, ERROR_NOT_SUPPORTED, ERROR_TAG, ICC_NOT_PRESENT, ICC_PRESENT,
    INSUFFICIENT_BUFFER, MAX_ATR_SIZE, MAX_READERS, NO_SUCH_DEVICE, NOT_SUPPORTED, POWER_DOWN, POWER_UP,
    PROTOCOL_T1, RESET, ResponseCode, SUCCESS, ScardIoHeader, TAG_ATR, TAG_SIMULTANEOUS_ACCESS,
    TAG_SLOT_THREAD_SAFE, TAG_SLOTS_NUMBER, TAG_THREAD_SAFE,
};
use crate::reader::{self, Reader};

/// Opens a reader by the `DEVICENAME` of its configuration. The emulator need not be there yet.
///
/// # Safety
/// `device` is null or a text that ends with a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn IFDHCreateChannelByName(reader: Dword, device: *const c_char) -> ResponseCode {
    guarded(|| {
        if device.is_null() {
            return NO_SUCH_DEVICE;
        }
        // SAFETY: not null, so the caller promises a text that ends with a zero byte.
        let device = unsafe { CStr::from_ptr(device) };
        reader::open(reader, Reader::new(device.to_bytes()));
        SUCCESS
    })
}

/// Would open a reader by a number alone, which does not lead to an emulator.
#[unsafe(no_mangle)]
pub extern "C" fn IFDHCreateChannel(_reader: Dword, _channel: Dword) -> ResponseCode {
    NO_SUCH_DEVICE
}

/// Closes a reader.
#[unsafe(no_mangle)]
pub extern "C" fn IFDHCloseChannel(reader: Dword) -> ResponseCode {
    guarded(|| {
        reader::close(reader);
        SUCCESS
    })
}

/// Tells what the reader can do, and the answer to reset.
///
/// # Safety
/// `length` is null or valid; `value` is null or has room for `*length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn IFDHGetCapabilities(
    reader: Dword,
    tag: Dword,
    length: *mut Dword,
    value: *mut c_uchar,
) -> ResponseCode {
    guarded(|| {
        let answer = match tag {
            TAG_ATR | ATTRIBUTE_ATR => match reader::with(reader, Reader::atr) {
                Some(Ok(atr)) => atr,
                _ => return COMMUNICATION_ERROR,
            },
            TAG_SLOTS_NUMBER | TAG_THREAD_SAFE | TAG_SLOT_THREAD_SAFE => vec![1],
            TAG_SIMULTANEOUS_ACCESS => vec![MAX_READERS],
            _ => return ERROR_TAG,
        };
        // SAFETY: what the caller promises of the two pointers is what is asked for.
        unsafe { give(&answer, value, length) }
    })
}

/// Nothing can be changed.
#[unsafe(no_mangle)]
pub extern "C" fn IFDHSetCapabilities(
    _reader: Dword,
    _tag: Dword,
    _length: Dword,
    _value: *mut c_uchar,
) -> ResponseCode {
    NOT_SUPPORTED
}

/// Takes any protocol: no electrical signals are negotiated here.
#[unsafe(no_mangle)]
pub extern "C" fn IFDHSetProtocolParameters(
    _reader: Dword,
    _protocol: Dword,
    _flags: c_uchar,
    _pts1: c_uchar,
    _pts2: c_uchar,
    _pts3: c_uchar,
) -> ResponseCode {
    SUCCESS
}

/// Switches the card on or off, or resets it. For the key all three are a reset of its card.
///
/// # Safety
/// `length` is null or valid; `atr` is null or has room for 33 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn IFDHPowerICC(
    reader: Dword,
    action: Dword,
    atr: *mut c_uchar,
    length: *mut Dword,
) -> ResponseCode {
    guarded(|| {
        // SAFETY: what the caller promises of the pointer is what is asked for.
        unsafe { set_length(length, 0) };
        if !matches!(action, POWER_UP | POWER_DOWN | RESET) {
            return NOT_SUPPORTED;
        }
        let answer = reader::with(reader, |reader| {
            reader.reset()?;
            if action == POWER_DOWN { Ok(Vec::new()) } else { reader.atr() }
        });
        match answer {
            None => NO_SUCH_DEVICE,
            // A card that is gone has no power.
            Some(Err(_)) if action == POWER_DOWN => SUCCESS,
            Some(Err(_)) => COMMUNICATION_ERROR,
            Some(Ok(answer)) if answer.is_empty() => SUCCESS,
            Some(Ok(answer)) => {
                // Not every caller says how much room there is, but it is always this much.
                // SAFETY: what the caller promises of the pointer is what is asked for.
                unsafe { set_length(length, Dword::try_from(MAX_ATR_SIZE).unwrap_or_default()) };
                // SAFETY: there is room for 33 bytes, and `length` now says so.
                unsafe { give(&answer, atr, length) }
            }
        }
    })
}

/// Sends a command to the card, and gives its answer.
///
/// # Safety
/// `command` is null or has `command_length` bytes; `length` is null or valid; `answer` is null or has
/// room for `*length` bytes; `received` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn IFDHTransmitToICC(
    reader: Dword,
    _sent: ScardIoHeader,
    command: *const c_uchar,
    command_length: Dword,
    answer: *mut c_uchar,
    length: *mut Dword,
    received: *mut ScardIoHeader,
) -> ResponseCode {
    guarded(|| {
        let Ok(size) = usize::try_from(command_length) else { return COMMUNICATION_ERROR };
        let command = if command.is_null() || size == 0 {
            &[]
        } else {
            // SAFETY: not null, so the caller promises that many bytes, which nobody changes meanwhile.
            unsafe { slice::from_raw_parts(command, size) }
        };
        let Some(Ok(mut bytes)) = reader::with(reader, |reader| reader.transmit(command)) else {
            // SAFETY: what the caller promises of the pointer is what is asked for.
            unsafe { set_length(length, 0) };
            return COMMUNICATION_ERROR;
        };
        // SAFETY: what the caller promises of the two pointers is what is asked for.
        let code = unsafe { give(&bytes, answer, length) };
        bytes.zeroize();
        if !received.is_null() {
            // SAFETY: not null, so the caller promises that it is valid.
            unsafe { (*received).protocol = PROTOCOL_T1 };
        }
        code
    })
}

/// Tells whether there is a card.
#[unsafe(no_mangle)]
pub extern "C" fn IFDHICCPresence(reader: Dword) -> ResponseCode {
    guarded(|| match reader::with(reader, Reader::is_present) {
        Some(true) => ICC_PRESENT,
        Some(false) => ICC_NOT_PRESENT,
        None => NO_SUCH_DEVICE,
    })
}

/// The reader itself takes no commands: it has no display and no PIN pad.
///
/// # Safety
/// `length` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn IFDHControl(
    _reader: Dword,
    _code: Dword,
    _sent: *mut c_uchar,
    _sent_length: Dword,
    _answer: *mut c_uchar,
    _room: Dword,
    length: *mut Dword,
) -> ResponseCode {
    guarded(|| {
        // SAFETY: what the caller promises of the pointer is what is asked for.
        unsafe { set_length(length, 0) };
        ERROR_NOT_SUPPORTED
    })
}

/// Keeps a panic from going on into C, where it would end pcscd and with it everybody's readers.
fn guarded(work: impl FnOnce() -> ResponseCode) -> ResponseCode {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(COMMUNICATION_ERROR)
}

/// Copies an answer to where the caller wants it, and says how long it is.
///
/// # Safety
/// `length` is null or valid; `to` is null or has room for `*length` bytes.
unsafe fn give(answer: &[u8], to: *mut c_uchar, length: *mut Dword) -> ResponseCode {
    if to.is_null() || length.is_null() {
        return COMMUNICATION_ERROR;
    }
    // SAFETY: not null, so the caller promises that it is valid.
    let room = usize::try_from(unsafe { *length }).unwrap_or(usize::MAX);
    let Some(size) = Dword::try_from(answer.len()).ok().filter(|_| answer.len() <= room) else {
        // SAFETY: as above.
        unsafe { *length = 0 };
        return INSUFFICIENT_BUFFER;
    };
    // SAFETY: there is room for `answer.len()` bytes, and an answer of our own is not in pcscd's memory.
    unsafe { ptr::copy_nonoverlapping(answer.as_ptr(), to, answer.len()) };
    // SAFETY: as above.
    unsafe { *length = size };
    SUCCESS
}

/// Says how long the answer is.
///
/// # Safety
/// `length` is null or valid.
unsafe fn set_length(length: *mut Dword, size: Dword) {
    if !length.is_null() {
        // SAFETY: not null, so the caller promises that it is valid.
        unsafe { *length = size };
    }
}

#[cfg(test)]
mod tests;
