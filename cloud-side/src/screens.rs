//! Pictures of the screens of machines that run now.
//!
//! Owns the last picture of each. Invariants: a machine is asked for one at most once a second, whoever
//! asks, and by one at a time; a picture is never on a disk longer than it takes to be read.

use crate::target::{InstanceId, InstanceRecord, Target, TargetError};
use axum::body::Bytes;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a picture stands for the screen.
const STANDS: Duration = Duration::from_secs(1);
/// How long one is kept that nobody asks for.
const KEPT: Duration = Duration::from_secs(30);

#[derive(Clone)]
struct Picture {
    taken: Instant,
    png: Bytes,
}

/// The place of one machine's picture; whoever holds it asks the machine.
type Place = Arc<tokio::sync::Mutex<Option<Picture>>>;

/// All pictures.
pub(crate) struct Screens {
    target: Arc<dyn Target>,
    places: Mutex<HashMap<InstanceId, (Instant, Place)>>,
}

impl std::fmt::Debug for Screens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Screens").finish_non_exhaustive()
    }
}

impl Screens {
    pub(crate) fn new(target: Arc<dyn Target>) -> Self {
        Self {
            target,
            places: Mutex::default(),
        }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<InstanceId, (Instant, Place)>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The screen of a machine, as PNG: as it is, or as it was less than a second before `now`.
    ///
    /// # Errors
    /// When the target cannot say how it is, such as of a machine that does not run.
    pub(crate) async fn of(
        &self,
        record: &InstanceRecord,
        now: Instant,
    ) -> Result<Bytes, TargetError> {
        let place = self.place(&record.instance, now);
        let mut last = place.lock().await;
        if let Some(picture) = &*last
            && now.saturating_duration_since(picture.taken) < STANDS
        {
            return Ok(picture.png.clone());
        }
        *last = None;
        let png = Bytes::from(self.target.screen(record).await?);
        *last = Some(Picture {
            taken: now,
            png: png.clone(),
        });
        Ok(png)
    }

    fn place(&self, instance: &InstanceId, now: Instant) -> Place {
        let mut places = self.places();
        places.retain(|_, (asked, _)| now.saturating_duration_since(*asked) < KEPT);
        let (asked, place) = places
            .entry(instance.clone())
            .or_insert_with(|| (now, Place::default()));
        *asked = now;
        Arc::clone(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        drill::tests::scripted_target::ScriptedTarget,
        target::{InstancePurpose, LaunchRequest, LaunchSettings},
    };

    #[tokio::test]
    async fn a_machine_is_asked_once_a_second_and_one_that_is_gone_shows_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let target = Arc::new(ScriptedTarget::new(""));
        let record = target
            .plan(&LaunchRequest {
                instance: InstanceId::new("drill-1").unwrap(),
                purpose: InstancePurpose::Failover,
                settings: LaunchSettings::default(),
                networks: Vec::new(),
                disks: Vec::new(),
                runtime_directory: directory.path().to_owned(),
                evidence_directory: directory.path().to_owned(),
            })
            .unwrap();
        let machine = directory.path().join("drill-1");
        std::fs::write(&machine, "runs").unwrap();
        let screens = Screens::new(target);
        let now = Instant::now();
        let first = screens.of(&record, now).await.unwrap();
        let soon = now + STANDS - Duration::from_millis(1);
        let others = tokio::join!(screens.of(&record, now), screens.of(&record, soon));
        assert_eq!(
            (others.0.unwrap(), others.1.unwrap()),
            (first.clone(), first.clone())
        );
        let second = screens.of(&record, now + STANDS).await.unwrap();
        assert_ne!(first, second, "an old picture stood for the screen");
        std::fs::remove_file(&machine).unwrap();
        let gone = screens.of(&record, now + 2 * STANDS).await.unwrap_err();
        assert!(matches!(gone, TargetError::NotRunning { .. }), "{gone}");
        let later = now + 2 * STANDS + KEPT;
        drop(screens.place(&InstanceId::new("drill-2").unwrap(), later));
        assert_eq!(screens.places().len(), 1, "a picture is kept for nobody");
    }
}
