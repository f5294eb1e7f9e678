//! What is wrong with a step that acts outside, judged from its document alone.

use super::{
    CallMethod, CallStep, DnsStep, ProbeStep, ProbeTarget, RecordKind, ScriptStep, WebhookStep,
};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest time that a script, a probe or a delivery may take, in seconds: a day.
const SECONDS_MAX: u32 = 86_400;
/// Most arguments, environment members or values.
const MEMBERS_MAX: usize = 64;
/// Longest argument, value, address or URL, in bytes.
const MEMBER_BYTES_MAX: usize = 4096;
/// Longest time to live of a record, in seconds: a week.
const TTL_SECONDS_MAX: u32 = 7 * 86_400;

/// Longest body of a call, in bytes (64 KiB).
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest message of a webhook, in bytes.
const MESSAGE_BYTES_MAX: usize = 2000;
/// Headers that every request has from us, or that would change how it is read.
const OWN_HEADERS: [&str; 6] = [
    "connection",
    "content-length",
    "host",
    "idempotency-key",
    "te",
    "transfer-encoding",
];
/// Beginnings of names in an environment that decide what a program loads or runs.
const LOADING_NAMES: [&str; 12] = [
    "BASH_", "ENV", "GCONV_", "IFS", "JAVA_", "LD_", "NODE_", "PATH", "PERL", "PS4", "PYTHON",
    "RUBY",
];

/// A fault: its code, what is wrong, and what to do about it.
pub(crate) type Wrong = (&'static str, String, String);

impl ScriptStep {
    /// What is wrong with it: a code, the fault, and what to do about it.
    #[must_use]
    pub fn check(&self) -> Vec<(&'static str, String, String)> {
        let mut wrong = Vec::new();
        check_file(&mut wrong, "program", &self.program);
        check_members(&mut wrong, "arguments", self.arguments.iter());
        let values = self.environment.values();
        check_members(
            &mut wrong,
            "environment",
            values.chain(self.environment.keys()),
        );
        check_members(&mut wrong, "secrets", self.secrets.keys());
        for name in self.environment.keys().chain(self.secrets.keys()) {
            check_environment_name(&mut wrong, name);
        }
        if let Some(twice) = self
            .secrets
            .keys()
            .find(|name| self.environment.contains_key(*name))
        {
            let cause = format!("environment and secrets both have {twice}");
            wrong.push(("secrets", cause, "give it once".to_owned()));
        }
        for secret in self.secrets.values() {
            check_file(&mut wrong, "secrets", secret);
        }
        let passed = self.arguments.iter().chain(self.environment.values());
        if passed.into_iter().any(|text| text.contains('\0')) {
            let cause = "an argument or a value holds a zero byte".to_owned();
            wrong.push(("arguments", cause, "leave it out".to_owned()));
        }
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
            ProbeTarget::Tcp { host, port, says } => {
                check_text(&mut wrong, "host", host);
                check_members(&mut wrong, "says", says.iter());
                if *port == 0 {
                    let cause = "port is 0".to_owned();
                    wrong.push(("port", cause, "choose 1 to 65535".to_owned()));
                }
            }
            ProbeTarget::Http {
                url,
                contains,
                expected,
                ..
            } => {
                check_url(&mut wrong, url);
                check_members(&mut wrong, "contains", contains.iter());
                check_statuses(&mut wrong, expected);
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
        if let Some(other) = self.values.iter().find(|value| !self.record.fits(value)) {
            let (cause, remedy) = match self.record {
                RecordKind::A => ("no IPv4 address", "write one such as 192.0.2.7"),
                RecordKind::Aaaa => ("no IPv6 address", "write one such as 2001:db8::7"),
                RecordKind::Cname => ("no name", "write a complete one such as dr.example.org"),
            };
            wrong.push(("values", format!("{other:?} is {cause}"), remedy.to_owned()));
        }
        if self.record == RecordKind::Cname && self.values.len() > 1 {
            let cause = "a name is an alias for one name at most".to_owned();
            wrong.push(("values", cause, "give one value".to_owned()));
        }
        if !is_in_zone(&self.name, &self.zone) {
            let cause = format!("name {:?} is not in zone {:?}", self.name, self.zone);
            let remedy = "write the complete name, and the zone that holds it".to_owned();
            wrong.push(("name", cause, remedy));
        }
        check_seconds(&mut wrong, "ttl_seconds", self.ttl_seconds, TTL_SECONDS_MAX);
        check_seconds(
            &mut wrong,
            "within_seconds",
            self.within_seconds,
            SECONDS_MAX,
        );
        wrong
    }
}

impl WebhookStep {
    pub(crate) fn check(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        check_url(&mut wrong, &self.url);
        check_file(&mut wrong, "secret", &self.secret);
        check_length(&mut wrong, "message", &self.message, MESSAGE_BYTES_MAX);
        check_seconds(
            &mut wrong,
            "within_seconds",
            self.within_seconds,
            SECONDS_MAX,
        );
        wrong
    }
}

impl CallStep {
    pub(crate) fn check(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        check_url(&mut wrong, &self.url);
        check_length(&mut wrong, "body", &self.body, BODY_BYTES_MAX);
        if self.method == CallMethod::Get && !self.body.is_empty() {
            let cause = "a GET has no body".to_owned();
            let remedy = "leave the body out, or choose another method".to_owned();
            wrong.push(("body", cause, remedy));
        }
        check_members(&mut wrong, "headers", self.headers.values());
        check_members(&mut wrong, "secret_headers", self.secret_headers.keys());
        for name in self.headers.keys().chain(self.secret_headers.keys()) {
            check_header_name(&mut wrong, name);
        }
        let is_shown = |byte: u8| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic();
        if let Some((name, _)) = self
            .headers
            .iter()
            .find(|(_, value)| !value.bytes().all(is_shown))
        {
            let cause = format!("the value of header {name} has characters that none may have");
            wrong.push((
                "headers",
                cause,
                "write it in ASCII, in one line".to_owned(),
            ));
        }
        for secret in self.secret_headers.values() {
            check_file(&mut wrong, "secret_headers", secret);
        }
        check_statuses(&mut wrong, &self.expected);
        check_seconds(
            &mut wrong,
            "within_seconds",
            self.within_seconds,
            SECONDS_MAX,
        );
        if let Some(seconds) = self.answer_seconds {
            let most = self.within_seconds.clamp(1, SECONDS_MAX);
            check_seconds(&mut wrong, "answer_seconds", seconds, most);
        }
        wrong
    }
}

impl RecordKind {
    fn fits(self, value: &str) -> bool {
        match self {
            Self::A => value.parse::<Ipv4Addr>().is_ok(),
            Self::Aaaa => value.parse::<Ipv6Addr>().is_ok(),
            Self::Cname => !value.contains(char::is_whitespace),
        }
    }
}

/// Names are compared as in the DNS: without regard to case, with or without the dot at the end.
fn is_in_zone(name: &str, zone: &str) -> bool {
    let plain = |text: &str| text.trim_end_matches('.').to_ascii_lowercase();
    let (name, zone) = (plain(name), plain(zone));
    let rest = name.strip_suffix(&zone);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.') || zone.is_empty())
}

fn check_environment_name(wrong: &mut Vec<Wrong>, name: &str) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_name =
        name.bytes().all(plain) && !name.starts_with(|first: char| first.is_ascii_digit());
    let shown: String = name.chars().take(64).collect();
    if name.is_empty() || !is_name {
        let cause = format!("{shown:?} is no name in an environment");
        let remedy = "use letters, digits and _, not a digit first".to_owned();
        wrong.push(("environment", cause, remedy));
    } else if name.starts_with("BCDR_") {
        let cause = format!("{shown} is a name of the facts of the run");
        wrong.push(("environment", cause, "choose another name".to_owned()));
    } else if LOADING_NAMES.iter().any(|begin| name.starts_with(begin)) {
        let cause = format!("{shown} may decide which code the program runs");
        let remedy = "let the program itself set it, or choose another name".to_owned();
        wrong.push(("environment", cause, remedy));
    }
}

fn check_header_name(wrong: &mut Vec<Wrong>, name: &str) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let shown: String = name.chars().take(64).collect();
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        let cause = format!("{shown:?} is no name of a header");
        let remedy = "use 1 to 64 letters, digits, - and _".to_owned();
        wrong.push(("headers", cause, remedy));
    } else if OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        let cause = format!("header {shown} is ours to set");
        wrong.push(("headers", cause, "leave it out".to_owned()));
    }
}

fn check_statuses(wrong: &mut Vec<Wrong>, statuses: &[String]) {
    check_members(wrong, "expected", statuses.iter());
    if let Some(other) = statuses.iter().find(|text| !is_statuses(text)) {
        let cause = format!(
            "{:?} is no HTTP status",
            other.chars().take(64).collect::<String>()
        );
        let remedy = "write one such as \"204\", or a range such as \"200-299\"".to_owned();
        wrong.push(("expected", cause, remedy));
    }
}

fn is_statuses(text: &str) -> bool {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
        (Ok(first), Ok(last)) => (100..=599).contains(&first) && (first..=599).contains(&last),
        _ => false,
    }
}

fn check_length(wrong: &mut Vec<Wrong>, member: &'static str, text: &str, most: usize) {
    if text.len() > most {
        let cause = format!("{member} has {} bytes", text.len());
        wrong.push((member, cause, format!("write at most {most}")));
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

#[cfg(test)]
mod tests;
