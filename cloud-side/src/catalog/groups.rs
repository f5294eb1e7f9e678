//! Groups, their volumes and streams, and the generation that fences them.

use super::{Catalog, CatalogError, Commit, tables};
use crate::receive::Lineage;
use bcdr_format::{Generation, GroupId, StreamId, Timestamp, VolumeId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest name of a group or volume, in bytes.
pub const NAME_BYTES_MAX: usize = 63;

/// A protection group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Its id.
    pub id: GroupId,
    /// Its name, unique in the installation.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// Its stream.
    pub stream: StreamId,
    /// Its volumes, in the order they were declared.
    pub volumes: Vec<VolumeRecord>,
}

impl GroupRecord {
    /// The group's history.
    pub fn lineage(&self) -> Lineage {
        Lineage {
            group: self.id,
            stream: self.stream,
        }
    }
}

/// A protected volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRecord {
    /// Its id.
    pub id: VolumeId,
    /// Its name, unique in its group.
    pub name: String,
    /// Its size in bytes, once a capture or the operator told it.
    pub size_bytes: Option<u64>,
}

/// A volume to be protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVolume {
    /// Its name.
    pub name: String,
    /// Its size in bytes, if known.
    pub size_bytes: Option<u64>,
}

/// Why a group was not created.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CreateGroupError {
    /// Another group has the name.
    #[error("a group named {name:?} exists: choose another name")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A name is not usable.
    #[error(
        "{name:?} is not a name: use 1 to 63 letters, digits, hyphens and underscores, beginning with a letter or digit"
    )]
    InvalidName {
        /// The name.
        name: String,
    },
    /// No volume, or one declared twice.
    #[error("a group needs at least one volume, each with a name of its own")]
    Volumes,
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl Catalog {
    /// Creates a group with its stream and volumes; durable on return. `random` gives fresh random
    /// numbers for the ids.
    pub fn create_group(
        &self,
        name: &str,
        volumes: &[NewVolume],
        now: Timestamp,
        random: &mut dyn FnMut() -> u128,
    ) -> Result<GroupRecord, CreateGroupError> {
        check_names(name, volumes)?;
        let milliseconds = u64::try_from(now.0 / 1000).unwrap_or(0);
        let group = GroupRecord {
            id: GroupId::from_parts(milliseconds, random()),
            name: name.to_owned(),
            created_at: now,
            stream: StreamId::from_parts(milliseconds, random()),
            volumes: volumes
                .iter()
                .map(|volume| VolumeRecord {
                    id: VolumeId::from_parts(milliseconds, random()),
                    name: volume.name.clone(),
                    size_bytes: volume.size_bytes,
                })
                .collect(),
        };
        let created = self.write("create a group", Commit::Durable, |transaction| {
            if tables::get_in_write(transaction, tables::GROUP_NAMES, name.as_bytes())?.is_some() {
                return Ok(false);
            }
            let key = group.id.to_u128().to_be_bytes();
            tables::put(transaction, tables::GROUP_NAMES, name.as_bytes(), &key)?;
            tables::put(transaction, tables::GROUPS, &key, &tables::to_json(&group))?;
            let generation = Generation::FIRST.0.to_be_bytes();
            tables::put(transaction, tables::GENERATIONS, &key, &generation)?;
            Ok(true)
        })?;
        if created {
            Ok(group)
        } else {
            Err(CreateGroupError::NameTaken {
                name: name.to_owned(),
            })
        }
    }

    /// A group by its id.
    pub fn group(&self, id: GroupId) -> Result<Option<GroupRecord>, CatalogError> {
        let key = id.to_u128().to_be_bytes();
        let row = self.read("read a group", |transaction| {
            tables::get(transaction, tables::GROUPS, &key)
        })?;
        row.map(|row| tables::from_json("groups", &key, &row))
            .transpose()
    }

    /// A group by its name.
    pub fn group_by_name(&self, name: &str) -> Result<Option<GroupRecord>, CatalogError> {
        let id = self.read("read a group", |transaction| {
            tables::get(transaction, tables::GROUP_NAMES, name.as_bytes())
        })?;
        let Some(id) = id.and_then(|id| <[u8; 16]>::try_from(id).ok()) else {
            return Ok(None);
        };
        self.group(GroupId::from_u128(u128::from_be_bytes(id)))
    }

    /// All groups, oldest first.
    pub fn groups(&self) -> Result<Vec<GroupRecord>, CatalogError> {
        let rows = self.read("list the groups", |transaction| {
            tables::some_in(
                transaction,
                tables::GROUPS,
                vec![]..=vec![0xff; 17],
                false,
                usize::MAX,
            )
        })?;
        rows.iter()
            .map(|(key, row)| tables::from_json("groups", key, row))
            .collect()
    }

    /// Notes the size of a volume, as its capture tells it; durable on return if it changed.
    pub fn set_volume_size(
        &self,
        group: GroupId,
        volume: VolumeId,
        size_bytes: u64,
    ) -> Result<(), CatalogError> {
        let Some(mut record) = self.group(group)? else {
            return Ok(());
        };
        let changed = record
            .volumes
            .iter_mut()
            .find(|known| known.id == volume && known.size_bytes != Some(size_bytes));
        let Some(known) = changed else {
            return Ok(());
        };
        known.size_bytes = Some(size_bytes);
        self.write("write a volume's size", Commit::Durable, |transaction| {
            let key = group.to_u128().to_be_bytes();
            tables::put(transaction, tables::GROUPS, &key, &tables::to_json(&record))
        })
    }

    /// The generation of a group; [`Generation::FIRST`] for one that is not in the catalog.
    pub fn generation(&self, group: GroupId) -> Result<Generation, CatalogError> {
        let key = group.to_u128().to_be_bytes();
        let row = self.read("read a generation", |transaction| {
            tables::get(transaction, tables::GENERATIONS, &key)
        })?;
        let number = row.and_then(|row| <[u8; 8]>::try_from(row).ok());
        Ok(number.map_or(Generation::FIRST, |number| {
            Generation(u64::from_be_bytes(number))
        }))
    }

    /// Raises a group's generation; durable on return. It never goes down. Only the store that owns
    /// the group's log calls this, so that a batch and a fence are never decided at once.
    pub(crate) fn raise_generation(
        &self,
        group: GroupId,
        generation: Generation,
    ) -> Result<Generation, CatalogError> {
        let key = group.to_u128().to_be_bytes();
        let held = self.generation(group)?;
        if generation <= held {
            return Ok(held);
        }
        self.write("raise a generation", Commit::Durable, |transaction| {
            let number = generation.0.to_be_bytes();
            tables::put(transaction, tables::GENERATIONS, &key, &number)
        })?;
        Ok(generation)
    }
}

/// Judges the names of a group and its volumes, whatever other groups there are.
pub(crate) fn check_names(name: &str, volumes: &[NewVolume]) -> Result<(), CreateGroupError> {
    let names = || volumes.iter().map(|volume| volume.name.as_str());
    if let Some(invalid) = std::iter::once(name)
        .chain(names())
        .find(|name| !usable(name))
    {
        return Err(CreateGroupError::InvalidName {
            name: invalid.chars().take(NAME_BYTES_MAX).collect(),
        });
    }
    let distinct: std::collections::BTreeSet<_> = names().collect();
    if volumes.is_empty() || distinct.len() != volumes.len() {
        return Err(CreateGroupError::Volumes);
    }
    Ok(())
}

fn usable(name: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    // A name that reads as an id would name two groups.
    let is_id = name.parse::<GroupId>().is_ok();
    name.len() <= NAME_BYTES_MAX
        && !is_id
        && name.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && name.chars().all(allowed)
}
