//! Who listens to events: how many connections at once, and what tells them to look whether they still may.

use super::Error;
use crate::cluster::{Listener, Message};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast::{self, Receiver};

/// Connections of one key or user to one node.
const PLACES_MAX: u32 = 16;

/// Changes that a listener has not looked at yet; past it, it looks whatever they were.
const CHANGES_MAX: usize = 64;

pub(super) struct Listeners {
    changes: broadcast::Sender<Message>,
    taken: Mutex<HashMap<String, u32>>,
}

impl Listeners {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { changes: broadcast::Sender::new(CHANGES_MAX), taken: Mutex::default() })
    }

    /// A place, until it is dropped.
    pub(super) fn enter(self: &Arc<Self>, actor: &str) -> Result<Place, Error> {
        let mut taken = self.taken();
        let count = taken.entry(actor.to_owned()).or_default();
        if *count >= PLACES_MAX {
            return Err(Error::TooManyListeners { most: PLACES_MAX });
        }
        *count += 1;
        Ok(Place { changes: self.changes.subscribe(), actor: actor.to_owned(), listeners: self.clone() })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Listeners {
    fn handle(&self, message: &Message) {
        match message {
            Message::AccessChanged { .. }
            | Message::TenantChanged { .. }
            | Message::TenantDeleted { .. }
            | Message::Reread => {
                // Nobody may be listening.
                let _ = self.changes.send(message.clone());
            }
            _ => {}
        }
    }
}

pub(super) struct Place {
    /// What may have taken away the right to listen.
    pub(super) changes: Receiver<Message>,
    actor: String,
    listeners: Arc<Listeners>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.listeners.taken();
        if let Some(count) = taken.get_mut(&self.actor) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.actor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_so_many_places_and_gives_them_back() {
        let listeners = Listeners::new();
        let mut places: Vec<_> = (0..PLACES_MAX).map(|_| listeners.enter("a").unwrap()).collect();
        assert_eq!(listeners.enter("a").err(), Some(Error::TooManyListeners { most: PLACES_MAX }));
        let other = listeners.enter("b").unwrap();
        places.pop();
        let _again = listeners.enter("a").unwrap();
        drop((other, places, _again));
        assert!(listeners.taken().is_empty(), "nothing is kept of those who left");
    }
}
