//! `/alerts`.

use super::{
    Api, answer,
    page::{Page, Wanted},
};
use crate::{
    alerts::{AlertError, StateFilter},
    clock,
};
use axum::{Extension, extract::State};
use bcdr_alert::{
    Alert, AlertCode, AlertId, Delivery, DeliveryState, Entry, Event, Language, Mute, MuteScope,
    Object, ObjectKind, Refused, Severity,
};
use bcdr_format::Timestamp;
use bcdr_http::{Action, ApiJson, ApiPath, ApiQuery, Principal, Problem};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Most characters of a note or reason.
pub(super) const TEXT_MAX: usize = 1000;

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(acknowledge))
        .routes(routes!(mute))
        .routes(routes!(unmute))
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertSeverity)]
pub(super) enum SeverityName {
    /// Protection is weaker than it should be, or will be.
    Warning,
    /// New writes are not protected, or somebody has to decide now.
    Critical,
}

impl From<Severity> for SeverityName {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Warning => Self::Warning,
            Severity::Critical => Self::Critical,
        }
    }
}

/// How an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertState)]
enum StateName {
    /// Nobody took it on.
    Raised,
    /// Somebody did.
    Acknowledged,
    /// The condition is over.
    Cleared,
}

impl StateName {
    fn of(alert: &Alert) -> Self {
        match alert.state() {
            bcdr_alert::AlertState::Raised => Self::Raised,
            bcdr_alert::AlertState::Acknowledged => Self::Acknowledged,
            bcdr_alert::AlertState::Cleared => Self::Cleared,
        }
    }
}

/// What an alert is about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertObject)]
struct ObjectBody {
    /// `installation`, `group`, `volume`, `certificate` or `channel`.
    kind: String,
    /// Its id.
    id: String,
    /// What people call it.
    name: String,
}

/// Somebody took an alert on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertAcknowledgement)]
struct AcknowledgementBody {
    /// Who.
    by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: jiff::Timestamp,
    /// What was said.
    note: Option<String>,
}

/// An alert whose condition cannot be judged at the moment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertUnjudged)]
struct UnjudgedBody {
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: jiff::Timestamp,
    /// Why.
    why: String,
}

/// What is not told for a while.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertMute)]
struct MuteBody {
    /// What it covers: `alert`, `code` or `object`.
    scope: String,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    until: jiff::Timestamp,
    /// Who asked for it.
    by: String,
    /// Why.
    reason: String,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    at: jiff::Timestamp,
}

/// An alert: a condition that was noticed, with its life.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alert)]
struct AlertBody {
    /// Its id.
    id: String,
    /// The stable code that programs match on.
    code: String,
    /// How bad it is now.
    severity: SeverityName,
    /// How it stands.
    state: StateName,
    /// What it is about.
    object: ObjectBody,
    /// What was seen last.
    detail: String,
    /// What the code means.
    cause: String,
    /// What to do about it.
    remedy: String,
    /// Where the documentation speaks of it.
    docs: String,
    /// When it was raised.
    #[schema(value_type = String, format = DateTime)]
    raised_at: jiff::Timestamp,
    /// When it was over; null while it is not.
    #[schema(value_type = Option<String>, format = DateTime)]
    cleared_at: Option<jiff::Timestamp>,
    /// How often it came, the first included.
    occurrences: u32,
    /// Who took it on.
    acknowledged: Option<AcknowledgementBody>,
    /// Since when it cannot be judged; null while it can.
    unjudged: Option<UnjudgedBody>,
    /// The mute under which it is quiet.
    muted: Option<MuteBody>,
    /// What may be done with it now, and why not.
    allowed_actions: Vec<Action>,
}

impl AlertBody {
    fn of(service: &Api, alert: &Alert) -> Self {
        let muted = service.alerts.mute_of(alert);
        Self {
            id: alert.id.to_string(),
            code: alert.code.name().to_owned(),
            severity: alert.severity.into(),
            state: StateName::of(alert),
            object: ObjectBody {
                kind: alert.object.kind.name().to_owned(),
                id: alert.object.id.clone(),
                name: alert.object.name.clone(),
            },
            detail: alert.detail.clone(),
            cause: alert.code.cause(Language::En).to_owned(),
            remedy: alert.code.remedy(Language::En).to_owned(),
            docs: alert.code.docs(),
            raised_at: clock::readable(alert.raised_at),
            cleared_at: alert.cleared.map(|since| clock::readable(since.at)),
            occurrences: alert.occurrences,
            acknowledged: alert
                .acknowledged
                .as_ref()
                .map(|known| AcknowledgementBody {
                    by: known.by.clone(),
                    at: clock::readable(known.at),
                    note: known.note.clone(),
                }),
            unjudged: alert.unjudged.as_ref().map(|known| UnjudgedBody {
                since: clock::readable(known.since),
                why: known.why.clone(),
            }),
            allowed_actions: actions(alert, muted.is_some()),
            muted: muted.map(|mute| MuteBody {
                scope: mute.scope.name().to_owned(),
                until: clock::readable(mute.until),
                by: mute.by,
                reason: mute.why,
                at: clock::readable(mute.at),
            }),
        }
    }
}

fn actions(alert: &Alert, is_muted: bool) -> Vec<Action> {
    let over = |name: &str| {
        Action::refused(
            name,
            "it is cleared",
            "nothing has to be done about it any more",
        )
    };
    let acknowledge = match (alert.is_active(), &alert.acknowledged) {
        (false, _) => over("acknowledge"),
        (true, Some(known)) => Action::refused(
            "acknowledge",
            format!("{} acknowledged it already", known.by),
            "nothing has to be done",
        ),
        (true, None) => Action::allowed("acknowledge"),
    };
    let mute = if alert.is_active() {
        Action::allowed("mute")
    } else {
        over("mute")
    };
    let unmute = if is_muted {
        Action::allowed("unmute")
    } else {
        Action::refused("unmute", "no mute covers it", "nothing has to be done")
    };
    vec![acknowledge, mute, unmute]
}

/// Something that happened to an alert.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertEntry)]
struct EntryBody {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: jiff::Timestamp,
    /// What: `raised`, `escalated`, `eased`, `reopened`, `cleared`, `unknown`, `known`,
    /// `acknowledged`, `muted`, `unmuted` or `told`.
    event: String,
    /// As what it was told; null for other events.
    told_as: Option<String>,
    /// Who did it; null where nobody did.
    by: Option<String>,
    /// What was said or seen.
    note: Option<String>,
}

impl EntryBody {
    fn of(entry: &Entry) -> Self {
        Self {
            at: clock::readable(entry.at),
            event: entry.event.name().to_owned(),
            told_as: match entry.event {
                Event::Told { kind } => Some(kind.name().to_owned()),
                _ => None,
            },
            by: entry.by.clone(),
            note: entry.note.clone(),
        }
    }
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertDeliveryState)]
enum DeliveryStateName {
    /// It is to be sent, or sent again.
    Pending,
    /// It was taken.
    Delivered,
    /// It was not taken for a day.
    GivenUp,
}

/// One message about an alert, for one channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertDelivery)]
struct DeliveryBody {
    /// By which the receiver knows it again.
    id: String,
    /// The channel.
    channel: String,
    /// What is told: `raised`, `escalated`, `reopened`, `cleared` or `reminder`.
    kind: String,
    /// When that came.
    #[schema(value_type = String, format = DateTime)]
    at: jiff::Timestamp,
    /// How it stands.
    state: DeliveryStateName,
    /// When it was taken or given up; null while it is pending.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<jiff::Timestamp>,
    /// How often it was sent.
    attempts: u32,
    /// What came of the last time, if it was not taken.
    last_error: Option<String>,
}

impl DeliveryBody {
    fn of(delivery: &Delivery) -> Self {
        let (state, ended_at) = match delivery.state {
            DeliveryState::Pending => (DeliveryStateName::Pending, None),
            DeliveryState::Delivered { at } => (DeliveryStateName::Delivered, Some(at)),
            DeliveryState::GivenUp { at } => (DeliveryStateName::GivenUp, Some(at)),
        };
        Self {
            id: delivery.id(),
            channel: delivery.channel.clone(),
            kind: delivery.transition.kind.name().to_owned(),
            at: clock::readable(delivery.transition.at),
            state,
            ended_at: ended_at.map(clock::readable),
            attempts: delivery.attempts,
            last_error: delivery.last_error.clone(),
        }
    }
}

/// An alert with what happened to it and how it was told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertDetail)]
struct DetailBody {
    #[serde(flatten)]
    alert: AlertBody,
    /// What happened to it, the oldest first; the newest 64 entries.
    history: Vec<EntryBody>,
    /// Its messages, the oldest first.
    deliveries: Vec<DeliveryBody>,
}

/// Which alerts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only those that stand so; all by default.
    #[param(inline)]
    state: Option<StateFilter>,
    /// Only those of this code.
    code: Option<String>,
    /// Only those about the object with this id or name; a group's name takes in its volumes.
    object: Option<String>,
    /// Only those that are this bad.
    severity: Option<SeverityName>,
    /// At most this many, 1 to 1000; 100 by default.
    limit: Option<u32>,
    /// Where an earlier page said the list goes on.
    cursor: Option<String>,
}

/// Lists alerts, newest first. Cleared ones are kept for 90 days.
#[utoipa::path(
    get, path = "/alerts", tag = "alerts", operation_id = "list_alerts", params(ListQuery),
    responses(
        (status = 200, body = Page<AlertBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<Page<AlertBody>>, Problem> {
    let service = State(service);
    let wanted = Wanted::<AlertId>::read(query.limit, query.cursor.as_deref())?;
    let code = query.code.as_deref().map(str::parse::<AlertCode>);
    let code = code.transpose().map_err(|error| {
        Problem::invalid(error.to_string())
            .field("code")
            .remedy("take one of the codes in docs/operate/alerts.md")
    })?;
    let (state, severity, object) = (query.state, query.severity, query.object);
    let takes = move |alert: &Alert| {
        let about = |wanted: &String| is_about(&alert.object, wanted);
        state.is_none_or(|state| state.takes(alert))
            && code.is_none_or(|code| alert.code == code)
            && severity.is_none_or(|severity| severity == alert.severity.into())
            && object.as_ref().is_none_or(about)
    };
    let found = service.alerts.list(wanted.after, wanted.fetch(), takes);
    let found = found.await.map_err(answer::catalog)?;
    let bodies: Vec<_> = found
        .iter()
        .map(|alert| AlertBody::of(&service, alert))
        .collect();
    Ok(ApiJson(wanted.page(bodies, |alert| alert.id.clone())))
}

/// Whether somebody who asks for `wanted` means this object. A volume's name begins with its group's.
fn is_about(object: &Object, wanted: &str) -> bool {
    let of_group = || matches!(object.name.split_once('/'), Some((group, _)) if group == wanted);
    object.id == wanted
        || object.name == wanted
        || (object.kind == ObjectKind::Volume && of_group())
}

fn id_of(text: &str) -> Result<AlertId, Problem> {
    text.parse()
        .map_err(|_| Problem::not_found("alert", format!("{text:?}")))
}

async fn found(service: &Api, id: AlertId) -> Result<DetailBody, Problem> {
    let alert = service.alerts.get(id).await.map_err(answer::catalog)?;
    let alert = alert.ok_or_else(|| Problem::not_found("alert", id))?;
    let deliveries = service.alerts.deliveries_of(id).await;
    Ok(DetailBody {
        history: alert.history.iter().map(EntryBody::of).collect(),
        deliveries: deliveries
            .map_err(answer::catalog)?
            .iter()
            .map(DeliveryBody::of)
            .collect(),
        alert: AlertBody::of(service, &alert),
    })
}

/// Shows an alert with its history and its messages.
#[utoipa::path(
    get, path = "/alerts/{alert}", tag = "alerts", operation_id = "show_alert",
    params(("alert" = String, Path, description = "The alert's id")),
    responses(
        (status = 200, body = DetailBody),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath(alert): ApiPath<String>,
) -> Result<ApiJson<DetailBody>, Problem> {
    let service = State(service);
    Ok(ApiJson(found(&service, id_of(&alert)?).await?))
}

async fn not_done(service: &Api, id: AlertId, error: AlertError) -> Problem {
    let detail = error.to_string();
    match error {
        AlertError::Catalog(error) => answer::catalog(error),
        AlertError::Random(error) => answer::no_randomness(error),
        AlertError::Refused(Refused::MuteEnd) => Problem::invalid(detail).field("until"),
        AlertError::Refused(refused) => {
            match service.alerts.get(id).await {
                Ok(Some(_)) => {}
                Ok(None) => return Problem::not_found("alert", id),
                Err(error) => return answer::catalog(error),
            }
            let (code, remedy) = match refused {
                Refused::Acknowledged { .. } => ("alert_acknowledged", "nothing has to be done"),
                Refused::NotMuted(_) => ("alert_not_muted", "nothing has to be done"),
                _ => ("alert_cleared", "list the alerts that are active"),
            };
            Problem::conflict(code, detail).remedy(remedy)
        }
    }
}

/// Who takes an alert on says what is done about it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AcknowledgeAlert)]
struct Acknowledge {
    /// What is said about it.
    note: Option<String>,
}

/// Takes an alert on: no reminder is sent any more. It is over only when its condition is.
#[utoipa::path(
    post, path = "/alerts/{alert}/actions/acknowledge", tag = "alerts", operation_id = "acknowledge_alert",
    params(("alert" = String, Path, description = "The alert's id")),
    request_body = Acknowledge,
    responses(
        (status = 200, body = DetailBody),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is cleared, or was acknowledged before", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn acknowledge(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    ApiPath(alert): ApiPath<String>,
    ApiJson(wanted): ApiJson<Acknowledge>,
) -> Result<ApiJson<DetailBody>, Problem> {
    let service = State(service);
    let id = id_of(&alert)?;
    if let Some(note) = &wanted.note {
        answer::legible(note, "note", TEXT_MAX)?;
    }
    let done = service.alerts.acknowledge(id, &principal.name, wanted.note);
    if let Err(error) = done.await {
        return Err(not_done(&service, id, error).await);
    }
    Ok(ApiJson(found(&service, id).await?))
}

/// What a mute covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertMuteScope)]
enum Scope {
    /// This condition of this object.
    #[default]
    Alert,
    /// This condition, of whatever object.
    Code,
    /// Every condition of this object.
    Object,
}

/// A mute to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MuteAlert)]
struct NewMute {
    /// When it ends: later than now, within 90 days.
    #[schema(value_type = String, format = DateTime)]
    until: jiff::Timestamp,
    /// Why.
    reason: String,
    /// What it covers; the alert by default.
    #[serde(default)]
    scope: Scope,
}

/// Keeps what an alert is about quiet for a while. It is shown all the same, and what people do not
/// know by then is told when the mute ends.
#[utoipa::path(
    post, path = "/alerts/{alert}/actions/mute", tag = "alerts", operation_id = "mute_alert",
    params(("alert" = String, Path, description = "The alert's id")),
    request_body = NewMute,
    responses(
        (status = 200, body = DetailBody),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is cleared", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn mute(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    ApiPath(alert): ApiPath<String>,
    ApiJson(wanted): ApiJson<NewMute>,
) -> Result<ApiJson<DetailBody>, Problem> {
    let service = State(service);
    let id = id_of(&alert)?;
    answer::legible(&wanted.reason, "reason", TEXT_MAX)?;
    let known = service.alerts.get(id).await.map_err(answer::catalog)?;
    let known = known.ok_or_else(|| Problem::not_found("alert", id))?;
    let (code, kind, object) = (known.code, known.object.kind, known.object.id);
    let mute = Mute {
        scope: match wanted.scope {
            Scope::Alert => MuteScope::Alert { code, kind, object },
            Scope::Code => MuteScope::Code { code },
            Scope::Object => MuteScope::Object { kind, object },
        },
        until: Timestamp(wanted.until.as_microsecond()),
        by: principal.name,
        why: wanted.reason,
        at: clock::wall(),
    };
    if let Err(error) = service.alerts.mute(id, mute).await {
        return Err(not_done(&service, id, error).await);
    }
    Ok(ApiJson(found(&service, id).await?))
}

/// Ends all mutes that cover an alert.
#[utoipa::path(
    post, path = "/alerts/{alert}/actions/unmute", tag = "alerts", operation_id = "unmute_alert",
    params(("alert" = String, Path, description = "The alert's id")),
    responses(
        (status = 200, body = DetailBody),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Nothing mutes it", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn unmute(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    ApiPath(alert): ApiPath<String>,
) -> Result<ApiJson<DetailBody>, Problem> {
    let service = State(service);
    let id = id_of(&alert)?;
    if let Err(error) = service.alerts.unmute(id, &principal.name).await {
        return Err(not_done(&service, id, error).await);
    }
    Ok(ApiJson(found(&service, id).await?))
}
