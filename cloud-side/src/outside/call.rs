//! Calls: one HTTP request in the words of whoever answers it, such as a load balancer's API.

use super::{Outside, not_configured, note, probe::statuses, stopped, webhook::retry};
use crate::plans::Errand;
use axum::http::{HeaderName, HeaderValue};
use bcdr_plan::{CallMethod, CallStep, Failure, facts};
use bcdr_reach::{
    Retry,
    call::{Call, Method, Outcome, make},
};
use tokio_util::sync::CancellationToken;

impl Outside {
    /// What a step asks, without the facts of a run.
    pub(super) fn call(&self, step: &CallStep) -> Result<Call, Failure> {
        let method = match step.method {
            CallMethod::Get => Method::GET,
            CallMethod::Post => Method::POST,
            CallMethod::Put => Method::PUT,
            CallMethod::Patch => Method::PATCH,
            CallMethod::Delete => Method::DELETE,
        };
        let networks = self.networks("call")?.clone();
        let mut call = Call::new(method, &step.url, &self.trust, networks)
            .map_err(|error| note::failure("url", &error.to_string()))?
            .expecting(statuses(&step.expected)?);
        if step.may_be_repeated() {
            call = call.repeatable();
        }
        let url = call.url();
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        self.judge(&host, url.scheme() == "https", "call")?;
        for (name, value) in &step.headers {
            let value = HeaderValue::from_str(value).map_err(|_| wrong_header(name))?;
            call = call.with_header(header_name(name)?, value);
        }
        for (name, secret) in &step.secret_headers {
            let value = self.header_secret(secret, &host, port)?;
            call = call.with_header(header_name(name)?, value);
        }
        Ok(call)
    }

    /// A secret for a header, if it may be sent there.
    fn header_secret(&self, name: &str, host: &str, port: u16) -> Result<HeaderValue, Failure> {
        let secret = self.header_secrets.get(name).ok_or_else(|| {
            not_configured(
                format!("there is no secret {name:?} for headers here"),
                "name its file and its hosts under [outside.header_secrets] in the cloud side's \
                 configuration",
            )
        })?;
        let with_port = format!("{host}:{port}");
        let is_listed = |listed: &String| *listed == host || *listed == with_port;
        if secret.hosts.iter().any(is_listed) {
            return Ok(secret.value.clone());
        }
        Err(not_configured(
            format!("secret {name:?} may not be sent to {host}"),
            &format!(
                "list the host among outside.header_secrets.{name}.hosts in the cloud side's configuration"
            ),
        ))
    }

    pub(super) async fn look_at_call(&self, step: &CallStep) -> Result<String, Failure> {
        let call = self.call(step)?;
        let url = call.url();
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(443);
        let is_tls = url.scheme() == "https";
        self.leads_to((host, port), is_tls, "call").await
    }

    pub(super) async fn make_call(
        &self,
        step: &CallStep,
        errand: &Errand,
        stop: &CancellationToken,
    ) -> Result<String, Failure> {
        let named = errand.facts.named(&errand.name);
        let body = facts::fill(&step.body, &named).map_err(|missing| Failure {
            code: "fact_missing".to_owned(),
            cause: format!("its body asks for {missing}, which this run does not know yet"),
            remedy:
                "let the step come after what makes it known; then apply and start the plan again"
                    .to_owned(),
        })?;
        let key =
            HeaderValue::from_str(&errand.name).map_err(|_| wrong_header("idempotency-key"))?;
        let call = self
            .call(step)?
            .with_body(body)
            .with_header(HeaderName::from_static("idempotency-key"), key);
        let report = make(&call, &patience(step), stop).await;
        let kept = self.evidence.keep(&errand.facts, &report).await;
        let status = report
            .status
            .map_or_else(String::new, |status| status.to_string());
        let answer = match report.answer.trim() {
            "" => String::new(),
            answer => format!(": {}", note::plain(answer)),
        };
        let failed = |code: &str, told: &str| {
            let mut failure = note::failure(code, told);
            failure.cause.push_str(&answer);
            failure.remedy.push_str(&kept);
            failure
        };
        match &report.outcome {
            Outcome::Answered => {
                let tries = note::tries(report.tries);
                Ok(format!(
                    "answered with status {status}{tries}{answer}{kept}"
                ))
            }
            Outcome::Refused(told) => Err(failed("call_refused", told)),
            Outcome::GivenUp(told) => Err(failed("call_given_up", told)),
            Outcome::InDoubt(told) => Err(failed("call_in_doubt", told)),
            Outcome::Cancelled => Err(stopped(
                "the run was cancelled before the call was answered",
            )),
        }
    }
}

/// How long a call is tried, and each request of it.
fn patience(step: &CallStep) -> Retry {
    retry(step.within_seconds, step.answer_within())
}

fn header_name(name: &str) -> Result<HeaderName, Failure> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong_header(name))
}

fn wrong_header(name: &str) -> Failure {
    note::failure(
        "headers",
        &format!("header {name:?} cannot be sent; write it in ASCII, in one line"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered_within(members: &str) -> u64 {
        let text = format!("{{\"url\": \"https://lb/\", \"within_seconds\": 600, {members}}}");
        let step: CallStep = serde_json::from_str(&text).unwrap();
        let retry = patience(&step);
        assert_eq!(retry.deadline.as_secs(), 600);
        retry.per_try.as_secs()
    }

    #[test]
    fn a_call_that_may_not_be_repeated_has_all_the_time_that_the_plan_gives() {
        assert_eq!(answered_within(r#""method": "POST""#), 600);
        assert_eq!(answered_within(r#""method": "PATCH""#), 600);
        assert_eq!(answered_within(r#""method": "PUT""#), 15);
        assert_eq!(
            answered_within(r#""method": "POST", "repeatable": true"#),
            15
        );
        assert_eq!(
            answered_within(r#""method": "PUT", "answer_seconds": 90"#),
            90
        );
    }
}
