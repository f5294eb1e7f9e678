//! Looking at a running instance: feeds the ladder until it is climbed, then holds if asked to.
//!
//! The only place where the engine looks at a running instance; what it asks of the machine over its
//! network is asked by the [`Prober`]. Decisions are the ladder's.

use std::time::Duration;

use super::{
    Ladder, LadderState, RungResult,
    engine::{Drill, Halt},
    prober::Prober,
};
use crate::target::{
    ConsoleOffset, InstanceRecord, InstanceState, IsolationSample, IsolationVerdict, Observation,
    TargetError,
};

/// Pause between two looks at the console: the precision of the rungs' times.
const CONSOLE_PAUSE: Duration = Duration::from_millis(50);
/// Pause between two looks at the instance's state.
const STATE_PAUSE: Duration = Duration::from_secs(1);
/// Pause between two looks at the instance's isolation.
const ISOLATION_PAUSE: Duration = Duration::from_secs(5);
/// How long the console is read on after a failure, for the lines that explain it.
const AFTERMATH: Duration = Duration::from_secs(2);
/// Looks at the state that may fail in a row before the instance counts as lost.
const FAILED_LOOKS_MAX: u32 = 3;
/// Looks at the isolation of a halted instance that may find nothing out before it is given up.
const RELEASE_LOOKS_MAX: u32 = 5;
/// Pause between two of them.
const RELEASE_PAUSE: Duration = Duration::from_millis(200);
/// Most console output of one drill, in bytes; a machine that prints more is stopped.
const CONSOLE_BYTES_MAX: u64 = 64 << 20;

/// When the next look of each kind is due, and how far the console was read.
pub(super) struct Schedule {
    state: Duration,
    isolation: Duration,
    console: ConsoleOffset,
    failed_looks: u32,
    prober: Prober,
}

impl Schedule {
    fn at(now: Duration) -> Self {
        Self {
            state: now,
            isolation: now,
            console: ConsoleOffset::default(),
            failed_looks: 0,
            prober: Prober::default(),
        }
    }
}

/// Climbs the ladder. Returns where the looks at the instance are to go on.
pub(super) async fn climb(drill: &mut Drill<'_>) -> Result<Schedule, Halt> {
    let record = running(drill)?;
    let mut schedule = Schedule::at(drill.now());
    let mut announced = decided(&drill.rungs());
    loop {
        look(drill, &record, &mut schedule).await;
        let rungs = drill.rungs();
        if decided(&rungs) != announced {
            announced = decided(&rungs);
            drill.announce().await;
        }
        match ladder(drill)?.state() {
            LadderState::Passed => return Ok(schedule),
            LadderState::Failed(_) => {
                read_aftermath(drill, &record, &mut schedule).await;
                return Err(Halt::Failed(failure(&drill.rungs())));
            }
            LadderState::Climbing(_) => pause(drill, CONSOLE_PAUSE).await?,
        }
    }
}

/// Leaves the instance running until its lease ends, a stop is asked for, or it ends by itself.
/// Returns how it ended, in a sentence.
pub(super) async fn hold(drill: &mut Drill<'_>, mut schedule: Schedule) -> Result<String, Halt> {
    let record = running(drill)?;
    let end = drill.now() + Duration::from_secs(drill.request.hold_seconds.into());
    while drill.now() < end {
        if let Some(ended) = look_while_held(drill, &record, &mut schedule).await {
            return Ok(ended);
        }
        if let LadderState::Failed(_) = ladder(drill)?.state() {
            return Err(Halt::Failed(failure(&drill.rungs())));
        }
        if pause(drill, CONSOLE_PAUSE).await.is_err() {
            // Every rung is passed: this stop is the end the operator chose.
            return Ok("ended by a stop".to_owned());
        }
    }
    Ok("the lease ended".to_owned())
}

/// Lets the halted instance execute, once it was observed to be isolated. Not to know is a reason
/// to look again, and in the end one to refuse.
pub(super) async fn release(drill: &mut Drill<'_>, record: &InstanceRecord) -> Result<(), Halt> {
    let mut sample = sample_isolation(drill, record).await;
    for _ in 1..RELEASE_LOOKS_MAX {
        if sample.verdict != IsolationVerdict::Unknown {
            break;
        }
        pause(drill, RELEASE_PAUSE).await?;
        sample = sample_isolation(drill, record).await;
    }
    let (verdict, reason) = (sample.verdict, sample.reason.clone());
    note_isolation(drill, sample);
    match verdict {
        IsolationVerdict::Isolated => drill.target.release(record).await.map_err(Halt::failed),
        IsolationVerdict::NotIsolated => Err(Halt::failed(TargetError::NotIsolated { reason })),
        IsolationVerdict::Unknown => Err(Halt::failed(TargetError::IsolationUnknown { reason })),
    }
}

/// Takes one observation of the isolation and gives it to the ladder.
pub(super) async fn observe_isolation(drill: &mut Drill<'_>, record: &InstanceRecord) {
    let sample = sample_isolation(drill, record).await;
    if sample.verdict == IsolationVerdict::Unknown && has_ended(drill, record).await {
        // Nothing is there any more that could reach a network.
        return;
    }
    note_isolation(drill, sample);
}

async fn sample_isolation(drill: &Drill<'_>, record: &InstanceRecord) -> IsolationSample {
    let sample = drill.target.isolation(record).await;
    sample.unwrap_or_else(|error| IsolationSample {
        verdict: IsolationVerdict::Unknown,
        reason: format!("it could not be observed: {error}"),
        sockets: Vec::new(),
        network: None,
    })
}

fn note_isolation(drill: &mut Drill<'_>, sample: IsolationSample) {
    let now = drill.now();
    if let Some(ladder) = drill.ladder.as_mut() {
        ladder.handle_isolation(sample.verdict, &sample.reason, now);
    }
    drill.isolation.push(sample);
}

async fn has_ended(drill: &Drill<'_>, record: &InstanceRecord) -> bool {
    let observed = drill.target.observe(record).await;
    observed.is_ok_and(|seen| matches!(seen.state, InstanceState::Gone(_)))
}

async fn look(drill: &mut Drill<'_>, record: &InstanceRecord, schedule: &mut Schedule) {
    if drill.now() >= schedule.state {
        let observation = look_at_state(drill, record, schedule).await;
        let now = drill.now();
        schedule.state = now + STATE_PAUSE;
        if let (Some(ladder), Some(observation)) = (drill.ladder.as_mut(), observation) {
            match observation {
                Ok(()) => ladder.handle_instance_running(now),
                Err(obstacle) => ladder.handle_obstacle(&obstacle, now),
            }
        }
    }
    // After the state: a machine may speak before the first look, and what it says counts only
    // once it was seen to run.
    read_console(drill, record, schedule).await;
    let only_isolation = drill
        .ladder
        .as_ref()
        .is_some_and(Ladder::awaits_only_isolation);
    if drill.now() >= schedule.isolation || only_isolation && drill.isolation.is_empty() {
        observe_isolation(drill, record).await;
        schedule.isolation = drill.now() + ISOLATION_PAUSE;
    }
    let now = drill.now();
    let ways = || drill.target.ways_in(record);
    let timeout = drill.request.settings.probes.timeout();
    if let Some(ladder) = drill.ladder.as_mut() {
        let prober = &mut schedule.prober;
        prober
            .go_on(ladder, ways, &drill.scripts, timeout, now)
            .await;
        ladder.handle_time(now);
    }
}

async fn look_while_held(
    drill: &mut Drill<'_>,
    record: &InstanceRecord,
    schedule: &mut Schedule,
) -> Option<String> {
    read_console(drill, record, schedule).await;
    if drill.now() >= schedule.isolation {
        observe_isolation(drill, record).await;
        schedule.isolation = drill.now() + ISOLATION_PAUSE;
    }
    if drill.now() < schedule.state {
        return None;
    }
    let observation = look_at_state(drill, record, schedule).await;
    schedule.state = drill.now() + STATE_PAUSE;
    observation?.err()
}

async fn read_console(drill: &mut Drill<'_>, record: &InstanceRecord, schedule: &mut Schedule) {
    loop {
        let chunk = match drill.target.console(record, schedule.console).await {
            Ok(chunk) => chunk,
            Err(error) => {
                let now = drill.now();
                if let Some(ladder) = drill.ladder.as_mut() {
                    ladder.handle_obstacle(&error.to_string(), now);
                }
                return;
            }
        };
        if chunk.bytes.is_empty() {
            return;
        }
        schedule.console = chunk.next;
        let now = drill.now();
        if let Some(ladder) = drill.ladder.as_mut() {
            ladder.handle_console(&chunk.bytes, now);
        }
    }
}

/// Looks at the state once: fine, or an obstacle; `None` when it could not be seen this time.
async fn look_at_state(
    drill: &mut Drill<'_>,
    record: &InstanceRecord,
    schedule: &mut Schedule,
) -> Option<Result<(), String>> {
    match drill.target.observe(record).await {
        Ok(observation) => {
            schedule.failed_looks = 0;
            drill.overlay_bytes = drill.overlay_bytes.max(observation.overlay_bytes);
            // An ended machine may have said why: its last words come before the obstacle.
            if observation.state != InstanceState::Running {
                read_console(drill, record, schedule).await;
            }
            let limit = u64::from(drill.request.settings.overlay_limit_mib) << 20;
            Some(obstacle(&observation, limit).map_or(Ok(()), Err))
        }
        Err(error) => {
            schedule.failed_looks += 1;
            let lost = schedule.failed_looks >= FAILED_LOOKS_MAX;
            lost.then(|| Err(format!("the instance cannot be observed any more: {error}")))
        }
    }
}

fn obstacle(observation: &Observation, overlay_limit_bytes: u64) -> Option<String> {
    match &observation.state {
        InstanceState::Stopped(reason) => return Some(format!("the instance stopped: {reason}")),
        InstanceState::Gone(reason) => return Some(format!("the instance ended: {reason}")),
        InstanceState::Running => {}
    }
    if observation.overlay_bytes > overlay_limit_bytes {
        return Some(format!(
            "the machine wrote {} MiB to its throw-away disks and {} MiB are allowed; raise \
             overlay_limit_mib if that is right",
            observation.overlay_bytes >> 20,
            overlay_limit_bytes >> 20,
        ));
    }
    if observation.console_bytes > CONSOLE_BYTES_MAX {
        let most = CONSOLE_BYTES_MAX >> 20;
        return Some(format!(
            "the machine printed more than {most} MiB to its console"
        ));
    }
    None
}

async fn read_aftermath(drill: &mut Drill<'_>, record: &InstanceRecord, schedule: &mut Schedule) {
    let end = drill.now() + AFTERMATH;
    while drill.now() < end && pause(drill, CONSOLE_PAUSE).await.is_ok() {
        read_console(drill, record, schedule).await;
    }
}

async fn pause(drill: &Drill<'_>, length: Duration) -> Result<(), Halt> {
    tokio::select! {
        biased;
        () = drill.context.stop.cancelled() => Err(Halt::Stopped),
        () = tokio::time::sleep(length) => Ok(()),
    }
}

fn running(drill: &Drill<'_>) -> Result<InstanceRecord, Halt> {
    drill
        .record
        .clone()
        .ok_or_else(|| Halt::Failed("no instance was launched".to_owned()))
}

fn ladder<'d>(drill: &'d Drill<'_>) -> Result<&'d Ladder, Halt> {
    drill
        .ladder
        .as_ref()
        .ok_or_else(|| Halt::Failed("no ladder was set up".to_owned()))
}

/// How many rungs and probes are decided; a change is worth announcing.
fn decided(rungs: &[RungResult]) -> usize {
    let times = rungs.iter().flat_map(|rung| {
        let probes = rung.probes.iter().map(|probe| probe.at_seconds);
        probes.chain([rung.at_seconds])
    });
    times.flatten().count()
}

/// The failed rung and its reason, as one sentence.
fn failure(rungs: &[RungResult]) -> String {
    let failed = rungs
        .iter()
        .find(|rung| rung.verdict == super::RungVerdict::Failed);
    failed.map_or_else(
        || "a rung failed".to_owned(),
        |rung| {
            format!(
                "{}: {}",
                rung.rung.name(),
                rung.reason.as_deref().unwrap_or("no reason")
            )
        },
    )
}
