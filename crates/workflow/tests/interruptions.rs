//! An enrolment that is cut at any point leaves nothing half-done, and running it again arrives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod fakes;

use std::sync::atomic::Ordering;

use fakes::{Cut, FakeKey, FakeServer, Finger, SERIAL, Slots, World};
use tapkey_protocol::{otp::PublicId, slot::Slot};
use tapkey_workflow::{EnrolError, Event, Plan, PublicIdChoice};

fn plan() -> Plan {
    Plan {
        account: "alice".into(),
        create_account: false,
        slot: Slot::Two,
        label: None,
        public_id: PublicIdChoice::Server,
        generate_access_code: false,
        current_access_code: None,
        overwrite: false,
    }
}

#[tokio::test]
async fn the_straight_way() {
    let world = World::new();
    let enrolled = world.enrol(&plan()).await.unwrap();
    assert!(!enrolled.resumed);
    world.assert_enrolled_once("alice");
    assert!(world.journal_is_empty());
}

/// Every place at which the way can be cut, each followed by the same command again.
#[tokio::test]
async fn every_cut_is_mended_by_running_it_again() {
    for generate_access_code in [false, true] {
        for cut in Cut::ALL {
            let world = World::new();
            let plan = Plan { generate_access_code, ..plan() };
            world.cut_once(cut);
            let first = world.enrol(&plan).await;
            assert!(first.is_err(), "{cut:?} did not cut");
            world.assert_nothing_unproven_is_active();
            world.assert_slot_is_old_or_pending();
            let second = world.enrol(&plan).await;
            assert!(second.is_ok(), "{cut:?}: {}", second.unwrap_err());
            world.assert_enrolled_once("alice");
            assert!(world.journal_is_empty(), "{cut:?}");
        }
    }
}

/// Two cuts in a row, in every combination.
#[tokio::test]
async fn two_cuts_are_mended_as_well() {
    for first in Cut::ALL {
        for second in Cut::ALL {
            let world = World::new();
            let plan = Plan { generate_access_code: true, ..plan() };
            world.cut_once(first);
            assert!(world.enrol(&plan).await.is_err());
            world.cut_once(second);
            let middle = world.enrol(&plan).await;
            world.clear_cut();
            world.assert_nothing_unproven_is_active();
            world.assert_slot_is_old_or_pending();
            // The second cut may lie on a part of the way that the first run had left behind it.
            if middle.is_err() {
                let third = world.enrol(&plan).await;
                assert!(third.is_ok(), "{first:?}, {second:?}: {}", third.unwrap_err());
            }
            world.assert_enrolled_once("alice");
        }
    }
}

#[tokio::test]
async fn a_programmed_slot_is_not_overwritten_unasked() {
    let world = World::new();
    world.key.lock().unwrap().slots = Slots::with_foreign(Slot::Two);
    let error = world.enrol(&plan()).await.unwrap_err();
    assert!(matches!(error, EnrolError::SlotProgrammed { slot: Slot::Two, leftover: false }), "{error}");
    assert_eq!(world.server.created.load(Ordering::SeqCst), 0, "the server was asked for nothing");
    world.enrol(&Plan { overwrite: true, ..plan() }).await.unwrap();
    world.assert_enrolled_once("alice");
}

/// The journal's word is good for a pending enrolment only: what the slot holds long after is its
/// owner's to say.
#[tokio::test]
async fn a_lapsed_enrolment_does_not_permit_overwriting() {
    let world = World::new();
    world.cut_once(Cut::Touch);
    assert!(world.enrol(&plan()).await.is_err());
    world.server.expire_all();
    world.key.lock().unwrap().slots = Slots::with_foreign(Slot::Two);
    let error = world.enrol(&plan()).await.unwrap_err();
    assert!(matches!(error, EnrolError::SlotProgrammed { leftover: true, .. }), "{error}");
    assert_eq!(world.key.lock().unwrap().slots, Slots::with_foreign(Slot::Two));
}

#[tokio::test]
async fn a_key_that_refuses_leaves_nothing_pending() {
    let world = World::new();
    world.key.lock().unwrap().protected_by = Some([1; 6]);
    let error = world.enrol(&Plan { overwrite: true, ..plan() }).await.unwrap_err();
    assert!(matches!(error, EnrolError::Refused(_)), "{error}");
    assert!(world.server.nothing_pending());
    assert!(world.journal_is_empty());
}

#[tokio::test]
async fn passwords_of_other_keys_and_used_ones_are_asked_for_again() {
    let world = World::new();
    world.finger.lock().unwrap().first_types =
        vec!["not a password".into(), "ccccccbchvthlivuitriujjifivbvtrjkjfirllluurj".into()];
    let mut refusals = 0;
    let mut count = |event| refusals += u32::from(matches!(event, Event::NotThisPassword { .. }));
    world.enrol_with(&plan(), &mut count).await.unwrap();
    assert_eq!(refusals, 2);
    world.assert_enrolled_once("alice");
}

#[tokio::test]
async fn another_account_gets_a_credential_of_its_own() {
    let world = World::new();
    world.cut_once(Cut::Touch);
    assert!(world.enrol(&plan()).await.is_err());
    world.enrol(&Plan { account: "bob".into(), ..plan() }).await.unwrap();
    world.assert_enrolled_once("bob");
    assert!(world.server.nothing_pending(), "alice's credential was given up");
}

/// Two keys that hide their serial numbers cannot be told apart, so nothing is resumed on them.
#[tokio::test]
async fn keys_without_a_serial_number_never_share_a_credential() {
    let world = World::new();
    world.key.lock().unwrap().serial = None;
    world.cut_once(Cut::Touch);
    assert!(world.enrol(&plan()).await.is_err());
    let first = world.key.lock().unwrap().slots.clone();
    world.key.lock().unwrap().slots = Slots::default();
    world.enrol(&plan()).await.unwrap();
    assert_ne!(world.key.lock().unwrap().slots, first);
}

#[tokio::test]
async fn a_public_id_from_the_serial_number() {
    let world = World::new();
    let plan = Plan { public_id: PublicIdChoice::Serial, ..plan() };
    let enrolled = world.enrol(&plan).await.unwrap();
    assert_eq!(enrolled.key.public_id, PublicId::from_serial(SERIAL).to_string());
    world.key.lock().unwrap().serial = None;
    let error = world.enrol(&Plan { slot: Slot::One, ..plan }).await.unwrap_err();
    assert!(matches!(error, EnrolError::NoSerial), "{error}");
}

/// The fakes are honest: they can be copied about, but they keep the real things' rules.
#[test]
fn types_are_what_the_crate_asks_for() {
    fn server<S: tapkey_workflow::EnrolmentServer>() {}
    fn key<K: tapkey_workflow::KeyPort>() {}
    fn touch<T: tapkey_workflow::TouchPort>() {}
    server::<FakeServer>();
    server::<tapkey_client::api::Client>();
    key::<FakeKey>();
    touch::<Finger>();
}
