use bytes::Bytes;
use mp4_atom::{Any, DecodeMaybe};
use weir::media::flv::{Parser, file};
use weir::media::fmp4::{bridge, guard};
use weir::media::fragment::{Fragment, HEADROOM, Output};
use weir::media::fragmenter::Fragmenter;
use weir::media::frame::{Config, Item, Kind, Role};

/// Tags of a publish: a byte for kind and time, two for the length, the body.
pub fn flv_tag(input: &[u8]) {
    let mut publish = Publish::new();
    let mut rest = input;
    while let [kind, high, low, body @ ..] = rest {
        let (body, next) = body.split_at(usize::from(u16::from_be_bytes([*high, *low])).min(body.len()));
        publish.advance_ms(kind >> 1);
        publish.tag(if kind & 1 == 0 { Kind::Video } else { Kind::Audio }, body);
        rest = next;
    }
    publish.end();
}

/// A file in pieces comes to the same as in one.
pub fn flv_file(input: &[u8]) {
    let Some((&size, bytes)) = input.split_first() else { return };
    assert_eq!(tags(bytes, usize::from(size) + 1), tags(bytes, bytes.len().max(1)));
}

fn tags(bytes: &[u8], size: usize) -> (Vec<file::Tag>, bool) {
    let (mut reader, mut tags) = (file::Reader::new(), Vec::new());
    for piece in bytes.chunks(size) {
        reader.handle_bytes(piece);
        loop {
            match reader.poll_tag() {
                Ok(Some(tag)) => tags.push(tag),
                Ok(None) => break,
                Err(_) => return (tags, true),
            }
        }
    }
    (tags, false)
}

pub fn avc(input: &[u8]) {
    record_and_frame(Kind::Video, b"\x90avc1", b"\x93avc1", input);
}

pub fn hevc(input: &[u8]) {
    record_and_frame(Kind::Video, b"\x90hvc1", b"\x93hvc1", input);
}

pub fn av1(input: &[u8]) {
    record_and_frame(Kind::Video, b"\x90av01", b"\x93av01", input);
}

pub fn aac(input: &[u8]) {
    record_and_frame(Kind::Audio, b"\x90mp4a", b"\x91mp4a", input);
}

/// A byte for the length of the record, the record, a frame.
fn record_and_frame(kind: Kind, start: &[u8], frame: &[u8], input: &[u8]) {
    let Some((&size, rest)) = input.split_first() else { return };
    let (record, data) = rest.split_at(usize::from(size).min(rest.len()));
    let mut publish = Publish::new();
    for config in publish.tag(kind, &[start, record].concat()) {
        again(kind, start, &config);
    }
    for config in publish.tag(kind, &[frame, data].concat()) {
        again(kind, start, &config);
    }
    publish.end();
}

/// A record of our making means what it meant.
fn again(kind: Kind, start: &[u8], config: &Config) {
    let record = match config {
        Config::Video(config) => &config.record,
        Config::Audio(config) => &config.record,
    };
    let configs = Publish::new().tag(kind, &[start, record].concat());
    assert_eq!(configs.first(), Some(config));
}

/// What the guard lets through does not harm the parser behind it.
pub fn fmp4_guard(input: &[u8]) {
    let _ = bridge(input, 0);
    if guard::check(input).is_ok() {
        let mut rest = input;
        while let Ok(Some(_)) = Any::decode_maybe(&mut rest) {}
    }
}

/// Parser and fragmenter of one publish, and what every viewer relies on.
struct Publish {
    parser: Parser,
    fragmenter: Fragmenter,
    now_ms: u32,
    declared: Vec<Kind>,
    key_next: bool,
    /// Behind the last fragment of each kind.
    ends: [u64; 2],
}

impl Publish {
    fn new() -> Self {
        let mut fragmenter = Fragmenter::default();
        fragmenter.start(1_000_000);
        Self { parser: Parser::new(), fragmenter, now_ms: 0, declared: Vec::new(), key_next: true, ends: [0; 2] }
    }

    fn advance_ms(&mut self, step: u8) {
        // The largest step is a clock that was set.
        self.now_ms = self.now_ms.wrapping_add(if step == 127 { 1 << 30 } else { u32::from(step) });
    }

    /// The configurations that came of it.
    fn tag(&mut self, kind: Kind, body: &[u8]) -> Vec<Config> {
        let body = Bytes::copy_from_slice(body);
        let items = match kind {
            Kind::Video => self.parser.handle_video(self.now_ms, body),
            Kind::Audio => self.parser.handle_audio(self.now_ms, body),
        };
        let mut configs = Vec::new();
        for item in items.into_iter().flatten() {
            if let Item::Config(config) = &item {
                configs.push(config.clone());
            }
            let _ = self.fragmenter.handle_item(item, i64::from(self.now_ms) * 1000);
            self.check();
        }
        configs
    }

    fn end(mut self) {
        self.fragmenter.stop();
        self.check();
    }

    fn check(&mut self) {
        while let Some(output) = self.fragmenter.poll_output() {
            match output {
                Output::Init(init) => {
                    guard::check(&init.muxed).expect("our own boxes");
                    self.declared = init.tracks.iter().map(|track| track.kind).collect();
                    (self.key_next, self.ends) = (true, [0; 2]);
                }
                Output::Fragment(fragment) => self.check_fragment(&fragment),
                Output::Gap(gap) => assert!(gap.from_us < gap.to_us),
            }
        }
    }

    fn check_fragment(&mut self, fragment: &Fragment) {
        assert!(self.declared.contains(&fragment.kind));
        if fragment.kind == Kind::Video && std::mem::take(&mut self.key_next) {
            assert_eq!(fragment.role, Role::Key);
        }
        let end = &mut self.ends[usize::from(fragment.kind == Kind::Audio)];
        assert!(fragment.start >= *end);
        *end = fragment.start + u64::from(fragment.duration);
        guard::check(&fragment.buffer[HEADROOM..]).expect("our own boxes");
    }
}
