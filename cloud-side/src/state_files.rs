//! The names of what lies in the state directory, in one place.

use std::path::{Path, PathBuf};

/// The paths under one state directory.
#[derive(Debug, Clone)]
pub(crate) struct StateFiles {
    root: PathBuf,
}

impl StateFiles {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Written last by an initialisation: a directory without it is not initialised.
    pub(crate) fn installation(&self) -> PathBuf {
        self.root.join("installation.json")
    }

    /// What belongs to the certificate authority.
    pub(crate) fn authority(&self) -> PathBuf {
        self.root.join("authority")
    }

    pub(crate) fn authority_certificate(&self) -> PathBuf {
        self.authority().join("ca.pem")
    }

    pub(crate) fn authority_key(&self) -> PathBuf {
        self.authority().join("ca.key")
    }

    /// The role's own certificates.
    pub(crate) fn identity(&self) -> PathBuf {
        self.root.join("identity")
    }

    /// The key-encryption key.
    pub(crate) fn key_encryption_key(&self) -> PathBuf {
        self.root.join("kek")
    }

    /// The installation key, wrapped under the key-encryption key.
    pub(crate) fn installation_key(&self) -> PathBuf {
        self.root.join("installation-key.wrapped")
    }

    /// The secret that reports and heads of the audit log are signed with; made with the first of them.
    pub(crate) fn report_signing_key(&self) -> PathBuf {
        self.root.join("report-signing.key")
    }

    /// The files of the audit log.
    pub(crate) fn audit(&self) -> PathBuf {
        self.root.join("audit")
    }

    pub(crate) fn catalog(&self) -> PathBuf {
        self.root.join("catalog.redb")
    }

    /// The logs and runs of all lineages.
    pub(crate) fn replicas(&self) -> PathBuf {
        self.root.join("replicas")
    }
}
