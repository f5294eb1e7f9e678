//! Pages of every kind in every language.

use super::*;
use crate::{
    Digest, Language, LastProof, RunbookVolume, SigningKey, seal,
    verify::tests::{content, full_content},
};
use std::collections::BTreeSet;

fn sealed(content: crate::Content) -> (Sealed, crate::PublicKey) {
    let (key, _) = SigningKey::generate().unwrap();
    let at = "2026-11-03T10:05:00Z".parse().unwrap();
    let sealed = seal("rep-1", "ins-1", None, at, content, &key).unwrap();
    (sealed, key.public())
}

#[test]
fn the_languages_know_the_same_sentences_and_words() {
    let names = |language| {
        let words = Words::of(language).unwrap();
        let sentences: BTreeSet<_> = words.sentences.keys().cloned().collect();
        let known: BTreeSet<_> = words.words.keys().cloned().collect();
        (sentences, known)
    };
    assert_eq!(names(Language::En), names(Language::Zh));
}

#[test]
fn a_report_is_one_file_in_each_language_with_everything_in_it() {
    let picture = b"\x89PNG picture".to_vec();
    let mut content = full_content();
    content.evidence[0].name = "screenshot.png".to_owned();
    content.evidence[0].blake3 = Digest::of(&picture);
    content.screenshot = Some("screenshot.png".to_owned());
    let (sealed, key) = sealed(content);
    let screenshot = Screenshot::of(&sealed.report, Ok(picture));
    for (language, words) in [
        (
            Language::En,
            [
                "Measured indicators consistent with level",
                "not run",
                "clean-up",
            ],
        ),
        (Language::Zh, ["测得指标符合等级", "未执行", "清理"]),
    ] {
        let page = report(&sealed, &key, &screenshot, language).unwrap();
        assert!(page.starts_with("<!doctype html>"));
        for part in words.into_iter().chain([
            "data:image&#x2f;png;base64,iVBORyBwaWN0dXJl",
            &sealed.head.digest.to_string(),
            &key.to_string(),
            "1 min 30.5 s",
            "GB&#x2f;T 20988-2007",
        ]) {
            assert!(page.contains(part), "{language}: {part} is not in\n{page}");
        }
        for outside in ["http://", "https://", "url(", "<script", "@import", "<link"] {
            assert!(!page.contains(outside), "{language}: {outside}");
        }
    }
}

#[test]
fn what_machines_and_operators_say_cannot_become_markup() {
    let evil = "</pre><script>alert(1)</script>\"'&";
    let mut content = full_content();
    content.reason = Some(evil.to_owned());
    content.group.name = evil.to_owned();
    content.serial.as_mut().unwrap().lines[0] = evil.to_owned();
    content.rungs[0].observed = Some(evil.to_owned());
    content.timeline[0].what = evil.to_owned();
    content.phases[0].outcome = evil.to_owned();
    let (sealed, key) = sealed(content);
    let page = report(&sealed, &key, &Screenshot::None, Language::En).unwrap();
    assert!(!page.contains("<script"), "{page}");
    assert!(page.matches("&lt;script&gt;").count() >= 6);
}

#[test]
fn a_report_of_nearly_nothing_says_unknown_and_not_zero() {
    let (sealed, key) = sealed(content());
    let page = report(&sealed, &key, &Screenshot::None, Language::En).unwrap();
    for part in [
        "None was entered; times count from the request.",
        "The age of the newest point was not measured",
        "No picture of the screen was taken.",
        "No rung was awaited",
        "Canary: not run",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
    assert!(!page.contains("0.000 s"), "{page}");
}

#[test]
fn a_picture_that_was_changed_is_not_shown() {
    let mut content = full_content();
    content.screenshot = Some(content.evidence[0].name.clone());
    let (sealed, key) = sealed(content);
    let changed = Screenshot::of(&sealed.report, Ok(b"another".to_vec()));
    assert!(matches!(changed, Screenshot::Missing(_)), "{changed:?}");
    let page = report(&sealed, &key, &changed, Language::En).unwrap();
    assert!(page.contains("not the file that the report vouches for"));
    assert!(!page.contains("data:image"));
}

#[test]
fn a_trend_draws_what_is_known_and_leaves_gaps_for_the_rest() {
    let (first, _) = sealed(full_content());
    let (second, _) = sealed(content());
    let mut rows = [
        TrendRow::of(&first.report),
        TrendRow::of(&second.report),
        TrendRow::of(&first.report),
    ];
    rows[1].number = 2;
    rows[2].number = 3;
    rows[2].rto_ms = Some(2 * rows[0].rto_ms.unwrap());
    let [one, two, three] = rows;
    let page = trend(&Trend::new([three, one, two]), Language::Zh).unwrap();
    assert!(page.contains("points=\"0,30\""), "{page}");
    assert!(page.contains("points=\"600,0\""), "{page}");
    assert!(page.contains("未知"));
    let empty = trend(&Trend::default(), Language::En).unwrap();
    assert!(
        empty.contains("0 &#x2f; 0") || empty.contains("0 / 0"),
        "{empty}"
    );
    assert!(!empty.contains("<svg"));
}

#[test]
fn a_runbook_says_what_to_type_and_what_is_not_proven() {
    let mut book = Runbook {
        printed_at: "2026-11-03T10:00:00Z".parse().unwrap(),
        installation: "ins-1".to_owned(),
        group: "grp-1".to_owned(),
        group_name: "lab".to_owned(),
        stream: "str-1".to_owned(),
        generation: 1,
        volumes: vec![RunbookVolume {
            id: "vol-1".to_owned(),
            name: "root".to_owned(),
            size_bytes: Some(1 << 30),
        }],
        api_address: "dr.example.com:7440".to_owned(),
        ship_address: "0.0.0.0:7441".to_owned(),
        state_directory: "/var/lib/bcdr".to_owned(),
        evidence_directory: "/var/lib/bcdr/evidence".to_owned(),
        launch_settings: "memory_mib = 512\n".to_owned(),
        last_proof: None,
        contacts: None,
    };
    for language in Language::ALL {
        let page = runbook(&book, language).unwrap();
        assert!(
            page.contains("bcdr failover start lab --mode emergency"),
            "{page}"
        );
        assert!(
            page.contains("--volume root --at latest --to root.raw"),
            "{page}"
        );
        assert!(page.contains("1.0 GiB"), "{page}");
    }
    let page = runbook(&book, Language::En).unwrap();
    assert!(page.contains("No drill of this group has passed yet"));
    book.contacts = Some("Duty: 555 <0100>".to_owned());
    book.last_proof = Some(LastProof {
        point: "1-9".to_owned(),
        time: None,
        drill: "drl-1".to_owned(),
        at: "2026-11-03T10:00:00Z".parse().unwrap(),
        rto_ms: Some(61_250),
    });
    let page = runbook(&book, Language::En).unwrap();
    assert!(
        page.contains("555 &lt;0100&gt;") && page.contains("1 min 01.2 s"),
        "{page}"
    );
}

#[test]
fn numbers_look_as_people_read_them() {
    for (milliseconds, text) in [
        (0, "0.000 s"),
        (59_999, "59.999 s"),
        (-1500, "−1.500 s"),
        (3_599_999, "59 min 59.9 s"),
        (3_600_000, "1 h 00 min 00 s"),
        (90_061_000, "1 d 01 h 01 min"),
    ] {
        assert_eq!(words::duration(milliseconds), text);
    }
    assert_eq!(words::bytes(1023), "1023 B");
    assert_eq!(words::bytes(1536), "1.5 KiB (1536 B)");
    assert!(words::bytes(u64::MAX).contains("PiB"));
    assert_eq!(
        words::time("2026-11-03T10:00:00Z"),
        "2026-11-03 10:00:00.000 UTC"
    );
    assert_eq!(words::time("soon"), "soon");
}
