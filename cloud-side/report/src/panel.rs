//! The measured indicators against the levels of GB/T 20988, by rules in a data file.
//!
//! Invariant: a panel never claims a level that an indicator does not reach or that nobody measured;
//! replication that is asynchronous never shows a level that asks for none lost; what an operator
//! attested is kept apart from what was measured.

use serde::{Deserialize, Serialize};

/// The rules that this release carries.
const RULES_2007: &str = include_str!("../rules/gbt-20988-2007.toml");

/// The rules of one edition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    rules_version: u32,
    edition: String,
    replaced_by: Option<String>,
    overdue_lowers_by: u8,
    level: Vec<Level>,
    elements: Elements,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Level {
    number: u8,
    /// The table's words.
    rto: String,
    rpo: String,
    rto_seconds_max: Option<u64>,
    rpo_seconds_max: Option<u64>,
    drill_required: bool,
    /// Whether asynchronous replication can have it.
    asynchronous: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Elements {
    names: Vec<String>,
}

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The file cannot be read.
    #[error("the rules cannot be read: {0}")]
    Form(#[from] toml::de::Error),
    /// The file is of a newer form.
    #[error("the rules are of version {0}, this release knows 1")]
    Version(u32),
    /// Levels are not numbered from 1 upwards.
    #[error("the rules' levels are not numbered 1, 2, 3 and so on")]
    Order,
    /// An attested element is none of the edition.
    #[error("{element:?} is no element of {edition}; it has {known}")]
    Element {
        /// What was named.
        element: String,
        /// The edition.
        edition: String,
        /// Its elements.
        known: String,
    },
}

/// What an operator states about an element that cannot be measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attested {
    /// The element, as the rules name it.
    pub element: String,
    /// The level that it is said to have.
    pub level: u8,
    /// Who says so.
    pub by: String,
    /// Since when, as a date.
    pub on: String,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Indicators<'a> {
    /// The recovery time.
    pub rto_ms: Option<u64>,
    /// The worst age of the newest point over the period.
    pub rpo_ms: Option<u64>,
    /// Whether the drill or failover passed.
    pub passed: bool,
    /// Whether the group's drill is overdue.
    pub overdue: bool,
    /// What operators attest.
    pub attested: &'a [Attested],
}

/// Why the level is not higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lowering {
    /// The drill or failover did not pass, and every level asks for one that did.
    NotPassed,
    /// The drill is overdue.
    Overdue,
    /// The recovery time was not measured.
    RtoUnknown,
    /// The age of the points was not measured.
    RpoUnknown,
    /// A higher level asks for no loss at all, which asynchronous replication cannot promise.
    Asynchronous,
}

/// The indicators against the levels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// The edition of the standard.
    pub edition: String,
    /// The edition that replaced it, if one did.
    pub replaced_by: Option<String>,
    /// The version of the rules.
    pub rules_version: u32,
    /// The level that the measured indicators are consistent with; absent when none.
    pub level: Option<u8>,
    /// What the edition asks for at that level, in its own words: recovery time, recovery point.
    pub asks: Option<(String, String)>,
    /// The recovery time that was measured.
    pub rto_ms: Option<u64>,
    /// The worst recovery point that was measured.
    pub rpo_ms: Option<u64>,
    /// Why it is not higher.
    pub lowered: Vec<Lowering>,
    /// The elements that nobody can measure.
    pub elements: Vec<Element>,
}

/// An element of the standard that is attested or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Element {
    /// Its name in the rules.
    pub element: String,
    /// What an operator states about it.
    pub attested: Option<Attested>,
}

impl Rules {
    /// The rules of the edition of 2007, the newest whose thresholds are public.
    ///
    /// # Errors
    /// When the data file that this release carries is wrong.
    pub fn edition_2007() -> Result<Self, RulesError> {
        Self::read(RULES_2007)
    }

    /// Reads rules.
    ///
    /// # Errors
    /// Says what is wrong with them.
    pub fn read(text: &str) -> Result<Self, RulesError> {
        let rules: Self = toml::from_str(text)?;
        if rules.rules_version != 1 {
            return Err(RulesError::Version(rules.rules_version));
        }
        let numbered = |(index, level): (usize, &Level)| usize::from(level.number) == index + 1;
        if !rules.level.iter().enumerate().all(numbered) {
            return Err(RulesError::Order);
        }
        Ok(rules)
    }

    /// Checks that operators attest only what the edition has.
    ///
    /// # Errors
    /// Names the first element that is none.
    pub fn check(&self, attested: &[Attested]) -> Result<(), RulesError> {
        let known = |one: &&Attested| self.elements.names.contains(&one.element);
        match attested.iter().find(|one| !known(one)) {
            None => Ok(()),
            Some(one) => Err(RulesError::Element {
                element: one.element.clone(),
                edition: self.edition.clone(),
                known: self.elements.names.join(", "),
            }),
        }
    }

    /// Judges what was measured.
    pub fn judge(&self, measured: &Indicators<'_>) -> Panel {
        let mut lowered = Vec::new();
        if measured.rto_ms.is_none() {
            lowered.push(Lowering::RtoUnknown);
        }
        if measured.rpo_ms.is_none() {
            lowered.push(Lowering::RpoUnknown);
        }
        let reached: Vec<&Level> = self
            .level
            .iter()
            .filter(|level| level.reached(measured))
            .collect();
        let passing = |level: &&&Level| measured.passed || !level.drill_required;
        if !measured.passed {
            lowered.push(Lowering::NotPassed);
        }
        let proven: Vec<&&Level> = reached.iter().filter(passing).collect();
        if reached.iter().any(|level| !level.asynchronous) {
            lowered.push(Lowering::Asynchronous);
        }
        let mut number = proven
            .iter()
            .filter(|level| level.asynchronous)
            .map(|level| level.number)
            .max();
        if measured.overdue {
            lowered.push(Lowering::Overdue);
            number = number
                .and_then(|number| number.checked_sub(self.overdue_lowers_by))
                .filter(|number| *number > 0);
        }
        let level = number.and_then(|number| self.level.get(usize::from(number) - 1));
        Panel {
            edition: self.edition.clone(),
            replaced_by: self.replaced_by.clone(),
            rules_version: self.rules_version,
            level: number,
            asks: level.map(|level| (level.rto.clone(), level.rpo.clone())),
            rto_ms: measured.rto_ms,
            rpo_ms: measured.rpo_ms,
            lowered,
            elements: self.elements_of(measured.attested),
        }
    }

    fn elements_of(&self, attested: &[Attested]) -> Vec<Element> {
        let element = |name: &String| Element {
            element: name.clone(),
            attested: attested.iter().find(|one| one.element == *name).cloned(),
        };
        self.elements.names.iter().map(element).collect()
    }
}

impl Level {
    fn reached(&self, measured: &Indicators<'_>) -> bool {
        let (Some(rto), Some(rpo)) = (measured.rto_ms, measured.rpo_ms) else {
            return false;
        };
        let within = |value: u64, most: Option<u64>| {
            most.is_none_or(|seconds| value <= seconds.saturating_mul(1000))
        };
        within(rto, self.rto_seconds_max) && within(rpo, self.rpo_seconds_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(rto_seconds: u64, rpo_seconds: u64) -> Indicators<'static> {
        Indicators {
            rto_ms: Some(rto_seconds * 1000),
            rpo_ms: Some(rpo_seconds * 1000),
            passed: true,
            overdue: false,
            attested: &[],
        }
    }

    #[test]
    fn the_level_is_the_highest_that_every_indicator_reaches() {
        let rules = Rules::edition_2007().unwrap();
        let level = |rto, rpo| rules.judge(&measured(rto, rpo)).level;
        assert_eq!(level(90, 5), Some(5));
        assert_eq!(level(90, 1800), Some(5));
        assert_eq!(level(90, 1801), Some(4));
        assert_eq!(level(172_801, 5), Some(3));
        assert_eq!(level(172_801, 86_401), Some(2));
        assert_eq!(level(90, 604_801), None);
    }

    #[test]
    fn asynchronous_replication_never_shows_level_six() {
        let panel = Rules::edition_2007().unwrap().judge(&measured(1, 0));
        assert_eq!(panel.level, Some(5));
        assert_eq!(panel.lowered, [Lowering::Asynchronous]);
    }

    #[test]
    fn failed_overdue_and_unmeasured_lower_the_level_and_say_so() {
        let rules = Rules::edition_2007().unwrap();
        let good = measured(90, 5);
        let failed = rules.judge(&Indicators {
            passed: false,
            ..good
        });
        assert_eq!(
            (failed.level, &failed.lowered[..]),
            (None, &[Lowering::NotPassed][..])
        );
        let overdue = rules.judge(&Indicators {
            overdue: true,
            ..good
        });
        assert_eq!(
            (overdue.level, &overdue.lowered[..]),
            (Some(4), &[Lowering::Overdue][..])
        );
        let blind = rules.judge(&Indicators {
            rpo_ms: None,
            ..good
        });
        assert_eq!(
            (blind.level, &blind.lowered[..]),
            (None, &[Lowering::RpoUnknown][..])
        );
        let unbooted = rules.judge(&Indicators {
            rto_ms: None,
            ..good
        });
        assert_eq!(
            (unbooted.level, &unbooted.lowered[..]),
            (None, &[Lowering::RtoUnknown][..])
        );
    }

    #[test]
    fn elements_are_attested_by_somebody_or_not_at_all() {
        let rules = Rules::edition_2007().unwrap();
        let one = Attested {
            element: "recovery_plan".to_owned(),
            level: 5,
            by: "A. Auditor".to_owned(),
            on: "2026-10-01".to_owned(),
        };
        let attested = [one.clone()];
        rules.check(&attested).unwrap();
        let panel = rules.judge(&Indicators {
            attested: &attested,
            ..measured(90, 5)
        });
        assert_eq!(panel.elements.len(), 7);
        let known: Vec<_> = panel
            .elements
            .iter()
            .filter_map(|one| one.attested.as_ref())
            .collect();
        assert_eq!(known, [&one]);
        let stranger = Attested {
            element: "luck".to_owned(),
            ..one
        };
        assert!(
            rules
                .check(&[stranger])
                .unwrap_err()
                .to_string()
                .contains("recovery_plan")
        );
    }

    #[test]
    fn rules_of_another_form_are_refused() {
        assert!(matches!(
            Rules::read(&RULES_2007.replace("rules_version = 1", "rules_version = 2")),
            Err(RulesError::Version(2))
        ));
        assert!(matches!(
            Rules::read(&RULES_2007.replace("number = 3", "number = 7")),
            Err(RulesError::Order)
        ));
    }
}
