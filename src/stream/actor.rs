//! The actor around [`State`]: mailbox, timer, audience, and whom it follows.

mod birth;

use crate::stream::audience::Audience;
use crate::stream::handle::{Command, Handle};
use crate::stream::mailbox::ActorMailbox;
use crate::stream::packet::Packet;
use crate::stream::publisher::{EndReason, Refusal, Whose};
use crate::stream::state::State;
use crate::stream::tally::Tally;
use crate::stream::upstream::Source;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
pub use birth::Birth;
use std::sync::Arc;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);
/// A burst of a publisher that was held up: two seconds of frames and sound.
const MAILBOX: usize = 256;
/// An empty stream stops after this many ticks, so that a viewer who reloads finds it again.
const TICKS_EMPTY_MAX: u32 = 50;

pub struct Stream {
    birth: Birth,
    state: State,
    audience: Audience,
    source: Source,
    ticks_empty: u32,
    tally: Tally,
    /// Deregistered; what is still in the mailbox is turned away, then the actor stops.
    is_closing: bool,
}

impl Stream {
    pub fn new(birth: Birth) -> Self {
        let state = State::new(birth.settings, birth.clock.unix_us());
        let (tally, source) = (Tally::new(birth.metrics.clone()), Source::new(birth.upstream.clone()));
        Self { birth, state, audience: Audience::default(), source, ticks_empty: 0, tally, is_closing: false }
    }

    fn deliver(&mut self, packets: &[Packet]) {
        let state = &self.state;
        self.audience.deliver(packets, || state.snapshot());
        let fragments = packets.iter().filter(|p| matches!(p, Packet::Fragment(_))).count();
        self.tally.add_fragments(fragments);
        if fragments < packets.len() {
            self.publish_status();
        }
    }

    fn publish_status(&mut self) {
        self.tally.update(self.state.has_publisher(), self.audience.times_behind(), self.state.backlog_bytes());
        self.birth.status.set(self.state.live(self.audience.hubs.viewers_count()));
    }

    /// Follows the owner elsewhere while somebody watches and nobody publishes here.
    fn choose_source(&mut self, ctx: &Context<Self>) {
        if self.state.has_publisher() || self.is_closing {
            return self.source.end();
        }
        self.audience.end_relays();
        if !self.audience.hubs.is_empty() {
            let (id, status) = (self.birth.id.clone(), self.birth.status.clone());
            self.source.begin(|| Handle::new(id, Arc::new(ActorMailbox(ctx.address())), status), self.state.fence());
        }
    }

    fn close(&mut self) {
        self.is_closing = true;
        std::mem::replace(&mut self.birth.on_stop, Box::new(|| {}))();
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        let now_us = self.birth.clock.unix_us();
        let packets = self.state.handle_tick(now_us);
        self.deliver(&packets);
        if self.state.poll_rates(now_us) {
            self.publish_status();
        }
        let is_needless = self.state.is_idle() || self.source.is_active();
        self.ticks_empty = if is_needless && self.audience.hubs.is_empty() { self.ticks_empty + 1 } else { 0 };
        if self.is_closing {
            ctx.stop();
        } else if self.ticks_empty > TICKS_EMPTY_MAX {
            self.close();
        }
        self.choose_source(ctx);
    }

    fn obey(&mut self, command: Command) {
        let now_us = self.birth.clock.unix_us();
        let packets = match command {
            Command::Publish(_, reply) if self.is_closing => return reply(Err(Refusal::Closing)),
            Command::Subscribe(_) if self.is_closing => return,
            Command::Publish(publish, reply) => return reply(self.state.handle_publish(publish, now_us)),
            Command::Media(from, item) => self.state.handle_media(from, item, now_us).unwrap_or_else(|error| {
                tracing::warn!(stream = %self.birth.id, %error, "the publisher's media can't be cut");
                self.state.end_publisher(EndReason::Malformed, &Whose::Anyones, now_us).1
            }),
            Command::Feed(id, packet) if self.source.is(id) => self.state.handle_feed(packet, now_us),
            Command::Feed(..) => return,
            Command::Unpublish(from, left) => self.state.handle_unpublish(from, left, now_us),
            Command::Subscribe(hub) => return self.audience.hubs.add(hub, self.state.snapshot()),
            Command::Unsubscribe(id) => return self.audience.hubs.remove(id),
            Command::Relay(relay, reply) => {
                self.audience.add_relay(relay, self.state.snapshot());
                return reply(self.state.has_publisher());
            }
            Command::Viewers { subscriber, joined, left, moved } => {
                self.audience.hubs.change(subscriber, joined, &left, &moved);
                return self.publish_status();
            }
            Command::Sessions(reply) => return reply(self.audience.hubs.viewers().cloned().collect()),
            Command::Inspect(question, reply) => return reply(self.audience.inside(self.state.inside(), &question)),
            Command::Order(packet) => vec![packet],
            Command::Configure(settings) => return self.state.configure(settings),
            Command::EndPublisher(reason, whose, reply) => {
                let (was_there, packets) = self.state.end_publisher(reason, &whose, now_us);
                reply(was_there);
                packets
            }
        };
        self.deliver(&packets);
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

impl Handler<Command> for Stream {
    type Result = ();

    fn handle(&mut self, command: Command, ctx: &mut Self::Context) {
        self.obey(command);
        self.choose_source(ctx);
    }
}
