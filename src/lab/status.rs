//! `lab status`: how a lab's processes are.

use super::{layout::Layout, report::LabReport, state::LabState};
use anyhow::bail;
use std::path::Path;

/// The report of the lab in `directory`.
pub(crate) fn run(directory: &Path) -> anyhow::Result<LabReport> {
    let layout = Layout::existing(directory)?;
    let Some(state) = LabState::load(&layout)? else {
        bail!(
            "there is no lab in {}: start one with lab up",
            layout.directory.display()
        );
    };
    LabReport::new(&layout, &state)
}
