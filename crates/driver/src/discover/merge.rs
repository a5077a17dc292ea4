//! Putting the interfaces of one key together.

use std::sync::Arc;

use tapkey_protocol::link::CardTransport;
use tapkey_protocol::management::{DeviceInfo, Interfaces};

use crate::connector::{Connector, UsbPlace, Ways};
use crate::device::Device;

/// One way to a key, and what the key told over it.
pub(super) struct Half {
    pub(super) connector: Arc<dyn Connector>,
    pub(super) ways: Ways,
    pub(super) place: UsbPlace,
    pub(super) info: Option<DeviceInfo>,
}

impl Half {
    /// Whether `other` is known to be the same key and has told what it is.
    pub(super) fn is_told_by(&self, other: &Self) -> bool {
        other.info.is_some() && self.complements(other) && self.same_address(other)
    }

    fn serial(&self) -> Option<u32> {
        self.info.as_ref().and_then(|info| info.serial)
    }

    /// Whether one is HID only and the other a card only.
    fn complements(&self, other: &Self) -> bool {
        let hid_only = |half: &Self| half.ways.hid && half.ways.card.is_none();
        let card_only = |half: &Self| !half.ways.hid && half.ways.card.is_some();
        (hid_only(self) && card_only(other)) || (card_only(self) && hid_only(other))
    }

    fn same_address(&self, other: &Self) -> bool {
        self.place.address.is_some() && self.place.address == other.place.address
    }

    fn same_serial(&self, other: &Self) -> bool {
        self.serial().is_some() && self.serial() == other.serial()
    }

    /// Whether nothing speaks against both being one key on USB: its product id promises a smart
    /// card, and neither serial numbers nor versions nor places differ.
    fn may_be_one(&self, other: &Self) -> bool {
        let differ =
            |left: Option<u32>, right: Option<u32>| matches!((left, right), (Some(l), Some(r)) if l != r);
        let version = |half: &Self| half.info.as_ref().and_then(|info| info.version);
        let versions_differ = matches!((version(self), version(other)), (Some(l), Some(r)) if l != r);
        let places_differ = matches!((self.place.address, other.place.address), (Some(l), Some(r)) if l != r);
        let promised = |half: &Self| {
            half.place
                .product
                .and_then(|product| product.interfaces())
                .is_none_or(|interfaces| interfaces.contains(Interfaces::CCID))
        };
        let on_usb = |half: &Self| half.ways.card != Some(CardTransport::Nfc);
        self.complements(other)
            && [self, other].into_iter().all(|half| promised(half) && on_usb(half))
            && !differ(self.serial(), other.serial())
            && !versions_differ
            && !places_differ
    }
}

/// Makes devices of halves. Halves that told nothing and belong to no other are left out.
pub(super) fn merge(mut halves: Vec<Half>) -> Vec<Device> {
    let mut devices = Vec::new();
    let rules: [fn(&Half, &Half) -> bool; 2] = [Half::same_address, Half::same_serial];
    for is_same in rules {
        while let Some((left, right)) = find_pair(&halves, |a, b| a.complements(b) && is_same(a, b)) {
            devices.extend(join(&mut halves, left, right));
        }
    }
    // What is left over belongs together only when there is no other way to match it.
    if let Some((left, right)) = only_pair(&halves) {
        devices.extend(join(&mut halves, left, right));
    }
    devices.extend(halves.into_iter().filter_map(|half| device(half, None)));
    sort(&mut devices);
    devices
}

/// Puts keys into the one order in which they are always listed.
pub(super) fn sort(devices: &mut [Device]) {
    devices.sort_by_cached_key(|device| {
        let places: Vec<_> = device.places().iter().map(|place| natural(place)).collect();
        let serial = (device.serial().is_none(), device.serial());
        (device.is_software(), serial, device.port().is_none(), device.port(), places)
    });
}

/// A key for sorting by which `hidraw9` comes before `hidraw10`.
fn natural(text: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(letters);
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (number, after) = after.split_at(digits);
        parts.push((word.to_owned(), number.parse().unwrap_or(u64::MAX)));
        rest = after;
    }
    parts
}

fn find_pair(halves: &[Half], fits: impl Fn(&Half, &Half) -> bool) -> Option<(usize, usize)> {
    (0..halves.len()).find_map(|left| {
        (left + 1..halves.len()).find(|right| fits(&halves[left], &halves[*right])).map(|right| (left, right))
    })
}

/// The one HID interface and the one smart card on USB that are left over, if they may be one key.
fn only_pair(halves: &[Half]) -> Option<(usize, usize)> {
    let single = |wanted: fn(&Half) -> bool| {
        let mut found = halves.iter().enumerate().filter(|(_, half)| wanted(half)).map(|(at, _)| at);
        found.next().filter(|_| found.next().is_none())
    };
    let hid = single(|half| half.ways.hid && half.ways.card.is_none())?;
    let card = single(|half| !half.ways.hid && half.ways.card == Some(CardTransport::Usb))?;
    halves[hid].may_be_one(&halves[card]).then_some((hid.min(card), hid.max(card)))
}

fn join(halves: &mut Vec<Half>, left: usize, right: usize) -> Option<Device> {
    let right = halves.remove(right);
    let left = halves.remove(left);
    if left.ways.hid { device(left, Some(right)) } else { device(right, Some(left)) }
}

fn device(first: Half, second: Option<Half>) -> Option<Device> {
    let info = match (&first.info, &second) {
        // A serial number that one side hides may be told by the other.
        (Some(info), Some(Half { info: Some(other), .. })) => {
            Some(DeviceInfo { serial: info.serial.or(other.serial), ..info.clone() })
        }
        (Some(info), _) => Some(info.clone()),
        (None, Some(second)) => second.info.clone(),
        (None, None) => None,
    }?;
    let card_of = |half: &Half| half.ways.card.map(|transport| (Arc::clone(&half.connector), transport));
    let hid = first.ways.hid.then(|| Arc::clone(&first.connector));
    let card = card_of(&first).or_else(|| second.as_ref().and_then(card_of));
    let place = [Some(&first), second.as_ref()]
        .into_iter()
        .flatten()
        .find(|half| half.ways.hid)
        .unwrap_or(&first)
        .place;
    Some(Device::new(info, hid, card, place))
}

#[cfg(test)]
mod tests;
