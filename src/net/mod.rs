//! Sockets: accepting, TLS, and taking a socket out of the HTTP server after the response's head.

pub mod client;
pub mod door;
pub mod head;
pub mod io;
pub mod problem;
pub mod server;
pub mod socket;
pub mod tls;
pub mod waiting;
