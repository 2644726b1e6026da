use bytes::Bytes;
use std::io::IoSlice;
use std::rc::Rc;
use std::time::Duration;
use weir::media::fmp4::read::{Label, read};
use weir::media::fragment::VIDEO_TRACK;
use weir::media::frame::{Kind, Role};
use weir::session::batch::Batch;
use weir::session::outbox::{Framing, Outbox};
use weir::session::protocol::{InitFrames, gap_json};
use weir::stream::packet::{Epoch, Framed};
use weir::stream::ws_frame;

const OUTBOX_BYTES: usize = 256 << 10;
/// The bounds for pictures and for sound, keyframes beyond them, the burst, messages.
const WAITS_MAX: usize = 1 << 20;

/// A picture that went out.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    epoch: Epoch,
    role: Role,
    /// Its predecessor, without which it can't be decoded.
    needs: Option<u32>,
}

impl Given {
    /// The data of a picture begins with its number.
    pub fn note(given: &mut [Option<Self>], fragment: &Framed) {
        if fragment.kind == Kind::Video {
            let (number, epoch) = (number(&fragment.payload()), fragment.epoch);
            let same =
                |(_, g): &(u32, &Option<Self>)| g.is_some_and(|g| g.epoch == epoch && g.role != Role::Disposable);
            let needs = (0..).zip(given.iter()).take(number as usize).filter(same).last().map(|(number, _)| number);
            given[number as usize] = Some(Self { epoch, role: fragment.role, needs });
        }
    }
}

fn number(boxes: &[u8]) -> u32 {
    let at = boxes.windows(4).position(|bytes| bytes == b"mdat").expect("a fragment has data") + 4;
    u32::from_be_bytes(boxes[at..at + 4].try_into().expect("four bytes"))
}

/// A viewer with its outbox, its socket, and what it may rely on.
pub struct Watching {
    outbox: Outbox,
    has_init: bool,
    rest: Vec<u8>,
    epoch: Option<String>,
    /// Behind the last fragment of each track, by its id.
    ends: [u64; 3],
    /// All that a next picture may need was delivered, up to this one.
    whole_to: Option<u32>,
}

impl Watching {
    pub fn new(init: Option<&InitFrames>, burst: Option<Rc<Batch>>, now: Duration) -> Self {
        let outbox = Outbox::new(Framing::WebSocket, OUTBOX_BYTES);
        let has_init = init.is_some();
        let mut viewer = Self { outbox, has_init, rest: Vec::new(), epoch: None, ends: [0; 3], whole_to: None };
        if let Some(init) = init {
            viewer.say(init.json.clone(), now);
        }
        match burst.filter(|_| has_init) {
            Some(burst) => viewer.outbox.push_burst(burst, now),
            None => viewer.outbox.skip_to_start(),
        }
        viewer
    }

    /// False where it lets too much pile up, and has to go.
    pub fn say(&mut self, message: Bytes, now: Duration) -> bool {
        self.outbox.push_control(message, now).is_ok()
    }

    pub fn begin(&mut self, init: &InitFrames, now: Duration) -> bool {
        self.has_init = true;
        let keeps_up = self.say(init.json.clone(), now);
        self.outbox.skip_to_start();
        keeps_up
    }

    pub fn offer(&mut self, batch: &Rc<Batch>, now: Duration) {
        if self.has_init {
            self.outbox.offer(batch, now, |gap| Some(ws_frame::text(&gap_json(&gap, "slow"))));
            assert!(self.outbox.len_bytes() <= WAITS_MAX, "{} bytes wait", self.outbox.len_bytes());
        }
    }

    pub fn keeps_up(&self, now: Duration) -> bool {
        self.outbox.check(now).is_ok()
    }

    pub fn read(&mut self, most: usize, given: &[Option<Given>], now: Duration) {
        let mut left = most;
        while !self.outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); 1];
            self.outbox.slices(&mut slices);
            let there = &slices[0][..left.min(slices[0].len())];
            if there.is_empty() {
                assert_eq!(left, 0, "nothing to write of what waits");
                return self.outbox.handle_full(now);
            }
            self.rest.extend_from_slice(there);
            let taken = there.len();
            left -= taken;
            self.outbox.advance(taken, now);
            while let Some((opcode, payload)) = self.message() {
                match opcode {
                    1 => self.hear(&payload),
                    2 => self.see(&payload, given),
                    other => panic!("a message of kind {other}"),
                }
            }
        }
    }

    pub fn check_empty(&self) {
        assert_eq!((self.outbox.len_bytes(), self.rest.len()), (0, 0), "a message is not whole");
    }

    /// RFC 6455 5.2, whole and unmasked.
    fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        let (size, header) = match self.rest.get(1)? {
            127 => (u64::from_be_bytes(self.rest.get(2..10)?.try_into().expect("eight bytes")) as usize, 10),
            126 => (usize::from(u16::from_be_bytes([*self.rest.get(2)?, *self.rest.get(3)?])), 4),
            short => (usize::from(*short), 2),
        };
        let payload = self.rest.get(header..header + size)?.to_vec();
        let opcode = self.rest[0] & 0xf;
        self.rest.drain(..header + size);
        Some((opcode, payload))
    }

    fn hear(&mut self, json: &[u8]) {
        let message: serde_json::Value = serde_json::from_slice(json).expect("JSON");
        match message["type"].as_str() {
            Some("init") => {
                let epoch = message["epoch"].as_str().expect("an epoch").to_owned();
                assert!(self.epoch.as_ref().is_none_or(|last| *last < epoch), "{epoch} after {:?}", self.epoch);
                self.epoch = Some(epoch);
                self.whole_to = None;
            }
            Some("gap") => assert!(message["from_us"].as_i64() < message["to_us"].as_i64(), "{message}"),
            _ => {}
        }
    }

    fn see(&mut self, boxes: &[u8], given: &[Option<Given>]) {
        let Label { track, start, duration, .. } = read(boxes).expect("our own boxes");
        let end = &mut self.ends[track as usize];
        assert!(start >= *end, "track {track} goes back from {end} to {start}");
        *end = start + u64::from(duration);
        if track != VIDEO_TRACK {
            return;
        }
        let number = number(boxes);
        let picture = given[number as usize].expect("a picture that was given out");
        assert_eq!(self.epoch.as_deref(), Some(&*picture.epoch.to_string()), "a picture of another publish");
        match picture.role {
            Role::Key => self.whole_to = Some(number),
            Role::Reference | Role::Disposable => {
                assert!(self.whole_to.is_some() && self.whole_to == picture.needs, "picture {number} can't be decoded");
                if picture.role == Role::Reference {
                    self.whole_to = Some(number);
                }
            }
        }
    }
}
