//! The guest agent's answers: a few questions of the QEMU guest agent's protocol.
//!
//! Lines of JSON over a serial channel that remembers nothing of who asked before, so the first
//! question is one whose answer is told apart by a number. Answers are bounded. What the agent says is
//! the machine's own word, and is shown as such; nothing is asked for that changes the machine.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::target::{GuestStream, WaysIn};

/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 256 * 1024;
/// The byte with which the agent begins the answer to the first question.
const DELIMITER: u8 = 0xff;
/// Most addresses that are told.
const ADDRESSES_MAX: usize = 8;
/// Most characters of one thing that the agent says. What it says goes into records and reports.
const SAID_MAX: usize = 200;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct System {
    pretty_name: Option<String>,
    kernel_release: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Interface {
    name: String,
    #[serde(default)]
    ip_addresses: Vec<Address>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Address {
    ip_address: IpAddr,
    prefix: u8,
}

/// Asks the agent what it is. Returns it in a sentence, or why the agent did not answer.
pub(super) async fn ask(ways: &dyn WaysIn) -> Result<String, String> {
    let mut number = [0; 4];
    getrandom::fill(&mut number).map_err(|error| format!("no random number: {error}"))?;
    let mut agent = Agent {
        channel: BufReader::new(ways.agent().await?),
    };
    agent.meet(u32::from_be_bytes(number)).await?;
    agent.question("guest-ping").await?;
    let system: System = read(agent.question("guest-get-osinfo").await?)?;
    let interfaces = agent.question("guest-network-get-interfaces").await?;
    let interfaces: Vec<Interface> = read(interfaces)?;
    Ok(sentence(&system, &interfaces))
}

struct Agent {
    channel: BufReader<Box<dyn GuestStream>>,
}

impl Agent {
    /// Passes over what is left of answers to others.
    async fn meet(&mut self, number: u32) -> Result<(), String> {
        // The delimiter first: it ends whatever an earlier visitor left unfinished.
        self.say(&[DELIMITER]).await?;
        let arguments = json!({ "id": number });
        let sync = json!({ "execute": "guest-sync-delimited", "arguments": arguments });
        self.say(format!("{sync}\n").as_bytes()).await?;
        let mut passed = 0;
        while passed < ANSWER_BYTES_MAX {
            let mut before = Vec::new();
            let mut bounded = (&mut self.channel).take(ANSWER_BYTES_MAX - passed);
            let count = bounded
                .read_until(DELIMITER, &mut before)
                .await
                .map_err(|error| cut(&error))?;
            if before.last() != Some(&DELIMITER) {
                break;
            }
            passed += count as u64;
            if self.answer().await? == number {
                return Ok(());
            }
        }
        Err("the guest agent does not answer as one".to_owned())
    }

    async fn question(&mut self, command: &str) -> Result<Value, String> {
        let question = json!({ "execute": command });
        self.say(format!("{question}\n").as_bytes()).await?;
        let answer = self.answer().await;
        answer.map_err(|reason| format!("{command}: {reason}"))
    }

    async fn say(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.channel
            .get_mut()
            .write_all(bytes)
            .await
            .map_err(|error| cut(&error))
    }

    async fn answer(&mut self) -> Result<Value, String> {
        let mut line = String::new();
        let mut bounded = (&mut self.channel).take(ANSWER_BYTES_MAX);
        bounded
            .read_line(&mut line)
            .await
            .map_err(|error| cut(&error))?;
        if !line.ends_with('\n') {
            return Err("the answer is cut or too long".to_owned());
        }
        let mut answer: Value = read_text(&line)?;
        if let Some(refusal) = answer.get("error") {
            let said = refusal.get("desc").and_then(Value::as_str);
            return Err(format!(
                "it refused: {}",
                plain(said.unwrap_or("without a reason"))
            ));
        }
        match answer.get_mut("return") {
            Some(value) => Ok(value.take()),
            None => Err("the answer says nothing".to_owned()),
        }
    }
}

fn cut(error: &std::io::Error) -> String {
    format!("the agent's channel was cut: {error}")
}

fn read_text(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| unreadable(&error))
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| unreadable(&error))
}

/// It quotes what the answer held.
fn unreadable(error: &serde_json::Error) -> String {
    format!("the answer cannot be read: {}", plain(&error.to_string()))
}

/// What the machine says, as it may be shown: bounded, in one line, without what a terminal obeys.
fn plain(said: &str) -> String {
    let mut letters = said.chars().filter(|letter| !letter.is_control());
    let mut plain: String = letters.by_ref().take(SAID_MAX).collect();
    if letters.next().is_some() {
        plain.push('…');
    }
    plain
}

fn sentence(system: &System, interfaces: &[Interface]) -> String {
    let name = system.pretty_name.as_deref().unwrap_or("an unnamed system");
    let kernel = system.kernel_release.as_deref().unwrap_or("unnamed");
    let (name, kernel) = (plain(name), plain(kernel));
    let addresses: Vec<String> = interfaces
        .iter()
        .flat_map(|card| {
            let own = card.ip_addresses.iter();
            own.filter(|address| !address.ip_address.is_loopback())
                .map(|address| {
                    let card = plain(&card.name);
                    format!("{card} {}/{}", address.ip_address, address.prefix)
                })
        })
        .take(ADDRESSES_MAX)
        .collect();
    let addresses = match addresses.is_empty() {
        true => "no address".to_owned(),
        false => addresses.join(", "),
    };
    format!("the agent says: {name}, kernel {kernel}, {addresses}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{CardAddress, WayFuture};
    use std::sync::Mutex;
    use tokio::io::{DuplexStream, duplex};

    /// Ways with nothing but an agent's channel.
    struct Channel(Mutex<Option<DuplexStream>>);

    impl WaysIn for Channel {
        fn addresses(&self) -> Vec<Option<CardAddress>> {
            Vec::new()
        }

        fn connect(&self, _port: u16) -> WayFuture {
            Box::pin(async { Err("there is no network".to_owned()) })
        }

        fn sockets(&self) -> std::path::PathBuf {
            "/nonexistent".into()
        }

        fn agent(&self) -> WayFuture {
            let stream = self.0.lock().unwrap().take().unwrap();
            Box::pin(async move { Ok(Box::new(stream) as Box<dyn GuestStream>) })
        }
    }

    /// An agent that first says `stale`, and answers each command with what the function says.
    async fn asked(
        stale: &'static [u8],
        answer: impl Fn(&str) -> String + Send + 'static,
    ) -> Result<String, String> {
        let (ours, theirs) = duplex(1 << 20);
        let machine = tokio::spawn(async move {
            let mut channel = BufReader::new(theirs);
            let _ = channel.get_mut().write_all(stale).await;
            let mut line = Vec::new();
            while channel
                .read_until(b'\n', &mut line)
                .await
                .is_ok_and(|count| count > 0)
            {
                let text: Vec<u8> = line.drain(..).filter(|byte| *byte != DELIMITER).collect();
                let question: Value = serde_json::from_slice(&text).unwrap();
                let command = question["execute"].as_str().unwrap();
                let said = if command == "guest-sync-delimited" {
                    let _ = channel.get_mut().write_all(&[DELIMITER]).await;
                    json!({ "return": question["arguments"]["id"] }).to_string()
                } else {
                    answer(command)
                };
                let _ = channel
                    .get_mut()
                    .write_all(format!("{said}\n").as_bytes())
                    .await;
            }
        });
        let told = ask(&Channel(Mutex::new(Some(ours)))).await;
        machine.abort();
        told
    }

    fn good(command: &str) -> String {
        match command {
            "guest-ping" => json!({ "return": {} }),
            "guest-get-osinfo" => json!({ "return": {
                "pretty-name": "Debian GNU/Linux 12 (bookworm)", "kernel-release": "6.1.0", "id": "debian" } }),
            _ => json!({ "return": [
                { "name": "lo", "ip-addresses": [{ "ip-address": "127.0.0.1", "prefix": 8, "ip-address-type": "ipv4" }] },
                { "name": "ens2", "hardware-address": "52:54:00:12:34:56",
                  "ip-addresses": [{ "ip-address": "10.0.2.15", "prefix": 24, "ip-address-type": "ipv4" }] },
                { "name": "ens3" } ] }),
        }
        .to_string()
    }

    #[tokio::test]
    async fn the_agent_says_what_it_is_whatever_was_left_in_its_channel() {
        for stale in [
            &b""[..],
            b"{\"return\": 1}\n",
            b"\xff{\"return\": 2}\n{\"ret",
        ] {
            let told = asked(stale, good).await.unwrap();
            assert_eq!(
                told,
                "the agent says: Debian GNU/Linux 12 (bookworm), kernel 6.1.0, ens2 10.0.2.15/24"
            );
        }
    }

    /// Longer than it may be told, with what clears a terminal and begins another line.
    fn loud() -> String {
        format!("\u{1b}[2J\n{}", "x".repeat(10_000))
    }

    #[tokio::test]
    async fn what_the_agent_says_is_told_bounded_and_harmless() {
        let short = format!("[2J{}…", "x".repeat(SAID_MAX - 3));
        let told = asked(b"", |command| {
            match command {
                "guest-ping" => json!({ "return": {} }),
                "guest-get-osinfo" => {
                    json!({ "return": { "pretty-name": loud(), "kernel-release": loud() } })
                }
                _ => json!({ "return": [{ "name": loud(),
                    "ip-addresses": [{ "ip-address": "10.0.2.15", "prefix": 24 }] }] }),
            }
            .to_string()
        });
        assert_eq!(
            told.await.unwrap(),
            format!("the agent says: {short}, kernel {short}, {short} 10.0.2.15/24")
        );
        let refused = asked(b"", |_| json!({ "error": { "desc": loud() } }).to_string());
        let reason = refused.await.unwrap_err();
        assert!(
            reason.ends_with(&format!("it refused: {short}")),
            "{reason}"
        );
        let wrong = asked(b"", |_| json!({ "return": loud() }).to_string());
        let reason = wrong.await.unwrap_err();
        assert!(
            reason.contains("cannot be read") && reason.chars().count() < 2 * SAID_MAX,
            "{reason}"
        );
    }

    #[tokio::test]
    async fn an_agent_that_refuses_or_talks_without_end_is_no_answer() {
        let refused = asked(b"", |_| {
            json!({ "error": { "class": "GenericError", "desc": "not today" } }).to_string()
        });
        let reason = refused.await.unwrap_err();
        assert!(
            reason.contains("guest-ping") && reason.contains("not today"),
            "{reason}"
        );
        let endless = asked(b"", |_| "x".repeat(300_000)).await.unwrap_err();
        assert!(endless.contains("too long"), "{endless}");
        let broken = asked(b"", |_| "[]".to_owned()).await.unwrap_err();
        assert!(broken.contains("says nothing"), "{broken}");
    }
}
