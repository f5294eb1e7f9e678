//! What to ask for next, and how far a volume is: without I/O.
//!
//! [`RestorePlan::next_request`] gives requests while there is room for their answers;
//! [`RestorePlan::answered`] takes the answers in their order and says what to do with each, and
//! [`RestorePlan::finished`] hears that it is done. Invariants: everything before
//! [`RestorePlan::cursor`] holds the point, as far as it was written; requests go forwards through
//! the volume; what is in flight or waits is bounded whatever the source answers. A source that
//! says it does not know what differs makes it compare, from where it is.

use std::collections::VecDeque;

use bcdr_format::VolumeId;
use bcdr_wire::restore::{
    Answer, BLOCK_BYTES, ByteRange, Content, DIGESTS_MAX, Digest, RANGES_MAX, READ_BYTES_MAX,
    Request,
};

use super::{
    UNIT_BYTES,
    proof::{Judgement, Method, whole_blocks},
    source::SourceError,
};

/// How much may be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanLimits {
    /// Requests without an answer; at least 1.
    pub requests: usize,
    /// Bytes that one read asks for: whole blocks, at most [`READ_BYTES_MAX`].
    pub read_bytes: u32,
    /// Blocks that one comparison asks for, 1 to [`DIGESTS_MAX`].
    pub compare_blocks: u32,
    /// Ranges that one answer may name, 1 to [`RANGES_MAX`].
    pub ranges: u32,
}

impl Default for PlanLimits {
    fn default() -> Self {
        Self {
            requests: 16,
            read_bytes: READ_BYTES_MAX,
            compare_blocks: 1024,
            ranges: RANGES_MAX,
        }
    }
}

impl PlanLimits {
    /// The nearest limits that can be kept.
    fn sane(self) -> Self {
        Self {
            requests: self.requests.max(1),
            read_bytes: (self.read_bytes / BLOCK_BYTES * BLOCK_BYTES)
                .clamp(BLOCK_BYTES, READ_BYTES_MAX),
            compare_blocks: self.compare_blocks.clamp(1, DIGESTS_MAX),
            ranges: self.ranges.clamp(1, RANGES_MAX),
        }
    }
}

/// A range to be read, with the digests of its blocks if they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The range.
    pub range: ByteRange,
    /// One digest per block, or none at all.
    pub digests: Vec<Digest>,
}

/// What to do with an answer. Call [`RestorePlan::finished`] when it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing; the plan took it.
    None,
    /// Hash these blocks on the device.
    Compare {
        /// Where the blocks are.
        range: ByteRange,
        /// What they should be.
        digests: Vec<Digest>,
    },
    /// Put this onto the device.
    Write {
        /// Where, and what it should be.
        fetch: Fetch,
        /// What.
        content: Content,
    },
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// These blocks differ, in order: first byte and the digest that the block should have.
    Compared(Vec<(u64, Digest)>),
    /// The bytes are on the device.
    Written,
}

#[derive(Debug, Clone)]
enum Asked {
    Changed { from: u64 },
    Digests(ByteRange),
    Read(Fetch),
}

impl Asked {
    fn offset(&self) -> u64 {
        match self {
            Self::Changed { from } => *from,
            Self::Digests(range) => range.offset,
            Self::Read(fetch) => fetch.range.offset,
        }
    }
}

/// The way of one volume to a point.
#[derive(Debug)]
pub struct RestorePlan {
    volume: VolumeId,
    size_bytes: u64,
    method: Method,
    limits: PlanLimits,
    /// From here on nothing was asked about.
    frontier: u64,
    /// Ranges that may differ and were not asked for.
    known: VecDeque<ByteRange>,
    /// What comparing found and was not asked for.
    found: VecDeque<Fetch>,
    asked: VecDeque<Asked>,
    /// Where the step is that was handed out last.
    working: Option<u64>,
}

impl RestorePlan {
    /// A plan for a volume of `size_bytes`.
    #[must_use]
    pub fn new(
        volume: VolumeId,
        size_bytes: u64,
        judgement: &Judgement,
        limits: PlanLimits,
    ) -> Self {
        Self {
            volume,
            size_bytes,
            method: judgement.method,
            limits: limits.sane(),
            frontier: whole_blocks(judgement.from, size_bytes),
            known: VecDeque::new(),
            found: VecDeque::new(),
            asked: VecDeque::new(),
            working: None,
        }
    }

    /// How it goes on from here.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// Everything before this byte is done: the end of the volume, or of a block.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        let lowest = [
            Some(self.frontier),
            self.known.front().map(|range| range.offset),
            self.found.front().map(|fetch| fetch.range.offset),
            self.asked.iter().map(Asked::offset).min(),
            self.working,
        ];
        let lowest = lowest.into_iter().flatten().min().unwrap_or(self.frontier);
        whole_blocks(lowest, self.size_bytes)
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.frontier == self.size_bytes
            && self.known.is_empty()
            && self.found.is_empty()
            && self.asked.is_empty()
            && self.working.is_none()
    }

    /// The next request, if there is one and room for its answer.
    pub fn next_request(&mut self) -> Option<Request> {
        if self.asked.len() >= self.limits.requests {
            return None;
        }
        // What was found comes first, so that little waits and the cursor moves.
        if let Some(fetch) = self.found.pop_front() {
            return Some(self.read(fetch));
        }
        if let Some(range) = self.next_known() {
            return Some(self.read(Fetch {
                range,
                digests: Vec::new(),
            }));
        }
        if self.frontier == self.size_bytes {
            return None;
        }
        match self.method {
            Method::Known { since } => {
                let asked = |asked: &Asked| matches!(asked, Asked::Changed { .. });
                if self.asked.iter().any(asked) {
                    return None;
                }
                let from = self.frontier;
                self.asked.push_back(Asked::Changed { from });
                Some(Request::Changed {
                    volume: self.volume,
                    since,
                    from,
                    limit: self.limits.ranges,
                })
            }
            Method::Rewrite => {
                let most = u64::from(self.limits.read_bytes);
                let range = ByteRange {
                    offset: self.frontier,
                    length: most.min(self.size_bytes - self.frontier),
                };
                self.frontier = range.end();
                Some(self.read(Fetch {
                    range,
                    digests: Vec::new(),
                }))
            }
            Method::Compare => {
                let most = u64::from(self.limits.compare_blocks) * u64::from(BLOCK_BYTES);
                let range = ByteRange {
                    offset: self.frontier,
                    length: most.min(self.size_bytes - self.frontier),
                };
                self.frontier = range.end();
                self.asked.push_back(Asked::Digests(range));
                Some(Request::Digests {
                    volume: self.volume,
                    offset: range.offset,
                    length: range.length,
                    grain: BLOCK_BYTES,
                })
            }
        }
    }

    /// The answer to the oldest request.
    ///
    /// # Errors
    /// If it is refused, or no answer to it. The plan is of no more use then.
    pub fn answered(&mut self, answer: Answer) -> Result<Step, SourceError> {
        let Some(asked) = self.asked.pop_front() else {
            return Err(SourceError::nonsense("an answer to nothing"));
        };
        let step = match (asked, answer) {
            (_, Answer::Refused(refusal)) => return Err(refusal.into()),
            (Asked::Changed { from }, Answer::Ranges { ranges, next }) => {
                self.learn(from, &ranges, next)?;
                Step::None
            }
            (Asked::Changed { .. }, Answer::Unknown { reason }) => {
                tracing::info!(volume = %self.volume, reason, "every block is compared");
                self.method = Method::Compare;
                self.frontier = whole_blocks(self.frontier, self.size_bytes);
                Step::None
            }
            (Asked::Digests(range), Answer::Digests { offset, digests })
                if offset == range.offset
                    && digests.len() as u64 == range.length.div_ceil(u64::from(BLOCK_BYTES)) =>
            {
                Step::Compare { range, digests }
            }
            (Asked::Read(fetch), Answer::Data { offset, content })
                if offset == fetch.range.offset && content.length() == fetch.range.length =>
            {
                Step::Write { fetch, content }
            }
            (asked, answer) => {
                let reason = format!("{} to {asked:?}", name(&answer));
                return Err(SourceError::nonsense(reason));
            }
        };
        self.working = match &step {
            Step::None => None,
            Step::Compare { range, .. } => Some(range.offset),
            Step::Write { fetch, .. } => Some(fetch.range.offset),
        };
        Ok(step)
    }

    /// The step that was handed out last is done.
    pub fn finished(&mut self, finished: Finished) {
        self.working = None;
        if let Finished::Compared(differing) = finished {
            for (offset, digest) in differing {
                self.found_block(offset, digest);
            }
        }
    }

    fn read(&mut self, fetch: Fetch) -> Request {
        let request = Request::Read {
            volume: self.volume,
            offset: fetch.range.offset,
            length: u32::try_from(fetch.range.length).expect("cut to what one read asks for"),
        };
        self.asked.push_back(Asked::Read(fetch));
        request
    }

    fn next_known(&mut self) -> Option<ByteRange> {
        let range = self.known.front_mut()?;
        let length = range.length.min(u64::from(self.limits.read_bytes));
        let first = ByteRange {
            offset: range.offset,
            length,
        };
        range.offset += length;
        range.length -= length;
        if range.length == 0 {
            self.known.pop_front();
        }
        Some(first)
    }

    /// Joins a block to the one before it where both fit into one read.
    fn found_block(&mut self, offset: u64, digest: Digest) {
        let length = u64::from(BLOCK_BYTES).min(self.size_bytes - offset);
        if let Some(last) = self.found.back_mut()
            && last.range.end() == offset
            && last.range.length + length <= u64::from(self.limits.read_bytes)
        {
            last.range.length += length;
            last.digests.push(digest);
            return;
        }
        self.found.push_back(Fetch {
            range: ByteRange { offset, length },
            digests: vec![digest],
        });
    }

    /// Takes ranges that may differ.
    fn learn(
        &mut self,
        from: u64,
        ranges: &[ByteRange],
        next: Option<u64>,
    ) -> Result<(), SourceError> {
        let next = next.unwrap_or(self.size_bytes);
        if next <= from || next > self.size_bytes {
            let reason = format!("ranges from {from} on that go on at {next}");
            return Err(SourceError::nonsense(reason));
        }
        if ranges.len() > self.limits.ranges as usize {
            return Err(SourceError::nonsense(format!("{} ranges", ranges.len())));
        }
        let mut behind = 0;
        for range in ranges {
            let end = range.offset.checked_add(range.length);
            let Some(end) =
                end.filter(|end| range.length > 0 && range.offset >= behind && *end <= next)
            else {
                let reason = format!("{range:?} behind {behind} and before {next}");
                return Err(SourceError::nonsense(reason));
            };
            behind = end;
            if end > from {
                self.widen(range.offset.max(from), end);
            }
        }
        self.frontier = next;
        Ok(())
    }

    /// Adds a range in whole units, joined to the one before it if they touch.
    fn widen(&mut self, start: u64, end: u64) {
        let start = start - start % UNIT_BYTES;
        let end = end.next_multiple_of(UNIT_BYTES).min(self.size_bytes);
        match self.known.back_mut() {
            Some(back) if start <= back.end() => {
                back.length = back.length.max(end - back.offset);
            }
            _ => self.known.push_back(ByteRange {
                offset: start,
                length: end - start,
            }),
        }
    }
}

fn name(answer: &Answer) -> &'static str {
    match answer {
        Answer::Description(_) => "a description",
        Answer::Ranges { .. } => "ranges",
        Answer::Unknown { .. } => "ranges that are unknown",
        Answer::Digests { .. } => "digests",
        Answer::Data { .. } => "data",
        Answer::Done { .. } => "a volume's digest",
        Answer::Refused(_) => "a refusal",
        Answer::Seam { .. } => "a seam",
        Answer::Kept { .. } | Answer::Settled => "word that something is kept",
    }
}

#[cfg(test)]
mod tests;
