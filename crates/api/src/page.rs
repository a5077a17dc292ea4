//! Lists that come in pages.

use serde::{Deserialize, Serialize};

/// One page of a list.
///
/// Ask for the next one with the query parameter `after` set to [`Page::next`]; `limit` says how
/// many items at most (1 to 500, 100 where it is left out).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Page<T> {
    /// The items, in the order of their creation unless the resource says otherwise.
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The most items of a page.
    pub const MAX_LIMIT: u32 = 500;
    /// The items of a page where the request does not say.
    pub const DEFAULT_LIMIT: u32 = 100;
}
