//! Users, tokens and sessions over their catalog.

use super::*;
use crate::testing::leaving::{leave, one_after_the_other};
use bcdr_disk::RealStorage;
use bcdr_http::{Permission, Role, Token};
use std::net::IpAddr;

const PASSWORD: &str = "correct horse battery";

struct World {
    directory: tempfile::TempDir,
    access: Arc<Access>,
}

fn open(directory: &tempfile::TempDir) -> Arc<Access> {
    let path = directory.path().join("catalog.redb");
    let catalog = Catalog::open_or_create(&RealStorage::new(), &path, 1 << 20).unwrap();
    Arc::new(Access::load(Arc::new(catalog)).unwrap())
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let access = open(&directory);
        Self { directory, access }
    }

    fn restart(self) -> Self {
        let Self { directory, access } = self;
        drop(access);
        let access = open(&directory);
        Self { directory, access }
    }

    async fn user(&self, name: &str, role: Role) -> UserRecord {
        let wanted = NewUser {
            name: name.to_owned(),
            role,
            password: PASSWORD.into(),
        };
        self.access.create_user(wanted).await.unwrap()
    }

    async fn sign_in(&self, name: &str, password: &str) -> Result<Token, AccessError> {
        let signed = self.access.sign_in(name, password.into(), None, None);
        signed.await.map(|signed| signed.session)
    }

    fn is_known(&self, session: &Token) -> bool {
        self.access.session(&session.hash()).unwrap().is_some()
    }

    /// Makes a session look as if it had been used and begun so long ago.
    fn age(&self, session: &Token, begun: i64, used: i64) {
        let now = clock::wall();
        let mut table = self.access.table();
        let record = &mut table.sessions.get_mut(&session.hash()).unwrap().record;
        record.created_at = Timestamp(now.0 - begun * 60_000_000);
        record.used_at = Timestamp(now.0 - used * 60_000_000);
    }
}

#[tokio::test]
async fn a_session_lives_over_a_restart_and_neither_unused_nor_for_ever() {
    let world = World::new();
    let user = world.user("Ada", Role::Operator).await;
    assert_eq!(user.name, "ada");
    let session = world.sign_in("ADA", PASSWORD).await.unwrap();
    let world = world.restart();
    let found = world.access.session(&session.hash()).unwrap().unwrap();
    assert_eq!(
        (found.id, found.role),
        (user.id.to_string(), Role::Operator)
    );
    world.age(&session, 100, 29);
    assert!(world.is_known(&session));
    world.age(&session, 100, 30);
    assert!(
        !world.is_known(&session),
        "it was not used for half an hour"
    );
    world.age(&session, 720, 1);
    assert!(!world.is_known(&session), "it is half a day old");
    world.access.settle(clock::wall()).await.unwrap();
    let world = world.restart();
    assert!(world.access.table().sessions.is_empty());
}

#[tokio::test]
async fn the_last_use_of_a_session_is_kept_now_and_then() {
    let world = World::new();
    world.user("ada", Role::Viewer).await;
    let session = world.sign_in("ada", PASSWORD).await.unwrap();
    world.age(&session, 29, 29);
    world.access.settle(clock::wall()).await.unwrap();
    assert!(world.is_known(&session));
    let used = world.access.table().sessions[&session.hash()]
        .record
        .used_at;
    world.access.settle(clock::wall()).await.unwrap();
    let world = world.restart();
    let kept = world.access.table().sessions[&session.hash()]
        .record
        .used_at;
    assert_eq!(kept, used);
}

#[tokio::test]
async fn changes_of_a_user_end_the_sessions_of_that_user_only() {
    let world = World::new();
    world.user("root", Role::Admin).await;
    world.user("ada", Role::Operator).await;
    let other = world.sign_in("root", PASSWORD).await.unwrap();
    let role = UserChange {
        role: Some(Role::Viewer),
        ..UserChange::default()
    };
    let disabled = UserChange {
        disabled: Some(true),
        ..UserChange::default()
    };
    let enabled = UserChange {
        disabled: Some(false),
        ..UserChange::default()
    };
    let session = world.sign_in("ada", PASSWORD).await.unwrap();
    world
        .access
        .change_user("ada", role, |_| true)
        .await
        .unwrap();
    assert!(!world.is_known(&session));
    let session = world.sign_in("ada", PASSWORD).await.unwrap();
    let password = "another long password";
    let set = world.access.set_password("ada", password.into(), |_| true);
    set.await.unwrap();
    assert!(!world.is_known(&session));
    let old = world.sign_in("ada", PASSWORD).await;
    assert!(matches!(old, Err(AccessError::WrongPassword)));
    let session = world.sign_in("ada", password).await.unwrap();
    world
        .access
        .change_user("ada", disabled, |_| true)
        .await
        .unwrap();
    assert!(!world.is_known(&session));
    let refused = world.sign_in("ada", password).await;
    assert!(matches!(refused, Err(AccessError::WrongPassword)));
    world
        .access
        .change_user("ada", enabled, |_| true)
        .await
        .unwrap();
    let session = world.sign_in("ada", password).await.unwrap();
    world.access.remove_user("ada", |_| true).await.unwrap();
    assert!(!world.is_known(&session) && world.is_known(&other));
    let world = world.restart();
    assert!(!world.is_known(&session) && world.is_known(&other));
    assert!(world.access.user("ada").is_err());
}

#[tokio::test]
async fn the_own_password_changes_with_the_current_one_and_ends_the_other_sessions() {
    let world = World::new();
    world.user("ada", Role::Operator).await;
    let (one, two) = (
        world.sign_in("ada", PASSWORD).await.unwrap(),
        world.sign_in("ada", PASSWORD).await.unwrap(),
    );
    let change = |current: &str| {
        let access = Arc::clone(&world.access);
        let (one, current) = (one.hash(), PasswordText::from(current));
        async move {
            let wanted = PasswordText::from("another long password");
            access.change_own_password(one, current, wanted, None).await
        }
    };
    let wrong = change("not my password").await;
    assert!(matches!(wrong, Err(AccessError::WrongPassword)));
    assert!(world.is_known(&one) && world.is_known(&two));
    let changed = change(PASSWORD).await.unwrap();
    assert!(!world.is_known(&one) && !world.is_known(&two));
    assert!(world.is_known(&changed.session));
}

#[tokio::test]
async fn the_last_enabled_administrator_stays() {
    let world = World::new();
    world.user("root", Role::Admin).await;
    world.user("ada", Role::Admin).await;
    let change = |name: &'static str, role, disabled| {
        let access = Arc::clone(&world.access);
        async move {
            access
                .change_user(name, UserChange { role, disabled }, |_| true)
                .await
        }
    };
    change("root", None, Some(true)).await.unwrap();
    for (role, disabled) in [(Some(Role::Operator), None), (None, Some(true))] {
        let refused = change("ada", role, disabled).await;
        assert!(matches!(refused, Err(AccessError::LastAdmin(_))));
    }
    let refused = world.access.remove_user("ada", |_| true).await;
    assert!(matches!(refused, Err(AccessError::LastAdmin(_))));
    // A disabled administrator administers nothing, and may go.
    world.access.remove_user("root", |_| true).await.unwrap();
    world.user("bob", Role::Admin).await;
    change("ada", Some(Role::Viewer), None).await.unwrap();
}

#[tokio::test]
async fn the_setup_secret_works_once_and_not_beside_an_administrator() {
    let world = World::new();
    let secret = new_setup(&world.access.catalog).unwrap();
    let set_up = async |world: &World, secret: &str, name: &str| {
        let password = PasswordText::from(PASSWORD);
        world.access.set_up(secret, name, password, None).await
    };
    let wrong = Token::generate().unwrap();
    let refused = set_up(&world, wrong.expose(), "root").await;
    assert!(matches!(refused, Err(AccessError::WrongSecret)));
    let world = world.restart();
    let made = set_up(&world, secret.expose(), "root").await.unwrap();
    assert_eq!(made.role, Role::Admin);
    let again = set_up(&world, secret.expose(), "other").await;
    assert!(matches!(again, Err(AccessError::SetUp)));
    let world = world.restart();
    let again = set_up(&world, secret.expose(), "other").await;
    assert!(matches!(again, Err(AccessError::SetUp)));

    let world = World::new();
    let secret = new_setup(&world.access.catalog).unwrap();
    world.user("viewer", Role::Viewer).await;
    world.user("root", Role::Admin).await;
    let late = set_up(&world, secret.expose(), "other").await;
    assert!(matches!(late, Err(AccessError::SetUp)));
}

#[tokio::test]
async fn a_token_is_known_at_once_and_gone_at_once_also_after_a_restart() {
    let world = World::new();
    let wanted = |expires_at| NewToken {
        name: "wall screen".to_owned(),
        role: Role::Viewer,
        expires_at,
        groups: None,
    };
    let (token, record) = world.access.create_token(wanted(None)).await.unwrap();
    let found = world.access.principal(&token.hash()).unwrap().unwrap();
    assert_eq!(found.id, token_id(&record).to_string());
    assert_eq!(found.kind, bcdr_http::PrincipalKind::Token);
    assert!(!format!("{record:?}").contains(token.expose()));
    let world = world.restart();
    let again = world.access.principal(&token.hash()).unwrap().unwrap();
    assert_eq!(again, found);
    world.access.revoke_token(&found.id).await.unwrap();
    assert_eq!(world.access.principal(&token.hash()).unwrap(), None);
    let twice = world.access.revoke_token(&found.id).await;
    assert!(matches!(twice, Err(AccessError::NoToken(_))));
    let world = world.restart();
    assert_eq!(world.access.principal(&token.hash()).unwrap(), None);
    let past = wanted(Some(Timestamp(clock::wall().0 - 1)));
    let refused = world.access.create_token(past).await;
    assert!(matches!(refused, Err(AccessError::EndsBefore)));
    let soon = wanted(Some(Timestamp(clock::wall().0 + 60_000_000)));
    let (token, _) = world.access.create_token(soon).await.unwrap();
    let found = world.access.principal(&token.hash()).unwrap().unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(61);
    assert!(found.is_expired(later) && !found.is_expired(std::time::SystemTime::now()));
}

#[tokio::test]
async fn guessing_is_slowed_down_for_the_address_and_for_the_account() {
    let world = World::new();
    world.user("ada", Role::Viewer).await;
    let from = |host: u8, name: &'static str, password: &'static str| {
        let access = Arc::clone(&world.access);
        let address = Some(IpAddr::from([192, 0, 2, host]));
        async move {
            access
                .sign_in(name, password.into(), address, None)
                .await
                .map(drop)
        }
    };
    // All at once: no more are looked at than one after the other would be.
    let attempts: Vec<_> = (0..12)
        .map(|_| tokio::spawn(from(1, "nobody", "wrong password")))
        .collect();
    let mut looked_at = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            Err(AccessError::WrongPassword) => looked_at += 1,
            other => assert!(matches!(other, Err(AccessError::Wait(_))), "{other:?}"),
        }
    }
    assert_eq!(looked_at, 6);
    // Waits double, so before long an attempt falls into one, however slow this machine is. First the
    // address, whoever is tried; then an account, wherever the attempts come from, also one that does
    // not exist.
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let mut waits = 0;
    for name in names {
        let refused = from(1, name, "wrong password").await;
        waits += usize::from(matches!(refused, Err(AccessError::Wait(_))));
    }
    assert!(waits > 0, "the address never waits");
    from(2, "ada", PASSWORD).await.unwrap();
    for account in ["ada", "nobody else"] {
        let mut waits = 0;
        for host in 10..24 {
            let refused = from(host, account, "wrong password").await;
            waits += usize::from(matches!(refused, Err(AccessError::Wait(_))));
        }
        assert!(waits > 0, "{account} never waits");
    }
}

#[tokio::test]
async fn a_user_has_so_many_sessions_and_a_new_sign_in_ends_the_browsers_former_one() {
    let world = World::new();
    world.user("ada", Role::Viewer).await;
    let mut sessions = Vec::new();
    for _ in 0..11 {
        sessions.push(world.sign_in("ada", PASSWORD).await.unwrap());
    }
    let known = sessions.iter().filter(|one| world.is_known(one)).count();
    assert_eq!((known, world.is_known(&sessions[0])), (10, false));
    let former = Some(sessions[5].hash());
    let signed = world.access.sign_in("ada", PASSWORD.into(), None, former);
    let signed = signed.await.unwrap();
    assert!(!world.is_known(&sessions[5]) && world.is_known(&signed.session));
    assert_ne!(signed.session.hash(), sessions[5].hash());
}

/// What is known, in words that can be compared.
fn known(world: &World) -> Vec<String> {
    let table = world.access.table();
    let users = table.users.values().map(|user| format!("{user:?}"));
    let tokens = table.tokens.values().map(|token| format!("{token:?}"));
    let sessions = table.sessions.values();
    let sessions = sessions.map(|held| held.record.hash.to_string());
    let mut all: Vec<_> = users.chain(tokens).chain(sessions).collect();
    all.sort();
    all
}

#[test]
fn a_change_that_is_being_written_comes_to_its_end_when_nobody_waits_for_it_any_more() {
    one_after_the_other(async {
        let world = World::new();
        world.user("root", Role::Admin).await;
        for name in ["ada", "bob"] {
            world.user(name, Role::Operator).await;
        }
        let wanted = |name: &str| NewToken {
            name: name.to_owned(),
            role: Role::Viewer,
            expires_at: None,
            groups: None,
        };
        let (revoked, record) = world.access.create_token(wanted("one")).await.unwrap();
        let ended = world.sign_in("root", PASSWORD).await.unwrap();
        let of_ada = world.sign_in("ada", PASSWORD).await.unwrap();
        let disabled = UserChange {
            disabled: Some(true),
            ..UserChange::default()
        };
        let access = &world.access;
        leave(access.create_token(wanted("two")), || ()).await;
        leave(access.revoke_token(&token_id(&record).to_string()), || ()).await;
        leave(access.sign_out(ended.hash()), || ()).await;
        leave(access.change_user("ada", disabled, |_| true), || ()).await;
        leave(access.remove_user("bob", |_| true), || ()).await;

        let tokens = access.tokens();
        let names: Vec<_> = tokens.iter().map(|token| token.name.as_str()).collect();
        assert_eq!(names, ["two"]);
        assert_eq!(access.principal(&revoked.hash()).unwrap(), None);
        assert!(!world.is_known(&ended) && !world.is_known(&of_ada));
        assert!(access.user("ada").unwrap().disabled && access.user("bob").is_err());
        // The same holds over a restart: the table and the catalog agree.
        let before = known(&world);
        let world = world.restart();
        assert_eq!(known(&world), before);
    });
}

#[tokio::test]
async fn every_way_to_a_password_keeps_to_its_rules() {
    let world = World::new();
    let secret = new_setup(&world.access.catalog).unwrap();
    let (short, long) = ("eleven char", "x".repeat(257));
    let name = "long.name@example";
    for (password, is_length) in [
        (short, true),
        (long.as_str(), true),
        ("Long.Name@Example", false),
    ] {
        let refused = |answer: Result<(), AccessError>| match answer {
            Err(AccessError::PasswordLength) => assert!(is_length, "{password:?}"),
            Err(AccessError::PasswordIsName) => assert!(!is_length, "{password:?}"),
            other => panic!("{password:?}: {other:?}"),
        };
        let access = &world.access;
        let set_up = access.set_up(secret.expose(), name, password.into(), None);
        refused(set_up.await.map(drop));
        let wanted = NewUser {
            name: name.to_owned(),
            role: Role::Viewer,
            password: password.into(),
        };
        refused(access.create_user(wanted).await.map(drop));
    }
    world.user(name, Role::Viewer).await;
    let session = world.sign_in(name, PASSWORD).await.unwrap();
    for password in [short, &long, "Long.Name@Example"] {
        let access = &world.access;
        let set = access.set_password(name, password.into(), |_| true).await;
        let (current, wanted) = (PASSWORD.into(), password.into());
        let own = access.change_own_password(session.hash(), current, wanted, None);
        for refused in [set.map(drop), own.await.map(drop)] {
            let is_refused = matches!(
                refused,
                Err(AccessError::PasswordLength | AccessError::PasswordIsName)
            );
            assert!(is_refused, "{password:?}: {refused:?}");
        }
    }
    assert!(world.is_known(&session));
}

#[test]
fn names_that_could_be_mistaken_are_refused() {
    for text in ["", "-a", "a b", "ада", "a/b", &"x".repeat(65), "a\u{200b}"] {
        assert!(users::name(text).is_err(), "{text:?}");
    }
    assert_eq!(users::name(" Ada.L@Example ").unwrap(), "ada.l@example");
    let id = crate::record_id::UserId::generate(Timestamp(1)).unwrap();
    assert!(users::name(&id.to_string()).is_err());
}

#[test]
fn the_docs_have_the_table_of_roles_as_it_is() {
    let docs = include_str!("../../../docs/operate/access.md");
    let cells = |line: &str| -> Vec<String> {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    let mut rows = docs.lines().filter(|line| line.starts_with('|')).map(cells);
    let roles = rows.next().unwrap();
    let roles: Vec<Role> = roles[1..]
        .iter()
        .map(|role| role.parse().unwrap())
        .collect();
    let rows: Vec<_> = rows.collect();
    assert_eq!(roles.len(), Role::ALL.len());
    for permission in Permission::ALL {
        // What everybody may is said below the table.
        if permission == Permission::Own {
            continue;
        }
        let name = format!("(`{permission}`)");
        let row = rows.iter().find(|row| row[0].ends_with(&name));
        let row = row.unwrap_or_else(|| panic!("{permission} is not in docs/operate/access.md"));
        for (role, cell) in roles.iter().zip(&row[1..]) {
            let said = cell == "yes";
            assert_eq!(said, role.allows(permission), "{role}: {permission}");
        }
    }
}
