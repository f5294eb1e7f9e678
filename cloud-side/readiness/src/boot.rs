//! From the firmware to the kernel: boot code, EFI programs, and what the boot loader is told.

mod bios;
mod efi;
mod efi_configuration;
mod efi_program;
mod entry;
mod grub;
mod loader_entries;
mod words;

pub(crate) use bios::check as check_bios;
pub(crate) use efi::check as check_efi;
pub(crate) use entry::{
    BootEntry, Configuration, ConfigurationFile, find as find_configuration, unread,
};
