//! Whether this node lives, and whether it is to be sent anything: on both listeners, without a key.

use crate::store::Store;
use crate::telemetry::Metrics;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    redis: Mutex<Redis>,
}

#[derive(Debug, Serialize)]
struct Readiness {
    state: &'static str,
    sql: &'static str,
    redis: &'static str,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

/// As it was when it was asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Redis {
    Unused,
    Answers,
    Away,
}

impl Health {
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics, phase: AtomicU8::new(Phase::Starting as u8), redis: Mutex::new(Redis::Unused) }
    }

    /// Called where one is used, and at each change.
    pub fn note_redis(&self, is_away: bool) {
        *self.redis() = if is_away { Redis::Away } else { Redis::Answers };
        self.metrics.set_degraded("redis", is_away);
    }

    /// Asks the database, and notes whether it answers.
    pub async fn look_at_store(&self) -> bool {
        let pinged = actix_web::rt::time::timeout(PING_TIMEOUT, self.store.ping()).await;
        let answers = matches!(pinged, Ok(Ok(())));
        self.metrics.set_degraded("sql", !answers);
        answers
    }

    fn redis(&self) -> MutexGuard<'_, Redis> {
        self.redis.lock().unwrap_or_else(PoisonError::into_inner)
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
    let phase = health.phase();
    let status = if phase == Phase::Ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let sql = if health.look_at_store().await { "ok" } else { "away" };
    let redis = match *health.redis() {
        Redis::Unused => "unused",
        Redis::Answers => "ok",
        Redis::Away => "away",
    };
    HttpResponse::build(status).json(Readiness { state: phase.as_str(), sql, redis })
}
