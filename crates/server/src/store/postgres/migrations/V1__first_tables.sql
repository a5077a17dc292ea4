-- Times are milliseconds since 1970. Every row belongs to a tenant. Kept to what databases that speak
-- PostgreSQL's protocol take as well: no extensions, no stored code, no locks by number.

CREATE TABLE tenants (
    id         BIGINT PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- One row: the sealed key that proves the master key.
CREATE TABLE meta (
    id         BIGINT PRIMARY KEY CHECK (id = 0),
    sealed_key BYTEA  NOT NULL
);

CREATE TABLE accounts (
    id         BIGINT  PRIMARY KEY,
    tenant     BIGINT  NOT NULL REFERENCES tenants (id),
    name       TEXT    COLLATE "C" NOT NULL,
    active     BOOLEAN NOT NULL,
    generation BIGINT  NOT NULL,
    created_at BIGINT  NOT NULL,
    UNIQUE (tenant, name)
);

-- state: 0 pending, 1 active, 2 disabled. counter: -1 before the first password.
-- The rows are narrow, carry no index over what a validation changes, and leave room in their page:
-- each validation rewrites one, in place as far as possible.
CREATE TABLE credentials (
    id             BIGINT   PRIMARY KEY,
    tenant         BIGINT   NOT NULL REFERENCES tenants (id),
    account        BIGINT   NOT NULL REFERENCES accounts (id),
    public_id      BYTEA    NOT NULL,
    state          SMALLINT NOT NULL CHECK (state IN (0, 1, 2)),
    generation     BIGINT   NOT NULL,
    counter        BIGINT   NOT NULL,
    last_timestamp BIGINT,
    last_used_at   BIGINT,
    last_nonce     TEXT,
    slot           SMALLINT NOT NULL,
    serial         BIGINT,
    firmware       TEXT,
    emulated       BOOLEAN  NOT NULL,
    label          TEXT,
    created_at     BIGINT   NOT NULL,
    UNIQUE (tenant, public_id)
);
CREATE INDEX credentials_of_account ON credentials (account);
CREATE INDEX credentials_by_age ON credentials (tenant, created_at, id);

CREATE TABLE credential_secrets (
    credential  BIGINT PRIMARY KEY REFERENCES credentials (id) ON DELETE CASCADE,
    tenant      BIGINT NOT NULL REFERENCES tenants (id),
    data_key    BYTEA  NOT NULL,
    secret      BYTEA  NOT NULL,
    access_code BYTEA
);

-- What deleted credentials leave behind: how far the counters of a secret went.
CREATE TABLE tombstones (
    tenant      BIGINT NOT NULL REFERENCES tenants (id),
    public_id   BYTEA  NOT NULL,
    fingerprint BYTEA  NOT NULL,
    counter     BIGINT NOT NULL,
    deleted_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant, public_id, fingerprint)
);

-- state: 0 pending, 1 active, 2 abandoned, 3 expired.
CREATE TABLE enrolments (
    id           BIGINT   PRIMARY KEY,
    tenant       BIGINT   NOT NULL REFERENCES tenants (id),
    creator      BIGINT   NOT NULL,
    request_id   TEXT     NOT NULL,
    request_hash BYTEA    NOT NULL,
    state        SMALLINT NOT NULL CHECK (state IN (0, 1, 2, 3)),
    credential   BIGINT   NOT NULL,
    account_name TEXT     NOT NULL,
    public_id    BYTEA    NOT NULL,
    slot         SMALLINT NOT NULL,
    serial       BIGINT,
    created_at   BIGINT   NOT NULL,
    expires_at   BIGINT   NOT NULL,
    confirmed_by BYTEA,
    UNIQUE (tenant, creator, request_id)
);
CREATE INDEX enrolments_pending ON enrolments (expires_at) WHERE state = 0;

-- Numbers of clients are never given twice, not even after a deletion: a sequence only goes forward.
CREATE TABLE clients (
    id         BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant     BIGINT  NOT NULL REFERENCES tenants (id),
    active     BOOLEAN NOT NULL,
    label      TEXT,
    data_key   BYTEA   NOT NULL,
    secret     BYTEA   NOT NULL,
    created_at BIGINT  NOT NULL
);

CREATE TABLE tokens (
    id         BIGINT PRIMARY KEY,
    tenant     BIGINT NOT NULL REFERENCES tenants (id),
    role       TEXT   NOT NULL,
    label      TEXT,
    hash       BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);

CREATE TABLE audit (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant  BIGINT NOT NULL REFERENCES tenants (id),
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    account TEXT,
    key     TEXT,
    subject TEXT,
    detail  TEXT
);
CREATE INDEX audit_of_account ON audit (tenant, account, id) WHERE account IS NOT NULL;
CREATE INDEX audit_of_key ON audit (tenant, key, id) WHERE key IS NOT NULL;
