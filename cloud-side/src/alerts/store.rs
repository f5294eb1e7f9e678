//! What the catalog keeps of alerts: documents of four kinds.

use crate::{
    catalog::{Catalog, CatalogError, Document},
    jobs::select,
};
use bcdr_alert::{Alert, AlertId, ChannelRecord, Delivery, DeliveryState, Mute};
use bcdr_format::Timestamp;
use serde::{Deserialize, Serialize};

/// Deliveries of one alert that are shown.
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

/// Blocks.
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
        for delivery in deliveries_of(catalog, alert.id)? {
            catalog.remove_document::<Delivery>(&delivery.key())?;
        }
        // Last, so that a kill in between leaves what leads to the rest.
        catalog.remove_document::<Alert>(&Document::key(&alert))?;
    }
    Ok(())
}
