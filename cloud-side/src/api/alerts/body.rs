//! An alert as the API shows it, and what may be done with it now.

use crate::{api::Api, clock};
use bcdr_alert::{Alert, Delivery, DeliveryState, Entry, Event, Language, Severity};
use bcdr_http::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertSeverity)]
pub(in crate::api) enum SeverityName {
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
pub(super) struct AlertBody {
    /// Its id.
    pub(super) id: String,
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
    pub(super) fn of(service: &Api, alert: &Alert) -> Self {
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
    let over =
        |name: &str| Action::refused(name, "it is cleared", "list the alerts that are active");
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
pub(super) struct DetailBody {
    #[serde(flatten)]
    alert: AlertBody,
    /// What happened to it, the oldest first; the newest 64 entries.
    history: Vec<EntryBody>,
    /// Its messages, the oldest first; the oldest 1000.
    deliveries: Vec<DeliveryBody>,
}

impl DetailBody {
    pub(super) fn of(service: &Api, alert: &Alert, deliveries: &[Delivery]) -> Self {
        Self {
            history: alert.history.iter().map(EntryBody::of).collect(),
            deliveries: deliveries.iter().map(DeliveryBody::of).collect(),
            alert: AlertBody::of(service, alert),
        }
    }
}
