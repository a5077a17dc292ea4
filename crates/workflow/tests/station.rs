//! A provisioning station with fakes: many keys in a row, and every way in which a run can end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod fakes;
mod rack;

use std::sync::atomic::Ordering;

use fakes::{Cut, World};
use rack::{Rack, job, journal, list};
use tapkey_protocol::slot::Slot;
use tapkey_workflow::{
    Journal, PublicIdChoice,
    station::{Accounts, Ended, Job, Online, Row, RowResult, Run, StationError, StationEvent, run},
};

/// A rack of keys in front of a server.
struct Desk {
    world: World,
    rack: Rack,
    folder: tempfile::TempDir,
}

impl Desk {
    fn with_keys(count: u32) -> Self {
        Self { world: World::new(), rack: Rack::of(count), folder: tempfile::tempdir().unwrap() }
    }

    async fn run(&self, job: &Job) -> Run {
        self.run_with(job, &mut |_| ()).await
    }

    async fn run_with(&self, job: &Job, events: &mut (dyn FnMut(StationEvent) + Send)) -> Run {
        let mut journal = journal(self.folder.path());
        let mut bench = Online::new(&self.world.server, Journal::new(self.folder.path().join("enrolments")));
        run(job, self.rack.source(), &mut bench, &mut journal, events).await
    }
}

fn stopped(run: &Run) -> &StationError {
    match &run.ended {
        Ended::Stopped(error) => error,
        other => panic!("{other:?}"),
    }
}

fn names(rows: &[Row]) -> Vec<(u32, &str, RowResult)> {
    rows.iter().map(|row| (row.serial, row.account.as_str(), row.result)).collect()
}

#[tokio::test]
async fn a_hundred_keys_in_a_row_two_of_them_interrupted() {
    let desk = Desk::with_keys(100);
    let text: String = (1..=100).map(|number| format!("user-{number}\n")).collect();
    let job = Job { label: Some("desk-{n}/{serial}".parse().unwrap()), ..job(list(&text)) };
    // Pulled out while it is programmed, and after that.
    desk.rack.pull_out(17, false);
    desk.rack.pull_out(60, true);
    let first = desk.run(&job).await;
    assert!(matches!(first.ended, Ended::NoMoreKeys), "{:?}", first.ended);
    assert_eq!((first.progress.done, first.progress.of), (98, Some(100)));
    let cut: Vec<_> = first.rows.iter().filter(|row| row.result == RowResult::Interrupted).collect();
    assert_eq!(cut.iter().map(|row| row.serial).collect::<Vec<_>>(), [17, 60]);

    // Every key once more, as somebody would who is not sure.
    desk.rack.plug_in_all();
    let mut skipped = 0;
    let mut count = |event| skipped += usize::from(matches!(event, StationEvent::AlreadyDone(_)));
    let second = desk.run_with(&job, &mut count).await;
    assert!(matches!(second.ended, Ended::ListDone), "{:?}", second.ended);
    assert_eq!(
        second.rows.iter().map(|row| (row.serial, row.resumed)).collect::<Vec<_>>(),
        [(17, true), (60, true)]
    );
    assert!(skipped >= 58, "those before the last one: {skipped}");
    assert_eq!(desk.world.server.created.load(Ordering::SeqCst), 100, "each credential was drawn once");
    assert!(desk.world.server.nothing_pending());
    let mut labels: Vec<_> =
        first.rows.iter().chain(&second.rows).filter(|row| row.result.is_done()).collect();
    labels.sort_by_key(|row| row.serial);
    assert_eq!(labels.len(), 100);
    for (number, row) in (1..).zip(labels) {
        assert_eq!(row.account, format!("user-{number}"));
        assert_eq!(row.label, Some(format!("desk-{number}/{number}")));
        assert_eq!(desk.rack.public_id(row.serial), row.public_id);
    }
}

#[tokio::test]
async fn accounts_go_to_the_serials_that_they_name() {
    let desk = Desk::with_keys(3);
    let job = job(list("any,first\nthird,,3\nother\n"));
    let run = desk.run(&job).await;
    assert_eq!(
        names(&run.rows),
        [(1, "any", RowResult::Active), (2, "other", RowResult::Active), (3, "third", RowResult::Active)]
    );
    assert_eq!(run.rows[0].label.as_deref(), Some("first"));
    // A list that is done needs no more keys; one that grew goes on where it was.
    assert!(matches!(desk.run(&job).await.ended, Ended::ListDone));
    desk.rack.add(4);
    let job = Job { accounts: list("# grown\nany,first\nthird,,3\nother\nlast\n"), ..job };
    assert_eq!(names(&desk.run(&job).await.rows), [(4, "last", RowResult::Active)]);
}

#[tokio::test]
async fn a_list_without_a_row_for_the_key_stops() {
    let desk = Desk::with_keys(2);
    let run = desk.run(&job(list("alice,,1\nbob,,7\n"))).await;
    let error = stopped(&run);
    assert!(matches!(error, StationError::ListExhausted { serial: 2, .. }), "{error}");
    assert!(error.to_string().contains("1 rows of it name other serial numbers"), "{error}");
    assert_eq!(names(&run.rows), [(1, "alice", RowResult::Active)]);
}

#[tokio::test]
async fn the_first_unexpected_thing_stops_and_changes_nothing() {
    let desk = Desk::with_keys(3);
    desk.rack.program_foreign(2, Slot::Two, None);
    let one = Accounts::One("alice".into());
    let run = desk.run(&job(one.clone())).await;
    assert!(matches!(stopped(&run), StationError::SlotProgrammed { serial: 2, slot: Slot::Two }));
    assert_eq!(run.rows.len(), 1);
    // It stops there again, until somebody says what is to be done.
    assert!(matches!(
        stopped(&desk.run(&job(one.clone())).await),
        StationError::SlotProgrammed { serial: 2, .. }
    ));
    let run = desk.run(&Job { overwrite: true, ..job(one) }).await;
    assert_eq!(names(&run.rows), [(2, "alice", RowResult::Active), (3, "alice", RowResult::Active)]);

    let desk = Desk::with_keys(1);
    desk.rack.find_fault(1, "YSA-0000-00: it leaks");
    let strict = Job { refuse_faults: true, ..job(list("alice\n")) };
    let other = Job { model: Some("5c nfc".into()), ..job(list("alice\n")) };
    for (job, why) in [(strict, "it leaks"), (other, "it is a Key 1, and not a 5c nfc")] {
        let run = desk.run(&job).await;
        assert!(matches!(stopped(&run), StationError::Unfit { serial: 1, .. }));
        assert!(stopped(&run).to_string().contains(why), "{}", stopped(&run));
    }
    assert_eq!(desk.world.server.created.load(Ordering::SeqCst), 0);
    let mut told = Vec::new();
    let mut listen = |event| {
        if let StationEvent::Started { faults, .. } = event {
            told.extend(faults);
        }
    };
    let right = Job { model: Some("kEY".into()), ..job(list("alice\n")) };
    assert_eq!(desk.run_with(&right, &mut listen).await.rows.len(), 1);
    assert_eq!(told, ["YSA-0000-00: it leaks"]);
    let desk = Desk::with_keys(1);
    desk.rack.hide_serial(1);
    let run = desk.run(&job(list("alice\n"))).await;
    assert!(matches!(stopped(&run), StationError::NoSerial { .. }));
}

#[tokio::test]
async fn a_key_that_refuses_gives_its_account_back() {
    let desk = Desk::with_keys(2);
    desk.rack.program_foreign(1, Slot::Two, Some([9; 6]));
    let job = Job { overwrite: true, label: Some("{n}".parse().unwrap()), ..job(list("alice\n")) };
    let run = desk.run(&job).await;
    assert!(matches!(stopped(&run), StationError::Key { serial: 1, .. }), "{:?}", run.ended);
    assert_eq!(run.rows[0].result, RowResult::Failed);
    desk.rack.take_away(1);
    let run = desk.run(&job).await;
    assert_eq!(names(&run.rows), [(2, "alice", RowResult::Active)]);
    assert_eq!(run.rows[0].label.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_server_that_is_gone_stops_and_the_next_run_goes_on() {
    for cut in [Cut::BeforeCreate, Cut::AfterCreate, Cut::BeforeConfirm, Cut::AfterConfirm] {
        let desk = Desk::with_keys(2);
        desk.world.cut_once(cut);
        let job = job(list("alice\nbob\n"));
        let run = desk.run(&job).await;
        assert!(matches!(stopped(&run), StationError::Key { serial: 1, .. }), "{cut:?}");
        let run = desk.run(&job).await;
        assert!(matches!(run.ended, Ended::ListDone), "{cut:?}: {:?}", run.ended);
        assert_eq!(
            names(&run.rows),
            [(1, "alice", RowResult::Active), (2, "bob", RowResult::Active)],
            "{cut:?}"
        );
        assert_eq!(desk.world.server.created.load(Ordering::SeqCst), 2, "{cut:?}");
    }
}

#[tokio::test]
async fn a_key_that_is_broken_can_be_given_up() {
    let desk = Desk::with_keys(2);
    desk.rack.pull_out(1, true);
    let job = job(list("alice\n"));
    let run = desk.run(&job).await;
    let error = stopped(&run);
    assert!(error.to_string().contains("kept for keys that were begun: alice for 1"), "{error}");
    let mut kept = journal(desk.folder.path());
    kept.release(1).unwrap();
    drop(kept);
    assert_eq!(names(&desk.run(&job).await.rows), [(2, "alice", RowResult::Active)]);

    // One that is done, too: its slot is overwritten only on request.
    desk.rack.plug_in_all();
    desk.rack.take_away(1);
    let mut kept = journal(desk.folder.path());
    kept.release(2).unwrap();
    assert!(kept.release(7).is_err());
    drop(kept);
    assert!(matches!(stopped(&desk.run(&job).await), StationError::SlotProgrammed { serial: 2, .. }));
    let run = desk.run(&Job { overwrite: true, ..job }).await;
    assert_eq!(names(&run.rows), [(2, "alice", RowResult::Active)]);
}

#[tokio::test]
async fn without_a_touch_keys_stay_pending_until_one() {
    let desk = Desk::with_keys(2);
    let quick = Job { touch: false, ..job(list("alice\nbob\n")) };
    let run = desk.run(&quick).await;
    assert_eq!(names(&run.rows), [(1, "alice", RowResult::Pending), (2, "bob", RowResult::Pending)]);
    assert!(!desk.world.server.nothing_pending());
    desk.world.assert_nothing_unproven_is_active();
    assert!(matches!(desk.run(&quick).await.ended, Ended::ListDone));
    desk.rack.plug_in_all();
    let run = desk.run(&job(list("alice\nbob\n"))).await;
    assert_eq!(names(&run.rows), [(1, "alice", RowResult::Active), (2, "bob", RowResult::Active)]);
    assert!(desk.world.server.nothing_pending());
}

#[tokio::test]
async fn counting_and_cancelling() {
    let desk = Desk::with_keys(3);
    let job = Job { count: Some(2), ..job(Accounts::One("alice".into())) };
    let run = desk.run(&job).await;
    assert!(matches!(run.ended, Ended::Count));
    assert_eq!((run.rows.len(), run.progress.of), (2, Some(2)));
    desk.rack.cancel_at_touch(3);
    let run = desk.run(&job).await;
    assert!(matches!(run.ended, Ended::NoMoreKeys), "{:?}", run.ended);
    assert_eq!(names(&run.rows), [(3, "alice", RowResult::Interrupted)]);
    desk.rack.plug_in_all();
    let run = desk.run(&job).await;
    assert_eq!(names(&run.rows), [(3, "alice", RowResult::Active)]);
    assert!(run.rows[0].resumed);
}

#[tokio::test]
async fn public_ids_of_serials_and_access_codes() {
    let desk = Desk::with_keys(1);
    let job =
        Job { public_id: PublicIdChoice::Serial, access_code: true, ..job(Accounts::One("alice".into())) };
    let run = desk.run(&job).await;
    let public_id = tapkey_protocol::otp::PublicId::from_serial(1).to_string();
    assert_eq!(run.rows[0].public_id.as_ref(), Some(&public_id));
    assert!(desk.rack.is_protected(1));
}
