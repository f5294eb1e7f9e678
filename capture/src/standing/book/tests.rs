//! The book across crashes, damage and failing disks.

use super::*;
use bcdr_disk::RealStorage;
use bcdr_format::{RestoreId, position::Generation};
use bcdr_wire::order::{Duty, HomeTask, HomeWork, TaskOutcome, TaskState};

fn order(generation: u64, duty: Duty) -> SourceOrder {
    SourceOrder {
        generation: Generation(generation),
        duty,
    }
}

fn real() -> Arc<dyn Storage> {
    Arc::new(RealStorage::new())
}

#[test]
fn what_was_remembered_is_found_again_and_an_older_order_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("group");
    let mut book = OrderBook::open(real(), &at).unwrap();
    assert_eq!((book.order(), book.task()), (None, None));
    let task = HomeTask {
        id: RestoreId::from_u128(9),
        work: HomeWork::Inspect,
        confirmed: Vec::new(),
    };
    let hold = order(7, Duty::Hold { task: Some(task) });
    book.remember(&hold).unwrap();
    let ended = TaskReport {
        id: RestoreId::from_u128(9),
        state: TaskState::Done(TaskOutcome::Sent { bytes: 3 }),
    };
    book.ended(&ended).unwrap();
    book.remember(&order(6, Duty::Serve)).unwrap();
    assert_eq!(book.order(), Some(&hold));
    let found = OrderBook::open(real(), &at).unwrap();
    assert_eq!((found.order(), found.task()), (Some(&hold), Some(&ended)));
}

#[test]
fn a_book_that_is_damaged_or_newer_is_not_taken_for_none() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for text in [
        "",
        "{\"version\": 1, \"ord",
        "{\"version\": 2}",
        "{\"version\": 1, \"x\": 2}",
    ] {
        std::fs::write(at.join(FILE), text).unwrap();
        let error = OrderBook::open(real(), at).unwrap_err();
        let words = error.to_string();
        assert!(
            words.contains(FILE) && words.contains("remove the file"),
            "{words}"
        );
    }
}

#[test]
fn a_directory_that_cannot_be_asked_holds_no_order() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let mut book = OrderBook::open(real(), &file.join("group")).unwrap();
    assert!(book.remember(&order(1, Duty::Serve)).is_err());
    assert_eq!(book.order(), None, "what is not durable is not said");
}
