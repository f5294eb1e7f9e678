//! The plan by itself: order, bounds, cursor, and answers that cannot be.

use bcdr_disk::SeededRandom;
use bcdr_format::{IncarnationOrdinal, Position, Sequence, StreamId};
use bcdr_wire::restore::{PointName, Refusal, RefusalKind};

use super::*;
use crate::restore::Why;

const BLOCK: u64 = BLOCK_BYTES as u64;
const SIZE: u64 = 20 * BLOCK + 1536;

fn plan(method: Method, from: u64) -> RestorePlan {
    let judgement = Judgement {
        method,
        from,
        why: Why::NoStamp,
    };
    let limits = PlanLimits {
        requests: 3,
        read_bytes: 2 * BLOCK_BYTES,
        compare_blocks: 4,
        ranges: 8,
    };
    RestorePlan::new(VolumeId::from_u128(1), SIZE, &judgement, limits)
}

fn known() -> Method {
    Method::Known {
        since: PointName {
            stream: StreamId::from_u128(1),
            position: Position::new(IncarnationOrdinal(1), Sequence(1)),
        },
    }
}

fn range(offset: u64, length: u64) -> ByteRange {
    ByteRange { offset, length }
}

fn ranges(ranges: &[ByteRange], next: Option<u64>) -> Answer {
    Answer::Ranges {
        ranges: ranges.to_vec(),
        next,
    }
}

/// Answers every request as a source would for which every third block differs.
fn honest(request: &Request) -> Answer {
    match *request {
        Request::Changed { .. } => ranges(&[range(512, 512), range(5 * BLOCK, 3 * BLOCK)], None),
        Request::Digests { offset, length, .. } => Answer::Digests {
            offset,
            digests: vec![Digest([1; 32]); length.div_ceil(BLOCK) as usize],
        },
        Request::Read { offset, length, .. } => Answer::Data {
            offset,
            content: Content::Zero { length },
        },
        _ => unreachable!("a plan does not ask for that"),
    }
}

/// Runs a plan to its end with answers that come late, and returns what was written.
fn run(mut plan: RestorePlan, seed: u64) -> Vec<ByteRange> {
    let mut random = SeededRandom::new(seed);
    let mut waiting = VecDeque::new();
    let mut written = Vec::new();
    let mut cursor = plan.cursor();
    while !plan.is_done() {
        let mut asked = false;
        while random.coin()
            && let Some(request) = plan.next_request()
        {
            waiting.push_back(honest(&request));
            asked = true;
        }
        assert!(waiting.len() <= 3);
        if !asked && waiting.is_empty() {
            waiting.extend(plan.next_request().map(|request| honest(&request)));
        }
        if random.coin()
            && let Some(answer) = waiting.pop_front()
        {
            match plan.answered(answer).unwrap() {
                Step::None => {}
                Step::Compare { range, digests } => {
                    assert!(plan.cursor() <= range.offset);
                    let differing = (0..digests.len() as u64)
                        .map(|index| range.offset + index * BLOCK)
                        .filter(|offset| (offset / BLOCK).is_multiple_of(3))
                        .map(|offset| (offset, Digest([1; 32])));
                    plan.finished(Finished::Compared(differing.collect()));
                }
                Step::Write { fetch, .. } => {
                    assert!(plan.cursor() <= fetch.range.offset);
                    let blocks = fetch.range.length.div_ceil(BLOCK) as usize;
                    assert!(fetch.digests.is_empty() || fetch.digests.len() == blocks);
                    written.push(fetch.range);
                    plan.finished(Finished::Written);
                }
            }
        }
        assert!(plan.cursor() >= cursor, "the cursor went back");
        assert!(plan.cursor() == SIZE || plan.cursor().is_multiple_of(BLOCK));
        cursor = plan.cursor();
    }
    assert_eq!(plan.cursor(), SIZE);
    assert!(plan.next_request().is_none());
    written
}

#[test]
fn a_comparison_reads_the_blocks_that_differ_in_order_and_once() {
    for seed in 0..50 {
        let expected: Vec<ByteRange> = (0..7)
            .map(|index| range(index * 3 * BLOCK, BLOCK))
            .collect();
        assert_eq!(run(plan(Method::Compare, 0), seed), expected, "seed {seed}");
        let later = run(plan(Method::Compare, 7 * BLOCK), seed);
        assert_eq!(later, expected[3..], "seed {seed}");
    }
}

#[test]
fn known_ranges_are_read_in_units_and_in_pieces() {
    let expected = vec![
        range(0, 4096),
        range(5 * BLOCK, 2 * BLOCK),
        range(7 * BLOCK, BLOCK),
    ];
    for seed in 0..50 {
        assert_eq!(run(plan(known(), 0), seed), expected, "seed {seed}");
        let later = run(plan(known(), 6 * BLOCK), seed);
        assert_eq!(later, [range(6 * BLOCK, 2 * BLOCK)], "seed {seed}");
    }
    assert!(run(plan(known(), SIZE), 1).is_empty());
}

#[test]
fn a_rewrite_reads_everything() {
    let read: u64 = run(plan(Method::Rewrite, 0), 1)
        .iter()
        .map(|range| range.length)
        .sum();
    assert_eq!(read, SIZE);
}

#[test]
fn a_run_of_blocks_is_read_at_once_as_far_as_one_read_goes() {
    let mut plan = plan(Method::Compare, 0);
    let request = plan.next_request().unwrap();
    plan.answered(honest(&request)).unwrap();
    let digest = |byte| Digest([byte; 32]);
    let blocks = [(0, digest(1)), (BLOCK, digest(2)), (2 * BLOCK, digest(3))];
    plan.finished(Finished::Compared(blocks.to_vec()));
    let reads: Vec<Request> = (0..2).map(|_| plan.next_request().unwrap()).collect();
    let read = |offset, length: u64| Request::Read {
        volume: VolumeId::from_u128(1),
        offset,
        length: length as u32,
    };
    assert_eq!(reads, [read(0, 2 * BLOCK), read(2 * BLOCK, BLOCK)]);
}

#[test]
fn a_source_that_does_not_know_makes_it_compare_from_where_it_is() {
    let mut plan = plan(known(), 0);
    plan.next_request().unwrap();
    plan.answered(ranges(&[], Some(3 * BLOCK + 512))).unwrap();
    plan.next_request().unwrap();
    let unknown = Answer::Unknown {
        reason: "thinned".to_owned(),
    };
    assert_eq!(plan.answered(unknown).unwrap(), Step::None);
    assert_eq!((plan.method(), plan.cursor()), (Method::Compare, 3 * BLOCK));
    assert!(matches!(
        plan.next_request(),
        Some(Request::Digests { offset, .. }) if offset == 3 * BLOCK
    ));
}

#[test]
fn the_bounds_hold_whatever_limits_are_given() {
    let judgement = Judgement {
        method: Method::Compare,
        from: 0,
        why: Why::NoStamp,
    };
    for number in [0, 1, u32::MAX] {
        let limits = PlanLimits {
            requests: number as usize,
            read_bytes: number,
            compare_blocks: number,
            ranges: number,
        };
        let mut plan = RestorePlan::new(VolumeId::from_u128(1), 1 << 40, &judgement, limits);
        plan.next_request().unwrap().encode().unwrap();
    }
}

#[test]
fn answers_that_cannot_be_are_refused() {
    let digests = |offset, count| Answer::Digests {
        offset,
        digests: vec![Digest([0; 32]); count],
    };
    for answer in [
        digests(0, 3),
        digests(0, 5),
        digests(BLOCK, 4),
        ranges(&[], None),
        Answer::Data {
            offset: 0,
            content: Content::Zero { length: 4096 },
        },
    ] {
        let mut plan = plan(Method::Compare, 0);
        plan.next_request().unwrap();
        let refused = plan.answered(answer.clone());
        assert!(
            matches!(refused, Err(SourceError::Nonsense { .. })),
            "{answer:?}"
        );
    }
    for answer in [
        ranges(&[], Some(0)),
        ranges(&[], Some(SIZE + 512)),
        ranges(&[range(SIZE, 512)], None),
        ranges(&[range(4096, 4096)], Some(4096)),
        ranges(&[range(4096, 4096), range(0, 512)], None),
        ranges(&[range(0, 0)], None),
        ranges(&[range(u64::MAX, 512)], None),
        ranges(&[range(0, 512); 9], None),
        digests(0, 4),
    ] {
        let mut plan = plan(known(), 0);
        plan.next_request().unwrap();
        let refused = plan.answered(answer.clone());
        assert!(
            matches!(refused, Err(SourceError::Nonsense { .. })),
            "{answer:?}"
        );
    }
    let mut plan = plan(known(), 0);
    assert!(plan.answered(ranges(&[], None)).is_err());
    let mut plan = self::plan(known(), 0);
    plan.next_request().unwrap();
    let refusal = Refusal {
        kind: RefusalKind::Fenced,
        reason: "generation 7 is current".to_owned(),
    };
    assert_eq!(
        plan.answered(Answer::Refused(refusal.clone())),
        Err(SourceError::Refused(refusal))
    );
}
