//! The REST API of a lab, asked from within this process.
//!
//! A command per question would cost the machine more than what is measured; this keeps one
//! connection open.

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};
use ureq::{
    Agent, Body,
    http::Response,
    tls::{Certificate, RootCerts, TlsConfig},
};

const REQUEST_DEADLINE: Duration = Duration::from_secs(60);
/// How long a bookmark may take to be published; only a hang gets there.
const PUBLISHED_DEADLINE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(100);

/// A way to one lab's API.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    agent: Agent,
    base: String,
    authorization: String,
}

impl Api {
    /// The API that `lab up` reported.
    ///
    /// # Errors
    /// When the report or the certificate cannot be used.
    pub(crate) fn of(report: &Value) -> anyhow::Result<Self> {
        let text = |name: &str| {
            let value = report["api"][name].as_str();
            value.with_context(|| format!("the lab's report tells no api.{name}"))
        };
        let ca = text("ca")?;
        let pem = fs::read(ca).with_context(|| format!("cannot read the certificate {ca}"))?;
        let authority = Certificate::from_pem(&pem)
            .with_context(|| format!("{ca} holds no certificate"))?
            .to_owned();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(vec![authority])))
            .unversioned_rustls_crypto_provider(Arc::new(
                rustls::crypto::aws_lc_rs::default_provider(),
            ))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .https_only(true)
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(REQUEST_DEADLINE))
            .build()
            .new_agent();
        Ok(Self {
            agent,
            base: format!("{}/api/v1", text("url")?),
            authorization: format!("Bearer {}", text("token")?),
        })
    }

    /// Reads an object.
    ///
    /// # Errors
    /// Whatever the API says.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.agent.get(format!("{}/{path}", self.base));
        answer(
            path,
            request.header("authorization", &self.authorization).call(),
        )
    }

    /// Asks for something to be made.
    ///
    /// # Errors
    /// Whatever the API says.
    pub(crate) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self
            .agent
            .post(format!("{}/{path}", self.base))
            .header("authorization", &self.authorization)
            .header("content-type", "application/json");
        answer(path, request.send(body.to_string()))
    }

    /// Removes an object.
    ///
    /// # Errors
    /// Whatever the API says.
    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<()> {
        let request = self.agent.delete(format!("{}/{path}", self.base));
        answer(
            path,
            request.header("authorization", &self.authorization).call(),
        )
        .map(drop)
    }

    /// Asks for a bookmark now; returns the job's id.
    ///
    /// # Errors
    /// Whatever the API says.
    pub(crate) fn ask_for_bookmark(&self, group: &str, label: &str) -> anyhow::Result<String> {
        let job = self.post(
            &format!("groups/{group}/points"),
            &json!({ "label": label }),
        )?;
        let id = job["id"].as_str().context("a job without an id")?;
        Ok(id.to_owned())
    }

    /// Waits until a bookmark that was asked for is published; returns its point.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn bookmark_published(&self, job: &str) -> anyhow::Result<Value> {
        let deadline = Instant::now() + PUBLISHED_DEADLINE;
        while Instant::now() < deadline {
            let found = self.get(&format!("jobs/{job}?wait_seconds=20"))?;
            match found["state"].as_str() {
                Some("queued" | "running") => {}
                Some("succeeded") => return Ok(found["result"]["point"].clone()),
                _ => bail!("a bookmark was not published: {found}"),
            }
        }
        bail!(
            "a bookmark was not published within {} s",
            PUBLISHED_DEADLINE.as_secs()
        )
    }

    /// Waits until everything written before is in a published point, by placing a bookmark behind
    /// it. While the capture is not connected it is tried again.
    ///
    /// # Errors
    /// When it is not published in time.
    pub(crate) fn wait_published(&self, group: &str, label: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + PUBLISHED_DEADLINE;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let outcome = self
                .ask_for_bookmark(group, &format!("{label}-{attempt}"))
                .and_then(|job| self.bookmark_published(&job));
            match outcome {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    }
}

fn answer(path: &str, answer: Result<Response<Body>, ureq::Error>) -> anyhow::Result<Value> {
    let mut answer = answer.with_context(|| format!("the API does not answer {path}"))?;
    let status = answer.status();
    let body = answer.body_mut().read_to_string()?;
    ensure!(
        status.is_success(),
        "the API answers {path} with {status}: {body}"
    );
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&body).with_context(|| format!("the API answers {path} with no JSON"))
}
