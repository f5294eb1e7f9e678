//! The book across crashes, damage and failing disks.

use super::*;
use bcdr_disk::RealStorage;
use bcdr_format::{RestoreId, position::Generation};
use bcdr_wire::order::{Duty, HomeTask, HomeWork, OrderNumber, TaskOutcome, TaskState};

fn order(generation: u64, duty: Duty) -> SourceOrder {
    SourceOrder {
        generation: Generation(generation),
        number: OrderNumber(3),
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

#[test]
fn what_could_not_be_asked_is_not_overwritten_unseen() {
    let directory = tempfile::tempdir().unwrap();
    let newer = order(4, Duty::StandBy);
    let at = directory.path().join("group");
    let mut known = OrderBook::open(real(), &at).unwrap();
    known.remember(&newer).unwrap();
    let away = directory.path().join("away");
    std::fs::rename(&at, &away).unwrap();
    std::fs::write(&at, "in the way").unwrap();
    let mut book = OrderBook::open(real(), &at).unwrap();
    assert_eq!(book.order(), None);
    std::fs::remove_file(&at).unwrap();
    std::fs::rename(&away, &at).unwrap();
    let refused = book.remember(&order(3, Duty::Serve)).unwrap_err();
    assert!(matches!(refused, WriteError::FoundAgain), "{refused}");
    assert_eq!(book.order(), Some(&newer));
    book.remember(&order(3, Duty::Serve)).unwrap();
    assert_eq!(book.order(), Some(&newer));
}

#[test]
fn what_cannot_be_written_is_not_said() {
    let directory = tempfile::tempdir().unwrap();
    let mut book = OrderBook::open(real(), directory.path()).unwrap();
    book.remember(&order(1, Duty::Serve)).unwrap();
    let obstacle = directory.path().join("orders.json.incomplete");
    std::fs::create_dir(&obstacle).unwrap();
    assert!(book.remember(&order(2, Duty::StandBy)).is_err());
    assert_eq!(book.order(), Some(&order(1, Duty::Serve)));
    std::fs::remove_dir(&obstacle).unwrap();
    book.remember(&order(2, Duty::StandBy)).unwrap();
    assert_eq!(book.order(), Some(&order(2, Duty::StandBy)));
}

/// What was acted on before the power failed is known afterwards; whatever the moment, the book is
/// whole.
#[test]
fn an_order_that_was_kept_outlives_a_power_cut_at_any_moment() {
    let at = Path::new("/state/group");
    let (before, after) = (order(1, Duty::Serve), order(2, Duty::Quiesce));
    let mut lost = 0;
    for operations in 0..40 {
        let disk = bcdr_disk::SimulatedDisk::new(operations, bcdr_disk::FaultPlan::none());
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let mut book = OrderBook::open(Arc::clone(&storage), at).unwrap();
        book.remember(&before).unwrap();
        disk.cut_power_at(operations);
        let kept = book.remember(&after).is_ok();
        disk.power_cut();
        disk.power_on();
        let found = OrderBook::open(storage, at).unwrap();
        let found = found.order().unwrap();
        assert!(
            *found == before || *found == after,
            "{operations}: {found:?}"
        );
        assert!(
            !kept || *found == after,
            "{operations}: what was kept is lost"
        );
        lost += u32::from(*found == before);
    }
    assert!(lost > 0, "no cut came before the order was kept");
}
