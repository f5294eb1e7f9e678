//! The part of the configuration that says what plans and rungs may use outside. Files of secrets are read here,
//! once, at the start.

use super::{
    HeaderSecret,
    files::{self, Wrong},
};
use axum::http::HeaderValue;
use bcdr_reach::{
    Trust,
    dns::TsigKey,
    webhook::{Networks, Secret},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str,
};
use zeroize::Zeroizing;

/// What steps of plans may use that act on the world outside. What is not here, no plan can use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutsideConfig {
    /// The directory whose programs scripts may run. It belongs to root or to the cloud side's user,
    /// like all above it, and nobody else may write there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub programs_directory: Option<PathBuf>,
    /// The directory whose programs rungs of the verification ladder may run, under the same rules. Whoever
    /// may start drills may have them run, so they only look at the machine that they are told of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rung_programs_directory: Option<PathBuf>,
    /// Authorities whose certificates are believed, as PEM; by default those that the system knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_authorities: Option<PathBuf>,
    /// Where probes, webhooks and calls may go; without it nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destinations: Option<DestinationsConfig>,
    /// Keys for name servers, by the names that plans use: files as `tsig-keygen` prints them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dns_keys: BTreeMap<String, PathBuf>,
    /// Secrets that webhooks are signed with, by the names that plans use.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub webhook_secrets: BTreeMap<String, PathBuf>,
    /// Secrets that calls send in headers, by the names that plans use.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub header_secrets: BTreeMap<String, HeaderSecretConfig>,
    /// Secrets that scripts may be given in their environment, by the names that plans use.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub script_secrets: BTreeMap<String, PathBuf>,
}

/// Where probes, webhooks and calls may go: the public internet, and the networks listed here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DestinationsConfig {
    /// Networks such as `10.20.0.0/16`, or single addresses.
    pub networks: Vec<String>,
}

/// A secret that calls send in a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderSecretConfig {
    /// The file with the header's value.
    pub file: PathBuf,
    /// Whom it may be sent to: `HOST` or `HOST:PORT`, as in the URL.
    pub hosts: Vec<String>,
}

/// Why the configuration of what plans may use outside cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the setting outside.{setting}: {cause}; {remedy}")]
pub struct OutsideError {
    setting: String,
    cause: String,
    remedy: String,
}

impl OutsideError {
    fn new(setting: &str, wrong: Wrong) -> Self {
        Self {
            setting: setting.to_owned(),
            cause: wrong.cause,
            remedy: wrong.remedy,
        }
    }

    fn saying(setting: &str, cause: impl Into<String>, remedy: &str) -> Self {
        Self::new(setting, Wrong::new(cause, remedy))
    }
}

impl OutsideConfig {
    /// Whether nothing is allowed.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn programs(&self) -> Result<Option<PathBuf>, OutsideError> {
        directory("programs_directory", self.programs_directory.as_deref())
    }

    pub(super) fn rung_programs(&self) -> Result<Option<PathBuf>, OutsideError> {
        directory(
            "rung_programs_directory",
            self.rung_programs_directory.as_deref(),
        )
    }

    pub(super) fn trust(&self) -> Result<Trust, OutsideError> {
        const SETTING: &str = "certificate_authorities";
        let Some(file) = &self.certificate_authorities else {
            return Ok(Trust::System);
        };
        let pem = files::text(file).map_err(|wrong| OutsideError::new(SETTING, wrong))?;
        let trust = Trust::Authorities(pem);
        match trust.check() {
            Ok(()) => Ok(trust),
            Err(error) => {
                let remedy = "name a file with certificates in PEM form";
                Err(OutsideError::saying(SETTING, error.to_string(), remedy))
            }
        }
    }

    pub(super) fn destinations(&self) -> Result<Option<Networks>, OutsideError> {
        let Some(destinations) = &self.destinations else {
            return Ok(None);
        };
        let mut networks = Vec::new();
        for text in &destinations.networks {
            networks.push(text.parse().map_err(|_| {
                OutsideError::saying(
                    "destinations.networks",
                    format!("{text:?} is no network"),
                    "write an address and the number of its leading bits, such as 10.20.0.0/16, with \
                     no other bit set",
                )
            })?);
        }
        Ok(Some(Networks::allowing(networks)))
    }

    pub(super) fn dns_keys(&self) -> Result<BTreeMap<String, TsigKey>, OutsideError> {
        read_all("dns_keys", &self.dns_keys, |text| {
            TsigKey::from_key_file(text).map_err(|_| {
                let remedy = "put there one key as `tsig-keygen` prints it";
                Wrong::new("its file holds no key of a name server", remedy)
            })
        })
    }

    pub(super) fn webhook_secrets(&self) -> Result<BTreeMap<String, Secret>, OutsideError> {
        read_all("webhook_secrets", &self.webhook_secrets, |text| {
            Secret::new(text.as_bytes()).map_err(|error| {
                let remedy = "give at least 16 that nobody can guess, such as what `openssl rand -hex 32` \
                              prints";
                Wrong::new(format!("its file holds only {} bytes", error.0), remedy)
            })
        })
    }

    pub(super) fn header_secrets(&self) -> Result<BTreeMap<String, HeaderSecret>, OutsideError> {
        let mut secrets = BTreeMap::new();
        for (name, config) in &self.header_secrets {
            let setting = format!("header_secrets.{name}");
            if config.hosts.is_empty() {
                return Err(OutsideError::saying(
                    &setting,
                    "it has no hosts",
                    "list the hosts that it may be sent to",
                ));
            }
            let value = read(&setting, name, &config.file, |text| {
                let mut value = HeaderValue::from_str(text).map_err(|_| {
                    let remedy = "write it in ASCII, in one line, as it stands in the header";
                    Wrong::new("its file holds what cannot be in a header", remedy)
                })?;
                value.set_sensitive(true);
                Ok(value)
            })?;
            let hosts = config.hosts.iter().map(|host| host.to_ascii_lowercase());
            let hosts = hosts.collect();
            secrets.insert(name.clone(), HeaderSecret { value, hosts });
        }
        Ok(secrets)
    }

    pub(super) fn script_secrets(
        &self,
    ) -> Result<BTreeMap<String, Zeroizing<String>>, OutsideError> {
        read_all("script_secrets", &self.script_secrets, |text| {
            if text.contains('\0') {
                let remedy = "no environment can hold that; write it as text";
                return Err(Wrong::new("its file holds a zero byte", remedy));
            }
            Ok(Zeroizing::new(text.to_owned()))
        })
    }
}

fn directory(setting: &str, given: Option<&Path>) -> Result<Option<PathBuf>, OutsideError> {
    let checked = given.map(files::programs_directory).transpose();
    checked.map_err(|wrong| OutsideError::new(setting, wrong))
}

fn read_all<Read>(
    setting: &str,
    paths: &BTreeMap<String, PathBuf>,
    understand: impl Fn(&str) -> Result<Read, Wrong>,
) -> Result<BTreeMap<String, Read>, OutsideError> {
    let mut all = BTreeMap::new();
    for (name, path) in paths {
        let one = read(&format!("{setting}.{name}"), name, path, &understand)?;
        all.insert(name.clone(), one);
    }
    Ok(all)
}

/// Reads one secret; the line end after it is not part of it.
fn read<Read>(
    setting: &str,
    name: &str,
    path: &Path,
    understand: impl Fn(&str) -> Result<Read, Wrong>,
) -> Result<Read, OutsideError> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if !(1..=64).contains(&name.len()) || !name.chars().all(plain) || name.starts_with('.') {
        return Err(OutsideError::saying(
            setting,
            "no plan could name it",
            "use 1 to 64 letters, digits, -, _ and ., not a dot first",
        ));
    }
    let read = || {
        let bytes = files::secret(path)?;
        let text = str::from_utf8(&bytes).map_err(|_| {
            let cause = format!("{} is no text", path.display());
            Wrong::new(cause, "write it as text in UTF-8")
        })?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            let cause = format!("{} is empty", path.display());
            return Err(Wrong::new(cause, "write the secret there"));
        }
        understand(text)
    };
    read().map_err(|wrong| OutsideError::new(setting, wrong))
}
