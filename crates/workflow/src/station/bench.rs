//! What is done with a key that has an account: against a server, or (see [`Offline`](super::Offline))
//! without one.

use std::future::Future;

use tapkey_protocol::{otp::PublicId, slot::Slot};

use super::{Assignment, Job, Row, RowResult, StationError, StationJournal};
use crate::enrolment::{
    EnrolmentServer, Event, Journal, KeyFacts, KeyPort, Plan, Port, TouchPort, confirm_on, enrol_on,
    enrol_pending_on,
};

/// Makes a key hold a credential. Implemented by [`Online`] and [`Offline`](super::Offline).
pub trait Bench: Send {
    /// Programs the key and has it prove itself, where the job wants that.
    fn enrol<K: KeyPort + 'static, T: TouchPort + 'static>(
        &mut self,
        job: &Job,
        started: Started<K, T>,
        journal: &mut StationJournal,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> impl Future<Output = Result<Finished, StationError>>;

    /// The run is over.
    ///
    /// # Errors
    /// Its end could not be written down.
    fn finish(&mut self, journal: &mut StationJournal) -> Result<(), StationError>;
}

/// A key that was read and has an account.
pub struct Started<K, T> {
    pub(super) key: Port<K>,
    pub(super) touch: Port<T>,
    pub(super) facts: KeyFacts,
    pub(super) serial: u32,
    pub(super) assignment: Assignment,
}

impl<K, T> std::fmt::Debug for Started<K, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Started")
            .field("serial", &self.serial)
            .field("assignment", &self.assignment)
            .finish_non_exhaustive()
    }
}

/// A key that holds its credential.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finished {
    pub(super) public_id: String,
    pub(super) id: Option<String>,
    pub(super) result: RowResult,
    pub(super) resumed: bool,
}

/// Enrols against a server.
#[derive(Debug)]
pub struct Online<'a, S> {
    server: &'a S,
    journal: Journal,
}

impl<'a, S: EnrolmentServer> Online<'a, S> {
    /// With this server, and a journal of single enrolments, which a station shares with [`enrol`](crate::enrol).
    #[must_use]
    pub const fn new(server: &'a S, journal: Journal) -> Self {
        Self { server, journal }
    }
}

impl<S: EnrolmentServer> Bench for Online<'_, S> {
    async fn enrol<K: KeyPort + 'static, T: TouchPort + 'static>(
        &mut self,
        job: &Job,
        started: Started<K, T>,
        stations: &mut StationJournal,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Finished, StationError> {
        let Started { key, touch, facts, serial, assignment } = started;
        let plan = plan(job, &assignment);
        let failed = |source| StationError::Key { serial, source };
        let (server, journal) = (self.server, &self.journal);
        if job.touch {
            let mut enrolled = None;
            if let Some((id, public_id)) = stations.key(serial).done.as_ref().and_then(pending) {
                let pending = (id.as_str(), public_id);
                enrolled = confirm_on(&plan, facts, &touch, pending, server, journal, events)
                    .await
                    .map_err(failed)?;
            }
            let enrolled = match enrolled {
                Some(enrolled) => enrolled,
                None => {
                    enrol_on(&plan, facts, &key, &touch, server, journal, events).await.map_err(failed)?
                }
            };
            return Ok(Finished {
                public_id: enrolled.key.public_id,
                id: Some(enrolled.key.id),
                result: RowResult::Active,
                resumed: enrolled.resumed,
            });
        }
        let programmed = enrol_pending_on(&plan, facts, &key, server, journal, events).await;
        let programmed = programmed.map_err(failed)?;
        let confirmed = programmed.enrollment.is_empty();
        Ok(Finished {
            public_id: programmed.public_id.to_string(),
            id: (!confirmed).then_some(programmed.enrollment),
            result: if confirmed { RowResult::Active } else { RowResult::Pending },
            resumed: programmed.resumed,
        })
    }

    fn finish(&mut self, _: &mut StationJournal) -> Result<(), StationError> {
        Ok(())
    }
}

/// What an earlier run left waiting for a touch.
fn pending(row: &Row) -> Option<(String, PublicId)> {
    let public_id = row.public_id.as_ref()?.parse().ok()?;
    (row.result == RowResult::Pending).then_some((row.id.clone()?, public_id))
}

fn plan(job: &Job, assignment: &Assignment) -> Plan {
    Plan {
        account: assignment.account.clone(),
        create_account: job.create_account,
        slot: job.slot,
        label: assignment.label.clone(),
        public_id: job.public_id,
        generate_access_code: job.access_code,
        current_access_code: job.current_access_code.clone(),
        overwrite: job.overwrite,
    }
}

/// The number of a slot.
pub(super) const fn slot_number(slot: Slot) -> u8 {
    crate::enrolment::number(slot)
}
