//! The same client for programs without an asynchronous runtime.

use std::fmt;

use tapkey_protocol::otp::{Otp, typed};
use tokio::runtime::{Handle, Runtime};

use super::{Builder, Error, ServerUrl, Verdict};
use crate::ConfigError;

/// Asks validation servers and waits for the verdict.
///
/// Has a small runtime of its own on the calling thread, so it may be used from several threads,
/// but not from inside an asynchronous task: use [`super::Client`] there.
///
/// ```no_run
/// use tapkey_client::validation::{self, blocking::Client};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(
///     validation::Client::builder("42".parse()?, "mG5be6ZJU1qBGz24yPh/ESM3UdU=".parse()?)
///         .server("https://otp.example.org/wsapi/2.0/verify".parse()?),
/// )?;
/// println!("{}", client.verify("vvccccbdefghdvgtiblfkbgturecfllberrvkinnctnn")?.status());
/// # Ok(())
/// # }
/// ```
pub struct Client {
    inner: super::Client,
    /// Only `None` while being dropped.
    runtime: Option<Runtime>,
}

impl Client {
    /// Makes the client. Opens no connection.
    ///
    /// # Errors
    /// As [`Builder::build`], and when no runtime can be started.
    pub fn new(settings: Builder) -> Result<Self, ConfigError> {
        let inner = settings.build()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ConfigError::Runtime)?;
        Ok(Self { inner, runtime: Some(runtime) })
    }

    /// Asks about a password as it was typed.
    ///
    /// # Errors
    /// As [`super::Client::verify`], and [`Error::InsideRuntime`].
    pub fn verify(&self, otp: &str) -> Result<Verdict, Error> {
        self.verify_otp(&typed::parse(otp)?.0)
    }

    /// Asks about a password that was already parsed.
    ///
    /// # Errors
    /// As [`Client::verify`].
    pub fn verify_otp(&self, otp: &Otp) -> Result<Verdict, Error> {
        match &self.runtime {
            Some(runtime) if Handle::try_current().is_err() => runtime.block_on(self.inner.verify_otp(otp)),
            _ => Err(Error::InsideRuntime),
        }
    }

    /// The servers, in the order in which they are asked.
    #[must_use]
    pub fn servers(&self) -> &[ServerUrl] {
        self.inner.servers()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Neither waits for a name look-up that is still under way, nor minds where it is dropped.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
