//! Lives of a stream that do not follow each other.

use super::{Death, Fault, Script, happened, scenario};
use std::time::Duration;

#[test]
fn scenario_sequence_reuse_after_power_loss() {
    let counters = scenario(
        // Nothing is durable in the journal unless somebody flushes.
        |settings| settings.tap.journal_sync_interval = Duration::from_secs(600),
        |script| {
            for round in 0..4 {
                script.write_all_over();
                script.until_converged();
                script.inflict(Fault::CutCapturePower);
                // These get the sequences of records that the cloud side already has.
                for first in [5, 90, 170] {
                    script.write(first + round, 16);
                    script.wait(1_000);
                }
                script.until_converged();
            }
        },
    );
    happened(
        &counters,
        &[
            "journal: tail lost with the power",
            "fork found",
            "fork healed",
        ],
    );
}

#[test]
fn scenario_sequence_reuse_after_a_reverted_snapshot() {
    let counters = scenario(
        |_| {},
        |script| {
            script.write_all_over();
            script.until_converged();
            // The worst moment for a snapshot: everything is closed in order and proven.
            script.world.capture.stop(&mut script.world.cx);
            script.until("it stopped", |world| !world.capture.is_up());
            script.world.capture.take_snapshot(&mut script.world.cx);
            script.write_all_over();
            script.until_converged();
            script.world.end_capture(Death::Reverted);
            for first in [3, 77, 200] {
                script.write(first, 9);
            }
            script.until_converged();
            // And once more, from a snapshot of a running host.
            script.world.capture.take_snapshot(&mut script.world.cx);
            script.write_all_over();
            script.wait(8_000);
            script.world.end_capture(Death::Reverted);
            script.write(50, 50);
        },
    );
    happened(
        &counters,
        &[
            "capture reverted to a snapshot",
            "life opened above the peer's",
            "fork healed",
        ],
    );
}

#[test]
fn scenario_a_fork_is_found_late() {
    let counters = scenario(
        |_| {},
        |script| {
            script.write_all_over();
            script.until_converged();
            for round in 0..6 {
                // The gateway takes records that the cloud side does not see yet.
                script.inflict(Fault::CutShip);
                die_with_a_tail(script, round);
                script.until("the gateway has it", |world| world.capture.fed(&world.cx).1);
                die_with_a_tail(script, round + 3);
                script.heal(Fault::CutShip);
                script.wait(2_000 * u64::from(round));
                die_with_a_tail(script, round + 6);
                script.until_converged();
            }
        },
    );
    happened(&counters, &["fork found", "fork found late", "fork healed"]);
}

fn die_with_a_tail(script: &mut Script, round: u32) {
    script.write_all_over();
    script.world.capture.faults.slow = 300;
    for place in 0..4 {
        script.write(round * 5 + place * 40, 24);
    }
    script.wait(2_500);
    script.kill_capture();
    script.world.capture.faults.slow = 1;
    script.write(round * 5, 8);
    script.wait(6_000);
}

#[test]
fn scenario_a_recycled_segment_with_a_valid_old_tail() {
    let counters = scenario(
        |settings| {
            settings.journal.segments_max = 5;
            settings.tap.journal_sync_interval = Duration::from_secs(600);
        },
        |script| {
            for round in 0..5 {
                // Every segment is used several times.
                for _ in 0..3 {
                    script.write_all_over();
                    script.until_converged();
                }
                for place in 0..8 {
                    script.write(round * 3 + place * 20, 18);
                }
                script.wait(700 + u64::from(round) * 150);
                script.inflict(Fault::CutCapturePower);
                script.write(7, 7);
                script.until_converged();
            }
        },
    );
    happened(
        &counters,
        &[
            "journal: segment used again",
            "journal: tail lost with the power",
        ],
    );
}
