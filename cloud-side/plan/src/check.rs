//! What is wrong with a plan, all of it at once: by step, cause and remedy.
//!
//! Invariant: a plan that has a [`Checked`] has steps that can all be reached, each after what it
//! comes after.

use crate::{
    Kind, Plan, STEPS_MAX, Step, StepId,
    document::{AT_ONCE_MAX, PRIORITY_MAX},
    facts,
    outside::Wrong,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Longest name of a plan or step, in characters.
const NAME_LENGTH_MAX: usize = 64;
/// Longest text that people read, in bytes.
const TEXT_BYTES_MAX: usize = 2000;
/// Longest wait, in seconds: a week.
const WAIT_SECONDS_MAX: u32 = 7 * 86_400;
/// Most people who may approve a step.
const APPROVERS_MAX: usize = 32;

/// One thing that is wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{cause}; {remedy}", prefix(step.as_ref()))]
pub struct Fault {
    /// The step; none for the plan itself.
    pub step: Option<StepId>,
    /// The stable code that programs match on.
    pub code: &'static str,
    /// What is wrong.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

fn prefix(step: Option<&StepId>) -> String {
    step.map_or_else(String::new, |step| format!("step {step}: "))
}

/// What follows from a plan that has no fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The places of the steps, each after those it comes after.
    pub order: Vec<usize>,
    /// The priority of each step, in the plan's order.
    pub priorities: Vec<u8>,
}

impl Plan {
    /// Judges the plan; `known` says whether there is a group of that name.
    ///
    /// # Errors
    /// Every fault that is found; not empty.
    pub fn check(&self, known: impl Fn(&str) -> bool) -> Result<Checked, Vec<Fault>> {
        let mut faults = Faults::default();
        self.check_itself(&mut faults);
        let places = self.check_ids(&mut faults);
        for step in &self.steps {
            step.check(&places, &mut faults);
        }
        self.check_groups(known, &mut faults);
        self.check_facts(&mut faults);
        // Further questions have answers only where every name leads somewhere.
        if !faults.0.is_empty() {
            return Err(faults.0);
        }
        let after = self.edges(&places);
        let order = match order(&after) {
            Ok(order) => order,
            Err(cycle) => {
                let names: Vec<_> = cycle
                    .iter()
                    .map(|&at| self.steps[at].id.0.clone())
                    .collect();
                faults.add(
                    Some(&self.steps[cycle[0]].id),
                    "cycle",
                    format!("the steps wait for each other: {}", names.join(" after ")),
                    "take one of these out of an `after`",
                );
                return Err(faults.0);
            }
        };
        let priorities = self.priorities(&after, &order, &mut faults);
        if faults.0.is_empty() {
            Ok(Checked { order, priorities })
        } else {
            Err(faults.0)
        }
    }

    /// The places of what each step comes after.
    pub(crate) fn edges(&self, places: &HashMap<&StepId, usize>) -> Vec<Vec<usize>> {
        let after = |step: &Step| {
            let places = step.after.iter().filter_map(|id| places.get(id));
            places.copied().collect()
        };
        self.steps.iter().map(after).collect()
    }

    /// Where each step is.
    pub(crate) fn places(&self) -> HashMap<&StepId, usize> {
        let numbered = self.steps.iter().enumerate();
        numbered.map(|(at, step)| (&step.id, at)).collect()
    }

    fn check_itself(&self, faults: &mut Faults) {
        if !is_name(&self.name) {
            faults.add(
                None,
                "name",
                format!("{:?} is no name of a plan", shown(&self.name)),
                NAME_REMEDY,
            );
        }
        check_text(None, "description", &self.description, true, faults);
        if !(1..=AT_ONCE_MAX).contains(&self.at_once) {
            faults.add(
                None,
                "at_once",
                format!("at_once is {}", self.at_once),
                &format!("choose 1 to {AT_ONCE_MAX}"),
            );
        }
        if self.steps.is_empty() || self.steps.len() > STEPS_MAX {
            faults.add(
                None,
                "steps",
                format!("the plan has {} steps", self.steps.len()),
                &format!("give it 1 to {STEPS_MAX}"),
            );
        }
    }

    fn check_ids(&self, faults: &mut Faults) -> HashMap<&StepId, usize> {
        let mut places = HashMap::new();
        for (at, step) in self.steps.iter().enumerate() {
            if !is_name(&step.id.0) {
                faults.add(
                    Some(&step.id),
                    "step_id",
                    format!("{:?} is no id of a step", shown(&step.id.0)),
                    NAME_REMEDY,
                );
            }
            if places.insert(&step.id, at).is_some() {
                faults.add(
                    Some(&step.id),
                    "duplicate_step",
                    "two steps have this id".to_owned(),
                    "give each step an id of its own",
                );
            }
        }
        places
    }

    fn check_groups(&self, known: impl Fn(&str) -> bool, faults: &mut Faults) {
        let mut seen: BTreeMap<&str, &StepId> = BTreeMap::new();
        for (id, group) in self.groups() {
            if !known(&group.name) {
                faults.add(
                    Some(id),
                    "unknown_group",
                    format!("there is no group {:?}", shown(&group.name)),
                    "name a group that `bcdr group list` shows",
                );
            }
            if let Some(first) = seen.insert(&group.name, id) {
                faults.add(
                    Some(id),
                    "duplicate_group",
                    format!("step {first} recovers group {} already", group.name),
                    "recover each group in one step",
                );
            }
        }
    }

    /// What steps ask of the run's facts.
    fn check_facts(&self, faults: &mut Faults) {
        let takes_facts = |step: &&Step| matches!(step.kind, Kind::Script(_) | Kind::Call(_));
        let Some(first) = self.steps.iter().find(takes_facts) else {
            return;
        };
        let mut prefixes: BTreeMap<String, &str> = BTreeMap::new();
        for (_, group) in self.groups() {
            let same = prefixes.insert(facts::of_group(&group.name), &group.name);
            if let Some(same) = same.filter(|same| *same != group.name) {
                faults.add(
                    Some(&first.id),
                    "group_names",
                    format!(
                        "groups {same} and {} cannot be told apart in the names of its facts",
                        group.name
                    ),
                    "recover them by two plans, or do without scripts and calls here",
                );
            }
        }
        for step in &self.steps {
            let Kind::Call(call) = &step.kind else {
                continue;
            };
            for name in facts::asked_for(&call.body) {
                if !facts::is_known(name, prefixes.keys()) {
                    faults.add(
                        Some(&step.id),
                        "placeholder",
                        format!("its body asks for {:?}, which no run knows", shown(name)),
                        "name a fact that docs/operate/plans.md lists, of a group of this plan",
                    );
                }
            }
        }
    }

    fn priorities(&self, after: &[Vec<usize>], order: &[usize], faults: &mut Faults) -> Vec<u8> {
        let mut priorities = vec![1; self.steps.len()];
        for &at in order {
            let step = &self.steps[at];
            let latest = after[at].iter().copied().max_by_key(|&one| priorities[one]);
            let least = latest.map_or(1, |one| priorities[one]);
            let own = step.priority.unwrap_or(least);
            if let Some(latest) = latest.filter(|_| own < least) {
                faults.add(
                    Some(&step.id),
                    "priority",
                    format!(
                        "it has priority {own} and comes after step {}, which has {least}",
                        self.steps[latest].id
                    ),
                    "give what it needs at least its own priority",
                );
            }
            priorities[at] = own;
        }
        priorities
    }
}

const NAME_REMEDY: &str =
    "use 1 to 64 lower-case letters, digits and hyphens, beginning with a letter or digit";

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, step: Option<&StepId>, code: &'static str, cause: String, remedy: &str) {
        self.0.push(Fault {
            step: step.cloned(),
            code,
            cause,
            remedy: remedy.to_owned(),
        });
    }
}

impl Faults {
    fn add_all(&mut self, step: &StepId, wrong: Vec<Wrong>) {
        for (code, cause, remedy) in wrong {
            self.add(Some(step), code, cause, &remedy);
        }
    }
}

impl Step {
    fn check(&self, places: &HashMap<&StepId, usize>, faults: &mut Faults) {
        let mut seen = BTreeSet::new();
        for before in &self.after {
            if !places.contains_key(before) {
                faults.add(
                    Some(&self.id),
                    "unknown_step",
                    format!("it comes after {:?}, which is no step", shown(&before.0)),
                    "name the id of a step of this plan",
                );
            } else if !seen.insert(before) {
                faults.add(
                    Some(&self.id),
                    "duplicate_after",
                    format!("it comes after {before} twice"),
                    "name each step once",
                );
            }
        }
        if let Some(priority) = self.priority
            && !(1..=PRIORITY_MAX).contains(&priority)
        {
            faults.add(
                Some(&self.id),
                "priority",
                format!("its priority is {priority}"),
                &format!("choose 1, the most urgent, to {PRIORITY_MAX}"),
            );
        }
        self.check_kind(faults);
    }

    fn check_kind(&self, faults: &mut Faults) {
        let id = Some(&self.id);
        match &self.kind {
            // Whether there is such a group is asked elsewhere.
            Kind::Group(_) => {}
            Kind::Script(script) => faults.add_all(&self.id, script.check()),
            Kind::Probe(probe) => faults.add_all(&self.id, probe.check()),
            Kind::Dns(dns) => faults.add_all(&self.id, dns.check()),
            Kind::Webhook(webhook) => faults.add_all(&self.id, webhook.check()),
            Kind::Call(call) => faults.add_all(&self.id, call.check()),
            Kind::Wait(wait) => {
                if !(1..=WAIT_SECONDS_MAX).contains(&wait.seconds) {
                    faults.add(
                        id,
                        "wait",
                        format!("it waits {} seconds", wait.seconds),
                        &format!("wait 1 to {WAIT_SECONDS_MAX} seconds"),
                    );
                }
            }
            Kind::Approval(approval) => {
                check_text(id, "message", &approval.message, false, faults);
                let names = &approval.who;
                if names.len() > APPROVERS_MAX || names.iter().any(String::is_empty) {
                    faults.add(
                        id,
                        "approvers",
                        "`who` has too many names, or an empty one".to_owned(),
                        &format!("name at most {APPROVERS_MAX} tokens"),
                    );
                }
            }
        }
    }
}

fn check_text(
    step: Option<&StepId>,
    member: &'static str,
    text: &str,
    may_be_empty: bool,
    faults: &mut Faults,
) {
    let is_empty = text.trim().is_empty();
    if text.len() > TEXT_BYTES_MAX || (is_empty && !may_be_empty) {
        faults.add(
            step,
            member,
            format!("{member} has {} bytes", text.len()),
            &format!("write something, in at most {TEXT_BYTES_MAX} bytes"),
        );
    }
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !text.is_empty()
        && text.len() <= NAME_LENGTH_MAX
        && text.bytes().all(|byte| plain(byte) || byte == b'-')
        && !text.starts_with('-')
}

/// What somebody wrote, cut to what is shown.
fn shown(text: &str) -> String {
    text.chars().take(NAME_LENGTH_MAX).collect()
}

/// The places, each after those that `after` names; or a way round that ends where it begins.
fn order(after: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut order = Vec::with_capacity(after.len());
    let mut placed = vec![false; after.len()];
    while order.len() < after.len() {
        let free = |&at: &usize| !placed[at] && after[at].iter().all(|&before| placed[before]);
        let Some(next) = (0..after.len()).find(free) else {
            return Err(way_round(after, &placed));
        };
        placed[next] = true;
        order.push(next);
    }
    Ok(order)
}

/// A cycle among what could not be placed: each of these comes after another of them.
fn way_round(after: &[Vec<usize>], placed: &[bool]) -> Vec<usize> {
    let mut way = Vec::new();
    let mut at = placed.iter().position(|placed| !placed);
    while let Some(here) = at {
        if let Some(begin) = way.iter().position(|&seen| seen == here) {
            way.drain(..begin);
            way.push(here);
            return way;
        }
        way.push(here);
        at = after[here].iter().copied().find(|&before| !placed[before]);
    }
    way
}

#[cfg(test)]
mod tests;
