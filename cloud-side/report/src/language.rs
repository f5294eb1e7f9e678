//! The languages in which people read reports.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A language of the HTML forms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Chinese (simplified).
    Zh,
}

/// A language that there is no form in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are no reports in the language {0:?}; take en or zh")]
pub struct UnknownLanguage(String);

impl Language {
    /// All languages.
    pub const ALL: [Self; 2] = [Self::En, Self::Zh];

    /// Its tag, as in HTML.
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh-CN",
        }
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(text: &str) -> Result<Self, UnknownLanguage> {
        match text {
            "en" => Ok(Self::En),
            "zh" | "zh-CN" => Ok(Self::Zh),
            _ => Err(UnknownLanguage(text.chars().take(32).collect())),
        }
    }
}

impl std::fmt::Display for Language {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::En => "en",
            Self::Zh => "zh",
        })
    }
}
