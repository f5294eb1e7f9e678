//! Compiled rung patterns.
//!
//! Owns the checks that make a pattern usable: it compiles within a size limit, and the canary names
//! its groups. Matching is the ladder's.

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::Rung;
use crate::target::RungPatterns;

/// Largest compiled pattern, in bytes; a hostile pattern must not take the memory.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 2048;
/// Most failure patterns.
const FAILURE_PATTERNS_MAX: usize = 128;

/// Why the patterns cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// A pattern is no regular expression.
    #[error("rungs.{field} is no usable regular expression: {source}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong.
        #[source]
        source: Box<regex::Error>,
    },
    /// A pattern is too long.
    #[error("rungs.{field} has {bytes} bytes; at most {PATTERN_BYTES_MAX} are allowed")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its length in bytes.
        bytes: usize,
    },
    /// There are too many failure patterns.
    #[error(
        "rungs.failure and rungs.more_failure have {count} patterns; at most {FAILURE_PATTERNS_MAX} are allowed"
    )]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// The canary pattern does not say where time and sequence are.
    #[error(
        "rungs.canary has no group named {group:?}; write it as in \
         \"canary (?<sequence>\\d+) (?<time>\\S+)\""
    )]
    CanaryGroup {
        /// The missing group.
        group: &'static str,
    },
    /// A check of the canary is asked for, but no canary.
    #[error("rungs.canary_check is set but rungs.canary is empty; set both or neither")]
    CheckWithoutCanary,
    /// Nothing inside the machine is asked for.
    #[error(
        "no rung pattern is set, so a drill would prove nothing about the machine; set at least one \
         of firmware, kernel, root_mounted, login, canary"
    )]
    NothingToProve,
}

/// The patterns, ready to match.
#[derive(Clone, Debug)]
pub struct CompiledPatterns {
    firmware: Option<Regex>,
    kernel: Option<Regex>,
    root_mounted: Option<Regex>,
    login: Option<Regex>,
    pub(super) canary: Option<Regex>,
    pub(super) canary_check: Option<Regex>,
    pub(super) network_isolated: Option<Regex>,
    pub(super) network_leak: Option<Regex>,
    pub(super) failure: RegexSet,
}

impl CompiledPatterns {
    /// Compiles and checks the patterns.
    ///
    /// # Errors
    /// Names the first field that cannot be used.
    pub fn compile(patterns: &RungPatterns) -> Result<Self, PatternError> {
        let compiled = Self {
            firmware: one("firmware", &patterns.firmware)?,
            kernel: one("kernel", &patterns.kernel)?,
            root_mounted: one("root_mounted", &patterns.root_mounted)?,
            login: one("login", &patterns.login)?,
            canary: one("canary", &patterns.canary)?,
            canary_check: one("canary_check", &patterns.canary_check)?,
            network_isolated: one("network_isolated", &patterns.network_isolated)?,
            network_leak: one("network_leak", &patterns.network_leak)?,
            failure: failures(&patterns.failure, &patterns.more_failure)?,
        };
        if let Some(canary) = &compiled.canary {
            for group in ["time", "sequence"] {
                if !canary.capture_names().flatten().any(|name| name == group) {
                    return Err(PatternError::CanaryGroup { group });
                }
            }
        } else if compiled.canary_check.is_some() {
            return Err(PatternError::CheckWithoutCanary);
        }
        let awaited = Rung::ALL
            .iter()
            .any(|rung| compiled.console(*rung).is_some());
        if !awaited && compiled.canary.is_none() {
            return Err(PatternError::NothingToProve);
        }
        Ok(compiled)
    }

    /// The same, without what is said of a network that leads nowhere.
    pub(super) fn without_network(self) -> Self {
        Self {
            network_isolated: None,
            network_leak: None,
            ..self
        }
    }

    /// The pattern of a rung that is awaited on the console in order; `None` for the others.
    pub(super) fn console(&self, rung: Rung) -> Option<&Regex> {
        match rung {
            Rung::Firmware => self.firmware.as_ref(),
            Rung::Kernel => self.kernel.as_ref(),
            Rung::RootMounted => self.root_mounted.as_ref(),
            Rung::Login => self.login.as_ref(),
            Rung::InstanceRunning
            | Rung::Canary
            | Rung::NetworkAddress
            | Rung::Ports
            | Rung::Http
            | Rung::GuestAgent
            | Rung::Script
            | Rung::Isolation => None,
        }
    }
}

fn one(field: &'static str, pattern: &str) -> Result<Option<Regex>, PatternError> {
    if pattern.is_empty() {
        return Ok(None);
    }
    check_length(field, pattern)?;
    let regex = RegexBuilder::new(pattern)
        .size_limit(COMPILED_BYTES_MAX)
        .build();
    regex.map(Some).map_err(|source| PatternError::Invalid {
        field,
        source: Box::new(source),
    })
}

fn failures(patterns: &[String], more: &[String]) -> Result<RegexSet, PatternError> {
    let field = "failure";
    let count = patterns.len() + more.len();
    if count > FAILURE_PATTERNS_MAX {
        return Err(PatternError::TooMany { count });
    }
    // An empty pattern would match every line.
    let set: Vec<&String> = patterns
        .iter()
        .chain(more)
        .filter(|pattern| !pattern.is_empty())
        .collect();
    for pattern in &set {
        check_length(field, pattern)?;
    }
    RegexSetBuilder::new(set)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|source| PatternError::Invalid {
            field,
            source: Box::new(source),
        })
}

fn check_length(field: &'static str, pattern: &str) -> Result<(), PatternError> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(PatternError::TooLong {
            field,
            bytes: pattern.len(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(change: impl FnOnce(&mut RungPatterns)) -> String {
        let mut patterns = RungPatterns::default();
        change(&mut patterns);
        CompiledPatterns::compile(&patterns)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn unusable_patterns_are_named() {
        assert!(error_of(|p| p.kernel = "(".into()).contains("rungs.kernel"));
        assert!(error_of(|p| p.failure = vec!["[".into()]).contains("rungs.failure"));
        assert!(error_of(|p| p.login = "x".repeat(3000)).contains("3000 bytes"));
        assert!(error_of(|p| p.firmware = r"(\w{500}){500}".into()).contains("rungs.firmware"));
        assert!(error_of(|p| p.failure = vec!["x".into(); 200]).contains("200 patterns"));
        assert!(error_of(|p| p.canary = "(?<time>x)".into()).contains("\"sequence\""));
        assert!(error_of(|p| p.canary_check = "x".into()).contains("rungs.canary is empty"));
    }

    #[test]
    fn a_ladder_without_any_pattern_is_refused() {
        let error = error_of(|patterns| {
            for pattern in [
                &mut patterns.firmware,
                &mut patterns.kernel,
                &mut patterns.root_mounted,
                &mut patterns.login,
            ] {
                pattern.clear();
            }
        });
        assert!(error.contains("prove nothing"), "{error}");
    }

    #[test]
    fn failure_patterns_add_up_and_an_empty_one_matches_nothing() {
        let more_failure = vec![String::new(), "CANARY none".to_owned()];
        let patterns = RungPatterns {
            more_failure,
            ..Default::default()
        };
        let failure = CompiledPatterns::compile(&patterns).unwrap().failure;
        assert!(failure.is_match("CANARY none") && failure.is_match("grub rescue> "));
        assert!(!failure.is_match("any line"));
    }
}
