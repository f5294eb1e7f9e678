//! `lab down`: ends a lab's processes. Its data stays; `lab up` resumes it.

use super::{
    instances,
    layout::Layout,
    process::Process,
    report::LabReport,
    state::{LabState, RoleState, load_roles, store_roles},
    supervise::{self, ROLES, STOP_DEADLINE},
};
use anyhow::bail;
use rustix::process::Signal;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// How often processes are looked for again after those that were found ended: one that a killed
/// supervisor had just begun to start shows itself late.
const ROUNDS: usize = 3;
/// How long a drill's machine may take to end by itself; it is thrown away anyhow.
const MACHINE_PATIENCE: Duration = Duration::from_secs(5);

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
    end_what_is_left(&layout)?;
    let mut roles = load_roles(&layout)?;
    for role in &mut roles {
        role.pid = None;
        role.started_ticks = None;
        "stopped".clone_into(&mut role.state);
    }
    store_roles(&layout, &roles)?;
    instances::remove(&layout, MACHINE_PATIENCE)?;
    layout.remove_idle_runtime()?;
    LabReport::new(&layout, &state)
}

/// Ends what a killed supervisor left behind, told of or not.
fn end_what_is_left(layout: &Layout) -> anyhow::Result<()> {
    for _ in 0..ROUNDS {
        let left = left(layout)?;
        if left.is_empty() {
            return Ok(());
        }
        left.iter().for_each(|process| process.signal(Signal::TERM));
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
    }
    let left = left(layout)?;
    if left.is_empty() {
        return Ok(());
    }
    let pids: Vec<_> = left.iter().map(|process| process.pid.to_string()).collect();
    bail!(
        "something starts the lab's processes again and again, now {}: stop it, then repeat lab down",
        pids.join(", ")
    )
}

/// The lab's processes that run, in the order in which they are told to stop.
fn left(layout: &Layout) -> anyhow::Result<Vec<Process>> {
    let told = load_roles(layout)?;
    let mut left = supervise::supervisors(layout)?;
    for name in ROLES.into_iter().rev() {
        let told = told
            .iter()
            .filter(|role| role.name == name)
            .filter_map(RoleState::process)
            .filter(|process| process.is_alive());
        left.extend(told);
        for process in supervise::role_processes(layout, name)? {
            if !left.contains(&process) {
                left.push(process);
            }
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::{super::process::tests::Posing, *};
    use std::net::{Ipv4Addr, SocketAddr};

    fn lab(directory: &Path) -> Layout {
        let layout = Layout::create(directory).unwrap();
        layout.create_directories().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let state = LabState::new("lab", Vec::new(), [address; 3]);
        state.store(&layout).unwrap();
        layout
    }

    #[test]
    fn what_no_file_tells_of_ends_and_another_lab_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let layout = lab(&directory.path().join("lab"));
        let other = Layout::create(&directory.path().join("lab2")).unwrap();
        let mut ours = ["cloud", "capture"].map(|role| Posing::as_role(&layout, role));
        let mut theirs = Posing::as_role(&other, "capture");
        let instance = layout.runtime.join("instance-one");
        std::fs::create_dir(&instance).unwrap();
        run(&layout.directory).unwrap();
        assert!(ours.iter_mut().all(|role| !role.runs()));
        assert!(!instance.exists(), "decrypted data is left");
        assert!(theirs.runs());
    }
}
