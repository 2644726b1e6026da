//! The composition root: chooses the parts, binds the ports, runs until told to stop.

use crate::auth::secret::Secrets;
use crate::clock::{Clock, System};
use crate::cluster::LocalOwnership;
use crate::config::{Config, DatabaseUrl};
use crate::net::client::Trusted;
use crate::net::server::{self, Options};
use crate::net::tls::Reloading;
use crate::pages;
use crate::session::admission::Admission;
use crate::session::route::{self, Viewing};
use crate::session::worker::Worker;
use crate::store::{Memory, Postgres, Sqlite, Store};
use crate::stream::backlog::Bounds;
use crate::stream::handle::Command;
use crate::stream::packet::Packet;
use crate::stream::registry::Registry;
use crate::telemetry::Metrics;
use actix::Arbiter;
use actix_server::ServerHandle;
use actix_web::{App as WebApp, HttpResponse, web};
use anyhow::{Context as _, bail};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Certificates are looked at this often.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(5);
/// HTTP connections of one worker at once; viewers' sockets leave the HTTP server.
const CONNECTIONS_MAX: usize = 10_000;
