//! Webhooks: tells another system, by an HTTP POST that it can check.
//!
//! The body is JSON. Three headers make a delivery provable and keep a recorded one from being played
//! again; `docs/format/webhook.md` says how to check them:
//!
//! ```text
//! BCDR-Delivery:  the delivery's id, the same for each of its tries
//! BCDR-Timestamp: seconds since 1970, of this try
//! BCDR-Signature: v1=HMAC-SHA256(secret, "v1." timestamp "." delivery "." body), in hexadecimal digits
//! ```
//!
//! Invariants: it connects only to an address that was checked in this very delivery, against
//! [`Networks`], and never resolves the name again; it follows no redirection and uses no proxy; a
//! refusal (4xx) is final; what is sent and what is taken back is bounded.

mod address;
mod outcome;
mod signature;
#[cfg(test)]
mod tests;

use crate::{
    destination::{Unusable, addresses, resolve},
    http::{Exchange, Tls, Trust, TrustError, exchange},
    retry::Retry,
    script::milliseconds,
};
use hyper::{
    Method,
    body::Bytes,
    header::{HeaderName, HeaderValue},
};
use outcome::Next;
use serde::{Deserialize, Serialize};
use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use url::Url;
use utoipa::ToSchema;

pub use address::{Network, NetworkError, Networks};
pub use signature::{Secret, SecretError};

/// Most bytes of a body that is sent (1 MiB).
pub const BODY_MAX: usize = 1 << 20;
/// Most bytes of an answer that are read and kept.
pub const ANSWER_MAX: usize = 4096;
/// Longest id of a delivery.
const ID_MAX: usize = 128;

/// The wall clock; signatures carry its time.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Who is told, and how.
#[derive(Clone)]
pub struct Webhook {
    url: Url,
    secret: Option<Secret>,
    tls: Tls,
    is_verified: bool,
    networks: Networks,
    clock: Clock,
}

/// What is told, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Letters, digits, `-`, `_` and `.`. The same thing told again must have the same id, so that the
    /// receiver can tell.
    pub id: String,
    /// The JSON document.
    pub body: String,
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DeliveryOutcome)]
pub enum Outcome {
    /// The receiver took it (2xx).
    Delivered,
    /// It will not be taken, whoever asks again: the cause and the remedy.
    Refused(String),
    /// It was not taken until the deadline or the last try: the cause of the last, and the remedy.
    GivenUp(String),
    /// It was cancelled. The receiver may have got it.
    Cancelled,
}

/// What came of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryReport {
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
    /// Whether a certificate proves who was told.
    pub receiver_verified: bool,
}

/// Why a webhook cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// The URL is none.
    #[error("{url:?} is no URL for a webhook: {cause}; write https://HOST/PATH")]
    Url {
        /// The URL without user, password and query.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The delivery is not fit to be sent.
    #[error("the delivery cannot be sent: {cause}")]
    Delivery {
        /// What is wrong, and what it should be.
        cause: String,
    },
    /// The authorities cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl Webhook {
    /// A webhook. Addresses outside of the public internet are called only if `networks` lists them;
    /// without TLS only they are.
    ///
    /// # Errors
    /// When the URL is none, or the authorities cannot be read.
    pub fn new(
        url: &str,
        secret: Secret,
        trust: &Trust,
        networks: Networks,
    ) -> Result<Self, WebhookError> {
        let hook = Self::unsigned(url, trust, networks)?;
        Ok(Self {
            secret: Some(secret),
            ..hook
        })
    }

    /// The same without a signature, for a receiver that knows the caller by its URL.
    ///
    /// # Errors
    /// When the URL is none, or the authorities cannot be read.
    pub fn unsigned(url: &str, trust: &Trust, networks: Networks) -> Result<Self, WebhookError> {
        let wrong = |cause: String| WebhookError::Url {
            // What follows may be a token.
            url: url.split(['?', '#']).next().unwrap_or_default().to_owned(),
            cause,
        };
        let parsed = Url::parse(url).map_err(|error| WebhookError::Url {
            url: String::new(),
            cause: error.to_string(),
        })?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(WebhookError::Url {
                url: format!("{}://…", parsed.scheme()),
                cause: "it holds a user or a password; the signature says who calls".to_owned(),
            });
        }
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(wrong(format!("{:?} is not called", parsed.scheme())));
        }
        Ok(Self {
            url: parsed,
            secret: None,
            tls: Tls::new(trust)?,
            is_verified: *trust != Trust::Insecure,
            networks,
            clock: Arc::new(SystemTime::now),
        })
    }

    /// Signs with the time of this clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }
}

/// Delivers, again and again until it is taken, refused, or over.
///
/// # Errors
/// When the delivery is not fit to be sent. That it was not taken is a result, no error.
pub async fn deliver(
    webhook: &Webhook,
    delivery: &Delivery,
    retry: &Retry,
    cancel: &CancellationToken,
) -> Result<DeliveryReport, WebhookError> {
    deliver_by(webhook, delivery, retry, cancel, resolve).await
}

async fn deliver_by(
    webhook: &Webhook,
    delivery: &Delivery,
    retry: &Retry,
    cancel: &CancellationToken,
    resolve: impl AsyncFn(String, u16) -> io::Result<Vec<SocketAddr>>,
) -> Result<DeliveryReport, WebhookError> {
    delivery.check()?;
    let began = Instant::now();
    let mut report = DeliveryReport {
        outcome: Outcome::Cancelled,
        took_ms: 0,
        tries: 0,
        status: None,
        answer: String::new(),
        address: None,
        receiver_verified: webhook.url.scheme() == "https" && webhook.is_verified,
    };
    report.outcome = loop {
        let deadline = Instant::now() + retry.time_of_try(began.elapsed());
        let next = tokio::select! {
            () = cancel.cancelled() => break Outcome::Cancelled,
            next = webhook.attempt(delivery, deadline, &mut report, &resolve) => next,
        };
        report.tries += 1;
        let cause = match next {
            Next::Over(outcome) => break outcome,
            Next::Again(cause) => cause,
        };
        let spread = outcome::spread(&delivery.id, report.tries);
        let Some(pause) = retry.pause_after(report.tries, began.elapsed(), spread) else {
            break Outcome::GivenUp(cause);
        };
        tokio::select! {
            () = cancel.cancelled() => break Outcome::Cancelled,
            () = sleep(pause) => {}
        }
    };
    report.took_ms = milliseconds(began.elapsed());
    Ok(report)
}

impl Webhook {
    async fn attempt(
        &self,
        delivery: &Delivery,
        deadline: Instant,
        report: &mut DeliveryReport,
        resolve: &impl AsyncFn(String, u16) -> io::Result<Vec<SocketAddr>>,
    ) -> Next {
        let address = match report.address {
            Some(checked) => checked,
            None => match self.checked_address(deadline, resolve).await {
                Ok(address) => address,
                Err(next) => return next,
            },
        };
        report.address = Some(address);
        let request = Exchange {
            method: Method::POST,
            url: &self.url,
            address,
            headers: self.headers(delivery),
            body: Bytes::from(delivery.body.clone()),
            answer_max: ANSWER_MAX,
            deadline,
        };
        let answer = exchange(&request, &self.tls).await;
        report.status = answer.as_ref().ok().map(|answer| answer.status);
        report.answer = answer.as_ref().map_or_else(
            |_| String::new(),
            |answer| String::from_utf8_lossy(&answer.body).into_owned(),
        );
        outcome::after(&answer)
    }

    /// Resolves the host, once, and gives an address that may be called.
    async fn checked_address(
        &self,
        deadline: Instant,
        resolve: &impl AsyncFn(String, u16) -> io::Result<Vec<SocketAddr>>,
    ) -> Result<SocketAddr, Next> {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or(443);
        let is_tls = self.url.scheme() == "https";
        match addresses(host, port, is_tls, &self.networks, deadline, resolve).await {
            Ok(found) => Ok(found[0]),
            Err(Unusable::Again(cause)) => Err(Next::Again(cause)),
            Err(Unusable::Never(cause)) => Err(Next::Over(Outcome::Refused(cause))),
        }
    }

    fn headers(&self, delivery: &Delivery) -> Vec<(HeaderName, HeaderValue)> {
        let seconds = (self.clock)()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let value = |text: &str| {
            HeaderValue::from_str(text).expect("ids were checked, and the rest is hexadecimal")
        };
        let mut headers = vec![
            ("content-type", value("application/json")),
            ("bcdr-delivery", value(&delivery.id)),
            ("bcdr-timestamp", value(&seconds.to_string())),
        ];
        if let Some(secret) = &self.secret {
            headers.push(("bcdr-signature", value(&secret.sign(seconds, delivery))));
        }
        let named = |(name, value)| (HeaderName::from_static(name), value);
        headers.into_iter().map(named).collect()
    }
}

impl Delivery {
    fn check(&self) -> Result<(), WebhookError> {
        let wrong = |cause: String| WebhookError::Delivery { cause };
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if self.id.is_empty() || self.id.len() > ID_MAX || !self.id.bytes().all(is_fit) {
            return Err(wrong(format!(
                "its id must be 1 to {ID_MAX} letters, digits, '-', '_' and '.'"
            )));
        }
        if self.body.len() > BODY_MAX {
            return Err(wrong(format!("its body is longer than {BODY_MAX} bytes")));
        }
        serde_json::from_str::<serde::de::IgnoredAny>(&self.body)
            .map(|_| ())
            .map_err(|error| wrong(format!("its body must be JSON: {error}")))
    }
}
