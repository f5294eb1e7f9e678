//! Printing data: one document, five forms.
//!
//! Every command prints through this, so that each form is there for all of them. What people are
//! shown comes from [`table`](super::table); the other forms are the document itself.

use super::{
    Failure,
    document::Document,
    table::{AND_MORE, Shown, Width},
};
use clap::ValueEnum;
use serde::de::DeserializeOwned;
use std::io::{self, Write};

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// Aligned columns with units, for people
    Table,
    /// The same with every column
    Wide,
    /// The API's JSON, for programs
    Json,
    /// JSON in one line; of a list a line for each item
    Jsonl,
    /// The same as YAML
    Yaml,
}

/// Whether anybody still reads what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// As far as is known.
    There,
    /// It has seen enough (`| head`), which is no failure.
    Gone,
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

    /// How it is printed.
    pub(super) fn form(self) -> Form {
        self.form
    }

    /// Prints a document, for people as `table` makes it.
    pub(super) fn show<T: DeserializeOwned, S: Shown>(
        self,
        document: &Document,
        table: impl FnOnce(&T) -> S,
    ) -> Result<(), Failure> {
        let text = self.render(document, table)?;
        self.write(&text)?;
        if self.form == Form::Jsonl && document.goes_on() {
            // Data would not be the place to say so.
            eprint!("{AND_MORE}");
        }
        Ok(())
    }

    /// Prints one of many documents that follow each other without end.
    pub(super) fn append<T: DeserializeOwned, S: Shown>(
        self,
        document: &Document,
        table: impl FnOnce(&T) -> S,
    ) -> Result<Reader, Failure> {
        let text = self.render(document, table)?;
        match self.form {
            Form::Yaml => self.write(&format!("---\n{text}")),
            _ => self.write(&text),
        }
    }

    /// The document as it is printed.
    pub(super) fn render<T: DeserializeOwned, S: Shown>(
        self,
        document: &Document,
        table: impl FnOnce(&T) -> S,
    ) -> Result<String, Failure> {
        match self.form {
            Form::Table => Ok(table(&document.read()?).text(Width::Narrow)),
            Form::Wide => Ok(table(&document.read()?).text(Width::Wide)),
            Form::Json => Ok(document.json()),
            Form::Jsonl => Ok(document.lines().concat()),
            Form::Yaml => document.yaml(),
        }
    }

    /// Prints a text as it is.
    pub(super) fn write(self, text: &str) -> Result<Reader, Failure> {
        write(&mut io::stdout().lock(), text)
            .map_err(|error| Failure::error("cannot write to standard output").cause(error))
    }
}

fn write(to: &mut impl Write, text: &str) -> io::Result<Reader> {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(error),
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
        assert_eq!(render(Form::Wide), "n is 1\n");
        assert_eq!(render(Form::Json), "{\n  \"n\": 1\n}\n");
        assert_eq!(render(Form::Jsonl), "{\"n\":1}\n");
        assert_eq!(render(Form::Yaml), "n: 1\n");
    }

    #[test]
    fn a_reader_that_left_is_no_failure_and_a_full_disk_is() {
        let left = write(&mut Closed(io::ErrorKind::BrokenPipe), "x");
        assert_eq!(left.unwrap(), Reader::Gone);
        assert!(write(&mut Closed(io::ErrorKind::StorageFull), "x").is_err());
    }
}
