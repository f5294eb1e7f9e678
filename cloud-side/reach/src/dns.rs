//! DNS: lets a name point elsewhere, at the name server that is the authority for its zone.
//!
//! [`NameServer::read`] asks what a name holds and for how long others remember it;
//! [`NameServer::replace`] puts another record set in its place (RFC 2136), signed with a shared key
//! (TSIG, RFC 8945), on condition that the name still holds what was read, and asks again to verify.
//! What was read is all that is needed to put it back.
//!
//! Invariants: every question is signed and no unsigned answer is believed, except that it is no; a
//! change by somebody else is never overwritten; a change is reported as done only when the server
//! was asked afterwards and said so. An answer that was lost is not guessed at: the server is asked
//! what it holds. Messages are encoded by hickory-proto, without its DNSSEC features: those would
//! change how the cryptographic library is built that everything else uses.

mod exchange;
mod key;
mod meaning;
mod message;
mod records;
mod signature;

use crate::script::milliseconds;
use hickory_proto::{
    op::Message,
    rr::{Name, RData},
};
use meaning::Problem;
use serde::{Deserialize, Serialize};
use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

pub use key::{TsigAlgorithm, TsigKey};
pub use meaning::Refusal;
pub use records::{RecordKind, RecordSet};

/// How long one question may take unless said otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The wall clock; signatures carry its time.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// How the server is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DnsTransport)]
pub enum Transport {
    /// Over TCP.
    #[default]
    Tcp,
    /// Over UDP; over TCP when an answer does not fit.
    Udp,
}

/// A name server, one of its zones, and the key by which it lets us change that.
#[derive(Clone)]
pub struct NameServer {
    address: String,
    zone: Name,
    key: TsigKey,
    transport: Transport,
    timeout: Duration,
    clock: Clock,
}

/// What a name was found to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DnsReading)]
pub struct Reading {
    /// The record set; without values when there is none.
    pub records: RecordSet,
    /// How long others may go on using it after a change, in seconds: its time to live, or, when there
    /// is none, how long its absence is remembered.
    pub remembered_seconds: u32,
}

/// How a replacement came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was made now.
    Made,
    /// The name already held what it was to hold, as when a step is repeated.
    WasThere,
}

/// A replacement that was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DnsReplaced)]
pub struct Replaced {
    /// How it came about.
    pub change: Change,
    /// What the server said afterwards.
    pub verified: RecordSet,
    /// How long it took with the verification, in milliseconds.
    pub took_ms: u64,
}

/// Why a name was not read or not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DnsError {
    /// Something that was given is not what it should be.
    #[error("{what} {given:?} cannot be used: {cause}")]
    Invalid {
        /// What it is.
        what: &'static str,
        /// What was given; empty for a secret.
        given: String,
        /// What is wrong, and what it should be.
        cause: String,
    },
    /// The server cannot be asked.
    #[error(
        "cannot ask name server {server}: {source}; check its address, that it runs, and that a \
         firewall lets port 53 through"
    )]
    Unreachable {
        /// The server.
        server: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server did not answer in time. Nothing has changed.
    #[error(
        "name server {server} did not answer within {seconds} s; check that it runs and is not \
         overloaded, and try again"
    )]
    NoAnswer {
        /// The server.
        server: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// What came back is no answer to the question, or not provably the server's.
    #[error("the answer of name server {server} is not believed: {cause}")]
    NotBelieved {
        /// The server.
        server: String,
        /// Why, and what to do.
        cause: String,
    },
    /// The server says no.
    #[error("name server {server} refuses with {refusal}: {}", .refusal.remedy(.zone))]
    Refused {
        /// The server.
        server: String,
        /// The zone.
        zone: String,
        /// How it says no.
        refusal: Refusal,
    },
    /// The server is not the authority for the name.
    #[error(
        "name server {server} is not the authority for {name}: it answered from elsewhere; name the \
         zone's primary server"
    )]
    NotAuthoritative {
        /// The server.
        server: String,
        /// The name.
        name: String,
    },
    /// The name holds something else than it should by its kind.
    #[error(
        "{name} is an alias for {target}, and holds no {kind} records; replace its CNAME instead"
    )]
    IsAlias {
        /// The name.
        name: String,
        /// What was asked for.
        kind: RecordKind,
        /// What the name is an alias for.
        target: String,
    },
    /// Somebody else changed it since it was read. Nothing of ours was done.
    #[error(
        "somebody else changed the {kind} records of {name}: they were {seen} and are {found}; read them \
         again, and decide again",
        kind = .seen.kind, name = .seen.name
    )]
    ChangedMeanwhile {
        /// What they were.
        seen: Box<RecordSet>,
        /// What they are.
        found: Box<RecordSet>,
    },
    /// The server took the change, and holds something else.
    #[error(
        "name server {server} took the change of {name}, but holds {found} instead of {wanted}; \
         records of another type at the same name may be in the way, or somebody changed it again",
        name = .wanted.name
    )]
    WithoutEffect {
        /// The server.
        server: String,
        /// What it should hold.
        wanted: Box<RecordSet>,
        /// What it holds.
        found: Box<RecordSet>,
    },
    /// A change was sent, and what the name holds since then is not known: it may have been made.
    #[error(
        "the change of {name} was sent to name server {server} and may have been made; read what it \
         holds there before going on: {source}"
    )]
    Unverified {
        /// The server.
        server: String,
        /// The name.
        name: String,
        /// Why it is not known.
        #[source]
        source: Box<Self>,
    },
    /// It was cancelled. Nothing has changed.
    #[error("the question to name server {server} was cancelled; ask again")]
    Cancelled {
        /// The server.
        server: String,
    },
}

impl NameServer {
    /// A server (`HOST` or `HOST:PORT`), one of its zones and the key for it. It is not asked yet.
    ///
    /// # Errors
    /// When address or zone cannot be what they should be.
    pub fn new(address: &str, zone: &str, key: TsigKey) -> Result<Self, DnsError> {
        Ok(Self {
            address: exchange::with_port(address)?,
            zone: records::name("zone", zone)?,
            key,
            transport: Transport::default(),
            timeout: DEFAULT_TIMEOUT,
            clock: Arc::new(SystemTime::now),
        })
    }

    /// Asks over this transport.
    #[must_use]
    pub fn over(self, transport: Transport) -> Self {
        Self { transport, ..self }
    }

    /// Waits this long for one answer.
    #[must_use]
    pub fn waiting(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Signs with the time of this clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// What a name holds now.
    ///
    /// # Errors
    /// When the server cannot be asked, does not answer, is not believed, refuses, or is not the
    /// authority; when the name is an alias and other records were asked for.
    pub async fn read(
        &self,
        name: &str,
        kind: RecordKind,
        cancel: &CancellationToken,
    ) -> Result<Reading, DnsError> {
        let name = self.name_in_zone(name)?;
        let answer = self.ask(message::question(&name, kind), cancel).await?;
        if !answer.metadata.authoritative {
            return Err(DnsError::NotAuthoritative {
                server: self.address.clone(),
                name: name.to_ascii(),
            });
        }
        let alias = answer.answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == name => Some(target.0.to_ascii()),
            _ => None,
        });
        if let (Some(target), true) = (alias, kind != RecordKind::Cname) {
            return Err(DnsError::IsAlias {
                name: name.to_ascii(),
                kind,
                target,
            });
        }
        Ok(message::reading(&name, kind, &answer))
    }

    /// Puts `wanted` in the place of `seen`, if the name still holds `seen`, and verifies it. A record
    /// set without values stands for none at all, on either side.
    ///
    /// Repeating it after success changes nothing and succeeds.
    ///
    /// # Errors
    /// As for reading; when somebody else changed the name; when the server took it without effect; when
    /// the change was sent and it could not be read whether it was made.
    pub async fn replace(
        &self,
        seen: &RecordSet,
        wanted: &RecordSet,
        cancel: &CancellationToken,
    ) -> Result<Replaced, DnsError> {
        let began = Instant::now();
        let name = self.name_in_zone(&wanted.name)?;
        if self.name_in_zone(&seen.name)? != name || seen.kind != wanted.kind {
            return Err(DnsError::Invalid {
                what: "the record set that was read,",
                given: format!("{} {}", seen.name, seen.kind),
                cause: format!("{} {} is to be replaced", wanted.name, wanted.kind),
            });
        }
        let (seen, wanted) = (seen.canonical()?, wanted.canonical()?);
        let update = message::update(&self.zone, &name, &seen, &wanted)?;
        let sent = AtomicBool::new(false);
        let asked = self.ask_telling(update, cancel, &sent).await;
        let was_sent = sent.into_inner();
        let unverified = |source| DnsError::Unverified {
            server: self.address.clone(),
            name: wanted.name.clone(),
            source: Box::new(source),
        };
        let lost = match asked {
            Ok(_) => None,
            Err(error) if !was_sent => return Err(error),
            Err(error @ DnsError::Cancelled { .. }) => return Err(unverified(error)),
            Err(error) if error.leaves_doubt() => Some(error),
            Err(error) => return Err(error),
        };
        let found = self.read(&wanted.name, wanted.kind, cancel).await;
        let found = found.map_err(unverified)?.records;
        let change = match lost {
            None if found == wanted => Change::Made,
            None => {
                return Err(DnsError::WithoutEffect {
                    server: self.address.clone(),
                    wanted: Box::new(wanted),
                    found: Box::new(found),
                });
            }
            Some(error) if found == wanted && error.is_condition() => Change::WasThere,
            Some(_) if found == wanted => Change::Made,
            // The same values with another time to live meet the condition, so it was not that.
            Some(error) if found == seen && !error.is_condition() => return Err(error),
            Some(_) => {
                return Err(DnsError::ChangedMeanwhile {
                    seen: Box::new(seen),
                    found: Box::new(found),
                });
            }
        };
        Ok(Replaced {
            change,
            verified: found,
            took_ms: milliseconds(began.elapsed()),
        })
    }

    fn name_in_zone(&self, name: &str) -> Result<Name, DnsError> {
        let parsed = records::name("name", name)?;
        if !self.zone.zone_of(&parsed) {
            return Err(DnsError::Invalid {
                what: "name",
                given: name.to_owned(),
                cause: format!(
                    "it is not in zone {}; name the zone that it is in",
                    self.zone
                ),
            });
        }
        Ok(parsed)
    }

    /// Signs, asks, and believes only what is signed in return.
    async fn ask(&self, message: Message, cancel: &CancellationToken) -> Result<Message, DnsError> {
        self.ask_telling(message, cancel, &AtomicBool::new(false))
            .await
    }

    /// The same; `sent` is set once something may have reached the server.
    async fn ask_telling(
        &self,
        message: Message,
        cancel: &CancellationToken,
        sent: &AtomicBool,
    ) -> Result<Message, DnsError> {
        let server = || self.address.clone();
        let id = message.metadata.id;
        let now = seconds(&self.clock);
        let (bytes, mac) = signature::sign(message, &self.key, now)?;
        let answered = tokio::select! {
            () = cancel.cancelled() => return Err(DnsError::Cancelled { server: server() }),
            answered = tokio::time::timeout(
                self.timeout,
                exchange::exchange(&self.address, self.transport, &bytes, sent),
            ) => answered,
        };
        let answer = match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(source)) => {
                return Err(DnsError::Unreachable {
                    server: server(),
                    source,
                });
            }
            Err(_) => {
                return Err(DnsError::NoAnswer {
                    server: server(),
                    seconds: self.timeout.as_secs(),
                });
            }
        };
        let now = seconds(&self.clock);
        meaning::believe(&answer, id, &mac, &self.key, now).map_err(|problem| match problem {
            Problem::NotBelieved(cause) => DnsError::NotBelieved {
                server: server(),
                cause,
            },
            Problem::Refused(refusal) => DnsError::Refused {
                server: server(),
                zone: self.zone.to_ascii(),
                refusal,
            },
        })
    }
}

impl DnsError {
    /// Whether asking again may help: the server could not be asked, or did not answer.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NoAnswer { .. } => true,
            Self::Unverified { source, .. } => source.may_pass(),
            _ => false,
        }
    }

    /// Whether the server may hold what it was asked to hold all the same.
    fn leaves_doubt(&self) -> bool {
        self.is_condition()
            || matches!(
                self,
                Self::NoAnswer { .. } | Self::Unreachable { .. } | Self::NotBelieved { .. }
            )
    }

    /// Whether the server says that the name does not hold what was read.
    fn is_condition(&self) -> bool {
        matches!(self, Self::Refused { refusal, .. } if refusal.is_condition())
    }
}

fn seconds(clock: &Clock) -> u64 {
    clock()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
