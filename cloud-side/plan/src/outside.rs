//! Steps that act on the world outside, or look at it: what is asked, as plain data.
//!
//! Owns names and defaults; limits are in `outside/check.rs`. Programs and secrets are named, never
//! contained: where the cloud side runs, its operator says which there are. Who carries the steps out
//! is not known here.

mod check;

pub(crate) use check::Wrong;

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr};

/// How long an answer is waited for before a call is repeated, when a plan does not say, in seconds.
const CALL_ANSWER_DEFAULT: u32 = 15;
/// How long a name server is tried when a plan does not say, in seconds.
const DNS_WITHIN_DEFAULT: u32 = 60;

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
    /// Names in its environment, each with the name of the secret that is its value, among those that
    /// the host's operator allows to scripts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
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
        /// What the server has to say first, unasked; nothing by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        says: Option<String>,
    },
    /// Whether a page is given out.
    Http {
        /// Its URL.
        url: String,
        /// What it has to contain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contains: Option<String>,
        /// The statuses that pass, each one such as `204` or a range such as `200-299`; 200 to 299 by
        /// default.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        expected: Vec<String>,
        /// Where to connect, whatever the URL's host resolves to, such as before its name is switched.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connect_to: Option<SocketAddr>,
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
    /// How long the server is tried, in seconds; 60 by default.
    #[serde(default = "dns_within_default")]
    pub within_seconds: u32,
    /// Whether it is done in drills too.
    #[serde(default)]
    pub in_drill: bool,
}

fn dns_within_default() -> u32 {
    DNS_WITHIN_DEFAULT
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
    /// What is said besides the facts of the run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// How long it is tried, in seconds.
    pub within_seconds: u32,
    /// Whether it is told of drills too.
    #[serde(default)]
    pub in_drill: bool,
}

/// Asks another system to do something by one HTTP request, such as a load balancer by its API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallStep {
    /// How.
    pub method: CallMethod,
    /// Where.
    pub url: String,
    /// Headers besides those that every request has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Headers, each with the name of the secret that is its value, among those that the host's
    /// operator allows to be sent to this host.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_headers: BTreeMap<String, String>,
    /// What is sent. A `${NAME}` whose name begins with `BCDR_` stands for that fact of the run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// The statuses that are success, each one such as `204` or a range such as `200-299`; 200 to 299 by
    /// default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<String>,
    /// How long it is tried, in seconds.
    pub within_seconds: u32,
    /// How long one request may take, in seconds. By default 15 where it may be repeated then, and all of
    /// `within_seconds` where it may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_seconds: Option<u32>,
    /// Whether a POST or PATCH does no harm when it is carried out twice. Other methods do none.
    #[serde(default)]
    pub repeatable: bool,
    /// Whether it is done in drills too.
    #[serde(default)]
    pub in_drill: bool,
}

/// The methods of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CallMethod {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

impl CallMethod {
    /// Its name in HTTP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl CallStep {
    /// Whether it may be carried out twice.
    pub fn may_be_repeated(&self) -> bool {
        self.repeatable || !matches!(self.method, CallMethod::Post | CallMethod::Patch)
    }

    /// How long one request may take, in seconds.
    pub fn answer_within(&self) -> u32 {
        // One that is cut is in doubt, so it has all the time there is.
        let default = match self.may_be_repeated() {
            true => CALL_ANSWER_DEFAULT,
            false => self.within_seconds,
        };
        self.answer_seconds.unwrap_or(default)
    }
}
