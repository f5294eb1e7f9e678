//! Requests that may be sent twice: the second gets the first one's job.
//!
//! Owns the remembered keys. Invariant: two requests with one key never both do the work, also
//! when they come at once; a key with another request is refused.

use crate::{
    catalog::{Catalog, CatalogError, Document, DocumentRow},
    clock,
    jobs::select,
    offload::offload,
    record_id::JobId,
};
use bcdr_format::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::MutexGuard;

/// The longest key, in characters.
pub(crate) const KEY_LENGTH_MAX: usize = 128;
/// How long a key is remembered, in microseconds.
const KEPT_MICROSECONDS: i64 = 24 * 60 * 60 * 1_000_000;

/// So many requests with different keys are worked on at once, at most.
const TURNS: usize = 256;

/// A remembered request.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Remembered {
    /// A digest of the route and the key.
    key: String,
    /// A digest of the request.
    request: String,
    /// What came of it.
    job: JobId,
    created_at: Timestamp,
}

impl Document for Remembered {
    const COLLECTION: &'static str = "idempotency";

    fn key(&self) -> String {
        self.key.clone()
    }
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum IdempotencyError {
    /// It was used with another request.
    #[error("the idempotency key was used with another request")]
    Mismatch,
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// All remembered keys.
#[derive(Debug)]
pub(crate) struct Idempotency {
    catalog: Arc<Catalog>,
    /// Requests with one key come one after the other; those with others seldom meet them here.
    turns: [tokio::sync::Mutex<()>; TURNS],
}

/// What a key is for.
pub(crate) enum Attempt<'a> {
    /// The first request with this key: do the work, and remember its job together with it.
    First(FirstAttempt<'a>),
    /// The work was asked for before; this is its job.
    Repeated(JobId),
}

/// The right to do the work of a key. Without a key it is only that.
pub(crate) struct FirstAttempt<'a> {
    digests: Option<(String, String)>,
    // Others with this key wait until it is remembered or given up.
    _turn: Option<MutexGuard<'a, ()>>,
}

impl Idempotency {
    pub(crate) fn new(catalog: Arc<Catalog>) -> Self {
        Self {
            catalog,
            turns: std::array::from_fn(|_| tokio::sync::Mutex::default()),
        }
    }

    /// Begins a request on `route` that came with `key`.
    pub(crate) async fn begin(
        &self,
        route: &str,
        key: Option<&str>,
        request: &impl Serialize,
    ) -> Result<Attempt<'_>, IdempotencyError> {
        let catalog = Arc::clone(&self.catalog);
        let Some(key) = key else {
            return Ok(Attempt::First(FirstAttempt {
                digests: None,
                _turn: None,
            }));
        };
        let key = digest(&(route, key));
        let request = digest(request);
        // One byte of the digest, as two hexadecimal digits.
        let turn = usize::from_str_radix(&key[..2], 16).expect("a digest is hexadecimal");
        let turn = self.turns[turn].lock().await;
        let found: Option<Remembered> = {
            let key = key.clone();
            offload(move || catalog.document(&key)).await?
        };
        match found.filter(|found| !is_old(found, clock::wall())) {
            Some(found) if found.request == request => Ok(Attempt::Repeated(found.job)),
            Some(_) => Err(IdempotencyError::Mismatch),
            None => Ok(Attempt::First(FirstAttempt {
                digests: Some((key, request)),
                _turn: Some(turn),
            })),
        }
    }

    /// Forgets keys that are past their time.
    pub(crate) async fn prune(&self) -> Result<(), CatalogError> {
        let catalog = Arc::clone(&self.catalog);
        offload(move || {
            let now = clock::wall();
            let old = |kept: &Remembered| is_old(kept, now);
            for kept in select(&catalog, None, usize::MAX, old)? {
                catalog.remove_document::<Remembered>(&kept.key)?;
            }
            Ok(())
        })
        .await
    }
}

impl FirstAttempt<'_> {
    /// What remembers that this job came of it, to be written in the job's own transaction: a key
    /// without its job, or a job without its key, would let a repeated request do the work twice.
    pub(crate) fn remembers(&self, job: JobId) -> Option<DocumentRow> {
        let (key, request) = self.digests.clone()?;
        Some(DocumentRow::of(&Remembered {
            key,
            request,
            job,
            created_at: clock::wall(),
        }))
    }
}

fn is_old(kept: &Remembered, now: Timestamp) -> bool {
    now.0.saturating_sub(kept.created_at.0) > KEPT_MICROSECONDS
}

fn digest(value: &impl Serialize) -> String {
    let text = serde_json::to_vec(value).expect("requests came as JSON, so they go back to it");
    blake3::hash(&text).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_disk::RealStorage;

    fn idempotency(directory: &tempfile::TempDir) -> Idempotency {
        let path = directory.path().join("catalog.redb");
        let catalog = Catalog::open_or_create(&RealStorage::new(), &path, 1 << 20).unwrap();
        Idempotency::new(Arc::new(catalog))
    }

    #[tokio::test]
    async fn a_repeated_request_gets_the_first_ones_job() {
        let directory = tempfile::tempdir().unwrap();
        let keys = idempotency(&directory);
        let job = JobId::generate(Timestamp(1)).unwrap();
        let Attempt::First(first) = keys.begin("points", Some("k"), &"body").await.unwrap() else {
            panic!("a fresh key was known");
        };
        let row = first.remembers(job).unwrap();
        keys.catalog.put_documents(&[row]).unwrap();
        drop(first);
        let again = keys.begin("points", Some("k"), &"body").await.unwrap();
        assert!(matches!(again, Attempt::Repeated(known) if known == job));
        let other = keys.begin("points", Some("k"), &"other").await;
        assert!(matches!(other, Err(IdempotencyError::Mismatch)));
        let elsewhere = keys.begin("drills", Some("k"), &"body").await.unwrap();
        assert!(matches!(elsewhere, Attempt::First(_)));
        drop(elsewhere);
        assert!(matches!(
            keys.begin("points", None, &"body").await.unwrap(),
            Attempt::First(_)
        ));
    }

    #[tokio::test]
    async fn a_given_up_attempt_leaves_its_key_free_and_old_keys_go() {
        let directory = tempfile::tempdir().unwrap();
        let keys = idempotency(&directory);
        drop(keys.begin("points", Some("k"), &1).await.unwrap());
        let again = keys.begin("points", Some("k"), &2).await.unwrap();
        assert!(matches!(again, Attempt::First(_)));
        drop(again);
        let old = Remembered {
            key: digest(&("points", "old")),
            request: digest(&1),
            job: JobId::generate(Timestamp(1)).unwrap(),
            created_at: Timestamp(0),
        };
        keys.catalog.put_document(&old).unwrap();
        let fresh = keys.begin("points", Some("old"), &2).await.unwrap();
        assert!(matches!(fresh, Attempt::First(_)));
        drop(fresh);
        keys.prune().await.unwrap();
        assert!(
            keys.catalog
                .document::<Remembered>(&old.key)
                .unwrap()
                .is_none()
        );
    }
}
