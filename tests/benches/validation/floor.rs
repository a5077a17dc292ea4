//! What the embedded database can do by itself: the same conditional statement on the same tables,
//! as many to a durable commit as would be waiting, by one thread that does nothing else.

use std::time::{Duration, Instant};

use crate::{KEYS, servers::bench_folder};

const TABLES: &str = "
    CREATE TABLE accounts (id INTEGER PRIMARY KEY, active INTEGER NOT NULL, generation INTEGER NOT NULL) STRICT;
    CREATE TABLE credentials (
        id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, account INTEGER NOT NULL, public_id BLOB NOT NULL,
        state INTEGER NOT NULL, generation INTEGER NOT NULL, counter INTEGER NOT NULL, last_timestamp INTEGER,
        last_used_at INTEGER, last_nonce TEXT, created_at INTEGER NOT NULL, UNIQUE (tenant, public_id)) STRICT;
    CREATE INDEX credentials_of_account ON credentials (account);
    INSERT INTO accounts VALUES (1, 1, 1);";

const ADVANCE: &str = "
    UPDATE credentials SET counter = ?1, last_timestamp = ?2, last_used_at = ?3, last_nonce = ?4
    WHERE id = ?5 AND generation = ?6 AND state = 1 AND counter < ?1
      AND EXISTS (SELECT 1 FROM accounts WHERE accounts.id = credentials.account AND active = 1 AND generation = ?7)";

/// Advances per second with `waiting` of them to a commit.
pub(crate) fn run(waiting: usize, length: Duration) -> f64 {
    let folder = tempfile::tempdir_in(bench_folder()).unwrap();
    let db = rusqlite::Connection::open(folder.path().join("floor.sqlite")).unwrap();
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;").unwrap();
    db.execute_batch(TABLES).unwrap();
    db.execute_batch("BEGIN").unwrap();
    for key in 0..KEYS {
        db.execute(
            "INSERT INTO credentials VALUES (?1, 1, 1, ?2, 1, 1, 0, NULL, NULL, NULL, 0)",
            ((key + 1) as i64, (key as u64).to_be_bytes()),
        )
        .unwrap();
    }
    db.execute_batch("COMMIT").unwrap();

    let mut advance = db.prepare(ADVANCE).unwrap();
    let mut begin = db.prepare("BEGIN IMMEDIATE").unwrap();
    let mut commit = db.prepare("COMMIT").unwrap();
    let (mut done, mut next) = (0_usize, 0_usize);
    let start = Instant::now();
    while start.elapsed() < length {
        begin.execute([]).unwrap();
        for _ in 0..waiting {
            let (key, counter) = ((next % KEYS + 1) as i64, (next / KEYS + 1) as i64);
            let changed = advance
                .execute((counter, 7, 1_700_000_000_000_i64, "0123456789abcdef0123", key, 1, 1))
                .unwrap();
            assert_eq!(changed, 1);
            next += 1;
        }
        commit.execute([]).unwrap();
        done += waiting;
    }
    done as f64 / start.elapsed().as_secs_f64()
}
