//! The ladder against recorded console texts.

use super::*;
use crate::target::{PortProbe, RungPatterns};

const GOOD_BOOT: &str = include_str!("console/good_boot.txt");
const AHCI_FAILURE: &str = include_str!("console/no_driver.txt");
const PANIC: &str = "SeaBIOS (version 1.16.3)\r\n[    0.000000] Linux version 6.1.0-50-cloud-amd64\r\n\
    [    1.9] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n\
    [    1.9] CPU: 0 PID: 1 Comm: swapper/0 Not tainted\r\n";
const TIMEOUT: Duration = Duration::from_secs(180);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ladder_with(change: impl FnOnce(&mut RungPatterns)) -> Ladder {
    let mut patterns = RungPatterns::default();
    change(&mut patterns);
    Ladder::new(
        CompiledPatterns::compile(&patterns).unwrap(),
        at(1),
        TIMEOUT,
    )
}

fn with_canary(patterns: &mut RungPatterns) {
    patterns.canary = r"CANARY sequence=(?<sequence>\d+) time=(?<time>\S+)".to_owned();
}

fn verdicts(ladder: &Ladder) -> Vec<RungVerdict> {
    ladder
        .results()
        .iter()
        // Those of probes are in tests of their own.
        .filter(|result| !result.rung.is_probed())
        .map(|result| result.verdict)
        .collect()
}

fn reason(ladder: &Ladder, rung: Rung) -> &str {
    ladder.results()[rung as usize]
        .reason
        .as_deref()
        .unwrap_or_default()
}

fn isolated(ladder: &mut Ladder, now: Duration) {
    ladder.handle_isolation(IsolationVerdict::Isolated, "no way out", now);
}

const P: RungVerdict = RungVerdict::Passed;
const F: RungVerdict = RungVerdict::Failed;
const N: RungVerdict = RungVerdict::NotRun;

#[test]
fn a_good_boot_climbs_rung_by_rung_whatever_the_pieces() {
    for size in [1, 7, 4096, usize::MAX] {
        let mut ladder = ladder_with(|_| {});
        ladder.handle_instance_running(at(2));
        for piece in GOOD_BOOT.as_bytes().chunks(size.min(GOOD_BOOT.len())) {
            ladder.handle_console(piece, at(20));
        }
        assert_eq!(
            ladder.state(),
            LadderState::Climbing(Rung::Isolation),
            "pieces of {size}"
        );
        isolated(&mut ladder, at(21));
        assert_eq!(ladder.state(), LadderState::Passed);
        assert_eq!(verdicts(&ladder), [P, P, P, P, P, N, P]);
        assert_eq!(reason(&ladder, Rung::Canary), "no pattern is set for it");
        let observed = |rung: Rung| ladder.results()[rung as usize].observed.clone().unwrap();
        assert!(
            observed(Rung::Firmware).contains("SeaBIOS"),
            "{}",
            observed(Rung::Firmware)
        );
        assert!(observed(Rung::Kernel).contains("Linux version 6.1.0"));
        assert!(observed(Rung::Login).contains("login:"));
    }
}

#[test]
fn each_rung_bears_the_time_at_which_it_was_observed() {
    let mut ladder = ladder_with(|_| {});
    ladder.handle_instance_running(at(2));
    for (second, line) in (3..).zip(GOOD_BOOT.split_inclusive('\n')) {
        ladder.handle_console(line.as_bytes(), at(second));
    }
    let times: Vec<f64> = ladder
        .results()
        .iter()
        .take(5)
        .map(|result| result.at_seconds.unwrap())
        .collect();
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    assert_eq!(times[0], 2.0);
}

#[test]
fn nothing_is_passed_before_the_instance_runs() {
    let mut ladder = ladder_with(|_| {});
    ladder.handle_console(GOOD_BOOT.as_bytes(), at(2));
    assert_eq!(verdicts(&ladder), [N; 7]);
}

#[test]
fn a_missing_disk_driver_fails_with_all_the_lines_that_say_so() {
    let mut ladder = ladder_with(|_| {});
    ladder.handle_instance_running(at(2));
    ladder.handle_console(AHCI_FAILURE.as_bytes(), at(41));
    assert_eq!(ladder.state(), LadderState::Failed(Rung::RootMounted));
    assert_eq!(verdicts(&ladder), [P, P, P, F, N, N, N]);
    let why = reason(&ladder, Rung::RootMounted);
    assert!(
        why.contains("Gave up waiting for root") && why.contains("does not exist"),
        "{why}"
    );
    assert_eq!(
        reason(&ladder, Rung::Login),
        "the climb ended at root_mounted"
    );
}

#[test]
fn a_panic_fails_at_once() {
    let mut ladder = ladder_with(|_| {});
    ladder.handle_instance_running(at(2));
    ladder.handle_console(PANIC.as_bytes(), at(9));
    assert_eq!(verdicts(&ladder), [P, P, P, F, N, N, N]);
    assert!(reason(&ladder, Rung::RootMounted).contains("Kernel panic"));
}

#[test]
fn a_failure_line_arriving_in_halves_is_quoted_once_and_whole() {
    let mut ladder = ladder_with(|_| {});
    ladder.handle_instance_running(at(2));
    ladder.handle_console(b"No bootable dev", at(3));
    assert_eq!(ladder.state(), LadderState::Climbing(Rung::Firmware));
    ladder.handle_console(b"ice", at(3));
    ladder.handle_console(b". Retrying\r\n", at(4));
    assert_eq!(
        reason(&ladder, Rung::Firmware),
        "the console shows: No bootable device. Retrying"
    );
}

#[test]
fn silence_fails_the_firmware_at_the_deadline_and_not_before() {
    let mut ladder = ladder_with(|_| {});
    ladder.handle_instance_running(at(2));
    ladder.handle_time(at(180));
    assert_eq!(ladder.state(), LadderState::Climbing(Rung::Firmware));
    ladder.handle_time(at(181));
    assert_eq!(verdicts(&ladder), [P, F, N, N, N, N, N]);
    assert!(reason(&ladder, Rung::Firmware).contains("stayed silent"));
}

#[test]
fn a_higher_rung_before_its_turn_does_not_count_and_is_named() {
    let mut ladder = ladder_with(|_| {});
    ladder.handle_instance_running(at(2));
    ladder.handle_console(b"SeaBIOS\r\nhost login: ", at(3));
    assert_eq!(ladder.state(), LadderState::Climbing(Rung::Kernel));
    ladder.handle_console(b"\r\nLinux version 6.1\r\n", at(4));
    assert_eq!(ladder.state(), LadderState::Climbing(Rung::RootMounted));
    ladder.handle_console(b"host login: ", at(5));
    ladder.handle_time(at(300));
    let why = reason(&ladder, Rung::RootMounted);
    assert!(why.contains("higher rung login"), "{why}");
}

#[test]
fn one_line_may_pass_several_rungs_but_only_from_left_to_right() {
    let mut ladder = ladder_with(|_| {});
    ladder.handle_instance_running(at(2));
    ladder.handle_console(b"Linux version 6 SeaBIOS\r\n", at(3));
    assert_eq!(ladder.state(), LadderState::Climbing(Rung::Kernel));
    let mut ladder = ladder_with(|_| {});
    ladder.handle_instance_running(at(2));
    ladder.handle_console(b"SeaBIOS Linux version 6\r\n", at(3));
    assert_eq!(ladder.state(), LadderState::Climbing(Rung::RootMounted));
}

#[test]
fn a_missing_canary_fails_its_rung_alone() {
    let mut ladder = ladder_with(with_canary);
    ladder.handle_instance_running(at(2));
    isolated(&mut ladder, at(3));
    ladder.handle_console(GOOD_BOOT.as_bytes(), at(20));
    ladder.handle_time(at(200));
    assert_eq!(verdicts(&ladder), [P, P, P, P, P, F, N]);
    assert!(reason(&ladder, Rung::Canary).contains("showed no canary"));
}

#[test]
fn a_canary_counts_before_and_after_the_login_but_not_before_the_root() {
    const CANARY: &[u8] = b"CANARY sequence=41 time=2026-11-03T10:00:00Z\r\n";
    let boot = "SeaBIOS\r\nLinux version 6\r\n";
    let root = "EXT4-fs (vda1): mounted filesystem\r\n";
    let login = "host login: ";
    let sequence_after = |texts: &[&[u8]]| {
        let mut ladder = ladder_with(with_canary);
        ladder.handle_instance_running(at(2));
        isolated(&mut ladder, at(2));
        for text in texts {
            ladder.handle_console(text, at(3));
        }
        let passed = ladder.state() == LadderState::Passed;
        passed.then(|| ladder.canary().unwrap().sequence)
    };
    let (boot, root, login) = (boot.as_bytes(), root.as_bytes(), login.as_bytes());
    assert_eq!(sequence_after(&[boot, root, CANARY, login]), Some(41));
    assert_eq!(
        sequence_after(&[boot, root, login, b"\r\n", CANARY]),
        Some(41)
    );
    assert_eq!(sequence_after(&[boot, CANARY, root, login]), None);
    // Half a canary is none: its numbers would be wrong.
    assert_eq!(
        sequence_after(&[boot, root, login, b"\r\n", &CANARY[..17]]),
        None
    );
}

#[test]
fn the_first_canary_counts_and_its_check_is_awaited() {
    let mut ladder = ladder_with(|patterns| {
        with_canary(patterns);
        patterns.canary_check = "CANARY complete".to_owned();
    });
    ladder.handle_instance_running(at(2));
    isolated(&mut ladder, at(2));
    ladder.handle_console(GOOD_BOOT.as_bytes(), at(3));
    ladder.handle_console(b"\r\nCANARY sequence=7 time=1793700000.5\r\n", at(4));
    ladder.handle_console(b"CANARY sequence=8 time=1793700001.5\r\n", at(5));
    assert_eq!(ladder.state(), LadderState::Climbing(Rung::Canary));
    ladder.handle_console(b"CANARY complete\r\n", at(6));
    assert_eq!(ladder.state(), LadderState::Passed);
    assert_eq!(ladder.canary().unwrap().sequence, 7);
    assert_eq!(
        ladder.results()[Rung::Canary as usize].at_seconds,
        Some(6.0)
    );
}

#[test]
fn an_unreadable_canary_fails() {
    let mut ladder = ladder_with(with_canary);
    ladder.handle_instance_running(at(2));
    ladder.handle_console(GOOD_BOOT.as_bytes(), at(3));
    ladder.handle_console(b"\r\nCANARY sequence=7 time=noon\r\n", at(4));
    assert_eq!(ladder.state(), LadderState::Failed(Rung::Canary));
    assert!(reason(&ladder, Rung::Canary).contains("noon"));
}

#[test]
fn unknown_isolation_waits_and_fails_at_the_deadline() {
    let mut ladder = ladder_with(|_| {});
    ladder.handle_instance_running(at(2));
    ladder.handle_console(GOOD_BOOT.as_bytes(), at(3));
    ladder.handle_isolation(IsolationVerdict::Unknown, "socket 7 is unexplained", at(4));
    assert_eq!(ladder.state(), LadderState::Climbing(Rung::Isolation));
    ladder.handle_time(at(200));
    assert_eq!(verdicts(&ladder), [P, P, P, P, P, N, F]);
    assert!(reason(&ladder, Rung::Isolation).contains("socket 7"));
}

#[test]
fn a_leak_fails_at_any_time_even_after_the_last_rung() {
    let mut ladder = ladder_with(|_| {});
    ladder.handle_instance_running(at(2));
    ladder.handle_isolation(IsolationVerdict::NotIsolated, "a tcp socket", at(3));
    assert_eq!(verdicts(&ladder), [P, N, N, N, N, N, F]);
    let mut ladder = ladder_with(|_| {});
    ladder.handle_instance_running(at(2));
    isolated(&mut ladder, at(2));
    ladder.handle_console(GOOD_BOOT.as_bytes(), at(3));
    assert_eq!(ladder.state(), LadderState::Passed);
    ladder.handle_isolation(IsolationVerdict::NotIsolated, "a tcp socket", at(9));
    assert_eq!(verdicts(&ladder), [P, P, P, P, P, N, F]);
}

#[test]
fn the_machines_own_network_lines_are_heard() {
    let ladder_asking = || {
        let mut ladder = ladder_with(|patterns| {
            patterns.network_isolated = "NETWORK none".to_owned();
            patterns.network_leak = "NETWORK reached".to_owned();
        });
        ladder.handle_instance_running(at(2));
        isolated(&mut ladder, at(2));
        ladder.handle_console(GOOD_BOOT.as_bytes(), at(3));
        assert_eq!(ladder.state(), LadderState::Climbing(Rung::Isolation));
        ladder
    };
    let mut ladder = ladder_asking();
    ladder.handle_console(b"\r\nNETWORK none\r\n", at(4));
    assert_eq!(ladder.state(), LadderState::Passed);
    let mut ladder = ladder_asking();
    ladder.handle_console(b"\r\nNETWORK reached 10.0.0.1\r\n", at(4));
    assert_eq!(ladder.state(), LadderState::Failed(Rung::Isolation));
    let mut ladder = ladder_asking();
    ladder.handle_console(b"\r\nNETWORK none\r\nNETWORK reached 10.0.0.1\r\n", at(4));
    assert_eq!(
        ladder.state(),
        LadderState::Failed(Rung::Isolation),
        "a leak after the last rung"
    );
    let mut ladder = ladder_asking();
    ladder.handle_time(at(200));
    assert!(reason(&ladder, Rung::Isolation).contains("did not confirm"));
}

#[test]
fn a_prompt_counts_when_the_kernel_prints_right_behind_it() {
    let mut ladder = ladder_with(|_| {});
    ladder.handle_instance_running(at(2));
    ladder.handle_console(
        b"SeaBIOS\r\nLinux version 6\r\nEXT4-fs: mounted filesystem\r\n",
        at(3),
    );
    ladder.handle_console(b"host login: eth0: link becomes ready\r\n", at(4));
    assert_eq!(ladder.state(), LadderState::Climbing(Rung::Isolation));
}

#[test]
fn an_ended_instance_fails_the_awaited_rung() {
    let mut ladder = ladder_with(|_| {});
    ladder.handle_instance_running(at(2));
    ladder.handle_console(b"SeaBIOS\r\n", at(3));
    ladder.handle_obstacle("the instance ended: signal 9", at(4));
    assert_eq!(verdicts(&ladder), [P, P, F, N, N, N, N]);
    assert!(reason(&ladder, Rung::Kernel).contains("signal 9"));
}

#[test]
fn a_switched_off_rung_is_stepped_over_and_not_run() {
    let mut ladder = ladder_with(|patterns| patterns.kernel.clear());
    ladder.handle_instance_running(at(2));
    isolated(&mut ladder, at(2));
    ladder.handle_console(
        b"SeaBIOS\r\nEXT4-fs: mounted filesystem\r\nhost login: ",
        at(3),
    );
    assert_eq!(ladder.state(), LadderState::Passed);
    assert_eq!(verdicts(&ladder), [P, P, N, P, P, N, P]);
}

fn probed_ladder() -> Ladder {
    let port = |port| ProbeKind::Port(PortProbe { port, says: None });
    // Whatever the order in which they are given.
    let probes = vec![
        ProbeKind::GuestAgent,
        port(22),
        ProbeKind::NetworkAddress,
        port(80),
    ];
    ladder_with(|_| {}).with_probes(probes)
}

fn awaited(ladder: &Ladder) -> Option<String> {
    ladder.awaited_probe().map(ProbeKind::name)
}

fn probe(ladder: &mut Ladder, outcome: Result<&str, &str>, began: u64, now: u64) {
    let outcome = outcome.map(str::to_owned).map_err(str::to_owned);
    let began = at(began);
    ladder.handle_probe(Probed { began, outcome }, at(now));
}

#[test]
fn probes_are_made_in_order_after_the_login_and_each_is_told() {
    let mut ladder = probed_ladder();
    isolated(&mut ladder, at(2));
    probe(&mut ladder, Ok("before its turn"), 2, 2);
    ladder.handle_instance_running(at(2));
    assert_eq!(awaited(&ladder), None);
    ladder.handle_console(GOOD_BOOT.as_bytes(), at(20));
    for (name, seen) in [
        ("network_address", "it has one"),
        ("port:22", "open"),
        ("port:80", "open too"),
        ("guest_agent", "Debian"),
    ] {
        assert_eq!(awaited(&ladder).as_deref(), Some(name));
        assert!(matches!(ladder.state(), LadderState::Climbing(_)));
        probe(&mut ladder, Ok(seen), 20, 23);
    }
    assert_eq!(ladder.state(), LadderState::Passed);
    let ports = &ladder.results()[Rung::Ports as usize];
    assert_eq!(ports.verdict, P);
    assert_eq!(
        ports.observed.as_deref(),
        Some("port:22: open; port:80: open too")
    );
    let took: Vec<_> = ports
        .probes
        .iter()
        .map(|probe| probe.took_seconds)
        .collect();
    assert_eq!(took, [Some(3.0), Some(3.0)]);
    let agent = &ladder.results()[Rung::GuestAgent as usize];
    assert_eq!(agent.observed.as_deref(), Some("Debian"));
    let pages = &ladder.results()[Rung::Http as usize];
    assert_eq!(
        (pages.verdict, pages.reason.as_deref()),
        (N, Some("no probe is asked for"))
    );
}

#[test]
fn a_failed_probe_ends_the_climb_and_those_above_are_not_run() {
    let mut ladder = probed_ladder();
    isolated(&mut ladder, at(2));
    ladder.handle_instance_running(at(2));
    ladder.handle_console(GOOD_BOOT.as_bytes(), at(20));
    probe(&mut ladder, Ok("it has one"), 20, 21);
    probe(&mut ladder, Err("refused"), 21, 81);
    assert_eq!(ladder.state(), LadderState::Failed(Rung::Ports));
    assert_eq!(reason(&ladder, Rung::Ports), "port:22: refused");
    let probes = &ladder.results()[Rung::Ports as usize].probes;
    let verdicts: Vec<_> = probes.iter().map(|probe| probe.verdict).collect();
    assert_eq!(verdicts, [F, N]);
    assert_eq!(
        reason(&ladder, Rung::GuestAgent),
        "the climb ended at ports"
    );
    assert_eq!(ladder.results()[Rung::Isolation as usize].verdict, N);
}

#[test]
fn the_time_of_probes_is_none_of_the_boots() {
    let mut ladder = probed_ladder();
    ladder.handle_instance_running(at(2));
    ladder.handle_console(GOOD_BOOT.as_bytes(), at(20));
    // The boot began at 1 and has 180 s.
    ladder.handle_time(at(500));
    for now in [500, 501, 502, 503] {
        probe(&mut ladder, Ok("fine"), 20, now);
    }
    assert_eq!(ladder.state(), LadderState::Climbing(Rung::Isolation));
    ladder.handle_time(at(660));
    assert_eq!(ladder.state(), LadderState::Climbing(Rung::Isolation));
    ladder.handle_time(at(665));
    assert_eq!(ladder.state(), LadderState::Failed(Rung::Isolation));
}

#[test]
fn a_connected_machine_is_not_probed() {
    let patterns = CompiledPatterns::compile(&RungPatterns::default()).unwrap();
    let mut ladder = Ladder::of_connected(patterns, at(1), TIMEOUT);
    ladder.handle_instance_running(at(2));
    ladder.handle_console(GOOD_BOOT.as_bytes(), at(20));
    assert_eq!(ladder.state(), LadderState::Passed);
    assert_eq!(reason(&ladder, Rung::Ports), "probes are made in drills");
}
