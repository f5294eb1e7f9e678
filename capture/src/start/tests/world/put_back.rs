//! While no capture runs, the disk is put back to a point, and a seam may lead on from there.

use super::*;
use crate::{
    evidence::Look,
    restore::{
        Stamp, StampBook, StampState,
        seam::{FoundDisk, Joined, NoSeam, Seam, joined},
    },
};
use bcdr_format::{Generation, Sequence};
use bcdr_wire::restore::{ByteRange, Digest, PointName, SeamHead};

/// Images that the far side could give back.
const POINTS_KEPT: usize = 8;

/// What a start finds of a restore: perhaps where the stream goes on.
pub(super) struct PutBack {
    pub(super) joined: Option<Joined>,
}

/// What happens between the end of a restore and the next life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    /// Somebody else writes to the disk.
    ForeignWrite,
    /// The far side loses its newest history.
    FarSideBehind,
    /// The seam was told before the far side took its newest history.
    FarSideAhead,
    /// The far side is at that position in another life.
    OtherLife,
    /// The volume has another number now.
    Renumbered,
    /// A start is killed before it removed the stamps.
    KilledWithStamps,
    /// A start is killed after that, and before its life is in the journal.
    KilledWithout,
}

fn sector_bytes(stamp: u64) -> Vec<u8> {
    stamp.to_le_bytes().repeat(64)
}

impl World {
    /// Keeps what the far side publishes now, to be given back later.
    pub(super) fn keep_point(&mut self) {
        let known = self.receiver.image.iter();
        let mut known = known.filter(|stamp| **stamp != super::super::oracle::UNKNOWN);
        if known.by_ref().count() < SECTORS || self.random.below(20) > 0 {
            return;
        }
        if self.points.len() == POINTS_KEPT {
            self.points.remove(0);
        }
        self.points.push(self.receiver.image.clone());
    }

    /// What the far side says of where its history ends and how that differs from `image`.
    fn seam(&self, far: &Receiver, image: &[u64]) -> Option<Seam> {
        let held = far.held.filter(|_| far.publishes())?;
        let mut ranges: Vec<ByteRange> = Vec::new();
        for (sector, (there, here)) in far.image.iter().zip(image).enumerate() {
            if there == here {
                continue;
            }
            let offset = sector as u64 * 512;
            match ranges.last_mut() {
                Some(last) if last.end() == offset => last.length += 512,
                _ => ranges.push(ByteRange {
                    offset,
                    length: 512,
                }),
            }
        }
        Some(Seam {
            head: SeamHead {
                stream: StreamId::from_u128(1),
                held,
                volumes: 1,
            },
            number: VOLUME,
            ranges,
        })
    }

    /// A point with what was written elsewhere above it, as a failback brings it.
    fn point_and_branch(&mut self) -> Vec<u64> {
        let blank = vec![BLANK; SECTORS];
        let mut image = match self.points.len() {
            0 => blank,
            count => self.points[self.random.index(count)].clone(),
        };
        for _ in 0..self.random.below(4) {
            let first = self.random.index(SECTORS);
            let count = 1 + self.random.index(20.min(SECTORS - first));
            self.next += 1;
            image[first..first + count].fill(self.next);
        }
        image
    }

    /// Ends the run, puts the disk back, and begins the next.
    pub(in crate::start::tests) fn put_back(&mut self) {
        let power_cut = self.random.below(3) == 0;
        self.stop(if power_cut { End::PowerCut } else { End::Kill });
        let wanted = self.point_and_branch();
        let between = match self.random.below(14) {
            0 => Between::ForeignWrite,
            1 => Between::FarSideBehind,
            2 => Between::FarSideAhead,
            3 => Between::OtherLife,
            4 => Between::Renumbered,
            5 => Between::KilledWithStamps,
            6 => Between::KilledWithout,
            _ => Between::Nothing,
        };
        let far = match between {
            Between::FarSideAhead => self.old_receiver.clone(),
            _ => self.receiver.clone(),
        };
        let mut seam = self.seam(&far, &wanted);
        if let Some(seam) = seam.as_mut() {
            match between {
                Between::OtherLife => seam.head.held.id = IncarnationId::from_u128(1),
                Between::Renumbered => seam.number = VolumeNumber(7),
                _ => {}
            }
        }
        self.image = wanted
            .iter()
            .flat_map(|stamp| sector_bytes(*stamp))
            .collect();
        self.durable_image = self.image.clone();
        self.changed_at = self.now.wall;
        self.oracle = Oracle::new(&wanted);
        self.stamp(seam);
        match between {
            Between::ForeignWrite => self.somebody_else_writes(),
            Between::FarSideBehind => self.receiver = self.old_receiver.clone(),
            Between::KilledWithStamps => {
                let _killed = self.found();
            }
            _ => {}
        }
        let mut found = self.found();
        let refused = matches!(between, Between::ForeignWrite | Between::Renumbered);
        assert!(!refused || found.is_err(), "{between:?}: {found:?}");
        self.sometimes.seams_refused += u64::from(refused);
        self.clear_stamps();
        if between == Between::KilledWithout {
            // What the first start did is done; the second finds no stamp, and no journal either.
            self.remove_journal();
            found = Err(NoSeam::NotTogether);
        }
        let joined = found.ok();
        let elsewhere = joined
            .as_ref()
            .is_some_and(|it| Some(it.held) != self.receiver.held);
        self.sometimes.seams_elsewhere += u64::from(elsewhere);
        self.sometimes.seams += u64::from(joined.is_some() && !elsewhere);
        let reads_parts = joined.is_some();
        self.begin(Some(PutBack { joined }));
        assert_eq!(!self.tap.start().reads_everything(), reads_parts);
    }

    fn book(&self) -> StampBook {
        StampBook::of_group(self.disk.clone(), Path::new("/state"))
    }

    fn stamp(&self, seam: Option<Seam>) {
        self.disk.create_directory_all(Path::new("/state")).unwrap();
        let evidence = evidence(&self.image);
        let stamp = Stamp {
            volume: VolumeId::from_u128(1),
            size_bytes: SIZE,
            identity: evidence.identity,
            generation: Generation(3),
            state: StampState::Clean {
                point: PointName {
                    stream: StreamId::from_u128(9),
                    position: Position::new(IncarnationOrdinal(1), Sequence(1)),
                },
                digest: Digest([0; 32]),
                change: evidence.change,
                seam,
            },
        };
        self.book().put(&stamp).unwrap();
    }

    /// What a start finds.
    fn found(&self) -> Result<Joined, NoSeam> {
        let volume = VolumeId::from_u128(1);
        assert!(self.book().restored(&[volume]).unwrap());
        let disk = FoundDisk {
            number: VOLUME,
            id: volume,
            size_bytes: SIZE,
            look: Look {
                evidence: evidence(&self.image),
                activity: BackingActivity {
                    changed_at: self.changed_at,
                    ..ACTIVITY
                },
            },
        };
        joined(&self.book(), StreamId::from_u128(1), &[disk])
    }

    fn clear_stamps(&self) {
        let volume = VolumeId::from_u128(1);
        self.book().clear(&[volume]).unwrap();
        assert!(!self.book().restored(&[volume]).unwrap());
    }

    fn remove_journal(&self) {
        remove_journal(&self.disk);
    }
}

/// What a journal holds of a disk that was put back since leads nowhere.
pub(super) fn remove_journal(disk: &SimulatedDisk) {
    let directory = Path::new("/journal");
    for name in disk.list(directory).unwrap() {
        disk.remove(&directory.join(name)).unwrap();
    }
    disk.sync_directory(directory).unwrap();
}
