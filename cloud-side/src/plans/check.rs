//! Whether a plan could be run now: what stands in the way, what may, and what to do about it.

use super::{
    Plans, PlansError, inspected, launch, outside,
    points::{Candidate, Sought, candidates, skew},
    record::{ChosenPoint, PlanRecord},
};
use crate::{
    access::UserRecord,
    catalog::{Catalog, CatalogError, TokenRecord},
    clock,
    jobs::select,
    offload::offload,
    placements::loss_of,
    record_id::PlanRunId,
    recovery::{FailoverMode, LossWindow, Placement, PointChoice},
};
use bcdr_format::Timestamp;
use bcdr_http::Permission;
use bcdr_plan::{Kind, Mode, Plan, Selection, StepId};
use bcdr_readiness::Readiness;
use serde::Serialize;
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// What a look at something showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PlanCheckVerdict)]
pub(crate) enum CheckVerdict {
    /// It is as it should be.
    Passed,
    /// It may become a trouble, or is not known.
    Warning,
    /// A run would fail there.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PlanCheckItem)]
pub(crate) struct CheckItem {
    /// The step; null for the plan itself.
    pub(crate) step: Option<String>,
    /// What was looked at.
    pub(crate) check: &'static str,
    /// What that showed.
    pub(crate) verdict: CheckVerdict,
    /// What was seen.
    pub(crate) detail: String,
    /// What to do about it; null where nothing has to be done.
    pub(crate) remedy: Option<String>,
}

/// Everything that was looked at.
#[derive(Debug)]
pub(crate) struct PlanCheck {
    pub(crate) items: Vec<CheckItem>,
    /// The points that a run would take now.
    pub(crate) points: Vec<ChosenPoint>,
    /// What an emergency would lose of each group.
    pub(crate) losses: Vec<GroupLoss>,
}

/// What an emergency would lose of a group.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PlanLoss)]
pub(crate) struct GroupLoss {
    /// The step that recovers it.
    pub(crate) step: String,
    /// Its name.
    pub(crate) group_name: String,
    /// The loss.
    pub(crate) loss: LossWindow,
    /// The same in words.
    pub(crate) summary: String,
}

/// For which run a plan is looked at, and how far.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// What the run is to do.
    pub(crate) mode: Mode,
    /// The one time of all groups; none for the newest point of each.
    pub(crate) at: Option<Timestamp>,
    /// When production stopped.
    pub(crate) interrupted_at: Option<Timestamp>,
    /// Which steps.
    pub(crate) selection: Selection,
    /// Whether what steps would find outside is looked at, which takes as long as others take to answer.
    pub(crate) outside: bool,
}

impl PlanCheck {
    /// The worst of all verdicts.
    pub(crate) fn verdict(&self) -> CheckVerdict {
        let verdicts = self.items.iter().map(|item| item.verdict);
        verdicts.max().unwrap_or(CheckVerdict::Passed)
    }
}

#[derive(Default)]
struct Items(Vec<CheckItem>);

impl Items {
    fn passed(&mut self, step: Option<&StepId>, check: &'static str, detail: impl Into<String>) {
        self.add(step, check, CheckVerdict::Passed, detail.into(), None);
    }

    fn warning(
        &mut self,
        step: Option<&StepId>,
        check: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let verdict = CheckVerdict::Warning;
        self.add(step, check, verdict, detail.into(), Some(remedy.into()));
    }

    fn failed(
        &mut self,
        step: Option<&StepId>,
        check: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let verdict = CheckVerdict::Failed;
        self.add(step, check, verdict, detail.into(), Some(remedy.into()));
    }

    fn add(
        &mut self,
        step: Option<&StepId>,
        check: &'static str,
        verdict: CheckVerdict,
        detail: String,
        remedy: Option<String>,
    ) {
        self.0.push(CheckItem {
            step: step.map(|step| step.0.clone()),
            check,
            verdict,
            detail,
            remedy,
        });
    }
}

/// Looks at everything that a run in this mode needs.
pub(super) async fn check(
    plans: &Plans,
    record: &PlanRecord,
    asked: &Asked,
    running: Option<PlanRunId>,
) -> Result<PlanCheck, PlansError> {
    let (plan, mode, at) = (&record.plan, asked.mode, asked.at);
    let mut items = Items::default();
    let run = steps_to_run(plan, asked)?;
    let is_run = |step: &StepId| run.contains(step);
    look_at_document(plans, plan, &mut items);
    match running {
        Some(run) => items.failed(
            None,
            "runs",
            format!("run {run} has not ended"),
            format!("look at `bcdr plan run show {run}`"),
        ),
        None => items.passed(None, "runs", "no run of it is on its way"),
    }
    let sought = Sought::of(&plans.parts, at);
    let (shown, wanted) = (plan.clone(), run.clone());
    let (found, inspections, approvers) = offload(move || {
        let catalog = &*sought.catalog;
        let found = candidates(&sought, &shown, |step| wanted.contains(step))?;
        let inspection = |candidate: &Candidate| {
            let chosen = candidate.point.as_ref().map(|point| point.point);
            inspected::of(catalog, &candidate.group, chosen)
        };
        let inspections: Vec<_> = found.iter().map(inspection).collect::<Result<_, _>>()?;
        let names = approvers(catalog)?;
        Ok::<_, CatalogError>((found, inspections, names))
    })
    .await?;
    let mut losses = Vec::new();
    for (candidate, inspected) in found.iter().zip(&inspections) {
        look_at_group(plans, plan, candidate, mode, at, &mut items);
        look_at_readiness(plan, candidate, inspected.as_ref(), mode, &mut items);
        if mode == Mode::Emergency
            && let Some(row) = &candidate.row
        {
            let (catalog, group) = (&plans.parts.catalog, &candidate.group);
            let loss = loss_of(catalog, group, row, asked.interrupted_at).await?;
            losses.push(look_at_loss(candidate, loss, &mut items));
        }
    }
    look_at_approvals(plan, is_run, &approvers, &mut items);
    if asked.outside {
        let looks = outside::looks(&*plans.parts.outside, plan, mode, is_run);
        for (step, looked) in looks.await {
            match looked {
                Ok(seen) => items.passed(Some(&step), "outside", seen),
                Err(failure) => items.failed(Some(&step), "outside", failure.cause, failure.remedy),
            }
        }
    }
    let points: Vec<_> = found.into_iter().filter_map(|one| one.point).collect();
    if let Some(skew) = skew(points.iter().map(|point| point.time)) {
        let detail = format!("the groups' points are {:.3} s apart", skew.as_secs_f64());
        items.passed(None, "skew", detail);
    }
    Ok(PlanCheck {
        items: items.0,
        points,
        losses,
    })
}

/// The steps that such a run would not leave out.
fn steps_to_run(plan: &Plan, asked: &Asked) -> Result<BTreeSet<StepId>, PlansError> {
    let all = || plan.steps.iter().map(|step| step.id.clone());
    // What is wrong with the document itself is an item of its own.
    let Ok(checked) = plan.check(|_| true) else {
        return Ok(all().collect());
    };
    let (selection, mode) = (&asked.selection, asked.mode);
    // A drill of a plan that acts outside only has nothing to do, and nothing was selected.
    if *selection != Selection::default() {
        let judged = selection.check(plan, &checked, mode);
        judged.map_err(|fault| PlansError::Faults(vec![fault]))?;
    }
    let is_run = |at: &usize| selection.leaves_out(plan, &checked, mode, *at).is_none();
    let places = (0..plan.steps.len()).filter(is_run);
    Ok(places.map(|at| plan.steps[at].id.clone()).collect())
}

fn look_at_document(plans: &Plans, plan: &Plan, items: &mut Items) {
    match plans.judge(plan) {
        Ok(_) => items.passed(
            None,
            "document",
            format!("its {} steps can all be reached", plan.steps.len()),
        ),
        // Groups may have gone since it was applied.
        Err(faults) => {
            for fault in faults {
                items.failed(fault.step.as_ref(), "document", fault.cause, fault.remedy);
            }
        }
    }
}

fn look_at_group(
    plans: &Plans,
    plan: &Plan,
    candidate: &Candidate,
    mode: Mode,
    at: Option<Timestamp>,
    items: &mut Items,
) {
    let step = Some(&candidate.step);
    let (group, name) = (&candidate.group, &candidate.group.record().name);
    match &candidate.point {
        Some(point) => items.passed(
            step,
            "point",
            format!("point {} of {}", point.point, clock::readable(point.time)),
        ),
        None => items.failed(
            step,
            "point",
            super::no_point(name, at.map(clock::readable)),
            "wait until its first copy is complete, or take a later time",
        ),
    }
    look_at_machine(plan, candidate, items);
    if mode == Mode::Drill {
        look_at_drills(plans, candidate, items);
        return;
    }
    if let Some(placement) = plans.parts.placements.placement(group.id()) {
        look_at_placement(&placement, candidate, mode, items);
    }
    if mode == Mode::Planned {
        let link = group.link.borrow();
        let answers = link
            .capture
            .as_ref()
            .is_some_and(|told| told.report.is_some());
        if answers {
            items.passed(step, "source", "the source answers");
        } else {
            items.failed(
                step,
                "source",
                "nothing is heard of the source, so it cannot be stopped in order",
                "bring the source back, or run the plan as an emergency",
            );
        }
    }
}

fn look_at_placement(placement: &Placement, candidate: &Candidate, mode: Mode, items: &mut Items) {
    let step = Some(&candidate.step);
    let (mode, choice) = match (mode, &candidate.point) {
        // A planned failover chooses by itself, after the source has stopped.
        (Mode::Emergency, Some(point)) => {
            (FailoverMode::Emergency, PointChoice::Point(point.point))
        }
        (Mode::Emergency, None) => (FailoverMode::Emergency, PointChoice::Latest),
        _ => (FailoverMode::Planned, PointChoice::Latest),
    };
    if let Some(refused) = placement.failover_obstacle(mode, choice, clock::wall()) {
        return items.failed(step, "placement", refused.cause, refused.remedy);
    }
    match placement.put_back_to() {
        Some((point, _)) => items.warning(
            step,
            "placement",
            format!(
                "the source was just put back to point {point} and is not protected again: what it \
                 wrote since is not here"
            ),
            "if the source is well, wait until its restore has ended",
        ),
        None => items.passed(step, "placement", "production is at the source"),
    }
}

fn look_at_loss(candidate: &Candidate, loss: LossWindow, items: &mut Items) -> GroupLoss {
    let step = Some(&candidate.step);
    let summary = format!("lost would be {}", loss.in_words());
    match loss.is_exact() {
        true => items.passed(step, "loss", &summary),
        false => items.warning(
            step,
            "loss",
            &summary,
            "if the source is well, bring back its link to learn the rest, or run the plan as planned",
        ),
    }
    GroupLoss {
        step: candidate.step.0.clone(),
        group_name: candidate.group.record().name.clone(),
        loss,
        summary,
    }
}

fn look_at_readiness(
    plan: &Plan,
    candidate: &Candidate,
    inspected: Option<&inspected::Inspected>,
    mode: Mode,
    items: &mut Items,
) {
    let step = Some(&candidate.step);
    let name = &candidate.group.record().name;
    let look = format!("look at `bcdr point readiness {name}`");
    let wanted = plan.step(&candidate.step).map(|step| &step.kind);
    // Without a point, or with settings that cannot be read, other items say what is wrong.
    let (Some(Kind::Group(wanted)), Some(chosen)) = (wanted, &candidate.point) else {
        return;
    };
    let Ok(launch) = launch::read(&candidate.step, wanted) else {
        return;
    };
    let Some(inspected) = inspected else {
        return items.warning(
            step,
            "readiness",
            "no point was inspected yet",
            format!("ask for it with `bcdr point readiness {name} --now`"),
        );
    };
    let of = format!("point {}", inspected.point);
    let (settings, cards) = (&launch.settings, launch.networks.len());
    match inspected::says(inspected, settings, cards, mode, chosen.time) {
        Ok(Readiness::Ready) => items.passed(step, "readiness", format!("{of} would boot")),
        Ok(Readiness::NotReady) => {
            items.failed(step, "readiness", format!("{of} would not boot"), look);
        }
        Ok(Readiness::Unknown) => {
            let detail = format!("it is not known whether {of} would boot");
            items.warning(step, "readiness", detail, look);
        }
        Err(why) => items.warning(
            step,
            "readiness",
            format!(
                "it is not known whether point {} would boot: {why}",
                chosen.point
            ),
            format!(
                "give the group's drill schedule the launch settings of this plan, and ask with \
                 `bcdr point readiness {name} --now`"
            ),
        ),
    }
}

fn look_at_machine(plan: &Plan, candidate: &Candidate, items: &mut Items) {
    let step = Some(&candidate.step);
    let wanted = plan.step(&candidate.step).map(|step| &step.kind);
    let Some(Kind::Group(wanted)) = wanted else {
        return;
    };
    // Settings that cannot be read are faults of the document.
    let Ok(launch) = launch::read(&candidate.step, wanted) else {
        return;
    };
    let record = candidate.group.record();
    let volumes: Vec<_> = record.volumes.iter().map(|volume| &volume.name).collect();
    let settings = &launch.settings;
    let unknown = settings
        .disk_order
        .iter()
        .find(|name| !volumes.contains(name));
    match unknown {
        None => items.passed(
            step,
            "launch_settings",
            format!("{} MiB, {} processors", settings.memory_mib, settings.cpus),
        ),
        Some(unknown) => items.failed(
            step,
            "launch_settings",
            format!("disk_order names volume {unknown:?}, which the group does not have"),
            "name volumes of the group, and apply the plan again",
        ),
    }
}

fn look_at_drills(plans: &Plans, candidate: &Candidate, items: &mut Items) {
    let step = Some(&candidate.step);
    let axis = plans.parts.drills.axis(candidate.group.id());
    if let Some(drill) = axis.leftover {
        return items.failed(
            step,
            "drills",
            format!("drill {drill} left something behind"),
            format!("remove what `bcdr drill show {drill}` names"),
        );
    }
    if !plans.parts.drills.has_room(candidate.group.id()) {
        return items.failed(
            step,
            "drills",
            format!(
                "{} drills of the group are running or waiting",
                axis.running
            ),
            "wait until one ends, or stop one",
        );
    }
    items.passed(step, "drills", "one more drill of the group may run");
}

/// Who has a role that may release a step: users that may sign in, and tokens that are still valid.
fn approvers(catalog: &Catalog) -> Result<BTreeSet<String>, CatalogError> {
    let now = clock::wall();
    let users = select(catalog, None, usize::MAX, |user: &UserRecord| {
        !user.disabled && user.role.allows(Permission::Approve)
    })?;
    let tokens = select(catalog, None, usize::MAX, |token: &TokenRecord| {
        token.role.allows(Permission::Approve) && token.expires_at.is_none_or(|end| end > now)
    })?;
    let users = users.into_iter().map(|user| user.name);
    Ok(users
        .chain(tokens.into_iter().map(|token| token.name))
        .collect())
}

fn look_at_approvals(
    plan: &Plan,
    is_run: impl Fn(&StepId) -> bool,
    approvers: &BTreeSet<String>,
    items: &mut Items,
) {
    for step in plan.steps.iter().filter(|step| is_run(&step.id)) {
        let Kind::Approval(approval) = &step.kind else {
            continue;
        };
        let id = Some(&step.id);
        let missing: Vec<_> = approval
            .who
            .iter()
            .filter(|name| !approvers.contains(*name))
            .cloned()
            .collect();
        let remedy =
            "give users or tokens with these names the role approver or admin, or name others";
        if missing.is_empty() {
            items.passed(id, "approval", "there is somebody who may release it");
        } else if missing.len() < approval.who.len() {
            let detail = format!("nobody of this name may release it: {}", missing.join(", "));
            items.warning(id, "approval", detail, remedy);
        } else {
            let detail = "nobody who is named has a role that may release it";
            items.failed(id, "approval", detail, remedy);
        }
    }
}
