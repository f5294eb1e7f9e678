//! Which permission each operation needs: the other half of the table in `bcdr_http::Role`.
//!
//! Invariant: an operation that is not here is refused to everybody, and a test fails. What an
//! operation needs besides, because of what its request says, its handler asks of the principal; that
//! is only so for runs of plans and for configurations.

use super::{audited::EMERGENCY, document::operations};
use axum::http::Method;
use bcdr_http::{Permission, Permissions, Rate};
use serde_json::json;
use utoipa::openapi::{
    OpenApi,
    extensions::ExtensionsBuilder,
    path::{Operation, PathItem},
};

/// Operations before anybody is known.
pub(super) const OPEN: [&str; 3] = ["set_up", "show_setup", "sign_in"];

/// What an operation needs, by its id in the document.
fn needed(operation: &str) -> Option<Permission> {
    use Permission as P;
    Some(match operation {
        "show_session" | "sign_out" | "change_own_password" => P::Own,
        "show"
        | "list_groups"
        | "show_group"
        | "list_volumes"
        | "show_volume"
        | "list_points"
        | "show_point"
        | "nearest_point"
        | "show_point_readiness"
        | "list_jobs"
        | "show_job"
        | "list_views"
        | "show_view"
        | "list_branches"
        | "show_branch"
        | "list_branch_points"
        | "list_samples"
        | "list_events"
        | "follow_events" => P::Read,
        "list_drills"
        | "show_drill"
        | "read_evidence"
        | "show_drill_schedule"
        | "show_drill_screen"
        | "show_failover_screen" => P::Read,
        "show_placement" | "preview_failover" | "preview_restore" | "list_failovers"
        | "show_failover" | "list_failbacks" | "show_failback" | "list_restores"
        | "show_restore" => P::Read,
        "list_plans" | "show_plan" | "check_plan" | "forecast_plan" | "list_plan_runs"
        | "show_plan_run" => P::Read,
        "list_reports" | "show_report" | "read_report" | "show_report_key"
        | "show_report_trend" | "read_report_trend" | "read_runbook" => P::Read,
        "list_alerts" | "show_alert" | "list_alert_channels" => P::Read,
        "acknowledge_alert" | "mute_alert" | "unmute_alert" | "test_alert_channel" => {
            P::HandleAlerts
        }
        "create_point" | "check_point_readiness" => P::MarkPoints,
        "start_drill" | "stop_drill" | "set_drill_schedule" | "remove_drill_schedule" => P::Drill,
        // Runs that are no drills also need what a failover needs.
        "start_plan_run" | "cancel_plan_run" | "retry_plan_step" | "skip_plan_step" => P::Drill,
        "approve_plan_step" => P::Approve,
        "apply_plan" | "remove_plan" => P::Plan,
        "open_view" | "close_view" => P::ReadContent,
        "create_group" => P::Protect,
        "remove_branch" | "keep_source" | "keep_target" | "retry_placement" => P::Recover,
        "start_failover" | "cancel_failover" | "commit_failover" | "retry_failover"
        | "rollback_failover" => P::Recover,
        "start_failback"
        | "cancel_failback"
        | "commit_failback"
        | "confirm_failback_disks"
        | "cut_over_failback"
        | "retry_failback"
        | "rollback_failback" => P::Recover,
        "start_restore"
        | "cancel_restore"
        | "confirm_restore_disks"
        | "retry_restore"
        | "undo_restore" => P::Recover,
        // Each part that is in the document needs what its own route needs.
        "apply_configuration" => P::Drill,
        // Users are a part of it.
        "export_configuration" => P::Audit,
        "list_users" | "show_user" | "list_tokens" => P::Audit,
        "list_audit" | "show_audit_head" | "export_audit" => P::Audit,
        "create_user" | "change_user" | "set_user_password" | "remove_user" | "create_token"
        | "revoke_token" => P::ManageAccess,
        _ => return None,
    })
}

/// What is never refused because somebody asks too often: what brings production back. Signing in has a
/// limit of its own.
pub(super) fn is_never_limited(operation: &str) -> bool {
    const OF_PLANS: [&str; 4] = [
        "start_plan_run",
        "approve_plan_step",
        "retry_plan_step",
        "skip_plan_step",
    ];
    EMERGENCY.contains(&operation)
        || OF_PLANS.contains(&operation)
        || operation == "cancel_failover"
}

/// What every described operation needs, and the metrics, which are not described.
pub(super) fn of_operations(document: &OpenApi, rate: Rate) -> Permissions {
    let mut permissions = Permissions::default();
    permissions.limit(rate);
    permissions.need(Method::GET, "/metrics", Permission::Read);
    for (method, path, id) in operations(document) {
        if is_never_limited(id) {
            permissions.never_limit(method.clone(), path);
        }
        if let Some(permission) = needed(id) {
            permissions.need(method, path, permission);
        }
    }
    permissions
}

/// Writes into the document who may do what: `x-access` of each operation.
pub(super) fn describe(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        for operation in operations_mut(item) {
            let id = operation.operation_id.as_deref().unwrap_or_default();
            let access = match needed(id) {
                Some(permission) => json!({
                    "permission": permission,
                    "roles": permission.roles().collect::<Vec<_>>(),
                }),
                None if OPEN.contains(&id) => json!({ "open": true }),
                None => continue,
            };
            let extensions = ExtensionsBuilder::new().add("x-access", access).build();
            operation.extensions = Some(extensions);
        }
    }
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.post,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
    ]
    .into_iter()
    .filter_map(Option::as_mut)
}
