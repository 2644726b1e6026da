//! The administration API as programs use it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends")]

#[path = "api/access.rs"]
mod access;
#[path = "api/conventions.rs"]
mod conventions;
#[path = "api/errors.rs"]
mod errors;
#[path = "api/health.rs"]
mod health;
#[path = "api/listening.rs"]
mod listening;
#[path = "support/postgres.rs"]
#[allow(dead_code, reason = "others stop and ask it")]
mod postgres;
#[path = "api/racing.rs"]
mod racing;
#[path = "api/resources.rs"]
mod resources;
#[path = "api/sign_in.rs"]
mod sign_in;
#[path = "api/support.rs"]
mod support;
#[path = "api/webhooks.rs"]
mod webhooks;
