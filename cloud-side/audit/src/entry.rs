//! What one entry says.
//!
//! Invariant: every text has a bound, so no client can make an entry longer than a line may be. What
//! is longer is cut, and the cut is seen. There is no place for a body or a secret.

use bcdr_report::Digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Characters of a name, an id or an address.
const NAME_MAX: usize = 128;
/// Characters of what is said in words.
const DETAIL_MAX: usize = 512;
/// How many fields of a request are kept.
const CHANGES_MAX: usize = 20;
/// Characters of the name of such a field.
const FIELD_MAX: usize = 32;

/// One entry, in its place of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place: the first is 1, and there are no gaps.
    pub sequence: u64,
    /// The first entry that was written in one go with it: those before were durable by then.
    pub append: u64,
    /// When it was written, by the wall clock; a clock that was set back shows here.
    pub at: Timestamp,
    /// What it says.
    #[serde(flatten)]
    pub said: Draft,
}

/// What an entry says, before it has its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// Who did it.
    pub actor: Actor,
    /// Where a request came from; none for what the product did by itself.
    pub source: Option<String>,
    /// The id of the token that a request was made with, or one that stands for the session.
    pub session: Option<String>,
    /// The operation of the API by its `operationId`, or the name of what the product did.
    pub action: String,
    /// What it was done to.
    pub object: Option<Object>,
    /// What came of it.
    pub outcome: Outcome,
    /// The HTTP status of the answer; none before there is one.
    pub status: Option<u16>,
    /// The code of the problem that was answered.
    pub code: Option<String>,
    /// The id of the request.
    pub request: Option<String>,
    /// A digest of the idempotency key that came with it.
    pub idempotency: Option<Digest>,
    /// The entry with which this action began.
    pub began: Option<u64>,
    /// How many alike this entry stands for; 1 for one.
    pub count: u64,
    /// Fields of the request that say in short what was asked for.
    pub changes: BTreeMap<String, String>,
    /// More about it, in words.
    pub detail: Option<String>,
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// What kind of actor it is.
    pub kind: ActorKind,
    /// Its id, where it has one that a change of its name does not change.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
}

/// A kind of actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person with an account.
    User,
    /// Whoever holds a token.
    Token,
    /// The product itself.
    System,
    /// A client that did not prove who it is.
    Unknown,
}

impl ActorKind {
    /// Its name in entries and filters.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Token => "token",
            Self::System => "system",
            Self::Unknown => "unknown",
        }
    }
}

/// What something was done to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// What it is, such as `group`.
    pub kind: String,
    /// Its id or name, as the request had it; none while it has none.
    pub id: Option<String>,
}

/// What came of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is about to be carried out; another entry says how it ended.
    Begun,
    /// It was allowed, and done or taken on.
    Allowed,
    /// It was refused.
    Refused,
    /// It was allowed, and failed.
    Failed,
    /// The process ended before it was known.
    Unknown,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Begun,
        Self::Allowed,
        Self::Refused,
        Self::Failed,
        Self::Unknown,
    ];

    /// Its name in entries and filters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

impl Draft {
    /// An entry about `action` by `actor` and nothing else yet.
    pub fn new(actor: Actor, action: &str, outcome: Outcome) -> Self {
        Self {
            actor,
            source: None,
            session: None,
            action: action.to_owned(),
            object: None,
            outcome,
            status: None,
            code: None,
            request: None,
            idempotency: None,
            began: None,
            count: 1,
            changes: BTreeMap::new(),
            detail: None,
        }
    }

    /// The same, with every text cut to its bound.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let short = |text: &mut Option<String>| {
            if let Some(text) = text {
                cut(text, NAME_MAX);
            }
        };
        for text in [
            &mut self.actor.id,
            &mut self.source,
            &mut self.session,
            &mut self.code,
            &mut self.request,
        ] {
            short(text);
        }
        cut(&mut self.actor.name, NAME_MAX);
        cut(&mut self.action, NAME_MAX);
        if let Some(object) = &mut self.object {
            cut(&mut object.kind, NAME_MAX);
            short(&mut object.id);
        }
        if let Some(detail) = &mut self.detail {
            cut(detail, DETAIL_MAX);
        }
        let changes = std::mem::take(&mut self.changes);
        self.changes = changes
            .into_iter()
            .take(CHANGES_MAX)
            .map(|(mut name, mut value)| {
                cut(&mut name, FIELD_MAX);
                cut(&mut value, NAME_MAX);
                (name, value)
            })
            .collect();
        self
    }
}

/// Cuts a text to so many characters, the last of which then shows that it was cut.
fn cut(text: &mut String, max: usize) {
    if let Some((end, _)) = text.char_indices().nth(max) {
        let last = text[..end]
            .char_indices()
            .next_back()
            .map_or(0, |(at, _)| at);
        text.truncate(last);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chained, LINE_BYTES_MAX, Line, Mark};

    #[test]
    fn the_longest_entry_fits_a_line() {
        // A control character takes six bytes as JSON, more than any other.
        let long = "\u{1}".repeat(10_000);
        let some = || Some(long.clone());
        let draft = Draft {
            actor: Actor {
                kind: ActorKind::Unknown,
                id: some(),
                name: long.clone(),
            },
            source: some(),
            session: some(),
            action: long.clone(),
            object: Some(Object {
                kind: long.clone(),
                id: some(),
            }),
            outcome: Outcome::Unknown,
            status: Some(599),
            code: some(),
            request: some(),
            idempotency: Some(Digest::of(b"")),
            began: Some(u64::MAX),
            count: u64::MAX,
            changes: (0..100)
                .map(|n| (format!("{n}{long}"), long.clone()))
                .collect(),
            detail: some(),
        };
        let entry = Entry {
            sequence: u64::MAX,
            append: u64::MAX,
            at: Timestamp::MIN,
            said: draft.bounded(),
        };
        let before = Mark::beginning("ins-1");
        let line = Line::Entry(Chained::after(&before, entry)).to_text();
        assert!(line.len() < LINE_BYTES_MAX, "{}", line.len());
        assert!(Line::parse(line.as_bytes()).is_ok());
    }

    #[test]
    fn a_text_that_was_cut_shows_it_and_others_stay() {
        let mut text = "é".repeat(NAME_MAX);
        cut(&mut text, NAME_MAX);
        assert_eq!(text, "é".repeat(NAME_MAX));
        text.push('x');
        cut(&mut text, NAME_MAX);
        assert_eq!(text, format!("{}…", "é".repeat(NAME_MAX - 1)));
    }
}
