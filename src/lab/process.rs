//! Processes by number and start time, so that a recycled number is never taken for the process it
//! once named.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    time::{Duration, Instant},
};

/// How long a killed process may take to end; one that hangs in a system call may take a while.
const KILLED_WITHIN: Duration = Duration::from_secs(30);

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

    /// Every living process whose arguments, its program's name first, `wanted` makes something of.
    pub(crate) fn find<T>(wanted: impl Fn(&[&[u8]]) -> Option<T>) -> io::Result<Vec<(Self, T)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let Ok(pid) = entry?.file_name().to_string_lossy().parse() else {
                continue;
            };
            // A process that ends meanwhile, or is not ours to look at, has no arguments.
            let Some(process) = Self::alive(pid) else {
                continue;
            };
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let arguments: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            // The look afterwards: the arguments are this process's, not a successor's.
            if let Some(thing) = wanted(&arguments)
                && process.is_alive()
            {
                found.push((process, thing));
            }
        }
        Ok(found)
    }

    /// Whether this very process is still alive.
    pub(crate) fn is_alive(self) -> bool {
        Self::alive(self.pid) == Some(self)
    }

    /// Sends a signal to this very process; nothing if it is gone.
    pub(crate) fn signal(self, signal: Signal) {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return;
        };
        // Once the descriptor is held, the number cannot come to mean another process unnoticed.
        if let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty())
            && self.is_alive()
        {
            // It may end between the look and the signal.
            let _gone = pidfd_send_signal(&descriptor, signal);
        }
    }

    /// Has processes end, and kills those that still run after `patience`.
    pub(crate) fn end_all(processes: &[Self], patience: Duration) {
        for (signal, patience) in [(Signal::TERM, patience), (Signal::KILL, KILLED_WITHIN)] {
            processes.iter().for_each(|process| process.signal(signal));
            let deadline = Instant::now() + patience;
            for process in processes {
                process.wait_gone(deadline);
            }
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
pub(super) mod tests {
    use super::{super::layout::Layout, *};
    use std::{
        ffi::OsStr,
        io::Read,
        path::Path,
        process::{Child, Command, Stdio},
    };

    /// A shell that poses as another program: its arguments are that program's. It ends when its
    /// standard input does.
    pub(in crate::lab) struct Posing(Child);

    impl Posing {
        /// Runs `script` in a directory where it can be put under the name of the first argument.
        pub(in crate::lab) fn new<S: AsRef<OsStr>>(
            script: &str,
            place: &Path,
            name: &str,
            arguments: &[S],
        ) -> Self {
            fs::create_dir_all(place).unwrap();
            fs::write(
                place.join(name),
                format!("{script}\necho ready\nread line\n"),
            )
            .unwrap();
            let mut child = Command::new("/bin/sh")
                .arg(name)
                .args(arguments)
                .current_dir(place)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            // The kernel shows the arguments only a moment after the start.
            let output = child.stdout.as_mut().unwrap();
            output.read_exact(&mut [0; 6]).unwrap();
            Self(child)
        }

        /// One that looks like a role of a lab.
        pub(in crate::lab) fn as_role(layout: &Layout, role: &str) -> Self {
            let configuration = layout.role_configuration(role);
            let arguments = [OsStr::new("--config"), configuration.as_os_str()];
            Self::new("", &layout.directory.join("posing"), role, &arguments)
        }

        pub(in crate::lab) fn process(&self) -> Process {
            Process::alive(self.0.id()).unwrap()
        }

        /// Whether it still runs.
        pub(in crate::lab) fn runs(&mut self) -> bool {
            self.0.try_wait().unwrap().is_none()
        }
    }

    impl Drop for Posing {
        fn drop(&mut self) {
            drop(self.0.stdin.take());
            let _ended = self.0.wait();
        }
    }

    #[test]
    fn knows_itself_and_not_a_process_that_ended() {
        let me = Process::alive(std::process::id()).unwrap();
        assert!(me.is_alive());
        let impostor = Process {
            started_ticks: me.started_ticks + 1,
            ..me
        };
        assert!(!impostor.is_alive());
        let mut child = Command::new("true").spawn().unwrap();
        let process = Process {
            pid: child.id(),
            started_ticks: 0,
        };
        child.wait().unwrap();
        assert!(!process.is_alive());
    }
}
