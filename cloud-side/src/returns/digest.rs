//! Digests of whole volumes at an offered point.
//!
//! A point never changes, so each is computed once, on a thread of its own that begins when the
//! point is first asked about and reads while the asker does: at the end of a restore it is there.
//! Invariant: what `bcdr_wire::restore` calls a volume's digest, of exactly the offered contents.

use super::{contents::Contents, refusal};
use bcdr_format::{VolumeId, record::Member};
use bcdr_wire::restore::{ByteRange, Digest, Refusal, RefusalKind, VolumeHasher};
use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::watch;

type Known = BTreeMap<VolumeId, Result<Digest, Refusal>>;

/// The digests of an offer's volumes.
#[derive(Debug)]
pub(super) struct Digests {
    contents: Contents,
    volumes: Vec<Member>,
    stop: Arc<AtomicBool>,
    begun: AtomicBool,
    known: watch::Sender<Known>,
}

impl Digests {
    pub(super) fn new(contents: Contents, volumes: Vec<Member>, stop: Arc<AtomicBool>) -> Self {
        Self {
            contents,
            volumes,
            stop,
            begun: AtomicBool::new(false),
            known: watch::Sender::default(),
        }
    }

    /// Has them computed, if that has not begun. Not for contents that change.
    pub(super) fn begin(&self) {
        if self.begun.swap(true, Ordering::Relaxed) {
            return;
        }
        let (contents, volumes) = (self.contents.clone(), self.volumes.clone());
        let (stop, known) = (Arc::clone(&self.stop), self.known.clone());
        let thread = std::thread::Builder::new()
            .name("return digest".to_owned())
            .spawn(move || {
                for volume in volumes {
                    let Some(digest) = of_volume(&contents, &volume, &stop).transpose() else {
                        return;
                    };
                    known.send_modify(|known| {
                        known.insert(volume.id, digest);
                    });
                }
            });
        if let Err(error) = thread {
            tracing::error!(%error, "the thread for a point's digests cannot be started");
            self.begun.store(false, Ordering::Relaxed);
        }
    }

    /// The digest of a volume of an image; waits until it is computed.
    pub(super) async fn of_image(&self, volume: VolumeId) -> Result<Digest, Refusal> {
        self.begin();
        let not_ready = |reason: &str| refusal(RefusalKind::NotReady, reason.to_owned());
        if !self.begun.load(Ordering::Relaxed) {
            return Err(not_ready(
                "the digests of the point cannot be computed for want of a thread",
            ));
        }
        let mut known = self.known.subscribe();
        let found = known.wait_for(|known| known.contains_key(&volume)).await;
        match found.ok().and_then(|known| known.get(&volume).cloned()) {
            Some(digest) => digest,
            None => Err(not_ready("the restore is being withdrawn")),
        }
    }

    /// The digest of a volume as it is at the moment. Blocks for as long as reading it takes.
    pub(super) fn now(&self, volume: &Member) -> Result<Digest, Refusal> {
        let digest = of_volume(&self.contents, volume, &self.stop)?;
        digest.ok_or_else(|| {
            let reason = "the restore is being withdrawn".to_owned();
            refusal(RefusalKind::NotReady, reason)
        })
    }
}

/// None: it was stopped.
fn of_volume(
    contents: &Contents,
    volume: &Member,
    stop: &AtomicBool,
) -> Result<Option<Digest>, Refusal> {
    let mut hasher = VolumeHasher::new(volume.size_bytes);
    let whole = ByteRange {
        offset: 0,
        length: volume.size_bytes,
    };
    let mut stopped = false;
    contents.digests(volume.number, whole, &mut |block| {
        hasher.push(block);
        stopped = stop.load(Ordering::Relaxed);
        if stopped {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    Ok((!stopped).then(|| hasher.finish()))
}
