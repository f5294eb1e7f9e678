//! Passwords, as somebody types or pipes them: never an argument, which every process can read.

use super::Failure;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Read, Write};

/// The longest line that is taken for a password, in bytes.
const LINE_BYTES_MAX: u64 = 4096;

/// A new password: typed twice on a terminal, otherwise the first line of standard input.
///
/// # Errors
/// When none can be read, or the two are not the same.
pub(super) fn read_new(of: &str) -> Result<String, Failure> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return line(&mut stdin.lock());
    }
    let first = typed(&format!("Password for {of}: "))?;
    if typed("The same again: ")? != first {
        return Err(Failure::usage("the two passwords are not the same").remedy("type them again"));
    }
    Ok(first)
}

/// Asks without showing what is typed.
fn typed(prompt: &str) -> Result<String, Failure> {
    eprint!("{prompt}");
    // A prompt that cannot be shown is answered all the same, or not at all.
    let _shown = io::stderr().flush();
    let hidden = Hidden::begin()?;
    let line = line(&mut io::stdin().lock());
    drop(hidden);
    eprintln!();
    line
}

/// The terminal shows nothing of what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> Result<Self, Failure> {
        let cannot = |error| Failure::error("cannot hide what is typed").cause(error);
        let before = tcgetattr(io::stdin()).map_err(cannot)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent).map_err(cannot)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // There is nobody to tell that a terminal is gone.
        let _back = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

fn line(input: &mut impl BufRead) -> Result<String, Failure> {
    let mut text = String::new();
    let read = input.take(LINE_BYTES_MAX).read_line(&mut text);
    read.map_err(|error| Failure::error("cannot read the password").cause(error))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::usage("there is no password on standard input")
            .remedy("type it on a terminal, or pipe it: bcdr user password NAME < FILE"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line_with_its_blanks() {
        let read = |text: &str| line(&mut text.as_bytes());
        assert_eq!(read(" two words \r\nnot this\n").unwrap(), " two words ");
        assert_eq!(read("no end").unwrap(), "no end");
        assert!(read("").is_err() && read("\n").is_err());
    }
}
