//! Every way to tamper with a log, at random places, each found and named.

use super::*;
use crate::{AUDIT_VERSION, Actor, ActorKind, Cut, Draft, Entry, Head, Object, Outcome};
use bcdr_report::SigningKey;
use jiff::Timestamp;
use proptest::prelude::*;

const INSTALLATION: &str = "ins-1";

/// A log as its owner writes it.
struct Writer {
    key: SigningKey,
    newest: Mark,
    lines: Vec<String>,
    /// Where the chain was at each entry.
    marks: Vec<Mark>,
}

impl Writer {
    fn new(segment: Option<u64>) -> Self {
        let beginning = Mark::beginning(INSTALLATION);
        let mut writer = Self {
            key: SigningKey::generate().unwrap().0,
            newest: beginning,
            lines: Vec::new(),
            marks: vec![beginning],
        };
        writer.open(segment);
        writer
    }

    fn open(&mut self, segment: Option<u64>) {
        let opening = Opening {
            audit_version: AUDIT_VERSION,
            installation: INSTALLATION.to_owned(),
            segment,
            after: self.newest,
        };
        self.lines.push(Line::Opening(opening).to_text());
    }

    fn entry(&mut self, name: &str) {
        let actor = Actor {
            kind: ActorKind::Token,
            id: None,
            name: name.to_owned(),
        };
        let mut said = Draft::new(actor, "start_drill", Outcome::Allowed);
        said.object = Some(Object {
            kind: "group".to_owned(),
            id: Some("lab".to_owned()),
        });
        let sequence = self.newest.sequence + 1;
        let entry = Entry {
            sequence,
            append: sequence,
            at: Timestamp::UNIX_EPOCH,
            said,
        };
        let chained = Chained::after(&self.newest, entry);
        self.newest = chained.mark();
        self.marks.push(self.newest);
        self.lines.push(Line::Entry(chained).to_text());
    }

    fn head(&mut self) {
        let head = Head {
            installation: INSTALLATION.to_owned(),
            newest: self.newest,
            kept: self.newest.sequence,
            at: Timestamp::UNIX_EPOCH,
        };
        let signed = SignedHead::sign(head, &self.key);
        self.lines.push(Line::Head(signed).to_text());
    }

    /// An export of entries with these names, and heads after some of them.
    fn export(heads: &[bool]) -> Self {
        let mut writer = Self::new(None);
        for (number, head) in heads.iter().enumerate() {
            writer.entry(&format!("operator-{number}"));
            if *head {
                writer.head();
            }
        }
        writer.head();
        writer
    }

    fn expected(&self) -> Expected {
        Expected {
            key: Some(self.key.public()),
            known: None,
            partial: false,
        }
    }

    fn verify(&self, lines: &[String]) -> Verdict {
        verify(self.expected(), &lines.concat())
    }
}

fn verify(expected: Expected, text: &str) -> Verdict {
    let mut verifier = Verifier::new(expected);
    verifier.file("log", &mut text.as_bytes()).unwrap();
    verifier.finish()
}

fn is_entry(line: &str) -> bool {
    line.starts_with("{\"entry\"")
}

/// Writes the chain anew from an entry on, as somebody would who has everything but the key.
fn rechain(lines: &mut [String]) {
    let mut newest = None;
    for line in lines {
        match Line::parse(line.as_bytes()).unwrap() {
            Line::Opening(opening) => newest = Some(opening.after),
            Line::Entry(entry) => {
                let again = Chained::after(&newest.unwrap(), entry.body);
                newest = Some(again.mark());
                *line = Line::Entry(again).to_text();
            }
            Line::Head(_) | Line::Cut(_) => {}
        }
    }
}

fn heads() -> impl Strategy<Value = Vec<bool>> {
    prop::collection::vec(any::<bool>(), 2..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_log_as_it_was_written_is_valid_and_covered(heads in heads(), known in any::<prop::sample::Index>()) {
        let writer = Writer::export(&heads);
        let verdict = writer.verify(&writer.lines);
        prop_assert!(verdict.is_valid(), "{:?}", verdict.findings);
        prop_assert_eq!(verdict.entries, heads.len() as u64);
        prop_assert_eq!(verdict.signed, Some(writer.newest));
        // Any place of it may have been noted.
        let known = writer.marks[known.index(writer.marks.len())];
        let expected = Expected { known: Some(known), ..writer.expected() };
        prop_assert!(verify(expected, &writer.lines.concat()).is_valid());
    }

    #[test]
    fn any_byte_that_changes_is_found(heads in heads(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let writer = Writer::export(&heads);
        let mut bytes = writer.lines.concat().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let mut verifier = Verifier::new(writer.expected());
        verifier.file("log", &mut &bytes[..]).unwrap();
        prop_assert!(!verifier.finish().is_valid(), "byte {at}");
    }

    #[test]
    fn an_edit_names_its_entry(heads in heads(), which in any::<prop::sample::Index>()) {
        let writer = Writer::export(&heads);
        let name = format!("operator-{}\"", which.index(heads.len()));
        let mut lines = writer.lines.clone();
        let at = lines.iter().position(|line| line.contains(&name)).unwrap();
        lines[at] = lines[at].replace(&name, "someone-else\"");
        let verdict = writer.verify(&lines);
        let sequence = which.index(heads.len()) as u64 + 1;
        let named = |finding: &Finding| matches!(finding, Finding::Edited { sequence: found, .. } if *found == sequence);
        prop_assert!(verdict.findings.iter().all(named) && verdict.findings.len() == 1, "{:?}", verdict.findings);
        // Whoever also writes all hashes anew is found by the next head.
        rechain(&mut lines);
        let verdict = writer.verify(&lines);
        let replaced = |finding: &Finding| matches!(finding, Finding::Replaced { sequence: found, .. } if *found >= sequence);
        prop_assert!(verdict.findings.iter().any(replaced), "{:?}", verdict.findings);
    }

    #[test]
    fn deleted_entries_are_named(heads in heads(), from in any::<prop::sample::Index>(), count in 1usize..5) {
        let writer = Writer::export(&heads);
        let first = from.index(heads.len()) as u64 + 1;
        let last = (first + count as u64 - 1).min(heads.len() as u64);
        let kept: Vec<String> = writer.lines.iter().filter(|line| match Line::parse(line.as_bytes()).unwrap() {
            Line::Entry(entry) => !(first..=last).contains(&entry.body.sequence),
            _ => true,
        }).cloned().collect();
        let verdict = writer.verify(&kept);
        let named = |finding: &Finding| matches!(finding, Finding::Missing { from, .. } if *from == first);
        prop_assert!(verdict.findings.iter().any(named), "{:?}", verdict.findings);
    }

    #[test]
    fn another_order_is_named(heads in heads(), one in any::<prop::sample::Index>(), two in any::<prop::sample::Index>()) {
        let writer = Writer::export(&heads);
        let places: Vec<usize> = (0..writer.lines.len()).filter(|at| is_entry(&writer.lines[*at])).collect();
        let (one, two) = (one.index(places.len()), two.index(places.len()));
        prop_assume!(one != two);
        let mut lines = writer.lines.clone();
        lines.swap(places[one], places[two]);
        let verdict = writer.verify(&lines);
        prop_assert!(verdict.findings.iter().any(|finding| matches!(finding, Finding::Order { .. })), "{:?}", verdict.findings);
    }

    #[test]
    fn a_cut_end_and_an_older_copy_are_named_by_what_is_known(heads in heads(), at in any::<prop::sample::Index>()) {
        let writer = Writer::export(&heads);
        let lines = &writer.lines[..1 + at.index(writer.lines.len() - 1)];
        let held = lines.iter().filter(|line| is_entry(line)).count();
        prop_assume!(held < heads.len());
        let known = Expected { known: Some(writer.newest), ..writer.expected() };
        let verdict = verify(known.clone(), &lines.concat());
        let named = |finding: &Finding| matches!(finding, Finding::Truncated { known, .. } if *known == heads.len() as u64);
        prop_assert!(verdict.findings.iter().any(named), "{:?}", verdict.findings);
        // An export that was made at that time is valid in itself, and an older copy all the same.
        let older = Writer { key: writer.key, newest: writer.marks[held], lines: lines.to_vec(), marks: Vec::new() };
        let mut older = older;
        older.head();
        prop_assert!(older.verify(&older.lines).is_valid());
        let verdict = verify(known, &older.lines.concat());
        prop_assert!(verdict.findings.iter().any(named), "{:?}", verdict.findings);
    }

    #[test]
    fn an_end_that_was_cut_is_found_in_an_export_by_itself(heads in heads(), at in any::<prop::sample::Index>()) {
        let writer = Writer::export(&heads);
        let text = writer.lines.concat();
        let text = &text[..at.index(text.len())];
        let whole = text.ends_with('\n') && !is_entry(text.trim_end().rsplit('\n').next().unwrap());
        prop_assume!(!whole);
        prop_assert!(!verify(writer.expected(), text).is_valid());
    }

    #[test]
    fn an_invented_log_is_named(heads in heads()) {
        // All of it is sound, and another key signed it.
        let (writer, forger) = (Writer::export(&heads), Writer::export(&heads));
        let verdict = writer.verify(&forger.lines);
        prop_assert!(verdict.findings.iter().any(|finding| matches!(finding, Finding::OtherKey { .. })), "{:?}", verdict.findings);
        // Another entry at the same place, and the real key signed both.
        let known = Expected { known: Some(forger_mark(&forger, &writer)), ..writer.expected() };
        let verdict = verify(known, &writer.lines.concat());
        prop_assert!(verdict.findings.iter().any(|finding| matches!(finding, Finding::Replaced { .. })), "{:?}", verdict.findings);
    }
}

/// A place of another log with as many entries.
fn forger_mark(forger: &Writer, writer: &Writer) -> Mark {
    let mut other = Writer::new(None);
    for _ in 0..writer.newest.sequence {
        other.entry("forger");
    }
    assert_eq!(forger.newest.sequence, other.newest.sequence);
    other.newest
}

/// A store of two files.
fn store() -> (Writer, String, String) {
    let mut writer = Writer::new(Some(1));
    for number in 0..5 {
        writer.entry(&format!("operator-{number}"));
    }
    writer.head();
    writer.entry("operator-5");
    let first = std::mem::take(&mut writer.lines).concat();
    writer.open(Some(2));
    writer.entry("operator-6");
    writer.head();
    let second = std::mem::take(&mut writer.lines).concat();
    (writer, first, second)
}

fn verify_files(expected: Expected, files: &[&str]) -> Verdict {
    let mut verifier = Verifier::new(expected);
    for (at, text) in files.iter().enumerate() {
        let name = format!("{}", at + 1);
        verifier.file(&name, &mut text.as_bytes()).unwrap();
    }
    verifier.finish()
}

fn opening_of(text: &str) -> Opening {
    let end = text.find('\n').unwrap();
    match Line::parse(&text.as_bytes()[..=end]) {
        Ok(Line::Opening(opening)) => opening,
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_of_a_store_are_one_log() {
    let (writer, first, second) = store();
    let both = verify_files(writer.expected(), &[&first, &second]);
    assert!(both.is_valid(), "{:?}", both.findings);
    assert_eq!((both.entries, both.newest), (7, Some(writer.newest)));
    let has = |files: &[&str], wanted: &dyn Fn(&Finding) -> bool| {
        let verdict = verify_files(writer.expected(), files);
        assert!(
            verdict.findings.iter().any(wanted),
            "{:?}",
            verdict.findings
        );
    };
    // The last entry of the first file went.
    let (cut, _) = first.trim_end().rsplit_once('\n').unwrap();
    has(&[&format!("{cut}\n"), &second], &|finding| {
        matches!(finding, Finding::Missing { from: 6, to: 6, .. })
    });
    has(&[&first, second.split_once('\n').unwrap().1], &|finding| {
        matches!(finding, Finding::Unopened { .. })
    });
    has(&[&second], &|finding| {
        matches!(finding, Finding::Beginning { first: 7, .. })
    });
    has(&[&second, &first], &|finding| {
        matches!(finding, Finding::OtherFile { .. })
    });
}

#[test]
fn what_was_removed_in_order_is_no_finding_and_what_was_only_removed_is() {
    let (writer, _, second) = store();
    let through = opening_of(&second).after;
    let cut = |through: Mark| {
        let body = Cut {
            installation: INSTALLATION.to_owned(),
            through,
            at: Timestamp::UNIX_EPOCH,
        };
        Line::Cut(SignedCut::sign(body, &writer.key)).to_text()
    };
    let lawful = verify_files(writer.expected(), &[&cut(through), &second]);
    assert!(lawful.is_valid(), "{:?}", lawful.findings);
    let earlier = writer.marks[4];
    let verdict = verify_files(writer.expected(), &[&cut(earlier), &second]);
    let named = |finding: &Finding| matches!(finding, Finding::Beginning { first: 7, .. });
    assert!(verdict.findings.iter().any(named), "{:?}", verdict.findings);
    // Of an export the cut is the second line.
    let rest = second.split_once('\n').unwrap().1;
    let mut opening = opening_of(&second);
    opening.segment = None;
    let opening = Line::Opening(opening).to_text();
    let export = format!("{opening}{}{rest}", cut(through));
    let verdict = verify(writer.expected(), &export);
    assert!(verdict.is_valid(), "{:?}", verdict.findings);
    let without = verify(writer.expected(), &format!("{opening}{rest}"));
    assert!(without.findings.iter().any(named), "{:?}", without.findings);
    let partial = Expected {
        partial: true,
        ..writer.expected()
    };
    assert!(verify(partial.clone(), &format!("{opening}{rest}")).is_valid());
    // What is known lies before it.
    let known = Expected {
        known: Some(earlier),
        ..partial
    };
    let verdict = verify(known, &export);
    assert!(matches!(
        verdict.findings[..],
        [Finding::NotCovered { known: 4, .. }]
    ));
}

#[test]
fn nothing_and_endless_lines_are_named() {
    let nothing = verify(Expected::default(), "");
    assert!(matches!(nothing.findings[..], [Finding::Nothing { .. }]));
    let endless = "x".repeat(3 * LINE_BYTES_MAX);
    let verdict = verify(Expected::default(), &endless);
    assert!(verdict.findings.len() >= 3);
    let many = "{}\n".repeat(FINDINGS_MAX + 10);
    let verdict = verify(Expected::default(), &many);
    assert_eq!(verdict.findings.len(), FINDINGS_MAX);
    assert!(verdict.more >= 10);
}
