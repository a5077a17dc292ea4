//! The first start, and every way in which a start must be refused.

use std::{fs, path::Path};

use tapkey_server::{Clock, Config, MasterKeyError, OpenError, Server, StartError, Synchronous, bind};

use super::common::{TestServer, config};

fn now<T>(start: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(start)
}

fn open(config: &Config) -> Result<Server, StartError> {
    now(Server::open(config, Clock::system()))
}

/// Every file of the data folder but the lock and SQLite's helpers.
fn content(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .filter(|(name, _)| !name.ends_with(".lock") && !name.ends_with("-shm") && !name.ends_with("-wal"))
        .collect();
    files.sort();
    files
}

#[cfg(unix)]
#[test]
fn the_first_start_creates_everything_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let first = now(Server::initialise_if_empty(&config)).unwrap().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&config.data_dir), 0o700);
    assert_eq!(mode(&first.token_file), 0o600);
    assert_eq!(mode(&first.master_key_file), 0o600);
    for (name, _) in content(&config.data_dir) {
        assert_eq!(mode(&config.data_dir.join(&name)), 0o600, "{name}");
    }
    assert!(now(Server::initialise_if_empty(&config)).unwrap().is_none());
    drop(open(&config).unwrap());
}

#[test]
fn nothing_is_created_beside_existing_data() {
    for left in ["tapkey.db", "master.key", "admin-token"] {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        now(Server::initialise(&config)).unwrap();
        assert!(matches!(now(Server::initialise(&config)), Err(StartError::ExistingData { .. })));
        for name in ["tapkey.db", "master.key", "admin-token"] {
            if name != left {
                fs::remove_file(config.data_dir.join(name)).unwrap();
            }
        }
        let before = content(&config.data_dir);
        assert!(matches!(now(Server::initialise(&config)), Err(StartError::ExistingData { .. })), "{left}");
        let again = now(Server::initialise_if_empty(&config));
        assert!(matches!(again, Err(StartError::ExistingData { .. }) | Ok(None)), "{left}");
        assert_eq!(content(&config.data_dir), before, "{left}");
    }
}

#[test]
fn an_interrupted_first_start_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let first = now(Server::initialise(&config)).unwrap();
    let key = fs::read(&first.master_key_file).unwrap();
    // As if it had been killed before its last step.
    fs::write(config.data_dir.join("initialising"), "").unwrap();
    assert!(matches!(open(&config), Err(StartError::NoStore { .. })), "half a store is no store");
    assert!(now(Server::initialise_if_empty(&config)).unwrap().is_some());
    assert_ne!(fs::read(&first.master_key_file).unwrap(), key);
    drop(open(&config).unwrap());
}

#[test]
fn two_servers_cannot_share_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    now(Server::initialise(&config)).unwrap();
    let first = open(&config).unwrap();
    assert!(matches!(open(&config), Err(StartError::Store(OpenError::Locked { .. }))));
    drop(first);
    drop(open(&config).unwrap());
}

#[test]
fn the_master_key_must_be_there_and_right() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let first = now(Server::initialise(&config)).unwrap();
    let key = fs::read(&first.master_key_file).unwrap();

    fs::remove_file(&first.master_key_file).unwrap();
    let error = open(&config).unwrap_err();
    assert!(matches!(error, StartError::MasterKey(MasterKeyError::Missing { .. })), "{error}");
    assert!(error.to_string().contains("master.key"));
    assert!(!first.master_key_file.exists(), "no new one is made up");

    write_private(&first.master_key_file, format!("{}\n", "00".repeat(32)).as_bytes());
    let error = open(&config).unwrap_err();
    assert!(matches!(error, StartError::Store(OpenError::WrongMasterKey { .. })), "{error}");

    write_private(&first.master_key_file, &key);
    drop(open(&config).unwrap());
}

fn write_private(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

type Damage = fn(&Path);

/// Whatever is not a sound database of ours is named and left as it is.
#[test]
fn foreign_and_corrupt_databases_are_left_alone() {
    let rows: [(&str, Damage, &str); 7] = [
        ("empty", |path| fs::write(path, "").unwrap(), "not a SQLite database"),
        ("text", |path| fs::write(path, "hello ".repeat(1000)).unwrap(), "not a SQLite database"),
        (
            "cut off",
            |path| {
                let bytes = fs::read(path).unwrap();
                fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
            },
            "damaged",
        ),
        (
            "overwritten in the middle",
            |path| {
                let mut bytes = fs::read(path).unwrap();
                bytes[4096..].fill(0x5a);
                fs::write(path, bytes).unwrap();
            },
            "damaged",
        ),
        (
            "another program's",
            |path| {
                fs::remove_file(path).unwrap();
                let db = rusqlite::Connection::open(path).unwrap();
                db.execute_batch("CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine')").unwrap();
            },
            "another program",
        ),
        (
            "a newer one",
            |path| {
                let db = rusqlite::Connection::open(path).unwrap();
                db.pragma_update(None, "user_version", 9999).unwrap();
            },
            "newer Tapkey",
        ),
        (
            "without its first bytes",
            |path| {
                let mut bytes = fs::read(path).unwrap();
                bytes[..16].fill(0);
                fs::write(path, bytes).unwrap();
            },
            "not a SQLite database",
        ),
    ];
    for (name, damage, text) in rows {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        now(Server::initialise(&config)).unwrap();
        let path = config.data_dir.join("tapkey.db");
        damage(&path);
        let before = content(&config.data_dir);
        let error = open(&config).unwrap_err().to_string();
        assert!(error.contains(text) && error.contains("tapkey.db"), "{name}: {error}");
        assert!(matches!(now(Server::initialise_if_empty(&config)), Ok(None)), "{name}");
        assert_eq!(content(&config.data_dir), before, "{name}");
    }
}

#[test]
fn no_store_yet() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    assert!(matches!(open(&config), Err(StartError::NoStore { .. })));
    assert!(!config.data_dir.exists(), "opening creates nothing");
}

#[test]
fn a_data_folder_that_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.data_dir = folder.path().join("file");
    fs::write(&config.data_dir, "").unwrap();
    let error = now(Server::initialise(&config)).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
}

#[tokio::test]
async fn a_port_in_use() {
    let server = TestServer::start().await;
    let mut config = server.config.clone();
    config.listen = server.address;
    let error = bind(&config).await.unwrap_err();
    assert!(matches!(error, StartError::AddressInUse { .. }), "{error}");
    config.listen = "192.0.2.1:1".parse().unwrap();
    assert!(matches!(bind(&config).await, Err(StartError::AddressNotHere { .. })));
}

#[test]
fn durability_is_not_switched_off_by_accident() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    now(Server::initialise(&config)).unwrap();
    config.store.synchronous = Synchronous::Off;
    assert!(matches!(open(&config), Err(StartError::UnsafeSynchronous)));
}

/// Every row belongs to a tenant from the first table on.
#[test]
fn every_table_has_a_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    now(Server::initialise(&config)).unwrap();
    let db = rusqlite::Connection::open(config.data_dir.join("tapkey.db")).unwrap();
    let mut statement = db
        .prepare(
            "SELECT t.name, (SELECT count(*) FROM pragma_table_info(t.name) c WHERE c.name = 'tenant' AND c.\"notnull\")
             FROM sqlite_schema t WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
               AND t.name NOT IN ('refinery_schema_history', 'tenants', 'meta')",
        )
        .unwrap();
    let tables =
        statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).unwrap();
    let tables: Vec<_> = tables.map(Result::unwrap).collect();
    assert!(tables.len() >= 8, "{tables:?}");
    for (table, tenants) in tables {
        assert_eq!(tenants, 1, "{table}");
    }
}
