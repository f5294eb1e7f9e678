//! A home with one device, and a source that has three points of it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bcdr_disk::{
    Access, CreateOptions, DiskError, FaultPlan, File, SeededRandom, SimulatedDisk, Storage,
};
use bcdr_format::{
    Generation, IncarnationOrdinal, Position, RestoreId, Sequence, StreamId, VolumeId, VolumeNumber,
};
use bcdr_wire::restore::{
    Answer, BLOCK_BYTES, ByteRange, Content, Description, Digest, PointName, Refusal, RefusalKind,
    Request, SeamHead, VolumeDescription, VolumeHasher, block_digest,
};

use crate::{
    config::VolumeConfig,
    intent::BackingEvidence,
    restore::{
        ConfirmedOverwrite, FencedVolume, PlanLimits, PointSource, Progress, Restore, RestoreError,
        RestoreSettings, Restored, SourceError, StampBook, UNIT_BYTES, fence::Witness,
    },
};

/// Neither whole blocks nor whole units.
pub(in crate::restore) const SIZE: u64 = 40 * BLOCK_BYTES as u64 + 3 * 4096 + 512;
pub(in crate::restore) const RESTORE: RestoreId = RestoreId::from_u128(9);
pub(in crate::restore) const STATE: &str = "/state/group";

pub(in crate::restore) fn point(sequence: u64) -> PointName {
    PointName {
        stream: StreamId::from_u128(0x22),
        position: Position::new(IncarnationOrdinal(1), Sequence(sequence)),
    }
}

pub(in crate::restore) fn volume_id(number: u128) -> VolumeId {
    VolumeId::from_u128(0x100 + number)
}

fn device_path(number: u128) -> PathBuf {
    PathBuf::from(format!("/devices/{number}.img"))
}

pub(in crate::restore) fn small_steps() -> RestoreSettings {
    RestoreSettings {
        limits: PlanLimits {
            requests: 4,
            read_bytes: 2 * BLOCK_BYTES,
            compare_blocks: 5,
            ranges: 3,
        },
        sync_bytes: 96 << 10,
        cursor_bytes: 512 << 10,
    }
}

/// What is counted outside of the simulated disk, as the kernel would.
#[derive(Debug, Default)]
pub(in crate::restore) struct Outside {
    /// Moves with every write that the system notices.
    pub(in crate::restore) change: AtomicU64,
    pub(in crate::restore) identity: AtomicU64,
    /// Units that were written or zeroed.
    pub(in crate::restore) units: AtomicU64,
    pub(in crate::restore) failed_syncs: AtomicU64,
}

impl Outside {
    fn wrote(&self, offset: u64, length: u64) {
        let units = (offset + length).div_ceil(UNIT_BYTES) - offset / UNIT_BYTES;
        self.units.fetch_add(units, Ordering::Relaxed);
        self.change.fetch_add(1, Ordering::Relaxed);
    }
}

struct Seen(Arc<Outside>);

impl Witness for Seen {
    fn evidence(&self) -> io::Result<BackingEvidence> {
        Ok(BackingEvidence {
            identity: self.0.identity.load(Ordering::Relaxed),
            change: self.0.change.load(Ordering::Relaxed),
        })
    }
}

/// A device whose writes are counted.
#[derive(Debug)]
struct Watched {
    file: Arc<dyn File>,
    outside: Arc<Outside>,
}

impl File for Watched {
    fn path(&self) -> &Path {
        self.file.path()
    }
    fn length(&self) -> Result<u64, DiskError> {
        self.file.length()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        self.file.read_at(buffer, offset)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        self.outside.wrote(offset, bytes.len() as u64);
        self.file.write_all_at(bytes, offset)
    }
    fn set_length(&self, length: u64) -> Result<(), DiskError> {
        self.file.set_length(length)
    }
    fn punch_hole(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        self.outside.wrote(offset, length);
        self.file.punch_hole(offset, length)
    }
    fn sync_data(&self) -> Result<(), DiskError> {
        self.sync_all()
    }
    fn sync_all(&self) -> Result<(), DiskError> {
        self.file.sync_all().inspect_err(|_| {
            self.outside.failed_syncs.fetch_add(1, Ordering::Relaxed);
        })
    }
}

pub(in crate::restore) struct World {
    pub(in crate::restore) disk: SimulatedDisk,
    pub(in crate::restore) devices: Vec<Arc<Outside>>,
    pub(in crate::restore) source: Source,
    pub(in crate::restore) settings: RestoreSettings,
}

impl World {
    /// Three points of one volume, and a blank device.
    pub(in crate::restore) fn new(seed: u64) -> Self {
        Self::with(seed, FaultPlan::none(), 1)
    }

    pub(in crate::restore) fn with(seed: u64, plan: FaultPlan, volumes: u128) -> Self {
        let disk = SimulatedDisk::new(seed, plan);
        disk.arm(false);
        let mut random = SeededRandom::new(seed ^ 0x0dd);
        let mut source = Source::new();
        for number in 0..volumes {
            let mut contents = vec![0; SIZE as usize];
            for sequence in 1..=3 {
                for _ in 0..12 {
                    scribble(&mut contents, &mut random);
                }
                source
                    .points
                    .insert((sequence, volume_id(number)), contents.clone());
            }
        }
        for directory in [STATE, "/devices"] {
            disk.create_directory_all(Path::new(directory)).unwrap();
        }
        let this = Self {
            disk,
            devices: (0..volumes).map(|_| Arc::default()).collect(),
            source,
            settings: small_steps(),
        };
        for number in 0..volumes {
            this.put_device(number, &vec![0; SIZE as usize]);
        }
        this
    }

    /// Replaces what a device holds, durably and unseen.
    pub(in crate::restore) fn put_device(&self, number: u128, contents: &[u8]) {
        let path = device_path(number);
        if self.disk.exists(&path).unwrap() {
            self.disk.remove(&path).unwrap();
        }
        let file = self.disk.create(&path, CreateOptions::default()).unwrap();
        file.write_all_at(contents, 0).unwrap();
        file.sync_all().unwrap();
        self.disk.sync_directory(Path::new("/devices")).unwrap();
    }

    pub(in crate::restore) fn contents(&self, number: u128) -> Vec<u8> {
        let file = self
            .disk
            .open(&device_path(number), Access::read())
            .unwrap();
        let mut bytes = vec![0; SIZE as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    pub(in crate::restore) fn point(&self, sequence: u64, number: u128) -> &[u8] {
        &self.source.points[&(sequence, volume_id(number))]
    }

    /// Somebody else writes to the device; `noticed` as far as the system shows it.
    pub(in crate::restore) fn stray_write(
        &self,
        number: u128,
        offset: u64,
        bytes: &[u8],
        noticed: bool,
    ) {
        let file = self
            .disk
            .open(&device_path(number), Access::write())
            .unwrap();
        file.write_all_at(bytes, offset).unwrap();
        file.sync_all().unwrap();
        if noticed {
            self.devices[number as usize]
                .change
                .fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(in crate::restore) fn stamps(&self) -> StampBook {
        StampBook::of_group(Arc::new(self.disk.clone()), Path::new(STATE))
    }

    pub(in crate::restore) fn fence(&self, number: u128) -> Result<FencedVolume, DiskError> {
        let config = VolumeConfig {
            id: volume_id(number),
            name: format!("volume{number}"),
            path: device_path(number),
            nbd_socket: PathBuf::new(),
        };
        let outside = Arc::clone(&self.devices[number as usize]);
        let file = Watched {
            file: self.disk.open(&config.path, Access::write())?,
            outside: Arc::clone(&outside),
        };
        let size = file.length()?;
        let witness = Box::new(Seen(outside));
        Ok(FencedVolume::new(&config, size, Arc::new(file), witness).unwrap())
    }

    pub(in crate::restore) fn confirmed(&self, number: u128) -> (FencedVolume, ConfirmedOverwrite) {
        let fenced = self.fence(number).unwrap();
        let confirmed =
            ConfirmedOverwrite::typed(&fenced, &fenced.id().to_string(), &fenced.identity());
        (fenced, confirmed.unwrap())
    }

    pub(in crate::restore) fn restore(
        &mut self,
        sequence: u64,
    ) -> Result<Vec<Restored>, RestoreError> {
        self.restore_watched(sequence, &mut |_| ControlFlow::Continue(()))
    }

    pub(in crate::restore) fn restore_watched(
        &mut self,
        sequence: u64,
        watch: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Vec<Restored>, RestoreError> {
        let volumes = (0..self.devices.len() as u128)
            .map(|number| self.confirmed(number))
            .collect();
        self.source.begin(sequence);
        let stamps = self.stamps();
        let restore = Restore::begin(stamps, RESTORE, volumes, &mut self.source, self.settings)?;
        restore.run(&mut self.source, watch)
    }

    /// Restores one volume to its end.
    pub(in crate::restore) fn restored(&mut self, sequence: u64) -> Restored {
        let mut restored = self.restore(sequence).unwrap();
        assert!(self.contents(0) == self.point(sequence, 0));
        restored.remove(0)
    }

    /// Units written since the last call.
    pub(in crate::restore) fn units_written(&self, number: u128) -> u64 {
        self.devices[number as usize]
            .units
            .swap(0, Ordering::Relaxed)
    }
}

/// Changes a random range to data or zeros.
pub(in crate::restore) fn scribble(contents: &mut [u8], random: &mut SeededRandom) {
    let sectors = contents.len() as u64 / 512;
    let longest = if random.coin() { 8 } else { 400 };
    let length = 1 + random.below(longest);
    let start = random.below(sectors);
    let end = (start + length).min(sectors);
    let range = &mut contents[(start * 512) as usize..(end * 512) as usize];
    if random.below(4) == 0 {
        range.fill(0);
    } else {
        random.fill(range);
    }
}

/// Units that differ.
pub(in crate::restore) fn differing_units(one: &[u8], other: &[u8]) -> u64 {
    one.chunks(UNIT_BYTES as usize)
        .zip(other.chunks(UNIT_BYTES as usize))
        .filter(|(one, other)| one != other)
        .count() as u64
}

/// How a source is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::restore) enum Lie {
    /// The next read gives other bytes; after that it is honest.
    OneRead,
    /// Every read gives other bytes.
    Reads,
    /// The volume's digest is another.
    VolumeDigest,
    /// Nothing is said to have changed.
    NoRanges,
    /// Ranges go on behind the volume's end.
    Ranges,
    /// Data comes for another place.
    Place,
}

/// Points in memory, behind the bytes of the wire.
pub(in crate::restore) struct Source {
    pub(in crate::restore) points: BTreeMap<(u64, VolumeId), Vec<u8>>,
    pub(in crate::restore) target: u64,
    pub(in crate::restore) generation: Generation,
    /// Points whose differences to others are not known any more.
    pub(in crate::restore) thinned: BTreeSet<u64>,
    pub(in crate::restore) lie: Option<Lie>,
    /// Requests until the way breaks.
    pub(in crate::restore) lost_after: Option<u64>,
    /// Where the group's own history ends, which holds the third point; or what is answered instead.
    pub(in crate::restore) end: Result<SeamHead, Answer>,
    pub(in crate::restore) asked: Vec<Request>,
    pub(in crate::restore) most_waiting: usize,
    waiting: VecDeque<Vec<u8>>,
}

impl Source {
    fn new() -> Self {
        Self {
            points: BTreeMap::new(),
            target: 0,
            generation: Generation(5),
            thinned: BTreeSet::new(),
            lie: None,
            lost_after: None,
            end: Err(Answer::Unknown {
                reason: "nobody knows".to_owned(),
            }),
            asked: Vec::new(),
            most_waiting: 0,
            waiting: VecDeque::new(),
        }
    }

    /// A new stream for a restore to this point.
    pub(in crate::restore) fn begin(&mut self, target: u64) {
        self.target = target;
        self.waiting.clear();
        self.asked.clear();
        self.most_waiting = 0;
    }

    pub(in crate::restore) fn asked_for_digests(&self) -> bool {
        let digests = |request: &Request| matches!(request, Request::Digests { .. });
        self.asked.iter().any(digests)
    }

    fn contents(&self, volume: VolumeId) -> &[u8] {
        &self.points[&(self.target, volume)]
    }

    fn reply(&mut self, request: &Request) -> Answer {
        match request.clone() {
            Request::Describe { restore } => {
                if restore != RESTORE {
                    return Answer::Refused(Refusal {
                        kind: RefusalKind::UnknownRestore,
                        reason: format!("{restore} is not known"),
                    });
                }
                self.describe()
            }
            Request::Changed {
                volume,
                since,
                from,
                limit,
            } => self.changed(volume, since, from, limit),
            Request::Digests {
                volume,
                offset,
                length,
                ..
            } => {
                let range = offset as usize..(offset + length) as usize;
                let blocks = self.contents(volume)[range].chunks(BLOCK_BYTES as usize);
                Answer::Digests {
                    offset,
                    digests: blocks.map(block_digest).collect(),
                }
            }
            Request::Read {
                volume,
                offset,
                length,
            } => self.read(volume, offset, length),
            Request::Seam {
                volume,
                from,
                limit,
            } => self.seam(volume, from, limit as usize),
            Request::Keep { .. } | Request::Settle => panic!("a restore sends nothing"),
            Request::Done { volume, .. } => {
                let contents = self.contents(volume);
                let mut hasher = VolumeHasher::new(contents.len() as u64);
                let blocks = contents.chunks(BLOCK_BYTES as usize);
                blocks.for_each(|block| hasher.push(block_digest(block)));
                let mut digest = hasher.finish();
                if self.lie == Some(Lie::VolumeDigest) {
                    digest = Digest([3; 32]);
                }
                Answer::Done { digest }
            }
        }
    }

    /// Volumes are numbered in the order of their ids.
    fn number(&self, volume: VolumeId) -> VolumeNumber {
        let ids: BTreeSet<VolumeId> = self.points.keys().map(|(_, id)| *id).collect();
        VolumeNumber(ids.iter().position(|id| *id == volume).unwrap() as u16)
    }

    fn seam(&self, volume: VolumeId, from: u64, limit: usize) -> Answer {
        let head = match &self.end {
            Ok(head) => *head,
            Err(answer) => return answer.clone(),
        };
        let sectors = self.points[&(3, volume)]
            .chunks(512)
            .zip(self.contents(volume).chunks(512));
        let mut ranges: Vec<ByteRange> = (0..)
            .step_by(512)
            .zip(sectors)
            .filter(|(offset, (end, point))| *offset >= from && end != point)
            .map(|(offset, _)| ByteRange {
                offset,
                length: 512,
            })
            .collect();
        let next = ranges.get(limit).map(|range| range.offset);
        ranges.truncate(limit);
        Answer::Seam {
            head,
            number: self.number(volume),
            ranges,
            next,
        }
    }

    fn describe(&self) -> Answer {
        let volumes = self
            .points
            .iter()
            .filter(|((point, _), _)| *point == self.target);
        Answer::Description(Description {
            point: point(self.target),
            generation: self.generation,
            volumes: volumes
                .map(|((_, id), contents)| VolumeDescription {
                    id: *id,
                    size_bytes: contents.len() as u64,
                })
                .collect(),
        })
    }

    fn changed(&self, volume: VolumeId, since: PointName, from: u64, limit: u32) -> Answer {
        let since = since.position.sequence.0;
        if self.thinned.contains(&since) {
            return Answer::Unknown {
                reason: format!("point {since} was thinned"),
            };
        }
        let sector = 512;
        let pairs = self.points[&(since, volume)]
            .chunks(sector)
            .zip(self.contents(volume).chunks(sector));
        let mut ranges: Vec<ByteRange> = Vec::new();
        let mut next = None;
        for (index, (old, new)) in pairs.enumerate() {
            let offset = (index * sector) as u64;
            if offset < from || old == new || self.lie == Some(Lie::NoRanges) {
                continue;
            }
            let full = ranges.len() == limit as usize;
            match ranges.last_mut() {
                Some(last) if last.end() == offset => last.length += sector as u64,
                _ if full => {
                    next = Some(offset);
                    break;
                }
                _ => ranges.push(ByteRange {
                    offset,
                    length: sector as u64,
                }),
            }
        }
        if self.lie == Some(Lie::Ranges) {
            next = Some(SIZE + 512);
        }
        Answer::Ranges { ranges, next }
    }

    fn read(&mut self, volume: VolumeId, offset: u64, length: u32) -> Answer {
        let mut bytes = self.contents(volume)[offset as usize..][..length as usize].to_vec();
        let mut at = offset;
        match self.lie {
            Some(Lie::OneRead) => {
                bytes[100] ^= 1;
                self.lie = None;
            }
            Some(Lie::Reads) => bytes[100] ^= 1,
            Some(Lie::Place) => at += 512,
            _ => {}
        }
        let content = if bytes.iter().all(|byte| *byte == 0) {
            Content::Zero { length }
        } else {
            Content::pack(&bytes)
        };
        Answer::Data {
            offset: at,
            content,
        }
    }
}

impl PointSource for Source {
    fn ask(&mut self, request: &Request) -> Result<(), SourceError> {
        if let Some(left) = &mut self.lost_after {
            if *left == 0 {
                self.lost_after = None;
                return Err(SourceError::Lost {
                    reason: "the link is down".to_owned(),
                });
            }
            *left -= 1;
        }
        let request = Request::decode(&request.encode().unwrap().into()).unwrap();
        let answer = self.reply(&request).encode().unwrap();
        self.asked.push(request);
        self.waiting.push_back(answer);
        self.most_waiting = self.most_waiting.max(self.waiting.len());
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, SourceError> {
        let answer = self.waiting.pop_front().expect("something was asked");
        Ok(Answer::decode(&answer.into()).unwrap())
    }
}
