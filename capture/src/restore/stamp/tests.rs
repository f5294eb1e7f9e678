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
    for stamp in stamps() {
        let good = encode(&stamp);
        assert_eq!(good.len(), STAMP_BYTES);
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
    newer[4] = 2;
    assert!(say(&newer).contains("version 2"));
    let mut foreign = stamp.clone();
    foreign.volume = VolumeId::from_u128(1);
    assert!(say(&encode(&foreign)).contains("and not of"));
    assert!(say(&[]).contains("ends after 0 bytes"));
    assert!(say(b"something else entirely").contains("magic"));
    assert!(say(&[0; 500]).contains("500 bytes"));
    assert!(say(&encode(&stamp)[..100]).contains("checksum"));
}
