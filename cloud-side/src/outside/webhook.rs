//! Webhooks: the facts of the run, signed, to another system.

use super::{Outside, not_configured, note, stopped};
use crate::plans::{Errand, Facts};
use bcdr_plan::{Failure, WebhookStep};
use bcdr_reach::{
    Retry,
    webhook::{Delivery, Outcome, Webhook, deliver},
};
use serde::Serialize;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a receiver may take to answer one try, in seconds.
const ANSWER_SECONDS: u32 = 15;

/// How what may pass is tried again.
pub(super) fn retry(within_seconds: u32, answer_seconds: u32) -> Retry {
    Retry {
        per_try: Duration::from_secs(answer_seconds.into()),
        pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(30),
        deadline: Duration::from_secs(within_seconds.into()),
        tries: None,
    }
}

/// What is told.
#[derive(Serialize)]
struct Body<'a> {
    event: &'static str,
    message: &'a str,
    #[serde(flatten)]
    facts: &'a Facts,
}

impl Outside {
    pub(super) fn webhook(&self, step: &WebhookStep) -> Result<Webhook, Failure> {
        let secret = self.webhook_secrets.get(&step.secret).ok_or_else(|| {
            not_configured(
                format!("there is no secret {:?} for webhooks here", step.secret),
                "name its file under [outside.webhook_secrets] in the cloud side's configuration",
            )
        })?;
        let networks = self.networks("webhook")?.clone();
        let webhook = Webhook::new(&step.url, secret.clone(), &self.trust, networks)
            .map_err(|error| note::failure("url", &error.to_string()))?;
        let url = webhook.url();
        let host = url.host_str().unwrap_or_default();
        self.judge(host, url.scheme() == "https", "webhook")?;
        Ok(webhook)
    }

    pub(super) async fn look_at_webhook(&self, step: &WebhookStep) -> Result<String, Failure> {
        let webhook = self.webhook(step)?;
        let url = webhook.url();
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(443);
        let is_tls = url.scheme() == "https";
        self.leads_to((host, port), is_tls, "webhook").await
    }

    pub(super) async fn deliver(
        &self,
        step: &WebhookStep,
        errand: &Errand,
        stop: &CancellationToken,
    ) -> Result<String, Failure> {
        let webhook = self.webhook(step)?;
        let body = serde_json::to_string(&Body {
            event: "plan_step",
            message: &step.message,
            facts: &errand.facts,
        });
        let delivery = Delivery {
            id: errand.name.clone(),
            body: body.map_err(|error| note::failure("webhook", &error.to_string()))?,
        };
        let retry = retry(step.within_seconds, ANSWER_SECONDS);
        let report = deliver(&webhook, &delivery, &retry, stop)
            .await
            .map_err(|error| note::failure("webhook", &error.to_string()))?;
        let kept = self.evidence.keep(&errand.facts, &report).await;
        match report.outcome {
            Outcome::Delivered => {
                let status = report
                    .status
                    .map_or_else(String::new, |status| status.to_string());
                Ok(format!(
                    "taken with status {status}{}{kept}",
                    note::tries(report.tries)
                ))
            }
            Outcome::Refused(told) => Err(note::failure("webhook_refused", &told)),
            Outcome::GivenUp(told) => Err(note::failure("webhook_given_up", &told)),
            Outcome::Cancelled => Err(stopped(
                "the run was cancelled before the webhook was taken",
            )),
        }
    }
}
