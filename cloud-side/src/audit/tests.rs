//! The store on a disk that loses power, fills up and is tampered with.

mod evidence;
mod retention;
mod unrecorded;

use super::{
    log::Log,
    open::{OpenedLog, Trust},
    *,
};
use crate::clock;
use bcdr_audit::{Verdict, Verifier, verify::Expected};
use bcdr_disk::{FaultPlan, SeededRandom, SimulatedDisk};
use bcdr_format::Timestamp;
use prometheus::Registry;
use std::path::Path;

const DIRECTORY: &str = "/audit";

/// A catalog that keeps only this.
#[derive(Debug, Default)]
struct MemoryAnchor {
    head: Mutex<Option<SignedHead>>,
    gap: Mutex<Option<gap::KeptGap>>,
}

impl Anchor for MemoryAnchor {
    fn newest(&self) -> Result<Option<SignedHead>, String> {
        Ok(self.head.lock().unwrap().clone())
    }

    fn keep(&self, head: &SignedHead) -> Result<(), String> {
        *self.head.lock().unwrap() = Some(head.clone());
        Ok(())
    }

    fn gap(&self) -> Result<Option<gap::KeptGap>, String> {
        Ok(self.gap.lock().unwrap().clone())
    }

    fn keep_gap(&self, gap: Option<&gap::KeptGap>) -> Result<(), String> {
        *self.gap.lock().unwrap() = gap.cloned();
        Ok(())
    }
}

/// What outlives a process besides the disk.
struct World {
    disk: SimulatedDisk,
    key: Arc<SigningKey>,
    anchor: Arc<MemoryAnchor>,
    config: AuditConfig,
    floor: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            disk: SimulatedDisk::new(seed, FaultPlan::none()),
            key: Arc::new(SigningKey::generate().unwrap().0),
            anchor: Arc::default(),
            floor: 0,
            config: AuditConfig {
                // Smaller than a configuration may say, so that segments are closed often.
                segment_bytes: 40_000,
                ..AuditConfig::default()
            },
        }
    }

    fn parts(&self) -> AuditParts {
        AuditParts {
            storage: Arc::new(self.disk.clone()),
            directory: DIRECTORY.into(),
            installation: InstallationId::from_parts(1, 7),
            key: Some(Arc::clone(&self.key)),
            anchor: self.anchor.clone(),
            config: self.config,
            floor: SpaceFloor {
                percent: 0,
                bytes: self.floor,
            },
        }
    }

    fn open(&self) -> Result<(Log, OpenedLog), AuditError> {
        Log::open(self.parts(), Timestamp(1_000_000), Trust::Synced)
    }

    fn metrics() -> AuditMetrics {
        let metrics = Metrics::new(Registry::new(), "cloud", "0").unwrap();
        AuditMetrics::new(&metrics).unwrap()
    }

    fn start(&self) -> Audit {
        Audit::start(self.parts(), Self::metrics()).unwrap()
    }

    /// The newest segment.
    fn newest_segment(&self) -> PathBuf {
        let directory = Path::new(DIRECTORY);
        let numbers = files::numbers(&self.disk, directory).unwrap();
        files::path(directory, *numbers.last().unwrap())
    }

    fn text(&self, path: &Path) -> String {
        String::from_utf8(files::read(&self.disk, path, None).unwrap()).unwrap()
    }

    /// What somebody does who can write to the disk.
    fn rewrite(&self, path: &Path, text: &str) {
        let file = self.disk.open(path, bcdr_disk::Access::write()).unwrap();
        file.set_length(text.len() as u64).unwrap();
        file.write_all_at(text.as_bytes(), 0).unwrap();
        file.sync_all().unwrap();
    }

    fn verify(&self, known: Option<Mark>) -> Verdict {
        let mut verifier = Verifier::new(Expected {
            key: Some(self.key.public()),
            known,
            partial: false,
        });
        let directory = Path::new(DIRECTORY);
        let mut names = vec![directory.join(files::CUT)];
        let numbers = files::numbers(&self.disk, directory).unwrap();
        names.extend(
            numbers
                .into_iter()
                .map(|number| files::path(directory, number)),
        );
        for path in names {
            if self.disk.exists(&path).unwrap() {
                let bytes = files::read(&self.disk, &path, None).unwrap();
                verifier
                    .file(&path.display().to_string(), &mut &bytes[..])
                    .unwrap();
            }
        }
        verifier.finish()
    }
}

fn draft(name: &str, outcome: Outcome) -> Draft {
    let actor = Actor {
        kind: ActorKind::Token,
        id: None,
        name: name.to_owned(),
    };
    let mut draft = Draft::new(actor, "start_drill", outcome);
    draft.object = Some(object("group", "lab"));
    draft
}

/// The entries of an action.
async fn of_action(audit: &Audit, action: &str) -> Vec<bcdr_audit::Entry> {
    let filter = Filter {
        action: Some(action.to_owned()),
        forward: true,
        limit: 100,
        ..Filter::default()
    };
    let page = audit.list(filter).await.unwrap();
    page.entries.into_iter().map(|entry| entry.body).collect()
}

/// The names of the actors in the log, in order.
async fn names(audit: &Audit) -> Vec<String> {
    let filter = Filter {
        forward: true,
        limit: 10_000,
        ..Filter::default()
    };
    let page = audit.list(filter).await.unwrap();
    let entries = page.entries.into_iter();
    entries.map(|entry| entry.body.said.actor.name).collect()
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_every_operation() {
    let mut cut_short = 0;
    for at in 1..140 {
        let world = World::new(at);
        let mut random = SeededRandom::new(at);
        world.disk.cut_power_at(at);
        let mut acknowledged = Vec::new();
        if let Ok((mut log, opened)) = world.open() {
            let mut wanted = opened.drafts;
            for number in 0..80 {
                wanted.extend((0..=random.below(3)).map(|_| {
                    // Long enough to lie in several sectors.
                    let mut draft = draft(&format!("operator-{number}"), Outcome::Allowed);
                    draft.detail = Some("x".repeat(500));
                    draft
                }));
                let written = log.append(std::mem::take(&mut wanted), Timestamp(number));
                if written.is_err() {
                    break;
                }
                acknowledged.push(log.newest);
                if number % 9 == 0 && log.head(Timestamp(number)).is_err() {
                    break;
                }
            }
        }
        world.disk.power_on();
        world.disk.power_cut();
        let (log, opened) = world
            .open()
            .unwrap_or_else(|error| panic!("cut at {at}: {error}"));
        assert_eq!(opened.damage, [] as [String; 0], "cut at {at}");
        let said = |action: &str| opened.drafts.iter().any(|draft| draft.action == action);
        cut_short += u64::from(said("audit_append_cut_short"));
        if let Some(mark) = acknowledged.last() {
            let verdict = world.verify(Some(*mark));
            assert!(verdict.is_valid(), "cut at {at}: {:?}", verdict.findings);
        }
        let newest = acknowledged.last().map_or(0, |mark| mark.sequence);
        assert!(log.newest.sequence >= newest, "cut at {at}");
        // The next process goes on where this one would have.
        drop(log);
        let (mut log, opened) = world.open().unwrap();
        assert!(opened.damage.is_empty(), "cut at {at}: {:?}", opened.damage);
        log.append(opened.drafts, Timestamp(5)).unwrap();
        log.head(Timestamp(6)).unwrap();
        let verdict = world.verify(Some(log.newest));
        assert!(verdict.is_valid(), "cut at {at}: {:?}", verdict.findings);
    }
    assert!(cut_short > 3, "only {cut_short} appends were cut short");
}

#[test]
fn errors_of_the_disk_leave_no_entry_that_was_refused_and_lose_none_that_was_not() {
    for seed in 1..60 {
        let mut world = World::new(seed);
        world.disk = SimulatedDisk::new(
            seed,
            FaultPlan {
                write_error_per_mille: 80,
                sync_error_per_mille: 80,
                read_error_per_mille: 20,
            },
        );
        world.disk.arm(false);
        let (mut log, _) = world.open().unwrap();
        world.disk.arm(true);
        let (mut kept, mut refused) = (Vec::new(), 0);
        for number in 0..120 {
            let name = format!("operator-{number}");
            match log.append(vec![draft(&name, Outcome::Allowed)], Timestamp(number)) {
                Ok(_) => kept.push(name),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 0, "seed {seed}: no error was met");
        world.disk.arm(false);
        world.disk.power_cut();
        let (log, opened) = world.open().unwrap();
        assert!(opened.damage.is_empty(), "seed {seed}: {:?}", opened.damage);
        let filter = Filter {
            forward: true,
            limit: 1000,
            ..Filter::default()
        };
        let page = query::list(&world.disk, &log.snapshot(), &filter).unwrap();
        let found: Vec<String> = page
            .entries
            .into_iter()
            .map(|entry| entry.body.said.actor.name)
            .collect();
        // Only the very last may be there without having been answered for.
        let (found, last) = found.split_at(kept.len().min(found.len()));
        assert_eq!(found, kept, "seed {seed}");
        assert!(last.len() <= 1, "seed {seed}: {last:?}");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_entries_and_the_gap_is_said_when_there_is_room() {
    let world = World::new(3);
    let audit = world.start();
    audit
        .record(draft("before", Outcome::Allowed))
        .await
        .unwrap();
    world.disk.set_capacity(4096);
    let mut refused = 0;
    for _ in 0..40 {
        refused += u64::from(
            audit
                .record(draft("during", Outcome::Allowed))
                .await
                .is_err(),
        );
    }
    assert!(refused > 0);
    let trouble = audit.health().trouble.unwrap();
    assert!(trouble.contains("audit"), "{trouble}");
    // What is there can be read and signed all the same.
    let head = audit.head().await.unwrap().unwrap();
    assert!(head.verifies());
    let mut export = audit.export(None, None).await.unwrap();
    let mut text = Vec::new();
    loop {
        let (piece, rest) = export.next().await;
        let Some(piece) = piece.unwrap() else { break };
        text.extend_from_slice(&piece);
        export = rest;
    }
    let mut verifier = Verifier::new(Expected {
        key: Some(world.key.public()),
        known: Some(head.body.newest),
        partial: false,
    });
    verifier.file("export", &mut &text[..]).unwrap();
    let verdict = verifier.finish();
    assert!(verdict.is_valid(), "{:?}", verdict.findings);
    world.disk.set_capacity(1 << 30);
    audit
        .record(draft("after", Outcome::Allowed))
        .await
        .unwrap();
    assert_eq!(audit.health().trouble, None);
    let filter = Filter {
        action: Some("audit_gap".to_owned()),
        limit: 100,
        ..Filter::default()
    };
    let gaps = audit.list(filter).await.unwrap().entries;
    let counted: u64 = gaps.iter().map(|gap| gap.body.said.count).sum();
    assert_eq!(counted, refused);
    audit.close();
    let verdict = world.verify(None);
    assert!(verdict.is_valid(), "{:?}", verdict.findings);
}

#[tokio::test]
async fn an_action_whose_process_was_killed_has_an_end_after_the_next_start() {
    let world = World::new(4);
    let audit = world.start();
    let began = audit.record(draft("killed", Outcome::Begun)).await.unwrap();
    let whole = audit.record(draft("whole", Outcome::Begun)).await.unwrap();
    let mut end = draft("whole", Outcome::Allowed);
    end.began = Some(whole);
    audit.record(end).await.unwrap();
    // Killed: the handle is gone, and nothing was closed in order.
    world.disk.kill();
    drop(audit);
    let audit = world.start();
    let filter = Filter {
        outcome: Some(Outcome::Unknown),
        limit: 10,
        ..Filter::default()
    };
    let unknown = audit.list(filter).await.unwrap().entries;
    let told: Vec<_> = unknown
        .iter()
        .map(|entry| (entry.body.said.actor.name.as_str(), entry.body.said.began))
        .collect();
    assert_eq!(told, [("killed", Some(began))]);
    audit.close();
    // Once: the start after that finds it ended.
    let audit = world.start();
    let all = names(&audit).await;
    assert_eq!(
        all.iter().filter(|name| *name == "killed").count(),
        2,
        "{all:?}"
    );
    audit.close();
}

#[test]
fn damage_is_named_stays_and_does_not_keep_the_log_from_going_on() {
    let tampered = |tamper: &dyn Fn(&World)| {
        let world = World::new(5);
        let (mut log, _) = world.open().unwrap();
        for number in 0..200 {
            let name = format!("operator-{number}");
            log.append(vec![draft(&name, Outcome::Allowed)], Timestamp(number))
                .unwrap();
        }
        log.head(Timestamp(200)).unwrap();
        let known = log.newest;
        assert!(log.closed.len() > 1);
        drop(log);
        tamper(&world);
        let (mut log, opened) = world.open().unwrap();
        log.append(opened.drafts, Timestamp(300)).unwrap();
        log.head(Timestamp(301)).unwrap();
        let verdict = world.verify(Some(known));
        assert!(!verdict.is_valid());
        opened.damage.join("; ")
    };
    let last = World::newest_segment;
    let length =
        |world: &World, path: &Path| files::read(&world.disk, path, None).unwrap().len() as u64;
    // The newest entries, with the head over them.
    let told = tampered(&|world| {
        let path = last(world);
        world
            .disk
            .truncate(&path, length(world, &path) / 2)
            .unwrap();
    });
    assert!(told.contains("cut off"), "{told}");
    // The newest segment.
    let told = tampered(&|world| world.disk.remove(&last(world)).unwrap());
    assert!(told.contains("cut off"), "{told}");
    // One in between.
    let told = tampered(&|world| {
        world
            .disk
            .remove(&files::path(DIRECTORY.as_ref(), 2))
            .unwrap()
    });
    assert!(told.contains("missing"), "{told}");
    // The oldest.
    let told = tampered(&|world| {
        world
            .disk
            .remove(&files::path(DIRECTORY.as_ref(), 1))
            .unwrap()
    });
    assert!(told.contains("removed in order"), "{told}");
    // A bit in the middle of the newest segment: what follows it stays.
    let told = tampered(&|world| {
        let path = last(world);
        world
            .disk
            .flip_bit(&path, length(world, &path) / 2)
            .unwrap();
    });
    assert!(
        ["was edited", "cannot be read", "cut off"]
            .iter()
            .any(|part| told.contains(part)),
        "{told}"
    );
}

#[test]
fn old_segments_go_with_a_signed_mark_also_over_a_power_cut() {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    for at in 1..16 {
        let mut world = World::new(at);
        world.config.retention_days = 30;
        let (mut log, _) = world.open().unwrap();
        for number in 0..200 {
            let entry = draft(&format!("operator-{number}"), Outcome::Allowed);
            log.append(vec![entry], Timestamp(number * DAY)).unwrap();
        }
        log.head(Timestamp(200 * DAY)).unwrap();
        let before = log.closed.len();
        world.disk.cut_power_at(at);
        let _cut = log.retain(Timestamp(200 * DAY));
        drop(log);
        world.disk.power_on();
        world.disk.power_cut();
        let (mut log, opened) = world.open().unwrap();
        assert!(opened.damage.is_empty(), "cut at {at}: {:?}", opened.damage);
        log.append(opened.drafts, Timestamp(200 * DAY)).unwrap();
        log.retain(Timestamp(200 * DAY)).unwrap();
        log.head(Timestamp(200 * DAY)).unwrap();
        assert!(log.closed.len() < before);
        let verdict = world.verify(Some(log.newest));
        assert!(verdict.is_valid(), "cut at {at}: {:?}", verdict.findings);
        assert!(verdict.cut.is_some_and(|cut| cut.sequence > 100));
        // What is within the time stays.
        let after = verdict.after.unwrap().sequence;
        assert!(after < 170, "{after}");
        // Without the mark the same is a finding.
        let mark = Path::new(DIRECTORY).join(files::CUT);
        world.disk.remove(&mark).unwrap();
        assert!(!world.verify(None).is_valid());
    }
}

#[tokio::test]
async fn entries_are_found_in_both_directions_page_by_page() {
    let world = World::new(6);
    let audit = world.start();
    for number in 0..150 {
        let outcome = if number % 3 == 0 {
            Outcome::Refused
        } else {
            Outcome::Allowed
        };
        let name = format!("operator-{}", number % 5);
        audit.record(draft(&name, outcome)).await.unwrap();
    }
    let newest = audit.newest().unwrap().sequence;
    for forward in [true, false] {
        let (mut seen, mut beyond) = (Vec::new(), None);
        loop {
            let filter = Filter {
                forward,
                beyond,
                limit: 7,
                ..Filter::default()
            };
            let page = audit.list(filter).await.unwrap();
            seen.extend(page.entries.iter().map(|entry| entry.body.sequence));
            beyond = page.next;
            if beyond.is_none() {
                break;
            }
        }
        if !forward {
            seen.reverse();
        }
        assert_eq!(seen, (1..=newest).collect::<Vec<_>>());
    }
    let filter = Filter {
        actor: Some("operator-3".to_owned()),
        outcome: Some(Outcome::Refused),
        object: Some("lab".to_owned()),
        limit: 100,
        ..Filter::default()
    };
    assert_eq!(audit.list(filter).await.unwrap().entries.len(), 10);
    audit.close();
}
