//! Whether this node lives, and whether it is to be sent anything: on both listeners, without a key.

use crate::store::Store;
use crate::telemetry::Metrics;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// A database that answers later is told as away; readiness does not wait for it.
const PING_TIMEOUT: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    Starting,
    Ready,
    Draining,
}

pub struct Health {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    phase: AtomicU8,
}

#[derive(Debug, Serialize)]
struct Readiness {
    state: &'static str,
    sql: &'static str,
    redis: &'static str,
}

impl Health {
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics, phase: AtomicU8::new(Phase::Starting as u8) }
    }

    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            phase if phase == Phase::Starting as u8 => Phase::Starting,
            phase if phase == Phase::Ready as u8 => Phase::Ready,
            _ => Phase::Draining,
        }
    }
}

/// Mounts `/livez` and `/readyz`; the app's data must hold a [`Health`].
pub fn health(config: &mut web::ServiceConfig) {
    config.route("/livez", web::get().to(livez)).route("/readyz", web::get().to(readyz));
}

async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "state": "live" }))
}

/// A database that is away leaves a node ready: its live streams and their viewers go on.
async fn readyz(health: web::Data<Health>) -> HttpResponse {
    let (status, state) = match health.phase() {
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Phase::Ready => (StatusCode::OK, "ready"),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
    };
    let pinged = actix_web::rt::time::timeout(PING_TIMEOUT, health.store.ping()).await;
    let away = !matches!(pinged, Ok(Ok(())));
    health.metrics.set_degraded("sql", away);
    let sql = if away { "away" } else { "ok" };
    HttpResponse::build(status).json(Readiness { state, sql, redis: "unused" })
}
