//! Whole commands against a server in this process.

use super::*;
use crate::cli::{Cli, client::tests::Site, table::configuration::tests::PLANNED};
use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use bcdr_wire::identity::AlternativeName;
use clap::Parser as _;
use serde_json::Value;
use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

const DOCUMENT: &str = r#"{"version":1,"groups":[{"name":"db","volumes":[]}],"drill_schedules":[{"group":"db","every_seconds":86400,"at":"02:00:00"}]}"#;

/// What was asked for: the query, the condition, the body.
type Asked = Arc<Mutex<Vec<(String, Option<String>, Value)>>>;

/// A cloud side that carries out a part of everything.
fn site(asked: &Asked) -> Site {
    let apply = |State(asked): State<Asked>,
                 RawQuery(query): RawQuery,
                 headers: HeaderMap,
                 Json(body): Json<Value>| async move {
        let query = query.unwrap_or_default();
        let condition = headers.get("if-match");
        let condition = condition.map(|value| value.to_str().unwrap().to_owned());
        let is_dry = query.contains("dry_run=true");
        asked.lock().unwrap().push((query, condition, body));
        if is_dry {
            return (StatusCode::OK, PLANNED.to_owned());
        }
        let failed = r#""failed","problem":{"detail":"no room","code":"full"}}]}"#;
        let (before, _) = PLANNED.rsplit_once("\"planned\"").unwrap();
        (StatusCode::MULTI_STATUS, format!("{before}{failed}"))
    };
    let router = Router::new()
        .route("/api/v1/configuration", get(|| async { DOCUMENT }))
        .route("/api/v1/configuration/actions/apply", post(apply))
        .with_state(Arc::clone(asked));
    let site = Site::new(router, AlternativeName::Address(Ipv4Addr::LOCALHOST.into()));
    let text = toml::to_string(&site.context).unwrap();
    fs::write(site.directory.path().join("context.toml"), text).unwrap();
    site
}

fn run(site: &Site, line: &[&str]) -> Result<(), Failure> {
    let context = site.directory.path().to_str().unwrap();
    let before = [
        "bcdr",
        "--no-progress",
        "--context",
        context,
        "configuration",
    ];
    let line = before.iter().chain(line);
    Cli::try_parse_from(line).unwrap().run()
}

#[test]
fn an_exported_file_of_either_form_is_what_is_applied() {
    let asked = Asked::default();
    let site = site(&asked);
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    for name in ["site.yaml", "site.json"] {
        let file = site.directory.path().join(name);
        let file = file.to_str().unwrap();
        run(&site, &["export", "--to", file]).unwrap();
        let text = fs::read_to_string(file).unwrap();
        assert_eq!(text.starts_with('{'), name == "site.json", "{text}");
        run(&site, &["export", "--to", file]).unwrap();
        run(&site, &["apply", file, "--dry-run", "--prune"]).unwrap();
        let (query, condition, body) = asked.lock().unwrap().pop().unwrap();
        assert_eq!(query, "prune=true&dry_run=true");
        assert_eq!((condition, body), (None, document.clone()));
    }
    let left: Vec<_> = fs::read_dir(site.directory.path()).unwrap().collect();
    assert!(
        left.iter()
            .flatten()
            .all(|file| !file.file_name().to_str().unwrap().ends_with(".part"))
    );
}

#[test]
fn what_was_shown_is_applied_and_an_apply_in_part_is_a_failure() {
    let asked = Asked::default();
    let site = site(&asked);
    let file = site.directory.path().join("c");
    fs::write(&file, "version: 1\nusers: []\n").unwrap();
    let file = file.to_str().unwrap();
    // Nobody is there to be asked in a test: what would be changed is not.
    let refused = run(&site, &["apply", file]).unwrap_err();
    assert_eq!(refused.code(), exit::USAGE);
    assert_eq!(asked.lock().unwrap().len(), 1);

    let failure = run(&site, &["apply", file, "--yes"]).unwrap_err();
    assert_eq!(failure.code(), exit::ERROR);
    assert!(
        failure.to_string().contains("user ada: no room (full)"),
        "{failure}"
    );
    let asked = asked.lock().unwrap();
    let (query, condition, body) = asked.last().unwrap();
    assert_eq!(
        (query.as_str(), condition.as_deref()),
        ("", Some("\"abc\""))
    );
    assert_eq!(*body, serde_json::json!({"version": 1, "users": []}));
}

#[test]
fn a_file_that_cannot_be_read_is_told_before_anything_is_asked() {
    let asked = Asked::default();
    let site = site(&asked);
    let twice = |name: &str, text: &str| {
        let file = site.directory.path().join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let yaml = twice("c.yaml", "version: 1\nplans: []\nplans: []\n");
    let json = twice("c.json", r#"{"version":1,"plans":[],"plans":[]}"#);
    for file in [&yaml, &json, "/no/such/file"] {
        let refused = run(&site, &["apply", file, "--yes"]).unwrap_err();
        assert_eq!(refused.code(), exit::USAGE, "{refused}");
    }
    assert!(asked.lock().unwrap().is_empty());
}
