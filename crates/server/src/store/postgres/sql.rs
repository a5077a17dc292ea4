//! Statements, parameters and rows.
//!
//! Every statement is sent with the types of its parameters, unnamed and in one round trip. Named
//! statements would stay on one server connection, and behind a pooler in transaction mode the next
//! transaction is on another.

use tokio_postgres::{
    Row, Transaction,
    types::{FromSql, ToSql, Type},
};

use super::StoreError;
use crate::store::{PageRequest, Rows, values};

/// A parameter and its type.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

pub(super) fn int8<T: ToSql + Sync>(value: &T) -> Param<'_> {
    (value, Type::INT8)
}

pub(super) fn int2<T: ToSql + Sync>(value: &T) -> Param<'_> {
    (value, Type::INT2)
}

pub(super) fn text<T: ToSql + Sync>(value: &T) -> Param<'_> {
    (value, Type::TEXT)
}

pub(super) fn bytes<T: ToSql + Sync>(value: &T) -> Param<'_> {
    (value, Type::BYTEA)
}

pub(super) fn boolean<T: ToSql + Sync>(value: &T) -> Param<'_> {
    (value, Type::BOOL)
}

/// A transaction that is under way.
pub(super) struct Db<'a>(pub(super) Transaction<'a>);

impl Db<'_> {
    /// Carries a statement out and says how many rows it changed.
    pub(super) async fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        Ok(self.0.execute_typed(sql, params).await?)
    }

    /// Carries out what has neither parameters nor rows.
    pub(super) async fn order(&self, sql: &str) -> Result<(), StoreError> {
        Ok(self.0.batch_execute(sql).await?)
    }

    /// All rows.
    pub(super) async fn all<T>(
        &self,
        sql: &str,
        params: &[Param<'_>],
        read: impl Fn(&Columns<'_>) -> Result<T, StoreError> + Send,
    ) -> Result<Vec<T>, StoreError> {
        let rows = self.0.query_typed(sql, params).await?;
        rows.iter().map(|row| read(&Columns(row))).collect()
    }

    /// The first row, where there is one.
    pub(super) async fn one<T>(
        &self,
        sql: &str,
        params: &[Param<'_>],
        read: impl Fn(&Columns<'_>) -> Result<T, StoreError> + Send,
    ) -> Result<Option<T>, StoreError> {
        let rows = self.0.query_typed(sql, params).await?;
        rows.first().map(|row| read(&Columns(row))).transpose()
    }

    /// Whether there is a row.
    pub(super) async fn exists(&self, sql: &str, params: &[Param<'_>]) -> Result<bool, StoreError> {
        Ok(self.one(sql, params, |_| Ok(())).await?.is_some())
    }

    /// Up to a page of rows. The `LIMIT` of the query is [`values::limit`].
    pub(super) async fn page<T>(
        &self,
        sql: &str,
        params: &[Param<'_>],
        page: &PageRequest,
        read: impl Fn(&Columns<'_>) -> Result<T, StoreError> + Send,
        cursor: impl Fn(&T) -> String + Send,
    ) -> Result<Rows<T>, StoreError> {
        Ok(values::page(self.all(sql, params, read).await?, page, cursor))
    }
}

/// The columns of a row.
pub(super) struct Columns<'a>(pub(super) &'a Row);

impl<'a> Columns<'a> {
    /// A column by its place.
    pub(super) fn get<T: FromSql<'a>>(&self, index: usize) -> Result<T, StoreError> {
        Ok(self.0.try_get(index)?)
    }
}
