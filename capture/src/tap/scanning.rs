//! The tap's side of the scan: when to read, and turning what was read into records.
//!
//! Invariants: no read begins while a write is in flight that has no record in this life; the
//! record of a piece is sequenced in the step its read completed in; the interval ends only after
//! every byte was read. The scan gives way: to a journal more than half full, to a feed that is
//! behind, and to clients' writes that wait.

use super::{
    action::{Action, BackingAction, BackingId, BackingOperation, BackingResult},
    core::{InFlight, TapCore},
    ladder::Pressure,
    scan::Scan,
};
use crate::{Moment, StreamBody, start::SyncScope};
use bcdr_format::sync::SyncEvent;

impl TapCore {
    /// Sets up the scan of a life's opening interval.
    pub(super) fn prepare_scan(&mut self, scope: &SyncScope) {
        let areas: Vec<_> = match scope {
            SyncScope::Everything => self
                .volumes
                .values()
                .map(|state| (state.volume.number, 0, state.volume.size_bytes))
                .collect(),
            SyncScope::Ranges(ranges) => ranges
                .iter()
                .map(|range| (range.volume, range.offset, range.end()))
                .collect(),
        };
        let units = self
            .volumes
            .values()
            .map(|state| state.volume.io_unit_bytes);
        let chunk = self
            .settings
            .scan_chunk_bytes
            .min(self.settings.record_bytes_max);
        let unit = units.max().unwrap_or(chunk);
        self.scan = Some(Scan::new(areas, chunk, unit, self.settings.scan_retry));
        self.scan_barred = true;
    }

    /// Reads on, or ends the interval when everything was read.
    pub(super) fn scan_on(&mut self, now: Moment) {
        if self.scan.is_none() || self.scan_must_wait() {
            return;
        }
        if self.scan_barred {
            if self.foreign_writes_in_flight(self.start.opening.ordinal) {
                return;
            }
            self.scan_barred = false;
        }
        while let Some(scan) = &mut self.scan
            && scan.reads_in_flight() < self.settings.scan_reads
            && let Some(next) = scan.next_read(now.monotonic)
        {
            self.begin_scan_read(next);
        }
        if self.scan.as_ref().is_some_and(Scan::is_finished) {
            self.end_interval(now);
        }
    }

    fn scan_must_wait(&self) -> bool {
        let settings = &self.settings;
        let window_used = self.next.0 - self.prefix.fed().0 > settings.window_records / 2
            || self.prefix.bytes() > settings.window_bytes / 2;
        !self.ladder.journaling()
            || !self.opened
            || self.closing
            || self.journal.usage.over_half()
            || self.journal.queued_bytes > settings.journal_queue_bytes / 2
            || self.backlog_bytes > settings.scan_backlog_bytes
            || window_used
            || !self.parked.is_empty()
            || self.pressure() != Pressure::None
    }

    fn begin_scan_read(&mut self, next: (bcdr_format::record::VolumeRange, std::time::Duration)) {
        self.last_id += 1;
        let id = BackingId(self.last_id);
        let range = next.0;
        let in_flight: Vec<_> = self.ranges_in_flight().collect();
        if let Some(scan) = &mut self.scan {
            scan.begun(id, next, in_flight.into_iter());
        }
        self.in_flight.insert(id, InFlight::Scan);
        let action = BackingAction::Read {
            offset: range.offset,
            length: range.length,
        };
        let operation = BackingOperation {
            id,
            volume: range.volume,
            action,
        };
        self.actions.push_back(Action::Submit(operation));
    }

    pub(super) fn scan_read_ended(&mut self, now: Moment, id: BackingId, result: BackingResult) {
        // A read of a scan that was given up with its life says nothing about this one.
        let Some(scan) = self.scan.as_mut().filter(|scan| scan.reads(id)) else {
            return;
        };
        match result {
            Err(_) => scan.read_failed(id, now.monotonic),
            Ok(payload) => {
                for piece in scan.read_done(id, payload.as_ref()) {
                    let range = piece.range;
                    self.sync_read_bytes += u64::from(range.length);
                    let body = match piece.payload {
                        Some(payload) => StreamBody::SyncData { range, payload },
                        None => StreamBody::SyncZero { range },
                    };
                    self.append(now, body, true);
                }
            }
        }
    }

    fn end_interval(&mut self, now: Moment) {
        self.scan = None;
        if let Some(sync) = self.open_sync.take() {
            let event = SyncEvent::End {
                sync: sync.sync,
                heals: sync.heals,
            };
            self.append(now, StreamBody::Sync(event), true);
        }
    }
}
