//! Pictures of the screens of machines that run now, as files.

use super::{Failure, client::Path, global::Session, table};
use clap::Args;
use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{self, PathBuf},
};

/// Whose screen, and where it goes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Its id
    id: String,
    /// The file to write, as PNG; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

impl Arguments {
    /// Saves the screen of a machine of a drill or failover, which `collection` holds.
    pub(super) fn run(self, session: &Session, collection: &str) -> Result<(), Failure> {
        let mut png = Vec::new();
        let path = Path::new(collection).item(&self.id).item("screen");
        session.client.download(&path, &mut png)?;
        replace(&self.output, &png).map_err(|error| {
            Failure::error(format!("cannot write {}", self.output.display()))
                .cause(error)
                .remedy("name a file in a directory that you may write to")
        })?;
        let told = format!("{} is written", self.output.display());
        session.progress.event(&table::line(&told));
        Ok(())
    }
}

/// Writes the file as a whole, for its owner alone: a screen shows what is on the machine.
fn replace(file: &path::Path, bytes: &[u8]) -> io::Result<()> {
    let part = file.with_added_extension("part");
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&part)?.write_all(bytes)?;
    fs::rename(&part, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_picture_replaces_the_one_before_and_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("screen.png");
        fs::write(&file, "a longer one before").unwrap();
        replace(&file, b"png").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"png");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(replace(&directory.path().join("none/screen.png"), b"png").is_err());
    }
}
