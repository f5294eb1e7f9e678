//! Stamps: their bytes, and what is in a stamp's place.

use super::*;

fn point(sequence: u64) -> PointName {
    PointName {
        stream: StreamId::from_u128(0x22),
        position: Position::new(IncarnationOrdinal(3), Sequence(sequence)),
    }
}

fn stamps() -> Vec<Stamp> {
    let stamp = |state| Stamp {
        volume: VolumeId::from_u128(0x33),
        size_bytes: 1 << 30,
        identity: 0x1122_3344_5566_7788,
        generation: Generation(4),
        state,
    };
    vec![
        stamp(StampState::Clean {
            point: point(9),
            digest: Digest([0xd1; 32]),
            change: 77,
            seam: None,
        }),
        stamp(StampState::Writing {
            target: point(9),
            base: Some(point(7)),
            cursor: 1 << 20,
            failed: false,
        }),
        stamp(StampState::Writing {
            target: point(9),
            base: None,
            cursor: 0,
            failed: true,
        }),
    ]
}

/// One whose disk joins the history in two ranges, and one that differs in nothing.
fn seamed() -> Vec<Stamp> {
    let range = |offset, length| ByteRange { offset, length };
    let with = |ranges| {
        let mut stamp = stamps().remove(0);
        if let StampState::Clean { seam, .. } = &mut stamp.state {
            *seam = Some(Seam {
                head: SeamHead {
                    stream: StreamId::from_u128(0x22),
                    held: Held {
                        position: Position::new(IncarnationOrdinal(5), Sequence(70)),
                        id: IncarnationId::from_u128(0x44),
                    },
                    volumes: 2,
                },
                number: VolumeNumber(1),
                ranges,
            });
        }
        stamp
    };
    let ends = (1 << 30) - 65_536;
    vec![
        with(vec![range(65_536, 131_072), range(ends, 65_536)]),
        with(Vec::new()),
    ]
}

#[test]
fn golden_stamps_with_seams_are_read_and_written_again() {
    let encoded: Vec<Vec<u8>> = seamed().iter().map(encode).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/stamp-v2.bin");
    if !path.exists() && std::env::var_os("BCDR_ADD_GOLDEN").is_some() {
        std::fs::write(&path, encoded.concat()).unwrap();
    }
    let golden = std::fs::read(&path).unwrap();
    let (one, other) = golden.split_at(encoded[0].len());
    assert_eq!(other.len(), STAMP_BYTES + SEAM_HEAD_BYTES);
    let decoded = [decode(one).unwrap(), decode(other).unwrap()];
    assert_eq!(decoded.as_slice(), seamed());
    assert_eq!(encoded.concat(), golden);
}

#[test]
fn ranges_of_a_seam_that_make_no_map_are_refused() {
    let range = |offset, length| ByteRange { offset, length };
    let size = 1 << 30;
    let bad = [
        vec![range(0, 0)],
        vec![range(100, 512)],
        vec![range(0, 700)],
        vec![range(4096, 512), range(0, 512)],
        vec![range(0, 1024), range(512, 512)],
        vec![range(0, 512), range(512, 512)],
        vec![range(size - 512, 1024)],
        vec![range(u64::MAX - 511, 512)],
    ];
    for ranges in bad {
        let mut stamp = seamed().remove(0);
        if let StampState::Clean {
            seam: Some(seam), ..
        } = &mut stamp.state
        {
            seam.ranges.clone_from(&ranges);
        }
        assert!(decode(&encode(&stamp)).is_err(), "{ranges:?}");
    }
}

#[test]
fn golden_stamps_are_read_and_written_again() {
    let encoded: Vec<u8> = stamps().iter().flat_map(encode).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/stamp-v1.bin");
    if !path.exists() && std::env::var_os("BCDR_ADD_GOLDEN").is_some() {
        std::fs::write(&path, &encoded).unwrap();
    }
    let golden = std::fs::read(&path).unwrap();
    let decoded: Vec<Stamp> = golden
        .chunks(STAMP_BYTES)
        .map(|bytes| decode(bytes).unwrap())
        .collect();
    assert_eq!(decoded, stamps());
    assert_eq!(encoded, golden);
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    for stamp in stamps().into_iter().chain(seamed()) {
        let good = encode(&stamp);
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bytes).is_err(), "bit {bit}");
        }
        for length in 0..good.len() {
            assert!(decode(&good[..length]).is_err(), "{length} bytes");
        }
    }
}

#[test]
fn there_is_one_form_of_each_stamp() {
    // Each field that a state does not use, set, under a right checksum.
    let resealed = |stamp: &Stamp, at: usize, value: u8| {
        let mut bytes = encode(stamp);
        bytes.truncate(STAMP_BYTES - 4);
        bytes[at] = value;
        codec::seal_checksum(&mut bytes, 0);
        decode(&bytes)
    };
    let stamps = stamps();
    for (stamp, at) in [(0, 76), (0, 80), (0, 108), (1, 116), (1, 124), (2, 80)] {
        let refused = resealed(&stamps[stamp], at, 1);
        assert!(refused.is_err(), "stamp {stamp}, byte {at}: {refused:?}");
    }
    assert!(resealed(&stamps[1], 76, 5).is_err());
    assert!(resealed(&stamps[1], 6, 3).is_err());
    // A cursor behind the end.
    assert!(resealed(&stamps[1], 108 + 5, 1).is_err());
}

#[test]
fn what_is_in_a_stamps_place_is_told_by_name() {
    let storage: Arc<dyn Storage> = Arc::new(bcdr_disk::SimulatedDisk::new(
        1,
        bcdr_disk::FaultPlan::none(),
    ));
    storage.create_directory_all(Path::new("/state")).unwrap();
    let book = StampBook::of_group(Arc::clone(&storage), Path::new("/state"));
    let stamp = stamps().remove(0);
    assert_eq!(book.read(stamp.volume).unwrap(), StampFound::None);
    book.clear(&[stamp.volume]).unwrap();
    book.put(&stamp).unwrap();
    assert_eq!(
        book.read(stamp.volume).unwrap(),
        StampFound::Stamp(stamp.clone())
    );

    let say = |bytes: &[u8]| {
        replace_atomically(&*storage, &book.path(stamp.volume), bytes).unwrap();
        let served = book.restored(&[stamp.volume]).unwrap_err().to_string();
        assert!(served.contains("may hold a mixture"), "{served}");
        match book.read(stamp.volume).unwrap() {
            StampFound::Unusable(error) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let mut newer = encode(&stamp);
    newer[4] = 3;
    assert!(say(&newer).contains("version 3"));
    let mut foreign = stamp.clone();
    foreign.volume = VolumeId::from_u128(1);
    assert!(say(&encode(&foreign)).contains("and not of"));
    assert!(say(&[]).contains("ends after 0 bytes"));
    assert!(say(b"something else entirely").contains("magic"));
    let long = vec![0; STAMP_BYTES_MAX + 1];
    assert!(say(&long).contains("more than any stamp"));
    assert!(say(&encode(&stamp)[..100]).contains("checksum"));
}
