//! Alerts with real processes: the capture goes away, somebody is told; it comes back, and so is that.

use anyhow::{Context, ensure};
use bcdr_tests::end_to_end::{
    fixture::image,
    lab::{Lab, PATIENCE},
};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::mpsc::{self, Receiver},
};

/// Takes every request and gives on its body.
fn receiver() -> anyhow::Result<(u16, Receiver<Value>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let (sender, received) = mpsc::channel();
    // It ends with the process: nobody waits for it.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let (mut length, mut line) = (0, String::new());
            while matches!(reader.read_line(&mut line), Ok(1..)) && line != "\r\n" {
                if let Some(value) = line.strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap_or(0);
                }
                line.clear();
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_err() {
                continue;
            }
            let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            let _gone = reader.get_mut().write_all(answer);
            if let Ok(body) = serde_json::from_slice(&body) {
                let _nobody = sender.send(body);
            }
        }
    });
    Ok((port, received))
}

fn with_channel(text: &str, port: u16, secret: &Path) -> anyhow::Result<String> {
    let mut config: toml::Table = text.parse()?;
    let alerts = format!(
        r#"
        every_seconds = 1
        quiet_minutes = 0
        [codes.disconnected]
        raise_after_seconds = 10
        clear_after_seconds = 2
        [[channels]]
        name = "ops"
        codes = ["disconnected"]
        [channels.webhook]
        url = "http://127.0.0.1:{port}/"
        secret_file = "{}"
        allowed_networks = ["127.0.0.0/8"]
        "#,
        secret.display()
    );
    config.insert("alerts".into(), toml::Value::Table(alerts.parse()?));
    Ok(toml::to_string(&config)?)
}

#[test]
fn a_source_that_goes_away_is_told_and_so_is_its_return() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let disk = image(work.path(), "root.raw", 8 << 20)?;
    let lab = Lab::up(&work.path().join("lab"), &[("root", &disk)])?;
    lab.wait_continuous()?;
    let secret = work.path().join("secret");
    fs::write(&secret, "0123456789abcdef0123456789abcdef")?;
    fs::set_permissions(&secret, PermissionsExt::from_mode(0o600))?;
    let (port, received) = receiver()?;
    let mut wrong = None;
    lab.reconfigure("cloud", |text| {
        with_channel(&text, port, &secret).unwrap_or_else(|error| {
            wrong = Some(error);
            text
        })
    })?;
    ensure!(wrong.is_none(), "the configuration is odd: {wrong:?}");
    lab.wait_continuous()?;
    let next = |event: &str| -> anyhow::Result<Value> {
        loop {
            let told = received
                .recv_timeout(PATIENCE)
                .with_context(|| format!("{event} was never told"))?;
            if told["event"] == event {
                return Ok(told);
            }
        }
    };
    lab.hold_down("capture")?;
    let raised = next("alert.raised")?;
    ensure!(raised["alert"]["object"]["name"] == "lab", "{raised}");
    let listed = lab.json(&["alert", "list", "--code", "disconnected"])?;
    let id = &listed["items"][0]["id"];
    ensure!(*id == raised["alert"]["id"], "{listed}");
    let id = id.as_str().context("an alert has an id")?;
    let taken = lab.json(&["alert", "acknowledge", id, "--note", "it is me"])?;
    ensure!(taken["state"] == "acknowledged", "{taken}");

    lab.let_up("capture")?;
    let cleared = next("alert.cleared")?;
    ensure!(cleared["alert"]["id"] == raised["alert"]["id"], "{cleared}");
    let active = lab.json(&["alert", "list", "--code", "disconnected"])?;
    ensure!(active["items"] == serde_json::json!([]), "{active}");
    let tested = lab.json(&["alert", "test", "ops"])?;
    ensure!(tested["delivered"] == true, "{tested}");
    next("test")?;
    lab.down()
}
