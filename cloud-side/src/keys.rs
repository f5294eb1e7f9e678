//! The installation key as the receiver keeps it: wrapped under the key-encryption key.
//!
//! Owns the two key files. Invariant: the installation key is never on disk but wrapped, and once
//! one is stored, another is refused, since the data keys of all replicas hang on the first.

use crate::{
    branch::{BranchKeySource, BranchKeys},
    clock,
    state_files::StateFiles,
};
use bcdr_disk::{DiskError, DiskErrorKind, Storage, read_whole, replace_atomically};
use bcdr_format::{DataKeyId, InstallationId};
use bcdr_wire::seal::{
    DataKey, InstallationKey, InstallationKeyBytes, KeyEncryptionKey, KeyFingerprint, KeyRing,
    SealError,
};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const WRAPPED_BYTES_MAX: u64 = 4096;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// A key file could not be read or written.
    #[error("cannot use a key file: {0}")]
    Disk(#[from] DiskError),
    /// The key-encryption key's file is no key.
    #[error(
        "the key-encryption key in {path} has {length} bytes where {KEY_BYTES} belong: restore it from its backup; without it no replica can be opened"
    )]
    KekDamaged {
        /// The file.
        path: PathBuf,
        /// What it holds, in bytes.
        length: usize,
    },
    /// A key could not be wrapped or unwrapped.
    #[error(
        "the installation key in {path} cannot be opened with this key-encryption key: {source}; restore both from one backup"
    )]
    Unwrap {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: SealError,
    },
    /// A key could not be wrapped.
    #[error("cannot wrap the installation key: {0}")]
    Wrap(#[source] SealError),
    /// Another installation key is stored already.
    #[error(
        "installation key {offered} was offered, and {held} is stored here: all gateways of an installation must share one key; copy it from the first gateway"
    )]
    AnotherKey {
        /// The fingerprint of the key that is stored.
        held: KeyFingerprint,
        /// The fingerprint of the key that was offered.
        offered: KeyFingerprint,
    },
    /// This process's own data key could not be made.
    #[error("cannot make a data key: {0}")]
    MakeDataKey(#[source] SealError),
    /// There is no installation key yet.
    #[error("the installation key has not arrived: a gateway sends it when it first connects")]
    Missing,
    /// A wrapped data key does not open.
    #[error(
        "data key {id} does not open under the installation key: {source}; the gateway holds another installation key"
    )]
    DataKey {
        /// The data key.
        id: DataKeyId,
        /// The cause.
        #[source]
        source: SealError,
    },
}

/// The keys of one installation.
#[derive(Debug)]
pub(crate) struct Keys {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    installation: InstallationId,
    kek: KeyEncryptionKey,
    key: OnceLock<Arc<InstallationKey>>,
    accepting: Mutex<()>,
    ring: KeyRing,
    /// What this process seals with; made when it is first needed.
    sealing: Mutex<Option<BranchKeys>>,
}

impl Keys {
    /// Reads the keys of a state directory. The installation key may be missing still.
    ///
    /// # Errors
    /// When a file is missing, damaged, or the two do not belong together.
    pub(crate) fn load(
        storage: Arc<dyn Storage>,
        files: &StateFiles,
        installation: InstallationId,
    ) -> Result<Self, KeysError> {
        let kek_path = files.key_encryption_key();
        let bytes = Zeroizing::new(read_whole(&*storage, &kek_path, WRAPPED_BYTES_MAX)?);
        let bytes: [u8; KEY_BYTES] =
            bytes
                .as_slice()
                .try_into()
                .map_err(|_| KeysError::KekDamaged {
                    path: kek_path,
                    length: bytes.len(),
                })?;
        let kek = KeyEncryptionKey::from_bytes(bytes);
        let path = files.installation_key();
        let key = OnceLock::new();
        match read_whole(&*storage, &path, WRAPPED_BYTES_MAX) {
            Ok(wrapped) => {
                let opened =
                    kek.unwrap(installation, &wrapped)
                        .map_err(|source| KeysError::Unwrap {
                            path: path.clone(),
                            source,
                        })?;
                key.get_or_init(|| Arc::new(opened));
            }
            Err(error) if error.kind() == DiskErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Self {
            storage,
            path,
            installation,
            kek,
            key,
            accepting: Mutex::new(()),
            ring: KeyRing::new(installation),
            sealing: Mutex::new(None),
        })
    }

    /// The installation key, if it has arrived.
    pub(crate) fn installation_key(&self) -> Option<Arc<InstallationKey>> {
        self.key.get().cloned()
    }

    /// The data keys opened so far. Clones share it.
    pub(crate) fn ring(&self) -> KeyRing {
        self.ring.clone()
    }

    /// Stores the installation key that a gateway sent; durable on return. The same key again is
    /// harmless. Blocks.
    ///
    /// # Errors
    /// When another one is stored, or it cannot be stored.
    pub(crate) fn accept(
        &self,
        bytes: &InstallationKeyBytes,
    ) -> Result<Arc<InstallationKey>, KeysError> {
        let offered = InstallationKey::from_bytes(bytes);
        let wrapped = self
            .kek
            .wrap(self.installation, &offered)
            .map_err(KeysError::Wrap)?;
        // Two first gateways may come at once: whoever is in here first decides, and the key is
        // used only after it is durable.
        let _one = self
            .accepting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.key.get().is_none() {
            replace_atomically(&*self.storage, &self.path, &wrapped)?;
        }
        let held = self.key.get_or_init(|| Arc::new(offered.clone()));
        if held.fingerprint() == offered.fingerprint() {
            Ok(Arc::clone(held))
        } else {
            Err(KeysError::AnotherKey {
                held: held.fingerprint(),
                offered: offered.fingerprint(),
            })
        }
    }

    /// Takes in a wrapped data key, so that chunks sealed under it can be opened.
    ///
    /// # Errors
    /// When the installation key is missing or does not open it.
    pub(crate) fn learn_data_key(&self, id: DataKeyId, wrapped: &[u8]) -> Result<(), KeysError> {
        let key = self.key.get().ok_or(KeysError::Missing)?;
        self.ring
            .insert_wrapped(id, wrapped, key)
            .map_err(|source| KeysError::DataKey { id, source })
    }
}

impl BranchKeySource for Keys {
    fn keys(&self) -> Result<BranchKeys, KeysError> {
        let installation_key = self.installation_key().ok_or(KeysError::Missing)?;
        let mut sealing = self.sealing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = &*sealing {
            return Ok(keys.clone());
        }
        let data_key =
            DataKey::generate(self.installation, clock::wall()).map_err(KeysError::MakeDataKey)?;
        let wrapped = data_key
            .wrap(&installation_key)
            .map_err(KeysError::MakeDataKey)?;
        self.learn_data_key(data_key.id(), &wrapped)?;
        let keys = BranchKeys {
            installation_key,
            data_key,
            wrapped: wrapped.into(),
        };
        Ok(sealing.insert(keys).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_disk::RealStorage;
    use bcdr_format::Timestamp;
    use bcdr_wire::seal::DataKey;

    fn load(directory: &tempfile::TempDir) -> Result<Keys, KeysError> {
        let storage: Arc<dyn Storage> = Arc::new(RealStorage::new());
        let files = StateFiles::new(directory.path());
        Keys::load(storage, &files, InstallationId::from_u128(7))
    }

    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("kek"), [9; KEY_BYTES]).unwrap();
        directory
    }

    #[test]
    fn the_first_key_stays_and_is_on_disk_only_wrapped() {
        let directory = directory();
        let keys = load(&directory).unwrap();
        assert!(keys.installation_key().is_none());
        let (first, second) = (
            InstallationKey::generate().unwrap(),
            InstallationKey::generate().unwrap(),
        );
        keys.accept(&first.to_bytes()).unwrap();
        keys.accept(&first.to_bytes()).unwrap();
        let refused = keys.accept(&second.to_bytes()).unwrap_err();
        assert!(matches!(refused, KeysError::AnotherKey { .. }), "{refused}");
        let stored = std::fs::read(directory.path().join("installation-key.wrapped")).unwrap();
        let plain = first.to_bytes();
        assert!(
            !stored
                .windows(KEY_BYTES)
                .any(|window| window == plain.expose())
        );
        let reopened = load(&directory).unwrap().installation_key().unwrap();
        assert_eq!(reopened.fingerprint(), first.fingerprint());
    }

    #[test]
    fn a_data_key_of_another_installation_key_is_refused() {
        let directory = directory();
        let keys = load(&directory).unwrap();
        let data = DataKey::generate(InstallationId::from_u128(7), Timestamp(1)).unwrap();
        let (mine, other) = (
            InstallationKey::generate().unwrap(),
            InstallationKey::generate().unwrap(),
        );
        let missing = keys.learn_data_key(data.id(), &data.wrap(&mine).unwrap());
        assert!(matches!(missing, Err(KeysError::Missing)));
        keys.accept(&mine.to_bytes()).unwrap();
        assert!(
            keys.learn_data_key(data.id(), &data.wrap(&other).unwrap())
                .is_err()
        );
        keys.learn_data_key(data.id(), &data.wrap(&mine).unwrap())
            .unwrap();
        assert!(keys.ring().contains(data.id()));
    }

    #[test]
    fn a_process_seals_under_one_data_key_of_its_own() {
        let directory = directory();
        let keys = load(&directory).unwrap();
        assert!(matches!(keys.keys(), Err(KeysError::Missing)));
        let key = InstallationKey::generate().unwrap();
        keys.accept(&key.to_bytes()).unwrap();
        let (first, again) = (keys.keys().unwrap(), keys.keys().unwrap());
        assert_eq!(first.data_key.id(), again.data_key.id());
        assert_eq!(first.wrapped, again.wrapped);
        assert_eq!(first.installation_key.fingerprint(), key.fingerprint());
        assert!(keys.ring().contains(first.data_key.id()));
        let other = load(&directory).unwrap();
        assert_ne!(other.keys().unwrap().data_key.id(), first.data_key.id());
        // Whoever has the installation key opens it from what is stored.
        other
            .learn_data_key(first.data_key.id(), &first.wrapped)
            .unwrap();
    }

    #[test]
    fn damaged_files_are_named() {
        let directory = directory();
        let keys = load(&directory).unwrap();
        let key = InstallationKey::generate().unwrap();
        keys.accept(&key.to_bytes()).unwrap();
        std::fs::write(directory.path().join("kek"), [8; KEY_BYTES]).unwrap();
        let error = load(&directory).unwrap_err().to_string();
        assert!(error.contains("installation-key.wrapped"), "{error}");
        std::fs::write(directory.path().join("kek"), [8; 5]).unwrap();
        assert!(matches!(
            load(&directory).unwrap_err(),
            KeysError::KekDamaged { length: 5, .. }
        ));
    }
}
