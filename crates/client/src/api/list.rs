//! Which part of a list to ask for.

use tapkey_api::{Page, Timestamp};

use super::Error;

/// One page of a list: the first, unless [`PageRequest::after`] says otherwise.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PageRequest {
    /// How many items at most, 1 to [`Page::MAX_LIMIT`]; the server's default where `None`.
    pub limit: Option<u32>,
    /// Where to begin: the [`Page::next`] of the page before.
    pub after: Option<String>,
}

impl PageRequest {
    pub(super) fn into_query(self) -> Query {
        let mut query = Query::default();
        query.add("limit", self.limit);
        query.add("after", self.after);
        query
    }
}

/// Which keys.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeyFilter {
    /// Those of this account.
    pub account: Option<String>,
    /// The one with this public id, modhex.
    pub public_id: Option<String>,
}

/// Which audit events.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AuditFilter {
    /// Of this kind, such as `key.disabled`.
    pub action: Option<String>,
    /// Done to or for the account of this name.
    pub account: Option<String>,
    /// Done to the key with this id.
    pub key: Option<String>,
    /// Done by this actor.
    pub actor: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// Parameters of a query, absent ones left out.
#[derive(Default)]
pub(super) struct Query(pub(super) Vec<(&'static str, String)>);

impl Query {
    pub(super) fn add(&mut self, name: &'static str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.0.push((name, value.to_string()));
        }
    }
}

/// Fetches page after page until the last one.
///
/// ```no_run
/// # async fn example(client: tapkey_client::api::Client) -> Result<(), tapkey_client::api::Error> {
/// use tapkey_client::api::every_page;
/// let accounts = every_page(|page| client.accounts(page)).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The first error of any page, and [`Error::EndlessList`].
pub async fn every_page<T, F>(mut fetch: impl FnMut(PageRequest) -> F) -> Result<Vec<T>, Error>
where
    F: Future<Output = Result<Page<T>, Error>>,
{
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let page = fetch(PageRequest { limit: Some(Page::<T>::MAX_LIMIT), after: after.clone() }).await?;
        items.extend(page.items);
        if page.next.is_none() {
            return Ok(items);
        }
        if page.next == after {
            return Err(Error::EndlessList);
        }
        after = page.next;
    }
}
