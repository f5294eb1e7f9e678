//! A writer whose every sector says which write it came from, and the oracle that knows from an
//! image alone whether it is an exact prefix of what was written.
//!
//! Shares no code with the product: it speaks NBD through another implementation and keeps its own
//! record of what it did. One write is in flight at a time, so the history is a line; a write whose
//! reply was lost with its connection is uncertain, and may be there or not, sector by sector.

use anyhow::{Context, bail, ensure};
use nbd::client::{NbdClient, handshake};
use std::{
    io::{Seek, SeekFrom, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Bytes of a sector, the unit of tearing.
pub const SECTOR: usize = 512;
const MAGIC: u64 = 0x5354_414d_5045_4421;

/// A small generator, so that a test prints one number and can be run again.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that always fall the same way for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64, by Sebastiano Vigna, in the public domain.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// A write as the writer knows it.
#[derive(Debug, Clone, Copy)]
struct Done {
    volume: usize,
    sector: u64,
    sectors: u64,
    acknowledged: bool,
}

struct Target {
    socket: PathBuf,
    export: String,
    sectors: u64,
    client: Option<NbdClient<UnixStream>>,
}

/// Writes stamps to several volumes in one line of history.
pub struct StampedWriter {
    targets: Vec<Target>,
    dice: Dice,
    history: Vec<Done>,
}

impl std::fmt::Debug for StampedWriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "StampedWriter after {} writes",
            self.history.len()
        )
    }
}

impl StampedWriter {
    /// A writer to these volumes: socket, export name, bytes.
    pub fn new(seed: u64, volumes: Vec<(PathBuf, String, u64)>) -> Self {
        let targets = volumes
            .into_iter()
            .map(|(socket, export, bytes)| Target {
                socket,
                export,
                sectors: bytes / SECTOR as u64,
                client: None,
            })
            .collect();
        Self {
            targets,
            dice: Dice::new(seed),
            history: Vec::new(),
        }
    }

    /// How many writes were made.
    pub fn writes(&self) -> usize {
        self.history.len()
    }

    /// The number of the newest write that was acknowledged; every later one is uncertain.
    pub fn acknowledged(&self) -> u64 {
        let newest = self.history.iter().rposition(|done| done.acknowledged);
        newest.map_or(0, |index| index as u64 + 1)
    }

    /// Makes one write, over a new connection if the old one broke. A write whose connection
    /// breaks under it is kept as uncertain.
    ///
    /// # Errors
    /// When the volume refuses the write, or stays unreachable.
    pub fn write(&mut self) -> anyhow::Result<()> {
        let volume = self.dice.below(self.targets.len() as u64) as usize;
        let sectors = [1, 8, 8, 8, 16, 64][self.dice.below(6) as usize];
        let slots = self.targets[volume].sectors / sectors;
        let sector = self.dice.below(slots) * sectors;
        let number = self.history.len() as u64 + 1;
        let mut bytes = Vec::with_capacity(sectors as usize * SECTOR);
        (0..sectors)
            .for_each(|index| bytes.extend_from_slice(&stamp(number, volume, sector + index)));
        let mut done = Done {
            volume,
            sector,
            sectors,
            acknowledged: true,
        };
        let client = self.connected(volume)?;
        client.seek(SeekFrom::Start(sector * SECTOR as u64))?;
        match client.write(&bytes) {
            Ok(written) => ensure!(written == bytes.len(), "only {written} bytes were taken"),
            Err(error) if is_disconnect(&error) => {
                done.acknowledged = false;
                self.targets[volume].client = None;
            }
            Err(error) => bail!("write {number} was refused: {error}"),
        }
        self.history.push(done);
        Ok(())
    }

    /// Flushes every volume.
    ///
    /// # Errors
    /// When a volume refuses.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        for volume in 0..self.targets.len() {
            loop {
                match self.connected(volume)?.flush() {
                    Ok(()) => break,
                    Err(error) if is_disconnect(&error) => self.targets[volume].client = None,
                    Err(error) => bail!("a flush was refused: {error}"),
                }
            }
        }
        Ok(())
    }

    /// Closes all connections.
    pub fn disconnect(&mut self) {
        self.targets
            .iter_mut()
            .for_each(|target| target.client = None);
    }

    fn connected(&mut self, volume: usize) -> anyhow::Result<&mut NbdClient<UnixStream>> {
        let target = &mut self.targets[volume];
        let deadline = Instant::now() + super::lab::PATIENCE;
        while target.client.is_none() {
            match connect(&target.socket, &target.export) {
                Ok(client) => target.client = Some(client),
                Err(error) if Instant::now() < deadline => {
                    let _shown_at_the_deadline = error;
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(error) => bail!("volume {} stays unreachable: {error}", target.export),
            }
        }
        target.client.as_mut().context("connected above")
    }

    /// Checks that the images, one per volume, are an exact prefix of the history; returns how many
    /// writes it surely has.
    ///
    /// # Errors
    /// Names the first sector that no prefix explains.
    pub fn check_prefix(&self, images: &[PathBuf]) -> anyhow::Result<u64> {
        let stamps = self.read_stamps(images)?;
        let last = stamps.iter().flatten().copied().max().unwrap_or(0);
        let mut expected: Vec<Vec<u64>> = self
            .targets
            .iter()
            .map(|target| vec![0; target.sectors as usize])
            .collect();
        let mut possible: Vec<Vec<Vec<u64>>> = self
            .targets
            .iter()
            .map(|target| vec![Vec::new(); target.sectors as usize])
            .collect();
        for (index, done) in self.history.iter().enumerate().take(last as usize) {
            for sector in done.sector..done.sector + done.sectors {
                let sector = sector as usize;
                if done.acknowledged {
                    expected[done.volume][sector] = index as u64 + 1;
                    possible[done.volume][sector].clear();
                } else {
                    possible[done.volume][sector].push(index as u64 + 1);
                }
            }
        }
        for (volume, sectors) in stamps.iter().enumerate() {
            for (sector, found) in sectors.iter().enumerate() {
                let wanted = expected[volume][sector];
                let explained = *found == wanted || possible[volume][sector].contains(found);
                ensure!(
                    explained,
                    "with write {last} present, sector {sector} of volume {volume} holds write {found} where write {wanted} belongs"
                );
            }
        }
        Ok(last)
    }

    fn read_stamps(&self, images: &[PathBuf]) -> anyhow::Result<Vec<Vec<u64>>> {
        ensure!(images.len() == self.targets.len(), "one image per volume");
        let mut all = Vec::new();
        for (volume, path) in images.iter().enumerate() {
            let image = std::fs::read(path).with_context(|| path.display().to_string())?;
            ensure!(
                image.len() as u64 == self.targets[volume].sectors * SECTOR as u64,
                "{} has {} bytes",
                path.display(),
                image.len()
            );
            let stamps = image
                .chunks_exact(SECTOR)
                .enumerate()
                .map(|(sector, bytes)| read_stamp(bytes, volume, sector as u64))
                .collect::<anyhow::Result<Vec<_>>>()?;
            all.push(stamps);
        }
        Ok(all)
    }
}

fn connect(socket: &Path, export: &str) -> std::io::Result<NbdClient<UnixStream>> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(super::lab::PATIENCE))?;
    let found = handshake(&stream, export.as_bytes())?;
    Ok(NbdClient::new(stream, &found))
}

fn is_disconnect(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::UnexpectedEof | Kind::BrokenPipe | Kind::ConnectionReset | Kind::NotConnected
    )
}

/// A sector that says: write `number`, this volume, this sector, and a check over all of it.
fn stamp(number: u64, volume: usize, sector: u64) -> [u8; SECTOR] {
    let mut bytes = [0; SECTOR];
    let head = [MAGIC, number, volume as u64, sector];
    for (index, word) in head.iter().enumerate() {
        bytes[index * 8..index * 8 + 8].copy_from_slice(&word.to_be_bytes());
    }
    let mut dice = Dice::new(number ^ sector.rotate_left(32));
    for byte in &mut bytes[32..SECTOR - 8] {
        *byte = dice.below(256) as u8;
    }
    let sum = checksum(&bytes[..SECTOR - 8]);
    bytes[SECTOR - 8..].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn read_stamp(bytes: &[u8], volume: usize, sector: u64) -> anyhow::Result<u64> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(0);
    }
    let word = |index: usize| -> u64 {
        bytes[index..index + 8]
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    let whole = word(0) == MAGIC && word(SECTOR - 8) == checksum(&bytes[..SECTOR - 8]);
    ensure!(
        whole,
        "sector {sector} of volume {volume} holds something that was never written"
    );
    ensure!(
        word(16) == volume as u64 && word(24) == sector,
        "sector {sector} of volume {volume} holds sector {} of volume {}",
        word(24),
        word(16)
    );
    Ok(word(8))
}

/// FNV-1a, 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> StampedWriter {
        let mut writer =
            StampedWriter::new(1, vec![(PathBuf::new(), "a".into(), 8 * SECTOR as u64)]);
        let done = |sector, acknowledged| Done {
            volume: 0,
            sector,
            sectors: 1,
            acknowledged,
        };
        writer.history = vec![done(0, true), done(1, true), done(0, false), done(2, true)];
        writer
    }

    fn verdict(stamps: &[(u64, u64)]) -> anyhow::Result<u64> {
        let directory = tempfile::tempdir()?;
        let mut image = vec![0; 8 * SECTOR];
        for (sector, number) in stamps {
            let at = *sector as usize * SECTOR;
            image[at..at + SECTOR].copy_from_slice(&stamp(*number, 0, *sector));
        }
        let path = directory.path().join("image");
        std::fs::write(&path, image)?;
        writer().check_prefix(&[path])
    }

    #[test]
    fn knows_prefixes_from_other_images() {
        assert_eq!(verdict(&[]).unwrap(), 0);
        assert_eq!(verdict(&[(0, 1), (1, 2)]).unwrap(), 2);
        assert_eq!(verdict(&[(0, 1), (1, 2), (2, 4)]).unwrap(), 4);
        assert_eq!(
            verdict(&[(0, 3), (1, 2), (2, 4)]).unwrap(),
            4,
            "an uncertain write is there"
        );
        assert!(verdict(&[(1, 2)]).is_err(), "write 2 without write 1");
        assert!(
            verdict(&[(0, 1), (2, 4)]).is_err(),
            "write 4 without write 2"
        );
        assert!(verdict(&[(0, 2), (1, 2)]).is_err(), "a misplaced write");
    }
}
