//! Named scenarios: what once broke this design on paper, each a script over the simulated world.
//!
//! A script says what the applications do and what goes wrong; the rest (how long each step takes,
//! what a power cut leaves, which journal commands go together) is decided by a seed, and every
//! script runs with several. Every point that is published is judged by the oracle, and at the end
//! of each script the newest point must be the source.

mod cloud_side;
mod failures;
mod lives;
mod ordering;

use super::{
    capture::{ClientId, Death, Wanted},
    context::Trace,
    counters::Counters,
    faults::Fault,
    run::{come_to_rest, look_back},
    settings::Settings,
    world::{Event, World},
};
use bcdr_disk::SeededRandom;

/// Seeds per scenario, unless `BCDR_SEEDS` says otherwise.
const SEEDS: u64 = 24;
/// The longest anything may take, in microseconds of virtual time.
const PATIENCE: u64 = 10_000_000;

/// A world and the hand that moves it.
struct Script {
    world: World,
    asked: usize,
}

/// Runs a script with several seeds; returns what happened in all of them.
fn scenario(change: impl Fn(&mut Settings), play: impl Fn(&mut Script)) -> Counters {
    let seeds = std::env::var("BCDR_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let one = std::env::var("BCDR_SEED")
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    let first = one.unwrap_or(1);
    let count = if one.is_some() {
        1
    } else {
        seeds.unwrap_or(SEEDS).min(SEEDS)
    };
    let mut counters = Counters::default();
    for seed in first..first + count {
        let mut settings = Settings::plain();
        change(&mut settings);
        let trace = if one.is_some() {
            Trace::on(400)
        } else {
            Trace::default()
        };
        let world = World::new(&settings, SeededRandom::new(seed), trace.clone());
        let mut script = Script { world, asked: 0 };
        script.world.look_at_one_in = 1;
        script.world.begin();
        play(&mut script);
        script.end();
        if let Some(reason) = script.world.cx.violation() {
            trace.lines().iter().for_each(|line| println!("{line}"));
            panic!("with BCDR_SEED={seed}: {reason}");
        }
        counters.merge(&script.world.cx.counters);
    }
    counters
}

fn happened(counters: &Counters, what: &[&str]) {
    for what in what {
        assert!(
            counters.of(what) > 0,
            "{what:?} never happened:\n{counters}"
        );
    }
}

impl Script {
    /// A client that has asked for nothing yet asks for something, and does not wait.
    fn ask(&mut self, wanted: Wanted) {
        let mut patience = PATIENCE;
        while !self.world.capture.serves() && patience > 0 {
            self.world.run_for(1_000);
            patience -= 1_000;
        }
        if self.world.cx.violation().is_some() {
            return;
        }
        self.asked += 1;
        let client = ClientId(self.asked);
        assert!(
            self.world
                .capture
                .request(&mut self.world.cx, client, wanted),
            "nobody serves"
        );
    }

    fn write(&mut self, first: u32, sectors: u32) {
        self.ask(Wanted::Write {
            volume: 0,
            first,
            sectors,
            fua: false,
        });
    }

    /// Writes until the journal is full and the group goes untracked.
    fn fill_the_journal(&mut self) {
        self.inflict(Fault::CutShip);
        for place in 0..400 {
            if self.world.is_untracked() || self.world.cx.violation().is_some() {
                return;
            }
            self.write(place % 7 * 32, 32);
            self.wait(2_000);
        }
        let status = self.world.capture.status(&self.world.cx);
        self.world
            .cx
            .violated(format!("the journal never fills: {status}"));
    }

    fn zero(&mut self, first: u32, sectors: u32) {
        self.ask(Wanted::Zero {
            volume: 0,
            first,
            sectors,
            unmap: true,
            fua: false,
        });
    }

    /// Writes all over the volume, a little after the other.
    fn write_all_over(&mut self) {
        for first in (0..256).step_by(16) {
            self.write(first, 16);
            self.wait(200);
        }
    }

    fn wait(&mut self, microseconds: u64) {
        self.world.run_for(microseconds);
    }

    /// Runs until something holds.
    fn until(&mut self, what: &str, done: impl FnMut(&World) -> bool) {
        let was_done = self.world.run_until(PATIENCE, done);
        if !was_done && self.world.cx.violation().is_none() {
            self.world
                .cx
                .violated(format!("it never came about that {what}"));
        }
    }

    fn count(&self, what: &str) -> u64 {
        self.world.cx.counters.of(what)
    }

    /// Runs until something has happened once more.
    fn until_again(&mut self, what: &'static str) {
        let before = self.count(what);
        self.until(what, |world| world.cx.counters.of(what) > before);
    }

    /// Runs until every request was answered.
    fn until_answered(&mut self) {
        self.until("everything is answered", |world| world.cx.oracle.is_quiet());
    }

    /// Runs until the newest point is the source.
    fn until_converged(&mut self) {
        self.until("the cloud side has caught up", super::run::converged);
    }

    fn inflict(&mut self, fault: Fault) {
        self.world.inflict(fault);
    }

    fn heal(&mut self, fault: Fault) {
        self.world.heal(fault);
    }

    /// The capture's process dies and is back after a moment.
    fn kill_capture(&mut self) {
        self.world.end_capture(Death::Killed);
    }

    fn ask_for_marker(&mut self) {
        self.world.cx.schedule.after(0, Event::Marker);
    }

    /// All faults stop, everything converges, everything published is looked at again.
    fn end(&mut self) {
        come_to_rest(&mut self.world);
        look_back(&mut self.world);
    }
}
