//! The cluster's traits over Redis: one server, sentinels, or a Redis cluster.

mod bus;
mod link;
mod roster;
mod table;

pub use bus::RedisBus;
pub use link::Link;
pub use roster::RedisRoster;
pub use table::RedisTable;
