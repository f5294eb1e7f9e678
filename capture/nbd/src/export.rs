//! What a server tells about an export: name, size, block sizes, features, allocation states.
//!
//! Only descriptions; the data behind an export belongs to the shell.

use crate::constants::{DEFAULT_MAXIMUM_PAYLOAD, allocation_flag, transmission_flag as flag};

/// The block sizes of an export, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSizes {
    minimum: u32,
    preferred: u32,
    maximum_payload: u32,
}

/// Block sizes that the protocol does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "block sizes {minimum}/{preferred}/{maximum_payload} are not allowed: the minimum must be a \
     power of two up to 65536, the preferred one a power of two of at least 512 and the minimum, \
     and the maximum payload a multiple of the minimum, at least the preferred size and at most \
     32 MiB"
)]
pub struct BlockSizesError {
    minimum: u32,
    preferred: u32,
    maximum_payload: u32,
}

impl BlockSizes {
    /// What clients assume when a server names nothing: 1, 4096, 32 MiB.
    pub const DEFAULT: Self = Self {
        minimum: 1,
        preferred: 4096,
        maximum_payload: DEFAULT_MAXIMUM_PAYLOAD,
    };

    /// Block sizes in bytes. Every request must be a multiple of `minimum` in offset and length;
    /// no payload is longer than `maximum_payload`.
    ///
    /// # Errors
    /// If the protocol forbids the combination.
    pub const fn new(
        minimum: u32,
        preferred: u32,
        maximum_payload: u32,
    ) -> Result<Self, BlockSizesError> {
        let fine = minimum.is_power_of_two()
            && minimum <= 65_536
            && preferred.is_power_of_two()
            && preferred >= 512
            && preferred >= minimum
            && maximum_payload >= preferred
            && maximum_payload.is_multiple_of(minimum)
            && maximum_payload <= DEFAULT_MAXIMUM_PAYLOAD;
        if fine {
            Ok(Self {
                minimum,
                preferred,
                maximum_payload,
            })
        } else {
            Err(BlockSizesError {
                minimum,
                preferred,
                maximum_payload,
            })
        }
    }

    /// The unit of every offset and length, in bytes.
    #[must_use]
    pub const fn minimum(self) -> u32 {
        self.minimum
    }

    /// The unit that works best, in bytes.
    #[must_use]
    pub const fn preferred(self) -> u32 {
        self.preferred
    }

    /// The longest payload of a read or write, in bytes.
    #[must_use]
    pub const fn maximum_payload(self) -> u32 {
        self.maximum_payload
    }
}

/// What an export can do. A command or flag that is not listed here is refused by the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Writes of every kind are refused with "not permitted".
    pub read_only: bool,
    /// `FLUSH` is served.
    pub flush: bool,
    /// The force-unit-access flag is honoured on every write command.
    pub fua: bool,
    /// The device prefers sequential access.
    pub rotational: bool,
    /// `TRIM` is served.
    pub trim: bool,
    /// `WRITE_ZEROES` is served.
    pub write_zeroes: bool,
    /// `WRITE_ZEROES` with the fast flag is served; needs `write_zeroes`.
    pub fast_zero: bool,
    /// Flushes are effective over all connections to this export.
    pub multi_connection: bool,
    /// `CACHE` is given to the shell. Otherwise it is answered with success and has no effect.
    pub cache: bool,
    /// `base:allocation` is offered and `BLOCK_STATUS` served, to clients that speak structured
    /// replies.
    pub block_status: bool,
}

impl Features {
    /// A read-only export which several connections may read: what a view is.
    pub const READ_ONLY_VIEW: Self = Self {
        read_only: true,
        flush: false,
        fua: false,
        rotational: false,
        trim: false,
        write_zeroes: false,
        fast_zero: false,
        multi_connection: true,
        cache: false,
        block_status: true,
    };

    /// An export which several connections may read and write: what a branch is. Zeroes are not
    /// promised to be faster than data.
    pub const WRITABLE_VIEW: Self = Self {
        read_only: false,
        flush: true,
        fua: true,
        rotational: false,
        trim: true,
        write_zeroes: true,
        fast_zero: false,
        multi_connection: true,
        cache: false,
        block_status: true,
    };

    /// The transmission flags of an export with these features. A read-only export never
    /// advertises the write commands.
    pub(crate) fn transmission_flags(self, structured: bool) -> u16 {
        let writable = !self.read_only;
        [
            (true, flag::HAS_FLAGS),
            (self.read_only, flag::READ_ONLY),
            (self.flush, flag::FLUSH),
            (self.fua, flag::FUA),
            (self.rotational, flag::ROTATIONAL),
            (self.trim && writable, flag::TRIM),
            (self.write_zeroes && writable, flag::WRITE_ZEROES),
            (structured, flag::DF),
            (self.multi_connection, flag::CAN_MULTI_CONN),
            (self.cache, flag::CACHE),
            (
                self.fast_zero && self.write_zeroes && writable,
                flag::FAST_ZERO,
            ),
        ]
        .into_iter()
        .filter_map(|(set, bit)| set.then_some(bit))
        .fold(0, |flags, bit| flags | bit)
    }
}

/// The description of one export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportInfo {
    /// Its canonical name: what `LIST` shows and what the shell is told on selection.
    pub name: String,
    /// Words for people, shown by `nbdinfo`; may be empty.
    pub description: String,
    /// Its size in bytes. Should be a multiple of the minimum block size; a remainder cannot be
    /// reached by aligned requests.
    pub size: u64,
    /// Its block sizes.
    pub block_sizes: BlockSizes,
    /// What it can do.
    pub features: Features,
}

/// The exports a server offers. Asked during negotiation, on the thread of the connection: answers
/// must come from memory.
pub trait ExportDirectory: Send + Sync {
    /// The names of all exports, for `LIST`.
    fn names(&self) -> Vec<String>;

    /// The export with this name. The empty name asks for the default export; a directory without
    /// one answers `None`.
    fn find(&self, name: &str) -> Option<ExportInfo>;
}

/// A fixed list of exports. The default export is the first one.
impl ExportDirectory for Vec<ExportInfo> {
    fn names(&self) -> Vec<String> {
        self.iter().map(|export| export.name.clone()).collect()
    }

    fn find(&self, name: &str) -> Option<ExportInfo> {
        if name.is_empty() {
            self.first().cloned()
        } else {
            self.iter().find(|export| export.name == name).cloned()
        }
    }
}

/// How a range is stored, in the terms of `base:allocation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Allocation {
    /// No space is allocated for the range.
    pub hole: bool,
    /// The range reads as zeroes. A range without this flag may still do so.
    pub zero: bool,
}

impl Allocation {
    /// Allocated data.
    pub const DATA: Self = Self {
        hole: false,
        zero: false,
    };
    /// Nothing stored, reads as zeroes.
    pub const HOLE: Self = Self {
        hole: true,
        zero: true,
    };
    /// Allocated, reads as zeroes.
    pub const ZERO: Self = Self {
        hole: false,
        zero: true,
    };

    pub(crate) fn to_wire(self) -> u32 {
        let hole = if self.hole { allocation_flag::HOLE } else { 0 };
        let zero = if self.zero { allocation_flag::ZERO } else { 0 };
        hole | zero
    }

    pub(crate) fn from_wire(flags: u32) -> Self {
        Self {
            hole: flags & allocation_flag::HOLE != 0,
            zero: flags & allocation_flag::ZERO != 0,
        }
    }
}

/// A range with one allocation state. Extents are consecutive: the first begins where the request
/// began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    /// Its length in bytes, not zero.
    pub length: u64,
    /// Its state.
    pub allocation: Allocation,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_sizes_follow_the_rules() {
        assert!(BlockSizes::new(512, 4096, 1 << 20).is_ok());
        assert!(BlockSizes::new(1, 512, 512).is_ok());
        assert!(BlockSizes::new(3, 4096, 1 << 20).is_err());
        assert!(BlockSizes::new(1 << 17, 1 << 17, 1 << 20).is_err());
        assert!(BlockSizes::new(4096, 512, 1 << 20).is_err());
        assert!(BlockSizes::new(512, 4096, 2048).is_err());
        assert!(BlockSizes::new(512, 4096, (1 << 20) + 1).is_err());
        assert!(BlockSizes::new(512, 4096, 64 << 20).is_err());
    }

    #[test]
    fn a_writable_view_advertises_all_that_it_serves() {
        assert_eq!(
            Features::WRITABLE_VIEW.transmission_flags(false),
            flag::HAS_FLAGS
                | flag::FLUSH
                | flag::FUA
                | flag::TRIM
                | flag::WRITE_ZEROES
                | flag::CAN_MULTI_CONN
        );
    }

    #[test]
    fn a_view_advertises_only_what_it_serves() {
        let flags = Features::READ_ONLY_VIEW.transmission_flags(true);
        assert_eq!(
            flags,
            flag::HAS_FLAGS | flag::READ_ONLY | flag::DF | flag::CAN_MULTI_CONN
        );
        let all = Features {
            trim: true,
            write_zeroes: true,
            fast_zero: true,
            ..Features::READ_ONLY_VIEW
        };
        assert_eq!(all.transmission_flags(true), flags);
        assert_eq!(
            Features {
                fast_zero: true,
                ..Features::default()
            }
            .transmission_flags(false),
            flag::HAS_FLAGS
        );
    }
}
