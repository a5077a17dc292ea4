//! Smart cards through the system's PC/SC service.
//!
//! Cards are shared with other programs: they are opened in shared mode, held in a transaction for
//! one operation at a time, and left as they are in the end. Nobody is thrown off a card.

mod worker;

use std::ffi::{CStr, CString};
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ::pcsc::{Attribute, Card, Context, Error as PcscError, Protocols, ReaderState, Scope, ShareMode, State};
use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink};

use crate::connector::{Connector, UsbPlace, Ways};
use crate::holders::Holders;
use worker::WorkerLink;

/// One reader with a card in it.
#[derive(Clone, Debug)]
pub struct CardConnector {
    reader: CString,
    transport: CardTransport,
}

/// What the readers hold.
#[derive(Debug, Default)]
pub struct Readers {
    /// Readers with a key.
    pub keys: Vec<CardConnector>,
    /// Readers that were meant but have no card, by name: taken off, or ejected by touch.
    pub empty: Vec<String>,
}

/// Looks for keys in all readers.
///
/// A reader counts when it is named like a YubiKey or its card says so in its answer to reset, so
/// keys on NFC readers are found while other people's cards are not even connected to. With `wanted`,
/// the reader of that name counts instead, or else those whose name contains that text, in any case of
/// letters.
///
/// # Errors
/// [`LinkError::Unavailable`] without a running PC/SC service, [`LinkError::PermissionDenied`] when
/// it refuses this user.
pub fn connectors(wanted: Option<&str>) -> Result<Readers, LinkError> {
    let context = Context::establish(Scope::User).map_err(link_error)?;
    let mut readers = Readers::default();
    for reader in chosen(names(&context)?, wanted) {
        match look_into(&context, reader, wanted) {
            Some(Reader::Key(key, _)) => readers.keys.push(key),
            Some(Reader::Empty(name)) => readers.empty.push(name),
            None => {}
        }
    }
    readers.keys.sort_by(|left, right| left.reader.cmp(&right.reader));
    Ok(readers)
}

/// A reader, with a key in it or not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReaderStatus {
    /// Its name.
    pub name: String,
    /// Whether a card is in it.
    pub has_card: bool,
    /// Whether it is a key's own, or the card in it is a key.
    pub is_key: bool,
    /// Whether a program has the card for itself alone.
    pub is_held: bool,
}

/// All readers, without connecting to a card.
///
/// # Errors
/// As [`connectors`].
pub fn readers() -> Result<Vec<ReaderStatus>, LinkError> {
    let context = Context::establish(Scope::User).map_err(link_error)?;
    let mut readers: Vec<ReaderStatus> =
        names(&context)?.into_iter().filter_map(|reader| status_of(&context, reader)).collect();
    readers.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(readers)
}

fn status_of(context: &Context, reader: CString) -> Option<ReaderStatus> {
    let name = reader.to_string_lossy().into_owned();
    let mut states = [ReaderState::new(reader, State::UNAWARE)];
    context.get_status_change(Duration::ZERO, &mut states).ok()?;
    let [state] = states;
    let events = state.event_state();
    Some(ReaderStatus {
        has_card: events.contains(State::PRESENT),
        is_key: is_meant(&name, state.atr(), None),
        is_held: events.contains(State::EXCLUSIVE),
        name,
    })
}

/// Looks for keys in all readers again and again, without connecting to a card.
#[derive(Default)]
pub(crate) struct Observer {
    /// Kept, because a service that was started on demand would end between two looks.
    context: Option<Context>,
}

impl Observer {
    /// The keys that are there, chosen as by [`connectors`], each with a number that changes
    /// whenever a card is put into its reader.
    pub(crate) fn look(&mut self, wanted: Option<&str>) -> Result<Vec<(CardConnector, u32)>, LinkError> {
        let context = match self.context.take() {
            Some(context) => context,
            None => Context::establish(Scope::User).map_err(link_error)?,
        };
        let keys = chosen(names(&context)?, wanted).into_iter().filter_map(|reader| {
            match look_into(&context, reader, wanted)? {
                Reader::Key(key, count) => Some((key, count)),
                Reader::Empty(_) => None,
            }
        });
        let keys = keys.collect();
        // After a failure the next look begins with a new one: the service may have been restarted.
        self.context = Some(context);
        Ok(keys)
    }
}

/// A reader that is meant.
enum Reader {
    Key(CardConnector, u32),
    Empty(String),
}

fn names(context: &Context) -> Result<Vec<CString>, LinkError> {
    match context.list_readers_owned() {
        Err(PcscError::NoReadersAvailable) => Ok(Vec::new()),
        other => other.map_err(link_error),
    }
}

/// A reader that is called exactly as wanted is the only one that is meant.
fn chosen(names: Vec<CString>, wanted: Option<&str>) -> Vec<CString> {
    let Some(wanted) = wanted else { return names };
    let exact = |name: &CString| name.to_string_lossy().eq_ignore_ascii_case(wanted);
    match names.iter().find(|name| exact(name)) {
        Some(name) => vec![name.clone()],
        None => names,
    }
}

fn look_into(context: &Context, reader: CString, wanted: Option<&str>) -> Option<Reader> {
    let mut states = [ReaderState::new(reader.clone(), State::UNAWARE)];
    // A reader that vanishes or fails while it is being looked at has no key to offer.
    context.get_status_change(Duration::ZERO, &mut states).ok()?;
    let [state] = states;
    let name = reader.to_string_lossy().into_owned();
    if !is_meant(&name, state.atr(), wanted) {
        return None;
    }
    if !state.event_state().contains(State::PRESENT) {
        return Some(Reader::Empty(name));
    }
    let transport = transport(&name, state.atr());
    Some(Reader::Key(CardConnector { transport, reader }, state.event_count()))
}

/// Whether the reader is one to look at.
fn is_meant(name: &str, atr: &[u8], wanted: Option<&str>) -> bool {
    let name = name.to_lowercase();
    match wanted {
        Some(wanted) => name.contains(&wanted.to_lowercase()),
        None => {
            name.contains("yubikey")
                || atr.to_ascii_lowercase().windows(MARK.len()).any(|window| window == MARK)
        }
    }
}

/// The answer to reset decides; without one, a reader named like a key is the key's own.
fn transport(name: &str, atr: &[u8]) -> CardTransport {
    if atr.is_empty() && name.to_lowercase().contains("yubikey") {
        return CardTransport::Usb;
    }
    CardTransport::from_atr(atr)
}

impl CardConnector {
    /// The name of the reader.
    #[must_use]
    pub fn reader(&self) -> String {
        self.reader.to_string_lossy().into_owned()
    }
}

impl Connector for CardConnector {
    fn name(&self) -> String {
        self.reader()
    }

    fn open_otp_link(&self) -> Result<Option<Box<dyn OtpLink>>, LinkError> {
        Ok(None)
    }

    fn open_card_link(&self) -> Result<Option<Box<dyn CardLink>>, LinkError> {
        let Self { reader, transport } = self.clone();
        let link = in_time(CONNECT_PATIENCE, move || {
            // A context of its own, because the service handles one request per context at a time.
            let context = Context::establish(Scope::User).map_err(link_error)?;
            let gpg_shares =
                is_in_use(&context, &reader) && Holders::of_the_card_service().scdaemon().is_some();
            let card = connect(&context, &reader)?;
            WorkerLink::start(context, card, transport, gpg_shares)
        });
        match link {
            Some(link) => Ok(Some(Box::new(link?))),
            None => Err(LinkError::Busy { holder: holder() }),
        }
    }

    fn ways(&self) -> Ways {
        Ways { hid: false, card: Some(self.transport) }
    }

    fn usb(&self) -> UsbPlace {
        match self.usb_address() {
            Some(address) => super::sysfs::find(address)
                .unwrap_or(UsbPlace { address: Some(address), ..UsbPlace::default() }),
            None => UsbPlace::default(),
        }
    }
}

impl CardConnector {
    /// Bus and device number from the reader driver, where it tells. `None` for anything but USB.
    fn usb_address(&self) -> Option<(u32, u32)> {
        if self.transport != CardTransport::Usb {
            return None;
        }
        let reader = self.reader.clone();
        in_time(CONNECT_PATIENCE, move || {
            let context = Context::establish(Scope::User).ok()?;
            let card = connect(&context, &reader).ok()?;
            let mut buffer = [0; 8];
            let channel = card.get_attribute(Attribute::ChannelId, &mut buffer).ok().map(<[u8]>::to_vec);
            let _ = card.disconnect(::pcsc::Disposition::LeaveCard);
            parse_channel(&channel?)
        })?
    }
}

/// Reads the channel attribute of PC/SC part 3: for USB, 0020 in the high half, then bus and device.
fn parse_channel(attribute: &[u8]) -> Option<(u32, u32)> {
    let channel = u32::from_ne_bytes(attribute.first_chunk().copied()?);
    (channel >> 16 == CHANNEL_USB).then_some(((channel >> 8) & 0xFF, channel & 0xFF))
}

/// Does what the service may keep waiting: it lets nobody even connect to a card, and for as long as it
/// likes, while another program is in the middle of a transaction. What comes too late is let go of.
fn in_time<T: Send + 'static>(patience: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, answer) = mpsc::channel();
    thread::Builder::new()
        .name("tapkey-connect".to_owned())
        .spawn(move || {
            // Whoever waited has gone when this fails, and the link ends here.
            let _ = sender.send(work());
        })
        .ok()?;
    answer.recv_timeout(patience).ok()
}

/// Whether another program is connected to the card in a reader.
fn is_in_use(context: &Context, reader: &CStr) -> bool {
    let mut states = [ReaderState::new(reader, State::UNAWARE)];
    context.get_status_change(Duration::ZERO, &mut states).is_ok()
        && states[0].event_state().contains(State::INUSE)
}

fn connect(context: &Context, reader: &CStr) -> Result<Card, LinkError> {
    context.connect(reader, ShareMode::Shared, Protocols::ANY).map_err(link_error)
}

fn link_error(error: PcscError) -> LinkError {
    match error {
        PcscError::SharingViolation | PcscError::ServerTooBusy => LinkError::Busy { holder: holder() },
        PcscError::NoService | PcscError::ServiceStopped | PcscError::Shutdown => LinkError::Unavailable {
            what: "the smart-card service (on Debian: package pcscd, then `systemctl enable --now pcscd.socket`)"
                .to_owned(),
        },
        PcscError::NoAccess | PcscError::SecurityViolation => LinkError::PermissionDenied {
            what: "the smart-card service (its polkit rule lets local users in)".to_owned(),
        },
        PcscError::RemovedCard
        | PcscError::NoSmartcard
        | PcscError::ReaderUnavailable
        | PcscError::UnknownReader
        | PcscError::InvalidHandle => LinkError::Removed,
        PcscError::Timeout | PcscError::WaitedTooLong => LinkError::TimedOut,
        other => LinkError::Io(io::Error::other(other)),
    }
}

/// Who may be holding a card. The service does not tell, but the kernel tells who is connected to it.
fn holder() -> Option<String> {
    Holders::of_the_card_service().describe()
}

/// How long to wait for a connection before another try; connecting itself takes a moment.
const CONNECT_PATIENCE: Duration = Duration::from_millis(600);
/// Found in the answer to reset of every key that has a smart card.
const MARK: &[u8] = b"yubike";
const CHANNEL_USB: u32 = 0x0020;

#[cfg(test)]
mod tests {
    use super::*;

    const ATR_5_USB: &[u8] = b"\x3B\xFD\x13\x00\x00\x81\x31\xFE\x15\x80\x73\xC0\x21\xC0\x57YubiKey\x40";
    const ATR_5_NFC: &[u8] = b"\x3B\x8D\x80\x01\x80\x73\xC0\x21\xC0\x57YubiKey\xF9";
    const ATR_4_USB: &[u8] = b"\x3B\xF8\x13\x00\x00\x81\x31\xFE\x15Yubikey4\xD4";

    #[test]
    fn keys_are_told_from_other_cards() {
        assert!(is_meant("Yubico YubiKey OTP+FIDO+CCID 00 00", &[], None));
        assert!(is_meant("ACS ACR122U PICC Interface 00 00", ATR_5_NFC, None));
        assert!(is_meant("Some reader 00 00", ATR_4_USB, None));
        assert!(!is_meant("ACS ACR122U PICC Interface 00 00", b"\x3B\x8D\x80\x01someone", None));
    }

    #[test]
    fn a_wanted_reader_excludes_the_others() {
        assert!(is_meant("ACS ACR122U 00 00", &[], Some("acr122")));
        assert!(!is_meant("Yubico YubiKey CCID 01 00", ATR_5_USB, Some("acr122")));
    }

    #[test]
    fn an_exact_name_wins() {
        let names = || ["Key 00 00", "Key 00 001", "Other"].map(|name| CString::new(name).unwrap()).to_vec();
        assert_eq!(chosen(names(), Some("key 00 00")), names()[..1]);
        assert_eq!(chosen(names(), Some("key 00")), names());
        assert_eq!(chosen(names(), None), names());
    }

    #[test]
    fn nfc_is_told_from_usb() {
        assert_eq!(transport("Yubico YubiKey CCID 00 00", ATR_5_USB), CardTransport::Usb);
        assert_eq!(transport("Yubico YubiKey CCID 00 00", &[]), CardTransport::Usb);
        assert_eq!(transport("ACS ACR122U 00 00", ATR_5_NFC), CardTransport::Nfc);
        assert_eq!(transport("Tapkey 00 00", ATR_5_USB), CardTransport::Usb);
    }

    #[test]
    fn channel_of_a_usb_reader() {
        assert_eq!(parse_channel(&0x0020_0305_u32.to_ne_bytes()), Some((3, 5)));
        assert_eq!(parse_channel(&0x0001_0305_u32.to_ne_bytes()), None);
        assert_eq!(parse_channel(&[1, 2]), None);
    }

    #[test]
    fn failures_say_what_to_do() {
        assert!(link_error(PcscError::NoService).to_string().contains("pcscd"));
        assert!(matches!(link_error(PcscError::SharingViolation), LinkError::Busy { .. }));
        assert!(matches!(link_error(PcscError::RemovedCard), LinkError::Removed));
        assert!(matches!(link_error(PcscError::CommDataLost), LinkError::Io(_)));
    }
}
