//! Names in `UserId`: distinguished names as text (RFC 4514), loosely.

use super::Key;

/// Issuer and account of a key; see [`Key::to_key_uri`].
pub(super) fn account(key: &Key) -> (Option<String>, String) {
    let friendly = key.friendly_name.as_deref().and_then(|name| name.split_once(':'));
    let issuer = key.issuer.as_deref().or(friendly.map(|(issuer, _)| issuer)).map(str::trim);
    let account = match (&key.user_id, friendly) {
        (Some(user), _) => attribute(user, "CN").unwrap_or_else(|| user.clone()),
        (None, Some((_, account))) => account.trim().to_owned(),
        (None, None) => key.id.clone().or_else(|| key.friendly_name.clone()).unwrap_or_default(),
    };
    (issuer.filter(|issuer| !issuer.is_empty()).map(str::to_owned), account)
}

/// One attribute of a distinguished name, by its type in either case. A text with commas that is not
/// a list of attributes belongs to the first one, since not every program escapes them.
pub(super) fn attribute(name: &str, wanted: &str) -> Option<String> {
    let mut parts: Vec<(String, String)> = Vec::new();
    for part in split(name) {
        match part.split_once('=') {
            Some((kind, value)) if is_type(kind.trim()) => {
                parts.push((kind.trim().to_owned(), value.to_owned()));
            }
            _ => {
                let (_, value) = parts.last_mut()?;
                value.push(',');
                value.push_str(&part);
            }
        }
    }
    let (_, value) = parts.into_iter().find(|(kind, _)| kind.eq_ignore_ascii_case(wanted))?;
    Some(unescape(value.trim())).filter(|value| !value.is_empty())
}

/// Escapes a value (RFC 4514 section 2.4).
pub(super) fn escape(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::new();
    for (place, c) in value.chars().enumerate() {
        let special = matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\')
            || (c == ' ' && (place == 0 || place == last))
            || (c == '#' && place == 0);
        if special {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// The parts between commas that are not escaped.
fn split(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in name.chars() {
        if c == ',' && !escaped {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    parts
}

fn is_type(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}

fn unescape(value: &str) -> String {
    let mut text = String::new();
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        text.push(if c == '\\' { characters.next().unwrap_or(c) } else { c });
    }
    text
}
