//! The interfaces of this machine. What the kernel tells shortens the wait where it tells anything;
//! everywhere else, and for readers, looking again and again is all there is.

#[cfg(any(feature = "hid", feature = "pcsc"))]
use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(all(feature = "hid", target_os = "linux"))]
use super::netlink::Kernel;
#[cfg(any(feature = "hid", feature = "pcsc"))]
use crate::connector::Connector;
use crate::discover::{Diagnostic, Options};
#[cfg(all(feature = "hid", target_os = "linux"))]
use crate::{control::Control, error::Error};

use super::source::{Look, Sighting, Source};

/// HID interfaces and smart-card readers.
pub(super) struct System {
    options: Options,
    #[cfg(all(feature = "hid", target_os = "linux"))]
    kernel: Option<Kernel>,
    #[cfg(feature = "pcsc")]
    readers: crate::backend::pcsc::Observer,
    hid: Vec<Sighting>,
    hid_problem: Option<String>,
    hid_looked: Option<Instant>,
}

impl System {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            #[cfg(all(feature = "hid", target_os = "linux"))]
            kernel: options.hid.then(|| Kernel::listen().ok()).flatten(),
            #[cfg(feature = "pcsc")]
            readers: crate::backend::pcsc::Observer::default(),
            options: options.clone(),
            hid: Vec::new(),
            hid_problem: None,
            hid_looked: None,
        }
    }

    #[cfg(all(feature = "hid", target_os = "linux"))]
    const fn is_told(&self) -> bool {
        self.kernel.is_some()
    }

    #[cfg(not(all(feature = "hid", target_os = "linux")))]
    const fn is_told(&self) -> bool {
        false
    }

    const fn hid_interval(&self) -> Duration {
        if self.is_told() { HID_WHEN_TOLD } else { HID_UNTOLD }
    }

    #[cfg(feature = "hid")]
    fn look_at_hid(&mut self) {
        match crate::backend::hidapi::connectors() {
            Ok(found) => {
                self.hid = found
                    .into_iter()
                    .map(|one| {
                        let place = one.usb().address.map(|(bus, device)| format!(" {bus}.{device}"));
                        let mark = format!("{}{}", one.name(), place.unwrap_or_default());
                        Sighting { mark, connector: Arc::new(one) }
                    })
                    .collect();
                self.hid_problem = None;
            }
            Err(error) => self.hid_problem = Some(error.to_string()),
        }
    }

    #[cfg(not(feature = "hid"))]
    fn look_at_hid(&mut self) {}

    #[cfg(feature = "pcsc")]
    fn look_at_cards(&mut self, look: &mut Look) {
        match self.readers.look(self.options.reader.as_deref()) {
            Ok(cards) => {
                look.sees_cards = true;
                look.sightings.extend(cards.into_iter().map(|(card, count)| Sighting {
                    mark: format!("{} #{count}", card.name()),
                    connector: Arc::new(card),
                }));
            }
            Err(error) => {
                look.problems
                    .push(Diagnostic { place: "smart-card readers".to_owned(), error: error.into() });
            }
        }
    }

    #[cfg(not(feature = "pcsc"))]
    fn look_at_cards(&mut self, _: &mut Look) {}
}

impl Source for System {
    fn look(&mut self, nudged: bool, now: Instant) -> Look {
        let due =
            self.hid_looked.is_none_or(|last| now.saturating_duration_since(last) >= self.hid_interval());
        if self.options.hid && (nudged || due) {
            self.look_at_hid();
            self.hid_looked = Some(now);
        }
        let mut look = Look { sightings: self.hid.clone(), ..Look::default() };
        if let Some(problem) = &self.hid_problem {
            let error = std::io::Error::other(problem.clone());
            let error = tapkey_protocol::link::LinkError::Io(error).into();
            look.problems.push(Diagnostic { place: "HID devices".to_owned(), error });
        }
        if self.options.pcsc {
            self.look_at_cards(&mut look);
        }
        look
    }

    fn interval(&self) -> Duration {
        if self.options.pcsc { CARDS } else { self.hid_interval() }
    }

    #[cfg(all(feature = "hid", target_os = "linux"))]
    fn wait(&mut self, limit: Duration, control: &Control) -> Result<bool, Error> {
        if let Some(kernel) = &self.kernel {
            return kernel.wait(limit, control);
        }
        control.sleep(limit)?;
        Ok(false)
    }
}

/// Shorter than anybody holds a key against a reader.
const CARDS: Duration = Duration::from_millis(400);
/// A safety net for containers, where the kernel stays silent.
const HID_WHEN_TOLD: Duration = Duration::from_secs(3);
const HID_UNTOLD: Duration = Duration::from_millis(800);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_needs_neither_keys_nor_a_service() {
        let mut system = System::new(&Options::default());
        let look = system.look(true, Instant::now());
        assert_eq!(look.sees_cards, !look.problems.iter().any(|one| one.place == "smart-card readers"));
    }

    #[test]
    fn nothing_is_looked_at_that_was_not_asked_for() {
        let options = Options { hid: false, pcsc: false, reader: None };
        let look = System::new(&options).look(true, Instant::now());
        assert!(look.sightings.is_empty() && look.problems.is_empty() && !look.sees_cards);
    }
}
