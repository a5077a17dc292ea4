-- What stations bring: the key that their bundles are encrypted to, and which records are here.

CREATE TABLE bundle_keys (
    tenant     INTEGER NOT NULL PRIMARY KEY REFERENCES tenants (id),
    recipient  TEXT    NOT NULL,
    data_key   BLOB    NOT NULL,
    identity   BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- content: a keyed hash of the record, so that another one under its id is noticed.
-- The credential may be gone; the row stays, so that a deleted key does not come back.
CREATE TABLE station_records (
    id          INTEGER PRIMARY KEY,
    tenant      INTEGER NOT NULL REFERENCES tenants (id),
    record      TEXT    NOT NULL,
    content     BLOB    NOT NULL,
    bundle      TEXT    NOT NULL,
    credential  INTEGER NOT NULL,
    imported_at INTEGER NOT NULL,
    UNIQUE (tenant, record)
) STRICT;

CREATE INDEX enrolments_of_public_id ON enrolments (tenant, public_id);
CREATE INDEX enrolments_of_credential ON enrolments (credential);
