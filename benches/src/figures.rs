//! Figures beside each other: what was measured, against whom, the ratio, the target, the verdict.
//!
//! A verdict is words for a reader. Nothing depends on it.

use crate::{machine::Machine, plan::Plan, samples::Samples};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The unit a figure is shown in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Iops,
    Microseconds,
    Milliseconds,
    Seconds,
    /// 10⁶ bytes per second.
    MegabytesPerSecond,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Iops => "IOPS",
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::MegabytesPerSecond => "MB/s",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Iops | Self::MegabytesPerSecond | Self::Microseconds => {
                format!("{value:.0} {}", self.name())
            }
            Self::Milliseconds => format!("{value:.1} {}", self.name()),
            Self::Seconds => format!("{value:.2} {}", self.name()),
        }
    }
}

/// What the design asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// Ours divided by the peer's is at least this.
    RatioAtLeast(f64),
    /// Ours divided by the peer's is at most this.
    RatioAtMost(f64),
    /// Ours is at least this.
    AtLeast(f64),
    /// Ours is at most this.
    AtMost(f64),
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) what: String,
    /// In what.
    pub(crate) unit: Unit,
    /// Whom ours is compared with, and what was measured there.
    pub(crate) peer: Option<(&'static str, Samples)>,
    /// Our measurements.
    pub(crate) ours: Samples,
    /// Takes the place of the median where that is not the figure meant.
    pub(crate) ours_is: Option<f64>,
    /// The design's target, if it has one for this.
    pub(crate) target: Option<Target>,
    /// What a reader must know to understand it.
    pub(crate) note: Option<String>,
}

impl Figure {
    /// A figure without a peer, a target or a note.
    pub(crate) fn new(what: impl Into<String>, unit: Unit, ours: Samples) -> Self {
        Self {
            what: what.into(),
            unit,
            peer: None,
            ours,
            ours_is: None,
            target: None,
            note: None,
        }
    }

    /// With a peer.
    pub(crate) fn against(self, name: &'static str, samples: Samples) -> Self {
        Self {
            peer: Some((name, samples)),
            ..self
        }
    }

    /// With a target.
    pub(crate) fn target(self, target: Target) -> Self {
        Self {
            target: Some(target),
            ..self
        }
    }

    /// With a note, if there is one.
    pub(crate) fn note(self, note: Option<String>) -> Self {
        Self { note, ..self }
    }

    /// With a value other than the median of the measurements.
    pub(crate) fn ours_is(self, value: Option<f64>) -> Self {
        Self {
            ours_is: value,
            ..self
        }
    }

    fn ours_value(&self) -> Option<f64> {
        self.ours_is.or_else(|| self.ours.median())
    }

    fn peer_value(&self) -> Option<f64> {
        self.peer.as_ref().and_then(|(_, samples)| samples.median())
    }

    fn ratio(&self) -> Option<f64> {
        let ratio = self.ours_value()? / self.peer_value()?;
        ratio.is_finite().then_some(ratio)
    }

    fn met(&self) -> Option<bool> {
        match self.target? {
            Target::RatioAtLeast(least) => Some(self.ratio()? >= least),
            Target::RatioAtMost(most) => Some(self.ratio()? <= most),
            Target::AtLeast(least) => Some(self.ours_value()? >= least),
            Target::AtMost(most) => Some(self.ours_value()? <= most),
        }
    }

    fn target_text(&self) -> String {
        match self.target {
            None => "-".to_owned(),
            Some(Target::RatioAtLeast(least)) => format!("≥ {least:.1}×"),
            Some(Target::RatioAtMost(most)) => format!("≤ {most:.1}×"),
            Some(Target::AtLeast(least)) => format!("≥ {}", self.unit.show(least)),
            Some(Target::AtMost(most)) => format!("≤ {}", self.unit.show(most)),
        }
    }

    fn verdict(&self) -> &'static str {
        match (self.target, self.met()) {
            (_, Some(true)) => "met",
            (_, Some(false)) => "not met (work of later issues)",
            (None, None) => "-",
            (Some(_), None) => "unknown",
        }
    }

    fn cells(&self) -> [String; 6] {
        let shown = |value: Option<f64>| {
            value.map_or_else(|| "-".to_owned(), |value| self.unit.show(value))
        };
        [
            self.what.clone(),
            shown(self.peer_value()),
            shown(self.ours_value()),
            self.ratio()
                .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}×")),
            self.target_text(),
            self.verdict().to_owned(),
        ]
    }

    fn json(&self) -> Value {
        let peer = self.peer.as_ref().map(|(name, samples)| {
            json!({ "name": name, "value": samples.median(), "samples": samples.values() })
        });
        json!({
            "what": self.what,
            "unit": self.unit.name(),
            "peer": peer,
            "ours": { "value": self.ours_value(), "samples": self.ours.values() },
            "ratio": self.ratio(),
            "target": self.target.map(|_| self.target_text()),
            "met": self.met(),
            "note": self.note,
        })
    }
}

const HEAD: [&str; 6] = ["what", "peer", "ours", "ratio", "target", ""];

/// The table for people, with the peers and the notes below it.
pub(crate) fn table(figures: &[Figure]) -> String {
    let rows: Vec<_> = figures.iter().map(Figure::cells).collect();
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells
                .chain([HEAD[column].chars().count()])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::from("\n");
    line(&mut text, &HEAD.map(str::to_owned), &widths);
    for row in &rows {
        line(&mut text, row, &widths);
    }
    let mut peers: Vec<(&str, Vec<&str>)> = Vec::new();
    for figure in figures {
        let Some((name, _)) = &figure.peer else {
            continue;
        };
        match peers.iter_mut().find(|(known, _)| known == name) {
            Some((_, lines)) => lines.push(&figure.what),
            None => peers.push((name, vec![&figure.what])),
        }
    }
    if !peers.is_empty() {
        text.push('\n');
    }
    for (name, lines) in peers {
        let _ = writeln!(
            text,
            "peer of {} line(s), from \"{}\" on: {name}",
            lines.len(),
            lines[0]
        );
    }
    for figure in figures {
        if let Some(note) = &figure.note {
            let _ = writeln!(text, "{}: {note}", figure.what);
        }
    }
    text
}

fn line(text: &mut String, cells: &[String; 6], widths: &[usize]) {
    let mut whole = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let space = " ".repeat(width.saturating_sub(cell.chars().count()));
        // Words to the left, numbers to the right.
        if column == 0 || column == HEAD.len() - 1 {
            let _ = write!(whole, "{cell}{space}  ");
        } else {
            let _ = write!(whole, "{space}{cell}  ");
        }
    }
    let _ = writeln!(text, "{}", whole.trim_end());
}

/// The same for machines.
pub(crate) fn json(machine: &Machine, plan: Plan, seconds: u64, figures: &[Figure]) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "machine": machine.json(),
        "plan": plan.json(),
        "seconds": seconds,
        "figures": figures.iter().map(Figure::json).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        values.iter().copied().collect()
    }

    fn figure(peer: f64, ours: f64, target: Target) -> Figure {
        Figure::new("writes", Unit::Iops, samples(&[ours]))
            .against("them", samples(&[peer]))
            .target(target)
    }

    #[test]
    fn a_verdict_compares_what_its_target_names() {
        let met = |peer, ours, target| figure(peer, ours, target).met();
        assert_eq!(met(10.0, 10.0, Target::RatioAtLeast(1.0)), Some(true));
        assert_eq!(met(10.0, 9.9, Target::RatioAtLeast(1.0)), Some(false));
        assert_eq!(met(10.0, 16.0, Target::RatioAtMost(1.5)), Some(false));
        assert_eq!(met(10.0, 15.0, Target::RatioAtMost(1.5)), Some(true));
        assert_eq!(met(10.0, 416.0, Target::AtLeast(417.0)), Some(false));
        assert_eq!(met(10.0, 0.4, Target::AtMost(0.5)), Some(true));
    }

    #[test]
    fn what_was_not_measured_is_unknown() {
        let unmeasured = figure(10.0, 1.0, Target::RatioAtLeast(1.0));
        let unmeasured = Figure {
            ours: Samples::default(),
            ..unmeasured
        };
        assert_eq!(unmeasured.verdict(), "unknown");
        assert_eq!(
            figure(0.0, 1.0, Target::RatioAtLeast(1.0)).verdict(),
            "unknown"
        );
        let aimless = Figure::new("writes", Unit::Iops, samples(&[1.0]));
        assert_eq!(aimless.verdict(), "-");
    }

    #[test]
    fn the_table_has_medians_ratio_target_and_notes() {
        let first = Figure::new("4 KiB writes", Unit::Iops, samples(&[30.0, 10.0, 20.0]))
            .against("them", samples(&[40.0]))
            .target(Target::RatioAtLeast(1.0))
            .note(Some("on a slow disk".to_owned()));
        let second = Figure::new("opening", Unit::Milliseconds, samples(&[12.0]));
        let table = table(&[first, second]);
        let row = table
            .lines()
            .find(|line| line.starts_with("4 KiB"))
            .unwrap();
        let words: Vec<_> = row.split_whitespace().collect();
        let expected = "4 KiB writes 40 IOPS 20 IOPS 0.50× ≥ 1.0× not met (work of later issues)";
        assert_eq!(words.join(" "), expected);
        assert!(table.contains("4 KiB writes: on a slow disk"));
        assert!(table.contains("12.0 ms"), "{table}");
    }

    #[test]
    fn columns_stand_below_each_other_whatever_bytes_a_letter_has() {
        let micro = Figure::new("µµµ", Unit::Microseconds, samples(&[5.0]))
            .against("them", samples(&[5.0]));
        let plain =
            Figure::new("uuu", Unit::Iops, samples(&[5.0])).against("them", samples(&[5.0]));
        let text = table(&[micro, plain]);
        let column = |start: &str| {
            let row = text.lines().find(|line| line.starts_with(start)).unwrap();
            row.chars().position(|letter| letter == '×').unwrap()
        };
        assert_eq!(column("µµµ"), column("uuu"));
    }
}
