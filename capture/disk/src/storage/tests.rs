//! What both twins promise, run against both.

use std::path::Path;
use std::sync::Arc;

use crate::{
    Access, CreateOptions, DiskErrorKind, FaultPlan, File, RealStorage, SimulatedDisk, Storage,
};

fn on_both(check: impl Fn(&dyn Storage, &Path)) {
    let temporary = tempfile::tempdir().unwrap();
    check(&RealStorage::new(), temporary.path());
    let disk = SimulatedDisk::new(1, FaultPlan::none());
    disk.create_directory_all(Path::new("/state")).unwrap();
    check(&disk, Path::new("/state"));
}

fn kind<T: std::fmt::Debug>(result: Result<T, crate::DiskError>) -> DiskErrorKind {
    result.unwrap_err().kind()
}

fn whole(file: &Arc<dyn File>) -> Vec<u8> {
    let mut bytes = vec![0; file.length().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

#[test]
fn names_behave() {
    on_both(|storage, base| {
        let (a, b) = (base.join("a"), base.join("b"));
        assert_eq!(
            kind(storage.open(&a, Access::read())),
            DiskErrorKind::NotFound
        );
        assert_eq!(kind(storage.remove(&a)), DiskErrorKind::NotFound);
        assert_eq!(kind(storage.rename(&a, &b)), DiskErrorKind::NotFound);
        assert_eq!(kind(storage.list(&a)), DiskErrorKind::NotFound);
        assert_eq!(kind(storage.sync_directory(&a)), DiskErrorKind::NotFound);
        let missing_parent = base.join("no/file");
        let refused = storage.create(&missing_parent, CreateOptions::default());
        assert_eq!(kind(refused), DiskErrorKind::NotFound);

        let file = storage.create(&b, CreateOptions::default()).unwrap();
        file.write_all_at(b"old", 0).unwrap();
        let again = storage.create(&b, CreateOptions::default());
        assert_eq!(kind(again), DiskErrorKind::AlreadyExists);
        storage
            .create(&a, CreateOptions::default())
            .unwrap()
            .write_all_at(b"new", 0)
            .unwrap();
        storage.create_directory_all(&base.join("c/d")).unwrap();
        storage.create_directory_all(&base.join("c/d")).unwrap();
        assert_eq!(storage.list(base).unwrap(), ["a", "b", "c"]);
        assert_eq!(storage.list(&base.join("c")).unwrap(), ["d"]);
        assert!(storage.exists(&base.join("c/d")).unwrap());

        storage.rename(&a, &b).unwrap();
        storage.sync_directory(base).unwrap();
        assert_eq!(storage.list(base).unwrap(), ["b", "c"]);
        assert_eq!(whole(&storage.open(&b, Access::read()).unwrap()), b"new");
        // The replaced file lives on in its open handle.
        assert_eq!(whole(&file), b"old");
        storage.rename(&b, &base.join("c/d/e")).unwrap();
        storage.remove(&base.join("c/d/e")).unwrap();
        assert!(!storage.exists(&base.join("c/d/e")).unwrap());
    });
}

#[test]
fn contents_behave() {
    on_both(|storage, base| {
        let file = storage
            .create(&base.join("a"), CreateOptions::default())
            .unwrap();
        file.write_all_at(b"tail", 1000).unwrap();
        file.write_vectored_all_at(&[b"one", b"", b"two"], 0)
            .unwrap();
        file.sync_data().unwrap();
        let mut expected = vec![0; 1004];
        expected[..6].copy_from_slice(b"onetwo");
        expected[1000..].copy_from_slice(b"tail");
        assert_eq!(whole(&file), expected);
        assert_eq!(file.path(), base.join("a"));

        let mut buffer = [9; 8];
        assert_eq!(file.read_at(&mut buffer, 1002).unwrap(), 2);
        assert_eq!(file.read_at(&mut buffer, 1004).unwrap(), 0);
        assert_eq!(file.read_at(&mut buffer, 9999).unwrap(), 0);
        assert_eq!(
            kind(file.read_exact_at(&mut buffer, 1000)),
            DiskErrorKind::ShortRead
        );

        file.set_length(3).unwrap();
        file.set_length(8).unwrap();
        assert_eq!(whole(&file), b"one\0\0\0\0\0");
        let reader = storage.open(&base.join("a"), Access::read()).unwrap();
        assert_eq!(kind(reader.write_all_at(b"x", 0)), DiskErrorKind::Io);
        file.sync_all().unwrap();
    });
}

#[test]
fn many_parts_are_one_write() {
    on_both(|storage, base| {
        let file = storage
            .create(&base.join("a"), CreateOptions::default())
            .unwrap();
        let bytes: Vec<u8> = (0..5000_u32).map(|number| number as u8).collect();
        let parts: Vec<&[u8]> = bytes.chunks(2).collect();
        file.write_vectored_all_at(&parts, 10).unwrap();
        assert_eq!(whole(&file)[10..], bytes);
    });
}

#[test]
fn holes_read_as_zeros_and_keep_the_length() {
    on_both(|storage, base| {
        let file = storage
            .create(&base.join("a"), CreateOptions::default())
            .unwrap();
        file.write_all_at(&[7; 20_000], 0).unwrap();
        file.punch_hole(5000, 10_000).unwrap();
        file.punch_hole(0, 0).unwrap();
        let mut expected = vec![7; 20_000];
        expected[5000..15_000].fill(0);
        assert_eq!(whole(&file), expected);
    });
}

#[test]
fn prewritten_files_have_zeros_and_length() {
    on_both(|storage, base| {
        let options = CreateOptions::default().direct().prewritten(300_000);
        let file = storage.create(&base.join("a"), options).unwrap();
        assert_eq!(file.length().unwrap(), 300_000);
        let mut page = crate::AlignedBuffer::copied_from(&[5; 4096]);
        file.write_all_at(&page, 8192).unwrap();
        page.fill(0);
        file.read_exact_at(&mut page, 8192).unwrap();
        assert!(page.iter().all(|byte| *byte == 5));
        file.read_exact_at(&mut page, 4096).unwrap();
        assert!(page.iter().all(|byte| *byte == 0));
        // The file ends within a page: a direct read of the whole page is short, not an error.
        assert_eq!(file.read_at(&mut page, 299_008).unwrap(), 992);
        assert_eq!(
            kind(file.read_exact_at(&mut page, 299_008)),
            DiskErrorKind::ShortRead
        );
    });
}

#[test]
fn mappings_are_created_extended_reopened_and_never_cut() {
    on_both(|storage, base| {
        let path = base.join("ring");
        let mut mapping = storage.map(&path, 8192).unwrap();
        assert_eq!(mapping.bytes(), [0; 8192]);
        mapping.bytes_mut()[8000] = 3;
        mapping.sync().unwrap();
        mapping.bytes_mut()[1] = 4;
        drop(mapping);
        let mapping = storage.map(&path, 12_288).unwrap();
        assert_eq!(mapping.bytes().len(), 12_288);
        assert_eq!((mapping.bytes()[1], mapping.bytes()[8000]), (4, 3));
        drop(mapping);
        assert!(
            storage
                .map(&path, 4096)
                .unwrap_err()
                .to_string()
                .contains("at most 4096")
        );
    });
}

#[test]
fn space_is_reported() {
    on_both(|storage, base| {
        let space = storage.space(base).unwrap();
        assert!(space.total_bytes >= space.available_bytes && space.available_bytes > 0);
        assert_eq!(
            kind(storage.space(&base.join("missing"))),
            DiskErrorKind::NotFound
        );
    });
}
