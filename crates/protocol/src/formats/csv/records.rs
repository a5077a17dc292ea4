//! Lines of comma-separated columns (RFC 4180), quoted ones included.

use zeroize::Zeroizing;

use super::{LineError, Problem};

/// The columns of a line.
pub(super) type Columns = Vec<Zeroizing<String>>;

/// Every line that is neither empty nor a comment, with its number. With `commented`, `#` begins a
/// comment anywhere.
pub(super) fn records(
    text: &str,
    commented: bool,
) -> impl Iterator<Item = Result<(usize, Columns), LineError>> {
    let mut reader = Reader { rest: text, line: 1, commented };
    std::iter::from_fn(move || reader.next())
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    commented: bool,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<Result<(usize, Columns), LineError>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let begun = self.line;
            let columns = match self.record() {
                Ok(columns) => columns,
                Err(problem) => {
                    self.rest = "";
                    return Some(Err(LineError { line: begun, problem }));
                }
            };
            let empty = columns.iter().all(|column| column.trim().is_empty());
            if !empty && !columns.first().is_some_and(|column| column.starts_with('#')) {
                return Some(Ok((begun, columns)));
            }
        }
    }

    fn record(&mut self) -> Result<Columns, Problem> {
        let mut columns = vec![Zeroizing::new(String::new())];
        let mut quoted = false;
        let mut comment = false;
        let mut characters = self.rest.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            let column = columns.last_mut();
            if character == '\n' {
                self.line += 1;
                if !quoted {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return Ok(columns);
                }
            }
            match (character, column) {
                _ if comment => {}
                ('"', _) if quoted && matches!(characters.peek(), Some((_, '"'))) => {
                    characters.next();
                    push(&mut columns, '"');
                }
                ('"', _) if quoted => quoted = false,
                ('"', Some(column)) if column.is_empty() => quoted = true,
                (',', _) if !quoted => columns.push(Zeroizing::new(String::new())),
                ('#', _) if !quoted && self.commented => comment = true,
                ('\r', _) if !quoted => {}
                (character, _) => push(&mut columns, character),
            }
        }
        self.rest = "";
        if quoted { Err(Problem::Quotes) } else { Ok(columns) }
    }
}

fn push(columns: &mut Columns, character: char) {
    if let Some(column) = columns.last_mut() {
        column.push(character);
    }
}
