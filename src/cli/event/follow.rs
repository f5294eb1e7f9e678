//! Following events: one connection after the other, as if there had been only one.
//!
//! A thread reads a connection and hands on what it hears; the main one prints it, notices silence, and
//! is told of Ctrl-C by the same channel. A thread whose connection was given up is not listened to any
//! more, and ends with it.

use super::sse::{self, Heard};
use crate::cli::{
    Failure,
    client::{Client, Path},
    document::Document,
    failure::Delivery,
    global::Session,
    interrupt,
    output::{Form, Reader},
    table::{self, Width},
};
use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

/// How long a stream may be silent; the cloud side says something every 15 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// Pause before the next connection, until the cloud side asks for another one.
const RETRY: Duration = Duration::from_secs(2);
/// Pieces of news that wait to be printed.
const NEWS_MAX: usize = 64;

enum News {
    /// Of the connection with this number.
    Of(u64, Told),
    Interrupted,
}

enum Told {
    Opened,
    Heard(Heard),
    /// It could not be opened, or broke off.
    Failed(Failure),
    /// The cloud side ended it.
    Ended,
}

/// How a connection ended.
enum End {
    /// Everything is done.
    Done,
    /// Another one is to be made, because of this.
    Lost(String),
}

/// Prints what happens, until Ctrl-C.
pub(super) fn follow(session: &Session, path: Path, after: Option<String>) -> Result<(), Failure> {
    let (to, news) = sync_channel(NEWS_MAX);
    interrupt::tell(to.clone(), News::Interrupted)?;
    let mut following = Following {
        session,
        news,
        at: after,
        retry: RETRY,
        number: 0,
        was_open: false,
        is_lost: false,
    };
    loop {
        following.number += 1;
        let connection = Connection {
            client: session.client.clone(),
            path: path.clone(),
            after: following.at.clone(),
            number: following.number,
            to: to.clone(),
        };
        thread::spawn(move || connection.listen());
        match following.connection()? {
            End::Done => return Ok(()),
            End::Lost(why) => following.tell_lost(&why),
        }
        if following.pause() {
            return Ok(());
        }
    }
}

struct Following<'a> {
    session: &'a Session,
    news: Receiver<News>,
    /// The last event that was printed.
    at: Option<String>,
    retry: Duration,
    /// Of the connection that is listened to.
    number: u64,
    was_open: bool,
    is_lost: bool,
}

impl Following<'_> {
    /// Prints what one connection brings.
    fn connection(&mut self) -> Result<End, Failure> {
        let mut heard_at = Instant::now();
        loop {
            let left = SILENCE_MAX.saturating_sub(heard_at.elapsed());
            let told = match self.news.recv_timeout(left) {
                Ok(News::Interrupted) => return Ok(End::Done),
                Ok(News::Of(number, told)) if number == self.number => told,
                Ok(News::Of(..)) => continue,
                Err(_) => {
                    let silence = humantime::format_duration(SILENCE_MAX);
                    return Ok(End::Lost(format!("nothing was heard for {silence}")));
                }
            };
            heard_at = Instant::now();
            match told {
                Told::Opened => {
                    if !std::mem::replace(&mut self.was_open, true) {
                        self.header()?;
                    }
                    if std::mem::take(&mut self.is_lost) {
                        self.session.progress.event("the cloud side answers again");
                    }
                }
                Told::Heard(Heard::Alive) => {}
                Told::Heard(Heard::Retry(after)) => self.retry = after,
                Told::Heard(Heard::Event { id, data }) => {
                    if self.print(data)? == Reader::Gone {
                        return Ok(End::Done);
                    }
                    self.at = id.or(self.at.take());
                }
                Told::Failed(failure) => {
                    let is_final = failure.delivery() == Delivery::Answered;
                    if is_final || !self.was_open {
                        return Err(failure);
                    }
                    return Ok(End::Lost(failure.to_string()));
                }
                Told::Ended => return Ok(End::Lost("the cloud side ended it".to_owned())),
            }
        }
    }

    fn header(&self) -> Result<(), Failure> {
        let output = self.session.output;
        let width = match output.form() {
            Form::Table => Width::Narrow,
            Form::Wide => Width::Wide,
            Form::Json | Form::Jsonl | Form::Yaml => return Ok(()),
        };
        output.write(&table::event::header(width)).map(drop)
    }

    fn print(&self, data: String) -> Result<Reader, Failure> {
        let event = Document::parse(data).map_err(|error| {
            Failure::error("an event is not JSON")
                .cause(error)
                .remedy("use the release of bcdr that the server runs")
        })?;
        self.session.output.append(&event, table::event::row)
    }

    /// Says once that events may be late.
    fn tell_lost(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_lost, true) {
            let said = format!("the stream of events broke off: {why}; connecting again");
            self.session.progress.event(&table::plain(&said));
        }
    }

    /// Waits before the next connection; says whether somebody ended it all meanwhile.
    fn pause(&self) -> bool {
        let end = Instant::now() + self.retry;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.news.recv_timeout(left) {
                Ok(News::Interrupted) => return true,
                Ok(News::Of(..)) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
    }
}

/// One connection.
struct Connection {
    client: Client,
    path: Path,
    after: Option<String>,
    number: u64,
    to: SyncSender<News>,
}

impl Connection {
    /// Hands on what it brings, until it ends or nobody listens.
    fn listen(self) {
        let last = match self.read() {
            Ok(Some(last)) => last,
            Ok(None) => return,
            Err(failure) => Told::Failed(failure),
        };
        self.tell(last);
    }

    fn read(&self) -> Result<Option<Told>, Failure> {
        let mut stream = self.client.stream(&self.path, self.after.as_deref())?;
        if !self.tell(Told::Opened) {
            return Ok(None);
        }
        let mut lines = sse::Lines::default();
        let broken = |error| {
            Failure::error("the connection was lost")
                .cause(error)
                .delivered(Delivery::Unknown)
        };
        while let Some(line) = sse::read_line(&mut stream).map_err(broken)? {
            if !self.tell(Told::Heard(lines.take(&line))) {
                return Ok(None);
            }
        }
        Ok(Some(Told::Ended))
    }

    /// Says whether anybody listens.
    fn tell(&self, told: Told) -> bool {
        self.to.send(News::Of(self.number, told)).is_ok()
    }
}
