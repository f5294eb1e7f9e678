//! What people read: one HTML file, with nothing outside of it, made for paper as for the screen.
//!
//! Everything that comes from a machine or an operator is escaped by the template engine; only the
//! picture of the screen and the lines of a trend are made here. A language is a file of words; a
//! word that it does not know is shown as it is.

mod words;

use crate::{Language, Report, Runbook, Sealed, Trend, TrendRow};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context, value::Serde};
use words::Words;

const STYLE: &str = include_str!("../templates/style.css");
const REPORT: &str = include_str!("../templates/report.html");
const TREND: &str = include_str!("../templates/trend.html");
const RUNBOOK: &str = include_str!("../templates/runbook.html");
/// A trend's drawing, in units of its own.
const WIDTH: u64 = 600;
const HEIGHT: u64 = 60;

/// Why a page cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HtmlError {
    /// A template does not fit the data.
    #[error("the page cannot be made: {0:#}")]
    Template(#[from] minijinja::Error),
    /// A language's words cannot be read.
    #[error("the words of the language cannot be read: {0}")]
    Words(#[from] toml::de::Error),
}

/// The picture of the screen, for the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Screenshot {
    /// The PNG file, as the report vouches for it.
    Png(Vec<u8>),
    /// It is not there or was changed: why.
    Missing(String),
    /// None was taken.
    None,
}

impl Screenshot {
    /// The picture that a report names, out of the bytes that are kept now; they are shown only when
    /// they are those that the report vouches for.
    pub fn of(report: &Report, kept: Result<Vec<u8>, String>) -> Self {
        let Some(name) = &report.content.screenshot else {
            return Self::None;
        };
        let vouched = report
            .content
            .evidence
            .iter()
            .find(|file| file.name == *name);
        match (kept, vouched) {
            (Ok(bytes), Some(file)) if crate::Digest::of(&bytes) == file.blake3 => Self::Png(bytes),
            (Ok(_), _) => {
                Self::Missing("it is not the file that the report vouches for".to_owned())
            }
            (Err(reason), _) => Self::Missing(reason),
        }
    }
}

/// The page of a report.
///
/// # Errors
/// When a template does not fit the data, which tests rule out.
pub fn report(
    sealed: &Sealed,
    key: &crate::PublicKey,
    screenshot: &Screenshot,
    language: Language,
) -> Result<String, HtmlError> {
    let (picture, picture_missing) = match screenshot {
        Screenshot::Png(bytes) => (
            Some(format!("data:image/png;base64,{}", STANDARD.encode(bytes))),
            None,
        ),
        Screenshot::Missing(reason) => (None, Some(reason.as_str())),
        Screenshot::None => (None, None),
    };
    let report = &sealed.report;
    let content = &report.content;
    let zero = content
        .interruption
        .as_ref()
        .map_or(content.requested_at, |interruption| interruption.at);
    let offsets: Vec<i64> = content
        .timeline
        .iter()
        .map(|event| event.at.as_millisecond() - zero.as_millisecond())
        .collect();
    let longest = content
        .phases
        .iter()
        .map(|phase| phase.began_ms + phase.duration_ms)
        .max();
    let context = context! {
        report => Serde(report),
        content => Serde(content),
        digest => sealed.head.digest.to_string(),
        key => key.to_string(),
        picture,
        picture_missing,
        offsets,
        whole_ms => longest.unwrap_or(0).max(1),
    };
    render("report.html", REPORT, language, context)
}

/// The page of a trend.
///
/// # Errors
/// When a template does not fit the data, which tests rule out.
pub fn trend(trend: &Trend, language: Language) -> Result<String, HtmlError> {
    let context = context! {
        rows => Serde(&trend.rows),
        passed => trend.passed(),
        rto => line(&trend.rows, |row| row.rto_ms),
        rpo => line(&trend.rows, |row| row.rpo_worst_ms),
        width => WIDTH,
        height => HEIGHT,
    };
    render("trend.html", TREND, language, context)
}

/// The page of a runbook.
///
/// # Errors
/// When a template does not fit the data, which tests rule out.
pub fn runbook(runbook: &Runbook, language: Language) -> Result<String, HtmlError> {
    let context = context! {
        runbook => Serde(runbook),
        steps => Serde(runbook.steps()),
    };
    render("runbook.html", RUNBOOK, language, context)
}

fn render(
    name: &str,
    template: &str,
    language: Language,
    values: Value,
) -> Result<String, HtmlError> {
    let words = Words::of(language)?;
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let told = words.clone();
    environment.add_function("t", move |name: &str| told.sentence(name));
    let shown = words.clone();
    environment.add_filter("word", move |name: &str| shown.word(name));
    let spoken = words.clone();
    environment.add_filter("duration", move |milliseconds: Option<i64>| {
        milliseconds.map_or_else(|| spoken.word("unknown"), words::duration)
    });
    let dated = words.clone();
    environment.add_filter("time", move |at: Option<String>| {
        at.map_or_else(|| dated.word("unknown"), |at| words::time(&at))
    });
    environment.add_filter("bytes", move |bytes: Option<u64>| {
        bytes.map_or_else(|| words.word("unknown"), words::bytes)
    });
    environment.add_template("style.css", STYLE)?;
    environment.add_template(name, template)?;
    let context = context! { lang => language.tag(), ..values };
    Ok(environment.get_template(name)?.render(context)?)
}

/// The points of a line over the reports; those without a value interrupt it.
fn line(rows: &[TrendRow], value: impl Fn(&TrendRow) -> Option<u64>) -> Value {
    let most = rows.iter().filter_map(&value).max().unwrap_or(0).max(1);
    let last = (rows.len().max(2) - 1) as u64;
    let mut pieces: Vec<Vec<(u64, u64)>> = vec![Vec::new()];
    for (index, row) in rows.iter().enumerate() {
        match value(row) {
            Some(value) => {
                let x = WIDTH * index as u64 / last;
                let y = HEIGHT
                    - u64::try_from(u128::from(HEIGHT) * u128::from(value) / u128::from(most))
                        .unwrap_or(HEIGHT);
                pieces.last_mut().expect("there is one").push((x, y));
            }
            None => pieces.push(Vec::new()),
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    let text = |piece: &Vec<(u64, u64)>| {
        let points: Vec<String> = piece.iter().map(|(x, y)| format!("{x},{y}")).collect();
        points.join(" ")
    };
    let lines: Vec<String> = pieces.iter().map(text).collect();
    let dots: Vec<(u64, u64)> = pieces.into_iter().flatten().collect();
    context! { lines, dots => Serde(dots), most => if rows.iter().any(|row| value(row).is_some()) { Some(most) } else { None } }
}

#[cfg(test)]
mod tests;
