//! The administration API as programs use it.

#[path = "api/access.rs"]
mod access;
#[path = "api/errors.rs"]
mod errors;
#[path = "api/health.rs"]
mod health;
#[path = "api/resources.rs"]
mod resources;
#[path = "api/support.rs"]
mod support;
