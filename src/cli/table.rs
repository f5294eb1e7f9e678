//! Tables for people.
//!
//! Owns alignment and the words for what is missing. Invariants: what is not known is shown as
//! "unknown", never as a number; what came from machines (console lines, names) cannot steer the
//! terminal.

pub(super) mod alert;
pub(super) mod audit;
pub(super) mod branch;
pub(super) mod cloud;
pub(super) mod configuration;
pub(super) mod context;
pub(super) mod drill;
pub(super) mod event;
pub(super) mod failback;
pub(super) mod failover;
pub(super) mod group;
pub(super) mod job;
pub(super) mod lab;
pub(super) mod placement;
pub(super) mod plan;
pub(super) mod point;
pub(super) mod readiness;
pub(super) mod recovery;
pub(super) mod report;
pub(super) mod restore;
pub(super) mod sample;
pub(super) mod schedule;
pub(super) mod status;
pub(super) mod token;
pub(super) mod user;
pub(super) mod view;
pub(super) mod volume;

use super::units;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use std::fmt;

/// For what could not be observed.
const UNKNOWN: &str = "unknown";
/// For what there is none of.
const NONE: &str = "-";
/// Behind a list that goes on.
pub(super) const AND_MORE: &str = "(there are more; ask for them with --limit)\n";
/// Longest cell that comes from a machine's console.
const LINE_CHARACTERS_MAX: usize = 100;

/// How much of a list is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// What fits a terminal.
    Narrow,
    /// Every column.
    Wide,
}

/// What people can be shown.
pub(super) trait Shown {
    /// As text, with a line end.
    fn text(&self, width: Width) -> String;
}

/// A text has one width.
impl Shown for String {
    fn text(&self, _: Width) -> String {
        self.clone()
    }
}

/// Rows under headers. Columns that are only shown wide stand behind the others.
pub(super) struct Grid {
    headers: Vec<String>,
    wide_headers: Vec<String>,
    right: &'static [usize],
    rows: Vec<(Vec<String>, Vec<String>)>,
    note: &'static str,
}

impl Grid {
    /// A table with these headers; the columns named in `right` hold numbers.
    pub(super) fn new(headers: &[&str], right: &'static [usize]) -> Self {
        Self {
            headers: headers.iter().map(|&header| header.to_owned()).collect(),
            wide_headers: Vec::new(),
            right,
            rows: Vec::new(),
            note: "",
        }
    }

    /// With more columns where there is room for them.
    pub(super) fn wide(mut self, headers: &[&str]) -> Self {
        self.wide_headers = headers.iter().map(|&header| header.to_owned()).collect();
        self
    }

    /// Adds a row.
    pub(super) fn row<const N: usize>(&mut self, texts: [String; N]) {
        self.rows.push((texts.into(), Vec::new()));
    }

    /// Adds a row, and what stands behind it where there is room.
    pub(super) fn row_wide<const N: usize, const M: usize>(
        &mut self,
        texts: [String; N],
        behind: [String; M],
    ) {
        self.rows.push((texts.into(), behind.into()));
    }

    /// A list that may go on.
    pub(super) fn and_more(mut self, next_cursor: Option<&String>) -> Self {
        if next_cursor.is_some() {
            self.note = AND_MORE;
        }
        self
    }
}

impl Shown for Grid {
    fn text(&self, width: Width) -> String {
        if self.rows.is_empty() {
            return format!("none\n{}", self.note);
        }
        let line = |texts: &[String], behind: &[String]| {
            let behind = match width {
                Width::Narrow => &[],
                Width::Wide => behind,
            };
            cells(texts.iter().chain(behind).cloned(), self.right)
        };
        let mut table = bare();
        table.set_header(line(&self.headers, &self.wide_headers));
        for (texts, behind) in &self.rows {
            table.add_row(line(texts, behind));
        }
        trimmed(&table) + self.note
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text(Width::Narrow))
    }
}

/// Names with values, below each other.
pub(super) struct Fields(Table);

impl Fields {
    pub(super) fn new() -> Self {
        Self(bare())
    }

    /// Adds a value with its name.
    pub(super) fn field(&mut self, name: &str, value: impl Into<String>) {
        self.0
            .add_row(cells([name.to_owned(), value.into()].into_iter(), &[]));
    }

    /// Adds a value, if there is one.
    pub(super) fn field_if(&mut self, name: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&trimmed(&self.0))
    }
}

fn bare() -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn cells(texts: impl Iterator<Item = String>, right: &[usize]) -> Vec<Cell> {
    texts
        .enumerate()
        .map(|(column, text)| {
            let side = match right.contains(&column) {
                true => CellAlignment::Right,
                false => CellAlignment::Left,
            };
            Cell::new(plain(&text)).set_alignment(side)
        })
        .collect()
}

/// Takes away the frame's margins, which without a frame are only spaces.
fn trimmed(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.strip_prefix(' ').unwrap_or(&line).trim_end());
        text.push('\n');
    }
    text
}

/// The text without anything that steers a terminal.
pub(super) fn plain(text: &str) -> String {
    let steers = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|character| if steers(character) { ' ' } else { character })
        .collect()
}

/// A line from a machine, cut to what fits.
pub(super) fn line(text: &str) -> String {
    let text = plain(text);
    let text = text.trim();
    match text.char_indices().nth(LINE_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn or_unknown(text: Option<String>) -> String {
    text.unwrap_or_else(|| UNKNOWN.to_owned())
}

fn or_none(text: Option<&str>) -> String {
    text.unwrap_or(NONE).to_owned()
}

fn bytes_or_unknown(bytes: Option<u64>) -> String {
    or_unknown(bytes.map(units::bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_right() {
        let mut grid = Grid::new(&["NAME", "SIZE", "STATE"], &[1]);
        grid.row(["root".into(), "1.5 GiB".into(), "ok".into()]);
        grid.row(["日誌".into(), "2 B".into(), String::new()]);
        assert_eq!(
            grid.to_string(),
            "NAME     SIZE  STATE\nroot  1.5 GiB  ok\n日誌      2 B\n"
        );
        assert_eq!(Grid::new(&["NAME"], &[]).to_string(), "none\n");
    }

    #[test]
    fn columns_for_wide_terminals_stand_behind_the_others() {
        let mut grid = Grid::new(&["NAME"], &[]).wide(&["ID"]);
        grid.row_wide(["root".into()], ["vol-1".into()]);
        let grid = grid.and_more(Some(&"x".to_owned()));
        assert_eq!(grid.text(Width::Narrow), format!("NAME\nroot\n{AND_MORE}"));
        assert_eq!(
            grid.text(Width::Wide),
            format!("NAME  ID\nroot  vol-1\n{AND_MORE}")
        );
        assert_eq!(
            "both\n".to_owned().text(Width::Wide),
            "both\n".to_owned().text(Width::Narrow)
        );
    }

    #[test]
    fn machines_cannot_steer_the_terminal() {
        assert_eq!(line("\u{1b}[31mred\u{7}\r\n\u{202e}x"), "[31mred    x");
        assert_eq!(
            line(&"é".repeat(101)).chars().count(),
            LINE_CHARACTERS_MAX + 1
        );
        let mut fields = Fields::new();
        fields.field("name", "a\nb");
        assert_eq!(fields.to_string(), "name  a b\n");
    }
}
