//! A connection to a PostgreSQL server over its unix socket: simple queries, one at a time.
//!
//! A test needs to know just when COMMIT was sent and when it was acknowledged, and whether an answer
//! came at all; so this speaks the protocol itself. It knows no passwords and no parameters.

use crate::end_to_end::lab::PATIENCE;
use std::{
    io::{self, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

/// The user and the database of every connection; `initdb` makes both.
pub const NAME: &str = "postgres";
/// The name of the server's socket in its directory; the number is that of PostgreSQL's usual port.
const SOCKET: &str = ".s.PGSQL.5432";
/// No message of these tests is longer, in bytes.
const MESSAGE_MAX: usize = 16 << 20;
const PROTOCOL_3_0: i32 = 196_608;

/// Why a query has no answer.
#[derive(Debug)]
pub enum QueryError {
    /// The connection broke: whether the query was carried out is not known.
    Lost(io::Error),
    /// The server said no, and goes on.
    Refused(String),
}

impl std::fmt::Display for QueryError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lost(error) => write!(formatter, "the connection to PostgreSQL broke: {error}"),
            Self::Refused(said) => write!(formatter, "PostgreSQL refused: {said}"),
        }
    }
}

impl std::error::Error for QueryError {}

impl From<io::Error> for QueryError {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

/// What a query gave.
#[derive(Debug, Default)]
pub struct Answer {
    /// Its rows, each value as text; a NULL is empty.
    pub rows: Vec<Vec<String>>,
    /// What the server says it has done, of the last statement: `COMMIT`, `INSERT 0 1`.
    pub done: String,
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the server that listens in `sockets`.
    ///
    /// # Errors
    /// When nobody listens there, or the server is not ready to take queries.
    pub fn connect(sockets: &Path) -> Result<Self, QueryError> {
        let stream = UnixStream::connect(sockets.join(SOCKET))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut client = Self {
            stream: BufReader::new(stream),
        };
        let mut hello = PROTOCOL_3_0.to_be_bytes().to_vec();
        for text in ["user", NAME, "database", NAME, ""] {
            hello.extend(text.as_bytes());
            hello.push(0);
        }
        client.send(None, &hello)?;
        client.answer()?;
        Ok(client)
    }

    /// Runs statements and waits for the answer to the last of them.
    ///
    /// # Errors
    /// When the connection breaks or the server refuses.
    pub fn query(&mut self, statements: &str) -> Result<Answer, QueryError> {
        let mut text = statements.as_bytes().to_vec();
        text.push(0);
        self.send(Some(b'Q'), &text)?;
        self.answer()
    }

    fn send(&mut self, kind: Option<u8>, body: &[u8]) -> io::Result<()> {
        let length = i32::try_from(body.len() + 4).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut message = Vec::from_iter(kind);
        message.extend(length.to_be_bytes());
        message.extend(body);
        self.stream.get_mut().write_all(&message)
    }

    /// Takes messages until the server waits for the next query.
    fn answer(&mut self) -> Result<Answer, QueryError> {
        let mut answer = Answer::default();
        let mut refused = None;
        loop {
            let (kind, body) = self.receive()?;
            match kind {
                b'R' if body != [0; 4] => {
                    let text = "it asks for a password: run initdb with --auth=trust";
                    return Err(QueryError::Refused(text.to_owned()));
                }
                b'D' => answer.rows.push(row(&body)?),
                b'C' => answer.done = text(body.strip_suffix(b"\0").unwrap_or(&body)),
                b'E' => {
                    let (ends, said) = complaint(&body);
                    // After it the server hangs up: it is ending, or not ready yet.
                    if ends {
                        return Err(QueryError::Lost(io::Error::other(said)));
                    }
                    refused = Some(said);
                }
                b'Z' => return refused.map_or(Ok(answer), |said| Err(QueryError::Refused(said))),
                // Parameters, keys, descriptions of rows and notices.
                _ => {}
            }
        }
    }

    fn receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = usize::try_from(i32::from_be_bytes(length))
            .ok()
            .and_then(|length| length.checked_sub(4))
            .filter(|length| *length <= MESSAGE_MAX)
            .ok_or_else(|| io::Error::other("a message of impossible length"))?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((kind, body))
    }
}

fn row(body: &[u8]) -> io::Result<Vec<String>> {
    let torn = || io::Error::other("a row that ends too early");
    let (count, mut rest) = body.split_first_chunk().ok_or_else(torn)?;
    let mut values = Vec::new();
    for _ in 0..i16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk().ok_or_else(torn)?;
        // A NULL has the length -1.
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        let (value, after) = after.split_at_checked(length).ok_or_else(torn)?;
        values.push(text(value));
        rest = after;
    }
    Ok(values)
}

/// Whether an error ends the connection, and what it says. Its fields are a letter and a text each.
fn complaint(body: &[u8]) -> (bool, String) {
    let fields: Vec<_> = body
        .split(|byte| *byte == 0)
        .filter_map(|field| field.split_first())
        .collect();
    let field = |letter: u8| {
        let found = fields.iter().find(|(kind, _)| **kind == letter);
        found.map_or_else(String::new, |(_, value)| text(value))
    };
    let ends = ["FATAL", "PANIC"].contains(&field(b'V').as_str());
    (ends, format!("{} ({})", field(b'M'), field(b'C')))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
