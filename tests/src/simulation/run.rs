//! A whole run from one seed: a restless phase in which everything goes wrong, then a quiet one in
//! which everything must come right again.

use super::{
    capture::{ClientId, Wanted},
    context::Trace,
    counters::Counters,
    settings::Settings,
    stamp::Cell,
    world::{Event, World},
};
use bcdr_disk::SeededRandom;
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Writes of a run, at least.
const WRITES: u64 = 2_000;
/// Faults of a run, at least.
const FAULTS: u64 = 20;
/// The longest restless phase, in microseconds of virtual time.
const RESTLESS: u64 = 600_000_000;
/// The longest quiet phase.
const QUIET: u64 = 20_000_000;
/// Lines of the trace that are kept, unless `BCDR_TRACE` says otherwise.
const TRACE_LINES: usize = 200;
/// Points looked at when all is quiet, besides the newest and the oldest.
const POINTS_AT_THE_END: usize = 20;

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What happened how often.
    pub counters: Counters,
    /// A number that depends on everything that happened: the same seed gives the same one.
    pub fingerprint: u64,
}

/// A run that broke an invariant.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What was broken.
    pub reason: String,
    /// The last things that happened.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(formatter, "{line}")?;
        }
        writeln!(
            formatter,
            "seed {} breaks an invariant: {}",
            self.seed, self.reason
        )?;
        write!(
            formatter,
            "run it again with: BCDR_SEED={} cargo nextest run -p bcdr-tests --no-capture simulation_of_seeds",
            self.seed
        )
    }
}

/// Runs a seed. One that fails is run again with a trace.
///
/// # Errors
/// When an invariant is broken, or the product panics.
pub fn run(seed: u64) -> Result<Report, Failure> {
    match attempt(seed, Trace::default()) {
        Ok(report) => Ok(report),
        Err(reason) => {
            let lines = std::env::var("BCDR_TRACE")
                .ok()
                .and_then(|text| text.parse().ok());
            let trace = Trace::on(lines.unwrap_or(TRACE_LINES));
            let again = attempt(seed, trace.clone());
            let mut trace = trace.lines();
            match again {
                Err(same) if same == reason => {}
                other => trace.push(format!("the second run went otherwise: {other:?}")),
            }
            Err(Failure {
                seed,
                reason,
                trace,
            })
        }
    }
}

fn attempt(seed: u64, trace: Trace) -> Result<Report, String> {
    let run = AssertUnwindSafe(|| {
        let mut random = SeededRandom::new(seed);
        let settings = Settings::random(&mut random);
        let mut world = World::new(&settings, random, trace);
        live(&mut world);
        match world.cx.violation() {
            None => Ok(report(&mut world)),
            Some(reason) => Err(reason.to_owned()),
        }
    });
    catch_unwind(run).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!(
            "a panic: {}",
            text.unwrap_or_else(|| "without words".to_owned())
        ))
    })
}

fn report(world: &mut World) -> Report {
    let milliseconds = world.cx.schedule.now() / 1000;
    world.cx.counters.add("virtual milliseconds", milliseconds);
    let fingerprint = world.cx.random.next_u64() ^ world.cx.schedule.now();
    Report {
        counters: world.cx.counters.clone(),
        fingerprint,
    }
}

fn live(world: &mut World) {
    world.restless = true;
    world.begin();
    world.cx.schedule.after(100_000, Event::Fault);
    world.cx.schedule.after(50_000, Event::Marker);
    let enough =
        |world: &World| world.clients.writes >= WRITES && world.cx.counters.of("faults") >= FAULTS;
    if !world.run_until(RESTLESS, enough) {
        if world.cx.violation().is_none() {
            let (writes, up) = (world.clients.writes, world.capture.is_up());
            world.cx.violated(format!(
                "only {writes} writes were done (capture runs: {up})"
            ));
        }
        return;
    }
    come_to_rest(world);
    look_back(world);
}

/// Faults stop: everything must converge by itself.
pub(super) fn come_to_rest(world: &mut World) {
    world.cx.trace(|| "FAULTS STOP".to_owned());
    world.restless = false;
    world.heal_all();
    world.capture.held_down = false;
    for event in [Event::CaptureStart, Event::GatewayStart, Event::CloudStart] {
        world.cx.schedule.after(100_000, event);
    }
    world.run_for(200_000);
    world.clients.quiet = true;
    overwrite_voids(world);
    let converged = world.run_until(QUIET, converged);
    if !converged && world.cx.violation().is_none() {
        let state = format!(
            "tap {:?}, gateway drained {}, cloud {:?} publishable {}",
            world.capture.status(&world.cx),
            world.gateway.is_drained(),
            world.cloud.standing(),
            world.cloud.is_publishable(),
        );
        world.cx.violated(format!(
            "it does not converge once the faults stop: {state}"
        ));
    }
}

/// What could not be read after a failed write is written again, so that the end can be exact.
fn overwrite_voids(world: &mut World) {
    let clients = (1_000_000..).map(ClientId);
    for (client, (volume, first, sectors)) in clients.zip(world.cx.oracle.voids()) {
        let wanted = Wanted::Write {
            volume,
            first,
            sectors,
            fua: false,
        };
        while !world.capture.serves() && world.cx.violation().is_none() {
            world.step();
        }
        world.capture.request(&mut world.cx, client, wanted);
    }
}

pub(super) fn converged(world: &World) -> bool {
    let (fed, all) = world.capture.fed(&world.cx);
    let Some((held, published)) = world.cloud.standing() else {
        return false;
    };
    all && !world.is_untracked()
        && world.gateway.is_drained()
        && world.cloud.is_publishable()
        && held == fed
        && published.is_some()
        && world.cx.oracle.is_quiet()
}

/// The newest point is the source; the newest, the oldest and twenty others are prefixes still.
pub(super) fn look_back(world: &mut World) {
    if world.cx.violation().is_some() {
        return;
    }
    world.cloud.check_all_kept(&mut world.cx);
    if let Some(newest) = world.cloud.published() {
        match world.cloud.image(newest.batch) {
            Ok(image) => {
                let equal = world.cx.oracle.check_equal(&image);
                world.cx.check(equal, "the newest point is not the source");
                if image.0.iter().flatten().any(|cell| *cell == Cell::Unknown) {
                    world
                        .cx
                        .violated("the newest point has unknown ranges that were overwritten");
                }
            }
            Err(reason) => world
                .cx
                .violated(format!("the newest point cannot be read: {reason}")),
        }
    }
    let points = world.cloud.points().to_vec();
    let mut chosen = vec![points.len().saturating_sub(1), 0];
    for _ in 0..POINTS_AT_THE_END {
        chosen.push(world.cx.random.index(points.len().max(1)));
    }
    for index in chosen {
        if let Some(judged) = points.get(index) {
            world.judge(judged);
        }
    }
}
