//! The one thread that writes.
//!
//! Changes that arrive while a commit waits for the disk are carried out together in the next one
//! (group commit), so that a busy server pays for one wait per many validations and a quiet one
//! still answers after one wait. Nobody is answered before the commit that holds their change has
//! returned.
//!
//! At most one password per credential goes into a batch; others wait for the next. The conditional
//! statement alone would already refuse the second of two equal passwords; this keeps the rule
//! "one decision per credential and transaction" which backends need that carry a batch out as a
//! single statement.

use std::{
    collections::{HashSet, VecDeque},
    fmt, io, mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use tapkey_domain::{
    id::CredentialId,
    verify::{Advance, Outcome},
};
use tokio::sync::oneshot;

use super::{StoreError, validate};

/// The most changes in one commit.
pub(super) const BATCH: usize = 512;

/// How the rest of the store reaches the thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let theirs = Arc::clone(&queue);
        let thread = thread::Builder::new()
            .name("tapkey-writer".to_owned())
            .spawn(move || Worker { connection, queue: theirs, waiting: VecDeque::new() }.run())?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// Moves a counter in the next commit.
    pub(super) async fn advance(&self, advance: Advance) -> Result<Outcome, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue.push(Job::Advance(Box::new(advance), answer))?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Makes any other change in the next commit. A change that refuses leaves nothing behind.
    pub(super) async fn write<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let run = move |db: &Connection| -> Finish {
            let result = in_savepoint(db, change);
            Box::new(move |committed| {
                let _ = answer.send(committed.map_err(StoreError::Commit).and(result));
            })
        };
        self.queue.push(Job::Write(Box::new(run)))?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

/// Waits until everything that was queued is on disk.
impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

enum Job {
    Advance(Box<Advance>, oneshot::Sender<Result<Outcome, StoreError>>),
    Write(Box<dyn FnOnce(&Connection) -> Finish + Send>),
}

/// Answers a change once the fate of its commit is known.
type Finish = Box<dyn FnOnce(Result<(), Arc<rusqlite::Error>>)>;

#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    arrived: Condvar,
}

#[derive(Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    fn push(&self, job: Job) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.closed {
            return Err(StoreError::Closed);
        }
        state.jobs.push_back(job);
        let first = state.jobs.len() == 1;
        drop(state);
        // The thread only sleeps while the queue is empty.
        if first {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Adds everything that has arrived; waits for the first job where there is none yet. `false`
    /// when there will be no more.
    fn take(&self, into: &mut VecDeque<Job>) -> bool {
        let mut state = self.lock();
        while into.is_empty() && state.jobs.is_empty() && !state.closed {
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if into.is_empty() {
            mem::swap(into, &mut state.jobs);
        } else {
            into.append(&mut state.jobs);
        }
        !state.closed
    }

    fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}

struct Worker {
    connection: Connection,
    queue: Arc<Queue>,
    waiting: VecDeque<Job>,
}

/// What a batch will answer.
#[derive(Default)]
struct Answers {
    advances: Vec<(oneshot::Sender<Result<Outcome, StoreError>>, Outcome)>,
    writes: Vec<Finish>,
}

impl Worker {
    fn run(mut self) {
        let mut credentials = HashSet::with_capacity(BATCH);
        let mut batch = Vec::with_capacity(BATCH);
        let mut answers = Answers::default();
        loop {
            let open = self.queue.take(&mut self.waiting);
            if self.waiting.is_empty() && !open {
                return;
            }
            choose(&mut self.waiting, &mut batch, &mut credentials);
            let committed = self.commit(&mut batch, &mut answers);
            answers.send(committed);
        }
    }

    fn commit(&self, batch: &mut Vec<Job>, answers: &mut Answers) -> Result<(), Arc<rusqlite::Error>> {
        let result = self.carry_out(batch, answers);
        if result.is_err() && !self.connection.is_autocommit() {
            // Nothing of the batch may stay half done; if even this fails, the next BEGIN will say so.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        result.map_err(Arc::new)
    }

    fn carry_out(&self, batch: &mut Vec<Job>, answers: &mut Answers) -> Result<(), rusqlite::Error> {
        let db = &self.connection;
        let mut result =
            db.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([])).map(|_| ());
        // After a failure the rest of the batch still has to be asked for whom to answer.
        for job in batch.drain(..) {
            match job {
                Job::Advance(advance, answer) => {
                    let outcome =
                        if result.is_ok() { validate::advance(db, &advance) } else { Ok(Outcome::Stale) };
                    answers
                        .advances
                        .push((answer, outcome.as_ref().map_or(Outcome::Stale, |outcome| *outcome)));
                    if let Err(error) = outcome {
                        result = Err(error);
                    }
                }
                Job::Write(run) => {
                    answers.writes.push(run(db));
                    // Some failures take the whole transaction with them.
                    if result.is_ok() && db.is_autocommit() {
                        result = Err(rusqlite::Error::InvalidQuery);
                    }
                }
            }
        }
        result?;
        db.prepare_cached("COMMIT")?.execute([]).map(|_| ())
    }
}

impl Answers {
    fn send(&mut self, committed: Result<(), Arc<rusqlite::Error>>) {
        if let Err(error) = &committed {
            tracing::error!(%error, "a commit failed; its requests are answered with an error");
        }
        for (answer, outcome) in self.advances.drain(..) {
            let _ = answer.send(committed.clone().map(|()| outcome).map_err(StoreError::Commit));
        }
        for finish in self.writes.drain(..) {
            finish(committed.clone());
        }
    }
}

/// Moves the jobs of the next batch over, oldest first; what has to wait keeps its order.
fn choose(waiting: &mut VecDeque<Job>, batch: &mut Vec<Job>, credentials: &mut HashSet<CredentialId>) {
    credentials.clear();
    let mut later = VecDeque::new();
    while batch.len() < BATCH {
        let Some(job) = waiting.pop_front() else { break };
        match &job {
            Job::Advance(advance, _) if !credentials.insert(advance.credential) => later.push_back(job),
            _ => batch.push(job),
        }
    }
    if !later.is_empty() {
        later.append(waiting);
        *waiting = later;
    }
}

fn in_savepoint<T>(
    db: &Connection,
    change: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    if db.is_autocommit() {
        // The transaction failed before this change; the commit's error is what gets answered.
        return Err(StoreError::Closed);
    }
    db.execute_batch("SAVEPOINT change")?;
    let result = change(db);
    let end = if result.is_ok() { "RELEASE change" } else { "ROLLBACK TO change; RELEASE change" };
    if !db.is_autocommit() {
        db.execute_batch(end)?;
    }
    result
}

#[cfg(test)]
mod tests;
