//! Opening a view: from the request to the first 4 KiB read, of a 1 GiB and of a 1 TiB volume.
//!
//! Both volumes are sparse and get the same history: points with a few writes before each. A view
//! is opened at a point chosen by dice, and the block that was written last before that point is
//! read and compared, so that a view of another instant is no figure but an error.

use crate::{
    figures::{Figure, Target, Unit},
    interrupt,
    samples::Samples,
    site::{BenchLab, GROUP, Site, fill_random, socket_of},
};
use anyhow::{Context, ensure};
use bcdr_tests::end_to_end::stamped::Dice;
use nbd::client::{NbdClient, handshake};
use serde_json::json;
use std::{
    collections::VecDeque,
    io::{Read, Seek, SeekFrom, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

const BLOCK: usize = 4096;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
/// Writes at places chosen by dice before each point.
const WRITES: usize = 3;
/// Bookmarks asked for and not yet published.
const ASKED_MAX: usize = 16;
const READ_DEADLINE: Duration = Duration::from_secs(60);

/// Measures both volumes in turn.
///
/// # Errors
/// When something does not work, or a view shows another instant than asked for.
pub(crate) fn run(site: &Site) -> anyhow::Result<Vec<Figure>> {
    let small = site.sparse_disk("small.raw", GIB)?;
    let large = site.sparse_disk("large.raw", TIB)?;
    eprintln!("bench: bringing labs up for a sparse volume of 1 GiB and one of 1 TiB");
    site.with_lab("small", &small, |small| {
        site.with_lab("large", &large, |large| measure(site, small, large))
    })
}

fn measure(site: &Site, small: &BenchLab, large: &BenchLab) -> anyhow::Result<Vec<Figure>> {
    let plan = site.plan();
    eprintln!("bench: making {} points in each", plan.view_points);
    let mut volumes = [
        (
            small,
            History::make(small, GIB, plan.view_points)?,
            Samples::default(),
        ),
        (
            large,
            History::make(large, TIB, plan.view_points)?,
            Samples::default(),
        ),
    ];
    let mut dice = Dice::new(1);
    for _ in 0..plan.view_opens {
        for (lab, history, samples) in &mut volumes {
            interrupt::check()?;
            let entry = &history.0[dice.below(history.0.len() as u64) as usize];
            samples.push(open(lab, entry)?.as_secs_f64() * 1e3);
        }
    }
    let [(.., small_samples), (.., large_samples)] = volumes;
    let note = format!(
        "a point by dice of {} bookmarks; the peer is our 1 GiB case",
        plan.view_points
    );
    let synced = Samples::from_iter([large.synced_in().as_secs_f64()]);
    Ok(vec![
        Figure::new(
            "view open to first read, 1 GiB",
            Unit::Milliseconds,
            small_samples.clone(),
        )
        .target(Target::AtMost(200.0)),
        Figure::new(
            "view open to first read, 1 TiB",
            Unit::Milliseconds,
            large_samples.clone(),
        )
        .target(Target::AtMost(200.0)),
        Figure::new(
            "the same beside the 1 GiB case",
            Unit::Milliseconds,
            large_samples,
        )
        .against("the 1 GiB case", small_samples)
        .target(Target::RatioAtMost(1.5))
        .note(Some(note)),
        Figure::new("initial sync of 1 TiB of hole", Unit::Seconds, synced),
    ])
}

/// A point and the block written last before it.
#[derive(Debug)]
struct Entry {
    point: String,
    offset: u64,
    block: Vec<u8>,
}

/// The points of a volume.
#[derive(Debug)]
struct History(Vec<Entry>);

impl History {
    fn make(lab: &BenchLab, bytes: u64, points: usize) -> anyhow::Result<Self> {
        let mut volume = Volume::open(&lab.uri()?, "disk")?;
        let mut dice = Dice::new(bytes);
        let mut entries: Vec<Entry> = Vec::with_capacity(points);
        let mut asked = VecDeque::new();
        let mut published = Vec::with_capacity(points);
        // The first blocks are the points' own; dice fall behind them.
        let own = points as u64 * BLOCK as u64 * 2;
        for index in 0..points {
            interrupt::check()?;
            let mut block = vec![0; BLOCK];
            for _ in 0..WRITES {
                fill_random(&mut dice, &mut block);
                let slots = (bytes - own) / BLOCK as u64;
                volume.write(own + dice.below(slots) * BLOCK as u64, &block)?;
            }
            fill_random(&mut dice, &mut block);
            // Every second block, so that they stay extents of their own.
            let offset = index as u64 * BLOCK as u64 * 2;
            volume.write(offset, &block)?;
            entries.push(Entry {
                point: String::new(),
                offset,
                block,
            });
            asked.push_back(
                lab.api()
                    .ask_for_bookmark(GROUP, &format!("history-{index}"))?,
            );
            if asked.len() > ASKED_MAX {
                published.extend(published_first(lab, &mut asked)?);
            }
        }
        while !asked.is_empty() {
            published.extend(published_first(lab, &mut asked)?);
        }
        for (entry, point) in entries.iter_mut().zip(published) {
            entry.point = point;
        }
        Ok(Self(entries))
    }
}

fn published_first(lab: &BenchLab, asked: &mut VecDeque<String>) -> anyhow::Result<Option<String>> {
    let Some(job) = asked.pop_front() else {
        return Ok(None);
    };
    let point = lab.api().bookmark_published(&job)?;
    let id = point["id"]
        .as_str()
        .context("a published bookmark without its point")?;
    Ok(Some(id.to_owned()))
}

/// Opens a view, reads a block and closes it; returns how long the first two took.
fn open(lab: &BenchLab, entry: &Entry) -> anyhow::Result<Duration> {
    let body = json!({ "group": GROUP, "at": entry.point });
    let started = Instant::now();
    let view = lab.api().post("views", &body)?;
    let uri = view["volumes"][0]["nbd"]
        .as_str()
        .context("a view without a volume")?;
    let mut volume = Volume::open(uri, "disk")?;
    let block = volume.read(entry.offset)?;
    let took = started.elapsed();
    ensure!(
        block == entry.block,
        "the view at {} shows another instant",
        entry.point
    );
    drop(volume);
    let id = view["id"].as_str().context("a view without an id")?;
    lab.api().delete(&format!("views/{id}"))?;
    Ok(took)
}

/// A volume through NBD.
struct Volume(NbdClient<UnixStream>);

impl Volume {
    fn open(uri: &str, export: &str) -> anyhow::Result<Self> {
        let socket = socket_of(uri)?;
        let stream = UnixStream::connect(&socket)
            .with_context(|| format!("cannot connect to {}", socket.display()))?;
        stream.set_read_timeout(Some(READ_DEADLINE))?;
        let found = handshake(&stream, export.as_bytes())?;
        Ok(Self(NbdClient::new(stream, &found)))
    }

    fn write(&mut self, offset: u64, block: &[u8]) -> anyhow::Result<()> {
        self.0.seek(SeekFrom::Start(offset))?;
        self.0
            .write_all(block)
            .with_context(|| format!("cannot write at {offset}"))
    }

    fn read(&mut self, offset: u64) -> anyhow::Result<Vec<u8>> {
        let mut block = vec![0; BLOCK];
        self.0.seek(SeekFrom::Start(offset))?;
        self.0
            .read_exact(&mut block)
            .with_context(|| format!("cannot read at {offset}"))?;
        Ok(block)
    }
}
