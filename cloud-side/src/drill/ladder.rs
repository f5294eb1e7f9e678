//! The verification ladder: which rungs a booting instance has climbed.
//!
//! A state machine without I/O: observations and `now` (time since the drill was requested) go in,
//! results come out. Rungs pass strictly in order, and console text counts only behind the text that
//! passed the rung below. Canary and network lines may come before or after the login prompt, since
//! services and prompts race, but only after the root file system was mounted. Probes are made one
//! after the other, each when it is its turn and with a time of its own. The first failure
//! ends the climb: the rung it strikes is failed, and what is above it is "not run".

use std::time::Duration;

use super::{
    CompiledPatterns, ProbeResult, Rung, RungResult, RungVerdict, canary::Canary,
    console_text::ConsoleText, rung::seconds,
};
use crate::target::{IsolationVerdict, ProbeKind};

/// Most console lines quoted as the reason of a failure.
const QUOTED_LINES_MAX: usize = 4;

/// Where the climb is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LadderState {
    /// This rung is awaited.
    Climbing(Rung),
    /// Every rung that was to be climbed is passed.
    Passed,
    /// A rung failed.
    Failed(Rung),
}

/// The ladder of one instance.
#[derive(Debug)]
pub struct Ladder {
    patterns: CompiledPatterns,
    started_at: Duration,
    boot_timeout: Duration,
    state: LadderState,
    results: Vec<RungResult>,
    text: ConsoleText,
    /// Bytes of the unfinished line that are used up by passed rungs.
    used: usize,
    /// Rungs passed by the unfinished line, whose quotation is to be completed.
    on_this_line: Vec<Rung>,
    console_spoke: bool,
    /// A higher rung whose pattern was seen before its turn, for the reason of a timeout.
    early: Option<(Rung, String)>,
    failure_lines: Vec<String>,
    canary: Option<Result<Canary, String>>,
    canary_checked: bool,
    network_line: Option<String>,
    isolation: Option<(IsolationVerdict, String)>,
    /// Whether the instance has its networks by intention, so that no isolation is awaited.
    is_connected: bool,
    probes: Vec<ProbeKind>,
    /// How many of them are decided.
    probed: usize,
    /// When the first of them was awaited: the boot is over then, and its time stands still.
    probing_since: Option<Duration>,
}

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Probed {
    /// When it began.
    pub(super) began: Duration,
    /// What was seen, or why it failed.
    pub(super) outcome: Result<String, String>,
}

impl Ladder {
    /// A ladder for an instance that is started at `now` and has `boot_timeout` for all rungs.
    pub fn new(patterns: CompiledPatterns, now: Duration, boot_timeout: Duration) -> Self {
        let not_run = |rung| RungResult {
            rung,
            verdict: RungVerdict::NotRun,
            at_seconds: None,
            reason: None,
            observed: None,
            probes: Vec::new(),
        };
        Self {
            patterns,
            started_at: now,
            boot_timeout,
            state: LadderState::Climbing(Rung::InstanceRunning),
            results: Rung::ALL.map(not_run).to_vec(),
            text: ConsoleText::default(),
            used: 0,
            on_this_line: Vec::new(),
            console_spoke: false,
            early: None,
            failure_lines: Vec::new(),
            canary: None,
            canary_checked: false,
            network_line: None,
            isolation: None,
            is_connected: false,
            probes: Vec::new(),
            probed: 0,
            probing_since: None,
        }
    }

    /// The same with probes, which come after the canary.
    pub fn with_probes(mut self, mut probes: Vec<ProbeKind>) -> Self {
        probes.sort_by_key(Rung::of);
        for probe in &probes {
            self.results[Rung::of(probe) as usize]
                .probes
                .push(ProbeResult {
                    name: probe.name(),
                    verdict: RungVerdict::NotRun,
                    at_seconds: None,
                    took_seconds: None,
                    reason: None,
                    observed: None,
                });
        }
        self.probes = probes;
        self
    }

    /// A ladder for an instance that is connected to its networks: isolation is not awaited.
    pub fn of_connected(patterns: CompiledPatterns, now: Duration, boot_timeout: Duration) -> Self {
        Self {
            is_connected: true,
            ..Self::new(patterns.without_network(), now, boot_timeout)
        }
    }

    /// Where the climb is.
    pub fn state(&self) -> LadderState {
        self.state
    }

    /// Whether nothing but the isolation is awaited.
    pub(super) fn awaits_only_isolation(&self) -> bool {
        self.state == LadderState::Climbing(Rung::Isolation)
    }

    /// The probe that is to be made now.
    pub(super) fn awaited_probe(&self) -> Option<&ProbeKind> {
        let LadderState::Climbing(awaited) = self.state else {
            return None;
        };
        let next = self.probes.get(self.probed)?;
        (Rung::of(next) == awaited).then_some(next)
    }

    /// All rungs, lowest first.
    pub fn results(&self) -> &[RungResult] {
        &self.results
    }

    /// The canary the instance showed, if it could be read.
    pub(super) fn canary(&self) -> Option<&Canary> {
        self.canary.as_ref().and_then(|canary| canary.as_ref().ok())
    }

    /// The target executes the instance.
    pub fn handle_instance_running(&mut self, now: Duration) {
        if self.state == LadderState::Climbing(Rung::InstanceRunning) {
            self.pass(
                Rung::InstanceRunning,
                "the target executes the instance",
                now,
            );
            self.settle(now);
        }
    }

    /// The console printed something.
    pub fn handle_console(&mut self, bytes: &[u8], now: Duration) {
        for byte in bytes {
            if let Some(line) = self.text.push(*byte) {
                self.handle_line(&line, true, now);
                for rung in self.on_this_line.drain(..) {
                    self.results[rung as usize].observed = Some(line.trim().to_owned());
                }
                self.used = 0;
            }
        }
        let unfinished = self.text.unfinished().to_owned();
        if !unfinished.is_empty() {
            self.handle_line(&unfinished, false, now);
        }
    }

    /// The target observed the instance's isolation.
    pub fn handle_isolation(&mut self, verdict: IsolationVerdict, reason: &str, now: Duration) {
        if verdict == IsolationVerdict::NotIsolated {
            self.fail_isolation(reason.to_owned(), now);
        }
        self.isolation = Some((verdict, reason.to_owned()));
        self.settle(now);
    }

    /// The awaited probe was made.
    pub(super) fn handle_probe(&mut self, probed: Probed, now: Duration) {
        let Some(probe) = self.awaited_probe() else {
            return;
        };
        let (rung, name) = (Rung::of(probe), probe.name());
        let result = &mut self.results[rung as usize];
        if let Some(result) = result.probes.iter_mut().find(|one| one.name == name) {
            result.at_seconds = Some(seconds(now));
            result.took_seconds = Some(seconds(now.saturating_sub(probed.began)));
            match &probed.outcome {
                Ok(observed) => {
                    result.verdict = RungVerdict::Passed;
                    result.observed = Some(observed.clone());
                }
                Err(reason) => {
                    result.verdict = RungVerdict::Failed;
                    result.reason = Some(reason.clone());
                }
            }
        }
        match probed.outcome {
            Err(reason) if rung.name() == name => self.fail(rung, reason, now),
            Err(reason) => self.fail(rung, format!("{name}: {reason}"), now),
            Ok(_) => {
                self.probed += 1;
                if self.awaited_probe().is_none() {
                    let observed = self.all_observed(rung);
                    self.pass(rung, &observed, now);
                }
                self.settle(now);
            }
        }
    }

    /// What the probes of a rung saw, in a sentence.
    fn all_observed(&self, rung: Rung) -> String {
        let probes = &self.results[rung as usize].probes;
        let observed = probes.iter().map(|probe| {
            let observed = probe.observed.as_deref().unwrap_or_default();
            if probe.name == rung.name() {
                observed.to_owned()
            } else {
                format!("{}: {observed}", probe.name)
            }
        });
        observed.collect::<Vec<_>>().join("; ")
    }

    /// Something outside the console shows that the climb is over, such as an ended process.
    pub fn handle_obstacle(&mut self, reason: &str, now: Duration) {
        if let LadderState::Climbing(awaited) = self.state {
            self.fail(awaited, reason.to_owned(), now);
        }
    }

    /// Time passed.
    pub fn handle_time(&mut self, now: Duration) {
        let LadderState::Climbing(awaited) = self.state else {
            return;
        };
        if !awaited.is_probed() && now.saturating_sub(self.started_at) >= self.boot_timeout {
            let reason = self.timeout_reason(awaited);
            self.fail(awaited, reason, now);
        }
    }

    fn handle_line(&mut self, line: &str, complete: bool, now: Duration) {
        self.console_spoke = true;
        if self.patterns.failure.is_match(line) {
            self.note_failure(line, complete, now);
        }
        self.climb_by(line, now);
        // Their values are read, so an unfinished line would give half of one.
        if complete && self.root_is_mounted() {
            self.note_canary(line);
            self.note_network(line, now);
        }
        self.settle(now);
    }

    /// Passes the console rungs this line shows, each behind the text that passed the one below.
    fn climb_by(&mut self, line: &str, now: Duration) {
        while let LadderState::Climbing(awaited) = self.state {
            let Some(pattern) = self.patterns.console(awaited) else {
                return;
            };
            let Some(found) = pattern.find_at(line, self.used.min(line.len())) else {
                self.note_early(awaited, line);
                return;
            };
            self.used = found.end();
            self.on_this_line.push(awaited);
            self.pass(awaited, line.trim(), now);
            self.skip_unset();
        }
    }

    fn note_early(&mut self, awaited: Rung, line: &str) {
        let higher = Rung::ALL.into_iter().filter(|rung| *rung > awaited);
        for rung in higher {
            let seen = self
                .patterns
                .console(rung)
                .is_some_and(|pattern| pattern.is_match(line));
            if seen && self.early.is_none() {
                self.early = Some((rung, line.trim().to_owned()));
            }
        }
    }

    /// A failure line ends the climb at the awaited rung; lines after it complete the reason.
    fn note_failure(&mut self, line: &str, complete: bool, now: Duration) {
        let line = line.trim().to_owned();
        if let LadderState::Climbing(awaited) = self.state {
            self.failure_lines.push(line.clone());
            self.fail(awaited, format!("the console shows: {line}"), now);
            return;
        }
        let LadderState::Failed(rung) = self.state else {
            return;
        };
        let Some(last) = self.failure_lines.last_mut() else {
            return;
        };
        if line.starts_with(last.as_str()) {
            // The rest of a line that failed while it was unfinished.
            *last = line;
        } else if complete && self.failure_lines.len() < QUOTED_LINES_MAX {
            self.failure_lines.push(line);
        }
        let reason = format!("the console shows: {}", self.failure_lines.join(" · "));
        self.results[rung as usize].reason = Some(reason);
    }

    fn note_canary(&mut self, line: &str) {
        // The first one counts: a workload that goes on inside the clone writes newer ones.
        if self.canary.is_none()
            && let Some(captures) = self
                .patterns
                .canary
                .as_ref()
                .and_then(|one| one.captures(line))
        {
            self.canary = Some(Canary::read(&captures, line.trim()));
        }
        self.canary_checked |= matches(self.patterns.canary_check.as_ref(), line);
    }

    fn note_network(&mut self, line: &str, now: Duration) {
        if matches(self.patterns.network_leak.as_ref(), line) {
            let reason = format!(
                "the machine says that it reached a network: {}",
                line.trim()
            );
            self.fail_isolation(reason, now);
        }
        if self.network_line.is_none() && matches(self.patterns.network_isolated.as_ref(), line) {
            self.network_line = Some(line.trim().to_owned());
        }
    }

    /// Whether the machine is past the rung from which it can know what is on its disk.
    fn root_is_mounted(&self) -> bool {
        match self.state {
            LadderState::Climbing(awaited) => awaited > Rung::RootMounted,
            LadderState::Passed => true,
            LadderState::Failed(_) => false,
        }
    }

    /// Passes the rungs that need no further console text.
    fn settle(&mut self, now: Duration) {
        self.skip_unset();
        if self.state == LadderState::Climbing(Rung::Canary) {
            self.settle_canary(now);
            self.skip_unset();
        }
        self.stop_the_clock(now);
        if self.state == LadderState::Climbing(Rung::Isolation) {
            self.settle_isolation(now);
        }
    }

    /// Probes have times of their own: what they take is no part of the boot's.
    fn stop_the_clock(&mut self, now: Duration) {
        let is_probing =
            matches!(self.state, LadderState::Climbing(awaited) if awaited.is_probed());
        match self.probing_since {
            None if is_probing => self.probing_since = Some(now),
            Some(since) if !is_probing => {
                self.boot_timeout += now.saturating_sub(since);
                self.probing_since = None;
            }
            _ => {}
        }
    }

    fn settle_canary(&mut self, now: Duration) {
        match self.canary.clone() {
            Some(Err(reason)) => self.fail(Rung::Canary, reason, now),
            Some(Ok(canary)) if self.canary_checked || self.patterns.canary_check.is_none() => {
                self.pass(Rung::Canary, &canary.line, now);
            }
            _ => {}
        }
    }

    fn settle_isolation(&mut self, now: Duration) {
        let Some((IsolationVerdict::Isolated, reason)) = self.isolation.clone() else {
            return;
        };
        let observed = match (&self.network_line, &self.patterns.network_isolated) {
            (None, Some(_)) => return,
            (None, None) => reason,
            (Some(line), _) => format!("{reason}; the machine says: {line}"),
        };
        self.pass(Rung::Isolation, &observed, now);
    }

    /// Steps over rungs that are switched off.
    fn skip_unset(&mut self) {
        while let LadderState::Climbing(awaited) = self.state {
            let set = match awaited {
                Rung::InstanceRunning => true,
                Rung::Isolation if self.is_connected => {
                    let why = "the machine is connected to its networks";
                    self.results[awaited as usize].reason = Some(why.to_owned());
                    self.step_above(awaited);
                    continue;
                }
                Rung::Isolation => true,
                Rung::Canary => self.patterns.canary.is_some(),
                probed if probed.is_probed() => {
                    if self.awaited_probe().is_some() {
                        return;
                    }
                    let why = match awaited {
                        Rung::Script => "no script is asked for",
                        _ if self.is_connected => "probes are made in drills",
                        _ => "no probe is asked for",
                    };
                    self.results[awaited as usize].reason = Some(why.to_owned());
                    self.step_above(awaited);
                    continue;
                }
                console => self.patterns.console(console).is_some(),
            };
            if set {
                return;
            }
            self.results[awaited as usize].reason = Some("no pattern is set for it".to_owned());
            self.step_above(awaited);
        }
    }

    fn pass(&mut self, rung: Rung, observed: &str, now: Duration) {
        let result = &mut self.results[rung as usize];
        result.verdict = RungVerdict::Passed;
        result.at_seconds = Some(seconds(now));
        result.observed = Some(observed.to_owned());
        self.early = None;
        self.step_above(rung);
    }

    fn step_above(&mut self, rung: Rung) {
        self.state = rung
            .next()
            .map_or(LadderState::Passed, LadderState::Climbing);
    }

    fn fail(&mut self, rung: Rung, reason: String, now: Duration) {
        let LadderState::Climbing(_) = self.state else {
            return;
        };
        for result in &mut self.results {
            if result.rung == rung {
                result.verdict = RungVerdict::Failed;
                result.at_seconds = Some(seconds(now));
                result.reason = Some(reason.clone());
            } else if result.verdict == RungVerdict::NotRun && result.reason.is_none() {
                result.reason = Some(format!("the climb ended at {}", rung.name()));
            }
            for probe in &mut result.probes {
                if probe.verdict == RungVerdict::NotRun {
                    probe.reason = Some(format!("the climb ended at {}", rung.name()));
                }
            }
        }
        self.state = LadderState::Failed(rung);
    }

    /// A leak counts even after the last rung: what was isolated then is not any more.
    fn fail_isolation(&mut self, reason: String, now: Duration) {
        if self.state == LadderState::Passed {
            self.state = LadderState::Climbing(Rung::Isolation);
        }
        self.fail(Rung::Isolation, reason, now);
    }

    fn timeout_reason(&self, awaited: Rung) -> String {
        let waited = format!("not observed within {} s", seconds(self.boot_timeout));
        let why = match awaited {
            Rung::Isolation => match (&self.isolation, &self.patterns.network_isolated) {
                (Some((IsolationVerdict::Isolated, _)), Some(_)) => {
                    "the machine did not confirm that it reaches no network".to_owned()
                }
                (Some((_, reason)), _) => reason.clone(),
                (None, _) => "the target never observed it".to_owned(),
            },
            Rung::Canary if self.canary.is_some() => {
                "the canary was shown, but its check was not".to_owned()
            }
            Rung::Canary => "the machine showed no canary".to_owned(),
            _ => match &self.early {
                Some((rung, line)) => {
                    format!("but a line of the higher rung {} was: {line}", rung.name())
                }
                None if self.console_spoke => {
                    format!("the console's last line is {:?}", self.last_words())
                }
                None => "the console stayed silent".to_owned(),
            },
        };
        format!("{waited}: {why}")
    }

    fn last_words(&self) -> &str {
        self.text.last_words().trim()
    }
}

fn matches(pattern: Option<&regex::Regex>, line: &str) -> bool {
    pattern.is_some_and(|pattern| pattern.is_match(line))
}

#[cfg(test)]
mod tests;
