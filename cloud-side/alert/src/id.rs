//! Ids of alerts: a prefix and a ULID in lower case, as all ids here.

use bcdr_format::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, str::FromStr};
use ulid::Ulid;

/// An alert.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(Ulid);

/// A text that is no alert's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an alert id")]
pub struct ParseAlertIdError(String);

impl AlertId {
    /// An id that sorts by the time.
    pub fn from_parts(at: Timestamp, random: u128) -> Self {
        let milliseconds = u64::try_from(at.0 / 1000).unwrap_or(0);
        Self(Ulid::from_parts(milliseconds, random))
    }

    /// A key under which newer alerts sort before older ones.
    pub fn newest_first_key(self) -> String {
        format!("{:032x}", !self.0.0)
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "alr-{}", self.0.to_string().to_ascii_lowercase())
    }
}

impl fmt::Debug for AlertId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for AlertId {
    type Err = ParseAlertIdError;

    fn from_str(text: &str) -> Result<Self, ParseAlertIdError> {
        text.strip_prefix("alr-")
            .and_then(|rest| Ulid::from_string(rest).ok())
            .map(Self)
            .ok_or_else(|| ParseAlertIdError(text.chars().take(64).collect()))
    }
}

impl Serialize for AlertId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AlertId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_and_newer_ones_have_lesser_keys() {
        let older = AlertId::from_parts(Timestamp(1_000_000), 7);
        let newer = AlertId::from_parts(Timestamp(2_000_000), 3);
        assert_eq!(older.to_string().parse(), Ok(older));
        assert!(older < newer && newer.newest_first_key() < older.newest_first_key());
        assert!("job-01hv3c9wn2m5k8r7e6t4x0y1za".parse::<AlertId>().is_err());
    }
}
