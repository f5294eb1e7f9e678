//! Texts that are changed and stay as long as they were.

/// Puts lines together to a text of exactly this length. When they are too long, comments and then
/// superfluous blanks are dropped; when they are too short, empty lines follow. None when they do not
/// fit.
pub(super) fn fit(lines: &[String], length: usize) -> Option<String> {
    let size = |lines: &[String]| lines.iter().map(|line| line.len() + 1).sum::<usize>();
    let mut lines = lines.to_vec();
    let mut held = size(&lines);
    lines.retain(|line| {
        let text = line.trim();
        let comment =
            text.is_empty() || text.starts_with("# ") || text == "#" || text.starts_with("##");
        let dropped = held > length && comment;
        if dropped {
            held -= line.len() + 1;
        }
        !dropped
    });
    if size(&lines) > length {
        for line in &mut lines {
            // Quotes may hold blanks that mean something.
            if !line.contains(['\'', '"', '\\']) {
                *line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            }
        }
    }
    let mut text: String = lines
        .iter()
        .flat_map(|line| [line.as_str(), "\n"])
        .collect();
    if text.len() == length + 1 {
        // The last line may have had no end.
        text.pop();
    }
    let missing = length.checked_sub(text.len())?;
    text.extend(std::iter::repeat_n('\n', missing));
    Some(text)
}

/// Replaces a word, wherever it stands as one.
pub(super) fn replace_word(line: &str, before: &str, after: &str) -> String {
    line.split_inclusive([' ', '\t'])
        .map(|piece| {
            let word = piece.trim_end_matches([' ', '\t']);
            if word == before {
                format!("{after}{}", &piece[word.len()..])
            } else {
                piece.to_owned()
            }
        })
        .collect()
}

/// Makes a line a comment that is as long.
pub(super) fn comment_out(line: &str) -> String {
    if line.is_empty() || line.trim_start().starts_with('#') {
        return line.to_owned();
    }
    let mut rest = line.chars();
    rest.next();
    format!("#{}", rest.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_text_keeps_its_length() {
        assert_eq!(fit(&lines("a\nb"), 4).as_deref(), Some("a\nb\n"));
        assert_eq!(fit(&lines("a\nb"), 3).as_deref(), Some("a\nb"));
        assert_eq!(fit(&lines("a\nb"), 6).as_deref(), Some("a\nb\n\n\n"));
        assert_eq!(
            fit(&lines("# long comment\na  b\nc"), 8).as_deref(),
            Some("a  b\nc\n\n")
        );
        assert_eq!(fit(&lines("a  b\nc"), 6).as_deref(), Some("a b\nc\n"));
        assert_eq!(fit(&lines("a  'b  c'\nc"), 8), None);
    }

    #[test]
    fn only_whole_words_are_replaced() {
        assert_eq!(
            replace_word("\tlinux root=/dev/sda1  ro", "root=/dev/sda1", "root=X"),
            "\tlinux root=X  ro"
        );
        assert_eq!(
            replace_word("root=/dev/sda11", "root=/dev/sda1", "root=X"),
            "root=/dev/sda11"
        );
        assert_eq!(comment_out("rule"), "#ule");
    }
}
