//! The installation's signing key in the state directory.
//!
//! Invariant: a key is made only while there is no report and no head of the audit log yet. Where these
//! are and their key is not, nothing is signed: a new key would look like a forger's to everybody who
//! knows the old one.

use super::ReportsError;
use bcdr_disk::{DiskErrorKind, Storage, read_whole, replace_atomically};
use bcdr_report::SigningKey;
use std::path::Path;

const KEY_BYTES_MAX: u64 = 4096;

/// Reads the key, or makes it if `may_make`. Blocks.
pub(super) fn load(
    storage: &dyn Storage,
    path: &Path,
    may_make: bool,
) -> Result<SigningKey, ReportsError> {
    let wrong = |source| ReportsError::Key {
        path: path.to_owned(),
        source,
    };
    match read_whole(storage, path, KEY_BYTES_MAX) {
        Ok(kept) => SigningKey::read(&kept).map_err(wrong),
        Err(error) if error.kind() == DiskErrorKind::NotFound && may_make => {
            let (key, kept) = SigningKey::generate().map_err(wrong)?;
            // Files of a storage are readable by their owner only.
            replace_atomically(storage, path, &kept)?;
            tracing::info!(key = %key.public(), "a key for signing reports was made");
            Ok(key)
        }
        Err(error) if error.kind() == DiskErrorKind::NotFound => Err(ReportsError::KeyMissing {
            path: path.to_owned(),
        }),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_disk::RealStorage;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_for_its_owner_only_and_never_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report-signing.key");
        let storage = RealStorage::new();
        assert!(matches!(
            load(&storage, &path, false),
            Err(ReportsError::KeyMissing { .. })
        ));
        let made = load(&storage, &path, true).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = load(&storage, &path, false).unwrap();
        assert_eq!(made.public(), again.public());
        std::fs::write(&path, b"nothing").unwrap();
        let damaged = load(&storage, &path, true).unwrap_err().to_string();
        assert!(damaged.contains("backup"), "{damaged}");
    }
}
