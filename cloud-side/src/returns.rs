//! Returns: a point is given back to the disks of its source, and what these hold instead is taken.
//!
//! Who leads a recovery offers a point under the id of a restore, and withdraws it; whoever has the
//! disks asks for it over a stream of `bcdr_wire::restore`. An offer with a branch to keep things in
//! is answered from that branch as it is at the moment, so that comparing again after a break finds
//! only what is still missing, and its digest is that of what was kept. Invariants: nothing is
//! answered under a generation that has passed, nor to a capture of another group; answers come in
//! the order of the requests; what is under way for one stream, and read for all of them together,
//! is bounded.
//!
//! Where is what: [`history`]: which ranges differ between two points; `answer`: one request and its
//! answer; `digest`: digests of whole volumes; [`seam`]: where the group's own history ends;
//! `session`: a stream. It decides nothing about when a
//! point is given back, and keeps nothing durable: who offers does so again after a start.

mod answer;
mod contents;
mod digest;
pub mod history;
mod progress;
pub mod seam;
mod session;

pub use history::Histories;
pub use progress::ReturnProgress;
pub use session::ServeError;
pub(crate) use session::send;

use crate::{branch::Branch, catalog::Catalog, replica::ViewReader};
use bcdr_format::{Generation, GroupId, RestoreId, VolumeId, record::Member};
use bcdr_wire::restore::{PointName, Refusal, RefusalKind, TEXT_BYTES_MAX};
use contents::Contents;
use digest::Digests;
use progress::Counters;
use seam::EndNow;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Semaphore;

/// Requests that are worked on at a time, of all streams together.
const WORKERS: usize = 4;

/// What is given back, and to what extent.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The point.
    pub point: PointName,
    /// The generation under which it is given back; a later one ends it.
    pub generation: Generation,
    /// The volumes to be given back; the point has each of them.
    pub volumes: Vec<Member>,
    /// The point's image.
    pub image: Arc<ViewReader>,
    /// The histories in which points that disks may hold are looked up.
    pub histories: Histories,
    /// A branch that began as the point, in which is kept what the disks hold instead. With it the
    /// offer is one to compare with and to send to.
    pub sink: Option<Arc<Branch>>,
    /// Where the group's own history ends, for disks whose stream is to go on there.
    pub end: Option<EndNow>,
}

/// Why a point cannot be offered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// It has not what is to be given back.
    #[error(
        "{volume} with {size_bytes} bytes is not in {what}: offer volumes that the point has, as it has them"
    )]
    Volume {
        /// The volume.
        volume: VolumeId,
        /// Its size in bytes.
        size_bytes: u64,
        /// What does not have it.
        what: &'static str,
    },
    /// There is nothing to give back.
    #[error("an offer of no volumes: name those that are to be given back")]
    Nothing,
}

/// An offer and what became of it.
#[derive(Debug)]
pub(crate) struct Offered {
    group: GroupId,
    offer: Offer,
    catalog: Arc<Catalog>,
    contents: Contents,
    digests: Digests,
    counters: Counters,
    withdrawn: Arc<AtomicBool>,
}

/// Everything that is offered.
#[derive(Debug)]
pub struct Returns {
    catalog: Arc<Catalog>,
    offers: Mutex<BTreeMap<RestoreId, Arc<Offered>>>,
    workers: Arc<Semaphore>,
}

impl Returns {
    /// Nothing is offered yet. The catalog knows the generations.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self {
            catalog,
            offers: Mutex::default(),
            workers: Arc::new(Semaphore::new(WORKERS)),
        }
    }

    fn offers(&self) -> MutexGuard<'_, BTreeMap<RestoreId, Arc<Offered>>> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers a point to the captures of `group`. The same offer again changes nothing; another one
    /// takes its place.
    ///
    /// # Errors
    /// If the point or the branch does not have the volumes.
    pub fn offer(&self, id: RestoreId, group: GroupId, offer: Offer) -> Result<(), OfferError> {
        if offer.volumes.is_empty() {
            return Err(OfferError::Nothing);
        }
        check(&offer.volumes, offer.image.volumes(), "the point")?;
        if let Some(sink) = &offer.sink {
            check(&offer.volumes, sink.volumes(), "the branch")?;
        }
        let mut offers = self.offers();
        if let Some(known) = offers.get(&id)
            && known.is_same(group, &offer)
        {
            return Ok(());
        }
        tracing::info!(restore = %id, %group, point = %offer.point, "a point is offered");
        let offered = Arc::new(Offered::new(group, offer, Arc::clone(&self.catalog)));
        if let Some(old) = offers.insert(id, offered) {
            old.withdraw();
        }
        Ok(())
    }

    /// Takes an offer back; streams that use it hear so at their next request. Says whether there
    /// was one.
    pub fn withdraw(&self, id: RestoreId) -> bool {
        let old = self.offers().remove(&id);
        if let Some(old) = &old {
            tracing::info!(restore = %id, "an offer is withdrawn");
            old.withdraw();
        }
        old.is_some()
    }

    /// How far an offer got; none if there is no such offer.
    #[must_use]
    pub fn progress(&self, id: RestoreId) -> Option<ReturnProgress> {
        Some(self.offers().get(&id)?.counters.progress())
    }

    fn find(&self, id: RestoreId, group: GroupId) -> Result<Arc<Offered>, Refusal> {
        self.offers()
            .get(&id)
            .filter(|offered| offered.group == group)
            .cloned()
            .ok_or_else(|| unknown(id))
    }
}

/// What still computes digests stops.
impl Drop for Returns {
    fn drop(&mut self) {
        self.offers()
            .values()
            .for_each(|offered| offered.withdraw());
    }
}

impl Offered {
    fn new(group: GroupId, offer: Offer, catalog: Arc<Catalog>) -> Self {
        let withdrawn = Arc::new(AtomicBool::new(false));
        let contents = match &offer.sink {
            Some(branch) => Contents::Kept(Arc::clone(branch)),
            None => Contents::Image(Arc::clone(&offer.image)),
        };
        Self {
            digests: Digests::new(
                contents.clone(),
                offer.volumes.clone(),
                Arc::clone(&withdrawn),
            ),
            group,
            contents,
            catalog,
            counters: Counters::default(),
            withdrawn,
            offer,
        }
    }

    fn is_same(&self, group: GroupId, offer: &Offer) -> bool {
        let sink = |offer: &Offer| offer.sink.as_ref().map(|branch| branch.id());
        self.group == group
            && self.offer.point == offer.point
            && self.offer.generation == offer.generation
            && self.offer.volumes == offer.volumes
            && sink(&self.offer) == sink(offer)
    }

    fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Relaxed);
    }

    /// Whether it still holds, and its generation with it. Reads the catalog.
    fn check_valid(&self, id: RestoreId) -> Result<(), Refusal> {
        if self.withdrawn.load(Ordering::Relaxed) {
            return Err(unknown(id));
        }
        let offered = self.offer.generation;
        let current = self
            .catalog
            .generation(self.group)
            .map_err(|error| refusal(RefusalKind::NotReady, error.to_string()))?;
        if offered < current {
            let reason = format!(
                "restore {id} was ordered under generation {offered}, and generation {current} has begun"
            );
            return Err(refusal(RefusalKind::Fenced, reason));
        }
        Ok(())
    }

    /// The volume as it is offered.
    fn volume(&self, id: VolumeId) -> Result<Member, Refusal> {
        let found = self.offer.volumes.iter().find(|member| member.id == id);
        found.copied().ok_or_else(|| {
            let reason = format!("{id} is not among the volumes of this restore");
            refusal(RefusalKind::UnknownVolume, reason)
        })
    }
}

fn check(wanted: &[Member], present: &[Member], what: &'static str) -> Result<(), OfferError> {
    let missing = wanted.iter().find(|member| !present.contains(member));
    match missing {
        None => Ok(()),
        Some(member) => Err(OfferError::Volume {
            volume: member.id,
            size_bytes: member.size_bytes,
            what,
        }),
    }
}

fn unknown(id: RestoreId) -> Refusal {
    let reason = format!("restore {id} is not offered here");
    refusal(RefusalKind::UnknownRestore, reason)
}

/// A refusal whose words fit into a message.
fn refusal(kind: RefusalKind, mut reason: String) -> Refusal {
    if reason.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX)
            .rev()
            .find(|end| reason.is_char_boundary(*end));
        reason.truncate(end.unwrap_or(0));
    }
    Refusal { kind, reason }
}
