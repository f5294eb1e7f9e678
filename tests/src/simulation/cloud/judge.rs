//! Holding the cloud side to its word: what was told stays true, and every image is a prefix.

use super::{CloudHost, opener::Opener};
use crate::simulation::{
    context::Context,
    oracle::{Bounds, Image, Step},
    stamp::{self, Cell, SECTOR},
};
use bcdr_cloud::{
    receive::{Applied, BatchNumber, Outcome, PointId, PublishedPoint},
    replica::{ChunkCache, StatusKind},
};
use bcdr_format::{Generation, IncarnationOrdinal, MarkerId, Position, Timestamp, VolumeNumber};
use std::{collections::BTreeMap, sync::Arc};

/// One published point, as it was told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged {
    pub(crate) point: PublishedPoint,
    pub(crate) marker: Option<MarkerId>,
}

/// Everything that was told to anybody.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// L3.
    held: Option<Position>,
    /// The newest point.
    published: Option<PublishedPoint>,
    /// Every point, oldest first.
    points: Vec<Judged>,
    pub(super) generation: Option<Generation>,
    /// The end of the last batch that counted.
    last_end: Option<Position>,
    last_time: Option<Timestamp>,
    /// Points whose image the world wants to see.
    due: Vec<Judged>,
    pub(super) disk_armed: bool,
    pub(super) runs_damaged: bool,
}

impl CloudHost {
    /// What a batch did, told for the first time.
    pub(super) fn note_outcome(&mut self, cx: &mut Context, outcome: &Outcome) {
        if self.told.last_end.is_some_and(|last| outcome.end <= last) {
            let last = self.told.last_end;
            cx.violated(format!("batch {:?} counted after {last:?}", outcome.end));
        }
        self.told.last_end = Some(outcome.end);
        if self.told.last_time.is_some_and(|last| outcome.time < last) {
            cx.violated(format!("the time of batch {:?} goes back", outcome.end));
        }
        self.told.last_time = Some(outcome.time);
        if let Applied::Heartbeat { .. } = outcome.applied {
            cx.counters.note("heartbeat batch");
        }
        if let Some(fork) = &outcome.forked {
            if fork.opening.0 < cx.newest_life {
                // The capture has gone on to another life meanwhile.
                cx.counters.note("fork found late");
            }
            cx.trace(|| format!("fork at {:?}: {:?}", outcome.end, outcome.forked));
            cx.counters.note("fork found");
        }
        cx.counters.add("fork healed", outcome.healed.len() as u64);
        match &outcome.marker {
            Some(marker) if marker.point.is_none() => {
                cx.counters.note("marker arrived inside an interval");
            }
            Some(_) => cx.counters.note("marker point published"),
            None => {}
        }
        if let Some(point) = outcome.published {
            cx.trace(|| format!("point {:?} published", point.id));
            cx.counters.note("point published");
            let marker = outcome.marker.as_ref().map(|marker| marker.id);
            let judged = Judged { point, marker };
            self.told.points.push(judged);
            self.told.due.push(judged);
        }
    }

    /// What is durable now is told: from here on it must never go back.
    pub(super) fn note_told(&mut self, cx: &mut Context) {
        let Some(process) = &self.process else { return };
        let state = process.store.durable();
        let (held, published) = (state.held().map(|held| held.position), state.published());
        if held < self.told.held {
            cx.violated(format!(
                "L3 goes back from {:?} to {held:?}",
                self.told.held
            ));
        }
        if published.map(|point| point.id) < self.told.published.map(|point| point.id) {
            cx.violated(format!(
                "the published watermark goes back from {:?} to {published:?}",
                self.told.published
            ));
        }
        self.told.held = held;
        self.told.published = published;
        if held > self.told.last_end {
            // Found again after a crash, before it was told to anybody.
            self.told.last_end = held;
        }
    }

    /// After a start: everything that was told is there.
    pub(super) fn check_kept(&mut self, cx: &mut Context) {
        let Some((_, catalog)) = self.reader() else {
            return;
        };
        let Some(process) = &self.process else { return };
        let state = process.store.durable();
        if let Some(generation) = self.told.generation
            && state.generation() < generation
        {
            let found = state.generation();
            cx.violated(format!(
                "generation {generation} was fenced in, {found} came back"
            ));
        }
        self.note_told(cx);
        let lineage = self.lineage();
        let mut rows = Ok(());
        // The newest ones are those a crash could hit; all of them are checked at the end.
        for told in self.told.points.iter().rev().take(8) {
            rows = rows.and_then(|()| point_is_there(&catalog, lineage, told));
        }
        if !self.disk_is_faulty() {
            cx.check(rows, "after a start of the cloud side");
        }
        // Points that were made durable and never told.
        let newest = self
            .process
            .as_ref()
            .and_then(|process| process.store.durable().published());
        if let Some(point) = newest
            && self
                .told
                .points
                .last()
                .is_none_or(|told| told.point.id < point.id)
        {
            let judged = Judged {
                point,
                marker: None,
            };
            self.told.points.push(judged);
            self.told.due.push(judged);
        }
    }

    /// The points published since this was last asked.
    pub(crate) fn new_points(&mut self) -> Vec<Judged> {
        std::mem::take(&mut self.told.due)
    }

    /// Every point ever told.
    pub(crate) fn points(&self) -> &[Judged] {
        &self.told.points
    }

    /// The newest point told.
    pub(crate) fn published(&self) -> Option<PublishedPoint> {
        self.told.published
    }

    /// Every point told is in the catalog.
    pub(crate) fn check_all_kept(&self, cx: &mut Context) {
        let Some((_, catalog)) = self.reader() else {
            return;
        };
        for told in &self.told.points {
            let there = point_is_there(&catalog, self.lineage(), told);
            cx.check(there, "at the end");
        }
    }

    /// Reads the whole image of a point.
    pub(crate) fn image(&self, number: BatchNumber) -> Result<Image, String> {
        let (reader, catalog) = self.reader().ok_or("the cloud side does not run")?;
        let opener = Arc::new(Opener::new(
            catalog,
            Arc::clone(&self.ids.installation_key),
            self.ids.installation,
        ));
        let cache = Arc::new(ChunkCache::new(1 << 20));
        let view = reader
            .open_view(number, opener, cache)
            .map_err(|error| error.to_string())?;
        let mut image = Vec::new();
        for (volume, shape) in self.settings.volumes.iter().enumerate() {
            let number = VolumeNumber(volume as u16 + 1);
            let length = u64::from(shape.sectors) * SECTOR as u64;
            let ranges = view
                .block_status(number, 0, length)
                .map_err(|error| error.to_string())?;
            let mut cells = Vec::with_capacity(shape.sectors as usize);
            let mut offset = 0;
            for range in ranges {
                if range.kind == StatusKind::Unknown {
                    let unknown = (range.length / SECTOR as u64) as usize;
                    cells.resize(cells.len() + unknown, Cell::Unknown);
                } else {
                    let bytes = view
                        .read(number, offset, range.length as usize)
                        .map_err(|error| error.to_string())?;
                    let first = (offset / SECTOR as u64) as u32;
                    cells.extend(stamp::cells(&bytes, volume, first));
                }
                offset += range.length;
            }
            image.push(cells);
        }
        Ok(Image(image))
    }

    /// Reads a point's image and has the oracle judge it.
    pub(crate) fn judge(
        &mut self,
        cx: &mut Context,
        judged: &Judged,
        openings: &dyn Fn(IncarnationOrdinal) -> Option<Step>,
        markers: &BTreeMap<MarkerId, Step>,
    ) {
        if self.process.is_none() {
            return;
        }
        let PointId(position) = judged.point.id;
        let placed = judged.marker.and_then(|id| markers.get(&id).copied());
        let opened = openings(position.ordinal).unwrap_or_default();
        // A marker's point contains all that had ended when it was placed, and nothing issued later.
        let bounds = Bounds {
            after: opened.max(placed.unwrap_or_default()),
            before: placed,
        };
        let image = match self.image(judged.point.batch) {
            Ok(image) => image,
            Err(reason) if self.disk_is_faulty() => {
                return cx.trace(|| format!("point {position} cannot be read: {reason}"));
            }
            Err(reason) => {
                return cx.violated(format!("point {position} cannot be read: {reason}"));
            }
        };
        if self.told.runs_damaged {
            self.told.runs_damaged = false;
            cx.counters.note("run rebuilt");
        }
        if image.0.iter().flatten().any(|cell| *cell == Cell::Unknown) {
            cx.counters.note("point with unknown ranges");
        }
        cx.counters.note("image checked");
        let checked = cx.oracle.check_image(&image, bounds);
        cx.check(checked, &format!("point {position} is no prefix"));
    }
}

fn point_is_there(
    catalog: &bcdr_cloud::catalog::Catalog,
    lineage: bcdr_cloud::receive::Lineage,
    told: &Judged,
) -> Result<(), String> {
    let row = catalog
        .batch(lineage, told.point.batch)
        .map_err(|error| error.to_string())?;
    let same = row.as_ref().is_some_and(|row| {
        row.published && row.point_id() == told.point.id && row.time == told.point.time
    });
    if same {
        return Ok(());
    }
    Err(format!(
        "published point {:?} is lost; its batch's row is {row:?}",
        told.point
    ))
}
