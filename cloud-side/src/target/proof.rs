//! The proof that nothing of an instance is left.

use serde::{Deserialize, Serialize};

/// One thing that was looked for after the clean-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProofItem {
    /// What was checked, such as `overlay of root`.
    pub what: String,
    /// Whether it is as it should be.
    pub proven: bool,
    /// What was seen.
    pub detail: String,
}

/// Everything that was looked for after the clean-up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Proof {
    /// The checks. A proof without any proves nothing.
    pub items: Vec<ProofItem>,
}

impl Proof {
    /// Notes one check.
    pub(crate) fn note(
        &mut self,
        what: impl Into<String>,
        proven: bool,
        detail: impl Into<String>,
    ) {
        self.items.push(ProofItem {
            what: what.into(),
            proven,
            detail: detail.into(),
        });
    }

    /// Whether there is at least one check and all are proven.
    pub fn holds(&self) -> bool {
        !self.items.is_empty() && self.items.iter().all(|item| item.proven)
    }

    /// What is not proven, as one sentence; `None` when the proof holds.
    pub fn gaps(&self) -> Option<String> {
        if self.items.is_empty() {
            return Some("nothing was checked".to_owned());
        }
        let gaps: Vec<String> = self
            .items
            .iter()
            .filter(|item| !item.proven)
            .map(|item| format!("{}: {}", item.what, item.detail))
            .collect();
        (!gaps.is_empty()).then(|| gaps.join(" · "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_proof_proves_nothing() {
        assert!(!Proof::default().holds());
        assert!(Proof::default().gaps().is_some());
    }

    #[test]
    fn one_gap_breaks_the_proof_and_is_named() {
        let mut proof = Proof::default();
        proof.note("process", true, "gone");
        assert!(proof.holds());
        proof.note("overlay of root", false, "still there");
        assert!(!proof.holds());
        assert_eq!(proof.gaps().unwrap(), "overlay of root: still there");
    }
}
