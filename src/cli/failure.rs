//! Why a command did not succeed: an exit code, and what to print about it.
//!
//! Invariant: everything in it may be shown to anybody; secrets never get in here. Cause and remedy
//! stand on lines of their own, so that they are found.

use super::exit;
use bcdr_http::{Problem, ProblemFault};
use std::fmt;

/// Whether a request can have had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The server answered, or there was nothing to send.
    Answered,
    /// The server answered that it cannot do it now; the same request may succeed soon.
    Later,
    /// The request never left.
    NotSent,
    /// The request may have been received; there was no answer.
    Unknown,
}

/// Why a command did not succeed. Boxed, so that a `Result` that carries one stays small.
#[derive(Debug)]
pub(crate) struct Failure(Box<Parts>);

#[derive(Debug)]
struct Parts {
    exit: u8,
    message: String,
    cause: Option<String>,
    remedy: Option<String>,
    code: Option<String>,
    request: Option<String>,
    delivery: Delivery,
}

impl Failure {
    /// A failure with this exit code.
    pub(crate) fn new(exit: u8, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            exit,
            message: message.into(),
            cause: None,
            remedy: None,
            code: None,
            request: None,
            delivery: Delivery::Answered,
        }))
    }

    /// A failure without an exit code of its own.
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self::new(exit::ERROR, message)
    }

    /// The command line or a file it names is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(exit::USAGE, message)
    }

    /// What the API refused, in its own words.
    pub(crate) fn problem(problem: &Problem) -> Self {
        let mut failure = Self::new(exit_of(problem), problem.detail.clone());
        failure.0.cause = listed(problem).or_else(|| problem.cause.clone());
        failure.0.remedy.clone_from(&problem.remedy);
        failure.0.code = Some(problem.code.clone());
        failure.0.request.clone_from(&problem.request_id);
        if matches!(problem.status, 429 | 502 | 503 | 504) {
            failure.0.delivery = Delivery::Later;
        }
        failure
    }

    /// Adds why it happened.
    #[must_use]
    pub(crate) fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// Adds the stable code of the reason.
    #[must_use]
    pub(crate) fn reason_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Says what became of the request.
    #[must_use]
    pub(super) fn delivered(mut self, delivery: Delivery) -> Self {
        self.0.delivery = delivery;
        self
    }

    /// What became of the request.
    pub(super) fn delivery(&self) -> Delivery {
        self.0.delivery
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        self.0.exit
    }

    /// Prints it on standard error.
    pub(crate) fn print(&self) {
        eprint!("{}", self.text());
    }

    fn text(&self) -> String {
        let Parts {
            message,
            cause,
            remedy,
            code,
            request,
            ..
        } = &*self.0;
        let mut text = format!("error: {message}\n");
        if let Some(cause) = cause {
            text.push_str(&format!("cause: {cause}\n"));
        }
        if let Some(remedy) = remedy {
            text.push_str(&format!("remedy: {remedy}\n"));
        }
        match (code, request) {
            (Some(code), Some(request)) => text.push_str(&format!("code: {code} ({request})\n")),
            (Some(code), None) => text.push_str(&format!("code: {code}\n")),
            (None, _) => {}
        }
        text
    }
}

/// The faults of a problem, each on a line of its own; none of one that has fewer than two.
fn listed(problem: &Problem) -> Option<String> {
    let faults = problem
        .faults
        .as_deref()
        .filter(|faults| faults.len() > 1)?;
    let line = |fault: &ProblemFault| match &fault.part {
        Some(part) => format!("{part}: {}; {}", fault.cause, fault.remedy),
        None => format!("{}; {}", fault.cause, fault.remedy),
    };
    let lines: Vec<_> = faults.iter().map(line).collect();
    Some(lines.join("\n       "))
}

/// The exit code of an API's refusal.
fn exit_of(problem: &Problem) -> u8 {
    match problem.status {
        400 | 413 | 422 if problem.code != "idempotency_mismatch" => exit::USAGE,
        401 | 403 => exit::AUTHENTICATION,
        404 => exit::NOT_FOUND,
        409 | 412 | 422 => exit::CONFLICT,
        _ => exit::ERROR,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)?;
        if let Some(cause) = &self.0.cause {
            write!(formatter, ": {cause}")?;
        }
        if let Some(remedy) = &self.0.remedy {
            write!(formatter, "; {remedy}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(failure) => failure,
            Err(error) => Self::error(chain(&error)),
        }
    }
}

/// An error and its sources in one line; many messages here already contain their source.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for part in error.chain() {
        let part = part.to_string();
        if text.is_empty() {
            text = part;
        } else if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;
    use std::time::Duration;

    #[test]
    fn cause_and_remedy_stand_on_their_own_lines() {
        let mut problem = Problem::conflict("label_taken", "group lab has a point a already")
            .cause("labels are unique")
            .remedy("use another label");
        problem.request_id = Some("req-7".to_owned());
        assert_eq!(
            Failure::problem(&problem).text(),
            "error: group lab has a point a already\ncause: labels are unique\n\
             remedy: use another label\ncode: label_taken (req-7)\n"
        );
    }

    #[test]
    fn several_faults_stand_on_lines_of_their_own() {
        let fault = |part: Option<&str>, cause: &str| ProblemFault {
            part: part.map(str::to_owned),
            code: "x".to_owned(),
            cause: cause.to_owned(),
            remedy: format!("mend {cause}"),
        };
        let faults = vec![fault(Some("users/ada"), "one"), fault(None, "two")];
        let problem = |faults| {
            let problem = Problem::conflict("c", "it has faults").cause("all");
            Failure::problem(&problem.faults(faults)).text()
        };
        assert_eq!(
            problem(faults.clone()),
            "error: it has faults\ncause: users/ada: one; mend one\n       two; mend two\ncode: c\n"
        );
        let one = "error: it has faults\ncause: all\ncode: c\n";
        assert_eq!(problem(faults[..1].to_vec()), one);
    }

    #[test]
    fn every_status_has_its_exit_code() {
        let code = |problem: Problem| Failure::problem(&problem).code();
        assert_eq!(code(Problem::malformed("x")), exit::USAGE);
        assert_eq!(code(Problem::invalid("x")), exit::USAGE);
        assert_eq!(
            code(Problem::unauthorized("token_invalid", "x")),
            exit::AUTHENTICATION
        );
        assert_eq!(code(Problem::forbidden("x")), exit::AUTHENTICATION);
        assert_eq!(code(Problem::not_found("group", "x")), exit::NOT_FOUND);
        assert_eq!(
            code(Problem::conflict("drill_running", "x")),
            exit::CONFLICT
        );
        assert_eq!(code(Problem::changed_meanwhile("x")), exit::CONFLICT);
        assert_eq!(code(Problem::unavailable("starting", "x")), exit::ERROR);
        let mut mismatch = Problem::invalid("x");
        mismatch.code = "idempotency_mismatch".to_owned();
        assert_eq!(code(mismatch), exit::CONFLICT);
    }

    #[test]
    fn only_a_passing_refusal_is_worth_another_try() {
        let delivery = |problem: Problem| Failure::problem(&problem).delivery();
        assert_eq!(
            delivery(Problem::unavailable("starting", "x")),
            Delivery::Later
        );
        let busy = Problem::too_many("too_many_failures", "x", Duration::from_secs(1));
        assert_eq!(delivery(busy), Delivery::Later);
        assert_eq!(
            delivery(Problem::not_found("group", "x")),
            Delivery::Answered
        );
    }

    #[test]
    fn a_failure_keeps_its_code_on_the_way_through_anyhow() {
        let passed = || -> anyhow::Result<()> { Err(Failure::new(exit::NOT_FOUND, "gone"))? };
        assert_eq!(Failure::from(passed().unwrap_err()).code(), exit::NOT_FOUND);
    }

    #[test]
    fn a_source_that_is_in_the_message_already_is_not_repeated() {
        let inner = anyhow::anyhow!("no such file");
        let error = inner
            .context("cannot read f: no such file; check it")
            .context("cannot go on");
        let text = Failure::from(error).text();
        assert_eq!(
            text,
            "error: cannot go on: cannot read f: no such file; check it\n"
        );
        let with = Err::<(), _>(anyhow::anyhow!("why"))
            .context("what")
            .unwrap_err();
        assert_eq!(Failure::from(with).text(), "error: what: why\n");
    }
}
