//! From the kernel to a running Linux: kernel, initial RAM disk, drivers, root, mounts, network.

mod command_line;
mod drivers;
mod fstab;
mod initrd;
mod kernel;
mod network;
mod root;

pub(crate) use command_line::{check_console, check_root};
pub(crate) use drivers::check as check_drivers;
pub(crate) use fstab::{Fstab, check as check_fstab};
pub(crate) use initrd::{Contents as InitrdContents, check as check_initrd};
pub(crate) use kernel::check as check_kernel;
pub(crate) use network::{PERSISTENT_NAMES, check as check_network};
pub(crate) use root::{Root, find as find_root};
