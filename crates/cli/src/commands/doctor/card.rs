//! The smart-card service, its driver, readers, cards, and who holds them.

use tapkey_driver::holders::{Holders, Processes, card_service_socket};
use tapkey_protocol::{link::LinkError, management::Interfaces};

use super::{Finding, Machine, usb};
use crate::keys;

/// A reader, as the service tells it.
#[derive(Clone, Debug)]
struct Reader {
    name: String,
    has_card: bool,
    is_key: bool,
    is_held: bool,
}

/// All checks of smart cards.
pub(super) fn all(machine: &Machine) -> Vec<Finding> {
    let keys = usb::keys(machine).unwrap_or_default();
    let cards: Vec<usb::UsbKey> = keys.iter().filter(|key| key.has(Interfaces::CCID)).cloned().collect();
    let readers = readers();
    let processes = Processes::of_this_machine();
    let openers: Vec<Holders> =
        cards.iter().map(|key| Holders::of_device(key.node.as_ref(), &processes)).collect();
    let needed = !cards.is_empty() || keys.is_empty();
    vec![
        service(machine, &readers, needed),
        ccid_driver(machine, &readers),
        readers_of_keys(&cards, &openers, &readers),
        cards_in_readers(&readers),
        held(&readers, &Holders::of_the_card_service()),
    ]
}

#[cfg(feature = "device")]
fn readers() -> Result<Vec<Reader>, LinkError> {
    let readers = tapkey_driver::backend::pcsc::readers()?;
    Ok(readers
        .into_iter()
        .map(|one| Reader {
            name: one.name,
            has_card: one.has_card,
            is_key: one.is_key,
            is_held: one.is_held,
        })
        .collect())
}

#[cfg(not(feature = "device"))]
fn readers() -> Result<Vec<Reader>, LinkError> {
    Err(LinkError::Unavailable { what: "this tapkey was built without smart cards".to_owned() })
}

/// Whether the service runs and lets this user in. It need not, where no key wants it.
fn service(machine: &Machine, readers: &Result<Vec<Reader>, LinkError>, needed: bool) -> Finding {
    const CHECK: &str = "smart-card service";
    let socket = card_service_socket();
    match readers {
        Ok(readers) => {
            let number = readers.len();
            let word = if number == 1 { "reader" } else { "readers" };
            Finding::ok(CHECK, format!("answers, with {number} {word}"))
        }
        Err(LinkError::PermissionDenied { .. }) => Finding::problem(
            CHECK,
            "it runs, but refuses you: polkit lets in whoever sits at this computer",
            "over ssh, let your user in: a file in /etc/polkit-1/rules.d that answers polkit.Result.YES to \
             org.debian.pcsc-lite.access_pcsc and org.debian.pcsc-lite.access_card; or run this as root",
        ),
        Err(_) if !needed => {
            Finding::skipped(CHECK, "it does not run, and no key that is plugged in needs it")
        }
        Err(LinkError::Unavailable { .. }) if is_installed(machine) => Finding::problem(
            CHECK,
            format!("pcscd is installed but does not answer at {}", socket.display()),
            if machine.has_systemd() { "sudo systemctl enable --now pcscd.socket" } else { "sudo pcscd" },
        ),
        Err(LinkError::Unavailable { .. }) => Finding::problem(
            CHECK,
            "pcscd is not installed",
            if machine.has_apt() {
                "sudo apt install pcscd libccid && sudo systemctl enable --now pcscd.socket"
            } else {
                "install pcsc-lite (often called pcscd or pcsc-lite) and ccid, and start pcscd"
            },
        ),
        Err(error) => Finding::problem(CHECK, error.to_string(), "restart it: sudo systemctl restart pcscd"),
    }
}

fn is_installed(machine: &Machine) -> bool {
    ["/usr/sbin/pcscd", "/usr/bin/pcscd", "/usr/local/sbin/pcscd"].iter().any(|path| machine.exists(path))
}

/// The driver by which the service speaks to keys.
fn ccid_driver(machine: &Machine, readers: &Result<Vec<Reader>, LinkError>) -> Finding {
    const CHECK: &str = "CCID driver";
    let found = DRIVERS.iter().find(|path| machine.exists(path));
    match (found, readers) {
        (Some(path), _) => Finding::ok(CHECK, *path),
        (None, Ok(readers)) if readers.iter().any(|reader| reader.is_key) => {
            Finding::ok(CHECK, "a reader for a key is there, whatever drives it")
        }
        (None, Err(_)) if !is_installed(machine) => {
            Finding::skipped(CHECK, "it belongs to pcscd, which is not there")
        }
        (None, _) => Finding::problem(
            CHECK,
            "pcscd has no driver for keys",
            if machine.has_apt() {
                "sudo apt install libccid && sudo systemctl restart pcscd"
            } else {
                "install the package ccid and restart pcscd"
            },
        ),
    }
}

/// Whether the service has a reader for each key with a smart card on USB.
fn readers_of_keys(
    cards: &[usb::UsbKey],
    openers: &[Holders],
    readers: &Result<Vec<Reader>, LinkError>,
) -> Finding {
    const CHECK: &str = "reader of the key";
    let Ok(readers) = readers else {
        return Finding::skipped(CHECK, "nobody can be asked without the service");
    };
    if cards.is_empty() {
        return Finding::skipped(CHECK, "no key with a smart card is on USB");
    }
    let found = readers.iter().filter(|reader| reader.is_key).count();
    if found >= cards.len() {
        return Finding::ok(CHECK, format!("{found} of {}", cards.len()));
    }
    let detail = format!("the kernel sees {} with a smart card, pcscd {found}", keys_word(cards.len()));
    let taken = cards.iter().zip(openers).find_map(|(key, holders)| {
        let process = holders.processes.iter().find(|process| process.name != "pcscd")?;
        Some((key, process.clone()))
    });
    match taken {
        Some((key, process)) => Finding::problem(
            CHECK,
            format!("{detail}: {process} has {} for itself", key.node),
            "let it use pcscd too: put `disable-ccid` and `pcsc-shared` into ~/.gnupg/scdaemon.conf, then \
             `gpgconf --kill scdaemon`, and plug the key in again",
        ),
        None => Finding::problem(
            CHECK,
            detail,
            "plug the key in again; if that does not help: sudo systemctl restart pcscd",
        ),
    }
}

fn keys_word(number: usize) -> String {
    if number == 1 { "one key".to_owned() } else { format!("{number} keys") }
}

/// Readers without a card: ejected by touch, or nothing on the contactless reader.
fn cards_in_readers(readers: &Result<Vec<Reader>, LinkError>) -> Finding {
    const CHECK: &str = "card in the reader";
    let Ok(readers) = readers else {
        return Finding::skipped(CHECK, "nobody can be asked without the service");
    };
    if readers.is_empty() {
        return Finding::skipped(CHECK, "there is no reader");
    }
    let ejected: Vec<&str> = readers
        .iter()
        .filter(|reader| reader.is_key && !reader.has_card)
        .map(|reader| reader.name.as_str())
        .collect();
    if !ejected.is_empty() {
        return Finding::problem(
            CHECK,
            format!("the key in {} has ejected its card", ejected.join(", ")),
            "touch the key; `tapkey config usb --no-touch-eject` stops it from doing so",
        );
    }
    let with: Vec<&str> =
        readers.iter().filter(|reader| reader.has_card).map(|reader| reader.name.as_str()).collect();
    match with.len() {
        0 => Finding::skipped(CHECK, "nothing lies on a reader; hold a key against it"),
        _ => Finding::ok(CHECK, with.join(", ")),
    }
}

/// Programs that are in the way, or could be.
fn held(readers: &Result<Vec<Reader>, LinkError>, connected: &Holders) -> Finding {
    const CHECK: &str = "other programs";
    let Ok(readers) = readers else {
        return Finding::skipped(CHECK, "nobody can be asked without the service");
    };
    let held = readers.iter().find(|reader| reader.is_held && reader.is_key);
    let who = connected.describe();
    match (held, who) {
        (Some(reader), who) => {
            let who = who.unwrap_or_else(|| "a program".to_owned());
            let fix = keys::letting_go(Some(&who));
            Finding::problem(CHECK, format!("{who} has the card in {} for itself", reader.name), fix)
        }
        (None, Some(who)) => Finding::ok(CHECK, format!("the card is shared with {who}")),
        (None, None) => Finding::ok(CHECK, "none uses the smart-card service"),
    }
}

/// Where distributions put it.
const DRIVERS: [&str; 5] = [
    "/usr/lib/pcsc/drivers/ifd-ccid.bundle",
    "/usr/lib64/pcsc/drivers/ifd-ccid.bundle",
    "/usr/lib/x86_64-linux-gnu/pcsc/drivers/ifd-ccid.bundle",
    "/usr/lib/aarch64-linux-gnu/pcsc/drivers/ifd-ccid.bundle",
    "/usr/local/lib/pcsc/drivers/ifd-ccid.bundle",
];

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use tapkey_driver::holders::Process;

    use super::*;
    use crate::commands::doctor::Status;

    type Readers = Result<Vec<Reader>, LinkError>;

    fn machine(root: &Path, files: &[&str]) -> Machine {
        for file in files {
            let path = root.join(file.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        Machine::below(root, |_| Ok(()))
    }

    fn absent() -> Readers {
        Err(LinkError::Unavailable { what: "x".to_owned() })
    }

    fn reader(name: &str, has_card: bool, is_held: bool) -> Reader {
        Reader { name: name.to_owned(), has_card, is_key: name.contains("Yubi"), is_held }
    }

    fn fix(finding: &Finding) -> &str {
        finding.fix.as_deref().unwrap_or_default()
    }

    #[test]
    fn the_service_is_missing_stopped_closed_or_not_needed() {
        let root = tempfile::tempdir().unwrap();
        let bare = machine(root.path(), &[]);
        let finding = service(&bare, &absent(), true);
        assert_eq!((finding.status, finding.detail.as_str()), (Status::Problem, "pcscd is not installed"));
        assert!(fix(&finding).contains("pcsc-lite"));
        let debian = machine(root.path(), &["/usr/bin/apt-get"]);
        assert!(fix(&service(&debian, &absent(), true)).contains("apt install pcscd"));
        assert_eq!(service(&debian, &absent(), false).status, Status::NotApplicable);
        let stopped = machine(root.path(), &["/usr/sbin/pcscd"]);
        assert_eq!(fix(&service(&stopped, &absent(), true)), "sudo pcscd");
        let stopped = machine(root.path(), &["/run/systemd/system/x"]);
        assert!(fix(&service(&stopped, &absent(), true)).contains("pcscd.socket"));
        let closed = Err(LinkError::PermissionDenied { what: "x".to_owned() });
        assert!(fix(&service(&stopped, &closed, true)).contains("polkit"));
        assert_eq!(service(&stopped, &Ok(Vec::new()), true).status, Status::Ok);
    }

    #[test]
    fn the_driver() {
        let root = tempfile::tempdir().unwrap();
        let bare = machine(root.path(), &[]);
        assert_eq!(ccid_driver(&bare, &absent()).status, Status::NotApplicable);
        assert_eq!(ccid_driver(&bare, &Ok(vec![reader("Yubico", true, false)])).status, Status::Ok);
        let finding = ccid_driver(&machine(root.path(), &["/usr/bin/apt-get"]), &Ok(Vec::new()));
        assert!(fix(&finding).contains("libccid"), "{finding:?}");
        let installed = machine(root.path(), &["/usr/lib/pcsc/drivers/ifd-ccid.bundle/x"]);
        assert_eq!(ccid_driver(&installed, &absent()).status, Status::Ok);
    }

    #[test]
    fn a_key_that_scdaemon_took_from_the_service() {
        let root = tempfile::tempdir().unwrap();
        usb::tests::plug(root.path(), "0407", true);
        let cards = usb::keys(&Machine::below(root.path(), |_| Ok(()))).unwrap();
        let nobody = [Holders::default()];
        let gpg = Process { id: 77, name: "scdaemon".to_owned() };
        let taken = [Holders { processes: vec![gpg], unseen: 0 }];
        let finding = readers_of_keys(&cards, &taken, &Ok(Vec::new()));
        assert!(
            finding.detail.contains("gpg's scdaemon (process 77) has /dev/bus/usb/001/017"),
            "{finding:?}"
        );
        assert!(fix(&finding).contains("disable-ccid"));
        let finding = readers_of_keys(&cards, &nobody, &Ok(Vec::new()));
        assert!(fix(&finding).contains("restart pcscd"), "{finding:?}");
        let there = Ok(vec![reader("Yubico YubiKey CCID 00 00", true, false)]);
        assert_eq!(readers_of_keys(&cards, &taken, &there).status, Status::Ok);
        assert_eq!(readers_of_keys(&[], &[], &there).status, Status::NotApplicable);
        assert_eq!(readers_of_keys(&cards, &nobody, &absent()).status, Status::NotApplicable);
    }

    #[test]
    fn a_reader_without_a_card() {
        let check = |readers: Vec<Reader>| cards_in_readers(&Ok(readers));
        assert_eq!(check(Vec::new()).status, Status::NotApplicable);
        assert!(check(vec![reader("ACR122U", false, false)]).detail.contains("hold a key"));
        let ejected = check(vec![reader("Yubico YubiKey", false, false)]);
        assert!(ejected.status == Status::Problem && fix(&ejected).contains("touch the key"));
        assert_eq!(check(vec![reader("Yubico YubiKey", true, false)]).status, Status::Ok);
    }

    #[test]
    fn who_holds_the_card_is_named() {
        let gpg = Holders { processes: vec![Process { id: 9, name: "scdaemon".to_owned() }], unseen: 0 };
        let finding = held(&Ok(vec![reader("Yubico YubiKey", true, true)]), &gpg);
        assert!(finding.detail.starts_with("gpg's scdaemon (process 9) has the card"), "{finding:?}");
        assert!(fix(&finding).contains("gpgconf --kill scdaemon"));
        let shared = held(&Ok(vec![reader("Yubico YubiKey", true, false)]), &gpg);
        assert!(shared.status == Status::Ok && shared.detail.contains("shared with gpg's scdaemon"));
        // Somebody else's card is none of our business.
        assert_eq!(held(&Ok(vec![reader("Other", true, true)]), &Holders::default()).status, Status::Ok);
    }
}
