//! Who comes first: locks, sequences, scans.

use super::{Fault, Script, happened, scenario};

/// Slow enough that writes pile up behind one another.
fn slow(script: &mut Script, factor: u64) {
    script.world.capture.faults.slow = factor;
}

#[test]
fn scenario_overlapping_writes_race_for_lock_and_sequence() {
    let counters = scenario(
        |_| {},
        |script| {
            script.until_converged();
            slow(script, 8);
            for round in 0..20 {
                let base = (round * 7) % 100;
                script.write(base, 12);
                script.write(base + 5, 20);
                script.zero(base + 8, 3);
                script.write(base + 11, 1);
                script.write(base, 30);
                script.wait(1_500);
            }
            script.until_answered();
        },
    );
    happened(&counters, &["image checked", "point published"]);
}

#[test]
fn scenario_two_small_writes_in_one_block() {
    scenario(
        |settings| settings.volumes[0].io_unit = 4096,
        |script| {
            script.until_converged();
            slow(script, 10);
            for round in 0..30 {
                let block = (round % 4) * 8;
                // Different sectors of one unit, at once.
                for sector in [0, 3, 7, 1] {
                    script.write(block + sector, 1);
                }
                script.zero(block + 5, 1);
                script.wait(900);
            }
            script.until_answered();
        },
    );
}

#[test]
fn scenario_a_scan_overtakes_a_concurrent_write() {
    let counters = scenario(
        |settings| settings.tap.scan_chunk_bytes = 16 << 10,
        |script| {
            script.write_all_over();
            script.until_converged();
            for _ in 0..3 {
                script.inflict(Fault::CutCapturePower);
                slow(script, 25);
                // While everything is read again, everything is written again.
                for first in (0..256).step_by(5) {
                    script.write(first, 5.min(256 - first));
                    script.wait(700);
                }
                slow(script, 1);
                script.until_converged();
            }
        },
    );
    happened(&counters, &["start: everything compared"]);
}

#[test]
fn scenario_a_hole_over_old_replica_data() {
    let counters = scenario(
        |settings| settings.journal.segments_max = 5,
        |script| {
            script.write_all_over();
            script.until_converged();
            script.fill_the_journal();
            // Nobody writes this down.
            script.zero(16, 200);
            script.until_answered();
            script.heal(Fault::CutShip);
        },
    );
    happened(&counters, &["untracked", "journal: full"]);
}

#[test]
fn scenario_a_point_is_asked_for_while_everything_is_read() {
    let counters = scenario(
        |settings| {
            settings.tap.scan_chunk_bytes = 4096;
            settings.tap.scan_reads = 1;
            settings.journal.segments_max = 6;
        },
        |script| {
            let ask = |script: &mut Script| {
                for _ in 0..12 {
                    script.ask_for_marker();
                    script.write(40, 4);
                    script.wait(4_000);
                }
            };
            // The first copy.
            slow(script, 6);
            ask(script);
            script.until_converged();
            // A rescan after a kill in the middle of writes.
            for first in [0, 50, 100, 150] {
                script.write(first, 40);
            }
            script.wait(400);
            script.kill_capture();
            ask(script);
            script.until_converged();
            // Catching up after a full journal.
            script.fill_the_journal();
            script.heal(Fault::CutShip);
            ask(script);
            slow(script, 1);
        },
    );
    happened(
        &counters,
        &[
            "marker arrived inside an interval",
            "marker point published",
            "untracked",
        ],
    );
}
