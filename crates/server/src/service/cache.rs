//! Records kept in memory, so that a validation does not read and decrypt what the last one did.
//!
//! Bounded in number and in age. A record that is read while the cache is told to forget it is not
//! kept: the reader's [`Ticket`] is from before.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tapkey_domain::Moment;

const SHARDS: usize = 16;

/// A bounded cache. What was not asked for lately goes first.
pub(crate) struct Cache<K, V> {
    shards: Vec<Mutex<Shard<K, V>>>,
    hasher: RandomState,
    /// Of each half of a shard.
    capacity: usize,
    max_age_millis: u64,
}

/// Entries move to the young half when they are used; when that is full, the old half is dropped
/// and the young one becomes old. That is close enough to "least recently used" and costs nothing.
struct Shard<K, V> {
    epoch: u64,
    young: HashMap<K, Entry<V>>,
    old: HashMap<K, Entry<V>>,
}

struct Entry<V> {
    value: V,
    read_at: Moment,
}

/// What a look into the cache gives.
pub(crate) enum Lookup<V> {
    /// It was there, and since when.
    Hit(V, Moment),
    /// It was not: read it, then hand it in with the ticket.
    Miss(Ticket),
}

/// Permission to put a record in, unless it was forgotten since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    epoch: u64,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    /// A cache of about `capacity` records, none of them older than `max_age_millis`.
    pub(crate) fn new(capacity: usize, max_age_millis: u64) -> Self {
        let shard = || Shard { epoch: 0, young: HashMap::new(), old: HashMap::new() };
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect(),
            hasher: RandomState::new(),
            capacity: (capacity / SHARDS / 2).max(1),
            max_age_millis,
        }
    }

    pub(crate) fn get(&self, key: &K, now: Moment) -> Lookup<V>
    where
        K: Clone,
    {
        let mut shard = self.shard(key);
        if let Some(entry) = shard.young.get(key) {
            if now.millis_since(entry.read_at) < self.max_age_millis {
                return Lookup::Hit(entry.value.clone(), entry.read_at);
            }
            shard.young.remove(key);
        } else if let Some(entry) = shard.old.remove(key)
            && now.millis_since(entry.read_at) < self.max_age_millis
        {
            let (value, read_at) = (entry.value.clone(), entry.read_at);
            self.insert(&mut shard, key.clone(), entry);
            return Lookup::Hit(value, read_at);
        }
        Lookup::Miss(Ticket { epoch: shard.epoch })
    }

    pub(crate) fn put(&self, ticket: Ticket, key: K, value: V, now: Moment) {
        let mut shard = self.shard(&key);
        if shard.epoch == ticket.epoch {
            self.insert(&mut shard, key, Entry { value, read_at: now });
        }
    }

    /// Forgets one record, and what is being read of its neighbours.
    pub(crate) fn forget(&self, key: &K) {
        let mut shard = self.shard(key);
        shard.epoch += 1;
        shard.young.remove(key);
        shard.old.remove(key);
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.epoch += 1;
            shard.young.clear();
            shard.old.clear();
        }
    }

    fn insert(&self, shard: &mut Shard<K, V>, key: K, entry: Entry<V>) {
        if shard.young.len() >= self.capacity {
            shard.old = mem::take(&mut shard.young);
        }
        shard.young.insert(key, entry);
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K, V>> {
        let shards = u64::try_from(SHARDS).unwrap_or(1);
        let index = usize::try_from(self.hasher.hash_one(key) % shards).unwrap_or_default();
        lock(&self.shards[index])
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache(…)")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn ticket(cache: &Cache<u32, u32>, key: u32) -> Ticket {
        match cache.get(&key, at(0)) {
            Lookup::Miss(ticket) => ticket,
            Lookup::Hit(..) => panic!("there already"),
        }
    }

    fn value(cache: &Cache<u32, u32>, key: u32, now: u64) -> Option<u32> {
        match cache.get(&key, at(now)) {
            Lookup::Hit(value, _) => Some(value),
            Lookup::Miss(_) => None,
        }
    }

    #[test]
    fn keeps_forgets_and_ages() {
        let cache = Cache::new(100, 10);
        cache.put(ticket(&cache, 1), 1, 11, at(0));
        assert_eq!(value(&cache, 1, 9), Some(11));
        assert_eq!(value(&cache, 1, 10), None);
        cache.put(ticket(&cache, 1), 1, 12, at(10));
        assert_eq!(value(&cache, 1, 10), Some(12));
        cache.forget(&1);
        assert_eq!(value(&cache, 1, 10), None);
        cache.put(ticket(&cache, 1), 1, 13, at(10));
        cache.clear();
        assert_eq!(value(&cache, 1, 10), None);
    }

    #[test]
    fn what_is_forgotten_while_it_is_read_is_not_kept() {
        let cache = Cache::new(100, 10);
        let before = ticket(&cache, 1);
        cache.forget(&1);
        cache.put(before, 1, 11, at(0));
        assert_eq!(value(&cache, 1, 0), None);
        let before = ticket(&cache, 1);
        cache.clear();
        cache.put(before, 1, 11, at(0));
        assert_eq!(value(&cache, 1, 0), None);
    }

    #[test]
    fn is_bounded() {
        let cache = Cache::new(320, 1000);
        for key in 0..10_000 {
            cache.put(ticket(&cache, key), key, key, at(0));
        }
        let kept = (0..10_000).filter(|key| value(&cache, *key, 0).is_some()).count();
        assert!((100..=320).contains(&kept), "{kept}");
    }
}
