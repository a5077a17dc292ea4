//! What is told of each key: never a secret.

use serde::{Deserialize, Serialize};
use tapkey_api::Timestamp;

/// One key, as the report tells of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Row {
    /// When it was finished, or given up.
    pub at: Timestamp,
    /// Its serial number.
    pub serial: u32,
    /// Its firmware.
    pub firmware: String,
    /// The slot.
    pub slot: u8,
    /// Who owns it.
    pub account: String,
    /// What people call it.
    pub label: Option<String>,
    /// The public id it types, modhex; none where it did not come that far.
    pub public_id: Option<String>,
    /// Its id on the server, or that of its record in the bundle.
    pub id: Option<String>,
    /// What became of it.
    pub result: RowResult,
    /// Whether an interrupted run was finished.
    pub resumed: bool,
    /// More, for people to read.
    pub detail: Option<String>,
}

/// What became of a key.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RowResult {
    /// It validates.
    Active,
    /// It is programmed, and the server waits for a password of it.
    Pending,
    /// It is programmed, typed a password, and is in the bundle.
    Recorded,
    /// It is programmed and in the bundle, and typed nothing.
    Unproven,
    /// It was pulled out, or the run was cancelled; plugged in again it is finished.
    Interrupted,
    /// It ended the run.
    Failed,
}

impl RowResult {
    /// As it stands in a report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Recorded => "recorded",
            Self::Unproven => "unproven",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }

    /// Whether there is nothing left to do here.
    #[must_use]
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Active | Self::Pending | Self::Recorded | Self::Unproven)
    }

    /// Whether a password of the key was seen.
    #[must_use]
    pub const fn is_proven(self) -> bool {
        matches!(self, Self::Active | Self::Recorded)
    }
}

/// The first line of a report as CSV.
#[must_use]
pub const fn csv_head() -> &'static str {
    "time,serial,firmware,slot,account,label,public id,id,result,resumed,detail\n"
}

/// A line of a report as CSV (RFC 4180). Texts that a spreadsheet would take for a formula begin
/// with an apostrophe, as spreadsheets themselves write them.
#[must_use]
pub fn csv_line(row: &Row) -> String {
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    let fields = [
        row.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        row.serial.to_string(),
        row.firmware.clone(),
        row.slot.to_string(),
        row.account.clone(),
        optional(&row.label),
        optional(&row.public_id),
        optional(&row.id),
        row.result.as_str().to_owned(),
        if row.resumed { "yes" } else { "no" }.to_owned(),
        optional(&row.detail),
    ];
    fields.map(|field| csv_field(&field)).join(",") + "\n"
}

fn csv_field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_can_be_read_again() {
        let row = Row {
            at: Timestamp::UNIX_EPOCH,
            serial: 7,
            firmware: "5.7.4".into(),
            slot: 2,
            account: "Bob, \"the\" builder".into(),
            label: Some("=1+1".into()),
            public_id: Some("vvcccc".into()),
            id: None,
            result: RowResult::Active,
            resumed: false,
            detail: None,
        };
        assert_eq!(
            csv_line(&row),
            "1970-01-01T00:00:00Z,7,5.7.4,2,\"Bob, \"\"the\"\" builder\",'=1+1,vvcccc,,active,no,\n"
        );
        assert_eq!(csv_head().matches(',').count(), 10);
    }
}
