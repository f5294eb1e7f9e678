//! Robots of DingTalk and WeCom groups.
//!
//! Both are told by an HTTP POST to a URL with a token in it, and answer 200 with a code of their own,
//! which alone says whether the message was taken. DingTalk's may ask for a signature: the time and an
//! HMAC-SHA256 over it, in the URL.

use super::{
    ChannelError, secret,
    webhook::{networks, post, trust},
};
use crate::{alerts::Message, clock, offload::offload};
use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bcdr_alert::Language;
use bcdr_reach::{
    Trust,
    webhook::{Networks, Webhook},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::PathBuf;
use url::Url;
use zeroize::Zeroizing;

/// Most bytes of a text that WeCom takes in a markdown message.
const TEXT_MAX: usize = 4000;

/// A robot of a DingTalk group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DingTalkConfig {
    /// The file with the robot's whole URL, access token included; only its owner may read it.
    pub url_file: PathBuf,
    /// The file with the secret of a robot that asks for signatures (`SEC…`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// Networks outside of the public internet that may be called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_networks: Vec<String>,
    /// The file with the authorities that are believed, as PEM; those of the system by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities_file: Option<PathBuf>,
}

/// A robot of a WeCom group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeComConfig {
    /// The file with the robot's whole URL, key included; only its owner may read it.
    pub url_file: PathBuf,
    /// Networks outside of the public internet that may be called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_networks: Vec<String>,
    /// The file with the authorities that are believed, as PEM; those of the system by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    DingTalk,
    WeCom,
}

/// A robot that is told.
pub(crate) struct Robot {
    kind: Kind,
    url: Zeroizing<String>,
    secret: Option<Zeroizing<String>>,
    trust: Trust,
    networks: Networks,
}

impl Robot {
    pub(crate) fn dingtalk(config: &DingTalkConfig) -> Result<Self, ChannelError> {
        Self {
            kind: Kind::DingTalk,
            url: secret(&config.url_file)?,
            secret: config.secret_file.as_deref().map(secret).transpose()?,
            trust: trust(config.authorities_file.as_ref())?,
            networks: networks(&config.allowed_networks)?,
        }
        .checked()
    }

    pub(crate) fn wecom(config: &WeComConfig) -> Result<Self, ChannelError> {
        Self {
            kind: Kind::WeCom,
            url: secret(&config.url_file)?,
            secret: None,
            trust: trust(config.authorities_file.as_ref())?,
            networks: networks(&config.allowed_networks)?,
        }
        .checked()
    }

    fn checked(self) -> Result<Self, ChannelError> {
        self.webhook(0)?;
        Ok(self)
    }

    /// The webhook to be called at a time, in milliseconds since 1970. Reads authorities; blocks.
    fn webhook(&self, milliseconds: i64) -> Result<Webhook, ChannelError> {
        let mut url = Url::parse(&self.url).map_err(|error| ChannelError::Field {
            field: "url_file",
            cause: format!("it holds no URL: {error}; write the robot's whole URL into it"),
        })?;
        if let Some(secret) = &self.secret {
            url.query_pairs_mut()
                .append_pair("timestamp", &milliseconds.to_string())
                .append_pair("sign", &signature(secret, milliseconds));
        }
        let made = Webhook::unsigned(url.as_str(), &self.trust, self.networks.clone());
        Ok(made?)
    }

    pub(crate) async fn send(&self, message: &Message, language: Language) -> Result<(), String> {
        let robot = self.parts();
        let webhook = offload(move || robot.webhook(clock::wall().0 / 1000)).await;
        let webhook = webhook.map_err(|error| error.to_string())?;
        let body = self.body(message, language).to_string();
        let answer = post(&webhook, message.id(), body).await?;
        taken(&answer)
    }

    fn parts(&self) -> Self {
        Self {
            kind: self.kind,
            url: self.url.clone(),
            secret: self.secret.clone(),
            trust: self.trust.clone(),
            networks: self.networks.clone(),
        }
    }

    fn body(&self, message: &Message, language: Language) -> Value {
        let subject = message.subject(language);
        let mut text = format!("### {subject}\n\n");
        for line in message.text(language).lines() {
            text.push_str(&format!("- {}\n", plain(line)));
        }
        let mut end = text.len().min(TEXT_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        match self.kind {
            Kind::DingTalk => json!({
                "msgtype": "markdown",
                "markdown": {"title": subject, "text": text},
            }),
            Kind::WeCom => json!({"msgtype": "markdown", "markdown": {"content": text}}),
        }
    }
}

/// Names and details come from elsewhere: they make no link and no heading.
fn plain(line: &str) -> String {
    let is_markup = |character: &char| "[]()<>*#`!@".contains(*character);
    line.chars()
        .map(|character| {
            if is_markup(&character) {
                ' '
            } else {
                character
            }
        })
        .collect()
}

fn signature(secret: &str, milliseconds: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signed = hmac::sign(&key, format!("{milliseconds}\n{secret}").as_bytes());
    STANDARD.encode(signed.as_ref())
}

/// Whether a robot's answer says that it took the message.
fn taken(answer: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Answer {
        errcode: i64,
        #[serde(default)]
        errmsg: String,
    }
    let read: Answer = serde_json::from_str(answer)
        .map_err(|_| "the robot's answer has no errcode; check its URL".to_owned())?;
    if read.errcode == 0 {
        return Ok(());
    }
    let said: String = read.errmsg.chars().take(200).collect();
    Err(format!(
        "the robot answered errcode {}: {said}; check its token, its secret and its keywords",
        read.errcode
    ))
}

#[cfg(test)]
mod tests;
