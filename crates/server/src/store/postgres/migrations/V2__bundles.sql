-- What stations bring: the key that their bundles are encrypted to, and which records are here.

CREATE TABLE bundle_keys (
    tenant     BIGINT PRIMARY KEY REFERENCES tenants (id),
    recipient  TEXT   NOT NULL,
    data_key   BYTEA  NOT NULL,
    identity   BYTEA  NOT NULL,
    created_at BIGINT NOT NULL
);

-- content: a keyed hash of the record, so that another one under its id is noticed.
-- The credential may be gone; the row stays, so that a deleted key does not come back.
CREATE TABLE station_records (
    tenant      BIGINT NOT NULL REFERENCES tenants (id),
    record      TEXT   NOT NULL,
    content     BYTEA  NOT NULL,
    bundle      TEXT   NOT NULL,
    credential  BIGINT NOT NULL,
    imported_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, record)
);

CREATE INDEX enrolments_of_public_id ON enrolments (tenant, public_id);
CREATE INDEX enrolments_of_credential ON enrolments (credential);
