//! Requests that may be sent twice: the second gets the first one's job.
//!
//! Owns the remembered keys. Invariants: two requests with one key never both do the work, also
//! when they come at once and when the first one's client goes away in the middle; a key with another
//! request is refused. A key is remembered for a day, or for as long as its keeper has not ended.

use crate::{
    catalog::{Catalog, CatalogError, Document, DocumentRow},
    clock,
    jobs::select,
    offload::offload,
    record_id::{JobId, PlanRunId},
};
use bcdr_format::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

/// The longest key, in characters.
pub(crate) const KEY_LENGTH_MAX: usize = 128;
/// How long a key is remembered, in microseconds.
const KEPT_MICROSECONDS: i64 = 24 * 60 * 60 * 1_000_000;

/// The route of steps of plans.
const STEP_ROUTE: &str = "plan_steps";

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
    /// The run of a plan whose step it is of: it may be asked for again for as long as the run lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<PlanRunId>,
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
    turns: [Arc<tokio::sync::Mutex<()>>; TURNS],
}

/// What a key is for.
pub(crate) enum Attempt {
    /// The first request with this key: do the work, and remember its job together with it.
    First(FirstAttempt),
    /// The work was asked for before; this is its job.
    Repeated(JobId),
}

/// The right to do the work of a key. Without a key it is only that. It belongs to the work, not to
/// the request: whoever begins the work takes it along.
pub(crate) struct FirstAttempt {
    digests: Option<(String, String)>,
    run: Option<PlanRunId>,
    // Others with this key wait until it is remembered or given up.
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Idempotency {
    pub(crate) fn new(catalog: Arc<Catalog>) -> Self {
        Self {
            catalog,
            turns: std::array::from_fn(|_| Arc::default()),
        }
    }

    /// Begins a request on `route` that came with `key`.
    pub(crate) async fn begin(
        &self,
        route: &str,
        key: Option<&str>,
        request: &impl Serialize,
    ) -> Result<Attempt, IdempotencyError> {
        match key {
            Some(key) => self.begin_keyed(route, key, digest(request), None).await,
            None => Ok(Attempt::First(FirstAttempt {
                digests: None,
                run: None,
                _turn: None,
            })),
        }
    }

    /// Begins an attempt of a step of a plan's run. Its key is remembered until the run has ended,
    /// which may wait for days for somebody.
    pub(crate) async fn begin_step(
        &self,
        run: PlanRunId,
        key: &str,
    ) -> Result<Attempt, IdempotencyError> {
        self.begin_keyed(STEP_ROUTE, key, digest(&key), Some(run))
            .await
    }

    async fn begin_keyed(
        &self,
        route: &str,
        key: &str,
        request: String,
        run: Option<PlanRunId>,
    ) -> Result<Attempt, IdempotencyError> {
        let catalog = Arc::clone(&self.catalog);
        let key = digest(&(route, key));
        // One byte of the digest, as two hexadecimal digits.
        let turn = usize::from_str_radix(&key[..2], 16).expect("a digest is hexadecimal");
        let turn = Arc::clone(&self.turns[turn]).lock_owned().await;
        let found: Option<Remembered> = {
            let key = key.clone();
            offload(move || catalog.document(&key)).await?
        };
        match found.filter(|found| !is_old(found, clock::wall())) {
            Some(found) if found.request == request => Ok(Attempt::Repeated(found.job)),
            Some(_) => Err(IdempotencyError::Mismatch),
            None => Ok(Attempt::First(FirstAttempt {
                digests: Some((key, request)),
                run,
                _turn: Some(turn),
            })),
        }
    }

    /// Forgets keys that are past their time, and those of steps of runs that have ended.
    pub(crate) async fn prune(
        &self,
        has_ended: impl Fn(PlanRunId) -> bool + Send + 'static,
    ) -> Result<(), CatalogError> {
        let catalog = Arc::clone(&self.catalog);
        offload(move || {
            let now = clock::wall();
            let old = |kept: &Remembered| match kept.run {
                Some(run) => is_past(kept, now) && has_ended(run),
                None => is_past(kept, now),
            };
            for kept in select(&catalog, None, usize::MAX, old)? {
                catalog.remove_document::<Remembered>(&kept.key)?;
            }
            Ok(())
        })
        .await
    }
}

impl FirstAttempt {
    /// What remembers that this job came of it, to be written in the job's own transaction: a key
    /// without its job, or a job without its key, would let a repeated request do the work twice.
    pub(crate) fn remembers(&self, job: JobId) -> Option<DocumentRow> {
        let (key, request) = self.digests.clone()?;
        Some(DocumentRow::of(&Remembered {
            key,
            request,
            job,
            created_at: clock::wall(),
            run: self.run,
        }))
    }
}

/// Whether a key does not count any more.
fn is_old(kept: &Remembered, now: Timestamp) -> bool {
    kept.run.is_none() && is_past(kept, now)
}

fn is_past(kept: &Remembered, now: Timestamp) -> bool {
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
            run: None,
        };
        keys.catalog.put_document(&old).unwrap();
        let fresh = keys.begin("points", Some("old"), &2).await.unwrap();
        assert!(matches!(fresh, Attempt::First(_)));
        drop(fresh);
        keys.prune(|_| true).await.unwrap();
        assert!(
            keys.catalog
                .document::<Remembered>(&old.key)
                .unwrap()
                .is_none()
        );
    }

    #[tokio::test]
    async fn the_key_of_a_step_is_remembered_for_as_long_as_its_run_lasts() {
        let directory = tempfile::tempdir().unwrap();
        let keys = idempotency(&directory);
        let (run, job) = (
            PlanRunId::generate(Timestamp(1)).unwrap(),
            JobId::generate(Timestamp(1)).unwrap(),
        );
        let Attempt::First(first) = keys.begin_step(run, "db/1").await.unwrap() else {
            panic!("a fresh key was known");
        };
        drop(first);
        let days_ago = Remembered {
            key: digest(&(STEP_ROUTE, "db/1")),
            request: digest(&"db/1"),
            job,
            created_at: Timestamp(0),
            run: Some(run),
        };
        keys.catalog.put_document(&days_ago).unwrap();
        keys.prune(|_| false).await.unwrap();
        let again = keys.begin_step(run, "db/1").await.unwrap();
        assert!(matches!(again, Attempt::Repeated(known) if known == job));
        // Nobody asks again for a step of a run that has ended.
        keys.prune(move |ended| ended == run).await.unwrap();
        let left: Option<Remembered> = keys.catalog.document(&days_ago.key).unwrap();
        assert!(left.is_none());
    }

    #[tokio::test]
    async fn the_right_to_a_key_goes_along_with_the_work() {
        let directory = tempfile::tempdir().unwrap();
        let keys = idempotency(&directory);
        let Attempt::First(first) = keys.begin("points", Some("k"), &1).await.unwrap() else {
            panic!("a fresh key was known");
        };
        let (go_on, told) = tokio::sync::oneshot::channel::<()>();
        let work = tokio::spawn(async move {
            let _first = first;
            told.await.unwrap();
        });
        // The request is gone, its work is not: the second one waits for that.
        let mut second = std::pin::pin!(keys.begin("points", Some("k"), &1));
        let waits = std::future::poll_fn(|context| {
            std::task::Poll::Ready(second.as_mut().poll(context).is_pending())
        });
        assert!(waits.await);
        go_on.send(()).unwrap();
        work.await.unwrap();
        assert!(matches!(second.await.unwrap(), Attempt::First(_)));
    }
}
