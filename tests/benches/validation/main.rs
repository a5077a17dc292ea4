//! Validations per second: our server beside Debian's yubiserver and beside the bare group commit of
//! our own store, in one run, in turn.
//!
//! Run by `scripts/bench`, inside a network namespace of its own, because yubiserver listens on
//! every address.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::as_conversions,
    missing_docs
)]

mod floor;
mod load;
mod servers;

use std::time::Duration;

use load::Cell;

/// How many credentials take turns. Each connection has its own, as different people would.
pub(crate) const KEYS: usize = 1024;

fn main() {
    let seconds = std::env::var("TAPKEY_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let rounds: usize =
        std::env::var("TAPKEY_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let length = Duration::from_secs(seconds);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cells = [(1, true), (1, false), (8, true), (8, false), (64, true), (64, false)];

    let mut rows = Vec::new();
    for round in 0..rounds {
        let ours = servers::Tapkey::start();
        let theirs = servers::Yubiserver::start();
        for (connections, keep_alive) in cells {
            for server in [&ours as &dyn servers::Server, &theirs, &servers::WithoutStore(&ours)] {
                // yubiserver closes after every answer, so there is nothing to keep alive.
                if keep_alive && !server.keeps_alive() {
                    continue;
                }
                let cell = Cell { connections, keep_alive, length };
                let result = runtime.block_on(load::run(server, &cell));
                println!("round {round}: {} {connections} keep-alive={keep_alive}: {result}", server.name());
                rows.push((server.name(), cell, result));
            }
        }
        for waiting in [1, 8, 64] {
            let result = floor::run(waiting, length);
            println!("round {round}: group commit alone, {waiting} waiting: {result:.0}/s");
            rows.push((
                "group commit alone",
                Cell { connections: waiting, keep_alive: true, length },
                load::Measured::rate_only(result),
            ));
        }
    }
    report(&rows);
}

fn report(rows: &[(&'static str, Cell, load::Measured)]) {
    println!("\n| server | connections | keep-alive | answers/s | p50 ms | p99 ms | CPU µs each |");
    println!("|---|---|---|---|---|---|---|");
    let mut seen = Vec::new();
    for (name, cell, _) in rows {
        let id = (*name, cell.connections, cell.keep_alive);
        if seen.contains(&id) {
            continue;
        }
        seen.push(id);
        let mut same: Vec<_> = rows
            .iter()
            .filter(|(n, c, _)| (*n, c.connections, c.keep_alive) == id)
            .map(|(_, _, m)| m.clone())
            .collect();
        same.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        let median = &same[same.len() / 2];
        println!(
            "| {name} | {} | {} | {median} |",
            cell.connections,
            if cell.keep_alive { "yes" } else { "no" }
        );
    }
}
