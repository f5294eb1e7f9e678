//! The few fields of a request that are kept.
//!
//! Whatever a handler takes is looked at here too: a body without a stated length, or one that is padded
//! up to the bound of all bodies, keeps its fields. Memory is bounded by the body and what is kept of it.

use crate::api::whole_body::whole_body;
use axum::extract::Request;
use bcdr_http::Problem;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::{collections::BTreeMap, fmt};

/// Fields of a request that say in short what was asked for or granted, and can hold no secret.
pub(super) const SHORT_FIELDS: [&str; 18] = [
    "group",
    "groups",
    "plan",
    "name",
    "mode",
    "at",
    "point",
    "step",
    "seed",
    "label",
    "reason",
    "role",
    "disabled",
    "expires_at",
    "isolation_confirmed",
    "without_approvals",
    "until",
    "scope",
];

/// Reads the short fields of a body, and gives the request back as it was.
pub(super) async fn short_fields(
    request: Request,
) -> Result<(Request, BTreeMap<String, String>), Problem> {
    let (request, bytes) = whole_body(request).await?;
    // What is no object is for the handler to refuse.
    let Kept(changes) = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok((request, changes))
}

/// The short fields of a body that was read.
pub(super) fn of(body: serde_json::Value) -> BTreeMap<String, String> {
    let Kept(changes) = Kept::deserialize(body).unwrap_or_default();
    changes
}

/// The short fields of an object; whatever else is in it takes no memory.
#[derive(Default)]
struct Kept(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Kept;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<Map: MapAccess<'de>>(self, mut map: Map) -> Result<Kept, Map::Error> {
        let mut kept = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if !SHORT_FIELDS.contains(&name.as_str()) {
                map.next_value::<IgnoredAny>()?;
            } else if let Short(Some(text)) = map.next_value()? {
                kept.insert(name, text);
            }
        }
        Ok(Kept(kept))
    }
}

/// How many texts of a list are kept.
const LISTED_MAX: usize = 64;

/// A value as text, and a list as its values one after the other; none of one that is not short.
struct Short(Option<String>);

impl<'de> Deserialize<'de> for Short {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Value)
    }
}

struct Value;

impl<'de> Visitor<'de> for Value {
    type Value = Short;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_str<Error>(self, text: &str) -> Result<Short, Error> {
        Ok(Short(Some(text.to_owned())))
    }

    fn visit_bool<Error>(self, value: bool) -> Result<Short, Error> {
        Ok(Short(Some(value.to_string())))
    }

    fn visit_u64<Error>(self, value: u64) -> Result<Short, Error> {
        Ok(Short(Some(value.to_string())))
    }

    fn visit_i64<Error>(self, value: i64) -> Result<Short, Error> {
        Ok(Short(Some(value.to_string())))
    }

    fn visit_f64<Error>(self, value: f64) -> Result<Short, Error> {
        Ok(Short(Some(value.to_string())))
    }

    fn visit_unit<Error>(self) -> Result<Short, Error> {
        Ok(Short(None))
    }

    fn visit_seq<Seq: SeqAccess<'de>>(self, mut seq: Seq) -> Result<Short, Seq::Error> {
        let mut listed = Vec::new();
        let mut all = true;
        while let Some(Short(text)) = seq.next_element()? {
            match text {
                Some(text) if listed.len() < LISTED_MAX => listed.push(text),
                _ => all = false,
            }
        }
        let dots = (!all && !listed.is_empty()).then(|| "…".to_owned());
        listed.extend(dots);
        Ok(Short((!listed.is_empty()).then(|| listed.join(", "))))
    }

    fn visit_map<Map: MapAccess<'de>>(self, mut map: Map) -> Result<Short, Map::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Short(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use bcdr_http::DEFAULT_BODY_LIMIT;

    async fn kept(body: Body) -> (Vec<(String, String)>, Vec<u8>) {
        let request = Request::builder().body(body).unwrap();
        let (request, changes) = short_fields(request).await.unwrap();
        let again = to_bytes(request.into_body(), usize::MAX).await.unwrap();
        (changes.into_iter().collect(), again.to_vec())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[tokio::test]
    async fn only_short_fields_are_kept_and_the_body_stays() {
        let body = r#"{"group":"lab","secret":"x","launch_settings":{"role":"y"},"at":5,
            "plan":{"name":"deep"},"step":[1,[2]],"seed":null,"disabled":true,"role":"admin"}"#;
        let (changes, again) = kept(Body::from(body)).await;
        let wanted = [
            ("at", "5"),
            ("disabled", "true"),
            ("group", "lab"),
            ("role", "admin"),
            ("step", "1, 2"),
        ];
        assert_eq!(changes, pairs(&wanted));
        assert_eq!(again, body.as_bytes());
        let many = format!("{{\"groups\":[{}\"x\"]}}", "\"g\",".repeat(LISTED_MAX));
        let (changes, _) = kept(Body::from(many)).await;
        assert!(changes[0].1.ends_with("g, …"), "{changes:?}");
        for other in ["", "[]", "{", "\"x\""] {
            let (changes, again) = kept(Body::from(other)).await;
            assert_eq!((changes, again), (Vec::new(), other.as_bytes().to_vec()));
        }
    }

    #[tokio::test]
    async fn a_body_without_a_length_and_a_padded_one_have_their_fields() {
        let padded = format!("{{\"pad\":\"{}\",\"name\":\"ada\"}}", "x".repeat(200 << 10));
        let pieces: Vec<Result<String, std::io::Error>> = padded
            .as_bytes()
            .chunks(7000)
            .map(|piece| Ok(String::from_utf8_lossy(piece).into_owned()))
            .collect();
        let streamed = Body::from_stream(futures_util::stream::iter(pieces));
        for body in [Body::from(padded.clone()), streamed] {
            let (changes, again) = kept(body).await;
            assert_eq!(changes, pairs(&[("name", "ada")]));
            assert_eq!(again, padded.as_bytes());
        }
    }

    #[tokio::test]
    async fn what_is_longer_than_a_handler_takes_is_refused() {
        let long = || vec![b' '; DEFAULT_BODY_LIMIT + 1];
        let pieces = vec![Ok::<_, std::io::Error>(long())];
        let streamed = Body::from_stream(futures_util::stream::iter(pieces));
        for body in [Body::from(long()), streamed] {
            let request = Request::builder().body(body).unwrap();
            let refused = short_fields(request).await.unwrap_err();
            assert_eq!(refused.status, 413);
        }
    }
}
