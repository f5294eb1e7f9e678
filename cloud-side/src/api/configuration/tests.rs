//! What is told of an apply that cannot be completed.

use super::{change::Deed, *};
use crate::testing::site::Site;
use bcdr_audit::{Actor, ActorKind, Draft};
use bcdr_http::{PrincipalKind, Role};
use serde_json::json;

fn asked(site: &Site) -> Asked {
    let service = site.service();
    let actor = Actor {
        kind: ActorKind::Token,
        id: None,
        name: "ops".to_owned(),
    };
    let draft = Draft::new(actor, "apply_configuration", bcdr_audit::Outcome::Begun);
    Asked {
        parts: Parts::new(Arc::clone(&service.audit), draft),
        service: State(service),
        principal: Principal {
            kind: PrincipalKind::Token,
            id: "tok-1".to_owned(),
            name: "ops".to_owned(),
            role: Role::Admin,
            expires: None,
            bounds: None,
        },
        query: ApplyQuery {
            dry_run: None,
            prune: None,
        },
        expected: Expected::Anything,
        document: serde_json::from_value(json!({"version": 1})).unwrap(),
    }
}

fn change(object: ObjectKind, name: &str, kind: ChangeKind, deed: Option<Deed>) -> Change {
    Change {
        object,
        name: name.to_owned(),
        kind,
        fields: Vec::new(),
        deed,
    }
}

fn group(name: &str) -> Change {
    let wanted = json!({"name": name, "volumes": [{"name": "root", "size_bytes": 512}]});
    let deed = Deed::MakeGroup(serde_json::from_value(wanted).unwrap());
    change(ObjectKind::Group, name, ChangeKind::Create, Some(deed))
}

/// A plan that somebody removed since it was looked at.
fn gone() -> Change {
    let deed = Deed::RemovePlan(Expected::Versions(vec!["3".to_owned()]));
    change(ObjectKind::Plan, "gone", ChangeKind::Remove, Some(deed))
}

#[tokio::test]
async fn what_was_applied_before_a_failure_is_told_and_nothing_comes_after_it() {
    let site = Site::start().await;
    let asked = asked(&site);
    let same = change(ObjectKind::Group, "same", ChangeKind::Unchanged, None);
    let changes = vec![same, group("first"), gone(), group("never")];
    let bodies = asked.carry_out(changes).await.unwrap();
    let body = asked.body(Some("1".to_owned()), bodies);
    assert!(!body.complete);
    let outcomes: Vec<_> = body.changes.iter().map(|change| change.outcome).collect();
    let wanted = [
        Outcome::Nothing,
        Outcome::Applied,
        Outcome::Failed,
        Outcome::NotApplied,
    ];
    assert_eq!(outcomes, wanted);
    let problem = body.changes[2].problem.as_ref().unwrap();
    assert_eq!(problem.code, "plan_not_found");
    assert!(site.service().groups.find("first").is_some());
    assert!(site.service().groups.find("never").is_none());
    // Also in the log, where the part that failed has its end.
    let log = site
        .get("/api/v1/audit?action=remove_plan")
        .await
        .expect(200);
    let log = log["items"].as_array().unwrap();
    assert_eq!(log.len(), 2);
    assert_eq!(
        (&log[0]["outcome"], &log[0]["code"], &log[0]["began"]),
        (
            &json!("refused"),
            &json!("plan_not_found"),
            &log[1]["sequence"]
        )
    );
    let made = site
        .get("/api/v1/audit?action=create_group")
        .await
        .expect(200);
    let id = site
        .service()
        .groups
        .find("first")
        .unwrap()
        .id()
        .to_string();
    assert_eq!(made["items"][0]["object"], id);
}

#[tokio::test]
async fn a_first_change_that_fails_is_a_problem_and_nothing_was_applied() {
    let site = Site::start().await;
    let asked = asked(&site);
    let problem = asked
        .carry_out(vec![gone(), group("never")])
        .await
        .unwrap_err();
    assert_eq!(problem.code, "plan_not_found");
    assert!(problem.detail.contains("plan gone"), "{}", problem.detail);
    assert!(problem.detail.ends_with("; nothing was applied"));
    assert!(site.service().groups.find("never").is_none());
}

#[tokio::test]
async fn a_change_that_cannot_be_entered_is_not_made() {
    let site = Site::start().await;
    let asked = asked(&site);
    site.service().audit.break_for_a_while(true);
    let problem = asked.carry_out(vec![group("never")]).await.unwrap_err();
    assert_eq!(problem.code, "audit_unavailable");
    assert!(site.service().groups.find("never").is_none());
    site.service().audit.break_for_a_while(false);
}
