//! Lines that begin with an event.

use super::Problem;
use super::fields::Fields;
use super::records::Columns;

/// The columns behind the event and the time.
const COLUMNS: [&str; 16] = [
    "configSlot",
    "pubIdTxt",
    "pvtIdTxt",
    "secretKeyTxt",
    "currentAccessCodeTxt",
    "newAccessCodeTxt",
    "oathFixedModhex1",
    "oathFixedModhex2",
    "oathFixedModhex",
    "hotpDigits",
    "oathMovingFactorSeed",
    "strongPw1",
    "strongPw2",
    "sendRef",
    "chalBtnTrig",
    "hmacLT64",
];

/// The values of a line that is one of these, or nothing for another one. The time is written as the
/// person's language has it and may hold commas, so columns are counted from the right.
pub(super) fn fields(columns: &Columns) -> Option<Result<Fields, Problem>> {
    let event = columns.first()?.trim();
    if event == "LOGGING START" {
        let mut nothing = Fields::default();
        nothing.add("eventType", "Configuration Update");
        return Some(Ok(nothing));
    }
    if event.is_empty() || event.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let needed = COLUMNS.len() + 2;
    let Some(first) = columns.len().checked_sub(COLUMNS.len()).filter(|first| *first >= 2) else {
        return Some(Err(Problem::Columns { found: columns.len(), needed }));
    };
    let mut fields = Fields::default();
    fields.add("eventType", event);
    let time: Vec<&str> = columns[1..first].iter().map(|column| column.as_str()).collect();
    fields.add("timestampLocal", &time.join(","));
    for (name, value) in COLUMNS.into_iter().zip(&columns[first..]) {
        fields.add(name, value);
    }
    Some(Ok(fields))
}

/// The whole line as a template, for writing.
pub(super) fn template() -> String {
    let rest: Vec<String> = COLUMNS.iter().map(|name| format!("{{{name}}}")).collect();
    format!("{{eventType}},{{timestampLocal}},{}", rest.join(","))
}
