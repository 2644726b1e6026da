//! What one viewer has not been sent yet: bounded, in order, cut only where the next keyframe makes it good.

use crate::media::fragment::Gap;
use crate::media::frame::Kind;
use crate::session::batch::Batch;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;
use std::time::Duration;

/// Messages that are never dropped may wait up to this many bytes; a viewer who lets more pile up is too slow.
const CONTROL_BYTES_MAX: usize = 64 * 1024;
/// Without progress for this long while bytes wait, a viewer is too slow.
const STUCK_AFTER: Duration = Duration::from_secs(8);

/// How this viewer gets its fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    WebSocket,
    Http,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooSlow {
    #[error("nothing was read for {} s", STUCK_AFTER.as_secs())]
    Stuck,
    #[error("more than {CONTROL_BYTES_MAX} bytes of messages wait to be read")]
    Piled,
}

#[derive(Debug)]
enum Item {
    Control(Bytes),
    /// The burst that brings a new viewer to live.
    Burst(Bytes, Rc<Batch>),
    Media(Bytes, Rc<Batch>),
}

impl Item {
    fn bytes(&self) -> &Bytes {
        match self {
            Self::Control(bytes) | Self::Burst(bytes, _) | Self::Media(bytes, _) => bytes,
        }
    }
}

/// The holes of one viewer, a track each.
#[derive(Debug, Default, Clone, Copy)]
struct Holes {
    video: Option<Gap>,
    audio: Option<Gap>,
}

impl Holes {
    fn widen(&mut self, batch: &Batch) -> u32 {
        for part in batch.parts() {
            let hole = match part.kind {
                Kind::Video => &mut self.video,
                Kind::Audio => &mut self.audio,
            };
            let gap =
                hole.get_or_insert(Gap { kind: part.kind, from_us: part.start_us, to_us: part.end_us, frames: 0 });
            gap.from_us = gap.from_us.min(part.start_us);
            gap.to_us = gap.to_us.max(part.end_us);
            gap.frames += 1;
        }
        u32::try_from(batch.parts().len()).unwrap_or(u32::MAX)
    }
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    Sending,
    /// Nothing is sent until the next start; the holes so far.
    Skipping(Holes),
}

/// The queue between a hub and one socket.
#[derive(Debug)]
pub struct Outbox {
    framing: Framing,
    limit_bytes: usize,
    queue: VecDeque<Item>,
    /// Of the first item, gone already.
    sent_of_first: usize,
    media_bytes: usize,
    control_bytes: usize,
    burst_bytes: usize,
    mode: Mode,
    /// Since when bytes wait without progress.
    waiting_since: Option<Duration>,
}

impl Outbox {
    pub fn new(framing: Framing, limit_bytes: usize) -> Self {
        Self {
            framing,
            limit_bytes,
            queue: VecDeque::new(),
            sent_of_first: 0,
            media_bytes: 0,
            control_bytes: 0,
            burst_bytes: 0,
            mode: Mode::Sending,
            waiting_since: None,
        }
    }

    /// Nothing is sent before a batch that a viewer can start with; no hole is told of.
    pub fn skip_to_start(&mut self) {
        if matches!(self.mode, Mode::Sending) {
            self.mode = Mode::Skipping(Holes::default());
        }
    }

    pub fn push_control(&mut self, bytes: Bytes, now: Duration) -> Result<(), TooSlow> {
        self.control_bytes += bytes.len();
        self.push(Item::Control(bytes), now);
        if self.control_bytes > CONTROL_BYTES_MAX { Err(TooSlow::Piled) } else { Ok(()) }
    }

    /// Queues what a new viewer starts with, whatever its size: it is shared and told apart from what comes later.
    pub fn push_burst(&mut self, batch: Rc<Batch>, now: Duration) {
        let bytes = self.bytes_of(&batch);
        self.burst_bytes += bytes.len();
        self.push(Item::Burst(bytes, batch), now);
        self.mode = Mode::Sending;
    }

    /// Queues a batch or leaves it out and says how many frames that cost; `gap` makes the message for each hole
    /// that ends here.
    pub fn offer(&mut self, batch: &Rc<Batch>, now: Duration, gap: impl FnMut(Gap) -> Option<Bytes>) -> u32 {
        let bytes = self.bytes_of(batch);
        let mut dropped = 0;
        if matches!(self.mode, Mode::Sending) && self.is_over(bytes.len()) {
            dropped += self.discard();
        }
        if let Mode::Skipping(holes) = &mut self.mode {
            if !batch.is_start() {
                return dropped + holes.widen(batch);
            }
            let messages: Vec<Bytes> = [holes.video, holes.audio].into_iter().flatten().filter_map(gap).collect();
            for message in messages {
                self.control_bytes += message.len();
                self.push(Item::Control(message), now);
            }
            self.mode = Mode::Sending;
        }
        self.media_bytes += bytes.len();
        self.push(Item::Media(bytes, batch.clone()), now);
        dropped
    }

    /// Fills `slices` with what is to be written next, oldest first.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (slot, item) in slices.iter_mut().zip(&self.queue) {
            let from = if count == 0 { self.sent_of_first } else { 0 };
            *slot = IoSlice::new(&item.bytes()[from..]);
            count += 1;
        }
        count
    }

    /// Takes note of `written` bytes that went out.
    pub fn advance(&mut self, mut written: usize, now: Duration) {
        if written > 0 {
            self.waiting_since = Some(now);
        }
        while let Some(first) = self.queue.front() {
            let rest = first.bytes().len() - self.sent_of_first;
            if written < rest {
                self.sent_of_first += written;
                return;
            }
            written -= rest;
            self.sent_of_first = 0;
            if let Some(item) = self.queue.pop_front() {
                self.forget(&item);
            }
        }
        self.queue = VecDeque::new();
        self.waiting_since = None;
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Fragments may go straight to the socket.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && matches!(self.mode, Mode::Sending)
    }

    /// Media goes out, rather than being left out until the next start.
    pub fn is_sending(&self) -> bool {
        matches!(self.mode, Mode::Sending)
    }

    /// Forgets what was not begun: the viewer is about to go.
    pub fn clear_unbegun(&mut self) {
        let begun = usize::from(self.sent_of_first > 0);
        for item in self.queue.split_off(begun.min(self.queue.len())) {
            self.forget(&item);
        }
    }

    pub fn len_bytes(&self) -> usize {
        self.media_bytes + self.burst_bytes + self.control_bytes
    }

    pub fn check(&self, now: Duration) -> Result<(), TooSlow> {
        match self.waiting_since {
            Some(since) if now.saturating_sub(since) >= STUCK_AFTER => Err(TooSlow::Stuck),
            _ => Ok(()),
        }
    }

    fn bytes_of(&self, batch: &Batch) -> Bytes {
        match self.framing {
            Framing::WebSocket => batch.messages().clone(),
            Framing::Http => batch.payloads().clone(),
        }
    }

    fn push(&mut self, item: Item, now: Duration) {
        self.waiting_since.get_or_insert(now);
        self.queue.push_back(item);
    }

    fn is_over(&self, more: usize) -> bool {
        let waits = self.media_bytes + self.burst_bytes > 0;
        waits && self.media_bytes + more > self.limit_bytes
    }

    /// Leaves out all media that was not begun; what follows has to be a start.
    fn discard(&mut self) -> u32 {
        let mut holes = Holes::default();
        let mut dropped = 0;
        let begun = usize::from(self.sent_of_first > 0);
        let mut index = 0;
        let mut queue = std::mem::take(&mut self.queue);
        queue.retain(|item| {
            let keep = index < begun || matches!(item, Item::Control(_));
            index += 1;
            if !keep {
                self.forget(item);
                if let Item::Media(_, batch) | Item::Burst(_, batch) = item {
                    dropped += holes.widen(batch);
                }
            }
            keep
        });
        self.queue = queue;
        self.mode = Mode::Skipping(holes);
        dropped
    }

    fn forget(&mut self, item: &Item) {
        match item {
            Item::Control(bytes) => self.control_bytes -= bytes.len(),
            Item::Burst(bytes, _) => self.burst_bytes -= bytes.len(),
            Item::Media(bytes, _) => self.media_bytes -= bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::frame::Role;
    use crate::session::protocol::gap_json;
    use crate::stream::packet::{Epoch, Framed};
    use crate::stream::ws_frame::{self, WsFrame};
    use proptest::prelude::*;
    use std::sync::Arc;

    const LIMIT: usize = 1000;

    fn batch(number: u32, role: Role, size: usize) -> Rc<Batch> {
        let mut payload = vec![0; size.max(4)];
        payload[..4].copy_from_slice(&number.to_be_bytes());
        let start_us = i64::from(number) * 40_000;
        let part = Framed {
            epoch: Epoch::default(),
            kind: Kind::Video,
            role,
            start_us,
            end_us: start_us + 40_000,
            ingest_us: 0,
            frame: WsFrame::binary_from(&payload),
        };
        Rc::new(Batch::new(vec![Arc::new(part)], true))
    }

    fn gap(gap: Gap) -> Option<Bytes> {
        Some(ws_frame::text(&gap_json(&gap, "slow")))
    }

    /// What the socket would have got, and how much of it at a time.
    fn read(outbox: &mut Outbox, most: usize, into: &mut Vec<u8>) {
        let mut slices = [IoSlice::new(&[]); 8];
        let count = outbox.slices(&mut slices);
        let all: Vec<u8> = slices[..count].iter().flat_map(|s| s.to_vec()).take(most).collect();
        into.extend_from_slice(&all);
        outbox.advance(all.len(), Duration::ZERO);
    }

    #[derive(Debug, PartialEq)]
    enum Seen {
        Frame(u32),
        Gap { from_us: i64, to_us: i64, frames: u64 },
    }

    fn parse(mut bytes: &[u8]) -> Vec<Seen> {
        let mut seen = Vec::new();
        while !bytes.is_empty() {
            let (size, header) = match bytes[1] {
                126 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
                short => (usize::from(short), 2),
            };
            let payload = &bytes[header..header + size];
            if bytes[0] == 0x82 {
                seen.push(Seen::Frame(u32::from_be_bytes(payload[..4].try_into().unwrap())));
            } else {
                let json: serde_json::Value = serde_json::from_slice(payload).unwrap();
                let number = |key: &str| json[key].as_i64().unwrap();
                let frames = json["frames"].as_u64().unwrap();
                seen.push(Seen::Gap { from_us: number("from_us"), to_us: number("to_us"), frames });
            }
            bytes = &bytes[header + size..];
        }
        seen
    }

    #[test]
    fn over_the_bound_a_viewer_goes_on_at_the_next_keyframe_and_is_told() {
        let mut outbox = Outbox::new(Framing::WebSocket, LIMIT);
        let mut out = Vec::new();
        outbox.offer(&batch(0, Role::Key, 400), Duration::ZERO, gap);
        read(&mut outbox, 10, &mut out);
        for number in 1..8 {
            outbox.offer(&batch(number, Role::Reference, 400), Duration::ZERO, gap);
        }
        outbox.offer(&batch(8, Role::Key, 400), Duration::ZERO, gap);
        read(&mut outbox, usize::MAX, &mut out);
        let hole = Seen::Gap { from_us: 40_000, to_us: 320_000, frames: 7 };
        assert_eq!(parse(&out), [Seen::Frame(0), hole, Seen::Frame(8)]);
    }

    #[test]
    fn a_viewer_who_reads_nothing_is_too_slow_after_eight_seconds() {
        let mut outbox = Outbox::new(Framing::WebSocket, LIMIT);
        outbox.offer(&batch(0, Role::Key, 400), Duration::from_secs(5), gap);
        outbox.offer(&batch(1, Role::Key, 400), Duration::from_secs(9), gap);
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
        let mut outbox = Outbox::new(Framing::WebSocket, LIMIT);
        let mut out = Vec::new();
        outbox.skip_to_start();
        outbox.offer(&batch(1, Role::Reference, 10), Duration::ZERO, |_| None);
        outbox.offer(&batch(2, Role::Key, 10), Duration::ZERO, |_| None);
        read(&mut outbox, usize::MAX, &mut out);
        assert_eq!(parse(&out), [Seen::Frame(2)]);
    }

    proptest! {
        #[test]
        fn any_viewer_gets_whole_gops_in_order_and_hears_of_each_hole(
            steps in prop::collection::vec((0_u32..10, 1_usize..700, 0_usize..900), 1..200)
        ) {
            let mut outbox = Outbox::new(Framing::WebSocket, LIMIT);
            let mut out = Vec::new();
            for (number, (role, size, reads)) in steps.iter().enumerate() {
                let role = if *role == 0 || number == 0 { Role::Key } else { Role::Reference };
                outbox.offer(&batch(number as u32, role, *size), Duration::ZERO, gap);
                prop_assert!(outbox.len_bytes() <= LIMIT + 2 * 710 + 300, "{}", outbox.len_bytes());
                read(&mut outbox, *reads, &mut out);
            }
            while !outbox.is_empty() {
                read(&mut outbox, usize::MAX, &mut out);
            }
            let is_key = |n: u32| n == 0 || steps[n as usize].0 == 0;
            let mut next = 0;
            for seen in parse(&out) {
                match seen {
                    Seen::Gap { from_us, to_us, frames } => {
                        prop_assert_eq!(from_us, i64::from(next) * 40_000);
                        next += frames as u32;
                        prop_assert_eq!(to_us, i64::from(next) * 40_000);
                        prop_assert!(is_key(next), "resumed at {}, no keyframe", next);
                    }
                    Seen::Frame(number) => {
                        prop_assert_eq!(number, next);
                        next += 1;
                    }
                }
            }
        }
    }
}
