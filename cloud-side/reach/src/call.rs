//! Calls: asks another system to do something by one HTTP request, in that system's own words.
//!
//! Unlike a [webhook](crate::webhook) it is not ours to say how the receiver recognises a repetition.
//! So a request that could do harm twice is sent again only while nothing of it can have arrived; one
//! whose answer was lost is in doubt, and said to be. Invariants: it connects only to an address that
//! was checked in this very call; it follows no redirection and uses no proxy; what is sent and what is
//! taken back is bounded; values of headers are never shown.

#[cfg(test)]
mod tests;

pub use hyper::{
    Method,
    header::{HeaderName, HeaderValue},
};

use crate::{
    destination::{Unusable, addresses, resolve},
    http::{Answer, Exchange, ExchangeError, Tls, Trust, TrustError, exchange},
    probe::StatusSet,
    retry::Retry,
    script::milliseconds,
    webhook::Networks,
};
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use url::Url;
use utoipa::ToSchema;

/// Most bytes of an answer that are read and kept.
pub const ANSWER_MAX: usize = 4096;

/// Whom to ask, and for what.
#[derive(Clone)]
pub struct Call {
    method: Method,
    url: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: String,
    expected: StatusSet,
    is_repeatable: bool,
    tls: Tls,
    is_verified: bool,
    networks: Networks,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CallOutcome)]
pub enum Outcome {
    /// It was answered with a status that was expected.
    Answered,
    /// It will not be done, whoever asks again: the cause and the remedy.
    Refused(String),
    /// It was not done until the deadline or the last try: the cause of the last, and the remedy.
    GivenUp(String),
    /// It was sent, and nobody knows what came of it: the cause and the remedy.
    InDoubt(String),
    /// It was cancelled. The receiver may have got it.
    Cancelled,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallReport {
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took in all, in milliseconds.
    pub took_ms: u64,
    /// Number of tries.
    pub tries: u32,
    /// Status of the last answer.
    pub status: Option<u16>,
    /// The beginning of the last answer's body.
    pub answer: String,
    /// The address that was checked and connected to.
    #[schema(value_type = Option<String>)]
    pub address: Option<SocketAddr>,
    /// Whether a certificate proves who was asked.
    pub receiver_verified: bool,
}

/// Why a call cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The URL is none.
    #[error("{url:?} is no URL that can be called: {cause}; write https://HOST/PATH")]
    Url {
        /// The URL without user, password and query.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The authorities cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl Call {
    /// A call without a body. Addresses outside of the public internet are called only if `networks`
    /// lists them; without TLS only they are.
    ///
    /// # Errors
    /// When the URL is none, or the authorities cannot be read.
    pub fn new(
        method: Method,
        url: &str,
        trust: &Trust,
        networks: Networks,
    ) -> Result<Self, CallError> {
        let wrong = |url: String, cause: String| CallError::Url { url, cause };
        let parsed = Url::parse(url).map_err(|error| wrong(String::new(), error.to_string()))?;
        let shown = || format!("{}://…", parsed.scheme());
        if !parsed.username().is_empty() || parsed.password().is_some() {
            let cause = "it holds a user or a password; send a header with a secret instead";
            return Err(wrong(shown(), cause.to_owned()));
        }
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(wrong(
                shown(),
                format!("{:?} is not called", parsed.scheme()),
            ));
        }
        let is_repeatable = !matches!(method, Method::POST | Method::PATCH);
        Ok(Self {
            method,
            url: parsed,
            headers: Vec::new(),
            body: String::new(),
            expected: StatusSet::default(),
            is_repeatable,
            tls: Tls::new(trust)?,
            is_verified: *trust != Trust::Insecure,
            networks,
        })
    }

    /// Sends this header too.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Sends this body.
    #[must_use]
    pub fn with_body(self, body: String) -> Self {
        Self { body, ..self }
    }

    /// Takes these statuses for success; 200 to 299 by default.
    #[must_use]
    pub fn expecting(self, expected: StatusSet) -> Self {
        Self { expected, ..self }
    }

    /// Does no harm when it is carried out twice, although its method does not say so.
    #[must_use]
    pub fn repeatable(self) -> Self {
        Self {
            is_repeatable: true,
            ..self
        }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    async fn attempt(&self, deadline: Instant, report: &mut CallReport) -> Next {
        let address = match report.address {
            Some(checked) => checked,
            None => match self.checked_address(deadline).await {
                Ok(address) => address,
                Err(next) => return next,
            },
        };
        report.address = Some(address);
        let request = Exchange {
            method: self.method.clone(),
            url: &self.url,
            address,
            headers: self.headers.clone(),
            body: Bytes::from(self.body.clone()),
            answer_max: ANSWER_MAX,
            deadline,
        };
        let answer = exchange(&request, &self.tls).await;
        report.status = answer.as_ref().ok().map(|answer| answer.status);
        report.answer = answer.as_ref().map_or_else(
            |_| String::new(),
            |answer| String::from_utf8_lossy(&answer.body).into_owned(),
        );
        after(&answer, &self.expected, self.is_repeatable)
    }

    /// Resolves the host, once, and gives an address that may be called.
    async fn checked_address(&self, deadline: Instant) -> Result<SocketAddr, Next> {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or(443);
        let is_tls = self.url.scheme() == "https";
        match addresses(host, port, is_tls, &self.networks, deadline, &resolve).await {
            Ok(found) => Ok(found[0]),
            Err(Unusable::Again(cause)) => Err(Next::Again(cause)),
            Err(Unusable::Never(cause)) => Err(Next::Over(Outcome::Refused(cause))),
        }
    }
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Nothing more.
    Over(Outcome),
    /// Try again, if there is time; the cause if not.
    Again(String),
}

/// What follows from an answer, or from there being none. Pure.
fn after(
    answer: &Result<Answer, ExchangeError>,
    expected: &StatusSet,
    is_repeatable: bool,
) -> Next {
    match answer {
        Ok(answer) if expected.contains(answer.status) => Next::Over(Outcome::Answered),
        Ok(answer) => {
            let cause = format!("it answered with status {}, not {expected}", answer.status);
            if answer.status >= 500 && is_repeatable {
                return Next::Again(format!("{cause}; see its log"));
            }
            Next::Over(Outcome::Refused(match answer.status {
                300..=399 => {
                    format!("{cause}; redirections are not followed: give the address it leads to")
                }
                _ => format!("{cause}; see its answer and its log"),
            }))
        }
        Err(error) if !error.may_pass() => Next::Over(Outcome::Refused(format!(
            "{error}; check the server's certificate, its name in it, and whom we trust"
        ))),
        Err(error) if is_repeatable || error.sent_nothing() => {
            Next::Again(format!("{error}; check that the server runs"))
        }
        Err(error) => Next::Over(Outcome::InDoubt(format!(
            "{error}; it may have been done all the same: look there before it is asked again"
        ))),
    }
}

/// Calls, again and again as far as that can do no harm, until it is answered as expected, refused, or
/// over.
pub async fn make(call: &Call, retry: &Retry, cancel: &CancellationToken) -> CallReport {
    let began = Instant::now();
    let mut report = CallReport {
        outcome: Outcome::Cancelled,
        took_ms: 0,
        tries: 0,
        status: None,
        answer: String::new(),
        address: None,
        receiver_verified: call.url.scheme() == "https" && call.is_verified,
    };
    report.outcome = loop {
        let deadline = Instant::now() + retry.time_of_try(began.elapsed());
        let next = tokio::select! {
            () = cancel.cancelled() => break Outcome::Cancelled,
            next = call.attempt(deadline, &mut report) => next,
        };
        report.tries += 1;
        let cause = match next {
            Next::Over(outcome) => break outcome,
            Next::Again(cause) => cause,
        };
        let Some(pause) = retry.pause_after(report.tries, began.elapsed(), 0) else {
            break Outcome::GivenUp(cause);
        };
        tokio::select! {
            () = cancel.cancelled() => break Outcome::Cancelled,
            () = sleep(pause) => {}
        }
    };
    report.took_ms = milliseconds(began.elapsed());
    report
}
