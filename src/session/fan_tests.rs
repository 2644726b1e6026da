//! A fan with real sockets: what each viewer reads at the other end.

use super::*;
use crate::clock::Manual;
use crate::config::{Current, Limits};
use crate::media::fragment::{Init, Track};
use crate::media::frame::Role;
use crate::net::socket::Socket;
use crate::session::viewer::{Dialect, Ticket};
use crate::stream::packet::Epoch;
use crate::stream::registry::Registry;
use crate::stream::ws_frame::WsFrame;
use crate::telemetry::Metrics;
use actix::Arbiter;
use std::io::{ErrorKind, Read as _};
use std::net::{TcpListener, TcpStream};

const BOUNDS: Bounds = Bounds { bytes: 1 << 20, span_us: 10_000_000 };

/// What a viewer got, in short: a text's type, a fragment's kind and start in milliseconds.
pub(in crate::session) struct Client {
    socket: TcpStream,
    viewer: Rc<RefCell<Viewer>>,
    rest: Vec<u8>,
}

impl Client {
    pub(in crate::session) fn read(&mut self) -> Vec<String> {
        self.viewer.borrow_mut().flush();
        let mut buffer = [0; 4096];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => self.rest.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        let mut seen = Vec::new();
        while let Some((opcode, payload)) = self.frame() {
            seen.push(match opcode {
                1 => {
                    let text: serde_json::Value = serde_json::from_slice(&payload).unwrap();
                    match text["type"].as_str().unwrap() {
                        "state" => text["state"].as_str().unwrap().to_owned(),
                        "gap" => format!("gap {}-{}", ms(&text["from_us"]), ms(&text["to_us"])),
                        other => other.to_owned(),
                    }
                }
                2 => String::from_utf8(payload).unwrap(),
                8 => format!("close {}", u16::from_be_bytes([payload[0], payload[1]])),
                other => panic!("opcode {other}"),
            });
        }
        seen
    }

    pub(in crate::session) fn is_cut(&mut self) -> bool {
        matches!(self.socket.read(&mut [0; 1]), Ok(0))
    }

    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let length = *self.rest.get(1)?;
        let (length, header) = match length {
            126 => (usize::from(u16::from_be_bytes([*self.rest.get(2)?, *self.rest.get(3)?])), 4),
            short => (usize::from(short), 2),
        };
        if self.rest.len() < header + length {
            return None;
        }
        let frame: Vec<u8> = self.rest.drain(..header + length).collect();
        Some((frame[0] & 15, frame[header..].to_vec()))
    }
}

fn ms(us: &serde_json::Value) -> i64 {
    us.as_i64().unwrap() / 1000
}

#[derive(PartialEq, Eq)]
enum Reads {
    All,
    Nothing,
}

pub(in crate::session) struct Bench {
    pub(in crate::session) fan: Fan,
    pub(in crate::session) worker: Rc<Worker>,
    clock: Arc<Manual>,
    listener: TcpListener,
    sessions: u8,
    _arbiter: Arbiter,
}

impl Bench {
    pub(in crate::session) fn new() -> Self {
        let arbiter = Arbiter::new();
        let clock = Arc::new(Manual::at(1_000_000_000));
        let metrics = Arc::new(Metrics::new());
        let registry = Registry::new(vec![arbiter.handle()], clock.clone(), metrics.clone());
        let limits = Limits { outbox_bytes: 256 * 1024, node_bytes: 1 << 20, ..Limits::default() };
        let worker = Worker::new(registry, clock.clone(), metrics, Current::new(limits), "node-1".into());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { fan: Fan::new(BOUNDS, worker.clone()), worker, clock, listener, sessions: 0, _arbiter: arbiter }
    }

    pub(in crate::session) async fn join(&mut self, dialect: Dialect) -> Client {
        self.join_as(dialect, Reads::All).await
    }

    async fn join_as(&mut self, dialect: Dialect, reads: Reads) -> Client {
        let socket = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = self.listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        socket.set_nonblocking(true).unwrap();
        self.sessions += 1;
        let ticket = Ticket {
            signer: None,
            seat: None,
            session: SessionId::from_random([self.sessions; 16]),
            stream: "play_1".into(),
            subject: "ann".into(),
            address: "127.0.0.1".into(),
            dialect,
            target_ms: 150,
            expires_us: None,
            since_us: 0,
        };
        let accepted = tokio::net::TcpStream::from_std(accepted).unwrap();
        // Until the runtime has looked at it, a socket takes nothing.
        if reads == Reads::All {
            accepted.writable().await.unwrap();
        }
        let accepted = Socket::Plain(accepted);
        let viewer = Rc::new(RefCell::new(Viewer::new(ticket, accepted, self.worker.clone())));
        self.fan.join(viewer.clone());
        Client { socket, viewer, rest: Vec::new() }
    }

    pub(in crate::session) fn send(&mut self, packets: impl IntoIterator<Item = Packet>) {
        for packet in packets {
            if self.fan.handle(packet) == Some(Duration::ZERO) {
                self.fan.flush();
            }
        }
    }
}

fn init(fence: u64) -> Arc<Epoched> {
    let track = |id, kind| Track {
        id,
        kind,
        codec: String::new(),
        mime: String::new(),
        timescale: 90_000,
        width: None,
        height: None,
        fps: None,
        sample_rate: None,
        channels: None,
        init: bytes::Bytes::new(),
    };
    let init =
        Init { tracks: vec![track(1, Kind::Video), track(2, Kind::Audio)], muxed: format!("init {fence}").into() };
    Arc::new(Epoched::new(Epoch { fence, n: 0 }, init))
}

fn framed(kind: Kind, role: Role, start_ms: i64) -> Arc<Framed> {
    let name = match (kind, role) {
        (Kind::Audio, _) => 'a',
        (Kind::Video, Role::Key) => 'K',
        (Kind::Video, _) => 'v',
    };
    Arc::new(Framed {
        epoch: Epoch::default(),
        kind,
        role,
        start: 0,
        end: 0,
        start_us: start_ms * 1000,
        end_us: start_ms * 1000 + 40_000,
        ingest_us: 0,
        frame: WsFrame::binary_from(format!("{name}{start_ms}").as_bytes()),
    })
}

fn key(start_ms: i64) -> Arc<Framed> {
    framed(Kind::Video, Role::Key, start_ms)
}

fn video(start_ms: i64) -> Arc<Framed> {
    framed(Kind::Video, Role::Reference, start_ms)
}

fn audio(start_ms: i64) -> Arc<Framed> {
    framed(Kind::Audio, Role::Key, start_ms)
}

pub(in crate::session) fn snapshot(init: Option<Arc<Epoched>>, backlog: Vec<Arc<Framed>>) -> Packet {
    Packet::Snapshot(Snapshot { phase: Phase::Live, send_every_ms: None, init, backlog, clock_ahead_us: 0, fence: 0 })
}

fn fragments(framed: impl IntoIterator<Item = Arc<Framed>>) -> impl Iterator<Item = Packet> {
    framed.into_iter().map(Packet::Fragment)
}

#[actix_rt::test]
async fn one_who_joins_gets_what_was_sent_so_far_once_and_then_what_comes() {
    let mut bench = Bench::new();
    let mut early = bench.join(Dialect::V1).await;
    assert!(early.read().is_empty(), "greeted before the stream has answered");
    bench.send([snapshot(Some(init(1)), vec![key(0), video(40)])]);
    assert_eq!(early.read(), ["hello", "init", "K0", "v40", "live"]);
    bench.send(fragments([audio(40), video(80), audio(80)]));
    let mut late = bench.join(Dialect::V1).await;
    let mut raw = bench.join(Dialect::Raw).await;
    bench.send(fragments([video(120)]));
    assert_eq!(early.read(), ["a40", "v80", "a80", "v120"]);
    assert_eq!(late.read(), ["hello", "init", "K0", "v40", "a40", "v80", "live", "a80", "v120"]);
    assert_eq!(raw.read(), ["init 1", "K0", "v40", "a40", "v80", "a80", "v120"]);
}

#[actix_rt::test]
async fn sound_waits_for_the_picture() {
    let mut bench = Bench::new();
    bench.send([snapshot(Some(init(1)), vec![key(0)])]);
    let mut viewer = bench.join(Dialect::Raw).await;
    viewer.read();
    assert_eq!(bench.fan.handle(Packet::Fragment(audio(0))), Some(Duration::from_millis(40)));
    assert!(viewer.read().is_empty());
    bench.send(fragments([video(40)]));
    assert_eq!(viewer.read(), ["a0", "v40"]);
    bench.send(fragments([audio(40)]));
    bench.clock.advance(Duration::from_millis(30));
    assert_eq!(bench.fan.flush_waiting(), Some(Duration::from_millis(10)));
    bench.clock.advance(Duration::from_millis(10));
    assert_eq!(bench.fan.flush_waiting(), None);
    assert_eq!(viewer.read(), ["a40"]);
}

#[actix_rt::test]
async fn a_stream_that_may_wait_is_sent_at_its_interval_and_at_keyframes() {
    let mut bench = Bench::new();
    bench.send([snapshot(Some(init(1)), vec![key(0)])]);
    let mut viewer = bench.join(Dialect::Raw).await;
    viewer.read();
    bench.send([Packet::SendEvery(Some(200))]);
    assert_eq!(bench.fan.handle(Packet::Fragment(video(40))), Some(Duration::from_millis(200)));
    bench.clock.advance(Duration::from_millis(120));
    bench.send(fragments([audio(40), video(80)]));
    assert!(viewer.read().is_empty());
    // One who joins now is brought to where the others are.
    let mut late = bench.join(Dialect::Raw).await;
    assert!(viewer.read().is_empty());
    assert_eq!(late.read(), ["init 1", "K0"]);
    bench.clock.advance(Duration::from_millis(80));
    assert_eq!(bench.fan.flush_waiting(), None);
    assert_eq!(viewer.read(), ["v40", "a40", "v80"]);
    assert_eq!(late.read(), ["v40", "a40", "v80"]);
    bench.send(fragments([video(120), key(160), video(200)]));
    assert_eq!(viewer.read(), ["v120"], "a keyframe begins what is sent at once");
    bench.send([Packet::SendEvery(None)]);
    assert_eq!(viewer.read(), ["K160", "v200"]);
    bench.send(fragments([video(240)]));
    assert_eq!(viewer.read(), ["v240"]);
}

#[actix_rt::test]
async fn a_hub_that_was_behind_repeats_nothing_and_tells_what_is_missing() {
    let mut bench = Bench::new();
    bench.send([snapshot(Some(init(1)), vec![key(0), video(40)])]);
    let mut viewer = bench.join(Dialect::V1).await;
    viewer.read();
    // It lost 80 and 120, and they are still in the backlog.
    bench.send([snapshot(Some(init(1)), vec![key(0), video(40), video(80), video(120), video(160)])]);
    assert_eq!(viewer.read(), ["v80", "v120", "v160"]);
    // It lost everything up to the next keyframe.
    bench.send([snapshot(Some(init(1)), vec![key(400), video(440)])]);
    assert_eq!(viewer.read(), ["gap 200-400", "K400", "v440"]);
    // It lost a change of publisher.
    bench.send([snapshot(Some(init(2)), vec![key(1000)])]);
    let seen = viewer.read();
    assert_eq!(seen.iter().filter(|s| !s.starts_with("gap")).collect::<Vec<_>>(), ["init", "K1000"]);
}

#[actix_rt::test]
async fn nobody_starts_in_mid_gop_where_the_backlog_was_outgrown() {
    let mut bench = Bench::new();
    bench.send([snapshot(Some(init(1)), Vec::new())]);
    let mut viewer = bench.join(Dialect::V1).await;
    bench.send(fragments([video(40), audio(40), video(80), key(120), video(160)]));
    let seen = viewer.read();
    assert_eq!(
        seen.iter().filter(|s| !s.starts_with("gap")).collect::<Vec<_>>(),
        ["hello", "init", "K120", "live", "v160"]
    );
}

#[actix_rt::test]
async fn a_new_init_starts_at_its_keyframe_and_raw_viewers_get_it_where_it_differs() {
    let mut bench = Bench::new();
    bench.send([snapshot(Some(init(1)), vec![key(0)])]);
    let mut viewer = bench.join(Dialect::V1).await;
    let mut raw = bench.join(Dialect::Raw).await;
    let (_, _) = (viewer.read(), raw.read());
    bench.send([Packet::Phase(Phase::Interrupted), Packet::Init(init(1)), Packet::Phase(Phase::Live)]);
    bench.send(fragments([key(1000)]));
    assert_eq!(viewer.read(), ["interrupted", "init", "live", "K1000"]);
    assert_eq!(raw.read(), ["K1000"]);
    bench.send([Packet::Init(init(2))]);
    bench.send(fragments([key(2000)]));
    assert_eq!(raw.read(), ["init 2", "K2000"]);
}

#[actix_rt::test]
async fn a_kick_takes_one_and_a_close_takes_all() {
    let mut bench = Bench::new();
    bench.send([snapshot(None, Vec::new())]);
    let mut first = bench.join(Dialect::V1).await;
    let mut second = bench.join(Dialect::V1).await;
    let (_, _) = (first.read(), second.read());
    let session = first.viewer.borrow().ticket.session.clone();
    bench.send([Packet::Kick { session, code: 4410, reason: "kicked".into() }]);
    assert_eq!(first.read(), ["bye", "close 4410"]);
    assert!(second.read().is_empty());
    bench.send([Packet::Close { code: 4503, reason: "draining".into() }]);
    assert_eq!(second.read(), ["bye", "close 4503"]);
}

#[actix_rt::test]
async fn a_viewer_gets_the_tracks_it_wants_and_pictures_from_a_keyframe_on() {
    let mut bench = Bench::new();
    bench.send([snapshot(Some(init(1)), vec![key(0)])]);
    let mut viewer = bench.join(Dialect::V1).await;
    viewer.read();
    viewer.viewer.borrow_mut().want(false, true);
    bench.send(fragments([audio(40), video(40), audio(80), video(80)]));
    assert_eq!(viewer.read(), ["a40", "a80"]);
    viewer.viewer.borrow_mut().want(true, false);
    bench.send(fragments([audio(120), video(120), audio(160), key(160), video(200)]));
    let seen = viewer.read();
    assert_eq!(seen.iter().filter(|s| !s.starts_with("gap")).collect::<Vec<_>>(), ["K160", "v200"]);
    viewer.viewer.borrow_mut().want(true, true);
    bench.send(fragments([audio(240), video(240)]));
    assert_eq!(viewer.read(), ["a240", "v240"]);
}

#[actix_rt::test]
async fn one_who_paused_goes_on_at_the_newest_keyframe() {
    let mut bench = Bench::new();
    bench.send([snapshot(Some(init(1)), vec![key(0)])]);
    let mut viewer = bench.join(Dialect::V1).await;
    viewer.read();
    viewer.viewer.borrow_mut().pause();
    bench.send(fragments([video(40), key(80), video(120)]));
    assert!(viewer.read().is_empty());
    bench.clock.advance(Duration::from_secs(2));
    bench.fan.resume(&viewer.viewer);
    assert_eq!(viewer.read(), ["K80", "v120"]);
    bench.send(fragments([video(160)]));
    assert_eq!(viewer.read(), ["v160"]);
    bench.fan.resume(&viewer.viewer);
    assert!(viewer.read().is_empty(), "it was not paused");
}

#[actix_rt::test]
async fn one_who_pauses_time_and_again_is_not_sent_the_gop_each_time() {
    let mut bench = Bench::new();
    bench.send([snapshot(Some(init(1)), vec![key(0)])]);
    let mut viewer = bench.join(Dialect::V1).await;
    viewer.read();
    for _ in 0..10 {
        viewer.viewer.borrow_mut().pause();
        bench.fan.resume(&viewer.viewer);
    }
    assert!(viewer.read().is_empty());
    bench.send(fragments([video(40), key(80), video(120)]));
    assert_eq!(viewer.read(), ["K80", "v120"]);
}

#[actix_rt::test]
async fn past_the_nodes_bound_new_viewers_are_sent_away_and_who_is_behind_goes() {
    let mut bench = Bench::new();
    bench.send([snapshot(Some(init(1)), vec![key(0)])]);
    let mut ahead = bench.join(Dialect::V1).await;
    ahead.read();
    bench.send(fragments([video(40)]));
    let behind = bench.join_as(Dialect::V1, Reads::Nothing).await;
    bench.worker.metrics.outbox_bytes.set(1 << 21);
    bench.fan.tick();
    assert!(behind.viewer.borrow().is_closing());
    let mut new = bench.join(Dialect::V1).await;
    assert_eq!(new.read(), ["bye", "close 4503"]);
    assert_eq!(ahead.read(), ["v40"]);
    bench.worker.metrics.outbox_bytes.set(0);
    assert_eq!(bench.join(Dialect::V1).await.read(), ["hello", "init", "K0", "v40", "live"]);
}

#[actix_rt::test]
async fn pictures_that_came_together_are_sent_together() {
    let mut bench = Bench::new();
    bench.send([snapshot(Some(init(1)), vec![key(0)])]);
    let mut viewer = bench.join(Dialect::Raw).await;
    assert_eq!(viewer.read(), ["init 1", "K0"]);
    for fragment in [video(40), audio(40), video(80)] {
        bench.fan.handle(Packet::Fragment(fragment));
    }
    assert_eq!(viewer.read(), [""; 0], "sent before all was taken");
    bench.fan.flush();
    assert_eq!(viewer.read(), ["v40", "a40", "v80"]);
    let text = bench.worker.metrics.render();
    assert!(text.contains("weir_fanout_seconds_count 2\n"), "{text}");
}
