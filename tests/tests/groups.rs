//! Several volumes in one group: one history, one instant for all of them, many ways to look at it.

use anyhow::{Context, ensure};
use bcdr_tests::end_to_end::{
    fixture::{export_all, image, same_bytes, seed, writer},
    lab::{Lab, PATIENCE, wait_for},
    stamped::{Dice, StampedWriter},
    tool,
};
use serde_json::Value;
use std::path::{Path, PathBuf};

const VOLUME_BYTES: u64 = 16 << 20;
const NAMES: [&str; 3] = ["system", "data", "log"];

/// Exit codes that scripts depend on.
const NOT_FOUND: i32 = 3;
const CONFLICT: i32 = 4;

#[test]
fn the_volumes_of_a_group_are_always_seen_at_one_instant() -> anyhow::Result<()> {
    let seed = seed();
    let mut dice = Dice::new(seed);
    let work = tempfile::tempdir()?;
    let sources = NAMES
        .iter()
        .map(|name| image(work.path(), &format!("{name}.raw"), VOLUME_BYTES))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let volumes: Vec<_> = NAMES
        .iter()
        .copied()
        .zip(sources.iter().map(PathBuf::as_path))
        .collect();
    let lab = Lab::up(&work.path().join("lab"), &volumes)?;
    let mut writer = writer(&lab, seed, &NAMES, VOLUME_BYTES)?;
    lab.wait_continuous()?;
    the_group_is_shown_as_it_is(&lab)?;

    let mut bookmarked = Vec::new();
    for label in ["first", "second", "third"] {
        (0..60 + dice.below(60)).try_for_each(|_| writer.write())?;
        let point = lab.bookmark(label)?;
        ensure!(point["label"] == label, "the bookmark is {point}");
        bookmarked.push((label, writer.writes() as u64));
    }
    (0..100).try_for_each(|_| writer.write())?;
    let last = lab.bookmark("last")?;

    labels_are_unique(&lab, "second")?;
    what_is_not_there_is_said(&lab)?;
    points_are_listed_in_order(&lab, &last)?;
    let exports = work.path().join("exports");
    std::fs::create_dir(&exports)?;
    for (label, writes) in &bookmarked {
        let images = export_all(&lab, label, &NAMES, &exports)?;
        let present = writer
            .check_prefix(&images)
            .with_context(|| format!("seed {seed}, {label}"))?;
        ensure!(
            present == *writes,
            "{label} holds {present} of the {writes} writes before it"
        );
    }
    two_views_show_two_instants(&lab, &writer, &exports)?;
    a_time_names_the_newest_point_not_after_it(&lab, &last)?;
    qcow2_holds_what_raw_holds(&lab, &exports)?;
    random_points_are_prefixes(&lab, &writer, &mut dice, &exports)?;

    writer.disconnect();
    for (exported, source) in export_all(&lab, "last", &NAMES, &exports)?
        .iter()
        .zip(&sources)
    {
        same_bytes(exported, source)?;
    }
    lab.down()
}

fn the_group_is_shown_as_it_is(lab: &Lab) -> anyhow::Result<()> {
    let group = lab.group()?;
    let shown: Vec<_> = group["volumes"].as_array().into_iter().flatten().collect();
    ensure!(
        shown.len() == NAMES.len(),
        "the group's volumes are {shown:?}"
    );
    for (volume, name) in shown.iter().zip(NAMES) {
        ensure!(volume["name"] == name, "volume {name} is {volume}");
        ensure!(
            volume["size_bytes"] == VOLUME_BYTES,
            "volume {name} is {volume}"
        );
    }
    let listed = lab.json(&["group", "list"])?;
    let listed = listed["items"]
        .as_array()
        .or(listed.as_array())
        .context("a list of groups")?;
    ensure!(
        listed.len() == 1 && listed[0]["name"] == "lab",
        "the groups are {listed:?}"
    );
    Ok(())
}

fn labels_are_unique(lab: &Lab, label: &str) -> anyhow::Result<()> {
    let again = lab.try_command(&["point", "create", "lab", "--label", label, "--wait"])?;
    ensure!(
        again.code == CONFLICT,
        "a second {label} ended with {again:?}"
    );
    ensure!(
        again.error.contains(label),
        "a second {label} was refused without its name: {again:?}"
    );
    ensure!(
        again.error.contains("remedy"),
        "a second {label} was refused without help: {again:?}"
    );
    Ok(())
}

fn what_is_not_there_is_said(lab: &Lab) -> anyhow::Result<()> {
    let cases: [(&[&str], &str); 4] = [
        (&["point", "show", "lab", "--at", "never"], "never"),
        (&["view", "open", "lab", "--at", "99-12345"], "99-12345"),
        (&["group", "show", "nobody"], "nobody"),
        (
            &["view", "open", "lab", "--at", "2001-01-01T00:00:00Z"],
            "2001-01-01",
        ),
    ];
    for (arguments, name) in cases {
        let ended = lab.try_command(arguments)?;
        ensure!(
            ended.code == NOT_FOUND,
            "{arguments:?} ended with {ended:?}"
        );
        ensure!(
            ended.error.contains(name),
            "{arguments:?} does not name {name}: {ended:?}"
        );
    }
    Ok(())
}

fn points_are_listed_in_order(lab: &Lab, last: &Value) -> anyhow::Result<()> {
    let ids = lab.points()?;
    let place = |id: &String| -> anyhow::Result<(u64, u64)> {
        let (ordinal, sequence) = id.split_once('-').context("a point id has two parts")?;
        Ok((ordinal.parse()?, sequence.parse()?))
    };
    let places = ids.iter().map(place).collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(places.is_sorted(), "the points are not in order: {ids:?}");
    let last = last["id"].as_str().context("a point has an id")?;
    ensure!(
        ids.iter().any(|id| id == last),
        "the last bookmark {last} is not listed"
    );
    let bookmarks = lab.json(&["point", "list", "lab", "--kind", "bookmark"])?;
    let bookmarks = bookmarks["items"]
        .as_array()
        .or(bookmarks.as_array())
        .context("a list")?;
    let labels: Vec<_> = bookmarks
        .iter()
        .filter_map(|point| point["label"].as_str())
        .collect();
    ensure!(
        labels == ["last", "third", "second", "first"],
        "the bookmarks are {labels:?}"
    );
    Ok(())
}

fn two_views_show_two_instants(
    lab: &Lab,
    writer: &StampedWriter,
    exports: &Path,
) -> anyhow::Result<()> {
    let views =
        ["first", "third"].map(|label| (label, lab.json(&["view", "open", "lab", "--at", label])));
    let mut prefixes = Vec::new();
    let mut opened = Vec::new();
    for (label, view) in views {
        let view = view?;
        let copies = NAMES
            .iter()
            .map(|name| {
                let copy = exports.join(format!("view-{label}-{name}"));
                tool::run("nbdcopy", [uri(&view, name)?.as_str(), path(&copy)?])?;
                same_bytes(&copy, &exports.join(format!("{label}-{name}.raw")))?;
                Ok(copy)
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        prefixes.push(writer.check_prefix(&copies)?);
        opened.push(view);
    }
    ensure!(
        prefixes[0] < prefixes[1],
        "two views of two points hold {prefixes:?} writes"
    );
    for view in &opened {
        views_are_read_only(view)?;
        close(lab, view)?;
    }
    Ok(())
}

fn views_are_read_only(view: &Value) -> anyhow::Result<()> {
    let uri = uri(view, NAMES[0])?;
    let arguments = ["-f", "raw", "-c", "write 0 512", &uri];
    let ended = tool::output("qemu-io", arguments)?;
    ensure!(!ended.status.success(), "a view took a write");
    Ok(())
}

fn close(lab: &Lab, view: &Value) -> anyhow::Result<()> {
    let id = view["id"].as_str().context("a view has an id")?;
    let socket = uri(view, NAMES[0])?;
    let (_, socket) = socket
        .split_once("?socket=")
        .context("a URI with a socket")?;
    ensure!(
        Path::new(socket).exists(),
        "view {id} has no socket {socket}"
    );
    let closed = lab.try_command(&["view", "close", id])?;
    ensure!(closed.code == 0, "view {id} was not closed: {closed:?}");
    ensure!(
        !Path::new(socket).exists(),
        "view {id} was closed and left {socket}"
    );
    let gone = lab.try_command(&["view", "show", id])?;
    ensure!(
        gone.code == NOT_FOUND,
        "view {id} was closed and is still shown: {gone:?}"
    );
    let again = lab.try_command(&["view", "close", id])?;
    ensure!(
        again.code == NOT_FOUND,
        "view {id} was closed twice: {again:?}"
    );
    Ok(())
}

fn a_time_names_the_newest_point_not_after_it(lab: &Lab, last: &Value) -> anyhow::Result<()> {
    let time = last["time"].as_str().context("a point has a time")?;
    let found = lab.json(&["point", "show", "lab", "--at", time])?;
    let found_time: jiff::Timestamp = found["time"].as_str().context("a time")?.parse()?;
    ensure!(found_time == time.parse()?, "at {time} there is {found}");
    let third = lab.json(&["point", "show", "lab", "--at", "third"])?;
    let third_time: jiff::Timestamp = third["time"].as_str().context("a time")?.parse()?;
    let before = lab.json(&["point", "show", "lab", "--at", &third_time.to_string()])?;
    let before: jiff::Timestamp = before["time"].as_str().context("a time")?.parse()?;
    ensure!(
        before == third_time,
        "at {third_time} there is a point of {before}"
    );
    Ok(())
}

fn qcow2_holds_what_raw_holds(lab: &Lab, exports: &Path) -> anyhow::Result<()> {
    for name in NAMES {
        let image = exports.join(format!("{name}.qcow2"));
        let to = path(&image)?;
        lab.json(&[
            "point", "export", "lab", "--volume", name, "--at", "second", "--to", to, "--format",
            "qcow2",
        ])?;
        tool::run("qemu-img", ["check", to])?;
        let raw = exports.join(format!("second-{name}.raw"));
        tool::run(
            "qemu-img",
            ["compare", "-f", "qcow2", "-F", "raw", to, path(&raw)?],
        )?;
        let info: Value =
            serde_json::from_str(&tool::run("qemu-img", ["info", "--output=json", to])?)?;
        ensure!(info["format"] == "qcow2", "the export is {info}");
        ensure!(info["virtual-size"] == VOLUME_BYTES, "the export is {info}");
    }
    Ok(())
}

fn random_points_are_prefixes(
    lab: &Lab,
    writer: &StampedWriter,
    dice: &mut Dice,
    exports: &Path,
) -> anyhow::Result<()> {
    let ids = lab.points()?;
    let mut newest = 0;
    for _ in 0..4 {
        let id = &ids[dice.below(ids.len() as u64) as usize];
        let directory = exports.join("random");
        std::fs::create_dir(&directory)?;
        let images = export_all(lab, id, &NAMES, &directory)?;
        newest = newest.max(
            writer
                .check_prefix(&images)
                .with_context(|| format!("point {id}"))?,
        );
        std::fs::remove_dir_all(&directory)?;
    }
    ensure!(
        newest <= writer.writes() as u64,
        "a point holds write {newest}"
    );
    // Whatever was exported, nothing of it stays behind.
    wait_for("the exports' views to be closed", || {
        let views = lab.json(&["view", "list"])?;
        Ok(views["items"]
            .as_array()
            .or(views.as_array())
            .is_some_and(Vec::is_empty))
    })
    .with_context(|| format!("after {PATIENCE:?}"))
}

fn uri(view: &Value, volume: &str) -> anyhow::Result<String> {
    let volumes = view["volumes"].as_array().context("a view has volumes")?;
    let found = volumes.iter().find(|entry| entry["name"] == volume);
    let uri = found.and_then(|entry| entry["nbd"].as_str());
    uri.map(str::to_owned)
        .with_context(|| format!("view {view} does not show {volume}"))
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("test paths are UTF-8")
}
