use super::*;
use crate::id::KeyId;
use crate::media::flv::Parser;
use crate::media::flv::file::{Reader, Tag};
use crate::media::frame::{Item, Kind};
use crate::stream::backlog::Bounds;
use crate::stream::publisher::{EndReason, Publish, Publisher, PublisherId, SecondPublisher};
use crate::stream::state::{Settings, State};
use bytes::Bytes;
use proptest::prelude::*;

const CLIP: &[u8] = include_bytes!("../cli/demo.flv");
const NOW: Duration = Duration::from_secs(100);
const PLENTY: usize = 64 << 20;

struct Encoder;

impl Publisher for Encoder {
    fn id(&self) -> PublisherId {
        PublisherId(1)
    }

    fn end(&self, _: EndReason) {}
}

fn items(count: usize) -> Vec<Item> {
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
        items.extend(parsed.unwrap());
    }
    items.truncate(count);
    items
}

/// The packets that an owner gives out for the start of the clip, and its state after them.
fn owner(fence: u64, count: usize) -> (State, Vec<Packet>) {
    let backlog = Bounds { bytes: PLENTY, span_us: 20_000_000 };
    let settings =
        Settings { second_publisher: SecondPublisher::Refuse, reconnect_window_us: 0, send_every_ms: None, backlog };
    let mut state = State::new(settings, 0);
    let key = KeyId::from_random([1; 16]);
    let publish = Publish { publisher: Box::new(Encoder), key, fence, since_origin_us: 0 };
    state.handle_publish(publish, 0).unwrap();
    let items = items(count).into_iter();
    let packets = items.flat_map(|item| state.handle_media(PublisherId(1), item, 1_234_567).unwrap()).collect();
    (state, packets)
}

fn follower() -> Follower {
    Follower::new(0, PLENTY, NOW)
}

/// Gives the follower what the owner's frames hold.
fn pass(follower: &mut Follower, packet: &Packet) -> Result<Vec<Packet>, Broken> {
    let mut frames = Vec::new();
    protocol::encode(packet, 5_000_000, &mut frames);
    let mut told = Vec::new();
    for frame in frames {
        let (is_text, payload) = unframe(&frame);
        told.extend(match is_text {
            true => follower.handle_text(&payload, NOW, 0)?,
            false => follower.handle_binary(&payload, NOW)?,
        });
    }
    Ok(told)
}

/// RFC 6455 5.2, without a mask.
fn unframe(frame: &Bytes) -> (bool, Bytes) {
    let header = match frame[1] {
        127 => 10,
        126 => 4,
        _ => 2,
    };
    (frame[0] & 0xf == 1, frame.slice(header..))
}

#[test]
fn what_the_owner_gives_out_arrives_as_it_was() {
    let (_, packets) = owner(5, 150);
    let mut follower = follower();
    let mut fragments = 0;
    for packet in &packets {
        let told = pass(&mut follower, packet).unwrap();
        match (packet, &told[..]) {
            (Packet::Init(sent), [Packet::Init(got)]) => {
                assert_eq!((sent.epoch, &sent.tracks, &sent.muxed), (got.epoch, &got.tracks, &got.muxed));
            }
            (Packet::Fragment(sent), [Packet::Fragment(got)]) => {
                fragments += 1;
                assert_eq!(sent.payload(), got.payload(), "the same bytes");
                assert_eq!((sent.epoch, sent.kind, sent.role), (got.epoch, got.kind, got.role));
                assert_eq!((sent.start, sent.end), (got.start, got.end));
                assert_eq!((sent.start_us, sent.end_us), (got.start_us, got.end_us));
                assert_eq!(sent.ingest_us, got.ingest_us);
            }
            (Packet::Phase(sent), [Packet::Phase(got)]) => assert_eq!(sent, got),
            (sent, got) => panic!("{sent:?} became {got:?}"),
        }
    }
    assert!(fragments > 100);
}

#[test]
fn a_snapshot_is_given_on_when_it_is_whole() {
    let (state, _) = owner(5, 150);
    let sent = state.snapshot();
    let told = pass(&mut follower(), &Packet::Snapshot(sent.clone())).unwrap();
    let [Packet::Snapshot(got)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((got.phase, got.fence, got.backlog.len()), (Phase::Live, 5, sent.backlog.len()));
    assert_eq!(got.clock_ahead_us, 5_000_000);
    assert_eq!(got.init.as_ref().unwrap().epoch, sent.init.unwrap().epoch);
}

#[test]
fn a_backlog_that_is_too_large_here_is_left_out_whole() {
    let (state, packets) = owner(5, 150);
    let mut follower = Follower::new(0, 10_000, NOW);
    let told = pass(&mut follower, &Packet::Snapshot(state.snapshot())).unwrap();
    let [Packet::Snapshot(got)] = &told[..] else { panic!("{told:?}") };
    assert!(got.backlog.is_empty() && got.init.is_some());
    let fragment = packets.iter().find(|p| matches!(p, Packet::Fragment(_))).unwrap();
    assert!(matches!(pass(&mut follower, fragment).unwrap()[..], [Packet::Fragment(_)]));
}

#[test]
fn an_owner_with_an_older_fence_is_given_up() {
    let (state, packets) = owner(5, 50);
    let mut follower = Follower::new(6, PLENTY, NOW);
    let older = Broken::Older { got: 5, known: 6 };
    assert_eq!(pass(&mut follower, &Packet::Snapshot(state.snapshot())).unwrap_err(), older);
    let init = packets.iter().find(|p| matches!(p, Packet::Init(_))).unwrap();
    assert_eq!(pass(&mut follower, init).unwrap_err(), older);
}

#[test]
fn what_another_version_says_is_passed_over() {
    let mut follower = follower();
    for text in [r#"{"type":"of_a_newer_owner","x":[1]}"#, r#"{"type":"state","state":"on_holiday"}"#] {
        assert!(follower.handle_text(text.as_bytes(), NOW, 0).unwrap().is_none(), "{text}");
    }
    let state = r#"{"type":"state","state":"live","and":"more"}"#;
    assert!(matches!(follower.handle_text(state.as_bytes(), NOW, 0), Ok(Some(Packet::Phase(Phase::Live)))));
    assert_eq!(FollowerMessage::parse(br#"{"type":"newer"}"#), FollowerMessage::Unknown);
    assert_eq!(FollowerMessage::parse(b"?"), FollowerMessage::Unknown);
}

#[test]
fn what_is_malformed_ends_the_relay_with_a_reason() {
    let (state, _) = owner(5, 50);
    for text in ["", "null", "{}", r#"{"type":"time"}"#, r#"{"type":"init","init":{"fence":-1}}"#] {
        assert!(matches!(follower().handle_text(text.as_bytes(), NOW, 0), Err(Broken::Malformed(_))), "{text}");
    }
    let many = r#"{"type":"snapshot","fence":1,"state":"live","init":null,"fragments":99999999,"server_time_us":0}"#;
    assert_eq!(follower().handle_text(many.as_bytes(), NOW, 0).unwrap_err(), Broken::Snapshot(99_999_999));
    let mut follower = follower();
    pass(&mut follower, &Packet::Snapshot(state.snapshot())).unwrap();
    assert!(matches!(follower.handle_binary(b"not a fragment", NOW), Err(Broken::Malformed(_))));
}

#[test]
fn the_owner_is_asked_each_second_and_given_up_when_it_is_silent() {
    let mut follower = follower();
    assert_eq!(follower.poll_ask(NOW, 7), Ok(Some(FollowerMessage::Time { t0_us: 7 })));
    assert_eq!(follower.poll_ask(NOW + ASK_EVERY / 2, 8), Ok(None));
    assert!(follower.poll_ask(NOW + ASK_EVERY, 9).unwrap().is_some());
    assert_eq!(follower.poll_ask(NOW + SILENT_MAX, 9), Err(Broken::Silent));
    let answer = r#"{"type":"time","t0_us":1000,"server_time_us":501000}"#;
    let told = follower.handle_text(answer.as_bytes(), NOW + SILENT_MAX, 3_000).unwrap();
    assert!(matches!(told, Some(Packet::Clock { ahead_us: 499_000 })));
    assert!(follower.poll_ask(NOW + SILENT_MAX, 9).unwrap().is_some());
}

proptest! {
    #[test]
    fn any_bytes_are_taken_without_a_panic(messages in proptest::collection::vec((any::<bool>(), any::<Vec<u8>>()), 0..20)) {
        let mut follower = follower();
        for (is_text, bytes) in messages {
            let _ = if is_text { follower.handle_text(&bytes, NOW, 0) } else { follower.handle_binary(&bytes, NOW) };
        }
    }
}
