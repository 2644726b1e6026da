//! Where events are told.

use super::event::Event;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc};

/// Events that a slow listener may be behind; past it, it is told that it missed some.
const LISTENERS_BEHIND_MAX: usize = 256;

/// Events that wait to be written to the outbox; past it they are dropped and logged.
const UNWRITTEN_MAX: usize = 4_096;

/// Never waits, whoever listens.
pub struct Feed {
    listeners: broadcast::Sender<Arc<Event>>,
    outbox: mpsc::Sender<Arc<Event>>,
}

impl Feed {
    /// The receiver is for the worker.
    pub fn new() -> (Arc<Self>, mpsc::Receiver<Arc<Event>>) {
        let (outbox, unwritten) = mpsc::channel(UNWRITTEN_MAX);
        (Arc::new(Self { listeners: broadcast::Sender::new(LISTENERS_BEHIND_MAX), outbox }), unwritten)
    }

    pub fn tell(&self, event: Event) {
        let event = Arc::new(event);
        if event.is_kept() && self.outbox.try_send(event.clone()).is_err() {
            tracing::warn!(event = event.name, tenant = %event.tenant, "too many events at once: webhooks miss one");
        }
        // Nobody listens.
        let _ = self.listeners.send(event);
    }

    pub fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.listeners.subscribe()
    }
}
