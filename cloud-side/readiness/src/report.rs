//! What an inspection says.
//!
//! A code names one question. A question may be answered more than once, when it is asked of several
//! things; every answer has its evidence.

use crate::{disk::Budget, target::TargetMachine};
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use utoipa::ToSchema;

/// The longest evidence, in characters: names and lines of a disk are in it.
const EVIDENCE_MAX: usize = 1024;
/// More answers than this are not kept.
const CHECKS_MAX: usize = 512;

/// How a question was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReadinessVerdict)]
pub enum Verdict {
    /// Nothing stands in the way.
    Pass,
    /// It will boot, and something will not be as at the source.
    Warn,
    /// It will not boot, or not come up by itself.
    Fail,
    /// Nobody can say. The evidence has the reason.
    Unknown,
}

/// What was asked.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReadinessCheckCode)]
pub enum CheckCode {
    /// Does the disk have a partition table that firmware and kernel can read?
    PartitionTable,
    /// Is the backup of the GUID partition table whole and at the disk's end?
    PartitionTableBackup,
    /// Do all partitions lie on the disk?
    PartitionBounds,
    /// Do partitions overlap?
    PartitionOverlap,
    /// Is there boot code in the first sector?
    BootCode,
    /// Is the boot loader that the boot code goes on with where it says?
    BootLoader,
    /// Is there an EFI system partition that can be read?
    EfiSystemPartition,
    /// Is there a program where firmware without memory looks for one?
    EfiLoader,
    /// Can that program find its configuration?
    EfiConfiguration,
    /// Is there a file system, and is it clean?
    FileSystem,
    /// Does the file system remember errors?
    FileSystemErrors,
    /// Does the file system fit into its partition?
    FileSystemSize,
    /// Is there an operating system's root, and can it be read?
    RootFileSystem,
    /// Is there a boot loader's configuration with an entry?
    BootConfiguration,
    /// Is the kernel that the entry names there and whole?
    Kernel,
    /// Is the initial RAM disk that the entry names there and readable?
    Initrd,
    /// Does the kernel command line find the root file system?
    KernelRoot,
    /// Are the drivers of the target's disks there before the root file system is?
    DiskDriver,
    /// Is the root file system's own driver there?
    FileSystemDriver,
    /// Is the driver of the target's network cards there?
    NetworkDriver,
    /// Will everything be mounted that `/etc/fstab` wants?
    Fstab,
    /// Is the network's configuration independent of the source's cards?
    NetworkConfiguration,
    /// Does the system talk on a serial console?
    SerialConsole,
    /// Is it a Windows that has the target's drivers?
    Windows,
    /// Did the inspection come to its end? Asked only when earlier ones did not.
    InspectionCompleted,
    /// Was everything small enough to be looked at? Asked only when something was not.
    InspectionBounds,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReadinessCheck)]
pub struct Check {
    /// What was asked.
    pub code: CheckCode,
    /// The answer.
    pub verdict: Verdict,
    /// What was found, and where.
    pub evidence: String,
    /// What to do at the source, when something is to be done.
    pub remedy: Option<String>,
}

/// The answer to the question of the title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// Every check passed, or warned at most.
    Ready,
    /// At least one check failed.
    NotReady,
    /// None failed, and at least one could not be done.
    Unknown,
}

/// Which defect an edit puts right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReadinessFixUpCode)]
pub enum FixUpCode {
    /// Entries of `/etc/fstab` that would stop the boot.
    Fstab,
    /// `root=` on the kernel command line, in the boot loader's configuration.
    KernelRoot,
    /// Names of network cards that are bound to the source's hardware addresses.
    PersistentNetNames,
}

/// A piece of text that takes the place of another of the same length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReadinessEdit)]
pub struct Edit {
    /// The disk, counted from 0 in boot order.
    pub disk: usize,
    /// The first byte, from the start of the disk.
    pub offset: u64,
    /// What must be there. ASCII.
    pub before: String,
    /// What is to be there. ASCII, of the same length.
    pub after: String,
}

/// Edits that put one defect right. They are for a branch; a replica is never written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReadinessFixUp)]
pub struct FixUp {
    /// Which defect.
    pub code: FixUpCode,
    /// What changes, for people.
    pub description: String,
    /// The edits. All of them or none.
    pub edits: Vec<Edit>,
}

/// What an inspection found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadinessReport {
    /// Ready, not ready, or unknown.
    pub readiness: Readiness,
    /// For which machine this was asked.
    pub target: TargetMachine,
    /// What the system calls itself, when it was found.
    pub operating_system: Option<String>,
    /// All answers, in the order in which a machine would run into them.
    pub checks: Vec<Check>,
    /// What can be put right on a branch.
    pub fix_ups: Vec<FixUp>,
}

/// Answers as they are collected.
///
/// Invariant: once the budget is exhausted nothing fails any more, since what was not found may be
/// what was not read; and what is not kept still counts.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    checks: Vec<Check>,
    budget: Option<Rc<Budget>>,
    failed: bool,
    unknown: bool,
}

impl Findings {
    /// No answers yet, of an inspection with this budget.
    pub(crate) fn within(budget: &Rc<Budget>) -> Self {
        Self {
            budget: Some(Rc::clone(budget)),
            ..Self::default()
        }
    }

    pub(crate) fn pass(&mut self, code: CheckCode, evidence: impl Into<String>) {
        self.add(code, Verdict::Pass, evidence.into(), None);
    }

    pub(crate) fn warn(
        &mut self,
        code: CheckCode,
        evidence: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(code, Verdict::Warn, evidence.into(), Some(remedy.into()));
    }

    pub(crate) fn fail(
        &mut self,
        code: CheckCode,
        evidence: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(code, Verdict::Fail, evidence.into(), Some(remedy.into()));
    }

    pub(crate) fn unknown(&mut self, code: CheckCode, reason: impl Into<String>) {
        self.add(code, Verdict::Unknown, reason.into(), None);
    }

    /// Takes over other answers.
    pub(crate) fn extend(&mut self, other: Self) {
        for check in other.checks {
            self.add(check.code, check.verdict, check.evidence, check.remedy);
        }
    }

    fn add(
        &mut self,
        code: CheckCode,
        mut verdict: Verdict,
        mut evidence: String,
        mut remedy: Option<String>,
    ) {
        let exhausted = self.budget.as_ref().and_then(|budget| budget.exhausted());
        if let Some(bound) = exhausted.filter(|_| verdict == Verdict::Fail) {
            (verdict, remedy) = (Verdict::Unknown, None);
            evidence = format!("{evidence}; but {bound}");
        }
        self.failed |= verdict == Verdict::Fail;
        self.unknown |= verdict == Verdict::Unknown;
        if self.checks.len() >= CHECKS_MAX && code != CheckCode::InspectionBounds {
            if let Some(budget) = &self.budget {
                budget.hit(format!("there are more than {CHECKS_MAX} answers"));
            }
            return;
        }
        if let Some((end, _)) = evidence.char_indices().nth(EVIDENCE_MAX) {
            evidence.truncate(end);
            evidence.push('…');
        }
        self.checks.push(Check {
            code,
            verdict,
            evidence,
            remedy,
        });
    }

    /// Says which bounds were hit. Asked last.
    pub(crate) fn bounds(&mut self, budget: &Budget) {
        for bound in budget.hits() {
            self.unknown(CheckCode::InspectionBounds, bound.to_string());
        }
    }

    /// Whether a question was answered with anything else than a pass.
    pub(crate) fn troubled(&self, code: CheckCode) -> bool {
        self.checks
            .iter()
            .any(|check| check.code == code && check.verdict != Verdict::Pass)
    }

    pub(crate) fn readiness(&self) -> Readiness {
        if self.failed {
            Readiness::NotReady
        } else if self.unknown {
            Readiness::Unknown
        } else {
            Readiness::Ready
        }
    }

    pub(crate) fn into_checks(self) -> Vec<Check> {
        self.checks
    }
}
