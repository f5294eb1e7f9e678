//! Probes: does a port answer, does a page say what it should?
//!
//! A probe is tried until it passes or its deadline is over; each try is timed and told. Invariants: a
//! probe passes only by what was observed in that very try, and a result says whether the answering
//! server's identity was proven; it connects only to addresses that [`Networks`] allow, each time anew.

mod judge;
mod page;
#[cfg(test)]
mod tests;

use crate::{
    destination::{Unusable, addresses, resolve},
    http::{Tls, Trust, TrustError},
    retry::Retry,
    script::milliseconds,
    webhook::Networks,
};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, net::SocketAddr};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpStream,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;
use url::Url;
use utoipa::ToSchema;

pub use judge::{Redirects, StatusSet, StatusSetError};

/// Most tries that a report tells one by one: the last ones.
pub const TRIES_TOLD: usize = 32;

/// Most bytes of what a server says first that are read.
const BANNER_MAX: usize = 4096;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// Whether a port takes connections.
    Tcp(TcpProbe),
    /// Whether a page is given out.
    Http(HttpProbe),
}

/// Whether a port takes connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpProbe {
    /// Name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// A text that the server must say first, unasked, as servers of mail and SSH do; `None` when a
    /// connection is enough.
    #[serde(default)]
    pub says: Option<String>,
}

/// Whether a page is given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// `http://` or `https://`, without user and password.
    pub url: String,
    /// The status that passes; 200 to 299 by default.
    #[serde(default)]
    pub expected: StatusSet,
    /// A text that the first 256 KiB of the body must contain.
    #[serde(default)]
    pub body_contains: Option<String>,
    /// Whether another page is asked when the server says so; by default it is not, and the status
    /// counts as any other.
    #[serde(default)]
    pub redirects: Redirects,
    /// Whose certificates are believed.
    #[serde(default)]
    pub trust: Trust,
    /// Connect here whatever the URL's host resolves to. The host is still the one that is asked for,
    /// and the one that the certificate must name.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub connect_to: Option<SocketAddr>,
}

/// How a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ProbeOutcome)]
pub enum Outcome {
    /// A try passed.
    Passed,
    /// None did until the deadline or the last try.
    Failed,
    /// It was cancelled before one did.
    Cancelled,
}

/// How well it is known who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ProbeIdentity)]
pub enum Identity {
    /// Nothing proves it: no TLS was asked for.
    Plain,
    /// A certificate proves it, by an authority that the system knows.
    Verified,
    /// A certificate proves it, by an authority that was given with the probe.
    VerifiedByGivenAuthority,
    /// TLS without a look at the certificate, as the probe demands.
    NotVerified,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProbeTry)]
pub struct Try {
    /// When it began, in milliseconds since the probe began.
    pub began_ms: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Whether it passed.
    pub passed: bool,
    /// What was seen.
    pub observed: String,
}

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProbeReport {
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took in all, in milliseconds.
    pub took_ms: u64,
    /// Number of tries.
    pub tries: u32,
    /// The last of them, at most [`TRIES_TOLD`], oldest first.
    pub last_tries: Vec<Try>,
    /// How well it is known who answers.
    pub identity: Identity,
}

/// Why a probe cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The URL is none.
    #[error(
        "{url:?} is no URL that can be probed: {cause}; write http://HOST/PATH or https://HOST/PATH"
    )]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The authorities cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl Probe {
    /// Checks it without asking anybody.
    ///
    /// # Errors
    /// When the URL is none, or the authorities cannot be read.
    pub fn check(&self) -> Result<(), ProbeError> {
        Prepared::new(self).map(|_| ())
    }

    /// The host and the port that are asked first.
    ///
    /// # Errors
    /// As for [`Self::check`].
    pub fn destination(&self) -> Result<(String, u16), ProbeError> {
        Ok(match Prepared::new(self)? {
            Prepared::Tcp(probe) => (probe.host.clone(), probe.port),
            Prepared::Http { probe, url, .. } => match probe.connect_to {
                Some(address) => (address.ip().to_string(), address.port()),
                None => (
                    url.host_str().unwrap_or_default().to_owned(),
                    url.port_or_known_default().unwrap_or(80),
                ),
            },
        })
    }
}

/// A probe whose URL and authorities were read.
enum Prepared<'a> {
    Tcp(&'a TcpProbe),
    Http {
        probe: &'a HttpProbe,
        url: Url,
        tls: Tls,
    },
}

impl<'a> Prepared<'a> {
    fn new(probe: &'a Probe) -> Result<Self, ProbeError> {
        Ok(match probe {
            Probe::Tcp(probe) => Self::Tcp(probe),
            Probe::Http(probe) => {
                let url = judge::url(&probe.url).map_err(|cause| ProbeError::Url {
                    url: probe.url.clone(),
                    cause,
                })?;
                // Without TLS nobody is believed, and a system without authorities is no matter.
                let needs_none = url.scheme() == "http" && probe.redirects == Redirects::None;
                let trust = if needs_none {
                    &Trust::Insecure
                } else {
                    &probe.trust
                };
                let tls = Tls::new(trust)?;
                Self::Http { probe, url, tls }
            }
        })
    }

    fn identity(&self) -> Identity {
        match self {
            Self::Tcp(_) => Identity::Plain,
            Self::Http { url, .. } if url.scheme() == "http" => Identity::Plain,
            Self::Http { probe, .. } => match probe.trust {
                Trust::System => Identity::Verified,
                Trust::Authorities(_) => Identity::VerifiedByGivenAuthority,
                Trust::Insecure => Identity::NotVerified,
            },
        }
    }

    /// One try that ends at `deadline`: what was seen, as success or as failure.
    async fn attempt(&self, networks: &Networks, deadline: Instant) -> Result<String, String> {
        match self {
            Self::Tcp(probe) => timeout_at(deadline, connect(probe, networks, deadline))
                .await
                .unwrap_or_else(|_| Err("no answer in time".to_owned())),
            Self::Http { probe, url, tls } => {
                page::ask(probe, url.clone(), tls, networks, deadline).await
            }
        }
    }
}

/// The addresses of a host that may be probed. A probe sends nothing that others must not read.
async fn allowed(
    host: &str,
    port: u16,
    networks: &Networks,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, String> {
    let found = addresses(host, port, true, networks, deadline, &resolve).await;
    found.map_err(|error| match error {
        Unusable::Again(cause) | Unusable::Never(cause) => cause,
    })
}

async fn connect(
    probe: &TcpProbe,
    networks: &Networks,
    deadline: Instant,
) -> Result<String, String> {
    let found = allowed(&probe.host, probe.port, networks, deadline).await?;
    let stream = TcpStream::connect(found.as_slice())
        .await
        .map_err(|error| error.to_string())?;
    let from = stream
        .peer_addr()
        .map_or_else(|_| probe.host.clone(), |address| address.to_string());
    greet(probe, &from, stream).await
}

/// Looks at what the other end of a connection says, as far as that is asked.
async fn greet(
    probe: &TcpProbe,
    from: &str,
    mut stream: impl AsyncRead + Unpin,
) -> Result<String, String> {
    let Some(wanted) = &probe.says else {
        return Ok(format!("{from} took the connection"));
    };
    let mut said = Vec::new();
    let mut buffer = [0; 512];
    while said.len() < BANNER_MAX {
        let length = stream
            .read(&mut buffer)
            .await
            .map_err(|error| format!("{from} cut the connection: {error}"))?;
        if length == 0 {
            break;
        }
        said.extend_from_slice(&buffer[..length]);
        if judge::contains(&said, wanted) {
            return Ok(format!("{from} said {wanted:?}"));
        }
    }
    Err(format!(
        "{from} said {}, not {wanted:?}",
        judge::quoted(&said)
    ))
}

/// One try over a connection that the caller opened, such as one into a network that this process has no
/// other way into. Nothing else is connected to: a redirection does not pass. Returns what was seen, as
/// success or as failure.
///
/// # Errors
/// When the probe cannot be made at all.
pub async fn over(
    probe: &Probe,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    deadline: Instant,
) -> Result<Result<String, String>, ProbeError> {
    Ok(match Prepared::new(probe)? {
        Prepared::Tcp(probe) => {
            let from = format!("{}:{}", probe.host, probe.port);
            timeout_at(deadline, greet(probe, &from, stream))
                .await
                .unwrap_or_else(|_| Err("no answer in time".to_owned()))
        }
        Prepared::Http { probe, url, tls } => {
            page::ask_over(probe, &url, &tls, stream, deadline).await
        }
    })
}

/// Tries until the probe passes, or its deadline or last try is over, or it is cancelled. Addresses
/// outside of the public internet are asked only if `networks` lists them.
///
/// # Errors
/// When the probe cannot be made at all.
pub async fn run(
    probe: &Probe,
    networks: &Networks,
    retry: &Retry,
    cancel: &CancellationToken,
) -> Result<ProbeReport, ProbeError> {
    let prepared = Prepared::new(probe)?;
    let began = Instant::now();
    let mut tries = 0;
    let mut told = VecDeque::new();
    let outcome = loop {
        let before = began.elapsed();
        let try_began = Instant::now();
        let tried = tokio::select! {
            () = cancel.cancelled() => break Outcome::Cancelled,
            tried = prepared.attempt(networks, try_began + retry.time_of_try(before)) => tried,
        };
        tries += 1;
        let passed = tried.is_ok();
        if told.len() == TRIES_TOLD {
            told.pop_front();
        }
        told.push_back(Try {
            began_ms: milliseconds(before),
            took_ms: milliseconds(try_began.elapsed()),
            passed,
            observed: tried.unwrap_or_else(|observed| observed),
        });
        if passed {
            break Outcome::Passed;
        }
        let Some(pause) = retry.pause_after(tries, began.elapsed(), 0) else {
            break Outcome::Failed;
        };
        tokio::select! {
            () = cancel.cancelled() => break Outcome::Cancelled,
            () = sleep(pause) => {}
        }
    };
    Ok(ProbeReport {
        outcome,
        took_ms: milliseconds(began.elapsed()),
        tries,
        last_tries: told.into(),
        identity: prepared.identity(),
    })
}
