//! Writes that fail, and processes that die with work in hand.

use super::{Fault, Wanted, happened, scenario};
use std::time::Duration;

#[test]
fn scenario_a_backing_write_fails_after_its_record_was_queued() {
    let counters = scenario(
        |_| {},
        |script| {
            script.write_all_over();
            script.until_converged();
            for unreadable in [false, true, false] {
                script.world.capture.faults.failing_writes = 4;
                script.world.capture.faults.unreadable = unreadable;
                for first in (0..128).step_by(8) {
                    script.write(first, 12);
                    script.wait(400);
                }
                script.until_answered();
                script.heal(Fault::WritesFailUnreadably);
            }
        },
    );
    happened(&counters, &["write failed", "failed write amended", "void"]);
}

#[test]
fn scenario_a_failed_write_before_its_amendment() {
    let counters = scenario(
        |settings| settings.tap.latency_budget = Duration::from_secs(60),
        |script| {
            script.write_all_over();
            script.until_converged();
            for first in [10, 60, 110] {
                script.world.capture.faults.failing_writes = 8;
                let before = script.count("write failed");
                for _ in 0..40 {
                    script.write(first, 20);
                    script.write(first + 10, 20);
                    if script.count("write failed") > before {
                        break;
                    }
                    script.wait(500);
                }
                // Its record may be in the journal, its amendment is not yet.
                script.world.capture.journal_slow = 400;
                script.wait(u64::from(first) * 20);
                script.kill_capture();
                script.world.capture.journal_slow = 1;
                script.heal(Fault::WritesFail);
                script.write(first + 5, 4);
                script.until_converged();
            }
        },
    );
    happened(
        &counters,
        &["write failed", "capture killed with an unsettled tail"],
    );
}

#[test]
fn scenario_a_kill_with_an_unsettled_tail() {
    let counters = scenario(
        |_| {},
        |script| {
            script.write_all_over();
            script.until_converged();
            for round in 0..4 {
                // The journal has them, the disk does not yet.
                script.world.capture.faults.slow = 400;
                for place in 0..6 {
                    script.write(round * 9 + place * 30, 24);
                }
                script.wait(3_000);
                script.kill_capture();
                script.world.capture.faults.slow = 1;
                script.write(round * 9 + 30, 6);
                script.until_converged();
            }
        },
    );
    happened(
        &counters,
        &[
            "capture killed with an unsettled tail",
            "start: ranges read again",
        ],
    );
}

#[test]
fn scenario_the_late_io_of_a_killed_predecessor() {
    let counters = scenario(
        |_| {},
        |script| {
            script.write_all_over();
            script.until_converged();
            for round in 0..4 {
                script.world.capture.faults.slow = 100;
                script.write(20, 60);
                script.zero(60, 60);
                script.wait(500 + round * 4_000);
                script.kill_capture();
                script.world.capture.faults.slow = 1;
                // The successor writes to the same places at once.
                script.write(30, 40);
                script.write(70, 20);
                script.until_answered();
            }
        },
    );
    happened(&counters, &["capture killed"]);
}

#[test]
fn scenario_the_power_goes_right_after_a_flush_was_answered() {
    let counters = scenario(
        // Nothing is durable in the journal unless a flush makes it so.
        |settings| settings.tap.journal_sync_interval = Duration::from_secs(600),
        |script| {
            script.until_converged();
            for round in 0..6 {
                for place in 0..5 {
                    script.write(round * 4 + place * 40, 20);
                    script.wait(300);
                }
                script.until_answered();
                let before = script.count("flush promised");
                script.ask(Wanted::Flush { volume: 0 });
                script.ask(Wanted::Write {
                    volume: 0,
                    first: 250,
                    sectors: 2,
                    fua: true,
                });
                script.until("the flush is answered", |world| {
                    world.cx.counters.of("flush promised") > before
                });
                script.inflict(Fault::CutCapturePower);
                script.write(round, 3);
                script.until_converged();
            }
        },
    );
    happened(&counters, &["flush promise checked against a journal"]);
}
