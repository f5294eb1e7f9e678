//! What goes wrong, and when it stops.

use super::{
    capture::Death,
    context::Host,
    world::{Event, World},
};
use bcdr_capture::tap::TapState;

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    KillCapture,
    CutCapturePower,
    /// The power goes during one of the journal's next operations.
    CutCapturePowerMidway,
    RevertCapture,
    StopCapture,
    TakeSnapshot,
    WritesFail,
    WritesFailUnreadably,
    SyncsFail,
    JournalDeviceFails,
    JournalSlow,
    BackingSlow,
    KillGateway,
    CutGatewayPower,
    /// The power goes during one of the spool's next operations.
    CutGatewayPowerMidway,
    LoseSpool,
    SpoolDeviceFails,
    SpoolSlow,
    KillCloud,
    CutCloudPower,
    /// The power goes during one of the store's next operations.
    CutCloudPowerMidway,
    CloudSyncsFail,
    CloudSlow,
    BreakFeed,
    BreakShip,
    CutFeed,
    CutShip,
    NetworkSlow,
    StepClock,
    JumpClock,
    Fence,
    Replay,
    DamageRun,
}

/// How often each happens, relative to the others.
const WEIGHTS: &[(Fault, u64)] = &[
    (Fault::KillCapture, 12),
    (Fault::CutCapturePower, 6),
    (Fault::CutCapturePowerMidway, 6),
    (Fault::RevertCapture, 4),
    (Fault::StopCapture, 5),
    (Fault::TakeSnapshot, 5),
    (Fault::WritesFail, 7),
    (Fault::WritesFailUnreadably, 6),
    (Fault::SyncsFail, 3),
    (Fault::JournalDeviceFails, 3),
    (Fault::JournalSlow, 3),
    (Fault::BackingSlow, 3),
    (Fault::KillGateway, 6),
    (Fault::CutGatewayPower, 4),
    (Fault::CutGatewayPowerMidway, 4),
    (Fault::LoseSpool, 4),
    (Fault::SpoolDeviceFails, 3),
    (Fault::SpoolSlow, 2),
    (Fault::KillCloud, 5),
    (Fault::CutCloudPower, 4),
    (Fault::CutCloudPowerMidway, 5),
    (Fault::CloudSyncsFail, 4),
    (Fault::CloudSlow, 3),
    (Fault::BreakFeed, 6),
    (Fault::BreakShip, 6),
    (Fault::CutFeed, 4),
    (Fault::CutShip, 7),
    (Fault::NetworkSlow, 3),
    (Fault::StepClock, 3),
    (Fault::JumpClock, 1),
    (Fault::Fence, 2),
    (Fault::Replay, 3),
    (Fault::DamageRun, 2),
];

impl World {
    /// Something goes wrong now, and something else a while later.
    pub(crate) fn random_fault(&mut self) {
        let total: u64 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.cx.random.below(total);
        let found = WEIGHTS.iter().find(|(_, weight)| {
            let hit = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            hit
        });
        if let Some((fault, _)) = found {
            self.inflict(*fault);
        }
        let next = self.cx.delay(15_000, 140_000);
        self.cx.schedule.after(next, Event::Fault);
    }

    /// Makes a fault happen.
    pub(crate) fn inflict(&mut self, fault: Fault) {
        self.cx.trace(|| format!("FAULT {fault:?}"));
        self.cx.counters.note("faults");
        match fault {
            Fault::KillCapture
            | Fault::CutCapturePower
            | Fault::CutCapturePowerMidway
            | Fault::RevertCapture
            | Fault::StopCapture
            | Fault::TakeSnapshot => self.hit_capture(fault),
            Fault::WritesFail
            | Fault::WritesFailUnreadably
            | Fault::SyncsFail
            | Fault::BackingSlow
            | Fault::JournalDeviceFails
            | Fault::JournalSlow => self.hit_capture_disks(fault),
            Fault::KillGateway
            | Fault::CutGatewayPower
            | Fault::CutGatewayPowerMidway
            | Fault::LoseSpool
            | Fault::SpoolDeviceFails
            | Fault::SpoolSlow => self.hit_gateway(fault),
            Fault::KillCloud
            | Fault::CutCloudPower
            | Fault::CutCloudPowerMidway
            | Fault::CloudSyncsFail
            | Fault::CloudSlow
            | Fault::Fence
            | Fault::Replay
            | Fault::DamageRun => self.hit_cloud(fault),
            Fault::BreakFeed
            | Fault::BreakShip
            | Fault::CutFeed
            | Fault::CutShip
            | Fault::NetworkSlow => self.hit_network(fault),
            Fault::StepClock | Fault::JumpClock => self.hit_clocks(fault),
        }
    }

    fn hit_capture(&mut self, fault: Fault) {
        let cx = &mut self.cx;
        match fault {
            Fault::TakeSnapshot => self.capture.take_snapshot(cx),
            Fault::RevertCapture if self.capture.snapshot.is_none() => {
                self.capture.take_snapshot(cx);
            }
            Fault::StopCapture => self.capture.stop(cx),
            Fault::CutCapturePowerMidway => {
                let operations = cx.random.between(1, 12);
                self.capture.state_disk().cut_power_at(operations);
            }
            Fault::KillCapture if !self.capture.is_up() => {}
            death => {
                let death = match death {
                    Fault::KillCapture => Death::Killed,
                    Fault::CutCapturePower => Death::PowerCut,
                    _ => Death::Reverted,
                };
                self.end_capture(death);
            }
        }
    }

    /// The capture's process or host ends, and comes back after a while.
    pub(crate) fn end_capture(&mut self, death: Death) {
        self.cx.counters.note(match death {
            Death::Killed => "capture killed",
            Death::PowerCut => "capture power cut",
            Death::Reverted => "capture reverted to a snapshot",
        });
        self.capture.die(&mut self.cx, death);
        let again = self.cx.delay(1_000, 80_000);
        self.cx.schedule.after(again, Event::CaptureStart);
    }

    fn hit_capture_disks(&mut self, fault: Fault) {
        let (count, long) = (
            self.cx.random.between(1, 5) as u32,
            self.cx.delay(20_000, 150_000),
        );
        let faults = &mut self.capture.faults;
        match fault {
            Fault::WritesFail => {
                faults.failing_writes = count;
                faults.unreadable = false;
                faults.no_space = self.cx.random.coin();
            }
            Fault::WritesFailUnreadably => {
                faults.failing_writes = count;
                faults.unreadable = true;
                faults.no_space = false;
            }
            Fault::SyncsFail => faults.failing_syncs = count,
            Fault::BackingSlow => faults.slow = self.cx.random.between(10, 200),
            Fault::JournalDeviceFails => self.capture.state_disk().arm(true),
            _ => self.capture.journal_slow = self.cx.random.between(20, 600),
        }
        self.cx.schedule.after(long, Event::Heal { fault });
    }

    fn hit_gateway(&mut self, fault: Fault) {
        let long = self.cx.delay(20_000, 200_000);
        match fault {
            Fault::SpoolDeviceFails => self.gateway.disk().arm(true),
            Fault::SpoolSlow => self.gateway.spool_slow = self.cx.random.between(10, 100),
            Fault::CutGatewayPowerMidway => {
                let operations = self.cx.random.between(1, 8);
                return self.gateway.disk().cut_power_at(operations);
            }
            _ => {
                self.cx.counters.note(match fault {
                    Fault::KillGateway => "gateway killed",
                    Fault::CutGatewayPower => "gateway power cut",
                    _ => "spool lost",
                });
                let (power, lost) = (fault != Fault::KillGateway, fault == Fault::LoseSpool);
                self.gateway.die(&mut self.cx, power, lost);
                self.cx.schedule.after(long / 2, Event::GatewayStart);
                return;
            }
        }
        self.cx.schedule.after(long, Event::Heal { fault });
    }

    fn hit_cloud(&mut self, fault: Fault) {
        let long = self.cx.delay(20_000, 150_000);
        match fault {
            Fault::KillCloud | Fault::CutCloudPower => {
                let power = fault == Fault::CutCloudPower;
                self.cx.counters.note(if power {
                    "cloud power cut"
                } else {
                    "cloud killed"
                });
                self.cloud.die(&mut self.cx, power);
                self.cx.schedule.after(long / 2, Event::CloudStart);
            }
            Fault::CutCloudPowerMidway => {
                let operations = self.cx.random.between(1, 30);
                self.cloud.disk().cut_power_at(operations);
            }
            Fault::Fence => self.cloud.fence(&mut self.cx),
            Fault::Replay => self.cloud.replay_old_batches(&mut self.cx),
            Fault::DamageRun => self.cloud.damage_a_run(&mut self.cx),
            Fault::CloudSlow => {
                self.cloud.disk_slow = self.cx.random.between(5, 60);
                self.cx.schedule.after(long, Event::Heal { fault });
            }
            _ => {
                self.cloud.arm(true);
                self.cx.schedule.after(long, Event::Heal { fault });
            }
        }
    }

    fn hit_network(&mut self, fault: Fault) {
        let long = self.cx.delay(20_000, 400_000);
        let cx = &mut self.cx;
        match fault {
            Fault::BreakFeed => cx.feed.sever_all(&mut cx.schedule),
            Fault::BreakShip => cx.ship.sever_all(&mut cx.schedule),
            Fault::CutFeed => {
                cx.feed.cut = true;
                cx.feed.sever_all(&mut cx.schedule);
            }
            Fault::CutShip => {
                cx.ship.cut = true;
                cx.ship.sever_all(&mut cx.schedule);
            }
            _ => {
                cx.feed.latency = 20_000;
                cx.ship.latency = 20_000;
            }
        }
        if matches!(fault, Fault::BreakFeed | Fault::BreakShip) {
            cx.counters.note("session broken");
        } else {
            cx.counters.note("link cut");
            cx.schedule.after(long, Event::Heal { fault });
        }
    }

    fn hit_clocks(&mut self, fault: Fault) {
        let host = [Host::Capture, Host::Gateway, Host::Cloud][self.cx.random.index(3)];
        let second = 1_000_000;
        let step = if fault == Fault::JumpClock {
            self.cx.counters.note("clock jump of ten years");
            10 * 365 * 86_400 * second
        } else {
            self.cx.counters.note("clock step");
            self.cx.random.between(1, 60) as i64 * second
        };
        let back = self.cx.random.coin();
        self.cx.step_clock(host, if back { -step } else { step });
    }

    /// A fault that lasted is over.
    pub(crate) fn heal(&mut self, fault: Fault) {
        match fault {
            Fault::WritesFail | Fault::WritesFailUnreadably => {
                self.capture.faults.failing_writes = 0;
                // Sectors that could not be read can be again.
                self.capture.bad.clear();
            }
            Fault::SyncsFail => self.capture.faults.failing_syncs = 0,
            Fault::BackingSlow => self.capture.faults.slow = 1,
            Fault::JournalDeviceFails => self.capture.state_disk().arm(false),
            Fault::JournalSlow => self.capture.journal_slow = 1,
            Fault::SpoolDeviceFails => self.gateway.disk().arm(false),
            Fault::SpoolSlow => self.gateway.spool_slow = 1,
            Fault::CloudSyncsFail => self.cloud.arm(false),
            Fault::CloudSlow => self.cloud.disk_slow = 1,
            Fault::CutFeed => self.cx.feed.cut = false,
            Fault::CutShip => self.cx.ship.cut = false,
            Fault::NetworkSlow => {
                self.cx.feed.latency = 400;
                self.cx.ship.latency = 400;
            }
            _ => {}
        }
    }

    /// Everything that lasts is over.
    pub(crate) fn heal_all(&mut self) {
        for (fault, _) in WEIGHTS {
            self.heal(*fault);
        }
        // A power cut that has not struck yet never does.
        for disk in [
            self.capture.state_disk(),
            self.gateway.disk(),
            self.cloud.disk(),
        ] {
            disk.power_on();
        }
    }

    /// Whether the tap is untracked.
    pub(crate) fn is_untracked(&self) -> bool {
        matches!(
            self.capture.state(&self.cx),
            Some(TapState::Untracked { .. })
        )
    }
}
