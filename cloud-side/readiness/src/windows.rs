//! Windows: found, and no more than that said.

use crate::{
    file_system::Format,
    report::{CheckCode, Findings},
    survey::Survey,
};

/// Says that a Windows may be here. Returns whether one was seen.
pub(crate) fn check(survey: &Survey, findings: &mut Findings) -> bool {
    let Some(volume) = survey.volumes.iter().find(|volume| {
        volume
            .holds
            .as_ref()
            .is_some_and(|holds| matches!(holds.format, Format::Ntfs | Format::BitLocker))
    }) else {
        return false;
    };
    findings.unknown(
        CheckCode::Windows,
        format!(
            "{} is {}: whether this Windows has the drivers of the target's disks (viostor) is not looked into; a drill shows it",
            volume.name(),
            volume.holds.as_ref().map_or("", |holds| holds.format.name())
        ),
    );
    true
}
