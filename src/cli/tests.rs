//! The command line as people write it: what is understood, what is refused and how, what the help
//! says; and whole commands against a server in this process.

use super::client::tests::Site;
use super::*;
use axum::{
    Router,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::{get, post},
};
use bcdr_http::Problem;
use bcdr_wire::identity::AlternativeName;
use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

fn parse(line: &str) -> Result<Cli, String> {
    Cli::try_parse_from(line.split_whitespace()).map_err(|error| error.to_string())
}

#[test]
fn the_whole_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_commands_that_scripts_depend_on_are_understood() {
    for line in [
        "bcdr capture --config c.toml",
        "bcdr gateway --config g.toml",
        "bcdr cloud run --config c.toml",
        "bcdr cloud init --state-directory d --name a --name b",
        "bcdr cloud issue --state-directory d --role nbd-client --name n --out o --alternative-name x",
        "bcdr cloud token --state-directory d --name n --role viewer",
        "bcdr lab up --dir d --volume root=a.raw --volume data=/dev/b --group g --launch l.toml -o json",
        "bcdr lab up --dir d",
        "bcdr lab status --dir d",
        "bcdr lab down --dir d",
        "bcdr lab supervise --dir d",
        "bcdr --context x group list",
        "bcdr group show lab -o yaml",
        "bcdr point create lab --label l",
        "bcdr point create lab --label l --wait",
        "bcdr point create lab --wait=90s --label l",
        "bcdr point create --wait lab --label l",
        "bcdr point list lab --limit 5 --kind bookmark",
        "bcdr point show lab --at 2-48211",
        "bcdr point readiness lab",
        "bcdr point readiness lab --at l --now --firmware uefi --disk-bus ahci --network-cards 2 --check",
        "bcdr view open lab --at 2026-11-03T10:00:00Z --lease 2h",
        "bcdr view list",
        "bcdr audit list --actor a --action start_drill --object lab --outcome refused --from T --to T --oldest-first --limit 5",
        "bcdr audit head -o json",
        "bcdr audit export --to f --from T --until T",
        "bcdr audit verify f g --key k --partial",
        "bcdr view show viw-1",
        "bcdr view close viw-1",
        "bcdr point export lab --volume root --at latest --to f.raw --format raw --digest --force",
        "bcdr point export lab --volume root --at l --to f.qcow2 --format qcow2",
        "bcdr drill start lab --at latest --hold 10m --wait=2h --launch l.toml",
        "bcdr drill start lab --wait --at latest",
        "bcdr drill list",
        "bcdr drill show drl-1",
        "bcdr drill stop drl-1",
        "bcdr drill schedule set lab --every 7d --at 02:00 --zone Asia/Shanghai --hold 5m --launch l.toml",
        "bcdr drill schedule set lab --every 1d --point 24h",
        "bcdr drill schedule show lab",
        "bcdr drill schedule remove lab",
        "bcdr report list --group lab --limit 5",
        "bcdr report show rep-1 --html r.html --lang zh",
        "bcdr report verify 1.json 2.json --key k.pub --evidence d",
        "bcdr report key",
        "bcdr report trend --group lab --html t.html",
        "bcdr report runbook lab --html b.html --lang en",
        "bcdr failover preview lab --at latest --interrupted-at 2026-11-03T10:00:00Z",
        "bcdr failover start lab --mode planned --confirm lab --wait",
        "bcdr failover start lab --mode emergency --at l --auto-rollback 30m --networks n.toml --launch l.toml",
        "bcdr failover list --group lab",
        "bcdr failover show fov-1",
        "bcdr failover commit fov-1 --confirm lab --wait=5m",
        "bcdr failover rollback fov-1 --confirm lab",
        "bcdr failover cancel fov-1",
        "bcdr failover retry fov-1",
        "bcdr restore preview lab --at 1-7",
        "bcdr restore start lab --at before-upgrade --confirm lab --wait=10m",
        "bcdr restore undo rst-1 --confirm lab --wait",
        "bcdr restore cancel rst-1 --wait",
        "bcdr restore retry rst-1",
        "bcdr restore list --group lab --limit 3",
        "bcdr restore show rst-1",
        "bcdr failback start lab --seed original-disk --round-every 5m --wait",
        "bcdr failback confirm fbk-1 --disk root=ea766dbf1eabc0b8 --disk data=x --wait",
        "bcdr failback cutover fbk-1 --confirm lab --wait",
        "bcdr failback commit fbk-1 --confirm lab",
        "bcdr failback rollback fbk-1 --confirm lab",
        "bcdr failback show fbk-1",
        "bcdr placement show lab",
        "bcdr placement keep-source lab --confirm lab",
        "bcdr placement keep-target lab",
        "bcdr plan apply shop.toml",
        "bcdr plan list --limit 5",
        "bcdr plan show shop --version 2",
        "bcdr plan remove shop",
        "bcdr plan check shop --mode emergency --at 2026-11-03T10:00:00Z",
        "bcdr plan check shop --mode emergency --priority 2 --only db",
        "bcdr plan forecast shop --mode planned --priority 2 --only db --only web",
        "bcdr plan start shop --mode drill --wait",
        "bcdr plan start shop --mode emergency --at latest --priority 2 --only db --confirm shop --isolation-confirmed --wait=2h",
        "bcdr plan run show prn-1 --wait",
        "bcdr plan run list --plan shop",
        "bcdr plan approve prn-1 go --reason well",
        "bcdr plan retry prn-1 web",
        "bcdr plan skip prn-1 web --reason by-hand",
        "bcdr plan cancel prn-1",
        "bcdr group samples lab --from T --to T --step 24h",
        "bcdr event list --group lab --object drill --kind removed --oldest-first --limit 5",
        "bcdr event follow --group lab --object drill --kind changed --after evt-1 -o jsonl",
        "bcdr context list -o wide",
        "bcdr context add prod --url https://a:1 --ca c --token-file t --launch l --use --replace",
        "bcdr context add lab --from d",
        "bcdr context use prod",
        "bcdr context remove prod",
        "bcdr context show",
        "bcdr context show prod",
        "bcdr status --watch",
        "bcdr group show lab --watch=10s -o json",
        "bcdr group list --watch -o jsonl",
        "bcdr completions bash",
        "bcdr completions powershell",
        "bcdr man",
        "bcdr man --directory d",
        "bcdr user list",
        "bcdr user create ada --role drill_operator",
        "bcdr user role ada --role approver",
        "bcdr user disable ada",
        "bcdr user enable ada",
        "bcdr user password ada",
        "bcdr user remove ada",
        "bcdr token list",
        "bcdr token create --name n --role auditor --expires-in 90d",
        "bcdr token revoke tok-1",
        "bcdr configuration export",
        "bcdr configuration export --to c.json",
        "bcdr configuration apply c.yaml --dry-run --prune",
        "bcdr configuration apply - --yes",
        "bcdr job list --group lab",
        "bcdr job show job-1",
        "bcdr job watch job-1 --timeout 5m",
        "bcdr status --check --no-progress",
        "bcdr volume list --output json",
    ] {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn mistakes_are_answered_with_what_is_expected() {
    for (line, words) in [
        ("bcdr lab up --dir d --volume root", "NAME=PATH"),
        ("bcdr point create lab", "--label <LABEL>"),
        ("bcdr point create lab --label l --wait=5", "such as 90s"),
        ("bcdr point list lab --kind pink", "bookmark"),
        ("bcdr point list lab --limit 0", "--limit"),
        ("bcdr drill start lab --hold soon", "such as 90s"),
        (
            "bcdr point export lab --volume v --to f --format vmdk",
            "qcow2",
        ),
        ("bcdr drill schedule set lab --every weekly", "such as 90s"),
        (
            "bcdr drill schedule set lab --every 7d --point old",
            "such as 90s",
        ),
        ("bcdr event list --kind made", "removed"),
        ("bcdr group list --watch=1ms", "500ms"),
        ("bcdr status --watch --check", "cannot be used with"),
        (
            "bcdr plan run show prn-1 --wait --watch",
            "cannot be used with",
        ),
        ("bcdr group samples lab --step 24", "such as 90s"),
        ("bcdr context add prod --url https://a:1", "--token-file"),
        ("bcdr report verify", "<FILE>"),
        ("bcdr report verify f --end 12", "64 hexadecimal digits"),
        ("bcdr report show r --lang zh", "--html"),
        ("bcdr failover start lab", "--mode"),
        ("bcdr restore start lab", "--at"),
        ("bcdr plan start shop", "--mode"),
        ("bcdr plan skip prn-1 web", "--reason"),
        ("bcdr failback confirm fbk-1 --disk root", "VOLUME=SERIAL"),
        ("bcdr failback start lab --seed tape", "blank-disk"),
        ("bcdr status -o xml", "yaml"),
        (
            "bcdr cloud token --state-directory d --name n --role root",
            "viewer",
        ),
        ("bcdr user create ada --role root", "drill_operator"),
        (
            "bcdr user create ada --role viewer --password x",
            "--password",
        ),
        ("bcdr token create --name n", "--role"),
        ("bcdr drill strat lab", "start"),
    ] {
        let error = parse(line).unwrap_err();
        assert!(error.contains(words), "{line}: {error}");
    }
    assert_eq!(i32::from(exit::USAGE), usage_exit_code());
}

/// The code with which clap ends by itself.
fn usage_exit_code() -> i32 {
    Cli::try_parse_from(["bcdr", "no-such-noun"])
        .unwrap_err()
        .exit_code()
}

#[test]
fn only_roles_and_their_supervisor_log_what_they_do() {
    for (line, role) in [
        ("bcdr capture --config c", true),
        ("bcdr gateway --config c", true),
        ("bcdr cloud run --config c", true),
        ("bcdr lab supervise --dir d", true),
        ("bcdr cloud init --state-directory d", false),
        ("bcdr lab up --dir d", false),
        ("bcdr status", false),
    ] {
        assert_eq!(parse(line).unwrap().is_role(), role, "{line}");
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    fn check(command: &clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        if command.is_hide_set() || command.get_name() == "help" {
            return;
        }
        assert!(command.get_about().is_some(), "{path} has no help");
        if !command.has_subcommands() {
            let after = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                after.contains("Example") && after.contains("  bcdr "),
                "{path}: {after}"
            );
        }
        for argument in command.get_arguments() {
            assert!(
                argument.get_help().is_some(),
                "{path} {} has no help",
                argument.get_id()
            );
        }
        command.get_subcommands().for_each(|sub| check(sub, &path));
    }
    check(&Cli::command(), "");
}

#[test]
fn what_the_api_lists_and_shows_can_be_watched() {
    // The first two do not ask the API; what the third shows can never change; and looking at the
    // fourth is entered there, so a watch of it would watch itself.
    const ONCE: [&str; 4] = ["context list", "context show", "report show", "audit list"];
    fn check(command: &clap::Command, path: &str, seen: &mut Vec<String>) {
        let is_shown = matches!(command.get_name(), "list" | "show");
        let has = command.get_arguments().any(|one| one.get_id() == "watch");
        if is_shown {
            assert_eq!(has, !ONCE.contains(&path), "{path}");
            seen.push(path.to_owned());
        }
        for sub in command.get_subcommands() {
            let path = format!("{path} {}", sub.get_name());
            check(sub, path.trim(), seen);
        }
    }
    let mut seen = Vec::new();
    check(&Cli::command(), "", &mut seen);
    assert!(seen.len() > 25, "{seen:?}");
    for once in ONCE {
        assert!(seen.iter().any(|path| path == once), "{once}");
    }
}

#[test]
fn the_help_begins_with_what_it_is_and_how_to_begin() {
    let help = Cli::command().render_help().to_string();
    for words in [
        "continuous replication",
        "lab up --dir",
        "Exit codes: 0 done",
        "status",
        "drill",
    ] {
        assert!(help.contains(words), "{words} is missing:\n{help}");
    }
    assert!(!help.contains("supervise"), "{help}");
}

#[test]
fn without_a_context_the_remedy_is_told() {
    // The environment of the test run may name one.
    let mut command = parse("bcdr group list --context /no/such/context").unwrap();
    let failure = command_failure(command);
    assert_eq!(failure.code(), exit::USAGE);
    command = parse("bcdr group list --context /").unwrap();
    assert!(
        command_failure(command)
            .to_string()
            .contains("context.toml")
    );
}

fn command_failure(command: Cli) -> Failure {
    command.run().unwrap_err()
}

#[test]
fn a_stream_that_breaks_off_goes_on_after_its_last_event() {
    const EVENT: &str = r#"{"id":"evt-7","time":"T","kind":"changed","object":"group","object_id":"grp-1",
        "group":"grp-1","group_name":"lab","summary":"more"}"#;
    type Asked = Arc<Mutex<Vec<(Option<String>, String)>>>;
    let asked: Asked = Arc::default();
    let seen = Arc::clone(&asked);
    let stream = move |headers: HeaderMap, RawQuery(query): RawQuery| async move {
        let last = headers.get("last-event-id");
        let last = last.map(|id| id.to_str().unwrap().to_owned());
        let count = {
            let mut seen = seen.lock().unwrap();
            seen.push((last, query.unwrap_or_default()));
            seen.len()
        };
        match count {
            // The second event is cut off in its middle.
            1 => format!(
                "retry: 100\n\nid: evt-7\ndata: {}\n\nid: evt-8\ndata: {{",
                EVENT.replace('\n', "")
            )
            .into_response(),
            2 => Problem::unavailable("stopping", "not now").into_response(),
            _ => Problem::unauthorized("token_invalid", "the token is revoked").into_response(),
        }
    };
    let router = Router::new().route("/api/v1/events/stream", get(stream));
    let site = Site::new(router, AlternativeName::Address(Ipv4Addr::LOCALHOST.into()));
    write_context(&site);
    let ended = run(&site, "bcdr event follow --group lab --kind changed").unwrap_err();
    assert_eq!(ended.code(), exit::AUTHENTICATION);
    let query = "group=lab&kind=changed".to_owned();
    let after = Some("evt-7".to_owned());
    assert_eq!(
        *asked.lock().unwrap(),
        [
            (None, query.clone()),
            (after.clone(), query.clone()),
            (after, query)
        ]
    );
}

#[test]
fn a_watch_outlasts_an_outage_and_ends_when_what_it_shows_is_gone() {
    let looks = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&looks);
    let look = move || async move {
        let count = {
            let mut looks = counted.lock().unwrap();
            *looks += 1;
            *looks
        };
        match count {
            1 | 3 => r#"{"id":"job-1","kind":"drill","state":"running","created_at":"T"}"#
                .into_response(),
            2 => StatusCode::BAD_GATEWAY.into_response(),
            _ => Problem::not_found("job", "job-1").into_response(),
        }
    };
    let router = Router::new().route("/api/v1/jobs/{id}", get(look));
    let site = Site::new(router, AlternativeName::Address(Ipv4Addr::LOCALHOST.into()));
    write_context(&site);
    let ended = run(&site, "bcdr job show job-1 --watch=500ms -o jsonl").unwrap_err();
    assert_eq!(ended.code(), exit::NOT_FOUND);
    assert_eq!(*looks.lock().unwrap(), 4);
    // What is not there at first is not waited for.
    let ended = run(&site, "bcdr job show job-1 --watch").unwrap_err();
    assert_eq!(ended.code(), exit::NOT_FOUND);
}

#[test]
fn a_stream_that_cannot_be_opened_at_first_is_not_waited_for() {
    let router = Router::new().fallback(|| async { Problem::unavailable("stopping", "not now") });
    let site = Site::new(router, AlternativeName::Address(Ipv4Addr::LOCALHOST.into()));
    write_context(&site);
    let failure = run(&site, "bcdr event follow").unwrap_err();
    assert_eq!(failure.code(), exit::ERROR);
}

/// A cloud side that knows one job, which ends after a few looks, and one drill.
#[derive(Clone, Default)]
struct Fake {
    looks: Arc<Mutex<u32>>,
    closed: Arc<Mutex<Vec<String>>>,
}

const FAILED_DRILL: &str = table::drill::tests::FAILED;

fn fake(fake: &Fake) -> Site {
    let job = |State(fake): State<Fake>, Path(id): Path<String>| async move {
        let mut looks = fake.looks.lock().unwrap();
        *looks += 1;
        if *looks == 2 {
            // A cloud side that restarts is waited for.
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        let ended = *looks > 3;
        let (state, result) = match (ended, id.as_str()) {
            (false, _) | (_, "job-never") => ("running", "null"),
            (true, "job-point") => ("succeeded", r#"{"point":{"id":"2-7","kind":"bookmark"}}"#),
            (true, _) => ("failed", "null"),
        };
        format!(r#"{{"id":"{id}","kind":"create_point","state":"{state}","created_at":"T","result":{result}}}"#)
            .into_response()
    };
    let create = |Path(group): Path<String>| async move {
        let id = if group == "never" {
            "job-never"
        } else {
            "job-point"
        };
        let job =
            format!(r#"{{"id":"{id}","kind":"create_point","state":"queued","created_at":"T"}}"#);
        (StatusCode::ACCEPTED, job)
    };
    let close = |State(fake): State<Fake>, Path(id): Path<String>| async move {
        fake.closed.lock().unwrap().push(id);
        StatusCode::NO_CONTENT
    };
    let router = Router::new()
        .route("/api/v1/jobs/{id}", get(job))
        .route("/api/v1/groups/{group}/points", post(create))
        .route(
            "/api/v1/drills",
            post(|| async { (StatusCode::ACCEPTED, FAILED_DRILL) }),
        )
        .route("/api/v1/drills/{id}", get(|| async { FAILED_DRILL }))
        .route("/api/v1/views/{id}", axum::routing::delete(close))
        .with_state(fake.clone());
    let site = Site::new(router, AlternativeName::Address(Ipv4Addr::LOCALHOST.into()));
    write_context(&site);
    site
}

fn write_context(site: &Site) {
    let text = toml::to_string(&site.context).unwrap();
    std::fs::write(site.directory.path().join("context.toml"), text).unwrap();
}

fn run(site: &Site, line: &str) -> Result<(), Failure> {
    let context = site.directory.path().display();
    parse(&format!("{line} --no-progress --context {context}"))
        .unwrap()
        .run()
}

#[test]
fn waiting_outlasts_a_restart_and_ends_with_the_jobs_verdict() {
    let cloud = Fake::default();
    let site = fake(&cloud);
    run(&site, "bcdr point create lab --label a --wait -o json").unwrap();
    assert!(*cloud.looks.lock().unwrap() > 3, "did not wait");
    let failed = run(&site, "bcdr job watch job-other").unwrap_err();
    assert_eq!(failed.code(), exit::JOB_FAILED);
    let late = run(&site, "bcdr point create never --label a --wait=1ms").unwrap_err();
    assert_eq!(late.code(), exit::WAIT_TIMED_OUT);
    assert!(
        late.to_string().contains("bcdr job watch job-never"),
        "{late}"
    );
}

#[test]
fn a_failed_drill_ends_with_its_reason() {
    let site = fake(&Fake::default());
    let failure = run(&site, "bcdr drill start lab --at latest --wait").unwrap_err();
    assert_eq!(failure.code(), exit::JOB_FAILED);
    assert!(failure.to_string().contains("it gave up"), "{failure}");
    // Without waiting, asking for it is all there is to do.
    run(&site, "bcdr drill start lab --at latest").unwrap();
}

#[test]
fn closing_a_view_reaches_the_server() {
    let cloud = Fake::default();
    let site = fake(&cloud);
    run(&site, "bcdr view close viw-1").unwrap();
    assert_eq!(*cloud.closed.lock().unwrap(), ["viw-1"]);
}
