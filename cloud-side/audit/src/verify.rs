//! Checks a log offline: that nothing was edited, left out, put in another order, cut or exchanged.
//!
//! Everything that is wrong is found and named, not only the first thing. It opens no file: who
//! calls it gives the bytes, in the order of the files. Memory is bounded whatever it is given.
//!
//! What a log cannot show by itself is that its newest entries are missing, or that all of it is an
//! older copy. For that the verifier is told a place of the chain that was noted elsewhere.

mod finding;

pub use finding::{Finding, Place};

use crate::{Chained, LINE_BYTES_MAX, Line, LineError, Mark, Opening, SignedCut, SignedHead};
use bcdr_report::PublicKey;
use std::io::{self, BufRead, Read as _};

/// Most findings that are named; more are counted.
const FINDINGS_MAX: usize = 1000;
/// How many entries of a store may follow its newest head: it is signed at least this often.
const UNSIGNED_MAX: u64 = 1024;

/// What is known from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The installation's key. Without it only that the log fits together is shown.
    pub key: Option<PublicKey>,
    /// A place of the chain that was noted before: the log must have it.
    pub known: Option<Mark>,
    /// Whether the log may begin anywhere, as an export of a period does.
    pub partial: bool,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The installation that the log is of.
    pub installation: Option<String>,
    /// The place before the first entry.
    pub after: Option<Mark>,
    /// The newest entry.
    pub newest: Option<Mark>,
    /// How many entries were read.
    pub entries: u64,
    /// The newest entry that a signed head covers.
    pub signed: Option<Mark>,
    /// Whose signature the heads bear.
    pub key: Option<PublicKey>,
    /// Through which entry the beginning was removed in order.
    pub cut: Option<Mark>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// How many more things are wrong.
    pub more: u64,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_valid(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Reads a log from its beginning to its end.
#[derive(Debug)]
pub struct Verifier {
    expected: Expected,
    place: Place,
    /// The first line of the file that is read.
    opening: Option<Opening>,
    /// The number of the last file of the store.
    segment: Option<u64>,
    is_export: bool,
    known_seen: bool,
    verdict: Verdict,
}

impl Verifier {
    /// A verifier that was given nothing yet.
    pub fn new(expected: Expected) -> Self {
        Self {
            expected,
            place: Place::default(),
            opening: None,
            segment: None,
            is_export: false,
            known_seen: false,
            verdict: Verdict {
                installation: None,
                after: None,
                newest: None,
                entries: 0,
                signed: None,
                key: None,
                cut: None,
                findings: Vec::new(),
                more: 0,
            },
        }
    }

    /// Reads the next file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn file(&mut self, name: &str, text: &mut dyn BufRead) -> io::Result<()> {
        self.place = Place {
            file: name.to_owned(),
            line: 0,
        };
        self.opening = None;
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut one = (&mut *text).take(LINE_BYTES_MAX as u64 + 1);
            if one.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            self.line(&line);
        }
    }

    /// Says what was found, after the last file.
    pub fn finish(mut self) -> Verdict {
        let newest = self.verdict.newest.or(self.verdict.after);
        let last = newest.map_or(0, |mark| mark.sequence);
        if self.verdict.installation.is_none() {
            self.note(|place| Finding::Nothing { place });
        }
        let signed = self.verdict.signed.or(self.verdict.after);
        let signed = signed.map_or(0, |mark| mark.sequence);
        let unsigned = last.saturating_sub(signed);
        let allowed = if self.is_export { 0 } else { UNSIGNED_MAX };
        if unsigned > allowed {
            self.note(|place| Finding::Unsigned {
                place,
                after: signed,
                newest: last,
            });
        }
        if let Some(known) = self.expected.known.filter(|_| !self.known_seen) {
            let begins = self.verdict.after.map_or(0, |mark| mark.sequence);
            if known.sequence > last {
                self.note(|place| Finding::Truncated {
                    place,
                    newest: last,
                    known: known.sequence,
                });
            } else if known.sequence < begins {
                self.note(|place| Finding::NotCovered {
                    place,
                    known: known.sequence,
                    begins: begins + 1,
                });
            }
        }
        self.verdict
    }

    fn line(&mut self, bytes: &[u8]) {
        self.place.line += 1;
        match Line::parse(bytes) {
            Err(LineError::Version(version)) => {
                self.note(|place| Finding::UnknownVersion { place, version });
            }
            Err(error) => self.note(|place| Finding::NotALine {
                place,
                reason: error.to_string(),
            }),
            Ok(Line::Opening(opening)) => self.opens(opening),
            Ok(Line::Cut(cut)) => self.cut(&cut),
            Ok(Line::Entry(entry)) => {
                self.has_opening();
                self.entry(&entry);
            }
            Ok(Line::Head(head)) => {
                self.has_opening();
                self.head(&head);
            }
        }
    }

    /// A file whose first line is missing or unreadable; that is said once.
    fn has_opening(&mut self) {
        if self.opening.is_none() && self.place.line == 1 {
            self.note(|place| Finding::Unopened { place });
        }
    }

    fn opens(&mut self, opening: Opening) {
        if self.place.line != 1 {
            self.note(|place| Finding::NotALine {
                place,
                reason: "it belongs at the beginning of a file".to_owned(),
            });
            return;
        }
        self.of_installation(&opening.installation);
        let after = opening.after;
        match self.verdict.newest.or(self.verdict.after) {
            None => self.begins(&opening),
            Some(newest) => {
                let number = self.segment.and_then(|number| number.checked_add(1));
                if opening.segment != number || number.is_none() {
                    let (found, expected) = (opening.segment, number);
                    self.note(|place| Finding::OtherFile {
                        place,
                        found,
                        expected,
                    });
                }
                if after.sequence > newest.sequence {
                    self.missing(newest.sequence, after.sequence + 1);
                } else if after.sequence < newest.sequence {
                    self.note(|place| Finding::Order {
                        place,
                        sequence: after.sequence + 1,
                        before: newest.sequence,
                    });
                } else if after.hash != newest.hash {
                    self.replaced(after.sequence);
                }
                self.verdict.newest = Some(after);
            }
        }
        self.segment = opening.segment;
        self.is_export = opening.segment.is_none();
        self.opening = Some(opening);
    }

    /// The first file.
    fn begins(&mut self, opening: &Opening) {
        let after = opening.after;
        self.verdict.after = Some(after);
        let beginning = Mark::beginning(&opening.installation);
        if after.sequence == 0 && after != beginning {
            self.note(|place| Finding::Beginning { place, first: 1 });
        }
        if after.sequence > 0 && !self.expected.partial && opening.segment.is_some() {
            self.begins_after_the_cut();
        }
        self.is_known(after);
    }

    /// What is missing before the first entry must have been removed in order.
    fn begins_after_the_cut(&mut self) {
        let (Some(after), cut) = (self.verdict.after, self.verdict.cut) else {
            return;
        };
        let lawful = cut.is_some_and(|cut| after.sequence < cut.sequence || after == cut);
        if !lawful {
            self.note(|place| Finding::Beginning {
                place,
                first: after.sequence + 1,
            });
        }
    }

    fn entry(&mut self, entry: &Chained) {
        self.verdict.entries += 1;
        self.first_of_an_export();
        let mark = entry.mark();
        if let Some(before) = self.verdict.newest.or(self.verdict.after) {
            if mark.sequence <= before.sequence {
                self.note(|place| Finding::Order {
                    place,
                    sequence: mark.sequence,
                    before: before.sequence,
                });
            } else if mark.sequence > before.sequence + 1 {
                self.missing(before.sequence, mark.sequence);
            } else if !entry.fits(&before.hash) {
                self.note(|place| Finding::Edited {
                    place,
                    sequence: mark.sequence,
                });
            }
        }
        // What follows is compared with what this one says of itself, so that one edit is one
        // finding; a head finds whoever wrote all that follows anew.
        self.verdict.newest = Some(mark);
        self.is_known(mark);
    }

    /// An export has its cut behind its first line, so its beginning is judged at its first entry.
    fn first_of_an_export(&mut self) {
        let is_first = self.verdict.newest.is_none() && self.is_export;
        let begins_late = self.verdict.after.is_some_and(|after| after.sequence > 0);
        if is_first && begins_late && !self.expected.partial {
            self.begins_after_the_cut();
        }
    }

    fn head(&mut self, head: &SignedHead) {
        if !self.is_signed(head.verifies(), head.key, &head.body.installation) {
            return;
        }
        let (said, newest) = (head.body.newest, self.verdict.newest.or(self.verdict.after));
        let Some(newest) = newest else { return };
        if said.sequence > newest.sequence {
            self.missing(newest.sequence, said.sequence + 1);
        } else if said.sequence < newest.sequence {
            self.note(|place| Finding::Order {
                place,
                sequence: said.sequence,
                before: newest.sequence,
            });
        } else if said.hash != newest.hash {
            self.replaced(said.sequence);
        } else {
            self.verdict.signed = Some(said);
        }
    }

    fn cut(&mut self, cut: &SignedCut) {
        if self.is_signed(cut.verifies(), cut.key, &cut.body.installation) {
            self.verdict.cut = Some(cut.body.through);
        }
    }

    /// Whether a statement counts.
    fn is_signed(&mut self, fits: bool, key: PublicKey, installation: &str) -> bool {
        if !fits {
            self.note(|place| Finding::Signature { place });
            return false;
        }
        let expected = *self
            .expected
            .key
            .as_ref()
            .or(self.verdict.key.as_ref())
            .unwrap_or(&key);
        self.verdict.key.get_or_insert(key);
        if key != expected {
            self.note(|place| Finding::OtherKey {
                place,
                found: key,
                expected,
            });
            return false;
        }
        self.of_installation(installation)
    }

    fn of_installation(&mut self, found: &str) -> bool {
        let expected = self
            .verdict
            .installation
            .get_or_insert_with(|| found.to_owned());
        let (is_this, expected) = (expected == found, expected.clone());
        if !is_this {
            self.note(|place| Finding::OtherInstallation {
                place,
                found: found.to_owned(),
                expected,
            });
        }
        is_this
    }

    fn is_known(&mut self, mark: Mark) {
        let Some(known) = self.expected.known else {
            return;
        };
        if known.sequence != mark.sequence {
            return;
        }
        self.known_seen = true;
        if known.hash != mark.hash {
            self.replaced(mark.sequence);
        }
    }

    fn missing(&mut self, before: u64, next: u64) {
        self.note(|place| Finding::Missing {
            place,
            from: before + 1,
            to: next - 1,
        });
    }

    fn replaced(&mut self, sequence: u64) {
        self.note(|place| Finding::Replaced { place, sequence });
    }

    fn note(&mut self, finding: impl FnOnce(Place) -> Finding) {
        if self.verdict.findings.len() < FINDINGS_MAX {
            self.verdict.findings.push(finding(self.place.clone()));
        } else {
            self.verdict.more += 1;
        }
    }
}

#[cfg(test)]
mod tests;
