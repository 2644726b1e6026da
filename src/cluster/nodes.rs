//! The nodes as they were heard of last.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Myself, Presence};

#[derive(Debug)]
pub struct Nodes {
    pub myself: Myself,
    living: Mutex<Vec<Presence>>,
}

impl Nodes {
    pub fn new(myself: Myself) -> Self {
        Self { myself, living: Mutex::default() }
    }

    pub fn set(&self, living: Vec<Presence>) {
        *self.living() = living;
    }

    /// Without this one.
    pub fn others(&self) -> Vec<Presence> {
        self.living().iter().filter(|presence| presence.node != self.myself.node).cloned().collect()
    }

    fn living(&self) -> MutexGuard<'_, Vec<Presence>> {
        self.living.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
