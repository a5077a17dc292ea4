//! Between what databases store and our types, whichever database it is.

use tapkey_domain::{Moment, role::Role};
use tapkey_protocol::{
    otp::{Counter, PublicId, Timestamp},
    validation::ClientId,
};

use super::{PageRequest, Rows, StoreError};

/// A time, as it is stored.
pub(crate) fn time(moment: Moment) -> i64 {
    i64::try_from(moment.as_millis()).unwrap_or(i64::MAX)
}

/// A stored time.
pub(crate) fn moment(millis: i64) -> Moment {
    Moment::from_millis(unsigned(millis))
}

/// A stored number that is never negative.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// A stored number that must fit.
pub(crate) fn number<T: TryFrom<i64>>(number: i64, column: &'static str) -> Result<T, StoreError> {
    T::try_from(number).map_err(|_| StoreError::Corrupt(column))
}

pub(crate) fn public_id(bytes: &[u8]) -> Result<PublicId, StoreError> {
    PublicId::new(bytes).map_err(|_| StoreError::Corrupt("public_id"))
}

/// A stored counter; -1 means none.
pub(crate) fn counter(value: i64) -> Result<Option<Counter>, StoreError> {
    if value == -1 {
        return Ok(None);
    }
    let value = number(value, "counter")?;
    Counter::from_value(value).map(Some).ok_or(StoreError::Corrupt("counter"))
}

pub(crate) fn timestamp(value: i64) -> Result<Timestamp, StoreError> {
    Ok(Timestamp::new(number(value, "last_timestamp")?))
}

pub(crate) fn hash(bytes: &[u8], column: &'static str) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt(column))
}

/// A stored role.
pub(crate) fn role(name: &str) -> Result<Role, StoreError> {
    Role::from_name(name).ok_or(StoreError::Corrupt("role"))
}

/// A stored number of a client.
pub(crate) fn client_id(id: i64) -> Result<ClientId, StoreError> {
    ClientId::try_from(unsigned(id)).map_err(|_| StoreError::Corrupt("id"))
}

/// A client's number, as it is stored.
pub(crate) fn client_number(id: ClientId) -> i64 {
    // At most ten digits.
    i64::try_from(id.get()).unwrap_or(i64::MAX)
}

/// A page out of the rows that were found; the query asked for one more than it holds (see
/// [`limit`]), which tells whether there is a next one.
pub(crate) fn page<T>(mut found: Vec<T>, page: &PageRequest, cursor: impl Fn(&T) -> String) -> Rows<T> {
    let wanted = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = found.len() > wanted;
    found.truncate(wanted);
    let next = found.last().filter(|_| more).map(cursor);
    Rows { rows: found, next }
}

pub(crate) fn limit(page: &PageRequest) -> i64 {
    i64::from(page.limit) + 1
}

/// A cursor over rows by age: the age and the number of the last row.
pub(crate) fn age_cursor(created_at: Moment, id: i64) -> String {
    format!("{}-{id}", created_at.as_millis())
}

/// Where a page by age begins.
pub(crate) fn after_age(page: &PageRequest) -> Result<(i64, i64), StoreError> {
    let Some(after) = &page.after else { return Ok((-1, -1)) };
    let (age, id) = after.split_once('-').ok_or(StoreError::BadCursor)?;
    match (age.parse(), id.parse()) {
        (Ok(age), Ok(id)) => Ok((age, id)),
        _ => Err(StoreError::BadCursor),
    }
}

/// Where a page by number begins.
pub(crate) fn after_number(page: &PageRequest, first: i64) -> Result<i64, StoreError> {
    page.after.as_ref().map_or(Ok(first), |after| after.parse().map_err(|_| StoreError::BadCursor))
}
