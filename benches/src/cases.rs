//! What is measured, one module for each subject.
//!
//! [`volume`], [`delivery`] and [`rpo`] share one lab with one full disk; [`view`] has two labs of
//! its own with sparse disks, and [`recovery`] one with the demo's disk.

mod delivery;
mod rpo;
mod volume;

pub(crate) mod recovery;
pub(crate) mod view;

use crate::{Part, figures::Figure, site::Site};

/// Measures the wanted parts that need a lab with a full disk.
///
/// # Errors
/// When something does not work.
pub(crate) fn disk(site: &Site, wanted: impl Fn(Part) -> bool) -> anyhow::Result<Vec<Figure>> {
    let plan = site.plan();
    eprintln!(
        "bench: making a disk and its peer, {} MiB each",
        plan.disk_bytes >> 20
    );
    let ours = site.full_disk("ours.raw", plan.disk_bytes)?;
    let peer = wanted(Part::Volume)
        .then(|| site.full_disk("peer.raw", plan.disk_bytes))
        .transpose()?;
    eprintln!("bench: bringing a lab up and copying the disk");
    site.with_lab("lab", &ours, |lab| {
        let mut figures = Vec::new();
        if let Some(peer) = &peer {
            figures.extend(volume::run(site, lab, peer)?);
        }
        let mut sustainable = None;
        if wanted(Part::Delivery) {
            let delivered = delivery::run(site, lab)?;
            sustainable = delivered.sustainable;
            figures.extend(delivered.figures);
        }
        if wanted(Part::Rpo) {
            figures.extend(rpo::run(site, lab, sustainable)?);
        }
        Ok(figures)
    })
}
