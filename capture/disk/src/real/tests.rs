use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::DiskErrorKind;

#[test]
fn modes_are_private() {
    let base = tempfile::tempdir().unwrap();
    let storage = RealStorage::new();
    let directory = base.path().join("x/y");
    storage.create_directory_all(&directory).unwrap();
    storage
        .create(&directory.join("file"), CreateOptions::default())
        .unwrap();
    storage.map(&directory.join("ring"), 4096).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&base.path().join("x")), 0o700);
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join("file")), 0o600);
    assert_eq!(mode(&directory.join("ring")), 0o600);
}

#[test]
fn a_full_device_is_no_space() {
    let file = RealStorage::new()
        .open(Path::new("/dev/full"), Access::write())
        .unwrap();
    assert_eq!(
        file.write_all_at(b"x", 0).unwrap_err().kind(),
        DiskErrorKind::NoSpace
    );
}

#[test]
fn a_failed_sync_is_final_through_every_handle() {
    let storage = RealStorage::new();
    // The kernel refuses to sync a character device, which serves as a failing sync.
    let open = || {
        storage
            .open(Path::new("/dev/null"), Access::write())
            .unwrap()
    };
    let (one, two) = (open(), open());
    two.write_all_at(b"x", 0).unwrap();
    assert_eq!(one.sync_data().unwrap_err().kind(), DiskErrorKind::Io);
    for file in [
        one,
        two,
        storage
            .clone()
            .open(Path::new("/dev/null"), Access::write())
            .unwrap(),
    ] {
        assert_eq!(
            file.write_all_at(b"x", 0).unwrap_err().kind(),
            DiskErrorKind::Poisoned
        );
        let vectored = file.write_vectored_all_at(&[b"x"], 0);
        assert_eq!(vectored.unwrap_err().kind(), DiskErrorKind::Poisoned);
        assert_eq!(
            file.sync_data().unwrap_err().kind(),
            DiskErrorKind::Poisoned
        );
        assert_eq!(file.sync_all().unwrap_err().kind(), DiskErrorKind::Poisoned);
        assert_eq!(
            file.set_length(0).unwrap_err().kind(),
            DiskErrorKind::Poisoned
        );
    }
}

#[test]
fn a_new_file_is_not_blamed_for_an_old_one_with_its_inode_number() {
    let base = tempfile::tempdir().unwrap();
    let storage = RealStorage::new();
    let path = base.path().join("file");
    drop(storage.create(&path, CreateOptions::default()).unwrap());
    let metadata = fs::metadata(&path).unwrap();
    let identity = Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
    };
    storage.given_up.add(identity);
    let reopened = storage.open(&path, Access::write()).unwrap();
    assert_eq!(
        reopened.sync_data().unwrap_err().kind(),
        DiskErrorKind::Poisoned
    );
    storage.given_up.forget(identity);
    reopened.sync_data().unwrap();
}

#[test]
fn an_unfinished_prewritten_file_is_removed_again() {
    let base = tempfile::tempdir().unwrap();
    let storage = RealStorage::new();
    let path = base.path().join("file");
    let options = CreateOptions::default().prewritten(1 << 62);
    assert_eq!(
        storage.create(&path, options).unwrap_err().kind(),
        DiskErrorKind::NoSpace
    );
    assert!(!storage.exists(&path).unwrap());
}
