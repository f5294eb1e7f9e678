//! `lab down`: ends a lab's processes. Its data stays; `lab up` resumes it.

use super::{
    layout::Layout,
    process::Process,
    report::LabReport,
    state::{LabState, RoleState, load_roles, store_roles},
    supervise::{self, STOP_DEADLINE},
};
use anyhow::bail;
use rustix::process::Signal;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Ends the lab in `directory` and proves that nothing of it runs.
pub(crate) fn run(directory: &Path) -> anyhow::Result<LabReport> {
    let layout = Layout::existing(directory)?;
    let Some(state) = LabState::load(&layout)? else {
        bail!(
            "there is no lab in {}: start one with lab up",
            layout.directory.display()
        );
    };
    if let Some(supervisor) = supervise::process(&layout) {
        supervisor.signal(Signal::TERM);
        let patience = STOP_DEADLINE * 3 + Duration::from_secs(10);
        if !supervisor.wait_gone(Instant::now() + patience) {
            supervisor.signal(Signal::KILL);
            supervisor.wait_gone(Instant::now() + Duration::from_secs(5));
        }
    }
    // What a killed supervisor left behind.
    let left: Vec<Process> = load_roles(&layout)?
        .iter()
        .filter_map(RoleState::process)
        .filter(|process| process.is_alive())
        .collect();
    left.iter()
        .rev()
        .for_each(|process| process.signal(Signal::TERM));
    for process in left {
        if !process.wait_gone(Instant::now() + STOP_DEADLINE) {
            process.signal(Signal::KILL);
        }
        if !process.wait_gone(Instant::now() + Duration::from_secs(5)) {
            bail!(
                "process {} of the lab does not end: look for what it waits for",
                process.pid
            );
        }
    }
    let mut roles = load_roles(&layout)?;
    for role in &mut roles {
        role.pid = None;
        role.started_ticks = None;
        "stopped".clone_into(&mut role.state);
    }
    store_roles(&layout, &roles)?;
    LabReport::new(&layout, &state)
}
