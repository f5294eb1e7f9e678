//! What the end-to-end tests share: a real lab of real processes, a writer whose every block says
//! which write it came from, a file system on a volume as a host has it, and a client that says
//! things no decent client says.

pub mod boot_sector;
pub mod browser;
pub mod fixture;
pub mod host_disk;
pub mod lab;
pub mod prober;
pub mod processes;
pub mod stamped;
pub mod tool;
