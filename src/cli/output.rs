//! Printing data: one document, three forms.

use super::{Failure, document::Document};
use clap::ValueEnum;
use serde::de::DeserializeOwned;
use std::io::{self, Write};

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// Aligned columns with units, for people
    Table,
    /// The API's JSON, for programs
    Json,
    /// The same as YAML
    Yaml,
}

/// Prints data on standard output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    form: Form,
}

impl Output {
    pub(super) fn new(form: Form) -> Self {
        Self { form }
    }

    /// Prints a document, for people as `table` makes it.
    pub(super) fn show<T: DeserializeOwned>(
        self,
        document: &Document,
        table: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let text = self.render(document, table)?;
        match write(&mut io::stdout().lock(), &text) {
            Ok(()) => Ok(()),
            Err(error) => Err(Failure::error("cannot write to standard output").cause(error)),
        }
    }

    fn render<T: DeserializeOwned>(
        self,
        document: &Document,
        table: impl FnOnce(&T) -> String,
    ) -> Result<String, Failure> {
        match self.form {
            Form::Table => Ok(table(&document.read()?)),
            Form::Json => Ok(document.json()),
            Form::Yaml => document.yaml(),
        }
    }
}

/// A reader that has seen enough (`| head`) is no failure.
fn write(to: &mut impl Write, text: &str) -> io::Result<()> {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed(io::ErrorKind);

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_form_shows_the_same_document() {
        let document = Document::parse(r#"{"n":1}"#.to_owned()).unwrap();
        let render = |form| {
            let table = |value: &serde_json::Value| format!("n is {}\n", value["n"]);
            Output::new(form).render(&document, table).unwrap()
        };
        assert_eq!(render(Form::Table), "n is 1\n");
        assert_eq!(render(Form::Json), "{\n  \"n\": 1\n}\n");
        assert_eq!(render(Form::Yaml), "n: 1\n");
    }

    #[test]
    fn a_reader_that_left_is_no_failure_and_a_full_disk_is() {
        assert!(write(&mut Closed(io::ErrorKind::BrokenPipe), "x").is_ok());
        assert!(write(&mut Closed(io::ErrorKind::StorageFull), "x").is_err());
    }
}
