//! Where a branch's current bytes are: in memory above a durable view.
//!
//! From the top: the head, the batch that is being committed, what was committed since the view was
//! opened, the view. A batch moves down a layer at a time, so a reader that looks at all of them at
//! one instant sees each write once and in order.

use super::{
    extents::{Extents, Piece},
    head::{Head, Taken},
};
use crate::replica::ViewReader;
use bcdr_format::VolumeNumber;
use std::sync::Arc;

/// The layers.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) head: Head,
    committing: Option<Arc<Taken>>,
    since: Extents,
    batches_since: u64,
    view: Arc<ViewReader>,
}

/// Where the bytes of a range are.
#[derive(Debug)]
pub(super) struct Found {
    /// What memory holds of it, without overlaps and in no order.
    pub(super) pieces: Vec<Piece>,
    /// The ranges to be read from the view, in order.
    pub(super) gaps: Vec<(u64, u64)>,
    /// The view.
    pub(super) view: Arc<ViewReader>,
}

impl Layers {
    pub(super) fn new(head: Head, view: Arc<ViewReader>) -> Self {
        Self {
            head,
            committing: None,
            since: Extents::default(),
            batches_since: 0,
            view,
        }
    }

    /// Looks a range up.
    pub(super) fn find(&self, volume: VolumeNumber, start: u64, end: u64) -> Found {
        let mut pieces = Vec::new();
        let mut gaps = self
            .head
            .extents()
            .fill(volume, &[(start, end)], &mut pieces);
        if let Some(taken) = &self.committing {
            gaps = taken.extents.fill(volume, &gaps, &mut pieces);
        }
        gaps = self.since.fill(volume, &gaps, &mut pieces);
        Found {
            pieces,
            gaps,
            view: Arc::clone(&self.view),
        }
    }

    /// Takes the head, to be committed.
    pub(super) fn take(&mut self) -> Arc<Taken> {
        let taken = Arc::new(self.head.take());
        self.committing = Some(Arc::clone(&taken));
        taken
    }

    /// What was taken is durable.
    pub(super) fn committed(&mut self) {
        if let Some(taken) = self.committing.take() {
            self.since.absorb(&taken.extents);
            self.batches_since += 1;
        }
    }

    /// What is not durable never will be: it is no longer shown.
    pub(super) fn give_up(&mut self) {
        self.committing = None;
        self.head.take();
    }

    /// `view` shows everything that is committed.
    pub(super) fn renew(&mut self, view: Arc<ViewReader>) {
        self.view = view;
        self.since = Extents::default();
        self.batches_since = 0;
    }

    /// Memory of what was committed since the view was opened, in bytes, and in how many batches.
    pub(super) fn since(&self) -> (u64, u64) {
        (self.since.weight(), self.batches_since)
    }

    /// Memory of what is answered and not durable, in bytes.
    pub(super) fn undurable_bytes(&self) -> u64 {
        let committing = self
            .committing
            .as_ref()
            .map_or(0, |taken| taken.extents.weight());
        self.head.extents().weight() + committing
    }
}
