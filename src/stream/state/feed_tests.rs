use crate::id::KeyId;
use crate::media::flv::Parser;
use crate::media::flv::file::{Reader, Tag};
use crate::media::frame::{Item, Kind};
use crate::stream::backlog::Bounds;
use crate::stream::packet::{Edges, Epoch, Framed, Packet, Phase, Snapshot};
use crate::stream::publisher::{Departure, EndReason, Publish, Publisher, PublisherId, SecondPublisher};
use crate::stream::state::{Settings, State};
use std::collections::VecDeque;
use std::sync::Arc;

const CLIP: &[u8] = include_bytes!("../../cli/demo.flv");
const WINDOW_US: i64 = 30_000_000;
const SETTINGS: Settings = Settings {
    send_every_ms: None,
    second_publisher: SecondPublisher::Refuse,
    reconnect_window_us: WINDOW_US,
    backlog: Bounds { bytes: 32 << 20, span_us: 20_000_000 },
};

struct Encoder;

impl Publisher for Encoder {
    fn id(&self) -> PublisherId {
        PublisherId(1)
    }

    fn end(&self, _: EndReason) {}
}

fn items() -> VecDeque<Item> {
    let mut reader = Reader::new();
    let mut parser = Parser::new();
    reader.handle_bytes(CLIP);
    let mut items = VecDeque::new();
    while let Some(tag) = reader.poll_tag().unwrap() {
        let Tag::Media { kind, timestamp_ms, body } = tag else { continue };
        let parsed = match kind {
            Kind::Video => parser.handle_video(timestamp_ms, body),
            Kind::Audio => parser.handle_audio(timestamp_ms, body),
        };
        items.extend(parsed.unwrap());
    }
    items
}

/// A stream with a publisher, on some node.
struct Owner {
    state: State,
    items: VecDeque<Item>,
}

impl Owner {
    fn new(fence: u64, since_origin_us: i64) -> Self {
        let mut owner = Self { state: State::new(SETTINGS, 0), items: items() };
        owner.state.handle_publish(publish(fence, since_origin_us), 0).unwrap();
        owner
    }

    fn send(&mut self, count: usize) -> Vec<Packet> {
        let items: Vec<_> = self.items.drain(..count).collect();
        items.into_iter().flat_map(|item| self.state.handle_media(PublisherId(1), item, 0).unwrap()).collect()
    }

    fn snapshot(&self) -> Packet {
        Packet::Snapshot(self.state.snapshot())
    }
}

fn publish(fence: u64, since_origin_us: i64) -> Publish {
    Publish { publisher: Box::new(Encoder), key: KeyId::from_random([1; 16]), fence, since_origin_us }
}

/// A stream that follows, and what a viewer of it, who takes what is new to it, was given.
struct Follower {
    state: State,
    video: Vec<Arc<Framed>>,
    epochs: Vec<Epoch>,
    phases: Vec<Phase>,
}

impl Follower {
    fn new() -> Self {
        Self { state: State::new(SETTINGS, 0), video: Vec::new(), epochs: Vec::new(), phases: vec![Phase::Waiting] }
    }

    fn feed(&mut self, packets: impl IntoIterator<Item = Packet>) {
        for packet in packets {
            let told = self.state.handle_feed(packet, 0);
            self.watch(told);
        }
    }

    fn watch(&mut self, packets: Vec<Packet>) {
        for packet in packets {
            match packet {
                Packet::Snapshot(Snapshot { phase, init, backlog, .. }) => {
                    self.phases.push(phase);
                    self.epochs.extend(init.map(|init| init.epoch));
                    let edge = self.video.last().map_or(i64::MIN, |f| f.end_us);
                    self.video.extend(backlog.into_iter().filter(|f| f.kind == Kind::Video && f.start_us >= edge));
                }
                Packet::Init(init) => self.epochs.push(init.epoch),
                Packet::Fragment(fragment) if fragment.kind == Kind::Video => self.video.push(fragment),
                Packet::Phase(phase) => self.phases.push(phase),
                _ => {}
            }
        }
        self.epochs.dedup();
        self.phases.dedup();
        self.check();
    }

    /// What each viewer relies on: no older fence, nothing twice, no step back, a keyframe after each hole.
    fn check(&self) {
        for pair in self.video.windows(2) {
            let [before, after] = pair else { unreachable!() };
            assert!(after.epoch >= before.epoch, "an older publish after a newer one");
            assert!(after.start >= before.end, "{} after {}", after.start, before.end);
            let follows = after.epoch == before.epoch && after.start == before.end;
            assert!(follows || after.is_video_key(), "a picture that can't be decoded after a hole");
        }
        assert!(self.epochs.is_sorted(), "{:?}", self.epochs);
    }

    fn last_us(&self) -> i64 {
        self.video.last().map_or(0, |f| f.end_us)
    }
}

#[test]
fn a_follower_starts_with_the_owners_present_and_goes_on_with_what_comes() {
    let mut owner = Owner::new(5, 0);
    owner.send(200);
    let mut follower = Follower::new();
    follower.feed([owner.snapshot()]);
    assert_eq!(follower.phases, [Phase::Waiting, Phase::Live]);
    let first = follower.video.len();
    assert!(first > 0 && follower.video[0].is_video_key());
    follower.feed(owner.send(100));
    assert!(follower.video.len() > first + 20);
    assert_eq!(follower.last_us(), owner.state.edges.video_us.unwrap());
    assert!(follower.state.live(0).is_fed && !follower.state.has_publisher());
    assert_eq!(follower.state.live(0).tracks.len(), 2);
}

#[test]
fn after_a_short_break_of_the_relay_nothing_is_missing_and_nothing_comes_twice() {
    let mut owner = Owner::new(5, 0);
    owner.send(200);
    let mut follower = Follower::new();
    follower.feed([owner.snapshot()]);
    follower.feed(owner.send(20));
    follower.feed([Packet::Phase(Phase::Interrupted)]);
    owner.send(10);
    follower.feed([owner.snapshot()]);
    follower.feed(owner.send(20));
    assert_eq!(follower.phases, [Phase::Waiting, Phase::Live, Phase::Interrupted, Phase::Live]);
    assert_eq!(follower.epochs, [Epoch { fence: 5, n: 0 }]);
    let holes = follower.video.windows(2).filter(|pair| pair[1].start != pair[0].end).count();
    assert_eq!(holes, 0);
}

#[test]
fn the_next_owner_goes_on_behind_what_was_delivered() {
    let mut first = Owner::new(5, 0);
    first.send(300);
    let mut follower = Follower::new();
    follower.feed([first.snapshot()]);
    follower.feed(first.send(200));
    let before_us = follower.last_us();
    follower.feed([Packet::Phase(Phase::Interrupted)]);
    // Its clock is behind: the first pictures lie before what the first owner had sent.
    let mut second = Owner::new(6, before_us - 3_000_000);
    second.send(40);
    follower.feed([second.snapshot()]);
    assert_eq!(follower.last_us(), before_us, "what lies before the end is not for viewers");
    follower.feed(second.send(800));
    assert!(follower.last_us() > before_us + 1_000_000);
    assert_eq!(follower.epochs, [Epoch { fence: 5, n: 0 }, Epoch { fence: 6, n: 0 }]);
}

#[test]
fn an_older_fence_is_refused_in_whatever_it_comes() {
    let mut old = Owner::new(5, 0);
    let begun = old.send(100);
    let mut new = Owner::new(6, 60_000_000);
    new.send(100);
    let mut follower = Follower::new();
    follower.feed([new.snapshot()]);
    let count = follower.video.len();
    follower.feed(begun);
    follower.feed([old.snapshot()]);
    follower.feed(old.send(50));
    assert_eq!(follower.video.len(), count);
    assert_eq!(follower.epochs, [Epoch { fence: 6, n: 0 }]);
}

#[test]
fn a_follower_becomes_the_owner_without_a_step_back() {
    let mut first = Owner::new(5, 0);
    first.send(200);
    let mut follower = Follower::new();
    follower.feed([first.snapshot()]);
    follower.feed([Packet::Phase(Phase::Interrupted)]);
    assert!(follower.state.handle_publish(publish(5, 0), 0).is_err(), "the fence of the publish before");
    follower.state.handle_publish(publish(6, 0), 0).unwrap();
    for item in items().into_iter().take(100) {
        let told = follower.state.handle_media(PublisherId(1), item, 0).unwrap();
        follower.watch(told);
    }
    // What the old owner still sends is left out.
    follower.feed([first.snapshot()]);
    follower.feed(first.send(20));
    assert_eq!(follower.epochs, [Epoch { fence: 5, n: 0 }, Epoch { fence: 6, n: 0 }]);
    assert!(!follower.state.live(0).is_fed);
    assert_eq!(follower.phases.last(), Some(&Phase::Live));
}

#[test]
fn an_owner_becomes_a_follower_without_a_step_back() {
    let mut own = Owner::new(5, 0);
    let sent = own.send(200);
    let mut follower = Follower { state: own.state, ..Follower::new() };
    follower.watch(sent);
    let left = follower.state.handle_unpublish(PublisherId(1), Departure::Unpublished, 0);
    follower.watch(left);
    let Edges { video_us, .. } = follower.state.edges;
    let mut second = Owner::new(6, video_us.unwrap());
    second.send(100);
    follower.feed([second.snapshot()]);
    follower.feed(second.send(100));
    assert_eq!(follower.phases, [Phase::Waiting, Phase::Live, Phase::Interrupted, Phase::Live]);
}

#[test]
fn without_an_owner_the_window_ends_the_stream() {
    let mut owner = Owner::new(5, 0);
    owner.send(100);
    let mut follower = Follower::new();
    follower.feed([owner.snapshot(), Packet::Phase(Phase::Ended)]);
    assert_eq!(follower.phases, [Phase::Waiting, Phase::Live, Phase::Interrupted]);
    let told = follower.state.handle_tick(WINDOW_US);
    assert!(matches!(told[..], [Packet::Phase(Phase::Ended)]));
    // The same publish, whose owner had been cut off.
    follower.feed([owner.snapshot()]);
    assert_eq!(follower.phases.last(), Some(&Phase::Live));
}
