//! A document as the API sent it.
//!
//! Invariant: whatever is printed as JSON is the API's own text, only indented: same members, same
//! order, same digits. Tables read from it what they show.

use super::{Failure, client::Items};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// A JSON document in its sender's own words.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Document(Box<RawValue>);

impl Document {
    /// Takes a text, if it is JSON.
    pub(super) fn parse(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(Self)
    }

    /// A document of our own.
    pub(super) fn of(value: &impl Serialize) -> Result<Self, Failure> {
        serde_json::value::to_raw_value(value)
            .map(Self)
            .map_err(|error| Failure::error(format!("cannot write the answer as JSON: {error}")))
    }

    /// Reads from it what is needed.
    ///
    /// # Errors
    /// When the sender speaks another dialect.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(self.0.get()).map_err(|error| {
            Failure::error("the server's answer does not have the expected form")
                .cause(error)
                .remedy(
                    "use the release of bcdr that the server runs, or -o json to see the answer",
                )
        })
    }

    /// The document, indented, with a line end.
    pub(super) fn json(&self) -> String {
        indented(self.0.get())
    }

    /// The document in lines of JSON: those of a list's items, or one for all of it.
    pub(super) fn lines(&self) -> Vec<String> {
        match self.listed() {
            Some(list) => list.items.iter().map(Self::line).collect(),
            None => vec![self.line()],
        }
    }

    /// Whether it is a list that has more than was asked for.
    pub(super) fn goes_on(&self) -> bool {
        self.listed().is_some_and(|list| list.next_cursor.is_some())
    }

    /// The document as a list, if it is one.
    fn listed(&self) -> Option<Items<Self>> {
        serde_json::from_str(self.0.get()).ok()
    }

    fn line(&self) -> String {
        let mut line = compact(self.0.get());
        line.push('\n');
        line
    }

    /// The document as YAML, with a line end.
    pub(super) fn yaml(&self) -> Result<String, Failure> {
        // This type of value keeps the order of members.
        let value: serde_yaml_ng::Value = self.read()?;
        serde_yaml_ng::to_string(&value)
            .map_err(|error| Failure::error(format!("cannot write the answer as YAML: {error}")))
    }
}

/// Indents valid JSON without touching names, strings or numbers.
fn indented(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0;
    let mut characters = text.chars().peekable();
    let mut in_string = false;
    while let Some(character) = characters.next() {
        if in_string {
            out.push(character);
            match character {
                '\\' => out.extend(characters.next()),
                '"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match character {
            '"' => {
                in_string = true;
                out.push(character);
            }
            '{' | '[' => {
                out.push(character);
                while characters
                    .next_if(|next| next.is_ascii_whitespace())
                    .is_some()
                {}
                if let Some(close) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                new_line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(character);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            space if space.is_ascii_whitespace() => {}
            other => out.push(other),
        }
    }
    out.push('\n');
    out
}

/// Valid JSON without the space between its parts.
fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    let mut in_string = false;
    while let Some(character) = characters.next() {
        if !in_string && character.is_ascii_whitespace() {
            continue;
        }
        out.push(character);
        match character {
            '\\' if in_string => out.extend(characters.next()),
            '"' => in_string = !in_string,
            _ => {}
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"z":18446744073709551615, "a" :[1.2500000000000002,-0,{}], "t":"2026-11-03T10:00:00.000001Z","s":"a:{\"b\\",
        "n":null,"e":[ ]}"#;

    #[test]
    fn json_keeps_every_digit_name_and_order() {
        let document = Document::parse(TEXT.to_owned()).unwrap();
        assert_eq!(
            document.json(),
            r#"{
  "z": 18446744073709551615,
  "a": [
    1.2500000000000002,
    -0,
    {}
  ],
  "t": "2026-11-03T10:00:00.000001Z",
  "s": "a:{\"b\\",
  "n": null,
  "e": []
}
"#
        );
        let same: serde_json::Value = serde_json::from_str(&document.json()).unwrap();
        assert_eq!(
            same,
            serde_json::from_str::<serde_json::Value>(TEXT).unwrap()
        );
    }

    #[test]
    fn yaml_keeps_order_integers_and_times() {
        let text =
            r#"{"z":18446744073709551615,"a":["x"],"t":"2026-11-03T10:00:00.000001Z","n":null}"#;
        let document = Document::parse(text.to_owned()).unwrap();
        assert_eq!(
            document.yaml().unwrap(),
            "z: 18446744073709551615\na:\n- x\nt: 2026-11-03T10:00:00.000001Z\nn: null\n"
        );
    }

    #[test]
    fn a_line_holds_all_of_an_item_in_its_own_words() {
        let one = Document::parse(TEXT.to_owned()).unwrap();
        let line = r#"{"z":18446744073709551615,"a":[1.2500000000000002,-0,{}],"t":"2026-11-03T10:00:00.000001Z","s":"a:{\"b\\","n":null,"e":[]}"#;
        assert_eq!(one.lines(), [format!("{line}\n")]);
        assert!(!one.goes_on());
        let text = r#"{"items":[{"a": " b " }, 2.50],"next_cursor": "x"}"#;
        let list = Document::parse(text.to_owned()).unwrap();
        assert_eq!(list.lines(), ["{\"a\":\" b \"}\n", "2.50\n"]);
        assert!(list.goes_on());
        let empty = r#"{"items":[],"next_cursor":null}"#;
        let empty = Document::parse(empty.to_owned()).unwrap();
        assert!(empty.lines().is_empty() && !empty.goes_on());
    }

    #[test]
    fn another_dialect_is_named_as_such() {
        let document = Document::parse("[1]".to_owned()).unwrap();
        let failure = document.read::<String>().unwrap_err();
        assert!(failure.to_string().contains("-o json"), "{failure}");
        assert!(Document::parse("<html>".to_owned()).is_err());
    }
}
