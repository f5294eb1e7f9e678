//! What the cloud side must not get wrong.

use super::{Fault, Script, happened, scenario};
use crate::simulation::context::Host;

#[test]
fn scenario_a_merge_drops_a_zero_too_early() {
    let counters = scenario(
        |_| {},
        |script| {
            script.write_all_over();
            script.until_converged();
            for round in 0..40 {
                match round {
                    3 => script.zero(0, 128),
                    20 => script.zero(64, 128),
                    _ => script.write((round * 11) % 250, 2),
                }
                script.until_answered();
                script.until_again("point published");
            }
        },
    );
    happened(&counters, &["run merged"]);
}

#[test]
fn scenario_a_batch_received_before_and_committed_after_the_fence() {
    let counters = scenario(
        |_| {},
        |script| {
            script.write_all_over();
            script.until_converged();
            for _ in 0..4 {
                // Commits wait, so that batches are received and not yet durable.
                script.world.cloud.disk_slow = 60;
                for first in (0..200).step_by(20) {
                    script.write(first, 20);
                    script.wait(2_500);
                }
                script.until("a batch waits for its commit", |world| {
                    world.cloud.has_uncommitted()
                });
                script.inflict(Fault::Fence);
                script.inflict(Fault::Replay);
                script.world.cloud.disk_slow = 1;
                script.until_converged();
                script.inflict(Fault::CutCloudPower);
                script.until("it is back", |world| world.cloud.is_up());
            }
        },
    );
    happened(&counters, &["older generation refused"]);
}

#[test]
fn scenario_a_clock_jump_of_ten_years() {
    let counters = scenario(
        |_| {},
        |script| {
            script.write_all_over();
            script.until_converged();
            let years = 10 * 365 * 86_400 * 1_000_000_i64;
            for (host, step) in [
                (Host::Capture, years),
                (Host::Gateway, years),
                (Host::Capture, -2 * years),
                (Host::Cloud, years),
                (Host::Gateway, -years),
                (Host::Cloud, -2 * years),
            ] {
                script.world.cx.step_clock(host, step);
                write_and_converge(script);
                script.world.end_capture(super::Death::Killed);
                script.inflict(Fault::BreakFeed);
                script.inflict(Fault::BreakShip);
                write_and_converge(script);
            }
        },
    );
    happened(&counters, &["point published", "image checked"]);
}

fn write_and_converge(script: &mut Script) {
    for first in [9, 99, 199] {
        script.write(first, 11);
        script.wait(500);
    }
    script.until_converged();
}

#[test]
fn scenario_everything_at_once_loses_power() {
    let counters = scenario(
        |_| {},
        |script| {
            for _ in 0..3 {
                script.write_all_over();
                script.inflict(Fault::CutShip);
                script.write_all_over();
                script.heal(Fault::CutShip);
                script.wait(3_000);
                for fault in [
                    Fault::CutCapturePower,
                    Fault::CutGatewayPower,
                    Fault::CutCloudPower,
                ] {
                    script.inflict(fault);
                }
                script.write_all_over();
            }
        },
    );
    happened(
        &counters,
        &["capture power cut", "gateway power cut", "cloud power cut"],
    );
}

#[test]
fn scenario_the_cloud_side_loses_power_right_after_it_acknowledged() {
    let counters = scenario(
        |_| {},
        |script| {
            for round in 0..8 {
                for first in (0..256).step_by(32) {
                    script.write(first, 16 + round);
                    script.wait(500);
                }
                script.until_again("point published");
                script.inflict(Fault::CutCloudPower);
                script.until("it is back", |world| world.cloud.is_up());
            }
        },
    );
    happened(&counters, &["cloud power cut", "log: batches replayed"]);
}
