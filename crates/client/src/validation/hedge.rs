//! When to ask which server, and which answer counts. Knows nothing of HTTP.

use std::{future::Future, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The times of one question to several servers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// How long after one server the next is asked, while nothing has arrived.
    pub(super) delay: Duration,
    /// How long one attempt at one server may take.
    pub(super) attempt_limit: Duration,
    /// How often one server is asked.
    pub(super) attempts: u8,
    /// How long everything together may take.
    pub(super) deadline: Duration,
}

impl Plan {
    /// How long to leave a server alone that just failed.
    const PAUSE: Duration = Duration::from_millis(200);
}

/// What came of one attempt at one server.
#[derive(Debug)]
pub(super) enum Reply<V, C> {
    /// Ends the question.
    Definite(V),
    /// Counts only if no server says anything definite.
    Undecided(V),
    /// No answer that could be used.
    Failed {
        cause: C,
        /// Whether asking this server again could help.
        again: bool,
    },
}

/// What came of the question.
#[derive(Debug)]
pub(super) struct Outcome<V, C> {
    pub(super) definite: Option<V>,
    pub(super) undecided: Vec<V>,
    /// Server, attempt from 1, cause.
    pub(super) failures: Vec<(usize, u8, Option<C>)>,
    /// The deadline came before every server was done.
    pub(super) out_of_time: bool,
}

/// Asks servers `0..servers`: the first at once, each further one after the delay, or as soon as
/// another had nothing definite to say. The first definite reply ends it, and drops what is under
/// way.
///
/// A cause of `None` is an attempt that took too long.
pub(super) async fn ask<V, C, F>(plan: Plan, servers: usize, attempt: impl Fn(usize) -> F) -> Outcome<V, C>
where
    F: Future<Output = Reply<V, C>>,
{
    let deadline = after(plan.deadline);
    let mut outcome = Outcome { definite: None, undecided: vec![], failures: vec![], out_of_time: false };
    let one = |server: usize, count: u8| {
        let reply = attempt(server);
        async move {
            if count > 1 {
                sleep(Plan::PAUSE).await;
            }
            (server, count, timeout(plan.attempt_limit, reply).await.ok())
        }
    };
    let mut waiting = 0..servers;
    let mut next_start = Instant::now();
    let mut under_way = FuturesUnordered::new();
    loop {
        if waiting.is_empty() && under_way.is_empty() {
            return outcome;
        }
        tokio::select! {
            biased;
            Some((server, count, reply)) = under_way.next(), if !under_way.is_empty() => {
                next_start = Instant::now();
                match reply {
                    Some(Reply::Definite(verdict)) => {
                        outcome.definite = Some(verdict);
                        return outcome;
                    }
                    Some(Reply::Undecided(verdict)) => outcome.undecided.push(verdict),
                    Some(Reply::Failed { cause, again }) => {
                        outcome.failures.push((server, count, Some(cause)));
                        if again && count < plan.attempts {
                            under_way.push(one(server, count + 1));
                        }
                    }
                    None => {
                        outcome.failures.push((server, count, None));
                        if count < plan.attempts {
                            under_way.push(one(server, count + 1));
                        }
                    }
                }
            }
            () = sleep_until(deadline) => {
                outcome.out_of_time = true;
                return outcome;
            }
            () = sleep_until(next_start), if !waiting.is_empty() => {
                if let Some(server) = waiting.next() {
                    under_way.push(one(server, 1));
                    next_start = after(plan.delay);
                }
            }
        }
    }
}

/// That long from now; what is too long for a clock is as good as a century.
fn after(time: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
    let now = Instant::now();
    now.checked_add(time).unwrap_or_else(|| now + CENTURY)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const PLAN: Plan = Plan {
        delay: Duration::from_millis(500),
        attempt_limit: Duration::from_secs(5),
        attempts: 1,
        deadline: Duration::from_secs(10),
    };

    type Script = Vec<(u64, Reply<&'static str, &'static str>)>;

    /// Runs a script on a clock that only jumps: for each server how many milliseconds it takes
    /// and what it says. Also tells when, in milliseconds, each server was asked.
    async fn play(
        plan: Plan,
        script: &Script,
    ) -> (Outcome<&'static str, &'static str>, Vec<(usize, u128)>, u128) {
        let start = Instant::now();
        let asked = Mutex::new(vec![]);
        let asked_ref = &asked;
        let outcome = ask(plan, script.len(), |server| async move {
            asked_ref.lock().unwrap().push((server, start.elapsed().as_millis()));
            let (time, reply) = &script[server];
            sleep(Duration::from_millis(*time)).await;
            match reply {
                Reply::Definite(v) => Reply::Definite(*v),
                Reply::Undecided(v) => Reply::Undecided(*v),
                Reply::Failed { cause, again } => Reply::Failed { cause: *cause, again: *again },
            }
        })
        .await;
        (outcome, asked.into_inner().unwrap(), start.elapsed().as_millis())
    }

    const NEVER: u64 = 1_000_000;

    fn failed() -> Reply<&'static str, &'static str> {
        Reply::Failed { cause: "dead", again: true }
    }

    #[tokio::test(start_paused = true)]
    async fn a_quick_first_server_is_the_only_one_asked() {
        let script = vec![(100, Reply::Definite("a")), (0, Reply::Definite("b"))];
        let (outcome, asked, took) = play(PLAN, &script).await;
        assert_eq!((outcome.definite, asked, took), (Some("a"), vec![(0, 0)], 100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_server_is_overtaken_after_the_delay() {
        let script = vec![(NEVER, Reply::Definite("a")), (100, Reply::Definite("b"))];
        let (outcome, asked, took) = play(PLAN, &script).await;
        assert_eq!((outcome.definite, asked, took), (Some("b"), vec![(0, 0), (1, 500)], 600));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_starts_the_next_server_at_once() {
        let script = vec![(30, failed()), (40, failed()), (50, Reply::Definite("c"))];
        let (outcome, asked, took) = play(PLAN, &script).await;
        assert_eq!((outcome.definite, asked, took), (Some("c"), vec![(0, 0), (1, 30), (2, 70)], 120));
        assert_eq!(outcome.failures.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_delay_asks_all_at_once() {
        let plan = Plan { delay: Duration::ZERO, ..PLAN };
        let script = vec![(300, Reply::Definite("a")), (200, Reply::Definite("b")), (100, failed())];
        let (outcome, asked, took) = play(plan, &script).await;
        assert_eq!((outcome.definite, took), (Some("b"), 200));
        assert_eq!(asked.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [0, 0, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_undecided_do_not_end_the_others() {
        let script = vec![(10, Reply::Undecided("again")), (2000, Reply::Definite("ok")), (NEVER, failed())];
        let (outcome, _, took) = play(PLAN, &script).await;
        assert_eq!((outcome.definite, outcome.undecided, took), (Some("ok"), vec!["again"], 2010));
    }

    #[tokio::test(start_paused = true)]
    async fn all_undecided_is_the_end_without_waiting() {
        let script = vec![(10, Reply::Undecided("x")), (20, Reply::Undecided("y"))];
        let (outcome, _, took) = play(PLAN, &script).await;
        assert_eq!((outcome.definite, outcome.undecided, took), (None, vec!["x", "y"], 30));
        assert!(!outcome.out_of_time);
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_everything_and_keeps_what_was_learnt() {
        let plan = Plan { attempt_limit: Duration::from_secs(60), ..PLAN };
        let script = vec![(10, Reply::Undecided("x")), (NEVER, failed()), (NEVER, failed())];
        let (outcome, _, took) = play(plan, &script).await;
        assert!(outcome.out_of_time);
        assert_eq!((outcome.undecided, took), (vec!["x"], 10_000));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_has_its_own_limit() {
        let (outcome, _, took) = play(PLAN, &vec![(NEVER, failed())]).await;
        assert_eq!(took, 5000);
        assert_eq!(outcome.failures, [(0, 1, None)]);
        assert!(!outcome.out_of_time);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_counted_and_only_made_where_they_may_help() {
        let plan = Plan { attempts: 3, ..PLAN };
        let script = vec![(10, failed()), (10, Reply::Failed { cause: "forged", again: false })];
        let (outcome, asked, took) = play(plan, &script).await;
        let failures: Vec<_> = outcome.failures.iter().map(|(server, count, _)| (*server, *count)).collect();
        assert_eq!(failures, [(0, 1), (1, 1), (0, 2), (0, 3)]);
        assert_eq!(took, 3 * 10 + 2 * 200);
        assert_eq!(asked.len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn no_limit_is_too_long() {
        let long = Duration::MAX;
        let plan = Plan { delay: long, attempt_limit: long, deadline: long, attempts: 1 };
        let (outcome, _, _) = play(plan, &vec![(10, Reply::Definite("a"))]).await;
        assert_eq!(outcome.definite, Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn no_servers_no_wait() {
        let (outcome, _, took) = play(PLAN, &vec![]).await;
        assert!(outcome.definite.is_none() && !outcome.out_of_time);
        assert_eq!(took, 0);
    }
}
