//! Sealing: round trips, every kind of change noticed, no counter twice, and hostile sealers.

use super::*;
use bcdr_format::{
    InstallationId, Timestamp,
    chunk::{CHUNK_PLAIN_BYTES_MAX, ChunkHeader, ChunkId, Codec, TAG_BYTES},
};
use std::{collections::HashSet, sync::Arc};

const INSTALLATION: InstallationId = InstallationId::from_u128(0x1111);
const OTHER_INSTALLATION: InstallationId = InstallationId::from_u128(0x2222);
const KEY: [u8; KEY_BYTES] = [0x5a; KEY_BYTES];

fn installation_key() -> InstallationKey {
    InstallationKey::from_bytes(&InstallationKeyBytes::new([3; KEY_BYTES]))
}

/// A sealer, and an opener that was given the key in its wrapped form.
fn pair() -> (ChunkSealer, ChunkOpener) {
    let key = DataKey::from_random(INSTALLATION, DataKeyId::from_u128(9), KEY);
    let ring = KeyRing::new(INSTALLATION);
    let wrapped = key.wrap(&installation_key()).unwrap();
    ring.insert_wrapped(key.id(), &wrapped, &installation_key())
        .unwrap();
    (
        ChunkSealer::new(key).unwrap(),
        ChunkOpener::new(ring).unwrap(),
    )
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn chunks_of_all_sizes_round_trip() {
    let (mut sealer, mut opener) = pair();
    let text: Vec<u8> = b"what a volume holds "
        .iter()
        .copied()
        .cycle()
        .take(CHUNK_PLAIN_BYTES_MAX as usize)
        .collect();
    let noise = noise(CHUNK_PLAIN_BYTES_MAX as usize);
    for length in [1, 2, 511, 512, 4096, 20_000, text.len()] {
        for plain in [&text[..length], &noise[..length]] {
            let chunk = sealer.seal(plain).unwrap();
            let mut encoded = Vec::new();
            chunk.header.encode(&mut encoded);
            let header = ChunkHeader::decode(&encoded).unwrap();
            assert_eq!(header, chunk.header);
            assert_eq!(opener.open(&header, &chunk.sealed).unwrap(), plain);
        }
    }
    assert_eq!(sealer.seal(&text).unwrap().header.codec, Codec::Zstd);
    assert!(sealer.seal(&text).unwrap().sealed.len() < text.len() / 10);
    let stored = sealer.seal(&noise).unwrap().header;
    assert_eq!(stored.codec, Codec::Stored);
    assert_eq!(stored.sealed_length, CHUNK_PLAIN_BYTES_MAX + TAG_BYTES);
}

#[test]
fn a_chunk_holds_something_and_not_too_much() {
    let (mut sealer, _) = pair();
    for length in [0, CHUNK_PLAIN_BYTES_MAX as usize + 1] {
        let refused = sealer.seal(&vec![0; length]);
        assert!(matches!(refused, Err(SealError::PlainLength { .. })));
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let (mut sealer, mut opener) = pair();
    for plain in [vec![7; 4096], noise(600)] {
        let chunk = sealer.seal(&plain).unwrap();
        for bit in 0..chunk.sealed.len() * 8 {
            let mut sealed = chunk.sealed.clone();
            sealed[bit / 8] ^= 1 << (bit % 8);
            let opened = opener.open(&chunk.header, &sealed);
            assert!(
                matches!(opened, Err(OpenError::Authentication { .. })),
                "bit {bit}: {opened:?}"
            );
        }
        let mut encoded = Vec::new();
        chunk.header.encode(&mut encoded);
        for bit in 0..encoded.len() * 8 {
            let mut header = encoded.clone();
            header[bit / 8] ^= 1 << (bit % 8);
            assert!(ChunkHeader::decode(&header).is_err(), "header bit {bit}");
        }
    }
}

/// The header's own checksum is no protection against people, so its fields are authenticated.
#[test]
fn every_header_field_is_authenticated() {
    let (mut sealer, mut opener) = pair();
    let twin_id = DataKeyId::from_u128(10);
    // The same secret under another id: only what is authenticated tells the two apart.
    let twin = DataKey::from_random(INSTALLATION, twin_id, KEY);
    let wrapped = twin.wrap(&installation_key()).unwrap();
    opener
        .keys()
        .insert_wrapped(twin_id, &wrapped, &installation_key())
        .unwrap();
    let chunk = sealer.seal(&[7; 4096]).unwrap();
    let good = chunk.header;
    let changed = [
        ChunkHeader {
            id: ChunkId {
                counter: good.id.counter + 1,
                ..good.id
            },
            ..good
        },
        ChunkHeader {
            id: ChunkId {
                key: twin_id,
                ..good.id
            },
            ..good
        },
        ChunkHeader {
            codec: Codec::Stored,
            plain_length: good.sealed_length - TAG_BYTES,
            ..good
        },
        ChunkHeader {
            plain_length: good.plain_length + 1,
            ..good
        },
    ];
    for header in changed {
        let opened = opener.open(&header, &chunk.sealed);
        assert!(
            matches!(opened, Err(OpenError::Authentication { .. })),
            "{header:?}: {opened:?}"
        );
    }
    assert!(opener.open(&good, &chunk.sealed).is_ok());
}

#[test]
fn chunks_cannot_be_swapped() {
    let (mut sealer, mut opener) = pair();
    let (one, two) = (
        sealer.seal(&noise(512)).unwrap(),
        sealer.seal(&noise(1024)[512..]).unwrap(),
    );
    assert_eq!(one.sealed.len(), two.sealed.len());
    let opened = opener.open(&one.header, &two.sealed);
    assert!(matches!(opened, Err(OpenError::Authentication { .. })));
}

#[test]
fn a_chunk_belongs_to_its_installation() {
    let (mut sealer, _) = pair();
    let chunk = sealer.seal(&[7; 512]).unwrap();
    let foreign = DataKey::from_random(OTHER_INSTALLATION, sealer.key().id(), KEY);
    let ring = KeyRing::new(OTHER_INSTALLATION);
    let wrapped = foreign.wrap(&installation_key()).unwrap();
    ring.insert_wrapped(foreign.id(), &wrapped, &installation_key())
        .unwrap();
    let opened = ChunkOpener::new(ring)
        .unwrap()
        .open(&chunk.header, &chunk.sealed);
    assert!(matches!(opened, Err(OpenError::Authentication { .. })));
}

#[test]
fn a_missing_key_is_said_to_be_missing_until_it_comes() {
    let (mut sealer, _) = pair();
    let chunk = sealer.seal(&[7; 512]).unwrap();
    let ring = KeyRing::new(INSTALLATION);
    let mut opener = ChunkOpener::new(ring.clone()).unwrap();
    let id = sealer.key().id();
    let opened = opener.open(&chunk.header, &chunk.sealed);
    assert!(matches!(opened, Err(OpenError::MissingKey { key }) if key == id));
    let wrapped = sealer.key().wrap(&installation_key()).unwrap();
    ring.insert_wrapped(id, &wrapped, &installation_key())
        .unwrap();
    assert!(ring.contains(id) && ring.len() == 1);
    assert!(opener.open(&chunk.header, &chunk.sealed).is_ok());
}

#[test]
fn lengths_that_lie_are_refused() {
    let (_, mut opener) = pair();
    let id = ChunkId {
        key: DataKeyId::from_u128(9),
        counter: 1,
    };
    let bomb = zstd::bulk::compress(&vec![0; 8 << 20], 1).unwrap();
    let short = zstd::bulk::compress(&[0; 1000], 1).unwrap();
    let garbage = noise(100);
    for body in [&bomb, &short, &garbage] {
        let header = ChunkHeader {
            id,
            codec: Codec::Zstd,
            plain_length: CHUNK_PLAIN_BYTES_MAX,
            sealed_length: body.len() as u32 + TAG_BYTES,
        };
        let sealed = chunk::forge(INSTALLATION, &KEY, &header, body);
        let opened = opener.open(&header, &sealed);
        assert!(
            matches!(opened, Err(OpenError::Invalid { .. })),
            "{opened:?}"
        );
    }
}

#[test]
fn implausible_headers_are_refused_before_anything_is_opened() {
    let (mut sealer, mut opener) = pair();
    let chunk = sealer.seal(&noise(512)).unwrap();
    let good = chunk.header;
    let changed = [
        ChunkHeader {
            plain_length: u32::MAX,
            codec: Codec::Zstd,
            ..good
        },
        ChunkHeader {
            plain_length: 0,
            ..good
        },
        ChunkHeader {
            plain_length: 513,
            ..good
        },
        ChunkHeader {
            codec: Codec::Zstd,
            ..good
        },
        ChunkHeader {
            sealed_length: good.sealed_length - 1,
            ..good
        },
    ];
    for header in changed {
        let opened = opener.open(&header, &chunk.sealed);
        assert!(
            matches!(opened, Err(OpenError::Invalid { .. })),
            "{header:?}"
        );
    }
    assert!(opener.open(&good, &chunk.sealed[..3]).is_err());
}

#[test]
fn sealers_that_share_a_key_share_no_counter() {
    let key = DataKey::generate(INSTALLATION, Timestamp(0)).unwrap();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let mut sealer = ChunkSealer::new(Arc::clone(&key)).unwrap();
            std::thread::spawn(move || {
                (0..500)
                    .map(|_| sealer.seal(b"same bytes").unwrap())
                    .map(|chunk| (chunk.header.id, chunk.sealed))
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let chunks: Vec<_> = workers
        .into_iter()
        .flat_map(|worker| worker.join().unwrap())
        .collect();
    let ledger: HashSet<_> = chunks.iter().map(|(id, _)| *id).collect();
    let sealed: HashSet<_> = chunks.iter().map(|(_, sealed)| sealed).collect();
    assert_eq!((ledger.len(), sealed.len()), (2000, 2000));
}

#[test]
fn an_exhausted_key_seals_no_more() {
    let (mut sealer, _) = pair();
    sealer.key().skip_to(COUNTER_LIMIT - 1);
    let last = sealer.seal(b"last").unwrap();
    assert_eq!(last.header.id.counter, COUNTER_LIMIT - 1);
    for _ in 0..2 {
        let refused = sealer.seal(b"one too many");
        assert!(matches!(refused, Err(SealError::Exhausted { .. })));
    }
}

#[test]
fn data_keys_are_fresh() {
    let [one, two] = [0, 0].map(|now| DataKey::generate(INSTALLATION, Timestamp(now)).unwrap());
    assert_ne!(one.id(), two.id());
    let ring = KeyRing::new(INSTALLATION);
    let wrapped = one.wrap(&installation_key()).unwrap();
    // The id is authenticated: a wrapped key cannot pose as another.
    let posed = ring.insert_wrapped(two.id(), &wrapped, &installation_key());
    assert!(matches!(posed, Err(SealError::WrongKey { .. })));
    assert!(ring.is_empty());
}

#[test]
fn wrapped_keys_open_in_their_own_place_only() {
    let kek = KeyEncryptionKey::from_bytes([1; KEY_BYTES]);
    let key = installation_key();
    let wrapped = kek.wrap(INSTALLATION, &key).unwrap();
    assert_eq!(wrapped.len(), WRAPPED_KEY_BYTES);
    let opened = kek.unwrap(INSTALLATION, &wrapped).unwrap();
    assert_eq!(opened.to_bytes(), key.to_bytes());
    assert_eq!(opened.fingerprint(), key.fingerprint());

    let other_kek = KeyEncryptionKey::from_bytes([2; KEY_BYTES]);
    for refused in [
        other_kek.unwrap(INSTALLATION, &wrapped),
        kek.unwrap(OTHER_INSTALLATION, &wrapped),
    ] {
        assert!(matches!(refused, Err(SealError::WrongKey { .. })));
    }
    for bit in 0..wrapped.len() * 8 {
        let mut changed = wrapped.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(kek.unwrap(INSTALLATION, &changed).is_err(), "bit {bit}");
    }
    for length in 0..wrapped.len() {
        assert!(kek.unwrap(INSTALLATION, &wrapped[..length]).is_err());
    }
    // Nonces are random: the same key never wraps to the same bytes.
    assert_ne!(kek.wrap(INSTALLATION, &key).unwrap(), wrapped);
}

#[test]
fn another_installation_key_opens_no_data_key() {
    let key = DataKey::from_random(INSTALLATION, DataKeyId::from_u128(9), KEY);
    let wrapped = key.wrap(&installation_key()).unwrap();
    let other = InstallationKey::generate().unwrap();
    assert_ne!(other.fingerprint(), installation_key().fingerprint());
    let refused = KeyRing::new(INSTALLATION).insert_wrapped(key.id(), &wrapped, &other);
    assert!(matches!(refused, Err(SealError::WrongKey { .. })));
}

#[test]
fn a_batch_mac_depends_on_key_predecessor_and_bytes() {
    let key = installation_key();
    let first = batch_mac(&key, &[0; 32], b"first batch");
    let second = batch_mac(&key, &first, b"second batch");
    assert_eq!(
        verify_batch_mac(&key, &[0; 32], b"first batch", &first),
        Ok(())
    );
    assert_eq!(
        verify_batch_mac(&key, &first, b"second batch", &second),
        Ok(())
    );
    let other = InstallationKey::from_bytes(&InstallationKeyBytes::new([4; KEY_BYTES]));
    for wrong in [
        verify_batch_mac(&other, &first, b"second batch", &second),
        verify_batch_mac(&key, &[0; 32], b"second batch", &second),
        verify_batch_mac(&key, &first, b"second batcH", &second),
        verify_batch_mac(&key, &first, b"second batch", &first),
    ] {
        assert_eq!(wrong, Err(BatchMacMismatch));
    }
    for bit in 0..256 {
        let mut mac = second;
        mac[bit / 8] ^= 1 << (bit % 8);
        assert!(verify_batch_mac(&key, &first, b"second batch", &mac).is_err());
    }
}

/// Stored bytes outlive releases: derivations and formats must not drift.
#[test]
fn derivations_are_pinned() {
    let key = installation_key();
    assert_eq!(key.fingerprint().to_string(), "6b054374f73ce17e");
    let mac = blake3::Hash::from(batch_mac(&key, &[1; 32], b"bytes"));
    assert_eq!(
        mac.to_hex().as_str(),
        "41e1aaa9c5dcc95aafbe16dc4736ede2c2a25f95d053a49f14afbbfdb79ea1a0"
    );
    let (mut sealer, mut opener) = pair();
    let chunk = sealer.seal(b"pinned").unwrap();
    assert_eq!(chunk.header.id.counter, 1);
    // Computed by another implementation of the cipher, from the drawing.
    let sealed: String = chunk
        .sealed
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(sealed, "564ead2094e97aa6e798fb2dcfe4445eeb824de06f10");
    assert_eq!(
        opener.open(&chunk.header, &chunk.sealed).unwrap(),
        b"pinned"
    );
}

#[test]
fn secrets_are_not_printed() {
    let printed = format!(
        "{:?} {:?} {:?} {:?}",
        InstallationKey::from_bytes(&InstallationKeyBytes::new([0xee; 32])),
        InstallationKeyBytes::new([0xee; 32]),
        KeyEncryptionKey::from_bytes([0xee; 32]),
        DataKey::from_random(INSTALLATION, DataKeyId::from_u128(1), [0xee; 32]),
    );
    assert!(
        !printed.contains("eeee") && !printed.contains("238"),
        "{printed}"
    );
}
