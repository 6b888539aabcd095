//! What one client may cost: every bound that Lanner has, and the arithmetic that keeps it.
//!
//! - **Settings**: [`Limits`] holds every tunable's value. One table, [`KNOBS`], says what there is; [`Limits::resolve`]
//!   reads settings against it and reports every [`Mistake`] at once.
//! - **Time**: a [`Moment`] is an argument, never looked up. [`Deadlines`] has a connection's moments by kind, [`Wheel`]
//!   a worker's by connection.
//! - **Rates and counts**: [`ReadRate`] and [`WriteRate`] turn bytes into deadlines; [`TokenBucket`], [`Budget`],
//!   [`Caps`] and [`RateTable`] say how often and how many.
//! - **Consequences**: a [`Trip`] is a bound that was hit, and says what the peer is told.
//!
//! Nothing here touches a clock, socket, thread, file, environment or lock (`clippy.toml` holds that), and nothing imports
//! more than std. `protocol` builds its state machine on it, `engine` supplies the moments, the settings and the locks.

#![forbid(unsafe_code)]

mod address;
mod bucket;
mod caps;
mod choice;
mod deadlines;
mod files;
mod hosts;
pub mod knob;
mod kubernetes;
mod listen;
mod listener;
mod machine;
mod mistake;
mod moment;
mod name;
mod network;
mod rate;
mod rate_table;
mod relations;
mod resolve;
mod trip;
mod value;
mod wheel;

pub use address::AddressKey;
pub use bucket::{Budget, TokenBucket};
pub use caps::Caps;
pub use choice::{
    ClientAuth, Driver, LogAccess, PathPolicy, Pin, Protocols, TlsVersion, UnderscoreHeaders,
};
pub use deadlines::{Deadlines, Timer};
pub use files::{PemSource, TicketKeys};
pub use hosts::AllowedHosts;
pub use knob::{KNOBS, Knob, Limits};
pub use listen::{Host, ListenUrl, Scheme};
pub use listener::{Listener, ListenerTls, Property, SniEntry, properties};
pub use machine::Machine;
pub use mistake::{Mistake, Mistakes};
pub use moment::Moment;
pub use network::{AddressSet, Network};
pub use rate::{MinRate, ReadRate, WriteRate};
pub use rate_table::{RATE_TABLE_ENTRIES_MAX, RateTable};
pub use resolve::{Effective, Resolved, Setting, Source};
pub use trip::{Answer, Close, Trip};
pub use wheel::Wheel;
