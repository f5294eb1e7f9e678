//! What an emergency failover would lose: a pure function of what the source last told and of the
//! point that would be booted.
//!
//! Invariant: nothing is guessed. Where the source may have written more than it told, the figure is
//! a lower bound and says so; where nothing can be said, the reason is named.

use crate::receive::PointId;
use bcdr_format::{Position, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is known of the source's writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceKnown {
    /// The last write it told of.
    pub position: Position,
    /// When it told that, by the clock that stamps the writes.
    pub told_at: Timestamp,
    /// All bytes written up to that position, in this stream; none where it was not counted.
    pub written_bytes: Option<u64>,
    /// Whether it answers now, so that it told everything it has.
    pub answers: bool,
}

/// The point that would be booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointKnown {
    /// Its id.
    pub id: PointId,
    /// Its time.
    pub time: Timestamp,
    /// All bytes written up to it, counted as for the source.
    pub written_bytes: Option<u64>,
}

/// Why a part of the loss cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownLoss {
    /// The source told nothing since this process started.
    SourceToldNothing,
    /// Source and point are in different incarnations, and bytes are counted within one.
    OtherIncarnation,
    /// The bytes were not counted.
    NotCounted,
    /// The clocks contradict the positions: the source is ahead of the point, but not later.
    ClocksContradict,
}

impl UnknownLoss {
    /// The reason, in a sentence.
    pub fn detail(self) -> &'static str {
        match self {
            Self::SourceToldNothing => "the source has told nothing since the cloud side started",
            Self::OtherIncarnation => {
                "the source started again since the point; its bytes are counted anew"
            }
            Self::NotCounted => "the source did not count its bytes up to this point",
            Self::ClocksContradict => {
                "the source is ahead of the point, but its clock says otherwise; it may have been set"
            }
        }
    }
}

/// One figure of a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// It is this much.
    Exactly(u64),
    /// It is this much or more.
    AtLeast(u64),
    /// It cannot be told.
    Unknown(UnknownLoss),
}

/// What would be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LossWindow {
    /// Seconds of writes, rounded up.
    pub seconds: Loss,
    /// Bytes written.
    pub bytes: Loss,
}

impl LossWindow {
    /// The figures, in words.
    pub fn in_words(&self) -> String {
        let figure = |loss: Loss, unit: &str| match loss {
            Loss::Exactly(value) => format!("{value} {unit}"),
            Loss::AtLeast(value) => format!("at least {value} {unit}"),
            Loss::Unknown(why) => format!("an unknown number of {unit} ({})", why.detail()),
        };
        format!(
            "{} and {}",
            figure(self.seconds, "seconds of writes"),
            figure(self.bytes, "bytes written")
        )
    }

    /// Whether both figures are known exactly.
    pub fn is_exact(&self) -> bool {
        let is_exact = |loss| matches!(loss, Loss::Exactly(_));
        is_exact(self.seconds) && is_exact(self.bytes)
    }
}

/// What would be lost by booting `point`, given what is known of the source and, if an operator
/// told it, when production stopped.
pub fn loss_window(
    source: Option<&SourceKnown>,
    point: &PointKnown,
    interrupted_at: Option<Timestamp>,
) -> LossWindow {
    let Some(source) = source else {
        let nothing = Loss::Unknown(UnknownLoss::SourceToldNothing);
        let seconds = interrupted_at.map_or(nothing, |at| {
            Loss::Exactly(seconds_between(point.time, at).unwrap_or(0))
        });
        return LossWindow {
            seconds,
            bytes: nothing,
        };
    };
    let complete = source.answers || interrupted_at.is_some_and(|at| at <= source.told_at);
    let figure = |value| {
        if complete {
            Loss::Exactly(value)
        } else {
            Loss::AtLeast(value)
        }
    };
    LossWindow {
        seconds: seconds(source, point, interrupted_at, &figure),
        bytes: bytes(source, point, &figure),
    }
}

fn seconds(
    source: &SourceKnown,
    point: &PointKnown,
    interrupted_at: Option<Timestamp>,
    figure: &impl Fn(u64) -> Loss,
) -> Loss {
    if let Some(at) = interrupted_at
        && at > source.told_at
    {
        return Loss::Exactly(seconds_between(point.time, at).unwrap_or(0));
    }
    if point.id.0 >= source.position {
        return figure(0);
    }
    match seconds_between(point.time, source.told_at) {
        Some(seconds) => figure(seconds),
        None => Loss::Unknown(UnknownLoss::ClocksContradict),
    }
}

fn bytes(source: &SourceKnown, point: &PointKnown, figure: &impl Fn(u64) -> Loss) -> Loss {
    if point.id.0 >= source.position {
        return figure(0);
    }
    if point.id.0.ordinal != source.position.ordinal {
        return Loss::Unknown(UnknownLoss::OtherIncarnation);
    }
    match (source.written_bytes, point.written_bytes) {
        (Some(written), Some(covered)) if written >= covered => figure(written - covered),
        _ => Loss::Unknown(UnknownLoss::NotCounted),
    }
}

/// Seconds from one instant to a later one, rounded up; none if it is earlier.
fn seconds_between(from: Timestamp, to: Timestamp) -> Option<u64> {
    let microseconds = u64::try_from(to.0.checked_sub(from.0)?).ok()?;
    Some(microseconds.div_ceil(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_format::{IncarnationOrdinal, Sequence};

    fn position(ordinal: u32, sequence: u64) -> Position {
        Position {
            ordinal: IncarnationOrdinal(ordinal),
            sequence: Sequence(sequence),
        }
    }

    fn source(answers: bool) -> SourceKnown {
        SourceKnown {
            position: position(2, 100),
            told_at: Timestamp(20_000_000),
            written_bytes: Some(9_000),
            answers,
        }
    }

    fn point(sequence: u64) -> PointKnown {
        PointKnown {
            id: PointId(position(2, sequence)),
            time: Timestamp(15_500_000),
            written_bytes: Some(5_000),
        }
    }

    #[test]
    fn a_source_that_answers_gives_exact_figures_and_a_silent_one_lower_bounds() {
        let window = loss_window(Some(&source(true)), &point(90), None);
        assert_eq!(window.seconds, Loss::Exactly(5));
        assert_eq!(window.bytes, Loss::Exactly(4_000));
        let window = loss_window(Some(&source(false)), &point(90), None);
        assert_eq!(window.seconds, Loss::AtLeast(5));
        assert_eq!(window.bytes, Loss::AtLeast(4_000));
        let window = loss_window(Some(&source(true)), &point(100), None);
        assert_eq!(window.bytes, Loss::Exactly(0));
        assert_eq!(window.seconds, Loss::Exactly(0));
    }

    #[test]
    fn the_interruption_an_operator_names_bounds_the_seconds() {
        let at = Some(Timestamp(25_500_000));
        let window = loss_window(Some(&source(false)), &point(90), at);
        assert_eq!(window.seconds, Loss::Exactly(10));
        assert_eq!(window.bytes, Loss::AtLeast(4_000));
        let window = loss_window(None, &point(90), at);
        assert_eq!(window.seconds, Loss::Exactly(10));
    }

    #[test]
    fn what_cannot_be_told_is_unknown_with_its_reason() {
        let unknown = Loss::Unknown(UnknownLoss::SourceToldNothing);
        let window = loss_window(None, &point(90), None);
        assert_eq!((window.seconds, window.bytes), (unknown, unknown));
        let mut earlier = point(90);
        earlier.id = PointId(position(1, 90));
        let window = loss_window(Some(&source(true)), &earlier, None);
        assert_eq!(window.bytes, Loss::Unknown(UnknownLoss::OtherIncarnation));
        let mut uncounted = point(90);
        uncounted.written_bytes = None;
        let window = loss_window(Some(&source(true)), &uncounted, None);
        assert_eq!(window.bytes, Loss::Unknown(UnknownLoss::NotCounted));
        let mut late = point(90);
        late.time = Timestamp(30_000_000);
        let window = loss_window(Some(&source(true)), &late, None);
        assert_eq!(window.seconds, Loss::Unknown(UnknownLoss::ClocksContradict));
    }
}
