//! What a channel is told: the document for programs, and the words for people.

use crate::clock;
use bcdr_alert::{Alert, Delivery, Language, Severity, TransitionKind};
use bcdr_format::{InstallationId, Timestamp};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write as _};

/// The version of the documents.
const FORMAT: u32 = 1;

/// Something to be told.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    /// A change of an alert.
    Alert {
        installation: InstallationId,
        delivery: Box<Delivery>,
    },
    /// All is quiet, or not; but somebody is there to say so.
    Heartbeat {
        id: String,
        installation: InstallationId,
        at: Timestamp,
        active: BTreeMap<Severity, usize>,
    },
    /// Somebody tries the channel.
    Test {
        id: String,
        installation: InstallationId,
        at: Timestamp,
    },
}

impl Message {
    /// By which a receiver knows it again.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Alert { delivery, .. } => delivery.id(),
            Self::Heartbeat { id, .. } | Self::Test { id, .. } => id.clone(),
        }
    }

    fn installation(&self) -> InstallationId {
        match self {
            Self::Alert { installation, .. }
            | Self::Heartbeat { installation, .. }
            | Self::Test { installation, .. } => *installation,
        }
    }

    fn at(&self) -> Timestamp {
        match self {
            Self::Alert { delivery, .. } => delivery.transition.at,
            Self::Heartbeat { at, .. } | Self::Test { at, .. } => *at,
        }
    }

    /// The document that `docs/format/alerts.md` describes.
    pub(crate) fn json(&self, language: Language) -> Value {
        let mut document = json!({
            "format": FORMAT,
            "id": self.id(),
            "installation": self.installation().to_string(),
            "at": clock::readable(self.at()).to_string(),
        });
        match self {
            Self::Alert { delivery, .. } => {
                let transition = &delivery.transition;
                document["event"] = format!("alert.{}", transition.kind.name()).into();
                document["number"] = transition.number.into();
                document["alert"] = alert_json(&delivery.alert, language);
            }
            Self::Heartbeat { active, .. } => {
                document["event"] = "heartbeat".into();
                let counts = active
                    .iter()
                    .map(|(severity, count)| (severity.name().to_owned(), (*count).into()))
                    .collect::<serde_json::Map<_, _>>();
                document["active"] = counts.into();
            }
            Self::Test { .. } => document["event"] = "test".into(),
        }
        document
    }

    /// One line.
    pub(crate) fn subject(&self, language: Language) -> String {
        let zh = language == Language::Zh;
        match self {
            Self::Alert { delivery, .. } => {
                let (alert, kind) = (&delivery.alert, delivery.transition.kind);
                let severity = alert.severity.word(language);
                let (code, name) = (alert.code, &alert.object.name);
                format!("[BCDR] {severity}: {name}: {code} {}", kind.word(language))
            }
            Self::Heartbeat { active, .. } => {
                let count = |severity| active.get(&severity).copied().unwrap_or(0);
                let (critical, warning) = (count(Severity::Critical), count(Severity::Warning));
                if zh {
                    format!("[BCDR] 心跳:严重 {critical},警告 {warning}")
                } else {
                    format!("[BCDR] heartbeat: {critical} critical, {warning} warning")
                }
            }
            Self::Test { .. } if zh => "[BCDR] 测试消息".to_owned(),
            Self::Test { .. } => "[BCDR] test message".to_owned(),
        }
    }

    /// A few lines.
    pub(crate) fn text(&self, language: Language) -> String {
        let zh = language == Language::Zh;
        let mut text = String::new();
        let mut line = |name: [&str; 2], value: &str| {
            let _ = writeln!(text, "{}: {value}", name[usize::from(zh)]);
        };
        if let Self::Alert { delivery, .. } = self {
            let alert = &delivery.alert;
            let kind = delivery.transition.kind;
            line(["what", "含义"], alert.code.cause(language));
            line(["seen", "详情"], &alert.detail);
            if kind != TransitionKind::Cleared {
                line(["do", "处理"], alert.code.remedy(language));
            }
            line(
                ["since", "开始"],
                &clock::readable(alert.raised_at).to_string(),
            );
            if let Some(cleared) = &alert.cleared {
                let cleared = clock::readable(cleared.at).to_string();
                line(["cleared", "恢复"], &cleared);
            }
            if alert.occurrences > 1 {
                line(["times", "次数"], &alert.occurrences.to_string());
            }
            line(["alert", "告警"], &alert.id.to_string());
            line(["more", "文档"], &alert.code.docs());
        }
        line(["at", "时间"], &clock::readable(self.at()).to_string());
        line(["installation", "实例"], &self.installation().to_string());
        text
    }
}

fn alert_json(alert: &Alert, language: Language) -> Value {
    json!({
        "id": alert.id.to_string(),
        "code": alert.code.name(),
        "severity": alert.severity.name(),
        "state": alert.state().name(),
        "object": {
            "kind": alert.object.kind.name(),
            "id": alert.object.id,
            "name": alert.object.name,
        },
        "detail": alert.detail,
        "cause": alert.code.cause(language),
        "remedy": alert.code.remedy(language),
        "docs": alert.code.docs(),
        "raised_at": clock::readable(alert.raised_at).to_string(),
        "cleared_at": alert.cleared.map(|since| clock::readable(since.at).to_string()),
        "occurrences": alert.occurrences,
    })
}
