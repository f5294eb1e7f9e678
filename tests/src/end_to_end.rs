//! What the end-to-end tests share: a real lab of real processes, a writer whose every block says
//! which write it came from, and a client that says things no decent client says.

pub mod fixture;
pub mod lab;
pub mod prober;
pub mod processes;
pub mod stamped;
pub mod tool;
