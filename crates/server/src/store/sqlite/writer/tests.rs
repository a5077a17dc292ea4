use tapkey_domain::{
    Moment,
    verify::{Advance, Generations},
};
use tapkey_protocol::otp::{Counter, Timestamp};

use super::*;

fn advance(credential: i64, counter: u32) -> Job {
    let advance = Advance {
        credential: CredentialId::new(credential),
        generations: Generations { credential: 1, account: 1 },
        counter: Counter::from_value(counter).unwrap(),
        timestamp: Timestamp::new(0),
        nonce: None,
        at: Moment::from_millis(0),
    };
    Job::Advance(Box::new(advance), oneshot::channel().0)
}

fn write() -> Job {
    Job::Write(Box::new(|_| Box::new(|_| ())))
}

/// What stands in a batch: credential and counter, or nothing for other changes.
fn shown(jobs: impl IntoIterator<Item = Job>) -> Vec<Option<(i64, u32)>> {
    jobs.into_iter()
        .map(|job| match job {
            Job::Advance(advance, _) => Some((advance.credential.get(), advance.counter.value())),
            Job::Write(_) => None,
        })
        .collect()
}

fn batches(jobs: impl IntoIterator<Item = Job>) -> Vec<Vec<Option<(i64, u32)>>> {
    let mut waiting: VecDeque<Job> = jobs.into_iter().collect();
    let mut credentials = HashSet::new();
    let mut batches = Vec::new();
    while !waiting.is_empty() {
        let mut batch = Vec::new();
        choose(&mut waiting, &mut batch, &mut credentials);
        batches.push(shown(batch));
    }
    batches
}

#[test]
fn a_batch_holds_one_password_per_credential_and_keeps_their_order() {
    let jobs = [
        advance(1, 10),
        advance(1, 11),
        advance(2, 20),
        write(),
        advance(1, 12),
        advance(2, 21),
        advance(3, 30),
    ];
    assert_eq!(
        batches(jobs),
        [
            vec![Some((1, 10)), Some((2, 20)), None, Some((3, 30))],
            vec![Some((1, 11)), Some((2, 21))],
            vec![Some((1, 12))],
        ]
    );
}

#[test]
fn a_batch_is_bounded_and_nothing_is_lost() {
    let jobs = (0..1500).map(|number| advance(number % 700, u32::try_from(number).unwrap()));
    let batches = batches(jobs);
    assert!(batches.iter().all(|batch| batch.len() <= BATCH));
    let mut all: Vec<_> = batches.into_iter().flatten().flatten().collect();
    assert_eq!(all.len(), 1500);
    // Within a credential the order is that of arrival.
    all.sort_by_key(|(credential, _)| *credential);
    assert!(all.windows(2).all(|pair| pair[0].0 != pair[1].0 || pair[0].1 < pair[1].1));
}

#[test]
fn a_closed_queue_takes_nothing_more_but_gives_what_it_has() {
    let queue = Queue::default();
    queue.push(advance(1, 1)).unwrap();
    queue.close();
    assert!(matches!(queue.push(advance(1, 2)), Err(StoreError::Closed)));
    let mut jobs = VecDeque::new();
    assert!(!queue.take(&mut jobs));
    assert_eq!(jobs.len(), 1);
}
