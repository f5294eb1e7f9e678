//! Signed webhooks, by `bcdr-reach`.

use super::{ChannelError, LONGEST, authorities, secret};
use crate::alerts::Message;
use bcdr_alert::Language;
use bcdr_reach::{
    Retry, Trust,
    webhook::{Delivery, Network, Networks, Outcome, Secret, Webhook, deliver},
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// Where a webhook is called, and how it is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// `https://HOST/PATH`; `http` to listed networks only.
    pub url: String,
    /// The file with the secret that deliveries are signed with; only its owner may read it.
    pub secret_file: PathBuf,
    /// Networks outside of the public internet that may be called, such as `10.20.0.0/16`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_networks: Vec<String>,
    /// The file with the authorities that are believed, as PEM; those of the system by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities_file: Option<PathBuf>,
}

/// A webhook that is told.
pub(crate) struct WebhookChannel(Webhook);

impl WebhookChannel {
    pub(crate) fn open(config: &WebhookConfig) -> Result<Self, ChannelError> {
        let text = secret(&config.secret_file)?;
        let key = Secret::new(text.as_bytes()).map_err(|error| ChannelError::Content {
            path: config.secret_file.clone(),
            cause: format!("cannot be used: {error}"),
        })?;
        let trust = trust(config.authorities_file.as_ref())?;
        let networks = networks(&config.allowed_networks)?;
        Ok(Self(Webhook::new(&config.url, key, &trust, networks)?))
    }

    pub(crate) async fn send(&self, message: &Message, language: Language) -> Result<(), String> {
        post(&self.0, message.id(), message.json(language).to_string())
            .await
            .map(drop)
    }
}

pub(super) fn trust(file: Option<&PathBuf>) -> Result<Trust, ChannelError> {
    Ok(match file {
        Some(file) => Trust::Authorities(authorities(file)?),
        None => Trust::System,
    })
}

pub(super) fn networks(listed: &[String]) -> Result<Networks, ChannelError> {
    let network = |text: &String| {
        text.parse::<Network>()
            .map_err(|error| ChannelError::Field {
                field: "allowed_networks",
                cause: error.to_string(),
            })
    };
    let listed = listed.iter().map(network).collect::<Result<_, _>>()?;
    Ok(Networks::allowing(listed))
}

/// One try; the outbox has the patience. Gives the beginning of the answer.
pub(super) async fn post(webhook: &Webhook, id: String, body: String) -> Result<String, String> {
    let delivery = Delivery { id, body };
    let (once, cancel) = (Retry::once(LONGEST), CancellationToken::new());
    let told = deliver(webhook, &delivery, &once, &cancel).await;
    let report = told.map_err(|error| error.to_string())?;
    match report.outcome {
        Outcome::Delivered => Ok(report.answer),
        Outcome::Refused(cause) | Outcome::GivenUp(cause) => Err(cause),
        Outcome::Cancelled => Err("it was cancelled; the receiver may have got it".to_owned()),
    }
}
