//! Between columns and types.

use rusqlite::{Connection, Params, Row};
use tapkey_domain::Moment;
use tapkey_protocol::otp::{Counter, PublicId, Timestamp};

use super::super::{PageRequest, Rows, StoreError};

/// A time, as it is stored.
pub(super) fn time(moment: Moment) -> i64 {
    i64::try_from(moment.as_millis()).unwrap_or(i64::MAX)
}

/// A stored time.
pub(super) fn moment(millis: i64) -> Moment {
    Moment::from_millis(unsigned(millis))
}

/// A stored number that is never negative.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// A stored number that must fit.
pub(super) fn number<T: TryFrom<i64>>(number: i64, column: &'static str) -> Result<T, StoreError> {
    T::try_from(number).map_err(|_| StoreError::Corrupt(column))
}

pub(super) fn public_id(bytes: &[u8]) -> Result<PublicId, StoreError> {
    PublicId::new(bytes).map_err(|_| StoreError::Corrupt("public_id"))
}

/// A stored counter; -1 means none.
pub(super) fn counter(value: i64) -> Result<Option<Counter>, StoreError> {
    if value == -1 {
        return Ok(None);
    }
    let value = number(value, "counter")?;
    Counter::from_value(value).map(Some).ok_or(StoreError::Corrupt("counter"))
}

pub(super) fn timestamp(value: i64) -> Result<Timestamp, StoreError> {
    Ok(Timestamp::new(number(value, "last_timestamp")?))
}

pub(super) fn hash(bytes: &[u8], column: &'static str) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt(column))
}

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

/// Up to a page of rows. The query asks for one row more than a page holds (its `LIMIT` is
/// [`limit`]), which tells whether there is a next page.
pub(super) fn page<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    page: &PageRequest,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    cursor: impl Fn(&T) -> String,
) -> Result<Rows<T>, StoreError> {
    let wanted = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    let more = found.len() > wanted;
    found.truncate(wanted);
    let next = found.last().filter(|_| more).map(cursor);
    Ok(Rows { rows: found, next })
}

pub(super) fn limit(page: &PageRequest) -> i64 {
    i64::from(page.limit) + 1
}

/// A cursor over rows by age: the age and the number of the last row.
pub(super) fn age_cursor(created_at: Moment, id: i64) -> String {
    format!("{}-{id}", created_at.as_millis())
}

/// Where a page by age begins.
pub(super) fn after_age(page: &PageRequest) -> Result<(i64, i64), StoreError> {
    let Some(after) = &page.after else { return Ok((-1, -1)) };
    let (age, id) = after.split_once('-').ok_or(StoreError::BadCursor)?;
    match (age.parse(), id.parse()) {
        (Ok(age), Ok(id)) => Ok((age, id)),
        _ => Err(StoreError::BadCursor),
    }
}

/// Where a page by number begins.
pub(super) fn after_number(page: &PageRequest, first: i64) -> Result<i64, StoreError> {
    page.after.as_ref().map_or(Ok(first), |after| after.parse().map_err(|_| StoreError::BadCursor))
}
