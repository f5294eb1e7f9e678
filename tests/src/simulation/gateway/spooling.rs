//! The spool's thread: work in order, each after a while.

use super::{GatewayHost, Kept, Process};
use crate::simulation::{capture::Life, context::Context, world::Event};
use bcdr_format::DataKeyId;
use bcdr_gateway::{ship::window::ShipmentId, spool::SpoolLocation};
use bytes::Bytes;
use std::time::Duration;

/// Work for the spool.
#[derive(Debug)]
pub(crate) enum SpoolWork {
    Append(Vec<(ShipmentId, Bytes, Vec<DataKeyId>)>),
    Read(ShipmentId, SpoolLocation),
    Forget(SpoolLocation),
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum SpoolDone {
    Appended {
        places: Vec<(ShipmentId, SpoolLocation)>,
        refused: Vec<ShipmentId>,
    },
    Read(ShipmentId, Bytes),
    NotRead(ShipmentId, String),
    Nothing,
}

impl GatewayHost {
    pub(super) fn schedule_spool(&mut self, cx: &mut Context, life: Life) {
        let slow = self.spool_slow.max(1);
        let Some(process) = self.process(life) else {
            return;
        };
        if !process.spool_busy && !process.spool_work.is_empty() {
            process.spool_busy = true;
            let delay = cx.delay(20, 800) * slow;
            cx.schedule.after(delay, Event::SpoolRun { life });
        }
    }

    /// The thread does the next piece of work.
    pub(crate) fn spool_run(&mut self, cx: &mut Context, life: Life) {
        let power_cuts = self.disk.faults().power_cuts;
        let Some(process) = self.process(life) else {
            return;
        };
        let Some(work) = process.spool_work.pop_front() else {
            process.spool_busy = false;
            return;
        };
        let done = match work {
            SpoolWork::Append(batches) => {
                let parts: Vec<(&[u8], &[DataKeyId])> = batches
                    .iter()
                    .map(|(_, bytes, keys)| (&bytes[..], &keys[..]))
                    .collect();
                let (locations, error) = process.spool.append(&parts);
                if let Some(error) = error {
                    cx.trace(|| format!("not spooled: {error}"));
                }
                let mut ids = batches.iter().map(|(id, ..)| *id);
                let places = ids.by_ref().take(locations.len()).zip(locations).collect();
                SpoolDone::Appended {
                    places,
                    refused: ids.collect(),
                }
            }
            SpoolWork::Read(id, location) => match process.spool.read(location) {
                Ok(bytes) => SpoolDone::Read(id, Bytes::from(bytes)),
                Err(error) => SpoolDone::NotRead(id, error.to_string()),
            },
            SpoolWork::Forget(location) => {
                if let Err(error) = process.spool.forget(location) {
                    cx.trace(|| format!("spool segment not removed: {error}"));
                }
                SpoolDone::Nothing
            }
        };
        if self.disk.faults().power_cuts > power_cuts {
            // The power went in the middle of it.
            self.disk.power_on();
            cx.counters.note("gateway power cut");
            self.die(cx, true, false);
            let again = cx.delay(2_000, 80_000);
            return cx.schedule.after(again, Event::GatewayStart);
        }
        let delay = cx.delay(5, 400);
        cx.schedule.after(delay, Event::SpoolReport { life, done });
    }

    /// The owner hears what became of it.
    pub(crate) fn spool_report(&mut self, cx: &mut Context, life: Life, done: SpoolDone) {
        let instant = cx.instant();
        let Some(process) = self.process(life) else {
            return;
        };
        process.spool_busy = false;
        match done {
            SpoolDone::Nothing => {}
            SpoolDone::Appended { places, refused } => {
                for (id, location) in places {
                    cx.counters.note("spool used");
                    process.window.spooled(id);
                    match process.kept.get_mut(&id) {
                        Some(Kept {
                            bytes,
                            location: at,
                            ..
                        }) => {
                            *at = Some(location);
                            *bytes = None;
                        }
                        None => process.spool_work.push_back(SpoolWork::Forget(location)),
                    }
                }
                let retry = instant + Duration::from_millis(50);
                refused
                    .into_iter()
                    .for_each(|id| process.window.not_spooled(id, retry));
            }
            SpoolDone::Read(id, bytes) => {
                cx.counters.note("spool: batch read back");
                if process.read_back(id) {
                    process.to_send.pop_front();
                    process.ship_batch(cx, id, &bytes);
                }
            }
            SpoolDone::NotRead(id, reason) => {
                cx.trace(|| format!("spool: {reason}"));
                if process.read_back(id) {
                    process.begin_again(cx, format!("a spooled batch cannot be read: {reason}"));
                }
            }
        }
        self.everything_due(cx, life);
    }
}

impl Process {
    /// Whether the batch that was read is still the one to send next.
    fn read_back(&mut self, id: ShipmentId) -> bool {
        let was_read = self.reading.take() == Some(id);
        was_read && self.to_send.front() == Some(&id) && self.kept.contains_key(&id)
    }
}
