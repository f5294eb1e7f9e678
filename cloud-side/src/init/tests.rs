use super::*;
use bcdr_wire::identity::Identity;
use std::os::unix::fs::PermissionsExt as _;

fn options(directory: &Path) -> InitOptions {
    InitOptions {
        state_directory: directory.join("cloud"),
        api_names: vec!["dr.example.com".to_owned(), "10.0.0.5".to_owned()],
    }
}

#[test]
fn an_installation_is_made_once_and_its_secrets_are_private() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    let state = &options.state_directory;
    assert!(!is_initialised(state).unwrap());
    let made = initialise(&options).unwrap();
    assert!(is_initialised(state).unwrap());
    for secret in [
        "authority/ca.key",
        "kek",
        "identity/cloud.key",
        "identity/api-server.key",
    ] {
        let mode = std::fs::metadata(state.join(secret))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    let again = initialise(&options).unwrap_err();
    assert!(
        matches!(again, InitError::AlreadyInitialised { installation, .. } if installation == made.installation)
    );
    // The first token still works: the refused attempt changed nothing.
    let files = StateFiles::new(state);
    let catalog = Catalog::open(&RealStorage::new(), &files.catalog(), 1 << 20).unwrap();
    let tokens = access::Access::load(std::sync::Arc::new(catalog)).unwrap();
    let found = bcdr_http::Authenticator::principal(&tokens, &made.token.hash()).unwrap();
    assert_eq!(found.unwrap().role, bcdr_http::Role::Admin);
}

#[test]
fn an_interrupted_initialisation_is_begun_again() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    let first = initialise(&options).unwrap();
    std::fs::remove_file(options.state_directory.join("installation.json")).unwrap();
    let second = initialise(&options).unwrap();
    assert_ne!(first.installation, second.installation);
    let files = StateFiles::new(&options.state_directory);
    let catalog = Catalog::open(&RealStorage::new(), &files.catalog(), 1 << 20).unwrap();
    let tokens = access::Access::load(std::sync::Arc::new(catalog)).unwrap();
    let old = bcdr_http::Authenticator::principal(&tokens, &first.token.hash()).unwrap();
    assert!(
        old.is_none(),
        "a token of the abandoned attempt still opens the door"
    );
}

#[test]
fn an_issued_identity_belongs_to_the_installation() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    let made = initialise(&options).unwrap();
    let issue_options = IssueOptions {
        role: Role::Gateway,
        name: "rack-1".to_owned(),
        alternative_names: Vec::new(),
        directory: directory.path().join("gateway"),
    };
    let paths = issue(&options.state_directory, &issue_options).unwrap();
    let identity = Identity::load_from(&paths, clock::wall()).unwrap();
    assert_eq!(identity.peer().installation, made.installation);
    assert_eq!(identity.peer().role, Role::Gateway);
    assert_eq!(identity.peer().name, "rack-1");
    let elsewhere = issue(directory.path(), &issue_options).unwrap_err();
    assert!(matches!(elsewhere, InitError::NotInitialised { .. }));
}

#[test]
fn another_token_needs_a_stopped_role() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    initialise(&options).unwrap();
    let state = &options.state_directory;
    let running = DirectoryLock::acquire(state).unwrap();
    let refused = create_token(state, "monitoring", bcdr_http::Role::Viewer).unwrap_err();
    assert!(matches!(refused, InitError::Lock(LockError::Held { .. })));
    drop(running);
    create_token(state, "monitoring", bcdr_http::Role::Viewer).unwrap();
}

#[test]
fn another_releases_layout_is_refused_by_number() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    initialise(&options).unwrap();
    let path = options.state_directory.join("installation.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        text.replace("\"layout_version\": 1", "\"layout_version\": 9"),
    )
    .unwrap();
    let error = is_initialised(&options.state_directory)
        .unwrap_err()
        .to_string();
    assert!(error.contains("layout version 9"), "{error}");
}
