//! `/configuration`: everything that is set over this API, as one document.
//!
//! What a document says is compared with what there is ([`judge`]), and what differs is changed by what
//! each change's own route makes it with ([`carry_out`]). Invariants: an answer that is a problem means
//! that nothing was changed; a document that was applied is as it was exported; one is applied at a time,
//! to its end, also when whoever asked for it does not wait. The parts of the configuration have owners
//! of their own, so an apply is no transaction: one that cannot be completed says what of it was done.

mod carry_out;
mod change;
mod current;
mod difference;
mod document;
mod judge;

use super::{
    Api,
    audited::Parts,
    etag::{Expected, changed_meanwhile, tagged},
};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use bcdr_http::{ApiJson, ApiQuery, Permission, Principal, Problem, ProblemFault};
use carry_out::Hands;
use change::{Change, ChangeKind, ObjectKind};
use current::{Current, version};
use difference::Field;
pub(super) use document::VERSION;
use document::{Configuration, DocumentBody};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(export))
        .routes(routes!(apply))
}

/// Shows the configuration: groups, drill schedules, plans and users, each in the order of names. It
/// holds no secret, and nothing that an apply would refuse.
#[utoipa::path(
    get, path = "/configuration", tag = "configuration", operation_id = "export_configuration",
    params(("If-None-Match" = Option<String>, Header, description = "The ETag of an answer that is known")),
    responses(
        (status = 200, body = Configuration, headers(("ETag" = String))),
        (status = 304, description = "It is the answer that is known"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn export(State(service): Api, headers: HeaderMap) -> Result<Response, Problem> {
    let document = Current::read(&State(service)).await?.document();
    tagged(&headers, version(&document), &document)
}

/// How a document is applied.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ApplyQuery {
    /// With true nothing is changed: the answer is what would be, or why it would be refused.
    dry_run: Option<bool>,
    /// With true what is not in a part of the document is removed, but for groups; false by default. A
    /// part that is left out is left alone.
    prune: Option<bool>,
}

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ConfigurationOutcome)]
enum Outcome {
    /// There was nothing to change.
    Nothing,
    /// It would be made: this is a dry run.
    Planned,
    /// It was made.
    Applied,
    /// It could not be made.
    Failed,
    /// It was not tried, since one before it failed.
    NotApplied,
}

/// An object, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfigurationChange)]
struct ChangeBody {
    /// What it is.
    object: ObjectKind,
    /// Its name.
    name: String,
    /// What the document asks for.
    change: ChangeKind,
    /// The fields that differ, of one that is updated.
    fields: Vec<Field>,
    /// What came of it.
    outcome: Outcome,
    /// Why it failed; null where it did not.
    problem: Option<Problem>,
}

impl ChangeBody {
    fn of(change: Change, outcome: Outcome, problem: Option<Problem>) -> Self {
        Self {
            object: change.object,
            name: change.name,
            outcome: match change.kind {
                ChangeKind::Unchanged => Outcome::Nothing,
                _ => outcome,
            },
            change: change.kind,
            fields: change.fields,
            problem,
        }
    }
}

/// What came of a document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfigurationApplied)]
struct AppliedBody {
    /// Whether nothing was to be changed.
    dry_run: bool,
    /// Whether nothing failed.
    complete: bool,
    /// The ETag of the configuration as it is now; null for who may not export it, and when
    /// it could not be read again.
    etag: Option<String>,
    /// Every object of the document, and those that are removed, in the order in which changes are made.
    changes: Vec<ChangeBody>,
}

/// Makes the configuration what a document says. Everything that is wrong with the document is told at
/// once, and then nothing is changed. The same document again changes nothing. Each part of the document
/// needs what its own route needs: `protect` for groups, `drill` for drill schedules, `plan` for plans,
/// `manage_access` for users; `If-Match` needs what an export needs.
#[utoipa::path(
    post, path = "/configuration/actions/apply", tag = "configuration", operation_id = "apply_configuration",
    params(
        ApplyQuery,
        ("If-Match" = Option<String>, Header, description = "The ETag of the configuration as it was read"),
    ),
    request_body = Configuration,
    responses(
        (status = 200, description = "It is as the document says, or would be", body = AppliedBody),
        (status = 207, description = "A part of it was applied: the body says which, and why not the rest", body = AppliedBody),
        (status = 412, description = "It was changed meanwhile; nothing was applied", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The document has faults; faults lists each with its part, cause and remedy. Nothing was applied", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused; nothing was applied", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn apply(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    Extension(parts): Extension<Parts>,
    ApiQuery(query): ApiQuery<ApplyQuery>,
    headers: HeaderMap,
    DocumentBody(document): DocumentBody,
) -> Result<Response, Problem> {
    let expected = Expected::read(&headers)?;
    check_allowed(&principal, &document, &expected)?;
    let jobs = Arc::clone(&service.jobs);
    // What waited would outlive its client, and the rights that it came with.
    let turn = Arc::clone(&service.applying)
        .try_lock_owned()
        .map_err(|_| {
            Problem::conflict(
                "configuration_being_applied",
                "another configuration is being applied",
            )
            .remedy("wait for its end, then try again")
        })?;
    let asked = Asked {
        service: State(service),
        principal,
        parts,
        query,
        expected,
        document,
    };
    let answer = async move {
        let answer = asked.answer().await;
        drop(turn);
        answer
    };
    jobs.begin(answer).await
}

/// Each part needs what its own route needs, also where it would change nothing: what a dry run says of
/// it is not for everybody.
fn check_allowed(
    principal: &Principal,
    document: &Configuration,
    expected: &Expected,
) -> Result<(), Problem> {
    for (is_there, permission) in [
        (document.groups.is_some(), Permission::Protect),
        (document.drill_schedules.is_some(), Permission::Drill),
        (document.plans.is_some(), Permission::Plan),
        (document.users.is_some(), Permission::ManageAccess),
        (*expected != Expected::Anything, Permission::Audit),
    ] {
        if is_there {
            principal.require(permission)?;
        }
    }
    Ok(())
}

/// A document that is to be applied.
struct Asked {
    service: Api,
    principal: Principal,
    parts: Parts,
    query: ApplyQuery,
    expected: Expected,
    document: Configuration,
}

impl Asked {
    async fn answer(self) -> Result<Response, Problem> {
        let service = State(Arc::clone(&self.service));
        let current = Current::read(&service).await?;
        let found = version(&current.document());
        if !self.expected.admits(Some(&found)) {
            return Err(changed_meanwhile("the configuration"));
        }
        let prune = self.query.prune == Some(true);
        let changes = judge::judge(&service, &current, &self.document, prune);
        let changes = changes.map_err(|faults| faulty(&faults))?;
        if self.query.dry_run == Some(true) {
            let planned = |change| ChangeBody::of(change, Outcome::Planned, None);
            let changes = changes.into_iter().map(planned).collect();
            return Ok(ApiJson(self.body(Some(found), changes)).into_response());
        }
        let changes = self.carry_out(changes).await?;
        // From here on something was changed, and no problem may be the answer.
        let now = Current::read(&service).await.ok();
        let body = self.body(now.map(|now| version(&now.document())), changes);
        let status = match body.complete {
            true => StatusCode::OK,
            false => StatusCode::MULTI_STATUS,
        };
        Ok((status, ApiJson(body)).into_response())
    }

    /// Makes one change after the other, until one cannot be made.
    async fn carry_out(&self, changes: Vec<Change>) -> Result<Vec<ChangeBody>, Problem> {
        let hands = Hands {
            service: &self.service,
            parts: &self.parts,
            by: &self.principal.name,
        };
        let (mut bodies, mut is_begun, mut has_failed) = (Vec::new(), false, false);
        for change in changes {
            if has_failed {
                bodies.push(ChangeBody::of(change, Outcome::NotApplied, None));
                continue;
            }
            match hands.carry_out(&change).await {
                Ok(()) => {
                    is_begun |= change.deed.is_some();
                    bodies.push(ChangeBody::of(change, Outcome::Applied, None));
                }
                // What went wrong inside may have been done in part.
                Err(problem) if is_begun || problem.status == 500 => {
                    has_failed = true;
                    bodies.push(ChangeBody::of(change, Outcome::Failed, Some(problem)));
                }
                Err(mut problem) => {
                    let of = format!("{} {}", change.object.words(), change.name);
                    problem.detail = format!("{of}: {}; nothing was applied", problem.detail);
                    return Err(problem);
                }
            }
        }
        Ok(bodies)
    }

    fn body(&self, version: Option<String>, changes: Vec<ChangeBody>) -> AppliedBody {
        let may_see = self.principal.role.allows(Permission::Audit);
        AppliedBody {
            dry_run: self.query.dry_run == Some(true),
            complete: changes
                .iter()
                .all(|change| change.outcome != Outcome::Failed),
            etag: version
                .filter(|_| may_see)
                .map(|version| format!("\"{version}\"")),
            changes,
        }
    }
}

fn faulty(faults: &[ProblemFault]) -> Problem {
    let told = |fault: &ProblemFault| match &fault.part {
        Some(part) => format!("{part}: {}", fault.cause),
        None => fault.cause.clone(),
    };
    let detail = match faults {
        [one] => told(one),
        many => format!("the document has {} faults", many.len()),
    };
    let all: Vec<_> = faults.iter().map(told).collect();
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "configuration_faults",
        "The document has faults",
        detail,
    )
    .cause(all.join(" | "))
    .remedy("put right what each of the faults names; nothing was applied")
    .faults(faults.to_vec())
}

#[cfg(test)]
mod tests;
