//! `bcdr report verify`: the offline verifier.
//!
//! It opens files and speaks to nobody; what they mean is decided in `bcdr_report`.

use crate::cli::{Failure, document::Document, output::Output, table};
use bcdr_report::{Digest, Given, PublicKey, Report};
use clap::Args;
use serde_json::json;
use std::{
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

/// The longest report that is read, in bytes.
const REPORT_BYTES_MAX: u64 = 64 << 20;
/// The longest evidence file that is read, in bytes.
const EVIDENCE_BYTES_MAX: u64 = 4 << 30;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The reports, in the order of their numbers
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The installation's key, as `bcdr report key` printed it; without it only that the files
    /// belong together is shown, not whose they are
    #[arg(long, value_name = "KEY.pub")]
    key: Option<PathBuf>,
    /// Also check the files that the reports vouch for: in DIR, or in DIR/ID of what a report is about
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
    /// The digest of the newest report, as `bcdr report key` printed it: the last file must have it
    #[arg(long, value_name = "DIGEST")]
    end: Option<Digest>,
}

impl Arguments {
    pub(in crate::cli) fn run(self, output: Output) -> Result<(), Failure> {
        let key = self.key.as_deref().map(read_key).transpose()?;
        let mut given = Vec::new();
        for file in &self.files {
            let bytes = read(file, REPORT_BYTES_MAX).map_err(|error| cannot_read(file, &error))?;
            let name = file.display().to_string();
            given.push(Given { name, bytes });
        }
        let directory = self.evidence.clone();
        let mut evidence = |report: &Report, name: &str| match &directory {
            Some(directory) => read_evidence(directory, report, name),
            None => Err("no directory was named".to_owned()),
        };
        let wanted = self.evidence.is_some();
        let (verified, findings) = bcdr_report::verify(
            &given,
            key.as_ref(),
            self.end.as_ref(),
            wanted.then_some(&mut evidence),
        );
        let reports: Vec<_> = verified
            .iter()
            .map(|file| {
                json!({
                    "file": file.name,
                    "id": file.report.id,
                    "number": file.report.number,
                    "kind": file.report.content.subject.kind,
                    "subject": file.report.content.subject.id,
                    "result": file.report.content.result,
                    "made_at": file.report.made_at,
                    "digest": file.head.digest,
                    "key": file.key,
                })
            })
            .collect();
        let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
        let document = Document::of(&json!({
            "valid": findings.is_empty(),
            "key_checked": key.is_some(),
            "evidence_checked": wanted,
            "end_checked": self.end.is_some(),
            "reports": reports,
            "findings": told,
        }))?;
        output.show(&document, table::report::verified)?;
        match told.len() {
            0 => Ok(()),
            count => Err(Failure::error(format!(
                "the reports do not verify: {count} {}",
                if count == 1 { "finding" } else { "findings" }
            ))
            .cause(table::plain(&told[0]))
            .remedy("trust none of these files; get them again from where they were kept first")),
        }
    }
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot read {}", path.display())).cause(error)
}

fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path)?;
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let kind = io::ErrorKind::FileTooLarge;
        return Err(io::Error::new(
            kind,
            format!("it has more than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

fn read_key(path: &Path) -> Result<PublicKey, Failure> {
    let wrong = |cause: String| {
        Failure::usage(format!("cannot use the key {}", path.display()))
            .cause(cause)
            .remedy("name the file that bcdr report key was written to")
    };
    let bytes = read(path, 64 << 10).map_err(|error| cannot_read(path, &error))?;
    let text = String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
    PublicKey::from_pem(&text).map_err(|error| wrong(error.to_string()))
}

/// A file that a report vouches for. Its name comes from the report, so it may name nothing else.
fn read_evidence(directory: &Path, report: &Report, name: &str) -> Result<Vec<u8>, String> {
    let plain = |part: &str| {
        let mut parts = Path::new(part).components();
        matches!(
            (parts.next(), parts.next()),
            (Some(std::path::Component::Normal(one)), None) if one == part
        )
    };
    if !plain(name) {
        return Err("its name leads out of the directory".to_owned());
    }
    let subject = &report.content.subject.id;
    let own = directory.join(subject);
    let directory = if plain(subject) && own.is_dir() {
        own
    } else {
        directory.to_owned()
    };
    read(&directory.join(name), EVIDENCE_BYTES_MAX).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{exit, output::Form};
    use bcdr_report::{Content, SigningKey, seal};

    const CONTENT: &str = r#"{
        "subject": {"kind": "drill", "id": "drl-1", "target": "qemu"},
        "group": {"id": "grp-1", "name": "lab"},
        "point": {"id": "1-9", "label": null, "time": null, "covers_until": null, "batch_mac": null},
        "result": "passed", "reason": null, "interruption": null,
        "requested_at": "2026-11-03T10:00:00Z", "finished_at": "2026-11-03T10:01:00Z",
        "timeline": [], "phases": [],
        "recovery_time": {"until": "login", "from_interruption_ms": null, "from_request_ms": 30500},
        "recovery_point": {"this_point_ms": null, "period": null},
        "rungs": [], "canary": null, "checks": [], "generations": [], "moved": null, "images": [],
        "evidence": [{"name": "serial.log", "bytes": 3, "blake3": "DIGEST"}],
        "screenshot": null, "serial": null, "panel": null}"#;

    struct Place {
        directory: tempfile::TempDir,
        key: SigningKey,
    }

    impl Place {
        /// A chain of two reports in files, with their key and evidence.
        fn new(evidence_name: &str) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let (key, _) = SigningKey::generate().unwrap();
            let text = CONTENT
                .replace("DIGEST", &Digest::of(b"abc").to_string())
                .replace("serial.log", evidence_name);
            let content: Content = serde_json::from_str(&text).unwrap();
            let made_at = content.finished_at;
            let mut head = None;
            for number in 1..=2 {
                let id = format!("rep-{number}");
                let sealed = seal(&id, "ins-1", head, made_at, content.clone(), &key).unwrap();
                head = Some(sealed.head);
                fs::write(directory.path().join(format!("{number}.json")), sealed.json).unwrap();
            }
            fs::write(directory.path().join("key.pub"), key.public().to_pem()).unwrap();
            fs::create_dir(directory.path().join("drl-1")).unwrap();
            fs::write(directory.path().join("drl-1/serial.log"), "abc").unwrap();
            Self { directory, key }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        fn verify(&self, files: &[&str]) -> Result<(), Failure> {
            let arguments = Arguments {
                files: files.iter().map(|name| self.path(name)).collect(),
                key: Some(self.path("key.pub")),
                evidence: Some(self.directory.path().to_owned()),
                end: None,
            };
            arguments.run(Output::new(Form::Json))
        }
    }

    #[test]
    fn files_verify_until_something_is_done_to_them() {
        let place = Place::new("serial.log");
        place.verify(&["1.json", "2.json"]).unwrap();
        let swapped = place.verify(&["2.json", "1.json"]).unwrap_err();
        assert_eq!(swapped.code(), exit::ERROR);
        assert!(swapped.to_string().contains("order"), "{swapped}");
        fs::write(place.path("drl-1/serial.log"), "abd").unwrap();
        let changed = place.verify(&["1.json"]).unwrap_err();
        assert!(changed.to_string().contains("serial.log"), "{changed}");
        fs::write(place.path("drl-1/serial.log"), "abc").unwrap();
        let text = fs::read_to_string(place.path("1.json")).unwrap();
        fs::write(place.path("1.json"), text.replace("30500", "20500")).unwrap();
        let edited = place.verify(&["1.json"]).unwrap_err();
        assert!(edited.to_string().contains("edited"), "{edited}");
    }

    #[test]
    fn a_report_reads_nothing_outside_of_the_evidence() {
        let place = Place::new("../key.pub");
        let refused = place.verify(&["1.json"]).unwrap_err();
        assert!(refused.to_string().contains("leads out"), "{refused}");
    }

    #[test]
    fn what_is_no_key_is_a_usage_error() {
        let place = Place::new("serial.log");
        fs::write(place.path("key.pub"), place.key.public().to_string()).unwrap();
        let wrong = place.verify(&["1.json"]).unwrap_err();
        assert_eq!(wrong.code(), exit::USAGE);
        assert!(wrong.to_string().contains("key.pub"), "{wrong}");
        let missing = place.verify(&["3.json"]).unwrap_err();
        assert_eq!(missing.code(), exit::USAGE);
    }
}
