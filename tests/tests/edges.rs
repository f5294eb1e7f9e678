//! The shape of the tree: which crate may use which, and where `unsafe` is allowed.

use anyhow::{Context, ensure};
use bcdr_tests::end_to_end::tool;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The edges between our crates that the design allows. A crate that is not named uses none of
/// ours, and none may use it.
const EDGES: [(&str, &[&str]); 17] = [
    ("bcdr-format", &[]),
    ("bcdr-disk", &[]),
    ("bcdr-nbd", &[]),
    ("bcdr-http", &[]),
    ("bcdr-report", &[]),
    ("bcdr-audit", &["bcdr-report"]),
    ("bcdr-alert", &["bcdr-format"]),
    ("bcdr-plan", &["bcdr-format"]),
    ("bcdr-wire", &["bcdr-format"]),
    (
        "bcdr-capture",
        &[
            "bcdr-format",
            "bcdr-disk",
            "bcdr-nbd",
            "bcdr-wire",
            "bcdr-http",
        ],
    ),
    (
        "bcdr-gateway",
        &["bcdr-format", "bcdr-disk", "bcdr-wire", "bcdr-http"],
    ),
    (
        "bcdr-cloud",
        &[
            "bcdr-format",
            "bcdr-disk",
            "bcdr-nbd",
            "bcdr-wire",
            "bcdr-http",
            "bcdr-audit",
            "bcdr-console",
            "bcdr-alert",
            "bcdr-plan",
            "bcdr-reach",
            "bcdr-readiness",
            "bcdr-report",
        ],
    ),
    ("bcdr-console", &[]),
    ("bcdr-reach", &[]),
    ("bcdr-readiness", &[]),
    ("bcdr-tests", &ALL),
    ("bcdr-benches", &ALL),
];

/// What the root package, the tests and the benches may use.
const ALL: [&str; 16] = [
    "bcdr-console",
    "bcdr-format",
    "bcdr-disk",
    "bcdr-nbd",
    "bcdr-wire",
    "bcdr-http",
    "bcdr-capture",
    "bcdr-gateway",
    "bcdr-cloud",
    "bcdr-audit",
    "bcdr-alert",
    "bcdr-plan",
    "bcdr-reach",
    "bcdr-readiness",
    "bcdr-report",
    "bcdr-tests",
];

/// The roles are built into one program, which is no test: it does not use the tests.
const ROOT: &str = "bcdr";

/// The modules in which `unsafe` is allowed: system calls on buffers and memory maps that the
/// compiler cannot judge.
const UNSAFE: [&str; 2] = ["capture/src/ring/uring.rs", "capture/disk/src/mapping.rs"];

fn root() -> anyhow::Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the tests lie in the tree")
}

fn allowed(user: &str, used: &str) -> bool {
    if user == ROOT {
        return ALL.contains(&used) && used != "bcdr-tests";
    }
    EDGES
        .iter()
        .any(|(name, uses)| *name == user && *name != used && uses.contains(&used))
}

/// Every edge between packages of the tree, whatever its kind, as cargo has it.
fn edges(metadata: &Value) -> anyhow::Result<Vec<(String, String)>> {
    let packages = metadata["packages"].as_array().context("packages")?;
    let names: BTreeSet<_> = packages
        .iter()
        .filter_map(|package| package["name"].as_str())
        .collect();
    let mut edges = Vec::new();
    for package in packages {
        let user = package["name"].as_str().context("a package has a name")?;
        for dependency in package["dependencies"].as_array().context("dependencies")? {
            let used = dependency["name"]
                .as_str()
                .context("a dependency has a name")?;
            if names.contains(used) {
                edges.push((user.to_owned(), used.to_owned()));
            }
        }
    }
    Ok(edges)
}

#[test]
fn crates_use_each_other_only_as_designed() -> anyhow::Result<()> {
    let manifest = root()?.join("Cargo.toml");
    let mut arguments: Vec<PathBuf> = ["metadata", "--offline", "--format-version", "1"]
        .iter()
        .map(PathBuf::from)
        .collect();
    arguments.extend(["--no-deps".into(), "--manifest-path".into(), manifest]);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let metadata: Value = serde_json::from_str(&tool::run(cargo, arguments)?)?;
    let edges = edges(&metadata)?;
    let known = |user: &str, used: &str| edges.iter().any(|edge| edge.0 == user && edge.1 == used);
    ensure!(
        known("bcdr-wire", "bcdr-format"),
        "the edges were not read: {edges:?}"
    );
    ensure!(
        known(ROOT, "bcdr-capture"),
        "the edges were not read: {edges:?}"
    );
    let wrong: Vec<_> = edges
        .iter()
        .filter(|(user, used)| !allowed(user, used))
        .map(|(user, used)| format!("{user} uses {used}"))
        .collect();
    ensure!(
        wrong.is_empty(),
        "edges that the design does not have: {}; move the code, or decide otherwise in docs/adr",
        wrong.join(", ")
    );
    Ok(())
}

#[test]
fn the_rule_knows_a_wrong_edge_from_a_right_one() {
    assert!(allowed("bcdr-wire", "bcdr-format"));
    assert!(allowed("bcdr", "bcdr-cloud"));
    for (user, used) in [
        ("bcdr-capture", "bcdr-gateway"),
        ("bcdr-gateway", "bcdr-nbd"),
        ("bcdr-format", "bcdr-disk"),
        ("bcdr-gateway", "bcdr-report"),
        ("bcdr-report", "bcdr-cloud"),
        ("bcdr-report", "bcdr-audit"),
        ("bcdr-gateway", "bcdr-audit"),
        ("bcdr-reach", "bcdr-cloud"),
        ("bcdr-gateway", "bcdr-reach"),
        ("bcdr-cloud", "bcdr-tests"),
        ("bcdr", "bcdr-tests"),
        ("bcdr-new", "bcdr-format"),
    ] {
        assert!(!allowed(user, used), "{user} uses {used}");
    }
}

/// All Rust sources of the tree.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            let skipped = name == "target" || name == "node_modules";
            if !skipped && !name.to_string_lossy().starts_with('.') {
                sources(&path, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

#[test]
fn unsafe_is_allowed_only_where_the_design_says() -> anyhow::Result<()> {
    let root = root()?;
    let mut files = Vec::new();
    sources(root, &mut files)?;
    ensure!(files.len() > 100, "only {} sources were found", files.len());
    // Put together here, so that this file does not hold what it looks for.
    let lint = ["unsafe", "code"].join("_");
    let attributes = ["allow", "expect", "warn"].map(|level| format!("{level}({lint})"));
    let mut found = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        if attributes.iter().any(|attribute| text.contains(attribute)) {
            found.insert(file.strip_prefix(root)?.to_string_lossy().into_owned());
        }
    }
    let expected: BTreeSet<_> = UNSAFE.iter().map(|path| (*path).to_owned()).collect();
    ensure!(
        found == expected,
        "unsafe is allowed in {found:?}, the design allows {expected:?}"
    );

    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    ensure!(
        manifest.contains(&format!("{lint} = \"deny\"")),
        "the workspace no longer denies unsafe code"
    );
    for (name, directory) in members(&manifest)? {
        let manifest = fs::read_to_string(root.join(directory).join("Cargo.toml"))?;
        ensure!(
            manifest.contains("[lints]\nworkspace = true"),
            "{name} does not take the workspace's lints"
        );
    }
    Ok(())
}

/// The members of the workspace, the root included, each with its directory.
fn members(manifest: &str) -> anyhow::Result<Vec<(String, String)>> {
    let manifest: toml::Table = manifest.parse()?;
    let members = manifest["workspace"]["members"]
        .as_array()
        .context("the workspace's members")?;
    let mut all = vec![(ROOT.to_owned(), ".".to_owned())];
    for member in members {
        let directory = member.as_str().context("a member is a path")?;
        all.push((directory.to_owned(), directory.to_owned()));
    }
    Ok(all)
}
