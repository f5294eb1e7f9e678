//! The keys a gateway works with.
//!
//! The first gateway of an installation makes the installation key and keeps it in its state
//! directory; the data key is fresh at each process start and never stored unwrapped. A gateway
//! whose memory image is resumed twice therefore repeats counters under one key at worst within
//! that image, which AES-256-GCM-SIV bears.

use bcdr_disk::{DiskError, DiskErrorKind, Storage, read_whole, replace_atomically};
use bcdr_format::{DataKeyId, InstallationId, Timestamp};
use bcdr_wire::seal::{DataKey, InstallationKey, InstallationKeyBytes, SealError};
use std::{path::Path, sync::Arc};

const FILE_NAME: &str = "installation.key";
const KEY_BYTES: usize = 32;

/// Why the keys could not be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The key file could not be read or written.
    #[error("cannot keep the installation key: {0}")]
    Disk(#[from] DiskError),
    /// The key file is not a key.
    #[error(
        "the installation key in {path} holds {length} bytes where {KEY_BYTES} belong: restore it from its export; without it no replica can be opened"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What it holds, in bytes.
        length: usize,
    },
    /// A key could not be made or wrapped.
    #[error("cannot prepare the data key: {0}")]
    Seal(#[from] SealError),
}

/// The gateway's keys.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The installation's key.
    pub installation: Arc<InstallationKey>,
    /// This process's data key.
    pub data: Arc<DataKey>,
    /// The data key, wrapped under the installation key.
    pub wrapped_data: Vec<u8>,
}

impl Keys {
    /// Loads or makes the installation key in `directory`, and makes a fresh data key.
    pub fn prepare(
        storage: &dyn Storage,
        directory: &Path,
        installation: InstallationId,
        now: Timestamp,
    ) -> Result<Self, KeysError> {
        let key = load_or_make(storage, directory)?;
        let data = DataKey::generate(installation, now)?;
        let wrapped_data = data.wrap(&key)?;
        Ok(Self {
            installation: Arc::new(key),
            data,
            wrapped_data,
        })
    }

    /// The id of this process's data key.
    pub fn data_key_id(&self) -> DataKeyId {
        self.data.id()
    }
}

fn load_or_make(storage: &dyn Storage, directory: &Path) -> Result<InstallationKey, KeysError> {
    let path = directory.join(FILE_NAME);
    match read_whole(storage, &path, 4096) {
        Ok(bytes) => {
            let damaged = KeysError::Damaged {
                path: path.display().to_string(),
                length: bytes.len(),
            };
            let bytes: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| damaged)?;
            Ok(InstallationKey::from_bytes(&InstallationKeyBytes::new(
                bytes,
            )))
        }
        Err(error) if error.kind() == DiskErrorKind::NotFound => {
            let key = InstallationKey::generate()?;
            replace_atomically(storage, &path, key.to_bytes().expose())?;
            Ok(key)
        }
        Err(error) => Err(error.into()),
    }
}
