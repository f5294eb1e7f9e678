//! The beginning and the end of an output, in bounded memory.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use utoipa::ToSchema;

/// What was kept of an output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = KeptOutput)]
pub struct Kept {
    /// Its beginning. Bytes that are no UTF-8 are replaced.
    pub head: String,
    /// Bytes between head and tail that were not kept.
    pub omitted_bytes: u64,
    /// Its end; empty when the head is all of it.
    pub tail: String,
}

/// Keeps an output while it comes.
pub(super) struct Keeper {
    head: Vec<u8>,
    head_most: usize,
    tail: VecDeque<u8>,
    tail_most: usize,
    omitted: u64,
}

impl Keeper {
    pub(super) fn new(keep_bytes: usize) -> Self {
        let tail_most = keep_bytes / 2;
        Self {
            head: Vec::new(),
            head_most: keep_bytes - tail_most,
            tail: VecDeque::new(),
            tail_most,
            omitted: 0,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = self.head_most - self.head.len();
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        // Of a long piece only its end can stay.
        let skipped = rest.len().saturating_sub(self.tail_most);
        self.tail.extend(&rest[skipped..]);
        let over = self.tail.len().saturating_sub(self.tail_most);
        self.tail.drain(..over);
        self.omitted += (skipped + over) as u64;
    }

    pub(super) fn finish(self) -> Kept {
        let tail: Vec<u8> = self.tail.into();
        if self.omitted == 0 {
            // A character may lie across the two.
            let whole = [self.head, tail].concat();
            return Kept {
                head: String::from_utf8_lossy(&whole).into_owned(),
                ..Kept::default()
            };
        }
        Kept {
            head: String::from_utf8_lossy(&self.head).into_owned(),
            omitted_bytes: self.omitted,
            tail: String::from_utf8_lossy(&tail).into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn head_and_tail_are_those_of_the_whole(
            pieces in prop::collection::vec("[a-z]{0,20}", 0..12),
            keep in 0usize..40,
        ) {
            let whole = pieces.concat();
            let mut keeper = Keeper::new(keep);
            for piece in &pieces {
                keeper.push(piece.as_bytes());
            }
            let kept = keeper.finish();
            prop_assert!(whole.starts_with(&kept.head));
            prop_assert!(whole.ends_with(&kept.tail));
            prop_assert_eq!(
                kept.head.len() as u64 + kept.omitted_bytes + kept.tail.len() as u64,
                whole.len() as u64
            );
            prop_assert_eq!(kept.omitted_bytes > 0, whole.len() > keep);
            prop_assert!(kept.head.len() + kept.tail.len() <= keep);
        }
    }

    #[test]
    fn a_character_across_head_and_tail_stays_whole() {
        let mut keeper = Keeper::new(4);
        keeper.push("aé".as_bytes());
        assert_eq!(keeper.finish().head, "aé");
    }
}
