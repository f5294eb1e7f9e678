//! Stamped sectors: every sector a simulated application writes says which write put it there.
//!
//! Shares nothing with the product. A sector that is neither zero nor a valid stamp of its very
//! place is garbage, so that a misdirected or torn sector cannot pass for data.

/// Bytes of a sector.
pub(crate) const SECTOR: usize = 512;

const MAGIC: u64 = 0x5e47_0b1d_5ca1_ab1e;

/// What a sector holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cell {
    /// Zeroes.
    Zero,
    /// The stamp of this write, at this place.
    Stamp(u32),
    /// The image says it does not know.
    Unknown,
    /// Neither.
    Garbage,
}

/// Not a CRC: a sector that ends in the CRC of the rest has the same CRC whatever it holds, so a
/// checksum of that kind over several such sectors would not see one replaced by another.
fn digest(bytes: &[u8]) -> u32 {
    let mut state = 0x6a09_e667_f3bc_c908_u64;
    for word in bytes.chunks_exact(4) {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        state = (state ^ u64::from(word)).wrapping_mul(0x2545_f491_4f6c_dd1d);
        state ^= state >> 29;
    }
    (state >> 32) as u32
}

fn seal(sector: &mut [u8]) {
    let digest = digest(&sector[..SECTOR - 4]);
    sector[SECTOR - 4..].copy_from_slice(&digest.to_le_bytes());
}

/// The bytes that write `number` puts into `sectors` sectors of a volume from `first` on.
pub(crate) fn stamped(number: u32, volume: usize, first: u32, sectors: u32) -> Vec<u8> {
    let mut out = vec![0; sectors as usize * SECTOR];
    for (index, sector) in out.chunks_exact_mut(SECTOR).enumerate() {
        let place = first + index as u32;
        let mut filler = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for word in sector.chunks_exact_mut(8) {
            // One write in three does not compress.
            if number.is_multiple_of(3) {
                filler = filler
                    .wrapping_mul(0x5851_f42d_4c95_7f2d)
                    .wrapping_add(u64::from(place));
            }
            word.copy_from_slice(&filler.to_le_bytes());
        }
        sector[0..8].copy_from_slice(&MAGIC.to_le_bytes());
        sector[8..12].copy_from_slice(&number.to_le_bytes());
        sector[12..16].copy_from_slice(&(volume as u32).to_le_bytes());
        sector[16..20].copy_from_slice(&place.to_le_bytes());
        seal(sector);
    }
    out
}

/// Reads one sector found at `place` of `volume`.
pub(crate) fn cell(sector: &[u8], volume: usize, place: u32) -> Cell {
    if sector.iter().all(|byte| *byte == 0) {
        return Cell::Zero;
    }
    let word = |at: usize| {
        u32::from_le_bytes([sector[at], sector[at + 1], sector[at + 2], sector[at + 3]])
    };
    let whole = sector[0..8] == MAGIC.to_le_bytes()
        && word(SECTOR - 4) == digest(&sector[..SECTOR - 4])
        && word(12) == volume as u32
        && word(16) == place;
    if whole {
        Cell::Stamp(word(8))
    } else {
        Cell::Garbage
    }
}

/// Reads a run of sectors that begins at `first`.
pub(crate) fn cells(bytes: &[u8], volume: usize, first: u32) -> Vec<Cell> {
    bytes
        .chunks_exact(SECTOR)
        .enumerate()
        .map(|(index, sector)| cell(sector, volume, first + index as u32))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back_at_its_place_only() {
        let bytes = stamped(7, 1, 40, 2);
        assert_eq!(cells(&bytes, 1, 40), [Cell::Stamp(7), Cell::Stamp(7)]);
        assert_eq!(cells(&bytes, 1, 41)[0], Cell::Garbage);
        assert_eq!(cells(&bytes, 0, 40)[0], Cell::Garbage);
        let mut torn = bytes.clone();
        torn[300] ^= 1;
        assert_eq!(cells(&torn, 1, 40), [Cell::Garbage, Cell::Stamp(7)]);
        assert_eq!(cell(&[0; SECTOR], 0, 0), Cell::Zero);
    }
}
