//! The configuration of alerts: `[alerts]` in the cloud side's file. Unknown fields are refused by name.

use super::channel::{
    Channel, ChannelError, Way,
    mail::{EmailConfig, Mail},
    robot::{DingTalkConfig, Robot, WeComConfig},
    webhook::{WebhookChannel, WebhookConfig},
};
use bcdr_alert::{AlertCode, Hold, Language, Settings, Severity};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Most channels.
const CHANNELS_MAX: usize = 16;
/// Longest name of a channel.
const NAME_MAX: usize = 32;
/// The shortest time between two signs of life, in seconds.
const HEARTBEAT_MIN: u64 = 5;

/// How alerts are raised and told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsConfig {
    /// Seconds from one look to the next; 5 by default, 1 to 60.
    pub every_seconds: u64,
    /// How old a group's newest point may be, in seconds; 900 by default.
    pub rpo_target_seconds: u64,
    /// A condition that comes back within so many minutes reopens its alert without a new message.
    pub quiet_minutes: u64,
    /// After so many hours an alert that nobody acknowledged is told once more.
    pub remind_after_hours: u64,
    /// What differs for a group, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, GroupAlertsConfig>,
    /// What differs for a code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub codes: BTreeMap<AlertCode, CodeConfig>,
    /// Who is told; nobody by default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ChannelConfig>,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            every_seconds: 5,
            rpo_target_seconds: 900,
            quiet_minutes: 15,
            remind_after_hours: 4,
            groups: BTreeMap::new(),
            codes: BTreeMap::new(),
            channels: Vec::new(),
        }
    }
}

/// What differs for one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupAlertsConfig {
    /// How old its newest point may be, in seconds.
    pub rpo_target_seconds: u64,
}

/// What differs for one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeConfig {
    /// How many seconds it has to hold before an alert is raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raise_after_seconds: Option<u64>,
    /// How many seconds it has to be gone before the alert is cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear_after_seconds: Option<u64>,
}

/// A channel: who is told what, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelConfig {
    /// Its name: 1 to 32 small letters, digits and hyphens.
    pub name: String,
    /// It is told what is at least this bad; warnings too by default.
    #[serde(default = "any_severity")]
    pub minimum_severity: Severity,
    /// It is told these codes only; all when there is none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub codes: BTreeSet<AlertCode>,
    /// The language of its texts, `en` or `zh`.
    #[serde(default)]
    pub language: Language,
    /// Seconds from one sign of life to the next; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_every_seconds: Option<u64>,
    /// An HTTP POST that can be checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookConfig>,
    /// E-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailConfig>,
    /// A robot of a DingTalk group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dingtalk: Option<DingTalkConfig>,
    /// A robot of a WeCom group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wecom: Option<WeComConfig>,
}

fn any_severity() -> Severity {
    Severity::Warning
}

/// Why alerts cannot be told as configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlertsConfigError {
    /// A number is out of its range.
    #[error("[alerts] {field} is {value}, not {range}; correct it in the configuration")]
    Range {
        /// The field.
        field: String,
        /// What stands there.
        value: u64,
        /// What may.
        range: &'static str,
    },
    /// There are too many channels.
    #[error("[alerts] has {0} channels, and at most {CHANNELS_MAX}; remove some")]
    Channels(usize),
    /// A channel's name is none.
    #[error(
        "the alert channel {0:?} has no usable name; take 1 to {NAME_MAX} small letters, digits and hyphens"
    )]
    Name(String),
    /// Two have one name.
    #[error("two alert channels are called {0:?}; give each a name of its own")]
    Twice(String),
    /// It is not said how.
    #[error(
        "the alert channel {0:?} names {1} ways to tell; give exactly one of webhook, email, dingtalk, wecom"
    )]
    Ways(String, usize),
    /// A way cannot be used.
    #[error("the alert channel {channel:?} cannot be used: {source}")]
    Channel {
        /// The channel.
        channel: String,
        /// Why.
        #[source]
        source: ChannelError,
    },
}

impl AlertsConfig {
    pub(super) fn every(&self) -> Duration {
        Duration::from_secs(self.every_seconds)
    }

    /// How old the newest point of a group may be.
    pub(super) fn rpo_target(&self, group: &str) -> Duration {
        let own = self.groups.get(group).map(|group| group.rpo_target_seconds);
        Duration::from_secs(own.unwrap_or(self.rpo_target_seconds))
    }

    pub(super) fn settings(&self) -> Settings {
        let hold = |(code, config): (&AlertCode, &CodeConfig)| {
            let seconds = |given: Option<u64>, own| given.map_or(own, Duration::from_secs);
            let hold = Hold {
                raise: seconds(config.raise_after_seconds, code.raise_after()),
                clear: seconds(config.clear_after_seconds, code.clear_after()),
            };
            (*code, hold)
        };
        Settings {
            quiet: Duration::from_secs(self.quiet_minutes * 60),
            remind_after: Duration::from_secs(self.remind_after_hours * 3600),
            holds: self.codes.iter().map(hold).collect(),
        }
    }

    fn check(&self) -> Result<(), AlertsConfigError> {
        let week = 7 * 86_400;
        let mut numbers = vec![
            (
                "every_seconds".to_owned(),
                self.every_seconds,
                1,
                60,
                "1 to 60",
            ),
            (
                "rpo_target_seconds".to_owned(),
                self.rpo_target_seconds,
                1,
                week,
                "1 to 604800",
            ),
            (
                "quiet_minutes".to_owned(),
                self.quiet_minutes,
                0,
                1440,
                "0 to 1440",
            ),
            (
                "remind_after_hours".to_owned(),
                self.remind_after_hours,
                1,
                168,
                "1 to 168",
            ),
        ];
        for (name, group) in &self.groups {
            let field = format!("groups.{name}.rpo_target_seconds");
            numbers.push((field, group.rpo_target_seconds, 1, week, "1 to 604800"));
        }
        for (code, config) in &self.codes {
            let holds = [
                ("raise_after_seconds", config.raise_after_seconds),
                ("clear_after_seconds", config.clear_after_seconds),
            ];
            for (field, seconds) in holds {
                let field = format!("codes.{code}.{field}");
                numbers.push((field, seconds.unwrap_or(0), 0, 86_400, "0 to 86400"));
            }
        }
        for channel in &self.channels {
            if let Some(seconds) = channel.heartbeat_every_seconds {
                let field = format!("channels.{}.heartbeat_every_seconds", channel.name);
                numbers.push((field, seconds, HEARTBEAT_MIN, 86_400, "5 to 86400"));
            }
        }
        for (field, value, least, most, range) in numbers {
            if !(least..=most).contains(&value) {
                return Err(AlertsConfigError::Range {
                    field,
                    value,
                    range,
                });
            }
        }
        Ok(())
    }

    /// The channels, ready to be used. Reads their secrets. Blocks.
    pub(crate) fn channels(&self) -> Result<Vec<Channel>, AlertsConfigError> {
        self.check()?;
        if self.channels.len() > CHANNELS_MAX {
            return Err(AlertsConfigError::Channels(self.channels.len()));
        }
        let mut names = BTreeSet::new();
        let mut channels = Vec::new();
        for config in &self.channels {
            let name = &config.name;
            let is_fit =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(is_fit) {
                let name = name.chars().take(64).collect();
                return Err(AlertsConfigError::Name(name));
            }
            if !names.insert(name.clone()) {
                return Err(AlertsConfigError::Twice(name.clone()));
            }
            channels.push(config.open()?);
        }
        Ok(channels)
    }
}

impl ChannelConfig {
    fn open(&self) -> Result<Channel, AlertsConfigError> {
        let mut ways = Vec::new();
        if let Some(config) = &self.webhook {
            ways.push(WebhookChannel::open(config).map(Way::Webhook));
        }
        if let Some(config) = &self.email {
            ways.push(Mail::open(config).map(Way::Email));
        }
        if let Some(config) = &self.dingtalk {
            ways.push(Robot::dingtalk(config).map(Way::DingTalk));
        }
        if let Some(config) = &self.wecom {
            ways.push(Robot::wecom(config).map(Way::WeCom));
        }
        let count = ways.len();
        let (Some(way), 1) = (ways.pop(), count) else {
            return Err(AlertsConfigError::Ways(self.name.clone(), count));
        };
        let way = way.map_err(|source| AlertsConfigError::Channel {
            channel: self.name.clone(),
            source,
        })?;
        Ok(Channel {
            name: self.name.clone(),
            minimum_severity: self.minimum_severity,
            codes: self.codes.clone(),
            language: self.language,
            heartbeat_every: self.heartbeat_every_seconds.map(Duration::from_secs),
            way,
        })
    }
}

#[cfg(test)]
mod tests;
