//! A thread that owns the card.
//!
//! PC/SC calls block: waiting for another program's transaction lasts until that program is done,
//! and a transmission until the card answers. Made on a thread of their own, they can be given up by
//! whoever waits for them. The thread also keeps a transaction open across calls, which borrows the
//! card and could not be stored beside it.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use ::pcsc::{
    Card, Context, Disposition, Error as PcscError, MAX_BUFFER_SIZE_EXTENDED, Protocols, ShareMode,
    Transaction,
};
use tapkey_protocol::link::{CardLink, CardTransport, LinkError};
use zeroize::Zeroize;

use super::{holder, link_error};

/// A card link whose calls come back in time even when the service does not.
pub(super) struct WorkerLink {
    requests: Option<Sender<Request>>,
    thread: Option<thread::JoinHandle<()>>,
    transport: CardTransport,
    /// The thread did not come back from the service in time and may still be there.
    stuck: bool,
}

enum Request {
    Hold(Sender<Result<(), LinkError>>),
    Transmit(Vec<u8>, Sender<Result<Vec<u8>, LinkError>>),
    Release,
}

impl WorkerLink {
    /// Hands a connected card to a new thread.
    /// With `gpg_shares`, the card is left with the application that gpg believes to be selected.
    pub(super) fn start(
        context: Context,
        card: Card,
        transport: CardTransport,
        gpg_shares: bool,
    ) -> Result<Self, LinkError> {
        let (requests, inbox) = mpsc::channel();
        let thread = thread::Builder::new().name("tapkey-card".to_owned()).spawn(move || {
            serve(card, &inbox, gpg_shares);
            drop(context);
        })?;
        Ok(Self { requests: Some(requests), thread: Some(thread), transport, stuck: false })
    }

    fn ask<T>(
        &mut self,
        request: impl FnOnce(Sender<Result<T, LinkError>>) -> Request,
        patience: Duration,
        late: impl FnOnce() -> LinkError,
    ) -> Result<T, LinkError> {
        let (reply, answer) = mpsc::channel();
        let sent = self.requests.as_ref().is_some_and(|requests| requests.send(request(reply)).is_ok());
        if !sent {
            return Err(LinkError::Removed);
        }
        let result = answer.recv_timeout(patience);
        self.stuck = matches!(result, Err(RecvTimeoutError::Timeout));
        match result {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(late()),
            Err(RecvTimeoutError::Disconnected) => Err(LinkError::Removed),
        }
    }
}

impl CardLink for WorkerLink {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, LinkError> {
        let command = command.to_vec();
        self.ask(|reply| Request::Transmit(command, reply), LONGEST_TRANSMISSION, || LinkError::TimedOut)
    }

    fn transport(&self) -> CardTransport {
        self.transport
    }

    fn hold(&mut self, patience: Duration) -> Result<(), LinkError> {
        self.ask(Request::Hold, patience, || LinkError::Busy { holder: holder() })
    }

    fn release(&mut self) {
        if let Some(requests) = &self.requests {
            let _ = requests.send(Request::Release);
        }
    }
}

impl Drop for WorkerLink {
    fn drop(&mut self) {
        self.requests = None;
        // The card is let go before this returns, so that the next program finds it free. A thread
        // that is stuck in the service ends by itself when the service lets it go.
        if let Some(thread) = self.thread.take().filter(|_| !self.stuck) {
            let _ = thread.join();
        }
    }
}

fn serve(mut card: Card, inbox: &Receiver<Request>, gpg_shares: bool) {
    while let Ok(request) = inbox.recv() {
        match request {
            Request::Release => {}
            Request::Transmit(command, reply) => {
                let _ = reply
                    .send(transmit(command, |bytes, buffer| card.transmit(bytes, buffer).map(<[u8]>::len)));
            }
            Request::Hold(reply) => {
                if !serve_held(&mut card, &reply, inbox, gpg_shares) {
                    break;
                }
            }
        }
    }
    // Dropping a card would reset it, and with it what other programs have going on there.
    let _ = card.disconnect(Disposition::LeaveCard);
}

/// Works in a transaction until it is released. False when nobody asks any more.
fn serve_held(
    card: &mut Card,
    reply: &Sender<Result<(), LinkError>>,
    inbox: &Receiver<Request>,
    gpg_shares: bool,
) -> bool {
    let transaction = match begin(card) {
        Ok(transaction) => transaction,
        Err(error) => return reply.send(Err(link_error(error))).is_ok(),
    };
    if reply.send(Ok(())).is_err() {
        // Nobody waited any longer; do not hold the card for nobody.
        end(transaction);
        return true;
    }
    let open = loop {
        match inbox.recv() {
            Ok(Request::Release) => break true,
            Ok(Request::Hold(reply)) => {
                let _ = reply.send(Ok(()));
            }
            Ok(Request::Transmit(command, reply)) => {
                let answer =
                    transmit(command, |bytes, buffer| transaction.transmit(bytes, buffer).map(<[u8]>::len));
                let _ = reply.send(answer);
            }
            Err(_) => break false,
        }
    };
    if gpg_shares {
        // scdaemon selects its application once and then goes on as if it had the card for itself.
        let _ = transaction.transmit(&SELECT_OPENPGP, &mut [0; 258]);
    }
    end(transaction);
    open
}

/// Begins a transaction, connecting anew when another program has reset the card meanwhile.
fn begin(card: &mut Card) -> Result<Transaction<'_>, PcscError> {
    match card.transaction2() {
        Ok(transaction) => Ok(transaction),
        Err((card, PcscError::ResetCard | PcscError::UnpoweredCard)) => {
            card.reconnect(ShareMode::Shared, Protocols::ANY, Disposition::LeaveCard)?;
            card.transaction()
        }
        Err((_, error)) => Err(error),
    }
}

fn end(transaction: Transaction<'_>) {
    let _ = transaction.end(Disposition::LeaveCard);
}

fn transmit(
    mut command: Vec<u8>,
    send: impl FnOnce(&[u8], &mut [u8]) -> Result<usize, PcscError>,
) -> Result<Vec<u8>, LinkError> {
    let mut buffer = vec![0; MAX_BUFFER_SIZE_EXTENDED];
    let result = send(&command, &mut buffer);
    command.zeroize();
    let answer = match result {
        Ok(length) => Ok(buffer.get(..length).unwrap_or_default().to_vec()),
        // Somebody reset the card in the middle of our work: what was selected is gone.
        Err(PcscError::ResetCard) => Err(LinkError::Io(io::Error::other("another program reset the card"))),
        Err(error) => Err(link_error(error)),
    };
    buffer.zeroize();
    answer
}

/// SELECT by the name that the OpenPGP card specification gives its application.
const SELECT_OPENPGP: [u8; 11] = [0x00, 0xA4, 0x04, 0x00, 0x06, 0xD2, 0x76, 0x00, 0x01, 0x24, 0x01];
/// A command that waits for a touch answers within the longest touch wait of a key.
const LONGEST_TRANSMISSION: Duration = Duration::from_secs(260);
