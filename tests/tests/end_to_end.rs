//! The whole path with real processes: every role killed at random moments under stamped writes,
//! and every point that is looked at must be an exact prefix of what was written.

use anyhow::{Context, ensure};
use bcdr_tests::end_to_end::{
    fixture::{export_all, image, same_bytes, seed, writer},
    lab::Lab,
    stamped::Dice,
};

const VOLUME_BYTES: u64 = 16 << 20;

/// How often each role is killed; `make soak` asks for more.
fn rounds() -> u64 {
    std::env::var("BCDR_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5)
}

#[test]
fn every_point_is_a_prefix_whatever_role_is_killed() -> anyhow::Result<()> {
    let seed = seed();
    let mut dice = Dice::new(seed);
    let work = tempfile::tempdir()?;
    let names = ["first", "second"];
    let (first, second) = (
        image(work.path(), "first.raw", VOLUME_BYTES)?,
        image(work.path(), "second.raw", VOLUME_BYTES)?,
    );
    let lab_directory = work.path().join("lab");
    let lab = Lab::up(&lab_directory, &[("first", &first), ("second", &second)])?;
    let mut writer = writer(&lab, seed, &names, VOLUME_BYTES)?;
    lab.wait_continuous()?;

    for round in 0..rounds() {
        for role in ["capture", "gateway", "cloud"] {
            for _ in 0..40 + dice.below(160) {
                writer.write()?;
            }
            if dice.below(2) == 0 {
                writer.flush()?;
            }
            lab.kill(role).with_context(|| format!("round {round}"))?;
            for _ in 0..dice.below(60) {
                writer.write()?;
            }
        }
        writer.flush()?;
        lab.wait_continuous()?;
        lab.bookmark(&format!("round-{round}"))?;
    }
    writer.flush()?;
    let last = lab.bookmark("end")?;
    writer.disconnect();

    let points = lab.points()?;
    ensure!(
        points.len() >= 20,
        "only {} points were published",
        points.len()
    );
    let mut sample = vec![points[0].clone(), points[points.len() - 1].clone()];
    while sample.len() < 20 {
        let candidate = &points[dice.below(points.len() as u64) as usize];
        if !sample.contains(candidate) {
            sample.push(candidate.clone());
        }
    }
    for point in &sample {
        let exports = work.path().join("exports");
        std::fs::create_dir_all(&exports)?;
        let images = export_all(&lab, point, &names, &exports)?;
        writer
            .check_prefix(&images)
            .with_context(|| format!("seed {seed}, point {point}"))?;
        std::fs::remove_dir_all(&exports)?;
    }

    let at = last["id"].as_str().context("a bookmark has an id")?;
    let images = export_all(&lab, at, &names, work.path())?;
    let present = writer.check_prefix(&images)?;
    ensure!(
        present >= writer.acknowledged(),
        "seed {seed}: the last bookmark holds {present} writes, {} were acknowledged before it",
        writer.acknowledged()
    );
    for (exported, source) in images.iter().zip([&first, &second]) {
        same_bytes(exported, source)?;
    }
    lab.down()
}
