//! Record sets: what a name holds, in one written form.

use super::DnsError;
use hickory_proto::rr::{
    Name, RData, RecordType,
    rdata::{A, AAAA, CNAME},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Most values of one record set, so that its messages stay small.
const VALUES_MAX: usize = 64;
/// The greatest time to live that there is (RFC 2181), in seconds.
const TTL_MAX: u32 = i32::MAX as u32;

/// The kinds of records that are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordKind {
    /// Addresses of the fourth version.
    A,
    /// Addresses of the sixth version.
    Aaaa,
    /// The name that this one is an alias for.
    Cname,
}

impl RecordKind {
    pub(super) fn on_wire(self) -> RecordType {
        match self {
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
            Self::Cname => RecordType::CNAME,
        }
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
        })
    }
}

/// All records of one kind at one name. Without values it stands for none at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordSet {
    /// The name, complete: relative names do not exist here, with or without the dot at the end.
    pub name: String,
    /// The kind.
    pub kind: RecordKind,
    /// Time to live, in seconds; 0 when there are no values.
    pub ttl_seconds: u32,
    /// Addresses, or the one name that it is an alias for.
    pub values: Vec<String>,
}

impl fmt::Display for RecordSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.values.is_empty() {
            return formatter.write_str("absent");
        }
        write!(
            formatter,
            "{} for {} s",
            self.values.join(" "),
            self.ttl_seconds
        )
    }
}

impl RecordSet {
    /// The same in the form in which sets are compared: names complete and in lower case, addresses as
    /// they are commonly written, values sorted and each once.
    pub(super) fn canonical(&self) -> Result<Self, DnsError> {
        let mut values = Vec::with_capacity(self.values.len());
        for value in &self.values {
            values.push(written(&data(self.kind, value)?));
        }
        values.sort_unstable();
        values.dedup();
        let invalid = |cause: String| DnsError::Invalid {
            what: "the record set of",
            given: self.name.clone(),
            cause,
        };
        if values.len() > VALUES_MAX {
            return Err(invalid(format!("it has more than {VALUES_MAX} values")));
        }
        if self.kind == RecordKind::Cname && values.len() > 1 {
            return Err(invalid(
                "a name is an alias for one name at most; give one value".to_owned(),
            ));
        }
        if self.ttl_seconds > TTL_MAX {
            return Err(invalid(format!(
                "its time to live must be at most {TTL_MAX} s"
            )));
        }
        Ok(Self {
            name: name("name", &self.name)?.to_ascii(),
            kind: self.kind,
            ttl_seconds: if values.is_empty() {
                0
            } else {
                self.ttl_seconds
            },
            values,
        })
    }

    /// The values as they go into messages.
    pub(super) fn data(&self) -> Result<Vec<RData>, DnsError> {
        self.values
            .iter()
            .map(|value| data(self.kind, value))
            .collect()
    }
}

/// Reads a complete name, with or without the dot at its end.
pub(super) fn name(what: &'static str, text: &str) -> Result<Name, DnsError> {
    let invalid = |cause: String| DnsError::Invalid {
        what,
        given: text.to_owned(),
        cause,
    };
    if text.is_empty() {
        return Err(invalid("it is empty; write a complete name".to_owned()));
    }
    let mut name = Name::from_ascii(text)
        .map_err(|error| invalid(format!("{error}; write a complete name in ASCII")))?
        .to_lowercase();
    name.set_fqdn(true);
    Ok(name)
}

fn data(kind: RecordKind, value: &str) -> Result<RData, DnsError> {
    let no_address = |version: &str| DnsError::Invalid {
        what: "value",
        given: value.to_owned(),
        cause: format!("{kind} records hold IPv{version} addresses"),
    };
    Ok(match kind {
        RecordKind::A => RData::A(A(value.parse().map_err(|_| no_address("4"))?)),
        RecordKind::Aaaa => RData::AAAA(AAAA(value.parse().map_err(|_| no_address("6"))?)),
        RecordKind::Cname => RData::CNAME(CNAME(name("the alias's target", value)?)),
    })
}

/// A value of a record as it is compared; other kinds of data have none here.
pub(super) fn written(data: &RData) -> String {
    match data {
        RData::A(address) => address.0.to_string(),
        RData::AAAA(address) => address.0.to_string(),
        RData::CNAME(target) => target.0.to_lowercase().to_ascii(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(kind: RecordKind, values: &[&str]) -> RecordSet {
        RecordSet {
            name: "Shop.Example".into(),
            kind,
            ttl_seconds: 60,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        }
    }

    #[test]
    fn the_same_sets_are_equal_in_canonical_form() {
        let one = set(
            RecordKind::Aaaa,
            &["2001:DB8:0::2", "2001:db8::1", "2001:db8::1"],
        );
        let other = RecordSet {
            name: "shop.example.".into(),
            ..set(RecordKind::Aaaa, &["2001:db8::1", "2001:db8::2"])
        };
        assert_eq!(one.canonical().unwrap(), other.canonical().unwrap());
        let alias = set(RecordKind::Cname, &["DR.example"]).canonical().unwrap();
        assert_eq!(alias.values, ["dr.example."]);
        let none = set(RecordKind::A, &[]).canonical().unwrap();
        assert_eq!((none.ttl_seconds, none.to_string().as_str()), (0, "absent"));
    }

    #[test]
    fn what_is_no_record_set_is_refused() {
        for (kind, values) in [
            (RecordKind::A, &["2001:db8::1"][..]),
            (RecordKind::A, &["10.0.0.256"]),
            (RecordKind::A, &["010.0.0.1"]),
            (RecordKind::Aaaa, &["10.0.0.1"]),
            (RecordKind::Cname, &["a.example", "b.example"]),
            (RecordKind::Cname, &[""]),
            (RecordKind::Cname, &["a..example"]),
        ] {
            assert!(set(kind, values).canonical().is_err(), "{kind} {values:?}");
        }
        let mut long = set(RecordKind::A, &["10.0.0.1"]);
        long.ttl_seconds = u32::MAX;
        assert!(long.canonical().is_err());
        long.name = "x".repeat(64);
        assert!(long.canonical().is_err());
    }
}
