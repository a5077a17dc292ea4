//! Recorded conversations with a key: a text file from which a conversation can be played again.
//!
//! A [`Tape`] writes down what passes over links; a [`Recording`] reads it back; [`decode`] says
//! what it means. Secrets are left out unless asked for, and in such a way that the conversation
//! still works: what the host sent becomes a [`Pattern`] with gaps, what the key answered becomes
//! zeros of the same length, with a checksum that holds where the real one held.
//!
//! # The file
//!
//! JSON lines in UTF-8. The first names the version, here 1; readers refuse another one:
//!
//! ```json
//! {"tapkey-recording":1,"secrets":"hidden","program":"tapkey 0.1.0"}
//! {"do":"open","at":0,"link":1,"interface":"otp"}
//! {"do":"read","at":0,"link":1,"report":"0005070400000000"}
//! {"do":"write","at":1,"link":1,"report":"??????????????80"}
//! {"do":"transmit","at":9,"link":2,"command":"00a4040007a0000005272001","response":"0507040005009000"}
//! {"do":"note","at":900,"text":"pressed"}
//! ```
//!
//! `at` is in milliseconds from the beginning, `link` numbers what was opened, `interface` is `otp`,
//! `card-usb` or `card-nfc`. Bytes are hexadecimal, `??` is one that was left out. `masked` stands
//! where an answer was replaced by zeros. A transfer that failed has an `error` instead of what it
//! would have brought. Unknown members are ignored.

mod decode;
mod line;
mod mask;
mod tape;

pub use decode::{Decoded, decode};
pub use line::{Bytes, Failure, Interface, Line, Pattern};
pub use tape::{LinkTape, RecordedCard, RecordedOtp, Tape};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Secrets;

/// A conversation that was recorded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recording {
    /// Whether secrets are in it.
    pub secrets: Secrets,
    /// The program that made it.
    pub program: String,
    /// What happened, in its order.
    pub lines: Vec<Line>,
}

/// A text that is no recording.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The first line is another one.
    #[error("this is no recording of a key; its first line does not say so")]
    NotARecording,
    /// Another version.
    #[error(
        "this recording is of version {found}, and only version {VERSION} can be read; use a newer program"
    )]
    Version {
        /// Its version.
        found: u32,
    },
    /// A line cannot be read.
    #[error("line {number} of the recording cannot be read: {source}")]
    Line {
        /// Its number, from 1.
        number: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// The version of the file.
pub const VERSION: u32 = 1;

#[derive(Deserialize, Serialize)]
struct Header {
    #[serde(rename = "tapkey-recording")]
    version: u32,
    secrets: HeaderSecrets,
    #[serde(default)]
    program: String,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum HeaderSecrets {
    Hidden,
    Shown,
}

impl Recording {
    /// Reads a recording. An unfinished last line, which a program that was killed leaves behind,
    /// is dropped.
    ///
    /// # Errors
    /// [`RecordingError`] when it is none, or of another version, or damaged.
    pub fn parse(text: &str) -> Result<Self, RecordingError> {
        let mut lines = text.split_inclusive('\n').enumerate();
        let first = lines.next().map(|(_, line)| line).unwrap_or_default();
        let header: Header = match serde_json::from_str(first) {
            Ok(header) => header,
            Err(_) => return Err(other_version(first)),
        };
        if header.version != VERSION {
            return Err(RecordingError::Version { found: header.version });
        }
        let mut recording = Self {
            secrets: match header.secrets {
                HeaderSecrets::Hidden => Secrets::Hide,
                HeaderSecrets::Shown => Secrets::Show,
            },
            program: header.program,
            lines: Vec::new(),
        };
        for (index, line) in lines {
            if line.trim().is_empty() {
                continue;
            }
            match serde_json::from_str(line) {
                Ok(line) => recording.lines.push(line),
                Err(_) if !line.ends_with('\n') => break,
                Err(source) => return Err(RecordingError::Line { number: index + 1, source }),
            }
        }
        Ok(recording)
    }

    /// Writes it, each line with its end.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = header(self.secrets, &self.program);
        text.push('\n');
        for line in &self.lines {
            text.push_str(&line.to_text());
            text.push('\n');
        }
        text
    }
}

/// The first line of a file, without its end.
fn header(secrets: Secrets, program: &str) -> String {
    let secrets = match secrets {
        Secrets::Hide => HeaderSecrets::Hidden,
        Secrets::Show => HeaderSecrets::Shown,
    };
    // Numbers and strings always go into JSON.
    serde_json::to_string(&Header { version: VERSION, secrets, program: program.to_owned() })
        .unwrap_or_default()
}

/// A later version may look different in everything but its name.
fn other_version(first: &str) -> RecordingError {
    #[derive(Deserialize)]
    struct Any {
        #[serde(rename = "tapkey-recording")]
        version: u32,
    }
    match serde_json::from_str::<Any>(first) {
        Ok(any) if any.version != VERSION => RecordingError::Version { found: any.version },
        _ => RecordingError::NotARecording,
    }
}

#[cfg(test)]
mod tests;
