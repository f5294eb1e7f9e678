//! What an order means for a group as it runs: a pure function of what is remembered, what arrives
//! and how the group is served.
//!
//! Invariant: where the process is killed between any two steps, a start with what is remembered
//! leads to a state that the order allows: nothing is ever served writable that the last order which
//! was acted on forbids to start writable.

use bcdr_format::position::Generation;
use bcdr_wire::order::{Duty, HomeTask, OrderNumber, SourceOrder, TaskReport, TaskState};

/// How a group is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It was begun to take writes, has taken none, and has heard no gateway yet.
    Starting,
    /// It takes writes, and journals them.
    Writable,
    /// Its ring thread runs and takes no writes.
    Quiesced,
    /// It has no ring thread: it is served read-only or not at all.
    Standing,
}

/// What to do about an order once it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Go on as before. Whether records are fed follows from the order itself.
    Keep,
    /// Take no more writes.
    Quiesce,
    /// End the ring thread in order, if there is one, and stand.
    Stand,
    /// Begin to serve writable, as a start of the capture does.
    Serve,
}

/// What follows from an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// It must be made durable first.
    pub remember: bool,
    /// What to do then.
    pub act: Act,
}

/// The order was given before one that is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it has number {} of generation {}, and number {} of generation {} is remembered already",
    given.1, given.0, known.1, known.0
)]
pub struct OlderOrder {
    /// The order's generation and number.
    pub given: (Generation, OrderNumber),
    /// The same of the one that is remembered.
    pub known: (Generation, OrderNumber),
}

/// What to do about `order`.
///
/// # Errors
/// If it is older than what is remembered: nothing is done about it.
pub fn decide(
    remembered: Option<&SourceOrder>,
    order: &SourceOrder,
    mode: Mode,
) -> Result<Decision, OlderOrder> {
    if let Some(known) = remembered
        && order.is_older_than(known)
    {
        return Err(OlderOrder {
            given: (order.generation, order.number),
            known: (known.generation, known.number),
        });
    }
    let act = match (&order.duty, mode) {
        // Who serves writable is not cut by an order to stand by: only an operator decides that. Who
        // comes back and did not know what was decided meanwhile has not begun to serve yet.
        (Duty::Serve, Mode::Starting | Mode::Writable)
        | (Duty::StandBy, Mode::Writable)
        | (Duty::Quiesce, Mode::Quiesced)
        | (Duty::StandBy | Duty::Quiesce | Duty::Hold { .. }, Mode::Standing) => Act::Keep,
        (Duty::Serve, Mode::Quiesced | Mode::Standing) => Act::Serve,
        (Duty::Quiesce, Mode::Starting | Mode::Writable) => Act::Quiesce,
        (Duty::StandBy, Mode::Starting | Mode::Quiesced)
        | (Duty::Hold { .. }, Mode::Starting | Mode::Writable | Mode::Quiesced) => Act::Stand,
    };
    Ok(Decision {
        remember: remembered != Some(order),
        act,
    })
}

/// Whether a group that begins may be served writable.
#[must_use]
pub fn begins_writable(remembered: Option<&SourceOrder>) -> bool {
    remembered.is_none_or(|order| order.duty == Duty::Serve)
}

/// The task of an order, unless it ended before.
#[must_use]
pub fn task_due<'a>(
    remembered: Option<&'a SourceOrder>,
    last: Option<&TaskReport>,
) -> Option<&'a HomeTask> {
    let Duty::Hold { task: Some(task) } = &remembered?.duty else {
        return None;
    };
    let ended = last
        .is_some_and(|last| last.id == task.id && !matches!(last.state, TaskState::Working { .. }));
    (!ended).then_some(task)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_format::RestoreId;
    use bcdr_wire::order::HomeWork;

    const MODES: [Mode; 4] = [
        Mode::Starting,
        Mode::Writable,
        Mode::Quiesced,
        Mode::Standing,
    ];

    fn task(id: u128) -> HomeTask {
        HomeTask {
            id: RestoreId::from_u128(id),
            work: HomeWork::Inspect,
            confirmed: Vec::new(),
        }
    }

    fn duties() -> [Duty; 5] {
        let task = Some(task(1));
        [
            Duty::Serve,
            Duty::StandBy,
            Duty::Quiesce,
            Duty::Hold { task: None },
            Duty::Hold { task },
        ]
    }

    fn order(generation: u64, duty: Duty) -> SourceOrder {
        SourceOrder {
            generation: Generation(generation),
            number: OrderNumber(7),
            duty,
        }
    }

    #[test]
    fn an_earlier_order_of_the_same_generation_is_ignored_whatever_it_says() {
        for known in duties() {
            for given in duties() {
                for mode in MODES {
                    let remembered = order(5, known.clone());
                    let mut told = order(5, given.clone());
                    told.number = OrderNumber(6);
                    assert!(decide(Some(&remembered), &told, mode).is_err());
                    told.number = OrderNumber(8);
                    assert!(decide(Some(&remembered), &told, mode).is_ok());
                    // Numbers go on over generations; a higher generation counts all the same.
                    told.number = OrderNumber(1);
                    told.generation = Generation(6);
                    assert!(decide(Some(&remembered), &told, mode).is_ok());
                }
            }
        }
    }

    #[test]
    fn an_older_generation_is_ignored_whatever_it_says() {
        for known in duties() {
            for given in duties() {
                for mode in MODES {
                    let remembered = order(5, known.clone());
                    let older = decide(Some(&remembered), &order(4, given.clone()), mode);
                    assert!(older.is_err(), "{given:?} after {known:?}");
                    for generation in [5, 6] {
                        let newer = order(generation, given.clone());
                        assert!(decide(Some(&remembered), &newer, mode).is_ok());
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_remembered_already_is_acted_on_and_not_written_again() {
        let remembered = order(5, Duty::Quiesce);
        // The process was killed, or the act was cut short, after it was remembered.
        let decision = decide(Some(&remembered), &remembered.clone(), Mode::Writable).unwrap();
        let expected = Decision {
            remember: false,
            act: Act::Quiesce,
        };
        assert_eq!(decision, expected);
        let first = decide(None, &remembered, Mode::Writable).unwrap();
        assert!(first.remember);
    }

    /// Where a group ends up under an order.
    fn after(act: Act, mode: Mode) -> Mode {
        match act {
            Act::Keep => mode,
            Act::Quiesce => Mode::Quiesced,
            Act::Stand => Mode::Standing,
            Act::Serve => Mode::Writable,
        }
    }

    #[test]
    fn every_order_leads_where_it_says_and_there_it_stays() {
        for duty in duties() {
            for mode in MODES {
                let told = order(1, duty.clone());
                let act = decide(None, &told, mode).unwrap().act;
                let there = after(act, mode);
                let wanted: &[Mode] = match &duty {
                    Duty::Serve => &[Mode::Starting, Mode::Writable],
                    Duty::StandBy if mode == Mode::Writable => &[Mode::Writable],
                    Duty::StandBy | Duty::Hold { .. } => &[Mode::Standing],
                    Duty::Quiesce => &[Mode::Quiesced, Mode::Standing],
                };
                assert!(wanted.contains(&there), "{duty:?} in {mode:?}: {there:?}");
                let again = decide(Some(&told), &told, there).unwrap();
                assert_eq!((again.act, again.remember), (Act::Keep, false));
            }
        }
    }

    #[test]
    fn only_an_order_to_serve_or_none_lets_a_start_take_writes() {
        assert!(begins_writable(None));
        for duty in duties() {
            let serves = duty == Duty::Serve;
            assert_eq!(begins_writable(Some(&order(1, duty))), serves);
        }
    }

    #[test]
    fn a_task_that_ended_is_not_due_again_and_one_that_was_cut_short_is() {
        let hold = |id| {
            order(
                1,
                Duty::Hold {
                    task: Some(task(id)),
                },
            )
        };
        let report = |state| TaskReport {
            id: RestoreId::from_u128(1),
            state,
        };
        let failed = report(TaskState::Failed {
            code: "x".to_owned(),
            cause: "y".to_owned(),
            remedy: "z".to_owned(),
        });
        let working = report(TaskState::Working {
            done_bytes: 1,
            total_bytes: 2,
        });
        assert_eq!(task_due(Some(&hold(1)), None), Some(&task(1)));
        assert_eq!(task_due(Some(&hold(1)), Some(&failed)), None);
        assert_eq!(task_due(Some(&hold(1)), Some(&working)), Some(&task(1)));
        assert_eq!(task_due(Some(&hold(2)), Some(&failed)), Some(&task(2)));
        assert_eq!(task_due(Some(&order(1, Duty::StandBy)), None), None);
        assert_eq!(task_due(None, None), None);
    }
}
