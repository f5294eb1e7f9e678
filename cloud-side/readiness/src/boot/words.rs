//! The words of a line of GRUB's shell.

use std::collections::BTreeMap;

/// The longest word that variables may make.
const WORD_MAX: usize = 65_536;

/// Splits a line into words: quotes, backslashes, variables and comments as the shell has them. A
/// variable that is not known is nothing.
pub(super) fn split(line: &str, variables: &BTreeMap<String, String>) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = line.chars().peekable();
    while let Some(character) = rest.next() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                if let Some(next) = rest.next() {
                    word.get_or_insert_default().push(next);
                }
            }
            (None | Some('"'), '$') => {
                let name = variable(&mut rest);
                let value = variables.get(&name).map(String::as_str).unwrap_or_default();
                if quote.is_some() || !value.is_empty() {
                    push_value(&mut word, &mut words, value, quote.is_some());
                }
            }
            (None, '#') if word.is_none() => break,
            (None, ' ' | '\t' | ';') => words.extend(word.take()),
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// Adds a variable's value; outside of quotes it is split at blanks.
fn push_value(word: &mut Option<String>, words: &mut Vec<String>, value: &str, quoted: bool) {
    for (index, part) in value.split(|blank| !quoted && blank == ' ').enumerate() {
        if index > 0 {
            words.extend(word.take());
        }
        let word = word.get_or_insert_default();
        if word.len() + part.len() <= WORD_MAX {
            word.push_str(part);
        }
    }
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

    #[test]
    fn words_are_those_of_the_shell() {
        let variables = BTreeMap::from([("opts".to_owned(), "a b".to_owned())]);
        let split = |line| split(line, &variables);
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
