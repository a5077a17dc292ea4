//! A provisioning station: every key that is plugged in is programmed and enrolled, one after the
//! other, with a server at hand or without one.
//!
//! [`run`] is the loop. It asks a [`KeySource`] for the next key, takes an account for it from
//! [`Accounts`], has a [`Bench`] do the work ([`Online`] against a server, [`Offline`] into a bundle),
//! and writes down in a [`StationJournal`] what was done, so that a run that ends anywhere is gone on
//! with by the next one: what is done is never done twice, and a key that was cut off in the middle is
//! finished when it is plugged in again. The first thing that is not as expected ends the run with
//! a [`StationError`] that says what it was.
//!
//! Without a server the secrets are drawn here. Each is encrypted to the server's public key and on
//! disk before the key's slot is written, and never on disk in any other form: after an interruption
//! this station cannot read it any more either. That is no loss, because the credential is finished
//! by a touch, which the server checks when it imports the bundle.

mod bench;
mod bundle;
mod disk;
mod draw;
mod error;
mod journal;
mod label;
mod list;
mod offline;
mod report;
mod run;

pub use bench::{Bench, Finished, Online, Started};
pub use bundle::{BundleFileError, BundleWriter, Recipient, RecipientError};
pub use disk::{Disk, RealDisk};
pub use error::{StationError, StationJournalError};
pub use journal::{Assignment, KeyState, StationJournal};
pub use label::{LabelError, LabelPattern};
pub use list::{AccountList, Accounts, ListError, ListRow};
pub use offline::Offline;
pub use report::{Row, RowResult, csv_head, csv_line};
pub use run::{Arrival, Arrived, Ended, Job, KeySource, Progress, Run, StationEvent, run};
