//! A group's state directory at its start: the journal, the intent ring, and doing without them.
//!
//! Invariants: whatever is wrong with the state's device, this returns, and the volumes are served;
//! what an earlier process left there is never trusted by a later start after this one went without
//! it: a ring that could not be used is removed before anything is journaled again, and one whose
//! journal could not be had proves nothing until a life that reads everything has begun.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bcdr_disk::{DiskError, Storage};
use bcdr_format::{IncarnationOrdinal, Position, Sequence, record::Member};

use crate::{
    intent::{BootId, IntentRing, IntentsFound, Unproven},
    journal::{Journal, JournalIdentity, JournalSettings, RecoverError, Recovered},
    journal_thread::{JournalSupply, WantedJournal},
};

/// Where a group's state is, and what belongs into it.
pub(super) struct Places {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) directory: PathBuf,
    pub(super) journal: PathBuf,
    pub(super) identity: JournalIdentity,
    pub(super) settings: JournalSettings,
    pub(super) members: Vec<Member>,
}

/// What a group begins with.
pub(super) struct GroupState {
    pub(super) intents: IntentRing,
    pub(super) found: IntentsFound,
    pub(super) journal: JournalSupply,
    pub(super) recovered: Recovered,
    /// The highest life and sequence of a journal that was put aside because the disks were restored.
    pub(super) put_aside: Position,
}

/// Nothing is known.
const NOWHERE: Position = Position::new(IncarnationOrdinal(0), Sequence(0));

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
enum Want {
    #[error(transparent)]
    Recover(#[from] RecoverError),
    #[error("cannot use the state directory: {0}")]
    State(#[from] DiskError),
}

/// Opens what there is. Of disks that are known to be `restored` since, no journal tells: what it still holds
/// was overwritten, and must not be fed into a history that it is no part of.
pub(super) fn open(places: Places, slots: u64, boot: BootId, restored: bool) -> GroupState {
    let path = places.directory.join("intents");
    let storage = Arc::clone(&places.storage);
    let opened = storage
        .create_directory_all(&places.directory)
        .and_then(|()| IntentRing::open(&*storage, &path, slots, boot));
    let (mut intents, found, stale_ring) = match opened {
        Ok((ring, found)) => (ring, found, None),
        Err(error) => {
            tracing::error!(
                %error,
                "no intent ring can be had; until the capture is started again, a kill costs a \
                 full compare"
            );
            let found = IntentsFound::Unproven(Unproven::Missing);
            (IntentRing::in_memory(slots), found, Some(path))
        }
    };
    let recovered = if restored {
        let journal = places.empty_journal(stale_ring.as_deref());
        journal.map(|(journal, before)| (journal, Recovered::default(), before))
    } else {
        let recovered = places.recover(stale_ring.as_deref());
        recovered.map(|(journal, recovered)| (journal, recovered, NOWHERE))
    };
    match recovered {
        Ok((journal, recovered, put_aside)) => GroupState {
            put_aside,
            intents,
            found,
            journal: JournalSupply::Ready(Box::new(journal)),
            recovered,
        },
        Err(error) => {
            // The journal may be back at the next start, and the ring must not speak for it then.
            intents.distrust();
            let wanted = WantedJournal {
                reason: error.to_string(),
                attempt: Box::new(move || {
                    places
                        .empty_journal(stale_ring.as_deref())
                        .map(|(journal, _)| journal)
                        .map_err(|error| error.to_string())
                }),
            };
            GroupState {
                intents,
                found,
                journal: JournalSupply::Wanting(wanted),
                recovered: Recovered::default(),
                put_aside: NOWHERE,
            }
        }
    }
}

impl Places {
    /// Recovers the journal. One that is of no use is put aside, and an empty one taken: volumes are
    /// served, and everything is compared.
    fn recover(&self, stale_ring: Option<&Path>) -> Result<(Journal, Recovered), Want> {
        if let Some(path) = stale_ring
            && self.storage.exists(path)?
        {
            self.storage.remove(path)?;
            self.storage.sync_directory(&self.directory)?;
        }
        let recover = || {
            Journal::recover(
                Arc::clone(&self.storage),
                &self.journal,
                self.identity,
                self.settings,
            )
        };
        let (mut journal, recovered) = match recover() {
            Err(error) if error.is_lasting() => {
                tracing::error!(%error, "the journal cannot be used; everything is compared");
                self.put_aside()?;
                recover()?
            }
            other => other?,
        };
        journal.set_members(self.members.clone());
        Ok((journal, recovered))
    }

    /// A journal for a group that went without one for a while. What the old one holds does not
    /// lead to what is on the disks now, so it is put aside; how far it went is said.
    fn empty_journal(&self, stale_ring: Option<&Path>) -> Result<(Journal, Position), Want> {
        self.storage.create_directory_all(&self.directory)?;
        let (journal, recovered) = self.recover(stale_ring)?;
        let Some(newest) = recovered.newest else {
            return Ok((journal, NOWHERE));
        };
        drop(journal);
        self.put_aside()?;
        let before = Position::new(newest.opening.ordinal, recovered.last_sequence);
        Ok((self.recover(stale_ring)?.0, before))
    }

    /// Renames the journal's directory, in place of one that was put aside before.
    fn put_aside(&self) -> Result<(), DiskError> {
        let storage = &*self.storage;
        let aside = self.journal.with_extension("damaged");
        tracing::error!(aside = %aside.display(), "the journal is put aside");
        if storage.exists(&aside)? {
            for name in storage.list(&aside)? {
                storage.remove(&aside.join(name))?;
            }
        }
        storage.rename(&self.journal, &aside)?;
        storage.sync_directory(self.journal.parent().unwrap_or(&self.journal))
    }
}
