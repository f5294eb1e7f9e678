use super::*;

fn shell(line: &str) -> Script {
    Script {
        command: Command::Shell(line.to_owned()),
        directory: None,
        inherit: Vec::new(),
        environment: BTreeMap::new(),
        timeout: Duration::from_secs(60),
        keep_bytes: 4096,
    }
}

async fn result_of(script: &Script) -> ScriptResult {
    run(script, &CancellationToken::new(), |_| {})
        .await
        .unwrap()
}

/// Waits until the process is gone, or only its remains are there.
async fn gone(pid: &str) {
    let stat = format!("/proc/{}/stat", pid.trim());
    while std::fs::read_to_string(&stat).is_ok_and(|text| !text.contains(") Z ")) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a file is there.
async fn appeared(path: &std::path::Path) {
    while !path.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_result_tells_status_and_outputs() {
    let result = result_of(&shell("echo out; echo err >&2; exit 3")).await;
    assert_eq!(result.end, End::Exited(3));
    assert_eq!(
        (result.stdout.head.as_str(), result.stderr.head.as_str()),
        ("out\n", "err\n")
    );
    assert!(!result.succeeded());
    assert_eq!(result_of(&shell("kill -9 $$")).await.end, End::Signalled(9));
}

#[tokio::test]
async fn no_shell_reads_the_arguments() {
    let mut script = shell("");
    script.command = Command::Argv(vec!["echo".into(), "$HOME; exit 1".into()]);
    let result = result_of(&script).await;
    assert!(result.succeeded());
    assert_eq!(result.stdout.head, "$HOME; exit 1\n");
}

#[tokio::test]
async fn only_the_listed_environment_is_seen() {
    let mut script = shell("env");
    script.inherit = vec!["CARGO_PKG_NAME".into(), "NOT_SET_ANYWHERE".into()];
    script.environment = BTreeMap::from([("POINT".to_owned(), "17".to_owned())]);
    let seen = result_of(&script).await.stdout.head;
    let mut names: Vec<_> = seen
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        // What the shell itself adds.
        .filter(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(name))
        .collect();
    names.sort_unstable();
    // Run by hand, without cargo, there is none to be inherited.
    names.retain(|name| *name != "CARGO_PKG_NAME");
    assert_eq!(names, ["PATH", "POINT"], "{seen}");
    if let Ok(value) = std::env::var("CARGO_PKG_NAME") {
        assert!(seen.contains(&format!("CARGO_PKG_NAME={value}")), "{seen}");
    }
}

#[tokio::test]
async fn what_is_printed_is_kept_in_bounds_and_never_blocks_the_script() {
    let result = result_of(&shell(
        "echo first; dd if=/dev/zero bs=65536 count=64 2>/dev/null | tr '\\0' x; echo; echo last",
    ))
    .await;
    assert!(result.succeeded());
    assert!(result.stdout.head.starts_with("first\n"));
    assert!(result.stdout.tail.ends_with("\nlast\n"));
    assert_eq!(result.stdout.omitted_bytes, 6 + 4_194_304 + 6 - 4096);
}

#[tokio::test]
async fn at_the_timeout_the_whole_group_ends() {
    let mut script = shell("sleep 1000 & echo $!; wait");
    script.timeout = Duration::from_millis(300);
    let result = result_of(&script).await;
    assert_eq!(result.end, End::TimedOut);
    gone(&result.stdout.head).await;
}

#[tokio::test]
async fn a_script_that_does_not_listen_is_killed() {
    let mut script = shell("trap '' TERM; while :; do sleep 1; done");
    script.timeout = Duration::from_millis(300);
    assert_eq!(result_of(&script).await.end, End::TimedOut);
}

#[tokio::test]
async fn what_a_script_leaves_behind_in_its_group_ends_with_it() {
    let result = result_of(&shell("sleep 1000 & echo $!")).await;
    assert!(result.succeeded(), "a background process holds nobody up");
    gone(&result.stdout.head).await;
}

#[tokio::test]
async fn a_cancelled_script_ends() {
    let directory = tempfile::tempdir().unwrap();
    let cancel = CancellationToken::new();
    let mut script = shell("echo $$; touch said; sleep 1000");
    script.directory = Some(directory.path().to_owned());
    let said = directory.path().join("said");
    let (result, ()) = tokio::join!(run(&script, &cancel, |_| {}), async {
        appeared(&said).await;
        cancel.cancel();
    });
    let result = result.unwrap();
    assert_eq!(result.end, End::Cancelled);
    gone(&result.stdout.head).await;
}

#[tokio::test]
async fn a_script_that_is_cancelled_already_is_not_started() {
    let directory = tempfile::tempdir().unwrap();
    let mut script = shell("touch ran");
    script.directory = Some(directory.path().to_owned());
    let cancel = CancellationToken::new();
    cancel.cancel();
    let mut began = false;
    let error = run(&script, &cancel, |_| began = true).await.unwrap_err();
    assert!(matches!(error, ScriptError::Cancelled), "{error}");
    assert!(!began && !directory.path().join("ran").exists());
}

#[tokio::test]
async fn a_script_is_told_by_its_process_id() {
    let mut told = 0;
    let never = CancellationToken::new();
    let result = run(&shell("echo $$"), &never, |pid| told = pid).await;
    assert_eq!(result.unwrap().stdout.head, format!("{told}\n"));
}

#[tokio::test]
async fn a_dropped_future_leaves_no_process() {
    let directory = tempfile::tempdir().unwrap();
    let mut script = shell("echo $$ >pid.new; mv pid.new pid; sleep 1000");
    script.directory = Some(directory.path().to_owned());
    let cancel = CancellationToken::new();
    let pid = directory.path().join("pid");
    tokio::select! {
        result = run(&script, &cancel, |_| {}) => panic!("it ended by itself: {result:?}"),
        () = appeared(&pid) => {}
    }
    gone(&std::fs::read_to_string(pid).unwrap()).await;
}

#[tokio::test]
async fn what_cannot_be_started_is_named_with_its_remedy() {
    let mut script = shell("");
    script.command = Command::Argv(vec!["/no/such/program".into()]);
    let error = run(&script, &CancellationToken::new(), |_| {})
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("/no/such/program") && text.contains("check that"),
        "{text}"
    );
    script.command = Command::Argv(Vec::new());
    let error = run(&script, &CancellationToken::new(), |_| {})
        .await
        .unwrap_err();
    assert!(matches!(error, ScriptError::Empty), "{error}");
}
