//! `/alert-channels`: by what alerts are told, and whether that arrives.

use super::{Api, alerts::SeverityName};
use crate::{alerts::channel::Channel, clock};
use axum::extract::State;
use bcdr_alert::ChannelRecord;
use bcdr_http::{ApiJson, ApiPath, Problem};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(test))
}

/// What went wrong last at a channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertChannelFailure)]
struct FailureBody {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: jiff::Timestamp,
    /// What.
    error: String,
}

/// A channel, and whether what is told arrives.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertChannel)]
struct ChannelBody {
    /// Its name in the configuration.
    name: String,
    /// How it tells: `webhook`, `email`, `dingtalk` or `wecom`.
    kind: String,
    /// It is told what is at least this bad.
    minimum_severity: SeverityName,
    /// It is told these codes only; all when there is none.
    codes: Vec<String>,
    /// Seconds from one sign of life to the next; null without.
    heartbeat_every_seconds: Option<u64>,
    /// When something was taken last; null when nothing ever was.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_success_at: Option<jiff::Timestamp>,
    /// What went wrong last, also when it works again.
    last_failure: Option<FailureBody>,
    /// Since when alerts, or anything at all, are not taken; null while all is well.
    #[schema(value_type = Option<String>, format = DateTime)]
    failing_since: Option<jiff::Timestamp>,
    /// Messages that are to be sent.
    pending: usize,
    /// Messages given up since an alert was taken last.
    given_up: u32,
}

impl ChannelBody {
    fn of(channel: &Channel, record: ChannelRecord, pending: usize) -> Self {
        Self {
            name: channel.name.clone(),
            kind: channel.kind().to_owned(),
            minimum_severity: channel.minimum_severity.into(),
            codes: channel
                .codes
                .iter()
                .map(|code| code.name().to_owned())
                .collect(),
            heartbeat_every_seconds: channel.heartbeat_every.map(|every| every.as_secs()),
            last_success_at: record.last_success.map(clock::readable),
            last_failure: record.last_failure.map(|failure| FailureBody {
                at: clock::readable(failure.at),
                error: failure.error,
            }),
            failing_since: record.failing.map(|since| clock::readable(since.at)),
            pending,
            given_up: record.given_up,
        }
    }
}

/// All channels.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertChannels)]
struct ChannelsBody {
    /// By name.
    items: Vec<ChannelBody>,
}

/// Lists the channels that the configuration names, and whether what is told by them arrives.
#[utoipa::path(
    get, path = "/alert-channels", tag = "alerts", operation_id = "list_alert_channels",
    responses(
        (status = 200, body = ChannelsBody),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(State(service): Api) -> ApiJson<ChannelsBody> {
    let all = service.alerts.channels();
    let body = |(channel, record, pending): (Arc<Channel>, ChannelRecord, usize)| {
        ChannelBody::of(&channel, record, pending)
    };
    ApiJson(ChannelsBody {
        items: all.into_iter().map(body).collect(),
    })
}

/// What came of a test.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertChannelTest)]
struct TestBody {
    /// The channel.
    channel: String,
    /// Whether the message was taken.
    delivered: bool,
    /// Why not; null when it was.
    error: Option<String>,
    /// How long it took, in milliseconds.
    took_ms: u64,
}

/// Sends a test message by a channel now, and says what came of it.
#[utoipa::path(
    post, path = "/alert-channels/{channel}/actions/test", tag = "alerts", operation_id = "test_alert_channel",
    params(("channel" = String, Path, description = "The channel's name")),
    responses(
        (status = 200, description = "It was tried; the body says whether it was taken", body = TestBody),
        (status = 404, description = "There is no such channel", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn test(
    State(service): Api,
    ApiPath(channel): ApiPath<String>,
) -> Result<ApiJson<TestBody>, Problem> {
    let began = std::time::Instant::now();
    let tried = service.alerts.test(&channel).await;
    let tried = tried.ok_or_else(|| Problem::not_found("alert channel", format!("{channel:?}")))?;
    let body = TestBody {
        channel,
        delivered: tried.is_ok(),
        error: tried.err(),
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    Ok(ApiJson(body))
}
