//! The way of one enrolment.

use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::HEXLOWER_PERMISSIVE;
use tapkey_api::{
    ProblemCode,
    enrollments::{CreateEnrollment, EnrollmentSecrets, EnrollmentState},
    keys::Key,
};
use tapkey_protocol::{
    otp::{AesKey, PrivateId, PublicId, typed},
    slot::AccessCode,
};

use super::{
    Credential, EnrolError, EnrolmentServer, Event, Journal, KeyError, KeyFacts, KeyPort, Plan,
    PublicIdChoice, ServerError, TouchPort,
    journal::{Entry, number},
};

/// What an enrolment led to.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// The key, active on the server.
    pub key: Key,
    /// Whether an interrupted run was finished.
    pub resumed: bool,
}

/// Enrols a key; see the crate's documentation for what it promises.
///
/// The key and the touch are blocking and run on a blocking thread, so a runtime must be there.
///
/// # Errors
/// [`EnrolError`], whose text says what the slot holds then.
pub async fn enrol<K, T, S>(
    plan: &Plan,
    key: K,
    touch: T,
    server: &S,
    journal: &Journal,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Enrolled, EnrolError>
where
    K: KeyPort + 'static,
    T: TouchPort + 'static,
    S: EnrolmentServer,
{
    let key = Port::new(key);
    let facts = key.run(KeyPort::facts).await?.map_err(EnrolError::Read)?;
    events(Event::KeyRead(facts));
    enrol_on(plan, facts, &key, &Port::new(touch), server, journal, events).await
}

/// Programs a key with a pending credential and leaves it at that: it validates nothing until a
/// password of it is confirmed, by [`enrol`] or whoever holds the key.
///
/// # Errors
/// [`EnrolError`], whose text says what the slot holds then.
pub async fn enrol_pending<K, S>(
    plan: &Plan,
    key: K,
    server: &S,
    journal: &Journal,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Programmed, EnrolError>
where
    K: KeyPort + 'static,
    S: EnrolmentServer,
{
    let key = Port::new(key);
    let facts = key.run(KeyPort::facts).await?.map_err(EnrolError::Read)?;
    events(Event::KeyRead(facts));
    enrol_pending_on(plan, facts, &key, server, journal, events).await
}

/// [`enrol`] on a key that was read already.
pub(crate) async fn enrol_on<K, T, S>(
    plan: &Plan,
    facts: KeyFacts,
    key: &Port<K>,
    touch: &Port<T>,
    server: &S,
    journal: &Journal,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Enrolled, EnrolError>
where
    K: KeyPort + 'static,
    T: TouchPort + 'static,
    S: EnrolmentServer,
{
    let mut run = Run::new(plan, facts, server, journal, events);
    match run.begin(key).await? {
        Begun::Enrolled(enrolled) => Ok(enrolled),
        Begun::Programmed(Programmed { enrollment, public_id, resumed }) => {
            let key = run.confirm(touch, &enrollment, public_id).await?;
            Ok(Enrolled { key, resumed })
        }
    }
}

/// [`enrol_pending`] on a key that was read already.
pub(crate) async fn enrol_pending_on<K, S>(
    plan: &Plan,
    facts: KeyFacts,
    key: &Port<K>,
    server: &S,
    journal: &Journal,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Programmed, EnrolError>
where
    K: KeyPort + 'static,
    S: EnrolmentServer,
{
    let mut run = Run::new(plan, facts, server, journal, events);
    match run.begin(key).await? {
        Begun::Programmed(programmed) => Ok(programmed),
        Begun::Enrolled(Enrolled { key, .. }) => Ok(Programmed {
            enrollment: String::new(),
            public_id: key.public_id.parse().map_err(|_| EnrolError::Malformed("public id"))?,
            resumed: true,
        }),
    }
}

/// Has a key prove a credential that it was programmed with before; nothing is written into its slot.
/// `None` where that credential is no longer pending.
pub(crate) async fn confirm_on<T, S>(
    plan: &Plan,
    facts: KeyFacts,
    touch: &Port<T>,
    (enrollment, public_id): (&str, PublicId),
    server: &S,
    journal: &Journal,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Option<Enrolled>, EnrolError>
where
    T: TouchPort + 'static,
    S: EnrolmentServer,
{
    let mut run = Run::new(plan, facts, server, journal, events);
    if let Some(done) = run.pick_up().await? {
        return Ok(Some(done));
    }
    if run.entry.as_ref().and_then(|entry| entry.enrollment.as_deref()) != Some(enrollment) {
        return Ok(None);
    }
    (run.events)(Event::Resuming { public_id });
    let key = run.confirm(touch, enrollment, public_id).await?;
    Ok(Some(Enrolled { key, resumed: true }))
}

/// A key that holds a pending credential.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Programmed {
    /// The enrolment that waits for a password; empty where an earlier run's was confirmed meanwhile.
    pub enrollment: String,
    /// What the key types in clear.
    pub public_id: PublicId,
    /// Whether an interrupted run was finished.
    pub resumed: bool,
}

/// How far an enrolment came without a touch.
enum Begun {
    /// An earlier run had come to its end, and only the last answer was lost.
    Enrolled(Enrolled),
    Programmed(Programmed),
}

struct Run<'a, S> {
    plan: &'a Plan,
    facts: KeyFacts,
    server: &'a S,
    journal: &'a Journal,
    events: &'a mut (dyn FnMut(Event) + Send),
    /// The unfinished enrolment of this key, slot and server. Keys without a visible serial number
    /// have none: they could be confused with each other.
    entry: Option<Entry>,
    /// Whether the slot's content is known to be worthless, or its owner said so.
    may_overwrite: bool,
    /// Whether an enrolment that lapsed may have left its credential in the slot.
    leftover: bool,
}

impl<'a, S: EnrolmentServer> Run<'a, S> {
    fn new(
        plan: &'a Plan,
        facts: KeyFacts,
        server: &'a S,
        journal: &'a Journal,
        events: &'a mut (dyn FnMut(Event) + Send),
    ) -> Self {
        let may_overwrite = plan.overwrite;
        Self { plan, facts, server, journal, events, entry: None, may_overwrite, leftover: false }
    }

    /// Everything up to the touch.
    async fn begin<K: KeyPort + 'static>(&mut self, key: &Port<K>) -> Result<Begun, EnrolError> {
        if let Some(done) = self.pick_up().await? {
            return Ok(Begun::Enrolled(done));
        }
        self.check_slot()?;
        let resumed = self.entry.is_some();
        let (enrollment, credential) = self.pending().await?;
        self.program(key, &enrollment, &credential, resumed).await?;
        Ok(Begun::Programmed(Programmed { enrollment, public_id: credential.public_id, resumed }))
    }

    /// Looks for an interrupted run. Returns its end where only the server's last answer was lost.
    async fn pick_up(&mut self) -> Result<Option<Enrolled>, EnrolError> {
        let Some(serial) = self.facts.serial else { return Ok(None) };
        let Some(entry) = self.journal.find(&self.server.address(), serial, self.plan.slot)? else {
            return Ok(None);
        };
        let Some(id) = entry.enrollment.clone() else {
            // The request may or may not have arrived; its id makes asking again harmless.
            self.entry = (entry.account == self.plan.account).then_some(entry);
            return Ok(None);
        };
        let state = match self.server.state(&id).await {
            Ok(enrolment) => enrolment,
            Err(error) if error.code == Some(ProblemCode::EnrollmentNotFound) => {
                self.leftover = entry.slot_written;
                self.journal.remove(&entry, self.plan.slot)?;
                return Ok(None);
            }
            Err(error) => return Err(EnrolError::Server(error)),
        };
        match state.state {
            EnrollmentState::Active => {
                let key_id =
                    state.key_id.ok_or(EnrolError::Malformed("an active enrolment without a key"))?;
                let key = self.server.key(&key_id).await.map_err(EnrolError::Server)?;
                self.journal.remove(&entry, self.plan.slot)?;
                if key.account == self.plan.account {
                    (self.events)(Event::Confirmed(Box::new(key.clone())));
                    return Ok(Some(Enrolled { key, resumed: true }));
                }
                // Active for another account: a key in use, which only its owner may overwrite.
            }
            EnrollmentState::Pending if entry.account == self.plan.account => {
                // What is in the slot is either our own pending credential, or what the first run
                // was allowed to overwrite a short while ago.
                self.may_overwrite |= entry.slot_written;
                self.entry = Some(entry);
            }
            EnrollmentState::Pending => {
                self.server.abandon(&id).await.map_err(EnrolError::Server)?;
                self.may_overwrite |= entry.slot_written;
                self.journal.remove(&entry, self.plan.slot)?;
            }
            // Long ago: who knows what the slot holds by now. Its owner has to say so.
            _ => {
                self.leftover = entry.slot_written;
                self.journal.remove(&entry, self.plan.slot)?;
            }
        }
        Ok(None)
    }

    const fn check_slot(&self) -> Result<(), EnrolError> {
        if self.facts.is_programmed(self.plan.slot) && !self.may_overwrite {
            return Err(EnrolError::SlotProgrammed { slot: self.plan.slot, leftover: self.leftover });
        }
        Ok(())
    }

    /// The pending credential: created, or the same one again.
    async fn pending(&mut self) -> Result<(String, Credential), EnrolError> {
        let resumed = self.entry.is_some();
        let mut request = self.request()?;
        if let Some(entry) = &self.entry {
            request.request_id.clone_from(&entry.request_id);
        } else if let Some(serial) = self.facts.serial {
            let (account, request_id) = (self.plan.account.clone(), request.request_id.clone());
            let mut entry =
                Entry::new(self.server.address(), account, serial, number(self.plan.slot), request_id);
            // A leftover of ours in the slot stays known as such.
            entry.slot_written = self.may_overwrite && !self.plan.overwrite;
            self.journal.write(&entry, self.plan.slot)?;
            self.entry = Some(entry);
        }
        let secrets = match self.server.create(&request).await {
            Ok(secrets) => secrets,
            Err(error) => return self.creation_failed(error, resumed).await,
        };
        let credential = read(&secrets)?;
        if let Some(entry) = &mut self.entry {
            entry.enrollment = Some(secrets.id.clone());
            self.journal.write(entry, self.plan.slot)?;
        }
        let public_id = credential.public_id;
        (self.events)(if resumed { Event::Resuming { public_id } } else { Event::Pending { public_id } });
        Ok((secrets.id, credential))
    }

    /// A definite refusal leaves nothing to resume. When the plan changed since the interrupted run
    /// (another label, say), or that run's credential lapsed, a new one is asked for.
    async fn creation_failed(
        &mut self,
        error: ServerError,
        resumed: bool,
    ) -> Result<(String, Credential), EnrolError> {
        let Some(code) = error.code else { return Err(EnrolError::Server(error)) };
        let stale = matches!(
            code,
            ProblemCode::RequestIdReused
                | ProblemCode::EnrollmentExpired
                | ProblemCode::EnrollmentAbandoned
                | ProblemCode::EnrollmentConfirmed
        );
        if !is_definite(code) {
            return Err(EnrolError::Server(error));
        }
        if let Some(entry) = self.entry.take() {
            if stale
                && resumed
                && let Some(id) = &entry.enrollment
            {
                // It may be gone already, which is as good.
                let _ = self.server.abandon(id).await;
            }
            self.journal.remove(&entry, self.plan.slot)?;
        }
        if stale && resumed { Box::pin(self.pending()).await } else { Err(EnrolError::Server(error)) }
    }

    fn request(&self) -> Result<CreateEnrollment, EnrolError> {
        let public_id = match self.plan.public_id {
            PublicIdChoice::Server => None,
            PublicIdChoice::Given(id) => Some(id),
            PublicIdChoice::Serial => {
                Some(PublicId::from_serial(self.facts.serial.ok_or(EnrolError::NoSerial)?))
            }
        };
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| EnrolError::Task)?;
        Ok(CreateEnrollment {
            request_id: HEXLOWER_PERMISSIVE.encode(&random),
            account: self.plan.account.clone(),
            create_account: self.plan.create_account,
            slot: number(self.plan.slot),
            serial: self.facts.serial,
            firmware: Some(self.facts.version.to_string()),
            public_id: public_id.map(|id| id.to_string()),
            label: self.plan.label.clone(),
            emulated: self.facts.software,
            access_code: self.plan.generate_access_code,
        })
    }

    async fn program<K: KeyPort + 'static>(
        &mut self,
        key: &Port<K>,
        id: &str,
        credential: &Credential,
        resumed: bool,
    ) -> Result<(), EnrolError> {
        let slot = self.plan.slot;
        let was_begun = self.entry.as_ref().is_some_and(|entry| entry.slot_written);
        if let Some(entry) = &mut self.entry {
            entry.slot_written = true;
            self.journal.write(entry, slot)?;
        }
        (self.events)(Event::Programming { slot });
        // An interrupted run may have put the new access code in place already. A wrong code costs
        // nothing: keys count no tries.
        let ours = credential.access_code.clone().filter(|_| resumed && was_begun);
        let candidates = [self.plan.current_access_code.clone(), ours];
        let mut outcome = self.write(key, credential, candidates[0].clone()).await?;
        if let (Err(error), Some(code)) = (&outcome, &candidates[1])
            && error.unchanged
        {
            outcome = self.write(key, credential, Some(code.clone())).await?;
        }
        match outcome {
            Ok(()) => {
                (self.events)(Event::Programmed { slot });
                Ok(())
            }
            Err(error) if error.unchanged && !was_begun => {
                // The server forgets it by itself if it cannot be reached now.
                let _ = self.server.abandon(id).await;
                if let Some(entry) = self.entry.take() {
                    self.journal.remove(&entry, slot)?;
                }
                Err(EnrolError::Refused(error))
            }
            Err(error) => Err(EnrolError::Interrupted(error)),
        }
    }

    async fn write<K: KeyPort + 'static>(
        &self,
        key: &Port<K>,
        credential: &Credential,
        current: Option<AccessCode>,
    ) -> Result<Result<(), KeyError>, EnrolError> {
        let (slot, credential) = (self.plan.slot, credential.clone());
        key.run(move |key| key.program(slot, &credential, current.as_ref())).await
    }

    async fn confirm<T: TouchPort + 'static>(
        &mut self,
        touch: &Port<T>,
        id: &str,
        public_id: PublicId,
    ) -> Result<Key, EnrolError> {
        let slot = self.plan.slot;
        let mut why = String::new();
        for _ in 0..TRIES {
            (self.events)(Event::AwaitingTouch { slot, public_id });
            let typed = touch.run(move |touch| touch.typed_password(slot, public_id)).await?;
            let typed = typed.map_err(|source| EnrolError::Touch { public_id, source })?;
            match self.prove(id, public_id, &typed).await? {
                Ok(key) => {
                    if let Some(entry) = &self.entry {
                        self.journal.remove(entry, slot)?;
                    }
                    (self.events)(Event::Confirmed(Box::new(key.clone())));
                    return Ok(key);
                }
                Err(reason) => {
                    (self.events)(Event::NotThisPassword { why: reason.clone() });
                    why = reason;
                }
            }
        }
        Err(EnrolError::NotThisPassword { public_id, tries: TRIES, why })
    }

    /// The inner error is a reason to touch again.
    async fn prove(
        &self,
        id: &str,
        public_id: PublicId,
        typed: &str,
    ) -> Result<Result<Key, String>, EnrolError> {
        let otp = match typed::parse(typed) {
            Err(error) => return Ok(Err(error.to_string())),
            Ok((otp, _)) if otp.public_id() != public_id => {
                return Ok(Err(format!(
                    "it begins with {}, so another slot or key typed it",
                    otp.public_id()
                )));
            }
            Ok((otp, _)) => otp,
        };
        match self.server.confirm(id, &otp.to_string()).await {
            Ok(key) => Ok(Ok(key)),
            Err(error) => match error.code {
                Some(ProblemCode::BadOtp) => {
                    Ok(Err("the server cannot open it with the new credential".to_owned()))
                }
                Some(ProblemCode::ReplayedOtp) => {
                    Ok(Err("it was used before; touch the key again".to_owned()))
                }
                Some(ProblemCode::EnrollmentConfirmed) => self.confirmed_before(id, public_id).await.map(Ok),
                _ => Err(EnrolError::Confirm { public_id, source: error }),
            },
        }
    }

    /// An earlier confirmation got through although its answer did not.
    async fn confirmed_before(&self, id: &str, public_id: PublicId) -> Result<Key, EnrolError> {
        let confirm = |source| EnrolError::Confirm { public_id, source };
        let state = self.server.state(id).await.map_err(confirm)?;
        let key_id = state.key_id.ok_or(EnrolError::Malformed("an active enrolment without a key"))?;
        self.server.key(&key_id).await.map_err(confirm)
    }
}

/// Whether the server surely did not, and will not, create the credential.
const fn is_definite(code: ProblemCode) -> bool {
    !matches!(
        code,
        ProblemCode::StoreUnavailable
            | ProblemCode::Internal
            | ProblemCode::RequestTimeout
            | ProblemCode::ShuttingDown
            | ProblemCode::TooManyRequests
            | ProblemCode::Unauthorized
            | ProblemCode::Unknown
    )
}

fn read(secrets: &EnrollmentSecrets) -> Result<Credential, EnrolError> {
    fn bytes<const N: usize>(hex: &str, what: &'static str) -> Result<[u8; N], EnrolError> {
        let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok();
        bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(EnrolError::Malformed(what))
    }
    let access_code = secrets.access_code.as_ref();
    Ok(Credential {
        public_id: secrets.public_id.parse().map_err(|_| EnrolError::Malformed("public id"))?,
        private_id: PrivateId::new(bytes(secrets.private_id.expose(), "private id")?),
        aes_key: AesKey::new(bytes(secrets.aes_key.expose(), "AES key")?),
        access_code: access_code
            .map(|code| bytes(code.expose(), "access code"))
            .transpose()?
            .map(AccessCode::new),
    })
}

/// Something blocking, used from async code one call at a time.
pub(crate) struct Port<P>(Arc<Mutex<P>>);

impl<P: Send + 'static> Port<P> {
    pub(crate) fn new(port: P) -> Self {
        Self(Arc::new(Mutex::new(port)))
    }

    pub(crate) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut P) -> R + Send + 'static,
    ) -> Result<R, EnrolError> {
        let port = Arc::clone(&self.0);
        let task = tokio::task::spawn_blocking(move || {
            work(&mut port.lock().unwrap_or_else(PoisonError::into_inner))
        });
        task.await.map_err(|_| EnrolError::Task)
    }
}

/// How many typed texts are looked at before giving up.
pub(crate) const TRIES: u32 = 5;
