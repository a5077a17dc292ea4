//! Between rows and types.

use rusqlite::{Connection, Params, Row};

use super::super::{PageRequest, Rows, StoreError, values};
pub(super) use crate::store::values::{
    after_age, after_number, age_cursor, counter, hash, limit, moment, number, public_id, time, timestamp,
    unsigned,
};

/// The first row, where there is one.
pub(super) fn one<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// Up to a page of rows. The `LIMIT` of the query is [`limit`].
pub(super) fn page<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    page: &PageRequest,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    cursor: impl Fn(&T) -> String,
) -> Result<Rows<T>, StoreError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(values::page(found, page, cursor))
}
