//! Recovery plans as the cloud side keeps and runs them.
//!
//! [`bcdr_plan`] decides; this module keeps plans in versions, drives runs, has their steps carried
//! out by drills and failovers, and takes up at a start what an earlier process left. Invariants: a
//! plan that is kept has no fault; a run, and the request that began it, are durable together before
//! anything is carried out; a plan has at most one run at a time; a step that was begun is found
//! again by its run, name and attempt, never begun a second time.

mod check;
mod driver;
mod facts;
mod group;
mod inspected;
mod launch;
mod outside;
mod points;
mod record;

pub(crate) use check::{Asked, CheckItem, CheckVerdict, GroupLoss, PlanCheck};
pub(crate) use facts::Facts;
pub(crate) use outside::{Errand, LeftBehind, OutsideFuture, OutsideHands};
pub(crate) use points::skew;
pub(crate) use record::{ChosenPoint, PlanRecord, PlanRunRecord};

use crate::{
    audit::Audit,
    catalog::{Catalog, CatalogError, DocumentRow},
    clock,
    drills::Drills,
    groups::Groups,
    idempotency::{FirstAttempt, Idempotency},
    jobs::{Jobs, select},
    offload::offload,
    placements::Placements,
    record_id::PlanRunId,
    recovery::FormNumber,
};
use bcdr_format::Timestamp;
use bcdr_plan::{
    Checked, Event, Fault, Forecast, KnownTimes, Mode, Operator, Plan, Refused, Run, Selection,
    Start, StepId,
};
use driver::{Ask, Driver};
use record::{PlanVersion, StepTimes};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Wishes of one run that may wait.
const WISHES_WAITING: usize = 16;

/// Why something is not done with a plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PlansError {
    /// The plan, or the selection of its steps, has faults.
    #[error("the plan has {} faults; the first: {}", .0.len(), .0[0])]
    Faults(Vec<Fault>),
    /// There is none of that name.
    #[error("there is no plan {0:?}")]
    UnknownPlan(String),
    /// It is not at the version that was named.
    #[error("{}", other_version(name, *found))]
    OtherVersion { name: String, found: u32 },
    /// It is being run.
    #[error("run {run} of plan {name} has not ended")]
    Running { name: String, run: PlanRunId },
    /// A group has no point to recover from.
    #[error("step {step}: {}", no_point(group, *at))]
    NoPoint {
        step: StepId,
        group: String,
        at: Option<jiff::Timestamp>,
    },
    /// A planned run takes what is newest, since it stops the sources.
    #[error("a planned run loses nothing, so it has no time to go back to")]
    PlannedAtTime,
    /// The time has not come yet.
    #[error("{0} has not come yet")]
    Future(jiff::Timestamp),
    /// An operator's wish is not allowed now.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The catalog failed; nothing changed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The system gave no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(#[from] getrandom::Error),
    /// The process is stopping.
    #[error("the cloud side is stopping; try again when it runs")]
    Stopping,
}

fn other_version(name: &str, found: u32) -> String {
    match found {
        0 => format!("there is no plan {name}, and a version of it was named"),
        found => format!("plan {name} is at version {found}, which is not the one that was named"),
    }
}

fn no_point(group: &str, at: Option<jiff::Timestamp>) -> String {
    match at {
        Some(at) => format!("group {group} has no recovery point at or before {at}"),
        None => format!("group {group} has no recovery point yet"),
    }
}

/// What plans work with.
pub(crate) struct PlanParts {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) groups: Arc<Groups>,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) drills: Arc<Drills>,
    pub(crate) placements: Arc<Placements>,
    pub(crate) idempotency: Arc<Idempotency>,
    pub(crate) audit: Arc<Audit>,
    /// Who acts on the world outside.
    pub(crate) outside: Arc<dyn OutsideHands>,
}

/// A run that somebody asks for.
#[derive(Debug)]
pub(crate) struct WantedRun {
    pub(crate) plan: String,
    pub(crate) mode: Mode,
    pub(crate) at: Option<Timestamp>,
    pub(crate) selection: Selection,
    pub(crate) isolation_confirmed: bool,
    pub(crate) interrupted_at: Option<Timestamp>,
    pub(crate) by: String,
}

struct Known {
    plan: String,
    wishes: mpsc::Sender<Ask>,
    shown: watch::Receiver<PlanRunRecord>,
}

/// All plans and their runs.
pub(crate) struct Plans {
    parts: Arc<PlanParts>,
    /// Runs that have not ended.
    active: Arc<Mutex<HashMap<PlanRunId, Known>>>,
    /// Changes of plans, and starts of runs, do not overtake each other.
    changing: tokio::sync::Mutex<()>,
    drivers: TaskTracker,
    stopping: CancellationToken,
}

impl std::fmt::Debug for Plans {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Plans").finish_non_exhaustive()
    }
}

impl Plans {
    pub(crate) fn new(parts: PlanParts) -> Self {
        Self {
            parts: Arc::new(parts),
            active: Arc::default(),
            changing: tokio::sync::Mutex::default(),
            drivers: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }
    }

    fn active(&self) -> MutexGuard<'_, HashMap<PlanRunId, Known>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges a plan, with the groups there are.
    pub(crate) fn judge(&self, plan: &Plan) -> Result<Checked, Vec<Fault>> {
        self.judge_with(plan, |_| false)
    }

    /// The same, with groups that are to be made before it.
    pub(crate) fn judge_with(
        &self,
        plan: &Plan,
        will_be: impl Fn(&str) -> bool,
    ) -> Result<Checked, Vec<Fault>> {
        let checked = plan.check(|name| self.parts.groups.find(name).is_some() || will_be(name))?;
        let groups = plan.groups();
        let of_groups = groups.filter_map(|(step, group)| launch::read(step, group).err());
        let hands = &*self.parts.outside;
        let of_others = plan
            .steps
            .iter()
            .filter_map(|step| outside::fault(hands, step));
        let faults: Vec<_> = of_groups.chain(of_others).collect();
        if faults.is_empty() {
            Ok(checked)
        } else {
            Err(faults)
        }
    }

    /// Keeps a plan as its next version, if it is at a version that is expected; durable on return. The
    /// same plan again changes nothing.
    pub(crate) async fn apply(
        &self,
        plan: Plan,
        expected: impl Fn(u32) -> bool + Send,
        by: String,
    ) -> Result<PlanRecord, PlansError> {
        let _one = self.changing.lock().await;
        let (record, is_new) = self.next(plan, expected, by).await?;
        if !is_new {
            return Ok(record);
        }
        let rows = [
            DocumentRow::of(&record),
            DocumentRow::of(&PlanVersion(record.clone())),
        ];
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || catalog.put_documents(&rows)).await?;
        Ok(record)
    }

    /// What [`Self::apply`] would keep now, or why it would not. Changes nothing.
    pub(crate) async fn rehearse(
        &self,
        plan: Plan,
        expected: impl Fn(u32) -> bool + Send,
        by: String,
    ) -> Result<PlanRecord, PlansError> {
        Ok(self.next(plan, expected, by).await?.0)
    }

    /// What a plan would be as the next version, and whether that is a new one.
    async fn next(
        &self,
        plan: Plan,
        expected: impl Fn(u32) -> bool,
        by: String,
    ) -> Result<(PlanRecord, bool), PlansError> {
        self.judge(&plan).map_err(PlansError::Faults)?;
        let known = self.stored(&plan.name).await?;
        let present = known.as_ref().filter(|known| known.removed_at.is_none());
        let found = present.map_or(0, |known| known.version);
        if !expected(found) {
            let name = plan.name;
            return Err(PlansError::OtherVersion { name, found });
        }
        if let Some(same) = present.filter(|known| known.plan == plan) {
            return Ok((same.clone(), false));
        }
        let record = PlanRecord {
            form: FormNumber::CURRENT,
            plan,
            version: known.map_or(1, |known| known.version.saturating_add(1)),
            applied_at: clock::wall(),
            applied_by: by,
            removed_at: None,
        };
        Ok((record, true))
    }

    /// A plan that was not removed.
    pub(crate) async fn get(&self, name: &str) -> Result<PlanRecord, PlansError> {
        let found = self.stored(name).await?;
        found
            .filter(|found| found.removed_at.is_none())
            .ok_or_else(|| PlansError::UnknownPlan(name.to_owned()))
    }

    /// One version of a plan, also of one that was removed.
    pub(crate) async fn version(&self, name: &str, version: u32) -> Result<PlanRecord, PlansError> {
        let (catalog, key) = (
            Arc::clone(&self.parts.catalog),
            PlanVersion::key_of(name, version),
        );
        let found: Option<PlanVersion> = offload(move || catalog.document(&key)).await?;
        let unknown = || PlansError::UnknownPlan(format!("{name}, version {version}"));
        found.map(|found| found.0).ok_or_else(unknown)
    }

    /// A page of the plans, by name, after the one named.
    pub(crate) async fn list(
        &self,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<PlanRecord>, CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        let is_there = |plan: &PlanRecord| plan.removed_at.is_none();
        offload(move || select(&catalog, after, limit, is_there)).await
    }

    /// Removes a plan, if it is at a version that is expected; durable on return. Its versions and runs
    /// stay.
    pub(crate) async fn remove(
        &self,
        name: &str,
        expected: impl Fn(u32) -> bool + Send,
    ) -> Result<(), PlansError> {
        let _one = self.changing.lock().await;
        let mut record = self.get(name).await?;
        if !expected(record.version) {
            return Err(PlansError::OtherVersion {
                name: name.to_owned(),
                found: record.version,
            });
        }
        if let Some(run) = self.run_of(name) {
            let name = name.to_owned();
            return Err(PlansError::Running { name, run });
        }
        record.removed_at = Some(clock::wall());
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || catalog.put_document(&record)).await?;
        Ok(())
    }

    /// Forecasts a run of a plan from what earlier ones took.
    pub(crate) async fn forecast(
        &self,
        record: &PlanRecord,
        mode: Mode,
        selection: &Selection,
    ) -> Result<Forecast, PlansError> {
        let checked = self.judge(&record.plan).map_err(PlansError::Faults)?;
        let fault = selection.check(&record.plan, &checked, mode).err();
        if let Some(fault) = fault {
            return Err(PlansError::Faults(vec![fault]));
        }
        let (catalog, plan) = (Arc::clone(&self.parts.catalog), record.plan.clone());
        let times = offload(move || {
            let mut times = HashMap::new();
            for step in &plan.steps {
                let key = StepTimes::key_of(&plan.name, &step.id, mode);
                let known: Option<StepTimes> = catalog.document(&key)?;
                if let Some(known) = known.filter(|known| known.fit(step)) {
                    times.insert(step.id.clone(), known.durations());
                }
            }
            Ok::<_, CatalogError>(times)
        })
        .await?;
        let remembered = outside::remembered(&*self.parts.outside, &record.plan, mode).await;
        let known = |step: &bcdr_plan::Step| KnownTimes {
            runs: times.get(&step.id).cloned().unwrap_or_default(),
            remembered: remembered.get(&step.id).copied(),
        };
        let plan = &record.plan;
        Ok(bcdr_plan::forecast(plan, &checked, mode, selection, known))
    }

    /// Says what stands in the way of a run, or may.
    pub(crate) async fn check(
        &self,
        record: &PlanRecord,
        asked: &Asked,
    ) -> Result<PlanCheck, PlansError> {
        let running = self.run_of(&record.plan.name);
        check::check(self, record, asked, running).await
    }

    /// Starts a run. It and the request's key are durable together; it is driven also when whoever
    /// asked is gone.
    pub(crate) async fn start(
        self: &Arc<Self>,
        wanted: WantedRun,
        attempt: FirstAttempt,
    ) -> Result<PlanRunRecord, PlansError> {
        let plans = Arc::clone(self);
        let start = async move { plans.start_here(wanted, attempt).await };
        self.parts.jobs.begin(start).await
    }

    async fn start_here(
        &self,
        wanted: WantedRun,
        attempt: FirstAttempt,
    ) -> Result<PlanRunRecord, PlansError> {
        let _one = self.changing.lock().await;
        if self.stopping.is_cancelled() {
            return Err(PlansError::Stopping);
        }
        let now = clock::wall();
        let known = self.get(&wanted.plan).await?;
        if let Some(run) = self.run_of(&wanted.plan) {
            let name = wanted.plan;
            return Err(PlansError::Running { name, run });
        }
        if let Some(at) = wanted.at {
            if wanted.mode == Mode::Planned {
                return Err(PlansError::PlannedAtTime);
            }
            if at > now {
                return Err(PlansError::Future(clock::readable(at)));
            }
        }
        let checked = self.judge(&known.plan).map_err(PlansError::Faults)?;
        let start = Start {
            plan: known.plan,
            version: known.version,
            mode: wanted.mode,
            selection: wanted.selection,
            by: Operator(wanted.by),
        };
        let run =
            Run::start(start, &checked, now).map_err(|fault| PlansError::Faults(vec![fault]))?;
        let judged = run
            .selection
            .judge_starter(&run.plan, &checked, run.mode, &run.by);
        judged?;
        let sought = points::Sought::of(&self.parts, wanted.at);
        let (plan, selection) = (run.plan.clone(), run.selection.clone());
        let (at, mode) = (wanted.at, wanted.mode);
        let points =
            offload(move || points::choose(&sought, &plan, &checked, mode, &selection)).await?;
        let record = PlanRunRecord {
            form: FormNumber::CURRENT,
            id: PlanRunId::generate(now)?,
            at,
            points,
            isolation_confirmed: wanted.isolation_confirmed,
            interrupted_at: wanted.interrupted_at,
            run,
        };
        let mut rows = vec![DocumentRow::of(&record)];
        rows.extend(attempt.remembers(record.id.as_job()));
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || catalog.put_documents(&rows)).await?;
        tracing::info!(run = %record.id, plan = %record.run.plan.name, mode = record.run.mode.name(), "a plan is run");
        self.drive(record.clone());
        Ok(record)
    }

    /// Takes up the runs that an earlier process left.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) async fn resume(&self) -> Result<(), CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        let is_open = |run: &PlanRunRecord| run.run.end.is_none();
        let open = offload(move || select(&catalog, None, usize::MAX, is_open)).await?;
        let now = clock::wall();
        for mut record in open {
            record.run.taken_up(now);
            tracing::info!(run = %record.id, plan = %record.run.plan.name, "a run of a plan goes on");
            self.drive(record);
        }
        Ok(())
    }

    fn drive(&self, record: PlanRunRecord) {
        let id = record.id;
        let (wishes, inbox) = mpsc::channel(WISHES_WAITING);
        let (show, shown) = watch::channel(record.clone());
        let known = Known {
            plan: record.run.plan.name.clone(),
            wishes,
            shown,
        };
        self.active().insert(id, known);
        let driver = Driver::new(Arc::clone(&self.parts), record, show, self.stopping.clone());
        let active = Arc::clone(&self.active);
        self.drivers.spawn(async move {
            driver.run(inbox).await;
            active
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&id);
        });
    }

    /// Forgets idempotency keys that are past their time: of steps only those of runs that have ended.
    pub(crate) async fn prune_keys(&self) -> Result<(), CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        let has_ended = move |run: PlanRunId| {
            let known = catalog.document(&run.newest_first_key());
            known
                .is_ok_and(|run: Option<PlanRunRecord>| run.is_none_or(|run| run.run.end.is_some()))
        };
        self.parts.idempotency.prune(has_ended).await
    }

    /// The run of a plan that has not ended.
    pub(crate) fn run_of(&self, plan: &str) -> Option<PlanRunId> {
        let active = self.active();
        let mut runs = active
            .iter()
            .filter(|(_, known)| known.plan == plan && known.shown.borrow().run.end.is_none());
        runs.next().map(|(id, _)| *id)
    }

    /// Gives an operator's wish to a run; durable on return, with the run as it is then.
    pub(crate) async fn wish(
        &self,
        id: PlanRunId,
        wish: Event,
    ) -> Result<PlanRunRecord, PlansError> {
        let wishes = self.active().get(&id).map(|known| known.wishes.clone());
        let ended = || Refused {
            code: "run_ended",
            cause: "the run has ended".to_owned(),
            remedy: "look at how it ended; start the plan again if that is wanted".to_owned(),
        };
        let wishes = wishes.ok_or_else(ended)?;
        let (reply, answer) = oneshot::channel();
        let sent = wishes.send(Ask { wish, reply }).await;
        // A driver that is gone has ended with its run, or with the process.
        let gone = || match self.stopping.is_cancelled() {
            true => PlansError::Stopping,
            false => PlansError::Refused(ended()),
        };
        sent.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// One run, as it is now.
    pub(crate) async fn run(&self, id: PlanRunId) -> Result<Option<PlanRunRecord>, CatalogError> {
        let shown = self
            .active()
            .get(&id)
            .map(|known| known.shown.borrow().clone());
        if shown.is_some() {
            return Ok(shown);
        }
        let catalog = Arc::clone(&self.parts.catalog);
        offload(move || catalog.document(&id.newest_first_key())).await
    }

    /// A page of runs, newest first, after the one named.
    pub(crate) async fn runs(
        &self,
        plan: Option<String>,
        after: Option<PlanRunId>,
        limit: usize,
    ) -> Result<Vec<PlanRunRecord>, CatalogError> {
        let catalog = Arc::clone(&self.parts.catalog);
        let after = after.map(PlanRunId::newest_first_key);
        offload(move || {
            select(&catalog, after, limit, |run: &PlanRunRecord| {
                plan.as_ref().is_none_or(|plan| run.run.plan.name == *plan)
            })
        })
        .await
    }

    /// Ends all drivers. What their steps began goes on or is ended by whoever owns it; the next
    /// process takes the runs up.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        self.drivers.close();
        self.drivers.wait().await;
    }

    async fn stored(&self, name: &str) -> Result<Option<PlanRecord>, CatalogError> {
        let (catalog, name) = (Arc::clone(&self.parts.catalog), name.to_owned());
        offload(move || catalog.document(&name)).await
    }
}

#[cfg(test)]
mod tests;
