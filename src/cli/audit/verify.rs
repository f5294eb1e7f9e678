//! `bcdr audit verify`: the offline verifier.
//!
//! It opens files and speaks to nobody; what they mean is decided in `bcdr_audit`.

use crate::cli::{Failure, document::Document, output::Output, table};
use bcdr_audit::{Mark, Verifier, verify::Expected};
use bcdr_report::PublicKey;
use clap::Args;
use serde_json::json;
use std::{
    fs::{self, File},
    io::{self, BufReader, Read as _},
    path::{Path, PathBuf},
};

/// The longest key file that is read, in bytes.
const KEY_BYTES_MAX: u64 = 64 << 10;
/// What files of a log are called in the cloud side's directory.
const SUFFIX: &str = "jsonl";
/// The one of them that is no part of the log, and comes first.
const CUT: &str = "cut.jsonl";

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// An export, or the directory `audit` of a cloud side's state, or files of it in their order
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The installation's key, as `bcdr report key` printed it; without it only that the log fits
    /// together is shown, not whose it is
    #[arg(long, value_name = "KEY.pub")]
    key: Option<PathBuf>,
    /// A head that was kept elsewhere, as `bcdr audit head` printed it: the log must have it
    #[arg(long, value_name = "NUMBER:HASH", value_parser = head)]
    head: Option<Mark>,
    /// The log may begin anywhere, as an export of a period does
    #[arg(long)]
    partial: bool,
}

fn head(text: &str) -> Result<Mark, String> {
    let wrong = || "a head is NUMBER:HASH, as bcdr audit head prints it".to_owned();
    let (sequence, hash) = text.split_once(':').ok_or_else(wrong)?;
    Ok(Mark {
        sequence: sequence.parse().map_err(|_| wrong())?,
        hash: hash.parse().map_err(|_| wrong())?,
    })
}

impl Arguments {
    pub(in crate::cli) fn run(self, output: Output) -> Result<(), Failure> {
        let mut verifier = Verifier::new(Expected {
            key: self.key.as_deref().map(read_key).transpose()?,
            known: self.head,
            partial: self.partial,
        });
        for path in self.all_files()? {
            let cannot = |error: io::Error| cannot_read(&path, &error);
            let mut text = BufReader::new(File::open(&path).map_err(cannot)?);
            let name = path.display().to_string();
            verifier.file(&name, &mut text).map_err(cannot)?;
        }
        let verdict = verifier.finish();
        let told: Vec<String> = verdict.findings.iter().map(ToString::to_string).collect();
        let sequence = |mark: Option<Mark>| mark.map(|mark| mark.sequence);
        let document = Document::of(&json!({
            "valid": verdict.is_valid(),
            "installation": verdict.installation,
            "entries": verdict.entries,
            "first": verdict.after.map(|after| after.sequence + 1),
            "newest": sequence(verdict.newest),
            "signed_through": sequence(verdict.signed),
            "removed_through": sequence(verdict.cut),
            "signed_with": verdict.key,
            "key_checked": self.key.is_some(),
            "head_checked": self.head.is_some(),
            "findings": told,
            "more_findings": verdict.more,
        }))?;
        output.show(&document, table::audit::verified)?;
        let Some(first) = told.first() else {
            return Ok(());
        };
        Err(Failure::error("the audit log does not verify")
            .cause(table::plain(first))
            .remedy(
                "keep these files as they are, and compare them with an earlier export or a backup",
            ))
    }

    /// The files, with those of a directory in the place of it.
    fn all_files(&self) -> Result<Vec<PathBuf>, Failure> {
        let mut files = Vec::new();
        for path in &self.files {
            if !path.is_dir() {
                files.push(path.clone());
                continue;
            }
            let cannot = |error: io::Error| cannot_read(path, &error);
            let mut found = Vec::new();
            for entry in fs::read_dir(path).map_err(cannot)? {
                let file = entry.map_err(cannot)?.path();
                if file
                    .extension()
                    .is_some_and(|extension| extension == SUFFIX)
                {
                    found.push(file);
                }
            }
            // The cut first; names of the others sort like their numbers.
            found.sort_by_key(|file| (!file.ends_with(CUT), file.clone()));
            files.append(&mut found);
        }
        Ok(files)
    }
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot read {}", path.display())).cause(error)
}

fn read_key(path: &Path) -> Result<PublicKey, Failure> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
    file.take(KEY_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| cannot_read(path, &error))?;
    PublicKey::from_pem(&text).map_err(|error| {
        Failure::usage(format!("cannot use the key {}", path.display()))
            .cause(error)
            .remedy("name the file that bcdr report key was written to")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{exit, output::Form};
    use bcdr_audit::{
        AUDIT_VERSION, Actor, ActorKind, Chained, Draft, Entry, Head, Line, Opening, Outcome,
        SignedHead,
    };
    use bcdr_report::SigningKey;

    /// The files of a store: two segments of four entries, with their key.
    struct Place {
        directory: tempfile::TempDir,
        newest: Mark,
    }

    impl Place {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let (key, _) = SigningKey::generate().unwrap();
            let mut newest = Mark::beginning("ins-1");
            for segment in 1..=2 {
                let mut text = Line::Opening(Opening {
                    audit_version: AUDIT_VERSION,
                    installation: "ins-1".to_owned(),
                    segment: Some(segment),
                    after: newest,
                })
                .to_text();
                for _ in 0..4 {
                    let actor = Actor {
                        kind: ActorKind::Token,
                        id: None,
                        name: format!("operator-{}", newest.sequence + 1),
                    };
                    let entry = Entry {
                        sequence: newest.sequence + 1,
                        append: newest.sequence + 1,
                        at: jiff::Timestamp::UNIX_EPOCH,
                        said: Draft::new(actor, "start_drill", Outcome::Allowed),
                    };
                    let entry = Chained::after(&newest, entry);
                    newest = entry.mark();
                    text.push_str(&Line::Entry(entry).to_text());
                }
                let head = Head {
                    installation: "ins-1".to_owned(),
                    newest,
                    kept: newest.sequence,
                    at: jiff::Timestamp::UNIX_EPOCH,
                };
                text.push_str(&Line::Head(SignedHead::sign(head, &key)).to_text());
                let path = directory.path().join(format!("{segment:020}.jsonl"));
                fs::write(path, text).unwrap();
            }
            fs::write(directory.path().join("key.pub"), key.public().to_pem()).unwrap();
            Self { directory, newest }
        }

        fn segment(&self, number: u64) -> PathBuf {
            self.directory.path().join(format!("{number:020}.jsonl"))
        }

        fn verify(&self) -> Result<(), Failure> {
            let arguments = Arguments {
                files: vec![self.directory.path().to_owned()],
                key: Some(self.directory.path().join("key.pub")),
                head: Some(self.newest),
                partial: false,
            };
            arguments.run(Output::new(Form::Json))
        }

        /// Does something to a segment, and says what the verifier says.
        fn told_after(number: u64, tamper: impl FnOnce(String) -> String) -> String {
            let place = Self::new();
            place.verify().unwrap();
            let path = place.segment(number);
            let text = fs::read_to_string(&path).unwrap();
            let tampered = tamper(text.clone());
            assert_ne!(text, tampered);
            fs::write(path, tampered).unwrap();
            let failure = place.verify().unwrap_err();
            assert_eq!(failure.code(), exit::ERROR);
            failure.to_string()
        }
    }

    #[test]
    fn files_of_a_store_verify_until_something_is_done_to_them() {
        let lines = |text: &str| {
            text.lines()
                .map(|line| format!("{line}\n"))
                .collect::<Vec<_>>()
        };
        let told = Place::told_after(1, |text| text.replace("operator-2", "operator-9"));
        assert!(
            told.contains("entry 2") && told.contains("edited"),
            "{told}"
        );
        let told = Place::told_after(2, |text| {
            let mut lines = lines(&text);
            lines.remove(2);
            lines.concat()
        });
        assert!(
            told.contains("6 to 6") && told.contains("deleted"),
            "{told}"
        );
        let told = Place::told_after(2, |text| {
            let mut lines = lines(&text);
            lines.swap(1, 2);
            lines.concat()
        });
        assert!(told.contains("5 to 5") || told.contains("order"), "{told}");
        let told = Place::told_after(2, |text| lines(&text)[..3].concat());
        assert!(
            told.contains("older copy") && told.contains("entry 8"),
            "{told}"
        );
        let place = Place::new();
        fs::remove_file(place.segment(2)).unwrap();
        let told = place.verify().unwrap_err().to_string();
        assert!(told.contains("older copy"), "{told}");
        let place = Place::new();
        fs::remove_file(place.segment(1)).unwrap();
        let told = place.verify().unwrap_err().to_string();
        assert!(told.contains("removed in order"), "{told}");
    }

    #[test]
    fn heads_are_read_as_they_are_printed() {
        let newest = Mark::beginning("ins-1");
        let text = format!("{}:{}", newest.sequence, newest.hash);
        assert_eq!(head(&text), Ok(newest));
        for wrong in ["", "5", "5:xyz", &text[1..]] {
            assert!(head(wrong).is_err(), "{wrong}");
        }
    }
}
