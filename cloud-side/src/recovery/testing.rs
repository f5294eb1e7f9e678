//! What the tests here share: a site where every command succeeds, and one that drives a placement.

use super::*;
use crate::{receive::PointId, target::LaunchSettings};
use bcdr_format::{
    Generation, GroupId, IncarnationOrdinal, Position, Sequence, Timestamp, VolumeId,
};

pub(super) const NOW: Timestamp = Timestamp(1_000_000_000);

pub(super) fn position(sequence: u64) -> Position {
    Position {
        ordinal: IncarnationOrdinal(1),
        sequence: Sequence(sequence),
    }
}

pub(super) fn failover_id(number: u32) -> FailoverId {
    format!("fov-{number:026}").parse().unwrap()
}

pub(super) fn failback_id(number: u32) -> FailbackId {
    format!("fbk-{number:026}").parse().unwrap()
}

pub(super) fn failover_request(
    id: &str,
    mode: FailoverMode,
    policy: CommitPolicy,
) -> FailoverRequest {
    FailoverRequest {
        request_id: id.to_owned(),
        operator: "ops".to_owned(),
        mode,
        point: PointChoice::Latest,
        policy,
        isolation_confirmed: false,
        interrupted_at: None,
        launch: LaunchSettings::default(),
        networks: Vec::new(),
        preview: None,
    }
}

pub(super) fn failback_request(id: &str, seed: Seed) -> FailbackRequest {
    FailbackRequest {
        request_id: id.to_owned(),
        operator: "ops".to_owned(),
        seed,
        confirmed: Vec::new(),
        policy: CommitPolicy::Manual,
        round_every_seconds: 30,
    }
}

pub(super) fn restore_id(number: u32) -> RestoreJobId {
    format!("rst-{number:026}").parse().unwrap()
}

pub(super) fn restore_request(id: &str) -> RestoreRequest {
    RestoreRequest {
        request_id: id.to_owned(),
        operator: "ops".to_owned(),
        point: PointChoice::Point(PointId(position(3))),
        undoes: None,
        preview: None,
    }
}

pub(super) fn disks() -> Vec<ConfirmedDisk> {
    vec![ConfirmedDisk {
        volume: VolumeId::from_u128(7),
        serial: "S1".to_owned(),
    }]
}

/// What a site tells where everything goes well.
pub(super) fn good_answer(action: &Action) -> StepResult {
    match action {
        Action::ProbeSource => StepResult::Probed(Probe::Unreachable),
        Action::DrainSource => StepResult::Drained {
            position: position(9),
        },
        Action::Fence { generation, .. } => StepResult::Fenced {
            generation: *generation,
        },
        Action::PrecheckRestore { .. } => StepResult::Pinned {
            point: PointId(position(3)),
            time: NOW,
        },
        Action::PlaceBookmark { .. } => StepResult::Pinned {
            point: PointId(position(10)),
            // The source went on for a while before.
            time: Timestamp(NOW.0 + 5_000_000),
        },
        Action::RestoreDisks { .. } => StepResult::Restored {
            fetched_bytes: 4096,
            written_bytes: 8192,
        },
        Action::PinPoint { .. } => StepResult::Pinned {
            point: PointId(position(9)),
            time: NOW,
        },
        Action::CreateBranch { .. } => StepResult::BranchCreated {
            branch: BranchName("branch".to_owned()),
        },
        Action::BootInstance { .. } | Action::RestartTarget { .. } => StepResult::Booted {
            instance: InstanceName("instance".to_owned()),
        },
        Action::ClimbRungs { .. } => StepResult::Climbed {
            passed: true,
            detail: "all rungs".to_owned(),
        },
        Action::InspectHome => StepResult::Inspected {
            disks: vec![HomeDisk {
                volume: VolumeId::from_u128(7),
                serial: "S1".to_owned(),
                size_bytes: 1 << 20,
                blank: false,
            }],
        },
        Action::KeepLeftBehind { .. } | Action::KeepHomeWrites => StepResult::LeftBehind {
            branch: Some(BranchName("left".to_owned())),
        },
        Action::PlanSeed { .. } => StepResult::SeedPlanned {
            method: SeedMethod::ChangedRanges,
            bytes: Some(4096),
        },
        Action::CopyRound { .. } | Action::FinalDelta { .. } => StepResult::Copied {
            sent_bytes: 4096,
            remaining_bytes: 0,
        },
        Action::CompareDigests { .. } => StepResult::Compared {
            equal: true,
            detail: "equal".to_owned(),
        },
        _ => StepResult::Done,
    }
}

pub(super) fn done(command: &Command) -> Event {
    let result = match &command.action {
        // In these tests a planned failover finds its source at work.
        Action::ProbeSource => StepResult::Probed(Probe::Seen {
            generation: Generation(1),
            serving: Serving::No,
        }),
        action => good_answer(action),
    };
    Event::StepDone {
        ticket: command.ticket,
        result,
    }
}

pub(super) fn failed(command: &Command) -> Event {
    Event::StepFailed {
        ticket: command.ticket,
        code: "broken".to_owned(),
        cause: "it broke".to_owned(),
        remedy: "mend it".to_owned(),
    }
}

/// The placement as the next process finds it.
pub(super) fn reload(placement: &Placement) -> Placement {
    serde_json::from_slice(&serde_json::to_vec(placement).unwrap()).unwrap()
}

/// A group and all commands that were carried out for it.
pub(super) struct Driver {
    pub(super) placement: Placement,
    pub(super) carried_out: Vec<Action>,
    pub(super) finished: Vec<PlacementJob>,
    pub(super) now: Timestamp,
    /// Kills the process after each command was carried out, before its answer is taken in.
    pub(super) kill_always: bool,
}

impl Driver {
    pub(super) fn new() -> Self {
        Self {
            placement: Placement::new(GroupId::from_u128(3), Generation(1)),
            carried_out: Vec::new(),
            finished: Vec::new(),
            now: NOW,
            kill_always: false,
        }
    }

    pub(super) fn start(&mut self, mode: FailoverMode, policy: CommitPolicy) {
        let request = failover_request(&format!("r{}", self.finished.len()), mode, policy);
        let started = self
            .placement
            .start_failover(failover_id(1), request, self.now);
        assert!(matches!(started, Ok(Started::New(_))));
    }

    pub(super) fn start_back(&mut self, seed: Seed) {
        let request = failback_request(&format!("b{}", self.finished.len()), seed);
        let started = self
            .placement
            .start_failback(failback_id(1), request, self.now);
        assert!(matches!(started, Ok(Started::New(_))));
    }

    pub(super) fn start_restore(&mut self) {
        let number = u32::try_from(self.finished.len()).unwrap() + 1;
        let request = restore_request(&format!("i{number}"));
        let started = self
            .placement
            .start_restore(restore_id(number), request, self.now);
        assert!(matches!(started, Ok(Started::New(_))));
    }

    pub(super) fn tell(&mut self, event: Event) -> Result<Handled, Refused> {
        let handled = self.placement.handle(&event, self.now)?;
        let is_over = |job: &&PlacementJob| job.progress().stage == Stage::Ended;
        let ended = handled.records.iter().filter(is_over).cloned();
        self.finished.extend(ended);
        Ok(handled)
    }

    /// Carries commands out until nothing is to be done, or the next one is for `stop_at`.
    pub(super) fn run_to(&mut self, stop_at: Option<Step>) {
        for _ in 0..200 {
            let Some(command) = self.placement.command() else {
                return;
            };
            if stop_at.is_some() && self.step() == stop_at {
                return;
            }
            self.carried_out.push(command.action.clone());
            if self.kill_always {
                self.placement = reload(&self.placement);
                assert_eq!(self.placement.command(), Some(command.clone()));
            }
            self.tell(done(&command)).unwrap();
        }
        panic!("the job never comes to rest");
    }

    pub(super) fn run(&mut self) {
        self.run_to(None);
    }

    /// Fails the current command.
    pub(super) fn fail(&mut self) {
        let command = self.placement.command().unwrap();
        self.tell(failed(&command)).unwrap();
    }

    pub(super) fn pass_seconds(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.now = Timestamp(self.now.0 + 1_000_000);
            self.tell(Event::Tick).unwrap();
        }
    }

    pub(super) fn step(&self) -> Option<Step> {
        if let Some(split) = self.placement.split_brain() {
            return Some(split.keeping.as_ref()?.progress.step);
        }
        Some(self.placement.job()?.progress().step)
    }

    pub(super) fn stage(&self) -> Option<Stage> {
        Some(self.placement.job()?.progress().stage)
    }

    pub(super) fn state(&self) -> PlacementState {
        self.placement.state()
    }

    pub(super) fn see_writable(&mut self, generation: u64) {
        self.tell(Event::SourceSeen {
            generation: Generation(generation),
            serving: Serving::Writable,
        })
        .unwrap();
    }

    /// A group whose production was failed over for good.
    pub(super) fn at_target() -> Self {
        let mut driver = Self::new();
        driver.start(FailoverMode::Emergency, CommitPolicy::Manual);
        driver.run();
        driver.tell(Event::Commit).unwrap();
        assert_eq!(driver.state(), PlacementState::TargetActive);
        driver.carried_out.clear();
        driver
    }

    /// A group whose home follows the target.
    pub(super) fn following() -> Self {
        let mut driver = Self::at_target();
        driver.start_back(Seed::OriginalDisk);
        driver.run();
        driver.tell(Event::ConfirmSeed { disks: disks() }).unwrap();
        driver.run();
        assert_eq!(driver.state(), PlacementState::ReverseProtected);
        driver
    }

    pub(super) fn fences(&self) -> Vec<(u64, Site)> {
        self.carried_out
            .iter()
            .filter_map(|action| match action {
                Action::Fence { generation, holder } => Some((generation.0, *holder)),
                _ => None,
            })
            .collect()
    }
}

/// Production at the target, nothing follows it.
pub(crate) fn at_target() -> Placement {
    Driver::at_target().placement
}

/// Production at the target; a failback awaits the confirmation of its disks.
pub(crate) fn reversing() -> Placement {
    let mut driver = Driver::at_target();
    driver.start_back(Seed::OriginalDisk);
    driver.run();
    assert_eq!(driver.state(), PlacementState::Reversing);
    driver.placement
}

/// Production at the target, and home holds what it was at the time that is given; if so asked, with
/// a later round that failed.
pub(crate) fn following(fails: bool) -> (Placement, Timestamp) {
    let mut driver = Driver::following();
    if fails {
        driver.pass_seconds(30);
        driver.fail();
    }
    assert_eq!(driver.state(), PlacementState::ReverseProtected);
    (driver.placement, NOW)
}

/// Production on its way home.
pub(crate) fn failing_back() -> Placement {
    let mut driver = Driver::following();
    driver.tell(Event::Cutover).unwrap();
    assert_eq!(driver.state(), PlacementState::FailingBack);
    driver.placement
}

/// A failover that awaits its decision.
pub(crate) fn awaiting_commit(policy: CommitPolicy) -> Placement {
    let mut driver = Driver::new();
    driver.start(FailoverMode::Emergency, policy);
    driver.run();
    assert_eq!(driver.state(), PlacementState::TargetUncommitted);
    driver.placement
}

/// A failover that is not blocked, and one that is.
pub(crate) fn blocked() -> [Placement; 2] {
    let mut driver = Driver::new();
    driver.start(FailoverMode::Emergency, CommitPolicy::Manual);
    driver.run_to(Some(Step::BootInstance));
    let before = driver.placement.clone();
    driver.fail();
    assert_eq!(driver.stage(), Some(Stage::Blocked));
    [before, driver.placement]
}

/// Production at the target while the source, which knows this generation, takes writes too.
pub(crate) fn split(generation: u64) -> Placement {
    let mut driver = Driver::at_target();
    driver.see_writable(generation);
    assert_eq!(driver.state(), PlacementState::SplitBrainSuspected);
    driver.placement
}
