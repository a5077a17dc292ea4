//! A folder of software keys that are plugged in one after the other, as a person at a provisioning
//! station does it.

use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tapkey_driver::discover::watch::{Look, Sighting, Source};

use super::{Software, Wish};
use crate::exit::Failure;

/// The keys whose state files (`*.json`) are in a folder, in the order of their names.
#[derive(Clone, Debug)]
pub(crate) struct Rack(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    left: VecDeque<PathBuf>,
    /// The key that is plugged in, and how many were before.
    present: Option<Software>,
    plugs: u64,
}

impl Rack {
    /// Of this folder.
    pub(crate) fn of(folder: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::usage(format!("cannot read the folder {}: {error}", folder.display()));
        let mut left = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                left.push(path);
            }
        }
        if left.is_empty() {
            return Err(Failure::usage(format!("there are no software keys in {}", folder.display()))
                .hint("`tapkey --emulated=FOLDER/one.json info` makes one; state files end in .json"));
        }
        left.sort();
        Ok(Self(Arc::new(Mutex::new(State { left: left.into(), present: None, plugs: 0 }))))
    }

    /// Pulls out what is plugged in, and plugs in the next key. `false` when there is none.
    pub(crate) fn next(&self) -> Result<bool, Failure> {
        let mut state = self.lock();
        // Let go of first: it keeps its state file locked.
        state.present = None;
        let Some(path) = state.left.pop_front() else { return Ok(false) };
        state.present = Some(Software::reach(&path, &Wish::default())?);
        state.plugs += 1;
        Ok(true)
    }

    /// The key that is plugged in.
    pub(crate) fn present(&self) -> Option<Software> {
        self.lock().present.clone()
    }

    /// What a watch looks at.
    pub(crate) fn source(&self) -> RackSource {
        RackSource { rack: self.clone(), seen: None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees the key that is plugged in.
#[derive(Debug)]
pub(crate) struct RackSource {
    rack: Rack,
    seen: Option<(u64, Sighting)>,
}

impl Source for RackSource {
    fn look(&mut self, _nudged: bool, _now: Instant) -> Look {
        let state = self.rack.lock();
        let number = state.plugs;
        match &state.present {
            None => self.seen = None,
            Some(_) if self.seen.as_ref().is_some_and(|(seen, _)| *seen == number) => {}
            Some(software) => {
                let connector = Arc::new(software.connector());
                self.seen = Some((number, Sighting { connector, mark: number.to_string() }));
            }
        }
        Look {
            sightings: self.seen.iter().map(|(_, sighting)| sighting.clone()).collect(),
            ..Look::default()
        }
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }
}

const INTERVAL: Duration = Duration::from_millis(50);
