//! The evidence directory of one drill.
//!
//! Owns its file names, durable writing, and hashing. Invariant: `evidence.json` lists the hash of
//! every file that was kept, and `drill.json` lists `evidence.json` among them, so it vouches for all
//! of it. What is made of a drill afterwards (the signed report, its page, the runbook) is no evidence. Files written by the target are made durable here before they are hashed.

use std::{path::PathBuf, sync::Arc};

use bcdr_disk::{Access, DiskError, DiskErrorKind, Storage, read_whole, replace_atomically};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The list of hashes.
const LIST_NAME: &str = "evidence.json";
/// What the engine reports.
pub(crate) const REPORT_NAME: &str = "drill.json";
/// What is made of a drill after its end.
const MADE_AFTERWARDS: [&str; 3] = ["report.json", "report.html", "runbook.html"];
/// The record by which a later process finds what the drill created.
pub(super) const RECORD_NAME: &str = "instance.json";
/// The picture of the screen.
pub(super) const SCREENSHOT_NAME: &str = "screenshot.png";
/// Ends the name of a file whose replacement did not complete.
const INCOMPLETE_SUFFIX: &str = ".incomplete";
/// Bytes hashed in one step.
const PIECE_BYTES: usize = 256 * 1024;
/// Longest JSON file that is read back, in bytes.
const JSON_BYTES_MAX: u64 = 16 << 20;

/// A file that was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EvidenceFile {
    /// Name in the drill's evidence directory.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// BLAKE3 hash, in hexadecimal.
    pub blake3: String,
}

/// Why evidence could not be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The storage refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Something could not be written as JSON, or a JSON file could not be read.
    #[error("cannot use evidence file {path} as JSON: {source}", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The process is shutting down.
    #[error("keeping evidence was interrupted because the process is shutting down")]
    Interrupted,
}

/// The evidence directory of one drill.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    storage: Arc<dyn Storage>,
    directory: PathBuf,
}

impl Evidence {
    pub(super) fn new(storage: Arc<dyn Storage>, directory: PathBuf) -> Self {
        Self { storage, directory }
    }

    /// The path of a file in the directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Makes the directory.
    pub(super) async fn create(&self) -> Result<(), EvidenceError> {
        self.off_thread(|evidence| {
            Ok(evidence.storage.create_directory_all(&evidence.directory)?)
        })
        .await
    }

    /// Keeps a text durably.
    pub(super) async fn keep_text(&self, name: &str, text: String) -> Result<(), EvidenceError> {
        let path = self.path(name);
        self.off_thread(move |evidence| {
            Ok(replace_atomically(
                &*evidence.storage,
                &path,
                text.as_bytes(),
            )?)
        })
        .await
    }

    /// Keeps a value as JSON durably.
    pub(super) async fn keep_json(
        &self,
        name: &str,
        value: &(impl Serialize + Sync),
    ) -> Result<(), EvidenceError> {
        let mut text =
            serde_json::to_string_pretty(value).map_err(|source| EvidenceError::Json {
                path: self.path(name),
                source,
            })?;
        text.push('\n');
        self.keep_text(name, text).await
    }

    /// Reads a JSON file back; `None` when it does not exist.
    pub(super) async fn read_json<T: DeserializeOwned + Send + 'static>(
        &self,
        name: &str,
    ) -> Result<Option<T>, EvidenceError> {
        let path = self.path(name);
        self.off_thread(move |evidence| {
            let bytes = match read_whole(&*evidence.storage, &path, JSON_BYTES_MAX) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == DiskErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let value = serde_json::from_slice(&bytes);
            value
                .map(Some)
                .map_err(|source| EvidenceError::Json { path, source })
        })
        .await
    }

    /// The names of the files; none when there is no directory.
    pub(super) async fn names(&self) -> Result<Vec<String>, EvidenceError> {
        let list = |evidence: &Self| match evidence.storage.list(&evidence.directory) {
            Ok(names) => Ok(names),
            Err(error) if error.kind() == DiskErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        };
        self.off_thread(list).await
    }

    /// Makes every file durable, hashes it, writes the list, and returns all with the list itself.
    pub(super) async fn seal(&self) -> Result<Vec<EvidenceFile>, EvidenceError> {
        let mut files = self.off_thread(Self::hash_all).await?;
        self.keep_json(LIST_NAME, &files).await?;
        let list = self.off_thread(|evidence| evidence.hash(LIST_NAME)).await?;
        files.push(list);
        Ok(files)
    }

    fn hash_all(&self) -> Result<Vec<EvidenceFile>, EvidenceError> {
        let names = self.storage.list(&self.directory)?;
        let kept = names.iter().filter(|name| {
            *name != LIST_NAME
                && *name != REPORT_NAME
                && !MADE_AFTERWARDS.contains(&name.as_str())
                && !name.ends_with(INCOMPLETE_SUFFIX)
        });
        let files = kept
            .map(|name| self.hash(name))
            .collect::<Result<Vec<_>, _>>()?;
        self.storage.sync_directory(&self.directory)?;
        Ok(files)
    }

    fn hash(&self, name: &str) -> Result<EvidenceFile, EvidenceError> {
        let file = self.storage.open(&self.path(name), Access::read())?;
        file.sync_all()?;
        let mut hasher = blake3::Hasher::new();
        let mut piece = vec![0; PIECE_BYTES];
        let mut bytes = 0;
        loop {
            let count = file.read_at(&mut piece, bytes)?;
            if count == 0 {
                break;
            }
            hasher.update(&piece[..count]);
            bytes += count as u64;
        }
        let blake3 = hasher.finalize().to_hex().to_string();
        Ok(EvidenceFile {
            name: name.to_owned(),
            bytes,
            blake3,
        })
    }

    /// Storage blocks, so it is used away from the threads that serve everyone.
    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, EvidenceError> + Send + 'static,
    ) -> Result<T, EvidenceError> {
        let evidence = self.clone();
        let task = tokio::task::spawn_blocking(move || work(&evidence));
        task.await.map_err(|_| EvidenceError::Interrupted)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_list_names_every_file_with_its_hash() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("drill-1");
        let evidence = Evidence::new(Arc::new(bcdr_disk::RealStorage::new()), place.clone());
        evidence.create().await.unwrap();
        evidence.keep_text("a.txt", "abc".to_owned()).await.unwrap();
        std::fs::write(place.join("serial.log"), vec![b'x'; PIECE_BYTES + 1]).unwrap();
        let files = evidence.seal().await.unwrap();
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a.txt", "serial.log", "evidence.json"]);
        assert_eq!(files[0].blake3, blake3::hash(b"abc").to_hex().to_string());
        assert_eq!(files[1].bytes, PIECE_BYTES as u64 + 1);
        let list: Vec<EvidenceFile> = evidence.read_json(LIST_NAME).await.unwrap().unwrap();
        assert_eq!(list, files[..2]);
    }

    #[tokio::test]
    async fn a_missing_file_is_none_and_a_broken_one_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let storage = Arc::new(bcdr_disk::RealStorage::new());
        let evidence = Evidence::new(storage, directory.path().to_owned());
        assert!(
            evidence
                .read_json::<u32>(RECORD_NAME)
                .await
                .unwrap()
                .is_none()
        );
        std::fs::write(directory.path().join(RECORD_NAME), "{").unwrap();
        let error = evidence.read_json::<u32>(RECORD_NAME).await.unwrap_err();
        assert!(error.to_string().contains(RECORD_NAME), "{error}");
    }
}
