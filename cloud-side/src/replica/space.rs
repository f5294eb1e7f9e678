//! The space floor: new data is refused before the disk is full, so that nothing kept is at risk.

use bcdr_disk::Space;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How much space stays free whatever arrives: the greater of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpaceFloor {
    /// Per cent of the file system.
    pub percent: u8,
    /// Bytes.
    pub bytes: u64,
}

impl Default for SpaceFloor {
    fn default() -> Self {
        Self {
            percent: 5,
            bytes: 1 << 30,
        }
    }
}

/// New data is refused: the reason for an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the replica store has {available_bytes} bytes free and keeps {floor_bytes} in reserve: enlarge its file system; sources go on and their data waits at the gateway"
)]
pub struct SpaceFloorReached {
    /// Bytes free.
    pub available_bytes: u64,
    /// The floor in bytes.
    pub floor_bytes: u64,
}

impl SpaceFloor {
    /// The floor in bytes on a file system of this size.
    pub fn floor_bytes(&self, total_bytes: u64) -> u64 {
        let share = u128::from(total_bytes) * u128::from(self.percent.min(100)) / 100;
        self.bytes.max(share as u64)
    }

    /// Whether new data may be taken.
    pub fn admission(&self, space: Space) -> Result<(), SpaceFloorReached> {
        let floor_bytes = self.floor_bytes(space.total_bytes);
        if space.available_bytes < floor_bytes {
            return Err(SpaceFloorReached {
                available_bytes: space.available_bytes,
                floor_bytes,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greater_of_share_and_bytes_stays_free() {
        let floor = SpaceFloor {
            percent: 5,
            bytes: 1000,
        };
        let at = |total_bytes, available_bytes| {
            floor.admission(Space {
                total_bytes,
                available_bytes,
            })
        };
        assert!(at(10_000, 1000).is_ok());
        assert_eq!(at(10_000, 999).unwrap_err().floor_bytes, 1000);
        assert!(at(100_000, 5000).is_ok());
        assert_eq!(at(100_000, 4999).unwrap_err().floor_bytes, 5000);
    }
}
