//! Judging an image.

use super::{Oracle, Step, cut::Cut};
use crate::simulation::stamp::Cell;

/// What every sector of every volume holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image(pub(crate) Vec<Vec<Cell>>);

/// What is known about an image besides what it holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bounds {
    /// It must contain everything that ended before this.
    pub(crate) after: Step,
    /// It must contain nothing that was issued after this.
    pub(crate) before: Option<Step>,
}

impl Image {
    /// Whether these are its cells.
    pub(crate) fn is(&self, cells: &[Vec<Cell>]) -> bool {
        self.0 == cells
    }

    fn sectors(&self) -> impl Iterator<Item = (usize, u32, Cell)> + '_ {
        self.0.iter().enumerate().flat_map(|(volume, cells)| {
            let cell = move |(sector, cell): (usize, &Cell)| (volume, sector as u32, *cell);
            cells.iter().enumerate().map(cell)
        })
    }
}

impl Oracle {
    /// Whether the image is a prefix of what happened, whole and within bounds.
    pub(crate) fn check_image(&self, image: &Image, bounds: Bounds) -> Result<(), String> {
        let mut cut = Cut::new(self, bounds.after);
        for (volume, sector, cell) in image.sectors() {
            if cell == Cell::Unknown {
                self.check_unknown(volume, sector)?;
                continue;
            }
            let versions = &self.volumes[volume].sectors[sector as usize];
            let mut candidates =
                (0..versions.len()).filter(|index| versions[*index].content == cell);
            let first = candidates.next().ok_or_else(|| {
                format!(
                    "volume {volume} sector {sector} holds {cell:?}, which the source never held there"
                )
            })?;
            if candidates.next().is_none() {
                cut.include(volume, sector, first as u32);
            }
        }
        self.settle_ambiguous(image, &mut cut)?;
        self.check_unfinished(&cut)?;
        if let Some(before) = bounds.before {
            for id in cut.members() {
                if self.operations[id.0 as usize].issued > before {
                    return Err(format!(
                        "it contains {}, issued after the instant {} that it names",
                        self.describe(id),
                        before.0
                    ));
                }
            }
        }
        Ok(())
    }

    /// Grows the cut until every sector agrees with it, or says which cannot.
    fn settle_ambiguous(&self, image: &Image, cut: &mut Cut<'_>) -> Result<(), String> {
        loop {
            let mut grew = false;
            for (volume, sector, cell) in image.sectors().filter(|one| one.2 != Cell::Unknown) {
                let versions = &self.volumes[volume].sectors[sector as usize];
                let top = cut.top(volume, sector) as usize;
                if versions[top].content == cell {
                    continue;
                }
                let later = (top + 1..versions.len()).find(|one| versions[*one].content == cell);
                let Some(later) = later else {
                    return Err(self.contradiction(volume, sector, cell, top));
                };
                cut.include(volume, sector, later as u32);
                grew = true;
            }
            if !grew {
                return Ok(());
            }
        }
    }

    fn contradiction(&self, volume: usize, sector: u32, cell: Cell, top: usize) -> String {
        let versions = &self.volumes[volume].sectors[sector as usize];
        let held = versions.iter().rposition(|version| version.content == cell);
        format!(
            "volume {volume} sector {sector} holds {cell:?} (version {held:?}), but the image must \
             contain {} (version {top} of {}), which put {:?} there",
            self.describe(versions[top].operation),
            versions.len(),
            versions[top].content,
        )
    }

    /// An operation that is still in flight may be seen only if all of it is on the source's disk.
    fn check_unfinished(&self, cut: &Cut<'_>) -> Result<(), String> {
        for id in cut.members() {
            let operation = &self.operations[id.0 as usize];
            let whole = operation.landings.len() as u32 == operation.sectors;
            if operation.atomic && operation.ended.is_none() && !whole {
                return Err(format!(
                    "it contains {}, of which the source has only {} sectors so far",
                    self.describe(id),
                    operation.landings.len()
                ));
            }
        }
        Ok(())
    }

    fn check_unknown(&self, volume: usize, sector: u32) -> Result<(), String> {
        let failed = |id: &&super::OpId| self.operations[id.0 as usize].covers(volume, sector);
        if self.volumes[volume].unreadable.iter().any(|id| failed(&id)) {
            return Ok(());
        }
        Err(format!(
            "volume {volume} sector {sector} is unknown, though no write failed there unreadably"
        ))
    }

    /// What the source holds now.
    pub(crate) fn source(&self) -> Image {
        let top = |versions: &Vec<super::Version>| {
            versions
                .last()
                .expect("a sector has at least its first version")
                .content
        };
        let volume = |volume: &super::Volume| volume.sectors.iter().map(top).collect();
        Image(self.volumes.iter().map(volume).collect())
    }

    /// Whether the image is what the source holds now; unknown sectors are passed over.
    pub(crate) fn check_equal(&self, image: &Image) -> Result<(), String> {
        let source = self.source();
        for ((volume, sector, found), (_, _, wanted)) in image.sectors().zip(source.sectors()) {
            if found == Cell::Unknown {
                self.check_unknown(volume, sector)?;
            } else if found != wanted {
                return Err(format!(
                    "volume {volume} sector {sector} holds {found:?}, the source holds {wanted:?}"
                ));
            }
        }
        Ok(())
    }
}
