//! Readiness for people: what stands in the way first, with what to do about it.

use super::{Fields, or_unknown, plain};
use serde::Deserialize;
use std::fmt::Write as _;

/// The inspection of a point, as far as people are shown it.
#[derive(Debug, Deserialize)]
pub(crate) struct PointReadiness {
    pub(crate) point: String,
    checked_at: String,
    pub(crate) report: Report,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    pub(crate) readiness: String,
    target: Target,
    #[serde(default)]
    operating_system: Option<String>,
    checks: Vec<Check>,
    #[serde(default)]
    fix_ups: Vec<FixUp>,
}

#[derive(Debug, Deserialize)]
struct Target {
    firmware: String,
    disk_bus: String,
    network_cards: u32,
}

#[derive(Debug, Deserialize)]
struct Check {
    code: String,
    verdict: String,
    evidence: String,
    #[serde(default)]
    remedy: Option<String>,
}

#[derive(Debug, Deserialize)]
struct FixUp {
    description: String,
}

/// What stands in the way comes first; a verdict of a newer cloud side before what passed.
fn weight(verdict: &str) -> u8 {
    match verdict {
        "fail" => 0,
        "unknown" => 1,
        "warn" => 2,
        "pass" => 4,
        _ => 3,
    }
}

/// One inspection.
pub(crate) fn show(point: &PointReadiness) -> String {
    let report = &point.report;
    let Target {
        firmware,
        disk_bus,
        network_cards,
    } = &report.target;
    let mut fields = Fields::new();
    fields.field("point", &point.point);
    fields.field("readiness", &report.readiness);
    fields.field("checked", &point.checked_at);
    fields.field(
        "for a machine with",
        format!("{firmware}, {disk_bus} disks, {network_cards} network cards"),
    );
    fields.field("system", or_unknown(report.operating_system.clone()));
    let mut text = format!("{fields}\n");
    let mut checks: Vec<_> = report.checks.iter().collect();
    checks.sort_by_key(|check| weight(&check.verdict));
    for check in checks {
        // What a disk says is not cut: it is the evidence.
        let (verdict, code) = (plain(&check.verdict), plain(&check.code));
        let _infallible = writeln!(text, "{verdict:<8}{code}: {}", plain(&check.evidence));
        if let Some(remedy) = &check.remedy {
            let _infallible = writeln!(text, "        remedy: {}", plain(remedy));
        }
    }
    for fix_up in &report.fix_ups {
        let description = plain(&fix_up.description);
        let _infallible = writeln!(text, "can be put right on a branch: {description}");
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const NOT_READY: &str = r#"{"group":"grp-1","point":"2-48211","checked_at":"2026-11-03T10:00:00Z","report":{
        "readiness":"not_ready","target":{"firmware":"bios","disk_bus":"virtio","network_cards":1},
        "operating_system":"Test Linux 1","checks":[
        {"code":"boot_code","verdict":"pass","evidence":"disk 0 has GRUB's boot code","remedy":null},
        {"code":"network_configuration","verdict":"warn","evidence":"/etc/x\u001b[31m: bound","remedy":"unbind it"},
        {"code":"kernel_root","verdict":"fail","evidence":"root=/dev/sda1 names a device","remedy":"name it by UUID"}],
        "fix_ups":[{"code":"kernel_root","description":"/boot/grub/grub.cfg: a becomes b","edits":[]}]}}"#;

    #[test]
    fn what_stands_in_the_way_comes_first_with_its_remedy() {
        assert_eq!(
            show(&serde_json::from_str(NOT_READY).unwrap()),
            "point               2-48211\n\
             readiness           not_ready\n\
             checked             2026-11-03T10:00:00Z\n\
             for a machine with  bios, virtio disks, 1 network cards\n\
             system              Test Linux 1\n\
             \n\
             fail    kernel_root: root=/dev/sda1 names a device\n        remedy: name it by UUID\n\
             warn    network_configuration: /etc/x [31m: bound\n        remedy: unbind it\n\
             pass    boot_code: disk 0 has GRUB's boot code\n\
             can be put right on a branch: /boot/grub/grub.cfg: a becomes b\n"
        );
    }
}
