//! How lives follow each other: the decision by itself, and whole lives with kills and power cuts.

mod oracle;
mod receiver;
mod sometimes;
mod world;

use super::*;
use crate::intent::{Intent, Sighting, Unproven};
use bcdr_format::{GroupId, Timestamp, VolumeId, VolumeNumber};
use proptest::prelude::*;
use world::World;

const EVIDENCE: BackingEvidence = BackingEvidence {
    identity: 1,
    change: 2,
};

const ACTIVITY: BackingActivity = BackingActivity {
    changed_at: Timestamp(0),
    sectors_written: 0,
    boot_at: Timestamp(0),
    own_clock: true,
    counted: true,
};

fn position(ordinal: u32, sequence: u64) -> Position {
    Position::new(IncarnationOrdinal(ordinal), Sequence(sequence))
}

fn id(number: u128) -> IncarnationId {
    IncarnationId::from_u128(number)
}

fn members() -> Vec<Member> {
    vec![Member {
        group: GroupId::from_u128(1),
        number: VolumeNumber(1),
        id: VolumeId::from_u128(1),
        size_bytes: 1 << 20,
    }]
}

fn range(block: u64) -> VolumeRange {
    VolumeRange {
        volume: VolumeNumber(1),
        offset: block * 4096,
        length: 4096,
    }
}

/// Life 3 with records 21 to 40, settled through 30.
fn recovered() -> Recovered {
    let opening = Opening {
        ordinal: IncarnationOrdinal(3),
        id: id(3),
        continues: Some(position(2, 20)),
        first: Sequence(21),
    };
    Recovered {
        newest: Some(IncarnationStart {
            opening,
            sync: None,
        }),
        settled: Some(position(3, 30)),
        last_sequence: Sequence(40),
        members: members(),
        unsettled: vec![range(1), range(5)],
        ..Recovered::default()
    }
}

fn intent(sequence: u64, block: u64, fed: u64) -> Intent {
    Intent {
        ordinal: IncarnationOrdinal(3),
        incarnation: id(3),
        sequence: Sequence(sequence),
        range: range(block),
        fed: Sequence(fed),
    }
}

fn proven(intents: Vec<Intent>) -> ProvenIntents {
    ProvenIntents {
        begun: (IncarnationOrdinal(3), id(3)),
        identity: 1,
        sighting: Some(Sighting::Quiet {
            change: EVIDENCE.change,
        }),
        intents,
    }
}

fn plan(recovered: &Recovered, intents: IntentsFound) -> StartPlan {
    plan_with(recovered, intents, None)
}

fn plan_with(recovered: &Recovered, intents: IntentsFound, rejoin: Option<&Rejoin>) -> StartPlan {
    plan_start(&StartInput {
        recovered,
        intents: &intents,
        evidence: EVIDENCE,
        activity: ACTIVITY,
        members: &members(),
        incarnation: id(99),
        sync: SyncId::from_u128(7),
        rejoin,
    })
}

fn assert_everything(plan: &StartPlan, reason: SyncReason) {
    assert_eq!(plan.scope, SyncScope::Everything);
    let ordinal = plan.start.opening.ordinal;
    let sync = plan.start.sync.unwrap();
    assert_eq!(
        (sync.reason, sync.heals),
        (reason, Heals::Everything { opening: ordinal })
    );
}

#[test]
fn the_first_life_copies_everything() {
    let missing = IntentsFound::Unproven(Unproven::Missing);
    let plan = plan(&Recovered::default(), missing);
    let opening = plan.start.opening;
    assert_eq!(
        (opening.ordinal, opening.first),
        (IncarnationOrdinal(1), Sequence(1))
    );
    assert_eq!(opening.continues, None);
    assert_everything(&plan, SyncReason::Initial);
}

#[test]
fn disks_that_were_put_back_continue_the_historys_end_above_all_that_is_known() {
    let untracked = || IntentsFound::Unproven(Unproven::Untracked);
    let mut rejoin = Rejoin {
        after: position(4, 70),
        known: position(0, 0),
        ranges: vec![range(3), range(9)],
    };
    let planned = plan_with(&Recovered::default(), untracked(), Some(&rejoin));
    let opening = planned.start.opening;
    assert_eq!(
        (opening.ordinal, opening.first),
        (IncarnationOrdinal(5), Sequence(71))
    );
    assert_eq!(opening.continues, Some(position(4, 70)));
    let sync = planned.start.sync.unwrap();
    assert_eq!(
        (sync.reason, sync.heals),
        (SyncReason::Fork, Heals::Nothing)
    );
    assert_eq!(planned.scope, SyncScope::Ranges(rejoin.ranges.clone()));
    // What the host did on its own meanwhile gave away lives and sequences.
    rejoin.known = position(7, 200);
    let planned = plan_with(&Recovered::default(), untracked(), Some(&rejoin));
    let opening = planned.start.opening;
    assert_eq!(
        (opening.ordinal, opening.first),
        (IncarnationOrdinal(8), Sequence(201))
    );
    assert_eq!(opening.continues, Some(position(4, 70)));
    // A journal that holds something speaks for itself.
    let planned = plan_with(&recovered(), untracked(), Some(&rejoin));
    assert_everything(&planned, SyncReason::PowerLoss);
}

#[test]
fn a_clean_stop_continues_without_an_interval() {
    let clean = Recovered {
        clean: true,
        settled: Some(position(3, 40)),
        ..recovered()
    };
    let found = IntentsFound::Clean {
        incarnation: id(3),
        evidence: EVIDENCE,
    };
    let planned = plan(&clean, found.clone());
    assert_eq!(planned.start.sync, None);
    let opening = planned.start.opening;
    assert_eq!(
        (opening.continues, opening.first),
        (Some(position(3, 40)), Sequence(41))
    );
    // Only with the same life, the same backings, and the journal's own word.
    let changed = BackingEvidence {
        change: 9,
        ..EVIDENCE
    };
    let others = [
        IntentsFound::Clean {
            incarnation: id(2),
            evidence: EVIDENCE,
        },
        IntentsFound::Clean {
            incarnation: id(3),
            evidence: changed,
        },
    ];
    for other in others {
        assert_everything(&plan(&clean, other), SyncReason::PowerLoss);
    }
    assert_everything(&plan(&recovered(), found), SyncReason::PowerLoss);
}

#[test]
fn a_kill_reads_again_what_is_behind_the_settled_prefix_in_journal_and_ring() {
    // Records 41 and 42 never reached the journal; 25 was settled long ago.
    let intents = vec![intent(25, 9, 22), intent(41, 7, 29), intent(42, 2, 30)];
    let plan = plan(&recovered(), IntentsFound::Proven(proven(intents)));
    let opening = plan.start.opening;
    assert_eq!(
        (opening.continues, opening.first),
        (Some(position(3, 30)), Sequence(43))
    );
    let sync = plan.start.sync.unwrap();
    let through = Heals::Through {
        opening: opening.ordinal,
        through: position(3, 42),
    };
    assert_eq!((sync.reason, sync.heals), (SyncReason::Killed, through));
    let joined = VolumeRange {
        length: 8192,
        ..range(1)
    };
    assert_eq!(
        plan.scope,
        SyncScope::Ranges(vec![joined, range(5), range(7)])
    );
}

#[test]
fn without_proof_everything_is_read() {
    let foreign_life = Intent {
        ordinal: IncarnationOrdinal(4),
        ..intent(41, 1, 30)
    };
    let cases = [
        IntentsFound::Unproven(Unproven::OtherBoot),
        IntentsFound::Unproven(Unproven::Damaged),
        // The journal lost records that had been written.
        IntentsFound::Proven(proven(vec![intent(60, 1, 55)])),
        IntentsFound::Proven(proven(vec![foreign_life])),
        IntentsFound::Proven(ProvenIntents {
            identity: 5,
            ..proven(vec![])
        }),
        // Somebody else wrote to the volumes since.
        IntentsFound::Proven(ProvenIntents {
            sighting: Some(Sighting::Quiet { change: 9 }),
            ..proven(vec![])
        }),
        IntentsFound::Proven(ProvenIntents {
            sighting: None,
            ..proven(vec![])
        }),
        IntentsFound::Proven(ProvenIntents {
            begun: (IncarnationOrdinal(3), id(8)),
            ..proven(vec![])
        }),
        IntentsFound::Proven(ProvenIntents {
            begun: (IncarnationOrdinal(4), id(4)),
            ..proven(vec![])
        }),
    ];
    for case in cases {
        let plan = plan(&recovered(), case);
        assert_everything(&plan, SyncReason::PowerLoss);
        assert!(plan.start.opening.first > Sequence(40));
    }
}

#[test]
fn an_open_interval_is_taken_up_again_and_widened() {
    let open = SyncStart {
        sync: SyncId::from_u128(55),
        reason: SyncReason::Initial,
        heals: Heals::Nothing,
    };
    let recovered = Recovered {
        open_sync: Some(open),
        ..recovered()
    };
    let plan = plan(&recovered, IntentsFound::Proven(proven(vec![])));
    assert_everything(&plan, SyncReason::Initial);
    assert_eq!(plan.start.sync.unwrap().sync, open.sync);
}

#[test]
fn a_volume_that_was_added_is_copied() {
    let recovered = Recovered {
        members: Vec::new(),
        clean: true,
        ..recovered()
    };
    let found = IntentsFound::Clean {
        incarnation: id(3),
        evidence: EVIDENCE,
    };
    assert_everything(&plan(&recovered, found), SyncReason::Initial);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn kills_leave_exact_prefixes_and_every_life_converges(seed in any::<u64>()) {
        let mut world = World::new(seed);
        for _ in 0..6 {
            world.run(120);
            world.end(world::End::Kill);
        }
        world.converge();
        prop_assert_eq!(world.check_end(), Ok(()), "seed {}", seed);
    }

    #[test]
    fn any_end_any_fault_any_peer_converges(seed in any::<u64>()) {
        let mut world = World::new(seed);
        world.faults = true;
        for _ in 0..8 {
            world.run(100);
            world.end_somehow();
        }
        world.converge();
        prop_assert_eq!(world.check_end(), Ok(()), "seed {}", seed);
    }
}

/// The random lives above are worth something only if the interesting things happen in them.
#[test]
fn the_interesting_things_happen() {
    let mut total = sometimes::Sometimes::default();
    for seed in 0..40 {
        let mut world = World::new(seed);
        world.faults = true;
        for _ in 0..8 {
            world.run(100);
            world.end_somehow();
        }
        world.converge();
        assert_eq!(world.check_end(), Ok(()), "seed {seed}");
        total.add(&world.sometimes);
    }
    assert_eq!(total.never_happened(), Vec::<&str>::new());
}
