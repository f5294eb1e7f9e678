//! The words of a language, and how numbers look.

use crate::Language;
use serde::Deserialize;
use std::collections::BTreeMap;

const ENGLISH: &str = include_str!("../../lang/en.toml");
const CHINESE: &str = include_str!("../../lang/zh.toml");

/// The words of one language.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    /// What the pages say, by name.
    pub(super) sentences: BTreeMap<String, String>,
    /// What machines say, by the word they use for it.
    pub(super) words: BTreeMap<String, String>,
}

impl Words {
    pub(super) fn of(language: Language) -> Result<Self, toml::de::Error> {
        toml::from_str(match language {
            Language::En => ENGLISH,
            Language::Zh => CHINESE,
        })
    }

    /// A sentence of the page.
    pub(super) fn sentence(&self, name: &str) -> Result<String, minijinja::Error> {
        self.sentences.get(name).cloned().ok_or_else(|| {
            let kind = minijinja::ErrorKind::UndefinedError;
            minijinja::Error::new(kind, format!("the language has no sentence {name:?}"))
        })
    }

    /// What a machine's word means, or the word itself.
    pub(super) fn word(&self, name: &str) -> String {
        if let Some(word) = self.words.get(name) {
            return word.clone();
        }
        match name.split_once(':') {
            Some((kind, rest)) if self.words.contains_key(kind) => {
                format!("{}: {}", self.word(kind), self.word(rest))
            }
            _ => name.to_owned(),
        }
    }
}

/// Milliseconds as people read them.
pub(super) fn duration(milliseconds: i64) -> String {
    let sign = if milliseconds < 0 { "−" } else { "" };
    let all = milliseconds.unsigned_abs();
    let (seconds, rest) = (all / 1000, all % 1000);
    let text = match seconds {
        0..60 => format!("{seconds}.{rest:03} s"),
        60..3600 => format!("{} min {:02}.{} s", seconds / 60, seconds % 60, rest / 100),
        3600..86400 => format!(
            "{} h {:02} min {:02} s",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        ),
        _ => format!(
            "{} d {:02} h {:02} min",
            seconds / 86400,
            seconds / 3600 % 24,
            seconds / 60 % 60
        ),
    };
    format!("{sign}{text}")
}

/// An RFC 3339 time in UTC as people read it.
pub(super) fn time(at: &str) -> String {
    let Ok(at) = at.parse::<jiff::Timestamp>() else {
        return at.to_owned();
    };
    at.strftime("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

/// Bytes as people read them.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!(
        "{}.{} {} ({bytes} B)",
        tenths / 10,
        tenths % 10,
        UNITS[unit]
    )
}
