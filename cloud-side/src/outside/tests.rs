//! The configuration, and the files it names.

use super::{DestinationsConfig, HeaderSecretConfig, Outside, OutsideConfig, OutsideParts, files};
use crate::config::CloudConfig;
use bcdr_disk::RealStorage;
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::Arc,
};

fn file(directory: &Path, name: &str, mode: u32, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    mode_of(&path, mode);
    path
}

fn mode_of(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn refused(config: OutsideConfig) -> String {
    let parts = OutsideParts {
        config,
        storage: Arc::new(RealStorage::new()),
        evidence_directory: PathBuf::from("/nowhere"),
    };
    match Outside::new(parts) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_setting_that_cannot_be_used_is_refused_by_its_name_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let good = "0123456789abcdef";
    let none = OutsideConfig::default;
    let webhook = |file: PathBuf| OutsideConfig {
        webhook_secrets: [("pager".to_owned(), file)].into(),
        ..none()
    };
    let header = |file: PathBuf, hosts: &[&str]| OutsideConfig {
        header_secrets: [(
            "lb".to_owned(),
            HeaderSecretConfig {
                file,
                hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            },
        )]
        .into(),
        ..none()
    };
    assert_eq!(refused(none()), "");
    assert_eq!(refused(webhook(file(path, "good", 0o600, good))), "");
    let open = file(path, "open", 0o640, good);
    assert_eq!(
        refused(webhook(open.clone())),
        format!(
            "cannot use the setting outside.webhook_secrets.pager: others may read {0}; run `chmod 600 {0}`",
            open.display()
        )
    );
    let cases = [
        (
            webhook(file(path, "short", 0o600, "short")),
            "webhook_secrets.pager: its file holds only 5 bytes",
        ),
        (webhook(file(path, "empty", 0o600, "\n")), "is empty"),
        (
            webhook(path.join("missing")),
            "cannot be read: No such file",
        ),
        (webhook("relative".into()), "is no absolute path"),
        (webhook(path.to_owned()), "is no file"),
        (
            OutsideConfig {
                webhook_secrets: [("../x".to_owned(), path.join("good"))].into(),
                ..none()
            },
            "webhook_secrets.../x: no plan could name it",
        ),
        (
            OutsideConfig {
                dns_keys: [("ns".to_owned(), path.join("good"))].into(),
                ..none()
            },
            "dns_keys.ns: its file holds no key of a name server; put there one key as `tsig-keygen`",
        ),
        (
            header(path.join("good"), &[]),
            "header_secrets.lb: it has no hosts",
        ),
        (
            header(file(path, "lines", 0o600, "a\nb"), &["h"]),
            "holds what cannot be in a header",
        ),
        (
            OutsideConfig {
                script_secrets: [("s".to_owned(), file(path, "zero", 0o600, "a\0b"))].into(),
                ..none()
            },
            "script_secrets.s: its file holds a zero byte",
        ),
        (
            OutsideConfig {
                certificate_authorities: Some(path.join("good")),
                ..none()
            },
            "certificate_authorities: ",
        ),
        (
            OutsideConfig {
                destinations: Some(DestinationsConfig {
                    networks: vec!["10.0.0.1/8".to_owned()],
                }),
                ..none()
            },
            "destinations.networks: \"10.0.0.1/8\" is no network; write an address",
        ),
        (
            OutsideConfig {
                programs_directory: Some(path.join("good")),
                ..none()
            },
            "programs_directory: ",
        ),
    ];
    for (config, wanted) in cases {
        let told = refused(config);
        assert!(told.contains(wanted), "{wanted} in {told:?}");
        // No secret is in an error.
        assert!(!told.contains(good), "{told}");
    }
}

#[test]
fn programs_that_others_could_have_written_are_not_run() {
    let directory = tempfile::tempdir().unwrap();
    let programs = directory.path().join("programs");
    fs::create_dir(&programs).unwrap();
    mode_of(&programs, 0o755);
    let checked = files::programs_directory(&programs).unwrap();
    file(&programs, "good", 0o755, "#!/bin/sh\n");
    file(&programs, "shared", 0o775, "#!/bin/sh\n");
    file(&programs, "text", 0o644, "no program");
    let loose = directory.path().join("loose");
    fs::create_dir(&loose).unwrap();
    let inside = file(&loose, "inside", 0o755, "#!/bin/sh\n");
    mode_of(&loose, 0o777);
    symlink(&inside, programs.join("linked")).unwrap();
    symlink(programs.join("good"), programs.join("alias")).unwrap();
    let cause = |name: &str| match files::program(&checked, name) {
        Ok(_) => String::new(),
        Err(wrong) => wrong.cause,
    };
    assert_eq!(
        (cause("good"), cause("alias")),
        (String::new(), String::new())
    );
    for (name, wanted) in [
        ("shared", "others may write to"),
        ("text", "may not be run"),
        ("linked", "others may write to"),
        ("missing", "No such file"),
        (".", "is no file"),
    ] {
        let told = cause(name);
        assert!(told.contains(wanted), "{name}: {told}");
    }
    mode_of(&programs, 0o775);
    assert!(
        files::programs_directory(&programs)
            .unwrap_err()
            .cause
            .contains("others may write to")
    );
    mode_of(&programs, 0o755);
    // Whoever may rename it decides what is in it.
    mode_of(directory.path(), 0o777);
    assert!(files::programs_directory(&programs).is_err());
    mode_of(directory.path(), 0o1777);
    assert!(files::programs_directory(&programs).is_ok());
}

#[test]
fn the_settings_survive_writing_and_unknown_ones_are_refused() {
    let text = r#"
        state_directory = "/var/lib/bcdr"
        listen_ship = "0.0.0.0:7441"
        listen_api = "127.0.0.1:7440"
        runtime_directory = "/run/bcdr"

        [outside]
        programs_directory = "/etc/bcdr/programs"

        [outside.destinations]
        networks = ["10.20.0.0/16"]

        [outside.dns_keys]
        "ns1.key" = "/etc/bcdr/secrets/ns1"

        [outside.header_secrets.lb]
        file = "/etc/bcdr/secrets/lb"
        hosts = ["lb.example.com:5555"]
    "#;
    let config = CloudConfig::from_toml(text).unwrap();
    assert_eq!(
        config.outside.header_secrets["lb"].hosts,
        ["lb.example.com:5555"]
    );
    let written = config.to_toml().unwrap();
    assert_eq!(CloudConfig::from_toml(&written).unwrap(), config);
    let wrong = text.replace("programs_directory", "program_directory");
    let error = CloudConfig::from_toml(&wrong).unwrap_err().to_string();
    assert!(
        error.contains("unknown field `program_directory`"),
        "{error}"
    );
}
