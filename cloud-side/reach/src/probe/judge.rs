//! What an answer means: pure decisions of HTTP probes.

use crate::http::Answer;
use serde::{Deserialize, Serialize};
use std::{fmt, ops::RangeInclusive, str::FromStr};
use url::Url;
use utoipa::ToSchema;

/// Bytes of a body that are read and searched (256 KiB).
pub(super) const BODY_MAX: usize = 256 * 1024;

/// Most bytes of an answer that are quoted.
const QUOTED_MAX: usize = 120;

/// Statuses that pass, such as `200-299` and `401`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
#[schema(value_type = Vec<String>)]
pub struct StatusSet(Vec<RangeInclusive<u16>>);

/// Why statuses could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no set of HTTP statuses; write one such as 204, or a range such as 200-299")]
pub struct StatusSetError(String);

impl Default for StatusSet {
    fn default() -> Self {
        Self(vec![200..=299])
    }
}

impl StatusSet {
    /// Whether the status passes.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl FromStr for StatusSet {
    type Err = StatusSetError;

    /// Reads statuses and ranges with commas between them.
    fn from_str(text: &str) -> Result<Self, StatusSetError> {
        text.split(',')
            .map(|part| range(part.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn range(text: &str) -> Result<RangeInclusive<u16>, StatusSetError> {
    let wrong = || StatusSetError(text.to_owned());
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let status = |text: &str| text.trim().parse::<u16>().map_err(|_| wrong());
    let range = status(first)?..=status(last)?;
    let valid = range.start() <= range.end() && *range.start() >= 100 && *range.end() <= 599;
    valid.then_some(range).ok_or_else(wrong)
}

impl TryFrom<Vec<String>> for StatusSet {
    type Error = StatusSetError;

    fn try_from(parts: Vec<String>) -> Result<Self, StatusSetError> {
        if parts.is_empty() {
            return Err(StatusSetError(String::new()));
        }
        parts
            .iter()
            .map(|part| range(part))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl From<StatusSet> for Vec<String> {
    fn from(set: StatusSet) -> Self {
        set.0.iter().map(written).collect()
    }
}

fn written(range: &RangeInclusive<u16>) -> String {
    if range.start() == range.end() {
        range.start().to_string()
    } else {
        format!("{}-{}", range.start(), range.end())
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.0.iter().map(written).collect();
        formatter.write_str(&parts.join(", "))
    }
}

/// Whether another page is asked when a server says so. From https to http it never is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Redirects {
    /// Never: a redirection is an answer like any other.
    #[default]
    None,
    /// Up to this many times, on the same host and port.
    SameHost(u8),
    /// Up to this many times, anywhere.
    Anywhere(u8),
}

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The probe passes.
    Passed(String),
    /// It does not.
    Failed(String),
    /// Another page is to be asked.
    Ask(Box<Url>),
}

/// A URL that can be asked.
pub(super) fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{:?} is not asked", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user or a password".to_owned());
    }
    Ok(url)
}

/// Judges an answer; `followed` redirections led here.
pub(super) fn judge(probe: &super::HttpProbe, at: &Url, followed: u8, answer: &Answer) -> Verdict {
    let status = answer.status;
    let is_redirection = matches!(status, 301 | 302 | 303 | 307 | 308);
    let most = match probe.redirects {
        Redirects::None => 0,
        Redirects::SameHost(most) | Redirects::Anywhere(most) => most,
    };
    if let (true, true, Some(location)) = (
        is_redirection,
        probe.redirects != Redirects::None,
        &answer.location,
    ) {
        if followed >= most {
            return Verdict::Failed(format!(
                "redirected more than {most} times, last to {location:?}"
            ));
        }
        return match next(probe, at, location) {
            Ok(next) => Verdict::Ask(Box::new(next)),
            Err(cause) => Verdict::Failed(format!("redirected to {location:?}: {cause}")),
        };
    }
    if !probe.expected.contains(status) {
        return Verdict::Failed(format!(
            "status {status} instead of {}: {}",
            probe.expected,
            quoted(&answer.body)
        ));
    }
    match &probe.body_contains {
        Some(wanted) if !contains(&answer.body, wanted) => Verdict::Failed(format!(
            "status {status}, but the {} does not contain {wanted:?}: {}",
            if answer.was_cut {
                "first 256 KiB of the body"
            } else {
                "body"
            },
            quoted(&answer.body)
        )),
        Some(wanted) => Verdict::Passed(format!("status {status}, with {wanted:?}")),
        None => Verdict::Passed(format!("status {status}")),
    }
}

fn next(probe: &super::HttpProbe, at: &Url, location: &str) -> Result<Url, String> {
    let next = at.join(location).map_err(|error| error.to_string())?;
    let next = url(next.as_str())?;
    if at.scheme() == "https" && next.scheme() == "http" {
        return Err("it leads out of TLS".to_owned());
    }
    let place = |url: &Url| {
        (
            url.host_str().map(str::to_owned),
            url.port_or_known_default(),
        )
    };
    let same_host = place(at).0 == place(&next).0;
    // The step from http to https changes the port by nature.
    let upgraded = at.scheme() == "http" && next.scheme() == "https" && next.port().is_none();
    match probe.redirects {
        Redirects::SameHost(_) if !same_host => Err("it leads to another host".to_owned()),
        Redirects::SameHost(_) if place(at) != place(&next) && !upgraded => {
            Err("it leads to another port".to_owned())
        }
        _ => Ok(next),
    }
}

/// Whether bytes contain a text.
pub(super) fn contains(bytes: &[u8], text: &str) -> bool {
    text.is_empty()
        || bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
}

/// The beginning of what was said, fit for a line.
pub(super) fn quoted(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing".to_owned();
    }
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(QUOTED_MAX)]);
    let dots = if bytes.len() > QUOTED_MAX { "…" } else { "" };
    format!("{:?}{dots}", text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{http::Trust, probe::HttpProbe};

    fn probe(redirects: Redirects) -> HttpProbe {
        HttpProbe {
            url: "https://shop.example/health".into(),
            expected: StatusSet::default(),
            body_contains: Some("ready".into()),
            redirects,
            trust: Trust::System,
            connect_to: None,
        }
    }

    fn answer(status: u16, location: Option<&str>, body: &str) -> Answer {
        Answer {
            status,
            location: location.map(str::to_owned),
            body: body.as_bytes().to_vec(),
            was_cut: false,
        }
    }

    fn judged(redirects: Redirects, answer: &Answer) -> Verdict {
        let probe = probe(redirects);
        judge(&probe, &Url::parse(&probe.url).unwrap(), 1, answer)
    }

    #[test]
    fn status_and_body_must_both_be_as_expected() {
        let none = Redirects::None;
        let passed = judged(none, &answer(204, None, "all ready"));
        assert!(matches!(passed, Verdict::Passed(_)), "{passed:?}");
        for (status, body) in [(200, "starting"), (503, "ready"), (302, "ready")] {
            let failed = judged(none, &answer(status, None, body));
            assert!(matches!(failed, Verdict::Failed(_)), "{status} {body}");
        }
    }

    #[test]
    fn redirections_are_followed_as_far_as_allowed() {
        let to = |location| answer(302, Some(location), "");
        let asks = |verdict| match verdict {
            Verdict::Ask(url) => url.to_string(),
            other => panic!("{other:?}"),
        };
        let same = Redirects::SameHost(2);
        assert_eq!(
            asks(judged(same, &to("/login"))),
            "https://shop.example/login"
        );
        let anywhere = asks(judged(
            Redirects::Anywhere(2),
            &to("https://other.example/"),
        ));
        assert_eq!(anywhere, "https://other.example/");
        for (redirects, location, why) in [
            (same, "https://other.example/", "another host"),
            (same, "https://shop.example:8443/", "another port"),
            (Redirects::Anywhere(5), "http://shop.example/", "out of TLS"),
            (Redirects::Anywhere(5), "ftp://shop.example/", "not asked"),
            (Redirects::Anywhere(5), "https://me@shop.example/", "user"),
            (Redirects::Anywhere(1), "/again", "more than 1"),
            (Redirects::None, "/login", "status 302"),
        ] {
            match judged(redirects, &to(location)) {
                Verdict::Failed(text) => assert!(text.contains(why), "{location}: {text}"),
                other => panic!("{location}: {other:?}"),
            }
        }
    }

    #[test]
    fn sets_of_statuses_are_read_and_written() {
        let set: StatusSet = "200-299, 401".parse().unwrap();
        assert!(set.contains(299) && set.contains(401) && !set.contains(300));
        assert_eq!(set.to_string(), "200-299, 401");
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"["200-299","401"]"#);
        assert_eq!(serde_json::from_str::<StatusSet>(&json).unwrap(), set);
        for wrong in ["", "20", "abc", "300-200", "200-600", "200-"] {
            assert!(wrong.parse::<StatusSet>().is_err(), "{wrong:?}");
        }
        assert!(
            serde_json::from_str::<StatusSet>("[]").is_err(),
            "nothing would pass"
        );
    }
}
