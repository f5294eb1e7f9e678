//! The bytes that one connection may hold: data being read, data to be written, unsent replies.
//!
//! Its invariant: the data of a write is only given memory if everything together then stays within
//! the limit, or if there is nothing else, so that every write fits at some time. It counts; memory
//! is given back by whoever holds it.

use bytes::Bytes;

use crate::session::Payloads;

/// Counts the bytes of one connection, and is where its session gets memory for writes.
pub(super) struct Room {
    limit: usize,
    /// Bytes of reads under way, and of writes from their header to their answer.
    under_way: usize,
    /// Bytes of replies that the client has not taken, when last told.
    unsent: usize,
}

impl Room {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            under_way: 0,
            unsent: 0,
        }
    }

    /// Tells how many bytes of replies wait for the client.
    pub(super) const fn set_unsent(&mut self, bytes: usize) {
        self.unsent = bytes;
    }

    /// Counts a read that was begun.
    pub(super) const fn begin_read(&mut self, length: u32) {
        self.under_way += length as usize;
    }

    /// Counts a read or write that has been carried out. The data of a read is from now on part of
    /// the unsent replies.
    pub(super) const fn finish(&mut self, length: u32) {
        self.under_way -= length as usize;
    }

    /// Whether anything more may be begun. What is begun may then exceed the limit, if it is a read.
    pub(super) const fn is_left(&self) -> bool {
        self.under_way + self.unsent < self.limit
    }
}

impl Payloads for Room {
    type Write = Vec<u8>;
    type Read = Bytes;

    fn allocate(&mut self, length: usize) -> Option<Vec<u8>> {
        let held = self.under_way + self.unsent;
        if held > 0 && held.saturating_add(length) > self.limit {
            return None;
        }
        self.under_way += length;
        // The system gives zeroed pages as they are touched: a client that announces much and sends
        // little costs little.
        Some(vec![0; length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_of_a_write_counts_before_it_is_received() {
        let mut room = Room::new(1000);
        assert_eq!(room.allocate(600).map(|data| data.len()), Some(600));
        assert!(room.is_left());
        assert!(room.allocate(401).is_none());
        assert!(room.allocate(400).is_some());
        assert!(!room.is_left());
        room.finish(600);
        assert!(room.is_left());
        assert!(room.allocate(601).is_none(), "refusals took room");
        assert!(room.allocate(600).is_some());
    }

    #[test]
    fn reads_and_unsent_replies_count_too() {
        let mut room = Room::new(1000);
        room.begin_read(500);
        room.set_unsent(400);
        assert!(room.allocate(101).is_none());
        room.finish(500);
        assert!(room.allocate(101).is_some());
    }

    #[test]
    fn a_write_that_is_longer_than_the_limit_waits_until_it_is_alone() {
        let mut room = Room::new(1000);
        room.set_unsent(1);
        assert!(room.allocate(5000).is_none());
        room.set_unsent(0);
        assert!(room.allocate(5000).is_some());
        assert!(room.allocate(1).is_none());
    }
}
