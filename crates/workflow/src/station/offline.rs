//! Programming keys without a server: what a key gets is in the bundle, and on disk, before the key
//! gets it.

use tapkey_api::{
    SecretText, Timestamp,
    bundle::{Content, StationClose, StationProof, StationRecord, StationVoid},
};
use tapkey_protocol::{
    otp::{Otp, PublicId, typed},
    slot::AccessCode,
};

use super::{
    Bench, BundleFileError, BundleWriter, Job, RowResult, Started, StationError, StationJournal,
    bench::{Finished, slot_number},
    draw,
};
use crate::enrolment::{
    Credential, EnrolError, Event, KeyPort, PublicIdChoice, TRIES, TouchError, TouchPort,
};

/// Enrols into a bundle.
#[derive(Debug)]
pub struct Offline {
    bundle: BundleWriter,
    station: String,
}

impl Offline {
    /// Into this bundle; `station` is what the station calls itself.
    #[must_use]
    pub const fn new(bundle: BundleWriter, station: String) -> Self {
        Self { bundle, station }
    }

    /// The bundle.
    #[must_use]
    pub const fn bundle(&self) -> &BundleWriter {
        &self.bundle
    }
}

impl Bench for Offline {
    async fn enrol<K: KeyPort + 'static, T: TouchPort + 'static>(
        &mut self,
        job: &Job,
        started: Started<K, T>,
        journal: &mut StationJournal,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Finished, StationError> {
        let state = journal.key(started.serial);
        let begun = state.drawn.filter(|_| state.writing);
        let mut work = Work { bench: self, job, started, journal, events };
        if let Some((record, public_id)) = &begun
            && work.started.facts.is_programmed(job.slot)
            && job.touch
        {
            if let Some(finished) = work.finish(record, public_id).await? {
                return Ok(finished);
            }
            if !job.overwrite {
                let (serial, slot) = (work.started.serial, job.slot);
                return Err(StationError::SlotProgrammed { serial, slot });
            }
        }
        work.begin(begun.is_some()).await
    }

    fn finish(&mut self, journal: &mut StationJournal) -> Result<(), StationError> {
        if journal.is_closed_at(self.bundle.messages()) {
            return Ok(());
        }
        self.bundle.append(Content::Close(StationClose { at: Timestamp::now() }))?;
        Ok(journal.closed(self.bundle.messages())?)
    }
}

/// The work on one key.
struct Work<'a, K, T> {
    bench: &'a mut Offline,
    job: &'a Job,
    started: Started<K, T>,
    journal: &'a mut StationJournal,
    events: &'a mut (dyn FnMut(Event) + Send),
}

impl<K: KeyPort + 'static, T: TouchPort + 'static> Work<'_, K, T> {
    /// A key that was cut off while it was programmed. Its secret is known to nobody here any more,
    /// but a password is proof enough for the server, and its public id tells whose it is. `None`
    /// where the slot holds something else.
    async fn finish(&mut self, record: &str, public_id: &str) -> Result<Option<Finished>, StationError> {
        let Ok(expected) = public_id.parse::<PublicId>() else { return Ok(None) };
        (self.events)(Event::Resuming { public_id: expected });
        for _ in 0..RESUMING_TRIES {
            let typed = match self.typed(expected).await {
                Ok(typed) => typed,
                // A slot with another kind of credential types nothing at all.
                Err(StationError::Key {
                    source: EnrolError::Touch { source: TouchError::Failed(_), .. },
                    ..
                }) if self.job.overwrite => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            match of(&typed, expected) {
                Ok(otp) => {
                    self.prove(record, &otp, None)?;
                    return Ok(Some(self.finished(record, public_id, RowResult::Recorded, true)));
                }
                Err(why) => (self.events)(Event::NotThisPassword { why }),
            }
        }
        Ok(None)
    }

    /// Draws a credential, writes it down, and only then into the slot.
    async fn begin(&mut self, resumed: bool) -> Result<Finished, StationError> {
        let serial = self.started.serial;
        let before = self.journal.key(serial);
        let (id, credential) = self.draw()?;
        let public_id = credential.public_id.to_string();
        // First the journal: a record whose fate is unknown is named as replaced by the next one.
        self.journal.drawn(serial, &id, &public_id)?;
        let record = self.record(&id, before.records, &credential);
        self.bench.bundle.append(Content::Credential(Box::new(record)))?;
        (self.events)(Event::Pending { public_id: credential.public_id });
        self.journal.writing(serial)?;
        let slot = self.job.slot;
        (self.events)(Event::Programming { slot });
        if let Err(source) = self.program(&credential).await {
            return Err(self.not_programmed(&id, source, before.drawn.filter(|_| before.writing))?);
        }
        (self.events)(Event::Programmed { slot });
        if !self.job.touch {
            return Ok(self.finished(&id, &public_id, RowResult::Unproven, resumed));
        }
        self.confirm(&id, &credential).await?;
        Ok(self.finished(&id, &public_id, RowResult::Recorded, resumed))
    }

    fn draw(&self) -> Result<(String, Credential), StationError> {
        let public_id = match self.job.public_id {
            PublicIdChoice::Server => None,
            PublicIdChoice::Serial => Some(PublicId::from_serial(self.started.serial)),
            PublicIdChoice::Given(id) => Some(id),
        };
        let drawn = draw::id().and_then(|id| Ok((id, draw::credential(public_id, self.job.access_code)?)));
        drawn.map_err(|()| BundleFileError::Random.into())
    }

    fn record(&self, id: &str, replaces: Vec<String>, credential: &Credential) -> StationRecord {
        let hex = |bytes: &[u8]| SecretText::new(data_encoding::HEXLOWER.encode(bytes));
        let Started { facts, serial, assignment, .. } = &self.started;
        StationRecord {
            id: id.to_owned(),
            replaces,
            station: self.bench.station.clone(),
            account: assignment.account.clone(),
            label: assignment.label.clone(),
            slot: slot_number(self.job.slot),
            serial: Some(*serial),
            firmware: Some(facts.version.to_string()),
            emulated: facts.software,
            public_id: credential.public_id.to_string(),
            private_id: hex(credential.private_id.expose()),
            aes_key: hex(credential.aes_key.expose()),
            access_code: credential.access_code.as_ref().map(|code: &AccessCode| hex(code.expose())),
            created_at: Timestamp::now(),
        }
    }

    async fn program(&self, credential: &Credential) -> Result<(), EnrolError> {
        let (slot, credential) = (self.job.slot, credential.clone());
        let current = self.job.current_access_code.clone();
        let outcome =
            self.started.key.run(move |key| key.program(slot, &credential, current.as_ref())).await?;
        outcome.map_err(|error| {
            if error.unchanged { EnrolError::Refused(error) } else { EnrolError::Interrupted(error) }
        })
    }

    /// What a failed write means. The outer error is that even this could not be written down.
    fn not_programmed(
        &mut self,
        id: &str,
        source: EnrolError,
        earlier: Option<(String, String)>,
    ) -> Result<StationError, StationError> {
        let serial = self.started.serial;
        if !matches!(source, EnrolError::Refused(_)) {
            return Ok(StationError::Key { serial, source });
        }
        let void = StationVoid {
            record: id.to_owned(),
            reason: "the key refused it".to_owned(),
            at: Timestamp::now(),
        };
        self.bench.bundle.append(Content::Void(void))?;
        let Some((record, public_id)) = earlier else {
            self.journal.unwritten(serial)?;
            return Ok(StationError::Key { serial, source });
        };
        // The slot may still hold what an earlier run wrote, under an access code nobody here knows.
        self.journal.drawn(serial, &record, &public_id)?;
        self.journal.writing(serial)?;
        Ok(StationError::Locked { serial, record, source })
    }

    async fn confirm(&mut self, id: &str, credential: &Credential) -> Result<(), StationError> {
        let mut why = String::new();
        for _ in 0..TRIES {
            let typed = self.typed(credential.public_id).await?;
            match of(&typed, credential.public_id).and_then(|otp| Ok((otp, counters(&otp, credential)?))) {
                Ok((otp, counters)) => return self.prove(id, &otp, Some(counters)),
                Err(reason) => {
                    (self.events)(Event::NotThisPassword { why: reason.clone() });
                    why = reason;
                }
            }
        }
        let source = EnrolError::NotThisPassword { public_id: credential.public_id, tries: TRIES, why };
        Err(StationError::Key { serial: self.started.serial, source })
    }

    async fn typed(&mut self, public_id: PublicId) -> Result<String, StationError> {
        let (slot, serial) = (self.job.slot, self.started.serial);
        (self.events)(Event::AwaitingTouch { slot, public_id });
        let typed = self.started.touch.run(move |touch| touch.typed_password(slot, public_id)).await;
        let typed = typed.and_then(|typed| typed.map_err(|source| EnrolError::Touch { public_id, source }));
        typed.map_err(|source| StationError::Key { serial, source })
    }

    fn prove(&mut self, record: &str, otp: &Otp, counters: Option<(u16, u8)>) -> Result<(), StationError> {
        let proof = StationProof {
            record: record.to_owned(),
            otp: SecretText::new(otp.to_string()),
            counters,
            at: Timestamp::now(),
        };
        Ok(self.bench.bundle.append(Content::Proof(proof))?)
    }

    fn finished(&self, record: &str, public_id: &str, result: RowResult, resumed: bool) -> Finished {
        Finished { public_id: public_id.to_owned(), id: Some(record.to_owned()), result, resumed }
    }
}

/// A password with the public id that is waited for.
fn of(typed: &str, expected: PublicId) -> Result<Otp, String> {
    match typed::parse(typed) {
        Ok((otp, _)) if otp.public_id() == expected => Ok(otp),
        Ok((otp, _)) => Err(format!("it begins with {}, so another slot or key typed it", otp.public_id())),
        Err(error) => Err(error.to_string()),
    }
}

/// The counters inside a password of this credential.
fn counters(otp: &Otp, credential: &Credential) -> Result<(u16, u8), String> {
    let token = otp.open(&credential.aes_key).ok();
    let token = token.filter(|token| token.private_id == credential.private_id);
    let counter = token.ok_or("it cannot be opened with the new credential")?.counter();
    Ok((counter.use_counter(), counter.session_counter()))
}

/// How many typed texts are looked at to find out what a slot holds.
const RESUMING_TRIES: u32 = 2;
