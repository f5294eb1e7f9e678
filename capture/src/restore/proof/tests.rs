//! What a stamp is worth.

use bcdr_format::{Generation, IncarnationOrdinal, Position, Sequence, StreamId, VolumeId};
use bcdr_wire::restore::Digest;

use super::*;
use crate::restore::Stamp;

const SIZE: u64 = 10 * BLOCK_BYTES as u64 + 512;
const EVIDENCE: BackingEvidence = BackingEvidence {
    identity: 1,
    change: 2,
};

fn point(sequence: u64) -> PointName {
    PointName {
        stream: StreamId::from_u128(1),
        position: Position::new(IncarnationOrdinal(1), Sequence(sequence)),
    }
}

fn found(state: StampState) -> StampFound {
    StampFound::Stamp(Stamp {
        volume: VolumeId::from_u128(1),
        size_bytes: SIZE,
        identity: EVIDENCE.identity,
        generation: Generation(1),
        state,
    })
}

fn clean() -> StampFound {
    found(StampState::Clean {
        point: point(7),
        digest: Digest([0; 32]),
        change: EVIDENCE.change,
        seam: None,
    })
}

fn writing(cursor: u64, base: Option<PointName>, failed: bool) -> StampFound {
    found(StampState::Writing {
        target: point(9),
        base,
        cursor,
        failed,
    })
}

fn judged(found: &StampFound, target: u64) -> (Method, u64, Why) {
    let judgement = judge(found, EVIDENCE, SIZE, point(target));
    (judgement.method, judgement.from, judgement.why)
}

#[test]
fn a_clean_stamp_counts_for_the_same_unchanged_device_only() {
    let since = Method::Known { since: point(7) };
    assert_eq!(judged(&clean(), 9), (since, 0, Why::Proven));
    assert_eq!(judged(&clean(), 7), (since, SIZE, Why::Proven));
    let other = |evidence, size| judge(&clean(), evidence, size, point(9));
    let judgement = other(
        BackingEvidence {
            change: 3,
            ..EVIDENCE
        },
        SIZE,
    );
    assert_eq!(judgement.why, Why::ChangedSince(point(7)));
    assert_eq!((judgement.method, judgement.from), (Method::Compare, 0));
    let judgement = other(
        BackingEvidence {
            identity: 9,
            ..EVIDENCE
        },
        SIZE,
    );
    assert_eq!(
        (judgement.method, judgement.why),
        (Method::Compare, Why::OtherDevice)
    );
    let judgement = other(EVIDENCE, SIZE + 512);
    assert_eq!(
        (judgement.method, judgement.why),
        (Method::Compare, Why::OtherDevice)
    );
}

#[test]
fn a_half_restored_device_counts_on_the_way_to_the_same_point_only() {
    let block = u64::from(BLOCK_BYTES);
    let base = Some(point(7));
    let since = Method::Known { since: point(7) };
    let cursor = 3 * block + 4096;
    let continued = (since, 3 * block, Why::Continued);
    assert_eq!(judged(&writing(cursor, base, false), 9), continued);
    let compared = (Method::Compare, 3 * block, Why::Continued);
    assert_eq!(judged(&writing(cursor, None, false), 9), compared);
    assert_eq!(judged(&writing(SIZE, None, false), 9).1, SIZE);
    let other = (Method::Compare, 0, Why::OtherTarget(point(9)));
    assert_eq!(judged(&writing(cursor, base, false), 8), other);
    // Not even on the way to the point that it came from.
    assert_eq!(judged(&writing(cursor, base, false), 7), other);
}

#[test]
fn a_device_whose_sync_failed_is_written_again_whatever_it_gives_back() {
    let block = u64::from(BLOCK_BYTES);
    let failed = writing(2 * block, None, true);
    let rewrite = |from| (Method::Rewrite, from, Why::DeviceFailed);
    assert_eq!(judged(&failed, 9), rewrite(2 * block));
    assert_eq!(judged(&failed, 8), rewrite(0));
}

#[test]
fn without_a_usable_stamp_everything_is_compared() {
    assert_eq!(
        judged(&StampFound::None, 9),
        (Method::Compare, 0, Why::NoStamp)
    );
    let error = DecodeError::invalid("restore stamp", "torn");
    let unusable = StampFound::Unusable(error.clone());
    assert_eq!(
        judged(&unusable, 9),
        (Method::Compare, 0, Why::Unusable(error))
    );
}
