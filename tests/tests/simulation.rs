//! Many seeds of the whole system, and proof that they met what they are there to meet.

use bcdr_tests::simulation::{Counters, Failure, run};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

/// Seeds of an ordinary run.
const SEEDS: u64 = 200;
/// The first of them.
const FIRST_SEED: u64 = 1;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text:?}")),
    )
}

/// Runs the seeds on all cores; returns what they counted and the failures.
fn run_all(first: u64, count: u64) -> (Counters, Vec<Failure>) {
    let next = AtomicU64::new(first);
    let (counters, failures) = (Mutex::new(Counters::default()), Mutex::new(Vec::new()));
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let enough = failures.lock().expect("no worker panics").len() >= 3;
            if seed >= first + count || enough {
                return;
            }
            match run(seed) {
                Ok(report) => counters
                    .lock()
                    .expect("no worker panics")
                    .merge(&report.counters),
                Err(failure) => failures.lock().expect("no worker panics").push(failure),
            }
        }
    };
    let cores = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(worker);
        }
    });
    (
        counters.into_inner().expect("no worker panics"),
        failures.into_inner().expect("no worker panics"),
    )
}

#[test]
fn simulation_of_seeds() {
    let started = Instant::now();
    let one = number("BCDR_SEED");
    let first = one.unwrap_or(FIRST_SEED);
    let count = number("BCDR_SEEDS").unwrap_or(if one.is_some() { 1 } else { SEEDS });
    let (counters, failures) = run_all(first, count);
    println!(
        "{count} seeds from {first} in {:.0} s",
        started.elapsed().as_secs_f64()
    );
    println!("{counters}");
    for failure in &failures {
        println!("{failure}\n");
    }
    let seeds: Vec<u64> = failures.iter().map(|failure| failure.seed).collect();
    assert!(
        failures.is_empty(),
        "seeds {seeds:?} break an invariant; see above"
    );
    if count >= SEEDS {
        let never = counters.never();
        assert!(
            never.is_empty(),
            "these never happened, so nothing was learnt of them: {never:?}"
        );
    }
}

#[test]
fn simulation_of_one_seed_is_always_the_same() {
    let once = |seed| match run(seed) {
        Ok(report) => report,
        Err(failure) => panic!("{failure}"),
    };
    assert_eq!(once(7), once(7));
}
