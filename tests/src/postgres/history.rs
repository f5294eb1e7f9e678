//! What clients know from outside of each of their transactions, and what that demands of a point.
//!
//! Pure: no clock and no server. Every client numbers its transactions from one, begins one at a time,
//! and never uses a number again.

use super::ledger::Present;
use anyhow::{bail, ensure};
use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch: the unit and the clock of points' times.
pub type Micros = i64;

/// The wall clock, that of the capture on the same machine.
pub fn wall() -> Micros {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Micros::try_from(since.as_micros()).unwrap_or(Micros::MAX)
}

/// How a transaction ended, as far as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its client never asked to commit it: it is under way, rolled back, or was cut off before that.
    Uncommitted,
    /// COMMIT was sent, just after this instant, and no answer has come.
    InDoubt {
        /// Just before COMMIT was sent.
        sent: Micros,
    },
    /// Its commit was acknowledged, or it was found in the recovered server.
    Acknowledged {
        /// Just before COMMIT was sent.
        sent: Micros,
        /// When its client knew.
        at: Micros,
    },
    /// COMMIT was sent, the answer never came, and the recovered server does not have it.
    Lost,
}

/// All transactions, by client and number: the first of each client has the number one.
#[derive(Debug, Clone, Default)]
pub struct History {
    clients: Vec<Vec<Fate>>,
}

impl History {
    /// A history of so many clients without transactions.
    pub fn new(clients: usize) -> Self {
        Self {
            clients: vec![Vec::new(); clients],
        }
    }

    /// A client begins a transaction; returns its number.
    pub fn begin(&mut self, client: usize) -> usize {
        self.clients[client].push(Fate::Uncommitted);
        self.clients[client].len()
    }

    /// What is known of a transaction changes.
    pub fn ends(&mut self, client: usize, number: usize, fate: Fate) {
        self.clients[client][number - 1] = fate;
    }

    /// The client's last transaction, while nobody knows whether it was committed: its number, and when
    /// COMMIT was sent.
    pub fn in_doubt(&self, client: usize) -> Option<(usize, Micros)> {
        let all = &self.clients[client];
        match all.last() {
            Some(Fate::InDoubt { sent }) => Some((all.len(), *sent)),
            _ => None,
        }
    }

    /// How many are known to be committed.
    pub fn acknowledged(&self) -> usize {
        let is = |fate: &&Fate| matches!(fate, Fate::Acknowledged { .. });
        self.clients.iter().flatten().filter(is).count()
    }

    fn all(&self) -> impl Iterator<Item = ((usize, usize), Fate)> {
        let numbered = |(client, fates): (usize, &Vec<Fate>)| {
            let fates = fates.clone().into_iter().enumerate();
            fates.map(move |(index, fate)| ((client, index + 1), fate))
        };
        self.clients.iter().enumerate().flat_map(numbered)
    }

    /// Checks that what is present is a prefix of what happened: nothing that was not committed, and
    /// nothing missing that was acknowledged before COMMIT of something present was even sent. Only the
    /// clients' own clock is compared with itself.
    ///
    /// # Errors
    /// Names the transaction that breaks this.
    pub fn check_prefix(&self, present: &Present) -> anyhow::Result<()> {
        let mut newest_sent = Micros::MIN;
        let mut known = 0;
        for ((client, number), fate) in self.all() {
            if !present.contains(&(client, number)) {
                continue;
            }
            known += 1;
            match fate {
                Fate::InDoubt { sent } | Fate::Acknowledged { sent, .. } => {
                    newest_sent = newest_sent.max(sent);
                }
                Fate::Uncommitted => bail!("{number} of client {client} was never committed"),
                Fate::Lost => bail!("{number} of client {client} is present, production lost it"),
            }
        }
        ensure!(
            known == present.len(),
            "{} transactions are present that no client began",
            present.len() - known
        );
        self.check_acknowledged(present, newest_sent)
    }

    /// Checks that everything is present that was acknowledged before an instant.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn check_acknowledged(&self, present: &Present, before: Micros) -> anyhow::Result<()> {
        for ((client, number), fate) in self.all() {
            if let Fate::Acknowledged { at, .. } = fate
                && at < before
                && !present.contains(&(client, number))
            {
                bail!(
                    "{number} of client {client} is missing: acknowledged {} us before",
                    before - at
                );
            }
        }
        Ok(())
    }

    /// Checks that nothing is present whose COMMIT was sent after an instant.
    ///
    /// # Errors
    /// Names the first that is.
    pub fn check_nothing_after(&self, present: &Present, instant: Micros) -> anyhow::Result<()> {
        for ((client, number), fate) in self.all() {
            if let Fate::InDoubt { sent } | Fate::Acknowledged { sent, .. } = fate
                && sent > instant
                && present.contains(&(client, number))
            {
                bail!(
                    "{number} of client {client} is present: its COMMIT was sent {} us after",
                    sent - instant
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three of client 0, acknowledged in turn; two of client 1, the first rolled back, the second lost.
    fn history() -> History {
        let mut history = History::new(2);
        for start in [10, 20, 30] {
            let number = history.begin(0);
            let (sent, at) = (start, start + 5);
            history.ends(0, number, Fate::Acknowledged { sent, at });
        }
        history.begin(1);
        let number = history.begin(1);
        history.ends(1, number, Fate::InDoubt { sent: 22 });
        history
    }

    fn present(transactions: &[(usize, usize)]) -> Present {
        transactions.iter().copied().collect()
    }

    #[test]
    fn every_prefix_is_one_with_what_is_in_doubt_and_without() {
        let history = history();
        for transactions in [
            &[][..],
            &[(0, 1)],
            &[(0, 1), (1, 2)],
            &[(0, 1), (0, 2), (0, 3)],
            &[(0, 1), (0, 2), (0, 3), (1, 2)],
        ] {
            history.check_prefix(&present(transactions)).unwrap();
        }
    }

    #[test]
    fn a_hole_is_no_prefix_nor_is_what_nobody_committed() {
        let mut history = history();
        for transactions in [&[(0, 2)][..], &[(1, 2)], &[(1, 1)], &[(0, 1), (0, 4)]] {
            assert!(history.check_prefix(&present(transactions)).is_err());
        }
        history.ends(1, 2, Fate::Lost);
        assert!(history.check_prefix(&present(&[(0, 1), (1, 2)])).is_err());
    }

    #[test]
    fn what_was_acknowledged_is_demanded_and_what_was_not_yet_sent_is_forbidden() {
        let history = history();
        let two = present(&[(0, 1), (0, 2)]);
        history.check_acknowledged(&two, 35).unwrap();
        assert!(history.check_acknowledged(&two, 36).is_err());
        history.check_nothing_after(&two, 20).unwrap();
        assert!(history.check_nothing_after(&two, 19).is_err());
        assert!(
            history
                .check_nothing_after(&present(&[(1, 2)]), 21)
                .is_err()
        );
    }

    #[test]
    fn only_the_last_of_a_client_can_be_in_doubt() {
        let mut history = history();
        assert_eq!(history.in_doubt(1), Some((2, 22)));
        assert_eq!(history.in_doubt(0), None);
        assert_eq!(history.acknowledged(), 3);
        history.ends(1, 2, Fate::Acknowledged { sent: 22, at: 40 });
        assert_eq!((history.in_doubt(1), history.acknowledged()), (None, 4));
    }
}
