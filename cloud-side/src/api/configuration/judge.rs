//! What has to be done so that the configuration is as a document says, or why that cannot be.
//!
//! Judges and does nothing. Invariants: everything that is wrong with a document is found at once; what
//! is found to be done names the version of what it changes, so nobody's change of the meantime is
//! overwritten; and it is in the order in which it has to be done: what is referred to before what
//! refers to it, and users last, first those who will administer, so that there always is one and who
//! takes his own role away has done everything else by then.

use super::{
    change::{Change, ChangeKind, Deed, ObjectKind},
    current::{Current, user_entry},
    difference::fields,
    document::{Configuration, ScheduleEntry, UserEntry, group_entry},
};
use crate::{
    access::{UserChange, UserRecord},
    api::{Api, etag::Expected, groups::NewGroup, schedules, users},
};
use bcdr_format::GroupId;
use bcdr_http::{Problem, ProblemFault, Role};
use bcdr_plan::Plan;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

/// Compares a document with what there is.
///
/// # Errors
/// Everything that is wrong with the document.
pub(super) fn judge(
    service: &Api,
    current: &Current,
    document: &Configuration,
    prune: bool,
) -> Result<Vec<Change>, Vec<ProblemFault>> {
    let groups = document.groups.iter().flatten();
    let mut judge = Judge {
        service,
        current,
        prune,
        to_be_made: groups.map(|group| group.name.as_str()).collect(),
        changes: Vec::new(),
        faults: Vec::new(),
    };
    if let Some(groups) = &document.groups {
        judge.groups(groups);
    }
    if let Some(schedules) = &document.drill_schedules {
        judge.schedules(schedules);
    }
    if let Some(plans) = &document.plans {
        judge.plans(plans);
    }
    if let Some(users) = &document.users {
        judge.users(users);
    }
    if judge.faults.is_empty() {
        Ok(judge.changes)
    } else {
        Err(judge.faults)
    }
}

/// That a thing has the version that was read.
fn as_read(version: impl Display) -> Expected {
    Expected::Versions(vec![version.to_string()])
}

fn administers(user: &UserEntry) -> bool {
    user.role == Role::Admin && !user.disabled
}

struct Judge<'a> {
    service: &'a Api,
    current: &'a Current,
    prune: bool,
    /// The groups of the document, which are there before anything refers to them.
    to_be_made: BTreeSet<&'a str>,
    changes: Vec<Change>,
    faults: Vec<ProblemFault>,
}

impl Judge<'_> {
    /// The objects of a part by their names, each once.
    fn by_name<'e, Entry>(
        &mut self,
        object: ObjectKind,
        entries: &'e [Entry],
        name: impl Fn(&'e Entry) -> &'e str,
    ) -> BTreeMap<&'e str, &'e Entry> {
        let mut all = BTreeMap::new();
        for entry in entries {
            let name = name(entry);
            if all.insert(name, entry).is_some() {
                let cause = format!("{} {name:?} is in the document twice", object.words());
                self.fault(object, name, "named_twice", cause, "keep one of them");
            }
        }
        all
    }

    fn fault(
        &mut self,
        object: ObjectKind,
        name: &str,
        code: &str,
        cause: String,
        remedy: impl Into<String>,
    ) {
        self.faults.push(ProblemFault {
            part: Some(format!("{}/{name}", object.part())),
            code: code.to_owned(),
            cause,
            remedy: remedy.into(),
        });
    }

    /// What a route of its own would refuse.
    fn refused(&mut self, object: ObjectKind, name: &str, problem: &Problem) {
        let cause = match &problem.field {
            Some(field) => format!("{field}: {}", problem.detail),
            None => problem.detail.clone(),
        };
        let remedy = problem.remedy.as_deref();
        let remedy = remedy.unwrap_or("correct what the cause names");
        self.fault(object, name, &problem.code, cause, remedy);
    }

    fn unchanged(&mut self, object: ObjectKind, name: &str) {
        self.push(object, name, ChangeKind::Unchanged, None);
    }

    fn push(&mut self, object: ObjectKind, name: &str, kind: ChangeKind, deed: Option<Deed>) {
        self.changes.push(Change {
            object,
            name: name.to_owned(),
            kind,
            fields: Vec::new(),
            deed,
        });
    }

    fn update(
        &mut self,
        object: ObjectKind,
        name: &str,
        (before, after): (&impl Serialize, &impl Serialize),
        deed: Deed,
    ) {
        self.changes.push(Change {
            object,
            name: name.to_owned(),
            kind: ChangeKind::Update,
            fields: fields(before, after),
            deed: Some(deed),
        });
    }

    fn groups(&mut self, entries: &[NewGroup]) {
        let object = ObjectKind::Group;
        for (name, wanted) in self.by_name(object, entries, |group| &group.name) {
            let Some(known) = self.current.groups.get(name) else {
                match wanted.check() {
                    Ok(()) => {
                        let deed = Deed::MakeGroup(wanted.clone());
                        self.push(object, name, ChangeKind::Create, Some(deed));
                    }
                    Err(problem) => self.refused(object, name, &problem),
                }
                continue;
            };
            match group_entry(known.record()) {
                Some(is) if is == *wanted => self.unchanged(object, name),
                is => {
                    let is = is.map(|is| volumes_of(&is)).unwrap_or_default();
                    let cause = format!(
                        "group {name} has the volumes {is}, and the document says {}",
                        volumes_of(wanted)
                    );
                    let remedy = "a group that was made is not changed: write its volumes as they are, or choose another name";
                    self.fault(object, name, "group_differs", cause, remedy);
                }
            }
        }
    }

    fn schedules(&mut self, entries: &[ScheduleEntry]) {
        let object = ObjectKind::DrillSchedule;
        let wanted = self.by_name(object, entries, |entry| &entry.group);
        for (&name, entry) in &wanted {
            let group = self.current.groups.get(name);
            if group.is_none() && !self.to_be_made.contains(name) {
                let cause = format!("there is no group {name:?}");
                let remedy =
                    "name a group that there is, or one that is in the groups of the document";
                self.fault(object, name, "unknown_group", cause, remedy);
            }
            let is_kept =
                |known: &_| ScheduleEntry::of(name.to_owned(), Clone::clone(known)) == **entry;
            if self.current.schedules.get(name).is_some_and(is_kept) {
                self.unchanged(object, name);
                continue;
            }
            // A schedule is judged whatever group it is of.
            let id = group.map_or(GroupId::from_u128(0), |group| group.id());
            let after = match schedules::read(id, entry.wanted()) {
                Ok(schedule) => ScheduleEntry::of(name.to_owned(), schedule),
                Err(problem) => {
                    self.refused(object, name, &problem);
                    continue;
                }
            };
            let Some(known) = self.current.schedules.get(name) else {
                let deed = Deed::SetSchedule(Box::new(after), Expected::None);
                self.push(object, name, ChangeKind::Create, Some(deed));
                continue;
            };
            let before = ScheduleEntry::of(name.to_owned(), known.clone());
            if before == after {
                self.unchanged(object, name);
                continue;
            }
            let deed =
                Deed::SetSchedule(Box::new(after.clone()), as_read(schedules::version(known)));
            self.update(object, name, (&before, &after), deed);
        }
        for (name, known) in &self.current.schedules {
            if self.prune && !wanted.contains_key(name.as_str()) {
                let deed = Deed::RemoveSchedule(as_read(schedules::version(known)));
                self.push(object, name, ChangeKind::Remove, Some(deed));
            }
        }
    }

    fn plans(&mut self, entries: &[Plan]) {
        let object = ObjectKind::Plan;
        let wanted = self.by_name(object, entries, |plan| &plan.name);
        for (&name, plan) in &wanted {
            // One that stays is not judged again: what it uses outside may have changed since.
            let known = self.current.plans.get(name);
            if known.is_some_and(|known| known.plan == **plan) {
                self.unchanged(object, name);
                continue;
            }
            let will_be = |group: &str| self.to_be_made.contains(group);
            if let Err(faults) = self.service.plans.judge_with(plan, will_be) {
                for fault in faults {
                    let part = match &fault.step {
                        Some(step) => format!("{name}/{step}"),
                        None => name.to_owned(),
                    };
                    self.fault(object, &part, fault.code, fault.cause, fault.remedy);
                }
                continue;
            }
            let deed = |expected| Deed::ApplyPlan((*plan).clone(), expected);
            match self.current.plans.get(name) {
                None => {
                    let deed = deed(Expected::None);
                    self.push(object, name, ChangeKind::Create, Some(deed));
                }
                Some(known) => {
                    let deed = deed(as_read(known.version));
                    self.update(object, name, (&known.plan, *plan), deed);
                }
            }
        }
        for (name, known) in &self.current.plans {
            if !self.prune || wanted.contains_key(name.as_str()) {
                continue;
            }
            if let Some(run) = self.service.plans.run_of(name) {
                let cause =
                    format!("plan {name} would be removed, and its run {run} has not ended");
                let remedy =
                    "wait for its end, cancel it, or put the plan into the document as it is";
                self.fault(object, name, "plan_run_running", cause, remedy);
                continue;
            }
            let deed = Deed::RemovePlan(as_read(known.version));
            self.push(object, name, ChangeKind::Remove, Some(deed));
        }
    }

    fn users(&mut self, entries: &[UserEntry]) {
        let object = ObjectKind::User;
        let wanted = self.by_name(object, entries, |user| &user.name);
        let all = wanted.values().copied();
        let (first, then): (Vec<&UserEntry>, Vec<&UserEntry>) =
            all.partition(|user| administers(user));
        for after in first.into_iter().chain(then) {
            let name = &after.name;
            match self.current.users.get(name) {
                Some(known) => self.user(known, after),
                None => {
                    let cause =
                        format!("there is no user {name:?}, and a document holds no passwords");
                    let remedy = format!(
                        "make the user first (bcdr user create {name} --role {}), or take it out of the document",
                        after.role
                    );
                    self.fault(object, name, "unknown_user", cause, remedy);
                }
            }
        }
        let is_left = |name: &str| !self.prune || wanted.contains_key(name);
        let known = self.current.users.values();
        let (stay, go): (Vec<_>, Vec<_>) = known.partition(|user| is_left(&user.name));
        let will_be = |user: &&UserRecord| match wanted.get(user.name.as_str()) {
            Some(after) => administers(after),
            None => administers(&user_entry(user)),
        };
        let somebody_does =
            |users: &[&UserRecord]| users.iter().any(|user| administers(&user_entry(user)));
        if !stay.iter().any(will_be) && (somebody_does(&stay) || somebody_does(&go)) {
            self.faults.push(ProblemFault {
                part: Some(object.part().to_owned()),
                code: "last_admin".to_owned(),
                cause: "no enabled administrator would be left".to_owned(),
                remedy: "leave one, or give somebody else the role admin".to_owned(),
            });
        }
        for user in go {
            let deed = Deed::RemoveUser(as_read(users::version(user)));
            self.push(object, &user.name, ChangeKind::Remove, Some(deed));
        }
    }

    fn user(&mut self, known: &UserRecord, after: &UserEntry) {
        let before = user_entry(known);
        if before == *after {
            return self.unchanged(ObjectKind::User, &after.name);
        }
        let change = UserChange {
            role: (before.role != after.role).then_some(after.role),
            disabled: (before.disabled != after.disabled).then_some(after.disabled),
        };
        let deed = Deed::ChangeUser(change, as_read(users::version(known)));
        self.update(ObjectKind::User, &after.name, (&before, after), deed);
    }
}

/// The volumes of a group in a sentence.
fn volumes_of(group: &NewGroup) -> String {
    let volume = |volume: &crate::api::groups::NewVolumeBody| {
        format!("{} ({} bytes)", volume.name, volume.size_bytes)
    };
    let all: Vec<_> = group.volumes.iter().map(volume).collect();
    all.join(", ")
}
