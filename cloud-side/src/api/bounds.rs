//! Which group a request is about, and the refusal of those that a bound token is not for.
//!
//! Invariant: a request of a principal with bounds reaches its handler only when the one group that
//! it is about is among them; what is about another one is answered as if that were not there. An
//! operation that [`about`] does not name is refused to such a principal, and a test fails. Roles are
//! judged before, and not here.

use super::{
    Api, answer, branches, document::operations, drills::DrillBody, failbacks::FailbackBody,
    failovers::FailoverBody, records, reports, restores::RestoreBody, views, volumes,
    whole_body::whole_body,
};
use crate::{record_id::JobId, recovery::PlacementRecord as _, service::Service};
use axum::{
    Router,
    extract::{FromRequestParts as _, MatchedPath, RawPathParams, Request, State},
    http::Method,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use bcdr_format::GroupId;
use bcdr_http::{Principal, Problem, query_values};
use serde::Deserialize;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use utoipa::openapi::OpenApi;

/// What an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// No group, and nothing of any.
    Nothing,
    /// Groups of which its handler leaves out those that are not the principal's.
    Filtered,
    /// The group that `group` in the path names.
    Path,
    /// The group that `group` in the query names, which then has to be there.
    Query,
    /// The group that `group` in the body names.
    Body,
    /// The group of what `id` in the path names.
    Drill,
    /// The same.
    Failover,
    /// The same.
    Failback,
    /// The same.
    Restore,
    /// The same.
    Job,
    /// The same.
    View,
    /// The same.
    Branch,
    /// The same.
    Report,
    /// The same.
    Volume,
    /// The whole installation, or several groups.
    Installation,
}

/// What an operation is about, by its id in the document.
pub(super) fn about(operation: &str) -> Option<About> {
    Some(match operation {
        "show" | "show_session" | "sign_out" | "change_own_password" | "show_report_key" => {
            About::Nothing
        }
        "list_groups" => About::Filtered,
        "show_group"
        | "show_drill_schedule"
        | "set_drill_schedule"
        | "remove_drill_schedule"
        | "preview_failover"
        | "show_placement"
        | "keep_source"
        | "keep_target"
        | "retry_placement"
        | "list_points"
        | "create_point"
        | "show_point"
        | "show_point_readiness"
        | "check_point_readiness"
        | "nearest_point"
        | "preview_restore"
        | "read_runbook"
        | "list_samples" => About::Path,
        "list_branches" | "list_drills" | "list_events" | "follow_events" | "list_failbacks"
        | "list_failovers" | "list_jobs" | "list_reports" | "show_report_trend"
        | "read_report_trend" | "list_restores" | "list_views" | "list_volumes" => About::Query,
        "start_drill" | "start_failback" | "start_failover" | "start_restore" | "open_view" => {
            About::Body
        }
        "show_drill" | "stop_drill" | "read_evidence" | "show_drill_screen" => About::Drill,
        "show_failover"
        | "show_failover_screen"
        | "cancel_failover"
        | "commit_failover"
        | "retry_failover"
        | "rollback_failover" => About::Failover,
        "show_failback"
        | "cancel_failback"
        | "commit_failback"
        | "confirm_failback_disks"
        | "cut_over_failback"
        | "retry_failback"
        | "rollback_failback" => About::Failback,
        "show_restore"
        | "cancel_restore"
        | "confirm_restore_disks"
        | "retry_restore"
        | "undo_restore" => About::Restore,
        "show_job" => About::Job,
        "show_view" | "close_view" => About::View,
        "show_branch" | "remove_branch" | "list_branch_points" => About::Branch,
        "show_report" | "read_report" => About::Report,
        "show_volume" => About::Volume,
        // Alerts are also about gateways, space and clocks; plans are about several groups.
        "create_group"
        | "export_configuration"
        | "apply_configuration"
        | "list_alerts"
        | "show_alert"
        | "acknowledge_alert"
        | "mute_alert"
        | "unmute_alert"
        | "list_alert_channels"
        | "test_alert_channel"
        | "list_plans"
        | "show_plan"
        | "apply_plan"
        | "remove_plan"
        | "check_plan"
        | "forecast_plan"
        | "list_plan_runs"
        | "start_plan_run"
        | "show_plan_run"
        | "approve_plan_step"
        | "cancel_plan_run"
        | "retry_plan_step"
        | "skip_plan_step"
        | "list_users"
        | "create_user"
        | "show_user"
        | "change_user"
        | "remove_user"
        | "set_user_password"
        | "list_tokens"
        | "create_token"
        | "revoke_token"
        | "list_audit"
        | "show_audit_head"
        | "export_audit" => About::Installation,
        _ => return None,
    })
}

/// Marks an answer that says of something foreign that it is not there: a refusal, for the audit log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hidden;

struct Gate {
    service: Arc<Service>,
    about: HashMap<(Method, String), About>,
}

/// The layer that holds principals to their bounds, around the routes added so far.
pub(super) fn held(router: Router, document: &OpenApi, service: Arc<Service>) -> Router {
    let known = operations(document)
        .filter_map(|(method, path, id)| Some(((method, path.to_owned()), about(id)?)));
    let gate = Arc::new(Gate {
        service,
        about: known.collect(),
    });
    router.route_layer(middleware::from_fn_with_state(gate, pass))
}

async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let principal = request.extensions().get::<Principal>();
    let Some(bounds) = principal.and_then(|principal| principal.bounds.clone()) else {
        return next.run(request).await;
    };
    match gate.admit(&bounds, request).await {
        Ok(request) => next.run(request).await,
        Err(Refusal::Hidden(problem)) => {
            let mut response = problem.into_response();
            response.extensions_mut().insert(Hidden);
            response
        }
        Err(Refusal::Plain(problem)) => problem.into_response(),
    }
}

enum Refusal {
    /// It is another's, and said not to be there.
    Hidden(Problem),
    /// Anything else.
    Plain(Problem),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Plain(problem)
    }
}

impl Gate {
    /// The request as it came, if it is about nothing but what these bounds hold.
    async fn admit(&self, bounds: &BTreeSet<String>, request: Request) -> Result<Request, Refusal> {
        let about = self.about_of(&request);
        let (mut parts, body) = request.into_parts();
        let service = State(Arc::clone(&self.service));
        let within = |group: GroupId| bounds.contains(&group.to_string());
        match about {
            About::Nothing | About::Filtered => {}
            About::Installation => return Err(beyond_a_group().into()),
            About::Query => {
                let mut named = query_values(&parts.uri, "group");
                let (Some(name), None) = (named.next(), named.next()) else {
                    return Err(unnamed().field("group").into());
                };
                group_within(&service, &name, within)?;
            }
            About::Body => {
                let request = Request::from_parts(parts, body);
                let (request, bytes) = whole_body(request).await?;
                // Whatever a handler might read otherwise than this does is refused.
                let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
                let named = is_object.then(|| serde_json::from_slice(&bytes));
                let Some(Ok(Named { group })) = named else {
                    let detail = "the body is no object that names a group";
                    return Err(Problem::invalid(detail)
                        .field("group")
                        .remedy("name one of the token's groups")
                        .into());
                };
                group_within(&service, &group, within)?;
                return Ok(request);
            }
            About::Path => {
                let name = parameter(&mut parts, "group").await?;
                group_within(&service, &name, within)?;
            }
            object => {
                let id = parameter(&mut parts, "id").await?;
                let (noun, group) = group_of(&service, object, &id).await?;
                if !within(group) {
                    let problem = Problem::not_found(noun, format!("{id:?}"));
                    return Err(Refusal::Hidden(problem));
                }
            }
        }
        Ok(Request::from_parts(parts, body))
    }

    fn about_of(&self, request: &Request) -> About {
        let route = request.extensions().get::<MatchedPath>();
        let route = route.map_or("", MatchedPath::as_str).to_owned();
        let method = match *request.method() {
            // A route for GET answers it as well.
            Method::HEAD => Method::GET,
            _ => request.method().clone(),
        };
        let known = self.about.get(&(method, route));
        known.copied().unwrap_or(About::Installation)
    }
}

/// The group that a body names, as its handler reads it too.
#[derive(Deserialize)]
struct Named {
    group: String,
}

fn beyond_a_group() -> Problem {
    Problem::forbidden("this token is for single groups, and this is about the installation")
        .remedy("use a token that is not bound to groups")
}

fn unnamed() -> Problem {
    Problem::forbidden("this token is for single groups, and the request names none, or several")
        .remedy("name one of its groups: group=NAME in the query")
}

fn group_within(
    service: &Api,
    name: &str,
    within: impl Fn(GroupId) -> bool,
) -> Result<(), Refusal> {
    let group = answer::group(service, name)?;
    if within(group.id()) {
        return Ok(());
    }
    let problem = Problem::not_found("group", format!("{name:?}"));
    Err(Refusal::Hidden(problem))
}

async fn parameter(parts: &mut axum::http::request::Parts, name: &str) -> Result<String, Problem> {
    let unread = |cause: String| Problem::malformed("the path cannot be read").cause(cause);
    let parameters = RawPathParams::from_request_parts(parts, &()).await;
    let parameters = parameters.map_err(|error| unread(error.body_text()))?;
    let found = parameters.iter().find(|(key, _)| *key == name);
    let (_, value) = found.ok_or_else(|| unread(format!("it has no {name}")))?;
    Ok(value.to_owned())
}

/// What an object is called, and the group it is of; the handler's own answer when there is none.
async fn group_of(
    service: &Api,
    about: About,
    id: &str,
) -> Result<(&'static str, GroupId), Problem> {
    Ok(match about {
        About::Drill => (
            "drill",
            records::find::<DrillBody>(service, id).await?.group,
        ),
        About::Failover => {
            let record = records::find::<FailoverBody>(service, id).await?;
            ("failover", record.group())
        }
        About::Failback => {
            let record = records::find::<FailbackBody>(service, id).await?;
            ("failback", record.group())
        }
        About::Restore => {
            let record = records::find::<RestoreBody>(service, id).await?;
            ("restore", record.group())
        }
        About::Job => {
            let unknown = || Problem::not_found("job", format!("{id:?}"));
            let job: JobId = id.parse().map_err(|_| unknown())?;
            let found = service.jobs.get(job).await.map_err(answer::catalog)?;
            ("job", found.ok_or_else(unknown)?.group)
        }
        About::View => ("view", views::find(service, id)?.record.lineage.group),
        About::Branch => ("branch", branches::find(service, id)?.record.group()),
        About::Report => ("report", reports::find(service, id).await?.group),
        About::Volume => ("volume", volumes::group_of(service, id)?.id()),
        About::Nothing
        | About::Filtered
        | About::Path
        | About::Query
        | About::Body
        | About::Installation => return Err(beyond_a_group()),
    })
}
