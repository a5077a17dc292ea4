-- Access codes of enrolments that ended without a key: a slot may have been protected with one before
-- that, and nobody else knows it.

CREATE TABLE enrolment_codes (
    enrolment   BIGINT PRIMARY KEY REFERENCES enrolments (id),
    tenant      BIGINT NOT NULL REFERENCES tenants (id),
    data_key    BYTEA  NOT NULL,
    access_code BYTEA  NOT NULL
);
