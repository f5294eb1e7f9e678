//! The exit codes. Scripts depend on them: a number never changes its meaning. 0 is success, and
//! clap ends with [`USAGE`] by itself when a command line cannot be read.

/// Something went wrong that has no code of its own.
pub(crate) const ERROR: u8 = 1;
/// The command line, or a file it names, asks for something that cannot be.
pub(crate) const USAGE: u8 = 2;
/// What was named does not exist.
pub(crate) const NOT_FOUND: u8 = 3;
/// It exists, and its present state does not allow what was asked for.
pub(crate) const CONFLICT: u8 = 4;
/// Who asked could not be established, or may not do this; or the server could not prove itself.
pub(crate) const AUTHENTICATION: u8 = 5;
/// The job that was waited for did not succeed.
pub(crate) const JOB_FAILED: u8 = 6;
/// The job that was waited for did not end in time; it goes on.
pub(crate) const WAIT_TIMED_OUT: u8 = 7;
/// `status --check`: something is not as it should be, or not known.
pub(crate) const DEGRADED: u8 = 8;

/// What the numbers mean, in short.
pub(crate) const MEANINGS: [(u8, &str); 9] = [
    (0, "done"),
    (ERROR, "something went wrong that has no code of its own"),
    (
        USAGE,
        "wrong usage of the command line, or of a file that it names",
    ),
    (NOT_FOUND, "what was named does not exist"),
    (
        CONFLICT,
        "its present state does not allow what was asked for",
    ),
    (
        AUTHENTICATION,
        "not authenticated or not allowed, or the server could not prove itself",
    ),
    (JOB_FAILED, "the job that was waited for did not succeed"),
    (
        WAIT_TIMED_OUT,
        "the job that was waited for did not end in time; it goes on",
    ),
    (DEGRADED, "something is not as it should be, or not known"),
];
