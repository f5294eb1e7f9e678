//! Channels: who is told what, and the ways of telling.
//!
//! Invariants: sending ends within [`LONGEST`], whatever the other side does; what was not said to be
//! taken counts as not taken; no secret is in a text that is logged or shown.

pub(super) mod mail;
pub(super) mod robot;
pub(super) mod webhook;

use super::Message;
use bcdr_alert::{Alert, AlertCode, Language, ObjectKind, Sent, Severity, Taken, Transition};
use rustix::fs::OFlags;
use std::{
    collections::BTreeSet,
    fmt,
    fs::{File, Metadata, OpenOptions},
    io::Read as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};
use zeroize::Zeroizing;

/// The longest time of one message.
const LONGEST: Duration = Duration::from_secs(30);
/// Bytes of a file with a secret or with authorities.
const FILE_MAX: u64 = 1 << 20;

/// Why a channel cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}; check the path and who may read it")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Others may read a secret.
    #[error("{path} holds a secret, and others than its owner may read it; chmod 600 {path}")]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// A file does not hold what it should.
    #[error("{path} {cause}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what it should be.
        cause: String,
    },
    /// A field is wrong.
    #[error("{field}: {cause}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong, and what it should be.
        cause: String,
    },
    /// The webhook cannot be used.
    #[error(transparent)]
    Webhook(#[from] bcdr_reach::webhook::WebhookError),
}

/// How a channel tells.
pub(crate) enum Way {
    /// An HTTP POST that can be checked.
    Webhook(webhook::WebhookChannel),
    /// E-mail.
    Email(mail::Mail),
    /// A robot of a DingTalk group.
    DingTalk(robot::Robot),
    /// A robot of a WeCom group.
    WeCom(robot::Robot),
}

/// A channel.
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) minimum_severity: Severity,
    /// All when there is none.
    pub(crate) codes: BTreeSet<AlertCode>,
    pub(crate) language: Language,
    pub(crate) heartbeat_every: Option<Duration>,
    pub(super) way: Way,
}

impl fmt::Debug for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Channel")
            .field("name", &self.name)
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

impl Channel {
    /// How it tells, for programs.
    pub(crate) fn kind(&self) -> &'static str {
        match self.way {
            Way::Webhook(_) => "webhook",
            Way::Email(_) => "email",
            Way::DingTalk(_) => "dingtalk",
            Way::WeCom(_) => "wecom",
        }
    }

    /// Whether it is told a change of an alert. That it does not work itself it is never told.
    pub(super) fn takes(&self, alert: &Alert, transition: &Transition) -> bool {
        let of_itself = alert.object.kind == ObjectKind::Channel && alert.object.id == self.name;
        !of_itself
            && transition.worst >= self.minimum_severity
            && (self.codes.is_empty() || self.codes.contains(&alert.code))
    }

    /// Tells, once.
    pub(super) async fn send(&self, message: &Message) -> Sent {
        let sent = async {
            match &self.way {
                Way::Webhook(hook) => hook.send(message, self.language).await,
                Way::Email(mail) => return mail.send(message, self.language).await,
                Way::DingTalk(robot) | Way::WeCom(robot) => {
                    robot.send(message, self.language).await
                }
            }
            .map(|()| Taken::default())
        };
        match tokio::time::timeout(LONGEST, sent).await {
            Ok(result) => result,
            Err(_) => Err(format!(
                "it was not taken within {} s; check that the receiver answers",
                LONGEST.as_secs()
            )),
        }
    }
}

/// A regular file, and what is known of that very file, whatever happens to its path. Blocks, but on
/// no pipe that nobody writes to.
fn open(path: &Path) -> Result<(File, Metadata), ChannelError> {
    let unreadable = |source| ChannelError::File {
        path: path.to_owned(),
        source,
    };
    let at_once = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(at_once)
        .open(path);
    let file = opened.map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ChannelError::Content {
            path: path.to_owned(),
            cause: "is no regular file; name one".to_owned(),
        });
    }
    Ok((file, metadata))
}

/// What a file holds, as far as it is not too much. Blocks.
fn read(file: &File, path: &Path) -> Result<Zeroizing<Vec<u8>>, ChannelError> {
    // Never grown, so that no copy of a secret is left behind.
    let room = usize::try_from(FILE_MAX + 1).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    let read = file.take(FILE_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|source| ChannelError::File {
        path: path.to_owned(),
        source,
    })?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(ChannelError::Content {
            path: path.to_owned(),
            cause: format!("has more than {FILE_MAX} bytes; name the right file"),
        });
    }
    Ok(bytes)
}

/// What a file holds that only its owner may read; a line end behind it does not count. Blocks.
fn secret(path: &Path) -> Result<Zeroizing<String>, ChannelError> {
    let (file, metadata) = open(path)?;
    if metadata.mode() & 0o077 != 0 {
        return Err(ChannelError::Open {
            path: path.to_owned(),
        });
    }
    let bytes = read(&file, path)?;
    let wrong = |cause: &str| ChannelError::Content {
        path: path.to_owned(),
        cause: cause.to_owned(),
    };
    let text =
        std::str::from_utf8(&bytes).map_err(|_| wrong("is no text; write the secret as text"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(wrong("is empty; write the secret into it"));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

/// The text of a file with certificates. Blocks.
fn authorities(path: &Path) -> Result<String, ChannelError> {
    let (file, _) = open(path)?;
    String::from_utf8(read(&file, path)?.to_vec()).map_err(|_| ChannelError::Content {
        path: path.to_owned(),
        cause: "is no text; give certificates in PEM form".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_a_regular_file_of_some_size_that_nobody_else_may_read_holds_a_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let write = |bytes: &[u8], mode: u32| {
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        };
        write(b"abc\r\n", 0o600);
        assert_eq!(*secret(&path).unwrap(), "abc");
        write(b"abc", 0o640);
        assert!(matches!(secret(&path), Err(ChannelError::Open { .. })));
        let most = usize::try_from(FILE_MAX).unwrap();
        write(&vec![b'a'; most], 0o600);
        assert_eq!(secret(&path).unwrap().len(), most);
        let refused = |path: &Path, words: &str| {
            let all = [
                secret(path).map(drop).unwrap_err(),
                authorities(path).map(drop).unwrap_err(),
            ];
            for error in all {
                assert!(error.to_string().contains(words), "{error}");
            }
        };
        write(&vec![b'a'; most + 1], 0o600);
        refused(&path, "more than 1048576 bytes");
        refused(directory.path(), "no regular file");
        // It says that it has no bytes, and gives as many as somebody reads.
        refused(Path::new("/dev/zero"), "no regular file");
        // Nobody writes to it, so whoever opened it would wait for ever.
        let pipe = directory.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        refused(&pipe, "no regular file");
    }
}
