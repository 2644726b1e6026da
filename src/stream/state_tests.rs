use super::*;
use crate::media::flv::Parser;
use crate::media::flv::file::{Reader, Tag};
use crate::media::frame::Kind;
use std::sync::Mutex;

const CLIP: &[u8] = include_bytes!("../cli/demo.flv");
const SETTINGS: Settings = Settings {
    second_publisher: SecondPublisher::Refuse,
    reconnect_window_us: 30_000_000,
    backlog: Bounds { bytes: 32 << 20, span_us: 20_000_000 },
    send_every_ms: None,
};

/// The first `count` things of the clip, with the milliseconds at which they come.
fn items(count: usize) -> Vec<(i64, Item)> {
    let mut reader = Reader::new();
    let mut parser = Parser::new();
    reader.handle_bytes(CLIP);
    let mut items = Vec::new();
    while let Some(tag) = reader.poll_tag().unwrap() {
        let Tag::Media { kind, timestamp_ms, body } = tag else { continue };
        let parsed = match kind {
            Kind::Video => parser.handle_video(timestamp_ms, body),
            Kind::Audio => parser.handle_audio(timestamp_ms, body),
        };
        items.extend(parsed.unwrap().into_iter().map(|item| (i64::from(timestamp_ms), item)));
    }
    items.truncate(count);
    items
}

struct Encoder {
    id: u64,
    ended: Arc<Mutex<Vec<EndReason>>>,
}

impl Publisher for Encoder {
    fn id(&self) -> PublisherId {
        PublisherId(self.id)
    }

    fn end(&self, reason: EndReason) {
        self.ended.lock().unwrap().push(reason);
    }
}

/// A stream with its clock and the reasons its publishers were ended for.
struct Bench {
    state: State,
    now_us: i64,
    fences: u64,
    ended: Arc<Mutex<Vec<EndReason>>>,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        Self { state: State::new(settings, 0), now_us: 0, fences: 0, ended: Arc::default() }
    }

    fn key(n: u8) -> KeyId {
        KeyId::from_random([n; 16])
    }

    fn publish(&mut self, id: u64, key: u8) -> Result<(), Refusal> {
        self.fences += 1;
        let publish = Publish {
            publisher: Box::new(Encoder { id, ended: self.ended.clone() }),
            key: Self::key(key),
            fence: self.fences,
            since_origin_us: self.now_us,
        };
        self.state.handle_publish(publish, self.now_us)
    }

    /// Sends the clip's first `count` items in real time, and ticks between them.
    fn send(&mut self, id: u64, count: usize) -> Vec<Packet> {
        let start_us = self.now_us;
        let mut packets = Vec::new();
        for (at_ms, item) in items(count) {
            packets.extend(self.advance_to(start_us + at_ms * 1000));
            packets.extend(self.state.handle_media(PublisherId(id), item, self.now_us).unwrap());
        }
        packets
    }

    fn advance_to(&mut self, to_us: i64) -> Vec<Packet> {
        let mut packets = Vec::new();
        while self.now_us + 100_000 <= to_us {
            self.now_us += 100_000;
            packets.extend(self.state.handle_tick(self.now_us));
        }
        self.now_us = self.now_us.max(to_us);
        packets
    }

    fn wait(&mut self, ms: i64) -> Vec<Packet> {
        self.advance_to(self.now_us + ms * 1000)
    }
}

fn phases(packets: &[Packet]) -> Vec<Phase> {
    packets.iter().filter_map(|p| if let Packet::Phase(phase) = p { Some(*phase) } else { None }).collect()
}

fn starts_us(packets: &[Packet], kind: Kind) -> Vec<i64> {
    let fragments = packets.iter().filter_map(|p| if let Packet::Fragment(f) = p { Some(f) } else { None });
    fragments.filter(|f| f.kind == kind).map(|f| f.start_us).collect()
}

fn epochs(packets: &[Packet]) -> Vec<Epoch> {
    packets.iter().filter_map(|p| if let Packet::Init(init) = p { Some(init.epoch) } else { None }).collect()
}

#[test]
fn viewers_get_init_then_keyframe_and_hear_that_the_stream_is_live() {
    let mut bench = Bench::new(SETTINGS);
    bench.publish(1, 1).unwrap();
    let packets = bench.send(1, 100);
    assert_eq!(epochs(&packets), [Epoch { fence: 1, n: 0 }]);
    assert_eq!(phases(&packets), [Phase::Live]);
    assert!(matches!(packets[0], Packet::Init(_)));
    let video = packets.iter().find_map(|p| match p {
        Packet::Fragment(f) if f.kind == Kind::Video => Some(f.role),
        _ => None,
    });
    assert_eq!(video, Some(crate::media::frame::Role::Key));
    let snapshot = bench.state.snapshot();
    assert_eq!(snapshot.phase, Phase::Live);
    assert!(snapshot.backlog.iter().any(|f| f.is_video_key()));
}

#[test]
fn a_publisher_that_returns_goes_on_in_a_new_epoch_at_a_later_time() {
    let mut bench = Bench::new(SETTINGS);
    bench.publish(1, 1).unwrap();
    let before = bench.send(1, 100);
    let gone = bench.state.handle_unpublish(PublisherId(1), Departure::Unpublished, bench.now_us);
    assert_eq!(phases(&gone), [Phase::Interrupted]);
    assert!(bench.state.snapshot().backlog.is_empty());
    assert!(bench.state.snapshot().init.is_some());
    bench.wait(2000);
    bench.publish(2, 1).unwrap();
    let after = bench.send(2, 100);
    assert_eq!(phases(&after), [Phase::Live]);
    assert_eq!(epochs(&after), [Epoch { fence: 2, n: 0 }]);
    for kind in [Kind::Video, Kind::Audio] {
        let all = [starts_us(&before, kind), starts_us(&after, kind)].concat();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "time went back: {all:?}");
    }
}

#[test]
fn a_stream_ends_when_its_window_is_over_and_goes_live_again() {
    let mut bench = Bench::new(SETTINGS);
    bench.publish(1, 1).unwrap();
    bench.send(1, 50);
    bench.state.handle_unpublish(PublisherId(1), Departure::Unpublished, bench.now_us);
    assert_eq!(phases(&bench.wait(29_000)), []);
    assert_eq!(phases(&bench.wait(1_500)), [Phase::Ended]);
    assert!(bench.state.snapshot().init.is_none());
    assert!(bench.state.is_idle());
    bench.publish(2, 1).unwrap();
    assert_eq!(phases(&bench.send(2, 50)), [Phase::Live]);
}

#[test]
fn a_silent_publisher_stalls_then_is_let_go() {
    let mut bench = Bench::new(SETTINGS);
    bench.publish(1, 1).unwrap();
    bench.send(1, 50);
    assert_eq!(phases(&bench.wait(2_800)), []);
    assert_eq!(phases(&bench.wait(300)), [Phase::Stalled]);
    assert_eq!(phases(&bench.wait(7_000)), [Phase::Interrupted]);
    assert_eq!(*bench.ended.lock().unwrap(), [EndReason::Silent]);
    assert!(!bench.state.has_publisher());
}

#[test]
fn a_second_publisher_is_refused_unless_the_first_with_its_key_is_silent() {
    let mut bench = Bench::new(SETTINGS);
    bench.publish(1, 1).unwrap();
    bench.send(1, 50);
    assert_eq!(bench.publish(2, 1), Err(Refusal::Busy));
    bench.wait(1_100);
    assert_eq!(bench.publish(3, 2), Err(Refusal::Busy), "another key has to wait for the first to be let go");
    assert_eq!(bench.publish(4, 1), Ok(()));
    assert_eq!(*bench.ended.lock().unwrap(), [EndReason::Replaced]);
    let late = bench.state.handle_media(PublisherId(1), items(50).pop().unwrap().1, bench.now_us).unwrap();
    assert!(late.is_empty(), "media of a publisher that was replaced went out");
}

#[test]
fn takeover_replaces_a_living_publisher() {
    let mut bench = Bench::new(Settings { second_publisher: SecondPublisher::Takeover, ..SETTINGS });
    bench.publish(1, 1).unwrap();
    bench.send(1, 50);
    assert_eq!(bench.publish(2, 2), Ok(()));
    assert_eq!(*bench.ended.lock().unwrap(), [EndReason::Replaced]);
}

#[test]
fn an_older_fence_is_refused() {
    let mut bench = Bench::new(SETTINGS);
    bench.publish(1, 1).unwrap();
    bench.state.handle_unpublish(PublisherId(1), Departure::Unpublished, bench.now_us);
    bench.fences -= 1;
    assert_eq!(bench.publish(2, 1), Err(Refusal::Stale));
}

#[test]
fn a_stream_that_nobody_publishes_is_abandoned_after_ten_minutes() {
    let mut bench = Bench::new(SETTINGS);
    assert!(!bench.state.is_abandoned(599_000_000));
    assert!(bench.state.is_abandoned(600_000_000));
    bench.publish(1, 1).unwrap();
    assert!(!bench.state.is_abandoned(600_000_000));
}

#[test]
fn a_new_sending_interval_is_told_once() {
    let mut state = State::new(SETTINGS, 0);
    assert!(state.handle_tick(1).is_empty());
    state.configure(Settings { send_every_ms: Some(350), ..SETTINGS });
    assert!(matches!(state.handle_tick(2)[..], [Packet::SendEvery(Some(350))]));
    assert!(state.handle_tick(3).is_empty());
    assert_eq!(state.snapshot().send_every_ms, Some(350));
}
