//! Processes by number and start time, so that a recycled number is never taken for the process it
//! once named.

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    time::{Duration, Instant},
};

/// A process that was seen alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: u32,
    /// When it started, in the kernel's clock ticks since boot.
    pub(crate) started_ticks: u64,
}

impl Process {
    /// The process with this number, if it is alive.
    pub(crate) fn alive(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the command in parentheses and may hold anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_whitespace();
        let state = fields.next()?;
        let started_ticks = fields.nth(18)?.parse().ok()?;
        (state != "Z" && state != "X").then_some(Self { pid, started_ticks })
    }

    /// Whether this very process is still alive.
    pub(crate) fn is_alive(self) -> bool {
        Self::alive(self.pid) == Some(self)
    }

    /// Sends a signal to this very process; nothing if it is gone.
    pub(crate) fn signal(self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            // It may end between the look and the signal.
            let _gone = kill_process(pid, signal);
        }
    }

    /// Waits until it is gone; false if it is still there at the deadline.
    pub(crate) fn wait_gone(self, deadline: Instant) -> bool {
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_itself_and_not_a_process_that_ended() {
        let me = Process::alive(std::process::id()).unwrap();
        assert!(me.is_alive());
        let impostor = Process {
            started_ticks: me.started_ticks + 1,
            ..me
        };
        assert!(!impostor.is_alive());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = Process {
            pid: child.id(),
            started_ticks: 0,
        };
        child.wait().unwrap();
        assert!(!process.is_alive());
    }
}
