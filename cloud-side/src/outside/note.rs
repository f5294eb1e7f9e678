//! What an operator is told of something outside: bounded, in one line, without what a terminal obeys.

use bcdr_plan::Failure;
use bcdr_reach::script::Kept;

/// Most characters of a note that others wrote.
const QUOTED_MAX: usize = 600;
/// Most lines of an output that are told.
const LINES_MAX: usize = 5;

/// A failure from a cause and a remedy in one sentence.
pub(super) fn failure(code: &str, told: &str) -> Failure {
    let (cause, remedy) = told
        .split_once("; ")
        .unwrap_or((told, "look at its log; then retry the step, or skip it"));
    Failure {
        code: code.to_owned(),
        cause: plain(cause),
        remedy: plain(remedy),
    }
}

/// What others wrote, as it may be shown.
pub(super) fn plain(text: &str) -> String {
    let shown = text.chars().take(QUOTED_MAX);
    let mut plain: String = shown
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    if text.chars().nth(QUOTED_MAX).is_some() {
        plain.push('…');
    }
    plain
}

/// The last lines of an output; empty when it has none.
pub(super) fn last_lines(kept: &Kept) -> String {
    let end = match kept.tail.is_empty() {
        true => &kept.head,
        false => &kept.tail,
    };
    let lines: Vec<_> = end
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let last = &lines[lines.len().saturating_sub(LINES_MAX)..];
    // Of lines that are too long the end says most.
    let mut joined: Vec<char> = last.join(" | ").chars().collect();
    joined.drain(..joined.len().saturating_sub(QUOTED_MAX));
    plain(&joined.into_iter().collect::<String>())
}

/// Seconds, as in a sentence.
pub(super) fn seconds(milliseconds: u64) -> String {
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}

/// How many tries, if that matters.
pub(super) fn tries(count: u32) -> String {
    match count {
        0 | 1 => String::new(),
        count => format!(", in try {count}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_told_bounded_and_harmless() {
        let of = |head: &str, tail: &str| {
            last_lines(&Kept {
                head: head.to_owned(),
                omitted_bytes: 0,
                tail: tail.to_owned(),
            })
        };
        assert_eq!(of("1\n2\n\n3\n4\n5\n6\n", ""), "2 | 3 | 4 | 5 | 6");
        assert_eq!(of("begin", "middle\nend"), "middle | end");
        assert_eq!(of("\u{1b}[2Jgone", ""), " [2Jgone");
        let long = of(&format!("{}z", "y".repeat(5000)), "");
        assert_eq!(long.len(), QUOTED_MAX);
        assert!(long.ends_with('z'));
        assert_eq!(of("", ""), "");
    }

    #[test]
    fn a_cause_and_a_remedy_are_told_apart() {
        let both = failure("x", "it is closed; open it");
        assert_eq!(
            (both.cause.as_str(), both.remedy.as_str()),
            ("it is closed", "open it")
        );
        assert!(!failure("x", "it is closed").remedy.is_empty());
    }
}
