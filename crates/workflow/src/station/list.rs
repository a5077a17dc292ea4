//! Who gets the keys.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Who gets the keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Accounts {
    /// One account gets all of them.
    One(String),
    /// Each row of a list gets one.
    List(AccountList),
}

/// A list of accounts, from a CSV file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AccountList {
    rows: Vec<ListRow>,
}

/// One row: an account that is to get one key. Two equal rows mean two keys.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ListRow {
    /// The account's name.
    pub account: String,
    /// What people will call the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The serial number of the key that it is to get; any key where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
}

impl AccountList {
    /// Reads a CSV text: `account`, `label`, `serial`, the last two of which may be left out. A first
    /// line that names the columns, in any order, is optional; so are quotes (RFC 4180). Empty lines
    /// and lines that begin with `#` are skipped.
    ///
    /// ```
    /// use tapkey_workflow::station::AccountList;
    /// let list = AccountList::parse("alice,front desk\n\"Bob, the builder\",,12345678\n")?;
    /// assert_eq!(list.rows()[1].account, "Bob, the builder");
    /// assert_eq!(list.rows()[1].serial, Some(12_345_678));
    /// # Ok::<(), tapkey_workflow::station::ListError>(())
    /// ```
    ///
    /// # Errors
    /// [`ListError`] names the line.
    pub fn parse(text: &str) -> Result<Self, ListError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut columns = Columns { account: 0, label: Some(1), serial: Some(2), count: 3 };
        let mut rows = Vec::new();
        let mut first = true;
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let at = index + 1;
            let fields = fields(line).ok_or(ListError { line: at, wrong: "a quote is not closed" })?;
            if std::mem::take(&mut first) && is_head(&fields) {
                columns = Columns::of(&fields).ok_or(ListError {
                    line: at,
                    wrong: "the columns are account, label and serial, each at most once",
                })?;
                continue;
            }
            rows.push(columns.row(&fields).map_err(|wrong| ListError { line: at, wrong })?);
        }
        Ok(Self { rows })
    }

    /// The rows, in the order of the file.
    #[must_use]
    pub fn rows(&self) -> &[ListRow] {
        &self.rows
    }

    /// The rows that are left when these were given away.
    pub(super) fn left<'a>(&'a self, given: impl Iterator<Item = &'a ListRow>) -> Vec<&'a ListRow> {
        let mut counts: HashMap<&ListRow, usize> = HashMap::new();
        for row in given {
            *counts.entry(row).or_default() += 1;
        }
        let mut left = Vec::new();
        for row in &self.rows {
            match counts.get_mut(row) {
                Some(count) if *count > 0 => *count -= 1,
                _ => left.push(row),
            }
        }
        left
    }
}

/// The row for a key: one that names its serial number, or else the first that names none.
pub(super) fn choose<'a>(left: &[&'a ListRow], serial: u32) -> Option<&'a ListRow> {
    let named = left.iter().find(|row| row.serial == Some(serial));
    named.or_else(|| left.iter().find(|row| row.serial.is_none())).copied()
}

struct Columns {
    account: usize,
    label: Option<usize>,
    serial: Option<usize>,
    count: usize,
}

impl Columns {
    fn of(names: &[String]) -> Option<Self> {
        let place = |wanted: &str| {
            let mut places =
                names.iter().enumerate().filter(|(_, name)| name.trim().eq_ignore_ascii_case(wanted));
            match (places.next(), places.next()) {
                (Some((place, _)), None) => Some(Some(place)),
                (None, _) => Some(None),
                _ => None,
            }
        };
        let (account, label, serial) = (place("account")??, place("label")?, place("serial")?);
        let known = 1 + usize::from(label.is_some()) + usize::from(serial.is_some());
        (known == names.len()).then_some(Self { account, label, serial, count: names.len() })
    }

    fn row(&self, fields: &[String]) -> Result<ListRow, &'static str> {
        if fields.len() > self.count {
            return Err("it has more fields than columns; put a name with a comma in quotes");
        }
        let field = |place: Option<usize>| {
            place
                .and_then(|place| fields.get(place))
                .map(|field| field.trim())
                .filter(|field| !field.is_empty())
        };
        let serial = field(self.serial).map(str::parse);
        Ok(ListRow {
            account: field(Some(self.account)).ok_or("it names no account")?.to_owned(),
            label: field(self.label).map(str::to_owned),
            serial: serial.transpose().map_err(|_| "the serial number is not a number")?,
        })
    }
}

fn is_head(fields: &[String]) -> bool {
    fields.iter().any(|field| field.trim().eq_ignore_ascii_case("account"))
}

/// Splits a line; `None` where a quote is not closed. Fields do not reach over lines.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut letters = line.chars().peekable();
    let mut quoted = false;
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.trim().is_empty() => {
                field.clear();
                quoted = true;
            }
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            letter => field.push(letter),
        }
    }
    fields.push(field);
    (!quoted).then_some(fields)
}

/// Why a text is no list of accounts.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("line {line}: {wrong}")]
pub struct ListError {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub wrong: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(account: &str, label: Option<&str>, serial: Option<u32>) -> ListRow {
        ListRow { account: account.into(), label: label.map(Into::into), serial }
    }

    #[test]
    fn files() {
        let plain = AccountList::parse("alice\nbob, desk 2\r\n\n# nobody\ncarol,,7\n").unwrap();
        assert_eq!(
            plain.rows(),
            [row("alice", None, None), row("bob", Some("desk 2"), None), row("carol", None, Some(7))]
        );
        let named = AccountList::parse("\u{feff}Serial,Account\n7,alice\n,\"b \"\"x\"\" b\"\n").unwrap();
        assert_eq!(named.rows(), [row("alice", None, Some(7)), row("b \"x\" b", None, None)]);
        for (text, line) in [
            ("alice\n,label", 2),
            ("alice,x,y", 1),
            ("alice,x,7,8", 1),
            ("account,name\nalice", 1),
            ("account,account\nalice", 1),
            ("a\n\"b", 2),
            ("alice,,4294967296", 1),
        ] {
            assert_eq!(AccountList::parse(text).unwrap_err().line, line, "{text}");
        }
        assert_eq!(AccountList::parse("").unwrap().rows(), []);
    }

    #[test]
    fn each_row_is_given_away_once() {
        let list = AccountList::parse("alice\nalice\nbob,,7\ncarol\n").unwrap();
        let given = [row("alice", None, None)];
        let left = list.left(given.iter());
        assert_eq!(left.len(), 3);
        assert_eq!(choose(&left, 7).unwrap().account, "bob");
        assert_eq!(choose(&left, 8).unwrap().account, "alice");
        let given = [row("alice", None, None), row("alice", None, None), row("carol", None, None)];
        let left = list.left(given.iter());
        assert_eq!((left.len(), choose(&left, 8)), (1, None));
        // A row that is not in the list any more takes nothing away.
        assert_eq!(list.left([row("dave", None, None)].iter()).len(), 4);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = AccountList::parse(&text);
        }
    }
}
