//! Plan and apply: what keys are to be like, what is different, and making it so.
//!
//! A [`Job`] says what a key, or each key of a fleet, is to be like. A [`Planner`] compares it with a
//! key that is plugged in, without changing anything, and applies the difference: step by step, each
//! step verified, in an order that locks nobody out. A [`Vault`] keeps what only the key would know
//! otherwise.
//!
//! The promises:
//!
//! * Nothing secret exists only on a key: secrets, access codes, lock codes and passwords are in the
//!   vault, on the disk, before the key gets them.
//! * What the vault does not know is not overwritten unless that was allowed.
//! * The last USB interface over which this program reaches a key is never switched off, and what
//!   later steps need is not switched off before them.
//! * Pulled out at any moment, a key is finished by applying the same job again.
//! * Applying twice changes nothing the second time.
//!
//! What a slot holds cannot be read. Slots that answer challenges are asked one that nobody knew
//! before; of the others the vault remembers what was applied, and a plan says that this is all it
//! knows.

mod apply;
mod diff;
mod job;
mod memory;
mod oath;
mod observe;
mod planner;
mod resolve;
mod source;
mod step;
mod toml_text;
mod vault;

pub use apply::{Applied, ApplyError, Event, KeyAccess, StepError};
pub use diff::{Action, Item, KeyPlan};
pub use job::{
    Account, AccountSecret, Applications, CodeWish, Content, Entry, FirmwareRange, Job, JobError, NAMED,
    Oath, Others, PublicIdFrom, SlotGoal, SlotWish, Target,
};
pub use memory::Remembered;
pub use planner::{PlanError, Planner, Wishes};
pub use resolve::{ResolveError, Why};
pub use source::{SecretSource, SourceError};
pub use vault::{FileError, Kind, Lock, Opener, SecretText, Vault, VaultError, VaultFile};
