//! Entity tags: who changes something says which state of it was read, and who reads it again is told
//! when it is still the same.
//!
//! A tag is `"VERSION-DIGEST"`. The version is that of what can be set; the digest is over the whole
//! answer, which also says what follows from it and from the time. `If-Match` compares versions, so a
//! change is not refused because a drill ran meanwhile; `If-None-Match` compares the whole, so nobody
//! is told that an answer is the same which is not. `"VERSION"` alone is accepted as well.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bcdr_http::Problem;
use serde::Serialize;
use std::fmt;

/// The form of a header that names tags.
pub(super) const TAGS: &str = r#"^([*]|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$"#;

/// What a change is on condition of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// Nothing.
    Anything,
    /// That there is one.
    Any,
    /// That there is none.
    None,
    /// That it has one of these versions.
    Versions(Vec<String>),
}

impl Expected {
    /// Reads `If-Match` and `If-None-Match` of a request that changes something.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        if let Some(tags) = tags(headers, header::IF_MATCH)? {
            return Ok(match tags {
                Tags::Any => Self::Any,
                // A weak tag is never the same as another.
                Tags::These(these) => Self::Versions(
                    these
                        .into_iter()
                        .filter(|tag| !tag.is_weak)
                        .map(|tag| version_of(&tag.text).to_owned())
                        .collect(),
                ),
            });
        }
        match tags(headers, header::IF_NONE_MATCH)? {
            None => Ok(Self::Anything),
            Some(Tags::Any) => Ok(Self::None),
            Some(Tags::These(_)) => Err(Problem::invalid(
                "an If-None-Match of a request that changes something is *",
            )
            .field("If-None-Match")
            .remedy("send If-Match with the ETag that was read, or If-None-Match: * to make it")),
        }
    }

    /// Whether what is there now, or that nothing is, is as expected.
    pub(super) fn admits(&self, found: Option<&dyn fmt::Display>) -> bool {
        match (self, found) {
            (Self::Anything, _) | (Self::Any, Some(_)) | (Self::None, None) => true,
            (Self::Versions(versions), Some(found)) => {
                let found = found.to_string();
                versions.contains(&found)
            }
            (Self::Any | Self::Versions(_), None) | (Self::None, Some(_)) => false,
        }
    }
}

/// What is told when something is not as expected.
pub(super) fn changed_meanwhile(what: impl fmt::Display) -> Problem {
    Problem::changed_meanwhile(format!("{what} is not as it was read"))
        .cause("it was changed, made or removed since its ETag was given")
        .remedy("read it again, see what is different, and repeat the change with its new ETag")
}

/// An answer with its tag; 304 without a body when the client has the very same.
pub(super) fn tagged(
    headers: &HeaderMap,
    version: impl fmt::Display,
    body: &impl Serialize,
) -> Result<Response, Problem> {
    let bytes = serde_json::to_vec(body)
        .map_err(|error| Problem::internal("writing the answer as JSON", &error))?;
    let digest = blake3::hash(&bytes).to_hex();
    let text = format!("{version}-{}", &digest[..16]);
    let tag = HeaderValue::try_from(format!("\"{text}\"")).expect("versions are plain ASCII");
    // A weak comparison, as RFC 9110 has it for this header.
    let is_known = match tags(headers, header::IF_NONE_MATCH)? {
        None => false,
        Some(Tags::Any) => true,
        Some(Tags::These(these)) => these.iter().any(|known| known.text == text),
    };
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let json = HeaderValue::from_static("application/json");
    let shown = [(header::CONTENT_TYPE, json), (header::ETAG, tag)];
    Ok((shown, bytes).into_response())
}

/// The same for what was just changed: it is shown whatever the client knew.
pub(super) fn tagged_change(
    version: impl fmt::Display,
    body: &impl Serialize,
) -> Result<Response, Problem> {
    tagged(&HeaderMap::new(), version, body)
}

struct Tag {
    is_weak: bool,
    text: String,
}

enum Tags {
    Any,
    These(Vec<Tag>),
}

fn version_of(tag: &str) -> &str {
    tag.split_once('-').map_or(tag, |(version, _)| version)
}

/// Reads a header that names tags; none when it is not there.
fn tags(headers: &HeaderMap, name: HeaderName) -> Result<Option<Tags>, Problem> {
    let mut these = Vec::new();
    let mut values = headers.get_all(&name).iter().peekable();
    if values.peek().is_none() {
        return Ok(None);
    }
    for value in values {
        let text = value.to_str().map_err(|_| unreadable(&name))?.trim();
        if text == "*" {
            return Ok(Some(Tags::Any));
        }
        let read = listed(text).ok_or_else(|| unreadable(&name))?;
        these.extend(read);
    }
    Ok(Some(Tags::These(these)))
}

/// Reads tags with commas between them; there may be commas in a tag too.
fn listed(text: &str) -> Option<Vec<Tag>> {
    let mut these = Vec::new();
    let mut rest = text;
    loop {
        let (is_weak, quoted) = match rest.strip_prefix("W/") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let (tag, after) = quoted.strip_prefix('"')?.split_once('"')?;
        these.push(Tag {
            is_weak,
            text: tag.to_owned(),
        });
        let after = after.trim_start();
        if after.is_empty() {
            return Some(these);
        }
        rest = after.strip_prefix(',')?.trim_start();
    }
}

fn unreadable(name: &HeaderName) -> Problem {
    let name = match *name {
        header::IF_MATCH => "If-Match",
        _ => "If-None-Match",
    };
    Problem::invalid(format!("the {name} is no list of ETags"))
        .field(name)
        .remedy("take the ETag, with its quotes, as it came with the object that was read")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    fn admits(name: HeaderName, value: &'static str, found: Option<u32>) -> bool {
        let expected = Expected::read(&headers(name, value)).unwrap();
        let found = found.as_ref().map(|found| found as &dyn fmt::Display);
        expected.admits(found)
    }

    #[test]
    fn versions_are_expected_and_digests_do_not_count() {
        for (tag, found, wanted) in [
            ("\"3-abc\"", Some(3), true),
            ("\"3\"", Some(3), true),
            ("\"2-x\", \"3-y\"", Some(3), true),
            ("\"2,x\",W/\"x\" , \"3,y\"", Some(3), false),
            ("\"a,b\", \"3\"", Some(3), true),
            ("\"33\"", Some(3), false),
            ("\"3\"", None, false),
            ("W/\"3\"", Some(3), false),
            ("*", Some(9), true),
            ("*", None, false),
        ] {
            assert_eq!(admits(header::IF_MATCH, tag, found), wanted, "{tag}");
        }
        assert!(admits(header::IF_NONE_MATCH, "*", None));
        assert!(!admits(header::IF_NONE_MATCH, "*", Some(1)));
        assert!(Expected::read(&HeaderMap::new()).unwrap().admits(None));
        for (name, value) in [
            (header::IF_MATCH, "3"),
            (header::IF_MATCH, "\"3"),
            (header::IF_MATCH, "\"3\", x"),
            (header::IF_MATCH, "\"3\" \"4\""),
            (header::IF_MATCH, "\"3\","),
            (header::IF_NONE_MATCH, "\"3\""),
        ] {
            let refused = Expected::read(&headers(name.clone(), value)).unwrap_err();
            assert!(refused.field.is_some(), "{name}: {value}");
        }
    }

    #[test]
    fn the_very_same_answer_is_not_sent_again_and_another_one_is() {
        let first = tagged(&HeaderMap::new(), 4, &"body").unwrap();
        let tag = first.headers()[header::ETAG].clone();
        assert!(tag.to_str().unwrap().starts_with("\"4-"), "{tag:?}");
        let weak = HeaderValue::try_from(format!("\"x\", W/{}", tag.to_str().unwrap())).unwrap();
        for known in [tag.clone(), weak, HeaderValue::from_static("*")] {
            let known = HeaderMap::from_iter([(header::IF_NONE_MATCH, known)]);
            let same = tagged(&known, 4, &"body").unwrap();
            assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
            assert_eq!(same.headers()[header::ETAG], tag);
        }
        let known = HeaderMap::from_iter([(header::IF_NONE_MATCH, tag)]);
        let other = tagged(&known, 4, &"another body").unwrap();
        assert_eq!(other.status(), StatusCode::OK);
    }
}
