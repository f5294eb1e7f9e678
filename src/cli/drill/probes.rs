//! Probes and scripts on the command line: read, and added to those of the launch settings.

use bcdr_cloud::target::{PortProbe, Probes};
use serde_json::{Map, Value, json};

/// A probe that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Asked {
    /// A part of the settings that is true or not.
    Yes(&'static str),
    /// An entry of a list of the settings.
    Entry(&'static str, Value),
}

/// Reads one, such as `port:22=SSH`.
pub(super) fn read(text: &str) -> Result<Asked, String> {
    let asked = match text.split_once(':') {
        None if text == "address" => Asked::Yes("network_address"),
        None if text == "agent" => Asked::Yes("guest_agent"),
        Some(("port", rest)) => {
            let (port, says) = match rest.split_once('=') {
                Some((port, says)) => (port, Some(says.to_owned())),
                None => (rest, None),
            };
            let port = number(port)?;
            Asked::Entry("ports", json!(PortProbe { port, says }))
        }
        Some((scheme @ ("http" | "https"), rest)) => {
            let (port, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let mut page = json!({ "port": number(port)? });
            if !path.is_empty() {
                page["path"] = path.into();
            }
            if scheme == "https" {
                page["tls"] = true.into();
            }
            Asked::Entry("http", page)
        }
        _ => {
            return Err(
                "write address, port:22, port:22=SSH, http:80/health, https:443/ or agent"
                    .to_owned(),
            );
        }
    };
    checked(asked)
}

/// Reads a script with its ports, such as `check-shop:80,5432`.
pub(super) fn script(text: &str) -> Result<Asked, String> {
    let (program, ports) = match text.split_once(':') {
        Some((program, ports)) => (program, ports.split(',').map(number).collect()),
        None => (text, Ok(Vec::new())),
    };
    let mut script = json!({ "program": program });
    let ports: Vec<u16> = ports?;
    if !ports.is_empty() {
        script["ports"] = ports.into();
    }
    checked(Asked::Entry("scripts", script))
}

/// What the cloud side would refuse is refused here, with the same words.
fn checked(asked: Asked) -> Result<Asked, String> {
    let mut alone = Value::Null;
    add(&mut alone, [asked.clone()]);
    let probes: Probes =
        serde_json::from_value(alone["probes"].take()).map_err(|error| error.to_string())?;
    probes.check().map_err(|error| error.to_string())?;
    Ok(asked)
}

fn number(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no port; give one from 1 to 65535"))
}

/// Adds probes to launch settings; without any, nothing is changed.
pub(super) fn add(settings: &mut Value, asked: impl IntoIterator<Item = Asked>) {
    for one in asked {
        let probes = member(settings, "probes");
        match one {
            Asked::Yes(name) => {
                member_map(probes).insert(name.to_owned(), true.into());
            }
            Asked::Entry(list, entry) => {
                let list = member(probes, list);
                if !list.is_array() {
                    *list = Value::Array(Vec::new());
                }
                if let Value::Array(entries) = list {
                    entries.push(entry);
                }
            }
        }
    }
}

fn member<'a>(value: &'a mut Value, name: &str) -> &'a mut Value {
    member_map(value).entry(name).or_insert(Value::Null)
}

fn member_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was made an object above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_added_to_those_of_the_settings() {
        let mut settings =
            json!({ "cpus": 1, "probes": { "timeout_seconds": 9, "ports": [{ "port": 25 }] } });
        let asked = [
            "port:22=SSH-2.0",
            "http:8080/a?b=c",
            "https:443",
            "agent",
            "address",
        ];
        add(&mut settings, asked.map(|text| read(text).unwrap()));
        let scripts = ["check-shop:80,5432", "look"];
        add(&mut settings, scripts.map(|text| script(text).unwrap()));
        assert_eq!(
            settings,
            json!({ "cpus": 1, "probes": {
                "timeout_seconds": 9,
                "ports": [{ "port": 25 }, { "port": 22, "says": "SSH-2.0" }],
                "http": [{ "port": 8080, "path": "/a?b=c" }, { "port": 443, "tls": true }],
                "guest_agent": true,
                "network_address": true,
                "scripts": [{ "program": "check-shop", "ports": [80, 5432] }, { "program": "look" }],
            } })
        );
        let mut none = Value::Null;
        add(&mut none, []);
        assert_eq!(none, Value::Null);
        add(&mut none, [read("port:22").unwrap()]);
        assert_eq!(none, json!({ "probes": { "ports": [{ "port": 22 }] } }));
    }

    #[test]
    fn what_cannot_be_asked_is_refused_at_once() {
        for (text, part) in [
            ("", "no plain name"),
            ("/bin/sh", "no plain name"),
            ("a:", "no port"),
            ("a:80,80", "given twice"),
        ] {
            let refused = script(text).unwrap_err();
            assert!(refused.contains(part), "{text}: {refused}");
        }
        for (text, part) in [
            ("ssh", "write address"),
            ("port:", "no port"),
            ("port:0", "port 0"),
            ("port:70000", "no port"),
            ("http:x/", "no port"),
            ("port:22=", "leave it out"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
