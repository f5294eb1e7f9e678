//! What is appended when something that is watched changed.
//!
//! Lines of tables and of JSON are appended if they were not there at the last look; other forms are
//! whole documents, and are appended as such. What is gone is not told: that is for events.

use crate::cli::output::Form;
use std::collections::HashSet;

/// What was there at the last look.
#[derive(Debug, Default)]
pub(super) struct Changes {
    last: Option<String>,
}

impl Changes {
    /// What of this text is to be appended.
    pub(super) fn of(&mut self, form: Form, text: String) -> String {
        let last = self.last.replace(text.clone());
        let last = last.unwrap_or_default();
        match form {
            Form::Table | Form::Wide | Form::Jsonl => {
                let known: HashSet<&str> = last.lines().collect();
                let is_new = |line: &&str| !known.contains(line.trim_end_matches('\n'));
                text.split_inclusive('\n').filter(is_new).collect()
            }
            Form::Json | Form::Yaml if last == text => String::new(),
            Form::Json => text,
            Form::Yaml => format!("---\n{text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_were_there_are_not_repeated() {
        for form in [Form::Table, Form::Wide, Form::Jsonl] {
            let mut changes = Changes::default();
            let mut of = |text: &str| changes.of(form, text.to_owned());
            assert_eq!(of("NAME\n\na 1\nb 1\n"), "NAME\n\na 1\nb 1\n");
            assert_eq!(of("NAME\n\na 1\nb 1\n"), "");
            assert_eq!(of("NAME\n\nb 2\nc 1\n"), "b 2\nc 1\n");
            // What came back is news again.
            assert_eq!(of("NAME\n\na 1\nb 2\n"), "a 1\n");
        }
    }

    #[test]
    fn documents_are_repeated_as_a_whole_and_only_when_they_changed() {
        let mut changes = Changes::default();
        let mut of = |form, text: &str| changes.of(form, text.to_owned());
        assert_eq!(of(Form::Yaml, "a: 1\nb: 1\n"), "---\na: 1\nb: 1\n");
        assert_eq!(of(Form::Yaml, "a: 1\nb: 1\n"), "");
        assert_eq!(of(Form::Yaml, "a: 1\nb: 2\n"), "---\na: 1\nb: 2\n");
        assert_eq!(of(Form::Json, "{\n}\n"), "{\n}\n");
        assert_eq!(of(Form::Json, "{\n}\n"), "");
    }
}
