//! The thread that does a spool's blocking work, in order.

use super::{Spool, SpoolError, SpoolLocation};
use crate::ship::window::ShipmentId;
use bcdr_format::DataKeyId;
use bytes::Bytes;
use std::sync::mpsc;
use tokio::sync::mpsc::UnboundedSender;

/// Work for the spool.
#[derive(Debug)]
pub enum SpoolWork {
    /// Make these batches durable.
    Append(Vec<(ShipmentId, Bytes, Vec<DataKeyId>)>),
    /// Read a batch back.
    Read(ShipmentId, SpoolLocation),
    /// Let go of a batch.
    Forget(SpoolLocation),
}

/// What became of it.
#[derive(Debug)]
pub enum SpoolDone {
    /// The batches are durable there.
    Appended(Vec<(ShipmentId, SpoolLocation)>),
    /// The spool holds this many bytes now.
    Uses(u64),
    /// None of the batches is durable.
    NotAppended(Vec<ShipmentId>, SpoolError),
    /// A batch's bytes.
    Read(ShipmentId, Bytes),
    /// A batch cannot be read back.
    NotRead(ShipmentId, SpoolError),
}

/// Starts the thread. It ends when the sender of its work is dropped.
pub fn start(
    mut spool: Spool,
    name: &str,
    done: UnboundedSender<SpoolDone>,
) -> std::io::Result<mpsc::Sender<SpoolWork>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::Builder::new()
        .name(format!("spool-{name}"))
        .spawn(move || {
            while let Ok(work) = receiver.recv() {
                for outcome in perform(&mut spool, work) {
                    if done.send(outcome).is_err() {
                        return;
                    }
                }
            }
        })?;
    Ok(sender)
}

fn perform(spool: &mut Spool, work: SpoolWork) -> Vec<SpoolDone> {
    match work {
        SpoolWork::Append(batches) => append(spool, &batches),
        SpoolWork::Read(id, location) => vec![match spool.read(location) {
            Ok(bytes) => SpoolDone::Read(id, Bytes::from(bytes)),
            Err(error) => SpoolDone::NotRead(id, error),
        }],
        SpoolWork::Forget(location) => {
            if let Err(error) = spool.forget(location) {
                tracing::warn!(%error, "a spool segment could not be removed; it is removed at the next start");
            }
            vec![SpoolDone::Uses(spool.used_bytes())]
        }
    }
}

fn append(spool: &mut Spool, batches: &[(ShipmentId, Bytes, Vec<DataKeyId>)]) -> Vec<SpoolDone> {
    let parts: Vec<(&[u8], &[DataKeyId])> = batches
        .iter()
        .map(|(_, bytes, keys)| (&bytes[..], &keys[..]))
        .collect();
    let (locations, refused) = spool.append(&parts);
    let mut done = Vec::new();
    let mut ids = batches.iter().map(|(id, ..)| *id);
    if !locations.is_empty() {
        let appended = ids.by_ref().zip(locations).collect();
        done.push(SpoolDone::Appended(appended));
    }
    if let Some(error) = refused {
        done.push(SpoolDone::NotAppended(ids.collect(), error));
    }
    done.push(SpoolDone::Uses(spool.used_bytes()));
    done
}
