//! What follows from an answer to a delivery. Pure.

use super::Outcome;
use crate::http::{Answer, ExchangeError};
use std::hash::{DefaultHasher, Hash, Hasher};

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing more.
    Over(Outcome),
    /// Try again, if there is time; the cause if not.
    Again(String),
}

/// What follows from an answer, or from there being none.
pub(super) fn after(answer: &Result<Answer, ExchangeError>) -> Next {
    let status = match answer {
        Ok(answer) => answer.status,
        Err(error) if error.may_pass() => {
            return Next::Again(format!("{error}; check that the receiver runs"));
        }
        Err(error) => {
            return Next::Over(Outcome::Refused(format!(
                "{error}; check the receiver's certificate, its name in it, and whom we trust"
            )));
        }
    };
    let refused = |remedy: &str| {
        Next::Over(Outcome::Refused(format!(
            "the receiver answered with status {status}; {remedy}"
        )))
    };
    match status {
        200..=299 => Next::Over(Outcome::Delivered),
        300..=399 => refused("redirections are not followed: give the address it leads to"),
        400..=499 => refused("see its answer and its log; a wrong secret is a common cause"),
        _ => Next::Again(format!(
            "the receiver answered with status {status}; see its log"
        )),
    }
}

/// How much the pause after this try is shortened: the same whoever asks, but not for every delivery.
pub(super) fn spread(id: &str, tries: u32) -> u8 {
    let mut hasher = DefaultHasher::new();
    (id, tries).hash(&mut hasher);
    hasher.finish().to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(status: u16) -> Next {
        after(&Ok(Answer {
            status,
            location: None,
            body: Vec::new(),
            was_cut: false,
        }))
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for status in [200, 204, 299] {
            assert_eq!(with(status), Next::Over(Outcome::Delivered));
        }
        for status in [301, 308, 400, 401, 404, 410, 429, 499] {
            let next = with(status);
            assert!(
                matches!(next, Next::Over(Outcome::Refused(_))),
                "{status}: {next:?}"
            );
        }
        for status in [500, 502, 503, 599] {
            assert!(matches!(with(status), Next::Again(_)), "{status}");
        }
        let late = after(&Err(ExchangeError::TimedOut {
            stage: "connecting",
        }));
        assert!(matches!(late, Next::Again(_)));
        let host = "".to_owned();
        let never = after(&Err(ExchangeError::ServerName { host }));
        assert!(matches!(never, Next::Over(Outcome::Refused(_))));
    }

    #[test]
    fn deliveries_that_failed_together_come_back_apart() {
        let spreads: std::collections::BTreeSet<_> = (0..64)
            .map(|number| spread(&format!("dlv-{number}"), 1))
            .collect();
        assert!(spreads.len() > 32, "{spreads:?}");
        assert_eq!(spread("dlv-1", 1), spread("dlv-1", 1));
    }
}
