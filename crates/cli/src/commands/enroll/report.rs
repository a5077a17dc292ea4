//! What a station tells of its keys: on the screen, as JSON, and in a file.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use serde::Serialize;
use tapkey_workflow::station::{Ended, Row, RowResult, Run, csv_head, csv_line};

use crate::{commands::Context, exit::Failure, output};

/// A CSV file that grows by a line for each key.
pub(super) struct ReportFile {
    path: PathBuf,
    file: File,
}

impl ReportFile {
    /// Opens it before any key is touched. An existing file is gone on with.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::usage(format!("cannot write the report {}: {error}", path.display()));
        let file = OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
        let mut report = Self { path: path.to_owned(), file };
        if report.file.metadata().map_err(failed)?.len() == 0 {
            report.file.write_all(csv_head().as_bytes()).map_err(failed)?;
        }
        Ok(report)
    }

    /// Adds a key. It is on disk when this returns.
    pub(super) fn add(&mut self, row: &Row) -> Result<(), Failure> {
        let written = self.file.write_all(csv_line(row).as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|error| {
            Failure::failed(format!("cannot write the report {}: {error}", self.path.display()))
        })
    }
}

/// One key, as soon as it is dealt with.
pub(super) fn tell_key(row: &Row, context: &Context) {
    if !context.printer.is_json() {
        return;
    }
    // A reader that went away is no reason to leave a key half done.
    let _ = context.printer.result("station-key/1", row, |_| String::new());
}

#[derive(Serialize)]
struct Summary<'a> {
    ended: &'static str,
    keys: usize,
    active: usize,
    pending: usize,
    recorded: usize,
    unproven: usize,
    interrupted: usize,
    failed: usize,
    job_done: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_total: Option<usize>,
    keys_per_minute: f64,
    journal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<&'a BundleSummary>,
    #[serde(skip)]
    rows: &'a [Row],
}

/// The bundle at the end of a run.
#[derive(Serialize)]
pub(super) struct BundleSummary {
    pub(super) file: String,
    pub(super) sha256: String,
}

/// The end of a run.
pub(super) fn finish(
    run: &Run,
    journal: &Path,
    bundle: Option<&BundleSummary>,
    context: &Context,
) -> Result<(), Failure> {
    let count = |result| run.rows.iter().filter(|row| row.result == result).count();
    let summary = Summary {
        ended: ended(&run.ended),
        keys: run.rows.len(),
        active: count(RowResult::Active),
        pending: count(RowResult::Pending),
        recorded: count(RowResult::Recorded),
        unproven: count(RowResult::Unproven),
        interrupted: count(RowResult::Interrupted),
        failed: count(RowResult::Failed),
        job_done: run.progress.done,
        job_total: run.progress.of,
        keys_per_minute: (run.progress.per_minute() * 10.0).round() / 10.0,
        journal: journal.display().to_string(),
        bundle,
        rows: &run.rows,
    };
    context.printer.result("station/1", &summary, describe)
}

const fn ended(ended: &Ended) -> &'static str {
    match ended {
        Ended::Count => "count",
        Ended::ListDone => "list-done",
        Ended::NoMoreKeys => "no-more-keys",
        _ => "stopped",
    }
}

fn describe(summary: &Summary<'_>) -> String {
    let rows: Vec<_> = summary.rows.iter().map(cells).collect();
    let mut text = String::new();
    if !rows.is_empty() {
        text.push_str(&output::table(
            ["SERIAL", "FIRMWARE", "ACCOUNT", "LABEL", "PUBLIC ID", "RESULT"],
            &rows,
        ));
        text.push('\n');
    }
    let of = summary.job_total.map(|total| format!(" of {total}")).unwrap_or_default();
    let mut fields = vec![
        ("done in this job", format!("{}{of}", summary.job_done)),
        ("keys per minute", format!("{:.1}", summary.keys_per_minute)),
        ("journal", summary.journal.clone()),
    ];
    if let Some(bundle) = summary.bundle {
        fields.push(("bundle", bundle.file.clone()));
        fields.push(("sha256 of the bundle", bundle.sha256.clone()));
    }
    text + &output::fields(&fields)
}

fn cells(row: &Row) -> [String; 6] {
    let optional = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let result = row.result.as_str();
    [
        row.serial.to_string(),
        row.firmware.clone(),
        row.account.clone(),
        optional(&row.label),
        optional(&row.public_id),
        if row.resumed { format!("{result}, resumed") } else { result.to_owned() },
    ]
}
