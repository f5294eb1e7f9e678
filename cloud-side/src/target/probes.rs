//! Probes: what a drill asks of its machine over the isolated network, and the scripts that judge a
//! recovered machine.
//!
//! Owns names, defaults and limits; unknown fields are refused. How a probe is made is the drill's
//! business ([`crate::drill`]).

use std::{net::SocketAddr, time::Duration};

use bcdr_plan::ScriptStep;
use bcdr_reach::{
    Trust,
    probe::{HttpProbe, Probe, Redirects, StatusSet, TcpProbe},
};
use serde::{Deserialize, Serialize};

use super::GuestNetwork;

/// Most probes of one drill.
const PROBES_MAX: usize = 64;
/// Longest wait for one probe, in seconds.
pub(crate) const TIMEOUT_SECONDS_MAX: u32 = 600;
/// Longest text that is awaited, in bytes.
const TEXT_BYTES_MAX: usize = 1024;
/// Most scripts of one drill.
pub(crate) const SCRIPTS_MAX: usize = 8;
/// Most ports that a script may ask ways to.
pub(crate) const SCRIPT_PORTS_MAX: usize = 16;
/// Longest time of one script, in seconds: all together end before the drill's view does.
pub(crate) const SCRIPT_SECONDS_MAX: u32 = 3600;

/// What a drill asks of its machine. Each probe is tried until it passes or its time is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Probes {
    /// The address that the machine has by its own configuration, with the length of the prefix, such
    /// as `192.168.1.20/24`. Without it the machine gets one over DHCP, or is asked at the address that
    /// it uses.
    #[schema(value_type = Option<String>)]
    pub guest_address: Option<GuestNetwork>,
    /// Whether the machine must show an address and answer at it; true by itself when anything else is
    /// asked over the network.
    pub network_address: bool,
    /// TCP ports that must take connections.
    pub ports: Vec<PortProbe>,
    /// Pages that must be given out.
    pub http: Vec<PageProbe>,
    /// Whether the guest agent (`qemu-guest-agent`) must answer. It is asked what it is, and for
    /// nothing else.
    pub guest_agent: bool,
    /// Programs of the cloud side's host that judge the machine, after everything else; each is run once.
    /// A failover runs them too. Its operator decides which there are.
    pub scripts: Vec<ScriptProbe>,
    /// Seconds that each probe is tried for, from when it is its turn; default 60.
    pub timeout_seconds: u32,
}

impl Default for Probes {
    fn default() -> Self {
        Self {
            guest_address: None,
            network_address: false,
            ports: Vec::new(),
            http: Vec::new(),
            guest_agent: false,
            scripts: Vec::new(),
            timeout_seconds: 60,
        }
    }
}

/// A program of the cloud side's host that judges the machine: status 0 passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptProbe {
    /// Its name among the programs that the host's operator allows to rungs, without a path.
    pub program: String,
    /// What it is called with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Ports of a drill's machine that it reaches, each at a Unix socket of its own which its
    /// environment names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// Seconds that it may run; default 60, an hour at most.
    #[serde(default = "script_seconds")]
    pub timeout_seconds: u32,
}

fn script_seconds() -> u32 {
    60
}

/// A TCP port that must take connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PortProbe {
    /// The port of the machine.
    pub port: u16,
    /// A text that the server must say first, unasked, as servers of mail and SSH do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
}

/// A page that must be given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PageProbe {
    /// The port of the machine.
    pub port: u16,
    /// The path, with its query; `/` by default.
    #[serde(default = "root")]
    pub path: String,
    /// Whether it is asked for over TLS.
    #[serde(default)]
    pub tls: bool,
    /// The host that is asked for, and that a certificate must name; the machine's address by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The status that passes, such as `["200-299", "401"]`; 200 to 299 by default.
    #[serde(default)]
    pub expected: StatusSet,
    /// A text that the first 256 KiB of the body must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// Whose certificates are believed, with TLS.
    #[serde(default)]
    pub trust: Trust,
}

fn root() -> String {
    "/".to_owned()
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// Whether the machine has an address and answers at it.
    NetworkAddress,
    /// Whether a port takes connections.
    Port(PortProbe),
    /// Whether a page is given out.
    Page(PageProbe),
    /// Whether the guest agent answers.
    GuestAgent,
    /// What a script says.
    Script(ScriptProbe),
}

impl ScriptProbe {
    /// As plans run scripts: nothing is told to it but what the rung itself tells.
    pub(crate) fn step(&self) -> ScriptStep {
        ScriptStep {
            program: self.program.clone(),
            arguments: self.arguments.clone(),
            environment: Default::default(),
            secrets: Default::default(),
            timeout_seconds: self.timeout_seconds,
            in_drill: true,
        }
    }

    fn check(&self) -> Result<(), String> {
        let wrong = self.step().check().into_iter().next();
        if let Some((_, cause, remedy)) = wrong {
            return Err(format!("{cause}; {remedy}"));
        }
        if self.timeout_seconds > SCRIPT_SECONDS_MAX {
            return Err(format!(
                "timeout_seconds is {}; at most {SCRIPT_SECONDS_MAX}",
                self.timeout_seconds
            ));
        }
        if self.ports.len() > SCRIPT_PORTS_MAX {
            return Err(format!(
                "{} ports; at most {SCRIPT_PORTS_MAX}",
                self.ports.len()
            ));
        }
        for (index, one) in self.ports.iter().enumerate() {
            port(*one)?;
            if self.ports[..index].contains(one) {
                return Err(format!("port {one} is given twice; give it once"));
            }
        }
        Ok(())
    }
}

impl PortProbe {
    /// The probe of a machine at this address.
    pub(crate) fn at(&self, address: SocketAddr) -> Probe {
        Probe::Tcp(TcpProbe {
            host: address.ip().to_string(),
            port: self.port,
            says: self.says.clone(),
        })
    }
}

impl PageProbe {
    /// The probe of a machine at this address.
    pub(crate) fn at(&self, address: SocketAddr) -> Probe {
        let own = address.ip().to_string();
        let host = self.host.as_deref().unwrap_or(&own);
        Probe::Http(HttpProbe {
            url: format!("{}://{host}:{}{}", self.scheme(), self.port, self.path),
            expected: self.expected.clone(),
            body_contains: self.contains.clone(),
            redirects: Redirects::None,
            trust: self.trust.clone(),
            connect_to: Some(address),
        })
    }

    fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

impl ProbeKind {
    /// Its name, such as `port:22`.
    pub fn name(&self) -> String {
        match self {
            Self::NetworkAddress => "network_address".to_owned(),
            Self::Port(probe) => format!("port:{}", probe.port),
            Self::Page(probe) => format!("{}:{}{}", probe.scheme(), probe.port, probe.path),
            Self::GuestAgent => "guest_agent".to_owned(),
            Self::Script(script) => format!("script:{}", script.program),
        }
    }
}

/// What is wrong with probes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbesError {
    /// There are too many.
    #[error("{count} probes are given, at most {PROBES_MAX} are made in a drill")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// There are too many scripts.
    #[error("{count} scripts are given, at most {SCRIPTS_MAX} are run in a drill")]
    TooManyScripts {
        /// How many.
        count: usize,
    },
    /// Two are the same.
    #[error("probe {name} is given twice; give each once")]
    Twice {
        /// The probe.
        name: String,
    },
    /// The time is outside its limits.
    #[error("probes.timeout_seconds is {seconds}, and must be between 1 and {TIMEOUT_SECONDS_MAX}")]
    Timeout {
        /// Its value.
        seconds: u32,
    },
    /// A probe cannot be made.
    #[error("probe {name} cannot be made: {reason}")]
    Unusable {
        /// The probe.
        name: String,
        /// Why, and what to do.
        reason: String,
    },
}

impl Probes {
    /// Checks limits, and each probe.
    ///
    /// # Errors
    /// Names the first that is wrong.
    pub fn check(&self) -> Result<(), ProbesError> {
        if !(1..=TIMEOUT_SECONDS_MAX).contains(&self.timeout_seconds) {
            return Err(ProbesError::Timeout {
                seconds: self.timeout_seconds,
            });
        }
        let count = self.ports.len() + self.http.len();
        if count > PROBES_MAX {
            return Err(ProbesError::TooMany { count });
        }
        let count = self.scripts.len();
        if count > SCRIPTS_MAX {
            return Err(ProbesError::TooManyScripts { count });
        }
        let asked = self.asked();
        for (index, probe) in asked.iter().enumerate() {
            let name = probe.name();
            if asked[..index].iter().any(|other| other.name() == name) {
                return Err(ProbesError::Twice { name });
            }
            probe
                .check()
                .map_err(|reason| ProbesError::Unusable { name, reason })?;
        }
        Ok(())
    }

    /// Everything that is asked, in the order in which it is.
    pub fn asked(&self) -> Vec<ProbeKind> {
        let mut asked = Vec::new();
        if self.need_network() {
            asked.push(ProbeKind::NetworkAddress);
        }
        asked.extend(self.ports.iter().cloned().map(ProbeKind::Port));
        asked.extend(self.http.iter().cloned().map(ProbeKind::Page));
        asked.extend(self.guest_agent.then_some(ProbeKind::GuestAgent));
        asked.extend(self.scripts_asked());
        asked
    }

    /// What is asked of the machine of a failover, whose network is not ours: its scripts.
    pub fn scripts_asked(&self) -> Vec<ProbeKind> {
        self.scripts
            .iter()
            .cloned()
            .map(ProbeKind::Script)
            .collect()
    }

    /// Whether anything is asked over the network.
    pub fn need_network(&self) -> bool {
        self.network_address
            || !self.ports.is_empty()
            || !self.http.is_empty()
            || self.scripts.iter().any(|script| !script.ports.is_empty())
    }

    /// How long one is tried for.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.into())
    }
}

impl ProbeKind {
    fn check(&self) -> Result<(), String> {
        match self {
            Self::NetworkAddress | Self::GuestAgent => Ok(()),
            Self::Script(script) => script.check(),
            Self::Page(probe) => {
                port(probe.port)?;
                text("contains", probe.contains.as_deref())?;
                text("host", probe.host.as_deref())?;
                if !probe.path.starts_with('/') {
                    return Err(format!("path {:?} does not begin with /", probe.path));
                }
                let example = SocketAddr::from(([192, 0, 2, 1], probe.port));
                probe.at(example).check().map_err(|error| error.to_string())
            }
            Self::Port(probe) => {
                port(probe.port)?;
                text("says", probe.says.as_deref())
            }
        }
    }
}

fn port(port: u16) -> Result<(), String> {
    if port == 0 {
        return Err("there is no port 0; give one from 1 to 65535".to_owned());
    }
    Ok(())
}

fn text(field: &str, text: Option<&str>) -> Result<(), String> {
    match text {
        Some("") => Err(format!("{field} is empty; leave it out")),
        Some(text) if text.len() > TEXT_BYTES_MAX => Err(format!(
            "{field} has {} bytes; at most {TEXT_BYTES_MAX} are compared",
            text.len()
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Probes {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn nothing_is_asked_by_default_and_an_address_belongs_to_everything_else() {
        assert_eq!(Probes::default().asked(), []);
        assert_eq!(read(""), Probes::default());
        let asked = read("ports = [{ port = 22 }]").asked();
        let names: Vec<String> = asked.iter().map(ProbeKind::name).collect();
        assert_eq!(names, ["network_address", "port:22"]);
        let asked = read("guest_agent = true\nhttp = [{ port = 443, tls = true }]").asked();
        let names: Vec<String> = asked.iter().map(ProbeKind::name).collect();
        assert_eq!(names, ["network_address", "https:443/", "guest_agent"]);
        assert!(
            !read("guest_agent = true").need_network(),
            "the agent has a way of its own"
        );
        let alone = read("scripts = [{ program = \"check-shop\" }]");
        assert!(!alone.need_network(), "a script may look elsewhere");
        assert_eq!(alone.scripts[0].timeout_seconds, 60);
        let asked = read("scripts = [{ program = \"check-shop\", ports = [80] }]").asked();
        let names: Vec<String> = asked.iter().map(ProbeKind::name).collect();
        assert_eq!(names, ["network_address", "script:check-shop"]);
    }

    #[test]
    fn what_cannot_be_asked_is_refused_by_name() {
        for (text, part) in [
            ("timeout_seconds = 0", "timeout_seconds is 0"),
            ("timeout_seconds = 601", "timeout_seconds is 601"),
            ("ports = [{ port = 0 }]", "port:0"),
            (
                "ports = [{ port = 22 }, { port = 22, says = \"SSH\" }]",
                "port:22 is given twice",
            ),
            ("ports = [{ port = 22, says = \"\" }]", "leave it out"),
            ("http = [{ port = 80, path = \"health\" }]", "begin with /"),
            ("http = [{ port = 80, host = \"a b\" }]", "no URL"),
            (
                "http = [{ port = 80 }, { port = 80, path = \"/\" }]",
                "http:80/ is given twice",
            ),
            ("scripts = [{ program = \"../x\" }]", "no plain name"),
            (
                "scripts = [{ program = \"a\" }, { program = \"a\", arguments = [\"b\"] }]",
                "script:a is given twice",
            ),
            ("scripts = [{ program = \"a\", ports = [0] }]", "no port 0"),
            (
                "scripts = [{ program = \"a\", ports = [80, 80] }]",
                "port 80 is given twice",
            ),
            (
                "scripts = [{ program = \"a\", timeout_seconds = 3601 }]",
                "timeout_seconds is 3601",
            ),
        ] {
            let error = read(text).check().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let many = (1..=65).map(|port| PortProbe { port, says: None });
        let probes = Probes {
            ports: many.collect(),
            ..Default::default()
        };
        assert!(
            probes
                .check()
                .unwrap_err()
                .to_string()
                .contains("65 probes")
        );
        for text in [
            "ports = [{ port = 22, host = \"x\" }]",
            "guest_address = \"192.168.1.0/24\"",
        ] {
            assert!(
                toml::from_str::<Probes>(text).is_err(),
                "{text} was accepted"
            );
        }
    }
}
