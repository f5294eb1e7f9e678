//! What may be done with a plan now, and why not. What is shown as allowed here is what the requests are
//! judged by: runs that have not ended, faults, groups without a point.

use super::Api;
use crate::plans::PlanRecord;
use bcdr_http::Action;

/// What may be done with a plan, of which this is the newest version.
pub(super) fn actions(service: &Api, record: &PlanRecord) -> Vec<Action> {
    let name = &record.plan.name;
    let running = service.plans.run_of(name).map(|run| {
        let reason = format!("run {run} of the plan has not ended");
        (reason, "wait for its end, or cancel it".to_owned())
    });
    let faulty = || {
        let faults = service.plans.judge(&record.plan).err()?;
        let fault = faults.into_iter().next()?;
        Some((
            fault.to_string(),
            "apply the plan without its faults".to_owned(),
        ))
    };
    let pointless = || {
        let mut names = record.plan.groups().map(|(_, group)| &group.name);
        let name = names.find(|name| {
            let group = service.groups.find(name);
            group.is_some_and(|group| group.stored.borrow().published.is_none())
        })?;
        let reason = format!("group {name} has no recovery point yet");
        Some((reason, "wait until its first copy is complete".to_owned()))
    };
    let action = |verb: &str, refused: Option<(String, String)>| match refused {
        None => Action::allowed(verb),
        Some((reason, remedy)) => Action::refused(verb, reason, remedy),
    };
    vec![
        action("run", running.clone().or_else(faulty).or_else(pointless)),
        Action::allowed("apply"),
        action("remove", running),
    ]
}

/// The same, of a plan that is not there any more.
pub(super) fn actions_of_removed() -> Vec<Action> {
    let refused = |verb| {
        let remedy = "apply the plan again";
        Action::refused(verb, "the plan was removed", remedy)
    };
    vec![refused("run"), Action::allowed("apply"), refused("remove")]
}
