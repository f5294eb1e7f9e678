//! A small client of QMP, QEMU's control protocol: lines of JSON over a unix socket.
//!
//! Invariant: every wait has a deadline, and a client whose stream can no longer be trusted (a
//! half-written command, a line that is too long) refuses all further commands. It knows no QEMU
//! command beyond the handshake.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

/// Longest line taken from QEMU, in bytes.
const LINE_BYTES_MAX: usize = 4 << 20;
/// Most events kept; older ones are dropped.
const EVENTS_MAX: usize = 256;
/// Bytes read in one step.
const READ_BYTES: usize = 16 * 1024;

/// Something QEMU announced on its own.
#[derive(Clone, Debug, PartialEq)]
pub struct QmpEvent {
    /// Its name, such as `SHUTDOWN`.
    pub name: String,
    /// What it carries.
    pub data: Value,
}

/// Why a control command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QmpError {
    /// The control socket cannot be reached.
    #[error("cannot connect to the control socket {path}: {source}", path = path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// QEMU closed the connection: it ended, or another client took it.
    #[error("QEMU closed its control connection")]
    Closed,
    /// Reading or writing failed.
    #[error("the control connection failed: {0}")]
    Stream(#[source] io::Error),
    /// There was no answer in time.
    #[error("no answer to {command} within {} s", limit.as_secs_f64())]
    Deadline {
        /// The command.
        command: String,
        /// How long was waited.
        limit: Duration,
    },
    /// QEMU refused the command.
    #[error("QEMU refused {command}: {class}: {description}")]
    Refused {
        /// The command.
        command: String,
        /// QEMU's class of the error.
        class: String,
        /// QEMU's words.
        description: String,
    },
    /// QEMU sent something that is not QMP.
    #[error("QEMU sent {what} on its control connection")]
    Malformed {
        /// What was wrong.
        what: &'static str,
    },
}

/// A connection to one QEMU process.
#[derive(Debug)]
pub struct QmpClient {
    stream: UnixStream,
    buffer: Vec<u8>,
    events: VecDeque<QmpEvent>,
    next_id: u64,
    /// Whether the stream is still at a boundary between messages, in both directions.
    intact: bool,
}

impl QmpClient {
    /// Connects once and completes the handshake.
    ///
    /// # Errors
    /// When there is no listener, or the handshake fails or takes longer than `limit`.
    pub async fn connect(path: &Path, limit: Duration) -> Result<Self, QmpError> {
        within("the handshake", limit, async {
            let stream = UnixStream::connect(path)
                .await
                .map_err(|source| QmpError::Connect {
                    path: path.to_owned(),
                    source,
                })?;
            let mut client = Self {
                stream,
                buffer: Vec::new(),
                events: VecDeque::new(),
                next_id: 1,
                intact: true,
            };
            let greeting = client.next_message().await?;
            if !greeting.contains_key("QMP") {
                return Err(QmpError::Malformed {
                    what: "no QMP greeting",
                });
            }
            client.exchange("qmp_capabilities", None).await?;
            Ok(client)
        })
        .await
    }

    /// Runs a command and returns its answer.
    ///
    /// # Errors
    /// When QEMU refuses, is gone, or does not answer within `limit`. After a deadline a late answer
    /// is skipped, and the client stays usable.
    pub async fn execute(
        &mut self,
        command: &str,
        arguments: Option<Value>,
        limit: Duration,
    ) -> Result<Value, QmpError> {
        if !self.intact {
            return Err(QmpError::Closed);
        }
        within(command, limit, self.exchange(command, arguments)).await
    }

    /// The events since the last call, oldest first.
    pub fn take_events(&mut self) -> Vec<QmpEvent> {
        self.events.drain(..).collect()
    }

    async fn exchange(
        &mut self,
        command: &str,
        arguments: Option<Value>,
    ) -> Result<Value, QmpError> {
        let id = self.next_id;
        self.next_id += 1;
        let mut request = json!({ "execute": command, "id": id });
        if let Some(arguments) = arguments {
            request["arguments"] = arguments;
        }
        let mut line = request.to_string();
        line.push('\n');
        // If this future is dropped between the two assignments, half a command may be out.
        self.intact = false;
        self.stream
            .write_all(line.as_bytes())
            .await
            .map_err(ended)?;
        self.intact = true;
        loop {
            let mut message = self.next_message().await?;
            // Answers to commands that nobody waits for any more carry older ids.
            if message.get("id").and_then(Value::as_u64) != Some(id) {
                continue;
            }
            if let Some(answer) = message.remove("return") {
                return Ok(answer);
            }
            return Err(refusal(command, &message));
        }
    }

    /// The next message that is not an event. Dropping the future loses nothing: what was read
    /// stays in the buffer.
    async fn next_message(&mut self) -> Result<Map<String, Value>, QmpError> {
        loop {
            let line = self.next_line().await?;
            let Ok(Value::Object(mut message)) = serde_json::from_slice(&line) else {
                self.intact = false;
                return Err(QmpError::Malformed {
                    what: "a line that is no JSON object",
                });
            };
            let Some(event) = message.get("event").and_then(Value::as_str) else {
                return Ok(message);
            };
            let name = event.to_owned();
            if self.events.len() == EVENTS_MAX {
                self.events.pop_front();
            }
            let data = message.remove("data").unwrap_or(Value::Null);
            self.events.push_back(QmpEvent { name, data });
        }
    }

    async fn next_line(&mut self) -> Result<Vec<u8>, QmpError> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.buffer[searched..]
                .iter()
                .position(|byte| *byte == b'\n')
            {
                let rest = self.buffer.split_off(searched + end + 1);
                return Ok(std::mem::replace(&mut self.buffer, rest));
            }
            searched = self.buffer.len();
            if searched > LINE_BYTES_MAX {
                self.intact = false;
                return Err(QmpError::Malformed {
                    what: "a line that is too long",
                });
            }
            let mut piece = [0; READ_BYTES];
            let count = self.stream.read(&mut piece).await.map_err(ended)?;
            if count == 0 {
                self.intact = false;
                return Err(QmpError::Closed);
            }
            self.buffer.extend_from_slice(&piece[..count]);
        }
    }
}

fn refusal(command: &str, message: &Map<String, Value>) -> QmpError {
    let Some(error) = message.get("error") else {
        return QmpError::Malformed {
            what: "an answer with neither result nor error",
        };
    };
    let text = |key: &str| {
        error
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or("unnamed")
            .to_owned()
    };
    QmpError::Refused {
        command: command.to_owned(),
        class: text("class"),
        description: text("desc"),
    }
}

/// A broken connection means that the process ended; everything else is reported as it is.
fn ended(error: io::Error) -> QmpError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => QmpError::Closed,
        _ => QmpError::Stream(error),
    }
}

async fn within<T>(
    command: &str,
    limit: Duration,
    work: impl Future<Output = Result<T, QmpError>>,
) -> Result<T, QmpError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(QmpError::Deadline {
            command: command.to_owned(),
            limit,
        }),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncBufReadExt, BufReader},
        net::UnixListener,
    };

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);
    const GREETING: &str = r#"{"QMP": {"version": {}, "capabilities": []}}"#;

    /// A QEMU that sends a fixed text after each line it receives, then closes.
    async fn scripted(answers: Vec<String>) -> (tempfile::TempDir, QmpClient) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("qmp");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            write
                .write_all(format!("{GREETING}\n").as_bytes())
                .await
                .unwrap();
            lines.next_line().await.unwrap();
            write
                .write_all(b"{\"return\": {}, \"id\": 1}\n")
                .await
                .unwrap();
            for answer in answers {
                lines.next_line().await.unwrap();
                write.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let client = QmpClient::connect(&path, LIMIT).await.unwrap();
        (directory, client)
    }

    #[tokio::test]
    async fn events_before_an_answer_are_kept_for_later() {
        let answer = "{\"event\": \"STOP\", \"data\": {\"a\": 1}}\n{\"return\": 7, \"id\": 2}\n";
        let (_directory, mut client) = scripted(vec![answer.to_owned()]).await;
        assert_eq!(
            client.execute("query", None, LIMIT).await.unwrap(),
            json!(7)
        );
        let event = QmpEvent {
            name: "STOP".into(),
            data: json!({"a": 1}),
        };
        assert_eq!(client.take_events(), [event]);
        assert!(client.take_events().is_empty());
    }

    #[tokio::test]
    async fn a_refusal_names_command_class_and_words() {
        let answer = "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}, \"id\": 2}\n";
        let (_directory, mut client) = scripted(vec![answer.to_owned()]).await;
        let error = client.execute("screendump", None, LIMIT).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "QEMU refused screendump: GenericError: no"
        );
    }

    #[tokio::test]
    async fn a_late_answer_is_not_taken_for_the_next_one() {
        let second = "{\"return\": \"late\", \"id\": 2}\n{\"return\": \"right\", \"id\": 3}\n";
        let (_directory, mut client) = scripted(vec![String::new(), second.to_owned()]).await;
        let short = Duration::from_millis(1);
        let error = client.execute("slow", None, short).await.unwrap_err();
        assert!(matches!(error, QmpError::Deadline { .. }), "{error}");
        assert_eq!(
            client.execute("quick", None, LIMIT).await.unwrap(),
            json!("right")
        );
    }

    #[tokio::test]
    async fn a_process_that_ends_closes_the_connection() {
        let (_directory, mut client) = scripted(vec![]).await;
        for _ in 0..2 {
            let error = client
                .execute("query-status", None, LIMIT)
                .await
                .unwrap_err();
            assert!(matches!(error, QmpError::Closed), "{error}");
        }
    }

    #[tokio::test]
    async fn garbage_is_refused_and_the_client_given_up() {
        let (_directory, mut client) = scripted(vec!["[1, 2\n".to_owned()]).await;
        let error = client.execute("query", None, LIMIT).await.unwrap_err();
        assert!(matches!(error, QmpError::Malformed { .. }), "{error}");
        assert!(client.execute("query", None, LIMIT).await.is_err());
    }

    #[tokio::test]
    async fn a_missing_socket_is_named() {
        let error = QmpClient::connect(Path::new("/nonexistent/qmp"), LIMIT)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("/nonexistent/qmp"), "{error}");
    }
}
