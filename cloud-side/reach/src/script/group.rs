//! A process group with one script in it.
//!
//! Invariant: the group is signalled only while its leader is not reaped, so its number cannot have
//! been given to anybody else; once the value is gone, so is the group, and the leader is reaped.

use super::End;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};
use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command},
    thread,
};
use tokio::process::{ChildStderr, ChildStdout};
use tokio_util::sync::CancellationToken;

/// A started script and everything that it starts.
pub(super) struct Group {
    /// `None` once reaped.
    leader: Option<Child>,
    pid: Pid,
    /// Cancelled when the leader has ended, reaped or not.
    ended: CancellationToken,
}

impl Group {
    /// Starts the command as the leader of a new group.
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        let leader = command.process_group(0).spawn()?;
        let pid = Pid::from_child(&leader);
        Ok(Self {
            leader: Some(leader),
            pid,
            ended: CancellationToken::new(),
        })
    }

    /// Its number, which is the leader's process id.
    pub(super) fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Both outputs, once; also begins to watch.
    pub(super) fn outputs(&mut self) -> io::Result<(ChildStdout, ChildStderr)> {
        let descriptor = pidfd_open(self.pid, PidfdFlags::empty())?;
        let ended = self.ended.clone();
        thread::Builder::new()
            .name("script".to_owned())
            .spawn(move || {
                wait_without_reaping(&descriptor);
                ended.cancel();
            })?;
        let leader = self.leader.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let stdout = leader.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let stderr = leader.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok((
            ChildStdout::from_std(stdout)?,
            ChildStderr::from_std(stderr)?,
        ))
    }

    /// Waits until the leader has ended. It is not reaped yet.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Asks everything in the group to end.
    pub(super) fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends everything that is left in the group, and reaps the leader.
    pub(super) fn finish(mut self) -> io::Result<End> {
        self.signal(Signal::KILL);
        let Some(mut leader) = self.leader.take() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        // Short: it has ended, or was just killed.
        let status = leader.wait()?;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => End::Exited(code),
            (None, signal) => End::Signalled(signal.unwrap_or(0)),
        })
    }

    fn signal(&self, signal: Signal) {
        if self.leader.is_some() {
            // It can only fail when nothing but the leader's remains is left, which is the aim.
            let _ = kill_process_group(self.pid, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if let Some(mut leader) = self.leader.take() {
            // A thread, since what hangs in the kernel is reaped late and must not hold anybody up.
            thread::spawn(move || leader.wait());
        }
    }
}

/// Returns when the process has ended, or when it was reaped by its owner.
fn wait_without_reaping(process: &OwnedFd) {
    let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while waitid(WaitId::PidFd(process.as_fd()), how).err() == Some(rustix::io::Errno::INTR) {}
}
