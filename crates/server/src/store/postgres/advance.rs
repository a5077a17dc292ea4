//! Moving counters: many in one statement.
//!
//! Validations that arrive while a statement is under way wait for the next one and share it. Each
//! statement is a transaction of its own: it decides about every password in it by the conditions on
//! its row, changes the rows in the order of their numbers, and says which requests were accepted by
//! *their* number, never by the credential's.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tapkey_domain::{
    id::CredentialId,
    verify::{Advance, Generations, Outcome, Stored},
};
use tapkey_protocol::validation::Nonce;
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{Client, types::Type};

use super::{
    StoreError,
    open::Target,
    pool::is_conflict,
    sql::{Columns, Param},
};
use crate::store::values;

/// The most passwords in one statement.
const BATCH: usize = 512;
/// How many may wait; more of them are refused at once.
const WAITING: usize = 16_384;
/// How often a statement is tried that others got in the way of.
const ATTEMPTS: u32 = 5;
/// How long a statement may take before its connection is given up, and with it all certainty.
const PATIENCE: Duration = Duration::from_secs(10);

/// `unnest` keeps the order of its arrays, so that the first column numbers the requests. Locking in
/// the order of the credentials' numbers keeps two nodes from waiting for each other. A row that
/// somebody else moved meanwhile is looked at again as it is now, conditions included.
const ADVANCE: &str = "
    WITH request AS (
        SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::text[], $7::int8[], $8::int8[])
                 AS r (number, credential, counter, ticks, at, nonce, generation, account_generation)
    ), locked AS (
        SELECT id FROM credentials WHERE id IN (SELECT credential FROM request) ORDER BY id FOR UPDATE
    )
    UPDATE credentials c
    SET counter = r.counter, last_timestamp = r.ticks, last_used_at = r.at, last_nonce = r.nonce
    FROM request r, locked l, accounts a
    WHERE c.id = r.credential AND c.id = l.id AND c.generation = r.generation AND c.state = 1
      AND c.counter < r.counter
      AND a.id = c.account AND a.active AND a.generation = r.account_generation
    RETURNING r.number";

pub(super) const STORED: &str = "
    SELECT c.id, c.state, a.active, c.generation, a.generation, c.counter, c.last_nonce
    FROM credentials c JOIN accounts a ON a.id = c.account WHERE c.id = ANY ($1::int8[])";

/// How the rest of the store reaches the task that moves counters.
#[derive(Debug)]
pub(super) struct Advancer {
    jobs: mpsc::Sender<Job>,
}

struct Job {
    advance: Box<Advance>,
    answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

impl Advancer {
    pub(super) fn start(target: Target, client: Client) -> Self {
        let (jobs, arriving) = mpsc::channel(WAITING);
        tokio::spawn(Worker { target, client: Some(client), waiting: VecDeque::new() }.run(arriving));
        Self { jobs }
    }

    pub(super) async fn advance(&self, advance: Advance) -> Result<Outcome, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.jobs.try_send(Job { advance: Box::new(advance), answer }).map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

struct Worker {
    target: Target,
    client: Option<Client>,
    waiting: VecDeque<Job>,
}

impl Worker {
    async fn run(mut self, mut arriving: mpsc::Receiver<Job>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            if self.waiting.is_empty() {
                match arriving.recv().await {
                    Some(job) => self.waiting.push_back(job),
                    None => return,
                }
            }
            while let Ok(job) = arriving.try_recv() {
                self.waiting.push_back(job);
            }
            choose(&mut self.waiting, &mut batch);
            self.carry_out(&mut batch).await;
        }
    }

    async fn carry_out(&mut self, batch: &mut Vec<Job>) {
        let outcomes = match tokio::time::timeout(PATIENCE, self.decide(batch)).await {
            Ok(outcomes) => outcomes,
            Err(_) => {
                self.client = None;
                Err(Failure::Unknown(StoreError::Closed))
            }
        };
        match outcomes {
            Ok(outcomes) => {
                for (job, outcome) in batch.drain(..).zip(outcomes) {
                    let _ = job.answer.send(Ok(outcome));
                }
            }
            Err(failure) => {
                let error = Arc::new(failure.into_error());
                tracing::error!(%error, "a commit failed; its requests are answered with an error");
                for job in batch.drain(..) {
                    let _ = job.answer.send(Err(StoreError::Shared(Arc::clone(&error))));
                }
            }
        }
    }

    /// What becomes of each password of a batch.
    async fn decide(&mut self, batch: &[Job]) -> Result<Vec<Outcome>, Failure> {
        let client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.target.connect().await.map_err(Failure::Database)?,
        };
        let mut outcomes = move_counters(&client, batch).await?;
        explain(&client, batch, &mut outcomes).await?;
        // Only a connection on which nothing failed is used again.
        self.client = Some(client);
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Disabled)).collect())
    }
}

enum Failure {
    Database(tokio_postgres::Error),
    Store(StoreError),
    Unknown(StoreError),
}

impl Failure {
    fn into_error(self) -> StoreError {
        match self {
            Self::Database(error) => StoreError::PostgresCommit(Arc::new(error)),
            Self::Store(error) | Self::Unknown(error) => error,
        }
    }
}

/// Tries the statement until nobody gets in its way. `Accepted` for what it moved.
async fn move_counters(client: &Client, batch: &[Job]) -> Result<Vec<Option<Outcome>>, Failure> {
    let column = |value: &dyn Fn(&Advance) -> i64| -> Vec<i64> {
        batch.iter().map(|job| value(&job.advance)).collect()
    };
    let numbers: Vec<i64> = (0_i64..).take(batch.len()).collect();
    let credentials = column(&|advance| advance.credential.get());
    let counters = column(&|advance| i64::from(advance.counter.value()));
    let ticks = column(&|advance| i64::from(advance.timestamp.value()));
    let times = column(&|advance| values::time(advance.at));
    let nonces: Vec<Option<&str>> =
        batch.iter().map(|job| job.advance.nonce.as_ref().map(Nonce::as_str)).collect();
    let generations = column(&|advance| advance.generations.credential);
    let account_generations = column(&|advance| advance.generations.account);
    let params: [Param<'_>; 8] = [
        (&numbers, Type::INT8_ARRAY),
        (&credentials, Type::INT8_ARRAY),
        (&counters, Type::INT8_ARRAY),
        (&ticks, Type::INT8_ARRAY),
        (&times, Type::INT8_ARRAY),
        (&nonces, Type::TEXT_ARRAY),
        (&generations, Type::INT8_ARRAY),
        (&account_generations, Type::INT8_ARRAY),
    ];
    for attempt in 1.. {
        match client.query_typed(ADVANCE, &params).await {
            Ok(rows) => {
                let mut outcomes = vec![None; batch.len()];
                for row in &rows {
                    let number: i64 = Columns(row).get(0).map_err(Failure::Store)?;
                    let place = usize::try_from(number).ok().and_then(|at| outcomes.get_mut(at));
                    *place.ok_or(Failure::Store(StoreError::Corrupt("number")))? = Some(Outcome::Accepted);
                }
                return Ok(outcomes);
            }
            // The database says that it changed nothing.
            Err(error) if is_conflict(&error) && attempt < ATTEMPTS => {}
            Err(error) => return Err(Failure::Database(error)),
        }
    }
    Err(Failure::Store(StoreError::Closed))
}

/// Says why what was not moved was not.
async fn explain(client: &Client, batch: &[Job], outcomes: &mut [Option<Outcome>]) -> Result<(), Failure> {
    let refused = || batch.iter().zip(&*outcomes).filter(|(_, outcome)| outcome.is_none());
    let ids: Vec<i64> = refused().map(|(job, _)| job.advance.credential.get()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let rows = client.query_typed(STORED, &[(&ids, Type::INT8_ARRAY)]).await.map_err(Failure::Database)?;
    for row in &rows {
        let (id, stored) = stored(&Columns(row)).map_err(Failure::Store)?;
        for (job, outcome) in batch.iter().zip(outcomes.iter_mut()) {
            if outcome.is_none() && job.advance.credential == id {
                *outcome = Some(stored.explain(&job.advance));
            }
        }
    }
    Ok(())
}

pub(super) fn stored(row: &Columns<'_>) -> Result<(CredentialId, Stored), StoreError> {
    let nonce: Option<&str> = row.get(6)?;
    let stored = Stored {
        active: row.get::<i16>(1)? == 1,
        account_active: row.get(2)?,
        generations: Generations { credential: row.get(3)?, account: row.get(4)? },
        counter: values::counter(row.get(5)?).unwrap_or_default(),
        nonce: nonce.and_then(|nonce| nonce.parse().ok()),
    };
    Ok((CredentialId::new(row.get(0)?), stored))
}

/// Moves the jobs of the next statement over, oldest first, at most one for each credential; what has
/// to wait keeps its order.
fn choose(waiting: &mut VecDeque<Job>, batch: &mut Vec<Job>) {
    let mut credentials = HashSet::new();
    let mut later = VecDeque::new();
    while batch.len() < BATCH {
        let Some(job) = waiting.pop_front() else { break };
        if credentials.insert(job.advance.credential) {
            batch.push(job);
        } else {
            later.push_back(job);
        }
    }
    later.append(waiting);
    *waiting = later;
}
