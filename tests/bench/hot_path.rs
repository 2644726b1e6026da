//! What one frame costs on its way from the publisher's parser to the viewers' sockets: `cargo bench`.

use actix::Arbiter;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::cell::RefCell;
use std::io::{IoSlice, Read as _};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use weir::clock::System;
use weir::config::{Current, Limits};
use weir::id::SessionId;
use weir::media::fragment::{Fragment, Init, Output};
use weir::media::fragmenter::{Fragmenter, Settings};
use weir::media::frame::{AudioConfig, Codec, Config, Frame, Item, Kind, Role, VideoConfig};
use weir::net::socket::{self, Socket};
use weir::session::batch::{Batch, Context};
use weir::session::fan::Fan;
use weir::session::outbox::{Framing, Outbox};
use weir::session::viewer::{Dialect, Ticket, Viewer};
use weir::session::worker::Worker;
use weir::stream::backlog::Bounds;
use weir::stream::packet::{Epoch, Epoched, Framed, Packet, Phase, Snapshot};
use weir::stream::registry::Registry;
use weir::telemetry::Metrics;

/// 720p at 30 frames a second and 2.5 Mbit/s.
const PICTURE_BYTES: usize = 10_400;
const SOUND_BYTES: usize = 340;
const GOP: u32 = 60;
const OUTBOX_BYTES: usize = 256 * 1024;
const VIEWERS: usize = 100;
/// `avcC` of an encoder's 1280 x 720.
const AVCC: &[u8] = &[
    0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xb4, 0x02, 0x80, 0x2d, 0xd8, 0x08,
    0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x1e, 0x07, 0x8c, 0x19, 0x50, 0x01, 0x00, 0x04, 0x68, 0xef, 0x3c,
    0xb0, 0xfd, 0xf8, 0xf8, 0x00,
];

/// A stream that is cut as it comes in: a picture each 33 ms, and the sound between.
struct Source {
    fragmenter: Fragmenter,
    picture: Bytes,
    sound: Bytes,
    number: u32,
    init: Arc<Epoched>,
}

impl Source {
    fn new() -> Self {
        let mut fragmenter = Fragmenter::new(Settings::default());
        let picture = VideoConfig {
            codec: Codec::Avc,
            codec_string: "avc1.64001f".to_owned(),
            width: 1280,
            height: 720,
            fps: Some(30.0),
            record: Bytes::from_static(AVCC),
        };
        let sound = AudioConfig {
            codec: Codec::Aac,
            codec_string: "mp4a.40.2".to_owned(),
            sample_rate: 48_000,
            channels: 2,
            record: Bytes::from_static(&[0x11, 0x90]),
        };
        fragmenter.start(0);
        for config in [Config::Video(picture), Config::Audio(sound)] {
            fragmenter.handle_item(Item::Config(config), 0).expect("a valid configuration");
        }
        let picture = [&(PICTURE_BYTES as u32 - 4).to_be_bytes()[..], &vec![0x41; PICTURE_BYTES - 4]].concat();
        let nothing = Init { tracks: Vec::new(), muxed: Bytes::new() };
        let init = Arc::new(Epoched::new(Epoch::default(), nothing));
        let sound = vec![1; SOUND_BYTES].into();
        let mut source = Self { fragmenter, picture: picture.into(), sound, number: 0, init };
        let init = std::iter::repeat_with(|| source.next()).flatten().find_map(|output| match output {
            Output::Init(init) => Some(init),
            Output::Fragment(_) | Output::Gap(_) => None,
        });
        source.init = Arc::new(Epoched::new(Epoch::default(), init.expect("it has one")));
        source
    }

    fn frame(&self, kind: Kind, timestamp_ms: u32) -> Item {
        let is_key = kind == Kind::Audio || self.number.is_multiple_of(GOP);
        let data = if kind == Kind::Video { self.picture.clone() } else { self.sound.clone() };
        let role = if is_key { Role::Key } else { Role::Reference };
        Item::Frame(Frame { kind, timestamp_ms, composition_ms: 0, role, data })
    }

    /// What a picture and the sound that comes with it are cut into.
    fn next(&mut self) -> Vec<Output> {
        let at = self.number * 100 / 3;
        for (kind, timestamp_ms) in [(Kind::Video, at), (Kind::Audio, at + 1)] {
            let item = self.frame(kind, timestamp_ms);
            self.fragmenter.handle_item(item, i64::from(timestamp_ms) * 1000).expect("a valid frame");
        }
        self.number += 1;
        std::iter::from_fn(|| self.fragmenter.poll_output()).collect()
    }

    fn framed(&mut self) -> Vec<Arc<Framed>> {
        let of = |output| match output {
            Output::Fragment(fragment) => Some(Arc::new(Framed::new(Epoch::default(), fragment))),
            Output::Init(_) | Output::Gap(_) => None,
        };
        self.next().into_iter().filter_map(of).collect()
    }
}

fn fragment(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fragment");
    let mut source = Source::new();
    group.throughput(Throughput::Bytes((PICTURE_BYTES + SOUND_BYTES) as u64));
    group.bench_function("picture and sound, cut", |bencher| bencher.iter(|| source.next()));
    group.finish();
}

fn frame_once(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame once");
    let cut = |source: &mut Source| -> Vec<Fragment> {
        let of = |output| if let Output::Fragment(fragment) = output { Some(fragment) } else { None };
        source.next().into_iter().filter_map(of).collect()
    };
    group.throughput(Throughput::Bytes((PICTURE_BYTES + SOUND_BYTES) as u64));
    let mut source = Source::new();
    let join = |fragments: Vec<Fragment>| {
        let parts = fragments.into_iter().map(|fragment| Arc::new(Framed::new(Epoch::default(), fragment))).collect();
        let batch = Batch::new(parts, Context { has_video: true, ..Context::default() });
        batch.messages().clone()
    };
    group.bench_function("header and join", |bencher| {
        bencher.iter_batched(|| cut(&mut source), join, BatchSize::SmallInput);
    });
    group.finish();
}

/// A viewer whose socket takes half of a picture at a time: everything goes through the queue.
fn outbox(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("outbox");
    let mut source = Source::new();
    let context = Context { has_video: true, ..Context::default() };
    let mut batch = || Rc::new(Batch::new(source.framed(), context));
    let mut outbox = Outbox::new(Framing::WebSocket, OUTBOX_BYTES);
    let mut now = Duration::ZERO;
    outbox.push_burst(batch(), now);
    let mut offer = |batch: Rc<Batch>| {
        now += Duration::from_micros(33_333);
        outbox.offer(&batch, now, |_| None);
        for _ in 0..3 {
            let mut slices = [IoSlice::new(&[]); 16];
            let count = outbox.slices(&mut slices);
            let waiting: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            outbox.handle_full(now);
            outbox.advance(waiting.min(PICTURE_BYTES / 2), now);
        }
    };
    group.bench_function("offer, three writes", |bencher| {
        bencher.iter_batched(&mut batch, &mut offer, BatchSize::SmallInput)
    });
    group.finish();
}

/// Sockets of which a thread reads all.
struct Audience {
    fan: Fan,
    _arbiter: Arbiter,
}

impl Audience {
    async fn gather() -> Self {
        let arbiter = Arbiter::new();
        let (clock, metrics) = (Arc::new(System::new()), Arc::new(Metrics::new()));
        let registry = Registry::new(vec![arbiter.handle()], clock.clone(), metrics.clone());
        let limits = Limits { outbox_bytes: OUTBOX_BYTES, ..Limits::default() };
        let worker = Worker::new(registry, clock, metrics, Current::new(limits), "bench".into());
        let mut fan = Fan::new(Bounds { bytes: 1 << 20, span_us: 10_000_000 }, worker.clone());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut readers = Vec::new();
        for number in 0..VIEWERS {
            let reader = TcpStream::connect(listener.local_addr().expect("bound")).expect("accepted");
            reader.set_nonblocking(true).expect("a socket");
            readers.push(reader);
            let (accepted, _) = listener.accept().expect("a connection");
            accepted.set_nonblocking(true).expect("a socket");
            let accepted = tokio::net::TcpStream::from_std(accepted).expect("within a runtime");
            socket::tune(&accepted).expect("a socket");
            accepted.writable().await.expect("a socket");
            let viewer = Viewer::new(ticket(number), Socket::Plain(accepted), worker.clone());
            fan.join(Rc::new(RefCell::new(viewer)));
        }
        std::thread::spawn(move || read_all(readers));
        Self { fan, _arbiter: arbiter }
    }
}

fn read_all(mut readers: Vec<TcpStream>) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        // An end is the end of the benchmark; what is not there yet comes with the next round.
        readers.retain_mut(|reader| !matches!(reader.read(&mut buffer), Ok(0)));
        if readers.is_empty() {
            return;
        }
    }
}

fn ticket(number: usize) -> Ticket {
    Ticket {
        session: SessionId::from_random((number as u128).to_be_bytes()),
        stream: "play_bench".to_owned(),
        subject: String::new(),
        address: "127.0.0.1".to_owned(),
        dialect: Dialect::Raw,
        target_ms: 150,
        expires_us: None,
        signer: None,
        since_us: 0,
        seat: None,
    }
}

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan-out");
    let system = actix::System::new();
    let mut source = Source::new();
    let mut audience = system.block_on(Audience::gather());
    audience.fan.handle(Packet::Snapshot(Snapshot {
        phase: Phase::Live,
        send_every_ms: None,
        init: Some(source.init.clone()),
        backlog: Vec::new(),
        clock_ahead_us: 0,
        fence: 1,
    }));
    group.throughput(Throughput::Bytes(((PICTURE_BYTES + SOUND_BYTES) * VIEWERS) as u64));
    group.bench_function(format!("picture and sound to {VIEWERS} sockets"), |bencher| {
        bencher.iter_batched(
            || source.framed(),
            |framed| {
                system.block_on(async {
                    for fragment in framed {
                        audience.fan.handle(Packet::Fragment(fragment));
                    }
                    audience.fan.flush();
                    // The sockets say here that they take more.
                    tokio::task::yield_now().await;
                })
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, fragment, frame_once, outbox, fan_out);
criterion_main!(benches);
