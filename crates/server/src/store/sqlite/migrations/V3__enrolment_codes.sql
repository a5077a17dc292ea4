-- Access codes of enrolments that ended without a key: a slot may have been protected with one before
-- that, and nobody else knows it.

CREATE TABLE enrolment_codes (
    enrolment   INTEGER NOT NULL PRIMARY KEY REFERENCES enrolments (id),
    tenant      INTEGER NOT NULL REFERENCES tenants (id),
    data_key    BLOB    NOT NULL,
    access_code BLOB    NOT NULL
) STRICT;
