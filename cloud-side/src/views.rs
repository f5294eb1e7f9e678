//! Views: read-only images of points of groups and of branches, served over NBD on private sockets.
//!
//! Owns the sockets and leases. A view's record is durable before its socket exists, so a view
//! reopens at the same address after a restart, and nothing is served that nobody knows of.

mod exports;
mod leftover;
mod opener;

pub(crate) use exports::{digest, written_bytes};
pub(crate) use opener::KeyedOpener;

use exports::{Complaint, serve_volumes};

use crate::{
    audit::{self, Audit, Deed},
    branches::Branches,
    catalog::{BatchRow, Catalog, CatalogError, GroupRecord, ViewRecord},
    clock,
    groups::{Group, Groups},
    jobs::select,
    offload::offload,
    receive::Lineage,
    record_id::ViewId,
    replica::{ChunkCache, ChunkOpener, ViewError, ViewReader},
};
use bcdr_format::{Timestamp, record::Member};
use bcdr_nbd::{BindError, PrivateSocket};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a view stays open unless asked otherwise.
pub(crate) const LEASE_DEFAULT: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest lease.
pub(crate) const LEASE_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Views at a time.
const VIEWS_MAX: usize = 256;
/// Plaintext that all views together keep in memory, in bytes.
const CACHE_BYTES: usize = 64 << 20;

/// Why a view could not be opened or closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OpenViewError {
    /// The store of the group cannot be used.
    #[error("the store of group {group} cannot be used: {reason}")]
    NoStore {
        /// The group's name.
        group: String,
        /// Why.
        reason: String,
    },
    /// The branch is gone or cannot be used.
    #[error("the branch cannot be read: {reason}")]
    NoBranch {
        /// Why.
        reason: String,
    },
    /// Too many are open.
    #[error("{VIEWS_MAX} views are open, or half as many of this group, which is the most")]
    TooMany,
    /// The image could not be opened.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A volume of the point is not the group's.
    #[error("the point has a volume {id} that is not in its group's record")]
    UnknownVolume {
        /// The volume.
        id: bcdr_format::VolumeId,
    },
    /// The point names a volume twice, so nobody can tell which disk is the volume's.
    #[error(
        "the point has volume {name} twice: open a point from after the source's next full compare, and keep this one for whoever looks into the defect"
    )]
    VolumeTwice {
        /// The volume's name.
        name: String,
    },
    /// The socket could not be made.
    #[error(transparent)]
    Socket(#[from] BindError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The system gave no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

/// One volume of a view.
#[derive(Debug, Clone)]
pub(crate) struct ViewVolume {
    pub(crate) member: Member,
    /// Its name, which is its export's name too.
    pub(crate) name: String,
    /// Where it is served: `nbd+unix:///NAME?socket=PATH`.
    pub(crate) uri: String,
}

/// A view as others see it.
#[derive(Debug, Clone)]
pub(crate) struct OpenView {
    pub(crate) id: ViewId,
    pub(crate) record: ViewRecord,
    pub(crate) volumes: Vec<ViewVolume>,
    /// Why it cannot be served; none when it is.
    pub(crate) failure: Option<String>,
    /// Why a reader got an error, the first time one did.
    pub(crate) unreadable: Arc<OnceLock<String>>,
    /// The image, unless it cannot be served.
    pub(crate) reader: Option<Arc<ViewReader>>,
}

struct Served {
    view: OpenView,
    /// Whether it only waits for its group's store.
    waiting: bool,
    stop: CancellationToken,
    server: Option<JoinHandle<()>>,
}

/// All views.
pub(crate) struct Views {
    catalog: Arc<Catalog>,
    opener: Arc<dyn ChunkOpener>,
    cache: Arc<ChunkCache>,
    branches: Arc<Branches>,
    directory: PathBuf,
    open: Mutex<BTreeMap<ViewId, Served>>,
}

impl std::fmt::Debug for Views {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Views")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

impl Views {
    pub(crate) fn new(
        catalog: Arc<Catalog>,
        opener: Arc<dyn ChunkOpener>,
        branches: Arc<Branches>,
        runtime_directory: &Path,
    ) -> Self {
        Self {
            catalog,
            opener,
            cache: Arc::new(ChunkCache::new(CACHE_BYTES)),
            branches,
            directory: runtime_directory.to_owned(),
            open: Mutex::new(BTreeMap::new()),
        }
    }

    fn open_views(&self) -> MutexGuard<'_, BTreeMap<ViewId, Served>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What opens the chunks of every view.
    pub(crate) fn opener(&self) -> Arc<dyn ChunkOpener> {
        Arc::clone(&self.opener)
    }

    /// All views, oldest first.
    pub(crate) fn all(&self) -> Vec<OpenView> {
        self.open_views()
            .values()
            .map(|served| served.view.clone())
            .collect()
    }

    pub(crate) fn get(&self, id: ViewId) -> Option<OpenView> {
        self.open_views().get(&id).map(|served| served.view.clone())
    }

    /// Opens a point of the group's own history, or of a branch's. Without a lease the view stays until
    /// it is closed.
    pub(crate) async fn open(
        &self,
        group: &Arc<Group>,
        lineage: Lineage,
        row: &BatchRow,
        lease: Option<Duration>,
    ) -> Result<OpenView, OpenViewError> {
        {
            // No group takes the places of all the others.
            let open = self.open_views();
            let is_of_group = |served: &&Served| served.view.record.lineage.group == group.id();
            let of_group = open.values().filter(is_of_group).count();
            if open.len() >= VIEWS_MAX || of_group >= VIEWS_MAX / 2 {
                return Err(OpenViewError::TooMany);
            }
        }
        let now = clock::wall();
        let id = ViewId::generate(now)?;
        let record = ViewRecord {
            id: id.to_string(),
            lineage,
            batch: row.number,
            point: row.point_id(),
            opened_at: now,
            lease_until: lease
                .map(|lease| now.shifted(i64::try_from(lease.as_micros()).unwrap_or(i64::MAX))),
            volumes: Vec::new(),
        };
        let reader = self.read(group, &record).await?;
        let volumes = self.volumes(group, id, &reader)?;
        let record = ViewRecord {
            volumes: volumes.iter().map(|volume| volume.member.id).collect(),
            ..record
        };
        self.keep(record.clone()).await?;
        match self.serve(group, id, record, volumes, reader) {
            Ok(served) => {
                let view = served.view.clone();
                self.open_views().insert(id, served);
                Ok(view)
            }
            Err(error) => {
                self.forget(id).await?;
                Err(error)
            }
        }
    }

    async fn read(
        &self,
        group: &Arc<Group>,
        record: &ViewRecord,
    ) -> Result<Arc<ViewReader>, OpenViewError> {
        let batch = record.batch;
        if record.lineage != group.lineage() {
            let known = self.branches.of_lineage(record.lineage);
            let branch = known.map_or(Err("it was removed".into()), |known| known.branch);
            let branch = branch.map_err(|reason| OpenViewError::NoBranch {
                reason: reason.to_string(),
            })?;
            return Ok(offload(move || branch.view(batch)).await?);
        }
        let reader = group.reader().ok_or_else(|| {
            let obstacle = group.stored.borrow().obstacle.clone();
            OpenViewError::NoStore {
                group: group.record().name.clone(),
                reason: obstacle.unwrap_or_else(|| "it is being opened".to_owned()),
            }
        })?;
        let (opener, cache) = (Arc::clone(&self.opener), Arc::clone(&self.cache));
        Ok(Arc::new(
            offload(move || reader.open_view(batch, opener, cache)).await?,
        ))
    }

    fn socket_path(&self, id: ViewId) -> PathBuf {
        self.directory.join(format!("{id}.sock"))
    }

    /// Removes the socket that a killed process left of a view.
    fn remove_socket(&self, id: ViewId) {
        let path = self.socket_path(id);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "a socket cannot be removed");
            }
            _ => {}
        }
    }

    fn volumes(
        &self,
        group: &Group,
        id: ViewId,
        reader: &ViewReader,
    ) -> Result<Vec<ViewVolume>, OpenViewError> {
        let socket = percent_encode(&self.socket_path(id).to_string_lossy());
        let volume = |(member, name): (Member, String)| ViewVolume {
            uri: format!("nbd+unix:///{name}?socket={socket}"),
            member,
            name,
        };
        let named = in_declared_order(group.record(), reader.volumes())?;
        Ok(named.into_iter().map(volume).collect())
    }

    fn serve(
        &self,
        group: &Arc<Group>,
        id: ViewId,
        record: ViewRecord,
        volumes: Vec<ViewVolume>,
        reader: Arc<ViewReader>,
    ) -> Result<Served, OpenViewError> {
        let socket = PrivateSocket::bind(&self.socket_path(id))?;
        let stop = CancellationToken::new();
        let unreadable = Arc::new(OnceLock::new());
        let of_replica = record.lineage == group.lineage();
        let complaint = complaint(of_replica.then_some(group), id, &unreadable);
        let server = serve_volumes(socket, &volumes, &reader, &complaint, stop.clone());
        let view = OpenView {
            id,
            record,
            volumes,
            failure: None,
            unreadable,
            reader: Some(reader),
        };
        Ok(Served {
            view,
            waiting: false,
            stop,
            server: Some(server),
        })
    }

    /// Closes a view. Says whether there was one.
    pub(crate) async fn close(&self, id: ViewId) -> Result<bool, CatalogError> {
        let Some(served) = self.open_views().remove(&id) else {
            return Ok(false);
        };
        // The record first: a view whose record is gone does not come back.
        let forgotten = self.forget(id).await;
        end(served).await;
        forgotten?;
        Ok(true)
    }

    /// Closes the views whose lease is over.
    pub(crate) async fn close_expired(&self, now: Timestamp, audit: &Audit) {
        let expired: Vec<ViewId> = self
            .open_views()
            .values()
            .filter(|served| served.view.record.lease_until.is_some_and(|end| end <= now))
            .map(|served| served.view.id)
            .collect();
        for id in expired {
            tracing::info!(view = %id, "a view's lease is over");
            let deed = Deed {
                by: "lease of views",
                action: "close_view",
                object: audit::object("view", id),
                detail: "its lease is over".to_owned(),
            };
            let began = audit.system_begins(&deed).await;
            let closed = self.close(id).await;
            if let Err(error) = &closed {
                tracing::error!(view = %id, %error, "a view's record could not be removed");
            }
            let failure = closed.err().map(|error| error.to_string());
            audit.system_ended(&deed, began, failure).await;
        }
    }

    /// Opens the views of an earlier process again, each at its address; `keep` says which.
    pub(crate) async fn reopen(
        &self,
        groups: &Groups,
        keep: impl Fn(ViewId) -> bool,
    ) -> Result<(), CatalogError> {
        let catalog = Arc::clone(&self.catalog);
        let records: Vec<ViewRecord> =
            offload(move || select(&catalog, None, usize::MAX, |_| true)).await?;
        let now = clock::wall();
        for record in records {
            let Ok(id) = record.id.parse::<ViewId>() else {
                tracing::error!(view = record.id, "a stored view has no readable id");
                continue;
            };
            if !keep(id) || record.lease_until.is_some_and(|end| end <= now) {
                self.forget(id).await?;
                self.remove_socket(id);
                continue;
            }
            let served = match self.reopen_one(groups, id, &record).await {
                Ok(served) => served,
                Err(error) => {
                    tracing::error!(view = %id, %error, "a view cannot be opened again");
                    not_served(id, record, &error)
                }
            };
            self.open_views().insert(id, served);
        }
        leftover::remove_all(&self.directory, |view| {
            self.open_views().contains_key(&view)
        });
        Ok(())
    }

    /// Opens the views whose group's store was not there yet, if it is now.
    pub(crate) async fn retry_waiting(&self, groups: &Groups) {
        let waiting: Vec<(ViewId, ViewRecord)> = self
            .open_views()
            .values()
            .filter(|served| served.waiting)
            .map(|served| (served.view.id, served.view.record.clone()))
            .collect();
        for (id, record) in waiting {
            let group = groups.get(record.lineage.group);
            if group.is_none_or(|group| group.reader().is_none()) {
                continue;
            }
            let served = match self.reopen_one(groups, id, &record).await {
                Ok(served) => {
                    tracing::info!(view = %id, "a view that waited for its store is open again");
                    served
                }
                Err(error) => {
                    tracing::error!(view = %id, %error, "a view cannot be opened again");
                    not_served(id, record, &error)
                }
            };
            let closed_meanwhile = match self.open_views().get_mut(&id) {
                Some(place) => {
                    *place = served;
                    None
                }
                None => Some(served),
            };
            if let Some(served) = closed_meanwhile {
                end(served).await;
            }
        }
    }

    async fn reopen_one(
        &self,
        groups: &Groups,
        id: ViewId,
        record: &ViewRecord,
    ) -> Result<Served, OpenViewError> {
        let group = groups
            .get(record.lineage.group)
            .ok_or_else(|| OpenViewError::NoStore {
                group: record.lineage.group.to_string(),
                reason: "the group is not in the catalog".to_owned(),
            })?;
        let reader = self.read(&group, record).await?;
        let volumes = self.volumes(&group, id, &reader)?;
        self.serve(&group, id, record.clone(), volumes, reader)
    }

    /// Stops serving; the records stay, so the next process opens the same views.
    pub(crate) async fn stop(&self) {
        let all = std::mem::take(&mut *self.open_views());
        for served in all.values() {
            served.stop.cancel();
        }
        for (_, served) in all {
            end(served).await;
        }
    }

    async fn keep(&self, record: ViewRecord) -> Result<(), CatalogError> {
        let catalog = Arc::clone(&self.catalog);
        offload(move || catalog.put_document(&record)).await
    }

    async fn forget(&self, id: ViewId) -> Result<(), CatalogError> {
        let catalog = Arc::clone(&self.catalog);
        offload(move || catalog.remove_document::<ViewRecord>(&id.to_string()))
            .await
            .map(drop)
    }
}

/// A point's volumes with their names, in the order the group was declared in, which is the order of
/// a machine's disks.
pub(crate) fn in_declared_order(
    record: &GroupRecord,
    members: &[Member],
) -> Result<Vec<(Member, String)>, OpenViewError> {
    let mut named = Vec::new();
    for member in members {
        let declared = record.volumes.iter();
        let (place, volume) = declared
            .enumerate()
            .find(|(_, volume)| volume.id == member.id)
            .ok_or(OpenViewError::UnknownVolume { id: member.id })?;
        named.push((place, (*member, volume.name.clone())));
    }
    named.sort_by_key(|(place, _)| *place);
    if let Some(pair) = named.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let name = pair[0].1.1.clone();
        return Err(OpenViewError::VolumeTwice { name });
    }
    Ok(named.into_iter().map(|(_, one)| one).collect())
}

/// Remembers why a reader got an error: in the view, and in the group when its replica is at fault.
fn complaint(
    group: Option<&Arc<Group>>,
    id: ViewId,
    unreadable: &Arc<OnceLock<String>>,
) -> Complaint {
    let (group, unreadable) = (group.cloned(), Arc::clone(unreadable));
    Arc::new(move |error: &ViewError| {
        tracing::error!(view = %id, %error, "a view's reader gets an error");
        let said = error.to_string();
        // What the source itself could not read is no damage.
        let is_damage = !matches!(
            error,
            ViewError::Unknown { .. } | ViewError::NoVolume { .. }
        );
        if let Some(group) = group.as_ref().filter(|_| is_damage) {
            tracing::error!(group = %group.record().name, said, "the replica is damaged");
            group.damage.note(error, clock::wall());
        }
        // Only the first is kept.
        let _later = unreadable.set(said);
    })
}

/// A view that is known and cannot be served.
fn not_served(id: ViewId, record: ViewRecord, error: &OpenViewError) -> Served {
    Served {
        view: OpenView {
            id,
            record,
            volumes: Vec::new(),
            failure: Some(error.to_string()),
            unreadable: Arc::default(),
            reader: None,
        },
        waiting: matches!(error, OpenViewError::NoStore { .. }),
        stop: CancellationToken::new(),
        server: None,
    }
}

async fn end(served: Served) {
    served.stop.cancel();
    if let Some(server) = served.server
        && let Err(error) = server.await
    {
        tracing::error!(view = %served.view.id, %error, "a view's server broke");
    }
}

/// Escapes what an NBD address reserves in a path.
pub(crate) fn percent_encode(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalog::VolumeRecord, target::DiskSource};
    use bcdr_format::{GroupId, StreamId, VolumeId, VolumeNumber};

    #[test]
    fn a_view_has_each_volume_once_and_in_the_declared_order() {
        let group = GroupId::from_u128(1);
        let volume = |id, name: &str| VolumeRecord {
            id: VolumeId::from_u128(id),
            name: name.to_owned(),
            size_bytes: None,
        };
        let record = GroupRecord {
            id: group,
            name: "lab".to_owned(),
            stream: StreamId::from_u128(2),
            volumes: vec![volume(10, "root"), volume(11, "data")],
            created_at: Timestamp(0),
        };
        let member = |number, id| Member {
            group,
            number: VolumeNumber(number),
            id: VolumeId::from_u128(id),
            size_bytes: 512,
        };
        let found = in_declared_order(&record, &[member(0, 11), member(1, 10)]).unwrap();
        let names: Vec<&str> = found.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["root", "data"]);
        let twice = in_declared_order(&record, &[member(0, 11), member(1, 11)]).unwrap_err();
        assert!(
            matches!(&twice, OpenViewError::VolumeTwice { name } if name == "data"),
            "{twice}"
        );
        let unknown = in_declared_order(&record, &[member(0, 12)]).unwrap_err();
        assert!(matches!(unknown, OpenViewError::UnknownVolume { .. }));
    }

    #[test]
    fn addresses_survive_odd_paths() {
        let path = "/run/a b,c?d=1&é/viw-1.sock";
        let uri = format!("nbd+unix:///root?socket={}", percent_encode(path));
        let source = DiskSource {
            volume: "root".to_owned(),
            uri,
            size_bytes: 1,
        };
        assert_eq!(source.address().unwrap().socket, PathBuf::from(path));
    }
}
