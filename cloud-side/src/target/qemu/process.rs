//! Processes by identity: id, start time and marker.
//!
//! Process ids are recycled. Invariant: nothing is signalled unless a descriptor of that very
//! process is held while its start time or its marker is compared; a group only while its leader is
//! held that way.

use std::{fs, io, path::PathBuf, time::Duration};

use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal,
    test_kill_process_group,
};
use serde::{Deserialize, Serialize};

/// How long a group that was killed may take to be gone.
const GROUP_END_PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks whether it is.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What became of a group that was to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupEnd {
    /// Its leader was gone already, and so is its group; what had left the group may still run.
    WasGone,
    /// Its leader was gone already, and something runs in the group of its number.
    Orphaned,
    /// It was killed, and its leader is gone.
    Killed,
    /// It was killed, and its leader is still seen.
    LivesOn,
}

/// A process, for as long as it exists and no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessIdentity {
    /// Process id.
    pub pid: i32,
    /// When the process started, in clock ticks since the host's boot.
    pub start_ticks: u64,
}

impl ProcessIdentity {
    /// Reads the identity of a living process; `None` when there is none, or only its remains.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let start_ticks = start_of_living(&stat)?;
        Some(Self { pid, start_ticks })
    }

    /// Whether this very process still lives.
    pub(crate) fn lives(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Kills this very process, which leads a process group, and everything in that group. Returns
    /// whether it lived.
    ///
    /// # Errors
    /// When it may not be signalled.
    pub(crate) fn kill_group(&self) -> io::Result<bool> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return Ok(false);
        };
        let gone = |error| match error {
            rustix::io::Errno::SRCH => Ok(false),
            error => Err(io::Error::from(error)),
        };
        let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => descriptor,
            Err(error) => return gone(error),
        };
        if !self.lives() {
            return Ok(false);
        }
        // A process that is stopped does not end by itself, so that its number, which is the group's,
        // stays its own until the group is signalled.
        if let Err(error) = pidfd_send_signal(&descriptor, Signal::STOP) {
            return gone(error);
        }
        if !self.lives() {
            return Ok(false);
        }
        kill_process_group(pid, Signal::KILL).or_else(|error| gone(error).map(drop))?;
        // One that left its own group is killed too.
        pidfd_send_signal(&descriptor, Signal::KILL).or_else(|error| gone(error).map(drop))?;
        Ok(true)
    }

    /// The same, and waits until the process is gone.
    ///
    /// # Errors
    /// When it may not be signalled.
    pub(crate) async fn end_group(&self) -> io::Result<GroupEnd> {
        if !self.kill_group()? {
            // No number is given out again while its group is there. Whose the group is cannot be known
            // without its leader, so nothing is signalled.
            let group = Pid::from_raw(self.pid).filter(|_| Self::of(self.pid).is_none());
            let is_there = group.is_some_and(|group| test_kill_process_group(group).is_ok());
            return Ok(match is_there {
                true => GroupEnd::Orphaned,
                false => GroupEnd::WasGone,
            });
        }
        let gone = async {
            while self.lives() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let in_time = tokio::time::timeout(GROUP_END_PATIENCE, gone).await;
        Ok(in_time.map_or(GroupEnd::LivesOn, |()| GroupEnd::Killed))
    }
}

/// The start time in a line of `/proc/PID/stat`; `None` for the remains of an ended process.
fn start_of_living(stat: &str) -> Option<u64> {
    // The name in parentheses may contain spaces and parentheses, so fields are counted behind it.
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    // State is field 3 and the start time field 22.
    fields.nth(18)?.parse().ok()
}

/// Every living process that was started with `-name MARKER`.
pub(super) fn find_by_marker(marker: &str) -> io::Result<Vec<ProcessIdentity>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        if carries_marker(pid, marker)
            && let Some(identity) = ProcessIdentity::of(pid)
        {
            found.push(identity);
        }
    }
    Ok(found)
}

fn carries_marker(pid: i32, marker: &str) -> bool {
    // A process that ends while we look carries nothing any more.
    let line = fs::read(PathBuf::from(format!("/proc/{pid}/cmdline"))).unwrap_or_default();
    let arguments: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    arguments
        .windows(2)
        .any(|pair| pair[0] == b"-name" && pair[1] == marker.as_bytes())
}

/// Kills this very process, if it lives and carries the marker. Returns whether it was signalled.
pub(super) fn kill(process: &ProcessIdentity, marker: &str) -> io::Result<bool> {
    let Some(pid) = Pid::from_raw(process.pid) else {
        return Ok(false);
    };
    let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(descriptor) => descriptor,
        Err(rustix::io::Errno::SRCH) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    // The descriptor is held now: from here on the id cannot come to name another process without
    // the signal failing.
    if !process.lives() || !carries_marker(process.pid, marker) {
        return Ok(false);
    }
    match pidfd_send_signal(&descriptor, Signal::KILL) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        process::{Child, Command, Stdio},
    };

    use super::*;

    /// A process with a marker that lives until its standard input is closed. It has spoken, since
    /// the kernel shows the arguments only a moment after the start.
    fn marked(marker: &str) -> Child {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "echo ready; read line", "-name", marker])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut [0; 6])
            .unwrap();
        child
    }

    fn pid_of(child: &Child) -> i32 {
        i32::try_from(child.id()).unwrap()
    }

    #[test]
    fn the_start_time_is_found_behind_an_awkward_name() {
        let fields = (4..=30)
            .map(|field| field.to_string())
            .collect::<Vec<_>>()
            .join(" ");
        assert_eq!(start_of_living(&format!("7 (a) Z 9) S {fields}")), Some(22));
        assert_eq!(start_of_living(&format!("7 (a) Z {fields}")), None);
        assert_eq!(start_of_living("7 (a"), None);
    }

    #[test]
    fn a_process_is_found_by_its_marker_and_killed() {
        let marker = format!("bcdr-instance-found-{}", std::process::id());
        let mut child = marked(&marker);
        let found = find_by_marker(&marker).unwrap();
        assert_eq!(
            found.iter().map(|one| one.pid).collect::<Vec<_>>(),
            [pid_of(&child)]
        );
        assert!(kill(&found[0], &marker).unwrap());
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()),
            Some(9)
        );
        assert!(!found[0].lives());
        assert!(find_by_marker(&marker).unwrap().is_empty());
        assert!(
            !kill(&found[0], &marker).unwrap(),
            "a dead process was signalled"
        );
    }

    #[test]
    fn a_group_ends_with_its_leader_and_a_recycled_number_is_left_alone() {
        use std::os::unix::process::{CommandExt, ExitStatusExt};
        let mut leader = Command::new("/bin/sh")
            .args(["-c", "sleep 600 & echo $!; wait"])
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut printed = String::new();
        let mut output = io::BufReader::new(leader.stdout.take().unwrap());
        io::BufRead::read_line(&mut output, &mut printed).unwrap();
        let member = ProcessIdentity::of(printed.trim().parse().unwrap()).unwrap();
        let identity = ProcessIdentity::of(pid_of(&leader)).unwrap();
        let earlier = ProcessIdentity {
            start_ticks: identity.start_ticks - 1,
            ..identity.clone()
        };
        assert!(
            !earlier.kill_group().unwrap(),
            "a recycled id was signalled"
        );
        assert!(identity.lives() && member.lives());
        assert!(identity.kill_group().unwrap());
        assert_eq!(leader.wait().unwrap().signal(), Some(9));
        // Nobody of this process reaps the member.
        while member.lives() {
            std::thread::yield_now();
        }
        assert!(!identity.kill_group().unwrap());
    }

    #[test]
    fn a_recycled_id_and_a_foreign_process_are_left_alone() {
        let marker = format!("bcdr-instance-kept-{}", std::process::id());
        let mut child = marked(&marker);
        let identity = ProcessIdentity::of(pid_of(&child)).unwrap();
        let earlier = ProcessIdentity {
            pid: identity.pid,
            start_ticks: identity.start_ticks - 1,
        };
        assert!(!earlier.lives());
        assert!(
            !kill(&earlier, &marker).unwrap(),
            "a recycled id was signalled"
        );
        assert!(
            !kill(&identity, "bcdr-instance-other").unwrap(),
            "a foreign one was signalled"
        );
        drop(child.stdin.take());
        let status = child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), None);
    }
}
