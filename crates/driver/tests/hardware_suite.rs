//! The suite for real keys, proven on an emulated one. What it shows about real keys is shown only by
//! `scripts/test-hardware SERIAL`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[allow(dead_code)]
#[path = "../examples/hardware/rig.rs"]
mod rig;
#[allow(dead_code)]
#[path = "../examples/hardware/scenarios.rs"]
mod scenarios;

use rig::EmulatedRig;
use scenarios::{Outcome, SCENARIOS};

#[test]
fn every_scenario_passes_on_an_emulated_key() {
    assert!(scenarios::is_software_serial(0xF000_0000) && !scenarios::is_software_serial(12_345_678));
    // The one that waits until the key gives up takes fifteen real seconds; `otp.rs` has it on a
    // clock that takes none.
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.name != "nobody touches") {
        let mut rig = EmulatedRig::new().unwrap();
        match (scenario.run)(&mut rig) {
            Ok(Outcome::Passed) => {}
            Ok(Outcome::Observed(what)) => println!("{}: {what}", scenario.name),
            Ok(Outcome::Skipped(why)) => panic!("{}: skipped: {why}", scenario.name),
            Err(error) => panic!("{}: {error}", scenario.name),
        }
    }
}
