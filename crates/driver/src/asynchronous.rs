//! Sessions for programs on tokio (cargo feature `async`).
//!
//! Talking to a key blocks, for seconds where somebody has to touch it. Here the same calls run on
//! tokio's threads for blocking work and are awaited. A future that is dropped, by a timeout, a
//! `select!` or a client that went away, **takes its command back**: the key stops blinking within about
//! a tenth of a second, and the session is there for the next call.
//!
//! [`run`] does that for any call of this crate; [`AsyncSession`] keeps a session between calls and lets
//! one caller after the other use it. There is nothing to shut down: no thread outlives its call.
//!
//! ```
//! use std::time::Duration;
//!
//! use tapkey_driver::asynchronous::AsyncSession;
//! use tapkey_driver::{Control, OtpSession};
//! use tapkey_emulator::{TouchPolicy, VirtualKey, port::in_process::PluggedKey};
//! use tapkey_protocol::slot::{AccessCode, ChallengeHmac, HmacKey, Options, Slot};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = PluggedKey::new(VirtualKey::builder().touch(TouchPolicy::Manual).build()?)?;
//! let control = Control::new();
//! let link = key.otp()?;
//! let otp = AsyncSession::open(&control, move |control| OtpSession::over_hid(link, control)).await?;
//!
//! let slot = ChallengeHmac {
//!     key: HmacKey::new([0x0B; 20]),
//!     variable_length: true,
//!     require_touch: true,
//!     options: Options::for_challenges(),
//!     access_code: AccessCode::NONE,
//! };
//! otp.call(&control, move |otp, control| otp.program(Slot::Two, &slot, &AccessCode::NONE, control)).await?;
//!
//! // Nobody touches the key in time: the future is dropped, the key forgets the challenge.
//! let asking = otp.challenge_hmac(Slot::Two, b"Hi There", &control);
//! assert!(tokio::time::timeout(Duration::from_millis(300), asking).await.is_err());
//! otp.status(&control).await?;
//! assert_eq!(key.with(|key| key.waits_for()), None);
//! # Ok(())
//! # }
//! ```
//!
//! Over a smart card a command that was sent runs to its end, since a card cannot take one back; the
//! future is gone at once nevertheless, and the next call waits for that end.

use std::fmt;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tapkey_protocol::management::{DeviceConfig, DeviceInfo};
use tapkey_protocol::secret::Secret;
use tapkey_protocol::slot::Slot;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::control::{CancelToken, Control};
use crate::device::{Device, Prefer};
use crate::error::Error;
use crate::session::management::{Applied, ManagementSession};
use crate::session::oath::OathSession;
use crate::session::otp::{OtpSession, OtpStatus};
use crate::session::piv::PivSession;

/// Runs blocking calls of this crate on a thread for such, and awaits them. `work` gets a control like
/// `control` that ends as well when the future is dropped; everything in it must use that one.
///
/// ```
/// use tapkey_driver::{Control, asynchronous, discover};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tapkey_driver::Error> {
/// let options = discover::Options::default();
/// let found = asynchronous::run(&Control::new(), move |control| discover::list(&options, control)).await?;
/// println!("{} keys", found.devices.len());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of `work`; [`Error::Cancelled`] when the runtime is shutting down.
///
/// # Panics
/// When `work` does, or outside of a tokio runtime.
pub async fn run<T, F>(control: &Control, work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce(&Control) -> Result<T, Error> + Send + 'static,
{
    let guard = CancelOnDrop(control.cancel_token().child());
    let control = control.clone().with_cancel(guard.0.clone());
    match spawn_blocking(move || work(&control)).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Err(Error::Cancelled),
        },
    }
}

/// Fires when the future that holds it ends, whichever way; at its proper end nobody listens any more.
struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// A session that several tasks may use, one after the other. Clones are the same session.
///
/// [`call`](Self::call) takes any call of the session inside; the most usual ones have methods of their
/// own.
pub struct AsyncSession<S>(Arc<Mutex<S>>);

impl<S: Send + 'static> AsyncSession<S> {
    /// Takes a session that is open.
    #[must_use]
    pub fn new(session: S) -> Self {
        Self(Arc::new(Mutex::new(session)))
    }

    /// Opens a session, with whatever function opens one.
    ///
    /// # Errors
    /// Those of `open`.
    pub async fn open<F>(control: &Control, open: F) -> Result<Self, Error>
    where
        F: FnOnce(&Control) -> Result<S, Error> + Send + 'static,
    {
        run(control, open).await.map(Self::new)
    }

    /// Uses the session as soon as whoever has it is done. When the future is dropped, the command is
    /// taken back, and the session goes to the next one once that is done.
    ///
    /// # Errors
    /// Those of `work`; those of the control while the session is awaited.
    pub async fn call<T, F>(&self, control: &Control, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut S, &Control) -> Result<T, Error> + Send + 'static,
    {
        let mut session = self.turn(control).await?;
        run(control, move |control| work(&mut session, control)).await
    }

    /// Waits for the session, with a look at the control now and then.
    async fn turn(&self, control: &Control) -> Result<OwnedMutexGuard<S>, Error> {
        let mut turn = pin!(Arc::clone(&self.0).lock_owned());
        loop {
            control.check()?;
            if let Ok(session) = timeout(LOOK, &mut turn).await {
                return Ok(session);
            }
        }
    }
}

impl<S> Clone for AsyncSession<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for AsyncSession<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncSession").finish_non_exhaustive()
    }
}

/// The OTP application: slots that answer challenges.
pub type AsyncOtpSession = AsyncSession<OtpSession>;

impl AsyncOtpSession {
    /// See [`OtpSession::challenge_hmac`].
    ///
    /// # Errors
    /// Those of that method.
    pub async fn challenge_hmac(
        &self,
        slot: Slot,
        challenge: &[u8],
        control: &Control,
    ) -> Result<Secret<20>, Error> {
        let challenge = tapkey_protocol::secret::SecretBytes::new(challenge.to_vec());
        self.call(control, move |otp, control| otp.challenge_hmac(slot, challenge.expose(), control)).await
    }

    /// See [`OtpSession::challenge_yubico`].
    ///
    /// # Errors
    /// Those of that method.
    pub async fn challenge_yubico(
        &self,
        slot: Slot,
        challenge: [u8; 6],
        control: &Control,
    ) -> Result<[u8; 16], Error> {
        self.call(control, move |otp, control| otp.challenge_yubico(slot, challenge, control)).await
    }

    /// See [`OtpSession::status`].
    ///
    /// # Errors
    /// Those of that method.
    pub async fn status(&self, control: &Control) -> Result<OtpStatus, Error> {
        self.call(control, OtpSession::status).await
    }

    /// See [`OtpSession::serial`].
    ///
    /// # Errors
    /// Those of that method.
    pub async fn serial(&self, control: &Control) -> Result<u32, Error> {
        self.call(control, OtpSession::serial).await
    }
}

/// The management application: what a key is and what is switched on.
pub type AsyncManagementSession = AsyncSession<ManagementSession>;

impl AsyncManagementSession {
    /// See [`ManagementSession::device_info`].
    ///
    /// # Errors
    /// Those of that method.
    pub async fn device_info(&self, control: &Control) -> Result<DeviceInfo, Error> {
        self.call(control, ManagementSession::device_info).await
    }

    /// See [`ManagementSession::write_config`].
    ///
    /// # Errors
    /// Those of that method.
    pub async fn write_config(&self, config: DeviceConfig, control: &Control) -> Result<Applied, Error> {
        self.call(control, move |management, control| management.write_config(&config, control)).await
    }
}

/// The OATH application; its calls go through [`AsyncSession::call`].
pub type AsyncOathSession = AsyncSession<OathSession>;

/// The PIV application; its calls go through [`AsyncSession::call`].
pub type AsyncPivSession = AsyncSession<PivSession>;

impl Device {
    /// [`open_oath`](Self::open_oath) for programs on tokio.
    ///
    /// # Errors
    /// Those of that method.
    pub async fn open_oath_async(&self, control: &Control) -> Result<AsyncOathSession, Error> {
        let device = self.clone();
        AsyncSession::open(control, move |control| device.open_oath(control)).await
    }

    /// [`open_piv`](Self::open_piv) for programs on tokio.
    ///
    /// # Errors
    /// Those of that method.
    pub async fn open_piv_async(&self, control: &Control) -> Result<AsyncPivSession, Error> {
        let device = self.clone();
        AsyncSession::open(control, move |control| device.open_piv(control)).await
    }

    /// [`open_otp`](Self::open_otp) for programs on tokio.
    ///
    /// # Errors
    /// Those of that method.
    pub async fn open_otp_async(&self, prefer: Prefer, control: &Control) -> Result<AsyncOtpSession, Error> {
        let device = self.clone();
        AsyncSession::open(control, move |control| device.open_otp(prefer, control)).await
    }

    /// [`open_management`](Self::open_management) for programs on tokio.
    ///
    /// # Errors
    /// Those of that method.
    pub async fn open_management_async(&self, control: &Control) -> Result<AsyncManagementSession, Error> {
        let device = self.clone();
        AsyncSession::open(control, move |control| device.open_management(control)).await
    }
}

/// Between two looks at the control while the session is somebody else's.
const LOOK: Duration = Duration::from_millis(50);
