//! The words of a line of GRUB's shell.
//!
//! Invariant: a line makes no more than [`WORDS_MAX`] words with [`LINE_MAX`] bytes together, whatever
//! its variables hold, and what it makes is charged to the budget.

use crate::disk::{Bound, Budget};
use std::collections::BTreeMap;

/// The most words that a line may make. A command line of the kernel has some hundred at most.
const WORDS_MAX: usize = 4096;
/// The most bytes that a line may make.
const LINE_MAX: usize = 256 * 1024;

/// The words of a line as they come.
struct Line<'a> {
    words: Vec<String>,
    word: Option<String>,
    bytes: usize,
    budget: &'a Budget,
}

impl Line<'_> {
    fn push(&mut self, text: &str) -> Result<(), Bound> {
        self.bytes += text.len();
        if self.bytes > LINE_MAX {
            let reason = "a line of the boot loader's configuration makes too long a command";
            return Err(self.budget.hit(reason));
        }
        self.word.get_or_insert_default().push_str(text);
        Ok(())
    }

    fn end_word(&mut self) -> Result<(), Bound> {
        if let Some(word) = self.word.take() {
            if self.words.len() == WORDS_MAX {
                let reason = "a line of the boot loader's configuration makes too many words";
                return Err(self.budget.hit(reason));
            }
            self.words.push(word);
        }
        Ok(())
    }

    /// Adds a variable's value; outside of quotes it is split at blanks.
    fn push_value(&mut self, value: &str, quoted: bool) -> Result<(), Bound> {
        for (index, part) in value.split(|blank| !quoted && blank == ' ').enumerate() {
            if index > 0 {
                self.end_word()?;
            }
            self.push(part)?;
        }
        Ok(())
    }
}

/// Splits a line into words: quotes, backslashes, variables and comments as the shell has them. A
/// variable that is not known is nothing.
pub(super) fn split(
    text: &str,
    variables: &BTreeMap<String, String>,
    budget: &Budget,
) -> Result<Vec<String>, Bound> {
    let mut line = Line {
        words: Vec::new(),
        word: None,
        bytes: 0,
        budget,
    };
    let mut quote = None;
    let mut rest = text.chars().peekable();
    let mut buffer = [0; 4];
    while let Some(character) = rest.next() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                line.push("")?;
            }
            (None | Some('"'), '\\') => {
                if let Some(next) = rest.next() {
                    line.push(next.encode_utf8(&mut buffer))?;
                }
            }
            (None | Some('"'), '$') => {
                let name = variable(&mut rest);
                let value = variables.get(&name).map(String::as_str).unwrap_or_default();
                if quote.is_some() || !value.is_empty() {
                    line.push_value(value, quote.is_some())?;
                }
            }
            (None, '#') if line.word.is_none() => break,
            (None, ' ' | '\t' | ';') => line.end_word()?,
            (_, other) => line.push(other.encode_utf8(&mut buffer))?,
        }
    }
    line.end_word()?;
    budget.keep((line.bytes + line.words.len() * size_of::<String>()) as u64)?;
    Ok(line.words)
}

fn variable(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut name = String::new();
    if rest.next_if_eq(&'{').is_some() {
        for character in rest.by_ref() {
            if character == '}' {
                break;
            }
            name.push(character);
        }
        return name;
    }
    while let Some(character) =
        rest.next_if(|next| next.is_ascii_alphanumeric() || matches!(next, '_' | '?'))
    {
        name.push(character);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    #[test]
    fn variables_that_make_more_and_more_are_a_bound_and_not_all_memory() {
        let budget = Budget::new(Limits::default());
        let blanks = BTreeMap::from([("a".to_owned(), "x ".repeat(2048))]);
        let line = "$a".repeat(1000);
        assert!(split(&line, &blanks, &budget).is_err());
        let long = BTreeMap::from([("a".to_owned(), "x".repeat(4096))]);
        assert!(split(&line, &long, &budget).is_err());
        assert_eq!(budget.hits().len(), 2);
    }

    #[test]
    fn words_are_those_of_the_shell() {
        let variables = BTreeMap::from([("opts".to_owned(), "a b".to_owned())]);
        let budget = Budget::new(Limits::default());
        let split = |line| split(line, &variables, &budget).unwrap();
        assert_eq!(
            split("  linux\t/vmlinuz ro # no"),
            ["linux", "/vmlinuz", "ro"]
        );
        assert_eq!(
            split("menuentry 'A b' \"c$opts\" {"),
            ["menuentry", "A b", "ca b", "{"]
        );
        assert_eq!(split("x ${opts} $none y"), ["x", "a", "b", "y"]);
        assert_eq!(split(r"a\ b ''"), ["a b", ""]);
    }
}
