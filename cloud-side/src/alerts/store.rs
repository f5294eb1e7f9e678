//! What the catalog keeps of alerts: documents of four kinds.

use crate::{
    catalog::{Catalog, CatalogError, Document, DocumentKey},
    jobs::select,
};
use bcdr_alert::{Alert, AlertId, ChannelRecord, Delivery, DeliveryState, Mute};
use bcdr_format::Timestamp;
use serde::{Deserialize, Serialize};

/// Deliveries of one alert that are shown, and that are removed at once.
const DELIVERIES_MAX: usize = 1000;

impl Document for Alert {
    const COLLECTION: &'static str = "alerts";

    /// Newer alerts come first.
    fn key(&self) -> String {
        self.id.newest_first_key()
    }
}

impl Document for Delivery {
    const COLLECTION: &'static str = "alert_deliveries";

    fn key(&self) -> String {
        Self::key(self)
    }
}

impl Document for ChannelRecord {
    const COLLECTION: &'static str = "alert_channels";

    fn key(&self) -> String {
        self.name.clone()
    }
}

/// All mutes; they are few.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Mutes {
    pub(super) mutes: Vec<Mute>,
}

/// Where mutes are kept.
pub(crate) const MUTES_COLLECTION: &str = "alert_mutes";

impl Document for Mutes {
    const COLLECTION: &'static str = MUTES_COLLECTION;

    fn key(&self) -> String {
        ALL_MUTES.to_owned()
    }
}

const ALL_MUTES: &str = "all";

/// What earlier processes left.
pub(super) struct Left {
    pub(super) alerts: Vec<Alert>,
    pub(super) mutes: Vec<Mute>,
    pub(super) pending: Vec<Delivery>,
    pub(super) channels: Vec<ChannelRecord>,
}

/// Blocks.
pub(super) fn load(catalog: &Catalog) -> Result<Left, CatalogError> {
    let mutes: Option<Mutes> = catalog.document(ALL_MUTES)?;
    let is_pending = |delivery: &Delivery| delivery.state == DeliveryState::Pending;
    Ok(Left {
        alerts: select(catalog, None, usize::MAX, |_| true)?,
        mutes: mutes.unwrap_or_default().mutes,
        pending: select(catalog, None, usize::MAX, is_pending)?,
        channels: select(catalog, None, usize::MAX, |_| true)?,
    })
}

/// The oldest deliveries of an alert. Blocks.
pub(super) fn deliveries_of(catalog: &Catalog, id: AlertId) -> Result<Vec<Delivery>, CatalogError> {
    let before = format!("{}/", id.newest_first_key());
    let found: Vec<Delivery> = catalog.documents(Some(&before), DELIVERIES_MAX)?;
    let is_its = |delivery: &Delivery| delivery.transition.alert == id;
    Ok(found.into_iter().take_while(is_its).collect())
}

/// Removes alerts that were cleared before a time, with their deliveries. Blocks.
pub(super) fn prune(catalog: &Catalog, before: Timestamp) -> Result<(), CatalogError> {
    let is_old = |alert: &Alert| alert.cleared.is_some_and(|since| since.at < before);
    let old: Vec<Alert> = select(catalog, None, usize::MAX, is_old)?;
    for alert in old {
        // The alert goes with the last of them, so that a kill in between leaves what leads to the rest.
        loop {
            let deliveries = deliveries_of(catalog, alert.id)?;
            let is_all = deliveries.len() < DELIVERIES_MAX;
            let keys = deliveries.iter().map(Delivery::key);
            let mut gone: Vec<_> = keys.map(|key| DocumentKey::of::<Delivery>(&key)).collect();
            if is_all {
                let key = Document::key(&alert);
                gone.push(DocumentKey::of::<Alert>(&key));
            }
            catalog.exchange_documents(&[], &gone)?;
            if is_all {
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::DocumentRow;
    use bcdr_alert::{
        AlertBook, AlertCode, Condition, Judged, Now, Object, ObjectKind, Outbox, Settings,
        Severity, Transition, TransitionKind,
    };
    use bcdr_disk::RealStorage;
    use std::time::Duration;

    fn alert(catalog: &Catalog, group: &str, cleared_at: Option<i64>, deliveries: u32) -> Alert {
        let now = Now {
            wall: Timestamp(5),
            monotonic: Duration::ZERO,
        };
        let mut settings = Settings::default();
        let none = bcdr_alert::Hold {
            raise: Duration::ZERO,
            clear: Duration::ZERO,
        };
        settings.holds.insert(AlertCode::Unprotected, none);
        let mut book = AlertBook::load(settings, Vec::new(), Vec::new(), now);
        let condition = |judged| {
            let object = Object {
                kind: ObjectKind::Group,
                id: group.to_owned(),
                name: group.to_owned(),
            };
            let code = AlertCode::Unprotected;
            [Condition {
                code,
                object,
                judged,
            }]
        };
        let random = crate::record_id::random().unwrap();
        let is = Judged::Is {
            severity: None,
            detail: "in a test".to_owned(),
        };
        let mut alert = book.observe(&condition(is), now, random).alerts[0].clone();
        if let Some(at) = cleared_at {
            let later = Now {
                wall: Timestamp(at),
                ..now
            };
            let changes = book.observe(&condition(Judged::IsNot), later, random);
            alert = changes.alerts[0].clone();
        }
        let delivery = |number| {
            let transition = Transition {
                alert: alert.id,
                number,
                kind: TransitionKind::Reopened,
                worst: Severity::Critical,
                at: now.wall,
            };
            Outbox::deliveries(&transition, &alert, ["ops".to_owned()], now)
        };
        let mut rows = vec![DocumentRow::of(&alert)];
        let made: Vec<_> = (1..=deliveries).flat_map(delivery).collect();
        rows.extend(made.iter().map(DocumentRow::of));
        catalog.put_documents(&rows).unwrap();
        alert
    }

    #[test]
    fn what_was_cleared_long_ago_goes_with_all_its_deliveries_and_nothing_else_does() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog.redb");
        let catalog = Catalog::open_or_create(&RealStorage::new(), &path, 1 << 20).unwrap();
        let many = u32::try_from(2 * DELIVERIES_MAX).unwrap();
        alert(&catalog, "many", Some(10), many);
        alert(&catalog, "few", Some(10), 3);
        let active = alert(&catalog, "active", None, 2);
        let late = alert(&catalog, "late", Some(100), 2);
        prune(&catalog, Timestamp(100)).unwrap();
        let mut kept: Vec<Alert> = catalog.documents(None, usize::MAX).unwrap();
        kept.sort_by_key(|alert| alert.object.name.clone());
        assert_eq!(kept, [active.clone(), late.clone()]);
        let kept: Vec<Delivery> = catalog.documents(None, usize::MAX).unwrap();
        assert_eq!(kept.len(), 4);
        for alert in [active, late] {
            let numbers = deliveries_of(&catalog, alert.id).unwrap();
            let numbers: Vec<_> = numbers.iter().map(|one| one.transition.number).collect();
            assert_eq!(numbers, [1, 2]);
        }
    }
}
