//! Which batches are on their way to a destination, and what is known to be durable.
//!
//! Owns the queue of batches that are not durable cloud-side, oldest first. It holds no bytes: the
//! shell keeps those by shipment id, in memory or in the spool. Sans-I/O: time is passed in.
//!
//! Invariants: batches are sent in order, and only such as the destination will accept after those
//! sent before; a batch leaves the queue only when the destination holds it; batches are spooled in
//! order; the L2 position never passes a batch that is neither spooled nor durable cloud-side.
//! No event costs time in proportion to the queue, which a long outage makes long.

use bcdr_format::{
    Position,
    continuity::{Arriving, Held, Verdict, judge},
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The number of a batch in this gateway process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShipmentId(pub u64);

/// How much may be under way, and when late means spooled.
#[derive(Debug, Clone, Copy)]
pub struct WindowLimits {
    /// Encoded bytes sent and not acknowledged.
    pub in_flight_bytes: u64,
    /// Batches sent and not acknowledged.
    pub in_flight_batches: usize,
    /// A batch not durable cloud-side this long after it was sealed goes to the spool.
    pub spool_after: Duration,
}

impl Default for WindowLimits {
    fn default() -> Self {
        Self {
            in_flight_bytes: 32 << 20,
            in_flight_batches: 4096,
            spool_after: Duration::from_millis(500),
        }
    }
}

/// What the shell is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShipAction {
    /// Send this batch in the current session.
    Send(ShipmentId),
    /// Make this batch durable in the spool, and answer with [`Window::spooled`] or
    /// [`Window::not_spooled`]. Nothing more is asked for until all of one poll are answered.
    Spool(ShipmentId),
    /// The destination holds this batch: let go of its bytes, in memory and in the spool.
    Forget(ShipmentId),
}

/// The destination does not hold what the queue continues: what is missing must be fed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discontinuity {
    /// How the destination judges the batch that is next in the queue.
    pub verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeping {
    Memory,
    Spooling,
    Spool,
}

#[derive(Debug)]
struct Shipment {
    id: ShipmentId,
    arriving: Arriving,
    bytes: u64,
    keeping: Keeping,
    late_at: Instant,
    /// Its bytes, once they were sent in this session.
    in_flight_bytes: u64,
}

impl Shipment {
    fn end(&self) -> Position {
        Position::new(self.arriving.ordinal, self.arriving.last)
    }

    fn end_held(&self) -> Held {
        Held {
            position: self.end(),
            id: self.arriving.id,
        }
    }

    fn memory_bytes(&self) -> u64 {
        match self.keeping {
            Keeping::Memory | Keeping::Spooling => self.bytes,
            Keeping::Spool => 0,
        }
    }
}

/// The way to one destination.
#[derive(Debug)]
pub struct Window {
    limits: WindowLimits,
    /// Ids in it are consecutive: batches enter at the back and leave at the front.
    queue: VecDeque<Shipment>,
    connected: bool,
    /// How many at the front are done with in this session: sent, or found to need no sending.
    passed: usize,
    /// Where the destination is once it has taken all that was sent.
    reached: Option<Held>,
    /// How many at the front the spool holds.
    spooled: usize,
    /// Spool actions that were not answered.
    spooling: usize,
    in_flight_bytes: u64,
    memory_bytes: u64,
    waiting_bytes: u64,
    held: Option<Held>,
    next_id: u64,
}

impl Window {
    /// An empty window.
    pub fn new(limits: WindowLimits) -> Self {
        Self {
            limits,
            queue: VecDeque::new(),
            connected: false,
            passed: 0,
            reached: None,
            spooled: 0,
            spooling: 0,
            in_flight_bytes: 0,
            memory_bytes: 0,
            waiting_bytes: 0,
            held: None,
            next_id: 0,
        }
    }

    /// Takes a sealed batch of `bytes` encoded bytes at the end of the queue.
    pub fn push(&mut self, arriving: Arriving, bytes: u64, now: Instant) -> ShipmentId {
        self.enqueue(arriving, bytes, Keeping::Memory, now)
    }

    /// Takes a batch that was found in the spool when the process started.
    pub fn restore(&mut self, arriving: Arriving, bytes: u64, now: Instant) -> ShipmentId {
        let id = self.enqueue(arriving, bytes, Keeping::Spool, now);
        self.advance_spooled();
        id
    }

    fn enqueue(
        &mut self,
        arriving: Arriving,
        bytes: u64,
        keeping: Keeping,
        now: Instant,
    ) -> ShipmentId {
        let id = ShipmentId(self.next_id);
        self.next_id += 1;
        let shipment = Shipment {
            id,
            arriving,
            bytes,
            keeping,
            late_at: now + self.limits.spool_after,
            in_flight_bytes: 0,
        };
        self.memory_bytes += shipment.memory_bytes();
        self.waiting_bytes += bytes;
        self.queue.push_back(shipment);
        id
    }

    /// A session is up and the destination holds `held`. Returns what can be let go.
    ///
    /// # Errors
    /// [`Discontinuity`] when the queue does not continue what is held. The window is then empty
    /// of use: the shell clears it with [`Self::clear`] and has the capture feed again.
    pub fn connect(&mut self, held: Option<Held>) -> Result<Vec<ShipAction>, Discontinuity> {
        self.disconnect();
        self.held = held;
        self.reached = held;
        let mut forgotten = Vec::new();
        while let Some(front) = self.queue.front() {
            match self.judge(held, &front.arriving) {
                Verdict::Duplicate => {
                    forgotten.push(ShipAction::Forget(front.id));
                    self.pop();
                }
                _ => break,
            }
        }
        if let Some(front) = self.queue.front() {
            let verdict = self.judge(held, &front.arriving);
            if !matches!(verdict, Verdict::Continues | Verdict::Forks(_)) {
                return Err(Discontinuity { verdict });
            }
        }
        self.connected = true;
        Ok(forgotten)
    }

    /// How a destination at `held` takes a batch of the queue. One that belongs to a life that the
    /// destination has seen replaced is as good as a duplicate when a later life is queued behind.
    fn judge(&self, held: Option<Held>, arriving: &Arriving) -> Verdict {
        let last = self.queue.back().map(|shipment| shipment.arriving.ordinal);
        match judge(held.as_ref(), arriving) {
            Verdict::Superseded { .. } if last > Some(arriving.ordinal) => Verdict::Duplicate,
            verdict => verdict,
        }
    }

    /// The session is over: what was sent and not acknowledged is sent again in the next one.
    pub fn disconnect(&mut self) {
        self.connected = false;
        self.in_flight_bytes = 0;
        for shipment in self.queue.range_mut(..self.passed) {
            shipment.in_flight_bytes = 0;
        }
        self.passed = 0;
        self.reached = None;
    }

    /// Whether a session is up.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Everything up to `durable` is durable at the destination.
    pub fn acknowledged(&mut self, durable: Position) -> Vec<ShipAction> {
        let mut forgotten = Vec::new();
        while let Some(front) = self.queue.front().filter(|front| front.end() <= durable) {
            let end = front.end_held();
            if self.held.is_none_or(|held| held.position < end.position) {
                self.held = Some(end);
            }
            forgotten.push(ShipAction::Forget(front.id));
            self.pop();
        }
        forgotten
    }

    fn pop(&mut self) {
        let Some(front) = self.queue.pop_front() else {
            return;
        };
        self.in_flight_bytes -= front.in_flight_bytes;
        self.memory_bytes -= front.memory_bytes();
        self.waiting_bytes -= front.bytes;
        self.passed = self.passed.saturating_sub(1);
        self.spooled = self.spooled.saturating_sub(1);
        self.advance_spooled();
    }

    fn advance_spooled(&mut self) {
        while let Some(next) = self.queue.get(self.spooled)
            && next.keeping == Keeping::Spool
        {
            self.spooled += 1;
        }
    }

    /// The spool holds this batch durably.
    pub fn spooled(&mut self, id: ShipmentId) {
        self.spool_answered(id, Keeping::Spool);
        self.advance_spooled();
    }

    /// The spool could not take this batch: it stays in memory and is tried again at `retry_at`.
    pub fn not_spooled(&mut self, id: ShipmentId, retry_at: Instant) {
        if let Some(shipment) = self.spool_answered(id, Keeping::Memory) {
            shipment.late_at = retry_at;
        }
    }

    fn spool_answered(&mut self, id: ShipmentId, keeping: Keeping) -> Option<&mut Shipment> {
        self.spooling = self.spooling.saturating_sub(1);
        let index = id.0.checked_sub(self.queue.front()?.id.0)?;
        let shipment = self.queue.get_mut(usize::try_from(index).ok()?)?;
        self.memory_bytes -= shipment.memory_bytes();
        shipment.keeping = keeping;
        self.memory_bytes += shipment.memory_bytes();
        Some(shipment)
    }

    /// Gives up the whole queue and returns what it held.
    pub fn clear(&mut self) -> Vec<ShipAction> {
        self.disconnect();
        (self.spooled, self.memory_bytes, self.waiting_bytes) = (0, 0, 0);
        self.queue
            .drain(..)
            .map(|shipment| ShipAction::Forget(shipment.id))
            .collect()
    }

    /// What is due now.
    ///
    /// # Errors
    /// [`Discontinuity`] when the next batch does not continue what was sent; see
    /// [`Self::connect`].
    pub fn poll(&mut self, now: Instant) -> Result<Vec<ShipAction>, Discontinuity> {
        let mut actions = Vec::new();
        while self.connected
            && let Some(id) = self.send_next()?
        {
            actions.push(ShipAction::Send(id));
        }
        self.spool_late(now, &mut actions);
        Ok(actions)
    }

    fn send_next(&mut self) -> Result<Option<ShipmentId>, Discontinuity> {
        while let Some(next) = self.queue.get(self.passed) {
            let (id, bytes, end) = (next.id, next.bytes, next.end_held());
            match self.judge(self.reached, &next.arriving) {
                Verdict::Continues | Verdict::Forks(_) => {}
                // It leaves the queue when what covers it is acknowledged.
                Verdict::Duplicate => {
                    self.passed += 1;
                    continue;
                }
                verdict => return Err(Discontinuity { verdict }),
            }
            let fits = self.in_flight_bytes + bytes <= self.limits.in_flight_bytes
                && self.passed < self.limits.in_flight_batches;
            if !fits && self.in_flight_bytes > 0 {
                return Ok(None);
            }
            self.queue[self.passed].in_flight_bytes = bytes;
            self.in_flight_bytes += bytes;
            self.passed += 1;
            self.reached = Some(end);
            return Ok(Some(id));
        }
        Ok(None)
    }

    fn spool_late(&mut self, now: Instant, actions: &mut Vec<ShipAction>) {
        if self.spooling > 0 {
            return;
        }
        for shipment in self.queue.range_mut(self.spooled..) {
            if shipment.keeping != Keeping::Memory || shipment.late_at > now {
                break;
            }
            shipment.keeping = Keeping::Spooling;
            self.spooling += 1;
            actions.push(ShipAction::Spool(shipment.id));
        }
    }

    /// When [`Self::poll`] has something to say, if nothing else happens before.
    pub fn due(&self) -> Option<Instant> {
        if self.spooling > 0 {
            return None;
        }
        let next = self.queue.get(self.spooled)?;
        Some(next.late_at)
    }

    /// Bytes of batches kept in memory.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// Encoded bytes that wait for the destination, in memory and in the spool.
    pub fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes
    }

    /// L2: the end of the last batch such that it and all before it are spooled or durable at the
    /// destination.
    pub fn gateway_durable(&self) -> Option<Position> {
        let last = self.spooled.checked_sub(1);
        let spooled = last.and_then(|last| self.queue.get(last));
        spooled.map(Shipment::end).max(self.durable())
    }

    /// L3: what the destination is known to hold.
    pub fn durable(&self) -> Option<Position> {
        self.held.map(|held| held.position)
    }

    /// What the destination is known to hold.
    pub fn receiver_held(&self) -> Option<Held> {
        self.held
    }

    /// The furthest that is held between here and the destination.
    pub fn held(&self) -> Option<Held> {
        let last = self.queue.back().map(Shipment::end_held);
        last.or(self.held)
    }
}

#[cfg(test)]
mod tests;
