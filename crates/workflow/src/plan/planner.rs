//! A job, its vault, and the keys that come.

use std::path::{Path, PathBuf};

use tapkey_driver::{Control, Device, Error};
use thiserror::Error;

use super::apply::{self, Applied, ApplyError, Event, KeyAccess};
use super::diff::{self, Decided, Facts, KeyPlan};
use super::job::{Entry, Job, Target};
use super::observe::{self, Looking};
use super::resolve::{self, Desired, ResolveError, Resolver};
use super::vault::{FileError, Vault, VaultError, VaultFile};

/// A job with its vault, ready for keys.
#[derive(Debug)]
pub struct Planner {
    job: Job,
    folder: PathBuf,
    store: Store,
}

/// What may be done beyond the usual.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// Overwrite what the vault does not know, whatever the job says.
    pub force: bool,
    /// Ask slots and accounts that answer only when touched.
    pub touch: bool,
    /// The time, in seconds since 1970, for the codes of accounts.
    pub seconds: u64,
}

/// Where things are remembered.
#[derive(Debug)]
pub(super) enum Store {
    File(Box<VaultFile>),
    /// The job gives nothing that would have to be kept.
    Nowhere(Box<Vault>),
}

impl Store {
    pub(super) fn vault(&self) -> &Vault {
        match self {
            Self::File(file) => &file.vault,
            Self::Nowhere(vault) => vault,
        }
    }

    pub(super) fn vault_mut(&mut self) -> &mut Vault {
        match self {
            Self::File(file) => &mut file.vault,
            Self::Nowhere(vault) => vault,
        }
    }

    /// What is on the disk; nothing where there is no file.
    pub(super) fn saved(&self) -> Option<&Vault> {
        match self {
            Self::File(file) => Some(file.saved()),
            Self::Nowhere(_) => None,
        }
    }

    pub(super) fn save(&mut self) -> Result<(), FileError> {
        match self {
            Self::File(file) => file.save(),
            Self::Nowhere(_) => Ok(()),
        }
    }
}

/// Why a key cannot be compared with the job.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The key tells no serial number, by which everything is remembered.
    #[error("this key does not tell its serial number, so nothing can be remembered of it")]
    NoSerial,
    /// No entry of the job means this key.
    #[error("the job has nothing for this key (serial number {serial})")]
    NotMeant {
        /// Its serial number.
        serial: u32,
    },
    /// A secret is missing or unfit.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The key cannot be read.
    #[error(transparent)]
    Key(#[from] Error),
    /// The system gave no random bytes.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Planner {
    /// Takes a job and its vault, and checks every secret that can be checked before a key is there.
    /// `folder` is where the job file stands: paths in it are seen from there.
    ///
    /// # Errors
    /// [`PlanError::Resolve`] for the first secret that is missing or unfit.
    pub fn new(job: Job, folder: &Path, vault: Option<VaultFile>) -> Result<Self, PlanError> {
        let store = match vault {
            Some(file) => Store::File(Box::new(file)),
            None => Store::Nowhere(Box::new(Vault::new()?)),
        };
        resolve::check(&job.entries, folder, store.vault())?;
        Ok(Self { job, folder: folder.to_owned(), store })
    }

    /// The job.
    #[must_use]
    pub const fn job(&self) -> &Job {
        &self.job
    }

    /// The vault as it is now.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        self.store.vault()
    }

    /// Which entry of the job means a key: the one with its serial number, or else the first that fits.
    #[must_use]
    pub fn entry_for(&self, device: &Device) -> Option<usize> {
        let fits =
            |entry: &Entry| entry.target.matches(device.serial(), device.form_factor(), device.version());
        let by_serial = |entry: &Entry| matches!(entry.target, Target::Serial(_)) && fits(entry);
        self.job.entries.iter().position(by_serial).or_else(|| self.job.entries.iter().position(fits))
    }

    /// What would be changed on a key. Nothing is changed, on the key or in the vault.
    ///
    /// # Errors
    /// [`PlanError`] when the key is not meant or cannot be read.
    pub fn plan(&self, device: &Device, wishes: Wishes, control: &Control) -> Result<KeyPlan, PlanError> {
        let mut vault = self.store.vault().clone();
        let (_, decided) = self.decide(device, &mut vault, wishes, control)?;
        Ok(decided.plan)
    }

    /// Makes a key what the job wants it to be. `controls` gives every step its own patience; `now` is
    /// what the vault remembers as the time.
    ///
    /// # Errors
    /// [`ApplyError`]. Where something was changed already, applying again finishes it.
    pub fn apply(
        &mut self,
        access: &mut dyn KeyAccess,
        wishes: Wishes,
        controls: &dyn Fn() -> Control,
        now: &str,
        progress: &mut dyn FnMut(Event),
    ) -> Result<Applied, ApplyError> {
        let (mut done, mut finished, mut switched_on) = (0, false, false);
        loop {
            let device = access.device();
            let mut vault = self.store.vault().clone();
            let (desired, mut decided) = self.decide(&device, &mut vault, wishes, &controls())?;
            let serial = decided.plan.serial;
            let settled = decided.steps.is_empty();
            if decided.plan.refused().next().is_some() {
                return Err(ApplyError::Refused { plan: Box::new(decided.plan), switched_on });
            }
            if settled && decided.plan.changes() == 0 {
                if self.store.vault_mut().see_empty(serial, &decided.empty, now) {
                    self.store.save()?;
                }
                return Ok(Applied { plan: decided.plan, steps: done });
            }
            // Once everything is done nothing may be left, or it would be done for ever.
            let looks = decided.looks_first();
            if settled || finished || (looks && switched_on) {
                return Err(ApplyError::NotThere(Box::new(decided.plan)));
            }
            progress(Event::Planned(decided.plan.clone()));
            decided.only_switching_on();
            (finished, switched_on) = (!looks, switched_on || looks);
            vault.see_empty(serial, &decided.empty, now);
            *self.store.vault_mut() = vault;
            done += decided.steps.len();
            let moment = (now, wishes.seconds);
            apply::Run::new(&mut self.store, access, &desired, decided, controls, moment, progress)
                .finish()?;
        }
    }

    fn decide(
        &self,
        device: &Device,
        vault: &mut Vault,
        wishes: Wishes,
        control: &Control,
    ) -> Result<(Desired, Decided), PlanError> {
        let serial = device.serial().ok_or(PlanError::NoSerial)?;
        let entry = self
            .entry_for(device)
            .and_then(|index| self.job.entries.get(index))
            .ok_or(PlanError::NotMeant { serial })?;
        let version = device.version().unwrap_or_default();
        let memory = vault.memory(serial);
        let desired =
            Resolver { entry, serial, version, folder: &self.folder, vault: &mut *vault, lenient: false }
                .resolve()?;
        let looking = Looking { touch: wishes.touch, seconds: wishes.seconds };
        let observed = observe::observe(device, &desired, &memory, looking, control)?;
        let decided = diff::decide(&Facts {
            device,
            entry: &entry.name,
            overwrite: entry.overwrite || wishes.force,
            desired: &desired,
            observed: &observed,
            memory: &memory,
            fingerprint_key: &vault.fingerprint_key,
        });
        Ok((desired, decided))
    }
}
