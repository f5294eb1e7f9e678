use super::*;
use crate::{FaultPlan, RealStorage, SimulatedDisk};

const OLD: &[u8] = b"the old settings";

fn path() -> &'static Path {
    Path::new("/state/settings")
}

fn new_bytes() -> Vec<u8> {
    (0..3000_u32)
        .map(|number| (number % 251) as u8 + 1)
        .collect()
}

fn with_old_bytes() -> SimulatedDisk {
    let disk = SimulatedDisk::new(0, FaultPlan::none());
    disk.create_directory_all(Path::new("/state")).unwrap();
    replace_atomically(&disk, path(), OLD).unwrap();
    disk
}

#[test]
fn replaces_and_reads_on_a_real_disk_over_a_stale_temporary() {
    let directory = tempfile::tempdir().unwrap();
    let storage = RealStorage::new();
    let path = directory.path().join("settings");
    std::fs::write(temporary_of(&path), b"half a rep").unwrap();
    replace_atomically(&storage, &path, OLD).unwrap();
    replace_atomically(&storage, &path, &new_bytes()).unwrap();
    assert_eq!(read_whole(&storage, &path, 3000).unwrap(), new_bytes());
    assert!(
        read_whole(&storage, &path, 2999)
            .unwrap_err()
            .to_string()
            .contains("at most 2999")
    );
    assert_eq!(storage.list(directory.path()).unwrap(), ["settings"]);
}

#[test]
fn a_power_cut_at_any_step_leaves_old_or_new() {
    let base = with_old_bytes();
    let before = base.operations();
    replace_atomically(&base.fork(0), path(), &new_bytes()).unwrap();
    let mut outcomes = [0_u32; 2];
    let counting = base.fork(0);
    replace_atomically(&counting, path(), &new_bytes()).unwrap();
    let steps = counting.operations() - before;
    assert_eq!(steps, 5, "create, write, sync, rename, sync the directory");
    for step in 1..=steps + 1 {
        for seed in 0..200 {
            let disk = base.fork(seed * 31 + step);
            disk.cut_power_at(step);
            let result = replace_atomically(&disk, path(), &new_bytes());
            assert_eq!(result.is_ok(), step > steps, "step {step}, seed {seed}");
            disk.power_on();
            disk.power_cut();
            let found = read_whole(&disk, path(), 4000).unwrap();
            let is_new = found == new_bytes();
            assert!(is_new || found == OLD, "step {step}, seed {seed}: torn");
            assert!(is_new || step <= steps, "seed {seed}: lost after success");
            outcomes[usize::from(is_new)] += 1;
            // What the crash left in the directory is no obstacle to the next replacement.
            replace_atomically(&disk, path(), b"next").unwrap();
            disk.power_cut();
            assert_eq!(read_whole(&disk, path(), 4000).unwrap(), b"next");
        }
    }
    assert!(outcomes.iter().all(|count| *count > 100), "{outcomes:?}");
}

#[test]
fn leaving_out_the_sync_would_be_caught() {
    let base = with_old_bytes();
    let torn = (0..200).any(|seed| {
        let disk = base.fork(seed);
        let temporary = temporary_of(path());
        let file = disk.create(&temporary, CreateOptions::default()).unwrap();
        file.write_all_at(&new_bytes(), 0).unwrap();
        disk.rename(&temporary, path()).unwrap();
        disk.sync_directory(Path::new("/state")).unwrap();
        disk.power_cut();
        let found = read_whole(&disk, path(), 4000).unwrap();
        found != OLD && found != new_bytes()
    });
    assert!(torn);
}

#[test]
fn errors_leave_the_old_bytes_and_no_rubbish() {
    let disk = with_old_bytes();
    disk.set_capacity(4096);
    let error = replace_atomically(&disk, path(), &new_bytes()).unwrap_err();
    assert_eq!(error.kind(), DiskErrorKind::NoSpace);
    assert_eq!(read_whole(&disk, path(), 4000).unwrap(), OLD);
    assert_eq!(disk.list(Path::new("/state")).unwrap(), ["settings"]);
}

#[test]
fn open_or_create_makes_the_entry_durable_even_if_a_killed_program_did_not() {
    let disk = with_old_bytes();
    let file = Path::new("/state/catalog");
    disk.create(file, CreateOptions::default()).unwrap();
    disk.kill();
    let opened = open_or_create(&disk, file, CreateOptions::default()).unwrap();
    opened.write_all_at(b"x", 0).unwrap();
    disk.power_cut();
    assert!(disk.exists(file).unwrap());
    open_or_create(&disk, Path::new("/state/other"), CreateOptions::default()).unwrap();
    disk.power_cut();
    assert!(disk.exists(Path::new("/state/other")).unwrap());
}
