//! Paths and queries of the API, with everything that came from people escaped.

use std::fmt;

/// A path below `/api/v1`, with its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path(String);

impl Path {
    /// A collection.
    pub(crate) fn new(collection: &str) -> Self {
        Self(collection.to_owned())
    }

    /// One of its items, or a collection of an item.
    pub(crate) fn item(mut self, name: &str) -> Self {
        self.0.push('/');
        escape(&mut self.0, name);
        self
    }

    /// Adds a parameter.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        escape(&mut self.0, name);
        self.0.push('=');
        escape(&mut self.0, value);
        self
    }

    /// Adds a parameter, if there is a value.
    pub(crate) fn query_if(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn escape(out: &mut String, text: &str) {
    // A segment of dots only would be resolved away on its way.
    let dots = text.bytes().all(|byte| byte == b'.');
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(byte.into()),
            b'.' if !dots => out.push('.'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_stays_in_its_place() {
        let path = Path::new("groups")
            .item("a/../b?c")
            .item("points")
            .query("at", "1 +é");
        assert_eq!(
            path.to_string(),
            "groups/a%2F..%2Fb%3Fc/points?at=1%20%2B%C3%A9"
        );
        let path = Path::new("views")
            .item("..")
            .query("limit", "1")
            .query_if("cursor", None);
        assert_eq!(
            path.query_if("x", Some("y")).to_string(),
            "views/%2E%2E?limit=1&x=y"
        );
    }
}
