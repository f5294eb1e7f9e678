mod exports;
mod world;

use super::*;
use crate::{
    branches::{BaseImage, RemoveBranchError},
    receive::{
        BatchNumber, Lineage,
        sample::{Change, Kind, SECTOR, VOLUME_SECTORS},
    },
    replica::StatusKind,
    views::digest,
};
use bcdr_disk::{FaultPlan, SeededRandom, SimulatedDisk, Storage};
use std::path::Path;
use world::{
    Contents, FIRST_RECORDS, Process, SIZE, World, contents, contents_of, contents_of_branch,
};

const VOLUME: VolumeNumber = VolumeNumber(0);

/// One write and what it does to the model.
#[derive(Debug, Clone)]
struct Operation {
    volume: VolumeNumber,
    offset: u64,
    length: u64,
    /// None for zeroes.
    stamp: Option<u64>,
}

impl Operation {
    fn random(random: &mut SeededRandom, stamp: u64) -> Self {
        let sector = random.below(VOLUME_SECTORS);
        let sectors = random.between(1, 14).min(VOLUME_SECTORS - sector);
        Self {
            volume: VolumeNumber(random.below(2) as u16),
            offset: sector * SECTOR as u64,
            length: sectors * SECTOR as u64,
            stamp: (random.below(3) > 0).then_some(stamp),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let Some(stamp) = self.stamp else {
            return vec![0; self.length as usize];
        };
        (0..self.length)
            .map(|place| (stamp.wrapping_mul(31) + place / 97) as u8)
            .collect()
    }

    fn run(&self, branch: &Branch) -> Result<(), BranchError> {
        match self.stamp {
            Some(_) => branch.write(self.volume, self.offset, self.bytes().into()),
            None => branch.write_zeroes(self.volume, self.offset, self.length),
        }
    }

    fn apply(&self, contents: &mut Contents) {
        let start = self.offset as usize;
        contents[usize::from(self.volume.0)][start..start + self.length as usize]
            .copy_from_slice(&self.bytes());
    }
}

/// The contents after each answered write; the first is the base.
struct Model {
    images: Vec<Contents>,
    /// Index of the image at the last answered flush.
    flushed: usize,
}

impl Model {
    fn new(base: Contents) -> Self {
        Self {
            images: vec![base],
            flushed: 0,
        }
    }

    fn newest(&self) -> &Contents {
        self.images.last().expect("the base is there")
    }

    fn answered(&mut self, operation: &Operation) {
        let mut next = self.newest().clone();
        operation.apply(&mut next);
        self.images.push(next);
    }

    fn write(&mut self, branch: &Branch, operation: &Operation) {
        operation.run(branch).unwrap();
        self.answered(operation);
    }
}

/// How many writes a batch end of a branch holds: its position says it.
fn writes_at(process: &Process, lineage: Lineage, batch: u64) -> usize {
    let row = process.catalog.batch(lineage, BatchNumber(batch)).unwrap();
    let row = row.expect("the batch is in the index");
    assert!(row.published, "batch {batch} is no point");
    (row.end.sequence.0 - FIRST_RECORDS) as usize
}

/// Compares every batch end with the model. Says how many there are.
fn check_instants(process: &Process, branch: &Branch, model: &Model, context: &str) -> u64 {
    let lineage = branch.record().lineage;
    let batches = process.catalog.batch_count(lineage).unwrap();
    for batch in 0..batches {
        let view = branch.view(BatchNumber(batch)).unwrap();
        let writes = writes_at(process, lineage, batch);
        let expected = &model.images[writes];
        assert!(
            contents_of(&view) == *expected,
            "{context}: batch {batch}, {writes} writes"
        );
    }
    batches
}

#[test]
fn after_a_power_cut_a_branch_holds_a_prefix_with_everything_flushed() {
    let (mut lost, mut kept_unflushed, mut batches, mut lives) = (0, 0, 0, 0);
    let mut failed_syncs = 0;
    for seed in 0..60 {
        let plan = FaultPlan {
            sync_error_per_mille: if seed % 3 == 0 { 60 } else { 0 },
            write_error_per_mille: if seed % 6 == 0 { 5 } else { 0 },
            ..FaultPlan::none()
        };
        let world = World::with_faults(seed, 12, plan);
        let mut random = SeededRandom::new(seed);
        let base = random.below(12);
        let process = world.start().unwrap();
        let id = process.branch_at(base).id();
        drop(process);
        let mut model = Model::new(contents(&world.history.images[base as usize]));
        for round in 0..4 {
            let context = format!("seed {seed}, round {round}");
            world.disk.cut_power_at(random.between(20, 300));
            world.disk.arm(true);
            let process = world.start().ok();
            if let Some(process) = &process
                && let Some(branch) = process.branches.get(id)
            {
                run_until_the_cut(process, &branch, &mut random, &mut model, &context);
            }
            world.power_cut(process);
            world.disk.arm(false);

            let process = world.start().unwrap();
            let branch = process.branches.get(id).expect("it opens again");
            let point = branch.head_point();
            let held = writes_at(&process, branch.record().lineage, point.batch.0);
            let answered = model.images.len() - 1;
            assert!(
                (model.flushed..=answered).contains(&held),
                "{context}: {held} writes held, {} flushed, {answered} answered",
                model.flushed
            );
            assert!(
                contents_of_branch(&branch) == model.images[held],
                "{context}"
            );
            lost += answered - held;
            kept_unflushed += held - model.flushed;
            lives = lives.max(point.id.0.ordinal.0);
            model.images.truncate(held + 1);
            model.flushed = held;
            batches += check_instants(&process, &branch, &model, &context);
        }
        failed_syncs += world.disk.faults().sync_errors;
    }
    assert!(
        lost > 50 && kept_unflushed > 50 && batches > 500 && lives > 3 && failed_syncs > 20,
        "the test proves little: {lost} {kept_unflushed} {batches} {lives} {failed_syncs}"
    );
}

/// Uses the branch until the disk fails it or enough was done.
fn run_until_the_cut(
    process: &Process,
    branch: &Branch,
    random: &mut SeededRandom,
    model: &mut Model,
    context: &str,
) {
    for _ in 0..60 {
        match random.below(10) {
            0 | 1 => {
                if branch.flush().is_err() {
                    return;
                }
                model.flushed = model.images.len() - 1;
            }
            2 => {
                let operation = Operation::random(random, 0);
                let (start, length) = (operation.offset as usize, operation.length as usize);
                // After a failure the branch shows what is durable, which is checked later.
                let found = branch.read(operation.volume, operation.offset, length);
                let expected =
                    &model.newest()[usize::from(operation.volume.0)][start..start + length];
                match found {
                    Ok(found) if branch.status().failure.is_none() => {
                        assert!(found == expected, "{context}: {operation:?}");
                    }
                    _ => return,
                }
            }
            3 => {
                if !process.build_runs() {
                    return;
                }
            }
            _ => {
                let operation = Operation::random(random, model.images.len() as u64);
                if operation.run(branch).is_err() {
                    return;
                }
                model.answered(&operation);
            }
        }
    }
}

#[test]
fn a_branch_begins_as_its_base_and_neither_changes_the_other() {
    let mut world = World::new(3, 20);
    let mut process = world.start().unwrap();
    let branch = process.branch_at(13);
    let base_digest = digest(branch.base()).unwrap();
    assert_eq!(
        digest(&branch.view(BatchNumber(0)).unwrap()).unwrap(),
        base_digest
    );
    let mut model = Model::new(contents(&world.history.images[13]));
    assert!(contents_of_branch(&branch) == *model.newest());
    let mut random = SeededRandom::new(3);
    for stamp in 0..50 {
        model.write(&branch, &Operation::random(&mut random, stamp));
        // The replica goes on as well.
        let change = Change {
            volume: 0,
            sector: stamp,
            sectors: 3,
            kind: Kind::Data(stamp),
        };
        let batch = world.history.batch(&[change]);
        process.replica.take(&batch);
    }
    branch.flush().unwrap();
    process.replica.build_all();
    assert!(contents_of_branch(&branch) == *model.newest());
    assert_eq!(digest(branch.base()).unwrap(), base_digest);
    process
        .replica
        .assert_view(13, &world.history.images[13], "the base");
    process
        .replica
        .assert_view(69, &world.history.images[69], "the replica's end");
    let head = branch.view(branch.head_point().batch).unwrap();
    assert_ne!(digest(&head).unwrap(), base_digest);
    check_instants(&process, &branch, &model, "beside the replica");
}

#[test]
fn zeroes_over_the_base_stay_when_runs_merge() {
    let world = World::new(5, 12);
    let process = world.start().unwrap();
    let branch = process.branch_at(11);
    let mut model = Model::new(contents(&world.history.images[11]));
    let whole = |volume| Operation {
        volume: VolumeNumber(volume),
        offset: 8 * SECTOR as u64,
        length: SIZE - 16 * SECTOR as u64,
        stamp: None,
    };
    assert!(
        model.newest()[0][8 * SECTOR..]
            .iter()
            .any(|byte| *byte != 0)
    );
    model.write(&branch, &whole(0));
    model.write(&branch, &whole(1));
    branch.flush().unwrap();
    let mut random = SeededRandom::new(5);
    for stamp in 0..150 {
        model.write(&branch, &Operation::random(&mut random, stamp));
        branch.flush().unwrap();
        if stamp % 40 == 0 {
            assert!(process.build_runs());
        }
    }
    assert!(process.build_runs());
    let built = branch.reader().runs().built();
    assert!(built[1] >= 18 && built[2] >= 2, "{built:?}");
    assert!(check_instants(&process, &branch, &model, "merged") > 150);
    // Wherever runs are lost, they are built again under the same rule.
    drop(branch);
    let mut removed = 0;
    for path in world.files(Path::new("/store")) {
        if path.extension().is_some_and(|extension| extension == "run") {
            world.disk.remove(&path).unwrap();
            removed += 1;
        }
    }
    assert!(removed > 20);
    let id = process.branches.all()[0].record.id;
    drop(process);
    let process = world.start().unwrap();
    let branch = process.branches.get(id).unwrap();
    assert!(process.build_runs());
    check_instants(&process, &branch, &model, "built again");
}

#[test]
fn the_status_of_a_branch_is_that_of_its_bytes() {
    let world = World::new(6, 12);
    let process = world.start().unwrap();
    let branch = process.branch_at(11);
    let mut model = Model::new(contents(&world.history.images[11]));
    let mut random = SeededRandom::new(6);
    for stamp in 0..120 {
        model.write(&branch, &Operation::random(&mut random, stamp));
        for volume in 0..2_u16 {
            let number = VolumeNumber(volume);
            let status = branch.block_status(number, 0, SIZE).unwrap();
            assert_eq!(status.iter().map(|part| part.length).sum::<u64>(), SIZE);
            assert!(status.windows(2).all(|pair| pair[0].kind != pair[1].kind));
            let mut offset = 0;
            for part in status {
                let end = offset + part.length as usize;
                let bytes = &model.newest()[usize::from(volume)][offset..end];
                if part.kind == StatusKind::Zero {
                    assert!(
                        bytes.iter().all(|byte| *byte == 0),
                        "write {stamp} at {offset}"
                    );
                }
                offset = end;
            }
        }
    }
    // With everything in the log, holes are exact to the unit.
    branch.write_zeroes(VOLUME, 0, SIZE).unwrap();
    branch.flush().unwrap();
    let view = branch.view(branch.head_point().batch).unwrap();
    let status = view.block_status(VOLUME, 0, SIZE).unwrap();
    assert_eq!((status.len(), status[0].kind), (1, StatusKind::Zero));
}

#[test]
fn a_branch_of_a_branch_reads_through_both() {
    let world = World::new(7, 12);
    let process = world.start().unwrap();
    let parent = process.branch_at(9);
    let mut random = SeededRandom::new(7);
    let mut below = Model::new(contents(&world.history.images[9]));
    for stamp in 0..20 {
        below.write(&parent, &Operation::random(&mut random, stamp));
        parent.flush().unwrap();
    }
    let middle = 11;
    let writes = writes_at(&process, parent.record().lineage, middle);
    let child = process
        .branches
        .create(
            BaseImage::Branch(parent.id()),
            BatchNumber(middle),
            BranchReason::Failover,
        )
        .unwrap();
    let mut above = Model::new(below.images[writes].clone());
    assert!(contents_of_branch(&child) == *above.newest());
    for stamp in 100..180 {
        above.write(&child, &Operation::random(&mut random, stamp));
        below.write(&parent, &Operation::random(&mut random, stamp));
        child.flush().unwrap();
    }
    parent.flush().unwrap();
    assert!(process.build_runs());
    let ids = (parent.id(), child.id());
    drop((parent, child, process));

    let process = world.start().unwrap();
    let parent = process.branches.get(ids.0).unwrap();
    let child = process.branches.get(ids.1).unwrap();
    assert!(contents_of_branch(&parent) == *below.newest());
    assert!(contents_of_branch(&child) == *above.newest());
    check_instants(&process, &parent, &below, "parent");
    check_instants(&process, &child, &above, "child");
    let refused = process.branches.remove(parent.id()).unwrap_err();
    assert!(
        matches!(refused, RemoveBranchError::IsBase { above, .. } if above == child.id()),
        "{refused}"
    );
    assert!(process.branches.remove(child.id()).unwrap());
    assert!(process.branches.remove(parent.id()).unwrap());
}

#[test]
fn a_removed_branch_leaves_nothing_and_others_stay() {
    let world = World::new(8, 12);
    let process = world.start().unwrap();
    let (branch, other) = (process.branch_at(9), process.branch_at(10));
    let mut random = SeededRandom::new(8);
    let mut model = Model::new(contents(&world.history.images[10]));
    for stamp in 0..20 {
        Operation::random(&mut random, stamp).run(&branch).unwrap();
        branch.flush().unwrap();
        model.write(&other, &Operation::random(&mut random, stamp));
        other.flush().unwrap();
        assert!(process.build_runs());
    }
    let lineage = branch.record().lineage;
    assert!(world.traces(&process.catalog, lineage).len() > 5);
    assert!(process.branches.remove(branch.id()).unwrap());
    assert!(!process.branches.remove(branch.id()).unwrap());
    assert_eq!(world.traces(&process.catalog, lineage), [""; 0]);
    let closed = Operation::random(&mut random, 1).run(&branch).unwrap_err();
    assert!(matches!(closed, BranchError::Closed { .. }), "{closed}");
    assert!(contents_of_branch(&other) == *model.newest());
    let records: Vec<BranchRecord> = process.catalog.documents(None, 10).unwrap();
    assert_eq!(records.len(), 1);
    check_instants(&process, &other, &model, "the other branch");
    process
        .replica
        .assert_view(9, &world.history.images[9], "the base");
}

#[test]
fn what_a_crash_leaves_of_making_or_removing_a_branch_is_settled_at_the_next_start() {
    let (mut none, mut ready, mut removed, mut whole) = (0, 0, 0, 0);
    for seed in 0..240 {
        let world = World::new(seed, 6);
        let process = world.start().unwrap();
        world.disk.cut_power_at(1 + seed % 45);
        let base = BaseImage::Replica(process.replica.store.reader());
        let made = process
            .branches
            .create(base, BatchNumber(5), BranchReason::Copy);
        let told = made.as_ref().ok().map(|branch| branch.id());
        drop(made);
        world.power_cut(Some(process));
        let process = world.start().unwrap();
        let all = process.branches.all();
        assert!(
            all.len() <= 1 && told.is_none_or(|id| all[0].record.id == id),
            "seed {seed}"
        );
        let Some(known) = all.into_iter().next() else {
            none += 1;
            let stores = world.files(Path::new("/store"));
            let strangers: Vec<_> = stores
                .iter()
                .filter(|path| path.to_string_lossy().contains("/str-"))
                .collect();
            assert!(strangers.is_empty(), "seed {seed}: {strangers:?}");
            continue;
        };
        ready += 1;
        let branch = known.branch.unwrap();
        let base = contents(&world.history.images[5]);
        assert!(contents_of_branch(&branch) == base, "seed {seed}");
        branch.write(VOLUME, 0, vec![9; 512].into()).unwrap();
        branch.flush().unwrap();
        let lineage = branch.record().lineage;
        let id = branch.id();
        drop(branch);

        world.disk.cut_power_at(1 + (seed * 7) % 53);
        let told = process.branches.remove(id).is_ok();
        world.power_cut(Some(process));
        let process = world.start().unwrap();
        match process.branches.get(id) {
            None => {
                removed += 1;
                assert_eq!(
                    world.traces(&process.catalog, lineage),
                    [""; 0],
                    "seed {seed}"
                );
                assert!(process.branches.all().is_empty(), "seed {seed}");
            }
            Some(branch) => {
                whole += 1;
                assert!(!told, "seed {seed}: it was said to be gone");
                let found = branch.read(VOLUME, 0, 512).unwrap();
                assert_eq!(found, vec![9; 512], "seed {seed}");
            }
        }
    }
    assert!(
        none > 5 && ready > 5 && removed > 5 && whole > 2,
        "the test proves little: {none} {ready} {removed} {whole}"
    );
}

#[test]
fn a_failed_sync_is_final_and_what_is_durable_is_read_on() {
    let world = World::new(9, 6);
    let disk = SimulatedDisk::clone(&world.disk);
    let process = world.start().unwrap();
    let branch = process.branch_at(5);
    branch.write(VOLUME, 512, vec![1; 512].into()).unwrap();
    branch.flush().unwrap();
    branch.write(VOLUME, 512, vec![2; 512].into()).unwrap();
    assert_eq!(branch.read(VOLUME, 512, 512).unwrap(), vec![2; 512]);
    disk.cut_power_at(1);
    let first = branch.flush().unwrap_err();
    for _ in 0..2 {
        let refused = branch.write(VOLUME, 0, vec![3; 512].into()).unwrap_err();
        assert!(matches!(refused, BranchError::Failed { .. }), "{refused}");
        let refused = branch.flush().unwrap_err();
        assert_eq!(refused.to_string(), first.to_string());
    }
    disk.power_on();
    // Still final, although the disk works again.
    assert!(branch.write_zeroes(VOLUME, 0, 512).is_err());
    assert_eq!(branch.read(VOLUME, 512, 512).unwrap(), vec![1; 512]);
    let failure = branch.status().failure.unwrap();
    assert!(first.to_string().contains(&*failure), "{first}");
    let id = branch.id();
    drop((branch, process));
    let process = world.start().unwrap();
    let branch = process.branches.get(id).unwrap();
    let found = branch.read(VOLUME, 512, 512).unwrap();
    assert!(found == vec![1; 512] || found == vec![2; 512]);
    branch.write(VOLUME, 0, vec![3; 512].into()).unwrap();
    branch.flush().unwrap();
}

#[test]
fn many_threads_write_flush_and_see_their_own_writes() {
    const THREADS: u64 = 4;
    let mut world = World::new(10, 6);
    world.limits.batch_bytes = 3 << 10;
    let process = world.start().unwrap();
    let branch = process.branch_at(5);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let branch = &branch;
            scope.spawn(move || {
                // Sectors of its own, so that it knows what they hold.
                let sectors = VOLUME_SECTORS / THREADS;
                for round in 0..100_u64 {
                    let offset = (thread * sectors + round % sectors) * SECTOR as u64;
                    let bytes = vec![(thread * 50 + round % 50) as u8 + 1; SECTOR];
                    branch.write(VOLUME, offset, bytes.clone().into()).unwrap();
                    if round % 7 == 0 {
                        branch.flush().unwrap();
                    }
                    assert!(branch.read(VOLUME, offset, SECTOR).unwrap() == bytes);
                }
            });
        }
    });
    branch.flush().unwrap();
    let (whole, id) = (contents_of_branch(&branch), branch.id());
    drop(branch);
    world.power_cut(Some(process));
    let process = world.start().unwrap();
    let branch = process.branches.get(id).unwrap();
    assert!(contents_of_branch(&branch) == whole);
    let held = writes_at(
        &process,
        branch.record().lineage,
        branch.head_point().batch.0,
    );
    assert_eq!(held, 100 * THREADS as usize);
}

#[test]
fn what_the_base_does_not_know_is_an_error_until_it_is_written() {
    let mut world = World::new(11, 6);
    let mut process = world.start().unwrap();
    let change = Change {
        volume: 0,
        sector: 4,
        sectors: 2,
        kind: Kind::Unknown,
    };
    let batch = world.history.batch(&[change]);
    process.replica.take(&batch);
    let branch = process.branch_at(6);
    let unknown = branch.read(VOLUME, 4 * 512, 1024).unwrap_err();
    assert!(
        matches!(
            unknown,
            BranchError::View(ViewError::Unknown { offset: 2048, .. })
        ),
        "{unknown}"
    );
    branch.write(VOLUME, 4 * 512, vec![7; 1024].into()).unwrap();
    assert_eq!(branch.read(VOLUME, 4 * 512, 1024).unwrap(), vec![7; 1024]);
    branch.flush().unwrap();
    let view = branch.view(branch.head_point().batch).unwrap();
    assert_eq!(view.read(VOLUME, 4 * 512, 1024).unwrap(), vec![7; 1024]);
}

#[test]
fn writes_that_do_not_fit_are_refused_whole() {
    let world = World::new(12, 6);
    let process = world.start().unwrap();
    let branch = process.branch_at(5);
    let before = contents_of_branch(&branch);
    let refused = branch.write(VOLUME, SIZE - 512, vec![1; 1024].into());
    assert!(matches!(refused, Err(BranchError::OutsideVolume { .. })));
    let refused = branch.write(VOLUME, 100, vec![1; 512].into());
    assert!(matches!(refused, Err(BranchError::Unaligned { .. })));
    let refused = branch.write_zeroes(VolumeNumber(9), 0, 512);
    assert!(matches!(refused, Err(BranchError::NoVolume { .. })));
    assert!(branch.read(VOLUME, u64::MAX, 2).is_err());
    assert!(contents_of_branch(&branch) == before);
    branch.flush().unwrap();
    assert_eq!(branch.head_point().batch, BatchNumber(0));
}

#[test]
fn below_the_space_floor_new_writes_wait_for_space() {
    let mut world = World::new(13, 6);
    let process = world.start().unwrap();
    let id = process.branch_at(5).id();
    drop(process);
    world.options.space_floor.bytes = 64 << 20;
    world.disk.set_capacity(32 << 20);
    let process = world.start().unwrap();
    let branch = process.branches.get(id).unwrap();
    let refused = branch.write(VOLUME, 0, vec![1; 512].into()).unwrap_err();
    assert!(matches!(refused, BranchError::NoSpace(_)), "{refused}");
    assert!(branch.status().no_space.is_some());
    branch.flush().unwrap();
    assert!(contents_of_branch(&branch) == contents(&world.history.images[5]));
    world.disk.set_capacity(1 << 30);
    while let Err(error) = branch.write(VOLUME, 0, vec![1; 512].into()) {
        assert!(matches!(error, BranchError::NoSpace(_)), "{error}");
        std::thread::yield_now();
    }
    branch.flush().unwrap();
    assert_eq!(branch.read(VOLUME, 0, 512).unwrap(), vec![1; 512]);
}

#[test]
fn only_points_become_bases() {
    let world = World::new(14, 6);
    let process = world.start().unwrap();
    let base = BaseImage::Replica(process.replica.store.reader());
    let refused = process
        .branches
        .create(base, BatchNumber(6), BranchReason::Copy)
        .unwrap_err();
    assert!(refused.to_string().contains("recovery point"), "{refused}");
    let branch = process.branch_at(5);
    let direct = branch.reader().open_view(
        BatchNumber(0),
        Arc::new(crate::receive::sample::SampleOpener),
        Arc::new(ChunkCache::new(1 << 16)),
    );
    assert!(matches!(direct, Err(ViewError::OtherBase { .. })));
}
