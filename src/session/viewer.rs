//! One viewer: its socket, its outbox, and what it has been told. The hub writes to it, its own actor reads from it.

use crate::cluster::seats::Seat;
use crate::id::SessionId;
use crate::net::socket::Socket;
use crate::session::admission::Admitted;
use crate::session::batch::Batch;
use crate::session::ladder::Rung;
use crate::session::outbox::{Framing, Outbox};
use crate::session::protocol::{self, InitFrames, ServerMessage};
use crate::session::signers::Signer;
use crate::session::wishes::Wishes;
use crate::session::worker::Worker;
use crate::stream::packet::Phase;
use crate::stream::subscriber::Standing;
use crate::stream::ws_frame;
use bytes::Bytes;
use std::io::{ErrorKind, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub use crate::session::dialect::Dialect;

/// A viewer that can answer is asked this often, and given up after three times as long.
const PING_EVERY: Duration = Duration::from_secs(15);
const DEAD_AFTER: Duration = Duration::from_secs(45);
/// After the close frame a viewer has this long to take it.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// A viewer is asked for a new token this long before the old one ends.
const RENEW_BEFORE_US: i64 = 30_000_000;
/// Pieces of one write: the burst of a new viewer is two, a slow viewer's queue is cut off by the kernel anyway.
const SLICES: usize = 16;

/// Why frames were left out, in the order of `outbox::Dropped`.
const DROP_REASONS: [&str; Rung::ALL.len()] = ["slow", "disposable", "gop", "keyframes", "sound_only"];

/// Who a viewer is and until when it may stay.
#[derive(Debug, Clone)]
pub struct Ticket {
    pub session: SessionId,
    /// The playback id, as the viewer asked for it.
    pub stream: String,
    pub subject: String,
    pub address: String,
    pub dialect: Dialect,
    pub target_ms: u32,
    /// Unix time; none for a public stream.
    pub expires_us: Option<i64>,
    /// Whose word let the viewer in; none for a public stream.
    pub signer: Option<Arc<Signer>>,
    pub since_us: i64,
    /// Counts towards the tenant's quota; given up with the last copy.
    pub seat: Option<Arc<Seat>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Open,
    /// The close frame is queued or sent.
    Closing {
        deadline: Duration,
    },
    Gone,
}

pub struct Viewer {
    pub ticket: Ticket,
    worker: Rc<Worker>,
    socket: Socket,
    pub(super) outbox: Outbox,
    life: Life,
    /// The init that was sent last.
    init: Option<Rc<InitFrames>>,
    is_started: bool,
    wishes: Wishes,
    owes_live: bool,
    /// As it was counted last.
    counted_rung: Rung,
    /// As it was told last.
    told: Standing,
    frames_dropped: u64,
    asked_for_token: bool,
    joined: Duration,
    heard: Duration,
    pinged: Duration,
    waker: Option<Waker>,
}

impl Viewer {
    pub fn new(ticket: Ticket, socket: Socket, worker: Rc<Worker>) -> Self {
        let now = worker.now();
        let framing = if ticket.dialect == Dialect::Http { Framing::Http } else { Framing::WebSocket };
        Self {
            outbox: Outbox::new(framing, worker.limits.get().outbox_bytes),
            ticket,
            worker,
            socket,
            life: Life::Open,
            init: None,
            is_started: false,
            wishes: Wishes::default(),
            owes_live: false,
            counted_rung: Rung::Full,
            told: Standing::default(),
            frames_dropped: 0,
            asked_for_token: false,
            joined: now,
            heard: now,
            pinged: now,
            waker: None,
        }
    }

    /// The first messages: greeting, and where there is something to see, init and burst.
    ///
    /// `clock_ahead_us` is how far the clock of the stream's owner is ahead of this node's.
    pub fn start(
        &mut self,
        phase: Phase,
        clock_ahead_us: i64,
        init: Option<&Rc<InitFrames>>,
        burst: Option<&Rc<Batch>>,
    ) {
        let hello = ServerMessage::Hello {
            session: self.ticket.session.as_str(),
            stream: &self.ticket.stream,
            state: phase.as_str(),
            server_time_us: self.worker.unix_us() + clock_ahead_us,
            target_ms: self.ticket.target_ms,
            node: &self.worker.node,
        };
        self.is_started = true;
        self.owes_live = true;
        self.say_json(&hello.to_json());
        if let Some(init) = init {
            self.set_init(init);
        }
        match burst {
            Some(batch) => {
                self.outbox.push_burst(batch.clone(), self.worker.now());
                self.media_was_queued(batch);
            }
            None => self.outbox.skip_to_start(),
        }
        self.flush();
        self.wake();
    }

    /// What follows belongs to another init.
    pub fn change_init(&mut self, init: &Rc<InitFrames>) {
        if self.is_started && self.life == Life::Open {
            self.set_init(init);
            self.outbox.skip_to_start();
        }
    }

    fn set_init(&mut self, init: &Rc<InitFrames>) {
        let is_same = self.init.as_ref().is_some_and(|old| old.muxed == init.muxed);
        let is_first = self.init.replace(init.clone()).is_none();
        match self.ticket.dialect {
            Dialect::V1 => self.say(init.json.clone()),
            Dialect::Raw if !is_same => self.say(init.muxed.clone()),
            Dialect::Http if is_first => self.say(init.muxed_payload.clone()),
            Dialect::Http if !is_same => self.finish(),
            Dialect::Raw | Dialect::Http => {}
        }
    }

    /// Gives a batch to the socket, or to the outbox where the socket is not ready.
    pub fn offer(&mut self, batch: &Rc<Batch>) {
        if self.life != Life::Open || self.init.is_none() {
            return;
        }
        let Some(batch) = &self.wishes.of(batch) else { return };
        let now = self.worker.now();
        let is_direct = self.outbox.is_idle() && !self.owes_live && !self.socket.wants_flush();
        let sent = if is_direct { self.try_send(batch) } else { Some(0) };
        let Some(sent) = sent else { return self.end() };
        if is_direct && sent == self.bytes_of(batch).len() {
            return;
        }
        let is_v1 = self.ticket.dialect == Dialect::V1;
        self.outbox.offer(batch, now, |gap| is_v1.then(|| ws_frame::text(&protocol::gap_json(&gap, "slow"))));
        if sent > 0 {
            self.outbox.advance(sent, now);
        }
        self.count_drops();
        if self.owes_live && self.outbox.has_begun() {
            self.media_was_queued(batch);
        }
        self.flush();
    }

    /// Sends these tracks from now on; pictures from a keyframe on.
    pub fn want(&mut self, video: bool, audio: bool) {
        if video != self.wishes.video {
            self.outbox.skip_pictures();
        }
        self.wishes = Wishes { video, audio, ..self.wishes };
    }

    pub fn pause(&mut self) {
        self.wishes.is_paused = true;
        self.outbox.pause();
    }

    /// Goes on with `burst`, or with what comes next that one can start with.
    pub fn resume(&mut self, burst: Option<&Rc<Batch>>) {
        if !std::mem::take(&mut self.wishes.is_paused) || self.life != Life::Open || self.init.is_none() {
            return;
        }
        let now = self.worker.now();
        if let Some(burst) = burst.filter(|_| self.outbox.may_burst(now)).and_then(|burst| self.wishes.of(burst)) {
            self.outbox.push_burst(burst, now);
            self.flush();
            self.wake();
        }
    }

    /// Queues a message of the protocol; only a viewer that speaks it gets it.
    pub fn say_json(&mut self, json: &str) {
        if self.is_started && self.ticket.dialect == Dialect::V1 {
            self.say(ws_frame::text(json));
        }
    }

    pub fn pong(&mut self, payload: &[u8]) {
        self.say(ws_frame::pong(payload));
    }

    /// Writes what the socket takes; what it doesn't take waits for `poll_io`.
    pub fn flush(&mut self) {
        loop {
            if self.life == Life::Gone || (self.outbox.is_empty() && !self.socket.wants_flush()) {
                return;
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.outbox.slices(&mut slices);
            let written =
                if count == 0 { self.socket.try_flush().map(|_| 0) } else { self.socket.try_write(&slices[..count]) };
            match written {
                Ok(0) if self.socket.wants_flush() => {
                    self.outbox.handle_full(self.worker.now());
                    return self.wake();
                }
                Ok(written) => {
                    self.worker.metrics.delivered_bytes.inc_by(written as u64);
                    self.outbox.advance(written, self.worker.now());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.outbox.handle_full(self.worker.now());
                    return self.wake();
                }
                Err(_) => return self.end(),
            }
        }
    }

    /// Tells the viewer to go, and why; what was not begun is not sent any more.
    pub fn close(&mut self, code: u16, reason: &str, retry_after_ms: Option<u32>) {
        if self.life != Life::Open {
            return;
        }
        self.outbox.clear_unbegun();
        if self.ticket.dialect == Dialect::Http {
            return self.finish();
        }
        self.say_json(&ServerMessage::Bye { code, reason, retry_after_ms }.to_json());
        self.say(ws_frame::close(code, reason));
        self.begin_closing();
    }

    /// Sends away one who was not greeted yet.
    pub fn refuse(&mut self, code: u16, reason: &str, retry_after_ms: u32) {
        self.is_started = true;
        self.close(code, reason, Some(retry_after_ms));
    }

    /// Answers the viewer's own close frame.
    pub fn answer_close(&mut self, code: Option<u16>) {
        if self.life == Life::Open {
            self.outbox.clear_unbegun();
            self.say(ws_frame::close(code.unwrap_or(1000), ""));
            self.begin_closing();
        }
        if self.outbox.is_empty() {
            self.end();
        }
    }

    /// Shuts the socket down at once; the session's actor ends by itself.
    pub fn end(&mut self) {
        if self.life != Life::Gone {
            self.life = Life::Gone;
            self.socket.shut();
            self.wake();
        }
    }

    #[cfg(test)]
    pub fn is_closing(&self) -> bool {
        self.life != Life::Open
    }

    pub fn is_started(&self) -> bool {
        self.is_started
    }

    /// Not greeted yet, because the stream has not answered the hub.
    pub fn is_waiting(&self) -> bool {
        !self.is_started && self.life == Life::Open
    }

    pub fn standing(&self) -> Standing {
        let waiting_bytes = u32::try_from(self.outbox_bytes()).unwrap_or(u32::MAX);
        Standing { rung: self.outbox.rung().number(), waiting_bytes, frames_dropped: self.frames_dropped }
    }

    /// How it keeps up, where that is otherwise than at the last call.
    pub fn take_standing(&mut self) -> Option<Standing> {
        let standing = self.standing();
        (std::mem::replace(&mut self.told, standing) != standing).then_some(standing)
    }

    pub fn outbox_bytes(&self) -> usize {
        self.outbox.len_bytes()
    }

    pub fn renew(&mut self, admitted: &Admitted) {
        self.ticket.expires_us = Some(admitted.claims.expires_s.saturating_mul(1_000_000));
        self.ticket.signer = self.ticket.signer.take().map(|_| admitted.signer.clone());
        self.asked_for_token = false;
    }

    pub fn heard(&mut self) {
        self.heard = self.worker.now();
    }

    /// Looks at all that depends on time; called twice a second.
    pub fn tick(&mut self) {
        let now = self.worker.now();
        if let Life::Closing { deadline } = self.life {
            if now >= deadline {
                self.end();
            }
            return;
        }
        if self.outbox.check(now).is_err() {
            self.worker.metrics.viewer_evicted("slow");
            tracing::info!(session = %self.ticket.session, "a viewer reads nothing and has to go");
            self.close(4408, "too slow: nothing was read", None);
            self.socket.reset();
            return self.end();
        }
        self.tick_token();
        let can_answer = self.ticket.dialect != Dialect::Http;
        if can_answer && now.saturating_sub(self.heard) >= DEAD_AFTER {
            self.worker.metrics.viewer_evicted("dead");
            return self.end();
        }
        if can_answer && now.saturating_sub(self.heard.max(self.pinged)) >= PING_EVERY {
            self.pinged = now;
            self.say(ws_frame::ping());
            self.flush();
        }
    }

    /// Sends what waits once the socket takes it, and reads; 0 is the end.
    pub fn poll_io(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<usize> {
        self.poll_write(cx);
        if self.life == Life::Gone {
            return Poll::Ready(0);
        }
        match self.socket.poll_read(cx, scratch) {
            Poll::Ready(Ok(read)) => Poll::Ready(read),
            Poll::Ready(Err(_)) => Poll::Ready(0),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Sends what waits once the socket takes it; `cx` is woken when there is more to do.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) {
        self.waker = Some(cx.waker().clone());
        while self.life != Life::Gone && (!self.outbox.is_empty() || self.socket.wants_flush()) {
            match self.socket.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => self.flush(),
                Poll::Ready(Err(_)) => self.end(),
                Poll::Pending => break,
            }
        }
        if matches!(self.life, Life::Closing { .. }) && self.ticket.dialect == Dialect::Http && self.outbox.is_empty() {
            self.end();
        }
    }

    fn count_drops(&mut self) {
        for (reason, frames) in DROP_REASONS.into_iter().zip(self.outbox.take_dropped()) {
            if frames > 0 {
                self.worker.metrics.frames_dropped(reason, u64::from(frames));
                self.frames_dropped += u64::from(frames);
            }
        }
        let rung = self.outbox.rung();
        if rung != self.counted_rung {
            self.worker.metrics.rung_changed(self.counted_rung.label(), rung.label());
            self.counted_rung = rung;
        }
    }

    fn tick_token(&mut self) {
        if self.ticket.signer.as_ref().is_some_and(|signer| signer.is_revoked()) {
            self.worker.metrics.viewer_evicted("token");
            return self.close(4401, "the key that signed the token was removed", None);
        }
        let Some(expires_us) = self.ticket.expires_us else { return };
        let left_us = expires_us - self.worker.unix_us();
        if left_us <= 0 {
            self.worker.metrics.viewer_evicted("token");
            self.close(4401, "the token has expired", None);
        } else if left_us <= RENEW_BEFORE_US && !self.asked_for_token {
            self.asked_for_token = true;
            self.say_json(&ServerMessage::Token { expires_in_s: left_us / 1_000_000 }.to_json());
            self.flush();
        }
    }

    /// The bytes that the kernel took; nothing where the connection is broken.
    fn try_send(&mut self, batch: &Batch) -> Option<usize> {
        let bytes = self.bytes_of(batch).clone();
        match self.socket.try_write(&[IoSlice::new(&bytes)]) {
            Ok(sent) => {
                self.worker.metrics.delivered_bytes.inc_by(sent as u64);
                Some(sent)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Some(0),
            Err(_) => None,
        }
    }

    fn bytes_of<'a>(&self, batch: &'a Batch) -> &'a Bytes {
        if self.ticket.dialect == Dialect::Http { batch.payloads() } else { batch.messages() }
    }

    fn media_was_queued(&mut self, batch: &Batch) {
        self.owes_live = false;
        self.say_json(&ServerMessage::Live { edge_us: batch.edge_us() }.to_json());
        let waited = self.worker.now().saturating_sub(self.joined);
        self.worker.metrics.join_seconds.observe(waited.as_secs_f64());
    }

    fn say(&mut self, bytes: Bytes) {
        if self.life == Life::Gone {
            return;
        }
        if self.outbox.push_control(bytes, self.worker.now()).is_err() {
            self.worker.metrics.viewer_evicted("piled");
            self.socket.reset();
            self.end();
        }
    }

    /// The end of an HTTP response: what was queued is still sent.
    fn finish(&mut self) {
        self.begin_closing();
        if self.outbox.is_empty() {
            self.end();
        }
    }

    fn begin_closing(&mut self) {
        if self.life == Life::Open {
            self.life = Life::Closing { deadline: self.worker.now() + CLOSE_WITHIN };
            self.flush();
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.worker.metrics.rung_left(self.counted_rung.label());
        self.socket.shut();
    }
}
