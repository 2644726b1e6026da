use super::watching::{Given, Watching};
use bytes::Bytes;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use weir::id::KeyId;
use weir::media::flv::{Parser, file};
use weir::media::frame::{Config, Frame, Item, Kind, Role};
use weir::session::batch::{Batch, Context, Course};
use weir::session::ladder::RateMeter;
use weir::session::protocol::{self, InitFrames};
use weir::stream::backlog::{Backlog, Bounds};
use weir::stream::packet::{Edges, Epoched, Framed, Packet, Snapshot};
use weir::stream::publisher::{Departure, EndReason, Publish, Publisher, PublisherId, Refusal, SecondPublisher, Whose};
use weir::stream::state::{Settings, State};
use weir::stream::ws_frame;

const STEPS_MAX: usize = 1_000;
const VIEWERS_MAX: usize = 3;
const START_US: i64 = 1_800_000_000_000_000;
const FRAME_MS: u32 = 33;
const BACKLOG: Bounds = Bounds { bytes: 512 << 10, span_us: 10_000_000 };
const CLIP: &[u8] = include_bytes!("../../../src/cli/demo.flv");

/// Of the clip: its picture's and its sound's.
static CONFIGS: LazyLock<Vec<Config>> = LazyLock::new(|| {
    let (mut reader, mut parser, mut configs) = (file::Reader::new(), Parser::new(), Vec::new());
    reader.handle_bytes(CLIP);
    while configs.len() < 2 {
        let Some(file::Tag::Media { kind, timestamp_ms, body }) = reader.poll_tag().expect("the clip") else {
            continue;
        };
        let items = match kind {
            Kind::Video => parser.handle_video(timestamp_ms, body),
            Kind::Audio => parser.handle_audio(timestamp_ms, body),
        };
        configs.extend(items.expect("the clip").into_iter().filter_map(|item| match item {
            Item::Config(config) => Some(config),
            _ => None,
        }));
    }
    configs
});

/// A byte for what happens, one for how: to a stream, to its publishers, to its viewers here and on a node that follows.
pub fn stream(input: &[u8]) {
    let mut world = World::new();
    for step in input.chunks_exact(2).take(STEPS_MAX) {
        world.step(step[0], step[1]);
    }
    world.owner.read_all(&world.given, world.now_us);
    world.follower.read_all(&world.given, world.now_us);
}

struct Encoder(PublisherId);

impl Publisher for Encoder {
    fn id(&self) -> PublisherId {
        self.0
    }

    fn end(&self, _: EndReason) {}
}

struct World {
    owner: Side,
    follower: Side,
    is_linked: bool,
    now_us: i64,
    /// Handed out last, and accepted last.
    fence: u64,
    accepted: u64,
    /// Of all connections, and of the one that was accepted last.
    publishers: u64,
    publisher: PublisherId,
    timestamp_ms: u32,
    pictures: u32,
    /// What became of each picture.
    given: Vec<Option<Given>>,
}

impl World {
    fn new() -> Self {
        Self {
            owner: Side::new(),
            follower: Side::new(),
            is_linked: true,
            now_us: START_US,
            fence: 0,
            accepted: 0,
            publishers: 0,
            publisher: PublisherId(0),
            timestamp_ms: 0,
            pictures: 0,
            given: Vec::new(),
        }
    }

    fn step(&mut self, what: u8, how: u8) {
        match what % 16 {
            0 => self.publish(how),
            1 => self.configure(how),
            2..=5 => self.picture(how),
            6 => self.sound(how),
            7 => self.pass(i64::from(how) * i64::from(how) * 1_000),
            8 => self.link(how),
            9 => self.leave(how),
            10 => self.owner.settings(how),
            11 => {
                let now_us = self.now_us;
                self.side(how).join(now_us);
            }
            12 => self.side(how).part(how),
            _ => {
                // In one of two steps all that there is.
                let most = if how & 2 == 0 { usize::MAX } else { usize::from(how >> 2).pow(2) * 20 };
                let (now_us, given) = (self.now_us, std::mem::take(&mut self.given));
                self.side(how).read(usize::from(what >> 4), most, &given, now_us);
                self.given = given;
            }
        }
    }

    fn side(&mut self, how: u8) -> &mut Side {
        if how & 1 == 0 { &mut self.owner } else { &mut self.follower }
    }

    fn publish(&mut self, how: u8) {
        let fence = if how & 1 == 0 { self.fence + 1 } else { self.fence.saturating_sub(u64::from(how & 2)) };
        self.fence = self.fence.max(fence);
        self.publishers += 1;
        let id = PublisherId(self.publishers);
        let publish = Publish {
            publisher: Box::new(Encoder(id)),
            key: KeyId::from_random([how >> 2 & 1; 16]),
            fence,
            since_origin_us: self.now_us - START_US,
        };
        let result = self.owner.state.handle_publish(publish, self.now_us);
        assert_eq!(result == Err(Refusal::Stale), fence <= self.accepted, "{fence} after {}", self.accepted);
        if result.is_ok() {
            (self.accepted, self.publisher) = (fence, id);
            self.timestamp_ms = if how & 8 == 0 { 0 } else { u32::MAX - 200 };
            for kind in [0, 1].into_iter().filter(|kind| how >> 4 >> kind & 1 == 0) {
                self.configure(kind);
            }
        }
    }

    fn configure(&mut self, how: u8) {
        let mut config = CONFIGS[usize::from(how & 1)].clone();
        if let Config::Video(video) = &mut config {
            video.width += u16::from(how >> 1) * 2;
        }
        self.media(self.publisher, Item::Config(config));
    }

    fn picture(&mut self, how: u8) {
        let role = [Role::Key, Role::Reference, Role::Reference, Role::Disposable][usize::from(how & 3)];
        let mut data = vec![0; 4 + usize::from(how >> 2).pow(2) * 10];
        data[..4].copy_from_slice(&self.pictures.to_be_bytes());
        self.pictures += 1;
        self.given.push(None);
        self.frame(Kind::Video, role, data);
        self.timestamp_ms = self.timestamp_ms.wrapping_add(FRAME_MS);
        self.pass(i64::from(FRAME_MS) * 1_000);
    }

    fn sound(&mut self, how: u8) {
        self.frame(Kind::Audio, Role::Key, vec![0x21; 1 + usize::from(how)]);
    }

    fn frame(&mut self, kind: Kind, role: Role, data: Vec<u8>) {
        let (timestamp_ms, data) = (self.timestamp_ms, Bytes::from(data));
        self.media(self.publisher, Item::Frame(Frame { kind, timestamp_ms, composition_ms: 0, role, data }));
    }

    fn media(&mut self, from: PublisherId, item: Item) {
        match self.owner.state.handle_media(from, item, self.now_us) {
            Ok(packets) => self.deliver(packets),
            Err(_) => {
                let (_, packets) = self.owner.state.end_publisher(EndReason::Malformed, &Whose::Anyones, self.now_us);
                self.deliver(packets);
            }
        }
    }

    /// The publisher goes, or one that was replaced still sends.
    fn leave(&mut self, how: u8) {
        let (from, now_us) = (PublisherId(self.publisher.0.saturating_sub(u64::from(how >> 2 & 1))), self.now_us);
        match how & 3 {
            0 => {
                let packets = self.owner.state.handle_unpublish(from, Departure::Lost, now_us);
                self.deliver(packets);
            }
            1 => {
                let key = Whose::Key(KeyId::from_random([how >> 2 & 1; 16]));
                let (_, packets) = self.owner.state.end_publisher(EndReason::Revoked, &key, now_us);
                self.deliver(packets);
            }
            _ => self.media(from, Item::End(Kind::Video)),
        }
    }

    fn pass(&mut self, time_us: i64) {
        self.now_us += time_us;
        let packets = self.owner.state.handle_tick(self.now_us);
        self.deliver(packets);
        let packets = self.follower.state.handle_tick(self.now_us);
        self.follower.deliver(packets, self.now_us);
    }

    /// The relay breaks, or begins again with the owner's present.
    fn link(&mut self, how: u8) {
        self.is_linked = how & 1 == 0;
        if self.is_linked {
            self.owner.flush(self.now_us);
            self.feed(Packet::Snapshot(self.owner.state.snapshot()));
        }
    }

    fn deliver(&mut self, packets: Vec<Packet>) {
        for packet in &packets {
            if let Packet::Fragment(fragment) = packet {
                Given::note(&mut self.given, fragment);
            }
            if self.is_linked {
                self.feed(packet.clone());
            }
        }
        self.owner.deliver(packets, self.now_us);
    }

    fn feed(&mut self, packet: Packet) {
        let packets = self.follower.state.handle_feed(packet, self.now_us);
        self.follower.deliver(packets, self.now_us);
    }
}

/// A stream as one node has it, and those who watch it there: fed as `session::fan` does.
struct Side {
    state: State,
    init: Option<Rc<InitFrames>>,
    has_video: bool,
    backlog: Backlog,
    edges: Edges,
    meter: RateMeter,
    course: Course,
    pending: Vec<Arc<Framed>>,
    viewers: Vec<Watching>,
}

impl Side {
    fn new() -> Self {
        let settings = settings(SecondPublisher::Refuse);
        Self {
            state: State::new(settings, START_US),
            init: None,
            has_video: false,
            backlog: Backlog::new(BACKLOG),
            edges: Edges::default(),
            meter: RateMeter::default(),
            course: Course::default(),
            pending: Vec::new(),
            viewers: Vec::new(),
        }
    }

    fn settings(&mut self, how: u8) {
        let second = if how & 1 == 0 { SecondPublisher::Refuse } else { SecondPublisher::Takeover };
        self.state.configure(settings(second));
    }

    fn join(&mut self, now_us: i64) {
        if self.viewers.len() < VIEWERS_MAX {
            let mut sent = self.backlog.to_vec();
            sent.truncate(sent.len().saturating_sub(self.pending.len()));
            let context = Context { course: Course::default(), ..self.context() };
            let burst = (!sent.is_empty()).then(|| Rc::new(Batch::new(sent, context)));
            self.viewers.push(Watching::new(self.init.as_deref(), burst, since_start(now_us)));
        }
    }

    fn part(&mut self, which: u8) {
        if !self.viewers.is_empty() {
            self.viewers.swap_remove(usize::from(which >> 1) % self.viewers.len());
        }
    }

    fn read(&mut self, which: usize, most: usize, given: &[Option<Given>], now_us: i64) {
        let count = self.viewers.len().max(1);
        if let Some(viewer) = self.viewers.get_mut(which % count) {
            viewer.read(most, given, since_start(now_us));
        }
    }

    fn read_all(&mut self, given: &[Option<Given>], now_us: i64) {
        self.flush(now_us);
        for viewer in &mut self.viewers {
            viewer.read(usize::MAX, given, since_start(now_us));
            viewer.check_empty();
        }
    }

    fn deliver(&mut self, packets: Vec<Packet>, now_us: i64) {
        for packet in packets {
            match packet {
                Packet::Snapshot(snapshot) => self.catch_up(&snapshot, now_us),
                Packet::Init(init) => {
                    self.flush(now_us);
                    self.begin(&init, now_us);
                }
                Packet::Fragment(fragment) => self.push(fragment, now_us),
                Packet::Gap(gap) => self.say(&protocol::gap_json(&gap, "source"), now_us),
                Packet::Phase(phase) => self.say(&protocol::state_json(phase), now_us),
                Packet::Close { .. } => self.viewers.clear(),
                Packet::Clock { .. } | Packet::SendEvery(_) | Packet::Kick { .. } => {}
            }
        }
        self.viewers.retain(|viewer| viewer.keeps_up(since_start(now_us)));
    }

    fn say(&mut self, json: &str, now_us: i64) {
        self.flush(now_us);
        let message = ws_frame::text(json);
        self.viewers.retain_mut(|viewer| viewer.say(message.clone(), since_start(now_us)));
    }

    fn begin(&mut self, init: &Epoched, now_us: i64) {
        let frames = Rc::new(InitFrames::new(init));
        self.has_video = init.tracks.iter().any(|track| track.kind == Kind::Video);
        self.backlog.restart();
        self.course = Course::default();
        self.viewers.retain_mut(|viewer| viewer.begin(&frames, since_start(now_us)));
        self.init = Some(frames);
    }

    /// Sound waits for the picture that it goes with.
    fn push(&mut self, fragment: Arc<Framed>, now_us: i64) {
        *self.edges.of(fragment.kind) = Some(fragment.end_us);
        self.backlog.push(fragment.clone());
        self.meter.add(&fragment);
        let waits = fragment.kind == Kind::Audio && self.has_video;
        self.pending.push(fragment);
        if !waits {
            self.flush(now_us);
        }
    }

    fn flush(&mut self, now_us: i64) {
        if self.pending.is_empty() {
            return;
        }
        let batch = Rc::new(Batch::new(std::mem::take(&mut self.pending), self.context()));
        batch.parts().iter().for_each(|part| self.course.pass(part));
        for viewer in &mut self.viewers {
            viewer.offer(&batch, since_start(now_us));
        }
    }

    fn catch_up(&mut self, snapshot: &Snapshot, now_us: i64) {
        self.flush(now_us);
        self.say(&protocol::state_json(snapshot.phase), now_us);
        match &snapshot.init {
            Some(init) if self.init.as_ref().is_none_or(|old| old.epoch != init.epoch) => self.begin(init, now_us),
            Some(_) => {}
            None => self.init = None,
        }
        let mut edges = self.edges;
        let is_missed = |f: &&Arc<Framed>| edges.of(f.kind).is_none_or(|edge| f.start_us >= edge);
        self.pending = snapshot.backlog.iter().filter(is_missed).cloned().collect();
        self.backlog.restart();
        for fragment in &snapshot.backlog {
            *self.edges.of(fragment.kind) = Some(fragment.end_us);
            self.backlog.push(fragment.clone());
        }
        self.pending.iter().for_each(|fragment| self.meter.add(fragment));
        self.flush(now_us);
    }

    fn context(&self) -> Context {
        Context { has_video: self.has_video, course: self.course, rates: self.meter.rates() }
    }
}

fn settings(second_publisher: SecondPublisher) -> Settings {
    Settings { second_publisher, reconnect_window_us: 5_000_000, backlog: BACKLOG, send_every_ms: None }
}

fn since_start(now_us: i64) -> Duration {
    Duration::from_micros((now_us - START_US).unsigned_abs())
}
