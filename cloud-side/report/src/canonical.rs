//! The canonical form of JSON: one sequence of bytes for each value.
//!
//! Names are sorted by their bytes, there is no white space, and numbers are whole. Text that would
//! mean different things to different readers, a name given twice or a number with a fraction, is
//! refused. So a copy that was indented still verifies, and one that was edited does not.

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use std::{collections::BTreeMap, fmt};

/// A JSON value that has a canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Canonical {
    Null,
    Bool(bool),
    Whole(i128),
    Text(String),
    List(Vec<Self>),
    Object(BTreeMap<String, Self>),
}

impl Canonical {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// What a value is as JSON.
    ///
    /// # Errors
    /// When it holds a number with a fraction.
    pub(crate) fn of(value: &impl serde::Serialize) -> Result<Self, serde_json::Error> {
        Self::parse(&serde_json::to_vec(value)?)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.get(name),
            _ => None,
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut text = String::new();
        self.write(&mut text);
        text.into_bytes()
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Whole(value) => out.push_str(&value.to_string()),
            Self::Text(text) => write_text(text, out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (index, (name, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("text always encodes into memory"));
}

impl<'de> Deserialize<'de> for Canonical {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Canonical;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON with whole numbers only")
    }

    fn visit_unit<E: Error>(self) -> Result<Canonical, E> {
        Ok(Canonical::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Canonical, E> {
        Ok(Canonical::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Canonical, E> {
        Ok(Canonical::Whole(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Canonical, E> {
        Ok(Canonical::Whole(value.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Canonical, E> {
        Ok(Canonical::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Canonical, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Canonical::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Canonical, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((name, value)) = entries.next_entry::<String, Canonical>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format!(
                    "the name {name:?} is given twice"
                )));
            }
            fields.insert(name, value);
        }
        Ok(Canonical::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_order_do_not_matter_and_everything_else_does() {
        let form = |text: &str| Canonical::parse(text.as_bytes()).map(|value| value.to_bytes());
        let one = form(r#" {"b": [1, null, true], "a":"é\n"} "#).unwrap();
        assert_eq!(one, form(r#"{"a":"\u00e9\n","b":[1,null,true]}"#).unwrap());
        assert_eq!(one, "{\"a\":\"é\\n\",\"b\":[1,null,true]}".as_bytes());
        for other in [
            r#"{"a":"é\n","b":[1,null,false]}"#,
            r#"{"a":"é\n","b":[1,null]}"#,
            r#"{"a":"é","b":[1,null,true]}"#,
        ] {
            assert_ne!(one, form(other).unwrap(), "{other}");
        }
    }

    #[test]
    fn what_readers_could_disagree_about_is_refused() {
        for text in [
            r#"{"a":1,"a":2}"#,
            "1.5",
            "1e3",
            "{} {}",
            "{",
            "\"\\ud800\"",
        ] {
            assert!(Canonical::parse(text.as_bytes()).is_err(), "{text}");
        }
        let deep = "[".repeat(10_000);
        assert!(Canonical::parse(deep.as_bytes()).is_err());
    }
}
