//! The keyboard interface alone, through `/dev/uhid`: for programs that use hidraw, and for reading
//! what a press types, where the kernel has no virtual USB controller.
//!
//! There is no USB device behind it, so programs that look for one (libusb, pcscd, most udev rules)
//! do not see it. It needs the module `uhid` and the right to open `/dev/uhid`.

mod event;

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tapkey_protocol::link::Report;
use thiserror::Error;

pub use event::{EVENT_SIZE, FromKernel, ToKernel};

use crate::key::{Power, VirtualKey};
use crate::port::in_process::{PluggedKey, Wait};
use crate::usb::{Completion, Setup, Speed, Status, Urb, UsbDevice};

/// A keyboard in this machine's kernel, until it is dropped.
#[derive(Debug)]
pub struct Keyboard {
    key: PluggedKey,
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
}

/// Why there is no keyboard.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UhidError {
    /// The kernel has no such thing.
    #[error("{} is not there; load the module with `modprobe uhid`", path.display())]
    NoModule {
        /// The device.
        path: PathBuf,
    },
    /// This user may not.
    #[error("no permission to open {}; run the command as root, for example with sudo", path.display())]
    NotAllowed {
        /// The device.
        path: PathBuf,
    },
    /// The key has no power on USB, or its OTP interface is switched off.
    #[error("the key has no keyboard now; it is used over NFC, has no power, or its OTP interface is off")]
    NoKeyboard,
    /// The operating system refused.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// The device.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
}

impl Keyboard {
    /// Makes the keyboard. It follows the key: when that loses its power, the keyboard goes, and
    /// comes again with it.
    ///
    /// # Errors
    /// [`UhidError`], which says what to do.
    pub fn plug_in(key: PluggedKey, speed: Speed) -> Result<Self, UhidError> {
        let path = Path::new("/dev/uhid");
        let first = open(path, &key)?;
        let stop = Arc::new(AtomicBool::new(false));
        let worker = {
            let (key, stop) = (key.clone(), Arc::clone(&stop));
            thread::spawn(move || {
                let mut next = Some(first);
                while let Some((file, device)) = next.take() {
                    if serve(file, &key, device, speed, &stop) != End::Unplugged || !powered(&key, &stop) {
                        return;
                    }
                    next = open(path, &key).ok();
                }
            })
        };
        Ok(Self { key, stop, worker: Some(worker) })
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.key.wake();
        if let Some(worker) = self.worker.take() {
            // A worker that panicked has closed its file.
            let _ = worker.join();
        }
    }
}

fn open(path: &Path, key: &PluggedKey) -> Result<(File, UsbDevice), UhidError> {
    let device = key.with(|key| key.has_otp_reports().then(|| UsbDevice::new(key)).flatten());
    let device = device.ok_or(UhidError::NoKeyboard)?;
    let path = path.to_owned();
    match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => Ok((file, device)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(UhidError::NoModule { path }),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(UhidError::NotAllowed { path }),
        Err(source) => Err(UhidError::Io { path, source }),
    }
}

/// Waits until the key has power again; false when the port is stopped meanwhile.
fn powered(key: &PluggedKey, stop: &AtomicBool) -> bool {
    key.wait(|key| match key.powered() {
        _ if stop.load(Ordering::SeqCst) => Wait::Over(false),
        Power::Usb if key.has_otp_reports() => Wait::Over(true),
        _ => Wait::Until(None),
    })
}

/// Why a keyboard was taken away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Unplugged,
    Stopped,
    Failed,
}

/// A file or a connection that two threads use.
trait Channel: io::Read + Write + Send + Sized {
    fn second(&self) -> io::Result<Self>;
}

impl Channel for File {
    fn second(&self) -> io::Result<Self> {
        self.try_clone()
    }
}

/// What both threads share. It is only ever locked by whoever has the key.
struct Shared {
    device: UsbDevice,
    /// The device has a transfer for the next report.
    asked: bool,
    out: VecDeque<ToKernel>,
    failed: bool,
    over: bool,
}

fn serve<C: Channel>(
    mut channel: C,
    key: &PluggedKey,
    mut device: UsbDevice,
    speed: Speed,
    stop: &AtomicBool,
) -> End {
    device.set_speed(speed);
    let create = ToKernel::create(device.descriptors());
    let configure = Setup { request_type: 0, request: 9, value: 1, index: 0, length: 0 };
    let _ = key.with(|key| device.submit(key, &Urb::control_out(0, configure, &[])));
    let keyboard = key.keyboard();
    let shared =
        Mutex::new(Shared { device, asked: false, out: VecDeque::new(), failed: false, over: false });
    let Ok(reader) = channel.second() else { return End::Failed };
    if channel.write_all(&create.encode()).is_err() {
        return End::Failed;
    }
    thread::scope(|scope| {
        scope.spawn(|| read(reader, key, &shared));
        let end = loop {
            let next = key.wait(|key| {
                let mut shared = lock(&shared);
                while let Some(typed) = keyboard.take() {
                    shared.device.type_strokes(typed.strokes());
                }
                shared.next(key, stop)
            });
            match next {
                Ok(messages) => {
                    if messages.iter().any(|message| channel.write_all(&message.encode()).is_err()) {
                        break End::Failed;
                    }
                }
                Err(end) => break end,
            }
        };
        lock(&shared).over = true;
        // The kernel says that it stopped the device, which ends the reader.
        let _ = channel.write_all(&ToKernel::Destroy.encode());
        end
    })
}

fn read<C: Channel>(mut channel: C, key: &PluggedKey, shared: &Mutex<Shared>) {
    loop {
        let event = FromKernel::read(&mut channel);
        let over = key.with(|key| {
            let mut shared = lock(shared);
            match event {
                Ok(event) => shared.take(key, &event),
                Err(_) => shared.failed = true,
            }
            shared.over || shared.failed
        });
        if over {
            return;
        }
    }
}

impl Shared {
    fn next(&mut self, key: &mut VirtualKey, stop: &AtomicBool) -> Wait<Result<Vec<ToKernel>, End>> {
        loop {
            if !self.asked {
                let refused = self.device.submit(key, &Urb::input(INPUT_ID, KEYBOARD_ENDPOINT, 8));
                self.asked = refused.is_none();
            }
            let completed = self.device.poll(key);
            if completed.is_empty() {
                break;
            }
            self.asked = false;
            self.out.extend(completed.iter().filter_map(keys));
        }
        if !self.out.is_empty() {
            return Wait::Over(Ok(self.out.drain(..).collect()));
        }
        if stop.load(Ordering::SeqCst) {
            return Wait::Over(Err(End::Stopped));
        }
        if self.failed {
            return Wait::Over(Err(End::Failed));
        }
        if self.device.is_gone(key) {
            return Wait::Over(Err(End::Unplugged));
        }
        Wait::Until(self.device.next_event(key))
    }

    fn take(&mut self, key: &mut VirtualKey, event: &FromKernel) {
        match *event {
            FromKernel::GetFeature { id } => {
                let setup = Setup { request_type: 0xA1, request: 1, value: 0x0300, index: 0, length: 8 };
                let done = self.device.submit(key, &Urb::control_in(CONTROL_ID, setup));
                let report = done.filter(is_done).and_then(|done| done.data.try_into().ok());
                self.out.push_back(ToKernel::Feature { id, report });
            }
            FromKernel::SetFeature { id, report } => {
                let setup = Setup { request_type: 0x21, request: 9, value: 0x0300, index: 0, length: 8 };
                let send =
                    |report: Report| self.device.submit(key, &Urb::control_out(CONTROL_ID, setup, &report));
                let done = report.and_then(send).as_ref().is_some_and(is_done);
                self.out.push_back(ToKernel::Taken { id, done });
            }
            FromKernel::Other { id, writes: false } => {
                self.out.push_back(ToKernel::Feature { id, report: None });
            }
            FromKernel::Other { id, writes: true } => self.out.push_back(ToKernel::Taken { id, done: false }),
            FromKernel::Lights(lights) => {
                let setup = Setup { request_type: 0x21, request: 9, value: 0x0200, index: 0, length: 1 };
                let _ = self.device.submit(key, &Urb::control_out(CONTROL_ID, setup, &[lights]));
            }
            FromKernel::News => {}
        }
        // A request that a suspended key did not answer is given up at once.
        self.device.unlink(CONTROL_ID);
    }
}

fn is_done(completion: &Completion) -> bool {
    completion.status == Status::Done
}

fn keys(completion: &Completion) -> Option<ToKernel> {
    completion.data[..].try_into().ok().map(ToKernel::Keys)
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

const CONTROL_ID: u32 = 1;
const INPUT_ID: u32 = 2;
const KEYBOARD_ENDPOINT: u8 = 1;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use tapkey_protocol::hid::Frame;
    use tapkey_protocol::keyboard::pressed;
    use tapkey_protocol::otp::{AesKey, PrivateId, PublicId};
    use tapkey_protocol::slot::{AccessCode, Options, Slot, SlotCommand, SlotConfig, YubicoOtp};

    use super::*;

    impl Channel for UnixStream {
        fn second(&self) -> io::Result<Self> {
            self.try_clone()
        }
    }

    /// The kernel's side.
    struct Kernel(UnixStream);

    impl Kernel {
        fn hears(&mut self) -> ToKernel {
            let mut bytes = [0; EVENT_SIZE];
            io::Read::read_exact(&mut self.0, &mut bytes).unwrap();
            ToKernel::parse(&bytes).unwrap()
        }

        fn says(&mut self, event: &FromKernel) {
            self.0.write_all(&event.encode()).unwrap();
        }
    }

    #[test]
    fn a_keyboard_and_its_feature_reports() {
        let key = PluggedKey::new(VirtualKey::builder().build().unwrap()).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut kernel = Kernel(theirs);
        let device = key.with(|key| UsbDevice::new(key)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let worker = {
            let (key, stop) = (key.clone(), Arc::clone(&stop));
            thread::spawn(move || serve(ours, &key, device, Speed::Fast, &stop))
        };
        let ToKernel::Create { name, ids, .. } = kernel.hears() else { panic!("no keyboard") };
        assert_eq!((name.as_str(), ids), ("Yubico YubiKey OTP+FIDO+CCID EMU", [0x1050, 0x0407, 0x0574]));
        kernel.says(&FromKernel::News);
        let config = YubicoOtp {
            public_id: PublicId::new(&[0; 6]).unwrap(),
            private_id: PrivateId::new([1; 6]),
            key: AesKey::new([2; 16]),
            send_reference: false,
            options: Options::for_typing(),
            access_code: AccessCode::NONE,
        };
        let payload = config.record().payload(&AccessCode::NONE);
        let frame = Frame::new(SlotCommand::Configure(Slot::One).code(), payload.expose()).unwrap();
        for (id, report) in (10..).zip(frame.reports()) {
            kernel.says(&FromKernel::SetFeature { id, report: Some(report) });
            assert_eq!(kernel.hears(), ToKernel::Taken { id, done: true });
        }
        kernel.says(&FromKernel::SetFeature { id: 5, report: None });
        assert_eq!(kernel.hears(), ToKernel::Taken { id: 5, done: false });
        kernel.says(&FromKernel::GetFeature { id: 6 });
        let ToKernel::Feature { id: 6, report: Some(status) } = kernel.hears() else { panic!("no status") };
        assert_eq!(status[1..6], [5, 7, 4, 1, 5]);
        kernel.says(&FromKernel::Other { id: 7, writes: false });
        assert_eq!(kernel.hears(), ToKernel::Feature { id: 7, report: None });
        key.press(Slot::One).unwrap();
        let mut pressed_keys = 0;
        for _ in 0..90 {
            let ToKernel::Keys(report) = kernel.hears() else { panic!("no keys") };
            pressed_keys += usize::from(pressed(&report).is_some());
        }
        assert_eq!(pressed_keys, 45);
        stop.store(true, Ordering::SeqCst);
        key.wake();
        assert_eq!(kernel.hears(), ToKernel::Destroy);
        kernel.says(&FromKernel::News);
        assert_eq!(worker.join().unwrap(), End::Stopped);
    }
}
