//! The client of the API.
//!
//! Owns the connection's rules: TLS with the installation's own authority and no other, the token in
//! every request, a deadline for every request, no redirects, no proxies. Blocking: a command does
//! one thing after the other. What the API refuses becomes a [`Failure`] in the API's own words;
//! what keeps a request from being answered names the address and a remedy. The token is never
//! shown: this type has no `Debug`.

mod path;
mod transport;

pub(crate) use path::Path;

use super::{Failure, context::Context, document::Document, failure::Delivery};
use bcdr_format::{GroupId, StreamId, VolumeId};
use bcdr_http::{Problem, Token};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    sync::Arc,
    time::{Duration, Instant},
};
use transport::Trouble;
use ureq::{
    Agent, RequestBuilder,
    http::{Response, StatusCode},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
    typestate::{WithBody, WithoutBody},
};

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
const REQUEST_DEADLINE: Duration = Duration::from_secs(30);
/// How long an answer of any length may take.
const DOWNLOAD_DEADLINE: Duration = Duration::from_secs(60 * 60);
const LIVE_DEADLINE: Duration = Duration::from_secs(2);
/// How long a request whose first answer was lost is repeated.
const REPEAT_DEADLINE: Duration = Duration::from_secs(10);
const REPEAT_PAUSE: Duration = Duration::from_millis(500);
/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Most items that the API gives in one page.
const PAGE_ITEMS: u64 = 1000;

/// A way to the API of one installation.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    address: String,
    token: Token,
    ca: String,
}

/// A group as `lab up` needs it.
#[derive(Debug, Deserialize)]
pub(crate) struct MintedGroup {
    /// Its id.
    pub(crate) id: GroupId,
    /// The stream of its capture.
    pub(crate) stream: StreamId,
    /// Its volumes.
    pub(crate) volumes: Vec<MintedVolume>,
    /// How it is replicated.
    pub(crate) replication: Replication,
}

/// How a group is replicated, as `lab up` needs it.
#[derive(Debug, Deserialize)]
pub(crate) struct Replication {
    /// The state's name.
    pub(crate) state: String,
}

/// A volume as `lab up` needs it.
#[derive(Debug, Deserialize)]
pub(crate) struct MintedVolume {
    /// Its id.
    pub(crate) id: VolumeId,
    /// Its name.
    pub(crate) name: String,
}

/// A part of a list.
#[derive(Serialize, Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

impl Client {
    /// Makes ready to speak to the installation; nothing is sent.
    ///
    /// # Errors
    /// When the context's address, token or certificate cannot be used.
    pub(crate) fn open(context: &Context) -> Result<Self, Failure> {
        let address = context.url.trim_end_matches('/').to_owned();
        if !address.starts_with("https://") {
            return Err(
                Failure::usage(format!("the context's url {address:?} is not https"))
                    .remedy("the API is served over TLS only: write https://HOST:PORT"),
            );
        }
        let token = context.token()?;
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(authorities(context)?)))
            .unversioned_rustls_crypto_provider(Arc::new(
                rustls::crypto::aws_lc_rs::default_provider(),
            ))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT_DEADLINE))
            .user_agent(concat!("bcdr/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self {
            agent,
            address,
            token,
            ca: context.ca.display().to_string(),
        })
    }

    /// Whether the API answers that it is alive.
    pub(crate) fn is_live(&self) -> bool {
        let request = self.agent.get(format!("{}/livez", self.address));
        let request = request.config().timeout_global(Some(LIVE_DEADLINE)).build();
        request
            .call()
            .is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    /// The group with this name or id, if there is one.
    pub(crate) fn group(&self, group: &str) -> Result<Option<MintedGroup>, Failure> {
        match self.get(&Path::new("groups").item(group)) {
            Ok(document) => document.read().map(Some),
            Err(failure) if failure.code() == super::exit::NOT_FOUND => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Makes a group of volumes with these names and sizes in bytes.
    pub(crate) fn create_group(
        &self,
        name: &str,
        volumes: &[(&str, u64)],
    ) -> Result<MintedGroup, Failure> {
        let volumes: Vec<_> = volumes
            .iter()
            .map(|(name, bytes)| serde_json::json!({ "name": name, "size_bytes": bytes }))
            .collect();
        let body = serde_json::json!({ "name": name, "volumes": volumes });
        self.post(&Path::new("groups"), &body)?.read()
    }

    /// Reads an object.
    pub(crate) fn get(&self, path: &Path) -> Result<Document, Failure> {
        self.get_within(path, REQUEST_DEADLINE)
    }

    /// Reads an object whose answer the server may hold back for `patience`.
    pub(super) fn get_patiently(
        &self,
        path: &Path,
        patience: Duration,
    ) -> Result<Document, Failure> {
        self.get_within(path, patience + REQUEST_DEADLINE)
    }

    fn get_within(&self, path: &Path, deadline: Duration) -> Result<Document, Failure> {
        self.document(self.ask(self.agent.get(self.url(path)), deadline))
    }

    /// Reads a list, page by page, up to `limit` items, into one list.
    pub(super) fn list(&self, path: &Path, limit: Option<u64>) -> Result<Document, Failure> {
        let mut all = Page {
            items: Vec::new(),
            next_cursor: None,
        };
        loop {
            let missing = limit.map_or(u64::MAX, |limit| limit - all.items.len() as u64);
            let mut part = path
                .clone()
                .query("limit", &missing.min(PAGE_ITEMS).to_string());
            if let Some(cursor) = &all.next_cursor {
                part = part.query("cursor", cursor);
            }
            let page: Page = self.get(&part)?.read()?;
            let asked = missing.min(PAGE_ITEMS);
            // A list that does not move would be read for ever.
            let stuck = page.items.is_empty() && page.next_cursor.is_some();
            all.items.extend(
                page.items
                    .into_iter()
                    .take(usize::try_from(asked).unwrap_or(usize::MAX)),
            );
            all.next_cursor = page.next_cursor;
            let enough = limit.is_some_and(|limit| all.items.len() as u64 >= limit);
            if all.next_cursor.is_none() || enough || stuck {
                return Document::of(&all);
            }
        }
    }

    /// Asks for something to be made or done, once.
    pub(super) fn post(&self, path: &Path, body: &impl Serialize) -> Result<Document, Failure> {
        self.document(self.send(self.agent.post(self.url(path)), body)?)
    }

    /// Asks for something to be done, if what it is done to still has this ETag.
    pub(super) fn post_if(
        &self,
        path: &Path,
        body: &impl Serialize,
        tag: Option<&str>,
    ) -> Result<Document, Failure> {
        let mut request = self.agent.post(self.url(path));
        if let Some(tag) = tag {
            request = request.header("if-match", tag);
        }
        self.document(self.send(request, body)?)
    }

    /// Asks for something that is answered with nothing.
    pub(super) fn post_unanswered(
        &self,
        path: &Path,
        body: &impl Serialize,
    ) -> Result<(), Failure> {
        self.text(self.send(self.agent.post(self.url(path)), body)?)
            .map(drop)
    }

    /// Asks for something to be made, in a way that may be repeated: when the answer is lost, the
    /// question is asked again, and still only one thing is made.
    pub(super) fn post_repeatably(
        &self,
        path: &Path,
        body: &impl Serialize,
    ) -> Result<Document, Failure> {
        let key = idempotency_key()?;
        let give_up = Instant::now() + REPEAT_DEADLINE;
        let mut lost = false;
        loop {
            let request = self
                .agent
                .post(self.url(path))
                .header("idempotency-key", &key);
            let outcome = self.document(self.send(request, body)?);
            let Err(failure) = outcome else {
                return outcome;
            };
            lost |= failure.delivery() == Delivery::Unknown;
            let answered = failure.delivery() == Delivery::Answered;
            if answered || !lost || Instant::now() >= give_up {
                return Err(failure);
            }
            std::thread::sleep(REPEAT_PAUSE);
        }
    }

    /// Puts an object in the place of the one that is there.
    pub(super) fn put(&self, path: &Path, body: &impl Serialize) -> Result<Document, Failure> {
        self.document(self.send(self.agent.put(self.url(path)), body)?)
    }

    /// Changes what is named of an object.
    pub(super) fn patch(&self, path: &Path, body: &impl Serialize) -> Result<Document, Failure> {
        self.document(self.send(self.agent.patch(self.url(path)), body)?)
    }

    /// Reads a page for people.
    pub(super) fn page(&self, path: &Path) -> Result<String, Failure> {
        self.text(self.ask(self.agent.get(self.url(path)), REQUEST_DEADLINE))
    }

    /// Copies an answer of any length, as it comes.
    pub(super) fn download(&self, path: &Path, to: &mut impl Write) -> Result<(), Failure> {
        let answer = self.ask(self.agent.get(self.url(path)), DOWNLOAD_DEADLINE);
        let mut answer = match answer {
            Ok(answer) if answer.status().is_success() => answer,
            refused => return self.text(refused).map(drop),
        };
        let mut body = answer.body_mut().with_config().limit(u64::MAX).reader();
        std::io::copy(&mut body, to).map_err(|error| {
            Failure::error("the answer broke off, or could not be written down")
                .cause(error)
                .remedy("look for room where it is written, and at the log of the cloud side; then ask again")
        })?;
        Ok(())
    }

    /// Opens an answer that goes on without end, after the event with this id. Whoever reads it has to
    /// notice silence.
    pub(super) fn stream(
        &self,
        path: &Path,
        after: Option<&str>,
    ) -> Result<impl BufRead + Send + use<>, Failure> {
        let mut request = self
            .agent
            .get(self.url(path))
            .header("accept", "text/event-stream")
            .header("authorization", self.authorization());
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let request = request
            .config()
            .timeout_recv_response(Some(REQUEST_DEADLINE))
            .build();
        match request.call() {
            Ok(answer) if answer.status().is_success() => {
                let body = answer.into_body().into_with_config().limit(u64::MAX);
                Ok(BufReader::new(body.reader()))
            }
            refused => Err(match self.text(refused) {
                Err(failure) => failure,
                Ok(_) => self.stranger("is no stream"),
            }),
        }
    }

    /// Removes an object.
    pub(super) fn delete(&self, path: &Path) -> Result<(), Failure> {
        self.text(self.ask(self.agent.delete(self.url(path)), REQUEST_DEADLINE))
            .map(drop)
    }

    fn ask(
        &self,
        request: RequestBuilder<WithoutBody>,
        deadline: Duration,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        request
            .header("authorization", self.authorization())
            .config()
            .timeout_global(Some(deadline))
            .build()
            .call()
    }

    fn send(
        &self,
        request: RequestBuilder<WithBody>,
        body: &impl Serialize,
    ) -> Result<Result<Response<ureq::Body>, ureq::Error>, Failure> {
        let request = request
            .header("authorization", self.authorization())
            .header("content-type", "application/json")
            .config()
            .timeout_global(Some(REQUEST_DEADLINE))
            .build();
        let text = serde_json::to_string(body)
            .map_err(|error| Failure::error(format!("cannot write the request: {error}")))?;
        Ok(request.send(text))
    }

    fn url(&self, path: &Path) -> String {
        format!("{}/api/v1/{path}", self.address)
    }

    fn authorization(&self) -> String {
        format!("Bearer {}", self.token.expose())
    }

    fn document(
        &self,
        answer: Result<Response<ureq::Body>, ureq::Error>,
    ) -> Result<Document, Failure> {
        Document::parse(self.text(answer)?)
            .map_err(|error| self.stranger("is not JSON").cause(error))
    }

    fn text(&self, answer: Result<Response<ureq::Body>, ureq::Error>) -> Result<String, Failure> {
        let trouble = |error| {
            Trouble {
                error: &error,
                address: &self.address,
                ca: &self.ca,
            }
            .failure()
        };
        let mut answer = answer.map_err(trouble)?;
        let status = answer.status();
        let body = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string();
        let body = body.map_err(trouble)?;
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_str::<Problem>(&body) {
            Ok(problem) => Err(Failure::problem(&problem)),
            Err(_) => {
                let failure = self.stranger(&format!("is {status} without a problem document"));
                // What stands before the API says that the API is not there at the moment.
                let passing = matches!(status.as_u16(), 502..=504);
                Err(failure.delivered(if passing {
                    Delivery::Later
                } else {
                    Delivery::Answered
                }))
            }
        }
    }

    /// Something answered, and it is not the API.
    fn stranger(&self, what: &str) -> Failure {
        Failure::error(format!("the answer of {} {what}", self.address))
            .remedy("check that the context's url is that of the cloud side's API")
    }
}

/// The authorities in the context's file.
fn authorities(context: &Context) -> Result<Vec<Certificate<'static>>, Failure> {
    let name = context.ca.display();
    let wrong = |cause: String| {
        Failure::usage(format!("cannot use the certificate {name}"))
            .cause(cause)
            .remedy("the context's ca is the file ca.pem of the cloud side")
    };
    let pem = fs::read(&context.ca).map_err(|error| wrong(error.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        match item.map_err(|error| wrong(error.to_string()))? {
            PemItem::Certificate(certificate) => certificates.push(certificate),
            _ => {
                return Err(wrong(
                    "it holds something other than certificates".to_owned(),
                ));
            }
        }
    }
    if certificates.is_empty() {
        return Err(wrong("it holds no certificate in PEM form".to_owned()));
    }
    Ok(certificates)
}

fn idempotency_key() -> Result<String, Failure> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::error(format!("the system gives no randomness: {error}")))?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}

/// The items of a list.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub(super) struct Items<T> {
    pub(super) items: Vec<T>,
    pub(super) next_cursor: Option<String>,
}

#[cfg(test)]
pub(super) mod tests;
