//! The typed confirmation of commands that change where production runs.

use super::Failure;
use std::io::{self, BufRead, IsTerminal, Write};

/// The confirmation of a command about a group.
///
/// # Errors
/// Without one.
pub(super) fn confirmation(
    given: Option<String>,
    group: &str,
    consequence: &str,
) -> Result<String, Failure> {
    typed(given, "group", group, consequence)
}

/// What was given with `--confirm`, or what somebody types on a terminal after reading what will
/// happen. The cloud side compares it with the name of what is changed, which is a `noun`.
///
/// # Errors
/// Without either.
pub(super) fn typed(
    given: Option<String>,
    noun: &str,
    name: &str,
    consequence: &str,
) -> Result<String, Failure> {
    if let Some(given) = given {
        return Ok(given);
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(
            Failure::usage("this changes what production runs on and was not confirmed")
                .remedy(format!("read what it does, then give --confirm {name}")),
        );
    }
    eprintln!("{consequence}");
    eprint!("To go on, type the {noun}'s name ({name}): ");
    // A prompt that cannot be shown is answered all the same, or not at all.
    let _shown = io::stderr().flush();
    let mut typed = String::new();
    io::stdin()
        .lock()
        .read_line(&mut typed)
        .map_err(|error| Failure::error("cannot read the confirmation").cause(error))?;
    Ok(typed.trim().to_owned())
}
