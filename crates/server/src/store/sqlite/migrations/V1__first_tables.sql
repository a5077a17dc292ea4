-- Times are milliseconds since 1970. Every row belongs to a tenant.

CREATE TABLE tenants (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

-- One row: the sealed key that proves the master key.
CREATE TABLE meta (
    id         INTEGER PRIMARY KEY CHECK (id = 0),
    sealed_key BLOB    NOT NULL
) STRICT;

CREATE TABLE accounts (
    id         INTEGER PRIMARY KEY,
    tenant     INTEGER NOT NULL REFERENCES tenants (id),
    name       TEXT    NOT NULL,
    active     INTEGER NOT NULL CHECK (active IN (0, 1)),
    generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (tenant, name)
) STRICT;

-- state: 0 pending, 1 active, 2 disabled. counter: -1 before the first password.
-- The rows are narrow on purpose: each validation rewrites one.
CREATE TABLE credentials (
    id             INTEGER PRIMARY KEY,
    tenant         INTEGER NOT NULL REFERENCES tenants (id),
    account        INTEGER NOT NULL REFERENCES accounts (id),
    public_id      BLOB    NOT NULL,
    state          INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
    generation     INTEGER NOT NULL,
    counter        INTEGER NOT NULL,
    last_timestamp INTEGER,
    last_used_at   INTEGER,
    last_nonce     TEXT,
    slot           INTEGER NOT NULL,
    serial         INTEGER,
    firmware       TEXT,
    emulated       INTEGER NOT NULL CHECK (emulated IN (0, 1)),
    label          TEXT,
    created_at     INTEGER NOT NULL,
    UNIQUE (tenant, public_id)
) STRICT;
CREATE INDEX credentials_of_account ON credentials (account);
CREATE INDEX credentials_by_age ON credentials (tenant, created_at, id);

CREATE TABLE credential_secrets (
    credential  INTEGER PRIMARY KEY REFERENCES credentials (id) ON DELETE CASCADE,
    tenant      INTEGER NOT NULL REFERENCES tenants (id),
    data_key    BLOB    NOT NULL,
    secret      BLOB    NOT NULL,
    access_code BLOB
) STRICT;

-- What deleted credentials leave behind: how far the counters of a secret went.
CREATE TABLE tombstones (
    id          INTEGER PRIMARY KEY,
    tenant      INTEGER NOT NULL REFERENCES tenants (id),
    public_id   BLOB    NOT NULL,
    fingerprint BLOB    NOT NULL,
    counter     INTEGER NOT NULL,
    deleted_at  INTEGER NOT NULL,
    UNIQUE (tenant, public_id, fingerprint)
) STRICT;

-- state: 0 pending, 1 active, 2 abandoned, 3 expired.
CREATE TABLE enrolments (
    id           INTEGER PRIMARY KEY,
    tenant       INTEGER NOT NULL REFERENCES tenants (id),
    creator      INTEGER NOT NULL,
    request_id   TEXT    NOT NULL,
    request_hash BLOB    NOT NULL,
    state        INTEGER NOT NULL CHECK (state IN (0, 1, 2, 3)),
    credential   INTEGER NOT NULL,
    account_name TEXT    NOT NULL,
    public_id    BLOB    NOT NULL,
    slot         INTEGER NOT NULL,
    serial       INTEGER,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    confirmed_by BLOB,
    UNIQUE (tenant, creator, request_id)
) STRICT;
CREATE INDEX enrolments_pending ON enrolments (expires_at) WHERE state = 0;

-- Numbers of clients are never given twice, not even after a deletion.
CREATE TABLE clients (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant     INTEGER NOT NULL REFERENCES tenants (id),
    active     INTEGER NOT NULL CHECK (active IN (0, 1)),
    label      TEXT,
    data_key   BLOB    NOT NULL,
    secret     BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
    id         INTEGER PRIMARY KEY,
    tenant     INTEGER NOT NULL REFERENCES tenants (id),
    role       TEXT    NOT NULL,
    label      TEXT,
    hash       BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant  INTEGER NOT NULL REFERENCES tenants (id),
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    account TEXT,
    key     TEXT,
    subject TEXT,
    detail  TEXT
) STRICT;
CREATE INDEX audit_of_account ON audit (tenant, account, id) WHERE account IS NOT NULL;
CREATE INDEX audit_of_key ON audit (tenant, key, id) WHERE key IS NOT NULL;
