//! The keys that are known to be there, and what has become of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tapkey_protocol::link::{CardTransport, LinkError};
use tapkey_protocol::management::{DeviceInfo, Interfaces};

use super::{Event, Sighting};
use crate::connector::{Connector, Ways};
use crate::control::Control;
use crate::device::Device;
use crate::discover::{Diagnostic, Listing, gather_with};
use crate::error::Error;

/// An interface from when it came until it goes. One that comes back has another number.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) number: u64,
    pub(super) since: Instant,
    pub(super) sighting: Sighting,
}

impl Seen {
    fn ways(&self) -> Ways {
        self.sighting.connector.ways()
    }

    fn is(&self, connector: &Arc<dyn Connector>) -> bool {
        Arc::ptr_eq(&self.sighting.connector, connector)
    }
}

/// What was reported so far.
#[derive(Debug, Default)]
pub(super) struct Registry {
    known: Vec<Known>,
    mute: Vec<Mute>,
}

/// A key that was reported.
#[derive(Clone, Debug)]
struct Known {
    device: Device,
    halves: Vec<Seen>,
}

/// An interface that did not tell what it is.
#[derive(Debug)]
struct Mute {
    number: u64,
    next_try: Instant,
    pause: Duration,
    reported: bool,
}

impl Registry {
    /// When the next interface that did not answer is to be asked again.
    pub(super) fn next_try(&self) -> Option<Instant> {
        self.mute.iter().map(|mute| mute.next_try).min()
    }

    /// Whether another half of a key may be about to come or go, because one has.
    pub(super) fn is_half_done(&self, present: &[Seen]) -> bool {
        let is_there = |half: &Seen| present.iter().any(|seen| seen.number == half.number);
        let half_gone = self
            .known
            .iter()
            .any(|known| known.halves.iter().any(&is_there) && !known.halves.iter().all(is_there));
        let fresh = || present.iter().filter(|seen| !self.knows(seen.number));
        let waiting = fresh().filter(|seen| awaits_card(&*seen.sighting.connector)).count();
        let cards =
            fresh().filter(|seen| seen.ways() == Ways { hid: false, card: Some(CardTransport::Usb) }).count();
        half_gone || waiting > cards
    }

    /// Compares with what is there, asks what is new what it is, and tells what has changed.
    pub(super) fn update(
        &mut self,
        present: &[Seen],
        now: Instant,
        already: bool,
        control: &Control,
    ) -> Result<Vec<Event>, Error> {
        let Sorted { gone, kept, loose } = self.sort(present);
        let due: Vec<Seen> = present.iter().filter(|seen| self.is_due(seen, now)).cloned().collect();
        let listing = ask(&loose, &due, control)?;
        // Nothing is changed before this line, so that a cancelled look can be repeated.
        let mut events: Vec<Event> =
            gone.into_iter().map(|known| Event::Unplugged { device: known.device }).collect();
        let available: Vec<Seen> = loose.iter().flat_map(|(_, left)| left).chain(&due).cloned().collect();
        self.known = kept;
        let mut news = Vec::new();
        let mut before: Vec<Known> = loose.into_iter().map(|(known, _)| known).collect();
        for device in listing.devices {
            let halves: Vec<Seen> = available
                .iter()
                .filter(|seen| device.connectors().any(|connector| seen.is(connector)))
                .cloned()
                .collect();
            let mut earlier =
                before.extract_if(.., |known| shares(&known.halves, &halves)).collect::<Vec<_>>().into_iter();
            match earlier.next() {
                Some(known) if same(&known.halves, &halves) => {}
                Some(_) => news.push(Event::Changed { device: device.clone() }),
                None => news.push(Event::Plugged { device: device.clone(), already }),
            }
            events.extend(earlier.map(|known| Event::Unplugged { device: known.device }));
            self.known.push(Known { device, halves });
        }
        events.extend(before.into_iter().map(|known| Event::Unplugged { device: known.device }));
        events.append(&mut news);
        events.extend(self.remember_mute(present, &due, listing.diagnostics, now, already));
        Ok(events)
    }

    fn knows(&self, number: u64) -> bool {
        self.known.iter().flat_map(|known| &known.halves).any(|half| half.number == number)
    }

    fn is_due(&self, seen: &Seen, now: Instant) -> bool {
        let waits = |mute: &Mute| mute.number == seen.number && mute.next_try > now;
        !self.knows(seen.number) && !self.mute.iter().any(waits)
    }

    /// Tells keys that are gone from those that stay as they are and those of which one half is
    /// there, which another may complete.
    fn sort(&self, present: &[Seen]) -> Sorted {
        let mut sorted = Sorted::default();
        for known in &self.known {
            let is_there = |half: &&Seen| present.iter().any(|seen| seen.number == half.number);
            let left: Vec<Seen> = known.halves.iter().filter(is_there).cloned().collect();
            match left.first() {
                None => sorted.gone.push(known.clone()),
                Some(half) if left.len() == 1 && half.ways().hid != half.ways().card.is_some() => {
                    sorted.loose.push((known.clone(), left));
                }
                Some(_) => sorted.kept.push(known.clone()),
            }
        }
        sorted
    }

    /// Notes which interfaces did not tell what they are, to ask them again. Just after it was
    /// plugged in, udev may not yet have given this user the right to open a node.
    fn remember_mute(
        &mut self,
        present: &[Seen],
        due: &[Seen],
        diagnostics: Vec<Diagnostic>,
        now: Instant,
        already: bool,
    ) -> Vec<Event> {
        let known: Vec<u64> =
            self.known.iter().flat_map(|known| &known.halves).map(|half| half.number).collect();
        self.mute.retain(|mute| {
            present.iter().any(|seen| seen.number == mute.number) && !known.contains(&mute.number)
        });
        let mut events = Vec::new();
        for diagnostic in diagnostics {
            let place = |seen: &&Seen| seen.sighting.connector.name() == diagnostic.place;
            let Some(seen) = due.iter().filter(|seen| !known.contains(&seen.number)).find(place) else {
                continue;
            };
            if !self.mute.iter().any(|mute| mute.number == seen.number) {
                let mute = Mute { number: seen.number, next_try: now, pause: FIRST_PAUSE, reported: false };
                self.mute.push(mute);
            }
            let Some(mute) = self.mute.iter_mut().find(|mute| mute.number == seen.number) else { continue };
            mute.next_try = now + mute.pause;
            mute.pause = (mute.pause * 2).min(LONGEST_PAUSE);
            let is_gone = matches!(diagnostic.error, Error::Link(LinkError::Removed));
            let patient = !already && now.saturating_duration_since(seen.since) < GRACE;
            if !mute.reported && !is_gone && !patient {
                mute.reported = true;
                events.push(Event::Problem(diagnostic));
            }
        }
        events
    }
}

#[derive(Debug, Default)]
struct Sorted {
    gone: Vec<Known>,
    kept: Vec<Known>,
    loose: Vec<(Known, Vec<Seen>)>,
}

/// Makes keys of single halves of known keys and of what is new. Only what is new is asked.
fn ask(loose: &[(Known, Vec<Seen>)], due: &[Seen], control: &Control) -> Result<Listing, Error> {
    let told: Vec<(Arc<dyn Connector>, DeviceInfo)> = loose
        .iter()
        .flat_map(|(known, left)| left.iter().map(|half| (half, known.device.info())))
        .map(|(half, info)| (Arc::clone(&half.sighting.connector), info.clone()))
        .collect();
    let connectors = due.iter().map(|seen| Arc::clone(&seen.sighting.connector)).collect();
    gather_with(told, connectors, control)
}

/// Whether the smart card of this key on USB is still to come: its product id promises one.
fn awaits_card(connector: &dyn Connector) -> bool {
    let ways = connector.ways();
    let product = connector.usb().product.and_then(|product| product.interfaces());
    ways.hid && ways.card.is_none() && product.is_some_and(|interfaces| interfaces.contains(Interfaces::CCID))
}

fn shares(left: &[Seen], right: &[Seen]) -> bool {
    left.iter().any(|one| right.iter().any(|other| one.number == other.number))
}

fn same(left: &[Seen], right: &[Seen]) -> bool {
    left.len() == right.len() && left.iter().all(|one| right.iter().any(|other| one.number == other.number))
}

/// A node that may not be opened is no problem yet for so long after it appeared.
const GRACE: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
