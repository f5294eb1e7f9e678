//! `--watch`: the same thing shown again and again, until Ctrl-C.
//!
//! A thread looks and the main one shows, so that Ctrl-C is heard while an answer is awaited. On a
//! terminal the screen is drawn anew ([`screen`]); elsewhere only what changed is appended
//! ([`changes`]). A cloud side that does not answer for a while is waited for, and it is said that what
//! is shown is old.

mod changes;
mod screen;

use super::{
    Failure,
    client::Client,
    document::Document,
    failure::Delivery,
    global::Session,
    interrupt,
    output::{Form, Output, Reader},
    progress::Progress,
    table::{self, Shown},
};
use changes::Changes;
use clap::Args;
use screen::Screen;
use serde::de::DeserializeOwned;
use std::{
    io::{self, IsTerminal},
    sync::mpsc::sync_channel,
    thread,
    time::Duration,
};

/// The shortest time between two looks: more would only be load.
const PACE_MIN: Duration = Duration::from_millis(500);

/// Whether something is shown once, or again and again.
#[derive(Debug, Args)]
pub(super) struct WatchArgument {
    /// Show it again every 2 seconds, or every TIME, until Ctrl-C: drawn anew on a terminal, elsewhere
    /// what changed is appended
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2s",
        value_parser = pace
    )]
    watch: Option<Duration>,
}

/// Reads the time between two looks.
fn pace(text: &str) -> Result<Duration, String> {
    let pace = super::arguments::duration(text)?;
    match pace < PACE_MIN {
        true => Err("look every 500ms at most".to_owned()),
        false => Ok(pace),
    }
}

enum News {
    Looked(Result<Document, Failure>),
    Interrupted,
}

impl WatchArgument {
    /// Shows what `look` finds.
    ///
    /// # Errors
    /// When it cannot be looked at: for a watch, when that was so at once or is not expected to pass.
    pub(super) fn show<T: DeserializeOwned, S: Shown>(
        &self,
        session: &Session,
        look: impl Fn(&Client) -> Result<Document, Failure> + Send + 'static,
        table: impl Fn(&T) -> S,
    ) -> Result<(), Failure> {
        let Some(pace) = self.watch else {
            return session.output.show(&look(&session.client)?, table);
        };
        let (to, news) = sync_channel(1);
        interrupt::tell(to.clone(), News::Interrupted)?;
        let client = session.client.clone();
        thread::spawn(move || {
            // Ends with whoever is shown it.
            while to.send(News::Looked(look(&client))).is_ok() {
                thread::sleep(pace);
            }
        });
        let mut place = Place::of(session.output);
        let mut outage = Outage::default();
        for news in news {
            let reader = match news {
                News::Interrupted => return Ok(()),
                News::Looked(Ok(document)) => {
                    if outage.ends() {
                        place.back(&session.progress);
                    }
                    place.show(session.output, &document, &table)?
                }
                News::Looked(Err(failure)) => match outage.begins(failure)? {
                    Some(said) => place.lost(&session.progress, &said)?,
                    None => Reader::There,
                },
            };
            if reader == Reader::Gone {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Whether the cloud side answers.
#[derive(Default)]
struct Outage {
    was_seen: bool,
    is_lost: bool,
}

impl Outage {
    /// It answered. Says whether it had not before.
    fn ends(&mut self) -> bool {
        self.was_seen = true;
        std::mem::take(&mut self.is_lost)
    }

    /// It did not. Says what to tell, once for each outage; what will not pass ends the watch.
    fn begins(&mut self, failure: Failure) -> Result<Option<String>, Failure> {
        if !self.was_seen || failure.delivery() == Delivery::Answered {
            return Err(failure);
        }
        let is_news = !std::mem::replace(&mut self.is_lost, true);
        let said = || format!("{failure}; what is shown is old, still watching");
        Ok(is_news.then(|| table::plain(&said())))
    }
}

/// Where it is shown.
enum Place {
    Screen(Screen),
    Lines(Changes),
}

impl Place {
    fn of(output: Output) -> Self {
        // Lines of JSON are for programs, also when somebody looks on.
        match io::stdout().is_terminal() && output.form() != Form::Jsonl {
            true => Self::Screen(Screen::new()),
            false => Self::Lines(Changes::default()),
        }
    }

    fn show<T: DeserializeOwned, S: Shown>(
        &mut self,
        output: Output,
        document: &Document,
        table: impl FnOnce(&T) -> S,
    ) -> Result<Reader, Failure> {
        let text = output.render(document, table)?;
        let text = match self {
            Self::Screen(screen) => screen.draw(text, jiff::Timestamp::now()),
            Self::Lines(changes) => changes.of(output.form(), text),
        };
        output.write(&text)
    }

    /// Says that nothing new is seen, and why.
    fn lost(&self, progress: &Progress, said: &str) -> Result<Reader, Failure> {
        match self {
            Self::Screen(screen) => Output::new(Form::Table).write(&screen.mark(said)),
            Self::Lines(_) => {
                progress.event(said);
                Ok(Reader::There)
            }
        }
    }

    /// Says that it is seen again; on a screen, the next drawing does.
    fn back(&self, progress: &Progress) {
        if let Self::Lines(_) = self {
            progress.event("the cloud side answers again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit;

    #[test]
    fn an_outage_is_told_once_and_what_will_not_pass_ends_the_watch() {
        let passing = || Failure::error("nothing listens").delivered(Delivery::NotSent);
        let mut outage = Outage::default();
        assert!(outage.begins(passing()).is_err(), "it was never there");
        assert!(!outage.ends());
        let said = outage.begins(passing()).unwrap().unwrap();
        assert!(
            said.contains("nothing listens") && said.contains("old"),
            "{said}"
        );
        assert_eq!(outage.begins(passing()).unwrap(), None);
        assert!(outage.ends() && !outage.ends());
        assert!(outage.begins(passing()).unwrap().is_some());
        let gone = Failure::new(exit::NOT_FOUND, "there is no group lab");
        assert_eq!(outage.begins(gone).unwrap_err().code(), exit::NOT_FOUND);
    }

    #[test]
    fn nobody_is_asked_more_often_than_is_of_use() {
        assert_eq!(pace("2s").unwrap(), Duration::from_secs(2));
        assert!(pace("0s").unwrap_err().contains("500ms"));
        assert!(pace("2").unwrap_err().contains("such as 90s"));
    }
}
