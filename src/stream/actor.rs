//! The actor around [`State`]: mailbox, timer, subscribers.

use crate::clock::Clock;
use crate::id::StreamId;
use crate::stream::handle::Command;
use crate::stream::packet::Packet;
use crate::stream::publisher::{EndReason, Refusal};
use crate::stream::state::{Settings, State};
use crate::stream::status::Status;
use crate::stream::subscriber::Subscribers;
use crate::stream::tally::Tally;
use crate::telemetry::Metrics;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message};
use std::sync::Arc;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);
/// A burst of a publisher that was held up: two seconds of frames and sound.
const MAILBOX: usize = 256;
/// An empty stream stops after this many ticks, so that a viewer who reloads finds it again.
const TICKS_EMPTY_MAX: u32 = 50;

/// What a stream's actor is made with.
pub struct Birth {
    pub id: StreamId,
    pub settings: Settings,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub status: Arc<Status>,
    /// Called once, when the stream begins to stop.
    pub on_stop: Box<dyn FnOnce() + Send>,
}

pub struct Stream {
    birth: Birth,
    state: State,
    subscribers: Subscribers,
    ticks_empty: u32,
    tally: Tally,
    /// Deregistered; what is still in the mailbox is turned away, then the actor stops.
    is_closing: bool,
}

impl Stream {
    pub fn new(birth: Birth) -> Self {
        let tally = Tally::new(birth.metrics.clone());
        let state = State::new(birth.settings, birth.clock.unix_us());
        Self { birth, state, subscribers: Subscribers::default(), ticks_empty: 0, tally, is_closing: false }
    }

    fn deliver(&mut self, packets: &[Packet]) {
        let state = &self.state;
        self.subscribers.deliver(packets, || state.snapshot());
        let fragments = packets.iter().filter(|p| matches!(p, Packet::Fragment(_))).count();
        self.tally.add_fragments(fragments);
        if fragments < packets.len() {
            self.publish_status();
        }
    }

    fn publish_status(&mut self) {
        self.tally.update(self.state.has_publisher(), self.subscribers.times_behind());
        self.birth.status.set(self.state.live(self.subscribers.viewers_count()));
    }

    fn close(&mut self) {
        self.is_closing = true;
        std::mem::replace(&mut self.birth.on_stop, Box::new(|| {}))();
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        let now_us = self.birth.clock.unix_us();
        let mut packets = self.state.handle_tick(now_us);
        if self.state.is_abandoned(now_us) {
            packets.push(Packet::Close { code: 4504, reason: "nobody publishes this stream".into() });
        }
        self.deliver(&packets);
        if self.state.poll_rates(now_us) {
            self.publish_status();
        }
        let is_empty = self.state.is_idle() && self.subscribers.is_empty();
        self.ticks_empty = if is_empty { self.ticks_empty + 1 } else { 0 };
        if self.is_closing {
            ctx.stop();
        } else if self.ticks_empty > TICKS_EMPTY_MAX {
            self.close();
        }
    }
}

impl Actor for Stream {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.run_interval(TICK, Self::tick);
        tracing::debug!(stream = %self.birth.id, "stream starts");
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.close();
        tracing::debug!(stream = %self.birth.id, "stream stops");
    }
}

impl Message for Command {
    type Result = ();
}

impl Handler<Command> for Stream {
    type Result = ();

    fn handle(&mut self, command: Command, _: &mut Self::Context) {
        let now_us = self.birth.clock.unix_us();
        match command {
            Command::Publish(_, reply) if self.is_closing => reply(Err(Refusal::Closing)),
            Command::Subscribe(_) if self.is_closing => {}
            Command::Publish(publish, reply) => reply(self.state.handle_publish(publish, now_us)),
            Command::MayReplace(key, reply) => reply(self.state.may_replace(&key, now_us)),
            Command::Media(from, item) => match self.state.handle_media(from, item, now_us) {
                Ok(packets) => self.deliver(&packets),
                Err(error) => {
                    tracing::warn!(stream = %self.birth.id, %error, "the publisher's media can't be cut");
                    let (_, packets) = self.state.end_publisher(EndReason::Malformed, now_us);
                    self.deliver(&packets);
                }
            },
            Command::Unpublish(from) => {
                let packets = self.state.handle_unpublish(from, now_us);
                self.deliver(&packets);
            }
            Command::Subscribe(subscriber) => self.subscribers.add(subscriber, self.state.snapshot()),
            Command::Unsubscribe(id) => self.subscribers.remove(id),
            Command::Viewers { subscriber, joined, left, moved } => {
                self.subscribers.change(subscriber, joined, &left, &moved);
                self.publish_status();
            }
            Command::Sessions(reply) => reply(self.subscribers.viewers().cloned().collect()),
            Command::Order(packet) => self.deliver(&[packet]),
            Command::Configure(settings) => self.state.configure(settings),
            Command::EndPublisher(reason, key, reply) => {
                let is_meant = key.is_none_or(|key| self.state.publisher_key() == Some(&key));
                let (was_there, packets) =
                    if is_meant { self.state.end_publisher(reason, now_us) } else { (false, Vec::new()) };
                self.deliver(&packets);
                reply(was_there);
            }
        }
    }
}
