//! What a start takes for a torn append, what for damage, and what it does not need to go on.

use super::*;

/// A log whose last append has three entries, with the head over them in the file.
fn signed() -> World {
    let world = World::new(11);
    let (mut log, _) = world.open().unwrap();
    for number in 0..5 {
        let name = format!("operator-{number}");
        log.append(vec![draft(&name, Outcome::Allowed)], Timestamp(number))
            .unwrap();
    }
    let together = ["one", "two", "three"].map(|name| draft(name, Outcome::Allowed));
    log.append(together.to_vec(), Timestamp(6)).unwrap();
    log.head(Timestamp(7)).unwrap();
    world
}

fn without_the_head(text: &str) -> &str {
    let entries = text.trim_end().rsplit_once('\n').unwrap().0;
    &text[..entries.len() + 1]
}

#[test]
fn what_was_signed_is_no_torn_append_and_is_not_cut_off() {
    type Edit = fn(&str) -> String;
    let edits: [(&str, Edit); 4] = [
        ("an entry of the last append", |text| {
            text.replace("\"name\":\"one\"", "\"name\":\"0ne\",")
        }),
        ("its last entry", |text| text.replace("\"three\"", "three")),
        ("one removed", |text| {
            let lines = text.split_inclusive('\n');
            lines.filter(|line| !line.contains("\"three\"")).collect()
        }),
        ("the head removed too", |text| {
            without_the_head(text).replace("\"one\"", "one")
        }),
    ];
    for (what, edit) in edits {
        let world = signed();
        let path = world.newest_segment();
        let edited = edit(&world.text(&path));
        assert_ne!(edited, world.text(&path), "{what}");
        world.rewrite(&path, &edited);
        let (mut log, opened) = world.open().unwrap();
        let damage = opened.damage.join("; ");
        assert!(damage.contains("were durable"), "{what}: {damage}");
        assert_eq!(world.text(&path), edited, "{what}: evidence is gone");
        log.append(opened.drafts, Timestamp(8)).unwrap();
        assert_ne!(world.newest_segment(), path, "{what}");
        assert_eq!(world.text(&path), edited, "{what}: evidence is gone");
        assert!(!world.verify(None).is_valid(), "{what}");
    }
}

#[test]
fn what_nothing_shows_to_have_been_durable_is_cut_off_without_room_for_it() {
    let world = signed();
    let path = world.newest_segment();
    let whole = world.text(&path);
    world.rewrite(&path, &format!("{whole}{{\"entry\":{{\"bo"));
    world.disk.set_capacity(1);
    let (log, opened) = world.open().unwrap();
    assert_eq!(opened.damage, [] as [String; 0]);
    let said = |draft: &Draft| draft.action == "audit_append_cut_short";
    assert!(opened.drafts.iter().any(said));
    assert_eq!(world.text(&path), whole);
    assert_eq!(log.newest.sequence, 8);
}

#[test]
fn a_segment_without_any_line_that_can_be_read_stays() {
    let world = signed();
    let path = world.newest_segment();
    let noise = "x".repeat(world.text(&path).len());
    world.rewrite(&path, &noise);
    let (mut log, opened) = world.open().unwrap();
    assert!(!opened.damage.is_empty());
    log.append(opened.drafts, Timestamp(8)).unwrap();
    assert_eq!(world.text(&path), noise);
    let next = world.text(&world.newest_segment());
    let beginning = Mark::beginning(&world.parts().installation.to_string());
    assert!(next.contains(&beginning.hash.to_string()), "{next}");
}

#[test]
fn a_segment_that_is_too_long_or_an_old_one_that_cannot_be_read_keeps_nothing_from_going_on() {
    let world = World::new(12);
    let (mut log, _) = world.open().unwrap();
    for number in 0..200 {
        let entry = draft("operator", Outcome::Allowed);
        log.append(vec![entry], Timestamp(number)).unwrap();
    }
    let newest = log.newest;
    drop(log);
    let old = files::path(DIRECTORY.as_ref(), 1);
    world.disk.make_unreadable(&old, 0..100).unwrap();
    let path = world.newest_segment();
    let file = world.disk.open(&path, bcdr_disk::Access::write()).unwrap();
    file.set_length(files::SEGMENT_READ_MAX + 1).unwrap();
    drop(file);
    let (mut log, opened) = world.open().unwrap();
    assert_eq!(log.newest, newest);
    for part in ["more than were ever written", "cannot be read"] {
        let told = |damage: &String| damage.contains(part);
        assert!(opened.damage.iter().any(told), "{:?}", opened.damage);
    }
    log.append(opened.drafts, Timestamp(300)).unwrap();
    assert_ne!(world.newest_segment(), path);
}

#[tokio::test]
async fn a_log_that_cannot_be_read_keeps_nothing_from_starting_and_is_opened_later() {
    let world = signed();
    let path = world.newest_segment();
    world.disk.make_unreadable(&path, 0..100).unwrap();
    let audit = world.start();
    let refused = audit.record(draft("during", Outcome::Begun)).await;
    assert!(
        matches!(refused, Err(AuditError::NotOpened(_))),
        "{refused:?}"
    );
    assert!(audit.list(Filter::default()).await.is_err());
    assert!(audit.newest().is_err());
    let head = audit.head().await.unwrap().unwrap();
    assert_eq!(head.body.newest.sequence, 8);
    let health = audit.health();
    assert!(health.trouble.unwrap().contains("cannot read"));
    assert!(health.damage[0].contains("could not be opened"));
    world.disk.make_unreadable(&path, 0..0).unwrap();
    let mut missing = 1;
    while audit.record(draft("after", Outcome::Begun)).await.is_err() {
        missing += 1;
        tokio::task::yield_now().await;
    }
    assert_eq!(audit.health().trouble, None);
    let gap = of_action(&audit, "audit_gap").await;
    assert_eq!(gap.iter().map(|gap| gap.said.count).sum::<u64>(), missing);
    assert_eq!(of_action(&audit, "audit_opened_late").await.len(), 1);
    audit.close();
    let verdict = world.verify(Some(head.body.newest));
    assert!(verdict.is_valid(), "{:?}", verdict.findings);
}

#[test]
fn an_end_that_does_not_know_its_beginning_is_found_by_its_request() {
    let world = World::new(13);
    let (mut log, _) = world.open().unwrap();
    let of_request = |outcome, request: &str| {
        let mut draft = draft("operator", outcome);
        draft.request = Some(request.to_owned());
        draft
    };
    let product = |object: &str, outcome| {
        let deed = Deed {
            by: "views",
            action: "close_view",
            object: super::object("view", object),
            detail: String::new(),
        };
        deed.draft(outcome)
    };
    log.append(
        vec![
            of_request(Outcome::Begun, "gave-up"),
            of_request(Outcome::Begun, "killed"),
            product("one", Outcome::Begun),
            product("two", Outcome::Begun),
            of_request(Outcome::Refused, "gave-up"),
            of_request(Outcome::Refused, "other"),
            product("one", Outcome::Allowed),
        ],
        Timestamp(1),
    )
    .unwrap();
    drop(log);
    let (_, opened) = world.open().unwrap();
    let unknown = opened
        .drafts
        .iter()
        .filter(|draft| draft.outcome == Outcome::Unknown);
    let began: Vec<_> = unknown.map(|draft| draft.began).collect();
    assert_eq!(began, [Some(2), Some(4)]);
}
