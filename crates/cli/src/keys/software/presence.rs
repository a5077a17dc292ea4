//! Whether a software key is plugged in, for `tapkey watch`.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tapkey_driver::discover::watch::{Look, Sighting, Source};
use tapkey_emulator::{
    Snapshot,
    port::socket::{Client, RemoteCard, SocketError},
};
use tapkey_protocol::link::LinkError;

use super::{Place, Software, socket_of};

/// Looks at a key in an emulator process. It counts as plugged in while that process has it plugged
/// in; a key that only lies in its file is not woken.
#[derive(Debug)]
pub(crate) struct Presence {
    software: Software,
    client: Client,
    /// Kept open, because it breaks when the key is pulled out, however short that lasts. It is
    /// never used for a command, so it is in nobody's way.
    card: Option<RemoteCard>,
    /// How often the key was plugged in, as far as it was seen.
    plugs: u64,
    /// What was seen last.
    seen: Option<Sighting>,
}

impl Presence {
    /// Of the key with this state file.
    pub(crate) fn of(path: &Path) -> Self {
        let client = socket_of(path);
        let name = path.display().to_string().into();
        Self {
            software: Software { place: Place::There(client.clone()), name },
            client: client.with_timeout(PATIENCE),
            card: None,
            plugs: 0,
            seen: None,
        }
    }

    /// The key, when it is plugged in.
    fn snapshot(&self) -> Result<Option<Snapshot>, SocketError> {
        match self.client.show() {
            Ok(snapshot) if snapshot.power == "off" => Ok(None),
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(SocketError::NotRunning { .. } | SocketError::Link(LinkError::Removed)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Counts how often it was plugged in.
    fn count(&mut self) {
        if self.seen.is_none() {
            self.card = None;
            self.plugs += 1;
        }
        if let Some(card) = &mut self.card {
            match card.atr() {
                Ok(_) => return,
                // The answer that is late would be taken for the next one.
                Err(LinkError::TimedOut) => {}
                Err(_) => self.plugs += 1,
            }
        }
        // A key whose smart card is switched off has nothing that could be kept open.
        self.card = self.client.card().ok();
    }
}

impl Source for Presence {
    fn look(&mut self, _nudged: bool, _now: Instant) -> Look {
        match self.snapshot() {
            Ok(Some(snapshot)) => {
                self.count();
                let mark = format!("{} {} {}", self.plugs, snapshot.power, snapshot.interfaces);
                self.seen = Some(Sighting { connector: Arc::new(self.software.connector()), mark });
            }
            Ok(None) => self.seen = None,
            // Too busy to tell, which it is not for long.
            Err(_) => {}
        }
        Look { sightings: self.seen.iter().cloned().collect(), ..Look::default() }
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }
}

const INTERVAL: Duration = Duration::from_millis(200);
/// An emulator answers at once, except to a card that is busy with a touch.
const PATIENCE: Duration = Duration::from_secs(1);
