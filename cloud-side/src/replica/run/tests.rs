use super::*;
use bcdr_format::{
    VolumeNumber,
    run::{ChunkPlace, RunContent, RunEntry},
};
use proptest::prelude::*;
use std::collections::BTreeMap;

struct Listed(std::vec::IntoIter<RunEntry>);

impl EntryCursor for Listed {
    fn next(&mut self) -> Result<Option<RunEntry>, RunError> {
        Ok(self.0.next())
    }
}

/// Merges runs, newest first.
fn merged(runs: &[Vec<RunEntry>], zeroes: ZeroRule) -> Vec<RunEntry> {
    let cursors = runs
        .iter()
        .map(|run| Listed(run.clone().into_iter()))
        .collect();
    let mut merge = Merge::new(cursors, zeroes).unwrap();
    std::iter::from_fn(|| merge.next_entry().unwrap()).collect()
}

type Cells = BTreeMap<(u16, u64), (u32, u32)>;

/// What each 512-byte cell is: a chunk and the place in it, or marks for zero and unknown.
fn cells(run: &[RunEntry]) -> Cells {
    let mut cells = BTreeMap::new();
    for entry in run {
        for step in 0..entry.length / 512 {
            let value = match entry.content {
                RunContent::Chunk(place) => (place.segment, place.inner_offset + step * 512),
                RunContent::Zero => (0, 1),
                RunContent::Unknown => (0, 2),
            };
            let cell = (entry.volume.0, entry.offset + u64::from(step) * 512);
            assert_eq!(cells.insert(cell, value), None, "entries overlap");
        }
    }
    cells
}

fn run_of(seed: u32) -> impl Strategy<Value = Vec<RunEntry>> {
    prop::collection::vec((0_u16..2, 0_u64..4, 1_u32..6, 0_u8..4), 0..12).prop_map(move |parts| {
        let mut next = [0_u64; 2];
        let mut run: Vec<RunEntry> = parts
            .into_iter()
            .enumerate()
            .map(|(place, (volume, gap, sectors, kind))| {
                let offset = next[usize::from(volume)] + gap * 512;
                next[usize::from(volume)] = offset + u64::from(sectors) * 512;
                let content = match kind {
                    0 => RunContent::Zero,
                    1 => RunContent::Unknown,
                    _ => RunContent::Chunk(ChunkPlace {
                        segment: seed * 100 + place as u32 + 1,
                        chunk_offset: 8,
                        stored_length: 900,
                        inner_offset: 1024,
                    }),
                };
                RunEntry {
                    volume: VolumeNumber(volume),
                    offset,
                    length: sectors * 512,
                    content,
                }
            })
            .collect();
        run.sort_by_key(RunEntry::key);
        run
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn newer_wins_and_merging_is_associative(
        (a, b, c) in (run_of(1), run_of(2), run_of(3))
    ) {
        let mut expected = cells(&c);
        expected.extend(cells(&b));
        expected.extend(cells(&a));
        let whole = merged(&[a.clone(), b.clone(), c.clone()], ZeroRule::Keep);
        prop_assert_eq!(&cells(&whole), &expected);
        let newer = merged(&[a.clone(), b.clone()], ZeroRule::Keep);
        prop_assert_eq!(&merged(&[newer, c.clone()], ZeroRule::Keep), &whole);
        let older = merged(&[b, c], ZeroRule::Keep);
        prop_assert_eq!(&merged(&[a.clone(), older], ZeroRule::Keep), &whole);
        // Applying a run again changes nothing.
        prop_assert_eq!(&merged(&[a.clone(), a.clone()], ZeroRule::Keep), &merged(&[a], ZeroRule::Keep));
        let bottom = cells(&merged(&[whole], ZeroRule::Drop));
        expected.retain(|_, value| *value != (0, 1));
        prop_assert_eq!(&bottom, &expected);
    }
}

#[test]
fn a_zero_dropped_early_would_show_what_lies_beneath() {
    let entry = |content| RunEntry {
        volume: VolumeNumber(0),
        offset: 0,
        length: 512,
        content,
    };
    let data = entry(RunContent::Chunk(ChunkPlace {
        segment: 1,
        chunk_offset: 8,
        stored_length: 900,
        inner_offset: 0,
    }));
    let upper = merged(&[vec![entry(RunContent::Zero)], vec![]], ZeroRule::Keep);
    assert_eq!(merged(&[upper, vec![data]], ZeroRule::Drop), []);
}
