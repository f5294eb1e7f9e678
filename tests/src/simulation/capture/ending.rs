//! The ends that nobody asks for: kills, power cuts, reverted snapshots; and what happens to the
//! disks meanwhile.

use super::{BootId, CaptureHost, Death, Snapshot, backing_path};
use crate::simulation::{
    context::{Context, Host},
    oracle::{Effect, End},
    stamp::{self, SECTOR},
};
use bcdr_disk::{Access, Storage};
use bcdr_format::Sequence;

impl CaptureHost {
    /// Ends the process, or the host with it, and tells the oracle what the disks hold then.
    pub(crate) fn die(&mut self, cx: &mut Context, death: Death) {
        cx.trace(|| format!("capture {}: {death:?}", self.life.0));
        let process = self.process.take();
        if let Some(process) = &process {
            // What was submitted may still reach the disk, but ends before a successor begins.
            self.finish_or_lose(cx, process);
        }
        self.state.power_on();
        match death {
            Death::Killed => {
                self.backing.kill();
                self.state.kill();
            }
            Death::PowerCut => {
                self.backing.power_cut();
                self.state.power_cut();
                self.new_boot();
            }
            Death::Reverted => self.revert(cx),
        }
        if let Some(session) = process.as_ref().and_then(|process| process.link.session()) {
            cx.feed.sever(&mut cx.schedule, session);
        }
        // Its mapped memory goes to the disk as it was.
        drop(process);
        let contents = self.contents();
        let told = match death {
            Death::Killed => cx.oracle.process_ended(&contents),
            Death::PowerCut => cx.oracle.host_ended(&contents, true),
            Death::Reverted => cx.oracle.host_ended(&contents, false),
        };
        cx.check(told, "end of the capture's host");
        if death == Death::Reverted {
            self.flushed = None;
            self.acknowledged = None;
            self.appended = Sequence::default();
        }
        self.life.0 += 1;
    }

    fn new_boot(&mut self) {
        self.boot = BootId(self.boot.0 + 1);
        self.bad.clear();
    }

    fn revert(&mut self, cx: &mut Context) {
        let Some(snapshot) = &self.snapshot else {
            return;
        };
        self.disks_made += 1;
        self.backing = snapshot.backing.fork(cx.random.next_u64());
        self.state = snapshot.state.fork(cx.random.next_u64());
        self.change = snapshot.change;
        self.backing.power_cut();
        self.state.power_cut();
        self.state.arm(false);
        self.new_boot();
    }

    /// Takes a snapshot of the host as it is.
    pub(crate) fn take_snapshot(&mut self, cx: &mut Context) {
        cx.trace(|| {
            format!(
                "snapshot of the capture's host, process {:?}",
                self.process.is_some()
            )
        });
        self.snapshot = Some(Snapshot {
            backing: self.backing.fork(cx.random.next_u64()),
            state: self.state.fork(cx.random.next_u64()),
            change: self.change,
        });
    }

    /// Somebody writes to a disk while the capture does not run.
    pub(crate) fn write_behind_its_back(&mut self, cx: &mut Context, volume: usize, sector: u32) {
        let id = cx.oracle.issue(Effect::Stamp, volume, sector, 1, true);
        let bytes = stamp::stamped(id.0, volume, sector, 1);
        let file = self.backing.open(&backing_path(volume), Access::write());
        let file = file.expect("the backing exists");
        file.write_all_at(&bytes, u64::from(sector) * SECTOR as u64)
            .expect("an unarmed disk writes");
        file.sync_data().expect("an unarmed disk syncs");
        cx.oracle.landed(id, volume, sector);
        cx.oracle.ended(id, End::Done);
        cx.oracle.forced(id);
        self.change += 1;
        self.changed_at = cx.wall(Host::Capture);
    }
}
