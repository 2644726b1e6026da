use super::*;
use crate::media::fmp4::{self, Chunk};
use crate::media::fragment::{AUDIO_TRACK, Fragment, VIDEO_TRACK};
use crate::session::batch::{Context, Course};
use crate::session::ladder::RateMeter;
use crate::session::protocol::gap_json;
use crate::stream::packet::Epoch;
use crate::stream::ws_frame;
use proptest::prelude::*;
use std::sync::Arc;

const LIMIT: usize = 256 * 1024;
/// Units of 90 kHz and media time of a frame at 25 a second.
const STEP: u64 = 3600;
const STEP_US: i64 = 40_000;

fn framed(kind: Kind, number: u32, role: Role, size: usize) -> Arc<Framed> {
    let mut data = vec![0; size.max(4)];
    data[..4].copy_from_slice(&number.to_be_bytes());
    let (start, start_us) = (u64::from(number) * STEP, i64::from(number) * STEP_US);
    let track = if kind == Kind::Video { VIDEO_TRACK } else { AUDIO_TRACK };
    let (duration, composition, ingest_us) = (STEP as u32, 0, 0);
    let chunk = Chunk { kind, track, sequence: 0, role, start, duration, composition, ingest_us, data: &data };
    let buffer = fmp4::write(&chunk);
    let end_us = start_us + STEP_US;
    Arc::new(Framed::new(
        Epoch::default(),
        Fragment { kind, role, start, duration, start_us, end_us, ingest_us, buffer },
    ))
}

fn gap(gap: Gap) -> Option<Bytes> {
    Some(ws_frame::text(&gap_json(&gap, "slow")))
}

/// Joins a stream's fragments as its fan does.
#[derive(Default)]
struct Source {
    course: Course,
    meter: RateMeter,
}

impl Source {
    fn batch(&mut self, parts: Vec<Arc<Framed>>) -> Rc<Batch> {
        parts.iter().for_each(|part| self.meter.add(part));
        let context = Context { has_video: true, course: self.course, rates: self.meter.rates() };
        parts.iter().for_each(|part| self.course.pass(part));
        Rc::new(Batch::new(parts, context))
    }

    fn video(&mut self, number: u32, role: Role, size: usize) -> Rc<Batch> {
        self.batch(vec![framed(Kind::Video, number, role, size)])
    }
}

/// A socket that takes `most` bytes now.
fn read(outbox: &mut Outbox, most: usize, now: Duration, into: &mut Vec<u8>) -> usize {
    let mut left = most;
    while !outbox.is_empty() {
        let mut slices = [IoSlice::new(&[]); 1];
        outbox.slices(&mut slices);
        let some = slices[0][..left.min(slices[0].len())].to_vec();
        if some.is_empty() {
            outbox.handle_full(now);
            break;
        }
        left -= some.len();
        into.extend_from_slice(&some);
        outbox.advance(some.len(), now);
    }
    most - left
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Seen {
    Fragment { track: u32, number: u32, start: u64, end: u64 },
    Gap { track: u32, from_us: i64, to_us: i64, frames: u64 },
}

fn after<const N: usize>(payload: &[u8], name: &[u8; 4], skip: usize) -> [u8; N] {
    let at = payload.windows(4).position(|w| w == name).unwrap() + 4 + skip;
    payload[at..at + N].try_into().unwrap()
}

/// One message, and the bytes after it.
fn message(bytes: &[u8]) -> Option<(Seen, &[u8])> {
    let (size, header) = match bytes.get(1)? {
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize, 10),
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap())), 4),
        short => (usize::from(*short), 2),
    };
    let payload = bytes.get(header..header + size)?;
    let seen = if bytes[0] == 0x82 {
        let start = u64::from_be_bytes(after(payload, b"tfdt", 4));
        Seen::Fragment {
            track: u32::from_be_bytes(after(payload, b"tfhd", 4)),
            number: u32::from_be_bytes(after(payload, b"mdat", 0)),
            start,
            end: start + u64::from(u32::from_be_bytes(after(payload, b"trun", 12))),
        }
    } else {
        let json: serde_json::Value = serde_json::from_slice(payload).unwrap();
        let number = |key: &str| json[key].as_i64().unwrap();
        Seen::Gap {
            track: json["track"].as_u64().unwrap() as u32,
            from_us: number("from_us"),
            to_us: number("to_us"),
            frames: json["frames"].as_u64().unwrap(),
        }
    };
    Some((seen, &bytes[header + size..]))
}

fn parse(mut bytes: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    while !bytes.is_empty() {
        let (one, rest) = message(bytes).expect("whole messages");
        seen.push(one);
        bytes = rest;
    }
    seen
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    let fragments = parse(bytes).into_iter().filter_map(|s| match s {
        Seen::Fragment { number, .. } => Some(number),
        Seen::Gap { .. } => None,
    });
    fragments.collect()
}

#[test]
fn over_the_bound_a_viewer_goes_on_at_the_next_keyframe_and_is_told() {
    let (mut outbox, mut source, mut out) = (Outbox::new(Framing::WebSocket, LIMIT), Source::default(), Vec::new());
    let now = Duration::ZERO;
    outbox.offer(&source.video(0, Role::Key, 40_000), now, gap);
    read(&mut outbox, 10, now, &mut out);
    for number in 1..8 {
        outbox.offer(&source.video(number, Role::Reference, 40_000), now, gap);
    }
    outbox.offer(&source.video(8, Role::Key, 40_000), now, gap);
    read(&mut outbox, usize::MAX, now, &mut out);
    let seen = parse(&out);
    assert_eq!(numbers(&out), [0, 8]);
    assert_eq!(seen[1], Seen::Gap { track: 1, from_us: STEP_US, to_us: 8 * STEP_US, frames: 7 });
    assert_eq!(outbox.take_dropped(), [3, 0, 4, 0, 0]);
}

#[test]
fn a_viewer_who_reads_nothing_is_too_slow_after_eight_seconds() {
    let (mut outbox, mut source) = (Outbox::new(Framing::WebSocket, LIMIT), Source::default());
    outbox.offer(&source.video(0, Role::Key, 400), Duration::from_secs(5), gap);
    outbox.offer(&source.video(1, Role::Key, 400), Duration::from_secs(9), gap);
    assert_eq!(outbox.check(Duration::from_secs(12)), Ok(()));
    assert_eq!(outbox.check(Duration::from_secs(13)), Err(TooSlow::Stuck));
    outbox.advance(1, Duration::from_secs(12));
    assert_eq!(outbox.check(Duration::from_secs(13)), Ok(()));
}

#[test]
fn messages_that_pile_up_are_too_slow() {
    let mut outbox = Outbox::new(Framing::WebSocket, LIMIT);
    let message = ws_frame::text(&"x".repeat(10_000));
    let pushed: Vec<_> = (0..8).map(|_| outbox.push_control(message.clone(), Duration::ZERO)).collect();
    assert_eq!(pushed[5], Ok(()));
    assert_eq!(pushed[7], Err(TooSlow::Piled));
}

#[test]
fn a_new_viewer_is_not_told_of_what_came_before() {
    let (mut outbox, mut source, mut out) = (Outbox::new(Framing::WebSocket, LIMIT), Source::default(), Vec::new());
    outbox.skip_to_start();
    outbox.offer(&source.video(1, Role::Reference, 10), Duration::ZERO, |_| None);
    assert!(!outbox.has_begun());
    outbox.offer(&source.video(2, Role::Key, 10), Duration::ZERO, |_| None);
    read(&mut outbox, usize::MAX, Duration::ZERO, &mut out);
    assert_eq!(numbers(&out), [2]);
}

#[test]
fn a_burst_that_takes_too_long_is_cut_at_a_fragment() {
    let (mut outbox, mut source, mut out) = (Outbox::new(Framing::WebSocket, LIMIT), Source::default(), Vec::new());
    let role = |n| if n == 0 { Role::Key } else { Role::Reference };
    let burst = source.batch((0..50).map(|n| framed(Kind::Video, n, role(n), 10_000)).collect());
    outbox.push_burst(burst, Duration::ZERO);
    read(&mut outbox, 25_000, Duration::ZERO, &mut out);
    outbox.offer(&source.video(50, Role::Reference, 10_000), Duration::from_millis(900), gap);
    assert!(outbox.len_bytes() > 500_000, "within a second nothing is cut");
    outbox.offer(&source.video(51, Role::Reference, 10_000), Duration::from_millis(1100), gap);
    outbox.offer(&source.video(52, Role::Key, 10_000), Duration::from_millis(1200), gap);
    read(&mut outbox, usize::MAX, Duration::from_millis(1200), &mut out);
    assert_eq!(numbers(&out), [0, 1, 2, 52]);
}

#[test]
fn what_a_rung_sends_is_made_once() {
    let mut source = Source::default();
    source.video(0, Role::Key, 100);
    source.video(1, Role::Disposable, 100);
    let batch = source.video(2, Role::Reference, 100);
    let (one, two) = (batch.cut(Cut::Base).unwrap(), batch.cut(Cut::Base).unwrap());
    assert!(Rc::ptr_eq(&one, &two));
    assert_eq!(one.messages().as_ptr(), two.messages().as_ptr());
    let bridged = parse(one.messages());
    assert_eq!(bridged, [Seen::Fragment { track: 1, number: 2, start: STEP, end: 3 * STEP }]);
    assert!(batch.cut(Cut::Sound).is_none());
}

/// One moment of a stream and of a viewer.
#[derive(Debug, Clone)]
struct Moment {
    role: Role,
    size: usize,
    sounds: bool,
    reads: usize,
    wait_ms: u64,
}

fn moments() -> impl Strategy<Value = Vec<Moment>> {
    let role = prop_oneof![1 => Just(Role::Key), 8 => Just(Role::Reference), 6 => Just(Role::Disposable)];
    let reads = prop_oneof![3 => Just(0_usize), 3 => 0_usize..30_000, 2 => Just(usize::MAX)];
    let moment = (role, 1_usize..30_000, any::<bool>(), reads, 0_u64..300)
        .prop_map(|(role, size, sounds, reads, wait_ms)| Moment { role, size, sounds, reads, wait_ms });
    // Viewers are good or bad for longer than a moment.
    let phase = (prop::collection::vec(moment, 1..40), 0_u8..3).prop_map(|(mut phase, reads)| {
        for moment in &mut phase {
            match reads {
                0 => moment.reads = 0,
                1 => moment.reads = usize::MAX,
                _ => {}
            }
        }
        phase
    });
    prop::collection::vec(phase, 1..8).prop_map(|phases| {
        let mut moments = phases.concat();
        (moments[0].role, moments[0].sounds) = (Role::Key, true);
        moments
    })
}

/// What a viewer has, checked as it comes.
#[derive(Default)]
struct Model {
    roles: Vec<Role>,
    /// Of each track, by its id: end of the last fragment, and its number.
    last: [Option<(u64, u32)>; 3],
    told: [Option<(i64, i64)>; 3],
    /// Every frame that others depend on, since the keyframe, was delivered.
    references: Option<u32>,
}

impl Model {
    fn see(&mut self, seen: Seen) -> Result<(), TestCaseError> {
        match seen {
            Seen::Gap { track, from_us, to_us, frames } => {
                // Even the first fragments may have been discarded. What follows a gap that is being sent may be lost
                // as well: then a second gap goes on where the first one ended.
                let end = self.last[track as usize].map_or(0, |(end, _)| i64::try_from(end / STEP).unwrap() * STEP_US);
                let told = self.told[track as usize];
                prop_assert_eq!(from_us, told.map_or(end, |(_, to_us)| to_us), "{:?}", seen);
                prop_assert!(frames > 0 && to_us > from_us);
                self.told[track as usize] = Some((told.map_or(from_us, |(first_us, _)| first_us), to_us));
            }
            Seen::Fragment { track, number, start, end } => {
                let told = self.told[track as usize].take();
                if let Some((last_end, last_number)) = self.last[track as usize] {
                    prop_assert!(number > last_number, "order");
                    let is_hole = start != last_end;
                    prop_assert_eq!(is_hole, told.is_some(), "{:?} after {}, told {:?}", seen, last_end, told);
                    if let Some((_, to_us)) = told {
                        prop_assert_eq!(to_us, i64::try_from(start / STEP).unwrap() * STEP_US);
                    }
                }
                prop_assert_eq!(end, u64::from(number + 1) * STEP);
                self.last[track as usize] = Some((end, number));
                if track == VIDEO_TRACK {
                    self.decode(number)?;
                }
            }
        }
        Ok(())
    }

    fn decode(&mut self, number: u32) -> Result<(), TestCaseError> {
        let role = |n: u32| self.roles[n as usize];
        if role(number) == Role::Key {
            self.references = Some(number);
            return Ok(());
        }
        let needed = (0..number).rev().find(|&n| role(n) != Role::Disposable);
        prop_assert_eq!(self.references, needed, "a reference of frame {} was not delivered", number);
        if role(number) == Role::Reference {
            self.references = Some(number);
        }
        Ok(())
    }
}

fn run(outbox: &mut Outbox, moments: &[Moment]) -> Result<Vec<u8>, TestCaseError> {
    let mut source = Source::default();
    let mut out = Vec::new();
    let mut now = Duration::ZERO;
    outbox.skip_to_start();
    let mut gops_at_climb = 0;
    let mut clean = false;
    for (number, moment) in (0..).zip(moments) {
        now += Duration::from_millis(moment.wait_ms);
        let video = framed(Kind::Video, number, moment.role, moment.size);
        let sound = framed(Kind::Audio, number, Role::Key, 300);
        let batch = if moment.sounds {
            vec![source.batch(vec![sound, video])]
        } else {
            vec![source.batch(vec![sound]), source.batch(vec![video])]
        };
        for batch in &batch {
            let before = outbox.rung();
            outbox.offer(batch, now, gap);
            let climbed = i32::from(before.number()) - i32::from(outbox.rung().number());
            if batch.is_keyframe() {
                prop_assert!(climbed <= 0 || (clean && gops_at_climb > 0), "climbed without a clean GOP");
                prop_assert!(climbed <= if before == Rung::Gop { 2 } else { 1 }, "climbed {} rungs", climbed);
                gops_at_climb = if climbed > 0 { 1 } else { gops_at_climb + 1 };
                clean = true;
            } else {
                prop_assert!(climbed <= 0, "climbed in the middle of a GOP");
            }
            clean &= outbox.take_dropped()[0] == 0;
        }
        let waits = outbox.queue.media_bytes();
        prop_assert!(waits <= 128 * 1024 + SOUND_BYTES + 128 * 1024, "{} bytes wait", waits);
        read(outbox, moment.reads, now, &mut out);
    }
    read(outbox, usize::MAX, now, &mut out);
    prop_assert_eq!(outbox.len_bytes() + outbox.queue.key_bytes(), 0);
    Ok(out)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn any_viewer_gets_what_it_can_decode_in_order_and_hears_of_each_hole(moments in moments()) {
        let mut outbox = Outbox::new(Framing::WebSocket, LIMIT);
        let out = run(&mut outbox, &moments)?;
        let mut model = Model { roles: moments.iter().map(|m| m.role).collect(), ..Model::default() };
        for seen in parse(&out) {
            model.see(seen)?;
        }
    }

    #[test]
    fn a_viewer_who_keeps_up_gets_every_byte_unchanged(moments in moments()) {
        let fast: Vec<_> = moments.iter().map(|m| Moment { reads: usize::MAX, ..m.clone() }).collect();
        let mut outbox = Outbox::new(Framing::WebSocket, LIMIT);
        let out = run(&mut outbox, &fast)?;
        let all: Vec<u8> = (0..).zip(&fast).flat_map(|(number, moment)| {
            let sound = framed(Kind::Audio, number, Role::Key, 300);
            [sound, framed(Kind::Video, number, moment.role, moment.size)]
        }).flat_map(|f| f.frame.message().to_vec()).collect();
        prop_assert!(out == all);
        prop_assert!(outbox.queue.holds_no_memory());
    }
}

/// A viewer who reads at a rate, behind a socket tuned as ours, and what it has read.
struct Link {
    bytes_per_s: usize,
    /// In the sender's kernel, not sent yet, and in the receiver's.
    unsent: usize,
    received: usize,
    is_full: bool,
    out: Vec<u8>,
    /// When how many bytes had been read.
    reads: Vec<(usize, Duration)>,
}

const NOTSENT_LOWAT: usize = 16 * 1024;
/// The kernel takes whole buffers of this size.
const SKB: usize = 8 * 1024;
const RECEIVE_BUFFER: usize = 20 * 1024;

impl Link {
    fn new(bytes_per_s: usize) -> Self {
        Self { bytes_per_s, unsent: 0, received: 0, is_full: false, out: Vec::new(), reads: Vec::new() }
    }

    fn step(&mut self, outbox: &mut Outbox, now: Duration, over: Duration) {
        let taken = (self.bytes_per_s as u128 * over.as_micros() / 1_000_000) as usize;
        self.received = self.received.saturating_sub(taken);
        self.send();
        self.is_full &= self.unsent >= NOTSENT_LOWAT / 2;
        while !self.is_full {
            let room = if self.unsent < NOTSENT_LOWAT { SKB } else { 0 };
            let took = read(outbox, room, now, &mut self.out);
            self.unsent += took;
            self.send();
            self.is_full = room == 0;
            if outbox.is_empty() {
                break;
            }
        }
        self.reads.push((self.out.len() - self.unsent - self.received, now));
    }

    fn send(&mut self) {
        let moved = self.unsent.min(RECEIVE_BUFFER - self.received);
        self.unsent -= moved;
        self.received += moved;
    }

    /// Pictures with their age when they began to be read, and when they had been.
    fn pictures(&self) -> Vec<Picture> {
        let (mut rest, mut seen) = (&self.out[..], Vec::new());
        while let Some((one, after)) = message(rest) {
            let (begin, end) = (self.out.len() - rest.len() + 200, self.out.len() - after.len());
            rest = after;
            let read_at = |at: usize| self.reads[self.reads.partition_point(|(bytes, _)| *bytes < at)..].first();
            if let (Seen::Fragment { track: VIDEO_TRACK, number, .. }, Some((_, begins)), Some((_, ends))) =
                (one, read_at(begin), read_at(end))
            {
                let sent = Duration::from_millis(u64::from(number) * 40);
                seen.push(Picture { number, begins: begins.saturating_sub(sent), ends: ends.saturating_sub(sent) });
            }
        }
        seen
    }
}

struct Picture {
    number: u32,
    begins: Duration,
    ends: Duration,
}

/// A stream of 25 frames a second with a GOP of 50: sizes of keyframes, other references and disposable frames.
#[derive(Clone, Copy)]
struct Stream {
    sizes: [usize; 3],
    role: fn(u32) -> Role,
}

impl Stream {
    fn size(&self, number: u32) -> usize {
        self.sizes[match (self.role)(number) {
            Role::Key => 0,
            Role::Reference => 1,
            Role::Disposable => 2,
        }]
    }

    /// With 16 kB/s of sound.
    fn bytes_per_s(&self) -> usize {
        (0..50).map(|n| self.size(n) + 640 + 500).sum::<usize>() / 2
    }
}

fn no_disposable(number: u32) -> Role {
    if number.is_multiple_of(50) { Role::Key } else { Role::Reference }
}

fn every_second(number: u32) -> Role {
    match number % 50 {
        0 => Role::Key,
        n if n % 2 == 1 => Role::Disposable,
        _ => Role::Reference,
    }
}

fn two_of_three(number: u32) -> Role {
    match number % 50 {
        0 => Role::Key,
        n if n % 3 == 0 => Role::Reference,
        _ => Role::Disposable,
    }
}

const SMALL_KEYS: Stream = Stream { sizes: [30_000, 12_500, 0], role: no_disposable };
const LARGE_KEYS: Stream = Stream { sizes: [60_000, 12_000, 0], role: no_disposable };
const HALF_DISPOSABLE: Stream = Stream { sizes: [40_000, 17_000, 7_000], role: every_second };
const MANY_DISPOSABLE: Stream = Stream { sizes: [40_000, 20_000, 8_000], role: two_of_three };

/// A minute, after the first four seconds.
fn minute(bytes_per_s: usize, stream: Stream) -> Vec<Picture> {
    let (mut outbox, mut source) = (Outbox::new(Framing::WebSocket, LIMIT), Source::default());
    let mut link = Link::new(bytes_per_s);
    for number in 0..1600 {
        let start = Duration::from_millis(u64::from(number) * 40);
        let sound = framed(Kind::Audio, number, Role::Key, 640);
        let batch = source.batch(vec![sound, framed(Kind::Video, number, (stream.role)(number), stream.size(number))]);
        outbox.offer(&batch, start, gap);
        for tick in 0..8 {
            link.step(&mut outbox, start + Duration::from_millis(tick * 5), Duration::from_millis(5));
        }
    }
    let mut pictures = link.pictures();
    pictures.retain(|p| p.number >= 100);
    pictures
}

fn percentile(pictures: &[Picture], percent: usize, age: fn(&Picture) -> Duration) -> Duration {
    let mut ages: Vec<_> = pictures.iter().map(age).collect();
    ages.sort();
    ages[(ages.len() * percent / 100).min(ages.len() - 1)]
}

/// Seen of each whole GOP.
fn per_gop(pictures: &[Picture]) -> Vec<usize> {
    (4..31).map(|gop| pictures.iter().filter(|p| p.number / 50 == gop).count()).collect()
}

#[test]
fn at_sixty_percent_a_viewer_sees_half_of_each_gop_and_is_never_a_second_behind() {
    for stream in [SMALL_KEYS, LARGE_KEYS] {
        let pictures = minute(stream.bytes_per_s() * 6 / 10, stream);
        let (gops, p95) = (per_gop(&pictures), percentile(&pictures, 95, |p| p.begins));
        assert!(p95 < Duration::from_secs(1), "{p95:?}");
        assert!(gops.iter().all(|&seen| seen >= 25), "{gops:?}");
    }
}

#[test]
fn at_sixty_percent_of_a_stream_with_disposable_frames_a_viewer_sees_every_second_frame() {
    for stream in [HALF_DISPOSABLE, MANY_DISPOSABLE] {
        let pictures = minute(stream.bytes_per_s() * 6 / 10, stream);
        let p95 = percentile(&pictures, 95, |p| p.begins);
        assert!(p95 < Duration::from_secs(1), "{p95:?}");
        assert!(pictures.len() >= 750, "{:?}", per_gop(&pictures));
    }
}

#[test]
fn disposable_frames_alone_are_left_out_where_that_is_enough() {
    let pictures = minute(HALF_DISPOSABLE.bytes_per_s() * 92 / 100, HALF_DISPOSABLE);
    let references = pictures.iter().filter(|p| every_second(p.number) != Role::Disposable).count();
    assert!(references >= 1500 / 2 - 50, "{references}");
    assert!(percentile(&pictures, 95, |p| p.ends) < Duration::from_secs(1));
}

#[test]
fn an_eighth_of_the_rate_is_enough_for_keyframes_near_live() {
    for (stream, bytes_per_s, at_least) in
        [(SMALL_KEYS, 40_000, 20), (LARGE_KEYS, 40_000, 10), (LARGE_KEYS, 60_000, 20)]
    {
        let pictures = minute(bytes_per_s, stream);
        let (p50, p95) = (percentile(&pictures, 50, |p| p.begins), percentile(&pictures, 95, |p| p.begins));
        assert!(p50 < Duration::from_secs(1) && p95 < Duration::from_millis(1500), "{p50:?} {p95:?}");
        assert!(pictures.len() >= at_least, "{}", pictures.len());
    }
}

#[test]
fn after_a_stall_a_viewer_climbs_back_one_rung_a_gop() {
    let (mut outbox, mut source, mut out) = (Outbox::new(Framing::WebSocket, LIMIT), Source::default(), Vec::new());
    let mut rungs = Vec::new();
    for number in 0..1000 {
        let now = Duration::from_millis(u64::from(number) * 40);
        let role = match number % 50 {
            0 => Role::Key,
            n if n % 2 == 1 => Role::Disposable,
            _ => Role::Reference,
        };
        let parts = vec![framed(Kind::Audio, number, Role::Key, 640), framed(Kind::Video, number, role, 12_000)];
        outbox.offer(&source.batch(parts), now, gap);
        let is_stalled = (160..320).contains(&number);
        read(&mut outbox, if is_stalled { 0 } else { usize::MAX }, now, &mut out);
        if !is_stalled && number > 160 && number % 50 == 0 {
            rungs.push(outbox.rung().number());
        }
    }
    assert_eq!(rungs[..5], [3, 2, 1, 0, 0]);
}
