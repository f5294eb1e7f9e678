//! All branches: making, opening, finding and removing them.
//!
//! Owns the records. Invariants: a branch's record is durable before its files are made, and says
//! that it is ready only after its first point is; it says that it is being removed before anything
//! is removed, and goes last. So whatever a crash interrupts is finished or undone at the next
//! start, and no files are left that no record names. A branch that another one lies above is not
//! removed. All calls block.

use crate::{
    branch::{
        Branch, BranchBase, BranchError, BranchId, BranchReason, BranchRecord, BranchSettings,
        BranchState, OpenBranchError,
    },
    catalog::CatalogError,
    clock,
    receive::{BatchNumber, Lineage},
    record_id::random,
    replica::{LineageReader, ViewError, ViewReader, remove_files},
};
use bcdr_disk::DiskError;
use bcdr_format::StreamId;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use thiserror::Error;

/// Branches of one installation at a time.
pub const BRANCHES_MAX: usize = 256;

/// Where the image that a branch is to begin as is kept.
#[derive(Debug, Clone)]
pub enum BaseImage {
    /// In a group's replica.
    Replica(Arc<LineageReader>),
    /// In another branch.
    Branch(BranchId),
}

/// A branch as others see it.
#[derive(Debug, Clone)]
pub struct KnownBranch {
    /// Its record.
    pub record: BranchRecord,
    /// The branch, or why it cannot be used by this process.
    pub branch: Result<Arc<Branch>, Arc<str>>,
}

/// Why a branch was not made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CreateBranchError {
    /// There are as many as there may be.
    #[error("there are {BRANCHES_MAX} branches, which is the most: remove one that is not needed")]
    TooMany,
    /// The base is a branch that does not exist or cannot be used.
    #[error("branch {branch} cannot be the base of another: it does not exist or is not open")]
    NoBase {
        /// The branch.
        branch: BranchId,
    },
    /// The batch is none, or its end is no point.
    #[error("batch {batch} of lineage {lineage} does not end at a recovery point: choose a point")]
    NoPoint {
        /// The lineage.
        lineage: Lineage,
        /// The batch.
        batch: BatchNumber,
    },
    /// The base could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// It could not be opened; nothing of it is left, or will be after the next start.
    #[error(transparent)]
    Open(#[from] Box<OpenBranchError>),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The system gave no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

/// Why a branch was not sealed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SealBranchError {
    /// It does not exist.
    #[error("there is no branch {branch}")]
    Unknown {
        /// The branch.
        branch: BranchId,
    },
    /// It could not be flushed.
    #[error(transparent)]
    Branch(#[from] BranchError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// Why a branch was not removed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RemoveBranchError {
    /// Another branch lies above it.
    #[error("branch {above} lies above branch {branch}: remove that one first")]
    IsBase {
        /// The branch to be removed.
        branch: BranchId,
        /// The one above it.
        above: BranchId,
    },
    /// A file could not be removed; the next start tries again.
    #[error("the files of a branch cannot be removed: {0}")]
    Files(#[from] DiskError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// All branches.
#[derive(Debug)]
pub struct Branches {
    settings: BranchSettings,
    known: Mutex<BTreeMap<BranchId, KnownBranch>>,
    /// Held while a branch is made or removed, so that no base goes while something is put above it.
    changing: Mutex<()>,
}

impl Branches {
    /// No branches yet; [`Self::open_all`] finds those of earlier processes.
    pub fn new(settings: BranchSettings) -> Self {
        Self {
            settings,
            known: Mutex::new(BTreeMap::new()),
            changing: Mutex::new(()),
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<BranchId, KnownBranch>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the branches of earlier processes, and finishes what these left half made or half
    /// removed. `replica` gives the reading side of a group's own lineage.
    ///
    /// A branch that cannot be opened is kept and shown with the reason.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn open_all(
        &self,
        replica: impl Fn(Lineage) -> Option<Arc<LineageReader>>,
    ) -> Result<(), CatalogError> {
        let _one = self.changing();
        let mut waiting = Vec::new();
        for record in self.records()? {
            match record.state {
                BranchState::Ready | BranchState::Sealed => waiting.push(record),
                BranchState::Making | BranchState::Removing => {
                    if let Err(error) = self.erase(&record) {
                        tracing::error!(branch = %record.id, %error, "what is left of a branch cannot be removed");
                    }
                }
            }
        }
        // A branch opens after the one it lies above; a round that opens none leaves the rest.
        loop {
            let before = waiting.len();
            waiting.retain(|record| {
                let Some(reader) = self.reader_of(record.base.lineage, &replica) else {
                    return true;
                };
                let branch = self.open_above(&reader, record.clone());
                let branch = branch.map(Arc::new).map_err(|error| {
                    tracing::error!(branch = %record.id, %error, "a branch cannot be opened");
                    Arc::from(error.to_string())
                });
                self.note(record.clone(), branch);
                false
            });
            if waiting.len() == before {
                break;
            }
        }
        for record in waiting {
            let lineage = record.base.lineage;
            let reason = format!("its base, lineage {lineage}, cannot be opened");
            tracing::error!(branch = %record.id, reason, "a branch cannot be opened");
            self.note(record, Err(reason.into()));
        }
        Ok(())
    }

    fn records(&self) -> Result<Vec<BranchRecord>, CatalogError> {
        self.settings.catalog.documents(None, usize::MAX)
    }

    fn note(&self, record: BranchRecord, branch: Result<Arc<Branch>, Arc<str>>) {
        let id = record.id;
        self.known().insert(id, KnownBranch { record, branch });
    }

    /// The reading side of a lineage: another branch's, or a group's own.
    fn reader_of(
        &self,
        lineage: Lineage,
        replica: &impl Fn(Lineage) -> Option<Arc<LineageReader>>,
    ) -> Option<BaseReader> {
        let of_branch = self
            .known()
            .values()
            .filter(|known| known.record.lineage == lineage)
            .find_map(|known| known.branch.clone().ok());
        of_branch
            .map(BaseReader::Branch)
            .or_else(|| replica(lineage).map(BaseReader::Replica))
    }

    fn open_above(
        &self,
        base: &BaseReader,
        record: BranchRecord,
    ) -> Result<Branch, OpenBranchError> {
        let base = base.view(&self.settings, record.base.batch)?;
        Branch::open(&self.settings, record, base)
    }

    /// Makes a branch that begins as the end of `batch` of `base`; durable and usable on return.
    ///
    /// # Errors
    /// When there is no such point, or the branch cannot be made.
    pub fn create(
        &self,
        base: BaseImage,
        batch: BatchNumber,
        reason: BranchReason,
    ) -> Result<Arc<Branch>, CreateBranchError> {
        self.create_for(base, batch, reason, None)
    }

    /// The same, for the one of this name; [`Self::made_for`] finds it again.
    ///
    /// # Errors
    /// When there is no such point, or the branch cannot be made.
    pub fn create_for(
        &self,
        base: BaseImage,
        batch: BatchNumber,
        reason: BranchReason,
        made_for: Option<String>,
    ) -> Result<Arc<Branch>, CreateBranchError> {
        let _one = self.changing();
        if self.known().len() >= BRANCHES_MAX {
            return Err(CreateBranchError::TooMany);
        }
        let base = match base {
            BaseImage::Replica(reader) => BaseReader::Replica(reader),
            BaseImage::Branch(id) => self
                .get(id)
                .map(BaseReader::Branch)
                .ok_or(CreateBranchError::NoBase { branch: id })?,
        };
        let record = self.new_record(base.lineage(), batch, reason, made_for)?;
        self.settings.catalog.put_document(&record)?;
        let made = self
            .open_above(&base, record.clone())
            .map_err(|error| CreateBranchError::from(Box::new(error)))
            .and_then(|branch| {
                let ready = BranchRecord {
                    state: BranchState::Ready,
                    ..record.clone()
                };
                self.settings.catalog.put_document(&ready)?;
                Ok((branch, ready))
            });
        match made {
            Ok((branch, ready)) => {
                tracing::info!(branch = %ready.id, base = %ready.base.lineage, %batch, "branch made");
                let branch = Arc::new(branch);
                self.note(ready, Ok(Arc::clone(&branch)));
                Ok(branch)
            }
            Err(error) => {
                if let Err(left) = self.erase(&record) {
                    tracing::warn!(branch = %record.id, error = %left, "a half-made branch is removed at the next start");
                }
                Err(error)
            }
        }
    }

    fn new_record(
        &self,
        base: Lineage,
        batch: BatchNumber,
        reason: BranchReason,
        made_for: Option<String>,
    ) -> Result<BranchRecord, CreateBranchError> {
        let catalog = &self.settings.catalog;
        let row = catalog
            .batch(base, batch)?
            .filter(|row| row.published)
            .ok_or(CreateBranchError::NoPoint {
                lineage: base,
                batch,
            })?;
        let now = clock::wall();
        let milliseconds = u64::try_from(now.0 / 1000).unwrap_or(0);
        Ok(BranchRecord {
            id: BranchId::generate(now)?,
            lineage: Lineage {
                group: base.group,
                stream: StreamId::from_parts(milliseconds, random()?),
            },
            base: BranchBase {
                lineage: base,
                batch,
                point: row.point_id(),
            },
            reason,
            made_for,
            created_at: now,
            state: BranchState::Making,
            generation: catalog.generation(base.group)?,
        })
    }

    /// The branch that was made for the one of this name and can be used.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn made_for(&self, name: &str) -> Result<Option<BranchId>, CatalogError> {
        // One that is being made is waited for.
        let _one = self.changing();
        let made = |record: &BranchRecord| {
            record.made_for.as_deref() == Some(name)
                && matches!(record.state, BranchState::Ready | BranchState::Sealed)
        };
        let found = self.records()?.into_iter().find(made);
        Ok(found.map(|record| record.id))
    }

    /// Makes everything written to a branch durable and keeps it as evidence, for good.
    ///
    /// # Errors
    /// When it cannot be flushed, or that it is kept cannot be made durable.
    pub fn seal(&self, id: BranchId) -> Result<(), SealBranchError> {
        let _one = self.changing();
        let Some(known) = self.known_branch(id) else {
            return Err(SealBranchError::Unknown { branch: id });
        };
        if known.record.state == BranchState::Sealed {
            return Ok(());
        }
        // One that cannot be used takes no writes either, and keeps what it has.
        if let Ok(branch) = &known.branch {
            branch.flush()?;
        }
        let record = BranchRecord {
            state: BranchState::Sealed,
            ..known.record
        };
        self.settings.catalog.put_document(&record)?;
        self.note(record, known.branch);
        tracing::info!(branch = %id, "branch sealed");
        Ok(())
    }

    /// The read-only image at the end of `batch` of `base`.
    ///
    /// # Errors
    /// When it cannot be read, or the base is a branch that is not open.
    pub fn image(
        &self,
        base: &BaseImage,
        batch: BatchNumber,
    ) -> Result<Arc<ViewReader>, CreateBranchError> {
        let base = match base {
            BaseImage::Replica(reader) => BaseReader::Replica(Arc::clone(reader)),
            BaseImage::Branch(id) => self
                .get(*id)
                .map(BaseReader::Branch)
                .ok_or(CreateBranchError::NoBase { branch: *id })?,
        };
        Ok(base.view(&self.settings, batch)?)
    }

    /// A branch, also one that cannot be used.
    pub fn known_branch(&self, id: BranchId) -> Option<KnownBranch> {
        self.known().get(&id).cloned()
    }

    /// An open branch.
    pub fn get(&self, id: BranchId) -> Option<Arc<Branch>> {
        self.known().get(&id)?.branch.clone().ok()
    }

    /// The branch whose own history this is, also one that cannot be used.
    pub fn of_lineage(&self, lineage: Lineage) -> Option<KnownBranch> {
        let known = self.known();
        let mut all = known.values();
        all.find(|known| known.record.lineage == lineage).cloned()
    }

    /// All branches, oldest first, those that cannot be used included.
    pub fn all(&self) -> Vec<KnownBranch> {
        self.known().values().cloned().collect()
    }

    /// Removes a branch with its history; nothing of it is left on return. Says whether there was
    /// one. Whoever still holds it finds it closed.
    ///
    /// # Errors
    /// When another branch lies above it, or it cannot be removed for now.
    pub fn remove(&self, id: BranchId) -> Result<bool, RemoveBranchError> {
        let _one = self.changing();
        let Some(known) = self.known().get(&id).cloned() else {
            return Ok(false);
        };
        let lineage = known.record.lineage;
        let above = self
            .records()?
            .into_iter()
            .find(|other| other.base.lineage == lineage);
        if let Some(above) = above {
            return Err(RemoveBranchError::IsBase {
                branch: id,
                above: above.id,
            });
        }
        let record = BranchRecord {
            state: BranchState::Removing,
            ..known.record
        };
        self.settings.catalog.put_document(&record)?;
        if let Ok(branch) = &known.branch {
            branch.close();
        }
        self.known().insert(
            id,
            KnownBranch {
                record: record.clone(),
                branch: Err("it is being removed".into()),
            },
        );
        self.erase(&record)?;
        self.known().remove(&id);
        tracing::info!(branch = %id, "branch removed");
        Ok(true)
    }

    /// Removes files, rows and, last, the record that names them.
    fn erase(&self, record: &BranchRecord) -> Result<(), RemoveBranchError> {
        let directory = self
            .settings
            .replicas
            .join(record.lineage.stream.to_string());
        remove_files(&*self.settings.storage, &directory)?;
        self.settings.catalog.forget_lineage(record.lineage)?;
        let key = record.id.to_string();
        self.settings
            .catalog
            .remove_document::<BranchRecord>(&key)?;
        Ok(())
    }

    /// Makes everything answered durable and closes all branches, the newest first. The records
    /// stay, so the next process opens the same ones.
    pub fn close(&self) {
        let all = std::mem::take(&mut *self.known());
        for known in all.values().rev() {
            if let Ok(branch) = &known.branch {
                branch.close();
            }
        }
    }
}

/// A lineage that is open here.
enum BaseReader {
    Replica(Arc<LineageReader>),
    Branch(Arc<Branch>),
}

impl BaseReader {
    fn lineage(&self) -> Lineage {
        match self {
            Self::Replica(reader) => reader.lineage(),
            Self::Branch(branch) => branch.record().lineage,
        }
    }

    fn view(
        &self,
        settings: &BranchSettings,
        batch: BatchNumber,
    ) -> Result<Arc<ViewReader>, ViewError> {
        match self {
            Self::Replica(reader) => {
                let (opener, cache) = (Arc::clone(&settings.opener), Arc::clone(&settings.cache));
                Ok(Arc::new(reader.open_view(batch, opener, cache)?))
            }
            Self::Branch(branch) => branch.view(batch),
        }
    }
}
