//! TLS, on rustls: from certificates on disk to the session of one connection.
//!
//! An operator's wishes are `settings`. `certificates`, `clients` and `ticket_keys` read the files they name, `config` puts
//! them together into configurations and the table of names that leads to them, and `reload` keeps them up with the
//! files. What runs out (`perishable`) is told of in time, and not too often (`reminders`). A connection's `session` begins
//! with a ClientHello, takes the configuration for its name, and turns ciphertext into plaintext and back. `development`
//! makes certificates for those who have none.
//!
//! Nothing here knows a socket. Time of day comes from `wall_clock`, a connection's moments are arguments.

mod arithmetic;
mod certificates;
mod clients;
mod config;
mod development;
mod failure;
mod fault;
mod info;
mod keeper;
mod layer;
mod names;
mod opened;
mod pem;
mod perishable;
mod published;
mod record;
mod reload;
mod reminders;
mod session;
mod settings;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod ticket_keys;
mod tickets;
mod trust;
mod validity;
mod wall_clock;

pub(crate) use failure::Failure;
pub use info::TlsInfo;
pub(crate) use keeper::{Keeper, Keeping, Kept, Source};
pub(crate) use layer::{Layer, Terms};
pub use settings::Alpn;
pub use trust::DevelopmentCertificate;
