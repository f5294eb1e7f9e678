//! PostgreSQL on a protected volume: its server as a test runs it, clients that know from outside what
//! was acknowledged and when, and what must hold of the server wherever it is recovered.

pub mod client;
pub mod history;
pub mod inspect;
pub mod ledger;
pub mod load;
pub mod opened;
pub mod production;
pub mod programs;
pub mod server;
