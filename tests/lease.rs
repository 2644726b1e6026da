//! At most one owner's output is accepted: the protocol as a model, and its code under simulated time and faults.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that can't go on ends, and figures are printed")]
#![allow(clippy::disallowed_methods, reason = "how long it takes is said from outside")]

#[path = "lease/model.rs"]
mod model;
#[path = "lease/simulated.rs"]
mod simulated;
#[path = "lease/world.rs"]
mod world;
