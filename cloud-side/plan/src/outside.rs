//! Steps that act on the world outside, or look at it: what is asked, as plain data.
//!
//! Owns names, defaults and limits. Programs and secrets are named, never contained: where the cloud
//! side runs, its operator says which there are. Who carries the steps out is not known here.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest time that a script, a probe or a delivery may take, in seconds: a day.
const SECONDS_MAX: u32 = 86_400;
/// Most arguments, environment members or values.
const MEMBERS_MAX: usize = 64;
/// Longest argument, value, address or URL, in bytes.
const MEMBER_BYTES_MAX: usize = 4096;
/// Longest time to live of a record, in seconds: a week.
const TTL_SECONDS_MAX: u32 = 7 * 86_400;

/// Runs a program of the cloud side's host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptStep {
    /// Its name among the programs that the host's operator allows to plans.
    pub program: String,
    /// What it is called with.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// What it sees in its environment besides.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// How long it may run, in seconds.
    pub timeout_seconds: u32,
    /// Whether it is run in drills too.
    #[serde(default)]
    pub in_drill: bool,
}

/// Waits until something answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeStep {
    /// What is asked.
    pub target: ProbeTarget,
    /// How long is waited for it, in seconds.
    pub within_seconds: u32,
    /// Whether it is asked in drills too, whose machines nobody can reach.
    #[serde(default)]
    pub in_drill: bool,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ProbeTarget {
    /// Whether a port takes connections.
    Tcp {
        /// Name or address.
        host: String,
        /// The port.
        port: u16,
    },
    /// Whether a page is given out.
    Http {
        /// Its URL.
        url: String,
        /// What it has to contain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contains: Option<String>,
    },
}

/// Lets a name point elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsStep {
    /// The name server, `HOST` or `HOST:PORT`.
    pub server: String,
    /// Its zone.
    pub zone: String,
    /// The complete name.
    pub name: String,
    /// The kind of its records.
    pub record: RecordKind,
    /// What it is to hold.
    pub values: Vec<String>,
    /// How long others may remember that, in seconds.
    pub ttl_seconds: u32,
    /// The name of the key among the secrets that the host's operator allows to plans.
    pub key: String,
    /// Whether it is done in drills too.
    #[serde(default)]
    pub in_drill: bool,
}

/// The kinds of records that a name can be pointed elsewhere with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordKind {
    /// Addresses of the fourth version.
    A,
    /// Addresses of the sixth version.
    Aaaa,
    /// The name that this one is an alias for.
    Cname,
}

/// Tells another system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookStep {
    /// Where.
    pub url: String,
    /// The name of the signature's secret among those that the host's operator allows to plans.
    pub secret: String,
    /// How long it is tried, in seconds.
    pub within_seconds: u32,
    /// Whether it is told of drills too.
    #[serde(default)]
    pub in_drill: bool,
}

/// A fault: its code, what is wrong, and what to do about it.
pub(crate) type Wrong = (&'static str, String, String);

impl ScriptStep {
    pub(crate) fn check(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        check_file(&mut wrong, "program", &self.program);
        check_members(&mut wrong, "arguments", self.arguments.iter());
        let values = self.environment.values();
        check_members(
            &mut wrong,
            "environment",
            values.chain(self.environment.keys()),
        );
        check_seconds(
            &mut wrong,
            "timeout_seconds",
            self.timeout_seconds,
            SECONDS_MAX,
        );
        wrong
    }
}

impl ProbeStep {
    pub(crate) fn check(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        match &self.target {
            ProbeTarget::Tcp { host, .. } => check_text(&mut wrong, "host", host),
            ProbeTarget::Http { url, contains } => {
                check_url(&mut wrong, url);
                check_members(&mut wrong, "contains", contains.iter());
            }
        }
        check_seconds(
            &mut wrong,
            "within_seconds",
            self.within_seconds,
            SECONDS_MAX,
        );
        wrong
    }
}

impl DnsStep {
    pub(crate) fn check(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        for (member, text) in [
            ("server", &self.server),
            ("zone", &self.zone),
            ("name", &self.name),
        ] {
            check_text(&mut wrong, member, text);
        }
        check_file(&mut wrong, "key", &self.key);
        check_members(&mut wrong, "values", self.values.iter());
        if self.values.is_empty() || self.values.iter().any(String::is_empty) {
            let cause = "there is no value, or an empty one".to_owned();
            wrong.push(("values", cause, "say what the name is to hold".to_owned()));
        }
        check_seconds(&mut wrong, "ttl_seconds", self.ttl_seconds, TTL_SECONDS_MAX);
        wrong
    }
}

impl WebhookStep {
    pub(crate) fn check(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        check_url(&mut wrong, &self.url);
        check_file(&mut wrong, "secret", &self.secret);
        check_seconds(
            &mut wrong,
            "within_seconds",
            self.within_seconds,
            SECONDS_MAX,
        );
        wrong
    }
}

fn check_seconds(wrong: &mut Vec<Wrong>, member: &'static str, seconds: u32, most: u32) {
    if !(1..=most).contains(&seconds) {
        let remedy = format!("choose 1 to {most}");
        wrong.push((member, format!("{member} is {seconds}"), remedy));
    }
}

fn check_text(wrong: &mut Vec<Wrong>, member: &'static str, text: &str) {
    if text.trim().is_empty() || text.len() > MEMBER_BYTES_MAX {
        let cause = format!("{member} has {} bytes", text.len());
        let remedy = format!("write it, in at most {MEMBER_BYTES_MAX} bytes");
        wrong.push((member, cause, remedy));
    }
}

fn check_url(wrong: &mut Vec<Wrong>, url: &str) {
    check_text(wrong, "url", url);
    if !url.starts_with("https://") && !url.starts_with("http://") {
        let cause = "the url is neither https nor http".to_owned();
        wrong.push(("url", cause, "write https://HOST/PATH".to_owned()));
    }
}

/// The name of a file in a directory of its own: it leads nowhere else.
fn check_file(wrong: &mut Vec<Wrong>, member: &'static str, name: &str) {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let fits = (1..=64).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('.');
    if !fits {
        let cause = format!(
            "{member} {:?} is no plain name",
            name.chars().take(64).collect::<String>()
        );
        let remedy = "use 1 to 64 letters, digits, -, _ and ., without a path".to_owned();
        wrong.push((member, cause, remedy));
    }
}

fn check_members<'a>(
    wrong: &mut Vec<Wrong>,
    member: &'static str,
    members: impl Iterator<Item = &'a String>,
) {
    let mut count = 0;
    let mut is_long = false;
    for text in members {
        count += 1;
        is_long |= text.len() > MEMBER_BYTES_MAX;
    }
    if count > MEMBERS_MAX || is_long {
        let cause = format!("{member} has {count} parts, or a part that is too long");
        let remedy = format!("give at most {MEMBERS_MAX}, of {MEMBER_BYTES_MAX} bytes at most");
        wrong.push((member, cause, remedy));
    }
}
