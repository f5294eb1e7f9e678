//! Identifiers: 128-bit ULIDs, one type per thing named, so that one is never taken for another.
//!
//! Text form is a prefix and the ULID in lower case (`grp-01hv…`): sortable by creation time and
//! readable in a log. The binary form is the number itself. Minting needs a clock and randomness,
//! which this crate does not have: callers pass both to `from_parts`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};
use thiserror::Error;
use ulid::Ulid;

/// A text that is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a {kind} id: it looks like {prefix}-01hv3c9wn2m5k8r7e6t4x0y1za")]
pub struct ParseIdError {
    kind: &'static str,
    prefix: &'static str,
    text: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The prefix of the text form, without the hyphen.
            pub const PREFIX: &'static str = $prefix;

            /// The identifier with this number.
            pub const fn from_u128(number: u128) -> Self {
                Self(number)
            }

            /// An identifier made of a time (milliseconds since the Unix epoch, 48 bits kept) and
            /// 80 random bits.
            pub fn from_parts(milliseconds: u64, random: u128) -> Self {
                Self(Ulid::from_parts(milliseconds, random).0)
            }

            /// The identifier's number.
            pub const fn to_u128(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = Ulid(self.0).to_string().to_ascii_lowercase();
                write!(formatter, concat!($prefix, "-{}"), text)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.strip_prefix(concat!($prefix, "-"))
                    .and_then(|rest| Ulid::from_string(rest).ok())
                    .map(|ulid| Self(ulid.0))
                    .ok_or_else(|| ParseIdError {
                        kind: $kind,
                        prefix: $prefix,
                        text: text.chars().take(64).collect(),
                    })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_u128(self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    u128::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

id!(
    /// One organisation's whole installation: the cloud side and every site that ships to it.
    InstallationId, "ins", "installation"
);
id!(
    /// A protection group: the unit of policy and consistency.
    GroupId, "grp", "group"
);
id!(
    /// A protected volume.
    VolumeId, "vol", "volume"
);
id!(
    /// The ordered records of one capture for one group.
    StreamId, "str", "stream"
);
id!(
    /// One uninterrupted life of a stream; random, so that a reverted capture cannot repeat it.
    IncarnationId, "inc", "incarnation"
);
id!(
    /// A marker, minted by whoever asked for it.
    MarkerId, "mrk", "marker"
);
id!(
    /// A sync interval.
    SyncId, "syn", "sync interval"
);
id!(
    /// One order to put volumes back to a point.
    RestoreId, "rst", "restore"
);
id!(
    /// A data key: fresh at each gateway process start.
    DataKeyId, "key", "data key"
);
id!(
    /// One run of a receiver process, whose monotonic clock a beat quotes.
    ReceiverRunId, "run", "receiver run"
);
