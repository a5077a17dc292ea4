//! A station without a server, killed at every step: nothing is lost, nothing secret is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod rack;

use std::{
    collections::HashMap,
    fs, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rack::{Rack, Steps, job, list};
use tapkey_api::bundle::{Container, Content, Envelope, StationProof, StationRecord};
use tapkey_protocol::{
    otp::{AesKey, Otp},
    slot::Slot,
};
use tapkey_workflow::{
    PublicIdChoice,
    station::{
        Accounts, BundleWriter, Disk, Ended, Job, Offline, RealDisk, Recipient, RowResult, Run, StationError,
        StationJournal, run,
    },
};

/// How a process dies at a step: before it, in the middle of it, or right after it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Death {
    Before,
    Half,
    After,
}

/// Counts steps, and dies at one of them. Nothing works any more after that.
struct Reaper {
    at: usize,
    how: Death,
    count: AtomicUsize,
    dead: AtomicBool,
}

impl Reaper {
    fn at(at: usize, how: Death) -> Arc<Self> {
        Arc::new(Self { at, how, count: AtomicUsize::new(0), dead: AtomicBool::new(false) })
    }

    /// Whether this is the step.
    fn step(&self) -> Option<Death> {
        if self.count.fetch_add(1, Ordering::SeqCst) != self.at {
            return None;
        }
        self.dead.store(true, Ordering::SeqCst);
        Some(self.how)
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }
}

impl Steps for Reaper {
    fn alive(&self, after: bool) -> bool {
        if after {
            return !self.is_dead();
        }
        // One that dies after the step still takes it.
        !self.is_dead() && !matches!(self.step(), Some(Death::Before | Death::Half))
    }
}

/// A disk that dies with the process.
struct MortalDisk(Arc<Reaper>);

impl Disk for MortalDisk {
    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let dead = || io::Error::other("killed");
        if self.0.is_dead() {
            return Err(dead());
        }
        match self.0.step() {
            None => RealDisk.append(path, bytes),
            Some(Death::Before) => Err(dead()),
            Some(Death::Half) => RealDisk.append(path, &bytes[..bytes.len() / 2]).and(Err(dead())),
            Some(Death::After) => RealDisk.append(path, bytes).and(Err(dead())),
        }
    }

    fn truncate(&mut self, path: &Path, length: u64) -> io::Result<()> {
        if self.0.is_dead() { Err(io::Error::other("killed")) } else { RealDisk.truncate(path, length) }
    }
}

/// A desk without a network.
struct Desk {
    rack: Rack,
    folder: tempfile::TempDir,
    identity: age::x25519::Identity,
}

impl Desk {
    fn with_keys(count: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { rack: Rack::of(count), folder, identity: age::x25519::Identity::generate() }
    }

    fn recipient(&self) -> Recipient {
        self.identity.to_public().to_string().parse().unwrap()
    }

    async fn run(&self, job: &Job) -> Run {
        self.try_run(job, &self.rack, || Box::new(RealDisk)).await.unwrap()
    }

    /// One process: `None` where it died while it opened its files.
    async fn try_run(&self, job: &Job, rack: &Rack, disk: impl Fn() -> Box<dyn Disk>) -> Option<Run> {
        let path = |name: &str| self.folder.path().join(name);
        let mut journal = StationJournal::open(&path("journal"), "test", disk()).ok()?;
        let bundle = BundleWriter::open(&path("bundle"), self.recipient(), disk()).ok()?;
        let mut bench = Offline::new(bundle, "desk".into());
        Some(run(job, rack.source(), &mut bench, &mut journal, &mut |_| ()).await)
    }

    async fn run_until(&self, job: &Job, reaper: &Arc<Reaper>) {
        let steps: Arc<dyn Steps> = reaper.clone();
        let disk = || -> Box<dyn Disk> { Box::new(MortalDisk(Arc::clone(reaper))) };
        self.try_run(job, &self.rack.with_steps(steps), disk).await;
    }

    fn contents(&self) -> Vec<Content> {
        let text = fs::read_to_string(self.folder.path().join("bundle")).unwrap();
        let container = Container::parse(&text).unwrap();
        let open = |message: &&str| {
            let plain = age::decrypt(&self.identity, message.as_bytes()).unwrap();
            serde_json::from_slice::<Envelope>(&plain).unwrap()
        };
        let envelopes: Vec<_> = container.messages.iter().map(open).collect();
        for (number, envelope) in (1..).zip(&envelopes) {
            assert_eq!(envelope.sequence, number);
        }
        envelopes.into_iter().map(|envelope| envelope.content).collect()
    }

    /// The records that a server would take in, with what was typed of them.
    fn live(&self) -> Vec<(StationRecord, Vec<StationProof>)> {
        let contents = self.contents();
        assert!(matches!(contents.last(), Some(Content::Close(_))), "the bundle is closed");
        let mut records: Vec<(StationRecord, Vec<StationProof>)> = Vec::new();
        let mut void = Vec::new();
        let mut proofs: HashMap<String, Vec<StationProof>> = HashMap::new();
        for content in contents {
            match content {
                Content::Credential(record) => records.push((*record, Vec::new())),
                Content::Proof(proof) => proofs.entry(proof.record.clone()).or_default().push(proof),
                Content::Void(one) => void.push(one.record),
                _ => {}
            }
        }
        let mut gone = void.clone();
        for (record, _) in records.iter().filter(|(record, _)| !void.contains(&record.id)) {
            gone.extend(record.replaces.clone());
        }
        records.retain(|(record, _)| !gone.contains(&record.id));
        for (record, typed) in &mut records {
            *typed = proofs.remove(&record.id).unwrap_or_default();
        }
        assert!(proofs.is_empty(), "what was typed belongs to records that count");
        records
    }

    /// The key holds the one record that counts for it, and typed a password of it.
    fn assert_in_bundle(&self, serial: u32, what: &str) {
        let live = self.live();
        let mine: Vec<_> = live.iter().filter(|(record, _)| record.serial == Some(serial)).collect();
        assert_eq!(mine.len(), 1, "{what}");
        let (record, proofs) = mine[0];
        let held = self.rack.held(serial).unwrap();
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        assert_eq!(record.public_id, held.public_id.to_string(), "{what}");
        assert_eq!(record.aes_key.expose(), hex(&held.key), "{what}");
        assert_eq!(record.private_id.expose(), hex(&held.private_id), "{what}");
        let code = record.access_code.as_ref().map(|code| code.expose().to_owned());
        assert_eq!(code, held.access_code.map(|code| hex(&code)), "{what}");
        assert!(!proofs.is_empty(), "{what}");
        for proof in proofs {
            let otp: Otp = proof.otp.expose().parse().unwrap();
            let token = otp.open(&AesKey::new(held.key)).unwrap();
            let counter = token.counter();
            let counters = (counter.use_counter(), counter.session_counter());
            assert!(proof.counters.is_none_or(|told| told == counters), "{what}");
        }
    }

    /// No file of the station holds a secret that any slot ever got.
    fn assert_no_secret_on_disk(&self, serial: u32) {
        let held = self.rack.held(serial).unwrap();
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            let code = held.access_code.map(|code| hex(&code));
            for secret in [Some(hex(&held.key)), Some(hex(&held.private_id)), code].into_iter().flatten() {
                assert!(!text.contains(&secret), "{secret}");
            }
            assert!(!bytes.windows(16).any(|window| window == held.key));
        }
    }
}

#[tokio::test]
async fn keys_in_a_row_without_a_server() {
    let desk = Desk::with_keys(20);
    let text: String = (1..=20).map(|number| format!("user-{number}\n")).collect();
    let job = Job { access_code: true, ..job(list(&text)) };
    let first = desk.run(&job).await;
    assert!(matches!(first.ended, Ended::ListDone), "{:?}", first.ended);
    assert!(first.rows.iter().all(|row| row.result == RowResult::Recorded && !row.resumed));
    for serial in 1..=20 {
        desk.assert_in_bundle(serial, "a straight run");
        desk.assert_no_secret_on_disk(serial);
    }
    // Nothing more to do adds nothing.
    let before = fs::read(desk.folder.path().join("bundle")).unwrap();
    assert!(matches!(desk.run(&job).await.ended, Ended::ListDone));
    assert_eq!(fs::read(desk.folder.path().join("bundle")).unwrap(), before);
}

/// Killed at every step, in every way, with and without access codes and old contents, then run again.
#[tokio::test]
async fn a_kill_at_any_step_is_mended_by_running_it_again() {
    for (access_code, foreign, public_id) in [
        (false, false, PublicIdChoice::Server),
        (true, false, PublicIdChoice::Serial),
        (true, true, PublicIdChoice::Server),
    ] {
        for how in [Death::Before, Death::Half, Death::After] {
            for at in 0.. {
                let what = format!("{how:?} step {at}, access code {access_code}, foreign {foreign}");
                let desk = Desk::with_keys(2);
                if foreign {
                    desk.rack.program_foreign(1, Slot::Two, None);
                }
                let job = || Job { access_code, public_id, overwrite: foreign, ..job(list("alice\nbob\n")) };
                let reaper = Reaper::at(at, how);
                desk.run_until(&job(), &reaper).await;
                let died = reaper.is_dead();
                desk.rack.plug_in_all();
                let second = desk.run(&job()).await;
                assert!(matches!(second.ended, Ended::ListDone), "{what}: {:?}", second.ended);
                for serial in 1..=2 {
                    desk.assert_in_bundle(serial, &what);
                    desk.assert_no_secret_on_disk(serial);
                }
                if !died {
                    assert!(at > 15, "every step was tried: {at}");
                    break;
                }
            }
        }
    }
}

/// Two kills in a row.
#[tokio::test]
async fn two_kills_are_mended_as_well() {
    for first in 0..13 {
        for second in 0..13 {
            let what = format!("steps {first} and {second}");
            let desk = Desk::with_keys(1);
            let job = || Job { access_code: true, ..job(list("alice\n")) };
            desk.run_until(&job(), &Reaper::at(first, Death::After)).await;
            desk.rack.plug_in_all();
            desk.run_until(&job(), &Reaper::at(second, Death::Half)).await;
            desk.rack.plug_in_all();
            let last = desk.run(&job()).await;
            assert!(matches!(last.ended, Ended::ListDone), "{what}: {:?}", last.ended);
            desk.assert_in_bundle(1, &what);
        }
    }
}

#[tokio::test]
async fn a_key_that_refuses_is_void_and_its_account_is_free() {
    let desk = Desk::with_keys(2);
    desk.rack.program_foreign(1, Slot::Two, Some([7; 6]));
    let job = Job { overwrite: true, ..job(list("alice\n")) };
    let run = desk.run(&job).await;
    assert!(matches!(run.ended, Ended::Stopped(StationError::Key { serial: 1, .. })), "{:?}", run.ended);
    assert!(desk.live().is_empty());
    desk.rack.take_away(1);
    desk.run(&job).await;
    desk.assert_in_bundle(2, "the next key");
}

/// Its slot may hold a record under an access code that nobody here knows: that record must count.
#[tokio::test]
async fn a_key_that_is_locked_by_a_lost_record_keeps_it() {
    let desk = Desk::with_keys(1);
    desk.rack.pull_out(1, true);
    let quick = Job { access_code: true, touch: false, overwrite: true, ..job(Accounts::One("a".into())) };
    desk.run(&quick).await;
    desk.rack.plug_in_all();
    let run = desk.run(&quick).await;
    assert!(matches!(run.ended, Ended::Stopped(StationError::Locked { serial: 1, .. })), "{:?}", run.ended);
    let touching = Job { touch: true, ..quick };
    let run = desk.run(&touching).await;
    assert_eq!((run.rows[0].result, run.rows[0].resumed), (RowResult::Recorded, true));
    desk.assert_in_bundle(1, "finished by a touch");
}

#[tokio::test]
async fn without_a_touch_there_is_no_proof() {
    let desk = Desk::with_keys(1);
    let quick = Job { touch: false, ..job(list("alice\n")) };
    let run = desk.run(&quick).await;
    assert_eq!(run.rows[0].result, RowResult::Unproven);
    assert!(desk.live()[0].1.is_empty());
    // A later run with a touch proves what is there instead of programming it anew.
    desk.rack.plug_in_all();
    let before = desk.rack.public_id(1);
    let run = desk.run(&Job { touch: true, ..quick }).await;
    assert_eq!((run.rows[0].result, run.rows[0].resumed), (RowResult::Recorded, true));
    assert_eq!(desk.rack.public_id(1), before);
    desk.assert_in_bundle(1, "proven later");
}

/// A disk with room for so many bytes.
struct SmallDisk(Arc<AtomicUsize>);

impl Disk for SmallDisk {
    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let room = self.0.load(Ordering::SeqCst);
        let fits = bytes.len().min(room);
        self.0.store(room - fits, Ordering::SeqCst);
        RealDisk.append(path, &bytes[..fits])?;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn truncate(&mut self, path: &Path, length: u64) -> io::Result<()> {
        RealDisk.truncate(path, length)
    }
}

#[tokio::test]
async fn a_full_disk_stops_cleanly() {
    for room in (400..8000).step_by(193) {
        let desk = Desk::with_keys(3);
        let job = job(list("alice\nbob\ncarol\n"));
        let left = Arc::new(AtomicUsize::new(room));
        let disk = || -> Box<dyn Disk> { Box::new(SmallDisk(Arc::clone(&left))) };
        if let Some(run) = desk.try_run(&job, &desk.rack, disk).await {
            let Ended::Stopped(error) = &run.ended else { panic!("{room}: {:?}", run.ended) };
            assert!(matches!(error, StationError::Bundle(_) | StationError::Journal(_)), "{room}: {error}");
        }
        desk.rack.plug_in_all();
        assert!(matches!(desk.run(&job).await.ended, Ended::ListDone), "{room}");
        for serial in 1..=3 {
            desk.assert_in_bundle(serial, &format!("room for {room} bytes"));
        }
    }
}
