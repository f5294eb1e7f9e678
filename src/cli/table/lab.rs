//! A lab for people.

use super::{Fields, Grid, or_none, or_unknown};
use serde::Deserialize;

/// A lab, as far as people are shown it.
#[derive(Debug, Deserialize)]
pub(crate) struct Lab {
    dir: String,
    context: String,
    api: Api,
    console: String,
    setup_secret: Option<String>,
    group: Group,
    volumes: Vec<Volume>,
    roles: Vec<Role>,
    warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Api {
    url: String,
    token: String,
    ca: String,
}

#[derive(Debug, Deserialize)]
struct Group {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Volume {
    name: String,
    nbd: String,
}

#[derive(Debug, Deserialize)]
struct Role {
    name: String,
    pid: Option<u32>,
    state: String,
    certificate_expires_at: Option<String>,
}

/// `bcdr lab up` and `bcdr lab status`
pub(crate) fn show(lab: &Lab) -> String {
    let mut fields = Fields::new();
    fields.field("lab", &lab.dir);
    fields.field("group", &lab.group.name);
    fields.field("API", &lab.api.url);
    fields.field("console", &lab.console);
    fields.field_if("setup secret", lab.setup_secret.as_deref());
    fields.field("token", &lab.api.token);
    fields.field("authority", &lab.api.ca);
    fields.field("context", format!("export BCDR_CONTEXT={}", lab.context));
    let mut volumes = Grid::new(&["VOLUME", "NBD"], &[]);
    for volume in &lab.volumes {
        volumes.row([volume.name.clone(), volume.nbd.clone()]);
    }
    let mut roles = Grid::new(&["ROLE", "STATE", "PROCESS", "CERTIFICATE UNTIL"], &[2]);
    for role in &lab.roles {
        let pid = role.pid.map(|pid| pid.to_string());
        roles.row([
            role.name.clone(),
            role.state.clone(),
            or_none(pid.as_deref()),
            or_unknown(role.certificate_expires_at.clone()),
        ]);
    }
    let mut text = format!("{fields}\n{volumes}\n{roles}");
    if !lab.warnings.is_empty() {
        text.push('\n');
    }
    for warning in &lab.warnings {
        text.push_str(&format!("! {}\n", super::plain(warning)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_shows_how_to_get_in() {
        let text = r#"{"dir":"/lab","context":"/lab/context.toml","api":{"url":"https://127.0.0.1:1","token":"t","ca":"/lab/ca.pem"},"console":"https://127.0.0.1:1/",
            "group":{"id":null,"name":"lab"},"volumes":[{"id":"vol-1","name":"root","nbd":"nbd+unix:///root?socket=/lab/run/root.sock"}],
            "roles":[{"name":"cloud","pid":7,"state":"running","certificate_expires_at":"2026-11-09T09:00:00Z"},
            {"name":"gateway","pid":null,"state":"stopped","certificate_expires_at":null}],
            "warnings":["the certificate of the cloud role ends in 6 days: see log/cloud.log"]}"#;
        assert_eq!(
            show(&serde_json::from_str(text).unwrap()),
            "lab        /lab\ngroup      lab\nAPI        https://127.0.0.1:1\nconsole    https://127.0.0.1:1/\ntoken      t\n\
             authority  /lab/ca.pem\ncontext    export BCDR_CONTEXT=/lab/context.toml\n\n\
             VOLUME  NBD\nroot    nbd+unix:///root?socket=/lab/run/root.sock\n\n\
             ROLE     STATE    PROCESS  CERTIFICATE UNTIL\n\
             cloud    running        7  2026-11-09T09:00:00Z\n\
             gateway  stopped        -  unknown\n\n\
             ! the certificate of the cloud role ends in 6 days: see log/cloud.log\n"
        );
    }
}
