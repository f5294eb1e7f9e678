//! What an answer means: whether it is believed, and how the server says no. Pure.

use super::{TsigKey, signature};
use hickory_proto::{
    op::{Message, MessageType, ResponseCode},
    rr::rdata::tsig::TsigError,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// How a name server says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DnsRefusal)]
pub enum Refusal {
    /// FORMERR: it does not understand the question.
    FormErr,
    /// SERVFAIL: it cannot.
    ServFail,
    /// NXDOMAIN: a name that must be in use is not.
    NxDomain,
    /// NOTIMP: it knows no updates.
    NotImp,
    /// REFUSED: it may not.
    Refused,
    /// YXDOMAIN: a name that must not be in use is.
    YxDomain,
    /// YXRRSET: a record set that must not be there is.
    YxRrset,
    /// NXRRSET: a record set that must be there is not.
    NxRrset,
    /// NOTAUTH: it is not the authority for the zone, or does not know us.
    NotAuth,
    /// NOTZONE: the name is not in the zone.
    NotZone,
    /// BADSIG: the signature is wrong.
    BadSig,
    /// BADKEY: it does not know the key.
    BadKey,
    /// BADTIME: the clocks are too far apart.
    BadTime {
        /// How far the server's clock is ahead of ours, in seconds, when it says so.
        server_ahead_seconds: Option<i64>,
    },
    /// BADTRUNC: it wants longer signatures.
    BadTrunc,
    /// Something else, by its number.
    Other(u16),
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::FormErr => "FORMERR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::NotImp => "NOTIMP",
            Self::Refused => "REFUSED",
            Self::YxDomain => "YXDOMAIN",
            Self::YxRrset => "YXRRSET",
            Self::NxRrset => "NXRRSET",
            Self::NotAuth => "NOTAUTH",
            Self::NotZone => "NOTZONE",
            Self::BadSig => "BADSIG",
            Self::BadKey => "BADKEY",
            Self::BadTime { .. } => "BADTIME",
            Self::BadTrunc => "BADTRUNC",
            Self::Other(code) => return write!(formatter, "code {code}"),
        };
        formatter.write_str(name)
    }
}

impl Refusal {
    /// What it means and what to do about it.
    #[must_use]
    pub fn remedy(&self, zone: &str) -> String {
        match self {
            Self::FormErr => "it does not understand the question; check that it is a name server \
                              that knows RFC 2136"
                .to_owned(),
            Self::ServFail => format!(
                "it cannot serve zone {zone} now; see its log (often it may not write the zone's file \
                 or journal, or the zone is not loaded)"
            ),
            Self::NotImp => {
                "it knows no dynamic updates; name the zone's primary server, and one that knows them"
                    .to_owned()
            }
            Self::Refused => format!(
                "our key may not do this in zone {zone}; allow it at the server (BIND: allow-update or \
                 update-policy, and allow-query)"
            ),
            Self::NxDomain | Self::YxDomain | Self::YxRrset | Self::NxRrset => {
                "the name does not hold what was read; read it again".to_owned()
            }
            Self::NotAuth => format!(
                "it is not the authority for zone {zone}, or does not accept our key there; check the \
                 zone's name, and name its primary server"
            ),
            Self::NotZone => format!("the name is not in zone {zone}; name the zone that it is in"),
            Self::BadSig => "the key's secret or algorithm is another one at the server; give the same \
                             to both"
                .to_owned(),
            Self::BadKey => "it does not know our key by this name and algorithm; check both, and that \
                             the server was reloaded after the key was added"
                .to_owned(),
            Self::BadTime {
                server_ahead_seconds: Some(ahead),
            } => format!(
                "its clock is {} s {} ours; set the clocks of both sides (NTP)",
                ahead.unsigned_abs(),
                if *ahead < 0 { "behind" } else { "ahead of" }
            ),
            Self::BadTime { .. } => {
                "its clock and ours are too far apart; set the clocks of both sides (NTP)".to_owned()
            }
            Self::BadTrunc => "it wants longer signatures than the key's algorithm makes; use a key \
                               with a longer one"
                .to_owned(),
            Self::Other(_) => "see the server's log".to_owned(),
        }
    }

    /// Whether the condition of an update was not met.
    pub(super) fn is_condition(self) -> bool {
        matches!(
            self,
            Self::NxDomain | Self::YxDomain | Self::YxRrset | Self::NxRrset
        )
    }

    fn of(code: ResponseCode) -> Option<Self> {
        Some(match code {
            ResponseCode::NoError => return None,
            ResponseCode::FormErr => Self::FormErr,
            ResponseCode::ServFail => Self::ServFail,
            ResponseCode::NXDomain => Self::NxDomain,
            ResponseCode::NotImp => Self::NotImp,
            ResponseCode::Refused => Self::Refused,
            ResponseCode::YXDomain => Self::YxDomain,
            ResponseCode::YXRRSet => Self::YxRrset,
            ResponseCode::NXRRSet => Self::NxRrset,
            ResponseCode::NotAuth => Self::NotAuth,
            ResponseCode::NotZone => Self::NotZone,
            other => Self::Other(other.into()),
        })
    }
}

/// Why an answer is not what was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// It may not be the server's, or is no answer to the question.
    NotBelieved(String),
    /// The server says no.
    Refused(Refusal),
}

/// Judges an answer to the question with this id and signature, at `now`.
///
/// An answer that says no needs no signature to be taken for a no: a server that does not know the key
/// cannot sign, and who can forge one could have kept the question from arriving. That a name does not
/// exist is such a no for updates, but an answer like any other for questions.
pub(super) fn believe(
    bytes: &[u8],
    id: u16,
    question_mac: &[u8],
    key: &TsigKey,
    now: u64,
) -> Result<Message, Problem> {
    let not_believed = |cause: String| Problem::NotBelieved(cause);
    let answer = Message::from_vec(bytes)
        .map_err(|error| not_believed(format!("it is no DNS message: {error}")))?;
    if answer.metadata.id != id || answer.metadata.message_type != MessageType::Response {
        return Err(not_believed("it answers another question".to_owned()));
    }
    let found = signature::find(bytes)
        .map_err(|cause| not_believed(format!("it is no DNS message: {cause}")))?;
    let tsig = found.as_ref().and_then(signature::Signature::content);
    if let Some(error) = tsig.and_then(|tsig| tsig.error) {
        let other = tsig.map(|tsig| tsig.other.as_slice()).unwrap_or_default();
        return Err(Problem::Refused(by_signature(error, other, now)));
    }
    let is_question = answer.metadata.op_code == hickory_proto::op::OpCode::Query;
    let refusal = Refusal::of(answer.metadata.response_code)
        .filter(|refusal| !(is_question && *refusal == Refusal::NxDomain));
    match (&found, refusal) {
        (Some(signature), refusal) => {
            signature
                .check(bytes, question_mac, key, now)
                .map_err(not_believed)?;
            refusal.map_or(Ok(answer), |refusal| Err(Problem::Refused(refusal)))
        }
        // What decides about a change must be proven; a plain no decides nothing.
        (None, Some(refusal)) if !refusal.is_condition() => Err(Problem::Refused(refusal)),
        (None, _) => Err(not_believed(
            "it is not signed; check what is between us and the server".to_owned(),
        )),
    }
}

fn by_signature(error: TsigError, other: &[u8], now: u64) -> Refusal {
    match error {
        TsigError::BadSig => Refusal::BadSig,
        TsigError::BadKey => Refusal::BadKey,
        TsigError::BadTrunc => Refusal::BadTrunc,
        TsigError::BadTime => Refusal::BadTime {
            server_ahead_seconds: <[u8; 6]>::try_from(other).ok().map(|time| {
                let time = time
                    .iter()
                    .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
                time.cast_signed().saturating_sub(now.cast_signed())
            }),
        },
        TsigError::Unknown(code) => Refusal::Other(code),
    }
}

#[cfg(test)]
mod tests;
