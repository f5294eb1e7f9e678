//! The ring after kills, power cuts and damage.

use super::*;
use bcdr_disk::{Access, FaultPlan, SimulatedDisk};

const SLOTS: u64 = 8;
const BOOT: BootId = BootId(5);
const EVIDENCE: BackingEvidence = BackingEvidence {
    identity: 3,
    change: 4,
};

fn disk() -> SimulatedDisk {
    SimulatedDisk::new(1, FaultPlan::none())
}

fn open(disk: &SimulatedDisk, boot: BootId) -> (IntentRing, IntentsFound) {
    IntentRing::open(disk, Path::new("/ring"), SLOTS, boot).unwrap()
}

fn intent(sequence: u64) -> Intent {
    Intent {
        ordinal: IncarnationOrdinal(2),
        incarnation: IncarnationId::from_u128(9),
        sequence: Sequence(sequence),
        range: VolumeRange {
            volume: VolumeNumber(1),
            offset: sequence * 512,
            length: 1024,
        },
        fed: Sequence(sequence / 2),
    }
}

fn begin(ring: &mut IntentRing) {
    ring.begin(
        BOOT,
        IncarnationOrdinal(2),
        IncarnationId::from_u128(9),
        EVIDENCE,
    );
}

#[test]
fn after_a_kill_the_newest_intents_are_all_there() {
    let disk = disk();
    let (mut ring, found) = open(&disk, BOOT);
    assert_eq!(found, IntentsFound::Unproven(Unproven::Missing));
    begin(&mut ring);
    (1..=20).for_each(|sequence| ring.write(&intent(sequence)));
    drop(ring);
    disk.kill();
    let (_, found) = open(&disk, BOOT);
    let IntentsFound::Proven(found) = found else {
        panic!("{found:?}")
    };
    assert_eq!(found.intents, (13..=20).map(intent).collect::<Vec<_>>());
    assert_eq!(
        found.begun,
        (IncarnationOrdinal(2), IncarnationId::from_u128(9))
    );
    assert_eq!(found.identity, EVIDENCE.identity);
    let (_, found) = open(&disk, BootId(6));
    assert_eq!(found, IntentsFound::Unproven(Unproven::OtherBoot));
}

#[test]
fn a_new_life_forgets_the_old_intents() {
    let disk = disk();
    let (mut ring, _) = open(&disk, BOOT);
    begin(&mut ring);
    (1..=20).for_each(|sequence| ring.write(&intent(sequence)));
    begin(&mut ring);
    drop(ring);
    disk.kill();
    let IntentsFound::Proven(found) = open(&disk, BOOT).1 else {
        panic!()
    };
    assert!(found.intents.is_empty());
}

#[test]
fn damage_and_another_size_prove_nothing() {
    for (offset, expected) in [
        (20, Unproven::Damaged),
        (
            HEADER_BYTES as u64 + 3 * SLOT_BYTES as u64 + 9,
            Unproven::Damaged,
        ),
    ] {
        let disk = disk();
        let (mut ring, _) = open(&disk, BOOT);
        begin(&mut ring);
        (1..=20).for_each(|sequence| ring.write(&intent(sequence)));
        drop(ring);
        disk.kill();
        let file = disk.open(Path::new("/ring"), Access::write()).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
        drop(file);
        assert_eq!(open(&disk, BOOT).1, IntentsFound::Unproven(expected));
    }
    let disk = disk();
    let (mut ring, _) = open(&disk, BOOT);
    begin(&mut ring);
    drop(ring);
    disk.kill();
    let found = IntentRing::open(&disk, Path::new("/ring"), SLOTS / 2, BOOT)
        .unwrap()
        .1;
    assert_eq!(found, IntentsFound::Unproven(Unproven::Missing));
}

#[test]
fn a_clean_end_survives_a_power_cut() {
    let disk = disk();
    let (mut ring, _) = open(&disk, BOOT);
    begin(&mut ring);
    ring.write(&intent(1));
    let incarnation = IncarnationId::from_u128(10);
    ring.close_clean(IncarnationOrdinal(3), incarnation, EVIDENCE)
        .unwrap();
    drop(ring);
    disk.power_cut();
    disk.power_on();
    let (mut ring, found) = open(&disk, BootId(6));
    assert_eq!(
        found,
        IntentsFound::Clean {
            incarnation,
            evidence: EVIDENCE
        }
    );
    begin(&mut ring);
    drop(ring);
    disk.kill();
    assert!(
        matches!(open(&disk, BOOT).1, IntentsFound::Proven(_)),
        "it is no longer closed"
    );
}

#[test]
fn a_kill_while_untracked_finds_no_proof_whenever_the_ring_was_begun() {
    let incarnation = IncarnationId::from_u128(10);
    for begun_first in [true, false] {
        let disk = disk();
        let (mut ring, _) = open(&disk, BOOT);
        begin(&mut ring);
        drop(ring);
        disk.kill();
        let (mut ring, found) = open(&disk, BOOT);
        assert!(matches!(found, IntentsFound::Proven(_)));
        if begun_first {
            begin(&mut ring);
        }
        ring.distrust();
        drop(ring);
        disk.kill();
        let (mut ring, found) = open(&disk, BOOT);
        assert!(matches!(found, IntentsFound::Unproven(_)), "{found:?}");
        ring.distrust();
        begin(&mut ring);
        drop(ring);
        disk.kill();
        let (mut ring, found) = open(&disk, BOOT);
        assert_eq!(found, IntentsFound::Unproven(Unproven::Untracked));
        begin(&mut ring);
        ring.distrust();
        ring.trust(IncarnationOrdinal(3), incarnation);
        drop(ring);
        disk.kill();
        let IntentsFound::Proven(found) = open(&disk, BOOT).1 else {
            panic!()
        };
        assert_eq!(found.begun, (IncarnationOrdinal(3), incarnation));
    }
}

/// A ring that an earlier release wrote. It is added, never edited.
#[test]
fn a_ring_of_version_2_reads_back_and_is_written_the_same() {
    let disk = disk();
    let (mut ring, _) = open(&disk, BOOT);
    begin(&mut ring);
    let seen = Sighting::Writing {
        alive_at: bcdr_format::Timestamp(1_700_000_000_000_000),
        boot_at: bcdr_format::Timestamp(1_600_000_000_000_000),
        sectors_at_most: 77,
    };
    ring.sight(seen);
    (5..=7).for_each(|sequence| ring.write(&intent(sequence)));
    let written = ring.mapping.bytes().to_vec();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/intents-v2.bin");
    if !path.exists() && std::env::var_os("BCDR_ADD_GOLDEN").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let golden = std::fs::read(&path).unwrap();
    assert!(written == golden, "this release writes other bytes");
    let IntentsFound::Proven(found) = examine(&golden, SLOTS, BOOT) else {
        panic!()
    };
    assert_eq!(found.sighting, Some(seen));
    assert_eq!(found.intents, (5..=7).map(intent).collect::<Vec<_>>());
    let mut other = golden;
    other[4] = 1;
    let mut header = other[..HEADER_USED_BYTES - 4].to_vec();
    codec::seal_checksum(&mut header, 0);
    other[..HEADER_USED_BYTES].copy_from_slice(&header);
    assert_eq!(
        examine(&other, SLOTS, BOOT),
        IntentsFound::Unproven(Unproven::OtherVersion)
    );
}
