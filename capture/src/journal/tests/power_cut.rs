//! Whatever a power cut leaves, recovery finds a prefix that includes everything durable.

use super::*;
use bcdr_disk::DiskErrorKind;

/// What the test remembers of a life.
#[derive(Default)]
struct Model {
    /// Every record appended, with its position.
    appended: Vec<(Position, Arc<StreamRecord>)>,
    durable: Option<Position>,
    ordinal: u32,
    next: u64,
    continues: Option<Position>,
}

impl Model {
    fn open(&mut self, journal: &mut Journal) -> Result<(), JournalError> {
        journal.open(start(self.ordinal + 1, self.continues, self.next))?;
        self.ordinal += 1;
        Ok(())
    }

    fn step(
        &mut self,
        journal: &mut Journal,
        random: &mut SeededRandom,
    ) -> Result<(), JournalError> {
        match random.below(8) {
            0 | 1 => {
                journal.sync()?;
                self.durable = self.appended.last().map(|(position, _)| *position);
            }
            2 => {
                if let Some((position, _)) = self.appended.last() {
                    // Everything far enough back was acknowledged.
                    let through = Sequence(position.sequence.0.saturating_sub(20));
                    journal.trim(Position::new(position.ordinal, through));
                }
            }
            3 => journal.settle(position(self.ordinal, self.next - 1))?,
            _ => {
                let count = 1 + random.below(6);
                let records: Vec<_> = (self.next..self.next + count)
                    .map(|sequence| {
                        let length = 512 * (1 + random.below(20)) as u32;
                        record(sequence, body(sequence, length, random.next_u64() as u8))
                    })
                    .collect();
                let settled = position(self.ordinal, self.next - 1);
                for record in &records {
                    let at = Position::new(IncarnationOrdinal(self.ordinal), record.sequence);
                    self.appended.push((at, Arc::clone(record)));
                }
                self.next += count;
                journal.append(&records, Some(settled), None)?;
            }
        }
        Ok(())
    }

    /// Checks what was recovered, and goes on from there.
    fn check(&mut self, disk: &Arc<SimulatedDisk>, seed: u64) -> Result<Journal, TestCaseError> {
        let recovered = try_recover(disk);
        prop_assert!(recovered.is_ok(), "seed {}: {:?}", seed, recovered.err());
        let (journal, recovered) = recovered.unwrap();
        let last = journal
            .snapshot()
            .segments
            .last()
            .map(|one| (one.ordinal(), one.last));
        let last = last.map(|(ordinal, sequence)| Position::new(ordinal, sequence));
        prop_assert!(
            self.durable <= last,
            "seed {}: lost {:?}, has {:?}",
            seed,
            self.durable,
            last
        );
        prop_assert!(recovered.settled <= last, "seed {}", seed);
        // What is there is what was appended, in order, without a hole.
        if let Some(through) = recovered.settled {
            let from = journal.snapshot().history(Some(through)).lives()[0];
            let begin = Position::new(
                from.start.opening.ordinal,
                Sequence(from.available_from.0.max(1) - 1),
            );
            let items = read_all(disk, journal.snapshot(), FeedStart::After(begin), through);
            prop_assert!(items.is_ok(), "seed {}: {:?}", seed, items.err());
            let mut before = None;
            for item in items.unwrap() {
                let FeedItem::Record { ordinal, record } = item else {
                    continue;
                };
                let at = Position::new(ordinal, record.sequence);
                let known = self.appended.iter().find(|(position, _)| *position == at);
                prop_assert!(
                    known.is_some_and(|(_, one)| *one == record),
                    "seed {}: {}",
                    seed,
                    at
                );
                if let Some(Position { ordinal, sequence }) = before
                    && ordinal == at.ordinal
                {
                    prop_assert_eq!(sequence.next(), at.sequence, "seed {}", seed);
                }
                before = Some(at);
            }
        }
        self.appended
            .retain(|(position, _)| Some(*position) <= recovered.settled);
        self.durable = None;
        self.continues = recovered.settled;
        self.ordinal = recovered
            .newest
            .map_or(self.ordinal, |newest| newest.opening.ordinal.0);
        self.next = self.next.max(recovered.last_sequence.0 + 1);
        Ok(journal)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_power_cut_or_kill_at_any_operation_leaves_a_prefix_with_everything_durable(
        seed in any::<u64>()
    ) {
        let disk = Arc::new(SimulatedDisk::new(seed, FaultPlan::none()));
        let mut random = SeededRandom::new(seed ^ 0x5eed);
        let mut model = Model { next: 1, ..Model::default() };
        let mut journal = model.check(&disk, seed)?;
        for _ in 0..8 {
            if random.coin() {
                disk.cut_power_at(random.below(120));
            }
            let steps = random.below(40);
            let mut ended = model.open(&mut journal);
            for _ in 0..steps {
                if ended.is_err() {
                    break;
                }
                ended = model.step(&mut journal, &mut random);
            }
            if let Err(JournalError::Disk(error)) = &ended {
                prop_assert!(error.kind() != DiskErrorKind::Poisoned, "seed {}", seed);
            }
            drop(journal);
            if random.coin() { disk.kill() } else { disk.power_cut() }
            disk.power_on();
            journal = model.check(&disk, seed)?;
            if journal.usage().over_half()
                && let Some(position) = model.continues
            {
                journal.trim(position);
            }
        }
    }
}
