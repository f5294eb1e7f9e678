use super::*;

fn entry(offset: u64, length: u32, inner: u32) -> RunEntry {
    RunEntry {
        volume: VolumeNumber(3),
        offset,
        length,
        content: RunContent::Chunk(ChunkPlace {
            segment: 7,
            chunk_offset: 4096,
            stored_length: 900,
            inner_offset: inner,
        }),
    }
}

#[test]
fn a_page_survives_the_round_trip_and_no_bit_flip() {
    let entries: Vec<_> = (0..127)
        .map(|place| entry(place * 8192, 4096, 512))
        .collect();
    let bytes = encode_entry_page(9, &entries);
    assert_eq!(bytes.len(), RUN_PAGE_BYTES);
    assert_eq!(decode_entry_page(9, &bytes).unwrap(), entries);
    assert!(decode_entry_page(8, &bytes).is_err());
    for place in (0..bytes.len()).step_by(97) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 4;
        assert!(decode_entry_page(9, &damaged).is_err(), "byte {place}");
    }
}

#[test]
fn splitting_and_joining_are_inverse() {
    let whole = entry(4096, 8192, 1024);
    let (left, right) = (whole.until(8192), whole.from_offset(8192));
    assert_eq!(left.joined(&right), Some(whole));
    assert_eq!(right.joined(&left), None);
    let elsewhere = entry(8192, 4096, 1024);
    assert_eq!(left.joined(&elsewhere), None);
}

#[test]
fn footer_and_header_survive_the_round_trip() {
    let footer = RunFooter {
        entries: 1000,
        entry_pages: 8,
        fence_pages: 1,
        coverage: vec![Coverage {
            volume: VolumeNumber(2),
            first: 512,
            end: 1 << 40,
        }],
        roots: vec![Fence {
            volume: VolumeNumber(2),
            offset: 512,
        }],
    };
    let mut bytes = Vec::new();
    footer.encode(&mut bytes);
    let split = bytes.len() - RUN_TRAILER_BYTES;
    let length = RunFooter::length_from_trailer(&bytes[split..]).unwrap();
    assert_eq!(length, split);
    assert_eq!(RunFooter::decode(&bytes[..split]).unwrap(), footer);
    let header = RunHeader {
        group: GroupId::from_u128(1),
        stream: StreamId::from_u128(2),
        level: 2,
        index: 3,
        first_batch: 192,
        last_batch: 255,
    };
    let bytes = header.encode();
    assert_eq!(bytes.len(), RUN_HEADER_BYTES);
    assert_eq!(RunHeader::decode(&bytes).unwrap(), header);
    let mut newer = bytes;
    newer[4] = 2;
    assert!(matches!(
        RunHeader::decode(&newer),
        Err(DecodeError::Version { found: 2, .. })
    ));
}

#[test]
fn unsorted_entries_are_refused() {
    let bytes = encode_entry_page(0, &[entry(8192, 4096, 0), entry(4096, 8192, 0)]);
    assert!(decode_entry_page(0, &bytes).is_err());
}

#[test]
fn entries_outside_their_chunk_or_volume_are_refused() {
    let decoded = |entry: RunEntry| decode_entry_page(0, &encode_entry_page(0, &[entry]));
    assert!(decoded(entry(0, 4096, 61_440)).is_ok());
    assert!(decoded(entry(0, 4096, 61_952)).is_err());
    assert!(decoded(entry(0, 4096, u32::MAX)).is_err());
    assert!(decoded(entry(u64::MAX - 511, 4096, 0)).is_err());
    assert!(decoded(entry(0, 0, 0)).is_err());
    assert!(decoded(entry(100, 512, 0)).is_err());
}
