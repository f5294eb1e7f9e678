//! The device: what is written of a range, and what is not.

use bcdr_disk::{CreateOptions, FaultPlan, SimulatedDisk, Storage as _};

use super::*;

const SIZE: u64 = 2 * BLOCK_BYTES as u64 + 512;

fn device() -> (Device, Arc<dyn File>) {
    let disk = SimulatedDisk::new(1, FaultPlan::none());
    let directory = std::path::Path::new("/d");
    disk.create_directory_all(directory).unwrap();
    let file = disk
        .create(&directory.join("x"), CreateOptions::default())
        .unwrap();
    file.write_all_at(&vec![1; SIZE as usize], 0).unwrap();
    (Device::new(Arc::clone(&file), SIZE), file)
}

fn fetch(offset: u64, length: u64) -> Fetch {
    Fetch {
        range: ByteRange { offset, length },
        digests: Vec::new(),
    }
}

#[test]
fn only_units_that_differ_are_written() {
    let (mut device, file) = device();
    let mut wanted = vec![1; SIZE as usize];
    wanted[5000] = 2;
    wanted[9000] = 2;
    wanted[SIZE as usize - 1] = 2;
    let content = Content::pack(&wanted);
    device.apply(&fetch(0, SIZE), &content, true).unwrap();
    assert_eq!(device.done().written_bytes, 4096 + 4096 + 512);
    let mut found = vec![0; SIZE as usize];
    file.read_exact_at(&mut found, 0).unwrap();
    assert!(found == wanted);
    device.apply(&fetch(0, SIZE), &content, true).unwrap();
    assert_eq!(device.done().written_bytes, 4096 + 4096 + 512);
    // Without trust all of it is written.
    device.apply(&fetch(0, SIZE), &content, false).unwrap();
    assert_eq!(device.done().written_bytes, 4096 + 4096 + 512 + SIZE);
}

#[test]
fn bytes_with_a_wrong_digest_do_not_reach_the_device() {
    let (mut device, _file) = device();
    let wanted = vec![3; SIZE as usize];
    let mut fetch = fetch(0, SIZE);
    fetch.digests = wanted
        .chunks(BLOCK_BYTES as usize)
        .map(block_digest)
        .collect();
    fetch.digests[2] = Digest([0; 32]);
    let refused = device.apply(&fetch, &Content::pack(&wanted), true);
    let at = 2 * u64::from(BLOCK_BYTES);
    assert!(matches!(refused, Err(ApplyError::Digest { offset }) if offset == at));
    assert_eq!(device.done().changed_bytes(), 0);
    let short = Content::Zero { length: 512 };
    let refused = device.apply(&fetch, &short, true);
    assert!(matches!(refused, Err(ApplyError::Content(_))));
}

#[test]
fn hashing_gives_each_block_with_its_place() {
    let (mut device, _file) = device();
    let mut found = Vec::new();
    let all = ByteRange {
        offset: 0,
        length: SIZE,
    };
    device
        .hash(all, |offset, digest| found.push((offset, digest)))
        .unwrap();
    let block = block_digest(&[1; BLOCK_BYTES as usize]);
    let step = u64::from(BLOCK_BYTES);
    let expected = [
        (0, block),
        (step, block),
        (2 * step, block_digest(&[1; 512])),
    ];
    assert_eq!(found, expected);
}
