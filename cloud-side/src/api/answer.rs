//! From errors of the engines to problems with a cause and a remedy, and back from what a client
//! named to what it means.

use super::Api;
use crate::{
    catalog::{BatchRow, CatalogError},
    groups::Group,
    offload::offload,
    points::{Instant, resolve},
};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bcdr_http::Problem;
use std::{sync::Arc, time::Duration};

/// The longest a request waits for a job.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(60);

/// The catalog failed.
pub(super) fn catalog(error: CatalogError) -> Problem {
    Problem::internal("using the catalog", &error)
}

/// The system has no randomness.
pub(super) fn no_randomness(error: getrandom::Error) -> Problem {
    Problem::internal("making an id", &error)
}

/// The group that a path or body names.
pub(super) fn group(service: &Api, id_or_name: &str) -> Result<Arc<Group>, Problem> {
    service
        .groups
        .find(id_or_name)
        .ok_or_else(|| Problem::not_found("group", format!("{id_or_name:?}")))
}

/// The optional group of a list's filter.
pub(super) fn group_filter(
    service: &Api,
    id_or_name: Option<&str>,
) -> Result<Option<Arc<Group>>, Problem> {
    id_or_name.map(|name| group(service, name)).transpose()
}

/// The published point that an instant means.
pub(super) async fn point(
    service: &Api,
    group: &Group,
    instant: Instant,
) -> Result<BatchRow, Problem> {
    let (catalog_, lineage) = (Arc::clone(&service.catalog), group.lineage());
    let wanted = instant.clone();
    let found = offload(move || resolve(&catalog_, lineage, &wanted)).await;
    found
        .map_err(catalog)?
        .ok_or_else(|| no_point(group, &instant))
}

fn no_point(group: &Group, instant: &Instant) -> Problem {
    let name = &group.record().name;
    let detail = match instant {
        Instant::Latest => format!("group {name} has no recovery point yet"),
        Instant::Id(id) => format!("group {name} has no published point {id}"),
        Instant::At(time) => format!("group {name} has no point at or before {time}"),
        Instant::Label(label) => format!("group {name} has no point labelled {label:?}"),
    };
    let remedy = match instant {
        Instant::Latest => "wait until the first copy is complete; see the group's replication",
        Instant::At(_) => "take a later time; the oldest point is at the end of the group's list",
        Instant::Id(_) | Instant::Label(_) => {
            "list the group's points; an instant is a point id, a label, an RFC 3339 time or latest"
        }
    };
    Problem::new(
        StatusCode::NOT_FOUND,
        "point_not_found",
        "Not found",
        detail,
    )
    .remedy(remedy)
}

/// How long a client asked to wait: `wait_seconds` in the query, or `Prefer: wait=N`.
pub(super) fn patience(query: Option<u64>, headers: &HeaderMap) -> Duration {
    let preferred = || {
        let prefer = headers.get("prefer")?.to_str().ok()?;
        let wait = prefer
            .split(',')
            .find_map(|part| part.trim().strip_prefix("wait="))?;
        wait.trim().parse().ok()
    };
    Duration::from_secs(query.or_else(preferred).unwrap_or(0)).min(WAIT_MAX)
}

/// The `Idempotency-Key` of a request.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let max = crate::idempotency::KEY_LENGTH_MAX;
    value
        .to_str()
        .ok()
        .filter(|text| !text.is_empty() && text.len() <= max)
        .map(|text| Some(text.to_owned()))
        .ok_or_else(|| {
            Problem::invalid(format!(
                "the Idempotency-Key has not 1 to {max} ASCII characters"
            ))
        })
}

/// Refuses a text that nobody could read afterwards, and one that is too long.
pub(super) fn legible(text: &str, field: &str, most: usize) -> Result<(), Problem> {
    let blank = text
        .chars()
        .all(|letter| letter.is_whitespace() || letter.is_control());
    let characters = text.chars().count();
    if blank || characters > most {
        let detail = if blank {
            format!("{field} says nothing")
        } else {
            format!("{field} has {characters} characters")
        };
        return Err(Problem::invalid(detail)
            .field(field)
            .remedy(format!("write 1 to {most} characters")));
    }
    Ok(())
}

/// A key that cannot be used.
pub(super) fn idempotency(error: crate::idempotency::IdempotencyError) -> Problem {
    match error {
        crate::idempotency::IdempotencyError::Mismatch => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_mismatch",
            "Idempotency key used before",
            "this Idempotency-Key came with another request within the last day",
        )
        .remedy("use a fresh key for a new request"),
        crate::idempotency::IdempotencyError::Catalog(error) => catalog(error),
    }
}

/// What the job of a repeated request is about.
pub(super) async fn subject_of<Id: std::str::FromStr>(
    service: &Api,
    job: crate::record_id::JobId,
) -> Result<Id, Problem> {
    let found = service.jobs.get(job).await.map_err(catalog)?;
    found
        .and_then(|record| record.subject.parse().ok())
        .ok_or_else(|| Problem::not_found("job", job))
}

/// A `Location` header for a path under the API's base.
pub(super) fn location(path: impl std::fmt::Display) -> [(header::HeaderName, HeaderValue); 1] {
    let text = format!("/api/v1/{path}");
    let value = HeaderValue::try_from(text).expect("ids are plain ASCII");
    [(header::LOCATION, value)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_read_from_both_places_and_bounded() {
        let mut headers = HeaderMap::new();
        assert_eq!(patience(None, &headers), Duration::ZERO);
        headers.insert("prefer", HeaderValue::from_static("respond-async, wait=7"));
        assert_eq!(patience(None, &headers), Duration::from_secs(7));
        assert_eq!(patience(Some(3), &headers), Duration::from_secs(3));
        assert_eq!(patience(Some(1_000_000), &headers), WAIT_MAX);
        headers.insert("prefer", HeaderValue::from_static("wait=soon"));
        assert_eq!(patience(None, &headers), Duration::ZERO);
    }
}
