//! `/groups/{group}/samples`: how old a group's newest point was, over time.

use super::{Api, answer};
use crate::{
    clock,
    rpo_history::hour::{Part, hour_of},
};
use axum::extract::State;
use bcdr_format::Timestamp;
use bcdr_http::{ApiJson, ApiPath, ApiQuery, Problem};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) const HOUR_SECONDS: u64 = 3600;
const HOUR_MICROSECONDS: i64 = 3_600_000_000;
/// Samples of one answer.
const SAMPLES_MAX: i64 = 1000;
/// Hours of one answer: a leap year.
pub(super) const HOURS_MAX: i64 = 366 * 24;
/// Hours that are shown when nobody says which.
const HOURS_DEFAULT: i64 = 24;

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new().routes(routes!(list))
}

/// How old a group's newest point was, over a time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Samples)]
struct SamplesBody {
    /// The group.
    group: String,
    /// The name of the group.
    group_name: String,
    /// Seconds of each sample.
    step_seconds: u64,
    /// The samples, without a gap between them, the oldest first.
    items: Vec<SampleBody>,
}

/// How old a group's newest point was, in a part of the time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sample)]
struct SampleBody {
    /// When the part begins.
    #[schema(value_type = String, format = DateTime)]
    from: jiff::Timestamp,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    to: jiff::Timestamp,
    /// The greatest age in seconds; null when nothing was measured. Where only some of the time was
    /// not measured, the age counts as growing through it.
    worst_seconds: Option<f64>,
    /// The age that was not exceeded in 95 % of the time; null when nothing was measured.
    p95_seconds: Option<f64>,
    /// Seconds in which it was measured.
    measured_seconds: f64,
    /// Seconds in which nobody measured although the group had a point, such as while the cloud side was
    /// stopped.
    blind_seconds: f64,
}

impl SampleBody {
    fn of(from: Timestamp, to: Timestamp, part: Option<Part>) -> Self {
        let seconds = |milliseconds: u64| milliseconds as f64 / 1000.0;
        let period = part.as_ref().map(|part| &part.period);
        let measured = part.as_ref().map_or(0, |part| part.measured_ms);
        // What was never looked at is not known, although it can be reckoned.
        let known = period.filter(|_| measured > 0);
        Self {
            from: clock::readable(from),
            to: clock::readable(to),
            worst_seconds: known.map(|period| seconds(period.worst_ms)),
            p95_seconds: known.map(|period| seconds(period.p95_ms)),
            measured_seconds: seconds(measured),
            blind_seconds: seconds(period.map_or(0, |period| period.blind_ms)),
        }
    }
}

/// Which time.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// When the first sample begins (RFC 3339), taken back to the whole hour; 24 hours before the end by
    /// default.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<jiff::Timestamp>,
    /// When the last sample ends, at the earliest; now by default.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<jiff::Timestamp>,
    /// Seconds of each sample: whole hours, which is how the history is kept; 3600 by default.
    step: Option<u64>,
}

/// The hours that are asked for.
#[derive(Debug, PartialEq, Eq)]
struct Grid {
    /// The first hour since 1970.
    first: i64,
    /// Hours of a sample.
    step: i64,
    /// Samples.
    count: i64,
}

impl Grid {
    fn read(query: &ListQuery, now: Timestamp) -> Result<Self, Problem> {
        let step = query.step.unwrap_or(HOUR_SECONDS);
        let hours = i64::try_from(step / HOUR_SECONDS).unwrap_or(i64::MAX);
        if !step.is_multiple_of(HOUR_SECONDS) || !(1..=HOURS_MAX).contains(&hours) {
            let detail = format!("a step of {step} s is not 1 to {HOURS_MAX} whole hours");
            return Err(Problem::invalid(detail)
                .field("step")
                .remedy("take a multiple of 3600: the history is kept by the hour"));
        }
        let to = query.to.map_or(now, clock::stored);
        let end = hour_of(Timestamp(to.0.saturating_sub(1))).saturating_add(1);
        let first = match query.from {
            Some(from) => hour_of(clock::stored(from)),
            None => end.saturating_sub(HOURS_DEFAULT.max(hours)),
        };
        let whole = end.saturating_sub(first);
        if whole < 1 {
            let detail = "the end is not after the beginning";
            return Err(Problem::invalid(detail).field("to"));
        }
        let count = whole.saturating_add(hours - 1) / hours;
        if whole > HOURS_MAX || count > SAMPLES_MAX {
            let detail = format!("{whole} hours in {count} samples are asked for");
            let remedy = format!(
                "ask for {HOURS_MAX} hours and {SAMPLES_MAX} samples at most: take a longer step, or a shorter time"
            );
            return Err(Problem::invalid(detail).field("from").remedy(remedy));
        }
        Ok(Self {
            first,
            step: hours,
            count,
        })
    }

    fn begins(&self, sample: i64) -> Timestamp {
        let hour = self.first.saturating_add(sample.saturating_mul(self.step));
        Timestamp(hour.saturating_mul(HOUR_MICROSECONDS))
    }
}

/// Shows how old a group's newest point was, over time, from the history that is kept of every hour.
#[utoipa::path(
    get, path = "/groups/{group}/samples", tag = "groups", operation_id = "list_samples",
    params(("group" = String, Path, description = "The group's id or name"), ListQuery),
    responses(
        (status = 200, body = SamplesBody),
        (status = 404, description = "There is no such group", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiPath(name): ApiPath<String>,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<SamplesBody>, Problem> {
    let service = State(service);
    let group = answer::group(&service, &name)?;
    let grid = Grid::read(&query, clock::wall())?;
    let count = usize::try_from(grid.count).unwrap_or(0);
    let parts = service
        .rpo
        .parts(group.id(), grid.first, grid.step, count)
        .await
        .map_err(answer::catalog)?;
    let items = (0..).zip(parts).map(|(number, part)| {
        let (from, to) = (grid.begins(number), grid.begins(number + 1));
        SampleBody::of(from, to, part)
    });
    Ok(ApiJson(SamplesBody {
        group: group.id().to_string(),
        group_name: group.record().name.clone(),
        step_seconds: grid.step.unsigned_abs() * HOUR_SECONDS,
        items: items.collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(from: Option<&str>, to: Option<&str>, step: Option<u64>) -> Result<Grid, Problem> {
        let time = |text: &str| text.parse().unwrap();
        let query = ListQuery {
            from: from.map(time),
            to: to.map(time),
            step,
        };
        Grid::read(&query, Timestamp(100 * HOUR_MICROSECONDS + 1))
    }

    #[test]
    fn a_time_becomes_whole_hours_and_what_is_too_much_is_refused() {
        let day = grid(None, None, None).unwrap();
        assert_eq!((day.first, day.step, day.count), (77, 1, 24));
        let (from, to) = ("1970-01-01T10:59:59Z", "1970-01-01T13:00:00Z");
        let exact = grid(Some(from), Some(to), Some(7200)).unwrap();
        assert_eq!((exact.first, exact.step, exact.count), (10, 2, 2));
        assert_eq!(exact.begins(1), Timestamp(12 * HOUR_MICROSECONDS));
        for (from, to, step, field) in [
            (None, None, Some(0), "step"),
            (None, None, Some(3601), "step"),
            (None, None, Some(u64::MAX), "step"),
            (Some(to), Some(from), None, "to"),
            (Some(from), Some("1970-03-01T00:00:00Z"), None, "from"),
            (Some("-001000-01-01T00:00:00Z"), None, Some(86_400), "from"),
        ] {
            let refused = grid(from, to, step).unwrap_err();
            assert_eq!(
                refused.field.as_deref(),
                Some(field),
                "{from:?} {to:?} {step:?}"
            );
        }
        assert!(grid(Some(from), Some("1970-03-01T00:00:00Z"), Some(7200)).is_ok());
    }
}
