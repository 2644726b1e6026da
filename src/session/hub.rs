//! The actor around [`Fan`]: one per stream and worker thread, the stream's subscriber.

use crate::id::StreamId;
use crate::session::fan::Fan;
use crate::session::mailbox::HubMailbox;
use crate::session::worker::Worker;
use crate::stream::Handle;
use crate::stream::handle::{Command, SendError};
use crate::stream::packet::Packet;
use crate::stream::state::Settings;
use crate::stream::subscriber::SubscriberId;
use actix::{Actor, ActorContext, ActorFutureExt as _, AsyncContext, Context, Handler, fut};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Packets that may wait while this thread is busy: six seconds of picture and sound, for a publisher whose link hung
/// sends what it held all at once. They share their buffers with the backlog.
const MAILBOX: usize = 512;
const TICK: Duration = Duration::from_millis(500);
/// A hub without viewers stays this many ticks.
const TICKS_EMPTY_MAX: u32 = 10;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

pub struct Hub {
    pub(super) id: SubscriberId,
    stream: StreamId,
    settings: Settings,
    handle: Option<Handle>,
    pub(super) fan: Rc<RefCell<Fan>>,
    worker: Rc<Worker>,
    now: Now,
}

#[derive(Default)]
struct Now {
    ticks_empty: u32,
    is_timed: bool,
    is_due: bool,
    outbox_bytes: i64,
}

impl Hub {
    pub fn start_for(stream: StreamId, settings: Settings, fan: Rc<RefCell<Fan>>, worker: Rc<Worker>) {
        let id = SubscriberId(NEXT_ID.fetch_add(1, Ordering::Relaxed));
        Self { id, stream, settings, handle: None, fan, worker, now: Now::default() }.start();
    }

    /// Subscribes until the stream answers with a snapshot; tells it who came and who left.
    fn talk(&mut self, ctx: &mut Context<Self>) {
        let mut fan = self.fan.borrow_mut();
        if self.handle.as_ref().is_some_and(Handle::is_closed) {
            self.handle = None;
            fan.forget_stream();
        }
        if !fan.is_known() {
            let handle = self.worker.registry.open(&self.stream, self.settings);
            let subscriber = Box::new(HubMailbox { id: self.id, address: ctx.address() });
            // Full or closed: the next tick tries again.
            let _ = handle.try_send(Command::Subscribe(subscriber));
            self.handle = Some(handle);
            return;
        }
        let Some(handle) = &self.handle else { return };
        let changes = fan.take_changes();
        if changes.is_empty() {
            return;
        }
        if let Err(SendError::Full | SendError::Closed) = handle.try_send(changes.told_by(self.id)) {
            fan.put_back(changes);
        }
    }

    /// Once the mailbox is empty: where this thread is behind, several pictures cost one send to each viewer.
    fn flush_soon(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.now.is_due, true) {
            ctx.spawn(fut::ready(()).map(|(), hub: &mut Self, _: &mut Context<Self>| {
                hub.now.is_due = false;
                hub.fan.borrow_mut().flush();
            }));
        }
    }

    fn flush_after(&mut self, after: Duration, ctx: &mut Context<Self>) {
        self.now.is_timed = true;
        ctx.run_later(after, |hub, ctx| {
            hub.now.is_timed = false;
            let left = hub.fan.borrow_mut().flush_waiting();
            if let Some(left) = left {
                hub.flush_after(left, ctx);
            }
        });
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.fan.borrow_mut().tick();
        self.talk(ctx);
        let outbox_bytes = i64::try_from(self.fan.borrow().outbox_bytes()).unwrap_or(i64::MAX);
        self.worker.metrics.outbox_bytes.inc_by(outbox_bytes - self.now.outbox_bytes);
        self.now.outbox_bytes = outbox_bytes;
        self.now.ticks_empty = if self.fan.borrow().is_empty() { self.now.ticks_empty + 1 } else { 0 };
        if self.now.ticks_empty > TICKS_EMPTY_MAX {
            ctx.stop();
        }
    }
}

impl Actor for Hub {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.talk(ctx);
        ctx.run_interval(TICK, Self::tick);
    }
}

/// Also after a panic: nobody would send to its viewers any more.
impl Drop for Hub {
    fn drop(&mut self) {
        self.worker.forget(&self.stream);
        self.worker.metrics.outbox_bytes.dec_by(self.now.outbox_bytes);
        if let Ok(mut fan) = self.fan.try_borrow_mut() {
            fan.end();
        }
        if let Some(handle) = &self.handle {
            // Where this is lost, the stream finds the mailbox closed.
            let _ = handle.try_send(Command::Unsubscribe(self.id));
        }
    }
}

impl Handler<Packet> for Hub {
    type Result = ();

    fn handle(&mut self, packet: Packet, ctx: &mut Self::Context) {
        let left = self.fan.borrow_mut().handle(packet);
        match left {
            Some(Duration::ZERO) => self.flush_soon(ctx),
            Some(left) if !self.now.is_timed => self.flush_after(left, ctx),
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::fan::tests::{Bench, snapshot};
    use crate::session::viewer::Dialect;
    use crate::stream::backlog::Bounds;
    use crate::stream::publisher::SecondPublisher;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[actix_rt::test]
    async fn viewers_of_a_hub_that_panicked_are_sent_to_come_back() {
        let mut bench = Bench::new();
        let mut client = bench.join(Dialect::V1).await;
        bench.send([snapshot(None, Vec::new())]);
        assert_eq!(client.read(), ["hello"]);
        let Bench { fan, worker, .. } = bench;
        let settings = Settings {
            second_publisher: SecondPublisher::Refuse,
            reconnect_window_us: 0,
            backlog: Bounds { bytes: 1, span_us: 1 },
            send_every_ms: None,
        };
        let hub = Hub {
            id: SubscriberId(1),
            stream: StreamId::from_random([1; 16]),
            settings,
            handle: None,
            fan: Rc::new(RefCell::new(fan)),
            worker,
            now: Now::default(),
        };
        let panicked = catch_unwind(AssertUnwindSafe(move || {
            let _hub = hub;
            panic!("as a handler would");
        }));
        assert!(panicked.is_err());
        assert_eq!(client.read(), ["bye", "close 4503"]);
        assert!(client.is_cut());
    }
}
