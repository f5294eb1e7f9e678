//! A capture that dies under a client that reconnects is a pause, and nothing else.

use anyhow::{Context, ensure};
use bcdr_tests::end_to_end::{
    fixture::{export_all, image, same_bytes, seed},
    lab::{Lab, wait_for},
    processes::Background,
    stamped::{Dice, StampedWriter},
};
use std::time::{Duration, Instant};

const VOLUME_BYTES: u64 = 16 << 20;
const KILLS: u64 = 5;

#[test]
fn a_client_that_reconnects_sees_no_error() -> anyhow::Result<()> {
    let seed = seed();
    let mut dice = Dice::new(seed);
    let work = tempfile::tempdir()?;
    let source = image(work.path(), "disk.raw", VOLUME_BYTES)?;
    let lab = Lab::up(&work.path().join("lab"), &[("disk", &source)])?;
    lab.wait_continuous()?;

    // QEMU's own block layer is the client, with the setting that turns a death into a pause; it
    // passes everything on, so that whatever error it meets reaches the writer.
    let server = lab.socket("disk")?;
    let socket = work.path().join("qemu.sock");
    let options = format!(
        "driver=nbd,server.type=unix,server.path={},export=disk,reconnect-delay=60",
        server.display()
    );
    let listen = socket.to_str().context("test paths are UTF-8")?;
    let mut qemu = Background::start(
        "qemu-nbd",
        ["-t", "-x", "disk", "-k", listen, "--image-opts", &options],
    )?;
    wait_for("QEMU to serve", || Ok(socket.exists()))?;

    let target = (socket.clone(), "disk".to_owned(), VOLUME_BYTES);
    let mut writer = StampedWriter::new(seed, vec![target]);
    let mut longest = Duration::ZERO;
    let mut write = |writer: &mut StampedWriter| -> anyhow::Result<()> {
        let begun = Instant::now();
        writer.write()?;
        longest = longest.max(begun.elapsed());
        let (writes, acknowledged) = (writer.writes() as u64, writer.acknowledged());
        ensure!(
            acknowledged == writes,
            "seed {seed}: the client lost write {writes}"
        );
        Ok(())
    };
    for round in 0..KILLS {
        for _ in 0..20 + dice.below(100) {
            write(&mut writer)?;
        }
        // The kill falls among writes that go on.
        std::thread::scope(|scope| {
            let killer = scope.spawn(|| lab.kill("capture"));
            while !killer.is_finished() {
                write(&mut writer)?;
            }
            killer
                .join()
                .map_err(|_| anyhow::anyhow!("the killer panicked"))?
        })
        .with_context(|| format!("seed {seed}, round {round}"))?;
        writer.flush()?;
        qemu.require_running()?;
    }
    for _ in 0..50 {
        write(&mut writer)?;
    }
    writer.flush()?;
    println!(
        "{} writes, {KILLS} kills of the capture, no error; longest pause {:.3} s",
        writer.writes(),
        longest.as_secs_f64()
    );

    lab.wait_continuous()?;
    lab.bookmark("end")?;
    writer.disconnect();
    let images = export_all(&lab, "end", &["disk"], work.path())?;
    let present = writer
        .check_prefix(&images)
        .with_context(|| format!("seed {seed}"))?;
    ensure!(
        present == writer.writes() as u64,
        "{present} of {} writes arrived",
        writer.writes()
    );
    same_bytes(&images[0], &source)?;
    drop(qemu);
    lab.down()
}
