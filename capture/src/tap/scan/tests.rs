//! The scan by itself.

use super::*;
use bcdr_format::VolumeNumber;
use proptest::prelude::*;

const VOLUME: VolumeNumber = VolumeNumber(1);
const RETRY: Duration = Duration::from_secs(1);

fn range(offset: u64, length: u32) -> VolumeRange {
    VolumeRange {
        volume: VOLUME,
        offset,
        length,
    }
}

fn scan(end: u64) -> Scan {
    Scan::new([(VOLUME, 0, end)], 1 << 20, 4096, RETRY)
}

fn begin(scan: &mut Scan, id: u64, in_flight: &[VolumeRange]) -> VolumeRange {
    let next = scan
        .next_read(Duration::ZERO)
        .expect("there is more to read");
    scan.begun(BackingId(id), next, in_flight.iter().copied());
    next.0
}

#[test]
fn chunks_cover_everything_once() {
    let mut scan = Scan::new(
        [(VOLUME, 512, 3 << 20), (VolumeNumber(2), 0, 4096)],
        1 << 20,
        4096,
        RETRY,
    );
    let mut read = Vec::new();
    while let Some((range, _)) = scan.next_read(Duration::ZERO) {
        read.push((range.volume.0, range.offset, range.length));
    }
    let first = (1 << 20) - 512;
    let expected = [
        (1, 512, first),
        (1, 1 << 20, 1 << 20),
        (1, 2 << 20, 1 << 20),
        (2, 0, 4096),
    ];
    assert_eq!(read, expected);
}

#[test]
fn exactly_the_touched_sectors_are_left_out() {
    let mut scan = scan(65536);
    let chunk = begin(&mut scan, 1, &[range(0, 512), range(70_000, 512)]);
    scan.granted(&range(4096, 1024));
    scan.granted(&range(4608, 2048));
    scan.granted(&range(65024, 4096));
    let other = VolumeRange {
        volume: VolumeNumber(2),
        ..range(8192, 512)
    };
    scan.granted(&other);
    let payload = Payload::copied_from(&vec![1; chunk.length as usize]);
    let pieces = scan.read_done(BackingId(1), Some(&payload));
    let found: Vec<_> = pieces
        .iter()
        .map(|piece| (piece.range.offset, piece.range.end()))
        .collect();
    assert_eq!(found, [(512, 4096), (6656, 65024)]);
    assert!(scan.is_finished());
    assert_eq!(scan.progress().done_bytes, 65536);
}

#[test]
fn a_chunk_that_was_overwritten_whole_yields_nothing() {
    let mut scan = scan(8192);
    begin(&mut scan, 1, &[]);
    scan.granted(&range(0, 8192));
    assert_eq!(scan.read_done(BackingId(1), None), []);
    assert!(scan.is_finished());
}

#[test]
fn holes_and_zeroes_are_zero_pieces() {
    let mut scan = scan(131_072);
    begin(&mut scan, 1, &[]);
    let mut bytes = vec![0; 131_072];
    bytes[40_000] = 1;
    let pieces = scan.read_done(BackingId(1), Some(&Payload::copied_from(&bytes)));
    let found: Vec<_> = pieces
        .iter()
        .map(|one| (one.range.offset, one.range.end(), one.payload.is_none()))
        .collect();
    assert_eq!(
        found,
        [
            (0, 32768, true),
            (32768, 65536, false),
            (65536, 131_072, true)
        ]
    );
    let mut hole = Scan::new([(VOLUME, 0, 8192)], 8192, 4096, RETRY);
    begin(&mut hole, 1, &[]);
    assert_eq!(
        hole.read_done(BackingId(1), None),
        [ScanPiece {
            range: range(0, 8192),
            payload: None
        }]
    );
}

#[test]
fn an_unreadable_unit_is_tried_again_later_and_later() {
    let mut scan = scan(16384);
    let mut id = 0;
    let mut good = 0;
    while let Some(next) = scan.next_read(Duration::ZERO) {
        id += 1;
        scan.begun(BackingId(id), next, std::iter::empty());
        if next.0.overlaps(&range(8192, 512)) {
            scan.read_failed(BackingId(id), Duration::ZERO);
        } else {
            good += scan.read_done(BackingId(id), None).len();
        }
    }
    assert!(good > 0);
    assert!(!scan.is_finished());
    assert_eq!(scan.progress().unreadable_bytes, 4096);
    assert_eq!(scan.next_read(Duration::from_millis(999)), None);
    let next = scan.next_read(RETRY).unwrap();
    assert_eq!(next.0, range(8192, 4096));
    scan.begun(BackingId(99), next, std::iter::empty());
    scan.read_failed(BackingId(99), RETRY);
    assert_eq!(
        scan.next_read(RETRY * 2),
        None,
        "the second delay is twice the first"
    );
    let next = scan.next_read(RETRY * 3).unwrap();
    scan.begun(BackingId(100), next, std::iter::empty());
    assert_eq!(scan.read_done(BackingId(100), None).len(), 1);
    assert!(scan.is_finished());
}

proptest! {
    #[test]
    fn pieces_and_touched_sectors_make_up_the_chunk(
        writes in prop::collection::vec((0_u64..128, 1_u32..32), 0..12),
        zero in prop::collection::vec(any::<bool>(), 128),
    ) {
        let mut scan = scan(65536);
        begin(&mut scan, 1, &[]);
        let bytes: Vec<u8> = zero.iter().flat_map(|zero| [u8::from(!zero); 512]).collect();
        let mut expected = vec![true; 128];
        for (sector, count) in writes {
            scan.granted(&range(sector * 512, count * 512));
            let end = (sector as usize + count as usize).min(128);
            expected[sector as usize..end].fill(false);
        }
        let mut covered = vec![false; 128];
        for piece in scan.read_done(BackingId(1), Some(&Payload::copied_from(&bytes))) {
            for sector in piece.range.offset / 512..piece.range.end() / 512 {
                prop_assert!(!std::mem::replace(&mut covered[sector as usize], true));
                let start = sector as usize * 512;
                let found = piece.payload.as_ref().map_or(0, |payload| {
                    payload[start - piece.range.offset as usize]
                });
                prop_assert_eq!(found, bytes[start]);
            }
        }
        prop_assert_eq!(covered, expected);
    }
}
