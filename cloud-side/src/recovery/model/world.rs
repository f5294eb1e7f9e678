//! The state of the model: the machine, the sites, the receiver, and what is left of the budget.

use super::*;

/// How often the unpleasant things happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    pub(super) wishes: u8,
    pub(super) failures: u8,
    pub(super) kills: u8,
    pub(super) crashes: u8,
    pub(super) writes: u8,
    pub(super) late: u8,
    /// Whether an operator restores in place.
    pub(super) restores: bool,
}

/// What a site remembers and does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Party {
    pub(super) alive: bool,
    pub(super) met: Generation,
    /// The generation under which it takes writes, if it does.
    pub(super) serving: Option<Generation>,
    /// The generation under which its last write was made, and is shipped.
    pub(super) wrote_under: Generation,
}

/// The disks at home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Home {
    pub(super) whole: bool,
    pub(super) confirmed: bool,
    pub(super) overwritten_unconfirmed: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct World {
    pub(super) placement: Placement,
    pub(super) source: Party,
    pub(super) target: Party,
    /// The newest generation that is durable at the receiver.
    pub(super) receiver: Generation,
    /// Writes the source took, and how many of them were received.
    pub(super) written: u8,
    pub(super) received: u8,
    pub(super) pin: Option<(FailoverId, u8)>,
    pub(super) pin_moved: bool,
    pub(super) home: Home,
    pub(super) late: Option<Action>,
    pub(super) late_refused: bool,
    pub(super) jobs: u32,
    pub(super) now: i64,
    pub(super) budget: Budget,
}

impl World {
    pub(super) fn new(budget: Budget) -> Self {
        let party = |serving| Party {
            alive: true,
            met: Generation(1),
            serving,
            wrote_under: Generation(1),
        };
        Self {
            placement: Placement::new(GroupId::from_u128(3), Generation(1)),
            source: party(Some(Generation(1))),
            target: party(None),
            receiver: Generation(1),
            written: 0,
            received: 0,
            pin: None,
            pin_moved: false,
            home: Home {
                whole: true,
                confirmed: false,
                overwritten_unconfirmed: false,
            },
            late: None,
            late_refused: false,
            jobs: 0,
            now: testing::NOW.0,
            budget,
        }
    }

    pub(super) fn serves_newest(&self, site: Site) -> bool {
        let party = match site {
            Site::Source => &self.source,
            Site::Target => &self.target,
        };
        party.serving.is_some_and(|held| held >= self.receiver)
    }

    /// Writes that a planned failover, which drained, does not hold.
    pub(super) fn lost_by_planned_failover(&self) -> u8 {
        match self.placement.job() {
            Some(PlacementJob::Failover(job))
                if job.request.mode == FailoverMode::Planned
                    && job.point.is_some()
                    && job.turned_back.is_none() =>
            {
                let pinned = self.pin.map_or(0, |(_, pinned)| pinned);
                self.written - pinned.min(self.written)
            }
            _ => 0,
        }
    }

    pub(super) fn happen(&mut self, happens: Move, mutation: Option<Mutation>) -> Option<()> {
        match happens {
            Move::Answer | Move::AnswerAndLinger => {
                let command = self.placement.command()?;
                let result = self.carry_out(&command.action, mutation);
                if happens == Move::AnswerAndLinger {
                    self.budget.late -= 1;
                    self.late = Some(command.action.clone());
                }
                self.tell(answer(&command, result))
            }
            Move::AnswerLost | Move::CommandLost => {
                self.budget.failures -= 1;
                let command = self.placement.command()?;
                if happens == Move::AnswerLost {
                    self.carry_out(&command.action, mutation);
                    self.cut_short(&command.action);
                }
                self.tell(testing::failed(&command))
            }
            Move::Killed => {
                self.budget.kills -= 1;
                let command = self.placement.command()?;
                self.carry_out(&command.action, mutation);
                self.cut_short(&command.action);
                Some(())
            }
            Move::LateCopy => {
                let action = self.late.take()?;
                self.late_refused |= self.carry_out(&action, mutation).is_none();
                Some(())
            }
            Move::Write => {
                self.budget.writes -= 1;
                self.written += 1;
                self.source.wrote_under = self.source.serving?;
                Some(())
            }
            Move::Ship => self.ship(mutation),
            Move::Crash => {
                self.budget.crashes -= 1;
                self.source.alive = false;
                self.source.serving = None;
                Some(())
            }
            Move::Return => self.source_returns(),
            Move::Seen => self.tell(Event::SourceSeen {
                generation: self.source.met,
                serving: match self.source.serving {
                    Some(_) => Serving::Writable,
                    None => Serving::ReadOnly,
                },
            }),
            Move::Tick => {
                self.now += 60_000_000;
                self.tell(Event::Tick)
            }
            Move::Operator(wish) => {
                self.budget.wishes -= 1;
                self.wish(wish)
            }
        }
    }

    /// A restore whose answer does not come may have ended in the middle.
    fn cut_short(&mut self, action: &Action) {
        if matches!(action, Action::RestoreDisks { .. }) && self.source.serving.is_none() {
            self.home.whole = false;
        }
    }

    fn ship(&mut self, mutation: Option<Mutation>) -> Option<()> {
        let is_taken = self.source.wrote_under >= self.receiver
            || mutation == Some(Mutation::OldGenerationTaken);
        if !is_taken || self.received == self.written {
            return None;
        }
        self.received = self.written;
        Some(())
    }

    fn source_returns(&mut self) -> Option<()> {
        self.source.alive = true;
        match self.placement.source_order() {
            SourceOrder::Serve(generation) if generation >= self.source.met => {
                self.source.met = generation;
                self.source.serving = Some(generation);
                self.source.wrote_under = generation;
            }
            SourceOrder::Serve(generation) | SourceOrder::StartReadOnly(generation) => {
                self.source.met = self.source.met.max(generation);
            }
        }
        Some(())
    }

    pub(super) fn tell(&mut self, event: Event) -> Option<()> {
        self.placement.handle(&event, Timestamp(self.now)).ok()?;
        Some(())
    }

    fn wish(&mut self, wish: Wish) -> Option<()> {
        let event = match wish {
            Wish::Start(mode) => return self.start(mode),
            Wish::StartBack => return self.start_back(),
            Wish::Restore => return self.start_restore(),
            Wish::Confirm => Event::ConfirmSeed {
                disks: testing::disks(),
            },
            Wish::Cutover => Event::Cutover,
            Wish::Commit => Event::Commit,
            Wish::Rollback => Event::Rollback,
            Wish::Cancel => Event::Cancel,
            Wish::Retry => Event::Retry,
            Wish::Keep(site) => Event::Keep(site),
        };
        // Decisions of a job that runs cost nothing but a place in the search.
        if matches!(wish, Wish::Confirm | Wish::Retry) {
            self.budget.wishes += 1;
        }
        self.tell(event)?;
        self.home.confirmed |= wish == Wish::Confirm;
        Some(())
    }

    fn start(&mut self, mode: FailoverMode) -> Option<()> {
        self.jobs += 1;
        let id = format!("r{}", self.jobs);
        let mut request = testing::failover_request(&id, mode, CommitPolicy::Manual);
        request.isolation_confirmed = true;
        let started = self.placement.start_failover(
            testing::failover_id(self.jobs),
            request,
            Timestamp(self.now),
        );
        started.ok().map(|_| ())
    }

    fn start_back(&mut self) -> Option<()> {
        self.jobs += 1;
        let request = testing::failback_request(&format!("r{}", self.jobs), Seed::OriginalDisk);
        let id = testing::failback_id(self.jobs);
        let started = self
            .placement
            .start_failback(id, request, Timestamp(self.now));
        started.ok().map(|_| ())
    }

    fn start_restore(&mut self) -> Option<()> {
        self.jobs += 1;
        let request = testing::restore_request(&format!("r{}", self.jobs));
        let id = testing::restore_id(self.jobs);
        let started = self
            .placement
            .start_restore(id, request, Timestamp(self.now));
        started.ok().map(|_| ())
    }

    /// Whether, from here, with everything going well and an operator who does what is allowed, the
    /// group comes to a state in which it can stay.
    pub(super) fn comes_to_rest(&self) -> bool {
        let mut world = self.clone();
        world.late = None;
        if !world.source.alive {
            world.source_returns();
        }
        for _ in 0..60 {
            if world.placement.job().is_none() && world.placement.split_brain().is_none() {
                return true;
            }
            if let Some(command) = world.placement.command() {
                let result = world.carry_out(&command.action, None);
                world.tell(answer(&command, result));
            } else if !world.calm_decision() {
                return false;
            }
        }
        false
    }

    fn calm_decision(&mut self) -> bool {
        let decisions = [
            Event::Retry,
            Event::Keep(Site::Target),
            Event::Keep(Site::Source),
            Event::ConfirmSeed {
                disks: testing::disks(),
            },
            Event::Cutover,
            Event::Commit,
        ];
        let is_decided = decisions.into_iter().any(|event| {
            self.home.confirmed |= matches!(event, Event::ConfirmSeed { .. });
            self.tell(event).is_some()
        });
        self.now += 60_000_000;
        is_decided || self.tell(Event::Tick).is_some()
    }
}

/// What a command that was carried out, or refused where it arrived, is answered with.
fn answer(command: &Command, result: Option<StepResult>) -> Event {
    match result {
        Some(result) => Event::StepDone {
            ticket: command.ticket,
            result,
        },
        None => testing::failed(command),
    }
}

/// Worlds that differ only in names of generations, tickets and times are the same.
impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let authority = self.placement.authority();
        let job = self.placement.job();
        let split = self.placement.split_brain();
        let keeping = split.and_then(|split| split.keeping.as_ref());
        let job_generation = job.and_then(|job| match job {
            PlacementJob::Failover(job) => job.generation,
            PlacementJob::Failback(job) => job.generation,
            PlacementJob::Restore(job) => job.generation,
        });
        let late = self.late.as_ref().map(effects::generation_of);
        let generations = [
            Some(authority.generation()),
            Some(authority.highest()),
            Some(self.receiver),
            Some(self.source.met),
            self.source.serving,
            Some(self.source.wrote_under),
            Some(self.target.met),
            self.target.serving,
            job_generation,
            keeping.map(|keeping| keeping.generation),
            late.flatten(),
        ];
        let order: BTreeSet<Generation> = generations.iter().flatten().copied().collect();
        let rank = |generation: Generation| order.iter().position(|held| *held == generation);
        generations
            .map(|generation| generation.map(rank))
            .hash(hasher);
        late.is_some().hash(hasher);
        self.late.as_ref().map(std::mem::discriminant).hash(hasher);
        (authority.holder(), self.source.alive, self.target.alive).hash(hasher);
        (
            self.written,
            self.received,
            self.pin_moved,
            self.late_refused,
        )
            .hash(hasher);
        let current = match job {
            Some(PlacementJob::Failover(job)) => Some(job.id),
            _ => None,
        };
        let pin = self.pin.filter(|(job, _)| Some(*job) == current);
        (pin.map(|(_, pinned)| pinned), self.home, self.budget).hash(hasher);
        split.map(|split| split.reason).hash(hasher);
        let progress = |progress: &Progress| {
            let begun: Vec<Step> = progress.steps.iter().map(|record| record.step).collect();
            (progress.step, progress.stage, begun)
        };
        keeping
            .map(|keeping| {
                (
                    keeping.site,
                    keeping.job_goes_on,
                    progress(&keeping.progress),
                )
            })
            .hash(hasher);
        job.map(|job| progress(job.progress())).hash(hasher);
        match job {
            Some(PlacementJob::Failover(job)) => {
                (job.request.mode, job.turned_back, job.drained, job.point).hash(hasher);
            }
            Some(PlacementJob::Failback(job)) => {
                (job.turned_back, job.seeded, job.proven_equal, job.method).hash(hasher);
                job.confirmed.is_empty().hash(hasher);
            }
            Some(PlacementJob::Restore(job)) => {
                (job.turned_back, job.drained, job.undo).hash(hasher)
            }
            None => {}
        }
        let aside = self.placement.set_aside();
        aside.map(|job| progress(&job.progress)).hash(hasher);
        self.placement
            .target()
            .map(|target| (target.home_overwritten, target.point))
            .hash(hasher);
    }
}
