//! Recordings of what passes between this program and a key, in files.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tapkey_protocol::transcript::{Secrets, recording::Tape};

use crate::{commands::Context, exit::Failure};

/// A file that is being recorded into.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    work: Arc<Mutex<Work>>,
}

#[derive(Debug)]
struct Work {
    file: std::fs::File,
    lines: u64,
    error: Option<io::Error>,
}

impl File {
    /// Begins a recording in a file that must not exist yet, and that only its owner may read.
    pub(crate) fn create(
        path: &Path,
        with_secrets: bool,
        context: &Context,
    ) -> Result<(Self, Tape), Failure> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| {
            let failure = Failure::usage(format!("cannot record into {}: {error}", path.display()));
            match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    failure.hint("name a new file; recordings are not overwritten")
                }
                _ => failure,
            }
        })?;
        let secrets = if with_secrets { Secrets::Show } else { Secrets::Hide };
        if with_secrets {
            context.printer.warn(format!(
                "everything that passes is written to {}, keys, PINs and responses included; \
                 program the slots anew before you show it to anybody",
                path.display()
            ));
        }
        let work = Arc::new(Mutex::new(Work { file, lines: 0, error: None }));
        let writer = Arc::clone(&work);
        let start = Instant::now();
        let tape = Tape::new(
            concat!("tapkey ", env!("CARGO_PKG_VERSION")),
            secrets,
            move || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            move |line| writer.lock().unwrap_or_else(PoisonError::into_inner).write(line),
        );
        Ok((Self { path: path.to_owned(), work }, tape))
    }

    /// Whether everything was written; how many things happened.
    pub(crate) fn finish(&self) -> Result<u64, Failure> {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        match work.error.take() {
            None => Ok(work.lines.saturating_sub(1)),
            Some(error) => {
                Err(Failure::failed(format!("the recording in {} breaks off: {error}", self.path.display())))
            }
        }
    }

    /// Its name.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Work {
    /// Writes line by line, so that a program that is killed leaves behind what happened until then.
    fn write(&mut self, line: &str) {
        self.lines += 1;
        if self.error.is_none()
            && let Err(error) = self.file.write_all(format!("{line}\n").as_bytes())
        {
            self.error = Some(error);
        }
    }
}
