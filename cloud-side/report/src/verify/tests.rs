//! Every way to tamper with reports, each found and named.

use super::*;
use crate::{
    Attested, Canary, Check, Content, Event, Evidence, GenerationChange, Group, Image, Indicators,
    Interruption, Moved, Outcome, Phase, Point, RecoveryPoint, RecoveryTime, RpoPeriod, Rules,
    Rung, Serial, SigningKey, Subject, SubjectKind, Verdict, seal,
};
use jiff::Timestamp;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A drill of which hardly anything is known.
pub(crate) fn content() -> Content {
    let point = Point {
        id: "1-9".to_owned(),
        label: None,
        time: None,
        covers_until: None,
        batch_mac: None,
    };
    let requested_at = at("2026-11-03T10:00:00Z");
    Content {
        subject: Subject {
            kind: SubjectKind::Drill,
            id: "drl-1".to_owned(),
            target: None,
        },
        group: Group {
            id: "grp-1".to_owned(),
            name: "lab".to_owned(),
        },
        result: Outcome::Failed,
        reason: Some("the view could not be opened".to_owned()),
        interruption: None,
        requested_at,
        finished_at: at("2026-11-03T10:00:01Z"),
        timeline: Vec::new(),
        phases: Vec::new(),
        recovery_time: RecoveryTime::until("login", None, requested_at, None),
        recovery_point: RecoveryPoint::of(&point, None, requested_at, None),
        point,
        rungs: Vec::new(),
        canary: None,
        checks: Vec::new(),
        generations: Vec::new(),
        moved: None,
        images: Vec::new(),
        evidence: Vec::new(),
        screenshot: None,
        serial: None,
        panel: None,
    }
}

/// One with every part.
pub(crate) fn full_content() -> Content {
    let interruption = Interruption {
        at: at("2026-11-03T09:59:00Z"),
        by: "operator".to_owned(),
        note: Some("power".to_owned()),
    };
    let requested_at = at("2026-11-03T10:00:00Z");
    let reached = Some(at("2026-11-03T10:00:30.5Z"));
    let recovery_time = RecoveryTime::until("login", Some(&interruption), requested_at, reached);
    let attested = [Attested {
        element: "recovery_plan".to_owned(),
        level: 5,
        by: "A. Auditor".to_owned(),
        on: "2026-10-01".to_owned(),
    }];
    let panel = Rules::edition_2007().unwrap().judge(&Indicators {
        rto_ms: recovery_time.total_ms(),
        rpo_ms: Some(1200),
        passed: true,
        overdue: false,
        attested: &attested,
    });
    Content {
        result: Outcome::Passed,
        reason: None,
        recovery_time,
        recovery_point: RecoveryPoint {
            this_point_ms: Some(400),
            period: Some(RpoPeriod {
                from: at("2026-10-04T10:00:00Z"),
                to: requested_at,
                worst_ms: 1200,
                p95_ms: 800,
                blind_ms: 0,
            }),
        },
        timeline: vec![Event {
            at: interruption.at,
            what: "interrupted".to_owned(),
            detail: None,
        }],
        interruption: Some(interruption),
        phases: vec![Phase {
            name: "boot".to_owned(),
            outcome: "done".to_owned(),
            began_ms: 100,
            duration_ms: 900,
            detail: None,
        }],
        rungs: vec![
            Rung {
                name: "login".to_owned(),
                verdict: Verdict::Passed,
                at_ms: Some(30_500),
                reason: None,
                observed: Some("host login:".to_owned()),
            },
            Rung {
                name: "canary".to_owned(),
                verdict: Verdict::NotRun,
                at_ms: None,
                reason: Some("no pattern".to_owned()),
                observed: None,
            },
        ],
        canary: Some(Canary {
            time: at("2026-11-03T09:58:59Z"),
            sequence: 7,
            line: "canary 7".to_owned(),
            behind_point_ms: Some(-5),
        }),
        checks: vec![Check {
            name: "cleanup".to_owned(),
            verdict: Verdict::Passed,
            detail: None,
        }],
        generations: vec![GenerationChange {
            generation: 2,
            at: requested_at,
            authority: "target".to_owned(),
            cause: "fov-1".to_owned(),
        }],
        moved: Some(Moved {
            sent_bytes: 4096,
            changed_bytes: 4000,
        }),
        images: vec![Image {
            volume: "all".to_owned(),
            digest: "blake3:00".to_owned(),
        }],
        evidence: vec![Evidence {
            name: "serial.log".to_owned(),
            bytes: 3,
            blake3: Digest::of(b"abc"),
        }],
        serial: Some(Serial::excerpt("serial.log", b"abc")),
        panel: Some(panel),
        ..content()
    }
}

struct Chain {
    key: SigningKey,
    files: Vec<Given>,
}

fn chain(length: usize) -> Chain {
    let (key, _) = SigningKey::generate().unwrap();
    let mut head = None;
    let mut files = Vec::new();
    for number in 1..=length {
        let made_at = at("2026-11-03T11:00:00Z");
        let id = format!("rep-{number}");
        let sealed = seal(&id, "ins-1", head, made_at, full_content(), &key).unwrap();
        head = Some(sealed.head);
        files.push(Given {
            name: format!("{number}.json"),
            bytes: sealed.json.into_bytes(),
        });
    }
    Chain { key, files }
}

impl Chain {
    fn findings(&self) -> Vec<Finding> {
        verify(&self.files, Some(&self.key.public()), None, None).1
    }
}

fn edited(file: &Given, from: &str, to: &str) -> Given {
    let text = String::from_utf8(file.bytes.clone()).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    Given {
        name: file.name.clone(),
        bytes: text.replacen(from, to, 1).into_bytes(),
    }
}

#[test]
fn an_untouched_chain_verifies_also_when_it_was_indented() {
    let mut chain = chain(3);
    assert_eq!(chain.findings(), []);
    let value: serde_json::Value = serde_json::from_slice(&chain.files[1].bytes).unwrap();
    chain.files[1].bytes = serde_json::to_vec_pretty(&value).unwrap();
    let public = chain.key.public();
    let (verified, findings) = verify(&chain.files, Some(&public), None, None);
    assert_eq!(findings, []);
    let numbers: Vec<u64> = verified.iter().map(|file| file.report.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(verified[0].report.content, full_content());
    // A part of a chain may begin anywhere.
    assert_eq!(verify(&chain.files[1..], Some(&public), None, None).1, []);
}

#[test]
fn every_edit_of_the_text_is_found() {
    let chain = chain(1);
    let file = &chain.files[0];
    for (from, to) in [
        ("\"result\":\"passed\"", "\"result\":\"failed\""),
        ("30500", "20500"),
        ("\"not_run\"", "\"passed\""),
        ("\"installation\":\"ins-1\"", "\"installation\":\"ins-2\""),
        ("\"number\":1,", "\"number\":2,"),
        ("\"reason\":null,", ""),
        ("\"report_version\":1", "\"report_version\":1,\"extra\":0"),
    ] {
        let findings = verify(&[edited(file, from, to)], None, None, None).1;
        let signature = Finding::Signature {
            file: "1.json".to_owned(),
        };
        assert_eq!(findings, [signature], "{from}");
    }
    // Every single byte of it.
    for place in 0..file.bytes.len() - 1 {
        let mut bytes = file.bytes.clone();
        bytes[place] ^= 1;
        let given = Given {
            name: "x".to_owned(),
            bytes,
        };
        let findings = verify(&[given], Some(&chain.key.public()), None, None).1;
        assert!(!findings.is_empty(), "a changed byte {place} was not found");
    }
}

#[test]
fn truncation_and_strangers_are_named() {
    let chain = chain(1);
    let file = &chain.files[0];
    let cut = |length: usize| Given {
        name: "cut.json".to_owned(),
        bytes: file.bytes[..length].to_vec(),
    };
    for length in [0, 1, file.bytes.len() / 2, file.bytes.len() - 2] {
        let findings = verify(&[cut(length)], None, None, None).1;
        assert!(
            matches!(&findings[..], [Finding::NotAReport { .. }]),
            "{length}: {findings:?}"
        );
    }
    for (from, to) in [
        ("{\"report\":", "{\"more\":1,\"report\":"),
        ("{\"report\":", "{\"report\":1,\"report\":"),
        ("\"algorithm\":\"ed25519\"", "\"algorithm\":\"none\""),
    ] {
        let findings = verify(&[edited(file, from, to)], None, None, None).1;
        assert!(
            matches!(&findings[..], [Finding::NotAReport { .. }]),
            "{from}: {findings:?}"
        );
    }
    let newer = edited(file, "\"report_version\":1", "\"report_version\":2");
    let findings = verify(&[newer], None, None, None).1;
    assert!(matches!(&findings[..], [Finding::UnknownVersion { found, .. }] if found == "2"));
}

#[test]
fn another_key_is_named_whatever_the_file_says_of_itself() {
    let chain = chain(1);
    let (other, _) = SigningKey::generate().unwrap();
    let made_at = at("2026-11-03T11:00:00Z");
    let forged = seal("rep-1", "ins-1", None, made_at, full_content(), &other).unwrap();
    let forged = Given {
        name: "1.json".to_owned(),
        bytes: forged.json.into_bytes(),
    };
    let public = chain.key.public();
    let findings = verify(std::slice::from_ref(&forged), Some(&public), None, None).1;
    assert!(
        matches!(&findings[..], [Finding::OtherKey { .. }]),
        "{findings:?}"
    );
    let renamed = edited(&forged, &other.public().to_string(), &public.to_string());
    let findings = verify(&[renamed], Some(&public), None, None).1;
    assert!(
        matches!(&findings[..], [Finding::Signature { .. }]),
        "{findings:?}"
    );
    let own = edited(
        &chain.files[0],
        &public.to_string(),
        &other.public().to_string(),
    );
    let findings = verify(&[own], Some(&public), None, None).1;
    assert!(
        matches!(&findings[..], [Finding::OtherKey { .. }]),
        "{findings:?}"
    );
}

#[test]
fn removal_order_and_replacement_are_named() {
    let find = |change: &dyn Fn(&mut Vec<Given>)| {
        let mut chain = chain(3);
        change(&mut chain.files);
        chain.findings()
    };
    let removed = find(&|files| drop(files.remove(1)));
    assert!(
        matches!(
            &removed[..],
            [Finding::Missing {
                number: 3,
                before: 1,
                ..
            }]
        ),
        "{removed:?}"
    );
    let swapped = find(&|files| files.swap(1, 2));
    assert!(
        matches!(
            &swapped[..],
            [
                Finding::Missing { .. },
                Finding::Order {
                    number: 2,
                    before: 3,
                    ..
                }
            ]
        ),
        "{swapped:?}"
    );
    let twice = find(&|files| files[2] = files[1].clone());
    assert!(
        matches!(
            &twice[..],
            [Finding::Order {
                number: 2,
                before: 2,
                ..
            }]
        ),
        "{twice:?}"
    );
    // Whoever holds the key can seal another second report, but not one that the third continues.
    let mut chain = chain(3);
    let head = verify(&chain.files[..1], None, None, None).0[0].head;
    let made_at = at("2026-11-03T12:00:00Z");
    let other = seal("rep-2", "ins-1", Some(head), made_at, content(), &chain.key).unwrap();
    chain.files[1].bytes = other.json.into_bytes();
    let replaced = chain.findings();
    assert!(
        matches!(&replaced[..], [Finding::Broken { file, .. }] if file == "3.json"),
        "{replaced:?}"
    );
}

#[test]
fn a_missing_end_is_found_when_the_newest_digest_is_known() {
    let chain = chain(3);
    let verified = verify(&chain.files, None, None, None).0;
    let newest = verified[2].head.digest;
    assert_eq!(verify(&chain.files, None, Some(&newest), None).1, []);
    let findings = verify(&chain.files[..2], None, Some(&newest), None).1;
    assert!(
        matches!(&findings[..], [Finding::End { number: 2, .. }]),
        "{findings:?}"
    );
}

#[test]
fn reports_of_two_installations_are_not_one_chain() {
    let mut chain = chain(1);
    let head = verify(&chain.files, None, None, None).0[0].head;
    let made_at = at("2026-11-03T12:00:00Z");
    let other = seal("rep-2", "ins-2", Some(head), made_at, content(), &chain.key).unwrap();
    chain.files.push(Given {
        name: "2.json".to_owned(),
        bytes: other.json.into_bytes(),
    });
    let findings = chain.findings();
    assert!(
        matches!(&findings[..], [Finding::OtherInstallation { .. }]),
        "{findings:?}"
    );
}

#[test]
fn a_number_that_does_not_fit_its_beginning_is_named() {
    let (key, _) = SigningKey::generate().unwrap();
    let made_at = at("2026-11-03T12:00:00Z");
    let zero = ChainHead {
        number: 0,
        digest: Digest::of(b""),
    };
    let first = seal("rep-1", "ins-1", Some(zero), made_at, content(), &key).unwrap();
    let given = Given {
        name: "1.json".to_owned(),
        bytes: first.json.into_bytes(),
    };
    let findings = verify(&[given], None, None, None).1;
    assert!(
        matches!(&findings[..], [Finding::Beginning { number: 1, .. }]),
        "{findings:?}"
    );
}

#[test]
fn evidence_that_is_missing_cut_or_changed_is_named() {
    let chain = chain(1);
    let check = |kept: Result<Vec<u8>, String>| {
        let mut read = |_: &Report, name: &str| {
            assert_eq!(name, "serial.log");
            kept.clone()
        };
        verify(&chain.files, None, None, Some(&mut read)).1
    };
    assert_eq!(check(Ok(b"abc".to_vec())), []);
    assert!(matches!(
        &check(Ok(b"abd".to_vec()))[..],
        [Finding::EvidenceChanged { .. }]
    ));
    assert!(matches!(
        &check(Ok(b"ab".to_vec()))[..],
        [Finding::EvidenceLength {
            found: 2,
            expected: 3,
            ..
        }]
    ));
    assert!(matches!(
        &check(Err("gone".to_owned()))[..],
        [Finding::EvidenceMissing { .. }]
    ));
}
